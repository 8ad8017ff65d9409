"""dcvctl and dcvsm against a double of the API: requests on the wire, output, exit codes."""

import base64
import json
import os
import pathlib
import pwd
import signal
import subprocess
import time

import pytest
from api_double import Answer, ApiDouble, make_certificates

BUILD = pathlib.Path(os.environ.get("DCV_BUILD", "build"))
ID = "0c9be39d-7d6c-4f0e-8f53-5a0c6a0e2b77"
PASSWORD = "pa55word-never-shown"
TOKEN = "t0ken.never-shown"
ME = pwd.getpwuid(os.getuid()).pw_name
SESSIONS = "/describeSessions"
EMPTY = {"RequestId": "r", "Sessions": []}

COMMANDS = ["create-session", "describe-sessions", "delete-session", "update-session-permissions",
            "get-session-connection-data", "get-session-screenshots", "describe-servers",
            "open-servers", "close-servers"]


# --- the programs --------------------------------------------------------------------------------


def environment(tmp_path, **more):
    """That of the caller without what could steer the programs, and an empty home."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("DCV", "XDG_")) and "proxy" not in k.lower()}
    return {**env, "HOME": str(tmp_path), "LC_ALL": "C", **more}


class Client:
    """Runs a program and remembers everything that it said and was called with."""

    def __init__(self, program, tmp_path, before=(), **env):
        self.command = [str(BUILD.resolve() / program), *map(str, before)]
        self.env = environment(tmp_path, **env)
        self.cwd = tmp_path

    def __call__(self, *arguments, **env):
        run = subprocess.run([*self.command, *map(str, arguments)], env={**self.env, **env},
                             cwd=self.cwd, capture_output=True, timeout=60)
        for secret in (PASSWORD, TOKEN):
            assert secret.encode() not in run.stdout + run.stderr
        run.out, run.err = run.stdout.decode(), run.stderr.decode()
        return run


@pytest.fixture
def agent(tmp_path):
    with ApiDouble(unix_path=tmp_path / "agent.sock") as double:
        yield double


@pytest.fixture
def dcvctl(tmp_path, agent):
    return Client("dcvctl", tmp_path, ["--socket", agent.unix_path])


@pytest.fixture(scope="session")
def tls_folder(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def broker(tls_folder):
    with ApiDouble(tls=tls_folder) as double:
        double.answers["/oauth2/token"] = Answer(
            {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})
        yield double


@pytest.fixture
def dcvsm(tmp_path, broker, tls_folder):
    return Client("dcvsm", tmp_path,
                  ["--broker-url", broker.url, "--ca-bundle", tls_folder / "ca.pem"],
                  DCV_SM_CLIENT_ID="client-1", DCV_SM_CLIENT_PASSWORD=PASSWORD)


def lists(*successes, failures=()):
    return Answer({"RequestId": "r", "SuccessfulList": successes, "UnsuccessfulList": failures})


def session(**more):
    return {"Id": ID, "Name": "wing-study", "Owner": "mira", "Type": "VIRTUAL", "State": "READY",
            "CreationTime": "2026-03-02T08:00:11.042Z", "NumOfConnections": 2,
            "Server": {"Id": "s1", "Hostname": "cad01", "Ip": "10.0.0.21"}, **more}


def only(double, method, path):
    """The one request of the API; the token's is not counted."""
    requests = [r for r in double.requests if not r.path.startswith("/oauth2")]
    assert [(r.method, r.path) for r in requests] == [(method, path)]
    return requests[0]


# --- requests on the wire ------------------------------------------------------------------------

REQUESTS = [
    (["open-servers", "--server-ids", "a, b"], "POST", "/openServers",
     '[{"ServerId":"a"},{"ServerId":"b"}]'),
    (["close-servers", "--server-ids=a,b", "--force"], "POST", "/closeServers",
     '[{"ServerId":"a","Force":true},{"ServerId":"b","Force":true}]'),
    (["describe-servers"], "POST", "/describeServers", "{}"),
    (["describe-servers", "--max-results", "20", "--next-token", "x=", "--server-ids", "a=,b"],
     "POST", "/describeServers", '{"ServerIds":["a=","b"],"NextToken":"x=","MaxResults":20}'),
    (["create-session", "--name", "n", "--owner", "o", "--type", "Console"],
     "POST", "/createSessions", '[{"Name":"n","Owner":"o","Type":"CONSOLE"}]'),
    (["create-session", "--type=virtual", "--owner=o", "--name=é ", "--init-file-path", "i.sh",
      "--autorun-file", "a.sh", "--autorun-file-arguments", "--model,wing\\, v2",
      "--autorun-file-arguments", "x", "--max_concurrent-clients", "4", "--dcv-gl-enabled",
      "--permissions-file", "W3Blcm1d", "--requirements", "tag:a = 'it''s'",
      "--storage-root", "%home%", "--enqueue-request", "true", "--disable-retry-on-failure"],
     "POST", "/createSessions",
     '[{"Name":"é ","Owner":"o","Type":"VIRTUAL","InitFile":"i.sh","AutorunFile":"a.sh",'
     '"AutorunFileArguments":["--model","wing, v2","x"],"MaxConcurrentClients":4,'
     '"DcvGlEnabled":true,"PermissionsFile":"W3Blcm1d","Requirements":"tag:a = \'it\'\'s\'",'
     '"StorageRoot":"%home%","EnqueueRequest":true,"DisableRetryOnFailure":true}]'),
    (["describe-sessions"], "POST", SESSIONS, "{}"),
    (["describe-sessions", "--filter", "tag:pool=a=b", "--owner", "mira", "--session-ids", "1,2"],
     "POST", SESSIONS, '{"SessionIds":["1","2"],"Filters":[{"Key":"owner","Value":"mira"},'
     '{"Key":"tag:pool","Value":"a=b"}]}'),
    (["get-session-connection-data", "--session-id", "a b/..", "--user", "DOM\\mira@x"],
     "GET", "/sessionConnectionData/a%20b%2F../DOM%5Cmira%40x", ""),
    (["get-session-connection-data", "--session-id", "..", "--user", "u"],
     "GET", "/sessionConnectionData/../u", ""),
    (["get-session-screenshots", "--session-ids", "1,2", "--max-width", "640",
      "--max-height", "480"], "POST", "/getSessionScreenshots",
     '[{"SessionId":"1","MaxWidth":640,"MaxHeight":480},'
     '{"SessionId":"2","MaxWidth":640,"MaxHeight":480}]'),
    (["delete-session", "--session-id", "1", "--owner", "o", "--force"], "POST", "/deleteSessions",
     '[{"SessionId":"1","Owner":"o","Force":true}]'),
]


