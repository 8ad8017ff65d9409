"""Transport, authorization and errors: what is the same for every operation of the API, as tables."""

import json
import re

import pytest
import requests

import api_schema
from broker_helpers import Broker, raw

OPERATIONS = [(method, path.replace("{sessionId}/{user}", "s/u"))
              for path, method, _ in api_schema.operations()]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]
BODY_MAX = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def broker():
    """Without any server: nothing here needs one."""
    b = Broker().start().log_in()
    yield b
    b.done()


@pytest.fixture(scope="module")
def bare():
    """Nobody has been registered, and there is no token endpoint."""
    b = Broker(enable_authorization_server="false").start()
    yield b
    b.done()


def send(broker, path="/describeServers", body=None, method="POST", **headers):
    headers = {key.replace("_", "-"): value for key, value in headers.items()}
    reply = broker.http.request(method, broker.url(path), data=body, timeout=10, headers={
        "Authorization": "Bearer " + broker.token, **headers})
    api_schema.check_reply(reply)
    return reply


def request_bytes(broker, line="POST /describeServers HTTP/1.1", *headers, body=b""):
    head = "\r\n".join([line, "Host: localhost", f"Authorization: Bearer {broker.token}", *headers])
    return head.encode() + b"\r\n\r\n" + body


# --- 1: bodies and their headers -----------------------------------------------------------------

@pytest.mark.parametrize("content_type", [
    None, "", "application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8",
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "a/b/c;;;", "\"\""])
@pytest.mark.parametrize("body", [None, b"", b"{}"])
def test_any_content_type_will_do(broker, content_type, body):
    headers = {} if content_type is None else {"Content_Type": content_type}
    assert send(broker, body=body, **headers).status_code == 200


def test_a_get_may_say_that_it_has_json(broker):
    reply = send(broker, "/sessionConnectionData/s/u", method="GET", Content_Type="application/json")
    assert (reply.status_code, reply.json()) == (400, {"error": "Session not found: s"})


