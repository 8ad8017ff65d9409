"""Clients as portals have them, through the whole life of a session: one that is generated from the API's
description as the broker serves it, and one that is written by hand (tests/clients). Each runs against
the simulated fleet, and against the whole product as packaging/demo.sh sets it up."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from fleet_helpers import running_fleet, server
from whole_helpers import kept  # noqa: F401, a fixture

TESTS = pathlib.Path(__file__).resolve().parents[1]
CLIENTS, NPM = TESTS / "clients", TESTS / "npm"
COMPILER_OPTIONS = ["--strict", "--target", "es2022", "--module", "nodenext", "--types", "node"]


def run(*arguments, cwd="/", check=True, **env):
    done = subprocess.run(list(map(str, arguments)), cwd=cwd, env={**os.environ, **env}, timeout=240,
                          capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def simulated(build, tmp_path_factory):
    """A Linux server between two Windows ones; what a client needs to know."""
    def windows(name):
        return server(name, tags={"dcv:os-family": "windows"}, Host={
            "Os": {"Family": "windows", "Name": "Windows Server 2022", "BuildNumber": "20348"},
            "Gpus": [], "LoggedInUsers": []})

    servers = [windows("a"), server("b", "192.0.2.7"), windows("c")]
    with running_fleet(build, tmp_path_factory, servers) as f:
        yield {"BROKER_URL": f.broker.url(""), "BROKER_CA": f.broker.http.verify, "OWNER": "mira",
               "CLIENT_ID": f.broker.credentials[0], "CLIENT_PASSWORD": f.broker.credentials[1]}


@pytest.fixture
def real(request):
    if os.geteuid() != 0:
        pytest.skip("makes users")
    whole = request.getfixturevalue("kept")
    names = ("BROKER_URL", "BROKER_CA", "CLIENT_ID", "CLIENT_PASSWORD")
    return {**{name: whole.env[name] for name in names}, "OWNER": whole.user, "INIT_FILE": "quiet.sh",
            "VIEWER_URL": whole.env["VIEWER_URL"]}


@pytest.fixture(scope="module")
def project(simulated, tmp_path_factory):
    """A folder with api.d.ts, generated from what the broker serves to anybody."""
    assert (NPM / "node_modules").is_dir(), \
        "run: . packaging/packages.sh; install_npm_packages tests/npm"
    folder = tmp_path_factory.mktemp("portal")
    (folder / "node_modules").symlink_to(NPM / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    run("curl", "--silent", "--show-error", "--fail", "--cacert", simulated["BROKER_CA"], "--output",
        folder / "api.yaml", simulated["BROKER_URL"] + "/dcv-session-manager-api.yaml")
    run("node", "node_modules/openapi-typescript/bin/cli.js", "api.yaml", "--output", "api.d.ts",
        cwd=folder)
    return folder


def compile_(project, name, check=True):
    return run("node", "node_modules/typescript/bin/tsc", *COMPILER_OPTIONS, name, cwd=project, check=check)


@pytest.fixture(scope="module")
def generated(project):
    """What runs the typed client."""
    shutil.copy(CLIENTS / "portal.ts", project)
    compile_(project, "portal.ts")
    return lambda world: run("node", "portal.js", cwd=project, **world,
                             NODE_EXTRA_CA_CERTS=world["BROKER_CA"])


@pytest.fixture
def handwritten():
    return lambda world: run(sys.executable, CLIENTS / "portal.py", **world)


@pytest.mark.parametrize("world", ["simulated", "real"])
@pytest.mark.parametrize("client", ["generated", "handwritten"])
def test_a_client_goes_through_the_whole_life_of_a_session(client, world, request):
    world = request.getfixturevalue(world)
    told = json.loads(request.getfixturevalue(client)(world).stdout)
    is_real = "INIT_FILE" in world
    assert len(told["servers"]) == 1 if is_real else told["servers"] == ["a", "b", "c"]
    assert told["accepted"] == ["CREATING", "SESSION_PLACING"]
    assert told["failure"] == [["nowhere", "no dcv server found for placement"]]
    assert told["session"] == ["portal", world["OWNER"], "VIRTUAL", 0]
    assert told["server"] in told["servers"] and (is_real or told["server"] == "b")
    assert told["isMine"] and told["sameSession"]
    viewer = world.get("VIEWER_URL", "https://192.0.2.7:8443/")
    assert told["url"].startswith(viewer + "?authToken=" + told["token"] + "#")
    assert (told["format"], told["image"]) == ("png", "89504e47")
    assert told["noImage"] == ["Dcv session not found."]
    assert told["permissions"] == [1, 0]
    assert told["closed"] == [[told["server"], "DCV_SERVER_HAS_SESSIONS"]]
    assert told["forced"] == [told["server"]]
    assert told["whileClosed"] == ["UNAVAILABLE", "SERVER_CLOSED"]
    assert told["opened"] == [1, "Dcv server not found."]
    assert told["refused"] == [400, "Type must be one of CONSOLE, VIRTUAL"]
    assert (told["deleted"], told["last"]) == (["DELETING"], "DELETED")
    assert told["again"] == ["The requested dcvSession does not exist"]


# What the compiler must find wrong, or the types would be worth nothing.
MISTAKES = [
    ('client.POST("/createSessions", { body: [{ Name: 5 }] })', "number"),
    ('{ MaxConcurrent: 5 } satisfies components["schemas"]["CreateSessionRequestData"]', "MaxConcurrent"),
    ('client.POST("/createSessions", { body: { Name: "x" } })', "'Name'"),
    ('client.POST("/createSessions")', "argument"),
    ('client.POST("/createSession", { body: [] })', "createSession"),
    ('client.POST("/sessionPermissions", { body: [] })', "sessionPermissions"),
    ('client.GET("/sessionConnectionData/{sessionId}/{user}", { params: { path: { sessionId: "x" } } })',
     "user"),
    ('(await client.POST("/describeServers")).data?.Servers?.[0]?.Port?.toFixed()', "toFixed"),
    ('(await client.POST("/describeServers")).data?.Servers?.[0]?.Host?.Aws?.Ec2ImageId', "Ec2ImageId"),
    ('(await client.POST("/openServers", { body: [] })).data?.UnsuccessfulList?.[0]?.FailCode',
     "FailCode"),
]


def test_the_generated_types_find_mistakes(project):
    begin = ['import createClient from "openapi-fetch";',
             'import type { components, paths } from "./api.js";',
             "const client = createClient<paths>();",
             'await client.POST("/describeServers");', 'await client.POST("/describeSessions", {});']
    lines = begin + [f"await ({mistake});" for mistake, _ in MISTAKES]
    (project / "mistakes.ts").write_text("\n".join(lines) + "\n")
    told = compile_(project, "mistakes.ts", check=False)
    assert told.returncode != 0
    for number, (mistake, word) in enumerate(MISTAKES, len(begin) + 1):
        found = [line for line in told.stdout.splitlines() if line.startswith(f"mistakes.ts({number},")]
        assert word in "".join(found), (mistake, told.stdout)
    assert "mistakes.ts(4," not in told.stdout and "mistakes.ts(5," not in told.stdout
