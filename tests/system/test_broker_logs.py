"""What the broker writes down, and what it tells the service manager."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
from unittest.mock import ANY

import pytest
import requests

from broker_helpers import Broker, raw
from waiting import wait_until

DAY = 86400


def log_path(broker, name="broker.log"):
    return pathlib.Path(broker.settings["log-directory"]) / name


def lines_of(broker, name="broker.log"):
    return log_path(broker, name).read_text().splitlines()


def settle(broker):
    """What has been answered is in the files: the next request is only read once they are written."""
    broker.http.get(broker.url("/health"), timeout=5)


def audit_of(broker, what=None):
    settle(broker)
    entries = [json.loads(line) for line in lines_of(broker, "audit.log")]
    return [entry for entry in entries if what in (None, entry["what"])]


# --- the log -------------------------------------------------------------------------------------

def test_a_request_is_one_line_with_its_particulars(make_broker):
    broker = make_broker(log_level="info")
    broker.agent()
    reply = broker.ok("/createSessions", [{"Name": "n", "Owner": "mira", "Type": "VIRTUAL"},
                                          {"Name": "n", "Owner": "mira", "Type": "CONSOLE",
                                           "InitFile": "x"}])
    broker.ok("/describeSessions")
    broker.http.post(broker.url("/describeServers"), timeout=5)
    mine = [line for line in lines_of(broker) if " answered (" in line or " refused: " in line]
    assert len(mine) == 2, "a read that succeeds is told at debug only"
    assert re.search(rf" info    CreateSessions answered \(request={reply['RequestId']}, "
                     rf"client={broker.credentials[0]}, result=200, failed=1 of 2, ms=\d+\.\d+\)$",
                     mine[0]), mine
    assert re.search(r" info    request refused: No authorization header \(operation=DescribeServers, "
                     r"client=, peer=127\.0\.0\.1, result=401, ms=\d+\.\d+\)$", mine[1]), mine


def test_strangers_do_not_fill_the_log(make_broker):
    broker = make_broker(log_level="info")
    agents = f"https://localhost:{broker.agent_port}"
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "dcv-session-manager-link.v1"}
    for _ in range(60):
        for method, url, arguments, status in (
                ("POST", broker.url("/describeServers"), {}, 401),
                ("POST", f"{agents}/agent/validate-authentication-token",
                 {"data": {"sessionId": "s", "authenticationToken": "t"}}, 200),
                ("POST", f"{agents}/agent/register", {"json": {}}, 400),
                ("GET", f"{agents}/agent/ws", {"headers": upgrade}, 401)):
            reply = requests.request(method, url, **arguments, verify=broker.http.verify, timeout=5)
            assert reply.status_code == status, (url, reply.text)
    settle(broker)
    for what in ("request refused", "a token is refused", "agent not registered", "link refused"):
        assert 0 < sum(what in line for line in lines_of(broker)) <= 20, what


def test_yesterdays_files_are_rotated_at_the_start_and_todays_go_on(broker):
    broker.stop()
    before = {name: lines_of(broker, name) for name in ("broker.log", "audit.log")}
    broker.start()
    broker.stop()
    assert lines_of(broker)[:len(before["broker.log"])] == before["broker.log"]
    before["broker.log"] = lines_of(broker)
    for name in before:
        os.utime(log_path(broker, name), (time.time() - DAY,) * 2)
    broker.start()
    broker.register_client("second")
    settle(broker)
    for name, old in before.items():
        assert lines_of(broker, name + ".1") == old
        assert len(lines_of(broker, name)) > 0
        assert not set(lines_of(broker, name)) & set(old)
    assert len(audit_of(broker)) == 1


def test_a_file_that_is_full_is_followed_by_another_and_the_oldest_goes(make_broker):
    broker = make_broker(log_max_file_size=65536, log_rotate=2)
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(4):
        raw(broker.port, request * 700 + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    names = sorted(path.name for path in log_path(broker).parent.glob("broker.log*"))
    assert names == ["broker.log", "broker.log.1", "broker.log.2"]
    for name in names:
        assert log_path(broker, name).stat().st_size <= 65536
    assert lines_of(broker, "broker.log.2")[-1][:23] <= lines_of(broker, "broker.log.1")[0][:23]


def test_files_that_were_moved_away_are_begun_anew_on_sighup(broker):
    for name in ("broker.log", "audit.log"):
        log_path(broker, name).rename(log_path(broker, name + ".moved"))
    broker.register_client("to the moved file")
    assert not log_path(broker, "audit.log").exists()
    broker.process.send_signal(signal.SIGHUP)
    wait_until(log_path(broker, "audit.log").exists)
    broker.register_client("to the new file")
    assert len(audit_of(broker)) == 1
    assert any("client registered" in line for line in lines_of(broker))


@contextlib.contextmanager
def small_disk(folder, size="1m"):
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder],
                      capture_output=True).returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_stops_nothing_and_is_counted(make_broker, tmp_path):
    with small_disk(tmp_path / "log"):
        broker = make_broker(log_directory=tmp_path / "log")
        filler = tmp_path / "log" / "filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        for _ in range(100):  # what is left of the last blocks is soon used up
            for _ in range(10):
                broker.delete("nothing")
            metrics = broker.command("metrics").stdout
            if not re.search(r"^dcvsm_(log|audit)_lines_dropped_total 0$", metrics, re.M):
                break
        assert re.search(r"^dcvsm_log_lines_dropped_total [1-9]", metrics, re.M)
        assert re.search(r"^dcvsm_audit_lines_dropped_total [1-9]", metrics, re.M)
        assert broker.ok("/describeServers") == {"RequestId": ANY, "Servers": []}
        filler.unlink()
        broker.register_client("after")
        lost = re.search(r"^dcvsm_audit_lines_dropped_total (\d+)$",
                         broker.command("metrics").stdout, re.M)
        assert sum(entry["lines"] for entry in audit_of(broker, "LinesDropped")) == int(lost[1])
        assert audit_of(broker)[-1]["what"] == "register-api-client", "and every line is whole"
        assert any("lines could not be written" in line for line in lines_of(broker))
        broker.stop()


def test_a_log_folder_that_cannot_be_written_stops_nothing(make_broker, tmp_path):
    (tmp_path / "file").write_text("")
    broker = make_broker(log_directory=tmp_path / "file" / "log")
    assert "no log file: " in broker.errors() and "no audit log: " in broker.errors()
    metrics = broker.command("metrics").stdout
    assert re.search(r"^dcvsm_audit_lines_dropped_total 1$", metrics, re.M), "the client's registration"


# --- the journal ---------------------------------------------------------------------------------

def decode(datagram):
    """An entry in the journal's native protocol."""
    fields = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8:8 + size], datagram[8 + size + 1:]
        fields[key.decode()] = value.decode()
    return fields


