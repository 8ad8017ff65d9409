"""dcv-session-keeper with real X servers, real PAM and users of the host, over its real socket."""

import fcntl
import glob
import json
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import threading

import pytest

from conftest import let_everybody_reach
from keeper_helpers import (BUILD, PAM_DIR, PROGRAM, Connection, Gone, Keeper, User, name_of,
                            new_id, of_session, pack, pids, run, tcp_listeners, wait_for,
                            x_answers, x_sockets)

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="sessions of other users need root"),
    pytest.mark.skipif(not shutil.which("Xvnc"), reason="needs Xvnc"),
]

SLEEP = "#!/bin/sh\nexec sleep 100000\n"
# error_blames_request(): what nobody holds against the host
BLAMES_REQUEST = {"INVALID", "DENIED", "NOT_FOUND", "UNSUPPORTED", "TOO_LARGE"}
CYCLES = int(os.environ.get("KEEPER_CYCLES", "10"))


@pytest.fixture
def keeper():
    k = Keeper()
    yield k
    k.done()


@pytest.fixture
def make_keeper():
    made = []

    def make(**arguments):
        made.append(Keeper(**arguments))
        return made[-1]

    yield make
    for k in made:
        k.done()


def assert_nothing_left(keeper, user, *session_ids):
    """No process, X socket, folder or cgroup of these sessions."""
    for session_id in session_ids:
        assert of_session(session_id) == []
    assert user.processes() == []
    assert x_sockets(user.uid) == []
    assert keeper.numbers() == []
    assert cgroups_of(keeper) == []


def all_cgroups():
    for mount in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        if os.path.exists(mount + "/cgroup.procs"):
            return {name for _, folders, _ in os.walk(mount) for name in folders
                    if name.startswith("dcv-session-")}
    return set()


CGROUPS_BEFORE = all_cgroups()  # of keepers that were killed once, whose pids may come again


def cgroups_of(keeper):
    """Cgroups that processes of this keeper have made, by the pid in their names."""
    pids_of_keepers = set(re.findall(r"pid=(\d+)\)", keeper.messages()))
    return [name for name in all_cgroups() - CGROUPS_BEFORE
            if name.split("-")[2] in pids_of_keepers]


def ready(connection):
    event = connection.until("ready", "failed", "ended")
    assert event["EVENT"] == "ready", event
    return event


def failure(connection):
    """The last word to what could not be done: its reason and its code."""
    event = connection.until("ready", "failed", "ended")
    assert event["EVENT"] == "failed", event
    with pytest.raises((Gone, ConnectionResetError)):
        connection.receive()
    return event["REASON"], event["CODE"]


def refusal(connection):
    """The reason, where it is not the host's fault."""
    reason, code = failure(connection)
    assert code in BLAMES_REQUEST, (reason, code)
    return reason


def end(connection):
    connection.stop()
    event = connection.until("ended", "failed")
    assert event["EVENT"] == "ended", event
    return event["REASON"]


def child_named(keeper_pid, name):
    with open(f"/proc/{keeper_pid}/task/{keeper_pid}/children", encoding="utf-8") as file:
        return [int(pid) for pid in file.read().split() if name_of(int(pid)) == name]


def state_of(keeper, number="1"):
    with open(os.path.join(keeper.run_dir, number, "state"), "rb") as file:
        return dict(e.decode().split("=", 1) for e in file.read()[:-1].split(b"\0"))


def names(session_id):
    return sorted(name_of(pid) or "" for pid in of_session(session_id))


def xvnc_of(session_id):
    return [pid for pid in of_session(session_id) if name_of(pid) == "Xvnc"][0]


# --- the life of a session -----------------------------------------------------------------------


def test_a_session_lives_from_start_to_stop(keeper, alice):
    connection, session_id = keeper.start(alice.name, keeper.init(SLEEP))
    first = connection.receive()
    assert first == {"EVENT": "state", "NUMBER": "1", "SESSION_ID": session_id,
                     "OWNER": alice.name, "TYPE": "virtual", "ACCOUNT": alice.name,
                     "STATE": "starting", "FILES": "1"}
    event = ready(connection)
    assert x_answers(event["DISPLAY"], event["XAUTHORITY"], alice)
    assert end(connection) == "stopped on request"
    assert [e["EVENT"] for e in connection.seen] == ["state", "ready", "ending", "ended"]
    assert_nothing_left(keeper, alice, session_id)


def test_others_may_not_use_the_display(keeper, alice, bob):
    connection, _ = keeper.start(alice.name, keeper.init(SLEEP))
    event = ready(connection)
    assert not x_answers(event["DISPLAY"], event["XAUTHORITY"], bob)
    assert not x_answers(event["DISPLAY"], "/nonexistent", bob)
    for name in ("rfb", "Xauthority"):
        assert os.lstat(os.path.join(keeper.run_dir, "1/owner", name)).st_mode & 0o777 == 0o600
    assert os.lstat(os.path.join(keeper.run_dir, "1/owner")).st_mode & 0o777 == 0o700
    assert os.lstat(os.path.join(keeper.run_dir, "1/control")).st_mode & 0o777 == 0o660
    end(connection)


def test_nothing_listens_on_tcp(keeper, alice):
    connection, session_id = keeper.start(alice.name, keeper.init(SLEEP))
    ready(connection)
    for pid in of_session(session_id) + [int(state_of(keeper)["PID"])]:
        assert tcp_listeners(pid) == []
    end(connection)


def test_a_session_outlives_its_connections_and_its_listener(keeper, alice):
    connection, session_id = keeper.start(alice.name, keeper.init(SLEEP))
    ready(connection)
    connection.close()
    keeper.process.send_signal(signal.SIGTERM)
    keeper.process.wait(10)
    control = keeper.control(1)
    state = control.receive()
    assert (state["STATE"], state["SESSION_ID"]) == ("ready", session_id)
    assert x_answers(state["DISPLAY"], state["XAUTHORITY"], alice)
    end(control)
    assert_nothing_left(keeper, alice, session_id)


def test_sigterm_to_the_keeper_ends_the_session(keeper, alice):
    connection, session_id = keeper.start(alice.name, keeper.init(SLEEP))
    ready(connection)
    os.kill(int(state_of(keeper)["PID"]), signal.SIGTERM)
    assert connection.until("ended")["REASON"] == "the session's keeper was told to stop"
    assert_nothing_left(keeper, alice, session_id)


def test_a_connection_given_by_systemd_is_served(keeper, alice):
    init = keeper.init(SLEEP)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [PROGRAM, "--run-dir", keeper.run_dir, "--log-dir", keeper.log_dir, "--conf",
         keeper.conf, "--pam-dir", PAM_DIR, "--agent-user", "root"], stdin=theirs)
    theirs.close()
    connection = Connection.given(ours.detach())
    session_id = new_id()
    connection.start(session_id, alice.name, init)
    ready(connection)
    end(connection)
    assert process.wait(10) == 0
    connection.close()
    assert_nothing_left(keeper, alice, session_id)


