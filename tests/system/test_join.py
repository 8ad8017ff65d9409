"""A host that enrols itself at a broker with a token."""

import http.server
import json
import os
import sqlite3
import ssl
import subprocess
import threading

import pytest
import requests

from agent_helpers import Agent, PROGRAM
from broker_helpers import Broker
from ports import free_port
from tls_helpers import own_files
from waiting import wait_until


@pytest.fixture(scope="module")
def broker():
    made = Broker().start().log_in()
    yield made
    made.done()


class Host:
    """The folders of a host, without an agent."""

    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "state"
        self.conf = folder / "agent.conf"
        self.statement = folder / "software-statement"
        self.ca = folder / "dcvsmbroker_ca.pem"
        self.write(f"version = '0.1'\n\n[agent] # ours\n"
                   f"software_statement_path = '{self.statement}'\n\n[log]\nlevel = 'info'\n")
        self.state.mkdir()

    def write(self, text):
        self.conf.write_text(text)

    def join(self, url, token, **more):
        return subprocess.run([PROGRAM, "join", "--conf", self.conf, "--state-dir", self.state,
                               url, token], capture_output=True, text=True, timeout=60, **more)

    def files(self):
        return {str(path.relative_to(self.folder)): path.read_bytes()
                for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def host(tmp_path):
    (tmp_path / "host").mkdir()
    return Host(tmp_path / "host")


def make_token(broker, *options):
    out = broker.command("create-join-token", *options).stdout
    assert out.startswith("join-token: dcvsm1.") and out.count("\n") == 1
    return out.split()[1]


def url_of(broker):
    return f"https://localhost:{broker.agent_port}"


def agent_clients(broker):
    return json.loads(broker.command("describe-agent-clients", "--json").stdout)


def test_a_host_joins_and_its_agent_links(broker, tmp_path):
    agent = Agent(f"software_statement_path = '{tmp_path}/statement'", start=False)
    try:
        joined = subprocess.run(
            [PROGRAM, "join", "--conf", agent.keeper.conf, "--state-dir", agent.state_folder,
             url_of(broker), "-"], input=make_token(broker) + "\n", capture_output=True, text=True,
            timeout=60)
        assert joined.returncode == 0, joined.stderr
        assert "it has registered and the link works" in joined.stdout
        clients = agent_clients(broker)
        agent.start()
        wait_until(lambda: broker.ok("/describeServers")["Servers"])
        # it is the one that has joined
        assert agent_clients(broker) == clients
        assert agent.stop() == 0
    finally:
        agent.done()


def test_what_is_written_is_what_the_broker_gave(broker, host):
    before = host.conf.read_text()
    joined = host.join(url_of(broker), make_token(broker))
    assert joined.returncode == 0, joined.stderr
    assert host.ca.read_text() == open(broker.http.verify).read()
    assert host.statement.read_text().strip() == broker.statement.strip()
    assert host.statement.stat().st_mode & 0o777 == 0o640
    assert (host.state / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert host.conf.read_text() == before.replace("# ours\n", (
        f"# ours\nbroker_host = 'localhost'\nbroker_port = {broker.agent_port}\n"
        f"ca_file = '{host.ca}'\n"))
    assert sorted(host.files()) == ["agent.conf", "dcvsmbroker_ca.pem", "software-statement",
                                    "state/credentials.json"]
    # again, with nothing to add
    text = host.conf.read_text()
    assert host.join(url_of(broker) + "/", make_token(broker)).returncode == 0
    assert host.conf.read_text() == text


def test_a_host_without_settings_gets_some(broker, host):
    host.write("agent.software-statement-path = '%s' # dotted" % host.statement)
    # a version is missing: that is said before the token is used
    token = make_token(broker)
    refused = host.join(url_of(broker), token)
    assert refused.returncode == 1 and "version = '0.1'" in refused.stderr
    host.write("version = '0.1'\nagent.software_statement_path = '%s'\n" % host.statement)
    joined = host.join(url_of(broker), token)
    assert joined.returncode == 0, joined.stderr
    assert host.conf.read_text().startswith("agent.broker_host = 'localhost'\n")


def test_the_statement_is_for_the_group_of_the_agent_alone(broker, host, tmp_path):
    # The folder and not the file: who makes a user at the same time would take the mount from the file.
    etc = tmp_path / "etc"
    subprocess.run(["cp", "-a", "/etc", etc], check=False)  # who makes a user has files there for a moment
    with open(etc / "group", encoding="utf-8") as file:
        others = [line for line in file if not line.startswith("dcvsmagent:")]
    (etc / "group").write_text("".join(others) + "dcvsmagent:x:64999:\n")
    joined = subprocess.run(
        ["unshare", "-m", "sh", "-c", 'mount --bind "$1" /etc && shift && exec "$@"', "sh",
         etc, PROGRAM, "join", "--conf", host.conf, "--state-dir", host.state, url_of(broker),
         make_token(broker)], capture_output=True, text=True, timeout=60)
    assert joined.returncode == 0, joined.stderr
    statement = host.statement.stat()
    assert (statement.st_uid, statement.st_gid, statement.st_mode & 0o777) == (0, 64999, 0o640)
    assert "There is no group" not in joined.stdout


def test_a_token_is_good_once(broker, host):
    token = make_token(broker)
    assert host.join(url_of(broker), token).returncode == 0
    written = host.files()
    again = host.join(url_of(broker), token)
    assert again.returncode == 1
    assert "the join token is not known, was used or has expired" in again.stderr
    assert host.files() == written


def test_nothing_is_kept_of_a_token_but_its_hash_and_its_end(make_broker, host):
    broker = make_broker()
    token, other = make_token(broker), make_token(broker, "--minutes", "1")
    used = make_token(broker)
    assert host.join(url_of(broker), used).returncode == 0
    broker.stop()
    database = sqlite3.connect(os.path.join(broker.folder, "broker-data/broker.db"))
    assert database.execute("SELECT count(*) FROM record WHERE kind='join-token'").fetchone() == (2,)
    everything = "\n".join(database.iterdump())
    for text in (token, other):
        assert text.rsplit(".", 1)[1] not in everything
    # the one expires, the other one survives the restart
    database.execute("""UPDATE record SET body='{"expires":1}' WHERE kind='join-token' AND body=(
                        SELECT min(body) FROM record WHERE kind='join-token')""")
    database.commit()
    database.close()
    broker.start()
    refused = host.join(url_of(broker), other)
    assert "was used or has expired" in refused.stderr
    assert host.join(url_of(broker), token).returncode == 0
    for line in broker.errors().splitlines():
        assert token.rsplit(".", 1)[1] not in line


@pytest.mark.parametrize("line, what", [
    ("broker_host = 'elsewhere.example'", "broker_host is 'elsewhere.example'. Make it 'localhost'"),
    ("broker-port = 1", "broker_port is '1'. Make it '"),
    ("ca_file = '/other.pem'", "ca_file is '/other.pem'. Make it '"),
])
def test_other_settings_are_not_overwritten(broker, host, line, what):
    host.write(host.conf.read_text().replace("# ours\n", f"# ours\n{line}\n"))
    before = host.files()
    token = make_token(broker)
    refused = host.join(url_of(broker), token)
    assert refused.returncode == 1
    assert f"{host.conf}, line 4: {what}" in refused.stderr
    assert host.files() == before


def test_another_server_gets_no_secret(broker, make_broker, host):
    token, before = make_token(broker), host.files()
    other = make_broker()
    refused = host.join(url_of(other), token)
    assert refused.returncode == 1
    assert "its authority is not the one that the token is for" in refused.stderr
    assert host.files() == before
    assert "may not join" not in other.errors()
    # nor does one that shows the right authority, and has a certificate of another one
    pem = open(broker.http.verify).read()
    received = []
    server = serve_pem(pem, received, other)
    refused = host.join(f"https://localhost:{server.server_port}", token)
    server.shutdown()
    server.server_close()
    assert refused.returncode == 1 and "the certificate is not trusted" in refused.stderr
    assert received == ["GET /agent/authority"]
    assert host.files() == before
    assert host.join(url_of(broker), token).returncode == 0


def test_what_a_stranger_answers_does_not_speak_to_the_terminal(broker, host):
    answer = json.dumps({"error": "\x1b[2Jjoined\nthis host has joined"})
    server = serve_pem(answer, [], broker, 403)
    refused = host.join(f"https://localhost:{server.server_port}", make_token(broker))
    server.shutdown()
    server.server_close()
    assert refused.returncode == 1
    assert refused.stderr.endswith(
        "the broker answered 403: \\x1b[2Jjoined\\x0athis host has joined\n")


def serve_pem(pem, received, broker, status=200):
    """An HTTPS server with the certificate of a broker, which gives @pem to everybody."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            received.append(f"GET {self.path}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(pem)))
            self.end_headers()
            self.wfile.write(pem.encode())

        def do_POST(self):
            received.append(f"POST {self.path}")

        def log_message(self, *_):
            pass

        def handle_error(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def get_request(self):
            sock, address = super().get_request()
            return context.wrap_socket(sock, server_side=True), address

        def handle_error(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listener = os.path.join(broker.folder, "security/listener")
    context.load_cert_chain(listener + ".pem", listener + ".key")
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@pytest.mark.parametrize("url, token, status, what", [
    ("ftp://x", None, 2, "is no address of a broker"),
    ("https://localhost:0", None, 2, "is no address of a broker"),
    ("https://localhost/path", None, 2, "is no address of a broker"),
    ("https://localhost", "dcvsm1.x", 2, "this is no join token"),
    ("https://localhost", "dcvsm1.eHl6.eHl6", 2, "the join token is not whole"),
])
def test_what_is_typed_wrong_is_told(broker, host, url, token, status, what):
    before = host.files()
    refused = host.join(url, token or make_token(broker))
    assert refused.returncode == status and what in refused.stderr
    assert host.files() == before


def test_a_broker_that_is_not_there_is_told(broker, host):
    before = host.files()
    port = free_port()
    refused = host.join(f"localhost:{port}", make_token(broker))
    assert refused.returncode == 1
    assert f"localhost port {port}: Connection refused" in refused.stderr
    # the port of the API is not the one
    refused = host.join(f"https://localhost:{broker.port}", make_token(broker))
    assert refused.returncode == 1 and "is it a broker's port for agents?" in refused.stderr
    assert host.files() == before


def test_a_host_that_cannot_write_keeps_nothing(broker, host):
    before = host.files()
    (host.folder / "agent.conf.joining").mkdir()  # in the way of the last of the files
    refused = host.join(url_of(broker), make_token(broker))
    assert refused.returncode == 1 and "nothing was kept" in refused.stderr
    assert host.files() == before
    (host.folder / "agent.conf.joining").rmdir()
    for path in (host.state / "credentials.json", host.statement, host.ca):
        path.mkdir()
        refused = host.join(url_of(broker), make_token(broker))
        assert refused.returncode == 1
        assert f"nothing was kept: write {path}: Is a directory" in refused.stderr
        assert host.files() == before
        path.rmdir()


def test_settings_that_cannot_be_replaced_are_told_with_what_is_written_by_then(broker, host):
    joined = subprocess.run(
        ["unshare", "-m", "sh", "-c", 'mount --bind "$1" "$1" && shift && exec "$@"', "sh",
         host.conf, PROGRAM, "join", "--conf", host.conf, "--state-dir", host.state,
         url_of(broker), make_token(broker)], capture_output=True, text=True, timeout=60)
    assert joined.returncode == 1
    assert "only a part of what it gave was kept" in joined.stderr
    assert f"write {host.conf}: Device or resource busy" in joined.stderr
    assert sorted(host.files()) == ["agent.conf", "dcvsmbroker_ca.pem", "software-statement",
                                    "state/credentials.json"]


@pytest.mark.parametrize("text, what", [
    ("# a\0b\n[agent]\n", "line 2: NUL byte"),
    ("\n[Agent]\ngeometry = '800x600'\n", None),
    ("\n['agent']\n", None),
])
def test_no_text_of_odd_settings_is_lost(broker, host, text, what):
    before = f"version = '0.1'\n{text}software_statement_path = '{host.statement}'\n"
    before += f"\n[log]\ndirectory = '{host.folder}'\n"
    if "Agent" in text:
        before += f"[agent]\nsoftware_statement_path = '{host.statement}'\n"
    host.write(before)
    joined = host.join(url_of(broker), make_token(broker))
    if what:
        assert joined.returncode == 1 and what in joined.stderr
        assert host.conf.read_text() == before
    else:
        assert joined.returncode == 0, joined.stderr
        assert [line for line in host.conf.read_text().splitlines() if "broker_" not in line
                and "ca_file" not in line] == before.splitlines()


def test_guessing_is_limited(make_broker):
    broker = make_broker()

    def guess(secret):
        return requests.post(url_of(broker) + "/agent/join", verify=broker.http.verify, timeout=10,
                             json={"secret": secret})
    for _ in range(10):
        assert guess("A" * 43).status_code == 403
    limited = guess("A" * 43)
    assert limited.status_code == 429 and limited.headers["Retry-After"] == "60"
    # also for who knows one
    assert guess(make_token(broker).rsplit(".", 1)[1]).status_code == 429


def test_without_a_statement_there_is_no_token(make_broker):
    broker = make_broker()
    broker.command("deactivate-software-statement", "--software-statement", broker.statement)
    refused = broker.command("create-join-token", check=False)
    assert refused.returncode == 1 and "generate-software-statement" in refused.stderr
    broker.command("generate-software-statement")
    for minutes in ("0", "1441", "x"):
        refused = broker.command("create-join-token", "--minutes", minutes, check=False)
        assert refused.returncode == 1 and "--minutes must be 1 to 1440" in refused.stderr
    make_token(broker, "--minutes=1440")


def test_a_host_joins_where_the_administrator_has_an_authority(make_broker, host, tmp_path):
    own_files(tmp_path, "own")
    broker = make_broker(agent_to_broker_connector_key_store_file=tmp_path / "own.p12",
                         agent_to_broker_connector_key_store_pass="xyzzy")
    joined = host.join(url_of(broker), make_token(broker))
    assert joined.returncode == 0, joined.stderr
    assert host.ca.read_text() == (tmp_path / "ca.pem").read_text()
    # there is nothing to pin if the authority does not come along
    alone = make_broker(
        agent_to_broker_connector_key_store_file=f"{tmp_path}/own.pem,{tmp_path}/own.key")
    refused = alone.command("create-join-token", check=False)
    assert refused.returncode == 1
    assert "own.key has no certificate of the authority" in refused.stderr
