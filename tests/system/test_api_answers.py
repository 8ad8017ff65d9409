"""How the API writes answers, the data in them, and pages. Every answer is also held against the API's
description by Broker.call, with nothing beyond it and no null at any depth."""

import random
import re

import pytest

import api_schema
from broker_helpers import Broker
from waiting import wait_until

WHOLE_SERVER = {
    "Ip": "10.0.0.21", "Hostname": "cad01", "DefaultDnsName": "cad01.lab.example", "Port": "8443",
    "Endpoints": [
        {"IpAddress": "10.0.0.21", "Port": 8443, "WebUrlPath": "/", "Protocol": "HTTP"},
        {"IpAddress": "10.0.0.21", "Port": 8443, "Protocol": "QUIC"}],
    "WebUrlPath": "/", "Version": "2023.1.16220", "SessionManagerAgentVersion": "2023.1.732",
    "Host": {
        "Os": {"Family": "linux", "Name": "Rocky Linux", "Version": "9.3",
               "KernelVersion": "5.14.0-362.el9.x86_64"},
        "Memory": {"TotalBytes": 33567031296, "UsedBytes": 4211081216},
        "Swap": {"TotalBytes": 0, "UsedBytes": 0},
        "Aws": {"Region": "eu-west-1", "EC2InstanceType": "g4dn.xlarge",
                "EC2InstanceId": "i-0aa11bb22cc33dd44", "EC2ImageId": "ami-0f0f0f0f0f0f0f0f0"},
        "CpuInfo": {"Vendor": "GenuineIntel", "ModelName": "Xeon(R) 8259CL", "Architecture": "x86_64",
                    "NumberOfCpus": 4, "PhysicalCoresPerCpu": 2},
        "CpuLoadAverage": {"OneMinute": 0.42, "FiveMinutes": 0.31, "FifteenMinutes": 0.2},
        "Gpus": [{"Vendor": "NVIDIA Corporation", "ModelName": "TU104GL [Tesla T4]"}],
        "LoggedInUsers": [{"Username": "mira"}]}}
IN_A_SESSION = ["Id", "Ip", "Hostname", "DefaultDnsName", "Port", "Endpoints", "WebUrlPath", "Tags"]


@pytest.fixture(scope="module")
def shared():
    """One broker for what each test's own agent tells it."""
    b = Broker(delete_session_duration_seconds=0).start().log_in()
    yield b
    b.done()


def described(broker, agent):
    (server,) = broker.ok("/describeServers", {"ServerIds": [agent.server_id]})["Servers"]
    return server


def sessions(broker, **body):
    return broker.ok("/describeSessions", body)["Sessions"]


# --- 7: data types -------------------------------------------------------------------------------

def test_a_whole_server_and_what_a_session_has_of_it(shared):
    agent = shared.agent(tags={"pool": "cad", "a": ""}, **WHOLE_SERVER)
    told = described(shared, agent)
    assert told == {
        **WHOLE_SERVER, "Id": agent.server_id, "Availability": "AVAILABLE", "ConsoleSessionCount": 0,
        "VirtualSessionCount": 0,
        "Tags": [{"Key": "a", "Value": ""}, {"Key": "dcv:os-family", "Value": "linux"},
                 {"Key": "pool", "Value": "cad"}]}
    assert isinstance(told["Port"], str) and isinstance(told["Endpoints"][0]["Port"], int)
    identity = shared.create()
    wait_until(lambda: shared.state(identity) == "READY")
    data = shared.ok(f"/sessionConnectionData/{identity}/mira", method="GET")
    assert set(data) == {"Session", "ConnectionToken"}, "and no RequestId"
    for session in (shared.session(identity), data["Session"]):
        assert session["Server"] == {key: told[key] for key in IN_A_SESSION}
    shared.delete(identity)
    agent.drop()


