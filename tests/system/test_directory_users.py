"""Users of a directory: names such as CORP\\mira and mira@corp.example, from name services that are slow
to know them. The directory is a double, a real module of glibc's name services."""

import base64
import contextlib
import json
import os
import random
import shutil
import subprocess
import threading
import types

import pytest

from agent_helpers import NO_SUCH_SESSION, Agent, png_size, request
from conftest import let_everybody_reach
from keeper_helpers import BUILD, PATIENCE, wait_for
from namespace_helpers import namespace

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces, and sessions of other users, need root"),
    pytest.mark.skipif(not shutil.which("Xvnc"), reason="needs Xvnc"),
]

TRIES = 3
SHOWS = ("#!/bin/sh\nprintf '%s\\n' \"I am $USER=$LOGNAME, $DCV_SESSION_OWNER, $(id -u) in $(pwd) with $(id -G)\"\n"
         "exec sleep 100000\n")


class Directory:
    """A namespace whose name services ask the double after the files."""

    def __init__(self, folder, prefix):
        self.folder = folder
        self.environment = {"LD_LIBRARY_PATH": os.path.join(BUILD, "doubles"),
                            "DCV_NSS_DOUBLE": str(folder)}
        self.prefix = (*prefix, "env", *(f"{name}={value}" for name, value
                                         in self.environment.items()))
        self.homes = []

    def add(self, asked, name=None, failure="notfound", n_failures=0, shell="/bin/sh", uid=None):
        """A user with a home folder, as accounts of the system are in other tests; with the uid of one
        who is there already, another name of theirs."""
        home = self.folder / f"home-{uid}"
        if not uid:
            uid = random.randrange(700000, 1800000000)
            home = self.folder / f"home-{uid}"
            home.mkdir(mode=0o700)
            os.chown(home, uid, uid)
        user = types.SimpleNamespace(name=name or asked, uid=uid, gid=uid, home=str(home))
        with open(self.folder / "users", "a", encoding="utf-8") as file:
            file.write(f"{asked}:{user.name}:{uid}:{uid}:{home}:{shell}:{failure}:{n_failures}\n")
        return user

    def n_asked(self, name):
        return (self.folder / "asked").read_text().splitlines().count(name)

    def run(self, *command):
        return subprocess.run([*self.prefix, *command], capture_output=True, text=True, timeout=60,
                              check=False)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("directory")
    (folder / "nsswitch.conf").write_text(
        "passwd: files dcvdouble\ngroup: files dcvdouble\nshadow: files\n")
    (folder / "groups").write_text("CORP\\staff:1900000001:CORP\\olga,olga@corp.example\n")
    (folder / "asked").write_text("")
    for name in ("asked", "users"):
        (folder / name).touch()
        (folder / name).chmod(0o666)  # users ask, too
    folder.chmod(0o755)
    let_everybody_reach(folder)
    script = f"mount --bind {folder}/nsswitch.conf /etc/nsswitch.conf; echo ready; read line"
    with namespace("-m", script=script) as prefix:
        yield Directory(folder, prefix)


@pytest.fixture(scope="module")
def agent(directory):
    made = Agent(prefix=directory.prefix, settings=f"user_lookup_tries = {TRIES}")
    made.keeper.init(SHOWS, "shows.sh")
    yield made
    made.done()


@pytest.mark.parametrize("owner, name, failure", [
    ("CORP\\mira", "CORP\\mira", "notfound"),
    ("olga@corp.example", "olga@corp.example", "tryagain"),
    ("CORP\\olga", "olga@corp.example", "unavail"),
])
def test_a_user_whom_a_cold_cache_does_not_know_at_first_gets_a_session(
        directory, agent, owner, name, failure):
    user = directory.add(owner, name, failure, n_failures=TRIES - 1)
    session_id = agent.create_ready(owner, InitFile="shows.sh")
    assert agent.find(session_id)["Owner"] == owner
    assert directory.n_asked(owner) >= TRIES
    wait_for(lambda: b"init: I am" in agent.keeper.log_of(session_id), "its first program")
    groups = " 1900000001" if "olga" in owner else ""
    assert (f"init: I am {name}={name}, {name}, {user.uid} in {user.home} with {user.uid}{groups}"
            in agent.keeper.log_of(session_id).decode())
    # every operation takes the name as it was given
    assert [s["Id"] for s in agent.describe(Filters=[{"Key": "owner", "Value": owner}])] == [session_id]
    assert png_size(agent.screenshot(session_id))
    rights = base64.b64encode(f"[permissions]\n{owner} allow display\n".encode()).decode()
    answer = agent.call_well("/sessionPermissions", [
        {"SessionId": session_id, "Owner": owner, "PermissionsFile": rights}], "PUT")
    assert [done["SessionId"] for done in answer["SuccessfulList"]] == [session_id]
    quoted = owner.replace("\\", "%5C").replace("@", "%40")
    data = agent.call_well(f"/sessionConnectionData/{session_id}/{quoted}", method="GET")
    assert data["Session"]["Owner"] == owner
    agent.restart()
    assert agent.find(session_id)["State"] == "READY"
    agent.delete(session_id, owner)


