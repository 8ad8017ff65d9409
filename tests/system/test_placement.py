"""Where sessions go, what waits, and which servers are left alone for a while."""

import json
import threading

import pytest
from waiting import wait_until



def creations(agent):
    with agent.lock:
        return [c["context"]["SessionId"] for c in agent.commands
                if c["operation"] == "CreateSessions"]


def create_until_it_ends(broker, **more):
    identity = broker.create(**more)
    wait_until(lambda: broker.state(identity) in ("READY", "DELETED"))
    return broker.session(identity)


# --- the choice --------------------------------------------------------------------------------

def test_the_emptiest_then_the_idlest_then_the_first_server_is_chosen(broker):
    load = lambda n: {"Host": {"CpuLoadAverage": {"OneMinute": n}}}
    agents = {name: broker.agent(name, **load(n)) for name, n in
              (("busy", 3.0), ("idle", 0.1), ("middle", 1.0))}
    order = [create_until_it_ends(broker)["Server"]["Hostname"] for _ in range(6)]
    assert order == ["idle", "middle", "busy"] * 2
    assert {len(a.sessions) for a in agents.values()} == {2}


def test_a_burst_of_a_thousand_fills_four_hundred_places_and_no_server_over_its_limit(broker):
    agents = [broker.agent(f"h{i}", tags={"dcv:max-virtual-sessions": "10"}) for i in range(40)]
    over, done = [], threading.Event()

    def watch():
        while not done.is_set():
            for server in broker.ok("/describeServers")["Servers"]:
                if server["VirtualSessionCount"] > 10:
                    over.append(server)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        reply = broker.ok("/createSessions", [
            {"Name": str(i), "Owner": f"user{i % 7}", "Type": "VIRTUAL"} for i in range(1000)])
        accepted = [s["Name"] for s in reply["SuccessfulList"]]
        assert len(accepted) == 400
        assert accepted == sorted(accepted, key=int), "in the order of the request"
        assert len(reply["UnsuccessfulList"]) == 600
        assert {u["FailureReason"] for u in reply["UnsuccessfulList"]} == {
            "no dcv server found for placement"}
        wait_until(lambda: [s["State"] for s in broker.ok("/describeSessions")["Sessions"]]
                   == ["READY"] * 400)
    finally:
        done.set()
        watcher.join()
    assert over == []
    assert [len(a.sessions) for a in agents] == [10] * 40
    assert broker.ok("/createSessions", [{"Name": "n", "Owner": "o", "Type": "VIRTUAL"}])[
        "SuccessfulList"] == []


def test_failures_and_deletions_give_their_places_back(broker):
    agent = broker.agent(tags={"dcv:max-virtual-sessions": "2"})
    for _ in range(3):
        agent.refuse = (404, "NOT_FOUND", "user not found: mira")
        assert create_until_it_ends(broker)["State"] == "DELETED"
        agent.refuse = None
        made = [create_until_it_ends(broker)["Id"] for _ in range(2)]
        assert broker.ok("/describeServers")["Servers"][0]["UnavailabilityReason"] == "SERVER_FULL"
        for identity in made:
            broker.delete(identity)
        wait_until(lambda: {broker.state(i) for i in made} == {"DELETED"})
    assert broker.ok("/describeServers")["Servers"][0]["VirtualSessionCount"] == 0


def test_a_retry_prefers_another_host_and_takes_the_same_one_if_there_is_no_other(broker):
    first = broker.agent("a")
    first.refuse = (500, "SYSTEM", "disk broken")
    second = broker.agent("b", Host={"CpuLoadAverage": {"OneMinute": 50.0}})
    identity = create_until_it_ends(broker)["Id"]
    assert creations(first) == [identity] and creations(second) == [identity]
    second.server["Availability"] = "UNAVAILABLE"
    second.server["UnavailabilityReason"] = "SERVER_CLOSED"
    second.report(wait=True)
    gone = create_until_it_ends(broker)
    assert (gone["State"], gone["StateReason"]) == ("DELETED", "disk broken")
    assert creations(first).count(gone["Id"]) == 2, "then it was set back, and nobody was left"


def test_a_creation_that_no_host_could_carry_out_is_not_tried_again(broker):
    agents = [broker.agent(name) for name in ("a", "b")]
    for agent in agents:
        agent.refuse = (400, "INVALID", "PermissionsFile is not valid base64")
    gone = create_until_it_ends(broker)
    assert gone["StateReason"] == "PermissionsFile is not valid base64"
    assert sum(len(creations(a)) for a in agents) == 1


# --- the queue ---------------------------------------------------------------------------------

