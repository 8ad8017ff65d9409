"""A double of an agent: registers, gets a token and opens the link, over the standard library's
TLS and sockets alone, so that it can also say what no library would."""

import base64
import contextlib
import json
import os
import socket
import ssl
import struct
import threading
import uuid

import requests

from waiting import PATIENCE_S

PROTOCOL = "dcv-session-manager-link.v1"


class LinkRefused(Exception):
    def __init__(self, status, head):
        super().__init__(f"upgrade refused with {status}")
        self.status = status
        self.head = head


class WebSocket:
    """One WebSocket over TLS; frames are made by hand."""

    def __init__(self, port, token=None, path="/agent/ws", protocol=PROTOCOL, upgrade="websocket",
                 headers=()):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.sock = context.wrap_socket(plain, server_hostname="localhost")
        self.buffer = b""
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"Upgrade: {upgrade}",
                 "Connection: Upgrade", *headers, "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()]
        if protocol:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        if token:
            lines.append(f"Authorization: Bearer {token}")
        self.sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(4096)
            if not data:
                raise LinkRefused(0, self.buffer)
            self.buffer += data
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        status = int(head.split()[1])
        if status != 101:
            raise LinkRefused(status, head)

    def send_frame(self, opcode, payload, final=True):
        head = bytes([(0x80 if final else 0) | opcode])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        elif len(payload) < 65536:
            head += bytes([0x80 | 126]) + struct.pack("!H", len(payload))
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", len(payload))
        if len(payload) > 1 << 20:
            # A mask of zeros is one, and what it saves would count as the time that the host takes.
            self.sock.sendall(head + bytes(4) + payload)
            return
        mask = b"\x11\x22\x33\x44"
        times = len(payload) // 4 + 1
        masked = int.from_bytes(payload, "big") ^ int.from_bytes((mask * times)[:len(payload)], "big")
        self.sock.sendall(head + mask + masked.to_bytes(len(payload), "big"))

    def send_text(self, text):
        self.send_frame(1, text if isinstance(text, bytes) else text.encode())

    def _read(self, n):
        while len(self.buffer) < n:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data
        taken, self.buffer = self.buffer[:n], self.buffer[n:]
        return taken

    def receive(self):
        """(opcode, payload) of the next message; pings are answered here."""
        message, kind = b"", None
        while True:
            first, second = self._read(2)
            length = second & 0x7f
            if length == 126:
                length = struct.unpack("!H", self._read(2))[0]
            elif length == 127:
                length = struct.unpack("!Q", self._read(8))[0]
            payload = self._read(length)
            opcode = first & 0x0f
            if opcode == 9:
                self.send_frame(10, payload)
                continue
            if opcode == 10:
                continue
            if opcode == 8:
                return 8, payload
            kind = kind or opcode
            message += payload
            if first & 0x80:
                return kind, message

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass


def register(port, statement, name="host"):
    return requests.post(f"https://127.0.0.1:{port}/agent/register", verify=False, timeout=10, json={
        "software_statement": statement, "client_name": name, "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic", "software_id": "double",
        "software_version": "1"})


def fetch_token(port, client_id, secret):
    return requests.post(f"https://127.0.0.1:{port}/oauth2/token", verify=False, timeout=10,
                         data={"grant_type": "client_credentials"}, auth=(client_id, secret))


