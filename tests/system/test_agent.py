"""The agent with a real keeper, real X servers, real PAM and users of the host, over its socket."""

import http.client
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
import uuid

import pytest

from agent_helpers import (NO_SUCH_SESSION, PROGRAM, SLEEP, Agent, command_line, png_first_pixel,
                           png_size, request)
from keeper_helpers import (PATIENCE, User, name_of, of_session, run, uid_of, wait_for,
                            x_sockets)

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="sessions of other users need root"),
    pytest.mark.skipif(not shutil.which("Xvnc"), reason="needs Xvnc"),
]

CYCLES = int(os.environ.get("AGENT_CYCLES", "20"))
KILL_SECONDS = float(os.environ.get("AGENT_KILL_SECONDS", "15"))


@pytest.fixture(scope="module")
def group():
    """A group of administrators: (name, gid)."""
    name = "dg" + uuid.uuid4().hex[:8]
    run("groupadd", name)
    gid = int(subprocess.check_output(["getent", "group", name], text=True).split(":")[2])
    yield name, gid
    run("groupdel", name)


both_engines = pytest.mark.parametrize("engine", ["x11", "dcv"], indirect=True)


@pytest.fixture
def engine(request):
    return getattr(request, "param", "x11")


@pytest.fixture
def make_agent(engine):
    made = []

    def make(**arguments):
        made.append(Agent(engine=engine, **arguments))
        return made[-1]

    yield make
    for agent in made:
        agent.done()


@pytest.fixture
def agent(make_agent):
    return make_agent()


def assert_nothing_left(agent, *users):
    """No process, X socket, or folder of any session."""
    wait_for(lambda: agent.keeper.numbers() == [], "the folders of keepers to go")
    for user in users:
        assert [(pid, name_of(pid), command_line(pid)) for pid in user.processes()] == []
        assert set(x_sockets(user.uid)) <= agent.x_sockets_before


def keeper_of(agent, number):
    with open(os.path.join(agent.keeper.run_dir, str(number), "state"), "rb") as file:
        return dict(e.decode().split("=", 1) for e in file.read()[:-1].split(b"\0"))


def keepers(agent):
    """Session id to pid, of the keepers that are there."""
    found = {}
    for number in agent.keeper.numbers():
        try:
            record = keeper_of(agent, number)
            found[record["SESSION_ID"]] = int(record["PID"])
        except (OSError, KeyError):
            pass
    return found


def child_named(session_id, name):
    return [pid for pid in of_session(session_id) if name_of(pid) == name][0]


def pause(seconds):
    """Not to wait for anything, but to let something happen at a random moment."""
    select.select([], [], [], seconds)


def run_in(agent, user, session_id, *command):
    """Run an X client in a session, as its owner."""
    environment = {}
    for pid in of_session(session_id):
        if name_of(pid) == "sleep":
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = dict(e.split(b"=", 1) for e in file.read()[:-1].split(b"\0"))
    assert environment
    subprocess.run(["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups",
                    *command], env=environment, check=True, timeout=PATIENCE)


# --- the main job --------------------------------------------------------------------------------


@both_engines
def test_a_session_with_its_programs_from_create_to_delete(agent, alice):
    n_fds = agent.n_fds()
    n_listener_fds = len(os.listdir(f"/proc/{agent.keeper.process.pid}/fd"))
    agent.keeper.autorun('#!/bin/sh\nprintf "<%s>\\n" "$@"\nexec sleep 100001\n')
    session_id = agent.create(alice.name, Name="wing study", AutorunFile="autorun.sh",
                              AutorunFileArguments=["--model", "wing v2", "$(x)", ""],
                              MaxConcurrentClients=4, StorageRoot="%home%/share")
    ready = agent.wait_for(session_id, "READY")
    server = ready.pop("Server")
    created = ready.pop("CreationTime")
    local = ready.pop("Local")
    assert local["Idle"]["State"] == "OFF"
    assert (local["Init"]["File"], local["Autorun"]["File"]) == ("init.sh", "autorun.sh")
    assert ready == {"Id": session_id, "Name": "wing study", "Owner": alice.name,
                     "Type": "VIRTUAL", "State": "READY", "NumOfConnections": 0,
                     "MaxConcurrentClients": 4, "StorageRoot": "%home%/share"}
    assert len(created) == 24 and created.endswith("Z")
    assert agent.call_well("/describeServers")["Servers"][0]["Id"] == server["Id"]
    text = "<--model>\n<wing v2>\n<$(x)>\n<>\n"
    wait_for(lambda: text in agent.output_of_autorun(session_id), "the arguments")
    assert {uid_of(pid) for pid in of_session(session_id)} == {alice.uid}
    agent.delete(session_id, alice.name)
    gone = agent.find(session_id)
    assert (gone["State"], gone["StateReason"]) == ("DELETED", "deleted on request")
    assert_nothing_left(agent, alice)
    wait_for(lambda: agent.n_fds() <= n_fds, "the agent's descriptors to be closed")
    wait_for(lambda: len(os.listdir(f"/proc/{agent.keeper.process.pid}/fd")) == n_listener_fds,
             "the listener's descriptors to be closed")


@both_engines
def test_a_screenshot_shows_what_the_screen_shows(agent, alice):
    session_id = agent.create_ready(alice.name)
    run_in(agent, alice, session_id, "xsetroot", "-solid", "#102030")
    first = agent.screenshot(session_id)
    assert png_first_pixel(first) == (0x10, 0x20, 0x30)
    assert png_size(first) == (133, 100)  # 640x480 within 160x100
    assert agent.screenshot(session_id) == first
    run_in(agent, alice, session_id, "xsetroot", "-solid", "#f0e0d0")
    assert png_first_pixel(agent.screenshot(session_id)) == (0xf0, 0xe0, 0xd0)
    assert png_size(agent.screenshot(session_id, MaxWidth=100000, MaxHeight=100000)) == (640, 480)
    assert png_size(agent.screenshot(session_id, MaxWidth=1, MaxHeight=1)) == (1, 1)
    assert png_size(agent.screenshot(session_id, MaxWidth=64)) == (64, 48)


