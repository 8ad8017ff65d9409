"""Tokens of external authorization servers, with real ones that serve what they should not; our own signing keys; and
who guesses passwords."""

import base64
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import time

import jwt
import pytest
import requests

from broker_helpers import Broker, raw
from key_server import ALGORITHMS, CURVES, Issuer, Key, KeyServer, base64url, certificate, encode, forge
from waiting import wait_until

REFUSED = {"error": "Invalid or expired access token"}


@pytest.fixture(scope="module")
def broker():
    b = Broker().start().log_in()
    yield b
    b.done()


@pytest.fixture(scope="module")
def server(broker, tmp_path_factory):
    """Trusted because the broker's own authority has signed its certificate."""
    security = pathlib.Path(broker.folder) / "security"
    s = KeyServer(certificate(tmp_path_factory.mktemp("key-server"), security / "dcvsmbroker_ca.pem",
                              security / "dcvsmbroker_ca.key"))
    yield s
    s.stop()


@pytest.fixture(scope="module")
def keys():
    """A pair for each type, and two more of RSA."""
    return {"RS": Key(), "other": Key(), "third": Key(), **{name: Key(name) for name in CURVES}}


@pytest.fixture
def issuer(broker, server, keys):
    """One that is registered, with an RSA key."""
    made = Issuer(server, keys["RS"])
    with registered(broker, made):
        yield made


class registered:
    def __init__(self, broker, issuer, *options):
        self.broker, self.issuer, self.options = broker, issuer, options

    def __enter__(self):
        out = self.broker.command("register-auth-server", "--url", self.issuer.url, *self.options).stdout
        assert out == "Jwk url registered.\n"
        return self.issuer

    def __exit__(self, *_):
        out = self.broker.command("unregister-auth-server", "--url", self.issuer.url).stdout
        assert out == f"Jwk url{self.issuer.url} unregistered\n"


def ask(broker, token):
    return broker.http.post(broker.url("/describeServers"), headers={"Authorization": "Bearer " + token},
                            timeout=12)


def accepts(broker, token):
    reply = ask(broker, token)
    if reply.status_code == 200:
        return True
    assert (reply.status_code, reply.json()) == (401, REFUSED)
    assert reply.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    return False


def told(broker, issuer, what):
    """What the log tells about a server, behind the words."""
    return [line.split(what)[1] for line in broker.log().splitlines() if issuer.url in line and what in line]


def failures(broker, issuer):
    return told(broker, issuer, "its keys cannot be had: ")


# --- commands ------------------------------------------------------------------------------------

def test_servers_are_registered_listed_and_unregistered(broker, server, keys):
    first, second = Issuer(server, keys["RS"]), Issuer(server, keys["RS"])
    with registered(broker, first):
        with registered(broker, second, "--algorithm", "RS256,PS256", "--issuer=x", "--audience", "a",
                        "--scope", "s t"):
            out = broker.command("list-auth-servers").stdout
            assert out.startswith("Urls: [") and json.loads(out[6:]) == sorted([first.url, second.url])
            out = broker.command("list-auth-servers", "--json").stdout
            assert json.loads(out) == {"urls": sorted([first.url, second.url])}
        assert json.loads(broker.command("list-auth-servers").stdout[6:]) == [first.url]
    assert json.loads(broker.command("list-auth-servers").stdout[6:]) == []
    out = broker.command("register-auth-server", "--url", first.url, "--json").stdout
    assert json.loads(out) == {"url": first.url}
    out = broker.command("unregister-auth-server", "--url", first.url, "--json").stdout
    assert json.loads(out) == {"url": first.url}


@pytest.mark.parametrize("options, word", [
    (["--url", "http://192.0.2.1/jwks.json"], "https://"),
    (["--url", "http://localhost.example/jwks.json"], "https://"),
    (["--url", "http://127.0.0.1@example.org/jwks.json"], "host name"),
    (["--url", "file:///etc/passwd"], "https://"),
    (["--url", "ftp://localhost/x"], "https://"),
    (["--url", "https://"], "host name"),
    (["--url", "https://a.example/x y"], "character"),
    (["--url", "https://a.example/x#y"], "fragment"),
    (["--url", "https://user:secret@a.example/"], "host name"),
    (["--url", ""], "https://"),
    (["--url", "https://a.example/" + "x" * 3000], "longer"),
    (["--url", "https://a.example/x", "--algorithm", "HS256"], "'HS256'"),
    (["--url", "https://a.example/x", "--algorithm", "none"], "'none'"),
    (["--url", "https://a.example/x", "--algorithm", "RS256,"], "''"),
    (["--url", "https://a.example/x", "--algorithm", ""], "''"),
    (["--url", "https://a.example/x", "--issuer", ""], "--issuer"),
])
def test_a_registration_that_cannot_be_right_is_refused(broker, options, word):
    told = broker.command("register-auth-server", *options, check=False)
    assert told.returncode == 1 and word in told.stderr and not told.stdout
    assert json.loads(broker.command("list-auth-servers").stdout[6:]) == []


