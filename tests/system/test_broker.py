"""The broker as its clients and its agents see it."""

import base64
import json
import os
import subprocess
import time

import pytest
import requests

from broker_helpers import Broker, raw
from link_client import LinkRefused, WebSocket, fetch_token, register
from waiting import PATIENCE_S, wait_until


# --- the ordinary case -------------------------------------------------------------------------

def test_a_session_is_created_described_and_deleted(broker):
    agent = broker.agent(tags={"pool": "cad"})
    reply = broker.ok("/createSessions", [{"Name": "wing", "Owner": "mira", "Type": "virtual",
                                           "Requirements": "tag:pool = 'cad'"}])
    made = reply["SuccessfulList"][0]
    assert {k: made[k] for k in ("Name", "Owner", "Type", "State", "Substate")} == {
        "Name": "wing", "Owner": "mira", "Type": "VIRTUAL", "State": "CREATING",
        "Substate": "SESSION_PLACING"}
    assert "Server" not in made
    wait_until(lambda: broker.state(made["Id"]) == "READY")
    command = agent.wait_for_command("CreateSessions")[0]
    assert command["context"]["RequestId"] == reply["RequestId"]
    assert command["body"]["Type"] == "virtual", "the body is the client's, as it came"
    session = broker.session(made["Id"])
    assert session["Server"]["Id"] == agent.server_id
    assert {"Key": "pool", "Value": "cad"} in session["Server"]["Tags"]
    assert "Host" not in session["Server"] and "Availability" not in session["Server"]
    assert session["NumOfConnections"] == 0 and "Substate" not in session
    assert session["CreationTime"] == command["context"]["CreationTime"]
    gone = broker.delete(made["Id"])
    assert gone["SuccessfulList"] == [{"SessionId": made["Id"], "State": "DELETING"}]
    wait_until(lambda: broker.state(made["Id"]) == "DELETED")


def test_a_server_is_described_as_reported(broker):
    agent = broker.agent(tags={"b": "2", "a": "1"})
    server = broker.ok("/describeServers")["Servers"][0]
    assert server["Id"] == agent.server_id and server["Availability"] == "AVAILABLE"
    assert [t["Key"] for t in server["Tags"]] == ["a", "b", "dcv:os-family"]
    assert server["Host"]["Gpus"] == [] and server["Host"]["LoggedInUsers"] == []
    broker.create()
    wait_until(lambda: broker.ok("/describeServers")["Servers"][0]["VirtualSessionCount"] == 1)


def test_fields_that_the_api_does_not_know_are_not_passed_on(broker):
    agent = broker.agent(Secret="x", Version=7)
    agent.sessions["console"] = {"Id": "console", "Owner": "ann", "State": "READY", "Odd": 1,
                                 "Type": "CONSOLE", "CreationTime": "yesterday"}
    agent.report(wait=True)
    server = broker.ok("/describeServers")["Servers"][0]
    assert "Secret" not in server and "Version" not in server
    session = broker.session("console")
    assert "Odd" not in session and session["Name"] == "" and session["CreationTime"][4] == "-"


def test_permissions_and_screenshots_are_relayed(broker):
    agent = broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    done = broker.ok("/sessionPermissions", [{"SessionId": identity, "Owner": "mira",
                                              "PermissionFile": "YQ=="}], "PUT")
    assert done["SuccessfulList"] == [{"SessionId": identity}]
    assert agent.wait_for_command("UpdateSessionPermissions")
    shots = broker.ok("/getSessionScreenshots", [{"SessionId": identity, "MaxWidth": 5},
                                                 {"SessionId": "gone"}])
    image = shots["SuccessfulList"][0]["SessionScreenshot"]["Images"][0]
    assert image["Data"] == agent.screenshot and image["Primary"] is True
    assert shots["UnsuccessfulList"] == [{"GetSessionScreenshotRequestData": {"SessionId": "gone"},
                                          "FailureReason": "Dcv session not found."}]
    context = agent.wait_for_command("GetSessionScreenshots")[0]["context"]
    assert (context["MaxWidth"], context["MaxHeight"], context["Format"]) == (160, 100, "png")


def test_a_large_screenshot_arrives_whole(broker):
    agent = broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    agent.screenshot = base64.b64encode(os.urandom(6_000_000)).decode()
    shots = broker.ok("/getSessionScreenshots", [{"SessionId": identity}])
    assert shots["SuccessfulList"][0]["SessionScreenshot"]["Images"][0]["Data"] == agent.screenshot


# --- who may -----------------------------------------------------------------------------------