@pytest.mark.parametrize("arguments, method, path, body", REQUESTS)
def test_dcvsm_sends_exactly_what_the_api_takes(dcvsm, broker, arguments, method, path, body):
    broker.answers[path] = Answer({"RequestId": "r"})
    run = dcvsm(*arguments)
    assert (run.returncode, run.err) == (0, "")
    request = only(broker, method, path)
    assert request.body == body.encode()
    assert request.headers["authorization"] == "Bearer " + TOKEN
    assert request.headers["host"] == f"127.0.0.1:{broker.port}"
    assert request.headers["accept"] == "application/json"
    assert request.headers.get("content-type") == ("application/json" if body else None)
    assert "expect" not in request.headers


@pytest.mark.parametrize("arguments, method, path, body", REQUESTS)
def test_dcvctl_sends_the_same_to_the_agent_without_a_token(dcvctl, agent, arguments, method, path,
                                                            body):
    agent.answers[path] = Answer({"RequestId": "r"})
    dcvctl("--output", "json", *arguments, DCV_SM_OAUTH2_TOKEN=TOKEN)
    request = only(agent, method, path)
    assert request.body == body.encode()
    assert "authorization" not in request.headers
    assert request.headers["host"] == "localhost"


def test_permission_files_are_read_and_encoded(dcvsm, broker, tmp_path):
    broker.answers["/sessionPermissions"] = lists()
    (tmp_path / "p.perm").write_bytes(b"[permissions]\n\xff\n")
    (tmp_path / "empty").touch()
    for value in ("p.perm", "@p.perm", "empty"):
        assert dcvsm("update-session-permissions", "--session-id", "1", "--owner", "o",
                     "--permission-file", value).returncode == 0
    sent = [r.json[0]["PermissionsFile"] for r in broker.requests if r.method == "PUT"]
    encoded = base64.b64encode(b"[permissions]\n\xff\n").decode()
    assert sent == [encoded, encoded, ""]


def test_a_permission_value_that_is_no_file_must_be_base64(dcvsm, broker, tmp_path):
    create = ["create-session", "--name", "n", "--owner", "o", "--type", "virtual"]
    broker.answers["/createSessions"] = lists()
    (tmp_path / "abcd").write_text("x")
    (tmp_path / "large").write_bytes(b"x" * 70000)
    assert dcvsm(*create, "--permissions-file", "abcd").returncode == 0
    assert dcvsm(*create, "--permissions-file", "abce").returncode == 0
    for value in ("@abce", "not base64!", "large"):
        run = dcvsm(*create, "--permissions-file", value)
        assert run.returncode == 252 and run.err.startswith("dcvsm: --permissions-file")
    run = dcvsm("update-session-permissions", "--session-id", "1", "--owner", "o",
                "--permission-file", "abce")
    assert run.returncode == 252
    sent = [r.json[0]["PermissionsFile"] for r in broker.requests if r.path == "/createSessions"]
    assert sent == ["eA==", "abce"]


def test_people_may_leave_out_names_and_their_own_user(dcvctl, agent, tmp_path):
    (tmp_path / "p").write_text("x")
    for path in ("/createSessions", "/deleteSessions", "/sessionPermissions",
                 "/getSessionScreenshots", "/openServers"):
        agent.answers[path] = lists()
    agent.answers[SESSIONS] = Answer(EMPTY)
    for arguments in (["create-session", "demo"], ["delete-session", "1", "--force=false"],
                      ["update-session-permissions", "1", "p"], ["describe-sessions", "1", "2,3"],
                      ["get-session-screenshots", "--", "-1"], ["open-servers", "a", "b"],
                      ["get-session-connection-data", "1"]):
        dcvctl(*arguments)
    assert [json.loads(r.body) if r.body else r.path for r in agent.requests] == [
        [{"Name": "demo", "Owner": ME, "Type": "VIRTUAL"}],
        [{"SessionId": "1", "Owner": ME, "Force": False}],
        [{"SessionId": "1", "Owner": ME, "PermissionsFile": "eA=="}],
        {"SessionIds": ["1", "2", "3"]}, [{"SessionId": "-1"}],
        [{"ServerId": "a"}, {"ServerId": "b"}], "/sessionConnectionData/1/" + ME]


def test_with_a_broker_the_owner_must_be_named(tmp_path, broker):
    run = Client("dcvctl", tmp_path)("--broker-url", broker.url, "delete-session", "1")
    assert (run.returncode, run.err) == (2, "dcvctl: --owner is required\n")


