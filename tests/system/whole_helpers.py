"""The whole product, as packaging/demo.sh sets it up: broker and agent as a user of their own, the keeper
as root, a real user, real PAM, real Xvnc."""

import os
import json
import pathlib
import pwd
import select
import shlex
import signal
import subprocess

import pytest
import requests

import api_schema
from waiting import PATIENCE_S, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ["sh", str(ROOT / "packaging/demo.sh")]


def demo(build, *arguments, cwd="/"):
    return subprocess.run([*DEMO, *map(str, arguments)], cwd=cwd, text=True, timeout=240,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          env={**os.environ, "DCV_BUILD": str(build)})


def demo_users():
    return {user.pw_name for user in pwd.getpwall() if user.pw_name.startswith("dcvdemo-")}


class Kept:
    """What `demo.sh --keep` left, seen by somebody who has read its demo.env and the API."""

    def __init__(self, folder, build, children):
        self.folder = folder
        self.build = build
        self.children = children  # what this process started, to be waited for
        self.env = dict(word.split("=", 1) for word in
                        shlex.split((folder / "demo.env").read_text()))
        self.user = self.env["DEMO_USER"]
        self.http = requests.Session()
        self.http.trust_env = False  # or REQUESTS_CA_BUNDLE would be believed instead
        self.http.verify = self.env["BROKER_CA"]
        self.sign_in()

    def sign_in(self):
        reply = self.http.post(
            self.env["BROKER_URL"] + "/oauth2/token?grant_type=client_credentials",
            auth=(self.env["CLIENT_ID"], self.env["CLIENT_PASSWORD"]), timeout=10)
        assert reply.status_code == 200, reply.text
        self.http.headers["Authorization"] = "Bearer " + reply.json()["access_token"]

    def call(self, operation, body=None, method="POST"):
        reply = self.http.request(method, f"{self.env['BROKER_URL']}/{operation}", json=body,
                                  timeout=10)
        assert reply.status_code == 200, reply.text
        api_schema.check_reply(reply)
        return reply.json()

    def local(self, operation, body):
        """The same at the agent's own socket."""
        words = subprocess.run(
            ["curl", "-s", "--max-time", "10", "--unix-socket", self.env["AGENT_SOCKET"],
             f"http://localhost/{operation}", "--data-binary", "@-"],
            input=json.dumps(body), text=True, capture_output=True, check=True)
        return json.loads(words.stdout)

    def create(self, **fields):
        body = {"Name": "whole", "Owner": self.user, "Type": "VIRTUAL", "InitFile": "quiet.sh",
                **fields}
        reply = self.call("createSessions", [body])
        assert reply["UnsuccessfulList"] == [], reply
        return reply["SuccessfulList"][0]["Id"]

    def session(self, session_id):
        sessions = self.call("describeSessions", {"SessionIds": [session_id]})["Sessions"]
        return sessions[0] if sessions else None

    def state(self, session_id):
        session = self.session(session_id)
        return session["State"] if session else None

    def await_state(self, session_id, *wanted, patience_s=PATIENCE_S):
        return wait_until(lambda: self.state(session_id) in wanted, patience_s,
                          f"{session_id} in {wanted}, last {self.session(session_id)}")

    def delete(self, session_id):
        reply = self.call("deleteSessions", [{"SessionId": session_id, "Owner": self.user}])
        assert [entry["State"] for entry in reply["SuccessfulList"]] == ["DELETING"], reply
        self.await_state(session_id, "DELETED")

    def living(self):
        return {s["Id"] for s in self.call("describeSessions")["Sessions"]
                if s["State"] not in ("DELETED",)}

    def pid(self, name):
        return int((self.folder / f"{name}.pid").read_text())

    def kill(self, name):
        """kill -9, and wait until it is gone."""
        fd = os.pidfd_open(self.pid(name))
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        assert select.select([fd], [], [], 10)[0], f"{name} does not end"
        os.close(fd)

    def start(self, name, *wrapper):
        """Start it again as demo.sh did; returns when it says that it is ready."""
        env, user = self.env, self.env["SERVICE_USER"]
        programs = {
            "broker": [self.build / "dcv-session-manager-broker", "--conf", env["BROKER_CONF"]],
            "agent": [self.build / "dcv-session-manager-agent", "--conf", env["AGENT_CONF"],
                      "--state-dir", self.folder / "agent-state", "--socket", env["AGENT_SOCKET"],
                      "--keeper-socket", env["KEEPER_SOCKET"],
                      "--keeper-run-dir", self.folder / "keepers"],
        }
        read_fd, write_fd = os.pipe()
        with open(self.folder / f"{name}.log", "ab") as log:
            if name == "agent":
                self.agent_log_start = log.tell()
            process = subprocess.Popen(
                ["setpriv", "--reuid", user, "--regid", user, "--init-groups",
                 *wrapper, *map(str, programs[name]), "--ready-fd", str(write_fd)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[write_fd],
                start_new_session=True)
        os.close(write_fd)
        with open(read_fd, "rb") as ready:
            assert ready.readline() == b"ready\n", (self.folder / f"{name}.log").read_text()[-2000:]
        (self.folder / f"{name}.pid").write_text(str(process.pid))
        self.children.append(process)

    def command(self, *arguments):
        """What the broker's program says to a command of an administrator."""
        return subprocess.run(
            [self.build / "dcv-session-manager-broker", arguments[0], "--conf",
             self.env["BROKER_CONF"], *arguments[1:]],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60).stdout

    def server(self):
        return self.call("describeServers")["Servers"][0]

    def await_agent(self):
        """Until the broker has answered a report of the agent that was started last."""
        log = self.folder / "agent.log"
        wait_until(lambda: b"sessionsUpdateResponse" in log.read_bytes()[self.agent_log_start:], 60,
                   "the agent at the broker")


@pytest.fixture(scope="module")
def kept(build, tmp_path_factory):
    # a short path: sockets lie below it
    folder = pathlib.Path("/tmp") / f"dcv-kept-{tmp_path_factory.mktemp('kept').name}-{os.getpid()}"
    done = demo(build, "--keep", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    children = []
    try:
        quiet = folder / "init/quiet.sh"
        quiet.write_text("#!/bin/sh\nexec sleep 100000\n")
        quiet.chmod(0o755)
        conf = folder / "agent.conf"
        conf.write_text(conf.read_text().replace("max_concurrent_sessions_per_user = 4",
                                                 "max_concurrent_sessions_per_user = 40\n"
                                                 "settle_time = 0"))
        whole = Kept(folder, build, children)
        whole.kill("agent")
        whole.start("agent")
        whole.await_agent()
        yield whole
    finally:
        done = demo(build, "--stop", folder)
        assert done.returncode == 0, done.stdout + done.stderr
        for process in children:
            process.wait(20)
    assert not folder.exists()
    assert whole.user not in demo_users()