class Journal:
    """journald's place: its socket, in a view of the file system that only the broker gets."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "socket"))
        self.socket.settimeout(10)
        self.entries = []

    def wait_for(self, **fields):
        while True:
            for entry in self.entries:
                if fields.items() <= entry.items():
                    return entry
            self.entries.append(decode(self.socket.recv(1 << 18)))


@pytest.fixture
def journal(tmp_path):
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("there is no way to a view of one's own of the file system")
    journal = Journal(tmp_path / "journal")
    yield journal
    journal.socket.close()


class JournalBroker(Broker):
    """A broker whose standard error is the journal's stream."""

    def __init__(self, journal, is_told=True, **settings):
        super().__init__(**settings)
        self.journal = journal
        self.is_told = is_told

    def start(self):
        read, write = os.pipe()
        mine, its = socket.socketpair()
        status = os.fstat(its.fileno())
        stream = f"{status.st_dev}:{status.st_ino + (not self.is_told)}"
        script = ('mount -t tmpfs none /run && mkdir -p /run/systemd/journal && '
                  'mount --bind "$1" /run/systemd/journal && shift && exec "$@"')
        self.process = subprocess.Popen(
            ["unshare", "-m", "sh", "-ec", script, "sh", self.journal.folder,
             os.path.join(os.environ["DCV_BUILD"], "dcv-session-manager-broker"),
             "--conf", self.conf, "--ready-fd", str(write)],
            pass_fds=(write,), stderr=its, env={**os.environ, "JOURNAL_STREAM": stream})
        os.close(write)
        its.close()
        self.stream = mine
        with os.fdopen(read) as pipe:
            assert pipe.readline() == "ready\n"
        return self

    def errors(self):
        self.stream.setblocking(False)
        text = b""
        with contextlib.suppress(BlockingIOError):
            while piece := self.stream.recv(65536):
                text += piece
        return text.decode()


