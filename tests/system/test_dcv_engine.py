"""The agent with a DCV server: what it orders, and what it makes of a server that misbehaves.

That sessions come and go as on our own engine is in test_agent.py, whose tests run with both.
"""

import base64
import json
import os
import shutil

import pytest

from agent_helpers import SLEEP, Agent, command_line
from keeper_helpers import of_session, pids, uid_of, wait_for

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="sessions of other users need root"),
    pytest.mark.skipif(not shutil.which("Xvfb"), reason="needs Xvfb"),
]

HANG_S = f"9000.{os.getpid()}"  # seconds that nothing else sleeps
HANG = f"hang={HANG_S}"


@pytest.fixture
def make_agent():
    made = []

    def make(settings="", start=True, **dcv):
        made.append(Agent(engine="dcv", settings=settings, start=start, dcv=dcv))
        return made[-1]

    yield make
    for agent in made:
        agent.dcv.fault()
        agent.done()
    assert hanging() == []


def hanging():
    wanted = b"sleep\0" + HANG_S.encode() + b"\0"
    return [pid for pid in pids() if command_line(pid) == wanted]


def server(agent):
    return agent.call_well("/describeServers")["Servers"][0]


def becomes_unhealthy(agent):
    wait_for(lambda: server(agent).get("UnavailabilityReason") == "UNHEALTHY_DCV_SERVER",
             "the server to be called unhealthy")


def becomes_available(agent):
    wait_for(lambda: server(agent)["Availability"] == "AVAILABLE", "the server to be available")


def update(agent, session_id, owner, text):
    answer = agent.call_well("/sessionPermissions", [
        {"SessionId": session_id, "Owner": owner,
         "PermissionsFile": base64.b64encode(text.encode()).decode()}], "PUT")
    return answer["UnsuccessfulList"][0]["FailureReason"] if answer["UnsuccessfulList"] else None


def options_of(call):
    return dict(word[2:].split("=", 1) for word in call if word.startswith("--") and "=" in word)


# --- what is ordered -----------------------------------------------------------------------------


def test_a_request_becomes_arguments_and_files(make_agent, alice):
    agent = make_agent()
    agent.keeper.autorun('#!/bin/sh\nprintf "<%s>\\n" "$@"\nexec sleep 100001\n')
    permissions = "[permissions]\n%owner% allow builtin\n"
    session_id = agent.create_ready(
        alice.name, Name="--name", MaxConcurrentClients=3, StorageRoot="-s", DcvGlEnabled=True,
        PermissionsFile=base64.b64encode(permissions.encode()).decode(),
        AutorunFile="autorun.sh", AutorunFileArguments=["$(reboot)", "'; reboot '"])
    call, = agent.dcv.calls("create-session")
    options = options_of(call)
    folder = os.path.join(agent.folder, "handover", session_id)
    assert call[-1] == session_id
    assert options == {
        "type": "virtual", "name": "--name", "owner": alice.name, "user": alice.name,
        "storage-root": "-s", "max-concurrent-clients": "3", "gl": "on",
        "permissions-file": f"{folder}/permissions", "init": f"{folder}/init"}
    assert agent.dcv.sessions()[session_id]["permissions"] == permissions
    with open(options["init"], encoding="utf-8") as file:
        assert "reboot" not in file.read() and os.stat(options["init"]).st_uid == 0
    wait_for(lambda: "<$(reboot)>\n<'; reboot '>\n" in agent.dcv.output(), "the arguments")
    assert {uid_of(pid) for pid in of_session(session_id)} == {alice.uid}
    agent.delete(session_id, alice.name)
    assert not os.path.exists(folder)


@pytest.mark.parametrize("wanted, option", [(True, "on"), (False, "off"), (None, None)])
def test_opengl_is_as_was_asked_for_or_as_the_server_does(make_agent, alice, wanted, option):
    agent = make_agent()
    session_id = agent.create_ready(alice.name, DcvGlEnabled=wanted)
    call, = agent.dcv.calls("create-session")
    assert options_of(call).get("gl") == option
    agent.delete(session_id, alice.name)