def test_a_session_has_what_it_always_has_and_what_was_asked_for(shared):
    agent = shared.agent()
    plain = shared.create(Name=" näme\n\"x\" ", Owner="DOM\\mira")
    wait_until(lambda: shared.state(plain) == "READY")
    session = shared.session(plain)
    assert set(session) == {"Id", "Name", "Owner", "Server", "Type", "State", "CreationTime",
                            "NumOfConnections"}
    assert (session["Name"], session["Owner"]) == (" näme\n\"x\" ", "DOM\\mira")
    more = {"MaxConcurrentClients": 4, "StorageRoot": "%home%/share",
            "LastDisconnectionTime": "2026-03-02T09:30:00.000Z", "NumOfConnections": 2}
    agent.sessions[plain].update(more)
    agent.report(wait=True)
    assert shared.session(plain) == {**session, **more}
    shared.delete(plain, owner="DOM\\mira")
    agent.drop()


def test_a_session_that_waits_has_what_was_asked_for_and_no_server(broker):
    identity = broker.create(EnqueueRequest=True, MaxConcurrents=7, StorageRoot="/x", Type="Console")
    session = broker.session(identity)
    assert {key: session[key] for key in session if key not in ("Id", "CreationTime")} == {
        "Name": "n", "Owner": "mira", "Type": "CONSOLE", "State": "CREATING",
        "Substate": "SESSION_PLACING", "MaxConcurrentClients": 7, "StorageRoot": "/x",
        "NumOfConnections": 0}


# What a host says, and what may come of it.
ODD_SERVERS = [
    {key: None for key in WHOLE_SERVER},
    {key: 5 for key in WHOLE_SERVER},
    {key: "" for key in WHOLE_SERVER if key not in ("Port", "WebUrlPath")},
    {key: {} for key in WHOLE_SERVER},
    {key: [] for key in WHOLE_SERVER},
    {key: [None, 1, "x", [], {}] for key in WHOLE_SERVER if key != "Endpoints"},
    {"Host": {key: None for key in WHOLE_SERVER["Host"]}},
    {"Host": {key: {"Odd": 1} for key in WHOLE_SERVER["Host"]}},
    {"Host": {"Os": {"Family": 5, "Name": None}, "Memory": {"TotalBytes": 1.5, "UsedBytes": "5"},
              "CpuInfo": {"NumberOfCpus": 2 ** 31, "PhysicalCoresPerCpu": -1},
              "CpuLoadAverage": {"OneMinute": "0.5", "FiveMinutes": None}}},
    {"Host": {"Memory": {"TotalBytes": 2 ** 63 - 1, "UsedBytes": 2 ** 53 + 1}}},
    {"ConsoleSessionCount": 99, "VirtualSessionCount": -1, "Availability": "available"},
    {"Availability": "UNAVAILABLE"}, {"Availability": "UNAVAILABLE", "UnavailabilityReason": "TIRED"},
    {"Availability": "AVAILABLE", "UnavailabilityReason": "SERVER_FULL"},
    {"UnavailabilityReason": "UNREACHABLE_AGENT", "Availability": "UNAVAILABLE"},
    {"Tags": [{"Key": "b", "Value": "1"}, {"Key": "a", "Value": 5}, {"Key": None, "Value": "x"}, {}]},
    {"Odd": 1, "Server": {}, "Behaviour": {}},
]


@pytest.mark.parametrize("odd", ODD_SERVERS, ids=range(len(ODD_SERVERS)))
def test_whatever_a_host_says_the_answer_is_what_clients_can_read(shared, odd):
    agent = shared.agent(**odd)
    told = described(shared, agent)
    assert told["Id"] == agent.server_id
    assert (told["ConsoleSessionCount"], told["VirtualSessionCount"]) == (0, 0), "the broker counts"
    agent.sessions["odd"] = {"Id": "odd", "Owner": "mira", "Type": "CONSOLE", "State": "READY"}
    agent.report(wait=True)
    assert set(shared.session("odd")["Server"]) <= set(IN_A_SESSION)
    shared.ok("/sessionConnectionData/odd/mira", method="GET")
    agent.sessions.clear()
    agent.report(wait=True)
    agent.drop()


