"""The packages on a host with systemd: installed, used, upgraded, rebooted, removed. The tests are one
story, in this order, on one host."""

import json
import os
import pathlib
import re
import subprocess
import time

import pytest

AGENT = "dcv-session-manager-agent"
BROKER = "dcv-session-manager-broker"
VIEWER = "dcv-session-viewer"
PACKAGES = (f"{AGENT}-lite", f"{BROKER}-lite", "dcvctl", VIEWER)
VISIT = pathlib.Path(__file__).resolve().with_name("visit.py")
UID = 61537  # not a number that anybody has outside
VIEWER_PORT = 8444
DCV_DOUBLE = pathlib.Path(__file__).resolve().parents[1] / "doubles/dcv"
N_BURST = int(os.environ.get("BURST", "70"))  # more than a socket of systemd accepts by default

# What the system itself, its package manager and these tests write.
SYSTEM_FILES = (r"/etc/(passwd|shadow|group|gshadow|subuid|subgid)-?$|/etc/next\.list$|/(home|root|srv)/|"
                r"/var/(cache|tmp|lib/(apt|dpkg|PackageKit|systemd)|log/(apt|journal))/|/var/log/dpkg\.log$")


def wait_until(condition, timeout=30, what="the condition"):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {timeout} s")
        time.sleep(0.05)


def is_active(host, unit):
    return host.run("systemctl", "is-active", unit, check=False).stdout.strip() == "active"


def show(host, unit, key):
    return host.out("systemctl", "show", "-P", key, unit)


def sessions(host, *options):
    answer = json.loads(host.out("dcvctl", "--output", "json", "describe-sessions", *options))
    return {session["Id"]: session for session in answer["Sessions"]}


def states(host):
    return {identity: session["State"] for identity, session in sessions(host).items()}


def post(host, path, request):
    answer = json.loads(host.out(
        "curl", "-sS", "--unix-socket", f"/run/{AGENT}/agent.sock", "--data-binary", "@-",
        f"http://localhost/{path}", input=json.dumps(request)))
    assert not answer["UnsuccessfulList"], answer["UnsuccessfulList"][0]
    return answer["SuccessfulList"]


def create(host, *options, owner="mira"):
    """Made by its owner; its id once it is READY."""
    made = host.run("dcvctl", "create-session", "--name", "work", "--type", "virtual", "--wait",
                    *options, user=owner)
    assert " READY" in made.stdout, made
    return made.stdout.split()[1]


def keeper_of(host, identity):
    """The keeper's pid there, as its own service knows it."""
    said = host.out("journalctl", "-o", "cat", "-t", "dcv-session-keeper")
    return re.findall(rf"session {identity} starting \(.*pid=(\d+)\)", said)[-1]


def install(host, packages):
    for package in packages:
        (host.path("/root") / package.name).write_bytes(package.read_bytes())
    host.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "-i", "--force-confold",
             *(f"/root/{package.name}" for package in packages))


def make_next(packages, folder):
    """The same packages as a release that follows, in a repository of apt's."""
    folder.mkdir()
    for package in packages:
        content = folder / package.stem
        subprocess.run(["dpkg-deb", "-R", package, content], check=True)
        control = content / "DEBIAN/control"
        version = re.search(r"^Version: (.*)$", control.read_text(), re.M)[1]
        control.write_text(re.sub(rf"^(Version: |Depends: .*\(= ){version}", rf"\g<1>{version}+next",
                                  control.read_text(), flags=re.M))
        subprocess.run(["dpkg-deb", "-b", content, folder], check=True, stdout=subprocess.DEVNULL)
    with open(folder / "Packages", "wb") as index:
        subprocess.run(["dpkg-scanpackages", "."], cwd=folder, check=True, stdout=index,
                       stderr=subprocess.DEVNULL)


def apt(host, *command):
    """With the repository /srv/next, and no other."""
    host.path("/etc/next.list").write_text("deb [trusted=yes] file:/srv/next ./\n")
    return host.out("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y",
                    "-o", "Dir::Etc::SourceList=/etc/next.list", "-o", "Dir::Etc::SourceParts=-",
                    "-o", "Dpkg::Options::=--force-confold", *command)


