"""The nine operations of the API over a mixed fleet, as tables: what each accepts, refuses, and says."""

import base64
import re
import time

import pytest

import api_schema
from broker_helpers import Broker
from fleet_helpers import fleet, running_fleet, server  # noqa: F401, one is a fixture
from waiting import wait_until

NO_SESSION = "The requested dcvSession does not exist"
NO_SCREEN = "Dcv session not found."
NOT_READY = "Dcv session is not ready."
NO_ANSWER = "Dcv server did not answer."
NO_SERVER = ("DCV_SERVER_NOT_FOUND", "Dcv server not found.")
HAS_SESSIONS = ("DCV_SERVER_HAS_SESSIONS", "Dcv server has running sessions.")
NO_PLACE = "no dcv server found for placement"
USE_FORCE = "The dcv server of the session is unreachable, use Force"
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PERMISSIONS = base64.b64encode(b"[permissions]\n%owner% allow builtin\n").decode()


def host(family, tags=None, name=None, **more):
    """One server of a family, which a tag tells too."""
    name = name or family
    return server(name, f"192.0.2.{len(name)}", {"os": family, "dcv:os-family": family, **(tags or {})},
                  Host={"Os": {"Family": family}, "Gpus": [], "LoggedInUsers": []}, **more)


@pytest.fixture(scope="module")
def mixed(build, tmp_path_factory):
    """One server of each family; every test leaves them empty."""
    with running_fleet(build, tmp_path_factory, [host("linux"), host("windows"), host("macos")],
                       autorun_file_arguments_max_size=3,
                       autorun_file_arguments_max_argument_length=5) as f:
        yield f


def create(broker, **wish):
    """(session, None) or (None, FailureReason) of one creation."""
    reply = broker.ok("/createSessions", [{"Name": "n", "Owner": "mira", "Type": "VIRTUAL", **wish}])
    if reply["SuccessfulList"]:
        return reply["SuccessfulList"][0], None
    return None, reply["UnsuccessfulList"][0]["FailureReason"]


def end(broker, identity, owner="mira"):
    assert broker.delete(identity, owner)["UnsuccessfulList"] == []
    wait_until(lambda: broker.state(identity) == "DELETED")


def reasons(reply):
    return [u["FailureReason"] for u in reply["UnsuccessfulList"]]


# --- 9.1: CreateSessions -------------------------------------------------------------------------

UNSUPPORTED = " is not supported for CONSOLE sessions"

# type, the feature: on linux, windows, macos. True: placed there; False: not there; a text: nowhere.
FEATURES = [
    ("VIRTUAL", {}, True, False, False),
    ("CONSOLE", {}, True, True, True),
    ("VIRTUAL", {"InitFile": "a.sh"}, True, False, False),
    ("VIRTUAL", {"InitFilePath": "/x/a.sh"}, True, False, False),
    ("CONSOLE", {"InitFile": "a.sh"}, *["InitFile" + UNSUPPORTED] * 3),
    ("CONSOLE", {"InitFilePath": "/x/a.sh"}, *["InitFilePath" + UNSUPPORTED] * 3),
    ("VIRTUAL", {"AutorunFile": "a.sh"}, True, False, False),
    ("CONSOLE", {"AutorunFile": "a.sh"}, False, True, False),
    ("VIRTUAL", {"AutorunFile": "a.sh", "AutorunFileArguments": ["b"]}, True, False, False),
    ("CONSOLE", {"AutorunFile": "a.sh", "AutorunFileArguments": ["b"]},
     *["AutorunFileArguments" + UNSUPPORTED] * 3),
    ("CONSOLE", {"AutorunFile": "a.sh", "AutorunFileArguments": []}, False, True, False),
    ("VIRTUAL", {"DcvGlEnabled": True}, True, False, False),
    ("VIRTUAL", {"DcvGlEnabled": False}, True, False, False),
    ("CONSOLE", {"DcvGlEnabled": True}, *["DcvGlEnabled" + UNSUPPORTED] * 3),
    ("CONSOLE", {"DcvGlEnabled": False}, True, True, True),
    ("CONSOLE", {"InitFile": None, "AutorunFileArguments": None}, True, True, True),
]