def test_what_is_not_registered_cannot_be_unregistered(broker):
    told = broker.command("unregister-auth-server", "--url", "https://a.example/x", check=False)
    assert told.returncode == 1 and "https://a.example/x" in told.stderr
    assert broker.command("unregister-auth-server", check=False).returncode == 2


def test_registrations_outlive_the_broker(keys, tmp_path):
    broker = Broker().start()
    plain = KeyServer()  # of this host, so without TLS
    try:
        issuer = Issuer(plain, keys["RS"])
        broker.command("register-auth-server", "--url", issuer.url, "--audience", "us")
        assert accepts(broker, issuer.token(aud="us"))
        broker.stop()
        broker.start()
        assert json.loads(broker.command("list-auth-servers").stdout[6:]) == [issuer.url]
        assert accepts(broker, issuer.token(aud="us"))
        assert ask(broker, issuer.token(aud="them")).status_code == 403
        broker.command("unregister-auth-server", "--url", issuer.url)
        broker.stop()
        broker.start()
        assert not accepts(broker, issuer.token(aud="us"))
    finally:
        plain.stop()
        broker.done()


# --- algorithms and keys -------------------------------------------------------------------------

@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("told_by", ["registration", "key"])
def test_each_algorithm_is_accepted(broker, server, keys, algorithm, told_by):
    key = keys[algorithm if algorithm in CURVES else "RS"]
    issuer = Issuer(server, key)
    issuer.serve([key.jwk(use="sig", alg=algorithm if told_by == "key" else None)])
    with registered(broker, issuer, *(["--algorithm", algorithm] if told_by == "registration" else [])):
        assert accepts(broker, issuer.token(algorithm=algorithm))
        if algorithm not in CURVES:  # one that the same key could be used with
            other = ALGORITHMS[(ALGORITHMS.index(algorithm) + 1) % 6]
            assert not accepts(broker, issuer.token(algorithm=other))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_nobody_tells_follows_from_the_type_of_the_key(broker, server, keys, algorithm):
    key = keys[algorithm if algorithm in CURVES else "RS"]
    with registered(broker, Issuer(server, key)) as issuer:
        assert accepts(broker, issuer.token(algorithm=algorithm)) == \
            (algorithm == "RS256" or algorithm in CURVES)


def test_the_registration_is_asked_before_the_key(broker, server, keys):
    issuer = Issuer(server, keys["RS"])
    issuer.serve([keys["RS"].jwk(alg="RS256")])
    with registered(broker, issuer, "--algorithm", "PS256,ES256"):
        assert accepts(broker, issuer.token(algorithm="PS256"))
        assert not accepts(broker, issuer.token(algorithm="RS256"))


def unusable(keys):
    rs, other = keys["RS"], keys["other"]
    zeros = base64.urlsafe_b64decode(Key(bits=1024, kid="weak").jwk()["n"] + "==")
    return {
        "encryption": (rs, [rs.jwk(use="enc")]),
        "odd use": (rs, [rs.jwk(use=5)]),
        "another key of the name": (rs, [other.jwk(kid=rs.kid)]),
        "weak": ((weak := Key(bits=1024)), [weak.jwk()]),
        "weak behind zeros": (weak, [weak.jwk(n=base64url(
            bytes(200) + base64.urlsafe_b64decode(weak.jwk()["n"] + "==")))]),
        "exponent 1": (rs, [rs.jwk(e="AQ")]),
        "no Base64": (keys["ES256"], [keys["ES256"].jwk(y=keys["ES256"].jwk()["y"][:37] + "=4c_GU")]),
        "no exponent": (rs, [rs.jwk(e=None)]),
        "a secret": (rs, [{"kty": "oct", "k": base64url(zeros), "kid": rs.kid}]),
        "type missing": (rs, [rs.jwk(kty=None)]),
        "key without a name": (rs, [rs.jwk(kid=None)]),
        "odd name": (rs, [rs.jwk(kid=7)]),
        "not an object": (rs, ["x", 5, None, []]),
        "no keys": (rs, []),
        "too many": (rs, [rs.jwk()] * 101),
        "point off the curve": (keys["ES256"], [keys["ES256"].jwk(x=base64url(b"\1" * 32))]),
        "another curve": (keys["ES256"], [keys["ES384"].jwk(kid=keys["ES256"].kid)]),
    }