def test_an_agents_token_is_none_for_the_api_and_the_reverse(broker):
    agent = broker.agent(connect=False)
    token = fetch_token(broker.agent_port, agent.client_id, agent.secret).json()["access_token"]
    reply = broker.http.post(broker.url("/describeServers"), timeout=5,
                             headers={"Authorization": "Bearer " + token})
    assert reply.status_code == 401
    with pytest.raises(LinkRefused) as refused:
        WebSocket(broker.agent_port, broker.token)
    assert refused.value.status == 401
    with pytest.raises(LinkRefused) as refused:
        WebSocket(broker.agent_port)
    assert refused.value.status == 401
    assert fetch_token(broker.agent_port, *broker.credentials).status_code == 401


def test_an_unregistered_client_is_out_at_once(broker):
    assert broker.ok("/describeServers")["Servers"] == []
    out = broker.command("unregister-api-client", "--client-id", broker.credentials[0]).stdout
    assert out == f"Client {broker.credentials[0]} unregistered.\n"
    assert broker.call("/describeServers").status_code == 401
    again = broker.http.post(broker.url("/oauth2/token?grant_type=client_credentials"),
                             auth=broker.credentials, timeout=10)
    assert again.status_code == 401
    assert '"active" : false' in broker.command("describe-api-clients").stdout


def test_an_unregistered_agent_loses_its_link(broker):
    agent = broker.agent()
    broker.command("unregister-agent-client", "--client-id", agent.client_id)
    assert agent.closed.wait(1)
    token = fetch_token(broker.agent_port, agent.client_id, agent.secret)
    assert token.status_code == 401


def test_statements_can_be_made_and_switched_off(broker):
    text = broker.command("generate-software-statement").stdout.split(": ")[1].strip()
    assert register(broker.agent_port, text).status_code == 201
    out = broker.command("deactivate-software-statement", "--software-statement", text).stdout
    assert out == f"Software statement {text} deactivated\n"
    refused = register(broker.agent_port, text)
    assert (refused.status_code, refused.json()["error"]) == (400, "unapproved_software_statement")
    assert register(broker.agent_port, "%%%").json()["error"] == "invalid_software_statement"
    listed = json.loads(broker.command("describe-software-statements", "--json").stdout)
    assert [s["is-active"] for s in listed["software-statements"]
            if s["software-statement"] == text] == ["false"]


def test_commands_tell_what_went_wrong_by_their_status(broker):
    run = lambda *a: broker.command(*a, check=False).returncode
    assert run("register-api-client") == 2
    assert run("no-such-command") == 2
    assert run("register-api-client", "--name=web") == 1, "the name is taken"
    assert run("unregister-api-client", "--client-id", "x") == 1
    assert run("describe-api-clients", "--help") == 0
    broker.stop()
    assert run("describe-api-clients") == 3


def test_a_configuration_that_others_can_read_is_refused():
    b = Broker()
    os.chmod(b.conf, 0o644)
    with pytest.raises(AssertionError, match="everybody may read it"):
        b.start()
    b.process.wait()
    assert b.process.returncode == 1
    b.process = None
    b.done()


# --- connection tokens -------------------------------------------------------------------------

def check_token(broker, session, token):
    reply = requests.post(f"https://127.0.0.1:{broker.agent_port}/agent/validate-authentication-token",
                          data={"sessionId": session, "authenticationToken": token}, verify=False,
                          timeout=5)
    assert reply.status_code == 200 and reply.headers["Content-Type"] == "text/xml"
    return reply.text


def test_a_connection_token_lets_one_user_into_one_session(broker):
    broker.agent()
    identity, other = broker.create(), broker.create()
    wait_until(lambda: broker.state(identity) == broker.state(other) == "READY")
    data = broker.ok(f"/sessionConnectionData/{identity}/DOM%5Ck%26ra", method="GET")
    assert set(data) == {"Session", "ConnectionToken"} and data["Session"]["State"] == "READY"
    token = data["ConnectionToken"]
    assert check_token(broker, identity, token) == (
        '<auth result="yes"><username>DOM\\k&amp;ra</username></auth>')
    no = check_token(broker, other, token)
    assert no.startswith('<auth result="no">')
    assert check_token(broker, identity, broker.token) == no
    assert check_token(broker, identity, "") == no
    broker.delete(identity)
    wait_until(lambda: broker.state(identity) == "DELETED")
    assert check_token(broker, identity, token) == no


