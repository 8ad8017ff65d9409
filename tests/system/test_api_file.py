"""The API's description: that it is one, that the names which generated clients consist of are in it,
and how the broker serves it."""

import json
import pathlib
import subprocess

import pytest
import requests

import api_schema
from broker_helpers import Broker

NPM = pathlib.Path(__file__).resolve().parents[1] / "npm"
PATH = "/dcv-session-manager-api.yaml"

# operationId: tag, method, path, request schema, whether the body is a list, response schema
OPERATIONS = {
    "describeSessions": ("sessions", "POST", "/describeSessions", "DescribeSessionsRequestData",
                         False, "DescribeSessionsResponse"),
    "createSessions": ("sessions", "POST", "/createSessions", "CreateSessionRequestData", True,
                       "CreateSessionsResponse"),
    "deleteSessions": ("sessions", "POST", "/deleteSessions", "DeleteSessionRequestData", True,
                       "DeleteSessionsResponse"),
    "getSessionScreenshots": ("sessions", "POST", "/getSessionScreenshots",
                              "GetSessionScreenshotRequestData", True,
                              "GetSessionScreenshotsResponse"),
    "describeServers": ("servers", "POST", "/describeServers", "DescribeServersRequestData", False,
                        "DescribeServersResponse"),
    "openServers": ("servers", "POST", "/openServers", "OpenServerRequestData", True,
                    "OpenServersResponse"),
    "closeServers": ("servers", "POST", "/closeServers", "CloseServerRequestData", True,
                     "CloseServersResponse"),
    "updateSessionPermissions": ("sessionPermissions", "PUT", "/sessionPermissions",
                                 "UpdateSessionPermissionsRequestData", True,
                                 "UpdateSessionPermissionsResponse"),
    "GetSessionConnectionData": ("GetSessionConnectionData", "GET",
                                 "/sessionConnectionData/{sessionId}/{user}", None, False,
                                 "GetSessionConnectionDataResponse"),
}