def test_the_default_session_runs_where_no_init_file_is_named(make_keeper, alice):
    k = make_keeper(settings="default_session = '/usr/bin/xlogo-is-not-there'")
    connection, _ = k.start(alice.name)
    reason, code = failure(connection)
    assert "default session" in reason and code == "CONFIG"
    with open(os.path.join(k.folder, "desktop"), "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\necho "bus: $DBUS_SESSION_BUS_ADDRESS"\nexec sleep 100000\n')
    os.chmod(file.name, 0o755)
    k = make_keeper(settings=f"default_session = '{file.name}'")
    connection, session_id = k.start(alice.name)
    ready(connection)
    wait_for(lambda: b"init: bus: unix:" in k.log_of(session_id), "the desktop's own bus")
    end(connection)
    assert_nothing_left(k, alice, session_id)


# --- what the programs see -----------------------------------------------------------------------

REPORT = """#!/usr/bin/python3
import json, os, resource, signal, sys
signals = [l for l in open("/proc/self/status") if l.startswith(("SigBlk", "SigIgn"))]
um = os.umask(0); os.umask(um)
print(json.dumps({"ids": [os.getresuid(), os.getresgid()], "groups": sorted(os.getgroups()),
  "env": dict(os.environ), "cwd": os.getcwd(), "argv": [os.fsencode(a).hex() for a in sys.argv],
  "umask": um, "fds": os.listdir("/proc/self/fd"), "stdin": os.readlink("/proc/self/fd/0"),
  "sid": os.getsid(0) == os.getpid(), "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
  "nproc": resource.getrlimit(resource.RLIMIT_NPROC), "signals": signals}))
sys.stdout.flush()
signal.pause()
"""


def report_of(keeper, session_id, prefix):
    def lines():
        return [l for l in keeper.log_of(session_id).split(b"\n") if l.startswith(prefix)]

    text = b""
    wait_for(lambda: any(l.endswith(b"}") for l in lines()), "the program's report")
    for line in lines():  # long lines are broken
        text += line[len(prefix):]
    return json.loads(text[text.index(b"{"):])


def test_programs_are_the_owners_in_every_respect(keeper, alice):
    group = "g" + alice.name
    run("groupadd", "-f", group)
    run("usermod", "-aG", group, alice.name)
    try:
        connection, session_id = keeper.start(alice.name, keeper.init(REPORT),
                                              keeper.autorun(REPORT), ["one"])
        event = ready(connection)
        for prefix in (b"init: ", b"autorun: "):
            seen = report_of(keeper, session_id, prefix)
            assert seen["ids"] == [[alice.uid] * 3, [alice.gid] * 3]
            groups = subprocess.check_output(["id", "-G", alice.name], text=True).split()
            assert seen["groups"] == sorted(int(g) for g in groups)
            assert seen["cwd"] == alice.home and seen["stdin"] == "/dev/null" and seen["sid"]
            assert len(seen["fds"]) == 4  # 0, 1, 2 and the listing's own
            # Python ignores SIGPIPE and SIGXFSZ by itself; 32 and 33 are the C library's own, which
            # it leaves ignored in what posix_spawn() starts, make's children for instance
            masks = {line.split()[0]: int(line.split()[1], 16) & ~0x181001000
                     for line in seen["signals"]}
            assert masks == {"SigBlk:": 0, "SigIgn:": 0}
            wanted = {"HOME": alice.home, "USER": alice.name, "LOGNAME": alice.name,
                      "SHELL": "/bin/sh", "DISPLAY": event["DISPLAY"],
                      "XAUTHORITY": event["XAUTHORITY"], "DCV_SESSION_ID": session_id,
                      "DCV_SESSION_OWNER": alice.name, "XDG_SESSION_TYPE": "x11"}
            assert {name: seen["env"].get(name) for name in wanted} == wanted
            assert "/usr/bin" in seen["env"]["PATH"] and seen["env"]["LANG"]
            assert "KEEPER_CYCLES" not in seen["env"] and "DCV_BUILD" not in seen["env"]
        end(connection)
    finally:
        run("groupdel", group)


def test_limits_and_umask_come_from_pam(keeper, alice, tmp_path):
    path = f"/etc/security/limits.d/{alice.name}.conf"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{alice.name} - nofile 777\n{alice.name} - nproc 3333\n")
    run("usermod", "-c", "umask=027", alice.name)
    try:
        connection, session_id = keeper.start(alice.name, keeper.init(REPORT))
        ready(connection)
        seen = report_of(keeper, session_id, b"init: ")
        assert seen["nofile"][0] == 777 and seen["nproc"][1] == 3333
        assert seen["umask"] == 0o027
        keeper_pid = int(state_of(keeper)["PID"])
        # a hard limit cannot go up again without CAP_SYS_RESOURCE
        assert resource.prlimit(keeper_pid, resource.RLIMIT_NOFILE)[0] >= 777
        end(connection)
    finally:
        os.unlink(path)
        run("usermod", "-c", "", alice.name)


HARD_ARGUMENTS = ["plain", "", "two words", "it's \"quoted\"", "line\nbreak\r\ttab", "$(touch /tmp/x)",
                  "`id`", "../../../etc/passwd", "; rm -rf /", "x" * 10000, "\u202eevil\u202c",
                  "-rf", "--", "*", "caf\u00e9", "\\"]


def test_arguments_arrive_byte_by_byte(keeper, alice):
    arguments = [a.encode() for a in HARD_ARGUMENTS] + [b"\xff\xfe\x01"]
    connection, session_id = keeper.start(alice.name, keeper.init(SLEEP), keeper.autorun(REPORT),
                                          arguments)
    ready(connection)
    seen = report_of(keeper, session_id, b"autorun: ")
    assert [bytes.fromhex(a) for a in seen["argv"][1:]] == arguments
    assert bytes.fromhex(seen["argv"][0]).decode() == keeper.autorun_folder + "/autorun.sh"
    end(connection)


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, reason", [
    ("root", "sessions for system accounts are not allowed"),
    ("daemon", "sessions for system accounts are not allowed"),
    ("no-such-user", "user not found: no-such-user"),
    ("../../etc", "user not found"),
    ("0", "user not found"),
])
def test_owners_that_may_not_have_sessions(keeper, name, reason):
    connection, _ = keeper.start(name, keeper.init(SLEEP))
    assert reason in refusal(connection)
    assert keeper.numbers() == []


@pytest.mark.parametrize("options, change, reason", [
    (["-o", "-u", "0"], None, "sessions for system accounts are not allowed"),
    (["-r"], None, "sessions for system accounts are not allowed"),
    ([], ["usermod", "-s", "/usr/sbin/nologin"], "has no login shell"),
    ([], ["usermod", "-s", "/bin/false"], "has no login shell"),
    ([], ["usermod", "-s", "/no/such/shell"], "has no login shell"),
    ([], ["usermod", "-d", "/etc/passwd"], "is not a folder"),
    ([], ["usermod", "-e", "1"], "has expired"),
    (["-p", "$6$aa$bb"], ["usermod", "-L"], "is locked"),
])
def test_accounts_that_may_not_have_sessions(keeper, options, change, reason):
    user = User("-d", "/tmp", *options, home=False)
    try:
        if change:
            run(*change, user.name)
        connection, _ = keeper.start(user.name, keeper.init(SLEEP))
        assert reason in refusal(connection)
    finally:
        user.remove(keep_home=True)  # an alias of root, or what -d was pointed at
    assert keeper.numbers() == []