# --- tokens --------------------------------------------------------------------------------------


def test_the_token_request_is_the_one_that_all_clients_send(dcvsm, broker):
    broker.answers[SESSIONS] = Answer(EMPTY)
    dcvsm("describe-sessions")
    request = broker.requests[0]
    assert (request.method, request.path) == (
        "POST", "/oauth2/token?grant_type=client_credentials")
    assert request.headers["authorization"] == "Basic " + base64.b64encode(
        f"client-1:{PASSWORD}".encode()).decode()
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["content-length"] == "0" and request.body == b""


def test_a_ready_token_needs_no_token_request(dcvsm, broker):
    broker.answers[SESSIONS] = Answer(EMPTY)
    run = dcvsm("describe-sessions", DCV_SM_OAUTH2_TOKEN="a.ready-one", DCV_SM_CLIENT_ID="")
    assert run.returncode == 0
    assert only(broker, "POST", SESSIONS).headers["authorization"] == "Bearer a.ready-one"
    assert len(broker.requests) == 1


@pytest.mark.parametrize("query, path", [
    ("/as/token", "/as/token?grant_type=client_credentials"),
    ("/as/token?scope=a", "/as/token?scope=a&grant_type=client_credentials"),
    ("/as/token?grant_type=x&scope=a", "/as/token?grant_type=x&scope=a"),
])
def test_tokens_may_come_from_another_server(dcvsm, broker, query, path):
    broker.answers[SESSIONS] = Answer(EMPTY)
    broker.answers["/as/token"] = Answer({"access_token": TOKEN})
    assert dcvsm("--auth-server", broker.url + query, "describe-sessions").returncode == 0
    assert dcvsm("describe-sessions",
                 DCV_SM_AUTH_SERVER_URL=broker.url + query).returncode == 0
    assert [r.path for r in broker.requests] == [path, SESSIONS] * 2


def test_a_broker_without_authorization_is_sent_none(dcvsm, broker, tmp_path):
    broker.answers[SESSIONS] = Answer(EMPTY)
    (tmp_path / "c").write_text("[authentication]\nnone = true\n")
    run = dcvsm("--conf", "c", "describe-sessions", DCV_SM_CLIENT_ID="", DCV_SM_CLIENT_PASSWORD="")
    assert run.returncode == 0
    assert "authorization" not in only(broker, "POST", SESSIONS).headers


@pytest.mark.parametrize("answer, code", [
    (Answer({"error": "invalid_client", "error_description": "unknown client"}, 401), 254),
    (Answer({"access_token": "a\r\nb"}), 255),
    (Answer({"access_token": ""}), 255),
    (Answer({"token": "x"}), 255),
    (Answer(f'{{"access_token": "{TOKEN}", oops'.encode()), 255),
])
def test_without_a_token_nothing_is_asked(dcvsm, broker, answer, code):
    broker.answers["/oauth2/token"] = answer
    run = dcvsm("--debug", "describe-sessions")
    assert run.returncode == code and run.out == "" and "the token server" in run.err
    assert len(broker.requests) == 1


def test_secrets_appear_nowhere(dcvsm, broker):
    """Client checks the output of every run; here also with everything that --debug tells, and
    while the program runs, its arguments and environment as other users see them."""
    broker.answers[SESSIONS] = Answer(EMPTY, delay=1)
    run = dcvsm("--debug", "describe-sessions")
    assert run.returncode == 0
    assert f"POST {broker.url}/oauth2/token (0 bytes)" in run.err
    assert base64.b64encode(f"client-1:{PASSWORD}".encode()).decode() not in run.err
    with subprocess.Popen([*dcvsm.command, "describe-sessions"], env=dcvsm.env,
                          stdout=subprocess.DEVNULL) as process:
        arguments = pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert PASSWORD.encode() not in arguments and TOKEN.encode() not in arguments
    assert not [o for o in dcvsm("--help").out.split() if "password" in o and o.startswith("--")]


# --- configuration -------------------------------------------------------------------------------


def write_conf(path, broker, tls_folder, **changes):
    values = {"url": broker.url, "id": "file-id", "password": PASSWORD,
              "ca": tls_folder / "ca.pem", **changes}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("# sample\n[output]\noutput-format = json\n\n[security]\n"
                    f"ca-bundle = {values['ca']}\n[authentication]\nclient-id={values['id']}\n"
                    f"client-password: {values['password']}\n[Broker]\nURL = {values['url']} \r\n")
    path.chmod(0o600)


@pytest.mark.parametrize("place, env", [
    (".config/dcvsmcli.conf", {}), ("x/dcvsmcli.conf", {"XDG_CONFIG_HOME": "x"}),
])
def test_everything_may_come_from_the_file(tmp_path, broker, tls_folder, place, env):
    broker.answers[SESSIONS] = Answer(EMPTY)
    write_conf(tmp_path / place, broker, tls_folder)
    if env:
        env = {"XDG_CONFIG_HOME": str(tmp_path / "x")}
    run = Client("dcvsm", tmp_path)("describe-sessions", **env)
    assert (run.returncode, run.err) == (0, "")
    run = Client("dcvctl", tmp_path)("--broker", "describe-sessions", **env)
    assert (run.returncode, run.err) == (0, "")


