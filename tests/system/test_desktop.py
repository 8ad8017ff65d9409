"""Starting a desktop for a person: what counts as started, what kills it, and where that is told."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

from agent_helpers import SLEEP, Agent
from keeper_helpers import PAM_DIR, of_session, run, wait_for, x_sockets

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="sessions of other users need root"),
    pytest.mark.skipif(not shutil.which("Xvnc"), reason="needs Xvnc"),
]

DCVCTL = pathlib.Path(os.environ.get("DCV_BUILD", "build")).resolve() / "dcvctl"
XSESSION = "default_session = '/etc/X11/Xsession'"
QUICK = "settle_time = 1\nstart_timeout = 2\n"
PATIENT = "settle_time = 600\nstart_timeout = 3000\n"  # nothing of it passes in a test


@pytest.fixture
def make_agent():
    made = []

    def make(*settings, **arguments):
        made.append(Agent("\n".join(settings), create_timeout=3600, **arguments))
        return made[-1]

    yield make
    for agent in made:
        agent.done()


@pytest.fixture
def home(alice):
    """home(NAME, TEXT): a file in Alice's home for the time of the test."""
    made = []

    def make(name, text, mode=0o644):
        path = pathlib.Path(alice.home) / name
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        run("chown", "-R", f"{alice.uid}:{alice.gid}", os.path.join(alice.home, name.split("/")[0]))
        made.append(os.path.join(alice.home, name.split("/")[0]))

    yield make
    for path in {*made, os.path.join(alice.home, ".xsession-errors")}:
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.unlink(path)


def failed_creation(agent, user, **fields):
    """The reason why a session never was ready; nothing of it is left."""
    session_id = agent.create(user.name, **fields)
    states = set()
    wait_for(lambda: states.add(agent.find(session_id)["State"]) or "DELETED" in states, "its end")
    assert "READY" not in states
    assert of_session(session_id) == [] and user.processes() == []
    assert set(x_sockets(user.uid)) <= agent.x_sockets_before
    wait_for(lambda: agent.keeper.numbers() == [], "the keeper's folder to go")
    return agent.find(session_id)["StateReason"]


def dcvctl(agent, *words, user=None):
    prefix = ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"] if user else []
    return subprocess.run([*prefix, DCVCTL, "--socket", agent.socket, *words], capture_output=True,
                          text=True, timeout=60, check=False)


# --- what has started ----------------------------------------------------------------------------


@pytest.mark.parametrize("text, reason", [
    ("echo one; echo two; echo no window manager >&2; printf cut; exit 3",
     "exit status 3; the last it printed: two | no window manager | cut"),
    ("exit 0", "exit status 0"),
    ("printf 'red\\033[31m\\n'; kill -9 $$", "killed by signal 9 within 6"),
    ("sleep 100000 & exit 5", "exit status 5"),
])
def test_an_init_file_that_ends_at_once_is_a_failed_creation(make_agent, alice, text, reason):
    agent = make_agent(PATIENT)
    agent.keeper.init(f"#!/bin/sh\n{text}\n")
    said = failed_creation(agent, alice)
    assert said.startswith("init file 'init.sh' ") and " within 1 s" in said, said
    assert reason.replace("within 6", "within 1 s") in said
    assert "\\x1b[31m" in said or "red" not in said


@pytest.mark.skipif(not os.path.exists("/etc/X11/Xsession"), reason="needs Debian's Xsession")
def test_a_desktop_that_ends_at_once_has_told_why_in_its_own_file(make_agent, alice, home):
    agent = make_agent(PATIENT, XSESSION)
    home(".xsession-errors", "from another time\n")
    os.utime(os.path.join(alice.home, ".xsession-errors"), (1, 1))
    home(".xsession", "#!/bin/sh\necho starting things\necho the panel is broken >&2\nexit 4\n", 0o755)
    said = failed_creation(agent, alice, InitFile=None)
    assert said.startswith("desktop ended within ") and ": exit status 4; " in said, said
    assert said.endswith("starting things | the panel is broken"), said


