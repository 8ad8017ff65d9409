"""A real agent with a real keeper in temporary folders, the API over its socket, and callers of it."""

import base64
import http.client
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import zlib

from dcv_helpers import DcvServer
from keeper_helpers import BUILD, PATIENCE, Gone, Keeper, of_session, pids

PROGRAM = os.path.join(BUILD, "dcv-session-manager-agent")
SLEEP = "#!/bin/sh\nexec sleep 100000\n"
NO_SUCH_SESSION = "The requested dcvSession does not exist"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def request(path, method, target, body=None):
    """(status, parsed body) of one request over a Unix socket; @body: bytes, or what becomes JSON."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    connection = UnixConnection(path)
    try:
        connection.request(method, target, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


class Agent:
    """A keeper's listener and an agent that works with it. `settings` are lines of [agent]."""

    def __init__(self, settings="", log="", start=True, user=None, prefix=(), keeper_options=(),
                 state_folder=None, umask=-1, create_timeout=30, delete_grace=1, engine="x11",
                 dcv=None):
        self.folder = tempfile.mkdtemp(prefix="agent-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.state_folder = state_folder or os.path.join(self.folder, "state")
        self.log_folder = os.path.join(self.folder, "log")
        self.socket = os.path.join(self.folder, "agent.sock")
        self.prefix, self.umask = prefix, umask
        self.process = None
        # a uid may have been somebody's before who has left something there
        self.x_sockets_before = set(os.listdir("/tmp/.X11-unix"))
        self.output = os.path.join(self.folder, "output")
        os.mkdir(self.log_folder)
        if user:
            shutil.chown(self.folder, user)
            shutil.chown(self.log_folder, user)
        if "max_concurrent_sessions_per_user" not in settings:
            settings += "\nmax_concurrent_sessions_per_user = -1\n"
        self.dcv = DcvServer(**(dcv or {})) if engine == "dcv" else None
        if self.dcv:
            settings += self.dcv.settings()
        settings += f"\n[log]\ndirectory = '{self.log_folder}'\n{log}\n"
        self.keeper = Keeper(prefix=prefix, user=user, settings=settings, options=keeper_options,
                             create_timeout=create_timeout, delete_grace=delete_grace)
        self.keeper.init(SLEEP)
        if start:
            self.start()

    # --- the process -----------------------------------------------------------------------------

    def arguments(self):
        return [*self.prefix, PROGRAM, "--conf", self.keeper.conf, "--state-dir", self.state_folder,
                "--socket", self.socket, "--keeper-socket", self.keeper.path,
                "--keeper-run-dir", self.keeper.run_dir, "--keeper-log-dir", self.keeper.log_dir,
                "--handover-dir", os.path.join(self.folder, "handover"),
                "--session-init", os.path.join(BUILD, "dcv-session-init")]

    def start(self):
        """Start it and wait until it is ready."""
        read_fd, write_fd = os.pipe()
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                [*self.arguments(), "--ready-fd", str(write_fd)], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, pass_fds=(write_fd,), umask=self.umask)
        os.close(write_fd)
        try:
            assert select.select([read_fd], [], [], PATIENCE)[0], "the agent does not get ready"
            assert os.read(read_fd, 16) == b"ready\n", self.messages()
        finally:
            os.close(read_fd)

    def start_in_vain(self):
        """Start it for what it says when it does not run: (exit status, its messages)."""
        done = subprocess.run(self.arguments(), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        return done.returncode, done.stderr

    def messages(self):
        with open(self.output, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, number=signal.SIGTERM):
        """Its exit status. Its sessions go on."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        assert self.stop() == 0, self.messages()
        self.start()

    def done(self):
        try:
            if self.process:
                assert self.stop() in (0, -signal.SIGKILL), self.messages()
        finally:
            self.end_sessions()
            self.keeper.done()
            if self.dcv:
                self.dcv.done()
            shutil.rmtree(self.folder, ignore_errors=True)

    def end_sessions(self):
        """End all sessions, those that are only about to begin too."""
        deadline = time.monotonic() + PATIENCE
        while any(self.keeper.path.encode() in command_line(pid) for pid in pids()
                  if pid != self.keeper.process.pid):
            assert time.monotonic() < deadline, "sessions do not end"
            for number in self.keeper.numbers():
                try:
                    control = self.keeper.control(number)
                    control.stop()
                    control.until("ended", "failed")
                except (OSError, Gone):
                    pass
            select.select([], [], [], 0.01)

    def n_fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def output_of_autorun(self, session_id):
        """What the autorun file has printed."""
        if self.dcv:
            return self.dcv.output()
        return self.keeper.log_of(session_id).decode().replace("autorun: ", "")

    def n_living(self):
        """How many sessions there are, by those who hold them."""
        return len(self.dcv.sessions() if self.dcv else self.keeper.numbers())

    # --- the API ---------------------------------------------------------------------------------

    def call(self, target, body=None, method="POST"):
        return request(self.socket, method, target, body)

    def call_well(self, target, body=None, method="POST"):
        status, answer = self.call(target, body, method)
        assert status == 200, answer
        return answer

    def call_as(self, user, target, body=None, method="POST", groups=()):
        """The same, by a process of this user with these supplementary groups."""
        read_fd, write_fd = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setgroups(list(groups))
                os.setresgid(user.gid, user.gid, user.gid)
                os.setresuid(user.uid, user.uid, user.uid)
                answer = json.dumps(request(self.socket, method, target, body)).encode()
                with os.fdopen(write_fd, "wb") as pipe:
                    pipe.write(answer)
            finally:
                os._exit(0)
        os.close(write_fd)
        with os.fdopen(read_fd, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(pid, 0)
        return tuple(json.loads(answer))

    def try_create(self, owner, **fields):
        """The answer to one entry: the session, or the sentence of the refusal."""
        body = {"Name": "test", "Owner": owner, "Type": "VIRTUAL", "InitFile": "init.sh", **fields}
        body = {name: value for name, value in body.items() if value is not None}
        answer = self.call_well("/createSessions", [body])
        assert len(answer["SuccessfulList"]) + len(answer["UnsuccessfulList"]) == 1
        if answer["SuccessfulList"]:
            return answer["SuccessfulList"][0]
        assert answer["UnsuccessfulList"][0]["CreateSessionRequestData"] == body
        return answer["UnsuccessfulList"][0]["FailureReason"]

    def create(self, owner, **fields):
        """The id of a session that has begun."""
        session = self.try_create(owner, **fields)
        assert isinstance(session, dict), session
        assert (session["State"], session["Substate"]) == ("CREATING", "SESSION_PLACING")
        return session["Id"]

    def create_ready(self, owner, **fields):
        session_id = self.create(owner, **fields)
        self.wait_for(session_id, "READY")
        return session_id

    def describe(self, **fields):
        return self.call_well("/describeSessions", fields)["Sessions"]

    def find(self, session_id):
        found = self.describe(SessionIds=[session_id])
        return found[0] if found else None

    def wait_for(self, session_id, state):
        """The session when it has this state; no other final one comes before."""
        deadline = time.monotonic() + PATIENCE
        while True:
            session = self.find(session_id)
            if session["State"] == state:
                return session
            assert session["State"] != "DELETED" and time.monotonic() < deadline, session
            select.select([], [], [], 0.01)

    def end_of(self, session_id):
        """The StateReason of a session that ends by itself."""
        return self.wait_for(session_id, "DELETED").get("StateReason")

    def try_delete(self, session_id, owner):
        answer = self.call_well("/deleteSessions", [{"SessionId": session_id, "Owner": owner}])
        if answer["SuccessfulList"]:
            assert answer["SuccessfulList"] == [{"SessionId": session_id, "State": "DELETING"}]
            return None
        return answer["UnsuccessfulList"][0]["FailureReason"]

    def delete(self, session_id, owner):
        """Delete, and wait until it is done."""
        assert self.try_delete(session_id, owner) is None
        self.wait_for(session_id, "DELETED")
        assert of_session(session_id) == []

    def try_screenshot(self, session_id, **fields):
        answer = self.call_well("/getSessionScreenshots", [{"SessionId": session_id, **fields}])
        if answer["SuccessfulList"]:
            return answer["SuccessfulList"][0]["SessionScreenshot"]
        return answer["UnsuccessfulList"][0]["FailureReason"]

    def screenshot(self, session_id, **fields):
        """The one image of a session."""
        shot = self.try_screenshot(session_id, **fields)
        assert isinstance(shot, dict), shot
        assert shot["SessionId"] == session_id
        assert [image["Primary"] for image in shot["Images"]] == [True]
        return base64.b64decode(shot["Images"][0]["Data"], validate=True)


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def png_size(png):
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def png_first_pixel(png):
    """Red, green and blue at the top left: there, no filter has anything to add."""
    at, data = 8, b""
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at:at + 8])
        if kind == b"IDAT":
            data += png[at + 8:at + 8 + size]
        at += size + 12
    assert png[24:26] == b"\x08\x02", "8 bits RGB"
    return tuple(zlib.decompress(data)[1:4])