def test_an_option_beats_the_environment_and_that_the_file(tmp_path, broker, tls_folder):
    broker.answers[SESSIONS] = Answer(EMPTY)
    broker.answers["/a"] = broker.answers["/b"] = Answer({"access_token": TOKEN})
    write_conf(tmp_path / "c", broker, tls_folder, url="https://localhost:1")
    with open(tmp_path / "c", "a", encoding="utf-8") as file:
        file.write(f"[authentication]\nauth-server-url = {broker.url}/c\n")
    dcvsm = Client("dcvsm", tmp_path, ["--conf", "c", "--broker-url", broker.url],
                   DCV_SM_AUTH_SERVER_URL=broker.url + "/b", DCV_SM_CLIENT_ID="env-id")
    assert dcvsm("describe-sessions").returncode == 0
    assert dcvsm("--auth-server-url", broker.url + "/a", "describe-sessions").returncode == 0
    tokens = [r for r in broker.requests if r.path != SESSIONS]
    assert [r.path.partition("?")[0] for r in tokens] == ["/b", "/a"]
    basic = "Basic " + base64.b64encode(f"env-id:{PASSWORD}".encode()).decode()
    assert tokens[0].headers["authorization"] == basic


def test_a_ca_bundle_of_the_file_is_beside_it(tmp_path, broker, tls_folder):
    broker.answers[SESSIONS] = Answer(EMPTY)
    write_conf(tmp_path / "site" / "c", broker, tls_folder, ca="own.pem")
    (tmp_path / "site" / "own.pem").write_bytes((tls_folder / "ca.pem").read_bytes())
    assert Client("dcvsm", tmp_path)("--conf", "site/c", "describe-sessions").returncode == 0


def test_a_password_that_everybody_can_read_is_warned_of(tmp_path, broker, tls_folder):
    broker.answers[SESSIONS] = Answer(EMPTY)
    write_conf(tmp_path / "c", broker, tls_folder)
    (tmp_path / "c").chmod(0o644)
    run = Client("dcvsm", tmp_path)("--conf", "c", "describe-sessions")
    assert run.returncode == 0 and run.err.startswith("dcvsm: warning: c holds a password")


def test_unknown_keys_are_told_with_debug_only(tmp_path, broker, tls_folder):
    broker.answers[SESSIONS] = Answer(EMPTY)
    write_conf(tmp_path / "c", broker, tls_folder)
    with open(tmp_path / "c", "a", encoding="utf-8") as file:
        file.write("color = red\n")
    dcvsm = Client("dcvsm", tmp_path, ["--conf", "c"])
    assert dcvsm("describe-sessions").err == ""
    assert "unknown key 'color' in section [Broker]" in dcvsm("--debug", "describe-sessions").err


@pytest.mark.parametrize("text, message", [
    (b"[broker]\nnonsense\n", "line 2: expected 'key = value'"),
    (b"url = x\n", "line 1: a key before the first [section]"),
    (b"\n[broker\n", "line 2: expected '[section]'"),
    (b"[security]\nno-verify-ssl = perhaps\n", "line 2: no-verify-ssl must be true or false"),
    (b"[broker]\nurl = x\0\n", "NUL byte"),
])
def test_a_damaged_file_is_1(dcvsm, tmp_path, text, message):
    (tmp_path / "c").write_bytes(text)
    run = dcvsm("--conf", "c", "describe-sessions")
    assert (run.returncode, run.err) == (1, f"dcvsm: c: {message}\n")


def test_a_missing_file_is_1(dcvsm, dcvctl):
    for program in (dcvsm, dcvctl):
        run = program("--conf", "nowhere", "describe-sessions")
        assert run.returncode == 1 and "nowhere" in run.err


# --- exit codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [
    [], ["--nonsense"], ["explode"], ["create-sessions"], ["describe-sessions", "--nonsense"],
    ["describe-sessions", "--owner"], ["describe-sessions", "stray"], ["--socket", "x"],
    ["delete-session", "--owner", "o"], ["--broker-url"], ["--output", "json"], ["-x"],
    ["describe-sessions", "--wait"], ["--broker-ur", "https://h", "describe-sessions"],
    ["describe-sessions", "--debug"], ["--client-password", "x", "describe-sessions"],
])
def test_what_the_parser_does_not_understand_is_2(dcvsm, broker, arguments):
    run = dcvsm(*arguments)
    assert run.returncode == 2 and run.out == "" and run.err.startswith("dcvsm: ")
    assert broker.requests == []


@pytest.mark.parametrize("arguments", [
    ["describe-sessions", "--max-results", "0"], ["describe-sessions", "--max-results", "1001"],
    ["describe-sessions", "--max-results", "-1"], ["describe-sessions", "--max-results", "5x"],
    ["describe-sessions", "--session-ids", "a,,b"], ["describe-sessions", "--session-ids", ""],
    ["describe-sessions", "--filter", "owner"], ["describe-sessions", "--filter", "=x"],
    ["describe-servers", "--server-ids", "a, "], ["--output-format", "yaml", "describe-sessions"],
    ["delete-session", "--session-id", " ", "--owner", "o"],
    ["delete-session", "--session-id", "1", "--owner", "o", "--force=perhaps"],
    ["create-session", "--name", "n", "--owner", "o", "--type", "screen"],
    ["create-session", "--name", "n", "--owner", "o", "--type", "virtual",
     "--max-concurrent-clients", "101"],
    ["--broker-url", "broker:8443", "describe-sessions"],
    ["--broker-url", "http://broker.example", "describe-sessions"],
    ["--broker-url", "https://u:p@h", "describe-sessions"],
    ["--broker-url", "https://h/?a=b", "describe-sessions"],
    ["get-session-screenshots", "--session-ids", "1", "--max-width", "0"],
    [b"describe-sessions", b"--owner", b"\xff"],
])
def test_a_wrong_value_is_252(dcvsm, broker, arguments):
    run = subprocess.run([*dcvsm.command, *arguments], env=dcvsm.env, capture_output=True)
    assert run.returncode == 252 and run.stdout == b"" and run.stderr.startswith(b"dcvsm: ")
    assert broker.requests == []