def test_connection_data_of_what_is_not_ready(broker):
    agent = broker.agent()
    agent.becomes = None
    identity = broker.create()
    reply = broker.call(f"/sessionConnectionData/{identity}/mira", method="GET")
    assert reply.status_code == 400 and "neither in READY" in reply.json()["error"]
    reply = broker.call("/sessionConnectionData/nope/mira", method="GET")
    assert reply.json() == {"error": "Session not found: nope"} and reply.status_code == 400


def test_a_long_id_leaves_room_for_what_clients_look_for(broker):
    agent = broker.agent()
    identity = "x" * 400
    agent.sessions[identity] = {"Id": identity, "Owner": "mira", "State": "CREATING",
                                "Type": "VIRTUAL"}
    agent.report(wait=True)
    reply = broker.call(f"/sessionConnectionData/{identity}/mira", method="GET")
    assert reply.status_code == 400 and "neither in READY" in reply.json()["error"]


# --- placement, queue, retry -------------------------------------------------------------------

def test_a_burst_does_not_overfill(broker):
    agents = [broker.agent(f"h{i}", tags={"dcv:max-virtual-sessions": "3"}) for i in range(3)]
    reply = broker.ok("/createSessions", [{"Name": str(i), "Owner": "o", "Type": "VIRTUAL"}
                                          for i in range(20)])
    assert len(reply["SuccessfulList"]) == 9
    assert {u["FailureReason"] for u in reply["UnsuccessfulList"]} == {
        "no dcv server found for placement"}
    for s in reply["SuccessfulList"]:
        wait_until(lambda: broker.state(s["Id"]) == "READY")
    assert [len(a.sessions) for a in agents] == [3, 3, 3]


def test_the_limit_per_user_holds(broker):
    broker.agent(tags={"dcv:max-concurrent-sessions-per-user": "1"})
    entry = {"Name": "n", "Owner": "mira", "Type": "VIRTUAL"}
    reply = broker.ok("/createSessions", [entry, entry, {**entry, "Owner": "jonas"}])
    assert [s["Owner"] for s in reply["SuccessfulList"]] == ["mira", "jonas"]


def test_the_same_request_twice_makes_two_sessions(broker):
    broker.agent()
    assert broker.create() != broker.create()


def test_a_full_host_is_no_failure_and_another_one_takes_the_session(broker):
    first, second = broker.agent("a"), broker.agent("b")
    first.refuse = second.refuse = (429, "LIMIT", "full")
    second.refuse = None
    ids = [broker.create(DisableRetryOnFailure=True) for _ in range(2)]
    for identity in ids:
        wait_until(lambda: broker.state(identity) == "READY")
    assert len(second.sessions) == 2


def test_a_failed_creation_is_tried_elsewhere_and_then_given_up(broker):
    first, second = broker.agent("a"), broker.agent("b")
    first.refuse = (500, "SYSTEM", "disk broken")
    identity, other = broker.create(), broker.create()
    wait_until(lambda: broker.state(identity) == broker.state(other) == "READY")
    assert broker.session(identity)["Server"]["Id"] == second.server_id
    second.refuse = (500, "SYSTEM", "user not found: mira")
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "DELETED")
    assert broker.session(identity)["StateReason"] in ("user not found: mira", "disk broken")
    tries = [c for c in first.commands + second.commands
             if c["context"]["SessionId"] == identity]
    assert len(tries) == 3, "one try and two retries"
    identity = broker.create(DisableRetryOnFailure=True)
    wait_until(lambda: broker.state(identity) == "DELETED")


def test_a_session_that_dies_while_it_is_created_is_tried_again(broker):
    agent = broker.agent()
    agent.becomes = None
    identity = broker.create()
    wait_until(lambda: broker.session(identity).get("Substate") == "PENDING_PREPARATION")
    agent.becomes = "READY"
    with agent.lock:
        agent.set_state(identity, "DELETED", "X server did not start")
        agent.report()
    wait_until(lambda: broker.state(identity) == "READY")
    assert len(agent.wait_for_command("CreateSessions")) == 2


def test_a_queued_session_starts_when_a_server_has_room(broker):
    agent = broker.agent(tags={"dcv:max-virtual-sessions": "1"})
    first = broker.create()
    wait_until(lambda: broker.state(first) == "READY")
    second = broker.create(EnqueueRequest=True)
    assert broker.session(second)["Substate"] == "SESSION_PLACING"
    broker.delete(first)
    wait_until(lambda: broker.state(second) == "READY")
    assert list(agent.sessions)[-1] == second


