"""The idle policy: real sessions that nobody uses, with limits of seconds, on both engines."""

import json
import os
import shutil
import subprocess

import pytest

from agent_helpers import Agent
from keeper_helpers import BUILD, name_of, of_session, uid_of, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="sessions of other users need root")

# busy until a file appears in the owner's home
BUSY = "#!/bin/sh\nwhile [ ! -e \"$HOME/rest-$DCV_SESSION_ID\" ]; do :; done\nexec sleep 100000\n"
NOTICE = "#!/bin/sh\necho \"$(id -un) $DISPLAY $DCV_SESSION_ID: $*\" > \"$HOME/notice-$DCV_SESSION_ID\"\n"


@pytest.fixture(params=["x11", pytest.param("dcv", marks=pytest.mark.skipif(
    not shutil.which("Xvfb"), reason="needs Xvfb"))])
def engine(request):
    return request.param


@pytest.fixture
def make_agent():
    made = []

    def make(settings, **options):
        made.append(Agent(settings=settings, **options))
        return made[-1]

    yield make
    for agent in made:
        agent.done()


def idle(agent, session_id):
    return agent.find(session_id)["Local"]["Idle"]


def wait_for_idle(agent, session_id, condition, what):
    wait_for(lambda: condition(idle(agent, session_id)), what)
    return idle(agent, session_id)


def log(agent):
    with open(os.path.join(agent.log_folder, "agent.log"), encoding="utf-8") as file:
        return file.read()


def describe_idle(agent, *arguments):
    done = subprocess.run([os.path.join(BUILD, "dcvctl"), "--socket", agent.socket, *arguments],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_without_a_setting_no_session_is_idle(make_agent, alice, engine):
    agent = make_agent("", engine=engine)
    session_id = agent.create_ready(alice.name)
    assert idle(agent, session_id) == {"State": "OFF", "Reason": "this host ends no idle sessions"}


def test_who_is_disconnected_for_too_long_is_ended_and_the_exempt_are_not(make_agent, alice, engine):
    agent = make_agent("idle_disconnected_minutes = '1s'\nidle_warning_minutes = 0\n"
                       "idle_exempt = ['name:keep-*']\n", engine=engine)
    agent.keeper.init(BUSY, "busy.sh")
    kept = agent.create_ready(alice.name, Name="keep-me")
    ended = agent.create_ready(alice.name, Name="let-go", InitFile="busy.sh")
    reason = "idle: no client was connected for 1 s"
    assert agent.end_of(ended) == reason
    assert of_session(ended) == []
    assert f"session {ended} is DELETING (owner={alice.name}, reason={reason})" in log(agent)
    assert agent.find(kept)["State"] == "READY"
    assert idle(agent, kept) == {"State": "EXEMPT",
                                 "Reason": "agent.idle_exempt has 'name:keep-*'"}
    assert idle(agent, ended) == {"State": "NOT_READY", "Reason": "it is DELETED"}


def test_all_sessions_of_a_host_with_an_exempting_tag_stay(make_agent, alice, tmp_path):
    (tmp_path / "site.toml").write_text("purpose = 'render'\n")
    agent = make_agent(f"idle_disconnected_minutes = '1s'\ntags_folder = '{tmp_path}'\n"
                       "idle_exempt = ['tag:purpose=render']\n")
    session_id = agent.create_ready(alice.name)
    assert idle(agent, session_id) == {"State": "EXEMPT",
                                       "Reason": "agent.idle_exempt has 'tag:purpose=render'"}


def test_who_is_busy_stays_and_who_becomes_quiet_is_warned_and_ended(make_agent, alice, engine):
    # The engine of a DCV server counts all programs of the owner: that is why it is one session.
    agent = make_agent("idle_minutes = '2s'\nidle_cpu_percent = 20\n", engine=engine)
    agent.keeper.init(BUSY, "busy.sh")
    session_id = agent.create_ready(alice.name, InitFile="busy.sh")
    told = wait_for_idle(agent, session_id, lambda facts: facts.get("CpuPercent", 0) >= 20,
                         "the session's programs to be measured")
    assert told["State"] == "BUSY" and "EndTime" not in told
    assert told["Reason"] == (
        "no client is connected, but its programs use "
        f"{told['CpuPercent']} % of a processor; less than 20 % is quiet")
    subprocess.run(["touch", os.path.join(alice.home, "rest-" + session_id)], check=True)
    told = wait_for_idle(agent, session_id, lambda facts: "EndTime" in facts or
                         facts["State"] == "NOT_READY", "the session to be idle")
    assert agent.end_of(session_id) == ("idle: no client was connected and its programs used less "
                                        "than 20 % of a processor for 2 s")
    assert f"session {session_id} is idle and will be ended in 1 s (owner={alice.name}" in log(agent)


def test_the_owner_is_told_by_the_program_of_the_settings_as_the_owner(make_agent, alice):
    program = os.path.join(alice.home, "notice")
    with open(program, "w", encoding="utf-8") as file:
        file.write(NOTICE)
    os.chmod(program, 0o755)
    agent = make_agent(f"idle_disconnected_minutes = '2s'\nidle_notice_program = '{program}'\n")
    session_id = agent.create_ready(alice.name, Name="--work 'x'\n")
    path = os.path.join(alice.home, "notice-" + session_id)
    wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 0, "the notice")
    with open(path, encoding="utf-8") as file:
        who, display, rest = file.read().split(" ", 2)
    assert (who, display[0]) == (alice.name, ":")
    assert rest.startswith(f"{session_id}: Nobody has been connected to the session '--work 'x'?' on ")
    assert rest.endswith("It will be ended in 1 s, with all programs in it, unless somebody connects "
                         "to it.\n")
    assert agent.end_of(session_id) == "idle: no client was connected for 2 s"


