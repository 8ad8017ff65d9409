"""DcvGlEnabled on our own engine: which GPU a session is given, and what its programs are told. Device
files that every host can make stand for render nodes."""

import os
import shutil
import stat
import uuid

import pytest

from agent_helpers import Agent
from conftest import let_everybody_reach
from keeper_helpers import run, wait_for

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="sessions of other users need root"),
    pytest.mark.skipif(not shutil.which("Xvnc"), reason="needs Xvnc"),
]

TELLS = "#!/bin/sh\necho \"gpu ${DCV_SESSION_RENDER_NODE-none} ${VGL_DISPLAY-none}\"\nexec sleep 100000\n"


@pytest.fixture
def dri(tmp_path):
    """A folder with two render nodes that everybody may use, and what else is in such a folder."""
    folder = tmp_path / "dri"
    folder.mkdir()
    for name in ("renderD128", "renderD129", "card0"):
        os.mknod(folder / name, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.chmod(folder / name, 0o666)
    (folder / "renderD130").write_text("no device")
    (folder / "by-path").mkdir()
    folder.chmod(0o755)
    let_everybody_reach(folder)
    return folder


@pytest.fixture
def make_agent(dri):
    made = []

    def make(settings=None):
        made.append(Agent(settings=settings or f"gl_render_nodes = ['{dri}/renderD*']"))
        made[-1].keeper.init(TELLS)
        return made[-1]

    yield make
    for agent in made:
        agent.done()


def gpu(agent, session_id):
    """What the session's first program was told: the render node's name, and VGL_DISPLAY."""
    def told():
        return [line.split()[2:] for line in agent.keeper.log_of(session_id).decode().splitlines()
                if line.startswith("init: gpu ")]

    wait_for(told, "the first program's output")
    node, display = told()[0]
    return os.path.basename(node), display


def test_sessions_have_the_gpu_that_is_used_least(make_agent, alice):
    agent = make_agent()

    def create():
        return agent.create_ready(alice.name, DcvGlEnabled=True)

    first = create()
    assert gpu(agent, first) == ("renderD128", "egl")
    assert gpu(agent, agent.create_ready(alice.name)) == ("none", "none")
    assert gpu(agent, create()) == ("renderD129", "egl")
    agent.delete(first, alice.name)
    assert gpu(agent, create()) == ("renderD128", "egl")
    assert gpu(agent, create()) == ("renderD128", "egl")
    # an agent that starts again, and has lost what it wrote down, finds who has which
    agent.stop()
    shutil.rmtree(os.path.join(agent.state_folder, "sessions"))
    agent.start()
    assert gpu(agent, create()) == ("renderD129", "egl")


def test_a_host_without_a_gpu_says_so_at_once(make_agent, alice, dri):
    agent = make_agent(f"gl_render_nodes = ['{dri}/no*', '{dri}/renderD130']")
    assert agent.try_create(alice.name, DcvGlEnabled=True) == (
        "DcvGlEnabled: this host has no GPU that sessions may use: there is no device "
        f"{dri}/no*")
    agent.create_ready(alice.name, DcvGlEnabled=False)
    assert len(agent.describe()) == 1


def test_an_owner_who_may_not_use_the_gpu_is_told_what_is_missing(make_agent, alice, dri):
    group = "dg" + uuid.uuid4().hex[:8]
    run("groupadd", group)
    try:
        for name in ("renderD128", "renderD129"):
            shutil.chown(dri / name, "root", group)
            os.chmod(dri / name, 0o660)
        agent = make_agent()
        assert agent.end_of(agent.create(alice.name, DcvGlEnabled=True)) == (
            f"user {alice.name} may not use the GPU {dri}/renderD128: expected a member of group "
            f"{group}")
        run("usermod", "-a", "-G", group, alice.name)
        assert gpu(agent, agent.create_ready(alice.name, DcvGlEnabled=True))[0] == "renderD128"
        os.chmod(dri / "renderD129", 0o600)
        assert agent.end_of(agent.create(alice.name, DcvGlEnabled=True)) == (
            f"user {alice.name} may not use the GPU {dri}/renderD129")
    finally:
        run("groupdel", group)