@pytest.mark.parametrize("name", ["encryption", "odd use", "another key of the name", "weak", "weak behind zeros",
                                  "exponent 1", "no Base64", "no exponent", "a secret", "type missing", "key without a name",
                                  "odd name", "not an object", "no keys", "too many", "point off the curve",
                                  "another curve"])
def test_a_key_that_may_not_be_used_is_not(broker, server, keys, name):
    key, jwks = unusable(keys)[name]
    issuer = Issuer(server, key)
    issuer.serve(jwks)
    with registered(broker, issuer):
        assert not accepts(broker, issuer.token())


def test_keys_that_are_not_understood_are_passed_over(broker, server, keys):
    issuer = Issuer(server, keys["RS"])
    issuer.serve(["x", {}, {"kty": "OKP", "crv": "Ed25519", "x": "AA"}, keys["other"].jwk(use="enc"),
                  keys["RS"].jwk(use="sig", x5t="abc", x5c=["x"], key_ops=["verify"])])
    with registered(broker, issuer):
        assert accepts(broker, issuer.token())
    n = base64.urlsafe_b64decode(keys["RS"].jwk()["n"] + "==")
    issuer.serve([keys["RS"].jwk(n=base64.urlsafe_b64encode(b"\0" + n).decode())])
    with registered(broker, issuer):
        assert accepts(broker, issuer.token()), "zeros and padding, which some servers write"


def test_without_a_name_the_only_key_that_fits_is_taken(broker, server, keys):
    issuer = Issuer(server, keys["RS"], keys["ES256"])
    unnamed = {"headers": {"kid": None}}
    with registered(broker, issuer):
        assert accepts(broker, issuer.token(**unnamed))
        assert accepts(broker, issuer.token(keys["ES256"], **unnamed))
    issuer.serve([keys["RS"].jwk(), keys["other"].jwk()])
    with registered(broker, issuer):
        assert not accepts(broker, issuer.token(**unnamed))
        assert accepts(broker, issuer.token())


# --- forged and ill-formed tokens ----------------------------------------------------------------

def forged(issuer, keys):
    key, other = issuer.keys[0], keys["other"]
    claims, good = issuer.claims(), issuer.token()
    header, payload, signature = good.split(".")
    jwk, head = json.dumps(key.jwk()).encode(), {"typ": "JWT", "kid": key.kid}
    raw = base64.urlsafe_b64decode(signature + "==")
    doubled = base64url(b'{"alg":"none","kid":"%s","alg":"RS256"}' % key.kid.encode())
    return [
        forge({"alg": "none", **head}, claims), forge({"alg": "None", **head}, claims),
        forge({"alg": "none", **head}, claims) + "x", forge({"alg": "none"}, claims),
        forge({"alg": "HS256", **head}, claims, key.pem()), forge({"alg": "HS256", **head}, claims, key.pem().strip()),
        forge({"alg": "HS256", **head}, claims, jwk), forge({"alg": "HS256", **head}, claims, b""),
        forge({"alg": "RS256", **head}, claims, key.pem()), forge(head, claims),
        forge({"alg": ["RS256"], **head}, claims),
        other.sign(claims, kid=key.kid), other.sign(claims), other.sign(claims, kid=None),
        other.sign(claims, kid=key.kid, jwk=other.jwk()), other.sign(claims, jwk=other.jwk(), kid=None),
        other.sign(claims, kid=key.kid, jku=issuer.server.base + "/theirs"),
        other.sign(claims, kid=key.kid, x5u=issuer.server.base + "/theirs"),
        other.sign(claims, kid=key.kid, x5c=[base64.b64encode(other.pem()).decode()]),
        key.sign(claims, crit=["exp"], exp=1), key.sign(claims, crit=[]), key.sign(claims, crit="exp"),
        key.sign(claims, crit=["b64"], b64=False), key.sign(claims, kid=key.kid + "x"),
        f"{header}.{encode({**claims, 'sub': 'root'})}.{signature}",
        f"{encode({'alg': 'RS384', **head})}.{payload}.{signature}",
        f"{header}.{payload}.{base64url(raw[:-1])}", f"{header}.{payload}.{base64url(raw + b'x')}",
        f"{header}.{payload}.", f"{header}.{payload}", f"{header}.{payload}.{signature}.x", f".{payload}.{signature}",
        f"{header}..{signature}", f"{doubled}.{payload}.{signature}", f"{header}.{payload}.{signature}=",
        f"{header}=.{payload}.{signature}", good + "A", "x.y.z", "e30.e30.e30",
        *[key.sign(issuer.claims(**change)) for change in (
            {"iss": issuer.name + "/"}, {"iss": None}, {"iss": issuer.server.base}, {"iss": issuer.name.upper()})],
    ]