@pytest.fixture(scope="module", autouse=True)
def desktop(host, packages):
    """Packages, and a user whose desktop is one clock, or rests: many of them are to be started."""
    if host.run("dpkg", "-s", PACKAGES[0], check=False).returncode == 0:
        pytest.fail("the packages are installed on this machine: nothing can be tested")
    host.before = host.written()
    install(host, packages)
    host.run("useradd", "--create-home", "--uid", UID, "--shell", "/bin/bash", "mira")
    init = f"/var/lib/{AGENT}/init/clock"
    host.run("sed", "-i", "/^\\[agent\\]/a max_concurrent_sessions_per_user = -1",
             f"/etc/{AGENT}/agent.conf")
    host.run("systemctl", "restart", AGENT)
    host.run("sh", "-c", f"printf '#!/bin/sh\\nexec xclock\\n' > {init} && chmod 755 {init}")
    rest = f"/var/lib/{AGENT}/init/rest"
    host.run("sh", "-c", f"printf '#!/bin/sh\\nexec sleep infinity\\n' > {rest} && chmod 755 {rest}")


@pytest.fixture(scope="module")
def kept(host):
    """A session that lives through what follows."""
    return create(host)


def test_of_viewer_and_broker_on_one_host_one_is_told_to_take_another_port(host):
    """They have the same by default. Here the broker was first."""
    assert is_active(host, BROKER)
    said = host.run("dcvctl", "doctor", check=False).stdout
    assert "port 8443, the viewer's, is taken by a program of dcvsmbroker" in said
    assert "under [viewer] in agent.conf, port = 8444" in said
    wait_until(lambda: "give the viewer another, as port = 8444 under [viewer] in "
               f"/etc/{AGENT}/agent.conf" in host.out("journalctl", "-o", "cat", "-u", VIEWER))
    host.run("sed", "-i", f"/^\\[viewer\\]/a port = {VIEWER_PORT}", f"/etc/{AGENT}/agent.conf")
    host.run("systemctl", "restart", VIEWER)


def test_what_is_installed_runs_at_once(host):
    for unit in (f"{AGENT}.service", f"{BROKER}.service", f"{VIEWER}.service",
                 "dcv-session-keeper.socket"):
        assert is_active(host, unit) and show(host, unit, "UnitFileState") == "enabled", unit
    assert "dcv" not in host.out("systemctl", "list-units", "--failed", "--plain", "--no-legend")
    for service in (AGENT, BROKER, VIEWER):
        assert show(host, service, "WatchdogUSec") != "0"
        assert "core-dump" not in show(host, service, "Result")


@pytest.mark.parametrize("path, expected", [
    (f"/etc/{AGENT}/agent.conf", "root root 644"),
    (f"/etc/{BROKER}/session-manager-broker.properties", "root dcvsmbroker 640"),
    (f"/var/lib/{AGENT}", "root root 755"), (f"/var/lib/{AGENT}/init", "root root 755"),
    (f"/var/lib/{AGENT}/autorun", "root root 755"),
    (f"/var/lib/{AGENT}/state", "dcvsmagent dcvsmagent 755"),
    (f"/var/log/{AGENT}", "dcvsmagent dcvsmagent 755"),
    (f"/run/{AGENT}", "dcvsmagent dcvsmagent 755"),
    ("/var/lib/dcvsmbroker", "dcvsmbroker dcvsmbroker 700"),
    (f"/var/lib/{VIEWER}", "dcvsmviewer dcvsmviewer 700"),
    (f"/var/log/{BROKER}", "dcvsmbroker dcvsmbroker 750"),
    ("/run/dcv-session-keeper/listen", "root dcvsmagent 660"),
])
def test_folders_and_files_have_their_owners(host, path, expected):
    assert host.out("stat", "-c", "%U %G %a", path) == expected


@pytest.mark.parametrize("service", [AGENT, BROKER, VIEWER])
def test_the_services_are_sandboxed(host, service):
    said = host.out("systemd-analyze", "security", "--no-pager", f"{service}.service")
    assert float(re.search(r"Overall exposure level for \S+: ([\d.]+)", said)[1]) <= 2.0, said


def test_the_sandbox_lets_an_init_file_be_found_for_an_amazon_dcv_server(host):
    folder, settings = f"/var/lib/{AGENT}/state/double", f"/etc/{AGENT}/agent.conf"
    host.run("install", "-d", "-o", "dcvsmagent", folder, f"{folder}/home")
    host.path(f"{folder}/dcv").write_bytes(DCV_DOUBLE.read_bytes())
    host.path(f"{folder}/dcv").chmod(0o755)
    host.path(f"{folder}/home/config.json").write_text('{"administrators": ["dcvsmagent"]}')
    host.run("cp", settings, "/root/before")
    try:
        host.run("sed", "-i", f"/^\\[agent\\]/a engine = 'dcv'\\ndcv_root = '{folder}/dcv'", settings)
        host.run("systemctl", "restart", AGENT)
        # Without root the double begins nothing: it is enough that it was asked to.
        host.run("dcvctl", "create-session", "--name", "asked", "--init-file-path", "clock", "--wait",
                 user="mira", check=False)
        calls = [json.loads(line)["arguments"] for line in
                 host.path(f"{folder}/home/calls.log").read_text().splitlines()]
        assert [f"--init=/var/lib/{AGENT}/init/clock" in call for call in calls
                if call[0] == "create-session"] == [True]
    finally:
        host.run("mv", "/root/before", settings)
        host.run("systemctl", "restart", AGENT)
        host.run("rm", "-r", folder)