def test_the_queue_has_limits(make_broker):
    broker = make_broker(create_sessions_queue_max_size=1, create_sessions_queue_max_time_seconds=1)
    identity = broker.create(EnqueueRequest=True)
    reply = broker.ok("/createSessions", [{"Name": "n", "Owner": "o", "Type": "VIRTUAL",
                                           "EnqueueRequest": True}])
    assert reply["UnsuccessfulList"][0]["FailureReason"] == "The create sessions queue is full"
    wait_until(lambda: broker.state(identity) == "DELETED")
    assert broker.session(identity)["StateReason"] == "No dcv server became available in time"


def test_requirements_choose_and_refuse(broker):
    broker.agent("a", tags={"pool": "x"})
    agent = broker.agent("b", tags={"pool": "y"})
    identity = broker.create(Requirements="tag:pool='y' and server:Host.CpuInfo.NumberOfCpus >= 4")
    wait_until(lambda: broker.state(identity) == "READY")
    assert identity in agent.sessions
    reply = broker.ok("/createSessions", [
        {"Name": "n", "Owner": "o", "Type": "VIRTUAL", "Requirements": "server:Host.Gpu = 'x'",
         "EnqueueRequest": True},
        {"Name": "n", "Owner": "o", "Type": "VIRTUAL", "Requirements": "tag:pool = 'z'"},
        {"Name": "n", "Owner": "o", "Type": "CONSOLE", "InitFile": "x"}])
    assert [u["FailureReason"] for u in reply["UnsuccessfulList"]] == [
        "Invalid requirements: unknown server property 'server:Host.Gpu' at position 1",
        "no dcv server found for placement", "InitFile is not supported for CONSOLE sessions"]


def test_a_closed_server_takes_nothing_until_it_is_opened(broker):
    agent = broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    close = lambda **more: broker.ok("/closeServers", [{"ServerId": agent.server_id, **more}])
    assert close()["UnsuccessfulList"] == [
        {"CloseServerRequestData": {"ServerId": agent.server_id},
         "FailureCode": "DCV_SERVER_HAS_SESSIONS", "FailureReason": "Dcv server has running sessions."}]
    assert close(Force=True)["SuccessfulList"] == [{"ServerId": agent.server_id}]
    server = broker.ok("/describeServers")["Servers"][0]
    assert server["UnavailabilityReason"] == "SERVER_CLOSED"
    waiting = broker.create(EnqueueRequest=True)
    broker.kill()
    broker.start()
    agent.connect()
    assert broker.ok("/describeServers")["Servers"][0]["UnavailabilityReason"] == "SERVER_CLOSED"
    reply = broker.ok("/openServers", [{"ServerId": agent.server_id}, {"ServerId": "nope"}])
    assert reply["SuccessfulList"] == [{"ServerId": agent.server_id}]
    assert reply["UnsuccessfulList"][0]["FailureCode"] == "DCV_SERVER_NOT_FOUND"
    assert agent.wait_for_command("OpenServers")
    wait_until(lambda: broker.state(waiting) == "READY")


# --- pages and filters -------------------------------------------------------------------------

def test_pages_neither_repeat_nor_hide(broker):
    broker.agent()
    ids = {broker.create(Name=str(i)) for i in range(7)}
    seen, token = [], None
    while True:
        body = {"MaxResults": 3, **({"NextToken": token} if token else {})}
        page = broker.ok("/describeSessions", body)
        seen += [s["Id"] for s in page["Sessions"]]
        token = page.get("NextToken")
        if len(seen) == 3:
            broker.delete(seen[0])
        if not token:
            break
    assert seen == sorted(ids)
    assert broker.call("/describeSessions", {"NextToken": "%%"}).status_code == 400
    assert broker.call("/describeServers", {"NextToken": "QUJD"}).status_code == 400
    assert broker.call("/describeSessions", {"MaxResults": 0}).status_code == 400


def test_filters_all_have_to_hold(broker):
    broker.agent(tags={"pool": "cad"})
    mine, _ = broker.create(), broker.create(Owner="jonas")
    wait_until(lambda: broker.state(mine) == "READY")
    find = lambda *f: [s["Id"] for s in broker.ok("/describeSessions", {
        "Filters": [{"Key": k, "Value": v} for k, v in f]})["Sessions"]]
    assert find(("owner", "mira"), ("tag:pool", "cad")) == [mine]
    assert find(("owner", "mira"), ("tag:pool", "x")) == []
    assert broker.call("/describeSessions", {"Filters": [{"Key": "a", "Value": "b"}]}).status_code == 400


# --- agents that hang or vanish ----------------------------------------------------------------