def test_who_fits_does_not_wait_behind_who_does_not(broker):
    never = broker.create(EnqueueRequest=True, Requirements="tag:pool = 'moon'")
    first, second = (broker.create(EnqueueRequest=True) for _ in range(2))
    agent = broker.agent(tags={"dcv:max-virtual-sessions": "1"})
    wait_until(lambda: broker.state(first) == "READY")
    assert broker.session(second)["Substate"] == "SESSION_PLACING"
    assert "Server" not in broker.session(second)
    broker.delete(first)
    wait_until(lambda: broker.state(second) == "READY")
    assert creations(agent) == [first, second]
    assert broker.session(never)["Substate"] == "SESSION_PLACING"
    broker.delete(never)
    wait_until(lambda: broker.state(never) == "DELETED")


def test_the_queue_keeps_its_order_when_the_broker_is_killed(broker):
    body = [{"Name": str(i), "Owner": "mira", "Type": "VIRTUAL", "EnqueueRequest": True}
            for i in range(12)]
    order = [s["Id"] for s in broker.ok("/createSessions", body)["SuccessfulList"]]
    assert order != sorted(order)
    broker.kill()
    broker.start()
    order.append(broker.create(EnqueueRequest=True))
    agent = broker.agent(tags={"dcv:max-virtual-sessions": "1"})
    for identity in order:
        wait_until(lambda: broker.state(identity) == "READY")
        broker.delete(identity)
    assert creations(agent) == order


def test_permissions_given_to_one_that_waits_are_those_it_is_created_with(broker):
    identity = broker.create(EnqueueRequest=True, PermissionFile="b2xk")
    done = broker.ok("/sessionPermissions", [{"SessionId": identity, "Owner": "mira",
                                              "PermissionsFile": "bmV3"}], "PUT")
    assert done["SuccessfulList"] == [{"SessionId": identity}]
    broker.kill()  # what was answered was committed
    broker.start()
    body = broker.agent().wait_for_command("CreateSessions")[0]["body"]
    assert body["PermissionsFile"] == "bmV3" and "PermissionFile" not in body


def test_a_server_that_is_opened_takes_what_waits(broker):
    agent = broker.agent()
    broker.ok("/closeServers", [{"ServerId": agent.server_id}])
    waiting = broker.create(EnqueueRequest=True)
    broker.ok("/openServers", [{"ServerId": agent.server_id}])
    wait_until(lambda: broker.state(waiting) == "READY")


def test_a_session_that_no_host_is_left_for_waits_if_it_may(make_broker):
    broker = make_broker(create_sessions_number_of_retries_on_failure=5)
    agent = broker.agent("a")
    agent.refuse = (500, "SYSTEM", "disk broken")
    gone = create_until_it_ends(broker)
    assert (gone["State"], gone["StateReason"]) == ("DELETED", "disk broken")
    assert len(creations(agent)) == 3, "then it was set back"
    waiting = broker.create(EnqueueRequest=True)
    assert broker.session(waiting)["Substate"] == "SESSION_PLACING"
    broker.agent("b")
    wait_until(lambda: broker.state(waiting) == "READY")


def test_one_that_gets_its_server_between_two_pages_comes_once(broker):
    ids = sorted(broker.create(EnqueueRequest=True) for _ in range(3))
    page = broker.ok("/describeSessions", {"MaxResults": 2})
    broker.agent()
    wait_until(lambda: {broker.state(i) for i in ids} == {"READY"})
    rest = broker.ok("/describeSessions", {"NextToken": page["NextToken"]})
    assert [s["Id"] for s in page["Sessions"] + rest["Sessions"]] == ids


# --- servers that keep failing -----------------------------------------------------------------

def bad_and_good(broker):
    bad = broker.agent("bad")
    bad.refuse = (500, "SYSTEM", "the X server did not start")
    return bad, broker.agent("good", Host={"CpuLoadAverage": {"OneMinute": 50.0}})


def test_a_server_that_keeps_failing_is_set_back(make_broker):
    broker = make_broker(server_set_back_seconds=3600)
    bad, good = bad_and_good(broker)
    made = [create_until_it_ends(broker)["Id"] for _ in range(6)]
    assert [broker.state(i) for i in made] == ["READY"] * 6
    assert creations(bad) == made[:3], "the good one was fuller each time, and yet it was left alone"
    told = broker.command("describe-placement").stdout
    assert f"no     {bad.server_id} (sessions=0" in told and "set back for another 3" in told
    assert f"yes    {good.server_id}" in told
    assert f"server {bad.server_id} is set back for 3600 s (failures=3, last=the X server" in broker.log()
    broker.ok("/closeServers", [{"ServerId": good.server_id, "Force": True}])
    refused = broker.ok("/createSessions", [{"Name": "n", "Owner": "o", "Type": "VIRTUAL"}])
    assert refused["UnsuccessfulList"][0]["FailureReason"] == "no dcv server found for placement"