@pytest.mark.parametrize("type_, wish, linux, windows, macos", FEATURES, ids=range(len(FEATURES)))
def test_features_and_platforms(mixed, type_, wish, linux, windows, macos):
    for family, expected in (("linux", linux), ("windows", windows), ("macos", macos)):
        session, reason = create(mixed.broker, Type=type_, Requirements=f"tag:os = '{family}'", **wish)
        if expected is True:
            assert session, (family, reason)
            wait_until(lambda: mixed.broker.state(session["Id"]) == "READY")
            assert mixed.broker.session(session["Id"])["Server"]["Id"] == family
            end(mixed.broker, session["Id"])
        else:
            assert reason == (expected or NO_PLACE), family
            # the queue does not help what no platform has
            if expected:
                assert create(mixed.broker, Type=type_, EnqueueRequest=True, **wish)[1] == expected


def test_a_console_session_with_an_autorun_file_goes_to_windows_by_itself(mixed):
    session, _ = create(mixed.broker, Type="Console", AutorunFile="a.bat")
    wait_until(lambda: mixed.broker.state(session["Id"]) == "READY")
    assert mixed.broker.session(session["Id"])["Server"]["Id"] == "windows"
    end(mixed.broker, session["Id"])


@pytest.mark.parametrize("first, second, fits", [
    ("CONSOLE", "CONSOLE", False), ("CONSOLE", "VIRTUAL", False), ("VIRTUAL", "CONSOLE", False),
    ("VIRTUAL", "VIRTUAL", True)])
def test_what_fits_beside_each_other(mixed, first, second, fits):
    only = {"Requirements": "tag:os = 'linux'"}
    one, _ = create(mixed.broker, Type=first, **only)
    other, reason = create(mixed.broker, Type=second, **only)
    assert bool(other) == fits and (fits or reason == NO_PLACE)
    for session in filter(None, (one, other)):
        end(mixed.broker, session["Id"])


ENTRIES = [
    # the wish, the failure; None: accepted
    ({"AutorunFile": "a", "AutorunFileArguments": ["12345", "é" * 5, ""]}, None),
    ({"AutorunFile": "a", "AutorunFileArguments": ["1", "2", "3", "4"]},
     "AutorunFileArguments: at most 3 arguments allowed"),
    ({"AutorunFile": "a", "AutorunFileArguments": ["123456"]},
     "AutorunFileArguments: at most 5 characters allowed in an argument"),
    ({"AutorunFileArguments": ["1"]}, "AutorunFileArguments needs AutorunFile"),
    ({"PermissionsFile": "/dcv/permissions.file"}, None),
    ({"PermissionsFile": "%%%"}, None),
    ({"PermissionsFile": PERMISSIONS}, None),
    ({"MaxConcurrentClients": 1000}, None),
    ({"StorageRoot": "C:\\Users\\%home%"}, None),
    ({"Owner": "DOMAIN\\user"}, None),
    ({"Name": "é" * 256}, None),
    ({"Requirements": " \t\n"}, None),
    ({"Requirements": "tag:os='linux'"}, None),
    ({"Requirements": "tag:none = 'x'"}, NO_PLACE),
    ({"Requirements": "test"}, "Invalid requirements: "),
    ({"Requirements": "test", "EnqueueRequest": True}, "Invalid requirements: "),
    ({"Requirements": "server:Host.Gpu = 'x'"},
     "Invalid requirements: unknown server property 'server:Host.Gpu' at position 1"),
    ({"Type": "console", "InitFile": "a"}, "InitFile" + UNSUPPORTED),
]