def test_a_user_of_the_directory_is_a_caller_like_any_other(directory, agent):
    mira, yann = directory.add("CORP\\yann"), directory.add("CORP\\zoe")
    session_id = agent.create_ready("CORP\\yann")
    status, answer = agent.call_as(mira, "/describeSessions")
    assert (status, [s["Id"] for s in answer["Sessions"]]) == (200, [session_id])
    assert agent.call_as(yann, "/describeSessions")[1]["Sessions"] == []
    wanted = {"SessionId": session_id, "Owner": "CORP\\yann"}
    answer = agent.call_as(yann, "/deleteSessions", [wanted])[1]
    assert answer["UnsuccessfulList"][0]["FailureReason"] == NO_SUCH_SESSION
    answer = agent.call_as(yann, "/createSessions", [
        {"Name": "n", "Owner": "CORP\\yann", "Type": "VIRTUAL"}])[1]
    assert "user CORP\\zoe may create sessions for themselves only" in json.dumps(answer).replace("\\\\", "\\")
    answer = agent.call_as(mira, "/deleteSessions", [wanted])[1]
    assert answer["SuccessfulList"] == [{"SessionId": session_id, "State": "DELETING"}]


def test_all_names_of_an_account_are_one_owners(directory):
    one, other = "CORP\\both", "both@corp.example"
    user = directory.add(one, other)
    directory.add(other, uid=user.uid)
    agent = Agent(prefix=directory.prefix, settings="max_concurrent_sessions_per_user = 1")
    reason = f"user {other} has the allowed 1 sessions on this host"
    try:
        session_id = agent.create_ready(one)
        assert [s["Owner"] for s in agent.call_as(user, "/describeSessions")[1]["Sessions"]] == [one]
        assert agent.try_create(other) == reason
        agent.restart()
        assert agent.try_create(other) == reason
        # the account's own name goes where the other one was given
        answer = agent.call_as(user, "/deleteSessions", [{"SessionId": session_id, "Owner": other}])[1]
        assert answer["SuccessfulList"]
        agent.wait_for(session_id, "DELETED")
        # whose name this is shows late
        session_id = agent.create_ready(other)
        assert agent.end_of(agent.create(one)) == reason
        assert agent.find(session_id)["State"] == "READY"
    finally:
        agent.done()


def test_dcvctl_takes_and_shows_names_of_a_directory(directory, agent):
    directory.add("CORP\\ivan")

    def dcvctl(*arguments):
        done = directory.run(os.path.join(BUILD, "dcvctl"), "--socket", agent.socket, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    session_id = json.loads(dcvctl(
        "--output", "json", "create-session", "--name", "n", "--owner", "CORP\\ivan", "--type", "virtual",
        "--init-file-path", "init.sh", "--wait"))["SuccessfulList"][0]["Id"]
    assert "CORP\\ivan" in dcvctl("describe-sessions", "--owner", "CORP\\ivan")
    assert dcvctl("get-session-connection-data", "--session-id", session_id, "--user", "CORP\\ivan")
    dcvctl("delete-session", "--session-id", session_id, "--owner", "CORP\\ivan")


def test_permission_files_know_users_and_groups_of_a_directory(directory, tmp_path):
    path = tmp_path / "f.perm"
    path.write_text("[groups]\npeople = osgroup:CORP\\staff\n[permissions]\ngroup:people allow display\n"
                    "CORP\\mira allow mouse\nmira@corp.example allow keyboard\n")

    def features(user):
        done = directory.run(os.path.join(BUILD, "dcvctl"), "check-permissions", str(path), "--user",
                             user, "--output", "json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)["Features"]

    assert features("CORP\\olga") == ["display"]
    assert features("CORP\\mira") == ["mouse"]
    assert features("mira@corp.example") == ["keyboard"]
    assert features("mira") == []


@pytest.mark.parametrize("failure, reason", [
    ("notfound", "user not found: CORP\\nobody-notfound (asked 3 times)"),
    ("tryagain", "name services do not tell who user CORP\\nobody-tryagain is: "
     "Resource temporarily unavailable (asked 3 times)"),
])
def test_whom_the_directory_never_knows_gets_no_session_and_a_reason(directory, agent, failure, reason):
    owner = f"CORP\\nobody-{failure}"
    directory.add(owner, failure=failure, n_failures=-1)
    assert agent.end_of(agent.create(owner)) == reason
    assert directory.n_asked(owner) == TRIES


def test_a_directory_account_without_a_login_shell_gets_no_session(directory, agent):
    directory.add("shell@corp.example", shell="/usr/sbin/nologin")
    assert agent.end_of(agent.create("shell@corp.example")) == (
        "user shell@corp.example has no login shell (/usr/sbin/nologin)")


@contextlib.contextmanager
def held_up(directory, agent, user):
    """While a call of this user waits for the directory. Gives the list where its answer goes."""
    answers, hold = [], directory.folder / "hold"

    def call():
        with contextlib.suppress(ValueError):  # hung up on
            answers.append(agent.call_as(user, "/describeSessions"))

    os.mkfifo(hold)
    os.chmod(hold, 0o666)
    thread = threading.Thread(target=call)
    thread.start()
    fd = os.open(hold, os.O_WRONLY)  # returns when somebody asks, who waits from then on
    try:
        yield answers
    finally:
        hold.unlink()
        os.write(fd, b"x")
        os.close(fd)
        thread.join()


def test_a_directory_that_does_not_answer_holds_up_only_whom_it_knows(directory, agent):
    user = directory.add("CORP\\slow")
    with held_up(directory, agent, user) as answers:
        assert request(agent.socket, "POST", "/describeSessions", {})[0] == 200
        assert answers == []
    assert [(status, answer["Sessions"]) for status, answer in answers] == [(200, [])]


def test_an_agent_that_is_told_to_stop_while_somebody_waits_for_a_directory_ends_in_order(
        directory, agent):
    user = directory.add("CORP\\late")
    n_stopped = agent.messages().count("agent stops")
    with held_up(directory, agent, user):
        agent.process.terminate()
        wait_for(lambda: agent.messages().count("agent stops") > n_stopped, "the agent to hear it")
    assert agent.process.wait(PATIENCE) == 0, agent.messages()
    agent.start()