@pytest.mark.parametrize("line, expected", [
    ("dcvctl create-s", ["create-session"]), ("dcvctl --output json describe-ser", ["describe-servers"]),
    ("dcvctl create-session --own", ["--owner"]), ("dcvctl delete-session --no-such", []),
])
def test_the_shell_completes_the_command_line(host, line, expected):
    words = line.split()
    said = host.out("bash", "-c", "source /usr/share/bash-completion/completions/dcvctl; "
                    f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _dcvctl; "
                    "echo ${COMPREPLY[@]}")
    assert said.split() == expected


def test_a_session_is_one_of_logind_and_lies_in_its_cgroup(host, kept):
    [line] = host.out("loginctl", "list-sessions", "--no-legend").splitlines()
    number = line.split()[0]
    keeper = keeper_of(host, kept)
    assert host.out("loginctl", "show-session", number, "-P", "Leader") == keeper
    assert host.out("stat", "-c", "%U %a", f"/run/user/{UID}") == "mira 700"
    scope = f"/user.slice/user-{UID}.slice/session-{number}.scope"
    for name in ("Xvnc", "dbus-run-session"):
        pid = host.out("pgrep", "-u", str(UID), "-o", "-f", name)
        assert f"0::{scope}" in host.out("cat", f"/proc/{pid}/cgroup").splitlines()
    assert is_active(host, host.out("systemctl", "list-units", "--plain", "--no-legend",
                                    "dcv-session-keeper@*").split()[0])


def test_a_picture_of_it_can_be_taken(host, kept):
    host.run("dcvctl", "get-session-screenshots", kept, "--output-dir", "/root")
    assert host.path(f"/root/{kept}-1.png").read_bytes().startswith(b"\x89PNG")


def test_it_is_entered_through_the_viewer(host, kept):
    url = host.out("dcvctl", "connect", kept, "--user", "mira")
    assert f":{VIEWER_PORT}/" in url and url.endswith(f"#{kept}")
    width, height, n_colours = map(int, host.visit("/usr/bin/python3", VISIT, url).split())
    assert (width, height) == (1920, 1080) and n_colours > 1
    assert sessions(host)[kept]["LastDisconnectionTime"]


def test_doctor_finds_nothing_wrong_and_leaves_no_trace(host, kept):
    said = host.run("dcvctl", "doctor", "--owner", "mira", check=False)
    assert said.returncode == 0, said.stdout
    assert "Failed" not in host.out("journalctl", "-o", "cat", "-u", "dcv-session-keeper@*")
    assert states(host)[kept] == "READY"


def test_the_host_joins_the_broker_and_is_driven_through_its_api(host, kept):
    token = host.out(BROKER, "create-join-token").split()[-1]
    host.run(AGENT, "join", "https://localhost:8445", "-", input=token)
    assert host.out("stat", "-c", "%U %G %a", f"/etc/{AGENT}/software-statement") == \
        "root dcvsmagent 640"
    host.run("systemctl", "restart", AGENT)
    client = dict(line.split(": ", 1) for line in
                  host.out(BROKER, "register-api-client", "--client-name", "portal").splitlines()
                  if ": " in line)
    environment = {"DCV_SM_CLIENT_ID": client["client-id"],
                   "DCV_SM_CLIENT_PASSWORD": client["client-password"]}
    host.run("cp", "/var/lib/dcvsmbroker/security/dcvsmbroker_ca.pem", "/root/ca.pem")
    remote = ["env", *(f"{name}={value}" for name, value in environment.items()), "dcvctl",
              "--broker-url", "https://localhost:8443", "--ca-bundle", "/root/ca.pem"]
    wait_until(lambda: kept in host.out(*remote, "describe-sessions"), what="the broker's knowledge")
    made = host.out(*remote, "create-session", "--name", "far", "--owner", "mira", "--type",
                    "virtual", "--wait")
    assert " READY" in made
    host.run(*remote, "delete-session", made.split()[1], "--owner", "mira")
    assert states(host)[kept] == "READY"


def test_the_viewer_beside_the_broker_has_a_certificate_of_its_authority(host, kept):
    """Its names are the broker's, too: the boot id tells that both are of one host."""
    wait_until(lambda: "the certificate is signed by the broker's authority" in
               host.out("journalctl", "-o", "cat", "-u", VIEWER), what="a signed certificate")