def test_no_forged_token_is_accepted(broker, issuer, keys):
    assert accepts(broker, issuer.token())
    tokens = forged(issuer, keys)
    assert [token for token in tokens if accepts(broker, token)] == []
    assert issuer.server.fetches["/theirs"] == 0


def test_an_elliptic_signature_has_one_form(broker, server, keys):
    with registered(broker, Issuer(server, keys["ES256"])) as issuer:
        good = issuer.token()
        assert accepts(broker, good)
        text, signature = good.rsplit(".", 1)
        raw = base64.urlsafe_b64decode(signature + "==")
        der = b"\x30\x44\x02\x20" + raw[:32] + b"\x02\x20" + raw[32:]
        for changed in (raw[:32], raw + b"\0" * 2, b"\0" * 64, b"\0" + raw[:32] + b"\0" + raw[32:], der):
            assert not accepts(broker, text + "." + base64url(changed))


def times(now):
    yield from [({"exp": now + 5}, True), ({"exp": now - 50}, True), ({"exp": now - 70}, False),
                ({"exp": None}, False), ({"exp": str(now + 600)}, False), ({"exp": now + 600.5}, True),
                ({"exp": -1}, False), ({"exp": 1e300}, False), ({"exp": 2 ** 62}, False), ({"exp": True}, False),
                ({"exp": [now + 600]}, False),
                ({"nbf": now + 50}, True), ({"nbf": now + 90}, False), ({"nbf": "soon"}, False),
                ({"iat": now + 50}, True), ({"iat": now + 90}, False), ({"iat": None}, True), ({"iat": {}}, False)]


def test_a_token_has_its_time_with_a_minute_of_leeway(broker, issuer):
    for claims, is_good in times(int(time.time())):
        assert accepts(broker, issuer.token(**claims)) == is_good, claims


def test_a_large_token_is_read_and_a_larger_one_refused(broker, issuer):
    assert accepts(broker, issuer.token(groups=["x" * 60] * 140))
    assert ask(broker, issuer.token(groups=["x" * 60] * 300)).status_code == 431


# --- issuers, audiences, scopes ------------------------------------------------------------------

def test_the_issuer_may_be_another_than_the_url_says(broker, server, keys):
    issuer = Issuer(server, keys["RS"])
    with registered(broker, issuer, "--issuer", "urn:x"):
        assert accepts(broker, issuer.token(iss="urn:x"))
        assert not accepts(broker, issuer.token())
    issuer = Issuer(server, keys["RS"], path="/keys/v2")
    with registered(broker, issuer):
        assert accepts(broker, issuer.token(iss="anybody")) and accepts(broker, issuer.token(iss=None))
    with registered(broker, issuer, "--issuer", "urn:y"):
        assert not accepts(broker, issuer.token(iss="anybody")) and not accepts(broker, issuer.token(iss=None))


