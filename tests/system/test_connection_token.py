"""Connection tokens: what the broker hands to users, and what it answers to the hosts that ask about them."""

import re

import jwt
import pytest
import requests

from broker_helpers import Broker
from key_server import Key, encode, forge
from waiting import wait_until


@pytest.fixture(scope="module")
def broker():
    b = Broker().start().log_in()
    yield b
    b.done()


def check(broker, session, token, **more):
    reply = requests.post(f"https://localhost:{broker.agent_port}/agent/validate-authentication-token",
                          data={"sessionId": session, "authenticationToken": token, **more},
                          verify=broker.http.verify, timeout=5)
    assert reply.status_code == 200 and reply.headers["Content-Type"] == "text/xml"
    return reply.text


def connection_token(broker, session, user="mira"):
    return broker.ok(f"/sessionConnectionData/{session}/{user}", method="GET")["ConnectionToken"]


NO = '<auth result="no"><message>The token is not valid</message></auth>'
YES = '<auth result="yes"><username>mira</username></auth>'


@pytest.fixture(scope="module")
def session(broker):
    broker.agent()
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    return identity


def test_a_connection_token_looks_like_one_of_the_original(broker, session):
    token = connection_token(broker, session)
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "RS256" and header["typ"] == "JWT"
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", header["kid"])
    assert re.fullmatch("[A-Za-z0-9._-]+", token) and len(token) <= 2048
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["sub"] == "mira" and claims["exp"] - claims["iat"] == 3600
    again = connection_token(broker, session)
    assert again != token
    for _ in range(2):
        assert check(broker, session, token) == check(broker, session, again, clientAddress="x") == YES


def test_only_the_right_token_opens_a_session(broker, session):
    other = Key()
    token = connection_token(broker, session)
    text, signature = token.rsplit(".", 1)
    claims = jwt.decode(token, options={"verify_signature": False})
    head = {"alg": "RS256", "typ": "JWT", "kid": jwt.get_unverified_header(token)["kid"]}
    assert check(broker, session, token) == YES
    wrong = [
        broker.token, "", "x", text, text + ".", text + ".AAAA", token + "x", token[:-3], " " + token,
        forge({**head, "alg": "none"}, claims), forge({**head, "alg": "HS256"}, claims, b""),
        other.sign(claims), other.sign(claims, kid=head["kid"]),
        f"{text.split('.')[0]}.{encode({**claims, 'sub': 'root'})}.{signature}",
    ]
    assert [token for token in wrong if check(broker, session, token) != NO] == []
    for identity in ("", "x", session.upper(), session + " ", " " + session, session + "\0"):
        assert check(broker, identity, token) == NO
    for header in (token, "Bearer " + token):
        reply = broker.http.post(broker.url("/describeServers"), headers={"Authorization": header}, timeout=5)
        assert reply.status_code == 401, "it is no access token"


@pytest.mark.parametrize("form", [
    b"", b"x", b"sessionId=S", b"authenticationToken=T", b"sessionId=S&authenticationToken=T&x=" + b"x" * 16384,
    b"\0sessionId=S&authenticationToken=T", b"sessionId=S\0&authenticationToken=T",
    b'{"sessionId":"S","authenticationToken":"T"}', b"sessionid=S&authenticationtoken=T"])
def test_a_form_that_is_not_one_is_answered_no(broker, session, form):
    token = connection_token(broker, session)
    body = form.replace(b"=S", b"=" + session.encode()).replace(b"=T", b"=" + token.encode())
    reply = requests.post(f"https://localhost:{broker.agent_port}/agent/validate-authentication-token", data=body,
                          verify=broker.http.verify, timeout=5,
                          headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (reply.status_code, reply.text) == (200, NO)


def test_a_connection_token_ends_with_its_session(broker):
    broker.agent("h9")
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    token = connection_token(broker, identity)
    assert check(broker, identity, token) == YES
    broker.delete(identity)
    wait_until(lambda: broker.state(identity) == "DELETED")
    assert check(broker, identity, token) == NO


@pytest.mark.parametrize("offset, answer", [("+150s", YES), ("+200s", NO), ("-90s", NO)])
def test_a_connection_token_lives_as_long_as_is_set(offset, answer, fake_time, monkeypatch):
    broker = Broker(connect_session_token_duration_minutes=2).start().log_in()
    try:
        agent = broker.agent()
        identity = broker.create()
        wait_until(lambda: broker.state(identity) == "READY")
        token = connection_token(broker, identity)
        agent.drop()
        broker.stop()
        for name, value in fake_time(offset).items():
            monkeypatch.setenv(name, value)
        broker.start()
        agent.connect()
        assert check(broker, identity, token) == answer
    finally:
        broker.done()
