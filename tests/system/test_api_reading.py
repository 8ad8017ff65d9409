"""How the API reads requests: types, what is needed, ranges, lists, names, aliases; as tables made from
its description and from what the description does not say."""

import json

import pytest

import api_schema
from broker_helpers import Broker

NEEDED = {
    "createSessions": ["Name", "Owner", "Type"], "deleteSessions": ["SessionId", "Owner"],
    "updateSessionPermissions": ["SessionId", "Owner", "PermissionsFile"],
    "getSessionScreenshots": ["SessionId"], "openServers": ["ServerId"],
    "closeServers": ["ServerId"], "describeSessions": [], "describeServers": []}
GOOD = {"Name": "n", "Owner": "o", "Type": "VIRTUAL", "SessionId": "s", "ServerId": "s",
        "PermissionsFile": "YQ=="}
WRONG = {"string": [5, 1.5, True, [], {}, ["x"]], "boolean": [1, 0, "true", [], {}],
         "integer": ["5", 5.0, 5.5, True, [], {}, 1e3], "array": ["x", 5, True, {}]}

OPERATIONS = {operation["operationId"]: (method, path)
              for path, method, operation in api_schema.operations()
              if operation["operationId"] in NEEDED}


def fields(operation_id):
    method, path = OPERATIONS[operation_id]
    operation = api_schema.description()["paths"][path][method.lower()]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    name = schema.get("items", schema)["$ref"].rpartition("/")[2]
    return api_schema.description()["components"]["schemas"][name]["properties"]


FIELDS = [(operation_id, name) for operation_id in OPERATIONS for name in fields(operation_id)]


@pytest.fixture(scope="module")
def broker():
    """Without any server: what is right is reported per entry, with 200."""
    b = Broker().start().log_in()
    yield b
    b.done()


def good(operation_id, **more):
    return {**{name: GOOD[name] for name in NEEDED[operation_id]}, **more}


def send(broker, operation_id, *elements):
    method, path = OPERATIONS[operation_id]
    return broker.call(path, elements[0] if path.startswith("/describe") else list(elements), method)


def refused(reply, *words):
    assert reply.status_code == 400, reply.text
    for word in words:
        assert word in reply.json()["error"], reply.text
    return reply.json()["error"]


# --- types ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_what_is_needed_is_enough(broker, operation_id):
    assert send(broker, operation_id, good(operation_id)).status_code == 200


@pytest.mark.parametrize("operation_id, name", FIELDS)
def test_a_field_of_another_type_is_refused_by_name(broker, operation_id, name):
    for value in WRONG[fields(operation_id)[name]["type"]]:
        refused(send(broker, operation_id, good(operation_id, **{name: value})), name)


@pytest.mark.parametrize("operation_id, name", FIELDS)
def test_null_means_not_given(broker, operation_id, name):
    reply = send(broker, operation_id, good(operation_id, **{name: None}))
    if name in NEEDED[operation_id]:
        refused(reply, f"{name} is required")
    else:
        assert reply.status_code == 200


@pytest.mark.parametrize("operation_id, name",
                         [(o, name) for o, names in NEEDED.items() for name in names])
def test_what_is_needed_must_be_there_and_not_blank(broker, operation_id, name):
    element = good(operation_id)
    del element[name]
    refused(send(broker, operation_id, element), f"{name} is required")
    for blank in ("", " ", "\t\n "):
        refused(send(broker, operation_id, good(operation_id, **{name: blank})), name)


@pytest.mark.parametrize("operation_id, name", FIELDS)
def test_a_name_in_another_case_is_unknown(broker, operation_id, name):
    for other in (name.lower(), name[0].lower() + name[1:], name + " ", name + "s"):
        refused(send(broker, operation_id, good(operation_id, **{other: None})),
                f'Unrecognized field "{other}"')


