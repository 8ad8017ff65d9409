"""The page of the web viewer in Chromium: what a person sees and does there."""

import base64
import json
import os
import pathlib
import subprocess

import pytest

from keeper_helpers import User, wait_for
from test_viewer import (ALL, OPEN, copied, permissions, reaches, state_of, update, x_of)
from viewer_helpers import Viewer

HERE = pathlib.Path(__file__).parent
PLAYWRIGHT = HERE.parent / "npm/node_modules/playwright-core"
SHOWN = "document.querySelector('#notice').hidden"
TITLE = "document.querySelector('#notice-title').textContent"
TERMINAL = "#!/bin/sh\nxsetroot -solid navy\nexec xterm -geometry 60x10+10+10 -e sh -c 'cat > typed'\n"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes users")


class Chromium:
    """A browser whose pages have names."""

    def __init__(self):
        assert PLAYWRIGHT.is_dir(), \
            "run: . packaging/packages.sh; install_npm_packages tests/npm"
        self.process = subprocess.Popen(["node", HERE / "browser.mjs", PLAYWRIGHT],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, page, what, **arguments):
        self.process.stdin.write(json.dumps({"page": page, "do": what, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["ok"]

    def done(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        self.process.stdout.close()


@pytest.fixture(scope="module")
def people():
    users = [User(), User(), User()]
    yield users
    for user in users:
        user.remove()


@pytest.fixture(scope="module")
def viewer(people):
    it = Viewer(people[0])
    it.agent.keeper.init(TERMINAL, "terminal.sh")
    yield it
    it.done()


@pytest.fixture(scope="module")
def chromium():
    it = Chromium()
    yield it
    it.done()


@pytest.fixture
def session(viewer, people):
    session_id = viewer.agent.create_ready(people[1].name, InitFile="terminal.sh",
                                           PermissionsFile=permissions(OPEN))
    yield session_id
    if viewer.agent.find(session_id)["State"] == "READY":
        viewer.agent.delete(session_id, people[1].name)


def url_of(viewer, session_id, user):
    """As clients make it."""
    data = viewer.connection_data(session_id, user)
    server = data["Session"]["Server"]
    return (f"https://127.0.0.1:{server['Port']}{server['WebUrlPath']}"
            f"?authToken={data['ConnectionToken']}#{session_id}")


def enter(chromium, viewer, page, session_id, user, **options):
    assert chromium.do(page, "open", url=url_of(viewer, session_id, user), **options) == 200
    chromium.do(page, "wait", text=SHOWN)


def test_the_address_opens_the_desktop_and_does_not_keep_the_token(viewer, chromium, people,
                                                                   session, tmp_path):
    alice = people[1]
    enter(chromium, viewer, "alice", session, alice.name, width=900, height=620)
    assert chromium.do("alice", "evaluate", text="location.href") == \
        f"https://127.0.0.1:{viewer.port}/view#{session}"
    # the desktop has taken the size of the window
    stage = chromium.do("alice", "evaluate", text="[...'WH'].map(c => document.querySelector("
                        "'#screen')['client' + {W: 'Width', H: 'Height'}[c]])")
    agree(lambda: f"-geometry {stage[0]}x{stage[1]}" in x_of(
        viewer, session, "xwininfo", "-root"))
    typed = pathlib.Path(alice.home, "typed")
    agree(typed.exists)  # then the terminal is there, and has the keyboard while the pointer is in it
    chromium.do("alice", "move", x=60, y=100)
    agree(lambda: state_of(viewer, session)["x"] == 60)
    chromium.do("alice", "type", text="made by hand\n")
    agree(lambda: typed.read_text(encoding="utf-8") == "made by hand\n")
    # one combination leads out of the desktop, and leaves no key down there
    for key in ("Control", "Alt", "Shift"):
        chromium.do("alice", "down", text=key)
    chromium.do("alice", "wait", text="document.activeElement.id === 'fullscreen'")
    for key in ("Shift", "Alt", "Control"):
        chromium.do("alice", "up", text=key)
    reaches(viewer, session, keys=0)
    chromium.do("alice", "press", text="Escape")
    chromium.do("alice", "wait", text="document.activeElement.tagName === 'CANVAS'")
    x_of(viewer, session, "xsetroot", "-solid", "teal")
    agree(lambda: looks_as_it_is(chromium, viewer, session, tmp_path))
    # what is needed to come again is still there
    assert chromium.do("alice", "reload") == 200
    chromium.do("alice", "wait", text=SHOWN)
    viewer.stop()
    chromium.do("alice", "wait", text=f"!{SHOWN} && {TITLE} === 'The connection is lost'")
    viewer.start()
    chromium.do("alice", "wait", text=SHOWN)
    viewer.agent.delete(session, alice.name)
    chromium.do("alice", "wait", text=f"!{SHOWN} && {TITLE} === 'This desktop has ended'")
    problems = [text for text in chromium.do("alice", "problems") if "WebSocket" not in text]
    assert problems == []  # nothing that the policy forbids, for instance
    chromium.do("alice", "close")


def agree(condition):
    wait_for(condition, "the page and the desktop to agree")


def looks_as_it_is(chromium, viewer, session_id, folder):
    data = chromium.do("alice", "evaluate",
                       text="document.querySelector('#screen canvas').toDataURL()")
    (folder / "page.png").write_bytes(base64.b64decode(data.split(",")[1]))
    (folder / "shot.png").write_bytes(viewer.agent.screenshot(
        session_id, MaxWidth=4000, MaxHeight=4000))
    done = subprocess.run(["compare", "-metric", "AE", folder / "page.png", folder / "shot.png",
                           "null:"], capture_output=True, text=True, check=False)
    return done.stderr == "0"


def test_the_clipboard_goes_both_ways(viewer, chromium, people, session):
    enter(chromium, viewer, "bob", session, people[2].name)
    chromium.do("bob", "click", selector="#clipboard")
    chromium.do("bob", "fill", selector="#clipboard-text", text="grüße")
    reaches(viewer, session, clipboard="grüße")
    with copied(viewer, session, "from the desktop"):
        chromium.do("bob", "wait", text="document.querySelector('#clipboard-text').value"
                    " === 'from the desktop'")
    chromium.do("bob", "close")


def test_the_page_offers_what_is_allowed_and_follows_changes(viewer, chromium, people, session):
    alice, bob = people[1], people[2]
    visible = "[...document.querySelectorAll('#tools button')].filter(b => !b.hidden).map(b => b.id)"
    look = ALL + "%any% allow display\n"
    update(viewer, session, alice.name, look)
    enter(chromium, viewer, "bob", session, bob.name)
    assert chromium.do("bob", "evaluate", text=visible) == ["fullscreen", "people"]
    before = state_of(viewer, session)
    chromium.do("bob", "type", text="x")
    chromium.do("bob", "move", x=300, y=300)
    update(viewer, session, alice.name, look + "%any% allow keyboard clipboard-copy\n")
    chromium.do("bob", "wait", text="!document.querySelector('#keys').hidden")
    assert chromium.do("bob", "evaluate", text=visible) == [
        "fullscreen", "clipboard", "keys", "people"]
    chromium.do("bob", "click", selector="#keys")
    buttons = ("[...document.querySelectorAll('#keys-panel button')].filter(b => !b.hidden)"
               ".map(b => b.textContent)")
    assert "Ctrl+Alt+Del" not in chromium.do("bob", "evaluate", text=buttons)
    assert state_of(viewer, session) == before
    update(viewer, session, alice.name, ALL)
    chromium.do("bob", "wait", text=f"!{SHOWN} && {TITLE}.startsWith('You may not see')")
    chromium.do("bob", "close")


def test_a_stranger_sees_one_plain_page(viewer, chromium):
    assert chromium.do("eve", "open", url=f"https://127.0.0.1:{viewer.port}/?authToken=x#s") == 401
    assert "does not open a desktop" in chromium.do("eve", "evaluate",
                                                    text="document.body.textContent")
    chromium.do("eve", "close")