def test_the_agent_is_killed_and_finds_its_session_again(host, kept):
    keeper = keeper_of(host, kept)
    agent = show(host, AGENT, "MainPID")
    host.run("kill", "-KILL", agent)
    wait_until(lambda: is_active(host, AGENT) and show(host, AGENT, "MainPID") not in (agent, "0"))
    assert states(host)[kept] == "READY"
    assert host.run("kill", "-0", keeper, check=False).returncode == 0


def test_an_upgrade_leaves_sessions_alone_and_who_is_connected_comes_back(host, kept, packages):
    make_next(packages, host.path("/srv/next"))
    services = (AGENT, BROKER, VIEWER)
    keeper, before = keeper_of(host, kept), [show(host, service, "MainPID") for service in services]
    listening = show(host, "dcv-session-keeper.socket", "ActiveEnterTimestampMonotonic")
    host.run("sh", "-c", f"echo '# ours' >> /etc/{AGENT}/agent.conf")
    url = host.out("dcvctl", "connect", kept, "--user", "mira")
    with host.visitor("/usr/bin/python3", VISIT, "--stay", url) as visitor:
        try:
            assert visitor.stdout.readline() == "inside\n"
            apt(host, "update")
            apt(host, "upgrade")
            assert visitor.wait(timeout=120) == 0
            width, height, n_colours = map(int, visitor.stdout.read().split())
        finally:
            visitor.kill()
    assert (width, height) == (1920, 1080) and n_colours > 1
    for package in PACKAGES:
        assert host.out("dpkg-query", "-W", "-f=${Version}", package).endswith("+next")
    for service, pid in zip(services, before):
        assert show(host, service, "MainPID") not in (pid, "0"), f"{service} is not the new one"
    assert states(host)[kept] == "READY"
    assert host.out("cat", f"/proc/{keeper}/comm") == "dcv-session-kee"
    assert show(host, "dcv-session-keeper.socket", "ActiveEnterTimestampMonotonic") == listening
    assert host.path(f"/etc/{AGENT}/agent.conf").read_text().endswith("# ours\n")


def test_a_burst_with_a_restart_in_the_middle_loses_no_session(host, kept):
    request = [{"Name": "many", "Owner": "mira", "Type": "VIRTUAL", "InitFile": "rest"}] * N_BURST
    made = [session["Id"] for session in post(host, "createSessions", request)]
    assert len(made) == N_BURST
    wait_until(lambda: 0 < list(states(host).values()).count("READY") - 1)
    host.run("systemctl", "restart", AGENT)
    wait_until(lambda: all(states(host)[identity] == "READY" for identity in made),
               timeout=60 + 5 * N_BURST, what="every session")
    assert "failed" not in show(host, "dcv-session-keeper.socket", "Result")
    post(host, "deleteSessions", [{"SessionId": identity, "Owner": "mira"} for identity in made])
    wait_until(lambda: all(states(host).get(identity) in (None, "DELETED") for identity in made),
               timeout=60 + 5 * N_BURST, what="the end of every session")
    assert states(host)[kept] == "READY"


def test_after_a_reboot_sessions_have_ended_because_of_it(host, kept):
    host.reboot()
    assert is_active(host, AGENT) and is_active(host, BROKER)
    gone = sessions(host)[kept]
    assert gone["State"] == "DELETED" and gone["StateReason"] == \
        "the host was shut down or rebooted", gone
    made = create(host)
    assert states(host)[made] == "READY"


def test_removal_ends_everything_and_purging_leaves_nothing(host):
    alive = create(host)
    keeper = keeper_of(host, alive)
    host.run("dpkg", "-r", *PACKAGES)
    assert host.run("kill", "-0", keeper, check=False).returncode != 0
    assert host.run("pgrep", "-u", str(UID), "Xvnc", check=False).stdout == ""
    assert not is_active(host, "dcv-session-keeper.socket")
    host.run("dpkg", "-P", *PACKAGES)
    left = [path for path in host.written() - host.before if not re.match(SYSTEM_FILES, path)]
    assert left == [], "\n".join(sorted(left))
    for file in ("passwd", "shadow", "group", "gshadow"):
        assert "dcvsm" not in host.path(f"/etc/{file}").read_text()
    assert host.out("find", "/run", "/tmp", "-name", "*dcv*", "-not", "-path", "/run/host/*") == ""
    host.run("systemctl", "daemon-reload")
    assert host.out("systemctl", "list-units", "--all", "--plain", "--no-legend",
                    "--type=service,socket", "*dcv*") == ""