ODD_SESSIONS = [
    {"Name": None}, {"Name": 5}, {"Owner": None}, {"Owner": ""}, {"Type": None}, {"Type": "console"},
    {"Type": "GUEST"}, {"CreationTime": None}, {"CreationTime": ""}, {"CreationTime": "yesterday"},
    {"CreationTime": "2026-03-02T08:00:11Z"}, {"CreationTime": "2026-03-02T08:00:11.042+02:00"},
    {"LastDisconnectionTime": ""}, {"LastDisconnectionTime": None}, {"LastDisconnectionTime": 5},
    {"LastDisconnectionTime": "2026-03-02"}, {"NumOfConnections": None}, {"NumOfConnections": -1},
    {"NumOfConnections": 2 ** 31}, {"NumOfConnections": "1"}, {"MaxConcurrentClients": None},
    {"MaxConcurrentClients": 2 ** 40}, {"StorageRoot": None}, {"StorageRoot": 5}, {"Server": {"Id": "x"}},
    {"Server": None}, {"Substate": "SESSION_PLACING"}, {"Substate": None}, {"StateReason": None},
    {"StateReason": ""}, {"StateReason": 5}, {"Odd": {"deep": [None]}}, {"State": "CREATING"},
    {"State": "DELETING"},
]


def test_whatever_a_host_says_of_a_session(shared):
    """All at once: what is odd about one is no reason to leave out another."""
    agent = shared.agent()
    for number, odd in enumerate(ODD_SESSIONS):
        agent.sessions[f"odd-{number}"] = {
            "Id": f"odd-{number}", "Name": "n", "Owner": "mira", "Type": "VIRTUAL", "State": "READY",
            "CreationTime": "2026-03-02T08:00:11.042Z", "NumOfConnections": 0, **odd}
    agent.report(wait=True)
    told = {s["Id"] for s in sessions(shared)}
    assert not [odd for n, odd in enumerate(ODD_SESSIONS) if f"odd-{n}" not in told]
    assert described(shared, agent)["VirtualSessionCount"] == len(ODD_SESSIONS)
    agent.sessions.clear()
    agent.report(wait=True)
    agent.drop()


@pytest.mark.parametrize("said, told", [
    ("2026-03-02T08:00:11.042Z", "2026-03-02T08:00:11.042Z"),
    ("2026-03-02T08:00:11Z", "2026-03-02T08:00:11.000Z")])
def test_times_of_hosts_are_told_in_one_form(shared, said, told):
    agent = shared.agent()
    agent.sessions["s"] = {"Id": "s", "Owner": "o", "Type": "CONSOLE", "State": "READY",
                           "CreationTime": said, "LastDisconnectionTime": said}
    agent.report(wait=True)
    session = shared.session("s")
    assert (session["CreationTime"], session["LastDisconnectionTime"]) == (told, told)
    agent.sessions.clear()
    agent.report(wait=True)
    agent.drop()


# --- 5.3: writing --------------------------------------------------------------------------------

def test_every_call_has_an_id_of_its_own_which_is_logged(shared):
    ids = set()
    for path, method, operation in api_schema.operations():
        if method == "GET":
            continue
        body = {} if path.startswith("/describe") else []
        ids.add(shared.ok(path, body, method)["RequestId"])
        ids.add(shared.ok(path, body, method)["RequestId"])
    assert len(ids) == 16
    text = shared.log()
    assert all(identity in text for identity in ids)