class AgentDouble:
    """Keeps sessions in a dictionary and does what it is told, unless told to be difficult."""

    def __init__(self, port, statement, name="host", tags=None, **server):
        self.port = port
        self.name = name
        reply = register(port, statement, name)
        assert reply.status_code == 201, reply.text
        self.client_id = reply.json()["client_id"]
        self.secret = reply.json()["client_secret"]
        self.server_id = base64.b64encode(f"{name}-127.0.0.1-{uuid.uuid4().hex}".encode()).decode()
        self.tags = dict(tags or {})
        self.server = server
        self.sessions = {}
        self.commands = []
        self.sequence = 0
        self.silent = False            # hears, and says nothing
        self.refuse = None             # (status, code, sentence) for creations
        self.becomes = "READY"         # what a created session goes on to; None: nothing
        self.ends_as = "DELETED"       # what a session goes on to when told to end
        self.screenshot = "iVBORw0KGgo="
        self.claims = None             # the session that a screenshot says to be of
        self.lock = threading.RLock()
        self.reported = threading.Condition(self.lock)
        self.confirmed = 0
        self.ws = None
        self.closed = threading.Event()
        self.hello = None
        self.certificates = []         # what requests for one were answered with

    def connect(self, report=True):
        token = fetch_token(self.port, self.client_id, self.secret).json()["access_token"]
        self.ws = WebSocket(self.port, token)
        self.ws.sock.settimeout(None)  # the broker may have nothing to say for long
        self.closed.clear()
        self.thread = threading.Thread(target=self._run, args=(self.ws,), daemon=True)
        self.thread.start()
        if report:
            self.report(wait=True)
        return self

    def describe(self):
        with self.lock:
            tags = {"dcv:os-family": "linux", **self.tags}
            server = {
                "Id": self.server_id, "Ip": "127.0.0.1", "Hostname": self.name,
                "DefaultDnsName": self.name, "Port": "8443",
                "Endpoints": [{"IpAddress": "127.0.0.1", "Port": 8443, "WebUrlPath": "/",
                               "Protocol": "HTTP"}],
                "WebUrlPath": "/", "Version": "1", "SessionManagerAgentVersion": "1",
                "Availability": "AVAILABLE", "ConsoleSessionCount": 0, "VirtualSessionCount": 0,
                "Host": {"Os": {"Family": "linux", "Name": "Debian", "Version": "12"},
                         "CpuInfo": {"NumberOfCpus": 4},
                         "CpuLoadAverage": {"OneMinute": 0.5}},
                "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
            server.update(self.server)
            return {"Server": server, "Sessions": list(self.sessions.values())}

    def report(self, wait=False, **more):
        with self.lock:
            self.sequence += 1
            body = {**self.describe(), "Sequence": self.sequence, "BootId": "b", **more}
            before = self.confirmed
            self.send({"event": "report", "body": body})
            if wait:
                assert self.reported.wait_for(lambda: self.confirmed > before, 60)

    def ask_certificate(self, request):
        with self.lock:
            n = len(self.certificates)
            self.send({"event": "certificateRequest", "body": {"Request": request}})
            assert self.reported.wait_for(lambda: len(self.certificates) > n, 60)
            return self.certificates[-1]

    def send(self, message):
        with self.lock:
            text = message if isinstance(message, (bytes, str)) else json.dumps(
                message, separators=(",", ":"))
            self.ws.send_text(text)

    def drop(self):
        """Vanish without a word, unless the broker was faster."""
        with contextlib.suppress(OSError):
            self.ws.sock.shutdown(socket.SHUT_RDWR)
        self.ws.close()
        self.closed.wait(PATIENCE_S)

    def _run(self, ws):
        try:
            while True:
                opcode, payload = ws.receive()
                if opcode == 8:
                    self.close_frame = payload
                    break
                self._handle(json.loads(payload))
        except (EOFError, OSError, ValueError):
            pass
        finally:
            ws.close()
            self.closed.set()

    def _handle(self, message):
        with self.lock:
            event = message.get("event")
            if event == "hello":
                self.hello = message["body"]
                return
            if event == "certificate":
                self.certificates.append(message["body"])
                self.reported.notify_all()
                return
            if event == "reportReceived":
                self.confirmed += 1
                self.reported.notify_all()
                return
            self.commands.append(message)
            self.reported.notify_all()
            if not self.silent:
                status, body = self._carry_out(message)
                self.send(b'{"id":%d,"status":%d,"body":%s}' % (
                    message["id"], status, json.dumps(body, separators=(",", ":")).encode()))
                if message["operation"] in ("CreateSessions", "DeleteSessions"):
                    self.report()

    def _carry_out(self, message):
        operation, context, body = message["operation"], message["context"], message["body"]
        identity = context.get("SessionId")
        if operation == "CreateSessions":
            if self.refuse:
                status, code, sentence = self.refuse
                return status, {"error": sentence, "code": code}
            known = self.sessions.get(identity)
            if not known or known["State"] == "DELETED":
                self.sessions[identity] = {
                    "Id": identity, "Name": body["Name"], "Owner": body["Owner"],
                    "Type": body["Type"].upper(), "State": "CREATING",
                    "Substate": "PENDING_PREPARATION",
                    "CreationTime": context["CreationTime"], "NumOfConnections": 0}
                if self.becomes:
                    self.set_state(identity, self.becomes)
            return 200, {"Id": identity, "State": "CREATING"}
        if identity not in self.sessions:
            return 404, {"error": "The requested dcvSession does not exist", "code": "NOT_FOUND"}
        if operation == "DeleteSessions":
            self.set_state(identity, self.ends_as)
            return 200, {"SessionId": identity, "State": "DELETING"}
        if operation == "GetSessionScreenshots":
            return 200, {"SessionScreenshot": {"SessionId": self.claims or identity, "Images": [{
                "Format": context["Format"], "Data": self.screenshot,
                "CreationTime": "2026-03-02T10:15:00.120Z", "Primary": True}]}}
        return 200, {"SessionId": identity}

    def set_state(self, identity, state, reason=None):
        session = self.sessions[identity]
        session.pop("Substate", None)
        session["State"] = state
        if reason:
            session["StateReason"] = reason

    def wait_for_command(self, operation, n=1):
        with self.lock:
            assert self.reported.wait_for(
                lambda: len([c for c in self.commands if c["operation"] == operation]) >= n, PATIENCE_S)
            return [c for c in self.commands if c["operation"] == operation]
