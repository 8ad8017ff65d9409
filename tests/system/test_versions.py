"""One version, wherever a program tells it; and what each can do, where it tells that."""

import pathlib
import re
import subprocess

import pytest
import requests

from api_double import Answer, ApiDouble
from agent_helpers import Agent
from keeper_helpers import BUILD
from metrics_helpers import one, read
from ports import free_port

TOP = pathlib.Path(__file__).resolve().parents[2]
VERSION = (TOP / "packaging/VERSION").read_text().strip()
PROGRAMS = ("dcv-session-manager-agent", "dcv-session-keeper", "dcv-session-viewer", "dcv-session-init",
            "dcv-session-files", "dcv-session-manager-broker", "dcv-screenshot", "dcvctl", "dcvsm")


def run(program, option):
    return subprocess.run([f"{BUILD}/{program}", option], capture_output=True, text=True, timeout=30,
                          check=True)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_tells_its_version_and_its_use(program):
    version, use = run(program, "--version"), run(program, "--help")
    assert (version.stdout, version.stderr) == (f"{program} {VERSION}\n", "")
    assert use.stdout.lower().startswith(f"usage: {program} ") and use.stderr == ""


@pytest.mark.parametrize("program", PROGRAMS[:-2])  # the manual of dcvctl is made of what its help is
def test_the_manual_of_a_program_has_all_that_its_help_has(program):
    (page,) = (TOP / "packaging/man").glob(f"{program}.*.scd")
    page, use = page.read_text(), run(program, "--help").stdout
    words = re.findall(r"--[a-z-]+", use) + re.findall(rf"^ *{program} ([a-z]+) ", use, re.M)
    assert [word for word in words if f"*{word}*" not in page] == []


def test_an_agent_tells_it_in_the_api_and_in_its_numbers():
    port = free_port()
    agent = Agent(f"metrics_port = {port}\n")
    try:
        assert agent.call_well("/describeServers")["Servers"][0]["SessionManagerAgentVersion"] == VERSION
        numbers = read(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text)
        assert one(numbers, "dcvsm_agent_build_info", version=VERSION) == 1
    finally:
        agent.done()


def test_a_broker_tells_it_in_its_numbers(make_broker):
    numbers = read(make_broker().command("metrics").stdout)
    assert one(numbers, "dcvsm_build_info", version=VERSION) == 1


def test_a_client_tells_it_to_whom_it_asks(tmp_path):
    with ApiDouble(unix_path=tmp_path / "agent.sock") as agent:
        agent.answers["/describeSessions"] = Answer({"Sessions": []})
        subprocess.run([f"{BUILD}/dcvctl", "--socket", agent.unix_path, "describe-sessions"], timeout=30,
                       capture_output=True, check=True)
        assert agent.requests[0].headers["user-agent"] == f"dcvctl/{VERSION}"
