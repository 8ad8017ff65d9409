"""A double of the API: it records what it is asked and answers what a test tells it to.

No session manager is behind it. It stands on a Unix socket, on HTTP or on HTTPS of a loopback
address, and exists to show what a client puts on the wire and what it makes of an answer.
"""

import contextlib
import http.server
import json
import os
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Request:
    """One request as it came over the wire."""

    method: str
    path: str  # with its query, not decoded
    headers: dict  # names in lower case
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Answer:
    """What to answer. A body that is not bytes goes out as JSON."""

    body: object = b""
    status: int = 200
    headers: dict = field(default_factory=dict)
    delay: float = 0  # seconds before the first byte
    cut: int = 0  # how many bytes of the body never come

    @property
    def bytes(self):
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body).encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def address_string(self):
        return "client"

    def _serve(self):
        length = int(self.headers.get("Content-Length", 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        double = self.server.double
        answer = double.take(Request(self.command, self.path, headers, self.rfile.read(length)))
        if answer.delay:
            double.stopping.wait(answer.delay)
        body = answer.bytes
        with contextlib.suppress(OSError):
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) - answer.cut])
        if answer.cut:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = _serve


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass  # a client that goes away or refuses the certificate is part of the tests


class _UnixServer(_Server):
    address_family = socket.AF_UNIX


class _Ipv6Server(_Server):
    address_family = socket.AF_INET6


class ApiDouble:
    """Use as a context. `answers` maps a path, without its query, to an Answer, a list of them of
    which the last one stays, or a function of the request."""

    def __init__(self, unix_path=None, tls=None, host="127.0.0.1"):
        self.requests = []
        self.answers = {}
        self.stopping = threading.Event()
        self.unix_path = unix_path
        if unix_path:
            self.server = _UnixServer(str(unix_path), _Handler)
            self.url = "http://localhost"
        else:
            kind = _Ipv6Server if ":" in host else _Server
            self.server = kind((host, 0), _Handler)
            shown = f"[{host}]" if ":" in host else host
            scheme = "https" if tls else "http"
            self.url = f"{scheme}://{shown}:{self.server.server_address[1]}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls / "server.pem", tls / "server.key")
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.server.double = self
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    @property
    def port(self):
        return self.server.server_address[1]

    def take(self, request):
        self.requests.append(request)
        answer = self.answers.get(request.path.partition("?")[0])
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(request)
        return answer or Answer({"error": f"the double knows no {request.path}"}, 404)

    def wait_for_request(self, timeout=10):
        end = time.monotonic() + timeout
        while not self.requests:
            assert time.monotonic() < end, "no request came"
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        if self.unix_path:
            os.unlink(self.unix_path)


def make_certificates(folder):
    """ca.pem, and server.pem and server.key for localhost and 127.0.0.1, by the openssl command."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=test authority")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile", "names")
    return folder
