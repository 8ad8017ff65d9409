"""The simulated fleet at the real broker: what other tests and benchmarks take for granted."""

import base64
import json
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from fleet_helpers import fleet, running_fleet, server  # noqa: F401, one is a fixture
from ports import free_port
from waiting import wait_until

JPEG = b"\xff\xd8\xff\xe0 not a whole one, and nobody looks \xff\xd9"


# --- many ----------------------------------------------------------------------------------------

def test_twenty_copies_are_linked_and_told_apart(fleet, broker):
    f = fleet([server("render", tags={"pool": "cad"})], "--count", "20")
    servers = broker.ok("/describeServers", {})["Servers"]
    assert {s["Id"] for s in servers} == {f"render-{n}" for n in range(1, 21)}
    assert {s["Hostname"] for s in servers} == {f"render-{n}" for n in range(1, 21)}
    assert {s["Ip"] for s in servers} == {f"192.0.2.{n}" for n in range(1, 21)}
    for s in servers:
        assert s["Availability"] == "AVAILABLE" and s["Tags"] == [{"Key": "pool", "Value": "cad"}]
        assert s["DefaultDnsName"] == s["Hostname"] + ".lab.example"
        assert [e["IpAddress"] for e in s["Endpoints"]] == [s["Ip"]]
        assert s["Host"] == server("")["Host"]
    assert all(s["linked"] and s["links"] == 1 and s["acknowledged"] >= 1
               for s in f.list().values())


def test_copies_take_no_address_of_another(fleet, broker):
    fleet([server("a", "192.0.2.254"), server("b", "192.0.2.255"), server("c", "2001:db8::1"),
           server("d", "no address")], "--count", "3")
    addresses = [s["Ip"] for s in broker.ok("/describeServers", {})["Servers"]]
    assert len(set(addresses)) == 12, addresses
    assert {"192.0.2.254", "192.0.2.255", "192.0.3.0", "2001:db8::3", "no address-2"} < set(
        addresses)


def test_a_single_copy_is_as_in_the_file(fleet):
    f = fleet([server("cad01", "10.0.0.21")])
    told = f.described("cad01")
    assert {**told, **server("cad01", "10.0.0.21")} == told


def test_three_hundred_at_once(fleet, broker):
    """All register at once; what the broker can check in a second bounds the time."""
    before = time.monotonic()
    f = fleet([server("many")], "--count", "300")
    assert time.monotonic() - before < 60
    assert len(broker.ok("/describeServers", {})["Servers"]) == 300
    assert sum(s["linked"] for s in f.list().values()) == 300


# --- sessions ------------------------------------------------------------------------------------

def test_a_session_is_ready_after_its_time_and_ends_when_told(fleet, broker):
    f = fleet([server("one", behaviour={"create_ms": 400})])
    before = time.monotonic()
    identity = broker.create(PermissionsFile=base64.b64encode(b"[permissions]").decode())
    assert broker.state(identity) == "CREATING"
    wait_until(lambda: broker.state(identity) == "READY")
    assert 0.4 <= time.monotonic() - before < 3
    assert f.described("one")["VirtualSessionCount"] == 1
    kept = f.list()["one"]
    assert kept["received"] == {"CreateSessions": 1}
    assert [s["Id"] for s in kept["sessions"]] == [identity]
    permissions = base64.b64encode(b"[other]").decode()
    reply = broker.ok("/sessionPermissions", [{
        "SessionId": identity, "Owner": "mira", "PermissionsFile": permissions}], "PUT")
    assert reply["UnsuccessfulList"] == []
    assert f.list()["one"]["sessions"][0]["PermissionsFile"] == permissions
    assert broker.delete(identity)["UnsuccessfulList"] == []
    wait_until(lambda: broker.state(identity) == "DELETED")
    assert broker.session(identity)["StateReason"] == "deleted on request"
    assert f.described("one")["VirtualSessionCount"] == 0


def test_a_failed_creation_goes_to_another_server(fleet, broker):
    f = fleet([server("bad", behaviour={"create_ms": 500, "fail_creates": 1,
                                        "fail_reason": "no licence"}),
               server("good", "192.0.2.2", Availability="UNAVAILABLE",
                      UnavailabilityReason="SERVER_CLOSED")])
    assert f.reason("good") == "SERVER_CLOSED"
    identity = broker.create()
    wait_until(lambda: f.list()["bad"]["received"] == {"CreateSessions": 1})
    assert broker.ok("/openServers", [{"ServerId": "good"}])["UnsuccessfulList"] == []
    wait_until(lambda: broker.state(identity) == "READY")
    assert broker.session(identity)["Server"]["Id"] == "good"
    told = f.list()
    assert told["good"]["received"] == {"OpenServers": 1, "CreateSessions": 1}
    assert [(s["Id"], s["State"], s["StateReason"]) for s in told["bad"]["sessions"]] == [
        (identity, "DELETED", "no licence")]