def test_entries_keep_the_order_of_the_request_in_both_lists(broker):
    agent = broker.agent()
    wishes = [{"Name": str(n), "Owner": "mira", "Type": "VIRTUAL",
               **({"Requirements": "nonsense"} if n % 3 else {})} for n in range(30)]
    reply = broker.ok("/createSessions", wishes)
    assert [s["Name"] for s in reply["SuccessfulList"]] == [str(n) for n in range(0, 30, 3)]
    assert [u["CreateSessionRequestData"]["Name"] for u in reply["UnsuccessfulList"]] == [
        str(n) for n in range(30) if n % 3]
    ids = [s["Id"] for s in reply["SuccessfulList"]]
    wait_until(lambda: all(s["State"] == "READY" for s in sessions(broker)))
    random.Random(1).shuffle(ids)
    mixed = [i for pair in zip(ids, (f"gone-{n}" for n in range(10))) for i in pair]
    for path, method, more in (("/getSessionScreenshots", "POST", {}),
                               ("/sessionPermissions", "PUT", {"Owner": "mira", "PermissionsFile": "YQ"}),
                               ("/deleteSessions", "POST", {"Owner": "mira"})):
        reply = broker.ok(path, [{"SessionId": i, **more} for i in mixed], method)
        good = [e.get("SessionScreenshot", e)["SessionId"] for e in reply["SuccessfulList"]]
        bad = [e.get("GetSessionScreenshotRequestData", e)["SessionId"]
               for e in reply["UnsuccessfulList"]]
        assert (good, bad) == (ids, [i for i in mixed if i.startswith("gone")]), path
    servers = ["x", agent.server_id, "y"]
    for path in ("/closeServers", "/openServers"):
        member = path[1].upper() + path[2:-1] + "RequestData"
        more = {"Force": True} if path == "/closeServers" else {}
        reply = broker.ok(path, [{"ServerId": i, **more} for i in servers])
        assert reply["SuccessfulList"] == [{"ServerId": agent.server_id}]
        assert [u[member] for u in reply["UnsuccessfulList"]] == [
            {"ServerId": "x", **more}, {"ServerId": "y", **more}]


def test_the_same_id_twice_is_two_entries(broker):
    broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    reply = broker.ok("/getSessionScreenshots", [{"SessionId": identity}] * 3)
    assert len(reply["SuccessfulList"]) == 3
    reply = broker.ok("/deleteSessions", [{"SessionId": identity, "Owner": "mira"}] * 2)
    assert len(reply["SuccessfulList"]) + len(reply["UnsuccessfulList"]) == 2


# --- 5.4: pages ----------------------------------------------------------------------------------

KINDS = {"/describeSessions": "Sessions", "/describeServers": "Servers"}


def pages(broker, path, **body):
    """The pages, one after the other; give `send` another body to go on with."""
    token = None
    while True:
        reply = broker.ok(path, {**body, **({"NextToken": token} if token else {})})
        body.update((yield reply[KINDS[path]]) or {})
        token = reply.get("NextToken")
        if not token:
            return
        assert re.fullmatch("[A-Za-z0-9._~-]+", token)


@pytest.fixture(scope="module")
def listed():
    """Five servers with a console session each, and 3 virtual ones on the first."""
    b = Broker(delete_session_duration_seconds=0).start().log_in()
    b.hosts = [b.agent(f"h{n}", tags={"half": str(n % 2)}) for n in range(5)]
    for host in b.hosts:
        host.sessions["console"] = {"Id": "console", "Owner": "mira", "Type": "CONSOLE", "State": "READY"}
    for n in range(3):
        b.hosts[0].sessions[f"v{n}"] = {"Id": f"v{n}", "Owner": "mira", "Type": "VIRTUAL",
                                        "State": "READY"}
    for host in b.hosts:
        host.report(wait=True)
    yield b
    b.done()


@pytest.mark.parametrize("path, total", [("/describeSessions", 8), ("/describeServers", 5)])
def test_pages_are_full_ordered_and_end_without_a_token(listed, path, total):
    for size in range(1, total + 2):
        got = list(pages(listed, path, MaxResults=size))
        assert [len(page) for page in got] == [size] * (total // size) + (
            [total % size] if total % size else [])
        items = [(item["Id"], item.get("Server", {}).get("Id", "")) for page in got for item in page]
        assert items == sorted(set(items), key=lambda pair: tuple(map(str.encode, pair)))
        assert len(items) == total