def test_an_autorun_file_begins_at_home_and_the_story_has_what_the_agent_knows(make_agent, alice):
    agent = make_agent()
    agent.keeper.autorun("#!/bin/sh\npwd\nexec sleep 100001\n")
    session_id = agent.create_ready(alice.name, AutorunFile="autorun.sh")
    wait_for(lambda: agent.dcv.output().endswith(alice.home + "\n"), "the working directory")
    agent.delete(session_id, alice.name)
    status, answer = agent.call_as(alice, "/getSessionLog", {"SessionId": session_id})
    told = [f"{line['Source']}: {line['Text']}" for line in answer["Lines"]]
    assert status == 200 and told[0].startswith("api: CreateSessions by root (type=VIRTUAL")
    assert told[2:] == ["agent: the session is READY", "api: DeleteSessions by root",
                        "agent: the session is DELETING: deleted on request",
                        "agent: the session is DELETED: deleted on request"]


def test_a_console_session_has_its_own_options(make_agent, alice):
    agent = make_agent()
    session_id = agent.create_ready(alice.name, Type="CONSOLE", InitFile=None)
    call, = agent.dcv.calls("create-session")
    assert options_of(call) == {"type": "console", "name": "test", "owner": alice.name}
    assert server(agent)["ConsoleSessionCount"] == 1
    agent.delete(session_id, alice.name)


def test_a_server_that_refuses_user_is_asked_without(make_agent, alice):
    agent = make_agent(user_option="refuse", user_default="owner")
    first, second = (agent.create_ready(alice.name) for _ in range(2))
    assert [["user" in options_of(call), call[-1]] for call in agent.dcv.calls("create-session")] \
        == [[True, first], [False, first], [False, second]]


def test_a_session_that_runs_as_somebody_else_is_ended(make_agent, alice):
    agent = make_agent(user_option="refuse", user_default="caller")
    agent.keeper.autorun("#!/bin/sh\ntouch \"$1\"\n")
    mark = os.path.join(agent.folder, "mark")
    session_id = agent.create(alice.name, AutorunFile="autorun.sh", AutorunFileArguments=[mark])
    # the session may be over before it can be seen whose it is
    assert agent.end_of(session_id) in ("the DCV server runs the session as root",
                                        "the session ended while it was starting")
    wait_for(lambda: not agent.dcv.sessions(), "the session to be closed")
    assert not os.path.exists(mark)


def test_permissions_are_replaced_at_the_server_or_not_at_all(make_agent, alice):
    agent = make_agent()
    session_id = agent.create_ready(alice.name)
    first, second = (f"[permissions]\n{alice.name} allow {what}\n" for what in ("mouse", "display"))
    assert update(agent, session_id, alice.name, first) is None
    assert agent.dcv.sessions()[session_id]["permissions"] == first
    agent.dcv.fault("set-permissions:exit=3")
    assert update(agent, session_id, alice.name, second) == \
        "dcv set-permissions: exit status 3 without a word"
    assert agent.dcv.sessions()[session_id]["permissions"] == first
    with open(os.path.join(agent.state_folder, "sessions", session_id + ".json"), "rb") as file:
        assert base64.b64decode(json.load(file)["PermissionsFile"]).decode() == first


def test_imports_reach_the_server_with_their_whole_path(make_agent, alice):
    agent = make_agent(start=False)
    folder = os.path.join(agent.folder, "imports")
    os.mkdir(folder)
    with open(os.path.join(folder, "team.perm"), "w", encoding="utf-8") as file:
        file.write("[groups]\n")
    with open(agent.keeper.conf, encoding="utf-8") as file:
        settings = file.read()
    with open(agent.keeper.conf, "w", encoding="utf-8") as file:
        file.write(settings.replace(
            "[agent]", f"[agent]\npermissions_import_folders = ['{folder}']", 1))
    agent.start()
    session_id = agent.create_ready(alice.name, PermissionsFile=base64.b64encode(
        b"#import team.perm \n[permissions]\n%owner% allow builtin").decode())
    assert agent.dcv.sessions()[session_id]["permissions"] == (
        f"#import {folder}/team.perm\n[permissions]\n%owner% allow builtin\n")


