"""What common/http-client tells when a server cannot be reached or is not to be trusted."""

import http.server
import os
import socket
import ssl
import subprocess
import threading

import pytest

from ports import free_port
from test_versions import VERSION


def run_openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def fetch(build):
    def run(*arguments):
        result = subprocess.run([build / "doubles/http-fetch", *map(str, arguments)], timeout=40,
                                capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr
        return result.stdout.strip()
    return run


class Handler(http.server.BaseHTTPRequestHandler):
    user_agents = []

    def do_POST(self):
        self.user_agents.append(self.headers["User-Agent"])
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # a client that refuses the certificate is what is tested


@pytest.fixture
def serve():
    """serve(certificate, key): the port of an HTTPS server of that certificate."""
    servers = []

    def start(certificate, key):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server = Server(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_port
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def good(certificates, serve):
    return serve(certificates / "server.pem", certificates / "server.key")


def test_a_server_is_told_who_asks(fetch, certificates, good):
    fetch("--ca", certificates / "ca.pem", "localhost", good)
    assert Handler.user_agents[-1] == f"http-fetch/{VERSION}"


def test_a_trusted_server_answers(fetch, certificates, good):
    assert fetch("--ca", certificates / "ca.pem", "localhost", good) == "200 ok"
    assert fetch("--ca", certificates / "ca.pem", "127.0.0.1", good) == "200 ok"


def test_another_authority_is_told(fetch, certificates, good, tmp_path):
    run_openssl(tmp_path, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", "other.key", "-out", "other.pem", "-subj", "/CN=other")
    failure = fetch("--ca", tmp_path / "other.pem", "localhost", good)
    assert failure == (f"failed: localhost port {good}: the certificate is not trusted: "
                       "unable to get local issuer certificate")
    assert "is not trusted" in fetch("localhost", good), "the system's authorities"
    assert fetch("--lax", "localhost", good) == "200 ok"


def test_a_certificate_of_its_own_is_told(fetch, certificates, serve, tmp_path):
    run_openssl(tmp_path, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", "own.key", "-out", "own.pem", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost")
    port = serve(tmp_path / "own.pem", tmp_path / "own.key")
    assert "is not trusted: self-signed certificate" in fetch(
        "--ca", certificates / "ca.pem", "localhost", port)


def test_another_name_is_told(fetch, certificates, good):
    for host in ("127.0.0.2", "ip6-localhost", socket.gethostname()):
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            continue
        if fetch("--lax", host, good) != "200 ok":
            continue  # another address of this host
        assert "the certificate is for another name or address" in fetch(
            "--ca", certificates / "ca.pem", host, good)


def test_an_expired_certificate_is_told(fetch, certificates, serve, tmp_path):
    run_openssl(tmp_path, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", "old.key", "-out", "old.csr", "-subj", "/CN=localhost")
    (tmp_path / "index").write_text("")
    (tmp_path / "ca.conf").write_text(
        "[ca]\ndefault_ca=a\n[a]\ndatabase=index\nrand_serial=yes\nnew_certs_dir=.\n"
        "default_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n"
        "[x]\nsubjectAltName=DNS:localhost\n")
    run_openssl(tmp_path, "ca", "-batch", "-config", "ca.conf", "-cert", certificates / "ca.pem",
                "-keyfile", certificates / "ca.key", "-in", "old.csr", "-out", "old.pem",
                "-startdate", "20200101000000Z", "-enddate", "20210101000000Z")
    port = serve(tmp_path / "old.pem", tmp_path / "old.key")
    assert "the certificate has expired" in fetch("--ca", certificates / "ca.pem", "localhost",
                                                  port)


def test_a_server_that_is_not_there_is_told(fetch, certificates):
    port = free_port()
    assert fetch("--ca", certificates / "ca.pem", "127.0.0.1", port) == (
        f"failed: 127.0.0.1 port {port}: Connection refused")
    failure = fetch("--ca", certificates / "ca.pem", "no-such-host.invalid", port)
    assert failure.startswith(f"failed: no-such-host.invalid port {port}: ")


def test_a_server_without_tls_is_told(fetch, certificates):
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert "the TLS handshake failed (is it a port that speaks TLS?)" in fetch(
        "--ca", certificates / "ca.pem", "127.0.0.1", server.server_port)
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(os.geteuid() != 0, reason="another /etc/hosts needs root")
def test_every_address_of_a_name_is_tried(build, certificates, good, tmp_path):
    (tmp_path / "hosts").write_text("::1 localhost\n127.0.0.1 localhost\n")
    result = subprocess.run(
        ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"',
         tmp_path / "hosts", build / "doubles/http-fetch", "--ca", certificates / "ca.pem",
         "localhost", str(good)], capture_output=True, text=True, timeout=60)
    assert result.stdout == "200 ok\n", result.stderr