@pytest.mark.parametrize("operation_id", OPERATIONS)
@pytest.mark.parametrize("name", ["Nonsense", "", "naïve", "a\"b", "x" * 150, "MaxWidthX", "RequestId"])
def test_an_unknown_field_is_refused_by_name(broker, operation_id, name):
    refused(send(broker, operation_id, good(operation_id, **{name: 1})),
            f'Unrecognized field "{name}"')


def test_a_field_of_another_operation_is_unknown(broker):
    refused(send(broker, "deleteSessions", good("deleteSessions", MaxWidth=1)),
            'Unrecognized field "MaxWidth"')
    refused(send(broker, "describeServers", {"Filters": []}), 'Unrecognized field "Filters"')
    refused(send(broker, "describeServers", {"SessionIds": []}), 'Unrecognized field "SessionIds"')
    refused(send(broker, "openServers", {"ServerId": "s", "Force": True}),
            'Unrecognized field "Force"')


# --- values --------------------------------------------------------------------------------------

VALUES = [
    ("createSessions", "Type", ["CONSOLE", "VIRTUAL", "Console", "Virtual", "virtual", "cOnSoLe"],
     ["GUEST", "VIRTUAL ", "CONSOLES", "0"]),
    ("createSessions", "Name", ["x", "x" * 256, "é" * 256, " x ", "\n x", "😀" * 256],
     ["x" * 257, "é" * 257]),
    ("createSessions", "Owner", ["DOMAIN\\user", "user@dom", "üser", "x" * 300], []),
    ("createSessions", "MaxConcurrentClients", [1, 100, 101, 2 ** 31 - 1], [0, -1, 2 ** 31, 2 ** 63]),
    ("createSessions", "PermissionsFile", ["/dcv/permissions.file", "", "%%%", "YQ"], []),
    ("createSessions", "InitFile", ["a.sh", "/a/b", ""], []),
    ("createSessions", "InitFilePath", ["/a/b/c.sh", ""], []),
    ("createSessions", "StorageRoot", ["%home%/x", "C:\\Users\\x", ""], []),
    ("createSessions", "Requirements", ["", " ", "\n"], []),
    ("createSessions", "AutorunFileArguments", [[], [""], ["a"] * 1000], [[None], [1], [["a"]], [{}]]),
    ("describeSessions", "MaxResults", [1, 1000], [0, -1, 1001, 2 ** 31, -2 ** 63, 2 ** 63, 10 ** 30]),
    ("describeServers", "MaxResults", [1, 1000], [0, -1, 1001, 2 ** 31, -2 ** 63, 2 ** 63, 10 ** 30]),
    ("describeSessions", "SessionIds", [[], ["a"], ["a"] * 5000, ["a b", "é"]],
     [[None], [""], ["a", None], ["a", ""], [5], [["a"]], [{}]]),
    ("describeServers", "ServerIds", [[], ["a"], ["a"] * 5000],
     [[None], [""], ["a", None], ["a", ""], [5], [["a"]], [{}]]),
    ("describeSessions", "NextToken", [], ["", " ", "x", "%%", "QUJD", "a b", "é", "A" * 10000]),
    ("describeServers", "NextToken", [], ["", " ", "x", "%%", "QUJD", "a b", "é", "A" * 10000]),
    ("describeSessions", "Filters", [
        [], [{"Key": "owner", "Value": "x"}], [{"Key": "tag:x", "Value": "y"}],
        [{"Key": "tag: ", "Value": "y"}], [{"Key": "owner", "Value": ""}],
        [{"Key": "tag:dcv:os-family", "Value": "y"}] * 100, [{"Key": "tag:a:b*", "Value": " "}]], [
        [None], ["owner"], [{}], [{"Key": "owner"}], [{"Value": "x"}],
        [{"Key": None, "Value": "x"}], [{"Key": "owner", "Value": None}],
        [{"Key": "", "Value": "x"}], [{"Key": "Owner", "Value": "x"}], [{"Key": "owner ", "Value": "x"}],
        [{"Key": "tag:", "Value": "x"}], [{"Key": "tag", "Value": "x"}], [{"Key": "Tag:x", "Value": "y"}],
        [{"Key": "name", "Value": "x"}], [{"Key": "tags:x", "Value": "y"}], [{"Key": "*", "Value": "y"}],
        [{"Key": "owner", "Value": 5}], [{"Key": 5, "Value": "x"}],
        [{"Key": "owner", "Value": ["x"]}], [{"Key": "owner", "Values": "x"}],
        [{"Key": "owner", "Value": "x"}, {"Key": "state", "Value": "x"}]]),
    ("getSessionScreenshots", "MaxWidth", [1, 2 ** 31, 2 ** 63 - 1], [0, -1, -2 ** 63, 2 ** 63, 10 ** 30]),
    ("getSessionScreenshots", "MaxHeight", [1, 2 ** 31, 2 ** 63 - 1], [0, -1, -2 ** 63, 2 ** 63, 10 ** 30]),
    ("updateSessionPermissions", "PermissionsFile", ["YQ==", "YQ", "file_base64_encoded", "%%%"], []),
    ("deleteSessions", "SessionId", ["console", " x", "é", "x" * 5000], []),
    ("openServers", "ServerId", ["a=+/", "x" * 5000], []),
    ("closeServers", "Force", [True, False], []),
]