def test_each_entry_of_a_list_is_for_itself(mixed):
    wishes = [{"Name": f"n{n}", "Owner": "mira", "Type": "Virtual", **wish}
              for n, (wish, _) in enumerate(ENTRIES)]
    reply = mixed.broker.ok("/createSessions", wishes)
    failures = [(wish, failure) for wish, (_, failure) in zip(wishes, ENTRIES) if failure]
    assert [u["CreateSessionRequestData"] for u in reply["UnsuccessfulList"]] == [
        wish for wish, _ in failures]
    for told, (wish, failure) in zip(reasons(reply), failures):
        assert told.startswith(failure) if failure.endswith(": ") else told == failure, wish
    accepted = [wish for wish, (_, failure) in zip(wishes, ENTRIES) if not failure]
    assert [{key: s[key] for key in s if key != "Id"} for s in reply["SuccessfulList"]] == [
        {"Name": wish["Name"], "Owner": wish["Owner"], "Type": "VIRTUAL", "State": "CREATING",
         "Substate": "SESSION_PLACING"} for wish in accepted]
    for session, wish in zip(reply["SuccessfulList"], accepted):
        assert re.fullmatch(UUID, session["Id"])
        wait_until(lambda: mixed.broker.state(session["Id"]) == "READY")
        told = mixed.broker.session(session["Id"])
        for key in ("Name", "Owner", "MaxConcurrentClients", "StorageRoot"):
            assert told.get(key) == wish.get(key)
        end(mixed.broker, session["Id"], session["Owner"])


def test_nothing_of_a_bad_request_is_executed(mixed):
    good = {"Name": "n", "Owner": "mira", "Type": "VIRTUAL"}
    before = {s["Id"] for s in mixed.broker.ok("/describeSessions")["Sessions"]}
    received = mixed.list()["linux"]["received"]
    for bad in ({**good, "Type": "x"}, {**good, "Name": ""}, {**good, "Odd": 1}, None):
        assert mixed.broker.call("/createSessions", [good, bad]).status_code == 400
    assert {s["Id"] for s in mixed.broker.ok("/describeSessions")["Sessions"]} == before
    assert mixed.list()["linux"]["received"] == received


@pytest.mark.parametrize("wish, reason", [
    ({}, NO_PLACE), ({"Requirements": "not (tag:a = 'b')"}, NO_PLACE),
    ({"Requirements": "server:host.os.family = 'linux'"}, "Invalid requirements: "),
    ({"Requirements": "x", "EnqueueRequest": True}, "Invalid requirements: "),
    ({"EnqueueRequest": True}, None)])
def test_without_any_server(broker, wish, reason):
    session, told = create(broker, **wish)
    assert (told or "").startswith(reason or "") and bool(session) == (reason is None)


def test_a_queue_of_no_size_is_full():
    broker = Broker(create_sessions_queue_max_size=0).start().log_in()
    try:
        assert create(broker, EnqueueRequest=True)[1] == "The create sessions queue is full"
        assert create(broker)[1] == NO_PLACE
    finally:
        broker.done()


# --- 9.2: DescribeSessions -----------------------------------------------------------------------

def test_ids_and_filters(fleet, broker):
    """Owners and tags of two servers, and a session that waits for a server."""
    fleet([host("linux", {"pool": "cad", "é": "ü", "empty": ""}, "a"), host("linux", {"pool": "x"}, "b")])
    on = {}
    for key, owner, name in (("m1", "mira", "a"), ("m2", "mira", "b"), ("j1", "jonas", "a")):
        on[key] = create(broker, Owner=owner, Requirements=f"server:Hostname = '{name}'")[0]["Id"]
    on["w"] = create(broker, Requirements="tag:pool = 'none'", EnqueueRequest=True)[0]["Id"]
    wait_until(lambda: {broker.state(on[key]) for key in ("m1", "m2", "j1")} == {"READY"})
    cases = [
        ([], [], "m1 m2 j1 w"),
        (["m1"], [], "m1"), (["m1", "w", "m1"], [], "m1 w"), (["gone", "j1"], [], "j1"),
        (["gone"], [], ""),
        ([], [("owner", "mira")], "m1 m2 w"), ([], [("owner", "Mira")], ""), ([], [("owner", "")], ""),
        ([], [("owner", "mir")], ""),
        ([], [("tag:pool", "cad")], "m1 j1"), ([], [("tag:Pool", "cad")], ""),
        ([], [("tag:pool", "none")], ""), ([], [("tag:é", "ü")], "m1 j1"),
        ([], [("tag:empty", "")], "m1 j1"), ([], [("tag:none", "")], ""),
        ([], [("tag:dcv:os-family", "linux")], "m1 m2 j1"),
        ([], [("owner", "mira"), ("tag:pool", "cad")], "m1"),
        ([], [("owner", "mira"), ("owner", "mira")], "m1 m2 w"),
        ([], [("owner", "mira"), ("owner", "jonas")], ""),
        (["m2", "j1"], [("owner", "mira")], "m2"), (["j1"], [("owner", "mira")], ""),
    ]
    for ids, filters, expected in cases:
        body = {"SessionIds": [on.get(i, i) for i in ids],
                "Filters": [{"Key": key, "Value": value} for key, value in filters]}
        found = {s["Id"] for s in broker.ok("/describeSessions", body)["Sessions"]}
        assert found == {on[key] for key in expected.split()}, (ids, filters)