def test_silent_agents_do_not_break_the_time_budget(broker):
    agent = broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    agent.silent = True
    begin = time.monotonic()
    done = broker.ok("/sessionPermissions", [{"SessionId": identity, "Owner": "mira",
                                              "PermissionsFile": "YQ=="}], "PUT")
    assert time.monotonic() - begin < 5
    assert done["UnsuccessfulList"][0]["FailureReason"] == "Dcv server did not answer."
    begin = time.monotonic()
    shots = broker.ok("/getSessionScreenshots", [{"SessionId": identity}] * 200)
    assert time.monotonic() - begin < 8
    assert len(shots["UnsuccessfulList"]) == 200
    begin = time.monotonic()
    broker.create()
    assert broker.delete(identity)["SuccessfulList"]
    assert broker.ok("/openServers", [{"ServerId": agent.server_id}])["SuccessfulList"]
    assert time.monotonic() - begin < 5


def test_a_lost_link_makes_sessions_unknown_and_its_return_brings_them_back(broker):
    agent = broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    agent.drop()
    assert broker.state(identity) == "READY", "a short interruption is not told"
    wait_until(lambda: broker.state(identity) == "UNKNOWN")
    server = broker.ok("/describeServers")["Servers"][0]
    assert server["UnavailabilityReason"] == "UNREACHABLE_AGENT"
    reply = broker.delete(identity)
    assert reply["UnsuccessfulList"] == [{
        "SessionId": identity,
        "FailureReason": "The dcv server of the session is unreachable, use Force"}]
    data = broker.ok(f"/sessionConnectionData/{identity}/mira", method="GET")
    assert check_token(broker, identity, data["ConnectionToken"]).startswith('<auth result="yes">')
    agent.connect()
    wait_until(lambda: broker.state(identity) == "READY")
    assert "StateReason" not in broker.session(identity)


def test_a_forced_deletion_is_carried_out_when_the_host_is_back(broker):
    agent = broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    agent.drop()
    wait_until(lambda: broker.state(identity) == "UNKNOWN")
    assert broker.delete(identity, Force=True)["SuccessfulList"][0]["State"] == "DELETING"
    assert broker.session(identity) is None
    broker.kill()
    broker.start()
    assert broker.session(identity) is None
    agent.connect()
    wait_until(lambda: agent.sessions[identity]["State"] == "DELETED")
    wait_until(lambda: broker.state(identity) == "DELETED")


def test_the_newest_link_of_an_agent_counts(broker):
    agent = broker.agent()
    old = agent.ws
    closed, agent.closed = agent.closed, type(agent.closed)()
    agent.connect()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    wait_until(lambda: old.sock.fileno() == -1)


def test_a_second_client_cannot_take_over_a_connected_server(broker):
    agent = broker.agent()
    thief = broker.agent("thief", connect=False)
    thief.server_id = agent.server_id
    thief.connect(report=False)
    thief.report()
    assert thief.closed.wait(PATIENCE_S)
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    assert identity in agent.sessions


def take_over(broker, thief, server_id):
    """Is the server now another agent's?"""
    thief.server_id = server_id
    thief.connect(report=False)
    thief.report()
    wait_until(lambda: thief.closed.is_set() or thief.confirmed > 0)
    return not thief.closed.is_set()


@pytest.mark.parametrize("restart", [False, True])
def test_nobody_takes_over_a_server_whose_link_is_down(broker, restart):
    agent, thief = broker.agent(), broker.agent("thief", connect=False)
    agent.drop()
    if restart:
        broker.stop()
        broker.start()
    assert not take_over(broker, thief, agent.server_id)
    assert f"belongs to agent {agent.name}" in broker.errors()
    agent.connect()
    assert broker.state(broker.create()) == "CREATING"


def test_a_host_that_registers_anew_keeps_its_server_once_it_was_unregistered(broker):
    agent, again = broker.agent(), broker.agent(connect=False)
    broker.command("unregister-agent-client", "--client-id", agent.client_id)
    assert agent.closed.wait(PATIENCE_S)
    assert take_over(broker, again, agent.server_id)


def test_a_host_that_changes_its_id_leaves_no_second_server(broker):
    agent = broker.agent()
    former = agent.server_id
    agent.sessions["console"] = {"Id": "console", "Name": "", "Owner": "ann", "Type": "CONSOLE",
                                 "State": "READY", "CreationTime": "2026-03-02T08:00:11Z"}
    agent.report(wait=True)
    agent.server_id = "renamed"
    agent.report(wait=True)
    servers = broker.ok("/describeServers")["Servers"]
    assert [s["Id"] for s in servers] == ["renamed"], former
    found = broker.ok("/describeSessions", {"SessionIds": ["console"]})["Sessions"]
    assert [s["Server"]["Id"] for s in found if s["State"] == "READY"] == ["renamed"]


