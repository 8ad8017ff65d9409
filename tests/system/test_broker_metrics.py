"""The broker's numbers, as Prometheus reads them."""

import pytest
import requests

from metrics_helpers import one, read
from ports import free_port
from waiting import wait_until


def numbers_of(broker):
    return read(broker.command("metrics").stdout)


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def watched(make_broker, port):
    """A broker that serves its metrics."""
    return make_broker(metrics_port=port, metrics_fleet_name_dimension='a "fleet"\\\\')


def test_the_port_and_the_command_tell_what_promtool_accepts(watched, port):
    watched.agent()
    watched.create()
    reply = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    served, printed = read(reply.text), numbers_of(watched)
    assert served.keys() == printed.keys()
    assert list(served["dcvsm_build_info"].values()) == [1]
    fleet = {"fleet": 'a \\"fleet\\"\\\\'}
    for name in ("number_of_dcv_servers", "number_of_ready_dcv_servers", "number_of_dcv_sessions",
                 "number_of_dcv_virtual_sessions"):
        assert one(served, "dcvsm_" + name, **fleet) == 1, name
    assert one(served, "dcvsm_number_of_dcv_console_sessions", **fleet) == 0
    # A sanitizer's allocator tells 0.
    assert one(served, "dcvsm_heap_memory_used_bytes", **fleet) is not None
    assert one(served, "dcvsm_off_heap_memory_used_bytes", **fleet) >= 4096
    assert one(served, "dcvsm_create_sessions_request_time_seconds_count", **fleet) == 1
    assert one(served, "dcvsm_create_sessions_request_time_seconds_sum", **fleet) > 0
    as_json = watched.command("metrics", "--json").stdout
    assert "dcvsm_build_info" in requests.models.complexjson.loads(as_json)["metrics"]


def test_the_port_serves_metrics_and_nothing_else(watched, port):
    url = f"http://127.0.0.1:{port}"
    assert requests.get(url + "/", timeout=10).status_code == 404
    refused = requests.post(url + "/metrics", timeout=10)
    assert refused.status_code == 405 and refused.headers["Allow"] == "GET, HEAD"
    assert requests.head(url + "/metrics", timeout=10).status_code == 200
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.2:{port}/metrics", timeout=10)


def test_requests_are_counted_by_operation_and_status(broker):
    broker.ok("/describeSessions")
    broker.ok("/describeSessions")
    assert broker.call("/describeSessions", {"MaxResults": -1}).status_code == 400
    token, broker.token = broker.token, "wrong"
    assert broker.call("/describeServers").status_code == 401
    broker.token = token
    assert broker.http.get(broker.url("/nothing"), timeout=5).status_code == 404
    assert broker.http.get(broker.url("/health"), timeout=5).status_code == 200
    broker.agent()
    numbers = numbers_of(broker)

    def count(operation, status):
        return one(numbers, "dcvsm_requests_total", operation=operation, status=status)
    assert count("DescribeSessions", "200") == 2 and count("DescribeSessions", "400") == 1
    assert count("DescribeServers", "401") == 1 and count("other", "404") == 1
    assert count("Health", "200") == 1 and count("Token", "200") == 1
    assert count("AgentRegistration", "201") == 1 and count("AgentToken", "200") == 1
    lasted = "dcvsm_request_duration_seconds"
    assert one(numbers, lasted + "_count", operation="DescribeSessions") == 3
    assert one(numbers, lasted + "_bucket", operation="DescribeSessions", le="+Inf") == 3
    assert one(numbers, lasted + "_bucket", operation="DescribeSessions", le="10") == 3
    assert 0 < one(numbers, lasted + "_sum", operation="DescribeSessions") < 30


def test_sessions_servers_and_links_are_counted_as_they_are(broker):
    agent = broker.agent()
    full = broker.agent("other", Availability="UNAVAILABLE", UnavailabilityReason="SERVER_FULL")
    full.sessions["console"] = {"Id": "console", "Owner": "ann", "State": "READY",
                                "Type": "CONSOLE", "CreationTime": "2026-03-02T10:15:00.120Z"}
    full.report(wait=True, LeakedProcesses=3)
    ready = broker.create()
    wait_until(lambda: broker.state(ready) == "READY")
    agent.becomes = None
    agent.silent = True
    broker.create()
    agent.wait_for_command("CreateSessions", 2)
    numbers = numbers_of(broker)
    sessions = {(state, kind): one(numbers, "dcvsm_sessions", state=state, type=kind)
                for state in ("CREATING", "READY", "DELETED") for kind in ("VIRTUAL", "CONSOLE")}
    assert sessions == {("CREATING", "VIRTUAL"): 1, ("CREATING", "CONSOLE"): 0,
                        ("READY", "VIRTUAL"): 1, ("READY", "CONSOLE"): 1,
                        ("DELETED", "VIRTUAL"): 0, ("DELETED", "CONSOLE"): 0}
    servers = "dcvsm_servers"
    assert one(numbers, servers, availability="AVAILABLE", reason="") == 1
    assert one(numbers, servers, availability="UNAVAILABLE", reason="SERVER_FULL") == 1
    assert one(numbers, "dcvsm_agents_linked") == 2
    assert one(numbers, "dcvsm_relay_in_flight") == 1
    assert one(numbers, "dcvsm_leaked_processes") == 3
    phase = "dcvsm_create_phase_duration_seconds_count"
    assert [one(numbers, phase, phase=p) for p in ("queued", "placed", "ready")] == [2, 1, 1]
    assert one(numbers, "dcvsm_store_commit_duration_seconds_count") >= 3
    assert one(numbers, "dcvsm_store_up") == 1
    turns = "dcvsm_loop_turn_duration_seconds"
    assert one(numbers, turns + "_count") >= 1 and one(numbers, turns + "_sum") > 0
    for listener in ("client", "agent"):
        assert one(numbers, "dcvsm_certificate_left_seconds", listener=listener) > 86400
    for dropped in ("dcvsm_log_lines_dropped_total", "dcvsm_audit_lines_dropped_total"):
        assert one(numbers, dropped) == 0


def test_creations_without_a_place_are_counted_by_what_kept_them_out(make_broker):
    broker = make_broker(create_sessions_queue_max_size=1)

    def refuse(**more):
        reply = broker.ok("/createSessions", [{"Name": "n", "Owner": "mira", "Type": "VIRTUAL", **more}])
        assert reply["SuccessfulList"] == []
    refuse()
    broker.agent(tags={"dcv:max-concurrent-sessions-per-user": "0"})
    refuse()
    refuse(Owner="ann", Requirements="tag:pool = 'cad'")
    refuse(Type="CONSOLE", AutorunFile="x")
    broker.create(EnqueueRequest=True)
    refuse(EnqueueRequest=True)
    numbers = numbers_of(broker)
    counted = {dict(labels)["reason"]: n for labels, n in numbers["dcvsm_placement_refusals_total"].items()
               if n}
    assert counted == {"no_server": 1, "user_limit": 2, "operating_system": 1, "queue_full": 1}
    assert one(numbers, "dcvsm_create_queue_length") == 1
    wait_until(lambda: one(numbers_of(broker), "dcvsm_create_queue_oldest_age_seconds") > 0.2)
