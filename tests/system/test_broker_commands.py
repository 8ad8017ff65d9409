"""The administrator's command line: what scripts parse, and what people are told."""

import base64
import json
import os
import re
import subprocess

import pytest

from broker_helpers import PROGRAM

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def run(*arguments, **more):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=30, **more)


def listed_commands():
    """[(name, [required options], [optional ones])], as the program's own manual lists them."""
    lines = re.findall(r"^\*([a-z-]+)\*(.*)$", run("--print-manual", "commands").stdout, re.M)
    return [(name, re.findall(r" \*--([a-z-]+)\*", rest), re.findall(r"\[\*--([a-z-]+)\*", rest))
            for name, rest in lines]


COMMANDS = listed_commands()


# --- what is printed ---------------------------------------------------------------------------

def test_clients_of_the_api_are_registered_described_and_unregistered(broker):
    out = broker.command("register-api-client", "--client-name", "portal").stdout
    identity, password = re.fullmatch(
        f"client-id: ({UUID})\nclient-password: (\\S+)\n", out).groups()
    assert re.fullmatch(UUID, base64.b64decode(password, validate=True).decode())
    out = broker.command("describe-api-clients").stdout
    title, _, text = out.partition("\n")
    assert title == "Api clients"
    clients = json.loads(text)
    assert {"name": "portal", "id": identity, "active": True} in clients
    assert re.search(r'^\[ {\n', text) and re.search(r'"name" : "portal"', text)
    assert "}, {" in text
    out = broker.command("unregister-api-client", f"--client-id={identity}").stdout
    assert out == f"Client {identity} unregistered.\n"
    text = broker.command("describe-api-clients").stdout.partition("\n")[2]
    assert {"name": "portal", "id": identity, "active": False} in json.loads(text)


def test_a_list_of_nothing_is_an_empty_array(broker):
    assert broker.command("describe-agent-clients").stdout == \
        "Session manager agent clients\n[ ]\n"


def test_agents_are_described_and_unregistered(broker):
    agent = broker.agent("cad1")
    title, _, text = broker.command("describe-agent-clients").stdout.partition("\n")
    assert title == "Session manager agent clients"
    assert json.loads(text) == [{"name": "cad1", "id": agent.client_id, "active": True}]
    out = broker.command("unregister-agent-client", "--client-id", agent.client_id).stdout
    assert out == f"agent client {agent.client_id} unregistered\n"
    assert agent.closed.wait(1), "within one second"


def test_statements_are_generated_described_and_deactivated(broker):
    out = broker.command("generate-software-statement").stdout
    text = re.fullmatch(r"software-statement: (\S+)\n", out)[1]
    inside = json.loads(base64.b64decode(text))
    assert re.fullmatch(UUID, inside["id"]) and inside["active"] is True
    title, _, described = broker.command("describe-software-statements").stdout.partition("\n")
    assert title == "Software Statements"
    mine = [s for s in json.loads(described) if s["software-statement"] == text][0]
    assert mine["is-active"] == "true"
    assert re.fullmatch(r"\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d \+0000", mine["issued-at"])
    out = broker.command("deactivate-software-statement", "--software-statement", text).stdout
    assert out == f"Software statement {text} deactivated\n"
    described = broker.command("describe-software-statements").stdout.partition("\n")[2]
    assert {s["software-statement"]: s["is-active"] for s in json.loads(described)}[text] == "false"


@pytest.mark.parametrize("arguments", [
    ["register-api-client", "--client-name", "j"], ["describe-api-clients"],
    ["generate-software-statement"], ["describe-software-statements"],
    ["describe-agent-clients"], ["describe-placement"]], ids=lambda a: a[0])
def test_json_is_one_object(broker, arguments):
    out = broker.command(*arguments, "--json").stdout
    assert out.count("\n") == 1 and isinstance(json.loads(out), dict)


# --- what is wrong -----------------------------------------------------------------------------

@pytest.mark.parametrize("name,required,optional", COMMANDS, ids=[c[0] for c in COMMANDS])
def test_help_names_every_option_and_what_is_missing_or_unknown_is_status_2(name, required,
                                                                            optional):
    told = run(name, "--help")
    assert told.returncode == 0 and told.stderr == ""
    for option in [*required, *optional, "conf", "json"]:
        assert f"--{option}" in told.stdout
    assert run(name, "-h").stdout == told.stdout
    assert run(name, "--no-such-option").returncode == 2
    assert run(name, "surplus").returncode == 2
    if required:
        missing = run(name)
        assert missing.returncode == 2 and f"--{required[0]} " in missing.stderr
    without_value = run(name, f"--{(required or ['conf'])[0]}")
    assert without_value.returncode == 2


def test_an_unknown_command_is_named():
    result = run("make-coffee")
    assert result.returncode == 2 and "make-coffee" in result.stderr


def test_what_the_broker_refuses_is_status_1_with_a_sentence(broker):
    run_here = lambda *a: broker.command(*a, check=False)
    broker.command("register-api-client", "--name", "portal")
    for arguments, complaint in (
            (["register-api-client", "--client-name", "portal"], "portal"),
            (["register-api-client", "--client-name", ""], "name has 1 to 256"),
            (["unregister-api-client", "--client-id", "nobody"], "'nobody'"),
            (["unregister-agent-client", "--client-id", broker.credentials[0]], "no client"),
            (["deactivate-software-statement", "--software-statement", "bm9uc2Vuc2U="], "statement"),
            (["describe-placement", "--request", "{"], ""),
            (["describe-placement", "--request", '{"Name": 1}'], "Name")):
        result = run_here(*arguments)
        assert result.returncode == 1, arguments
        assert result.stdout == "" and complaint in result.stderr, arguments
        assert result.stderr.count("\n") == 1, arguments


def test_without_a_broker_the_status_is_3(broker):
    broker.stop()
    result = broker.command("describe-api-clients", check=False)
    assert result.returncode == 3 and broker.folder in result.stderr
    broker.start()


def test_nobody_but_root_may(broker):
    result = run("describe-api-clients", "--conf", broker.conf, user="nobody", group="nogroup",
                 extra_groups=[])
    assert result.returncode == 4 and result.stderr.count("\n") == 1


def test_what_the_settings_say_is_for_the_log_and_not_for_those_who_type_commands(make_broker):
    broker = make_broker(broker_java_home="/usr/lib/jvm", colour="blue")
    log = broker.log()
    assert "broker-java-home has no effect: this broker needs no Java" in log
    assert "unknown setting colour ignored" in log
    assert broker.command("describe-api-clients").stderr == ""


def test_the_socket_of_commands_is_for_root_alone(broker):
    assert os.stat(os.path.join(broker.folder, "command.sock")).st_mode & 0o077 == 0