def test_an_init_file_that_loops_never_becomes_a_session(make_agent, alice):
    agent = make_agent(QUICK)
    agent.keeper.init("#!/bin/sh\necho round and round\nwhile :; do :; done\n")
    assert failed_creation(agent, alice) == (
        "init file 'init.sh' has not started within 2 s: it opens no display and does not rest; "
        "the last it printed: round and round")


@pytest.mark.parametrize("settings, text", [
    (PATIENT, "#!/bin/sh\nexec xlogo\n"),
    (QUICK, SLEEP),
    (QUICK, "#!/bin/sh\nwhile :; do sleep 1; done\n"),
    (QUICK, "#!/bin/sh\nsetsid sleep 100000 &\nexit 0\n"),
], ids=["opens the display", "rests", "rests now and then", "leaves it behind"])
def test_what_has_started(make_agent, alice, settings, text):
    agent = make_agent(settings)
    agent.keeper.init(text)
    session_id = agent.create_ready(alice.name)
    agent.delete(session_id, alice.name)


# --- what it starts with -------------------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/etc/X11/Xsession"), reason="needs Debian's Xsession")
def test_a_conda_and_a_broken_profile_do_not_kill_the_desktop(make_agent, alice, home, tmp_path):
    """They are in the profile, and PAM is made to read them, too."""
    conda = os.path.join(alice.home, "conda")
    for name in ("dbus-run-session", "dbus-daemon", "sh", "date"):
        home(f"conda/bin/{name}", "#!/bin/sh\nexit 99\n", 0o755)
    home("conda/lib/libc.so.6", "not a library")
    for name in (".profile", ".bash_profile", ".bashrc", ".env"):
        home(name, f"export PATH={conda}/bin\necho broken\nexit 98\n")
    home(".pam_environment", f"PATH={conda}/bin:/usr/bin:/bin\nLD_LIBRARY_PATH={conda}/lib\n"
         f"PYTHONHOME={conda}\nBASH_ENV={alice.home}/.env\nCONDA_PREFIX={conda}\nFAVOURITE=blue\n")
    home(".xsession", '#!/bin/bash\nenv > "$HOME/conda/seen"\nexec xlogo\n', 0o755)
    os.chmod(tmp_path, 0o755)
    service = pathlib.Path(PAM_DIR, "dcv-session-keeper").read_text(encoding="utf-8")
    (tmp_path / "dcv-session-keeper").write_text(service + "session required pam_env.so user_readenv=1\n")
    agent = make_agent(PATIENT, XSESSION, keeper_options=["--pam-dir", str(tmp_path)])
    session_id = agent.create_ready(alice.name, InitFile=None)
    seen = dict(line.split("=", 1) for line in
                pathlib.Path(conda, "seen").read_text(encoding="utf-8").splitlines() if "=" in line)
    assert seen["PATH"] == f"/usr/bin:/bin:{conda}/bin" and seen["FAVOURITE"] == "blue"
    assert not {"LD_LIBRARY_PATH", "PYTHONHOME", "BASH_ENV", "CONDA_PREFIX"} & seen.keys()
    assert seen["HOME"] == alice.home and seen["DCV_SESSION_ID"] == session_id
    assert os.path.isabs(seen["XDG_RUNTIME_DIR"])
    agent.delete(session_id, alice.name)


# --- what is told of it --------------------------------------------------------------------------


def test_details_tell_how_programs_have_ended(make_agent, alice):
    agent = make_agent()
    agent.keeper.autorun("#!/bin/sh\nexit 4\n")
    session_id = agent.create_ready(alice.name, AutorunFile="autorun.sh")

    def local():
        return agent.find(session_id)["Local"]

    wait_for(lambda: local()["Autorun"].get("Status") != "running", "the autorun file's end")
    expected = {"Init": {"File": "init.sh", "Status": "running"},
                "Autorun": {"File": "autorun.sh", "Status": "exit status 4"}}
    assert {name: local()[name] for name in expected} == expected
    lines = [line.split(maxsplit=2) for line in
             dcvctl(agent, "describe-sessions", "--details").stdout.splitlines()]
    assert ["Init", "file", "init.sh, running"] in lines
    assert ["Autorun", "file", "autorun.sh, exit status 4"] in lines
    assert ["State", "READY"] in lines
    as_json = json.loads(dcvctl(agent, "--output", "json", "describe-sessions", "--details").stdout)
    assert as_json["Sessions"][0]["Local"]["Autorun"] == expected["Autorun"]
    agent.restart()
    assert {name: local()[name] for name in expected} == expected
    agent.delete(session_id, alice.name)
    assert local()["Init"]["Status"] == "ended with the session"
    assert local()["Autorun"]["Status"] == "exit status 4"


