"""Who guesses passwords is slowed down, learns nothing on the way, and locks nobody else out."""

import base64
import concurrent.futures
import http.client
import json
import time
import uuid

import pytest

from broker_helpers import Broker
from tls_helpers import blind_context
from waiting import PATIENCE_S, wait_until

PATH = "/oauth2/token?grant_type=client_credentials"


@pytest.fixture
def broker():
    b = Broker().start()
    b.credentials = b.register_client()
    yield b
    b.done()


def ask(broker, identity, password, source="127.0.0.1"):
    """(status, headers, body, seconds) of a request for a token, from an address of this host."""
    connection = http.client.HTTPSConnection("127.0.0.1", broker.port, timeout=PATIENCE_S, context=blind_context(),
                                             source_address=(source, 0))
    connection.connect()
    started = time.monotonic()
    connection.request("POST", PATH, headers={
        "Authorization": "Basic " + base64.b64encode(f"{identity}:{password}".encode()).decode()})
    reply = connection.getresponse()
    body = reply.read()
    took = time.monotonic() - started
    connection.close()
    return reply.status, dict(reply.getheaders()), body, took


def guess(broker, source, who, n_free):
    """Wrong passwords for who() until one is not looked at; @n_free of them are, and what drains meanwhile."""
    started, n_looked_at = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        while time.monotonic() - started < 2 * PATIENCE_S:
            replies = list(pool.map(lambda _: ask(broker, who(), "wrong", source), range(10)))
            n_looked_at += sum(status == 401 for status, _, _, _ in replies)
            refused = [reply for reply in replies if reply[0] == 429]
            if refused:
                # those that were begun before the last one that counts was refused go on
                n_drained = (time.monotonic() - started) / 60 * n_free
                assert n_free <= n_looked_at < n_free + n_drained + 11
                return refused[-1]
    raise AssertionError(f"{n_looked_at} wrong passwords were looked at")


def is_locked_out(broker, identity, password, source, elsewhere):
    """Guess from the one address until nobody looks, then know it at the other. A place may drain between."""
    while ask(broker, identity, "wrong", source)[0] != 429:
        pass
    return ask(broker, identity, password, elsewhere)[0] == 429


def test_guessing_at_a_client_comes_to_an_end_and_the_client_does_not_notice(broker):
    identity, password = broker.credentials
    assert ask(broker, identity, password)[0] == 200
    status, headers, body, took = guess(broker, "127.0.0.2", lambda: identity, 20)
    assert 1 <= int(headers["Retry-After"]) <= 3
    assert json.loads(body)["error"] == "temporarily_unavailable"
    wait_until(lambda: is_locked_out(broker, *broker.credentials, "127.0.0.2", "127.0.0.3"),
               what="no look from elsewhere, either")
    assert ask(broker, identity, password)[0] == 200, "where it always came from"
    other = broker.register_client("other")
    assert ask(broker, *other, source="127.0.0.4")[0] == 200


def test_nobody_is_locked_out_for_longer_than_it_takes_to_drain(broker):
    identity, password = broker.credentials
    assert ask(broker, identity, password)[0] == 200
    _, headers, _, _ = guess(broker, "127.0.0.2", lambda: identity, 20)
    time.sleep(int(headers["Retry-After"]))  # as it was told
    assert ask(broker, identity, password, "127.0.0.3")[0] == 200


def test_guessing_at_many_clients_from_one_address_comes_to_an_end(broker):
    identity, password = broker.credentials
    assert ask(broker, identity, password)[0] == 200
    _, headers, _, _ = guess(broker, "127.0.0.5", uuid.uuid4, 30)
    assert 1 <= int(headers["Retry-After"]) <= 2
    assert ask(broker, identity, password)[0] == 200
    assert ask(broker, identity, password, "127.0.0.6")[0] == 200


def test_an_id_that_exists_cannot_be_told_from_one_that_does_not(broker):
    fresh, known, gone = (broker.register_client(name)[0] for name in ("fresh", "known", "gone"))
    broker.command("unregister-api-client", "--client-id", gone)
    identity, password = broker.credentials
    assert ask(broker, identity, password)[0] == 200
    replies = {name: ask(broker, who, "wrong") for name, who in (
        ("remembered", identity), ("not shown yet", fresh), ("unknown", uuid.uuid4()), ("no uuid", "x"),
        ("unregistered", gone))}
    for name, (status, headers, body, took) in replies.items():
        assert (status, body) == (401, replies["unknown"][2]), name
        assert took > 0.15, "all leave the same time after they came"
        assert headers == replies["unknown"][1]
    # and all are counted alike
    nobody = uuid.uuid4()
    assert guess(broker, "127.0.0.2", lambda: nobody, 20)[:3:2] == \
        guess(broker, "127.0.0.3", lambda: identity, 19)[:3:2]