@both_engines
def test_screenshots_of_many_sessions_come_in_one_answer(make_agent, alice):
    agent = make_agent(settings="session_screenshot_format = 'jpeg'")
    ids = [agent.create(alice.name) for _ in range(3)]
    for session_id in ids:
        agent.wait_for(session_id, "READY")
    wanted = [ids[0], "gone", ids[1], ids[2], ids[0]]
    answer = agent.call_well("/getSessionScreenshots", [{"SessionId": i} for i in wanted])
    shots = [entry["SessionScreenshot"] for entry in answer["SuccessfulList"]]
    assert [shot["SessionId"] for shot in shots] == [ids[0], ids[1], ids[2], ids[0]]
    assert {shot["Images"][0]["Format"] for shot in shots} == {"jpeg"}
    assert answer["UnsuccessfulList"] == [{"GetSessionScreenshotRequestData": {"SessionId": "gone"},
                                           "FailureReason": "Dcv session not found."}]


@both_engines
def test_lists_have_what_was_asked_for(agent, alice, bob):
    ids = sorted(agent.create(user.name) for user in (alice, alice, bob))
    assert [session["Id"] for session in agent.describe()] == ids
    assert [s["Owner"] for s in agent.describe(Filters=[{"Key": "owner", "Value": bob.name}])] == [bob.name]
    assert agent.describe(Filters=[{"Key": "tag:dcv:os-family", "Value": "windows"}]) == []
    assert len(agent.describe(Filters=[{"Key": "tag:dcv:os-family", "Value": "linux"}])) == 3
    assert [s["Id"] for s in agent.describe(SessionIds=[ids[1], "gone"])] == [ids[1]]
    page = agent.call_well("/describeSessions", {"MaxResults": 2})
    assert [s["Id"] for s in page["Sessions"]] == ids[:2]
    page = agent.call_well("/describeSessions", {"MaxResults": 2, "NextToken": page["NextToken"]})
    assert [s["Id"] for s in page["Sessions"]] == ids[2:] and "NextToken" not in page
    for empty in (b"", b"null", {}, {"SessionIds": [], "Filters": []}):
        assert len(agent.call_well("/describeSessions", empty)["Sessions"]) == 3
    status, answer = agent.call("/describeSessions", {"Filters": [{"Key": "state", "Value": "x"}]})
    assert status == 400 and "Filters" in answer["error"]


@both_engines
def test_deleting_again_is_deleting_until_it_is_gone(agent, alice):
    session_id = agent.create_ready(alice.name)
    assert agent.try_delete(session_id, "nobody") == NO_SUCH_SESSION
    assert agent.try_delete(session_id, alice.name) is None
    while agent.find(session_id)["State"] == "DELETING":
        assert agent.try_delete(session_id, alice.name) in (None, NO_SUCH_SESSION)
    assert agent.try_delete(session_id, alice.name) == NO_SUCH_SESSION


@both_engines
def test_delete_during_create(agent, alice):
    ids = [agent.create(alice.name) for _ in range(4)]
    for session_id in ids:
        assert agent.try_delete(session_id, alice.name) is None
    for session_id in ids:
        agent.wait_for(session_id, "DELETED")
    assert_nothing_left(agent, alice)


@both_engines
def test_permissions_are_replaced_while_a_session_lives(agent, alice):
    def update(permissions):
        answer = agent.call_well("/sessionPermissions", [
            {"SessionId": session_id, "Owner": alice.name, "PermissionsFile": permissions}], "PUT")
        if answer["SuccessfulList"]:
            assert answer["SuccessfulList"] == [{"SessionId": session_id}]
            return None
        return answer["UnsuccessfulList"][0]["FailureReason"]

    session_id = agent.create_ready(alice.name, PermissionsFile="W3Blcm1pc3Npb25zXQ==")
    assert update("W3Blcm1pc3Npb25zXQo") is None
    assert update("no base64!") == "PermissionsFile is not valid base64"
    assert "larger than 65536" in update("A" * 90000)
    with open(os.path.join(agent.state_folder, "sessions", session_id + ".json"), "rb") as file:
        assert json.load(file)["PermissionsFile"] == "W3Blcm1pc3Npb25zXQo"
    agent.delete(session_id, alice.name)
    assert update("W3Blcm1pc3Npb25zXQo") == NO_SUCH_SESSION
    assert agent.try_create(alice.name, PermissionsFile="/x!") == "PermissionsFile is not valid base64"


# --- callers -------------------------------------------------------------------------------------


def test_the_socket_is_for_everybody_whatever_the_umask(make_agent):
    agent = make_agent(umask=0o077)
    assert os.lstat(agent.socket).st_mode & 0o777 == 0o666
    assert os.lstat(agent.state_folder).st_mode & 0o777 == 0o700


@both_engines
def test_users_see_and_touch_only_what_is_theirs(agent, alice, bob):
    ids = {user.name: agent.create_ready(user.name) for user in (alice, bob)}
    for user, other in ((alice, bob), (bob, alice)):
        foreign = ids[other.name]
        status, answer = agent.call_as(user, "/describeSessions")
        assert status == 200 and [s["Id"] for s in answer["Sessions"]] == [ids[user.name]]
        _, answer = agent.call_as(user, "/describeSessions", {"SessionIds": [foreign]})
        assert answer["Sessions"] == []
        for owner in (user.name, other.name):
            entry = {"SessionId": foreign, "Owner": owner}
            _, answer = agent.call_as(user, "/deleteSessions", [entry])
            assert answer["UnsuccessfulList"] == [{"SessionId": foreign,
                                                   "FailureReason": NO_SUCH_SESSION}]
            _, answer = agent.call_as(user, "/sessionPermissions",
                                      [{**entry, "PermissionsFile": ""}], "PUT")
            if "UnsuccessfulList" in answer:
                assert answer["UnsuccessfulList"][0]["FailureReason"] == NO_SUCH_SESSION
        _, answer = agent.call_as(user, "/getSessionScreenshots", [{"SessionId": foreign}])
        assert answer["UnsuccessfulList"][0]["FailureReason"] == "Dcv session not found."
        target = f"/sessionConnectionData/{foreign}/"
        assert agent.call_as(user, target + user.name, method="GET") == (
            400, {"error": f"Session not found: {foreign}"})
        status, answer = agent.call_as(user, target + other.name, method="GET")
        assert status == 403
        status, answer = agent.call_as(
            user, f"/sessionConnectionData/{ids[user.name]}/{user.name}", method="GET")
        assert status == 200 and answer["Session"]["Id"] == ids[user.name]
        assert set(answer["ConnectionToken"]) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
        status, _ = agent.call_as(
            user, f"/sessionConnectionData/{ids[user.name]}/{other.name}", method="GET")
        assert status == 403
    assert agent.find(ids[alice.name])["State"] == agent.find(ids[bob.name])["State"] == "READY"


