"""Permission files: what dcvctl finds in them, and what the agent makes of them in a session's life."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import uuid

import pytest

from agent_helpers import Agent
from keeper_helpers import User

DCVCTL = pathlib.Path(os.environ.get("DCV_BUILD", "build")).resolve() / "dcvctl"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="accounts and sessions of others need root")
needs_xvnc = pytest.mark.skipif(not shutil.which("Xvnc"), reason="needs Xvnc")
ALL = 23


# --- dcvctl check-permissions --------------------------------------------------------------------


@pytest.fixture
def check(tmp_path):
    """check(TEXT, *OPTIONS): the command's end, for a file f.perm of this text in its folder."""
    def run(text, *options):
        (tmp_path / "f.perm").write_text(text)
        return subprocess.run([DCVCTL, "check-permissions", "f.perm", *options], cwd=tmp_path,
                              capture_output=True, text=True, timeout=60, check=False)
    return run


def features(run):
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["Features"]


def test_the_features_of_a_user_are_shown_with_the_lines_that_gave_them(check, tmp_path):
    (tmp_path / "base.perm").write_text("[permissions]\n%any% allow display usb\n%any% deny usb\n")
    text = "#import base.perm\n[permissions]\n%owner% allow builtin\npavel allow mouse\n"
    run = check(text, "--user", "pavel", "--owner", "olga")
    assert run.returncode == 0 and run.stderr == ""
    assert [line.split(maxsplit=2) for line in run.stdout.splitlines()] == [
        ["FEATURE", "ALLOWED", "BECAUSE"],
        ["display", "yes", "allow in line 2 of base.perm"],
        ["mouse", "yes", "allow in line 4"]]
    everything = check(text, "--user", "pavel", "--all").stdout.splitlines()
    assert len(everything) == 1 + ALL
    assert ["usb", "no", "deny in line 3 of base.perm"] in [
        line.split(maxsplit=2) for line in everything]
    assert features(check(text, "--user=pavel", "--output=json")) == ["display", "mouse"]
    assert len(features(check(text, "--owner=olga", "--output=json"))) == ALL - 1
    assert len(features(check(text, "--user=olga", "--owner=olga", "--output=json"))) == ALL - 1
    assert check("", "--user=pavel").stdout == "no features\n"


def test_without_a_user_the_owner_and_all_others_are_shown(check):
    run = check("[permissions]\n%owner% allow usb\n%any% allow display\n")
    assert [line.split() for line in run.stdout.splitlines()] == [
        ["FEATURE", "OWNER", "OTHERS"], ["display", "yes", "yes"], ["usb", "yes", "no"]]


def test_errors_are_lines_with_their_places(check, tmp_path):
    text = "[permissions]\n%owner% allow builtin\npavel permit display\nquinn allow dispaly\n"
    run = check(text)
    assert run.returncode == 252
    assert run.stdout == ("f.perm:3: unknown rule permit\n"
                          "f.perm:4: unknown feature dispaly\n")
    assert run.stderr == "dcvctl: f.perm has 2 errors\n"
    found = json.loads(check(text, "--output", "json", "--user", "pavel").stdout)
    assert (found["Valid"], [e["Line"] for e in found["Errors"]]) == (False, [3, 4])
    assert "Features" not in found
    (tmp_path / "i.perm").write_text("x\x1b[1m allow\n")
    assert check("#import i.perm\n").stdout == "i.perm:1: control character\n"
    (tmp_path / "i.perm").write_text("[\u202ex]\n")
    assert check("#import i.perm\n").stdout == "i.perm:1: unknown section \\u202ex\n"
    assert check("x\n" * 30).stderr == (
        "dcvctl: f.perm has 30 errors, of which the first are shown\n")


def test_what_the_options_tolerate(check):
    text = "[permissions]\nCORP\\yann allow display hologram\n"
    assert check(text).returncode == 252
    run = check(text, "--unknown-feature=warn", "--user", "corp\\Yann", "--output=json")
    assert features(run) == []
    run = check(text, "--unknown-feature=warn", "--user", "corp\\Yann", "--ignore-case")
    assert "display" in run.stdout
    assert run.stderr == "f.perm:2: warning: unknown feature hologram\n"


