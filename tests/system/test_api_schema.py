"""What every answer is held against: that it would find what it is to find."""

import copy

import pytest

import api_schema

SERVER = {"Id": "s", "Port": "8443", "WebUrlPath": "/", "Availability": "AVAILABLE", "Tags": [],
          "ConsoleSessionCount": 0, "VirtualSessionCount": 0,
          "Endpoints": [{"IpAddress": "10.0.0.1", "Port": 8443, "Protocol": "QUIC"}],
          "Host": {"Memory": {"TotalBytes": 2 ** 40}, "CpuLoadAverage": {"OneMinute": 0}, "Gpus": [],
                   "LoggedInUsers": [{"Username": "mira"}]}}
SESSION = {"Id": "x", "Name": "", "Owner": "mira", "Type": "VIRTUAL", "State": "READY", "Server": SERVER,
           "CreationTime": "2026-03-02T08:00:11.042Z", "NumOfConnections": 0}
REQUEST_ID = "5d0bb0f6-2a0e-4d5a-9a42-0d7f4f0f1c11"
SESSIONS = {"RequestId": REQUEST_ID, "Sessions": [SESSION]}
CREATED = {"RequestId": REQUEST_ID,
           "SuccessfulList": [{**{k: SESSION[k] for k in ("Id", "Name", "Owner", "Type")},
                               "State": "CREATING", "Substate": "SESSION_PLACING"}],
           "UnsuccessfulList": [{"CreateSessionRequestData": {"Name": "n", "Type": "virtual"},
                                 "FailureReason": "x"}]}


@pytest.mark.parametrize("operation_id, answer", [
    ("describeSessions", SESSIONS), ("createSessions", CREATED)])
def test_a_good_answer_passes(operation_id, answer):
    api_schema.check(operation_id, answer)


S = ("Sessions", 0)
DELETE = object()


@pytest.mark.parametrize("answer, path, value", [
    (SESSIONS, ("Odd",), 1), (SESSIONS, ("RequestId",), DELETE), (SESSIONS, ("Sessions",), DELETE),
    (SESSIONS, ("Sessions",), None), (SESSIONS, ("NextToken",), ""), (SESSIONS, ("NextToken",), None),
    (SESSIONS, (*S, "Odd"), 1), (SESSIONS, (*S, "Server"), None), (SESSIONS, (*S, "Name"), None),
    (SESSIONS, (*S, "NumOfConnections"), DELETE), (SESSIONS, (*S, "NumOfConnections"), ""),
    (SESSIONS, (*S, "NumOfConnections"), 2 ** 31), (SESSIONS, (*S, "State"), "Ready"),
    (SESSIONS, (*S, "State"), "CREATING"), (SESSIONS, (*S, "Substate"), "SESSION_PLACING"),
    (SESSIONS, (*S, "CreationTime"), ""), (SESSIONS, (*S, "CreationTime"), "2026-03-02T08:00:11Z"),
    (SESSIONS, (*S, "LastDisconnectionTime"), ""), (SESSIONS, (*S, "StateReason"), ""),
    (SESSIONS, (*S, "Server", "Port"), 8443), (SESSIONS, (*S, "Server", "Endpoints"), DELETE),
    (SESSIONS, (*S, "Server", "Endpoints", 0, "Port"), "8443"),
    (SESSIONS, (*S, "Server", "Endpoints", 0, "Odd"), 1),
    (SESSIONS, (*S, "Server", "Availability"), "UNAVAILABLE"),
    (SESSIONS, (*S, "Server", "UnavailabilityReason"), "UNKNOWN"),
    (SESSIONS, (*S, "Server", "Host", "Gpus"), DELETE),
    (SESSIONS, (*S, "Server", "Host", "Memory", "TotalBytes"), 2 ** 63),
    (SESSIONS, (*S, "Server", "Host", "Memory", "Odd"), 1),
    (SESSIONS, (*S, "Server", "Host", "LoggedInUsers", 0, "Odd"), 1),
    (CREATED, ("SuccessfulList", 0, "Server"), SERVER), (CREATED, ("UnsuccessfulList",), DELETE),
    (CREATED, ("UnsuccessfulList", 0, "FailureReason"), ""),
    (CREATED, ("UnsuccessfulList", 0, "FailureCode"), "x"),
    (CREATED, ("UnsuccessfulList", 0, "CreateSessionRequestData", "MaxConcurrents"), 1),
    (CREATED, ("UnsuccessfulList", 0, "CreateSessionRequestData", "InitFile"), None)])
def test_a_bad_one_does_not(answer, path, value):
    bad = copy.deepcopy(answer)
    *folder, name = path
    place = bad
    for step in folder:
        place = place[step]
    if value is DELETE:
        del place[name]
    else:
        place[name] = value
    with pytest.raises(AssertionError):
        api_schema.check("createSessions" if answer is CREATED else "describeSessions", bad)


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', '{"a":NaN}', '[{"a":{"b":1,"b":2}}]', "[-Infinity]"])
def test_what_parsers_disagree_about_is_found(text):
    with pytest.raises(AssertionError):
        api_schema.parse(text)


@pytest.mark.parametrize("method, path, operation_id", [
    ("POST", "/describeServers", "describeServers"), ("POST", "//describeServers?a=b", "describeServers"),
    ("GET", "/describeServers", None), ("POST", "/describeServers/", None),
    ("GET", "/sessionConnectionData/a/b/c", "GetSessionConnectionData"), ("GET", "/health", None)])
def test_requests_are_told_apart(method, path, operation_id):
    assert api_schema.operation_of(method, path) == operation_id