@pytest.mark.parametrize("options, claims, is_good", [
    (["--audience", "us"], {"aud": "us"}, True),
    (["--audience", "us"], {"aud": ["them", "us"]}, True),
    (["--audience", "us"], {"aud": "them us"}, False),
    (["--audience", "us"], {}, False),
    (["--audience", "us"], {"aud": [["us"]]}, False),
    (["--scope", "sm/all"], {"scope": "a sm/all b"}, True),
    (["--scope", "sm/all"], {"scope": ["sm/all"]}, True),
    (["--scope", "sm/all"], {"scp": "sm/all"}, True),
    (["--scope", "sm/all"], {"scope": "sm/al sm/alll"}, False),
    (["--scope", "a b"], {"scope": "b a"}, True),
    (["--scope", "a b"], {"scope": "b"}, False),
    (["--scope", "a"], {"scope": 5}, False),
    ([], {"aud": "them", "scope": "none"}, True),
])
def test_audience_and_scope_count_when_they_were_registered(broker, server, keys, options, claims, is_good):
    with registered(broker, Issuer(server, keys["RS"]), *options) as issuer:
        reply = ask(broker, issuer.token(**claims))
        if is_good:
            assert reply.status_code == 200
        else:
            assert (reply.status_code, reply.json()) == (403, {"error": "Insufficient scope"})
            assert reply.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
        assert not accepts(broker, keys["other"].sign(issuer.claims(**claims), kid=keys["RS"].kid))


def test_several_servers_each_vouch_for_their_own(broker, server, keys):
    one, two = Issuer(server, keys["RS"]), Issuer(server, keys["other"])
    any_one = Issuer(server, keys["third"], path="/any-issuer")
    with registered(broker, one), registered(broker, two), registered(broker, any_one):
        for issuer in (one, two, any_one):
            assert accepts(broker, issuer.token())
        assert not accepts(broker, one.token(keys["other"]))
        assert not accepts(broker, two.token(keys["RS"]))
        assert accepts(broker, one.token(keys["third"])), "its server vouches for every issuer"
        assert broker.call("/describeServers").status_code == 200, "and we for our own"
    assert not accepts(broker, one.token())


def test_an_external_server_cannot_speak_for_our_clients_or_agents(broker, server, keys):
    header = jwt.get_unverified_header(broker.token)
    ours = jwt.decode(broker.token, options={"verify_signature": False})
    with registered(broker, Issuer(server, keys["ES256"], path="/all"), "--issuer", ours["iss"]) as issuer:
        assert accepts(broker, keys["ES256"].sign(ours)), "it may name itself as it likes"
        assert not accepts(broker, keys["ES256"].sign(ours, kid=header["kid"]))
        reply = requests.get(f"https://localhost:{broker.agent_port}/agent/link", verify=broker.http.verify,
                             headers={"Authorization": "Bearer " + issuer.token(), "Upgrade": "websocket"})
        assert reply.status_code in (401, 404)


# --- fetching ------------------------------------------------------------------------------------

def test_keys_are_fetched_once_and_again_for_a_key_that_is_new(broker, issuer, keys):
    assert accepts(broker, issuer.token()) and accepts(broker, issuer.token())
    assert issuer.fetches == 1
    issuer.serve([keys["RS"].jwk(), keys["other"].jwk()])
    assert accepts(broker, issuer.token(keys["other"]))
    assert issuer.fetches == 2
    # but not for everybody who names one: once in 30 seconds
    issuer.serve([keys["third"].jwk()])
    for _ in range(3):
        assert not accepts(broker, issuer.token(keys["third"]))
    assert issuer.fetches == 2
    assert accepts(broker, issuer.token())


def test_tokens_of_a_key_that_was_withdrawn_are_refused(broker, issuer, keys):
    token = issuer.token()
    assert accepts(broker, token)
    issuer.serve([keys["other"].jwk()])
    assert accepts(broker, issuer.token(keys["other"])), "which makes the broker fetch"
    assert not accepts(broker, token)


def test_many_calls_wait_for_one_fetch(broker, server, keys):
    issuer = Issuer(server, keys["RS"])
    asked, go_on = [], []

    def slowly(handler):
        asked.append(handler)
        wait_until(lambda: go_on)
        handler.answer(json.dumps({"keys": [keys["RS"].jwk()]}).encode())
    issuer.serve(slowly)
    with registered(broker, issuer), concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(ask, broker, issuer.token()) for _ in range(8)]
        wait_until(lambda: asked)
        # nobody else waits
        assert broker.call("/describeServers").status_code == 200
        assert not any(call.done() for call in calls)
        go_on.append(True)
        assert [call.result().status_code for call in calls] == [200] * 8
    assert issuer.fetches == 1