def test_host_made_sessions_come_and_go_with_the_reports(broker):
    agents = [broker.agent("a"), broker.agent("b")]
    for owner, agent in zip(("ann", "bob"), agents):
        agent.sessions["console"] = {"Id": "console", "Name": "", "Owner": owner, "Type": "CONSOLE",
                                     "State": "READY", "CreationTime": "2026-03-02T08:00:11Z"}
        agent.report(wait=True)
    found = broker.ok("/describeSessions", {"SessionIds": ["console"]})["Sessions"]
    assert {s["Owner"] for s in found} == {"ann", "bob"}
    assert found[0]["CreationTime"] == "2026-03-02T08:00:11.000Z"
    assert broker.delete("console", "bob")["SuccessfulList"]
    wait_until(lambda: agents[1].sessions["console"]["State"] == "DELETED")
    assert agents[0].sessions["console"]["State"] == "READY"
    del agents[0].sessions["console"]
    agents[0].report(wait=True)
    describe = lambda: broker.ok("/describeSessions", {"SessionIds": ["console"]})["Sessions"]
    wait_until(lambda: {s["State"] for s in describe()} == {"DELETED"})
    agents[0].sessions["console"] = {"Id": "console", "Owner": "ann", "Type": "CONSOLE", "State": "READY"}
    agents[0].report(wait=True)
    found = broker.ok("/describeSessions", {"SessionIds": ["console"]})["Sessions"]
    assert {(s["Owner"], s["State"]) for s in found} == {("ann", "READY"), ("bob", "DELETED")}


# --- deletion ----------------------------------------------------------------------------------

def test_deleting_what_is_not_there_has_the_exact_text(broker):
    broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    for reply in (broker.delete("nope"), broker.delete(identity, owner="jonas")):
        assert reply["UnsuccessfulList"][0]["FailureReason"] == "The requested dcvSession does not exist"


def test_deleting_while_the_session_is_created(broker):
    agent = broker.agent()
    agent.silent = True
    identity = broker.create()
    command = agent.wait_for_command("CreateSessions")[0]
    assert broker.delete(identity)["SuccessfulList"][0]["State"] == "DELETING"
    assert broker.delete(identity)["SuccessfulList"], "again is success again"
    agent.silent = False
    agent._handle(command)
    agent.wait_for_command("DeleteSessions")
    wait_until(lambda: broker.state(identity) == "DELETED")


def test_deleting_a_queued_session_cancels_it(broker):
    identity = broker.create(EnqueueRequest=True)
    assert broker.delete(identity)["SuccessfulList"]
    wait_until(lambda: broker.state(identity) == "DELETED")
    agent = broker.agent()
    broker.create()
    assert len(agent.wait_for_command("CreateSessions")) == 1


def test_deleted_sessions_are_forgotten_in_time(make_broker):
    broker = make_broker(delete_session_duration_seconds=1)
    agent = broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    broker.delete(identity)
    wait_until(lambda: broker.state(identity) == "DELETED")
    wait_until(lambda: broker.session(identity) is None)
    agent.report(wait=True)
    assert broker.session(identity) is None, "the host still tells of it, which is no news"


# --- kill and restart --------------------------------------------------------------------------

def test_nothing_accepted_is_lost_when_the_broker_is_killed(broker):
    agent = broker.agent()
    agent.silent = True
    bound, queued = broker.create(), broker.create(EnqueueRequest=True, Requirements="tag:late = '1'")
    broker.kill()
    broker.start()
    assert broker.state(bound) == "CREATING" and broker.state(queued) == "CREATING"
    agent.silent = False
    agent.connect()
    wait_until(lambda: broker.state(bound) == "READY")
    agent.tags["late"] = "1"
    agent.report(wait=True)
    wait_until(lambda: broker.state(queued) == "READY")


def test_a_session_made_while_the_broker_was_away_is_the_same_session(broker):
    agent = broker.agent()
    agent.silent = True
    identity = broker.create()
    command = agent.wait_for_command("CreateSessions")[0]
    broker.kill()
    agent.closed.wait(PATIENCE_S)
    with agent.lock:
        agent._carry_out(command)
    broker.start()
    agent.silent = False
    agent.connect()
    wait_until(lambda: broker.state(identity) == "READY")
    assert len(agent.commands) == 1
    assert broker.session(identity)["CreationTime"] == command["context"]["CreationTime"]