# --- what is said of sessions in every state -----------------------------------------------------

@pytest.fixture
def states(build, tmp_path_factory):
    """A session in each state; ids by state, and "none" for no session."""
    servers = [host("linux", {"now": "yes"}, "now"), host("linux", {}, "slow"),
               host("linux", {}, "dying"), host("linux", {}, "lost")]
    with running_fleet(build, tmp_path_factory, servers) as f:
        ids = {"none": "none", "WAITING": create(f.broker, Requirements="tag:now = 'never'",
                                                 EnqueueRequest=True, Name="w")[0]["Id"]}

        def place(key, name):
            ids[key] = create(f.broker, Name=key, Requirements=f"server:Hostname = '{name}'")[0]["Id"]

        for key, name in (("READY", "now"), ("DELETED", "now"), ("DELETING", "dying"),
                          ("UNKNOWN", "lost")):
            place(key, name)
            wait_until(lambda: f.broker.state(ids[key]) == "READY")
        f.behave("slow", create_ms=600000)
        place("CREATING", "slow")
        wait_until(lambda: f.broker.session(ids["CREATING"]).get("Substate") == "PENDING_PREPARATION")
        end(f.broker, ids["DELETED"])
        f.behave("dying", hang=True)
        f.broker.delete(ids["DELETING"])
        f.tell("disconnect", server="lost")
        wait_until(lambda: f.broker.state(ids["UNKNOWN"]) == "UNKNOWN")
        f.ids = ids
        yield f


