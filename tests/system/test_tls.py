"""Certificates of the broker, of its own and of the administrator, while they come and go."""

import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess

import pytest

from agent_helpers import Agent
from broker_helpers import Broker, PROGRAM
from ports import free_port
from tls_helpers import blind_context, openssl, own_files
from waiting import wait_until


def serial(port, ca=None):
    """The serial number of what the port shows now; fails unless it is trusted by `ca`."""
    with connect(port, ca) as sock:
        text = ssl.DER_cert_to_PEM_cert(sock.getpeercert(True))
    found = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=text, text=True,
                           capture_output=True, check=True)
    return found.stdout


def connect(port, ca=None):
    context = ssl.create_default_context(cafile=ca) if ca else blind_context()
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10),
                               server_hostname="localhost")


def is_healthy(sock):
    sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    reply = b""
    while b"}" not in reply:
        piece = sock.recv(4096)
        assert piece, "the connection was closed"
        reply += piece
    return reply.startswith(b"HTTP/1.1 200 ")


@pytest.fixture
def unstarted():
    """unstarted(setting=value...): a broker that the test starts by itself."""
    made = []

    def make(**settings):
        made.append(Broker(**settings))
        open(os.path.join(made[-1].folder, "stderr"), "a").close()
        return made[-1]
    yield make
    for broker in made:
        broker.done()


def is_trusted(port, ca):
    try:
        serial(port, ca)
    except ssl.SSLCertVerificationError:
        return False
    return True