def test_a_deletion_survives_the_broker(broker):
    agent = broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    agent.silent = True
    assert broker.delete(identity)["SuccessfulList"]
    broker.kill()
    agent.closed.wait(PATIENCE_S)
    broker.start()
    assert broker.state(identity) == "DELETING"
    agent.silent = False
    agent.connect()
    wait_until(lambda: broker.state(identity) == "DELETED")


def test_killing_at_any_moment_of_a_burst_loses_nothing(broker):
    agent = broker.agent()
    for moment in (0.0, 0.01, 0.03, 0.08):
        accepted = []
        body = [{"Name": str(i), "Owner": "o", "Type": "VIRTUAL"} for i in range(20)]
        for _ in range(3):
            accepted += [s["Id"] for s in broker.ok("/createSessions", body)["SuccessfulList"]]
        time.sleep(moment)
        broker.kill()
        agent.closed.wait(PATIENCE_S)
        broker.start()
        agent.connect()
        for identity in accepted:
            wait_until(lambda: broker.state(identity) == "READY")
        creates = [s for s in agent.sessions if s in accepted]
        assert sorted(creates) == sorted(accepted)


def test_certificates_clients_and_tokens_survive_a_restart(broker):
    authority = open(broker.http.verify).read()
    broker.stop()
    broker.start()
    assert open(broker.http.verify).read() == authority
    assert broker.ok("/describeServers")["Servers"] == []
    assert register(broker.agent_port, broker.statement).status_code == 201
    mode = lambda name: os.stat(os.path.join(broker.folder, name)).st_mode & 0o777
    assert mode("security/dcvsmbroker_ca.key") == 0o600
    assert mode("security/dcvsmbroker_ca.pem") == 0o644
    assert mode("security/default-software-statement") == 0o640
    assert mode("command.sock") == 0o600

def test_memory_for_passwords_is_given_back(broker, is_sanitized):
    if is_sanitized:
        pytest.skip("a sanitizer's allocator keeps what is freed")
    for i in range(12):
        broker.agent(f"h{i}")
    with open(f"/proc/{broker.process.pid}/smaps_rollup") as f:
        pss = [int(line.split()[1]) for line in f if line.startswith("Pss:")][0]
    assert pss < 20_000, f"{pss} kB"


def test_a_full_disk_is_told_and_loses_nothing():
    b = Broker()
    data = os.path.join(b.folder, "broker-data")
    os.mkdir(data, 0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", data],
                             capture_output=True).returncode == 0
    try:
        if not mounted:
            pytest.skip("needs the right to mount a small file system")
        b.start().log_in()
        entry = {"Name": "x" * 250, "Owner": "o", "Type": "VIRTUAL", "EnqueueRequest": True}
        accepted, refused = [], []
        while not refused:
            reply = b.ok("/createSessions", [entry] * 20)
            accepted += [s["Id"] for s in reply["SuccessfulList"]]
            refused = reply["UnsuccessfulList"]
        assert "full" in refused[0]["FailureReason"]
        assert b.http.get(b.url("/health"), timeout=5).status_code == 200
        b.kill()
        b.start()
        found = [s["Id"] for s in b.ok("/describeSessions")["Sessions"]]
        assert found == sorted(accepted)
        b.stop()
    finally:
        if b.process:
            b.kill()
        if mounted:
            subprocess.run(["umount", data], check=True)
        b.done()


def test_odd_http_does_not_hurt(broker):
    head = b"POST /describeServers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
    head += broker.token.encode() + b"\r\n"
    for data in (b"\x00" * 300, b"GET\r\n\r\n", head + b"Content-Length: 5\r\n\r\n{",
                 head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"A" * 40000,
                 head + b"X: " + b"y" * 20000 + b"\r\n\r\n"):
        sock = raw(broker.port, data, wait=False)
        sock.close()
    idle = [raw(broker.port, b"", wait=False) for _ in range(20)]
    half = [raw(broker.port, head, wait=False) for _ in range(20)]
    assert broker.ok("/describeServers")["Servers"] == []
    assert broker.http.get(broker.url("/health"), timeout=5).json() == {"status": "ok"}
    assert requests.head(broker.url("/health"), timeout=5, verify=False).status_code == 200
    chunked = broker.http.post(broker.url("/describeServers"), data=iter([b"{", b"}"]), timeout=5,
                               headers={"Authorization": "Bearer " + broker.token})
    assert chunked.status_code == 200
    for sock in idle + half:
        sock.close()


