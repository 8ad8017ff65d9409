"""What one peer, or one damaged record, can do to the broker: nothing that others notice."""

import base64
import os
import resource
import socket
import sqlite3
import subprocess

import pytest

from broker_helpers import PROGRAM, Broker, raw
from link_client import LinkRefused, WebSocket, fetch_token
from waiting import wait_until


def damage(broker, kind):
    with sqlite3.connect(os.path.join(broker.folder, "broker-data/broker.db")) as store:
        store.execute("INSERT INTO record VALUES (?, 'x', '{}')", (kind,))
    store.close()


def test_a_damaged_record_of_a_session_is_told_and_left_out(broker):
    waiting = broker.create(EnqueueRequest=True)
    broker.stop()
    damage(broker, "session")
    broker.start()
    assert broker.state(waiting) == "CREATING"
    assert "session x: its record is left out: the record is damaged" in broker.errors()


def test_a_damaged_record_of_a_client_is_told_and_no_crash():
    broker = Broker().start()
    broker.stop()
    damage(broker, "client")
    result = subprocess.run([PROGRAM, "--conf", broker.conf], capture_output=True, text=True,
                            timeout=30)
    assert result.returncode == 1
    assert "client x: the record is damaged" in result.stderr
    broker.done()


def test_a_creation_that_no_link_can_carry_fails_at_once(make_broker):
    broker = make_broker(agent_to_broker_max_message_size_mb=1)
    broker.agent()
    identity = broker.create(PermissionsFile="A" * 1500000)
    wait_until(lambda: broker.state(identity) == "DELETED")
    assert "bytes, limit 1048576" in broker.session(identity)["StateReason"]


def test_no_link_becomes_http_2(broker):
    agent = broker.agent(connect=False)
    token = fetch_token(broker.agent_port, agent.client_id, agent.secret).json()["access_token"]
    with pytest.raises(LinkRefused) as refused:
        WebSocket(broker.agent_port, token, upgrade="h2c",
                  headers=["HTTP2-Settings: AAMAAABkAAQAAP__"])
    assert refused.value.status == 404
    agent.connect()


def test_wrong_passwords_in_a_row_on_one_connection_are_each_refused(broker):
    wrong = base64.b64encode(f"{broker.credentials[0]}:wrong".encode()).decode()
    request = ("POST /oauth2/token?grant_type=client_credentials HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: Basic {wrong}\r\n")
    reply = raw(broker.port, (f"{request}\r\n" * 4 + f"{request}Connection: close\r\n\r\n").encode())
    assert reply.count(b"HTTP/1.1 401 ") == 5
    assert broker.ok("/describeSessions")


def test_many_ids_in_one_request_keep_nobody_waiting(broker):
    agent = broker.agent()
    agent.sessions = {str(i): {"Id": str(i), "Owner": "mira", "State": "READY", "Type": "VIRTUAL"}
                      for i in range(3000)}
    agent.report(wait=True)
    ids = [f"x{i}" for i in range(300000)] + ["7"]
    found = broker.ok("/describeSessions", {"SessionIds": ids})["Sessions"]
    assert [s["Id"] for s in found] == ["7"]
    assert broker.ok("/describeServers", {"ServerIds": ids + [agent.server_id]})["Servers"]


def test_a_huge_report_is_taken_and_one_beyond_the_limit_ends_the_link(broker):
    agent = broker.agent()
    tags = [{"Key": f"k{i}", "Value": "v"} for i in range(200000)]
    agent.server["Tags"] = tags + [{"Key": "k7", "Value": "last"}]
    agent.report(wait=True)
    found = broker.ok("/describeServers")["Servers"][0]["Tags"]
    assert len(found) == 200000 and {"Key": "k7", "Value": "last"} in found
    del agent.server["Tags"]
    agent.sessions = {str(i): {"Id": str(i), "State": "READY"} for i in range(50001)}
    agent.report()
    assert agent.closed.wait(60) and b"more than 50000 sessions" in agent.close_frame


def test_a_host_cannot_break_an_answer_or_speak_for_another_session(broker):
    good, bad = broker.agent("good"), broker.agent("bad")
    for agent, identity in ((good, "g"), (bad, "b")):
        agent.sessions[identity] = {"Id": identity, "Owner": "mira", "State": "READY",
                                    "Type": "CONSOLE"}
        agent.report(wait=True)
    whole = bad.screenshot
    for bad.screenshot in ("\u00e9", 'x","Odd":"y'):
        reply = broker.ok("/getSessionScreenshots", [{"SessionId": "b"}, {"SessionId": "g"}])
        assert [s["SessionScreenshot"]["SessionId"] for s in reply["SuccessfulList"]] == ["g"]
        assert reply["UnsuccessfulList"][0]["FailureReason"] == \
            "the host's answer is not a screenshot"
    bad.screenshot, bad.claims = whole, "g"
    shots = broker.ok("/getSessionScreenshots", [{"SessionId": "b"}])["SuccessfulList"]
    assert [s["SessionScreenshot"]["SessionId"] for s in shots] == ["b"]


def test_connections_that_say_nothing_keep_nobody_out(make_broker):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))  # the broker inherits it
    try:
        broker = make_broker()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    connections = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(200)]
    assert broker.http.get(broker.url("/health"), timeout=5, headers={"Connection": "close"}).ok
    for connection in connections:
        connection.close()