def test_every_operation_in_every_state(states):
    broker, ids = states.broker, states.ids
    for key, state in {"WAITING": "CREATING", "CREATING": "CREATING", "READY": "READY",
                       "DELETING": "DELETING", "DELETED": "DELETED", "UNKNOWN": "UNKNOWN"}.items():
        session = broker.session(ids[key])
        assert session["State"] == state
        assert ("Server" in session) == (key != "WAITING")
        assert session.get("Substate") == {"WAITING": "SESSION_PLACING",
                                           "CREATING": "PENDING_PREPARATION"}.get(key)

    # what is being created, deleted, or out of sight counts where it is
    assert {name: states.described(name)["VirtualSessionCount"] for name in (
        "now", "slow", "dying", "lost")} == dict.fromkeys(("now", "slow", "dying", "lost"), 1)

    # 9.5
    for key, expected in {"READY": None, "UNKNOWN": None, "WAITING": "neither", "CREATING": "neither",
                          "DELETING": "neither", "DELETED": "found", "none": "found"}.items():
        reply = broker.call(f"/sessionConnectionData/{ids[key]}/anybody", method="GET")
        if expected:
            text = {"neither": f"Session {ids[key]} is neither in READY nor in UNKNOWN state",
                    "found": f"Session not found: {ids[key]}"}[expected]
            assert (reply.status_code, reply.json()) == (400, {"error": text}), key
        else:
            assert reply.status_code == 200 and reply.json()["Session"] == broker.session(ids[key])

    # 9.6: all in one call, and an order of their own
    expected = {"READY": None, "none": NO_SCREEN, "DELETED": NO_SCREEN, "WAITING": NOT_READY,
                "CREATING": NOT_READY, "DELETING": NOT_READY, "UNKNOWN": NO_ANSWER}
    reply = broker.ok("/getSessionScreenshots", [{"SessionId": ids[key]} for key in expected])
    assert [s["SessionScreenshot"]["SessionId"] for s in reply["SuccessfulList"]] == [ids["READY"]]
    assert {u["GetSessionScreenshotRequestData"]["SessionId"]: u["FailureReason"]
            for u in reply["UnsuccessfulList"]} == {
                ids[key]: reason for key, reason in expected.items() if reason}

    # 9.4
    def permit(key, **more):
        reply = broker.ok("/sessionPermissions", [{
            "SessionId": ids[key], "Owner": "mira", "PermissionsFile": PERMISSIONS, **more}], "PUT")
        assert reply["SuccessfulList"] in ([], [{"SessionId": ids[key]}])
        return (reasons(reply) or [None])[0]

    assert [permit(key) for key in ("READY", "WAITING", "CREATING", "none", "DELETED")] == [
        None, None, None, NO_SESSION, NO_SESSION]
    assert permit("READY", Owner="jonas") == permit("READY", Owner="Mira") == NO_SESSION
    assert permit("READY", PermissionsFile="a b") == "PermissionsFile is not valid base64"
    assert permit("UNKNOWN")
    stored = [s["PermissionsFile"] for s in states.list()["now"]["sessions"] if s["Id"] == ids["READY"]]
    assert stored == [PERMISSIONS]

    # 9.3
    def delete(key, owner="mira", **more):
        reply = broker.delete(ids[key], owner, **more)
        assert reply["SuccessfulList"] in ([], [{"SessionId": ids[key], "State": "DELETING"}])
        return (reasons(reply) or [None])[0]

    assert delete("READY", "jonas") == delete("READY", "jonas", Force=True) == NO_SESSION
    assert delete("none") == delete("DELETED") == delete("DELETED", Force=True) == NO_SESSION
    assert delete("UNKNOWN") == delete("UNKNOWN", Force=False) == USE_FORCE
    assert [delete(key) for key in ("WAITING", "CREATING", "READY", "DELETING", "DELETING")] == [None] * 5
    assert delete("UNKNOWN", Force=True) is None
    assert broker.session(ids["UNKNOWN"]) is None, "removed at once"
    for key in ("WAITING", "CREATING", "READY"):
        wait_until(lambda: broker.state(ids[key]) == "DELETED")


def test_a_forced_deletion_of_a_reachable_session_is_as_any_other(mixed):
    session, _ = create(mixed.broker)
    wait_until(lambda: mixed.broker.state(session["Id"]) == "READY")
    reply = mixed.broker.delete(session["Id"], Force=True)
    assert reply["SuccessfulList"] == [{"SessionId": session["Id"], "State": "DELETING"}]
    wait_until(lambda: mixed.broker.state(session["Id"]) == "DELETED")


def test_two_hosts_with_a_session_of_one_id(broker):
    """Whose it is decides; where that is not told or not enough, nobody is shown the other's screen."""
    agents = [broker.agent("a"), broker.agent("b")]
    for agent, owner in zip(agents, ("ann", "bob")):
        agent.sessions["console"] = {"Id": "console", "Owner": owner, "Type": "CONSOLE", "State": "READY"}
        agent.report(wait=True)
    several = "Several servers have a session console"
    assert {s["Server"]["Hostname"] for s in broker.ok(
        "/describeSessions", {"SessionIds": ["console"]})["Sessions"]} == {"a", "b"}
    for user, expected in (("ann", "a"), ("bob", "b"), ("carl", None), ("ANN", None)):
        reply = broker.call(f"/sessionConnectionData/console/{user}", method="GET")
        if expected:
            assert reply.json()["Session"]["Server"]["Hostname"] == expected
        else:
            assert (reply.status_code, reply.json()) == (400, {"error": several})
    assert reasons(broker.ok("/getSessionScreenshots", [{"SessionId": "console"}])) == [several]
    agents[1].sessions["console"]["Owner"] = "ann"
    agents[1].report(wait=True)
    assert broker.call("/sessionConnectionData/console/ann", method="GET").status_code == 400
    assert reasons(broker.delete("console", "ann")) == [
        "The owner has a session of this id on several servers"]
    permit = [{"SessionId": "console", "Owner": "ann", "PermissionsFile": PERMISSIONS}]
    assert len(reasons(broker.ok("/sessionPermissions", permit, "PUT"))) == 1
    del agents[1].sessions["console"]
    agents[1].report(wait=True)
    assert broker.ok("/sessionConnectionData/console/carl", method="GET")["Session"]["Owner"] == "ann"
    assert broker.ok("/getSessionScreenshots", [{"SessionId": "console"}])["SuccessfulList"]
    assert broker.delete("console", "ann")["SuccessfulList"]


