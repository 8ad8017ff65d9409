"""The real broker in a temporary folder, and ways to talk to it."""

import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

import requests
import urllib3

import api_schema
from link_client import AgentDouble
from ports import free_port

urllib3.disable_warnings()
BUILD = os.environ.get("DCV_BUILD", os.path.join(os.path.dirname(__file__), "../../build"))
PROGRAM = os.path.join(BUILD, "dcv-session-manager-broker")


def raw(port, data, wait=True):
    """Bytes to 127.0.0.1, as they are: what comes back until the end, or the open socket."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10))
    try:
        sock.sendall(data)
    except OSError:
        pass  # hung up on already
    if not wait:
        return sock
    reply = b""
    try:
        while piece := sock.recv(65536):
            reply += piece
    except OSError:
        pass
    return reply


class Broker:
    def __init__(self, **settings):
        self.folder = tempfile.mkdtemp(prefix="broker-")
        self.port, self.agent_port = free_port(), free_port()
        self.conf = os.path.join(self.folder, "broker.properties")
        self.settings = {
            "session-manager-working-path": self.folder,
            "client-to-broker-connector-https-port": self.port,
            "client-to-broker-connector-bind-host": "127.0.0.1",
            "agent-to-broker-connector-https-port": self.agent_port,
            "agent-to-broker-connector-bind-host": "127.0.0.1",
            "log-directory": os.path.join(self.folder, "log"), "log-level": "debug"}
        self.settings.update({k.replace("_", "-"): v for k, v in settings.items()})
        self.process = None
        self.token = None
        self.agents = []
        self.http = requests.Session()
        self.http.trust_env = False  # the environment may name other authorities
        self.http.verify = os.path.join(self.folder, "security/dcvsmbroker_ca.pem")
        self.write_conf()

    def write_conf(self):
        with open(self.conf, "w") as f:
            f.writelines(f"{k} = {v}\n" for k, v in self.settings.items())
        os.chmod(self.conf, 0o600)

    def start(self, prefix=()):
        """Run it, by the command `prefix` if there is one, and wait until it is ready."""
        read, write = os.pipe()
        self.process = subprocess.Popen(
            [*prefix, PROGRAM, "--conf", self.conf, "--ready-fd", str(write)], pass_fds=(write,),
            stderr=open(os.path.join(self.folder, "stderr"), "ab"))
        os.close(write)
        with os.fdopen(read) as pipe:
            line = pipe.readline()
        assert line == "ready\n", self.errors()
        return self

    def errors(self):
        with open(os.path.join(self.folder, "stderr"), errors="replace") as f:
            return f.read()

    def log(self):
        """What is in its log, of yesterday, too: a day may have begun meanwhile."""
        folder = pathlib.Path(self.settings["log-directory"])
        return "".join(path.read_text(encoding="utf-8", errors="replace")
                       for path in (folder / "broker.log.1", folder / "broker.log") if path.exists())

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(15) == 0, self.errors()
        self.process = None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def done(self):
        try:
            self.stop()
            errors = self.errors()
            assert "Sanitizer" not in errors and "runtime error" not in errors, errors
            assert "left open" not in errors, errors
        finally:
            if self.process:
                self.kill()
            shutil.rmtree(self.folder)

    def command(self, *arguments, check=True):
        result = subprocess.run([PROGRAM, arguments[0], "--conf", self.conf, *arguments[1:]],
                                capture_output=True, text=True, timeout=60)
        assert not check or result.returncode == 0, result.stderr
        return result

    def url(self, path):
        return f"https://localhost:{self.port}{path}"

    def register_client(self, name="web"):
        out = self.command("register-api-client", "--client-name", name).stdout
        lines = dict(line.split(": ", 1) for line in out.splitlines())
        return lines["client-id"], lines["client-password"]

    def log_in(self):
        self.credentials = self.register_client()
        reply = self.http.post(self.url("/oauth2/token?grant_type=client_credentials"),
                               auth=self.credentials, timeout=10)
        assert reply.status_code == 200, reply.text
        self.token = reply.json()["access_token"]
        return self

    def call(self, path, body=None, method="POST", timeout=12):
        """An operation; whatever is answered must be what the API's description allows."""
        reply = self.http.request(method, self.url(path), json=body, timeout=timeout,
                                  headers={"Authorization": f"Bearer {self.token}"})
        api_schema.check_reply(reply)
        return reply

    def ok(self, path, body=None, method="POST"):
        reply = self.call(path, body, method)
        assert reply.status_code == 200, reply.text
        return reply.json()

    @property
    def statement(self):
        with open(os.path.join(self.folder, "security/default-software-statement")) as f:
            return f.read()

    def agent(self, name="host", connect=True, **more):
        agent = AgentDouble(self.agent_port, self.statement, name, **more)
        self.agents.append(agent)
        return agent.connect() if connect else agent

    def create(self, **more):
        reply = self.ok("/createSessions", [{"Name": "n", "Owner": "mira", "Type": "VIRTUAL", **more}])
        assert reply["UnsuccessfulList"] == [], reply
        return reply["SuccessfulList"][0]["Id"]

    def session(self, identity):
        found = self.ok("/describeSessions", {"SessionIds": [identity]})["Sessions"]
        return found[0] if found else None

    def state(self, identity):
        session = self.session(identity)
        return session and session["State"]

    def delete(self, identity, owner="mira", **more):
        return self.ok("/deleteSessions", [{"SessionId": identity, "Owner": owner, **more}])