@pytest.mark.parametrize("operation_id, name, right, wrong", VALUES,
                         ids=[f"{v[0]}-{v[1]}" for v in VALUES])
def test_values(broker, operation_id, name, right, wrong):
    for value in right:
        reply = send(broker, operation_id, good(operation_id, **{name: value}))
        assert reply.status_code == 200, (value, reply.text)
    for value in wrong:
        refused(send(broker, operation_id, good(operation_id, **{name: value})), name)


def test_the_text_of_a_range_is_as_clients_show_it(broker):
    for path in ("describeSessions", "describeServers"):
        assert refused(send(broker, path, {"MaxResults": 1001})) == \
            "MaxResults must be between 1 and 1000"


# --- lists ---------------------------------------------------------------------------------------

LISTS = [o for o in OPERATIONS if not o.startswith("describe")]


@pytest.mark.parametrize("operation_id", LISTS)
@pytest.mark.parametrize("element", [None, 1, "x", True, [], [{}]])
def test_an_element_that_is_no_object_is_refused(broker, operation_id, element):
    refused(send(broker, operation_id, element), "object")
    refused(send(broker, operation_id, good(operation_id), element), "entry 2", "object")


@pytest.mark.parametrize("operation_id", LISTS)
def test_one_bad_entry_is_enough_to_refuse_all_and_is_counted(broker, operation_id):
    bad = good(operation_id, Nonsense=1)
    for elements, number in (([bad, good(operation_id)], 1), ([good(operation_id)] * 3 + [bad], 4)):
        refused(send(broker, operation_id, *elements), f"entry {number}: ",
                'Unrecognized field "Nonsense"')


@pytest.mark.parametrize("operation_id", LISTS)
def test_a_list_has_at_most_1000_entries(broker, operation_id):
    element = good(operation_id)
    reply = send(broker, operation_id, *[element] * 1000)
    assert reply.status_code == 200 and len(reply.json()["UnsuccessfulList"]) == 1000
    refused(send(broker, operation_id, *[element] * 1001), "1000")


@pytest.mark.parametrize("path, body", [
    ("/describeSessions", {}), ("/describeSessions", {"SessionIds": [], "Filters": []}),
    ("/describeSessions", {"SessionIds": None, "Filters": None, "NextToken": None, "MaxResults": None}),
    ("/describeServers", {}), ("/describeServers", {"ServerIds": []}),
    ("/describeServers", {"ServerIds": None, "NextToken": None, "MaxResults": None})])
def test_nothing_asked_for_means_everything(broker, path, body):
    reply = broker.call(path, body)
    assert reply.status_code == 200
    assert reply.json()["Sessions" if "Sessions" in path else "Servers"] == []


# --- aliases -------------------------------------------------------------------------------------