@pytest.mark.skipif(not shutil.which("xmessage"), reason="needs xmessage")
def test_the_owner_is_told_on_the_desktop_and_that_does_not_keep_the_session(make_agent, alice):
    agent = make_agent("idle_disconnected_minutes = '10s'\nidle_warning_minutes = 1\n")
    agent.keeper.init("#!/bin/sh\nread line < \"$HOME/end\"\n", "until.sh")
    subprocess.run(["mkfifo", "-m", "666", os.path.join(alice.home, "end")], check=True)
    session_id = agent.create_ready(alice.name, InitFile="until.sh")

    def shown():
        return [pid for pid in of_session(session_id) if name_of(pid) == "xmessage"]

    wait_for(shown, "the text on the desktop")
    assert [uid_of(pid) for pid in shown()] == [alice.uid]
    assert idle(agent, session_id)["State"] == "WARNED"
    with open(os.path.join(alice.home, "end"), "w", encoding="utf-8") as file:
        file.write("\n")
    assert agent.end_of(session_id) == "init file 'until.sh' ended: exit status 0"


def test_a_program_that_cannot_tell_the_owner_does_not_save_the_session(make_agent, alice):
    agent = make_agent("idle_disconnected_minutes = '1s'\nidle_notice_program = '/nowhere/tell'\n")
    session_id = agent.create_ready(alice.name)
    agent.keeper.wait_for_line(b"the owner is not told that it is idle: agent.idle_notice_program: "
                               b"program '/nowhere/tell' is not there")
    assert agent.end_of(session_id) == "idle: no client was connected for 1 s"


def test_neither_a_new_agent_nor_another_wall_clock_begins_the_time_anew(make_agent, alice, fake_time):
    agent = make_agent("idle_disconnected_minutes = '20s'\n")
    session_id = agent.create_ready(alice.name)
    before = wait_for_idle(agent, session_id, lambda facts: facts.get("SecondsLeft", 20) <= 18,
                           "some of the time to pass")
    agent.prefix = ["env", *(f"{name}={value}" for name, value in fake_time("+7200s").items())]
    agent.kill()
    agent.start()
    after = wait_for_idle(agent, session_id, lambda facts: "SecondsLeft" in facts, "a look")
    assert 10 < after["SecondsLeft"] <= before["SecondsLeft"]
    assert idle(agent, session_id)["State"] in ("IDLE", "WARNED")
    agent.delete(session_id, alice.name)