BODIES = [
    (["Content-Length: 2"], b"{}"),
    (["Content-Length: 0"], b""),
    (["Transfer-Encoding: chunked"], b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
    (["Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    (["Transfer-Encoding: chunked"], b"2;name=value\r\n{}\r\n0\r\nTrailer: x\r\n\r\n"),
    (["Expect: 100-continue", "Content-Length: 2"], b"{}"),
    ([], b""),
]


# HTTP/1.0 has neither chunks nor expectations.
BODIES = [("1.1", *case) for case in BODIES] + [
    ("1.0", *case) for case in BODIES if not re.search("chunked|Expect", str(case[0]))]


@pytest.mark.parametrize("version, headers, body", BODIES, ids=range(len(BODIES)))
def test_a_body_arrives_in_any_of_these_ways(broker, version, headers, body):
    reply = raw(broker.port, request_bytes(
        broker, f"POST /describeServers HTTP/{version}", "Connection: close", *headers, body=body))
    # to one that expects 100 the body has come already, so it may be left out (RFC 9110, 10.1.1)
    head, _, answer = reply.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    assert head.split()[1] == b"200", reply
    assert json.loads(answer)["Servers"] == []


def test_who_waits_for_100_before_the_body_gets_it(broker):
    sock = raw(broker.port, request_bytes(
        broker, "POST /describeServers HTTP/1.1", "Connection: close", "Expect: 100-continue",
        "Content-Length: 2"), wait=False)
    with sock:
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_connection_serves_many_requests(broker):
    sock = raw(broker.port, b"", wait=False)
    for body in (b"{}", b"", b'{"MaxResults":0}', b"not json", b"{}"):
        sock.sendall(request_bytes(broker, "POST /describeServers HTTP/1.1",
                                   f"Content-Length: {len(body)}", body=body))
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(65536)
        head, _, answer = head.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        while len(answer) < length:
            answer += sock.recv(65536)
        assert ("Servers" in json.loads(answer)) == (body in (b"{}", b""))
    sock.close()


@pytest.mark.parametrize("size, status", [(BODY_MAX, 200), (BODY_MAX + 1, 413)])
def test_a_body_may_have_4_mib(broker, size, status):
    reply = send(broker, body=b" " * (size - 2) + b"{}")
    assert reply.status_code == status
    if status == 413:
        assert list(reply.json()) == ["error"]


def test_browsers_of_other_origins_are_told_nothing(broker):
    for method in ("OPTIONS", "POST"):
        reply = send(broker, method=method, Origin="https://elsewhere.example",
                     Access_Control_Request_Method="POST")
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]


# --- 1, 6: paths and methods ---------------------------------------------------------------------

@pytest.mark.parametrize("path", ["//describeServers", "///describeServers", "/describeServers?a=b",
                                  "//describeServers?"])
def test_paths_that_are_found(broker, path):
    assert raw_status(broker, "POST", path) == 200


NOT_FOUND = [
    ("POST", "/"), ("GET", "/"), ("POST", "/describeServers/"), ("POST", "/describeservers"),
    ("POST", "/DescribeServers"), ("POST", "/describeServersX"), ("PUT", "/sessionPermissions/"),
    ("GET", "/sessionConnectionData"), ("DELETE", "/sessions/0c9be39d"), ("DELETE", "/servers/x"),
    ("GET", "/health/"), ("GET", "/dcv-session-manager-api.yaml/"), ("GET", "/dcv-session-manager-api"),
    ("POST", "/oauth2/token/"), ("POST", "/oauth2"), ("POST", "/agent/register"), ("GET", "/agent/ws"),
    ("POST", "/agent/validate-authentication-token"), ("GET", "/favicon.ico"),
]


@pytest.mark.parametrize("method, path", NOT_FOUND)
def test_paths_that_are_not_found(broker, method, path):
    reply = send(broker, path, method=method)
    assert (reply.status_code, list(reply.json())) == (404, ["error"])
    assert reply.headers["Content-Type"] == "application/json"


def raw_status(broker, method, path):
    """requests collapses slashes itself."""
    reply = raw(broker.port, request_bytes(broker, f"{method} {path} HTTP/1.1", "Content-Length: 0",
                                           "Connection: close"))
    return int(reply.split()[1])


@pytest.mark.parametrize("right, path", [*OPERATIONS, ("GET, HEAD", "/health"),
                                         ("POST", "/oauth2/token")])
def test_every_other_method_is_405_and_told_the_right_one(broker, right, path):
    for method in METHODS:
        if method in right.split(", "):
            continue
        for token in ("Bearer " + broker.token, None):
            headers = {"Authorization": token} if token else {}
            reply = broker.http.request(method, broker.url(path), timeout=10, headers=headers)
            assert (reply.status_code, reply.headers["Allow"]) == (405, right), method
            assert reply.headers["Content-Type"] == "application/json"
            assert method == "HEAD" or reply.json()["error"]


# --- 1: probes -----------------------------------------------------------------------------------

@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
def test_the_installers_probe_is_answered(bare, headers):
    reply = bare.http.get(bare.url("/sessionConnectionData/aSession/aOwner"), headers=headers,
                          timeout=10)
    assert reply.json() == {"error": "No authorization header"}


@pytest.mark.parametrize("port", ["port", "agent_port"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_is_told_to_anybody_on_both_ports(bare, port, method):
    reply = requests.request(method, f"https://localhost:{getattr(bare, port)}/health", timeout=10,
                             verify=bare.http.verify, headers={"Authorization": "nonsense"})
    assert reply.status_code == 200
    assert method == "HEAD" or reply.json() == {"status": "ok"}
    assert reply.headers["Content-Type"] == "application/json"
    assert int(reply.headers["Content-Length"]) == len('{"status": "ok"}')


# --- 4: authorization ----------------------------------------------------------------------------

INVALID_REQUEST = ("Invalid authorization header", 'Bearer error="invalid_request"')
INVALID_TOKEN = ("Invalid or expired access token", 'Bearer error="invalid_token"')
ABSENT = ("No authorization header", "Bearer")

# TOKEN stands for a good one. None: accepted.
AUTHORIZATIONS = [
    (None, ABSENT),
    ("Bearer TOKEN", None), ("bearer TOKEN", None), ("BEARER TOKEN", None), ("Bearer   TOKEN", None),
    ("Bearer", INVALID_REQUEST), ("Bearer ", INVALID_REQUEST), ("Bearer    ", INVALID_REQUEST),
    ("TOKEN", INVALID_REQUEST), ("Basic eA==", INVALID_REQUEST), ("Basic TOKEN", INVALID_REQUEST),
    ("BearerTOKEN", INVALID_REQUEST), ("Token TOKEN", INVALID_REQUEST),
    ("Bearer x", INVALID_TOKEN), ("Bearer a.b.c", INVALID_TOKEN), ("Bearer ..", INVALID_TOKEN),
    ("Bearer TOKENx", INVALID_TOKEN), ("Bearer xTOKEN", INVALID_TOKEN),
    ("Bearer TOKEN.", INVALID_TOKEN), ("Bearer TOKEN TOKEN", INVALID_TOKEN),
    ("Bearer " + "A" * 8000, INVALID_TOKEN),
    # {"alg":"none"} and {"alg":"HS256"} with {"sub":"x","aud":"api","exp":4102444800,"iat":1}
    ("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4IiwiYXVkIjoiYXBpIiwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjF9.",
     INVALID_TOKEN),
    ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4IiwiYXVkIjoiYXBpIiwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjF9."
     "c2ln", INVALID_TOKEN),
]


@pytest.mark.parametrize("header, refusal", AUTHORIZATIONS, ids=range(len(AUTHORIZATIONS)))
@pytest.mark.parametrize("method, path, body", [
    ("POST", "/describeServers", b""), ("POST", "/createSessions", b"[]")])
def test_the_authorization_header(broker, method, path, body, header, refusal):
    headers = {"Authorization": header.replace("TOKEN", broker.token)} if header else {}
    reply = broker.http.request(method, broker.url(path), data=body, headers=headers, timeout=10)
    api_schema.check_reply(reply)
    if refusal:
        assert (reply.status_code, reply.json()) == (401, {"error": refusal[0]})
        assert reply.headers["WWW-Authenticate"] == refusal[1]
    else:
        assert reply.status_code == 200


@pytest.mark.parametrize("method, path", OPERATIONS)
@pytest.mark.parametrize("body", [None, b"not json", b"{}", b"[]", b'[{"Nonsense":1}]'])
def test_authorization_comes_before_anything_is_looked_at(broker, method, path, body):
    reply = broker.http.request(method, broker.url(path), data=body, timeout=10)
    assert (reply.status_code, reply.json()) == (401, {"error": "No authorization header"})


@pytest.mark.parametrize("path", ["/sessionConnectionData/", "/sessionConnectionData//",
                                  "/sessionConnectionData/s", "/sessionConnectionData/s/"])
def test_a_path_with_empty_parts_is_400_but_only_for_clients(broker, path):
    assert send(broker, path, method="GET").status_code == 400
    assert broker.http.get(broker.url(path), timeout=10).status_code == 401


@pytest.mark.parametrize("header", [None, "nonsense", "Bearer x", "Basic eA=="])
def test_without_authorization_no_header_matters(header):
    broker = Broker(enable_authorization="false").start()
    try:
        reply = broker.http.post(broker.url("/describeServers"), timeout=10,
                                 headers={"Authorization": header} if header else {})
        assert reply.status_code == 200
        broker.log_in()  # the token endpoint is a setting of its own
    finally:
        broker.done()


@pytest.mark.parametrize("offset, status", [("-120s", 401), ("-30s", 200), ("+3540s", 200),
                                            ("+3720s", 401)])
def test_a_token_holds_for_an_hour_give_or_take_a_minute(offset, status, fake_time, monkeypatch):
    broker = Broker().start().log_in()
    try:
        broker.stop()
        for name, value in fake_time(offset).items():
            monkeypatch.setenv(name, value)
        broker.start()
        reply = broker.call("/describeServers")
        assert reply.status_code == status, reply.text
    finally:
        broker.done()


# --- 6: errors -----------------------------------------------------------------------------------

NOT_JSON = [
    b"not json", b"{", b"}", b"[", b"'x'", b"[{]}", b"\xef\xbb\xbf[]", b"[" * 10000, b'{"a":' * 10000,
    b'[{"SessionId":"a","SessionId":"b"}]', b'[{"SessionId":"\xff\xfe"}]', b'[{"SessionId":"\\ud800"}]',
    b'[{"SessionId":"a\\u0000b"}]', b"[] []", b"[]\x00", b"[NaN]", b"[Infinity]", b"[1e999]", b"[,]",
    b"/* */ []", b"{}" * 2, b"\x00", b"[{'SessionId':'a'}]"]


@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
@pytest.mark.parametrize("path", ["/getSessionScreenshots", "/describeSessions"])
def test_what_is_no_json_is_400_with_a_cause(broker, path, body):
    reply = send(broker, path, body)
    assert reply.status_code == 400 and len(reply.json()["error"]) > 10
    assert "WWW-Authenticate" not in reply.headers


SHAPES = [b"1", b'"x"', b"true", b"1.5"]


@pytest.mark.parametrize("method, path", [o for o in OPERATIONS if o[0] != "GET"])
def test_the_top_level_is_an_object_or_an_array(broker, method, path):
    is_object = path.startswith("/describe")
    empty = send(broker, path, b"{}" if is_object else b"[]", method)
    assert empty.status_code == 200
    if not is_object:
        assert (empty.json()["SuccessfulList"], empty.json()["UnsuccessfulList"]) == ([], [])
    for body in [*SHAPES, b"[]" if is_object else b"{}"]:
        reply = send(broker, path, body, method)
        assert reply.status_code == 400, body
        assert ("object" if is_object else "array") in reply.json()["error"]
    for body in (b"", b"null", b" null\r\n"):
        assert send(broker, path, body, method).status_code == (200 if is_object else 400), body
