"""So many requests a second from one address."""

import http.client
import re

import pytest

from broker_helpers import raw
from tls_helpers import blind_context
from waiting import wait_until

LIMIT = 5


@pytest.fixture
def strict(make_broker):
    """A broker with a low limit whose first second is over."""
    def make(**settings):
        broker = make_broker(max_api_requests_per_second=LIMIT, **settings)
        wait_until(lambda: broker.call("/describeServers").status_code == 200)
        return broker
    return make


def burst(broker, n, path="/describeServers", headers=lambda i: ""):
    """The statuses of requests that come in one piece, and all answers."""
    requests = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers(i)}"
                + ("Connection: close\r\n" if i == n - 1 else "") + "\r\n" for i in range(n)]
    answers = raw(broker.port, "".join(requests).encode()).decode()
    return [int(status) for status in re.findall(r"HTTP/1\.1 (\d+)", answers)], answers


def from_address(broker, address, headers=None):
    connection = http.client.HTTPSConnection("127.0.0.1", broker.port, timeout=10, context=blind_context(),
                                             source_address=(address, 0))
    connection.request("POST", "/describeServers", headers=headers or {})
    status = connection.getresponse().status
    connection.close()
    return status


def wait_for_the_next_second(broker):
    wait_until(lambda: from_address(broker, "127.0.0.1") != 429)


def test_what_is_beyond_the_limit_is_answered_429_until_the_second_is_over(strict):
    broker = strict()
    statuses, answers = burst(broker, 4 * LIMIT)
    assert len(statuses) == 4 * LIMIT and set(statuses) == {405, 429}, statuses
    assert statuses.count(405) <= 2 * LIMIT, "at most the end of one second and a whole one"
    refusal = answers[answers.index("HTTP/1.1 429"):]
    assert refusal.startswith("HTTP/1.1 429 Too Many Requests\r\n")
    head, body = refusal.split("\r\n\r\n")[:2]
    assert "\r\nRetry-After: 1" in head and "\r\nContent-Type: application/json" in head
    assert body.startswith('{"error":"Too many requests: at most 5 in a second"}')
    wait_for_the_next_second(broker)
    throttled = re.search(r"^dcvsm_throttled_requests_total (\d+)$",
                          broker.command("metrics").stdout, re.M)
    assert int(throttled[1]) >= statuses.count(429)


def test_the_health_check_is_never_throttled(strict):
    broker = strict()
    assert 429 in burst(broker, 3 * LIMIT)[0]
    assert set(burst(broker, 4 * LIMIT, "/health")[0]) == {200}


def test_other_addresses_are_not_throttled_along(strict):
    broker = strict()
    assert 429 in burst(broker, 3 * LIMIT)[0]
    assert from_address(broker, "127.0.0.2") == 401


def test_a_forwarded_address_counts_only_where_it_is_believed(strict):
    many = 4 * LIMIT
    deaf = strict()
    statuses, _ = burst(deaf, many, headers=lambda i: f"X-Forwarded-For: 10.0.0.{i}\r\n")
    assert 429 in statuses, "one peer, whatever it says"
    trusting = strict(enable_throttling_forwarded_for_header="true")
    statuses, _ = burst(trusting, many,
                        headers=lambda i: f"X-Forwarded-For: 6.6.6.6, 10.0.0.{i}\r\n")
    assert set(statuses) == {405}, "the last address is the one that the proxy saw"
    statuses, _ = burst(trusting, many,
                        headers=lambda i: f"X-Forwarded-For: 10.1.0.{i}, 10.9.9.9\r\n")
    assert 429 in statuses, "what a client puts in front of it helps nothing"
    statuses, _ = burst(trusting, many, headers=lambda i: f"X-Forwarded-For: 10.2.0.{i}\r\n"
                                                          "X-Forwarded-For: 10.9.9.8\r\n")
    assert 429 in statuses and 400 not in statuses, "the last field counts"