@pytest.mark.parametrize("change, reason, code", [
    ('mount -t tmpfs -o size=32k,mode=700,uid=$U tmpfs "$H"; head -c 32k /dev/zero >"$H/x" || :',
     "the home folder of user {name} is full ({home})", "SYSTEM"),
    ('mount --bind "$H" "$H"; mount -o remount,bind,ro "$H"',
     "the home folder of user {name} cannot be written ({home}): Read-only file system", "SYSTEM"),
    ('mount -t tmpfs -o mode=700,uid=0 tmpfs "$H"',
     "user {name} cannot enter the home folder {home}: Permission denied", "DENIED"),
    ('mount -t tmpfs -o mode=500,uid=$U tmpfs "$H"',
     "the home folder of user {name} cannot be written ({home}): Permission denied", "DENIED"),
    ('mount --bind /tmp /mnt; mount -t tmpfs -o mode=1777,size=32k tmpfs /tmp; '
     'for kept in "$F" "${0%/*}" "$P"; do case $kept in /tmp/*) '
     'mkdir -p "$kept"; mount --bind "/mnt/${kept#/tmp}" "$kept";; esac; done; '
     'head -c 32k /dev/zero >/tmp/x || :',
     "the folder for temporary files is full (/tmp)", "SYSTEM"),
], ids=["full", "read-only", "closed", "not writable", "tmp full"])
def test_folders_that_a_desktop_could_not_use_are_named(alice, change, reason, code):
    script = f'F=$(dirname "$(dirname "$2")"); {change}; exec "$0" "$@"'
    keeper = Keeper(prefix=("env", f"H={alice.home}", f"U={alice.uid}", f"P={PAM_DIR}", "unshare",
                            "--mount", "sh", "-ec", script))
    try:
        connection, _ = keeper.start(alice.name, keeper.init(SLEEP))
        assert failure(connection) == (reason.format(name=alice.name, home=alice.home), code)
        assert keeper.numbers() == []
    finally:
        keeper.done()


def test_a_home_folder_that_comes_late_is_waited_for():
    user = User(home=False)
    keeper = Keeper()
    try:
        connection, session_id = keeper.start(user.name, keeper.init(SLEEP))
        wait_for(user.processes, "somebody to look for the home folder")
        os.mkdir(user.home, 0o700)
        os.chown(user.home, user.uid, user.gid)
        assert connection.until("ready", "failed")["EVENT"] == "ready"
    finally:
        keeper.done()
        user.remove()


def test_a_home_folder_that_comes_late_may_become_its_owners_later_still():
    user = User(home=False)
    keeper = Keeper()
    try:
        connection, _ = keeper.start(user.name, keeper.init(SLEEP))
        wait_for(user.processes, "somebody to look for the home folder")
        looking = user.processes()[0]
        os.mkdir(user.home, 0o700)
        wait_for_looks(looking, 3)
        os.chown(user.home, user.uid, user.gid)
        assert connection.until("ready", "failed")["EVENT"] == "ready"
    finally:
        keeper.done()
        user.remove()


def wait_for_looks(pid, count):
    """Each begins with a rest, which is a voluntary switch."""
    def switches():
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M)[1])
    wanted = switches() + count
    wait_for(lambda: switches() >= wanted, "it to look again")


def test_who_looks_for_the_home_folder_holds_nothing_of_the_keeper():
    """It may hang in the kernel for ever: then the keeper's peers would wait for its end as long."""
    user = User(home=False)
    keeper = Keeper()
    try:
        keeper.start(user.name, keeper.init(SLEEP))
        wait_for(user.processes, "somebody to look for the home folder")
        folder = f"/proc/{user.processes()[0]}/fd"
        wait_for(lambda: "/mountinfo" in str(links(folder)), "it to look")
        assert not [link for link in links(folder)[3:] if "socket" in link], links(folder)
    finally:
        keeper.done()
        user.remove()


def links(folder):
    return [os.readlink(os.path.join(folder, fd)) for fd in sorted(os.listdir(folder), key=int)]


def test_a_home_folder_that_does_not_come_is_named():
    user = User(home=False)
    keeper = Keeper(create_timeout=3)
    try:
        connection, _ = keeper.start(user.name, keeper.init(SLEEP))
        assert f"the home folder of user {user.name} does not exist ({user.home})" in \
            refusal(connection)
        assert keeper.numbers() == []
    finally:
        keeper.done()
        user.remove()


@pytest.mark.skipif(not os.path.exists("/etc/fstab"), reason="needs a place for its own")
def test_a_home_folder_that_should_be_mounted_and_is_not_is_named(tmp_path):
    user = User("-d", "/mnt/homes/of/her", home=False)
    fstab = tmp_path / "fstab"
    fstab.write_text("server:/homes /mnt/homes nfs defaults 0 0\n")
    keeper = Keeper(create_timeout=3, prefix=("unshare", "--mount", "sh", "-ec",
                                              f'mount --bind {fstab} /etc/fstab; exec "$0" "$@"'))
    try:
        connection, _ = keeper.start(user.name, keeper.init(SLEEP))
        assert failure(connection) == (
            f"the home folder of user {user.name} is not mounted (/mnt/homes/of/her): "
            "/mnt/homes of fstab is not mounted", "SYSTEM")
    finally:
        keeper.done()
        user.remove()


def test_a_passwordless_account_is_not_locked_and_an_empty_shell_is_sh(keeper):
    user = User()
    try:
        run("usermod", "-s", "", user.name)
        connection, _ = keeper.start(user.name, keeper.init(SLEEP))
        ready(connection)
        end(connection)
    finally:
        user.remove()


def make_files(folder, name_prefix=""):
    """Files of every kind that is refused, and what the refusal says."""
    outside = os.path.join(os.path.dirname(folder), "outside.sh")

    def make(name, mode=0o755, uid=0, gid=0, text=SLEEP):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chown(path, uid, gid)
        os.chmod(path, mode)

    make("../outside.sh")
    make("plain.sh", 0o644)
    make("rootonly.sh", 0o700)
    make("worldwritable.sh", 0o757)
    make("groupwritable.sh", 0o775, gid=1)
    make("notroots.sh", uid=1)
    make("noformat.sh", text="exit 0\n")
    make("nointerpreter.sh", text="#!/no/such/interpreter\n")
    make("open/inside.sh")
    os.chmod(os.path.join(folder, "open"), 0o777)
    make("closed/inside.sh")
    os.chmod(os.path.join(folder, "closed"), 0o700)
    os.mkdir(os.path.join(folder, "folder"))
    os.mkfifo(os.path.join(folder, "fifo"), 0o755)
    os.symlink(outside, os.path.join(folder, "link-out-absolute"))
    os.symlink("../outside.sh", os.path.join(folder, "link-out"))
    os.symlink("nowhere", os.path.join(folder, "link-dangling"))
    os.symlink("link-loop", os.path.join(folder, "link-loop"))