def test_a_creation_that_fails_everywhere_tells_the_reason(fleet, broker):
    f = fleet([server("bad")], "--count", "2")
    f.behave("*", fail_creates=True, fail_reason="out of licences")
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "DELETED")
    assert broker.session(identity)["StateReason"] == "out of licences"
    assert sum(s["received"]["CreateSessions"] for s in f.list().values()) >= 2
    f.behave("*", fail_creates=False)
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")


def test_a_full_server_says_so(fleet, broker):
    f = fleet([server("small", tags={"dcv:max-virtual-sessions": "1"})])
    identity = broker.create()
    wait_until(lambda: f.reason("small") == "SERVER_FULL")
    broker.delete(identity)
    wait_until(lambda: f.described("small")["Availability"] == "AVAILABLE")


def test_a_session_ends_by_itself(fleet, broker):
    f = fleet([server("one")])
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    assert f.tell("end", session=identity, reason="the screen broke") == {"servers": 1}
    wait_until(lambda: broker.state(identity) == "DELETED")
    assert broker.session(identity)["StateReason"] == "the screen broke"
    assert "no living session" in f.send(json.dumps({"command": "end", "session": identity}))[
        "error"]


def test_a_session_made_at_the_host_appears(fleet, broker):
    f = fleet([server("one")])
    f.tell("add", server="one", session={"Id": "console", "Name": "screen", "Owner": "mira",
                                         "Type": "CONSOLE"})
    wait_until(lambda: broker.state("console") == "READY")
    told = broker.session("console")
    assert (told["Name"], told["Owner"], told["Type"]) == ("screen", "mira", "CONSOLE")
    assert f.reason("one") == "SERVER_FULL" and f.described("one")["ConsoleSessionCount"] == 1


def test_screenshots_are_the_files_or_one_made_up(fleet, broker, tmp_path):
    (tmp_path / "shot.jpg").write_bytes(JPEG)
    f = fleet([server("one")])
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")

    def image():
        reply = broker.ok("/getSessionScreenshots", [{"SessionId": identity}])
        return reply["SuccessfulList"][0]["SessionScreenshot"]["Images"][0]

    assert image()["Format"] == "png"
    assert base64.b64decode(image()["Data"]).startswith(b"\x89PNG\r\n\x1a\n")
    f.behave("one", screenshot=str(tmp_path / "shot.jpg"))
    assert (image()["Format"], base64.b64decode(image()["Data"])) == ("jpeg", JPEG)


# --- trouble -------------------------------------------------------------------------------------

def test_a_server_that_hangs_does_not_hold_up_the_api(fleet, broker):
    f = fleet([server("one")])
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    f.behave("one", hang=True)
    before = time.monotonic()
    reply = broker.ok("/getSessionScreenshots", [{"SessionId": identity}])
    assert time.monotonic() - before < 8
    assert reply["SuccessfulList"] == [] and len(reply["UnsuccessfulList"]) == 1
    assert f.list()["one"]["received"]["GetSessionScreenshots"] == 1
    f.behave("one", hang=False)
    assert broker.ok("/getSessionScreenshots", [{"SessionId": identity}])["UnsuccessfulList"] == []


def test_a_dropped_link_is_made_again(fleet):
    f = fleet([server("one")], "--count", "3")
    assert f.tell("drop", server="one-2") == {"servers": 1}
    wait_until(lambda: f.list()["one-2"]["links"] == 2 and f.list()["one-2"]["linked"])
    assert [f.list()[i]["links"] for i in ("one-1", "one-3")] == [1, 1]
    wait_until(lambda: f.described("one-2")["Availability"] == "AVAILABLE")


def test_who_stays_away_is_unreachable_until_it_comes_back(fleet, broker):
    f = fleet([server("one")])
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    f.tell("disconnect", server="*")
    wait_until(lambda: f.reason("one") == "UNREACHABLE_AGENT")
    wait_until(lambda: broker.state(identity) == "UNKNOWN")
    assert f.list()["one"]["linked"] is False
    f.tell("connect", server="*")
    wait_until(lambda: broker.state(identity) == "READY")
    assert f.described("one")["Availability"] == "AVAILABLE"