def test_missing_settings_are_253(tmp_path, broker):
    dcvsm = Client("dcvsm", tmp_path)
    assert dcvsm("describe-sessions").returncode == 253
    to_broker = ["--broker-url", broker.url, "describe-sessions"]
    for env in ({}, {"DCV_SM_CLIENT_ID": "x"}, {"DCV_SM_CLIENT_PASSWORD": PASSWORD},
                {"DCV_SM_OAUTH2_TOKEN": "a\nb"},
                {"DCV_SM_OAUTH2_TOKEN": "x", "DCV_SM_AUTH_SERVER_URL": "http://elsewhere/"}):
        assert dcvsm(*to_broker, **env).returncode == 253
    run = dcvsm("--ca-bundle", "nowhere.pem", *to_broker, DCV_SM_OAUTH2_TOKEN="x")
    assert run.returncode == 253 and "nowhere.pem" in run.err
    (tmp_path / "empty.pem").write_text("no certificate\n")
    run = dcvsm("--ca-bundle", "empty.pem", *to_broker, DCV_SM_OAUTH2_TOKEN="x")
    assert run.returncode == 253
    assert broker.requests == []


@pytest.mark.parametrize("status, body, text", [
    (400, {"error": "MaxResults must be between 1 and 1000"},
     "HTTP 400: MaxResults must be between 1 and 1000"),
    (401, {"error": "Invalid or expired access token"}, "HTTP 401: Invalid or"),
    (413, {"error": "too large"}, "HTTP 413: too large"), (500, b"", "HTTP 500\n"),
    (503, b"<html>", "HTTP 503\n"), (404, ["x"], "HTTP 404\n"),
    (302, {"error": "moved\x1b[2J\u202e"}, "HTTP 302: moved\\x1b[2J\\u202e\n"),
])
def test_a_refusal_of_the_service_is_254(dcvsm, broker, dcvctl, agent, status, body, text):
    for program, double, who in ((dcvsm, broker, "broker"), (dcvctl, agent, "agent")):
        double.answers[SESSIONS] = Answer(body, status, {"Location": "/elsewhere"})
        run = program("describe-sessions")
        assert (run.returncode, run.out) == (254, "")
        assert f"the {who} answered {text}" in run.err
        only(double, "POST", SESSIONS)  # once, and no other place


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[]", b"{}{}", b'{"a":1,"a":2}', b'"\xff"'])
def test_an_answer_that_is_no_json_object_is_255(dcvsm, broker, dcvctl, agent, body):
    for program, double in ((dcvsm, broker), (dcvctl, agent)):
        double.answers[SESSIONS] = Answer(body)
        run = program("describe-sessions")
        assert (run.returncode, run.out) == (255, "") and "JSON" in run.err


def test_a_connection_that_fails_is_255(tmp_path, tls_folder, broker, dcvsm, dcvctl, agent):
    token = {"DCV_SM_OAUTH2_TOKEN": "x"}
    plain = Client("dcvsm", tmp_path, **token)
    ca = ["--ca-bundle", tls_folder / "ca.pem"]
    assert plain(*ca, "--broker-url", "https://127.0.0.1:1", "describe-sessions").returncode == 255
    assert plain(*ca, "--broker-url", "https://no.such.invalid",
                 "describe-sessions").returncode == 255
    run = plain("--broker-url", broker.url, "describe-sessions")
    assert run.returncode == 255 and "certificate" in run.err
    # the address is right, the name is not in the certificate
    run = plain(*ca, "--broker-url", f"https://127.0.0.2:{broker.port}", "describe-sessions")
    assert run.returncode == 255
    assert broker.requests == []
    run = dcvctl("--socket", "nowhere.sock", "describe-sessions")
    assert (run.returncode, run.err) == (
        255, "dcvctl: the agent's socket nowhere.sock: No such file or directory\n")
    agent.answers[SESSIONS] = Answer(EMPTY, cut=5)
    assert dcvctl("describe-sessions").returncode == 255


def test_a_slow_answer_is_255(dcvctl, agent):
    agent.answers[SESSIONS] = Answer(EMPTY, delay=20)
    begin = time.monotonic()
    run = dcvctl("--timeout", "1", "describe-sessions")
    assert run.returncode == 255 and "timed out" in run.err
    assert time.monotonic() - begin < 10


def test_an_answer_beyond_64_mib_is_255(dcvctl, agent):
    agent.answers[SESSIONS] = Answer(b'{"Sessions": []' + b" " * (64 << 20) + b"}")
    run = dcvctl("describe-sessions")
    assert (run.returncode, run.err) == (255, "dcvctl: the answer is larger than 64 MiB\n")


def test_an_interrupt_is_130_at_once(dcvctl, agent):
    agent.answers[SESSIONS] = Answer(EMPTY, delay=20)
    with subprocess.Popen([*dcvctl.command, "describe-sessions"], env=dcvctl.env) as process:
        agent.wait_for_request()
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert time.monotonic() - begin < 5