FILE_REFUSALS = [
    ("", "the name is empty"),
    ("absent.sh", "does not exist"),
    ("plain.sh/x", "does not exist"),
    ("/bin/true", "is outside"),
    ("../outside.sh", "is outside"),
    ("folder/../../outside.sh", "is outside"),
    ("link-out-absolute", "is outside"),
    ("link-out", "is outside"),
    ("link-dangling", "does not exist"),
    ("link-loop", "symbolic links"),
    ("plain.sh", "is not executable by the session's owner"),
    ("rootonly.sh", "is not executable by the session's owner"),
    ("worldwritable.sh", "is writable by others (mode 0757)"),
    ("groupwritable.sh", "is writable by others (mode 0775)"),
    ("notroots.sh", "belongs to uid 1"),
    ("open/inside.sh", "lies in a folder that is writable by others"),
    ("closed/inside.sh", "lies where the owner may not go"),
    ("folder", "is not a regular file"),
    ("fifo", "is not a regular file"),
    ("x" * 300, "has a name that is too long"),
    ("noformat.sh", "neither a program nor a script"),
    ("nointerpreter.sh", "its interpreter does not exist"),
    ("$(reboot)\n\u202e", "does not exist"),
]


@pytest.mark.parametrize("kind", ["init", "autorun"])
def test_files_that_are_not_executed(keeper, alice, kind):
    make_files(keeper.init_folder if kind == "init" else keeper.autorun_folder)
    good = keeper.init(SLEEP, "good.sh")
    for name, reason in FILE_REFUSALS:
        if kind == "init":
            connection, session_id = keeper.start(alice.name, name)
        else:
            connection, session_id = keeper.start(alice.name, good, name)
        said = refusal(connection)
        assert reason in said, (name, said)
        assert said.startswith((kind + " file", "cannot run ")), (name, said)
        assert_nothing_left(keeper, alice, session_id)


def test_links_that_stay_inside_are_followed(keeper, alice):
    keeper.init('#!/bin/sh\necho "I am $0"\nexec sleep 100000\n', "real/init.sh")
    os.symlink("real/init.sh", os.path.join(keeper.init_folder, "link"))
    connection, session_id = keeper.start(alice.name, "link")
    ready(connection)
    text = f"I am {keeper.init_folder}/real/init.sh".encode()
    wait_for(lambda: text in keeper.log_of(session_id), "the init file's path")
    end(connection)


# --- programs that end, and programs that do not -------------------------------------------------


@pytest.mark.parametrize("text, reason", [
    ("#!/bin/sh\nexit 0\n", "init file 'init.sh' ended: exit status 0"),
    ("#!/bin/sh\nexit 7\n", "init file 'init.sh' ended: exit status 7"),
    ("#!/bin/sh\nkill -9 $$\n", "init file 'init.sh' was killed by signal 9"),
])
def test_the_session_ends_with_its_init_file(keeper, alice, text, reason):
    connection, session_id = keeper.start(alice.name, keeper.init(text))
    ready(connection)
    assert connection.until("ended")["REASON"] == reason
    assert_nothing_left(keeper, alice, session_id)


def test_an_autorun_file_keeps_the_session_after_its_init_file(keeper, alice):
    connection, session_id = keeper.start(
        alice.name, keeper.init("#!/bin/sh\nexit 3\n"),
        keeper.autorun('#!/bin/sh\necho here\nread x < "$HOME/fifo"\n'))
    path = os.path.join(alice.home, "fifo")
    os.mkfifo(path, 0o666)
    os.chmod(path, 0o666)
    ready(connection)
    with open(path, "w", encoding="utf-8"):  # opens when the autorun file reads
        assert xvnc_of(session_id)
    assert connection.until("ended")["REASON"] == "init file 'init.sh' ended: exit status 3"
    os.unlink(path)
    assert_nothing_left(keeper, alice, session_id)


def test_programs_that_ignore_term_are_killed_after_the_grace(make_keeper, alice):
    k = make_keeper(delete_grace=1)
    connection, session_id = k.start(
        alice.name, k.init("#!/bin/sh\ntrap '' TERM HUP INT\necho on\nwhile :; do sleep 1000; done\n"))
    ready(connection)
    wait_for(lambda: b"init: on" in k.log_of(session_id), "the trap")
    end(connection)
    assert_nothing_left(k, alice, session_id)


def test_programs_may_end_in_their_own_way(keeper, alice):
    connection, session_id = keeper.start(
        alice.name, keeper.init("#!/bin/sh\ntrap 'echo saved; exit 0' TERM\necho on\n"
                                "while :; do sleep 1000 & wait; done\n"))
    ready(connection)
    wait_for(lambda: b"init: on" in keeper.log_of(session_id), "the trap")
    end(connection)
    assert b"init: saved" in keeper.log_of(session_id)


def test_daemons_left_by_programs_belong_to_the_session(keeper, alice):
    connection, session_id = keeper.start(
        alice.name, keeper.init("#!/bin/sh\n(setsid sh -c 'trap \"\" TERM; env -i sleep 100001; sleep "
                                "100002' &) &\nexit 0\n"))
    ready(connection)
    wait_for(lambda: any(name_of(p) == "sleep" for p in alice.processes()), "the daemon")
    assert end(connection) == "stopped on request"
    assert_nothing_left(keeper, alice, session_id)


def outsider(user, session_id, shell="sleep 100003"):
    """A process of the user with the session's id, and nothing else in common with it."""
    process = subprocess.Popen(
        ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups", "env",
         f"DCV_SESSION_ID={session_id}", "sh", "-c", "trap '' TERM; echo on; " + shell],
        stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"on\n"
    return process


def test_processes_outside_of_the_cgroup_are_known_by_their_environment(make_keeper, alice, bob):
    k = make_keeper(delete_grace=0)
    connection, session_id = k.start(alice.name, k.init(SLEEP))
    ready(connection)
    ours = outsider(alice, session_id)
    other_session, other_user = outsider(alice, session_id + "x"), outsider(bob, session_id)
    end(connection)
    assert ours.wait(10) == -signal.SIGKILL
    assert other_session.poll() is None and other_user.poll() is None
    for process in (ours, other_session, other_user):
        process.kill()
        process.wait()
        process.stdout.close()
    for user in (alice, bob):
        for pid in user.processes():
            os.kill(pid, signal.SIGKILL)


def test_a_process_moved_to_another_cgroup_is_found(make_keeper, alice):
    k = make_keeper(delete_grace=0)
    connection, session_id = k.start(
        alice.name, k.init("#!/bin/sh\n(setsid sh -c 'trap \"\" TERM; sleep 100004' &) &\nexec sleep "
                           "100000\n"))
    ready(connection)
    mount = state_of(k)["CGROUP"].rsplit("/", 1)[0]
    wait_for(lambda: sum(name_of(p) == "sleep" for p in alice.processes()) == 2, "the daemon")
    for pid in alice.processes():
        if name_of(pid) != "Xvnc":
            with open(mount + "/cgroup.procs", "w", encoding="utf-8") as file:
                file.write(str(pid))
    end(connection)
    assert_nothing_left(k, alice, session_id)


def test_a_storm_of_forks_is_ended(make_keeper, alice):
    k = make_keeper(delete_grace=1)
    connection, session_id = k.start(
        alice.name, k.init("#!/bin/sh\ntrap '' TERM\nfor i in 1 2 3 4; do (while :; do (sleep 0.01 &) ; "
                           "done) & done\nwait\n"))
    ready(connection)
    end(connection)
    assert_nothing_left(k, alice, session_id)