ALIASES = [("createSessions", "MaxConcurrentClients", "MaxConcurrents", 2, 3),
           ("createSessions", "DcvGlEnabled", "DcvGLEnabled", True, False),
           ("createSessions", "PermissionsFile", "PermissionFile", "YQ==", "Yg=="),
           ("updateSessionPermissions", "PermissionsFile", "PermissionFile", "YQ==", "Yg==")]


@pytest.mark.parametrize("operation_id, name, alias, value, other", ALIASES)
def test_an_alias_is_read_as_the_canonical_name(broker, operation_id, name, alias, value, other):
    def echo(**more):
        element = good(operation_id)
        element.pop(name, None)
        reply = send(broker, operation_id, {**element, **more})
        assert reply.status_code == 200, reply.text
        (entry,) = reply.json()["UnsuccessfulList"]
        return entry.get("CreateSessionRequestData")

    for more in ({alias: value}, {alias: other, name: value}, {name: value, alias: other},
                 {alias: value, name: None}):
        told = echo(**more)
        assert told is None or told == {**good(operation_id), name: value}
    # it is checked like the other, and told by the name that the description has
    for wrong in WRONG[fields(operation_id)[name]["type"]]:
        element = good(operation_id)
        element.pop(name, None)
        refused(send(broker, operation_id, {**element, alias: wrong}), name)


def test_the_deprecated_init_file_is_a_field_of_its_own(broker):
    element = good("createSessions", InitFilePath="/a/b.sh")
    (entry,) = send(broker, "createSessions", element).json()["UnsuccessfulList"]
    assert entry["CreateSessionRequestData"] == element


@pytest.mark.parametrize("operation_id, alias", [
    ("deleteSessions", "PermissionFile"), ("getSessionScreenshots", "InitFilePath"),
    ("describeSessions", "MaxConcurrents")])
def test_an_alias_is_unknown_elsewhere(broker, operation_id, alias):
    refused(send(broker, operation_id, good(operation_id, **{alias: None})),
            f'Unrecognized field "{alias}"')


# --- echoes --------------------------------------------------------------------------------------

ECHOED = {
    "createSessions": ("CreateSessionRequestData", {
        "Name": "näme \"x\"", "Owner": "D\\o", "Type": "Virtual", "InitFile": "a", "InitFilePath": "/a",
        "MaxConcurrentClients": 1, "DcvGlEnabled": False, "PermissionsFile": "x", "EnqueueRequest": False,
        "AutorunFile": "a", "AutorunFileArguments": ["", "b"], "DisableRetryOnFailure": False,
        "Requirements": "tag:x='y'", "StorageRoot": "C:\\"}),
    "getSessionScreenshots": ("GetSessionScreenshotRequestData", {
        "SessionId": "s", "MaxWidth": 2 ** 63 - 1, "MaxHeight": 1}),
    "openServers": ("OpenServerRequestData", {"ServerId": "a+/="}),
    "closeServers": ("CloseServerRequestData", {"ServerId": "a+/=", "Force": False}),
}


@pytest.mark.parametrize("operation_id", ECHOED)
def test_a_failure_repeats_what_was_sent_and_nothing_else(broker, operation_id):
    member, full = ECHOED[operation_id]
    assert set(full) == set(fields(operation_id))
    least = {name: full[name] for name in NEEDED[operation_id]}
    nulls = {**{name: None for name in full}, **least}
    entries = send(broker, operation_id, full, least, nulls).json()["UnsuccessfulList"]
    assert [json.dumps(entry[member], sort_keys=True) for entry in entries] == [
        json.dumps(element, sort_keys=True) for element in (full, least, least)]


@pytest.mark.parametrize("operation_id", ["deleteSessions", "updateSessionPermissions"])
def test_other_failures_repeat_the_session_alone(broker, operation_id):
    reply = send(broker, operation_id, good(operation_id, SessionId="é\"")).json()
    assert reply["UnsuccessfulList"] == [
        {"SessionId": "é\"", "FailureReason": "The requested dcvSession does not exist"}]