def test_certificates_are_renewed_and_handed_over_to_the_next_authority(unstarted, monkeypatch,
                                                                        build, tmp_path):
    broker = unstarted()
    published = os.path.join(broker.folder, "security/dcvsmbroker_ca.pem")
    # The authority lives 15 s. Then days get longer: it has less than 180 of them left.
    monkeypatch.setenv("DCV_SM_CERTIFICATE_TIME_SCALE", str(86400000 // 4))
    broker.start().stop()
    old = shutil.copy(published, tmp_path / "old.pem")
    assert not os.path.exists(os.path.join(broker.folder, "security/dcvsmbroker_ca_next.key"))
    monkeypatch.setenv("DCV_SM_CERTIFICATE_TIME_SCALE", str(86400000 // 100))
    broker.start()
    first = serial(broker.port)
    open_before = connect(broker.port)
    assert is_healthy(open_before)
    assert open(published).read().count("BEGIN CERTIFICATE") == 2
    assert open(published).read().startswith(open(old).read())
    rolled = shutil.copy(published, tmp_path / "rolled.pem")

    second = wait_until(lambda: (now := serial(broker.agent_port)) != first and now)
    wait_until(lambda: not is_trusted(broker.port, old))
    assert is_trusted(broker.port, rolled) and is_trusted(broker.agent_port, rolled)
    # an agent's own client takes both authorities from the file
    fetched = subprocess.run([build / "doubles/http-fetch", "--ca", rolled, "localhost",
                              str(broker.agent_port)], capture_output=True, text=True, timeout=20)
    assert fetched.stdout.startswith("404 "), fetched
    assert serial(broker.port) not in (first, "") and second != first
    assert is_healthy(open_before)
    open_before.close()
    assert "comes to its end: the next one has joined it" in broker.errors()


def test_what_cannot_be_renewed_stays_as_it_was(unstarted, monkeypatch):
    monkeypatch.setenv("DCV_SM_CERTIFICATE_TIME_SCALE", str(86400000 // 100))
    broker = unstarted().start()
    before = serial(broker.port, broker.http.verify)
    os.unlink(os.path.join(broker.folder, "security/dcvsmbroker_ca.key"))
    wait_until(lambda: re.search("error .*dcvsmbroker_ca.key do not belong together: .*; the "
                                 "certificate stays as it was", broker.errors()))
    assert serial(broker.port, broker.http.verify) == before
    assert serial(broker.agent_port, broker.http.verify) == before


def test_a_new_address_of_the_host_gets_into_the_certificate(unstarted):
    broker = unstarted()
    listener = os.path.join(broker.folder, "security/listener.pem")
    # a network of its own, with an interface that has no address yet
    program = subprocess.Popen(
        ["unshare", "-n", "sh", "-c",
         'ip link set lo up && ip link add v0 type veth peer name v1 && exec "$@"', "sh", PROGRAM,
         "--conf", broker.conf], stderr=open(os.path.join(broker.folder, "stderr"), "ab"))
    try:
        wait_until(lambda: "is ready" in broker.errors())
        assert "192.0.2.77" not in names(listener)
        subprocess.run(["nsenter", "-t", str(program.pid), "-n", "ip", "address", "add",
                        "192.0.2.77/24", "dev", "v0"], check=True)
        wait_until(lambda: "192.0.2.77" in names(listener))
    finally:
        program.terminate()
        assert program.wait(20) == 0


def names(path):
    return subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", path],
                          capture_output=True, text=True, check=True).stdout


def test_own_files_are_read_again_on_sighup_and_kept_when_they_are_bad(unstarted, tmp_path):
    own_files(tmp_path, "first")
    own_files(tmp_path, "second", days=7)
    used = tmp_path / "used.p12"
    shutil.copy(tmp_path / "first.p12", used)
    broker = unstarted(
        client_to_broker_connector_key_store_file=used,
        client_to_broker_connector_key_store_pass="xyzzy",
        agent_to_broker_connector_key_store_file=f"{tmp_path}/first.pem, {tmp_path}/first.key")
    broker.start()
    ca = tmp_path / "ca.pem"
    first = serial(broker.port, ca)
    assert serial(broker.agent_port, ca) == first
    # no use for one of its own
    assert not os.path.exists(os.path.join(broker.folder, "security/dcvsmbroker_ca.pem"))
    open_before = connect(broker.port, ca)
    assert is_healthy(open_before)

    shutil.copy(tmp_path / "second.p12", used)
    broker.process.send_signal(signal.SIGHUP)
    second = wait_until(lambda: (now := serial(broker.port, ca)) != first and now)
    assert is_healthy(open_before)
    # a ticket of before is worth nothing any more
    with open_before.context.wrap_socket(
            socket.create_connection(("127.0.0.1", broker.port), timeout=10),
            server_hostname="localhost", session=open_before.session) as again:
        assert is_healthy(again) and not again.session_reused
    wait_until(lambda: re.search(r"warning .*used\.p12 expires in [67] days", broker.errors()))

    used.write_bytes(b"\xfe\xed\xfe\xed\0\0\0\2")
    broker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "-deststoretype pkcs12; the certificate stays" in broker.errors())
    assert serial(broker.port, ca) == second
    assert is_healthy(open_before)
    open_before.close()
    assert "xyzzy" not in broker.errors()


def test_an_agent_takes_over_the_next_authority_without_a_restart(make_broker, tmp_path):
    broker = make_broker()
    own_files(tmp_path, "own")
    ca, statement = tmp_path / "trusted.pem", tmp_path / "statement"
    shutil.copy(broker.http.verify, ca)
    statement.write_text(broker.statement)
    agent = Agent(f"broker_host = 'localhost'\nbroker_port = {broker.agent_port}\n"
                  f"ca_file = '{ca}'\nsoftware_statement_path = '{statement}'\n")
    try:
        wait_until(lambda: broker.ok("/describeServers")["Servers"])
        broker.stop()
        broker.settings["agent-to-broker-connector-key-store-file"] = (
            f"{tmp_path}/own.pem,{tmp_path}/own.key")
        broker.write_conf()
        broker.start()
        wait_until(lambda: "the certificate is not trusted" in agent.messages())
        assert not broker.ok("/describeServers")["Servers"]
        shutil.copy(tmp_path / "ca.pem", ca)
        wait_until(lambda: broker.ok("/describeServers")["Servers"])
        assert agent.stop() == 0
    finally:
        agent.done()


@pytest.mark.parametrize("file, password, why", [
    ("first.p12", "wrong", "first.p12: the pass phrase does not open it"),
    ("missing.p12", "", "missing.p12"),
    ("first.key", "", "first.key: there is no certificate"),
])
def test_a_broker_does_not_start_with_a_bad_key_store(unstarted, tmp_path, file, password, why):
    own_files(tmp_path, "first")
    broker = unstarted(client_to_broker_connector_key_store_file=tmp_path / file,
                       client_to_broker_connector_key_store_pass=password)
    failed = subprocess.run([PROGRAM, "--conf", broker.conf], capture_output=True, text=True,
                            timeout=20)
    assert failed.returncode == 1
    assert why in failed.stderr and "client-to-broker-connector-key-store-file" in failed.stderr


def test_failed_handshakes_are_told_but_not_all(broker):
    plain = socket.create_connection(("127.0.0.1", broker.agent_port), timeout=10)
    plain.sendall(b"GET /health HTTP/1.1\r\n\r\n")
    while plain.recv(4096):
        pass
    plain.close()
    wait_until(lambda: "TLS handshake failed (peer=127.0.0.1): http request" in broker.errors())
    context = ssl.create_default_context()  # does not know our authority
    for _ in range(30):
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(socket.create_connection(("127.0.0.1", broker.agent_port)),
                                server_hostname="localhost")
    wait_until(lambda: "unknown ca" in broker.errors())
    serial(broker.agent_port)  # after all of them
    assert broker.errors().count("TLS handshake failed") == 20


def test_who_hangs_up_in_the_middle_of_a_handshake_is_told_by_their_address(broker):
    hello = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    peer = socket.create_connection(("127.0.0.1", broker.agent_port), timeout=10)
    peer.sendall(hello.read())
    assert peer.recv(1)  # the server is in the middle of it, too
    broker.process.send_signal(signal.SIGSTOP)
    peer.sendall(b"\x15\3\3\0\2\2\x30")  # an alert
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    broker.process.send_signal(signal.SIGCONT)
    wait_until(lambda: "TLS handshake failed" in broker.errors())
    assert "TLS handshake failed (peer=127.0.0.1): " in broker.errors()


def test_a_session_is_resumed_by_its_ticket(broker):
    context = ssl.create_default_context(cafile=broker.http.verify)
    sessions = [None]
    for is_resumed in (False, True):
        with context.wrap_socket(socket.create_connection(("127.0.0.1", broker.port), timeout=10),
                                 server_hostname="localhost", session=sessions[-1]) as sock:
            assert is_healthy(sock)
            assert sock.session_reused == is_resumed
            sessions.append(sock.session)


def test_a_scanner_finds_nothing_old(broker):
    found = subprocess.run(["sslscan", "--no-colour", "--connect-timeout=5",
                            f"127.0.0.1:{broker.port}"], capture_output=True, text=True, timeout=60)
    lines = found.stdout.splitlines()
    for old in ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"):
        assert any(re.fullmatch(rf"{old}\s+disabled", line) for line in lines), found.stdout
    for good in ("TLSv1.2", "TLSv1.3"):
        assert any(re.fullmatch(rf"{good}\s+enabled", line) for line in lines), found.stdout
    suites = [line.split()[4] for line in lines if re.match(r"(Accepted|Preferred)\s+TLS", line)]
    assert len(suites) >= 5
    for suite in suites:
        assert re.match(r"(TLS_(AES|CHACHA20)|ECDHE-.*(GCM|CHACHA20))", suite), suite
    assert "Session renegotiation not supported" in found.stdout
    assert "not vulnerable to heartbleed" in found.stdout


class Handshake:
    """One that a test takes step by step; what it sends first is a question to the resolver."""

    def __init__(self, port, context, session=None):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.to_us, self.to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.to_us, self.to_them, server_hostname="localhost",
                                    session=session)

    def begin(self):
        """Until the broker has answered, with what it has in its hand now."""
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self.exchange()

    def exchange(self):
        self.sock.sendall(self.to_them.read())
        piece = self.sock.recv(65536)
        if not piece:
            raise ConnectionResetError
        self.to_us.write(piece)

    def complete(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.exchange()

    def ask(self):
        """Whether it is answered."""
        self.complete(self.tls.do_handshake)
        self.tls.write(b"POST /resolveSession?sessionId=x&transport=HTTP HTTP/1.1\r\n"
                       b"Host: localhost\r\nContent-Length: 0\r\n\r\n")
        return self.complete(lambda: self.tls.read(4096)).startswith(b"HTTP/1.1 404 ")


class Gate:
    """A broker that gateways show their certificate to, and who is let in: "old", at first."""

    def __init__(self, unstarted, folder, version="TLSv1_3", **settings):
        self.folder, self.version, self.port = folder, version, free_port()
        for name in ("old", "new"):
            openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out",
                    name + ".pem", "-subj", "/CN=" + name)
        shutil.copy(folder / "old.pem", folder / "trust.pem")
        self.broker = unstarted(
            enable_gateway="true", gateway_to_broker_connector_https_port=self.port,
            gateway_to_broker_connector_bind_host="127.0.0.1",
            enable_tls_client_auth_gateway="true",
            gateway_to_broker_connector_trust_store_file=folder / "trust.pem", **settings).start()
        self.contexts = {name: self.context(name) for name in ("old", "new")}
        assert self.lets_in("old") and not self.lets_in("new")

    def context(self, name):
        context = blind_context()
        context.minimum_version = context.maximum_version = ssl.TLSVersion[self.version]
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def handshake(self, name, session=None):
        return Handshake(self.port, self.contexts[name], session)

    def lets_in(self, name, session=None):
        try:
            return self.handshake(name, session).ask()
        except (ssl.SSLError, ConnectionError):
            return False

    def trust_new(self):
        shutil.copy(self.folder / "new.pem", self.folder / "trust.pem")
        self.broker.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.lets_in("new"))


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_handshake_from_before_a_change_of_trust_gets_no_ticket_for_after_it(unstarted, tmp_path,
                                                                              version):
    gate = Gate(unstarted, tmp_path, version)
    early = gate.handshake("old")
    early.begin()
    gate.trust_new()
    assert early.ask()  # it was let in before
    assert early.tls.session.has_ticket
    assert not gate.lets_in("old", early.tls.session)


@pytest.mark.parametrize("whose", ["of the broker", "of the administrator"])
def test_who_may_come_in_changes_though_a_certificate_is_damaged(unstarted, tmp_path, whose):
    settings = {}
    if whose == "of the administrator":
        own_files(tmp_path, "own")
        settings = {"gateway_to_broker_connector_key_store_file": tmp_path / "own.p12",
                    "gateway_to_broker_connector_key_store_pass": "xyzzy"}
    gate = Gate(unstarted, tmp_path, **settings)
    damaged = (tmp_path / "own.p12" if settings else
               pathlib.Path(gate.broker.folder) / "security/dcvsmbroker_ca.key")
    damaged.write_text("damaged")
    gate.trust_new()
    assert not gate.lets_in("old")
    wait_until(lambda: "the certificate stays as it was" in gate.broker.errors())