def test_a_caller_that_goes_away_while_it_waits_does_no_harm(broker, server, keys):
    issuer = Issuer(server, keys["RS"])
    asked, go_on = [], []

    def slowly(handler):
        asked.append(handler)
        wait_until(lambda: go_on)
        handler.answer(json.dumps({"keys": [keys["RS"].jwk()]}).encode())
    issuer.serve(slowly)
    with registered(broker, issuer):
        wait_until(lambda: asked)
        raw(broker.port, b"POST /describeServers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
            % issuer.token().encode(), wait=False).close()
        assert broker.call("/describeServers").status_code == 200
        go_on.append(True)
        assert accepts(broker, issuer.token())


def test_keys_are_fetched_before_they_are_an_hour_old_and_neither_they_nor_tokens_outlive_their_time(
        faketime, keys, monkeypatch, tmp_path):
    clock = tmp_path / "clock"

    def set_clock(seconds):
        if broker.process:
            broker.http.close()  # its connections would have been idle for too long
        (tmp_path / "new").write_text(f"+{seconds}s")
        (tmp_path / "new").rename(clock)
    broker = Broker()
    set_clock(0)
    for name, value in (("LD_PRELOAD", faketime), ("FAKETIME_TIMESTAMP_FILE", clock), ("FAKETIME_NO_CACHE", "1")):
        monkeypatch.setenv(name, str(value))
    broker.start()
    for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE", "FAKETIME_NO_CACHE"):
        monkeypatch.delenv(name)
    plain = KeyServer()
    try:
        issuer = Issuer(plain, keys["RS"])
        broker.command("register-auth-server", "--url", issuer.url)
        token, short = (issuer.token(exp=int(time.time()) + life) for life in (36000, 2600))
        assert accepts(broker, token) and accepts(broker, short) and issuer.fetches == 1
        set_clock(2690)
        assert accepts(broker, token) and issuer.fetches == 1
        assert not accepts(broker, short), "it was accepted, but it has expired since"
        set_clock(2710)
        assert accepts(broker, token), "nobody waits for it"
        wait_until(lambda: len(told(broker, issuer, "keys fetched")) == 2)
        set_clock(2710 + 3590)
        issuer.serve(lambda handler: handler.answer(b"", 500))
        assert accepts(broker, token)
        wait_until(lambda: len(failures(broker, issuer)) == 1)
        set_clock(2710 + 3610)
        assert not accepts(broker, token), "it has been verified, but with keys that are too old now"
        issuer.serve([keys["RS"].jwk()])
        set_clock(2710 + 3620)
        assert accepts(broker, token)
    finally:
        plain.stop()
        broker.done()


def hang(handler):
    handler.server_ended.wait(20)