def test_a_pipe_held_by_a_leftover_holds_nothing_back(keeper, alice):
    # the outsider inherits the log pipe and lives on
    connection, session_id = keeper.start(
        alice.name, keeper.init("#!/bin/sh\nenv -u DCV_SESSION_ID sleep 100005 &\nexec sleep 100000\n"))
    ready(connection)
    end(connection)
    assert_nothing_left(keeper, alice, session_id)


# --- the X server --------------------------------------------------------------------------------


def xserver_script(folder, text):
    path = os.path.join(folder, "xserver")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o755)
    let_everybody_reach(path)
    return path


def test_an_x_server_that_never_starts(make_keeper, alice, tmp_path):
    script = xserver_script(tmp_path, "#!/bin/sh\nexec sleep 100000\n")
    k = make_keeper(create_timeout=1, options=["--xserver", script])
    connection, session_id = k.start(alice.name, k.init(SLEEP))
    assert failure(connection) == ("X server did not start within 1 s", "TIMEOUT")
    assert_nothing_left(k, alice, session_id)


@pytest.mark.parametrize("text, reason", [
    ("#!/bin/sh\necho first\necho no screens found >&2\nexit 3\n",
     "X server ended: exit status 3: no screens found"),
    ("#!/bin/sh\necho rubbish >&3\nexec sleep 100000\n",
     "X server did not say its display number"),
    ("#!/bin/sh\nkill -11 $$\n", "X server was killed by signal 11"),
    ("exit 0\n", "neither a program nor a script"),
])
def test_an_x_server_that_fails(make_keeper, alice, tmp_path, text, reason):
    k = make_keeper(options=["--xserver", xserver_script(tmp_path, text)])
    connection, session_id = k.start(alice.name, k.init(SLEEP))
    said, code = failure(connection)
    assert reason in said and code == "SYSTEM", (said, code)
    assert_nothing_left(k, alice, session_id)


def test_no_x_server_at_all(make_keeper, alice):
    k = make_keeper(options=["--xserver", "no-such-xserver"])
    connection, _ = k.start(alice.name, k.init(SLEEP))
    assert failure(connection) == ("X server: program 'no-such-xserver' is not there", "SYSTEM")