def test_the_next_page_may_be_asked_for_otherwise(listed):
    """Each page obeys the size and the filters that came with it."""
    turn = pages(listed, "/describeSessions", MaxResults=2)
    assert [s["Id"] for s in next(turn)] == ["console"] * 2
    got = turn.send({"MaxResults": 1})
    assert [s["Id"] for s in got] == ["console"]
    got = turn.send({"Filters": [{"Key": "tag:half", "Value": "none"}]})
    assert got == []
    got = listed.ok("/describeSessions", {"MaxResults": 3})
    rest = listed.ok("/describeSessions", {"NextToken": got["NextToken"], "SessionIds": ["v1", "v2"]})
    assert [s["Id"] for s in rest["Sessions"]] == ["v1", "v2"] and "NextToken" not in rest


def test_a_token_is_only_good_for_its_operation(listed):
    for path, other in (("/describeSessions", "/describeServers"),
                        ("/describeServers", "/describeSessions")):
        token = listed.ok(path, {"MaxResults": 1})["NextToken"]
        assert listed.ok(path, {"NextToken": token})[KINDS[path]]
        for wrong, where in ((token, other), (token[:-1], path), (token + "A", path), (token[1:], path),
                             (token[::-1], path)):
            reply = listed.call(where, {"NextToken": wrong})
            assert reply.status_code == 400 and "NextToken" in reply.json()["error"], wrong


def test_a_token_outlives_the_broker(listed):
    token = listed.ok("/describeServers", {"MaxResults": 2})["NextToken"]
    rest = listed.ok("/describeServers", {"NextToken": token})["Servers"]
    listed.stop()
    listed.start()
    for host in listed.hosts:
        host.connect()
    assert [s["Id"] for s in listed.ok("/describeServers", {"NextToken": token})["Servers"]] == [
        s["Id"] for s in rest]


@pytest.mark.parametrize("seed", range(6))
def test_random_changes_between_pages_neither_repeat_nor_hide(seed):
    """Whatever comes and goes: nothing twice, and nothing missing that was there all the time."""
    chance = random.Random(seed)
    broker = Broker(delete_session_duration_seconds=0).start().log_in()
    try:
        hosts = [broker.agent(f"h{n}") for n in range(3)]
        number = iter(range(10 ** 6))

        def add(host):
            identity = chance.choice(["console", f"{chance.randrange(16 ** 4):04x}-{next(number)}",
                                      "é%d" % next(number)])
            host.sessions[identity] = {"Id": identity, "Owner": "o", "Type": "VIRTUAL", "State": "READY"}

        def keys():
            return {(i, host.server_id) for host in hosts for i in host.sessions}

        for host in hosts:
            for _ in range(chance.randrange(30)):
                add(host)
            host.report(wait=True)
        stayed, ever, seen = keys(), keys(), []
        turn = pages(broker, "/describeSessions", MaxResults=chance.randrange(1, 9))
        page = next(turn)
        while True:
            seen += [(s["Id"], s["Server"]["Id"]) for s in page]
            host = chance.choice(hosts)
            for _ in range(chance.randrange(4)):
                if host.sessions and chance.random() < 0.5:
                    del host.sessions[chance.choice(sorted(host.sessions))]
                else:
                    add(host)
            host.report(wait=True)
            stayed &= keys()
            ever |= keys()
            try:
                page = turn.send({"MaxResults": chance.randrange(1, 9)})
            except StopIteration:
                break
        assert len(seen) == len(set(seen))
        assert stayed <= set(seen) <= ever
        assert seen == sorted(seen, key=lambda pair: tuple(map(str.encode, pair)))
    finally:
        broker.done()


def test_no_page_has_more_than_1000(broker):
    agent = broker.agent()
    for n in range(1500):
        agent.sessions[f"s{n:04}"] = {"Id": f"s{n:04}", "Owner": "o", "Type": "VIRTUAL", "State": "READY"}
    agent.report(wait=True)
    got = list(pages(broker, "/describeSessions"))
    assert [len(page) for page in got] == [1000, 500]
    assert len(list(pages(broker, "/describeSessions", MaxResults=1000))[0]) == 1000
