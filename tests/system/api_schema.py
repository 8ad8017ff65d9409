"""What an answer of the API must look like: the API's description, read as strictly as any client may.

Made from the schemas of the description: no field beyond them at any depth, no null, no empty text where
a date or a token belongs, integers in their range, and what the API always has is there.
"""

import functools
import json
import pathlib

import jsonschema
import yaml

FILE = pathlib.Path(__file__).resolve().parents[2] / "broker-lite/dcv-session-manager-api.yaml"

UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
TIME = r"^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{3}Z$"
BASE64 = "^[A-Za-z0-9+/]+={0,2}$"

# Beyond what the description says: values, by schema and property, where a schema of None is any ...
NARROWER = {
    (None, "RequestId"): {"pattern": UUID},
    (None, "NextToken"): {"pattern": "^[A-Za-z0-9_~.-]+$"},
    (None, "FailureReason"): {"minLength": 1},
    (None, "SessionId"): {"minLength": 1},
    (None, "ServerId"): {"minLength": 1},
    ("Session", "Id"): {"minLength": 1},
    ("Session", "Type"): {"enum": ["CONSOLE", "VIRTUAL"]},
    ("Session", "State"): {"enum": ["CREATING", "READY", "DELETING", "DELETED", "UNKNOWN"]},
    ("Session", "Substate"): {"enum": ["SESSION_PLACING", "PENDING_PREPARATION"]},
    ("Session", "StateReason"): {"minLength": 1},
    ("Session", "NumOfConnections"): {"minimum": 0},
    ("Server", "Id"): {"minLength": 1},
    ("Server", "Port"): {"pattern": "^[0-9]+$"},
    ("Server", "WebUrlPath"): {"pattern": "^/"},
    ("Server", "Availability"): {"enum": ["AVAILABLE", "UNAVAILABLE"]},
    ("Server", "UnavailabilityReason"): {"enum": [
        "SERVER_FULL", "SERVER_CLOSED", "UNREACHABLE_AGENT", "UNHEALTHY_DCV_SERVER",
        "EXISTING_LOGGED_IN_USER", "UNKNOWN"]},
    ("Endpoint", "Protocol"): {"enum": ["HTTP", "QUIC"]},
    ("Endpoint", "Port"): {"minimum": 1, "maximum": 65535},
    ("DeleteSessionSuccessfulResponse", "State"): {"enum": ["DELETING"]},
    ("GetSessionConnectionDataResponse", "ConnectionToken"): {
        "pattern": "^[A-Za-z0-9._-]+$", "maxLength": 2048},
    ("SessionScreenshotImage", "Format"): {"enum": ["png", "jpeg"]},
    ("SessionScreenshotImage", "Data"): {"pattern": BASE64, "minLength": 4},
}

# ... and what is always there; every member of what is not named here, but of no request.
ALWAYS = {
    "Session": ["Id", "Name", "Owner", "Type", "State", "CreationTime", "NumOfConnections"],
    "Server": ["Id", "Endpoints", "Tags"],
    "Endpoint": ["Port", "Protocol"],
    "Host": ["Gpus", "LoggedInUsers"],
    **{part: [] for part in ("Os", "Memory", "Swap", "Aws", "CpuInfo", "CpuLoadAverage", "Gpu")},
    "DescribeSessionsResponse": ["RequestId", "Sessions"],
    "DescribeServersResponse": ["RequestId", "Servers"],
}

WHILE_CREATING = {
    "if": {"properties": {"State": {"const": "CREATING"}}},
    "then": {"required": ["Substate"]}, "else": {"not": {"required": ["Substate"]}}}
IF_UNAVAILABLE = {
    "if": {"properties": {"Availability": {"const": "UNAVAILABLE"}}, "required": ["Availability"]},
    "then": {"required": ["UnavailabilityReason"]},
    "else": {"not": {"required": ["UnavailabilityReason"]}}}
ACCEPTED = ["Id", "Name", "Owner", "Type", "State", "Substate"]


@functools.cache
def description():
    return yaml.safe_load(FILE.read_text())


def _strict(name, schema):
    strict = {}
    for key in ("type", "$ref"):
        if key in schema:
            strict[key] = schema[key]
    if "items" in schema:
        strict["items"] = _strict(None, schema["items"])
    limits = {"int32": 2 ** 31, "int64": 2 ** 63}.get(schema.get("format"))
    if limits:
        strict.update(minimum=-limits, maximum=limits - 1)
    if schema.get("format") == "date-time":
        strict["pattern"] = TIME
    if "properties" in schema:
        properties = strict["properties"] = {}
        for key, value in schema["properties"].items():
            properties[key] = {**_strict(None, value), **NARROWER.get((None, key), {}),
                               **NARROWER.get((name, key), {})}
        strict["additionalProperties"] = False
        strict["required"] = [] if name.endswith("RequestData") and not name.startswith("Unsuccess") \
            else ALWAYS.get(name, list(properties))
    return strict


def operations():
    """(path, method, operation) of each."""
    for path, methods in description()["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


@functools.cache
def _validator(operation_id):
    schemas = {name: _strict(name, schema)
               for name, schema in description()["components"]["schemas"].items()}
    schemas["Session"].update(WHILE_CREATING)
    schemas["Server"].update(IF_UNAVAILABLE)
    schemas["AcceptedSession"] = {**schemas["Session"], "required": ACCEPTED, "properties": {
        key: schemas["Session"]["properties"][key] for key in ACCEPTED}}
    schemas["CreateSessionsResponse"]["properties"]["SuccessfulList"]["items"] = {
        "$ref": "#/components/schemas/AcceptedSession"}
    (answer,) = [operation["responses"]["200"]["content"]["application/json"]["schema"]
                 for _, _, operation in operations() if operation["operationId"] == operation_id]
    # A $ref hides what stands beside it, so the parts of the document go around it.
    return jsonschema.Draft7Validator({"allOf": [answer], "components": {"schemas": schemas}})


def operation_of(method, path):
    """The operationId of a request, or None."""
    path = "/" + path.split("?")[0].lstrip("/")
    for template, known_method, operation in operations():
        prefix, is_template, _ = template.partition("{")
        if known_method == method and (path.startswith(prefix) if is_template else path == prefix):
            return operation["operationId"]
    return None


def check(operation_id, body):
    """Fail with what is wrong with an answer and where."""
    problems = sorted(_validator(operation_id).iter_errors(body), key=lambda e: list(e.path))
    assert not problems, "\n".join(
        f"{operation_id}: {'/'.join(map(str, p.path))}: {p.message[:500]}" for p in problems[:10])


def parse(text):
    """JSON without what its parsers disagree about: names that come twice, NaN, Infinity."""
    def members(pairs):
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), f"a name comes twice in {names}"
        return dict(pairs)

    def no_number(constant):
        raise AssertionError(f"{constant} is not JSON")
    return json.loads(text, object_pairs_hook=members, parse_constant=no_number)


def check_reply(reply):
    """All of this for a requests.Response. What is no operation's 200 passes unless it is no error."""
    operation_id = operation_of(reply.request.method, reply.request.path_url)
    if not operation_id:
        return
    assert reply.headers["Content-Type"] == "application/json"
    assert int(reply.headers["Content-Length"]) == len(reply.content)
    body = parse(reply.content)
    if reply.status_code == 200:
        check(operation_id, body)
    else:
        assert set(body) == {"error"} and isinstance(body["error"], str) and body["error"], body
