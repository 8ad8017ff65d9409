"""The web viewer beside an agent, and what comes to its door: requests, WebSockets, RFB clients."""

import base64
import http.client
import json
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile

from agent_helpers import Agent
from keeper_helpers import BUILD, PATIENCE, wait_for
from ports import free_port

PROGRAM = os.path.join(BUILD, "dcv-session-viewer")
PAGE = os.path.join(os.path.dirname(__file__), "../../agent/viewer/page")
PROTOCOL = "dcv-session-viewer.1"
SESSION = "#!/bin/sh\nexec sleep infinity\n"
AT_ONCE = 50
CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE


def settings_for(broker):
    """Lines of [agent] for a host of that broker."""
    return (f"broker_host = 'localhost'\nbroker_port = {broker.agent_port}\n"
            f"ca_file = '{broker.http.verify}'\n"
            f"software_statement_path = '{broker.folder}/security/default-software-statement'\n")


ALL = "[permissions]\n%owner% allow builtin\n"
OPEN = ALL + "%any% allow builtin\n"


def permissions(text):
    return base64.b64encode(text.encode()).decode()


def update(viewer, session_id, owner, text):
    answer = viewer.agent.call_well("/sessionPermissions", [
        {"SessionId": session_id, "Owner": owner, "PermissionsFile": permissions(text)}], "PUT")
    assert answer["SuccessfulList"], answer