@pytest.mark.parametrize("text", [
    b"", b"{}", b"x", b'{"event":"report"}', b'{"event":"report","body":{}}',
    b'{"event":"report","body":{"Server":{"Id":""},"Sessions":[]}}',
    b'{"event":"report","body":{"Server":{"Id":"s"},"Sessions":[{}]}}',
    b'{"event":"report","body":{"Server":{"Id":"s","Id":"t"},"Sessions":[]}}',
    b'{"event":"report","body":' + b'{"a":' * 5000, b'{"id":1,"status":200,"body":[]}',
    b'{"id":99999999999999999999,"status":200,"body":{}}', b'{"id":1,"status":200,"body":{}} '],
    ids=range(12))
def test_a_link_that_talks_nonsense_is_closed(broker, text):
    agent = broker.agent()
    agent.send(text)
    assert agent.closed.wait(PATIENCE_S)
    assert broker.ok("/describeSessions")["Sessions"] == []
    agent.connect()


def test_odd_frames_do_not_hurt(make_broker):
    broker = make_broker(agent_to_broker_max_message_size_mb=1)
    agent = broker.agent()
    assert agent.hello["MessageMaxBytes"] == 1024 * 1024
    assert abs(agent.hello["Time"] / 1000 - time.time()) < 60
    agent.send({"id": 12345, "status": 200, "body": {}})  # nobody asked
    agent.report(wait=True)
    agent.ws.send_frame(1, b"x" * (1024 * 1024 - 100), final=False)
    agent.ws.send_frame(0, b"x" * 200)
    assert agent.closed.wait(PATIENCE_S)
    agent.connect()
    with pytest.raises(OSError):
        agent.ws.send_frame(1, b"x" * (64 * 1024 * 1024))
    assert agent.closed.wait(PATIENCE_S)
    agent.connect()
    agent.ws.send_frame(2, b"binary")
    assert agent.closed.wait(PATIENCE_S)
    agent.connect()
    agent.ws.sock.sendall(b"\x81\xff\xff")
    agent.drop()
    agent.connect()
    agent.ws.send_frame(3, b"reserved opcode")
    agent.closed.wait(PATIENCE_S)
    agent.connect()
    text = json.dumps({"event": "report", "body": {**agent.describe(), "Sequence": 1, "BootId": "b"}},
                      separators=(",", ":")).encode()
    before = agent.confirmed
    agent.ws.send_frame(1, text[:50], final=False)
    agent.ws.send_frame(0, text[50:])
    wait_until(lambda: agent.confirmed > before)
    assert broker.ok("/describeServers")["Servers"]


def test_other_paths_and_protocols_are_no_links(broker):
    agent = broker.agent(connect=False)
    token = fetch_token(broker.agent_port, agent.client_id, agent.secret).json()["access_token"]
    for arguments in ({"path": "/other"}, {"protocol": "chat"}):
        with pytest.raises((LinkRefused, OSError)):
            WebSocket(broker.agent_port, token, **arguments).receive()
    with pytest.raises((LinkRefused, OSError)):
        WebSocket(broker.port, broker.token).receive()


def test_an_agent_of_another_release_is_refused_and_both_know_why(broker):
    agent = broker.agent(connect=False)
    token = fetch_token(broker.agent_port, agent.client_id, agent.secret).json()["access_token"]
    with pytest.raises(LinkRefused) as refused:
        WebSocket(broker.agent_port, token, protocol="dcv-session-manager-link.v999")
    assert refused.value.status == 426
    log = broker.log()
    assert "the WebSocket protocol here is dcv-session-manager-link.v1, " \
        "and the peer speaks 'dcv-session-manager-link.v999'" in log


def test_an_agent_that_never_reads_is_dropped(make_broker):
    broker = make_broker(agent_to_broker_max_message_size_mb=1)
    agent = broker.agent(connect=False)
    token = fetch_token(broker.agent_port, agent.client_id, agent.secret).json()["access_token"]
    ws = WebSocket(broker.agent_port, token)
    agent.sessions["s"] = {"Id": "s", "Owner": "mira", "State": "READY", "Type": "VIRTUAL"}
    ws.send_text(json.dumps({"event": "report", "body": {**agent.describe(), "Sequence": 1,
                                                         "BootId": "b"}}, separators=(",", ":")))
    wait_until(lambda: broker.state("s") == "READY")
    file = base64.b64encode(b"x" * 60000).decode()
    entries = [{"SessionId": "s", "Owner": "mira", "PermissionsFile": file}] * 45
    begin = time.monotonic()
    for _ in range(3):
        reply = broker.ok("/sessionPermissions", entries, "PUT")
        assert len(reply["UnsuccessfulList"]) == 45
    assert time.monotonic() - begin < 15
    wait_until(lambda: broker.state("s") == "UNKNOWN")
    ws.close()