def test_the_journal_gets_the_particulars_as_fields(journal):
    broker = JournalBroker(journal, log_level="info").start()
    try:
        broker.log_in()
        agent = broker.agent()
        reply = broker.ok("/createSessions", [{"Name": "n", "Owner": "mira", "Type": "VIRTUAL"}])
        identity = reply["SuccessfulList"][0]["Id"]
        accepted = journal.wait_for(DCV_RESULT="CREATING")
        assert accepted["MESSAGE"].startswith(f"session {identity} accepted (")
        assert accepted["PRIORITY"] == "6"
        assert accepted["SYSLOG_IDENTIFIER"] == "dcv-session-manager-broker"
        assert accepted["DCV_REQUEST_ID"] == reply["RequestId"]
        assert (accepted["DCV_SESSION"], accepted["DCV_SERVER"]) == (identity, agent.server_id)
        call = journal.wait_for(DCV_OPERATION="CreateSessions", DCV_RESULT="200")
        assert call["DCV_REQUEST_ID"] == reply["RequestId"]
        assert call["DCV_CLIENT"] == broker.credentials[0]
        assert float(call["DCV_MILLISECONDS"]) > 0
        assert f"request={reply['RequestId']}" in call["MESSAGE"]
        ready = journal.wait_for(DCV_SESSION=identity, DCV_RESULT="READY")
        assert ready["DCV_REQUEST_ID"] == reply["RequestId"]
        assert any(f"session {identity} accepted" in line for line in lines_of(broker))
        assert broker.errors() == "", "nothing is told twice"
    finally:
        broker.done()


def test_who_inherits_the_journals_name_only_writes_lines(journal):
    broker = JournalBroker(journal, is_told=False).start()
    try:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", broker.errors())
    finally:
        broker.done()


# --- the audit log -------------------------------------------------------------------------------

def in_one_order(entry):
    return json.dumps(entry, sort_keys=True)


def test_every_change_of_the_api_is_one_line(broker):
    agent = broker.agent()
    web = {"kind": "client", "id": broker.credentials[0], "name": "web", "address": "127.0.0.1"}
    made = broker.ok("/createSessions", [{"Name": "n", "Owner": "mira", "Type": "VIRTUAL"},
                                         {"Name": "n", "Owner": "mira", "Type": "CONSOLE",
                                          "InitFile": "x"}])
    identity = made["SuccessfulList"][0]["Id"]
    wait_until(lambda: broker.state(identity) == "READY")
    broker.ok("/sessionPermissions", [{"SessionId": identity, "Owner": "mira",
                                       "PermissionsFile": "YQ=="}], "PUT")
    gone = broker.delete(identity)
    wait_until(lambda: broker.state(identity) == "DELETED")
    broker.delete("nothing")
    broker.ok("/closeServers", [{"ServerId": agent.server_id}])
    broker.ok("/openServers", [{"ServerId": agent.server_id}])
    entries = audit_of(broker)[2:]
    assert all(entry.pop("time").endswith("Z") for entry in entries)
    host = {"kind": "agent", "id": agent.client_id, "name": "host"}
    server = {"server": agent.server_id}
    permissions, closed, opened = [entry.pop("request") for entry in entries
                                   if entry["what"] in ("UpdateSessionPermissions", "CloseServers",
                                                        "OpenServers")]
    assert len({permissions, closed, opened}) == 3
    request = made["RequestId"]
    assert sorted(entries, key=in_one_order) == sorted([
        {"what": "CreateSessions", "who": web, "outcome": "failed", "request": request,
         "reason": made["UnsuccessfulList"][0]["FailureReason"]},
        {"what": "CreateSessions", "who": web, "session": identity, **server, "outcome": "done",
         "request": request},
        {"what": "SessionReady", "who": host, "session": identity, **server, "outcome": "done",
         "request": request},
        {"what": "UpdateSessionPermissions", "who": web, "session": identity, **server,
         "outcome": "done"},
        {"what": "DeleteSessions", "who": web, "session": identity, **server, "outcome": "done",
         "request": gone["RequestId"]},
        {"what": "SessionEnded", "who": host, "session": identity, **server, "outcome": "done",
         "request": request},
        {"what": "DeleteSessions", "who": web, "session": "nothing", "outcome": "failed",
         "reason": "The requested dcvSession does not exist", "request": entries[-3]["request"]},
        {"what": "CloseServers", "who": web, **server, "outcome": "done"},
        {"what": "OpenServers", "who": web, **server, "outcome": "done"}], key=in_one_order)


def test_every_command_that_changes_something_is_one_line(broker):
    agent = broker.agent(connect=False)
    made = broker.command("generate-software-statement").stdout.split()[1]
    broker.command("deactivate-software-statement", "--software-statement", made)
    broker.command("unregister-agent-client", "--client-id", agent.client_id)
    broker.command("unregister-api-client", "--client-id", "none", check=False)
    for only_reads in ("describe-api-clients", "describe-software-statements", "metrics"):
        broker.command(only_reads)
    entries = audit_of(broker)
    root = {"kind": "command", "uid": os.getuid(), **({"name": "root"} if os.getuid() == 0 else {})}
    assert [(e["what"], e["outcome"]) for e in entries] == [
        ("register-api-client", "done"), ("RegisterAgent", "done"),
        ("generate-software-statement", "done"), ("deactivate-software-statement", "done"),
        ("unregister-agent-client", "done"), ("unregister-api-client", "failed")]
    assert entries[0]["who"] == root and entries[0]["object"] == broker.credentials[0]
    assert entries[1]["who"] == {"kind": "agent", "id": agent.client_id, "name": "host",
                                 "address": "127.0.0.1"}
    assert entries[2]["object"] == entries[3]["object"] and entries[2]["object"] not in made
    assert entries[4]["object"] == agent.client_id
    assert entries[5]["object"] == "none" and "no client" in entries[5]["reason"]