@needs_root
def test_groups_of_the_host_count(check, make_user):
    user, other = make_user().pw_name, make_user().pw_name
    group = "dg" + uuid.uuid4().hex[:8]
    subprocess.run(["groupadd", group], check=True)
    try:
        subprocess.run(["gpasswd", "-a", user, group], check=True, stdout=subprocess.DEVNULL)
        text = (f"[groups]\nteam = osgroup:{group}, osgroup:none-{group}\n[permissions]\n"
                f"group:team allow display\nosgroup:{other} allow mouse\n")
        run = check(text, "--user", user, "--output=json")
        assert features(run) == ["display"]
        assert [w["Text"] for w in json.loads(run.stdout)["Warnings"]] == [
            f"there is no group none-{group} here"]
        assert features(check(text, "--user", other, "--output=json")) == ["mouse"]
        assert features(check(text, "--user", "nobody", "--output=json")) == []
    finally:
        subprocess.run(["groupdel", group], check=True)


@pytest.mark.parametrize("options, status, sentence", [
    ([], 2, "--file is required"),
    (["none.perm"], 252, "open none.perm: No such file or directory"),
    (["a", "b"], 2, "unexpected argument 'b'"),
])
def test_a_wrong_command_line_is_told(tmp_path, options, status, sentence):
    run = subprocess.run([DCVCTL, "check-permissions", *options], cwd=tmp_path, text=True,
                         capture_output=True, timeout=60, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (status, "", f"dcvctl: {sentence}\n")


# --- the agent -----------------------------------------------------------------------------------


@pytest.fixture
def alice():
    user = User()
    yield user
    user.remove()


@needs_root
@needs_xvnc
def test_a_sessions_permissions_hold_or_change_as_a_whole(alice, tmp_path):
    def encode(text):
        return base64.b64encode(text.encode()).decode()

    def update(text):
        answer = agent.call_well("/sessionPermissions", [{
            "SessionId": session_id, "Owner": alice.name, "PermissionsFile": encode(text)}], "PUT")
        return answer["UnsuccessfulList"][0]["FailureReason"] if answer["UnsuccessfulList"] else None

    base = tmp_path / "base.perm"
    base.write_text("[permissions]\n%any% allow display\n")
    imports = f"#import {base}\n"
    broken = "[permissions]\n%owner% allow builtin\npavel permit display\nquinn allow dispaly\n"
    agent = Agent(settings=f"permissions_import_folders = ['{tmp_path}']")
    try:
        assert agent.try_create(alice.name, PermissionsFile=encode(broken)) == (
            "Invalid permissions file, line 3: unknown rule permit")
        assert "permissions file, line 4: unknown feature dispaly" in agent.messages()
        assert agent.describe() == []
        session_id = agent.create_ready(alice.name, PermissionsFile=encode(imports))
        assert update("[permissions]\n#import /etc/passwd\n") == (
            "Invalid permissions file, line 2: cannot import /etc/passwd: it is outside of the "
            "folders that may be imported from")
        assert update(broken).startswith("Invalid permissions file, line 3")
        # none of this has changed anything: what comes back is the file of the creation
        base.rename(tmp_path / "away")
        agent.restart()
        assert f"session {session_id}: nobody has any permission: Invalid permissions file, " \
               f"line 1: cannot import {base}" in agent.messages()
        assert agent.find(session_id)["State"] == "READY"
        group = "none-" + uuid.uuid4().hex[:8]
        assert update(f"[permissions]\nosgroup:{group} allow display\n") is None
        agent.restart()
        assert agent.messages().count("nobody has any permission") == 1
        assert agent.find(session_id)["State"] == "READY"
        assert f"there is no group {group} here" in agent.messages()
    finally:
        agent.done()