def test_an_x_server_cannot_have_the_socket_of_another_removed(make_keeper, alice, tmp_path):
    """What it says is its number is the word of the owner."""
    path = "/tmp/.X11-unix/X54321"
    os.makedirs("/tmp/.X11-unix", mode=0o1777, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        script = xserver_script(tmp_path, "#!/bin/sh\necho 54321 >&3\nexec 3>&-\nexec sleep 100000\n")
        k = make_keeper(options=["--xserver", script])
        connection, _ = k.start(alice.name, k.init(SLEEP))
        ready(connection)
        end(connection)
        assert os.path.exists(path)
        os.unlink(path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_session_ends_with_its_x_server(keeper, alice, number):
    connection, session_id = keeper.start(alice.name, keeper.init(SLEEP))
    ready(connection)
    os.kill(xvnc_of(session_id), number)
    reason = connection.until("ended")["REASON"]
    assert reason.startswith("X server was killed by signal 9" if number == signal.SIGKILL
                             else "X server ended: exit status 0"), reason
    assert_nothing_left(keeper, alice, session_id)


# --- stop at any moment --------------------------------------------------------------------------


def test_stop_during_start(keeper, alice):
    """At many moments of a start, which takes some 100 ms."""
    init = keeper.init(SLEEP)
    for i in range(15):
        connection, session_id = keeper.start(alice.name, init)
        threading.Event().wait(i * 0.008)  # the moment is the test
        connection.stop("changed my mind")
        event = connection.until("ended", "failed")
        assert (event["EVENT"], event["REASON"]) == ("ended", "changed my mind")
        assert_nothing_left(keeper, alice, session_id)


def test_stop_while_another_starts_an_x_server(make_keeper, alice, tmp_path):
    k = make_keeper(options=["--xserver", xserver_script(tmp_path, "#!/bin/sh\nexec sleep 100000\n")])
    init = k.init(SLEEP)
    first, first_id = k.start(alice.name, init)
    first.until("state")
    wait_for(lambda: of_session(first_id), "the slow X server")
    second, second_id = k.start(alice.name, init)
    second.until("state")
    assert k.control(2).receive()["STATE"] == "starting"
    assert end(second) == "stopped on request"
    first.stop()
    first.until("ended")
    assert_nothing_left(k, alice, first_id, second_id)


def test_repeated_stops_change_nothing(keeper, alice):
    connection, _ = keeper.start(alice.name, keeper.init(SLEEP))
    ready(connection)
    for reason in ("first", "second", "third"):
        connection.stop(reason)
    assert connection.until("ended")["REASON"] == "first"


# --- several sessions ----------------------------------------------------------------------------


def test_of_two_sessions_of_one_owner_one_is_deleted(keeper, alice):
    init = keeper.init("#!/bin/sh\n(setsid sleep 100006 &) &\nexec sleep 100000\n")
    first, first_id = keeper.start(alice.name, init)
    ready(first)
    second, second_id = keeper.start(alice.name, init)
    event = ready(second)
    wait_for(lambda: names(second_id) == ["Xvnc", "sleep", "sleep"], "init file and daemon")
    before = sorted(of_session(second_id))
    end(first)
    assert of_session(first_id) == []
    assert sorted(of_session(second_id)) == before
    assert x_answers(event["DISPLAY"], event["XAUTHORITY"], alice)
    end(second)
    assert_nothing_left(keeper, alice, first_id, second_id)


def test_an_order_whose_giver_has_gone_is_not_carried_out(keeper, alice):
    """Not even if it waited long: here for the lock under which numbers are given."""
    init = keeper.init(SLEEP)
    connection, session_id = keeper.start(alice.name, init)
    ready(connection)
    with open(os.path.join(keeper.run_dir, "claim.lock"), "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        gone, gone_id = keeper.start(alice.name, init)
        kept, kept_id = keeper.start(alice.name, init)
        gone.close()
        fcntl.flock(lock, fcntl.LOCK_UN)
    ready(kept)
    keeper.wait_for_line(f"session {gone_id} failed: who ordered the session has gone".encode())
    assert of_session(gone_id) == []
    end(kept)
    end(connection)
    assert_nothing_left(keeper, alice, session_id, gone_id, kept_id)


def test_a_session_id_is_taken_once(keeper, alice, bob):
    init = keeper.init(SLEEP)
    session_id = new_id()
    connections = [keeper.start(user.name, init, session_id=session_id)[0]
                   for user in (alice, bob, alice, bob)]
    events = [connection.until("ready", "failed") for connection in connections]
    assert sorted(e["EVENT"] for e in events) == ["failed", "failed", "failed", "ready"]
    for connection, event in zip(connections, events):
        if event["EVENT"] == "ready":
            end(connection)
        else:
            assert event["REASON"] == f"session {session_id} exists already"


def test_sessions_come_and_go_beside_others(keeper, alice, bob):
    """Workers creating and deleting do not disturb each other nor a bystander."""
    init = keeper.init("#!/bin/sh\n(setsid sleep 100007 &) &\nexec sleep 100000\n")
    bystander, bystander_id = keeper.start(bob.name, init)
    event = ready(bystander)
    wait_for(lambda: names(bystander_id) == ["Xvnc", "sleep", "sleep"], "init file and daemon")
    before = sorted(of_session(bystander_id))
    ids, failures = [], []
    fds = len(os.listdir(f"/proc/{keeper.process.pid}/fd"))

    def work():
        for _ in range(CYCLES):
            try:
                connection, session_id = keeper.start(alice.name, init)
                ids.append(session_id)
                ready(connection)
                end(connection)
                assert of_session(session_id) == []
                connection.close()
            except BaseException as error:  # pylint: disable=broad-except
                failures.append(repr(error))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert len(ids) == 4 * CYCLES
    assert sorted(of_session(bystander_id)) == before
    assert x_answers(event["DISPLAY"], event["XAUTHORITY"], bob)
    assert alice.processes() == [] and x_sockets(alice.uid) == []
    assert keeper.numbers() == ["1"]
    wait_for(lambda: len(os.listdir(f"/proc/{keeper.process.pid}/fd")) == fds, "closed descriptors")
    end(bystander)
    assert_nothing_left(keeper, bob, bystander_id)


# --- a keeper that is killed ---------------------------------------------------------------------


@pytest.mark.parametrize("is_ready", [True, False])
def test_what_a_killed_keeper_left_is_cleaned(keeper, alice, is_ready):
    init = keeper.init("#!/bin/sh\n(setsid sh -c 'trap \"\" TERM; sleep 100008' &) &\nexec sleep 100000\n")
    connection, session_id = keeper.start(alice.name, init)
    connection.until("ready" if is_ready else "state")
    if is_ready:
        refused = keeper.connect()
        refused.send(("OPERATION", "clean"), ("NUMBER", "1"))
        assert "lives" in failure(refused)[0]
    else:
        wait_for(lambda: of_session(session_id), "the X server")
    os.kill(int(state_of(keeper)["PID"]), signal.SIGKILL)
    with pytest.raises((Gone, ConnectionResetError)):
        connection.until("ended")
    # an X server that was still starting may have died of its broken pipe already
    assert of_session(session_id) or not is_ready
    again, _ = keeper.start(alice.name, init, session_id=session_id)
    reason, code = failure(again)
    assert "clean number 1 first" in reason and code == "CONFLICT"
    for _ in range(2):  # the second time there is nothing to do
        cleaner = keeper.connect()
        cleaner.send(("OPERATION", "clean"), ("NUMBER", "1"))
        assert cleaner.until("cleaned", "failed") == {"EVENT": "cleaned", "NUMBER": "1"}
        assert_nothing_left(keeper, alice, session_id)


def test_cleaning_leaves_the_display_of_a_successor_alone(keeper, alice):
    init = keeper.init(SLEEP)
    connection, session_id = keeper.start(alice.name, init)
    display = ready(connection)["DISPLAY"]
    os.kill(int(state_of(keeper)["PID"]), signal.SIGKILL)
    os.kill(xvnc_of(session_id), signal.SIGKILL)
    other, other_id = keeper.start(alice.name, init)
    event = ready(other)
    assert event["DISPLAY"] == display  # the dead server's number was free
    cleaner = keeper.connect()
    cleaner.send(("OPERATION", "clean"), ("NUMBER", "1"))
    cleaner.until("cleaned")
    assert of_session(session_id) == []
    assert x_answers(display, event["XAUTHORITY"], alice)
    assert len(x_sockets(alice.uid)) == 1
    end(other)
    assert_nothing_left(keeper, alice, other_id)


def test_an_owners_folder_is_removed_whatever_is_in_it(keeper, alice):
    connection, session_id = keeper.start(
        alice.name, keeper.init('#!/bin/sh\ncd "${XAUTHORITY%/*}"\nln -s /etc link\nmkdir -p deny/x\n'
                                "touch deny/file\nchmod 000 deny\nfor i in $(seq 400); do mkdir d; cd d; "
                                "touch f; done\necho done\nexec sleep 100000\n"))
    ready(connection)
    wait_for(lambda: b"init: done" in keeper.log_of(session_id), "the deep folders")
    end(connection)
    assert os.path.exists("/etc/passwd")
    assert_nothing_left(keeper, alice, session_id)


def test_what_is_mounted_in_an_owners_folder_is_not_entered(keeper, alice):
    connection, session_id = keeper.start(alice.name, keeper.init(SLEEP))
    ready(connection)
    inner = os.path.join(keeper.run_dir, "1", "owner", "a", "b")
    os.makedirs(inner)
    run("mount", "-t", "tmpfs", "tmpfs", inner)
    run("mount", "-t", "tmpfs", "tmpfs", os.path.join(keeper.run_dir, "1", "owner"))
    end(connection)
    assert_nothing_left(keeper, alice, session_id)


def test_where_there_are_no_cgroups_all_is_found_all_the_same(make_keeper, alice):
    k = make_keeper(delete_grace=0, prefix=[
        "unshare", "-m", "sh", "-c", 'umount -R -l /sys/fs/cgroup; exec "$@"', "sh"])
    connection, session_id = k.start(
        alice.name, k.init("#!/bin/sh\n(setsid sh -c 'trap \"\" TERM; env -i sleep 100011 & sleep "
                           "100010' &) &\necho on\nexec sleep 100000\n"))
    ready(connection)
    assert "CGROUP" not in state_of(k)
    wait_for(lambda: sum(name_of(p) == "sleep" for p in alice.processes()) == 3, "the daemons")
    end(connection)
    assert_nothing_left(k, alice, session_id)


# --- PAM -----------------------------------------------------------------------------------------


def pam_service(folder, text):
    path = os.path.join(folder, "pam")
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "dcv-session-keeper"), "w", encoding="utf-8") as file:
        file.write(text)
    return path


@pytest.mark.parametrize("stack", ["account", "session"])
def test_a_pam_module_that_hangs_is_given_up(make_keeper, alice, tmp_path, stack):
    others = "account" if stack == "session" else "session"
    folder = pam_service(tmp_path, f"auth required pam_permit.so\n{others} required pam_permit.so\n"
                                   f"{stack} required pam_exec.so /bin/sleep 100012\n")
    k = make_keeper(create_timeout=1, pam_dir=folder)
    connection, session_id = k.start(alice.name, k.init(SLEEP))
    assert failure(connection) == ("name services or PAM modules did not answer in time", "TIMEOUT")
    assert k.numbers() == [] and of_session(session_id) == []
    # it has been killed, and nobody is left to wait for its end but us
    wait_for(lambda: not [pid for pid in pids() if b"100012" in cmdline(pid)], "the module's end")


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


@pytest.mark.parametrize("auth, account, session, reason, expected", [
    ("permit", "deny", "permit", "was refused by PAM: the account check", "DENIED"),
    ("permit", "permit", "deny", "PAM session", "SYSTEM"),
    ("deny", "permit", "permit", "PAM credentials", "SYSTEM"),
    ("permit", "no_such_module", "permit", "was refused by PAM: the account check", "SYSTEM"),
])
def test_pam_may_refuse(make_keeper, alice, tmp_path, auth, account, session, reason, expected):
    k = make_keeper(pam_dir=pam_service(
        tmp_path, f"auth required pam_{auth}.so\naccount required pam_{account}.so\n"
                  f"session required pam_{session}.so\n"))
    connection, _ = k.start(alice.name, k.init(SLEEP))
    said, code = failure(connection)
    assert reason in said and code == expected, (said, code)
    assert k.numbers() == []


def test_the_pam_session_is_closed_and_what_modules_leave_running_does_not_keep_it(
        make_keeper, alice, tmp_path):
    script = os.path.join(tmp_path, "hook")
    with open(script, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\necho "$PAM_TYPE $PAM_USER" >> {tmp_path}/seen\n'
                   '[ "$PAM_TYPE" = open_session ] && (setsid sleep 100013 > /dev/null 2>&1 &)\n'
                   "exit 0\n")
    os.chmod(script, 0o755)
    k = make_keeper(pam_dir=pam_service(
        tmp_path, "auth required pam_permit.so\naccount required pam_permit.so\n"
                  f"session required pam_exec.so {script}\n"))
    connection, session_id = k.start(alice.name, k.init("#!/bin/sh\nexit 4\n"))
    ready(connection)
    assert connection.until("ended")["REASON"] == "init file 'init.sh' ended: exit status 4"
    with open(os.path.join(tmp_path, "seen"), encoding="utf-8") as file:
        assert file.read() == f"open_session {alice.name}\nclose_session {alice.name}\n"
    assert not [pid for pid in pids() if b"100013" in cmdline(pid)]
    assert_nothing_left(k, alice, session_id)


# --- output --------------------------------------------------------------------------------------


def test_output_is_bounded_and_harmless(keeper, alice):
    connection, session_id = keeper.start(
        alice.name, keeper.init("#!/bin/sh\nprintf 'bell\\007 escape\\033[2J\\n'\n"
                                "yes 0123456789 | head -c 30000000\necho last\nexec sleep 100000\n"),
        keeper.autorun("#!/bin/sh\necho fine\nexec sleep 100000\n"))
    ready(connection)
    wait_for(lambda: b"autorun: fine" in keeper.log_of(session_id), "the autorun file's line")
    wait_for(lambda: b"too much output" in keeper.log_of(session_id), "the end of the log")
    end(connection)
    log = keeper.log_of(session_id)
    assert b"init: bell\\x07 escape\\x1b[2J\n" in log
    assert len(log) < 1.1 * 1024 * 1024
    status = os.stat(os.path.join(keeper.log_dir, session_id + ".log"))
    assert status.st_mode & 0o777 == 0o640


def test_old_logs_are_removed_but_not_those_of_living_sessions(keeper, alice):
    init = keeper.init(SLEEP)
    living, living_id = keeper.start(alice.name, init)
    ready(living)
    os.utime(os.path.join(keeper.log_dir, living_id + ".log"), (1, 1))
    for i in range(110):
        path = os.path.join(keeper.log_dir, f"old{i}.log")
        with open(path, "w", encoding="utf-8"):
            os.utime(path, (1000 + i, 1000 + i))
    connection, session_id = keeper.start(alice.name, init)
    ready(connection)
    names = os.listdir(keeper.log_dir)
    assert len(names) == 100 and "old109.log" in names and "old0.log" not in names
    assert {living_id + ".log", session_id + ".log"} <= set(names)
    end(connection)
    end(living)


def test_a_full_disk_stops_nothing(make_keeper, alice):
    k = make_keeper()
    os.mkdir(k.log_dir)
    run("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", k.log_dir)
    try:
        connection, session_id = k.start(
            alice.name, k.init('#!/bin/sh\nyes full | head -c 200000\necho on > "$HOME/on"\n'
                               "exec sleep 100000\n"))
        ready(connection)
        wait_for(lambda: os.path.exists(alice.home + "/on"), "the program to go on")
        end(connection)
        assert_nothing_left(k, alice, session_id)
    finally:
        run("umount", k.log_dir)


# --- capture -------------------------------------------------------------------------------------


def capture_program(folder):
    path = os.path.join(folder, "capture")
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/usr/bin/python3\nimport os, socket, sys\n"
                   "s = socket.socket(fileno=int(sys.argv[2]))\n"
                   "s.send(f'{sys.argv[1]} {os.getuid()} {os.environ[\"DISPLAY\"]}'.encode())\n"
                   "s.recv(1)\n")
    os.chmod(path, 0o755)
    return path