def test_users_create_and_delete_for_themselves_only(agent, alice, bob):
    entry = {"Name": "n", "Type": "VIRTUAL", "InitFile": "init.sh"}
    _, answer = agent.call_as(alice, "/createSessions", [{**entry, "Owner": alice.name},
                                                         {**entry, "Owner": bob.name},
                                                         {**entry, "Owner": "root"}])
    assert [s["Owner"] for s in answer["SuccessfulList"]] == [alice.name]
    assert {e["FailureReason"] for e in answer["UnsuccessfulList"]} == {
        f"user {alice.name} may create sessions for themselves only"}
    session_id = answer["SuccessfulList"][0]["Id"]
    agent.wait_for(session_id, "READY")
    _, answer = agent.call_as(alice, "/deleteSessions",
                              [{"SessionId": session_id, "Owner": alice.name}])
    assert answer["SuccessfulList"] == [{"SessionId": session_id, "State": "DELETING"}]


def test_administrators_are_root_and_the_members_of_the_group(make_agent, group, alice, bob):
    agent = make_agent(settings=f"admin_group = '{group[0]}'")
    server = agent.call_well("/describeServers")["Servers"][0]["Id"]
    body = [{"ServerId": server}]
    for target in ("/openServers", "/closeServers"):
        status, answer = agent.call_as(bob, target, body)
        assert status == 403 and bob.name in answer["error"]
    # members by a supplementary group of the process that asks
    assert agent.call_as(bob, "/openServers", body, groups=[group[1]])[0] == 200
    assert agent.call("/openServers", body)[0] == 200
    session_id = agent.create_ready(alice.name)
    _, answer = agent.call_as(bob, "/describeSessions", groups=[group[1]])
    assert [s["Id"] for s in answer["Sessions"]] == [session_id]
    _, answer = agent.call_as(bob, "/createSessions", [
        {"Name": "n", "Type": "VIRTUAL", "InitFile": "init.sh", "Owner": alice.name}],
        groups=[group[1]])
    assert len(answer["SuccessfulList"]) == 1
    status, answer = agent.call_as(bob, "/describeServers")
    assert status == 200 and answer["Servers"][0]["Id"] == server


def test_a_closed_server_takes_no_sessions_and_remembers_it(agent, alice):
    server = agent.call_well("/describeServers")["Servers"][0]["Id"]
    session_id = agent.create_ready(alice.name)
    answer = agent.call_well("/closeServers", [{"ServerId": server}, {"ServerId": "nope"}])
    assert [e["FailureCode"] for e in answer["UnsuccessfulList"]] == [
        "DCV_SERVER_HAS_SESSIONS", "DCV_SERVER_NOT_FOUND"]
    answer = agent.call_well("/closeServers", [{"ServerId": server, "Force": True}])
    assert answer["SuccessfulList"] == [{"ServerId": server}]
    agent.restart()
    shown = agent.call_well("/describeServers")["Servers"][0]
    assert (shown["Id"], shown["Availability"], shown["UnavailabilityReason"]) == (
        server, "UNAVAILABLE", "SERVER_CLOSED")
    assert agent.try_create(alice.name) == "this server is closed"
    assert agent.find(session_id)["State"] == "READY"
    agent.call_well("/openServers", [{"ServerId": server}])
    agent.create(alice.name)


# --- limits --------------------------------------------------------------------------------------


