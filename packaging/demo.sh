#!/bin/sh
# The main job, for real, on this machine: a broker, an agent, and a desktop session of a real user.
#
#   sh packaging/demo.sh              run it, show what happens, clean up
#   sh packaging/demo.sh --keep DIR   leave everything running; DIR/demo.env tells how to reach it
#   sh packaging/demo.sh --stop DIR   end what --keep left
#
# Run as root on Debian 12: installs the packages that are missing, builds, makes three temporary
# users (the desktop's, the services', the viewer's), and listens on loopback only.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
build=${DCV_BUILD:-$top/build} # DCV_BUILD: programs that are built already
step_number=0

say() { printf '%s\n' "$*"; }
step() {
	step_number=$((step_number + 1))
	printf '\n[%d] %s\n' "$step_number" "$*"
}
fail() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}
usage() {
	sed -n '2,9s/^# \{0,1\}//p' "$0"
	exit "$1"
}

# --- what is running -----------------------------------------------------------------------------

# start NAME USER PROGRAM ARGUMENT...: in the background, with its log in DIR/NAME.log, its process id
# in DIR/NAME.pid; returns when it says that it is ready.
start() {
	name=$1 as=$2
	shift 2
	rm -f "$dir/$name.ready"
	mkfifo "$dir/$name.ready"
	# The shell that opens the pipe for the program waits for our end of it, so: in the background.
	setsid setpriv --reuid "$as" --regid "$(id -g "$as")" --init-groups \
		"$@" --ready-fd 9 9>"$dir/$name.ready" </dev/null >>"$dir/$name.log" 2>&1 &
	echo $! >"$dir/$name.pid"
	line=
	read -r line <"$dir/$name.ready" || true
	rm -f "$dir/$name.ready"
	if [ "$line" != ready ]; then
		tail -n 5 "$dir/$name.log" >&2
		fail "$name did not start; its log is above"
	fi
	say "    $name is running (process $(cat "$dir/$name.pid"))"
}

# A process that has ended stays until its parent asks, which may be another than this script.
is_running() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }

# End a program that start() began, and wait until it is gone.
end() {
	[ -f "$dir/$1.pid" ] || return 0
	pid=$(cat "$dir/$1.pid")
	kill "$pid" 2>/dev/null || true
	waited=0
	while is_running "$pid" && [ "$waited" -lt 200 ]; do
		sleep 0.05
		waited=$((waited + 1))
	done
	if is_running "$pid"; then
		kill -9 "$pid" || true
		say "    $1 did not end by itself and was killed"
	fi
	rm -f "$dir/$1.pid"
}