def drip(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server_ended.wait(0.2):
        handler.wfile.write(b" ")


def test_servers_that_hang_hold_their_own_callers_for_five_seconds_and_nobody_else(broker, server, keys):
    hanging = [Issuer(server, keys["RS"]) for _ in range(3)]
    for issuer, how in zip(hanging, (hang, drip, hang)):
        def answer(handler, how=how):
            handler.server_ended = server.ended
            how(handler)
        issuer.serve(answer)
    good = Issuer(server, keys["other"])

    def seconds_until_refused(issuer):
        started = time.monotonic()
        assert not accepts(broker, issuer.token())
        return time.monotonic() - started
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(3) as pool:
        for issuer in hanging:
            stack.enter_context(registered(broker, issuer))
        calls = [pool.submit(seconds_until_refused, issuer) for issuer in hanging]
        wait_until(lambda: sum(issuer.fetches for issuer in hanging) >= 2)
        assert broker.call("/describeServers").status_code == 200
        assert broker.http.get(broker.url("/health"), timeout=2).status_code == 200
        assert not any(call.done() for call in calls)
        # also the one whose keys are not even asked for before one of the others gives up
        assert max(call.result() for call in calls) < 9
    with registered(broker, good):
        assert accepts(broker, good.token())


def test_a_broker_that_waits_for_keys_stops_and_tells_those_who_wait(keys):
    broker, server = Broker().start(), KeyServer()
    try:
        issuer = Issuer(server, keys["RS"])
        issuer.serve(lambda handler: server.ended.wait(20))
        broker.command("register-auth-server", "--url", issuer.url)
        wait_until(lambda: issuer.fetches)
        waiting = raw(broker.port, b"POST /describeServers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
                      b"GET /health HTTP/1.1\r\n\r\n" % issuer.token().encode(), wait=False)
        assert broker.http.get(broker.url("/health"), timeout=2).status_code == 200
        broker.stop()
        # What has been asked before the signal is given its time, which ends before the broker does.
        assert waiting.recv(12) == b"HTTP/1.1 401"
        waiting.close()
    finally:
        server.stop()
        broker.done()


def redirect(to, status=302):
    return lambda handler: handler.answer(b"", status, Location=to)


def wrong_answers(server, keys):
    rs = json.dumps({"keys": [keys["RS"].jwk()]}).encode()
    server.answers["/elsewhere"] = rs
    other_host = server.base.replace("localhost", "127.0.0.1")
    return {
        "status": (lambda handler: handler.answer(rs, 500), "status 500"),
        "missing": (lambda handler: handler.answer(rs, 404), "status 404"),
        "unavailable": (lambda handler: handler.answer(rs, 503), "status 503"),
        "no content": (lambda handler: handler.answer(b"", 204), "status 204"),
        "garbage": (b"\x80\xff\0garbage", "not a key set"),
        "empty": (b"", "not a key set"),
        "half": (rs[:-2], "not a key set"),
        "array": (b"[]", "no array 'keys'"),
        "deep": (b'{"keys":' + b"[" * 50000, "not a key set"),
        "keys of another type": (b'{"keys":{}}', "no array 'keys'"),
        "huge": (b" " * (256 * 1024) + rs, "larger than 262144"),
        "endless": (lambda handler: endless(handler), "larger than 262144"),
        "cut off": (lambda handler: cut_off(handler, rs), "closed|transfer|receive|recv|EOF"),
        "no http": (lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"), "HTTP/0.9|nonsense|[Rr]eceive|response"),
        "other host": (redirect(other_host + "/elsewhere"), "another host"),
        "other port": (redirect("https://localhost:1/elsewhere"), "another host"),
        "other scheme": (redirect(server.base.replace("https", "http") + "/elsewhere"), "another host"),
        "file": (redirect("file:///etc/passwd"), "https://|status 302"),
        "redirected for ever": (lambda handler: handler.answer(b"", 302, Location=handler.path + "x"), "status 404"),
        "in circles": (lambda handler: handler.answer(b"", 301, Location=handler.path), "more than 3 redirects"),
    }


def endless(handler):
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 65536)


def cut_off(handler, body):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) + 10))
    handler.end_headers()
    handler.wfile.write(body)
    handler.close_connection = True