def test_a_capture_program_is_started_as_the_owner(make_keeper, alice):
    k = make_keeper(options=["--screenshot-program", "/tmp/no-such-capture"])
    connection, session_id = k.start(alice.name, k.init(SLEEP))
    connection.send(("OPERATION", "capture"), ("TAG", "early"))
    event = connection.until("capture")
    assert event["TAG"] == "early" and event["REASON"] == "the session is not ready"
    ready(connection)
    connection.send(("OPERATION", "capture"), ("TAG", "7"))
    event = connection.until("capture")
    assert event["TAG"] == "7" and "fd" not in event and "No such file" in event["REASON"]
    end(connection)
    program = capture_program(k.folder)
    k = make_keeper(options=["--screenshot-program", program])
    connection, session_id = k.start(alice.name, k.init(SLEEP))
    display = ready(connection)["DISPLAY"]
    for tag in ("a", "b"):
        connection.send(("OPERATION", "capture"), ("TAG", tag))
        event = connection.until("capture")
        assert event["TAG"] == tag and "REASON" not in event
        with socket.socket(fileno=event["fd"]) as sock:
            sock.settimeout(30)
            assert sock.recv(1000).decode() == f"--serve {alice.uid} {display}"
    end(connection)
    assert_nothing_left(k, alice, session_id)


@pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "dcv-screenshot")),
                    reason="needs dcv-screenshot")
def test_the_capture_program_of_the_product_sees_the_screen(keeper, alice):
    connection, session_id = keeper.start(alice.name, keeper.init(SLEEP))
    ready(connection)
    connection.send(("OPERATION", "capture"), ("TAG", "x"))
    event = connection.until("capture")
    with Connection.given(event["fd"]) as capture:
        capture.send(("TAG", "1"), ("MAX_WIDTH", "160"))
        image = capture.receive()
        assert image["TAG"] == "1" and image["COUNT"] == "1", image
        assert os.fstat(image["fd"]).st_uid == alice.uid
        assert os.pread(image["fd"], 8, 0) == b"\x89PNG\r\n\x1a\n"
        os.close(image["fd"])
    end(connection)
    assert_nothing_left(keeper, alice, session_id)


def test_a_capture_program_does_not_keep_a_session(make_keeper, alice):
    k = make_keeper()
    program = capture_program(k.folder)
    k = make_keeper(options=["--screenshot-program", program])
    connection, session_id = k.start(
        alice.name, k.init('#!/bin/sh\nmkfifo -m 666 "$HOME/go"\nread x < "$HOME/go"\nexit 5\n'))
    ready(connection)
    connection.send(("OPERATION", "capture"), ("TAG", "x"))
    event = connection.until("capture")
    wait_for(lambda: os.path.exists(alice.home + "/go"), "the pipe, which must not be made here")
    with open(alice.home + "/go", "w", encoding="utf-8"):
        pass
    assert connection.until("ended")["REASON"] == "init file 'init.sh' ended: exit status 5"
    os.close(event["fd"])
    os.unlink(alice.home + "/go")
    assert_nothing_left(k, alice, session_id)