def in_order(lines, *texts):
    """Every text is in a line, one after the other."""
    at = 0
    for text in texts:
        found = [i for i in range(at, len(lines)) if text in lines[i]]
        assert found, f"no '{text}' after line {at} of:\n" + "\n".join(lines)
        at = found[0]
    return True


def test_the_log_is_one_story_in_the_order_of_time(make_agent, alice, bob):
    agent = make_agent()
    agent.keeper.init("#!/bin/sh\nprintf 'I am \\033[31mhere\\302\\233 \\377\\n'\nexec sleep 100000\n")
    agent.keeper.autorun("#!/bin/sh\necho run >&2\nexit 6\n")
    session_id = agent.create_ready(alice.name, AutorunFile="autorun.sh")
    wait_for(lambda: "autorun file 'autorun.sh' ended" in dcvctl(agent, "logs", session_id).stdout,
             "the end of the autorun file")
    assert agent.try_delete(session_id, alice.name) is None
    agent.wait_for(session_id, "DELETED")
    agent.restart()
    told = dcvctl(agent, "logs", session_id, user=alice)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    times = [line.split()[0] for line in lines]
    assert times == sorted(times)
    assert in_order(lines, " api: CreateSessions by root", " keeper: ", " pam: the session is open",
                    " keeper: X server runs", " keeper: init file 'init.sh' runs",
                    " agent: the session is READY", " api: DeleteSessions by root",
                    " agent: the session is DELETING: deleted on request",
                    " pam: the session is being closed", " agent: the session is DELETED")
    assert in_order(lines, "init file 'init.sh' runs", " autorun: run",
                    "autorun file 'autorun.sh' ended: exit status 6")
    assert any(" x: " in line for line in lines)
    # nothing that a terminal would obey
    (said,) = [line for line in lines if "I am" in line]
    assert said.split(" ", 1)[1] == "init: I am \\x1b[31mhere\\u009b ?"
    as_json = json.loads(dcvctl(agent, "--output", "json", "logs", session_id).stdout)
    assert [line["Time"] for line in as_json["Lines"]] == times
    refused = dcvctl(agent, "logs", session_id, user=bob)
    assert refused.returncode == 254 and "does not exist" in refused.stderr


def test_administrators_of_sessions_do_not_read_what_programs_print(make_agent, alice, bob):
    group = "g" + bob.name
    run("groupadd", group)
    try:
        gid = int(subprocess.check_output(["getent", "group", group], text=True).split(":")[2])
        agent = make_agent(f"admin_group = '{group}'")
        session_id = agent.create_ready(alice.name)
        status, answer = agent.call_as(bob, "/getSessionLog", {"SessionId": session_id}, groups=[gid])
        assert (status, answer["error"]) == (
            403, f"only {alice.name} and root may read this session's log")
        agent.delete(session_id, alice.name)
    finally:
        run("groupdel", group)


def test_the_log_of_a_session_that_never_began_tells_why(make_agent, alice):
    agent = make_agent(keeper_options=["--xserver", "no-such-xserver"])
    session_id = agent.create(alice.name)
    reason = agent.end_of(session_id)
    assert reason == "X server: program 'no-such-xserver' is not there"
    lines = dcvctl(agent, "logs", session_id).stdout.splitlines()
    assert in_order(lines, " pam: the session is open", f" keeper: session {session_id} ending: {reason}",
                    f" agent: the session is DELETED: {reason}")
    agent.keeper.file(agent.keeper.log_dir, session_id + ".log", "x" * 100 + "\n2026 half")
    assert len(dcvctl(agent, "logs", session_id).stdout.splitlines()) == len(
        [line for line in lines if " api: " in line or " agent: " in line])