@both_engines
@pytest.mark.parametrize("settings, most", [
    ("max_virtual_sessions = 3", 3),
    ("max_concurrent_sessions_per_user = 2", 2),
])
def test_limits_hold_under_concurrent_creates(make_agent, alice, settings, most):
    agent = make_agent(settings=settings)
    results = []

    def create():
        results.append(agent.try_create(alice.name))

    threads = [threading.Thread(target=create) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [r["Id"] for r in results if isinstance(r, dict)]
    assert len(results) == 20 and len(ids) == most
    assert len({r for r in results if isinstance(r, str)}) == 1
    for session_id in ids:
        agent.wait_for(session_id, "READY")
    assert agent.n_living() == most
    agent.delete(ids[0], alice.name)
    agent.create_ready(alice.name)


def test_both_limits_hold_for_several_users_at_once(make_agent, alice, bob):
    agent = make_agent(settings="max_virtual_sessions = 3\nmax_concurrent_sessions_per_user = 2")
    results = []

    def create(user):
        results.append((user.name, agent.try_create(user.name)))

    threads = [threading.Thread(target=create, args=(user,)) for user in [alice, bob] * 15]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    owners = [owner for owner, answer in results if isinstance(answer, dict)]
    assert len(results) == 30 and len(owners) == 3
    assert {owners.count(alice.name), owners.count(bob.name)} == {1, 2}
    assert {answer for _, answer in results if isinstance(answer, str)} <= {
        "this host has its 3 virtual sessions",
        f"user {alice.name} has the allowed 2 sessions on this host",
        f"user {bob.name} has the allowed 2 sessions on this host"}
    assert server_counts(agent) == (3, 0)


def server_counts(agent):
    shown = agent.call_well("/describeServers")["Servers"][0]
    return shown["VirtualSessionCount"], shown["ConsoleSessionCount"]


@both_engines
def test_a_full_server_says_so(make_agent, alice):
    agent = make_agent(settings="max_virtual_sessions = 1")
    agent.create(alice.name)
    shown = agent.call_well("/describeServers")["Servers"][0]
    assert (shown["Availability"], shown["UnavailabilityReason"]) == ("UNAVAILABLE", "SERVER_FULL")
    assert (shown["VirtualSessionCount"], shown["ConsoleSessionCount"]) == (1, 0)


# --- owners and files ----------------------------------------------------------------------------


@both_engines
@pytest.mark.parametrize("owner, reason", [
    ("root", "sessions for system accounts are not allowed (user root, uid 0)"),
    ("daemon", "sessions for system accounts are not allowed"),
    ("no-such-user", "user not found: no-such-user"),
    ("../../etc", "user not found"),
    ("$(reboot)", "user not found: $(reboot)"),
])
def test_owners_that_may_not_have_sessions(agent, owner, reason):
    assert reason in agent.end_of(agent.create(owner))
    assert agent.n_living() == 0


@pytest.mark.parametrize("options, change, reason", [
    ([], ["usermod", "-s", "/usr/sbin/nologin"], "has no login shell"),
    (["-p", "$6$aa$bb"], ["usermod", "-L"], "is locked"),
])
def test_accounts_that_may_not_have_sessions(agent, options, change, reason):
    user = User("-d", "/tmp", *options, home=False)
    try:
        run(*change, user.name)
        assert reason in agent.end_of(agent.create(user.name))
    finally:
        subprocess.run(["userdel", "-f", user.name], check=False, stderr=subprocess.DEVNULL)


@both_engines
def test_an_init_file_path_may_begin_with_the_init_folder(agent, alice):
    agent.keeper.init(SLEEP, "below/other.sh")
    folder = agent.keeper.init_folder
    for path in (f"{folder}/init.sh", f"{folder}//below/other.sh", "below/other.sh"):
        agent.create_ready(alice.name, InitFile=None, InitFilePath=path)
    for path, reason in ((f"{folder}/../outside", "is outside"), ("/bin/true", "is outside"),
                         (folder + "x/init.sh", "is outside"), (folder + "/", "the name is empty")):
        session_id = agent.create(alice.name, InitFile=None, InitFilePath=path)
        assert reason in agent.end_of(session_id)


BAD_FILES = [
    ("absent.sh", "does not exist"),
    ("../outside.sh", "is outside"),
    ("/bin/true", "is outside"),
    ("plain.sh", "is not executable"),
    ("open.sh", "is writable by others"),
    ("notroots.sh", "belongs to uid 1"),
    ("folder", "is not a regular file"),
    ("x" * 300, "has a name that is too long"),
    ("noformat.sh", "neither a program nor a script"),
    ("nointerpreter.sh", "its interpreter does not exist"),
    ("$(reboot)\n\u202e", "does not exist"),
]


@pytest.mark.parametrize("kind", ["init", "autorun"])
def test_files_that_are_not_executed(agent, alice, kind):
    make = agent.keeper.init if kind == "init" else agent.keeper.autorun
    folder = agent.keeper.init_folder if kind == "init" else agent.keeper.autorun_folder
    make(SLEEP, "plain.sh", 0o644)
    make(SLEEP, "open.sh", 0o757)
    make(SLEEP, "notroots.sh")
    os.chown(os.path.join(folder, "notroots.sh"), 1, 1)
    make("exit 0\n", "noformat.sh")
    make("#!/no/such/interpreter\n", "nointerpreter.sh")
    os.mkdir(os.path.join(folder, "folder"))
    field = "InitFile" if kind == "init" else "AutorunFile"
    ids = [(agent.create(alice.name, **{field: name}), name, reason) for name, reason in BAD_FILES]
    for session_id, name, reason in ids:
        said = agent.end_of(session_id)
        assert reason in said, (name, said)
    assert_nothing_left(agent, alice)


@pytest.mark.parametrize("text, reason", [
    ("#!/bin/sh\nexit 7\n", "init file 'init.sh' ended: exit status 7"),
    ("#!/bin/sh\nkill -9 $$\n", "init file 'init.sh' was killed by signal 9"),
])
def test_a_session_ends_with_its_init_file(agent, alice, text, reason):
    agent.keeper.init(text)
    assert agent.end_of(agent.create(alice.name)) == reason
    assert_nothing_left(agent, alice)


def test_an_init_file_that_forks_and_leaves_is_a_session_until_it_is_deleted(agent, alice):
    agent.keeper.init("#!/bin/sh\n(setsid sh -c 'trap \"\" TERM; sleep 100002' &)\nexit 0\n")
    session_id = agent.create_ready(alice.name)
    agent.delete(session_id, alice.name)
    assert_nothing_left(agent, alice)


# --- what callers may send -----------------------------------------------------------------------


NAMES = [
    "it's \"quoted\"", "two\nlines\t", "$(touch /tmp/x) `id` ; rm -rf /", "../../etc/passwd",
    "\u202egnp.exe\u202c \u200f", "\u0001\u001b[31m\u007f\u009b", "\U0001f5a5 \u00e4\u0301", "x" * 256,
    "\\", "%s%n", "null",
]


@both_engines
def test_names_are_returned_byte_for_byte(agent, alice):
    # The init file is refused, so no X server is started for each of them.
    ids = {agent.create(alice.name, Name=name, InitFile="none"): name for name in NAMES}
    for session_id, name in ids.items():
        assert agent.wait_for(session_id, "DELETED")["Name"] == name
    agent.restart()
    assert {s["Id"]: s["Name"] for s in agent.describe()} == ids
    assert not os.path.exists("/tmp/x")
    with open(os.path.join(agent.log_folder, "agent.log"), "rb") as file:
        log = file.read()
    assert b"\x1b" not in log and "\u202e".encode() not in log


@pytest.mark.parametrize("fields, sentence", [
    ({"Name": "x" * 257}, "Name must have at most 256 characters"),
    ({"Name": "x" * 10240}, "Name must have at most 256 characters"),
    ({"Name": ""}, "Name must not be blank"),
    ({"Name": " \t"}, "Name must not be blank"),
    ({"Name": 7}, "Name must be a string"),
    ({"Name": None}, "Name is required"),
    ({"Owner": ""}, "Owner must not be blank"),
    ({"Type": "WINDOW"}, "Type must be one of"),
    ({"MaxConcurrentClients": 0}, "MaxConcurrentClients must be between 1 and"),
    ({"MaxConcurrentClients": "5"}, "MaxConcurrentClients must be an integer"),
    ({"AutorunFileArguments": "x"}, "AutorunFileArguments must be an array"),
    ({"AutorunFileArguments": [1]}, "AutorunFileArguments must contain strings only"),
    ({"Frobnicate": 1}, 'Unrecognized field "Frobnicate"'),
])
def test_a_wrong_field_refuses_the_whole_call(agent, alice, fields, sentence):
    good = {"Name": "n", "Owner": alice.name, "Type": "VIRTUAL", "InitFile": "init.sh"}
    status, answer = agent.call("/createSessions", [good, {**good, **fields}])
    assert status == 400 and sentence in answer["error"], answer
    assert agent.describe() == []


@pytest.mark.parametrize("fields, reason", [
    ({"Type": "CONSOLE"}, "InitFile is not supported for CONSOLE sessions"),
    ({"AutorunFileArguments": ["x"]}, "AutorunFileArguments needs AutorunFile"),
    ({"AutorunFile": "a", "AutorunFileArguments": ["x"] * 51}, "at most 50 arguments"),
    ({"AutorunFile": "a", "AutorunFileArguments": ["x" * 151]}, "at most 150 characters"),
    ({"Requirements": "tag:a = 'b'"}, "Requirements choose among the servers of a broker"),
])
def test_what_this_host_cannot_do_fails_its_entry_only(agent, alice, fields, reason):
    assert reason in agent.try_create(alice.name, **fields)
    assert agent.describe() == []


def raw(agent, data, shut=False):
    """What comes back for bytes that need not be a request."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(agent.socket)
        try:
            peer.sendall(data)
            if shut:
                peer.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while True:
                chunk = peer.recv(65536)
                if not chunk:
                    break
                answer += chunk
                head, _, body = answer.partition(b"\r\n\r\n")
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:") and len(body) >= int(line[15:]):
                        return answer
        except ConnectionResetError:
            pass
        return answer


def status_of(answer):
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else None


@pytest.mark.parametrize("data, status", [
    (b"GET /describeSessions HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 404),
    (b"POST /describeSessions/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 404),
    (b"POST //describeSessions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 200),
    (b"POST /describeSessions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
    (b"POST /describeSessions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST /describeSessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"2\r\n{}\r\n0\r\n\r\n", 200),
    (b"POST /describeSessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    (b"GET /sessionConnectionData/a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /sessionConnectionData//b HTTP/1.1\r\nHost: x\r\n\r\n", None),
])
def test_odd_requests_get_their_status(agent, data, status):
    answer = status_of(raw(agent, data))
    assert answer == status or (status is None and 400 <= answer < 500)
    assert agent.describe() == []


@pytest.mark.parametrize("data", [
    b"", b"\0", b"\r\n\r\n", b"nonsense\r\n\r\n", b"POST", b"POST /describeSessions HTTP/1.1\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/9.9\r\n\r\n",
    b"POST /describeSessions HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100000 + b"\r\n\r\n",
    b"POST /describeSessions HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{}",
], ids=lambda data: repr(data[:20]))
def test_what_is_no_request_harms_nobody(agent, data):
    answer = raw(agent, data, shut=True)
    assert status_of(answer) is None or status_of(answer) >= 400
    assert agent.describe() == []


@pytest.mark.parametrize("body", [
    b"{", b"[", b"[1", b"{} {}", b"[]x", b"nul", b"{'a':1}", b"[" * 10000, b"[" * 10000 + b"]" * 10000,
    b'{"a":' * 10000 + b"1" + b"}" * 10000, b'{"MaxResults":1,"MaxResults":2}',
    b'{"SessionIds":["\xff"]}', b'{"SessionIds":["\xed\xa0\x80"]}', b'{"SessionIds":["a\\u0000b"]}',
    b'{"SessionIds":["\\ud800"]}', b'{"MaxResults":1e400}', b'{"MaxResults":99999999999999999999}',
    b"7", b'"x"', b"[]", b"\xef\xbb\xbf{}",
], ids=lambda body: repr(body[:24]))
def test_bad_json_is_refused_with_a_sentence(agent, body):
    status, answer = agent.call("/describeSessions", body)
    assert status == 400 and answer["error"], answer
    assert agent.describe() == []


def test_a_name_with_a_nul_is_refused(agent, alice):
    body = json.dumps([{"Name": "a\0b", "Owner": alice.name, "Type": "VIRTUAL"}]).encode()
    status, answer = agent.call("/createSessions", body)
    assert status == 400 and answer["error"]


def test_a_body_is_bounded(agent):
    body = b'{"SessionIds":["' + b"x" * (4 * 1024 * 1024 - 19) + b'"]}'
    assert len(body) == 4 * 1024 * 1024
    assert agent.call("/describeSessions", body)[0] == 200
    assert status_of(raw(agent, b"POST /describeSessions HTTP/1.1\r\nHost: x\r\nContent-Length: "
                         + str(len(body) + 1).encode() + b"\r\n\r\n" + body + b" ")) == 413
    status, answer = agent.call("/deleteSessions", [{"SessionId": "x", "Owner": "y"}] * 1001)
    assert status == 400 and "at most 1000" in answer["error"]


def test_peers_that_say_nothing_or_never_read_hold_nothing_up(agent):
    n_fds = agent.n_fds()
    line = b"POST /describeServers HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    peers = []
    for i in range(60):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(agent.socket)
        peer.setblocking(False)
        try:
            peer.send(b"" if i % 3 == 0 else line * 2000 if i % 3 == 1 else line[:20])
        except BlockingIOError:
            pass
        peers.append(peer)
    began = time.monotonic()
    for _ in range(20):
        assert agent.describe() == []
    assert time.monotonic() - began < 10
    for peer in peers:
        peer.close()
    wait_for(lambda: agent.n_fds() <= n_fds, "the descriptors of peers to be closed")


def test_peers_that_leave_before_the_answer_are_forgotten(agent, alice):
    session_id = agent.create_ready(alice.name)
    os.kill(child_named(session_id, "Xvnc"), signal.SIGSTOP)
    body = json.dumps([{"SessionId": session_id}]).encode()
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(agent.socket)
            peer.sendall(b"POST /getSessionScreenshots HTTP/1.1\r\nHost: x\r\nContent-Length: "
                         + str(len(body)).encode() + b"\r\n\r\n" + body)
            agent.describe()  # by now it has been read
    n_fds = agent.n_fds()
    os.kill(child_named(session_id, "Xvnc"), signal.SIGCONT)
    assert png_size(agent.screenshot(session_id))
    assert agent.n_fds() <= n_fds + 1


def test_screenshots_in_a_row_on_one_connection_survive_the_keeper(agent, alice):
    session_id = agent.create_ready(alice.name)
    keeper = keepers(agent)[session_id]
    os.kill(keeper, signal.SIGSTOP)  # asked for a capture program, it does not answer
    body = json.dumps([{"SessionId": session_id}]).encode()
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(agent.socket)
        peer.sendall(b"".join(b"POST /getSessionScreenshots HTTP/1.1\r\nHost: x\r\nConnection: "
                              b"%s\r\nContent-Length: %d\r\n\r\n%s" % (connection, len(body), body)
                              for connection in (b"keep-alive", b"close")))
        agent.describe()  # by now the first one has been read
        os.kill(keeper, signal.SIGKILL)
        answers = b"".join(iter(lambda: peer.recv(65536), b""))
        assert answers.count(b'"UnsuccessfulList":[{') == 2
    assert agent.end_of(session_id) == "the session's keeper was killed"


# --- X servers that fail -------------------------------------------------------------------------


@pytest.fixture
def xserver(alice):
    """A script in the place of the X server, which its users may run."""
    path = os.path.join("/tmp", "xserver-" + uuid.uuid4().hex)

    def make(text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)
        return path

    yield make
    if os.path.exists(path):
        os.unlink(path)


def test_an_x_server_that_never_starts(make_agent, alice, xserver):
    script = xserver("#!/bin/sh\nexec sleep 100000\n")
    agent = make_agent(create_timeout=1, keeper_options=["--xserver", script])
    session_id = agent.create(alice.name)
    assert agent.try_screenshot(session_id) == "Dcv session is not ready."
    status, answer = agent.call(f"/sessionConnectionData/{session_id}/{alice.name}", method="GET")
    assert status == 400 and "neither in READY" in answer["error"]
    assert agent.end_of(session_id) == "X server did not start within 1 s"
    assert_nothing_left(agent, alice)


def test_the_time_of_a_creation_begins_with_its_turn(make_agent, alice, bob, xserver):
    """Those that hang fail after their own time, one after another, and the others wait it out."""
    script = xserver(f"#!/bin/sh\n[ $(id -u) = {alice.uid} ] || echo 54321 >&3\nexec sleep 100000\n")
    agent = make_agent(create_timeout=5, keeper_options=["--xserver", script])
    hanging = [agent.create(alice.name) for _ in range(2)]
    good = [agent.create(bob.name) for _ in range(2)]
    assert {agent.end_of(session_id) for session_id in hanging} == {"X server did not start within 5 s"}
    for session_id in good:
        agent.wait_for(session_id, "READY")


def test_an_x_server_that_hangs_hangs_only_its_own_screenshot(agent, alice, bob):
    hanging, good = agent.create(alice.name), agent.create_ready(bob.name)
    agent.wait_for(hanging, "READY")
    assert png_size(agent.screenshot(hanging))
    server = child_named(hanging, "Xvnc")
    run_in(agent, alice, hanging, "xsetroot", "-solid", "red")
    os.kill(server, signal.SIGSTOP)
    results = []
    thread = threading.Thread(target=lambda: results.append(agent.try_screenshot(hanging)))
    began = time.monotonic()
    thread.start()
    for _ in range(5):
        assert png_size(agent.screenshot(good))
    assert not results and time.monotonic() - began < 5
    thread.join()
    assert isinstance(results[0], str) and results[0], results
    assert time.monotonic() - began < 8
    os.kill(server, signal.SIGCONT)
    assert png_first_pixel(agent.screenshot(hanging)) == (255, 0, 0)


def test_a_session_ends_with_its_x_server(agent, alice):
    session_id = agent.create_ready(alice.name)
    assert png_size(agent.screenshot(session_id))
    os.kill(child_named(session_id, "Xvnc"), signal.SIGKILL)
    assert agent.end_of(session_id) == "X server was killed by signal 9"
    assert agent.try_screenshot(session_id) == "Dcv session not found."
    assert_nothing_left(agent, alice)


def test_a_delete_answers_a_screenshot_that_waits(agent, alice):
    session_id = agent.create_ready(alice.name)
    os.kill(child_named(session_id, "Xvnc"), signal.SIGSTOP)
    results = []
    thread = threading.Thread(target=lambda: results.append(agent.try_screenshot(session_id)))
    thread.start()
    assert agent.try_delete(session_id, alice.name) is None
    agent.wait_for(session_id, "DELETED")
    thread.join()
    assert isinstance(results[0], str) and results[0]
    assert_nothing_left(agent, alice)


# --- a full disk ---------------------------------------------------------------------------------


@pytest.fixture
def small_disk():
    folder = "/tmp/disk-" + uuid.uuid4().hex
    os.mkdir(folder)
    try:
        run("mount", "-t", "tmpfs", "-o", "size=128k,mode=0755", "tmpfs", folder)
    except subprocess.CalledProcessError:
        os.rmdir(folder)
        pytest.skip("tmpfs cannot be mounted here")
    yield folder
    run("umount", "-l", folder)
    os.rmdir(folder)


def fill(folder):
    with open(os.path.join(folder, "filler"), "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            pass


def test_a_full_disk_refuses_new_sessions_and_leaves_the_others(make_agent, alice, small_disk):
    agent = make_agent(state_folder=os.path.join(small_disk, "state"))
    before = agent.create_ready(alice.name)
    late = agent.create(alice.name)
    fill(small_disk)
    assert "No space left on device" in agent.try_create(alice.name)
    agent.wait_for(late, "READY")
    server = agent.call_well("/describeServers")["Servers"][0]["Id"]
    answer = agent.call_well("/closeServers", [{"ServerId": server, "Force": True}])
    assert "No space left on device" in answer["UnsuccessfulList"][0]["FailureReason"]
    assert png_size(agent.screenshot(before))
    agent.delete(before, alice.name)
    agent.restart()
    assert agent.find(late)["State"] == "READY"
    os.unlink(os.path.join(small_disk, "filler"))
    agent.create_ready(alice.name)
    agent.delete(late, alice.name)


def test_a_full_disk_for_logs_stops_nothing(make_agent, alice, small_disk):
    agent = make_agent(start=False)
    with open(agent.keeper.conf, encoding="utf-8") as file:
        text = file.read().replace(agent.log_folder, small_disk)
    with open(agent.keeper.conf, "w", encoding="utf-8") as file:
        file.write(text)
    agent.start()
    fill(small_disk)
    session_id = agent.create_ready(alice.name)
    for _ in range(40):  # more than the last page of the file has room for
        agent.end_of(agent.create(alice.name, InitFile="none"))
    agent.delete(session_id, alice.name)
    os.unlink(os.path.join(small_disk, "filler"))
    agent.create(alice.name)
    with open(os.path.join(small_disk, "agent.log"), encoding="utf-8") as file:
        assert "lines could not be written" in file.read()


# --- starting, stopping, killing -----------------------------------------------------------------


@both_engines
def test_sessions_outlive_the_agent_and_are_adopted(agent, alice, bob):
    ids = [agent.create_ready(user.name, Name=f"of {user.name}", MaxConcurrentClients=3)
           for user in (alice, bob)]
    processes = {i: sorted(of_session(i)) for i in ids}
    assert agent.stop() == 0
    assert {i: sorted(of_session(i)) for i in ids} == processes
    agent.start()
    for user, session_id in zip((alice, bob), ids):
        session = agent.find(session_id)
        assert (session["State"], session["Name"]) == ("READY", f"of {user.name}")
        assert session["MaxConcurrentClients"] == 3
        assert sorted(of_session(session_id)) == processes[session_id]
        assert png_size(agent.screenshot(session_id))
        agent.delete(session_id, user.name)
    assert_nothing_left(agent, alice, bob)


def test_sessions_that_end_or_lose_their_record_meanwhile(make_agent, alice, bob):
    agent = make_agent(settings="max_concurrent_sessions_per_user = 1")
    ended, lost = agent.create_ready(alice.name), agent.create_ready(bob.name)
    agent.kill()
    os.unlink(os.path.join(agent.state_folder, "sessions", lost + ".json"))
    control = agent.keeper.control(next(n for n in agent.keeper.numbers()
                                        if keeper_of(agent, n)["SESSION_ID"] == ended))
    control.stop("for a test")
    control.until("ended")
    agent.start()
    session = agent.find(ended)
    assert (session["State"], session["StateReason"]) == (
        "DELETED", "the session ended while the agent was away")
    session = agent.find(lost)
    assert (session["State"], session["Owner"]) == ("READY", bob.name)
    agent.delete(lost, bob.name)


def test_a_killed_keepers_session_is_cleaned_and_told(agent, alice):
    agent.keeper.init("#!/bin/sh\n(setsid sh -c 'trap \"\" TERM; sleep 100003' &) &\nexec sleep 100000\n")
    session_id = agent.create_ready(alice.name)
    wait_for(lambda: len(of_session(session_id)) >= 4, "the daemon")
    os.kill(keepers(agent)[session_id], signal.SIGKILL)
    assert agent.end_of(session_id) == "the session's keeper was killed"
    assert of_session(session_id) == []
    assert_nothing_left(agent, alice)


def test_a_keeper_killed_while_the_agent_is_away(agent, alice):
    session_id = agent.create_ready(alice.name)
    agent.kill()
    os.kill(keepers(agent)[session_id], signal.SIGKILL)
    agent.start()
    assert agent.end_of(session_id) == "the session ended while the agent was away"
    assert_nothing_left(agent, alice)


def test_keepers_killed_at_random_moments_leave_nothing(agent, alice):
    choice = random.Random(4711)
    for _ in range(6):
        session_id = agent.create(alice.name)
        deadline = time.monotonic() + choice.uniform(0, 0.4)
        while time.monotonic() < deadline:
            agent.find(session_id)
        pid = keepers(agent).get(session_id)
        if pid:
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda i=session_id: agent.find(i)["State"] == "DELETED", "the end")
        else:
            agent.wait_for(session_id, "READY")
            agent.delete(session_id, alice.name)
    assert_nothing_left(agent, alice)


def test_the_agent_killed_at_random_moments_forgets_nothing(agent, alice, bob):
    """Sessions are made and deleted in a loop meanwhile; some answers are lost with the agent."""
    choice = random.Random(int(os.environ.get("AGENT_KILL_SEED", "1")))
    deadline = time.monotonic() + KILL_SECONDS
    n_created = [0]

    def work(user):
        mine = random.Random(user.name)
        while time.monotonic() < deadline:
            try:
                _, answer = request(agent.socket, "POST", "/createSessions", [
                    {"Name": "n", "Owner": user.name, "Type": "VIRTUAL", "InitFile": "init.sh"}])
                n_created[0] += len(answer.get("SuccessfulList", []))
                sessions = request(agent.socket, "POST", "/describeSessions", {
                    "Filters": [{"Key": "owner", "Value": user.name}]})[1].get("Sessions", [])
                living = [s for s in sessions if s["State"] in ("CREATING", "READY")]
                for session in mine.sample(living, max(0, len(living) - 2)):
                    request(agent.socket, "POST", "/deleteSessions", [
                        {"SessionId": session["Id"], "Owner": user.name}])
            except (OSError, ValueError, http.client.HTTPException):
                pause(0.02)  # the agent is being started again

    threads = [threading.Thread(target=work, args=(user,)) for user in (alice, bob)]
    for thread in threads:
        thread.start()
    n_kills = 0
    while time.monotonic() < deadline:
        pause(choice.uniform(0.05, 0.8))
        agent.kill()
        agent.start()
        n_kills += 1
    for thread in threads:
        thread.join()
    wait_for(lambda: all(s["State"] in ("READY", "DELETED") for s in agent.describe()),
             "every session to be READY or DELETED")
    ready = {s["Id"] for s in agent.describe() if s["State"] == "READY"}
    wait_for(lambda: set(keepers(agent)) == ready, "a READY session for each keeper, and the reverse")
    for session_id in ready:
        assert name_of(keepers(agent)[session_id]) == "dcv-session-kee"
        assert child_named(session_id, "Xvnc")
        agent.delete(session_id, next(s["Owner"] for s in agent.describe()
                                      if s["Id"] == session_id))
    assert_nothing_left(agent, alice, bob)
    assert n_kills > 3 and n_created[0] > 3


def test_sessions_come_and_go_without_a_trace(agent, alice, bob):
    agent.delete(agent.create_ready(alice.name), alice.name)  # what is made once is there now
    wait_for(lambda: agent.keeper.numbers() == [], "the first one to go")
    n_fds = agent.n_fds()
    n_listener_fds = len(os.listdir(f"/proc/{agent.keeper.process.pid}/fd"))
    states, failures = [], []

    def work(user, n):
        for _ in range(n):
            try:
                session_id = agent.create_ready(user.name)
                if len(states) % 10 == 0:
                    png_size(agent.screenshot(session_id))
                agent.delete(session_id, user.name)
                states.append(session_id)
            except BaseException as error:  # pylint: disable=broad-except
                failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(user, CYCLES // 4))
               for user in (alice, bob, alice, bob)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and len(states) == CYCLES // 4 * 4
    assert_nothing_left(agent, alice, bob)
    wait_for(lambda: agent.n_fds() <= n_fds, "the agent's descriptors to be closed")
    wait_for(lambda: len(os.listdir(f"/proc/{agent.keeper.process.pid}/fd")) == n_listener_fds,
             "the listener's descriptors to be closed")
    assert sorted(os.listdir(agent.state_folder)) == ["boot", "lock", "server.json", "sessions",
                                                      "token.key"]
    # the records of sessions that ended are kept for an hour, and nothing else
    assert set(states) < {name[:-5] for name in os.listdir(agent.state_folder + "/sessions")}
    assert len(agent.describe()) == len(states) + 1


def test_a_second_agent_on_the_same_state_is_refused(agent):
    status, said = agent.start_in_vain()
    assert status == 1 and f"another agent works in {agent.state_folder}" in said
    assert agent.describe() == []


def test_without_a_keeper_nothing_begins(agent, alice):
    agent.keeper.process.send_signal(signal.SIGTERM)
    agent.keeper.process.wait(PATIENCE)
    assert "session keeper: connect to" in agent.try_create(alice.name)
    assert agent.describe() == []


@pytest.mark.parametrize("text, words", [
    ("", ["missing field: version = '0.1'"]),
    ("version = '0.1'\n[agent]\nbroker_port = 0\n",
     ["line 3", "agent.broker_port", "expected an integer from 1 to 65535", "got '0'"]),
    ("version = '0.1'\n[agent]\nbroker_host = ''\n", ["line 3", "agent.broker_host", "not empty"]),
    ("version = '0.1'\n[agent\n", ["line 2"]),
    ("version = '7'\n", ["line 1", "version", "expected one of 0.1"]),
    ("version = '0.1'\n[log]\nlevel = 'loud'\n", ["line 3", "log.level", "error|warning|info|debug"]),
    ("version = '0.1'\n[log]\ndirectory = '/no/such/folder'\n", ["/no/such/folder/agent.log"]),
])
def test_errors_of_the_settings_are_told_precisely(make_agent, text, words):
    agent = make_agent(start=False)
    with open(agent.keeper.conf, "w", encoding="utf-8") as file:
        file.write(text)
    status, said = agent.start_in_vain()
    assert status == 1 and said.count("\n") == 1, said
    if "[log]\ndirectory" not in text:
        words = [*words, agent.keeper.conf]
    for word in words:
        assert word in said, said


@pytest.mark.parametrize("kind", ["init_folder", "autorun_folder"])
def test_folders_that_others_can_write_are_refused(make_agent, kind):
    agent = make_agent(start=False)
    folder = getattr(agent.keeper, kind)
    os.chmod(folder, 0o757)
    status, said = agent.start_in_vain()
    assert status == 1 and f"agent.{kind}: {folder} can be written by others" in said
    os.chmod(folder, 0o755)
    os.chmod(agent.keeper.folder, 0o777)
    status, said = agent.start_in_vain()
    assert status == 1 and f"agent.init_folder: {agent.keeper.folder} can be written" in said
    os.chmod(agent.keeper.folder, 0o755)
    agent.start()


def test_a_broken_identity_is_an_error_not_a_new_one(agent):
    path = os.path.join(agent.state_folder, "server.json")
    agent.stop()
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"Id":')
    status, said = agent.start_in_vain()
    assert status == 1 and path in said
    os.unlink(path)
    agent.start()


def test_tags_of_the_administrator_are_shown(make_agent):
    agent = make_agent(start=False)
    folder = os.path.join(agent.folder, "tags")
    os.mkdir(folder)
    for name, text in (("10-a.toml", "gpu = 'none'\nrack = 'b4'\n"), ("20-b.toml", "rack = 'c1'\n"),
                       ("30-bad.toml", "x = 'y'\n[table]\n'dcv:os-family' = 'windows'\n")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    with open(agent.keeper.conf, encoding="utf-8") as file:
        text = file.read().replace("[agent]\n", f"[agent]\ntags_folder = '{folder}'\n")
    with open(agent.keeper.conf, "w", encoding="utf-8") as file:
        file.write(text)
    agent.start()
    tags = {t["Key"]: t["Value"]
            for t in agent.call_well("/describeServers")["Servers"][0]["Tags"]}
    assert tags == {"dcv:os-family": "linux", "dcv:max-virtual-sessions": "-1",
                    "dcv:max-concurrent-sessions-per-user": "-1", "gpu": "none", "rack": "c1"}
    assert "30-bad.toml" in agent.messages()


def test_the_command_line():
    def call(*arguments):
        done = subprocess.run([PROGRAM, *arguments], check=False,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    assert call("--help")[0] == 0 and "--keeper-run-dir" in call("--help")[1]
    assert call("--version")[1].startswith("dcv-session-manager-agent ")
    for bad in (["--no-such"], ["--conf"], ["stray"], ["--ready-fd", "x"], ["--ready-fd", "0"]):
        status, out, said = call(*bad)
        assert (status, out) == (2, "") and said, bad


def test_the_log_is_opened_again_after_it_was_moved(agent, alice):
    path = os.path.join(agent.log_folder, "agent.log")
    os.rename(path, path + ".1")
    agent.process.send_signal(signal.SIGHUP)
    wait_for(lambda: os.path.exists(path), "the new log")
    agent.create(alice.name, InitFile="none")
    with open(path, encoding="utf-8") as file:
        assert "is CREATING" in file.read()


# --- without root --------------------------------------------------------------------------------


def test_an_ordinary_user_serves_oneself(make_agent, alice, bob):
    prefix = ["setpriv", f"--reuid={alice.uid}", f"--regid={alice.gid}", "--clear-groups", "--"]
    agent = make_agent(user=alice.name, prefix=prefix)
    _, answer = agent.call_as(alice, "/describeServers")
    assert len(answer["Servers"]) == 1
    session_id = agent.create_ready(alice.name)
    assert png_size(agent.screenshot(session_id))
    said = agent.end_of(agent.create(bob.name))
    assert f"this keeper runs as {alice.name} and can only serve {alice.name}" in said
    _, answer = agent.call_as(bob, "/describeSessions")
    assert answer["Sessions"] == [] or {s["Owner"] for s in answer["Sessions"]} == {bob.name}
    agent.delete(session_id, alice.name)
    assert of_session(session_id) == [] and agent.keeper.numbers() == []