def test_output_that_cannot_be_written_is_255(dcvctl, agent):
    agent.answers[SESSIONS] = Answer(EMPTY)
    for form in ("json", "table"):
        with open("/dev/full", "wb") as full:
            run = subprocess.run([*dcvctl.command, "--output", form, "describe-sessions"],
                                 env=dcvctl.env, stdout=full, stderr=subprocess.PIPE)
        assert run.returncode == 255 and b"No space left" in run.stderr


def test_certificates_may_go_unchecked_with_a_warning(tmp_path, broker):
    broker.answers[SESSIONS] = Answer(EMPTY)
    run = Client("dcvsm", tmp_path)("--no-verify-ssl", "--broker-url", broker.url,
                                    "describe-sessions", DCV_SM_OAUTH2_TOKEN="x")
    assert run.returncode == 0
    assert run.err == "dcvsm: warning: the broker's certificate is not checked\n"


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("host, url", [
    ("127.0.0.1", "http://127.0.0.1:{port}/"), ("127.0.0.1", "HTTP://LOCALHOST:{port}"),
    ("127.0.0.1", "http://127.0.0.1:{port}///"), ("::1", "http://[::1]:{port}"),
])
def test_a_broker_on_this_host_may_speak_http(tmp_path, host, url):
    try:
        double = ApiDouble(host=host)
    except OSError:
        pytest.skip("no IPv6 here")
    with double:
        double.answers[SESSIONS] = Answer(EMPTY)
        # a proxy of the environment must not see what is meant for this host
        run = Client("dcvsm", tmp_path, http_proxy="http://127.0.0.1:1")(
            "--broker-url", url.format(port=double.port), "describe-sessions",
            DCV_SM_OAUTH2_TOKEN="x")
        assert (run.returncode, run.err) == (0, "")
        only(double, "POST", SESSIONS)


def test_a_broker_may_live_below_a_path(dcvsm, broker):
    for base in ("/dcv", "/dcv/"):
        broker.requests.clear()
        broker.answers["/dcv/oauth2/token"] = Answer({"access_token": TOKEN})
        broker.answers["/dcv/describeSessions"] = Answer(EMPTY)
        assert dcvsm("--broker-url", broker.url + base, "describe-sessions").returncode == 0
        assert [r.path.partition("?")[0] for r in broker.requests] == [
            "/dcv/oauth2/token", "/dcv/describeSessions"]


# --- output --------------------------------------------------------------------------------------


def test_dcvsm_prints_the_answer_indented_and_otherwise_as_it_came(dcvsm, broker):
    broker.answers[SESSIONS] = Answer(
        '{"Z":1.10,"A":[],"Sessions":[ {"Id":"\\u00e9é\\"]","L":[1,[ ],{ }]} ],"B":{"t":true}}'
        .encode())
    run = dcvsm("describe-sessions")
    assert run.out == """{
  "Z": 1.10,
  "A": [],
  "Sessions": [
    {
      "Id": "\\u00e9é\\"]",
      "L": [
        1,
        [],
        {}
      ]
    }
  ],
  "B": {
    "t": true
  }
}
"""
    assert (run.returncode, run.err) == (0, "")


@pytest.mark.parametrize("body", [b' {"b":1.0,  "Sessions":[]}\n', b'{"Sessions":[]}'])
def test_dcvctl_prints_the_very_bytes_when_asked_for_json(dcvctl, agent, body):
    agent.answers[SESSIONS] = Answer(body)
    assert dcvctl("--output", "json", "describe-sessions").stdout == body


def test_sessions_are_a_table(dcvctl, agent):
    agent.answers[SESSIONS] = Answer({"RequestId": "r", "NextToken": "abc=", "Sessions": [
        session(),
        {"Id": "2", "Name": "設計", "Owner": "jo", "Type": "CONSOLE", "State": "CREATING",
         "Substate": "SESSION_PLACING", "NumOfConnections": 0,
         "CreationTime": "yesterday", "StateReason": "no host\nyet"},
        session(Id="3", Name="a\x1b[31m\u202eb", Server={"Id": "s9"}, NumOfConnections=None),
    ]})
    run = dcvctl("describe-sessions")
    assert run.returncode == 0
    assert run.out == (
        "ID                                    NAME              OWNER  TYPE     STATE"
        "                     SERVER  CONNECTIONS  CREATED (UTC)\n"
        f"{ID}  wing-study        mira   VIRTUAL  READY"
        "                     cad01   2            2026-03-02 08:00:11\n"
        "2                                     設計              jo     CONSOLE  "
        "CREATING/SESSION_PLACING  -       0            yesterday\n"
        "    reason: no host\\x0ayet\n"
        "3                                     a\\x1b[31m\\u202eb  mira   VIRTUAL  READY"
        "                     s9      -            2026-03-02 08:00:11\n"
        "There are more: --next-token=abc=\n")


def test_servers_are_a_table(dcvctl, agent):
    agent.answers["/describeServers"] = Answer({"RequestId": "r", "Servers": [
        {"Id": "Y2FkMDE=", "Hostname": "cad01", "Ip": "10.0.0.21", "Availability": "UNAVAILABLE",
         "UnavailabilityReason": "SERVER_FULL", "ConsoleSessionCount": 1, "VirtualSessionCount": 2,
         "Version": "2023.1", "Host": {"CpuLoadAverage": {"OneMinute": 0.426}}},
        {"Id": "x", "Availability": "AVAILABLE", "Host": []}]})
    assert dcvctl("describe-servers").out == (
        "ID        HOSTNAME  IP         AVAILABILITY  REASON       SESSIONS  VERSION  LOAD\n"
        "Y2FkMDE=  cad01     10.0.0.21  UNAVAILABLE   SERVER_FULL  3         2023.1   0.43\n"
        "x         -         -          AVAILABLE     -            -         -        -\n")