def test_a_server_that_was_set_back_is_probed(make_broker):
    broker = make_broker(server_set_back_seconds=1)
    bad, _ = bad_and_good(broker)
    made = [create_until_it_ends(broker)["Id"] for _ in range(3)]
    assert creations(bad) == made
    wait_until(lambda: "set back for" not in broker.command("describe-placement").stdout)
    bad.becomes, bad.refuse = None, None
    probe = broker.create()
    wait_until(lambda: creations(bad)[3:] == [probe])
    assert "was set back, and a probe is being created there" in broker.command(
        "describe-placement").stdout
    assert create_until_it_ends(broker)["Server"]["Hostname"] == "good"
    with bad.lock:
        bad.set_state(probe, "READY")
        bad.report()
    wait_until(lambda: broker.state(probe) == "READY")
    assert f"server {bad.server_id} is set back no longer" in broker.log()
    bad.becomes = "READY"
    assert create_until_it_ends(broker)["Server"]["Hostname"] == "bad"


def test_a_probe_that_fails_sets_the_server_back_for_longer(make_broker):
    broker = make_broker(server_set_back_seconds=1, create_sessions_number_of_retries_on_failure=0)
    bad = broker.agent("bad")
    bad.refuse = (500, "SYSTEM", "no")
    for _ in range(3):
        create_until_it_ends(broker)
    wait_until(lambda: "set back for" not in broker.command("describe-placement").stdout)
    create_until_it_ends(broker)
    assert len(creations(bad)) == 4
    assert "is set back for 2 s (failures=3" in broker.log()


def test_requests_that_are_to_blame_themselves_set_no_server_back(broker):
    agent = broker.agent()
    agent.refuse = (404, "NOT_FOUND", "user not found: mira")
    for _ in range(2):
        assert create_until_it_ends(broker)["State"] == "DELETED"
    agent.refuse = None
    assert create_until_it_ends(broker)["State"] == "READY"


# --- describe-placement ------------------------------------------------------------------------

def test_for_a_request_every_server_is_explained(broker):
    broker.agent("cad1", tags={"pool": "cad", "dcv:max-virtual-sessions": "1"})
    broker.agent("cad2", tags={"pool": "cad"}, Host={
        "CpuInfo": {"NumberOfCpus": 2}, "Os": {"Family": "linux"}})
    broker.agent("cad3", tags={"pool": "cad", "dcv:max-concurrent-sessions-per-user": "1"})
    broker.agent("win", tags={"pool": "cad"}, Host={"Os": {"Family": "windows"}})
    broker.agent("office")
    for name in ("cad1", "cad3"):
        create_until_it_ends(broker, Requirements=f"server:Hostname = '{name}'")
    request = {"Name": "n", "Owner": "mira", "Type": "VIRTUAL",
               "Requirements": "tag:pool = 'cad' and server:Host.CpuInfo.NumberOfCpus >= 2"}
    told = json.loads(broker.command("describe-placement", "--request", json.dumps(request),
                                     "--json").stdout)["servers"]
    names = {s["Id"]: s["Hostname"] for s in broker.ok("/describeServers")["Servers"]}
    verdicts = {names[s["ServerId"]]: (s["Verdict"], s.get("Reason")) for s in told}
    assert verdicts == {
        "cad1": ("no", "SERVER_FULL"), "cad2": ("chosen", None),
        "cad3": ("no", "the owner has 1 sessions there, as many as a user may"),
        "win": ("no", "its operating system does not support what is asked for"),
        "office": ("no", "Requirements: tag:pool = 'cad' (has nothing)")}
    text = broker.command("describe-placement", "--request", json.dumps(request)).stdout
    assert text.count("\n") == 5 and "chosen " in text


@pytest.mark.parametrize("request_text, error", [
    ("{", "near end of file"),
    ("[]", "expected a JSON object"),
    ('{"Name":"n","Owner":"o","Type":"VIRTUAL","Odd":1}', 'Unrecognized field "Odd"'),
    ('{"Name":"n","Owner":"o","Type":"VIRTUAL","Requirements":"x"}', "Invalid requirements"),
    ('{"Name":"n","Owner":"o","Type":"CONSOLE","InitFile":"x"}', "InitFile is not supported")])
def test_a_request_that_is_not_right_is_told(broker, request_text, error):
    result = broker.command("describe-placement", "--request", request_text, check=False)
    assert result.returncode == 1 and error in result.stderr
    assert broker.command("describe-placement").stdout == "no servers\n"