# Every property of every schema: string, boolean, int32, int64, float, time, a schema, a list of one.
SCHEMAS = {
    "KeyValuePair": {"Key": "string", "Value": "string"},
    "Server": {
        "Id": "string", "Ip": "string", "Hostname": "string", "DefaultDnsName": "string",
        "Port": "string", "Endpoints": ["Endpoint"], "WebUrlPath": "string", "Version": "string",
        "SessionManagerAgentVersion": "string", "Availability": "string",
        "UnavailabilityReason": "string", "ConsoleSessionCount": "int32",
        "VirtualSessionCount": "int32", "Host": "Host", "Tags": ["KeyValuePair"]},
    "Endpoint": {"IpAddress": "string", "Port": "int32", "WebUrlPath": "string",
                 "Protocol": "string"},
    "Host": {"Os": "Os", "Memory": "Memory", "Swap": "Swap", "Aws": "Aws", "CpuInfo": "CpuInfo",
             "CpuLoadAverage": "CpuLoadAverage", "Gpus": ["Gpu"], "LoggedInUsers": ["LoggedInUser"]},
    "Os": {"Family": "string", "Name": "string", "Version": "string", "KernelVersion": "string",
           "BuildNumber": "string"},
    "Memory": {"TotalBytes": "int64", "UsedBytes": "int64"},
    "Swap": {"TotalBytes": "int64", "UsedBytes": "int64"},
    "Aws": {"Region": "string", "EC2InstanceType": "string", "EC2InstanceId": "string",
            "EC2ImageId": "string"},
    "CpuInfo": {"Vendor": "string", "ModelName": "string", "Architecture": "string",
                "NumberOfCpus": "int32", "PhysicalCoresPerCpu": "int32"},
    "CpuLoadAverage": {"OneMinute": "float", "FiveMinutes": "float", "FifteenMinutes": "float"},
    "Gpu": {"Vendor": "string", "ModelName": "string"},
    "LoggedInUser": {"Username": "string"},
    "Session": {
        "Id": "string", "Name": "string", "Owner": "string", "Server": "Server", "Type": "string",
        "MaxConcurrentClients": "int32", "State": "string", "Substate": "string",
        "StateReason": "string", "CreationTime": "time", "LastDisconnectionTime": "time",
        "NumOfConnections": "int32", "StorageRoot": "string"},
    "DescribeSessionsRequestData": {"SessionIds": ["string"], "Filters": ["KeyValuePair"],
                                    "NextToken": "string", "MaxResults": "int32"},
    "DescribeSessionsResponse": {"RequestId": "string", "Sessions": ["Session"],
                                 "NextToken": "string"},
    "CreateSessionRequestData": {
        "Name": "string", "Owner": "string", "Type": "string", "InitFile": "string",
        "InitFilePath": "string", "MaxConcurrentClients": "int32", "DcvGlEnabled": "boolean",
        "PermissionsFile": "string", "EnqueueRequest": "boolean", "AutorunFile": "string",
        "AutorunFileArguments": ["string"], "DisableRetryOnFailure": "boolean",
        "Requirements": "string", "StorageRoot": "string"},
    "CreateSessionsResponse": {
        "RequestId": "string", "SuccessfulList": ["Session"],
        "UnsuccessfulList": ["UnsuccessfulCreateSessionRequestData"]},
    "UnsuccessfulCreateSessionRequestData": {
        "CreateSessionRequestData": "CreateSessionRequestData", "FailureReason": "string"},
    "DeleteSessionRequestData": {"SessionId": "string", "Owner": "string", "Force": "boolean"},
    "DeleteSessionsResponse": {
        "RequestId": "string", "SuccessfulList": ["DeleteSessionSuccessfulResponse"],
        "UnsuccessfulList": ["DeleteSessionUnsuccessfulResponse"]},
    "DeleteSessionSuccessfulResponse": {"SessionId": "string", "State": "string"},
    "DeleteSessionUnsuccessfulResponse": {"SessionId": "string", "FailureReason": "string"},
    "UpdateSessionPermissionsRequestData": {"SessionId": "string", "Owner": "string",
                                            "PermissionsFile": "string"},
    "UpdateSessionPermissionsResponse": {
        "RequestId": "string", "SuccessfulList": ["UpdateSessionPermissionsSuccessfulResponse"],
        "UnsuccessfulList": ["UpdateSessionPermissionsUnsuccessfulResponse"]},
    "UpdateSessionPermissionsSuccessfulResponse": {"SessionId": "string"},
    "UpdateSessionPermissionsUnsuccessfulResponse": {"SessionId": "string",
                                                     "FailureReason": "string"},
    "GetSessionConnectionDataResponse": {"Session": "Session", "ConnectionToken": "string"},
    "GetSessionScreenshotRequestData": {"SessionId": "string", "MaxWidth": "int64 or null",
                                        "MaxHeight": "int64 or null"},
    "GetSessionScreenshotsResponse": {
        "RequestId": "string", "SuccessfulList": ["GetSessionScreenshotSuccessfulResponse"],
        "UnsuccessfulList": ["GetSessionScreenshotUnsuccessfulResponse"]},
    "GetSessionScreenshotSuccessfulResponse": {"SessionScreenshot": "SessionScreenshot"},
    "GetSessionScreenshotUnsuccessfulResponse": {
        "GetSessionScreenshotRequestData": "GetSessionScreenshotRequestData",
        "FailureReason": "string"},
    "SessionScreenshot": {"SessionId": "string", "Images": ["SessionScreenshotImage"]},
    "SessionScreenshotImage": {"Format": "string", "Data": "string", "CreationTime": "time",
                               "Primary": "boolean"},
    "DescribeServersRequestData": {"ServerIds": ["string"], "NextToken": "string",
                                   "MaxResults": "int32"},
    "DescribeServersResponse": {"RequestId": "string", "Servers": ["Server"],
                                "NextToken": "string"},
    "OpenServerRequestData": {"ServerId": "string"},
    "OpenServersResponse": {
        "RequestId": "string", "SuccessfulList": ["OpenServerSuccessfulResponse"],
        "UnsuccessfulList": ["OpenServerUnsuccessfulResponse"]},
    "OpenServerSuccessfulResponse": {"ServerId": "string"},
    "OpenServerUnsuccessfulResponse": {"OpenServerRequestData": "OpenServerRequestData",
                                       "FailureCode": "string", "FailureReason": "string"},
    "CloseServerRequestData": {"ServerId": "string", "Force": "boolean"},
    "CloseServersResponse": {
        "RequestId": "string", "SuccessfulList": ["CloseServerSuccessfulResponse"],
        "UnsuccessfulList": ["CloseServerUnsuccessfulResponse"]},
    "CloseServerSuccessfulResponse": {"ServerId": "string"},
    "CloseServerUnsuccessfulResponse": {"CloseServerRequestData": "CloseServerRequestData",
                                        "FailureCode": "string", "FailureReason": "string"},
}


def kind(schema):
    """A property in the words of the table above."""
    if "$ref" in schema:
        return schema["$ref"].removeprefix("#/components/schemas/")
    if schema["type"] == "array":
        return [kind(schema["items"])]
    word = schema.get("format", schema["type"]).replace("date-time", "time")
    return word + (" or null" if schema.get("nullable") else "")


def content(part):
    return part["content"]["application/json"]["schema"]


def lint(path):
    assert (NPM / "node_modules").is_dir(), \
        "run: . packaging/packages.sh; install_npm_packages tests/npm"
    told = subprocess.run(["node", "lint.mjs", path], cwd=NPM, capture_output=True, text=True,
                          timeout=120)
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines()]


# --- what is in it -------------------------------------------------------------------------------

