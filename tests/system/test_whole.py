"""The whole product, as packaging/demo.sh sets it up: a client that knows only the API, and daemons that
are killed while it works.

The services are those of `demo.sh --keep`: broker and agent as a user of their own, the keeper as root,
a real user, real PAM, real Xvnc.
"""

import base64
import concurrent.futures
import contextlib
import datetime
import os
import pathlib
import pwd
import struct
import subprocess
import time

import pytest
import requests

from waiting import wait_until
from whole_helpers import demo, demo_users, kept  # noqa: F401, one is a fixture

KILL_S = float(os.environ.get("WHOLE_KILL_S", "8"))

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes users")


def orphaned_x_sockets():
    """Those of users that are no more, as the demo's are; others on this machine may start X too."""
    folder, users = pathlib.Path("/tmp/.X11-unix"), {user.pw_uid for user in pwd.getpwall()}
    found = set()
    for path in folder.glob("X*"):
        with contextlib.suppress(FileNotFoundError):
            found |= {path.name} if path.lstat().st_uid not in users else set()
    return found


def png_size(data):
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", data[16:24])


def test_the_demo_does_the_main_job_and_leaves_nothing(build, tmp_path):
    users, sockets = demo_users(), orphaned_x_sockets()
    done = demo(build, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert png_size((tmp_path / "demo.png").read_bytes()) == (1280, 800)
    assert "READY" in done.stdout and str(tmp_path / "demo.png") in done.stdout
    assert demo_users() == users
    assert not orphaned_x_sockets() - sockets
    assert not [p for p in pathlib.Path("/tmp").glob("dcv-demo.*")]


def test_the_demo_says_what_is_wrong(build, tmp_path):
    for arguments, sentence in ((["--stop", tmp_path], "nothing was kept there"),
                                (["--keep"], "--keep DIR"), (["--nonsense"], "demo.sh")):
        done = demo(build, *arguments)
        assert done.returncode != 0
        assert sentence.lower() in (done.stdout + done.stderr).lower()


def test_a_client_of_the_api_does_everything(kept):
    server = kept.server()
    assert server["Availability"] == "AVAILABLE"
    assert {"Key": "purpose", "Value": "demo"} in server["Tags"]
    session_id = kept.create(Name="naïve \"name\" $(id)\n../x \u202e", InitFile="desktop.sh",
                             AutorunFile="greet.sh", AutorunFileArguments=["a b", "$(id)"],
                             Requirements="tag:purpose = 'demo'")
    kept.await_state(session_id, "READY")
    session = kept.session(session_id)
    assert session["Name"] == "naïve \"name\" $(id)\n../x \u202e"
    assert session["Server"]["Id"] == server["Id"]
    assert session["NumOfConnections"] == 0
    # the same at the host itself
    local = kept.local("describeSessions", {"SessionIds": [session_id]})["Sessions"][0]
    assert {key: local[key] for key in ("Id", "Name", "Owner", "State", "CreationTime")} == \
           {key: session[key] for key in ("Id", "Name", "Owner", "State", "CreationTime")}
    shots = kept.call("getSessionScreenshots", [{"SessionId": session_id, "MaxWidth": 321},
                                                {"SessionId": "gone"}])
    image = shots["SuccessfulList"][0]["SessionScreenshot"]["Images"][0]
    assert image["Primary"] is True
    assert png_size(base64.b64decode(image["Data"])) == (160, 100)
    assert shots["UnsuccessfulList"][0]["FailureReason"] == "Dcv session not found."
    data = kept.call(f"sessionConnectionData/{session_id}/{kept.user}", method="GET")
    assert data["Session"]["Id"] == session_id and data["ConnectionToken"]
    kept.delete(session_id)
    reply = kept.call("deleteSessions", [{"SessionId": session_id, "Owner": kept.user}])
    assert reply["UnsuccessfulList"] == [
        {"SessionId": session_id, "FailureReason": "The requested dcvSession does not exist"}]


def test_what_cannot_be_created_says_why(kept):
    wrong = {"root": "system accounts", "daemon": "system accounts", "nobodyhere": "not found"}
    reply = kept.call("createSessions", [
        {"Name": owner, "Owner": owner, "Type": "VIRTUAL"} for owner in wrong]
        + [{"Name": "absent", "Owner": kept.user, "Type": "VIRTUAL", "InitFile": "absent.sh"}])
    for entry in reply["SuccessfulList"]:
        kept.await_state(entry["Id"], "DELETED")
        reason = kept.session(entry["Id"])["StateReason"]
        assert wrong.get(entry["Name"], "absent.sh") in reason, reason


@pytest.mark.parametrize("wrong", [{"Owner": "nobodyhere"}, {"Owner": "daemon"},
                                   {"InitFile": "absent.sh"}])
def test_requests_that_are_wrong_are_not_held_against_the_host(kept, wrong):
    for _ in range(4):  # three failures of its own would set it back
        session_id = kept.create(**wrong)
        kept.await_state(session_id, "DELETED")
        assert "FailureCode" not in kept.session(session_id)
        local = kept.local("describeSessions", {"SessionIds": [session_id]})["Sessions"][0]
        assert local["State"] == "DELETED" and "FailureCode" not in local
    placement = kept.command("describe-placement")
    assert f"{kept.server()['Id']} (" in placement and "failures=0)" in placement, placement
    session_id = kept.create()  # and not enqueued: it fails where there is no host for it
    kept.await_state(session_id, "READY")
    kept.delete(session_id)


def test_a_broken_permission_file_is_told_by_its_line_and_changes_nothing(kept):
    broken = base64.b64encode(b"[permissions]\n%owner% allow everything\n").decode()
    reason = "Invalid permissions file, line 2: unknown feature everything"
    for wrong, told in ((broken, reason), ("/x!", "PermissionsFile is not valid base64")):
        session_id = kept.create(PermissionsFile=wrong)
        kept.await_state(session_id, "DELETED")
        assert kept.session(session_id)["StateReason"] == told
    assert "failures=0)" in kept.command("describe-placement")
    session_id = kept.create()
    kept.await_state(session_id, "READY")
    reply = kept.call("sessionPermissions", [
        {"SessionId": session_id, "Owner": kept.user, "PermissionsFile": broken}], method="PUT")
    assert reply["UnsuccessfulList"] == [{"SessionId": session_id, "FailureReason": reason}]
    assert kept.state(session_id) == "READY"
    kept.delete(session_id)


def test_sessions_survive_the_death_of_broker_and_agent(kept):
    session_id = kept.create()
    kept.await_state(session_id, "READY")
    kept.kill("agent")
    kept.kill("broker")
    kept.start("broker")
    kept.start("agent")
    kept.sign_in()
    kept.await_agent()
    kept.await_state(session_id, "READY")
    kept.delete(session_id)


@pytest.mark.parametrize("offset", ["-3600s", "+3600s"])
def test_an_agent_whose_clock_is_an_hour_off_works(kept, offset, fake_time):
    kept.kill("agent")
    # by hand: the program faketime would be a process between us and the agent
    kept.start("agent", "env", *(f"{name}={value}" for name, value in fake_time(offset).items()))
    kept.await_agent()
    (server,) = kept.local("describeServers", {})["Servers"]
    assert abs(server["Local"]["ClockSkewMilliseconds"] / 1000 - int(offset[:-1])) < 60
    assert server["Local"]["BrokerCertificateDaysLeft"] > 0
    before = time.time()
    session_id = kept.create()
    kept.await_state(session_id, "READY")
    created = datetime.datetime.fromisoformat(kept.session(session_id)["CreationTime"][:-1])
    assert abs(created.replace(tzinfo=datetime.timezone.utc).timestamp() - before) < 60
    kept.delete(session_id)
    kept.kill("agent")
    kept.start("agent")
    kept.await_agent()


def test_a_create_that_the_broker_accepted_outlives_the_broker(kept):
    ids = [kept.create() for _ in range(3)]
    kept.kill("broker")
    kept.start("broker")
    kept.sign_in()
    for session_id in ids:
        kept.await_state(session_id, "READY", patience_s=90)
    for session_id in ids:
        kept.delete(session_id)


def test_killing_the_agent_again_and_again_ends_with_a_consistent_list(kept):
    """Sessions are made and deleted while the agent is killed; whatever is said to live does."""
    end = time.monotonic() + KILL_S

    def churn(number):
        made = []
        while time.monotonic() < end:
            with contextlib.suppress(AssertionError, requests.RequestException):
                made.append(kept.create(Name=f"churn-{number}", EnqueueRequest=True))
            if len(made) > 2:
                with contextlib.suppress(requests.RequestException):
                    kept.http.post(kept.env["BROKER_URL"] + "/deleteSessions", timeout=10,
                                   json=[{"SessionId": made.pop(0), "Owner": kept.user}])
            # the pace of a client, not a wait for something
            time.sleep(0.2)
        return made

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(churn, n) for n in range(3)]
        while time.monotonic() < end:
            kept.kill("agent")
            kept.start("agent")
            time.sleep(0.7)
        for worker in workers:
            worker.result()
    kept.await_agent()

    def settled():
        states = {s["Id"]: s["State"] for s in kept.call("describeSessions")["Sessions"]}
        return set(states.values()) <= {"READY", "DELETED"} and states

    wait_until(settled, 150, "every session READY or DELETED")
    at_broker = kept.living()
    at_agent = {s["Id"] for s in kept.local("describeSessions", {})["Sessions"]
                if s["State"] != "DELETED"}
    assert at_agent == at_broker
    folders = [f for f in (kept.folder / "keepers").iterdir() if f.name.isdigit()]
    assert len(folders) == len(at_agent)
    for session_id in at_broker:
        kept.delete(session_id)
    wait_until(lambda: not [f for f in (kept.folder / "keepers").iterdir() if f.name.isdigit()], 20,
               "the keepers' folders")
    left = subprocess.run(["pgrep", "-u", kept.user], capture_output=True, text=True)
    assert left.stdout == ""
