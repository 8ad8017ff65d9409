"""The agent's numbers, as Prometheus reads them."""

import os
import shutil
import time

import pytest
import requests

from agent_helpers import Agent
from metrics_helpers import one, read
from ports import free_port
from waiting import wait_until

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="sessions of other users need root"),
    pytest.mark.skipif(not shutil.which("Xvnc"), reason="needs Xvnc"),
]


@pytest.fixture
def make_watched():
    """make_watched(settings): an agent that serves its metrics, with .port and .numbers()."""
    made = []

    def make(settings="", **more):
        port = free_port()
        agent = Agent(f"metrics_port = {port}\n" + settings, **more)
        made.append(agent)
        agent.port = port
        agent.numbers = lambda: read(
            requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text)
        return agent
    yield make
    for agent in made:
        agent.done()


def test_sessions_and_what_was_asked_for_are_counted(make_watched, alice):
    agent = make_watched()
    session = agent.create_ready(alice.name)
    agent.screenshot(session)
    failed = agent.create(alice.name, AutorunFile="missing")
    agent.end_of(failed)
    assert isinstance(agent.try_create(alice.name, Requirements="x"), str)
    agent.try_delete("no-such-session", alice.name)
    numbers = agent.numbers()
    assert one(numbers, "dcvsm_agent_sessions", state="READY", type="VIRTUAL") == 1
    assert one(numbers, "dcvsm_agent_sessions", state="DELETED", type="VIRTUAL") >= 1
    assert one(numbers, "dcvsm_agent_sessions", state="READY", type="CONSOLE") == 0
    created = "dcvsm_agent_session_create_duration_seconds"
    assert one(numbers, created + "_count") == 1
    assert 0 < one(numbers, created + "_sum") < 30
    failures = "dcvsm_agent_session_create_failures_total"
    assert one(numbers, failures, cause="request") >= 1
    assert one(numbers, failures, cause="host") == 0

    def count(operation):
        return (one(numbers, "dcvsm_agent_operation_duration_seconds_count", operation=operation),
                one(numbers, "dcvsm_agent_operation_failures_total", operation=operation))
    assert count("GetSessionScreenshots") == (1, 0)
    assert count("DeleteSessions") == (1, 1)
    assert count("CreateSessions")[0] == 3
    assert one(numbers, "dcvsm_agent_available", reason="") == 1
    assert list(numbers["dcvsm_agent_engine_up"].values()) == [1]
    assert one(numbers, "dcvsm_agent_leaked_processes") == 0


def test_the_process_and_the_host_are_measured(make_watched):
    agent = make_watched()
    numbers = agent.numbers()
    assert list(numbers["dcvsm_agent_build_info"].values()) == [1]
    assert one(numbers, "process_cpu_seconds_total") > 0
    assert one(numbers, "process_open_fds") == pytest.approx(agent.n_fds(), abs=3)
    with open(f"/proc/{agent.process.pid}/status", encoding="ascii") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    assert one(numbers, "process_resident_memory_bytes") == pytest.approx(resident * 1024, rel=0.2)
    started = os.stat(f"/proc/{agent.process.pid}").st_ctime
    assert one(numbers, "process_start_time_seconds") == pytest.approx(started, abs=60)
    turns = "dcvsm_agent_loop_turn_duration_seconds"
    numbers = agent.numbers()  # since the first time, the loop has turned
    assert one(numbers, turns + "_count") >= 1
    assert 0 < one(numbers, turns + "_sum") < time.time() - started
    free = {dict(labels)["folder"]: n for labels, n in numbers["dcvsm_agent_free_bytes"].items()}
    assert free.keys() <= {"/home", "/tmp", "/run"} and free["/tmp"] > 0
    for of_the_broker in ("link_up", "clock_skew_seconds", "certificate_left_seconds"):
        assert not any(name.endswith(of_the_broker) for name in numbers)


def test_the_port_serves_metrics_on_loopback_and_nothing_else(make_watched):
    url = f"http://127.0.0.1:{make_watched().port}"
    assert requests.get(url + "/describeServers", timeout=10).status_code == 404
    assert requests.post(url + "/metrics", timeout=10).status_code == 405
    with pytest.raises(requests.ConnectionError):
        requests.get(url.replace("127.0.0.1", "127.0.0.2") + "/metrics", timeout=10)


def test_another_address_can_serve_them(make_watched):
    agent = make_watched("metrics_bind_host = '127.0.0.3'")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{agent.port}/metrics", timeout=10)
    assert requests.get(f"http://127.0.0.3:{agent.port}/metrics", timeout=10).status_code == 200


def test_the_link_is_told_with_clock_and_certificate(make_watched, broker, tmp_path):
    statement = tmp_path / "statement"
    statement.write_text(broker.statement)
    agent = make_watched(f"broker_host = 'localhost'\nbroker_port = {broker.agent_port}\n"
                         f"ca_file = '{broker.http.verify}'\n"
                         f"software_statement_path = '{statement}'")
    link = "dcvsm_agent_broker_link_up"
    wait_until(lambda: "dcvsm_agent_clock_skew_seconds" in agent.numbers())
    numbers = agent.numbers()
    assert one(numbers, link) == 1
    assert abs(one(numbers, "dcvsm_agent_clock_skew_seconds")) < 10
    assert one(numbers, "dcvsm_agent_broker_certificate_left_seconds") > 86400
    assert agent.call_well("/describeServers")["Servers"][0]["Local"]["BrokerLinked"] is True
    broker.stop()
    wait_until(lambda: one(agent.numbers(), link) == 0)
    local = agent.call_well("/describeServers")["Servers"][0]["Local"]
    assert local["BrokerLinked"] is False and local["BrokerTrouble"]