# --- peers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("packet, reason", [
    (b"garbage", "NUL"),
    (b"\0", ""),
    (b"OPERATION=start\0", "SESSION_ID is missing"),
    (b"OPERATION=fly\0", "OPERATION"),
    (b"SESSION_ID=x\0", "OPERATION"),
    (pack([("OPERATION", "stop")]), "the first message must be start, clean or check"),
    (pack([("OPERATION", "clean"), ("NUMBER", "../1")]), "NUMBER"),
    (pack([("OPERATION", "clean"), ("NUMBER", "0")]), "NUMBER"),
    (pack([("OPERATION", "start"), ("SESSION_ID", "../x"), ("OWNER", "a")]), "SESSION_ID"),
    (pack([("OPERATION", "start"), ("SESSION_ID", "-x"), ("OWNER", "a")]), "SESSION_ID"),
    (pack([("OPERATION", "start"), ("SESSION_ID", "x" * 129), ("OWNER", "a")]), "SESSION_ID"),
    (pack([("OPERATION", "start"), ("SESSION_ID", "x"), ("OWNER", "")]), "OWNER is empty"),
    (pack([("OPERATION", "start"), ("SESSION_ID", "x"), ("OWNER", "a"), ("OWNER", "b")]), "twice"),
    (pack([("OPERATION", "start"), ("SESSION_ID", "x"), ("OWNER", "a"), ("NEW", "1")]), "NEW"),
    (pack([("OPERATION", "start"), ("SESSION_ID", "x"), ("OWNER", "a"), ("ARGUMENT", "1")]),
     "ARGUMENT without AUTORUN_FILE"),
    (pack([("OPERATION", "start"), ("SESSION_ID", "x"), ("OWNER", "a"), ("PAD", "x" * 70000)]),
     "message of more than 65536 bytes"),
])
def test_nonsense_is_refused_with_a_reason(keeper, packet, reason):
    connection = keeper.connect()
    connection.socket.send(packet)
    assert reason in refusal(connection)


def test_nonsense_on_the_control_socket_drops_only_its_sender(keeper, alice):
    connection, _ = keeper.start(alice.name, keeper.init(SLEEP))
    ready(connection)
    for packet in (b"garbage", b"x" * 70000, pack([("OPERATION", "start"), ("SESSION_ID", "x"),
                                                   ("OWNER", "x")])):
        control = keeper.control(1)
        assert control.receive()["STATE"] == "ready"
        control.socket.send(packet)
        with pytest.raises((Gone, ConnectionResetError)):
            control.receive()
    end(connection)


# --- connect -------------------------------------------------------------------------------------


def rfb_path(keeper):
    (path,) = glob.glob(f"{keeper.run_dir}/*/*/rfb")
    return path


def connect_event(connection, tag="x"):
    connection.send(("OPERATION", "connect"), ("TAG", tag))
    event = connection.until("connect")
    assert event["TAG"] == tag
    return event


def test_a_connection_to_the_x_server_is_made_as_the_owner(keeper, alice):
    connection, session_id = keeper.start(alice.name, keeper.init(SLEEP))
    assert connect_event(connection, "early")["REASON"] == "the session is not ready"
    ready(connection)
    with socket.socket(fileno=connect_event(connection)["fd"]) as sock:
        sock.settimeout(30)
        assert sock.recv(12) == b"RFB 003.008\n"
    path = rfb_path(keeper)
    os.unlink(path)
    assert "No such file" in connect_event(connection)["REASON"]
    # whatever the owner puts there takes the owner for its peer
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.chmod(path, 0o777)
        listener.listen()
        with socket.socket(fileno=connect_event(connection)["fd"]), listener.accept()[0] as peer:
            credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            assert struct.unpack("3i", credentials)[1] == alice.uid
    end(connection)
    assert_nothing_left(keeper, alice, session_id)


def test_peers_that_say_nothing_or_never_read_hold_nothing_up(keeper, alice):
    silent = [keeper.connect() for _ in range(20)]
    connection, session_id = keeper.start(alice.name, keeper.init(SLEEP))
    ready(connection)
    deaf = [keeper.control(1) for _ in range(10)]
    chatty = deaf[0]
    try:
        for _ in range(3000):  # each is answered, and no answer is read
            chatty.send(("OPERATION", "capture"), ("TAG", "x" * 64))
    except (BrokenPipeError, ConnectionResetError):
        pass
    end(connection)
    assert_nothing_left(keeper, alice, session_id)
    assert len(silent) == 20


def test_other_users_may_not_talk_to_the_keeper(make_keeper, alice, bob):
    k = make_keeper(options=["--agent-group", alice.name])
    os.chmod(os.path.dirname(k.path), 0o755)
    os.chmod(k.path, 0o666)
    code = ("import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n"
            "s.connect(sys.argv[1])\n"
            "try:\n s.send(b'OPERATION=clean\\0NUMBER=1\\0'); r=s.recv(100)\n"
            "except OSError: r=b''\nsys.exit(3 if not r else 0)")
    rc = subprocess.run(["setpriv", f"--reuid={bob.uid}", f"--regid={bob.gid}", "--clear-groups",
                         "/usr/bin/python3", "-c", code, k.path], check=False).returncode
    assert rc == 3
    k.wait_for_line(f"connection refused (uid={bob.uid}".encode())


# --- without root --------------------------------------------------------------------------------


def test_an_ordinary_user_serves_oneself(make_keeper, alice, bob):
    prefix = ["setpriv", f"--reuid={alice.uid}", f"--regid={alice.gid}", "--clear-groups", "--"]
    k = make_keeper(prefix=prefix, user=alice.name)
    init = k.init("#!/bin/sh\n(setsid sh -c 'trap \"\" TERM; sleep 100009' &) &\nid -u\nexec sleep 100000\n")
    connection, session_id = k.start(alice.name, init)
    event = ready(connection)
    assert x_answers(event["DISPLAY"], event["XAUTHORITY"], alice)
    end(connection)
    assert of_session(session_id) == [] and x_sockets(alice.uid) == [] and k.numbers() == []
    connection, _ = k.start(bob.name, init)
    assert f"this keeper runs as {alice.name} and can only serve {alice.name}" in refusal(connection)
    connection, _ = k.start("root", init)
    assert "system accounts" in refusal(connection)


# --- the command line ----------------------------------------------------------------------------


def test_options(tmp_path):
    def call(*arguments):
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    assert call("--help")[0] == 0 and "--listen" in call("--help")[1]
    assert call("--version")[1].startswith("dcv-session-keeper ")
    for bad in (["--no-such"], ["--listen"], ["stray"],
                ["--agent-user", "root", "--agent-group", "no-such-group"]):
        rc, out, err = call(*bad)
        assert (rc, out) == (2, "") and err.startswith("dcv-session-keeper: ")