# --- 9.4: UpdateSessionPermissions ---------------------------------------------------------------

FILES = [
    (PERMISSIONS, None), ("file_base64_encoded", None), ("", "must not be blank"),
    ("YQ==", None), ("YQ", None), ("YWI=", None), ("-_-_", None), ("+/+/", None),
    ("Y", "base64"), ("YQ=", "base64"), ("YQ===", "base64"), ("Y Q=", "base64"), ("YQ==\n", "base64"),
    ("=", "base64"), ("YQ==YQ==", "base64"), ("é", "base64"), ("%%%%", "base64"),
    (base64.b64encode(b"x" * 65536).decode(), None),
    (base64.b64encode(b"x" * 65537).decode(), "larger than 65536"),
]


def test_permission_files(mixed):
    session, _ = create(mixed.broker)
    wait_until(lambda: mixed.broker.state(session["Id"]) == "READY")
    for text, failure in FILES:
        body = [{"SessionId": session["Id"], "Owner": "mira", "PermissionsFile": text}]
        reply = mixed.broker.call("/sessionPermissions", body, "PUT")
        if failure == "must not be blank":
            assert reply.status_code == 400 and failure in reply.json()["error"]
            continue
        told = (reasons(reply.json()) or [None])[0]
        assert (told is None) == (failure is None) and (failure or "") in (told or ""), text[:20]
        assert (failure == "base64") == (told == "PermissionsFile is not valid base64")
    end(mixed.broker, session["Id"])


@pytest.mark.parametrize("name", ["PermissionsFile", "PermissionFile"])
def test_a_session_that_waits_is_created_with_its_latest_permissions(fleet, broker, name):
    session, _ = create(broker, EnqueueRequest=True, **{name: base64.b64encode(b"old").decode()})
    reply = broker.ok("/sessionPermissions", [{
        "SessionId": session["Id"], "Owner": "mira", name: PERMISSIONS}], "PUT")
    assert reply["SuccessfulList"] == [{"SessionId": session["Id"]}]
    f = fleet([host("linux")])
    wait_until(lambda: broker.state(session["Id"]) == "READY")
    assert f.list()["linux"]["sessions"][0]["PermissionsFile"] == PERMISSIONS


# --- 9.5: GetSessionConnectionData ---------------------------------------------------------------

@pytest.mark.parametrize("user", [
    "mira", "anybody", "DOMAIN%5Cuser", "user%40dom", "user@dom", "a/b", "a%2Fb", "a+b", "%C3%A9", "a%20b",
    "x" * 300])
def test_any_user_may_be_asked_for(mixed, user):
    session, _ = create(mixed.broker)
    wait_until(lambda: mixed.broker.state(session["Id"]) == "READY")
    tokens = set()
    for _ in range(2):
        data = mixed.broker.ok(f"/sessionConnectionData/{session['Id']}/{user}", method="GET")
        assert data["Session"] == mixed.broker.session(session["Id"])
        tokens.add(data["ConnectionToken"])
    assert len(tokens) == 2, "a new one each time"
    for token in tokens:
        assert mixed.broker.http.post(mixed.broker.url("/describeServers"), timeout=10, headers={
            "Authorization": "Bearer " + token}).status_code == 401, "it is not for the API"
    end(mixed.broker, session["Id"])


# --- 9.6: GetSessionScreenshots ------------------------------------------------------------------