def test_what_succeeded_and_what_failed_is_said_in_words(dcvctl, agent):
    agent.answers["/createSessions"] = lists(session(State="CREATING"))
    assert dcvctl("create-session", "n").out == f"session {ID} CREATING\n"
    agent.answers["/deleteSessions"] = lists(failures=[
        {"SessionId": "x\n", "FailureReason": "The requested dcvSession does not exist"}])
    run = dcvctl("delete-session", "x")
    assert (run.returncode, run.out, run.err) == (
        254, "", "dcvctl: session x\\x0a: The requested dcvSession does not exist "
        f"(of user {pwd.getpwuid(os.getuid()).pw_name}; --owner names another)\n")
    agent.answers["/closeServers"] = lists({"ServerId": "a"}, failures=[
        {"CloseServerRequestData": {"ServerId": "b"}, "FailureCode": "DCV_SERVER_HAS_SESSIONS",
         "FailureReason": "Dcv server has running sessions."}])
    run = dcvctl("close-servers", "a", "b")
    assert (run.returncode, run.out) == (254, "server a is closed\n")
    assert run.err == ("dcvctl: server b: Dcv server has running sessions. "
                       "(DCV_SERVER_HAS_SESSIONS)\n")


def test_partial_success_prints_all_the_json_and_is_254(dcvsm, broker):
    answer = lists({"ServerId": "a"}, failures=[{"OpenServerRequestData": {"ServerId": "b"}}])
    broker.answers["/openServers"] = answer
    run = dcvsm("open-servers", "--server-ids", "a,b")
    assert run.returncode == 254
    assert run.out == json.dumps(answer.body, indent=2) + "\n"
    assert run.err == "dcvsm: server b: no reason given\n"


def test_an_answer_without_its_list_is_255(dcvctl, agent):
    for command, path in (("describe-sessions", SESSIONS), ("describe-servers", "/describeServers")):
        agent.answers[path] = Answer({"RequestId": "r", "Sessions": {}, "Servers": "x"})
        run = dcvctl(command)
        assert run.returncode == 255 and "the answer has no" in run.err


def test_connection_data_gives_the_address_for_a_browser(dcvctl, agent):
    agent.answers["/sessionConnectionData/1/mira"] = Answer({
        "Session": session(Server={"Ip": "fd00::1", "Port": "8443", "WebUrlPath": "/v"}),
        "ConnectionToken": "c.t"})
    assert dcvctl("get-session-connection-data", "1", "mira").out == (
        f"Session {ID}\nName    wing-study\nState   READY\nToken   c.t\n"
        f"Browser https://[fd00::1]:8443/v?authToken=c.t#{ID}\n"
        f"Client  dcv://[fd00::1]:8443/v?authToken=c.t#{ID}\n")


# --- screenshots ---------------------------------------------------------------------------------


def screenshot(session_id, *images):
    return {"SessionScreenshot": {"SessionId": session_id, "Images": [
        {"Format": form, "Data": base64.b64encode(data).decode(), "Primary": i == 0,
         "CreationTime": "2026-03-02T10:15:00.120Z"} for i, (form, data) in enumerate(images)]}}


def test_screenshots_become_files(dcvctl, agent, tmp_path):
    big = os.urandom(3_000_000)
    agent.answers["/getSessionScreenshots"] = lists(
        screenshot("1", ("png", b"\x89PNG"), ("jpeg", big)), screenshot("../../é", ("png", b"")),
        failures=[{"GetSessionScreenshotRequestData": {"SessionId": "9"},
                   "FailureReason": "Dcv session not found."}])
    run = dcvctl("get-session-screenshots", "1,9", "--output-dir", "new/shots")
    assert run.returncode == 254 and run.err == "dcvctl: session 9: Dcv session not found.\n"
    assert run.out == ("new/shots/1-1.png\nnew/shots/1-2.jpeg\n"
                       "new/shots/%2E.%2F..%2F%C3%A9-1.png\n")
    files = {p.name: p.read_bytes() for p in (tmp_path / "new/shots").iterdir()}
    assert files == {"1-1.png": b"\x89PNG", "1-2.jpeg": big, "%2E.%2F..%2F%C3%A9-1.png": b""}
    assert (tmp_path / "new/shots/1-1.png").stat().st_mode & 0o777 == 0o600


def test_json_and_files_go_together(dcvctl, agent, tmp_path):
    agent.answers["/getSessionScreenshots"] = answer = lists(screenshot("1", ("png", b"x")))
    run = dcvctl("--output=json", "get-session-screenshots", "1", "--output-dir", ".")
    assert run.stdout == answer.bytes and run.err == "./1-1.png\n"
    assert (tmp_path / "1-1.png").read_bytes() == b"x"


@pytest.mark.parametrize("form, data", [
    ("png/../../x", "eA=="), ("", "eA=="), ("PNG", "eA=="), ("png", "!"), ("png", None),
])
def test_odd_images_are_refused(dcvctl, agent, tmp_path, form, data):
    agent.answers["/getSessionScreenshots"] = lists({"SessionScreenshot": {
        "SessionId": "1", "Images": [{"Format": form, "Data": data}]}})
    run = dcvctl("get-session-screenshots", "1", "--output-dir", "d")
    assert run.returncode == 255 and list((tmp_path / "d").iterdir()) == []


