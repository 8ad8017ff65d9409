"""The token endpoint of the API, as tables."""

import base64
import pathlib
import re

import pytest

from broker_helpers import Broker, raw

GRANT = "?grant_type=client_credentials"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def broker():
    b = Broker().start()
    b.credentials = b.register_client()
    yield b
    b.done()


def ask(broker, query=GRANT, method="POST", header="right", body=b"", content_type=None):
    """header: "right", None, or the credentials as they are to be encoded, or the whole header."""
    identity, password = broker.credentials
    if header == "right":
        header = f"{identity}:{password}"
    if header is not None and " " not in header:
        header = "Basic " + base64.b64encode(
            header.replace("ID", identity).replace("PASSWORD", password).encode()).decode()
    headers = {key: value for key, value in (("Authorization", header), ("Content-Type", content_type))
               if value is not None}
    reply = broker.http.request(method, broker.url("/oauth2/token" + query), data=body,
                                headers=headers, timeout=20)
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Cache-Control"] == "no-store" and reply.headers["Pragma"] == "no-cache"
    return reply


def check_token(broker, reply):
    assert reply.status_code == 200, reply.text
    token = reply.json()
    assert set(token) == {"access_token", "token_type", "expires_in"}
    assert re.fullmatch("[A-Za-z0-9._~+/=-]+", token["access_token"])
    assert token["token_type"] == "Bearer"
    assert type(token["expires_in"]) is int and token["expires_in"] == 3600
    assert broker.http.post(broker.url("/describeServers"), timeout=10, headers={
        "Authorization": "Bearer " + token["access_token"]}).status_code == 200


ACCEPTED = [
    {},
    {"content_type": FORM},
    {"content_type": "application/json"},
    {"query": "", "body": b"grant_type=client_credentials", "content_type": FORM},
    {"query": "", "body": b"grant_type=client_credentials"},
    {"query": "", "body": b"scope=a%20b&grant_type=client_credentials", "content_type": FORM + ";charset=x"},
    {"body": b"grant_type=client_credentials", "content_type": FORM},
    {"query": GRANT + "&scope=dcv-session-manager/sm_scope"},
    {"query": "?scope=dcv-session-manager%2Fsm_scope&grant_type=client_credentials"},
    {"body": b"scope=dcv-session-manager%2Fsm_scope"},
    {"query": "?grant_type=client%5Fcredentials"},
    {"query": GRANT + "&other=x"},
]


@pytest.mark.parametrize("request_", ACCEPTED, ids=range(len(ACCEPTED)))
def test_a_token_is_given(broker, request_):
    check_token(broker, ask(broker, **request_))


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "Basic  "])
def test_the_scheme_may_be_written_in_any_case(broker, scheme):
    code = base64.b64encode(":".join(broker.credentials).encode()).decode()
    check_token(broker, ask(broker, header=f"{scheme} {code}"))


@pytest.mark.parametrize("headers", [
    [], ["Content-Length: 0"], ["Content-Type: " + FORM, "Content-Length: 0"]])
def test_the_body_and_its_headers_may_be_missing(broker, headers):
    code = base64.b64encode(":".join(broker.credentials).encode()).decode()
    reply = raw(broker.port, "\r\n".join([
        f"POST /oauth2/token{GRANT} HTTP/1.1", "Host: localhost", "Authorization: Basic " + code,
        "Connection: close", *headers, "", ""]).encode())
    assert reply.startswith(b"HTTP/1.1 200 ") and b'"access_token"' in reply


UNAUTHORIZED = (401, "invalid_client")
REFUSED = [
    ({"header": None}, UNAUTHORIZED),
    ({"header": "Basic "}, UNAUTHORIZED),
    ({"header": "Bearer x"}, UNAUTHORIZED),
    ({"header": "Basic %%%"}, UNAUTHORIZED),
    ({"header": "Digest username=\"x\""}, UNAUTHORIZED),
    ({"header": "no-colon"}, UNAUTHORIZED),
    ({"header": ":"}, UNAUTHORIZED),
    ({"header": "ID:"}, UNAUTHORIZED),
    ({"header": "ID:PASSWORDx"}, UNAUTHORIZED),
    ({"header": "ID:PASSWORD:"}, UNAUTHORIZED),
    ({"header": "ID::PASSWORD"}, UNAUTHORIZED),
    ({"header": "xID:PASSWORD"}, UNAUTHORIZED),
    ({"header": ":PASSWORD"}, UNAUTHORIZED),
    ({"header": "ID:PASS\0WORD"}, UNAUTHORIZED),
    ({"header": "00000000-0000-4000-8000-000000000000:PASSWORD"}, UNAUTHORIZED),
    # the credentials come first
    ({"header": "ID:wrong", "query": ""}, UNAUTHORIZED),
    ({"header": None, "query": "?grant_type=password"}, UNAUTHORIZED),
    ({"query": ""}, (400, "invalid_request")),
    ({"query": "?grant_type=client_credentials&grant_type=client_credentials"},
     (400, "invalid_request")),
    ({"query": "?grant_type=client_credentials&grant_type=password"}, (400, "invalid_request")),
    ({"body": b"grant_type=password"}, (400, "invalid_request")),
    ({"query": "", "body": b"grant_type=password&grant_type=client_credentials"},
     (400, "invalid_request")),
    ({"query": "", "body": b'{"grant_type":"client_credentials"}',
      "content_type": "application/json"}, (400, "invalid_request")),
    ({"query": "?Grant_type=client_credentials"}, (400, "invalid_request")),
    ({"query": "?grant_type=password"}, (400, "unsupported_grant_type")),
    ({"query": "?grant_type=CLIENT_CREDENTIALS"}, (400, "unsupported_grant_type")),
    ({"query": "", "body": b"grant_type=refresh_token", "content_type": FORM},
     (400, "unsupported_grant_type")),
    *[({"method": method}, (405, "invalid_request"))
      for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS")],
]


@pytest.mark.parametrize("request_, refusal", REFUSED, ids=range(len(REFUSED)))
def test_a_token_is_refused(broker, request_, refusal):
    reply = ask(broker, **request_)
    status, error = refusal
    body = reply.json()
    assert (reply.status_code, body["error"]) == (status, error), reply.text
    assert set(body) == {"error", "error_description"} and body["error_description"]
    assert reply.headers.get("WWW-Authenticate") == (
        'Basic realm="dcv-session-manager"' if status == 401 else None)
    assert reply.headers.get("Allow") == ("POST" if status == 405 else None)


def test_the_credentials_survive_what_clients_do_to_them(broker):
    identity, password = broker.credentials
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", identity)
    assert re.fullmatch("[A-Za-z0-9]{40,}", password)


def test_a_password_is_kept_in_no_file(broker):
    files = [path for path in pathlib.Path(broker.folder).rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert broker.credentials[1].encode() not in path.read_bytes(), path


def test_the_built_in_endpoint_can_be_switched_off():
    broker = Broker(enable_authorization_server="false").start()
    try:
        for method in ("POST", "GET"):
            reply = broker.http.request(method, broker.url("/oauth2/token" + GRANT), timeout=10)
            assert (reply.status_code, reply.json()) == (404, {"error": "Not found"})
    finally:
        broker.done()