WRONG = ["status", "missing", "unavailable", "no content", "garbage", "empty", "half", "array", "deep",
         "keys of another type", "huge", "endless", "cut off", "no http", "other host", "other port", "other scheme",
         "file", "redirected for ever", "in circles"]


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_key_set_is_not_taken_for_one(broker, server, keys, name):
    answer, reason = wrong_answers(server, keys)[name]
    issuer = Issuer(server, keys["RS"])
    issuer.serve(answer)
    with registered(broker, issuer):
        assert not accepts(broker, issuer.token())
        failed = failures(broker, issuer)
        assert len(failed) == 1 and re.search(reason, failed[0]), failed
        assert issuer.fetches == (4 if name == "in circles" else 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_server_is_followed(broker, server, keys, status):
    issuer = Issuer(server, keys["RS"])
    server.answers[issuer.path + "/2"] = [keys["RS"].jwk()]
    issuer.serve(redirect(issuer.path + "/2", status))
    with registered(broker, issuer):
        assert accepts(broker, issuer.token())


def test_chunks_and_a_set_that_is_almost_too_large_are_read(broker, server, keys):
    issuer = Issuer(server, keys["RS"])
    body = json.dumps({"keys": [keys["RS"].jwk()]}).encode()

    def chunked(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in (body[:5], body[5:], b" " * (256 * 1024 - len(body))):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")
    issuer.serve(chunked)
    with registered(broker, issuer):
        assert accepts(broker, issuer.token())


def test_a_server_that_is_not_trusted_is_not_asked_for_keys(broker, keys, certificates):
    stranger = KeyServer((certificates / "server.pem", certificates / "server.key"))
    try:
        with registered(broker, Issuer(stranger, keys["RS"])) as issuer:
            assert not accepts(broker, issuer.token())
            assert issuer.fetches == 0 and "certificate" in failures(broker, issuer)[0]
    finally:
        stranger.stop()


def test_the_authorities_of_the_system_are_trusted(keys, certificates, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    server = KeyServer((certificates / "server.pem", certificates / "server.key"))
    broker = Broker(enable_authorization_server="false").start()
    try:
        with registered(broker, Issuer(server, keys["RS"])) as issuer:
            assert accepts(broker, issuer.token()), "also when we hand out no tokens ourselves"
    finally:
        server.stop()
        broker.done()


def send_command(broker, name, url):
    """The open socket, on which the answer is to come."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(os.path.join(broker.folder, "command.sock"))
    body = json.dumps({"url": url})

    def send():
        sock.sendall(f"POST /{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    return sock, send


def test_a_server_that_is_registered_anew_and_unregistered_at_once_is_not_there(broker, server, keys):
    issuer = Issuer(server, keys["RS"])
    broker.command("register-auth-server", "--url", issuer.url)
    assert accepts(broker, issuer.token())
    commands = [send_command(broker, name, issuer.url) for name in ("register-auth-server", "unregister-auth-server")]
    broker.process.send_signal(signal.SIGSTOP)  # so that both are there when it looks
    for _, send in commands:
        send()
    broker.process.send_signal(signal.SIGCONT)
    for sock, _ in commands:
        with sock, sock.makefile() as reply:
            assert reply.readline().startswith("HTTP/1.1 200 ")
            reply.read()
    assert issuer.url not in broker.command("list-auth-servers").stdout
    assert not accepts(broker, issuer.token())


def test_unregistering_a_server_ends_what_its_tokens_allow(broker, server, keys):
    issuer = Issuer(server, keys["RS"])
    with registered(broker, issuer):
        token = issuer.token()
        assert accepts(broker, token) and accepts(broker, token)
    assert not accepts(broker, token)
    with registered(broker, issuer, "--audience", "us"):
        assert ask(broker, token).status_code == 403
        broker.command("register-auth-server", "--url", issuer.url)
        assert accepts(broker, token), "registered anew, without it"


# --- our own keys --------------------------------------------------------------------------------

def new_token(broker):
    reply = broker.http.post(broker.url("/oauth2/token?grant_type=client_credentials"), auth=broker.credentials,
                             timeout=10)
    assert reply.status_code == 200, reply.text
    return reply.json()["access_token"]


def kid(token):
    return jwt.get_unverified_header(token)["kid"]


def stored_keys(broker):
    """Of a broker that does not run: it has the store for itself."""
    with contextlib.closing(sqlite3.connect(os.path.join(broker.folder, "broker-data/broker.db"))) as db:
        return {row[0]: row[1] for row in db.execute("SELECT id, body FROM record WHERE kind = 'key'")}


def test_a_renewed_key_signs_and_the_one_before_still_counts():
    broker = Broker().start().log_in()
    try:
        old = broker.token
        assert broker.command("renew-auth-server-api-key").stdout == "Keys renewed.\n"
        new = new_token(broker)
        assert kid(new) != kid(old) and accepts(broker, old) and accepts(broker, new)
        told = json.loads(broker.command("renew-auth-server-api-key", "--json").stdout)
        assert told["key-id"] == kid(new_token(broker)) not in (kid(old), kid(new))
        broker.kill()
        stored = stored_keys(broker)
        assert set(stored) == {"access", "access/" + kid(old), "access/" + kid(new), "connection"}
        assert '"d"' not in stored["access/" + kid(old)], "the private half is gone"
        broker.start()
        assert accepts(broker, old) and accepts(broker, new)
        assert broker.command("renew-auth-server-api-key", "--revoke-old").stdout == "Keys renewed.\n"
        assert not accepts(broker, old) and not accepts(broker, new)
        last = new_token(broker)
        assert accepts(broker, last)
        broker.kill()
        assert set(stored_keys(broker)) == {"access", "connection"}
        broker.start()
        assert not accepts(broker, old) and not accepts(broker, new) and accepts(broker, last)
    finally:
        broker.done()


@pytest.mark.parametrize("offset, is_there", [("+3500s", True), ("+3720s", False)])
def test_a_replaced_key_is_dropped_when_its_last_token_has_expired(offset, is_there, fake_time, monkeypatch):
    broker = Broker().start().log_in()
    try:
        broker.command("renew-auth-server-api-key")
        broker.stop()
        for name, value in fake_time(offset).items():
            monkeypatch.setenv(name, value)
        broker.start()
        assert accepts(broker, broker.token) == is_there
        broker.stop()
        assert ("access/" + kid(broker.token) in stored_keys(broker)) == is_there
    finally:
        broker.done()