# --- what is found -------------------------------------------------------------------------------


def test_sessions_made_by_others_come_and_go(make_agent, alice):
    agent = make_agent(settings="max_virtual_sessions = 0")
    init = os.path.join(agent.keeper.init_folder, agent.keeper.init(SLEEP))
    names = ["by hand", "it's (\u00fc) ../x"]
    for name in names:
        agent.dcv.run("create-session", "--owner", alice.name, "--user", alice.name, "--name",
                      name, "--storage-root", "/srv", "--init", init, name)
    for name in names:
        wait_for(lambda name=name: (agent.find(name) or {}).get("State") == "READY", name)
        found = agent.find(name)
        assert (found["Name"], found["Owner"], found["Type"]) == (name, alice.name, "VIRTUAL")
        assert (found["StorageRoot"], found["NumOfConnections"]) == ("/srv", 0)
    assert server(agent)["VirtualSessionCount"] == 2
    agent.dcv.run("double-connect", names[0])
    wait_for(lambda: agent.find(names[0])["NumOfConnections"] == 1, "the client to be counted")
    agent.dcv.run("double-disconnect", names[0])
    wait_for(lambda: agent.find(names[0]).get("LastDisconnectionTime"), "the client to be gone")
    assert agent.find(names[0])["NumOfConnections"] == 0
    assert update(agent, names[1], alice.name, "[permissions]\n%owner% allow mouse\n") is None
    agent.restart()
    assert {s["Id"]: s["State"] for s in agent.describe()} == dict.fromkeys(names, "READY")
    agent.dcv.run("close-session", names[0])
    assert agent.end_of(names[0]) == "the DCV server no longer has the session"
    agent.delete(names[1], alice.name)
    assert os.listdir(os.path.join(agent.state_folder, "sessions")) == []


@pytest.mark.parametrize("dcv", [{"generation": "2020"}, {"generation": "2023"},
                                 {"json": False}, {"json": False, "generation": "2020"}])
def test_servers_of_every_age_are_understood(make_agent, alice, dcv):
    agent = make_agent(version="2020.2-9662", **dcv)
    session_id = agent.create_ready(alice.name)
    wait_for(lambda: server(agent).get("Port") == "8443" and
             (server(agent).get("Version") == "2020.2-9662" or not dcv.get("json", True)),
             "the server to be known")
    agent.delete(session_id, alice.name)


# --- misbehaviour --------------------------------------------------------------------------------


def test_a_list_that_does_not_come_says_nothing_about_sessions(make_agent, alice):
    agent = make_agent(timeout=1)
    session_id = agent.create_ready(alice.name)
    for fault in (HANG, "stubborn=3600", "garbage", "truncate", "big", "exit=7", "down"):
        agent.dcv.fault(f"list-sessions:{fault}")
        becomes_unhealthy(agent)
        assert agent.find(session_id)["State"] == "READY", fault
        assert agent.try_create(alice.name).startswith(
            "the DCV server cannot be used: dcv list-sessions"), fault
        agent.dcv.fault()
        becomes_available(agent)
    agent.delete(session_id, alice.name)
    assert agent.dcv.sessions() == {}


def test_a_lost_session_is_told(make_agent, alice):
    agent = make_agent()
    session_id, other = agent.create_ready(alice.name), agent.create_ready(alice.name)
    agent.dcv.run("double-lose", session_id)
    assert agent.end_of(session_id) == "the DCV server no longer has the session"
    assert agent.find(other)["State"] == "READY"


def test_a_server_that_restarts_is_found_again_without_its_sessions(make_agent, alice):
    agent = make_agent()
    session_id = agent.create_ready(alice.name)
    agent.dcv.fault("*:down")
    agent.dcv.run("double-restart")
    becomes_unhealthy(agent)
    assert agent.find(session_id)["State"] == "READY"
    assert agent.try_delete(session_id, alice.name) is None
    agent.restart()
    assert server(agent)["UnavailabilityReason"] == "UNHEALTHY_DCV_SERVER"
    assert agent.find(session_id)["State"] == "DELETING"
    agent.dcv.configure(version="2031.0.1")
    agent.dcv.fault()
    becomes_available(agent)
    agent.wait_for(session_id, "DELETED")
    wait_for(lambda: server(agent).get("Version") == "2031.0.1", "the new version")
    agent.delete(agent.create_ready(alice.name), alice.name)