is_listening() { # is the TCP port taken?
	awk -v port="$(printf '%04X' "$1")" '
		$4 == "0A" { split($2, at, ":"); if (at[length(at)] == port) found = 1 }
		END { exit !found }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

free_port() { # the given port, or the next free one
	port=$1
	while is_listening "$port" || [ "$port" = "${2:-}" ]; do
		port=$((port + 1))
	done
	echo "$port"
}

# Wait until a command succeeds; what happens has no event that a shell could await.
await() {
	what=$1 tries=0
	shift
	until "$@"; do
		tries=$((tries + 1))
		[ "$tries" -lt 600 ] || fail "$what: not within 30 s"
		sleep 0.05
	done
}

local_ctl() { "$bin/dcvctl" --socket "$AGENT_SOCKET" "$@"; }
broker_ctl() {
	DCV_SM_CLIENT_ID=$CLIENT_ID DCV_SM_CLIENT_PASSWORD=$CLIENT_PASSWORD \
		"$bin/dcvctl" --broker-url "$BROKER_URL" --ca-bundle "$BROKER_CA" "$@"
}
session_ids() { # of sessions that have not ended, at the agent
	local_ctl --output json describe-sessions | jq -r '.Sessions[] | select(.State != "DELETED") | .Id'
}
nothing_left() { [ -z "$(session_ids)" ] && ! pgrep -u "$DEMO_USER" >/dev/null; }

clean_up() {
	status=$?
	trap - EXIT INT TERM
	[ "$status" -eq 0 ] || say "    logs were in $dir:" >&2
	[ "$status" -eq 0 ] || tail -n 20 "$dir"/*.log >&2 2>/dev/null || true
	stop_all
	exit "$status"
}

no_keepers() { ! pgrep -P "$(cat "$dir/keeper.pid")" >/dev/null; }

# Sessions are ended by their keepers, which do so also when told by a signal: there may be no agent
# any more that could tell them.
stop_all() {
	if [ -f "$dir/keeper.pid" ]; then
		pgrep -P "$(cat "$dir/keeper.pid")" | xargs -r kill || true
		await "end of the sessions" no_keepers
	fi
	for name in fleet viewer agent broker keeper; do
		end "$name"
	done
	for user in "${DEMO_USER:-}" "${VIEWER_USER:-}" "${SERVICE_USER:-}"; do
		[ -z "$user" ] || ! id "$user" >/dev/null 2>&1 || userdel --remove "$user" 2>/dev/null || true
	done
	rm -rf "$dir"
}

# --- the parts -----------------------------------------------------------------------------------

quote() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

write_env() {
	for name in BROKER_URL BROKER_AGENT_URL BROKER_CA BROKER_CONF CLIENT_ID CLIENT_PASSWORD \
		AGENT_SOCKET AGENT_CONF KEEPER_SOCKET VIEWER_URL DEMO_USER SERVICE_USER VIEWER_USER \
		SOFTWARE_STATEMENT; do
		eval "value=\${$name:-}"
		printf '%s=%s\n' "$name" "$(quote "$value")"
	done >"$dir/demo.env.new"
	chmod 600 "$dir/demo.env.new"
	mv "$dir/demo.env.new" "$dir/demo.env"
}

make_users() {
	suffix=$(od -An -N3 -tx1 /dev/urandom | tr -d ' \n')
	SERVICE_USER=dcvdemo-s$suffix
	useradd --system --user-group --shell /usr/sbin/nologin --no-create-home "$SERVICE_USER"
	VIEWER_USER=dcvdemo-v$suffix
	write_env
	useradd --system --user-group --shell /usr/sbin/nologin --no-create-home "$VIEWER_USER"
	DEMO_USER=dcvdemo-u$suffix
	write_env
	useradd --create-home --user-group --shell /bin/bash "$DEMO_USER"
	write_env
	say "    $DEMO_USER will own the desktop; $SERVICE_USER runs agent and broker, $VIEWER_USER the viewer"
}

# The desktop's owner must be able to run the capture program, and this source tree may lie where
# nobody but root can go.
install_programs() {
	mkdir -p "$bin"
	for program in dcv-session-manager-broker dcv-session-manager-agent dcv-session-keeper \
		dcv-session-files dcv-session-viewer dcv-screenshot dcvctl doubles/fleet; do
		install -m 755 "$build/$program" "$bin"
	done
	cp -R "$top/agent/viewer/page" "$bin/page"
	chmod -R a+rX "$bin/page"
}

make_folders() {
	mkdir -p "$dir/init" "$dir/autorun" "$dir/tags"
	for name in agent-state agent-log agent-run broker; do
		install -d -o "$SERVICE_USER" -g "$SERVICE_USER" -m 700 "$dir/$name"
	done
	install -d -o "$VIEWER_USER" -g "$VIEWER_USER" -m 700 "$dir/viewer"
	chmod 711 "$dir/agent-run"
	install -d -m 711 "$dir/keeper-log"
	cat >"$dir/init/desktop.sh" <<-'END'
		#!/bin/sh
		# What a session starts with: here a plain background, a clock, and a terminal.
		xsetroot -solid steelblue
		xclock -geometry 220x220+40+40 -update 1 &
		exec xterm -fa Monospace -geometry 72x8+320+60 -title init -e sh -c \
			'echo "init file, run as:"; id; exec cat'
	END
	cat >"$dir/autorun/greet.sh" <<-'END'
		#!/bin/sh
		# Started in the session, with the arguments of the request.
		exec xterm -fa Monospace -geometry 72x14+320+300 -title autorun -e sh -c \
			'echo "autorun file, run as:"; id; echo; for text; do printf "argument: [%s]\n" "$text"; done; exec cat' sh "$@"
	END
	chmod 755 "$dir/init/desktop.sh" "$dir/autorun/greet.sh"
	echo 'purpose = "demo"' >"$dir/tags/demo.toml"
}

write_configuration() {
	client_port=$(free_port 8443)
	agent_port=$(free_port 8445 "$client_port")
	viewer_port=$(free_port $((agent_port + 1)))
	BROKER_URL=https://localhost:$client_port
	BROKER_AGENT_URL=https://localhost:$agent_port
	BROKER_CA=$dir/broker/security/dcvsmbroker_ca.pem
	SOFTWARE_STATEMENT=$dir/broker/security/default-software-statement
	BROKER_CONF=$dir/broker.properties
	AGENT_CONF=$dir/agent.conf
	AGENT_SOCKET=$dir/agent-run/agent.sock
	KEEPER_SOCKET=$dir/keepers/listen
	VIEWER_URL=https://127.0.0.1:$viewer_port/
	cat >"$BROKER_CONF" <<-END
		session-manager-working-path = $dir/broker
		log-directory = $dir/broker
		client-to-broker-connector-https-port = $client_port
		client-to-broker-connector-bind-host = 127.0.0.1
		agent-to-broker-connector-https-port = $agent_port
		agent-to-broker-connector-bind-host = 127.0.0.1
	END
	chown root:"$SERVICE_USER" "$BROKER_CONF"
	chmod 640 "$BROKER_CONF"
	cat >"$AGENT_CONF" <<-END
		version = '0.1'

		[agent]
		broker_host = 'localhost'
		broker_port = $agent_port
		ca_file = '$BROKER_CA'
		software_statement_path = '$SOFTWARE_STATEMENT'
		init_folder = '$dir/init'
		autorun_folder = '$dir/autorun'
		tags_folder = '$dir/tags'
		max_concurrent_sessions_per_user = 4
		geometry = '1280x800'
		# Connection data are to name the address that the viewer listens on.
		preferred_network_interface = 'lo'

		[viewer]
		bind_host = '127.0.0.1'
		port = $viewer_port
		user = '$VIEWER_USER'

		[log]
		directory = '$dir/agent-log'
	END
	write_env
}

start_services() {
	start broker "$SERVICE_USER" "$bin/dcv-session-manager-broker" --conf "$BROKER_CONF"
	start keeper root "$bin/dcv-session-keeper" --listen "$KEEPER_SOCKET" \
		--run-dir "$dir/keepers" --log-dir "$dir/keeper-log" --conf "$AGENT_CONF" \
		--agent-user "$SERVICE_USER" --agent-group "$SERVICE_USER" --pam-dir "$here/pam"
	start agent "$SERVICE_USER" "$bin/dcv-session-manager-agent" --conf "$AGENT_CONF" \
		--state-dir "$dir/agent-state" --socket "$AGENT_SOCKET" \
		--keeper-socket "$KEEPER_SOCKET" --keeper-run-dir "$dir/keepers" \
		--keeper-log-dir "$dir/keeper-log"
	start viewer "$VIEWER_USER" "$bin/dcv-session-viewer" --conf "$AGENT_CONF" \
		--state-dir "$dir/viewer" --agent-socket "$dir/agent-run/viewer.sock" \
		--page-dir "$bin/page"
}

register_client() {
	"$bin/dcv-session-manager-broker" register-api-client --client-name demo --conf "$BROKER_CONF" \
		>"$dir/client"
	CLIENT_ID=$(sed -n 's/^client-id: //p' "$dir/client")
	CLIENT_PASSWORD=$(sed -n 's/^client-password: //p' "$dir/client")
	rm -f "$dir/client"
	[ -n "$CLIENT_ID" ] && [ -n "$CLIENT_PASSWORD" ] || fail "register-api-client gave no credentials"
	write_env
	say "    client $CLIENT_ID"
}

server_is_available() {
	[ "$(broker_ctl --output json describe-servers 2>/dev/null |
		jq -r '.Servers[0].Availability')" = AVAILABLE ]
}

# create CTL NAME: a session with init and autorun file, up to READY; sets SESSION_ID.
create() {
	ctl=$1 session_name=$2
	$ctl create-session --name "$session_name" --owner "$DEMO_USER" --type virtual --storage-root %home% \
		--init-file-path desktop.sh --autorun-file greet.sh \
		--autorun-file-arguments 'one argument,$(not a command),"quoted"' --wait
	SESSION_ID=$($ctl --output json describe-sessions --owner "$DEMO_USER" |
		jq -r --arg name "$session_name" \
			'[.Sessions[] | select(.Name == $name and .State == "READY")][0].Id')
}

# The two terminals come up after the session is ready: wait for the picture that has them.
has_desktop() {
	rm -rf "$dir/shots"
	"$1" get-session-screenshots --session-ids "$SESSION_ID" --max-width 1280 --max-height 800 \
		--output-dir "$dir/shots" >/dev/null
	[ "$(wc -c <"$dir/shots/$SESSION_ID-1.png")" -gt 15000 ]
}

take_screenshot() {
	ctl=$1 file=$2
	await "desktop in the screenshot" has_desktop "$ctl"
	cp "$dir/shots/$SESSION_ID-1.png" "$file"
	say "    saved as $file"
}

# The viewer's certificate has the host's name, and 127.0.0.1 is no host's.
open_page() {
	host=$(broker_ctl --output json describe-servers | jq -r '.Servers[0].Hostname')
	port=${VIEWER_URL##*:} port=${port%/}
	address=$(broker_ctl connect --session-id "$SESSION_ID" --user "$DEMO_USER")
	await "the page, with a certificate of the broker's authority" \
		curl -fs --cacert "$BROKER_CA" --resolve "$host:$port:127.0.0.1" -o "$dir/page.html" \
		"https://$host:$port/${address#*:*/*/*/}"
	say "    the page '$(sed -n 's/.*<title>\(.*\)<.title>.*/\1/p' "$dir/page.html")' is there"
	rm -f "$dir/page.html"
}

remove_session() {
	ctl=$1
	$ctl delete-session --session-id "$SESSION_ID" --owner "$DEMO_USER"
	await "removal of the session" nothing_left
	say "    no process of $DEMO_USER is left, and no session"
}

simulate_fleet() {
	cat >"$dir/fleet.json" <<-'END'
		[{"Id": "render", "Hostname": "render", "Ip": "192.0.2.1", "Availability": "AVAILABLE",
		  "ConsoleSessionCount": 0, "VirtualSessionCount": 0, "Endpoints": [],
		  "Tags": [{"Key": "purpose", "Value": "simulated"}], "Behaviour": {"create_ms": 200}}]
	END
	chmod 644 "$dir/fleet.json"
	start fleet "$SERVICE_USER" "$bin/fleet" --broker-url "$BROKER_AGENT_URL" \
		--ca-file "$BROKER_CA" --software-statement "$SOFTWARE_STATEMENT" --count 20 \
		--control "$dir/agent-run/fleet.sock" "$dir/fleet.json"
	say "    servers at the broker: $(broker_ctl --output json describe-servers | jq '.Servers | length')"
	broker_ctl describe-servers --max-results 5
	end fleet
	say "    the fleet is gone again"
}

run() {
	keep=$1
	picture=$PWD/demo.png
	[ -z "$keep" ] || picture=$dir/demo.png

	step "Packages and build"
	. "$here/packages.sh"
	install_build_packages
	install_run_packages
	install_demo_packages
	[ -n "${DCV_BUILD:-}" ] || make -C "$top" -s -j"$(nproc)" all doubles
	say "    programs are in $build"

	step "Two temporary users"
	make_users
	install_programs
	make_folders
	write_configuration

	step "Broker, keeper, agent and viewer, on loopback"
	start_services

	step "On this host alone: dcvctl and the agent's socket"
	create local_ctl demo-local
	local_ctl describe-sessions
	take_screenshot local_ctl "$dir/local.png"
	remove_session local_ctl

	step "An API client of the broker"
	register_client
	await "the agent at the broker" server_is_available
	broker_ctl describe-servers

	step "A desktop through the broker"
	create broker_ctl demo
	broker_ctl describe-sessions

	step "Its screenshot"
	take_screenshot broker_ctl "$picture"

	step "In a browser"
	open_page

	if [ -n "$keep" ]; then
		write_env
		trap - EXIT INT TERM
		say ""
		say "For some minutes $DEMO_USER is let in by a browser at"
		say "    $address"
		say "Everything is left running. '. $dir/demo.env' tells where; end it with"
		say "    sh $here/demo.sh --stop $dir"
		return
	fi
	step "A fleet of twenty simulated hosts at the same broker"
	simulate_fleet

	step "Deleting the session"
	remove_session broker_ctl
	step "Cleaning up"
	stop_all
	trap - EXIT INT TERM
	say "    services stopped, users removed, $dir removed"
	say ""
	say "Done. The screenshot is $picture"
}

[ "$(id -u)" -eq 0 ] || fail "run this as root: it makes users and opens their sessions"
umask 022
case "${1:-}" in
"")
	dir=$(mktemp -d /tmp/dcv-demo.XXXXXX)
	bin=$dir/bin
	chmod 755 "$dir"
	trap clean_up EXIT
	trap 'exit 130' INT TERM
	run ""
	;;
--keep)
	[ $# -eq 2 ] || usage 2
	[ ! -e "$2/demo.env" ] || fail "$2 has a demo in it already: end it with --stop $2"
	mkdir -p "$2"
	dir=$(cd "$2" && pwd)
	bin=$dir/bin
	chmod 755 "$dir"
	trap clean_up EXIT
	trap 'exit 130' INT TERM
	run keep
	;;
--stop)
	[ $# -eq 2 ] || usage 2
	[ -f "$2/demo.env" ] || fail "$2/demo.env does not exist: nothing was kept there"
	dir=$(cd "$2" && pwd)
	bin=$dir/bin
	. "$dir/demo.env"
	stop_all
	say "The demo in $dir has ended."
	;;
-h | --help) usage 0 ;;
*) usage 2 ;;
esac