@pytest.mark.skipif(not shutil.which("Xvfb"), reason="needs Xvfb")
def test_a_client_keeps_a_dcv_session_and_what_others_made_is_left_alone(make_agent, alice):
    agent = make_agent("idle_disconnected_minutes = '2s'\nidle_warning_minutes = 0\n", engine="dcv")
    agent.dcv.run("create-session", "--owner", alice.name, "--user", alice.name, "--init",
                  os.path.join(agent.keeper.init_folder, "init.sh"), "by-hand")
    session_id = agent.create_ready(alice.name)
    agent.stop()  # or the client might come late
    agent.dcv.run("double-connect", session_id, alice.name)
    agent.start()
    told = wait_for_idle(agent, session_id, lambda facts: facts["State"] == "IN_USE", "the client")
    assert told["Reason"] == "clients are connected: 1"
    # nobody is connected to this one, for as long as the other would have been ended
    other = agent.create_ready(alice.name)
    assert agent.end_of(other) == "idle: no client was connected for 2 s"
    assert agent.find(session_id)["State"] == "READY"
    agent.wait_for("by-hand", "READY")
    assert idle(agent, "by-hand") == {
        "State": "EXEMPT", "Reason": "it was made by other means than the session manager"}
    agent.dcv.run("double-disconnect", session_id)
    assert agent.end_of(session_id) == "idle: no client was connected for 2 s"


def test_dcvctl_shows_what_will_be_ended_and_why(make_agent, alice):
    agent = make_agent("idle_disconnected_minutes = 90\n"
                       "idle_exempt = ['owner:nobody-else']\n")
    session_id = agent.create_ready(alice.name, Name="work")
    wait_for_idle(agent, session_id, lambda facts: facts["State"] == "IDLE", "the first look")
    status, text, problem = describe_idle(agent, "describe-idle")
    assert (status, problem) == (0, "")
    head, row, reason = text.splitlines()
    assert head.split() == ["ID", "NAME", "OWNER", "IDLE", "ENDS", "(UTC)", "IN"]
    assert row.split()[:4] == [session_id, "work", alice.name, "IDLE"]
    assert row.endswith(("1 h 29 min", "1 h 30 min"))
    assert reason.strip().startswith("reason: ")
    assert reason.endswith("so far; it is ended when no client was connected for 90 min")
    status, text, _ = describe_idle(agent, "--output", "json", "describe-idle", session_id)
    told = json.loads(text)["Sessions"][0]["Local"]["Idle"]
    assert (status, told["State"], 5300 < told["SecondsLeft"] <= 5400) == (0, "IDLE", True)
    status, text, problem = describe_idle(agent, "describe-idle", "--owner", "somebody")
    assert (status, text.splitlines()[1:], problem) == (0, [], "")
    agent.delete(session_id, alice.name)
    agent.wait_for(session_id, "DELETED")
    status, text, problem = describe_idle(agent, "describe-idle")
    assert (status, text.splitlines()[1:], problem) == (0, [], "")


def test_no_broker_is_asked_for_idle_sessions(tmp_path):
    done = subprocess.run(
        [os.path.join(BUILD, "dcvctl"), "--broker-url", "https://127.0.0.1:1", "describe-idle"],
        capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2, "dcvctl: describe-idle asks the agent of this host, and no broker\n")


def test_an_exemption_that_means_nothing_is_refused(make_agent):
    agent = make_agent("idle_exempt = ['tag:a', 'keep']\n", start=False)
    status, text = agent.start_in_vain()
    assert status != 0
    assert "agent.idle_exempt: expected 'tag:NAME'" in text and "got 'keep'" in text