def test_an_agent_that_starts_without_the_server_keeps_what_it_knows(make_agent, alice):
    agent = make_agent()
    session_id = agent.create_ready(alice.name)
    agent.stop()
    agent.dcv.fault("*:down")
    agent.start()
    assert server(agent)["UnavailabilityReason"] == "UNHEALTHY_DCV_SERVER"
    assert agent.find(session_id)["State"] == "READY"
    assert isinstance(agent.try_screenshot(session_id), str)
    agent.dcv.fault()
    becomes_available(agent)
    assert agent.screenshot(session_id)
    agent.delete(session_id, alice.name)


def test_a_command_that_is_not_there_comes_back(make_agent, alice):
    agent = make_agent()
    os.rename(agent.dcv.command, agent.dcv.command + ".away")
    becomes_unhealthy(agent)
    os.rename(agent.dcv.command + ".away", agent.dcv.command)
    becomes_available(agent)
    agent.delete(agent.create_ready(alice.name), alice.name)


def test_a_creation_counts_even_if_it_is_not_answered(make_agent, alice):
    agent = make_agent(timeout=1)
    agent.dcv.fault("create-session:late")
    session_id = agent.create_ready(alice.name)
    agent.delete(session_id, alice.name)


@pytest.mark.parametrize("fault, reason", [
    (HANG, "dcv create-session: no answer within 2 s"),
    ("nolicense", "dcv create-session: Could not create session: no licenses"),
    ("exit=9", "dcv create-session: exit status 9 without a word"),
], ids=["hang", "no license", "exit"])
def test_a_creation_that_fails_is_told_with_its_reason(make_agent, alice, fault, reason):
    agent = make_agent(timeout=1)
    agent.dcv.fault(f"create-session:{fault}")
    assert agent.end_of(agent.create(alice.name)) == reason
    assert agent.dcv.sessions() == {} and server(agent)["Availability"] == "AVAILABLE"


def test_an_end_is_ordered_until_it_has_come(make_agent, alice):
    agent = make_agent(timeout=1)
    session_id = agent.create_ready(alice.name)
    agent.dcv.fault("close-session:exit=1")
    assert agent.try_delete(session_id, alice.name) is None
    wait_for(lambda: agent.dcv.calls("close-session"), "the order to close")
    agent.dcv.fault()
    agent.wait_for(session_id, "DELETED")
    assert agent.dcv.sessions() == {}


def test_screenshots_that_hang_hold_nothing_else_up(make_agent, alice):
    agent = make_agent()
    session_id = agent.create_ready(alice.name)
    agent.dcv.fault(f"get-screenshot:{HANG}")
    answer = agent.call_well("/getSessionScreenshots", [{"SessionId": session_id}] * 6)
    assert [e["FailureReason"] for e in answer["UnsuccessfulList"]] == [
        "Dcv server did not answer."] * 6
    agent.dcv.fault("get-screenshot:garbage")
    assert "screenshot: " in agent.try_screenshot(session_id)
    agent.delete(session_id, alice.name)


def test_an_agent_killed_while_it_creates_finds_the_session(make_agent, alice):
    agent = make_agent()
    agent.dcv.fault("create-session:slow=1")
    session_id = agent.create(alice.name)
    agent.kill()
    agent.dcv.fault()
    agent.start()
    agent.wait_for(session_id, "READY")
    agent.delete(session_id, alice.name)
    assert agent.dcv.sessions() == {}


def test_an_agent_that_stops_ends_what_it_has_asked(make_agent, alice):
    agent = make_agent()
    agent.dcv.fault(f"list-sessions:{HANG}")
    wait_for(hanging, "a list that hangs")
    assert agent.stop() == 0
    wait_for(lambda: not hanging(), "the command to be ended")
    agent.dcv.fault()
    agent.start()
    agent.delete(agent.create_ready(alice.name), alice.name)