def test_a_screenshot(mixed):
    session, _ = create(mixed.broker)
    wait_until(lambda: mixed.broker.state(session["Id"]) == "READY")
    for bounds in ({}, {"MaxWidth": 1}, {"MaxHeight": 2 ** 63 - 1}, {"MaxWidth": None, "MaxHeight": 7}):
        reply = mixed.broker.ok("/getSessionScreenshots", [{"SessionId": session["Id"], **bounds}])
        (entry,) = reply["SuccessfulList"]
        images = entry["SessionScreenshot"]["Images"]
        assert [image["Primary"] for image in images] == [True]
        assert base64.b64decode(images[0]["Data"], validate=True).startswith(b"\x89PNG")
        gone = mixed.broker.ok("/getSessionScreenshots", [{"SessionId": "gone", **bounds}])
        assert gone["UnsuccessfulList"] == [{"FailureReason": NO_SCREEN, "GetSessionScreenshotRequestData": {
            "SessionId": "gone", **{k: v for k, v in bounds.items() if v}}}]
    end(mixed.broker, session["Id"])


def test_one_host_that_hangs_costs_its_own_screenshots_only(mixed):
    """And the whole call stays inside its time."""
    linux, _ = create(mixed.broker, Requirements="tag:os = 'linux'")
    windows, _ = create(mixed.broker, Type="CONSOLE", Requirements="tag:os = 'windows'")
    for session in (linux, windows):
        wait_until(lambda: mixed.broker.state(session["Id"]) == "READY")
    mixed.behave("windows", hang=True)
    before = time.monotonic()
    reply = mixed.broker.ok("/getSessionScreenshots", [{"SessionId": s["Id"]}
                                                       for s in (windows, linux) * 100])
    assert time.monotonic() - before < 8
    assert {s["SessionScreenshot"]["SessionId"] for s in reply["SuccessfulList"]} == {linux["Id"]}
    assert len(reply["SuccessfulList"]) == len(reply["UnsuccessfulList"]) == 100
    assert set(reasons(reply)) == {NO_ANSWER}
    mixed.behave("windows", hang=False)
    for session in (linux, windows):
        end(mixed.broker, session["Id"])


# --- 9.7: DescribeServers ------------------------------------------------------------------------

@pytest.mark.parametrize("ids, found", [
    (None, "linux macos windows"), ([], "linux macos windows"), (["linux"], "linux"),
    (["windows", "linux", "linux"], "linux windows"), (["nope"], ""), (["nope", "macos"], "macos"),
    (["Linux", "linux "], "")])
def test_servers_by_id(mixed, ids, found):
    body = {} if ids is None else {"ServerIds": ids}
    assert [s["Id"] for s in mixed.broker.ok("/describeServers", body)["Servers"]] == found.split()


def test_of_several_reasons_the_first_one_is_told(fleet, broker):
    f = fleet([host("linux", {"dcv:max-virtual-sessions": "1"}, "full"),
               host("windows", {}, "rdp", Availability="UNAVAILABLE",
                    UnavailabilityReason="EXISTING_LOGGED_IN_USER"),
               host("linux", {}, "sick", Availability="UNAVAILABLE",
                    UnavailabilityReason="UNHEALTHY_DCV_SERVER")])
    create(broker)
    wait_until(lambda: f.reason("full") == "SERVER_FULL")
    assert (f.reason("rdp"), f.reason("sick")) == ("EXISTING_LOGGED_IN_USER", "UNHEALTHY_DCV_SERVER")
    everyone = ["full", "rdp", "sick"]
    broker.ok("/closeServers", [{"ServerId": i, "Force": True} for i in everyone])
    assert [f.reason(i) for i in everyone] == ["SERVER_CLOSED", "SERVER_CLOSED", "UNHEALTHY_DCV_SERVER"]
    f.tell("disconnect", server="*")
    wait_until(lambda: {f.reason(i) for i in everyone} == {"UNREACHABLE_AGENT"})
    told = f.described("sick")
    assert told["Host"]["Os"] == {"Family": "linux"}, "what was known last stays"


# --- 9.8, 9.9: OpenServers, CloseServers ---------------------------------------------------------

def marks(reply):
    return [(u["FailureCode"], u["FailureReason"]) for u in reply["UnsuccessfulList"]]