def test_no_secret_is_written_anywhere(broker):
    agent = broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    connection = broker.ok(f"/sessionConnectionData/{identity}/mira", method="GET")
    broker.ok("/sessionPermissions", [{"SessionId": identity, "Owner": "mira",
                                       "PermissionsFile": "c2VjcmV0IHRleHQ="}], "PUT")
    agent.screenshot = "c2VjcmV0IHBpY3R1cmU="
    broker.ok("/getSessionScreenshots", [{"SessionId": identity}])
    statement = broker.command("generate-software-statement").stdout.split()[1]
    broker.command("deactivate-software-statement", "--software-statement", statement)
    broker.http.post(broker.url("/oauth2/token?grant_type=client_credentials"),
                     auth=(broker.credentials[0], "xyzzy-plugh"), timeout=10)
    written = "\n".join([broker.errors(), *lines_of(broker), *lines_of(broker, "audit.log")])
    assert "DeleteSessions" not in written and "CreateSessions" in written
    for secret in (broker.credentials[1], broker.token, connection["ConnectionToken"], agent.secret,
                   statement, broker.statement, "c2VjcmV0IHRleHQ", "c2VjcmV0IHBpY3R1cmU",
                   "xyzzy-plugh"):
        assert secret not in written


# --- health and the service manager --------------------------------------------------------------

class Manager:
    """The service manager's end of the notification socket."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(10)

    def next(self):
        return self.socket.recv(4096).decode().splitlines()

    def next_but_watchdog(self):
        while (lines := self.next()) == ["WATCHDOG=1"]:
            pass
        return lines


@pytest.fixture
def manager(tmp_path, monkeypatch):
    manager = Manager(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    yield manager
    manager.socket.close()


def test_the_service_manager_is_told_of_start_reload_and_end(manager):
    broker = Broker().start()
    try:
        assert manager.next() == ["READY=1"]
        broker.process.send_signal(signal.SIGHUP)
        reloading = manager.next()
        assert reloading[0] == "RELOADING=1"
        assert re.fullmatch(r"MONOTONIC_USEC=\d+", reloading[1])
        assert manager.next() == ["READY=1"]
        broker.stop()
        assert manager.next() == ["STOPPING=1"]
    finally:
        broker.done()


def test_the_watchdog_is_told_twice_in_the_time_that_it_allows(manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    broker = Broker().start()
    try:
        assert manager.next() == ["READY=1"]
        began = time.monotonic()
        for _ in range(4):
            assert manager.next() == ["WATCHDOG=1"]
        assert time.monotonic() - began > 0.5, "three pauses of 200 ms"
    finally:
        broker.done()


def relay_in_flight(broker):
    """A request that its agent has not answered yet, on a connection of its own."""
    agent = broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    agent.silent = True
    body = json.dumps([{"SessionId": identity}])
    sock = raw(broker.port, f"POST /getSessionScreenshots HTTP/1.1\r\nHost: localhost\r\n"
               f"Authorization: Bearer {broker.token}\r\nContent-Length: {len(body)}\r\n\r\n"
               f"{body}".encode(), wait=False)
    return agent, agent.wait_for_command("GetSessionScreenshots")[0], sock


def test_health_is_503_while_requests_in_progress_are_finished(broker):
    agent, command, sock = relay_in_flight(broker)
    health = [f"https://localhost:{port}/health" for port in (broker.port, broker.agent_port)]
    for url in health:
        up = broker.http.get(url, timeout=5)
        assert (up.status_code, up.json()) == (200, {"status": "ok"})
        assert broker.http.head(url, timeout=5).status_code == 200
    broker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: broker.http.get(health[0], timeout=5).status_code == 503)
    for url in health:
        down = broker.http.get(url, timeout=5)
        assert (down.status_code, down.json()) == (503, {"error": "stopping"})
    assert broker.call("/describeSessions").status_code == 503
    agent.send({"id": command["id"], "status": 404, "body": {"error": "gone", "code": "NOT_FOUND"}})
    answer = sock.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    sock.close()
    assert broker.process.wait(10) == 0


def test_a_second_signal_waits_for_nothing(broker):
    _, _, sock = relay_in_flight(broker)
    broker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: broker.http.get(broker.url("/health"), timeout=5).status_code == 503)
    broker.process.send_signal(signal.SIGTERM)
    assert broker.process.wait(5) == 0
    sock.close()