class Viewer:
    """An agent with a viewer, which runs as `user`. `settings` are lines of [agent], `viewer` of
    [viewer]; `prefix` is the agent's."""

    def __init__(self, user, settings="", viewer="", start=True, prefix=()):
        self.port, self.user = free_port(), user
        self.agent = Agent(settings=settings, prefix=prefix, log=(
            f"[viewer]\nport = {self.port}\nbind_host = '127.0.0.1'\nuser = '{user.name}'\n"
            f"{viewer}\n"))
        self.folder = tempfile.mkdtemp(prefix="viewer-", dir="/tmp")
        self.page = os.path.join(self.folder, "page")
        shutil.copytree(PAGE, self.page)
        subprocess.run(["chmod", "-R", "a+rX", self.folder], check=True)
        shutil.chown(self.folder, user.name)
        self.output = os.path.join(self.folder, "output")
        self.process = None
        try:
            if start:
                self.start()
        except BaseException:
            self.agent.done()
            raise

    def arguments(self):
        return ["setpriv", f"--reuid={self.user.uid}", f"--regid={self.user.gid}", "--clear-groups",
                PROGRAM, "--conf", self.agent.keeper.conf, "--page-dir", self.page,
                "--state-dir", os.path.join(self.folder, "state"),
                "--agent-socket", os.path.join(self.agent.folder, "viewer.sock")]

    def start(self):
        """Start it and wait until the agent tells others of it."""
        read_fd, write_fd = os.pipe()
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen([*self.arguments(), "--ready-fd", str(write_fd)],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            pass_fds=(write_fd,))
        os.close(write_fd)
        try:
            assert select.select([read_fd], [], [], PATIENCE)[0], "the viewer does not get ready"
            assert os.read(read_fd, 16) == b"ready\n", self.messages()
        finally:
            os.close(read_fd)
        wait_for(lambda: self.server()["Port"] == str(self.port), "the agent to know the viewer")

    def stop(self):
        if self.process:
            self.process.terminate()
            assert self.process.wait(PATIENCE) == 0, self.messages()
        self.process = None

    def done(self):
        try:
            self.stop()
        finally:
            self.agent.done()
            shutil.rmtree(self.folder)

    def messages(self):
        with open(self.output, encoding="utf-8") as file:
            return file.read()

    def server(self):
        return self.agent.call_well("/describeServers", {})["Servers"][0]

    # --- at the door -----------------------------------------------------------------------------

    def connection_data(self, session_id, user):
        return self.agent.call_well(f"/sessionConnectionData/{session_id}/{user}", method="GET")

    def token(self, session_id, user):
        return self.connection_data(session_id, user)["ConnectionToken"]

    def get(self, path, method="GET"):
        """(status, headers, body)"""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=CONTEXT,
                                                 timeout=PATIENCE)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get_all(self, paths, address="127.0.0.1"):
        """(status, body) of each, in their order, over one connection from that address: they are asked for before
        the ones ahead are answered."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE,
                                      source_address=(address, 0)) as plain, \
                CONTEXT.wrap_socket(plain) as tls, tls.makefile("rb") as answers:
            for i in range(0, len(paths), AT_ONCE):
                batch = paths[i:i + AT_ONCE]
                tls.sendall("".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"
                                    for path in batch).encode())
                for _ in batch:
                    status = int(answers.readline().split()[1])
                    headers = http.client.parse_headers(answers)
                    yield status, answers.read(int(headers["Content-Length"]))

    def browser(self, session_id=None, user=None, token=None):
        """A WebSocket on which this token has been shown."""
        browser = Browser(self.port)
        if session_id:
            browser.say(token=token or self.token(session_id, user), session=session_id)
        return browser

    def guest(self, session_id, user):
        """One who has been admitted."""
        browser = self.browser(session_id, user)
        try:
            browser.admitted = browser.event("admitted")
        except Closed as closed:
            raise Closed(*closed.args, self.agent.messages()[-1000:]) from closed
        return browser

    def n_connections(self, session_id):
        return self.agent.find(session_id)["NumOfConnections"]


class Closed(Exception):
    """The viewer has closed the WebSocket: args are code and reason."""


class Browser:
    """A WebSocket client: RFC 6455, as far as this server speaks it."""

    def __init__(self, port, path="/ws", protocol=PROTOCOL):
        self.socket = CONTEXT.wrap_socket(socket.create_connection(("127.0.0.1", port), PATIENCE))
        self.bytes, self.binary, self.events = b"", b"", []
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n".encode())
        while b"\r\n\r\n" not in self.bytes:
            self.receive()
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        assert b" 101 " in head.split(b"\r\n")[0], head

    def receive(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise Closed(1006, "without a word")
        self.bytes += piece

    def take(self, n):
        while len(self.bytes) < n:
            self.receive()
        piece, self.bytes = self.bytes[:n], self.bytes[n:]
        return piece

    def frame(self):
        """Take one frame."""
        first, length = self.take(2)
        if length >= 126:
            (length,) = struct.unpack(">H", self.take(2)) if length == 126 else \
                struct.unpack(">Q", self.take(8))
        payload = self.take(length)
        opcode = first & 15
        if opcode == 8:
            raise Closed(struct.unpack(">H", payload[:2])[0] if payload else 1005, payload[2:])
        if opcode == 9:
            self.send_frame(10, payload)
        elif opcode == 1:
            self.events.append(json.loads(payload))
        else:
            assert opcode in (0, 2), opcode
            self.binary += payload

    def send_frame(self, opcode, payload):
        length = len(payload)
        head = bytes([0x80 | opcode])
        head += bytes([0x80 | length]) if length < 126 else \
            struct.pack(">BH", 0xFE, length) if length < 65536 else struct.pack(">BQ", 0xFF, length)
        self.socket.sendall(head + bytes(4) + payload)  # a mask of zeros is one

    def say(self, **fields):
        self.send_frame(1, json.dumps(fields).encode())

    def event(self, name):
        """The next event of that name; the others are forgotten."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name:
                    return event
            self.frame()

    def closing(self):
        """The code that it is closed with."""
        try:
            while True:
                self.frame()
        except Closed as closed:
            return closed.args[0]

    def close(self):
        self.socket.close()

    # for Rfb
    def read(self, n):
        while len(self.binary) < n:
            self.frame()
        piece, self.binary = self.binary[:n], self.binary[n:]
        return piece

    def send(self, payload):
        self.send_frame(2, payload)


class Direct:
    """A session's X server without the viewer, for comparison."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def read(self, n):
        return self.file.read(n)

    def send(self, payload):
        self.socket.sendall(payload)