def test_an_interrupt_leaves_no_half_written_file(dcvctl, agent, tmp_path):
    data = os.urandom(20_000_000)
    agent.answers["/getSessionScreenshots"] = lists(screenshot("1", ("png", data), ("png", data)))
    folder = tmp_path / "d"
    with subprocess.Popen([*dcvctl.command, "get-session-screenshots", "1", "--output-dir", "d"],
                          env=dcvctl.env, cwd=tmp_path) as process:
        while not folder.exists() or not list(folder.iterdir()):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)  # in the midst of the first file
        assert process.wait(10) == 130
    assert [p.name for p in folder.iterdir()] == ["1-1.png"]
    assert (folder / "1-1.png").read_bytes() == data


def test_a_folder_that_cannot_be_written_is_255(dcvctl, agent, tmp_path):
    agent.answers["/getSessionScreenshots"] = lists(screenshot("1", ("png", b"x")))
    (tmp_path / "file").touch()
    assert dcvctl("get-session-screenshots", "1", "--output-dir", "file").returncode == 255


def test_without_a_folder_screenshots_are_a_table(dcvctl, agent):
    agent.answers["/getSessionScreenshots"] = lists(
        screenshot("1", ("png", b"1234"), ("jpeg", b"12345")))
    assert dcvctl("get-session-screenshots", "1").out == (
        "SESSION  IMAGE  FORMAT  PRIMARY  BYTES  CREATED (UTC)\n"
        "1        1      png     yes      4      2026-03-02 10:15:00\n"
        "1        2      jpeg    no       5      2026-03-02 10:15:00\n")


# --- waiting -------------------------------------------------------------------------------------


def test_wait_asks_until_the_session_is_ready(dcvctl, agent):
    agent.answers["/createSessions"] = lists(session(State="CREATING"))
    agent.answers[SESSIONS] = [
        Answer({"Sessions": [session(State="CREATING")]}),
        Answer({"Sessions": [session(State="UNKNOWN")]}), Answer({"Sessions": [session()]})]
    run = dcvctl("create-session", "n", "--wait")
    assert (run.returncode, run.out, run.err) == (
        0, f"session {ID} CREATING\nsession {ID} READY\n", "")
    assert [r.json for r in agent.requests[1:]] == [{"SessionIds": [ID]}] * 3


@pytest.mark.parametrize("answer, code, text", [
    (Answer({"Sessions": [session(State="DELETED", StateReason="user not found: mira")]}), 254,
     f"dcvctl: session {ID} did not come up: user not found: mira\n"),
    (Answer({"Sessions": [session(State="DELETED")]}), 254,
     f"dcvctl: session {ID} did not come up: it was deleted\n"),
    (Answer(EMPTY), 254, f"dcvctl: session {ID} did not come up: it is gone\n"),
    (Answer({"Sessions": [session(State="CREATING")]}), 255,
     f"dcvctl: session {ID} is not ready after 1 s\n"),
    (Answer({"error": "stopping"}, 503), 254, "dcvctl: the agent answered HTTP 503: stopping\n"),
])
def test_wait_tells_why_it_ended(dcvctl, agent, answer, code, text):
    agent.answers["/createSessions"] = lists(session(State="CREATING"))
    agent.answers[SESSIONS] = answer
    run = dcvctl("create-session", "n", "--wait", "--wait-timeout", "1")
    assert (run.returncode, run.err) == (code, text)


def test_wait_works_through_a_broker_with_one_token(tmp_path, broker, tls_folder):
    broker.answers["/createSessions"] = lists(session(State="CREATING"))
    broker.answers[SESSIONS] = Answer({"Sessions": [session()]})
    run = Client("dcvctl", tmp_path)(
        "--broker-url", broker.url, "--ca-bundle", tls_folder / "ca.pem", "--output=json",
        "create-session", "n", "--owner", "mira", "--wait",
        DCV_SM_CLIENT_ID="client-1", DCV_SM_CLIENT_PASSWORD=PASSWORD)
    assert run.returncode == 0
    assert run.stdout == broker.answers["/createSessions"].bytes
    assert [r.path.partition("?")[0] for r in broker.requests] == [
        "/oauth2/token", "/createSessions", SESSIONS]


# --- help ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["dcvctl", "dcvsm"])
def test_help_and_version_need_nothing(tmp_path, program):
    client = Client(program, tmp_path)
    assert client("--version").out.startswith(program + " ")
    for option in ("--help", "-h"):
        run = client(option)
        assert run.returncode == 0 and all(c in run.out for c in COMMANDS)
        for command in COMMANDS:
            run = client(command, option)
            assert run.returncode == 0 and run.out.startswith(f"Usage: {program} [OPTIONS] {command}")
            assert ("--wait" in run.out) == (program == "dcvctl" and command == "create-session")


def test_the_socket_may_come_from_the_environment(tmp_path, agent):
    agent.answers[SESSIONS] = Answer(EMPTY)
    run = Client("dcvctl", tmp_path)("describe-sessions", DCVCTL_SOCKET=str(agent.unix_path))
    assert run.returncode == 0
    run = Client("dcvctl", tmp_path)("--socket", "x", "--broker-url", "https://h",
                                     "describe-sessions")
    assert run.returncode == 2


def test_dcvctl_with_a_broker_reads_a_damaged_url_as_wrong_settings(tmp_path):
    (tmp_path / "c").write_text("[broker]\nurl = http://far.example\n")
    run = Client("dcvctl", tmp_path)("--conf", "c", "--broker", "describe-sessions",
                                     DCV_SM_OAUTH2_TOKEN="x")
    assert run.returncode == 253 and run.err.startswith("dcvctl: broker URL: ")