def test_a_silent_server_says_nothing_until_it_is_woken(fleet):
    f = fleet([server("one"), server("two", "192.0.2.2")], "--interval", "1")
    f.behave("one", silent_after_s=0.2)
    def two_has_reported(times):
        goal = f.list()["two"]["acknowledged"] + times
        wait_until(lambda: f.list()["two"]["acknowledged"] >= goal)

    two_has_reported(2)
    heard = f.list()["one"]
    two_has_reported(2)
    assert f.list()["one"] == heard and heard["linked"], "it says nothing, and the link stands"
    f.behave("one", silent_after_s=None)
    wait_until(lambda: f.list()["one"]["acknowledged"] > heard["acknowledged"])
    f.behave("one", silent_after_s=0.1)
    two_has_reported(2)
    f.tell("drop", server="one")
    wait_until(lambda: f.list()["one"]["links"] == 2)


def test_all_come_back_to_a_broker_that_was_killed(fleet, broker):
    f = fleet([server("one")], "--count", "5")
    broker.kill()
    wait_until(lambda: not any(s["linked"] for s in f.list().values()))
    broker.start()
    wait_until(lambda: all(s["linked"] for s in f.list().values()))
    assert [s["links"] for s in f.list().values()] == [2] * 5


def test_a_busy_broker_is_waited_for(start, build, tmp_path, certificates):
    """Hundreds that register at once wait longer than libwebsockets would by itself (5 s)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    port = free_port()
    waited = []

    def serve(listener):
        link = context.wrap_socket(listener.accept()[0], server_side=True)
        head = b""
        while b"client_name" not in head:
            head += link.recv(4096)
        link.settimeout(6.5)
        before = time.monotonic()
        try:
            link.recv(1)
        except TimeoutError:
            pass
        waited.append(time.monotonic() - before)
        link.close()

    (tmp_path / "fleet.json").write_text(json.dumps([server("one")]))
    (tmp_path / "statement").write_text("statement")
    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        start([build / "doubles/fleet", "--broker-url", f"https://localhost:{port}", "--ca-file",
               certificates / "ca.pem", "--software-statement", tmp_path / "statement",
               tmp_path / "fleet.json"])
        thread.join()
    assert waited[0] > 6


# --- what is wrong is named ----------------------------------------------------------------------

@pytest.mark.parametrize("line, error", [
    ("nonsense", "line 1"),
    ("[]", "a command is an object"),
    ("{}", "command is missing"),
    ('{"command":"dance"}', "unknown command 'dance'"),
    ('{"command":"list","colour":1}', "list: unknown field 'colour'"),
    ('{"command":"drop"}', "drop: server is missing"),
    ('{"command":"drop","server":7}', "drop: server must be a string"),
    ('{"command":"drop","server":"no"}', "drop: no server 'no'"),
    ('{"command":"drop","server":"one","session":"x"}', "drop: unknown field 'session'"),
    ('{"command":"behaviour","server":"one"}', "behaviour: set is missing"),
    ('{"command":"behaviour","server":"one","set":{"mood":1}}', "set: mood: unknown key"),
    ('{"command":"behaviour","server":"one","set":{"hang":true,"create_ms":-1}}',
     "set: create_ms: must be a whole number from 0"),
    ('{"command":"behaviour","server":"one","set":{"screenshot":"/nowhere"}}', "/nowhere"),
    ('{"command":"add","server":"*","session":{}}', "server must be one"),
    ('{"command":"add","server":"one","session":{"Id":"x"}}', "add: session: "),
    ('{"command":"end","session":"x"}', "end: no living session 'x'"),
])
def test_a_wrong_command_is_told_what_is_wrong(shared_fleet, line, error):
    assert error in shared_fleet.send(line)["error"]
    assert shared_fleet.send('{"command":"behaviour","server":"*","set":{}}') == {"servers": 1}


@pytest.fixture(scope="module")
def shared_fleet(build, tmp_path_factory):
    """One for all the commands that change nothing."""
    with running_fleet(build, tmp_path_factory, [server("one")], stop_with=signal.SIGINT) as f:
        yield f


def test_lines_may_come_in_pieces_and_together(shared_fleet):
    for byte in b'{"command":"list"':
        shared_fleet.socket.sendall(bytes([byte]))
    shared_fleet.socket.sendall(b'}\n{"command":"list"}\n{"comm')
    assert [len(json.loads(shared_fleet.lines.readline())["servers"]) for _ in range(2)] == [1, 1]
    assert "error" in shared_fleet.send('"')


def test_a_line_without_an_end_is_cut_off(shared_fleet):
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(str(shared_fleet.path))
        with pytest.raises(OSError):
            other.sendall(b"x" * (2 << 20))
            assert other.recv(1) == b""
            raise OSError
    shared_fleet.tell("list")


def refusal(build, *arguments):
    result = subprocess.run([build / "doubles/fleet", *arguments], capture_output=True, text=True,
                            timeout=20)
    assert result.returncode != 0 and result.stderr.count("\n") <= 2, result.stderr
    return result.stderr


@pytest.mark.parametrize("text, error", [
    ("", "fleet.json: "),
    ("{}", "must be an array with at least one server"),
    ("[]", "must be an array with at least one server"),
    ("[1]", "element 0: must be an object"),
    ([server("a"), {"Id": "b"}], "element 1: Hostname is missing"),
    ([{**server("a"), "Port": 8443}], "element 0: Port must be a string"),
    ([{**server("a"), "Ip": ""}], "element 0: Ip is empty"),
    ([{**server("a"), "Hostnme": "x"}], "element 0: unknown key Hostnme"),
    ([{**server("a"), "Tags": [{"Key": "x"}]}], "element 0: Tags[0] must have Key and Value"),
    ([{**server("a"), "Endpoints": ["x"]}], "element 0: Endpoints[0] must be an object"),
    ([server("a"), server("b"), server("a")], "element 2: Id a is that of element 0 too"),
    ([server("a", behaviour={"create_ms": "1"})], "element 0: Behaviour: create_ms: must be"),
    ([server("a", behaviour={"fail_creates": -1})], "element 0: Behaviour: fail_creates: must be"),
    ([server("a", behaviour={"fail_reason": 1})], "Behaviour: fail_reason: must be a string"),
    ([server("a", behaviour={"hang": 1})], "element 0: Behaviour: hang: must be true or false"),
    ([server("a", behaviour={"silent_after_s": 0})], "Behaviour: silent_after_s: must be"),
    ([server("a", behaviour={"screenshot": "/dev/null"})], "neither a PNG nor a JPEG"),
    ([server("a", behaviour={"screenshots": "x"})], "Behaviour: screenshots: unknown key"),
])
def test_a_bad_file_is_told_where(build, tmp_path, text, error):
    path = tmp_path / "fleet.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    (tmp_path / "statement").write_text("x")
    told = refusal(build, "--broker-url", "https://localhost:1", "--software-statement",
                   tmp_path / "statement", path)
    assert error in told and str(path) in told or "/dev/null" in told


@pytest.mark.parametrize("options, error", [
    ([], "--broker-url is missing"),
    (["--broker-url", "https://localhost"], "'https://localhost' is not https://host:port"),
    (["--broker-url", "http://localhost:1"], "is not https://host:port"),
    (["--broker-url", "https://:1"], "is not https://host:port"),
    (["--broker-url", "https://localhost:99999"], "is not https://host:port"),
    (["--broker-url", "https://localhost:1", "x"], "--software-statement is missing"),
    (["--broker-url", "https://localhost:1", "--software-statement", "x"], "one FILE"),
    (["--count", "0"], "--count: '0' is not a whole number from 1"),
    (["--count", "3x"], "--count: '3x'"),
    (["--interval", ""], "--interval: ''"),
    (["--parallel", "-1"], "--parallel: '-1'"),
    (["--ready-fd", "1"], "1"),
    (["--nonsense"], "--nonsense"),
    (["--broker-url", "https://localhost:1", "--software-statement", "/nowhere", "/nowhere"],
     "/nowhere"),
])
def test_a_bad_option_is_named(build, options, error):
    assert error in refusal(build, *options)


def test_more_agents_than_descriptors_are_refused(build, tmp_path):
    (tmp_path / "fleet.json").write_text(json.dumps([server("a")]))
    (tmp_path / "statement").write_text("x")
    result = subprocess.run(
        ["prlimit", "--nofile=1000:1000", build / "doubles/fleet", "--broker-url",
         "https://localhost:1", "--software-statement", tmp_path / "statement", "--count", "5000",
         tmp_path / "fleet.json"], capture_output=True, text=True, timeout=20)
    assert result.returncode != 0 and "5000 agents need more descriptors" in result.stderr


def test_help_and_version(build):
    for option, text in (("--help", "Usage: fleet"), ("--version", "fleet ")):
        result = subprocess.run([build / "doubles/fleet", option], capture_output=True, text=True,
                                timeout=20)
        assert result.returncode == 0 and result.stdout.startswith(text) and not result.stderr