def test_a_linter_finds_nothing_but_what_the_contract_wants():
    """The two describe operations document 200 alone, as in the description that clients know."""
    problems = {(p["ruleId"], p["at"]) for p in lint(api_schema.FILE)}
    assert problems == {("operation-4xx-response", f"#/paths/~1{name}/post/responses")
                        for name in ("describeSessions", "describeServers")}


def test_the_linter_would_find_something(tmp_path):
    text = api_schema.FILE.read_text()
    for right, wrong in (("type: boolean", "type: bool"), ("'200':", "'2000':"),
                         ("in: path", "in: paht"), ("schemas/Session'", "schemas/Sesion'")):
        assert right in text
        (tmp_path / "wrong.yaml").write_text(text.replace(right, wrong, 1))
        assert "error" in {p["severity"] for p in lint(tmp_path / "wrong.yaml")}, wrong


def test_the_operations_have_their_names():
    described = {operation["operationId"]: (path, method, operation)
                 for path, method, operation in api_schema.operations()}
    assert list(described) and set(described) == set(OPERATIONS)
    for name, (tag, method, path, request, is_list, response) in OPERATIONS.items():
        got_path, got_method, operation = described[name]
        assert (got_path, got_method, operation["tags"]) == (path, method, [tag])
        assert kind(content(operation["responses"]["200"])) == response
        describes = name.startswith("describe")
        assert set(operation["responses"]) == ({"200"} if describes else {"200", "400"})
        if request:
            wanted = [request] if is_list else request
            assert kind(content(operation["requestBody"])) == wanted
            assert operation["requestBody"]["required"] is not describes
        else:
            assert "requestBody" not in operation
            assert [(p["name"], p["in"], p["required"]) for p in operation["parameters"]] == [
                ("sessionId", "path", True), ("user", "path", True)]
    responses = api_schema.description()["components"]["responses"]
    assert responses["InvalidInput"]["description"] == "invalid input"


def test_the_schemas_have_their_names_and_no_others():
    schemas = api_schema.description()["components"]["schemas"]
    assert {name: {key: kind(value) for key, value in schema["properties"].items()}
            for name, schema in schemas.items()} == SCHEMAS
    assert schemas["CreateSessionRequestData"]["properties"]["InitFilePath"]["deprecated"] is True


def test_nothing_is_required_and_nothing_an_enum():
    """Clients made from this file would refuse an answer for either."""
    def words(node):
        if isinstance(node, dict):
            yield from node
            node = list(node.values())
        if isinstance(node, list):
            for part in node:
                yield from words(part)
    assert not {"required", "enum", "additionalProperties"} & set(
        words(api_schema.description()["components"]))


def test_every_operation_needs_a_bearer_token():
    description = api_schema.description()
    assert description["openapi"].startswith("3.0.")
    assert description["security"] == [{"bearerAuth": []}]
    assert description["components"]["securitySchemes"] == {
        "bearerAuth": {"type": "http", "scheme": "bearer"}}
    assert not any("security" in operation for _, _, operation in api_schema.operations())


# --- how it is served ----------------------------------------------------------------------------

@pytest.fixture(scope="module")
def broker():
    b = Broker().start()
    yield b
    b.done()


@pytest.mark.parametrize("path", [PATH, "/" + PATH, PATH + "?download=1"])
def test_it_is_served_to_anybody(broker, path):
    reply = broker.http.get(broker.url(path), timeout=10)
    assert reply.status_code == 200 and reply.content == api_schema.FILE.read_bytes()
    assert reply.headers["Content-Type"] == "application/yaml"


def test_a_bad_token_does_not_matter_there(broker):
    reply = broker.http.get(broker.url(PATH), headers={"Authorization": "Bearer x"}, timeout=10)
    assert reply.status_code == 200


def test_its_size_can_be_asked_for(broker):
    reply = broker.http.head(broker.url(PATH), timeout=10)
    assert (reply.status_code, reply.content) == (200, b"")
    assert int(reply.headers["Content-Length"]) == api_schema.FILE.stat().st_size
    assert reply.headers["Content-Type"] == "application/yaml"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_cannot_be_written(broker, method):
    reply = broker.http.request(method, broker.url(PATH), timeout=10)
    assert (reply.status_code, reply.headers["Allow"]) == (405, "GET, HEAD")
    assert list(reply.json()) == ["error"]


def test_it_is_not_on_the_port_of_the_agents(broker):
    reply = requests.get(f"https://localhost:{broker.agent_port}{PATH}", verify=False, timeout=10)
    assert reply.status_code == 404


def test_it_can_be_switched_off():
    broker = Broker(enable_api_yaml="false").start()
    try:
        for method in ("GET", "POST"):
            reply = broker.http.request(method, broker.url(PATH), timeout=10)
            assert (reply.status_code, reply.json()) == (404, {"error": "Not found"})
    finally:
        broker.done()