@pytest.mark.parametrize("path", ["/openServers", "/closeServers"])
def test_a_server_that_is_not_there(mixed, path):
    reply = mixed.broker.ok(path, [{"ServerId": i} for i in ("nope", "Linux", "linux ", "x" * 1000)])
    assert marks(reply) == [NO_SERVER] * 4 and reply["SuccessfulList"] == []


def test_opening_and_closing_twice_is_success(mixed):
    for path in ("/openServers", "/openServers", "/closeServers", "/closeServers", "/openServers"):
        reply = mixed.broker.ok(path, [{"ServerId": "macos"}, {"ServerId": "linux"}])
        assert reply["SuccessfulList"] == [{"ServerId": "macos"}, {"ServerId": "linux"}]
        closed = path == "/closeServers"
        assert (mixed.described("macos")["Availability"] == "UNAVAILABLE") == closed
        assert mixed.described("macos").get("UnavailabilityReason") == (
            "SERVER_CLOSED" if closed else None)
        assert create(mixed.broker, EnqueueRequest=False, Requirements="tag:os='macos'",
                      InitFile="x")[1] == NO_PLACE


@pytest.mark.parametrize("key, counts", [
    ("WAITING", None), ("CREATING", "slow"), ("READY", "now"), ("DELETING", "dying"), ("UNKNOWN", "lost")])
def test_the_sessions_that_keep_a_server_open(states, key, counts):
    if not counts:
        # a waiting session is nowhere, and a deleted one no more
        states.broker.delete(states.ids["READY"])
        wait_until(lambda: states.broker.state(states.ids["READY"]) == "DELETED")
        assert states.broker.ok("/closeServers", [{"ServerId": "now"}])["UnsuccessfulList"] == []
        return
    for force in ({}, {"Force": False}):
        reply = states.broker.ok("/closeServers", [{"ServerId": counts, **force}])
        assert marks(reply) == [HAS_SESSIONS]
        assert reply["UnsuccessfulList"][0]["CloseServerRequestData"] == {"ServerId": counts, **force}
    reply = states.broker.ok("/closeServers", [{"ServerId": counts, "Force": True}])
    assert reply["SuccessfulList"] == [{"ServerId": counts}]
    assert states.broker.session(states.ids[key])["State"] == key, "it keeps running"
    assert states.broker.ok("/openServers", [{"ServerId": counts}])["UnsuccessfulList"] == []


def test_sessions_of_a_closed_server_work_on(mixed):
    session, _ = create(mixed.broker)
    wait_until(lambda: mixed.broker.state(session["Id"]) == "READY")
    mixed.broker.ok("/closeServers", [{"ServerId": "linux", "Force": True}])
    assert create(mixed.broker)[1] == NO_PLACE
    assert mixed.broker.ok("/getSessionScreenshots", [{"SessionId": session["Id"]}])["SuccessfulList"]
    assert mixed.broker.ok(f"/sessionConnectionData/{session['Id']}/u", method="GET")["ConnectionToken"]
    waiting, _ = create(mixed.broker, EnqueueRequest=True)
    mixed.broker.ok("/openServers", [{"ServerId": "linux"}])
    wait_until(lambda: mixed.broker.state(waiting["Id"]) == "READY")
    for each in (session, waiting):
        end(mixed.broker, each["Id"])


# --- 16: what a portal does first ----------------------------------------------------------------

@pytest.mark.parametrize("path, bodies", [
    ("/describeServers", [None, b"", b"{}", b"null", b'{"ServerIds":[]}', b'{"ServerIds":null}']),
    ("/describeSessions", [None, b"", b"{}", b"null", b'{"Filters":[]}', b'{"SessionIds":[]}',
                           b'{"Filters":[],"SessionIds":[]}'])])
def test_the_ways_in_which_clients_ask_for_everything(mixed, path, bodies):
    for body in bodies:
        reply = mixed.broker.http.post(mixed.broker.url(path), data=body, timeout=10, headers={
            "Authorization": "Bearer " + mixed.broker.token, "Content-Type": "application/json"})
        api_schema.check_reply(reply)
        assert reply.status_code == 200, body
        if path == "/describeServers":
            assert [s["Id"] for s in reply.json()["Servers"]] == ["linux", "macos", "windows"]
