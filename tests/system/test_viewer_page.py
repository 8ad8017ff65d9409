"""The page of the web viewer in Chromium: what a person sees and does there."""

import base64
import json
import os
import pathlib
import signal
import subprocess

import pytest

from keeper_helpers import wait_for
from page_helpers import SHOWN, enter
from test_viewer import copied, reaches, state_of, x_of
from viewer_helpers import ALL, OPEN, Viewer, permissions, update

VISIBLE = "[...document.querySelectorAll('#tools button')].filter(b => !b.hidden).map(b => b.id)"
TITLE = "document.querySelector('#notice-title').textContent"
TERMINAL = "#!/bin/sh\nxsetroot -solid navy\nexec xterm -geometry 60x10+10+10 -e sh -c 'cat > typed'\n"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes users")


@pytest.fixture(scope="module")
def viewer(service):
    it = Viewer(service)
    it.agent.keeper.init(TERMINAL, "terminal.sh")
    yield it
    it.done()


@pytest.fixture
def session(viewer, alice):
    session_id = viewer.agent.create_ready(alice.name, InitFile="terminal.sh",
                                           PermissionsFile=permissions(OPEN))
    yield session_id
    if viewer.agent.find(session_id)["State"] == "READY":
        viewer.agent.delete(session_id, alice.name)


def test_the_address_opens_the_desktop_and_does_not_keep_the_token(viewer, chromium, alice, session, tmp_path):
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
    point_at(chromium, viewer, "alice", session, 60, 100)
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


def point_at(chromium, viewer, page, session_id, x, y):
    """Move the mouse to a place of a desktop that has taken the size of the page, when the page knows that
    it has: it reckons by the size that it knows."""
    chromium.do(page, "wait", text="document.querySelector('#screen canvas').width"
                " === document.querySelector('#screen').clientWidth")
    chromium.do(page, "move", x=x, y=y)
    agree(lambda: state_of(viewer, session_id)["x"] == x)


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


def test_the_clipboard_goes_both_ways(viewer, chromium, bob, session):
    enter(chromium, viewer, "bob", session, bob.name)
    chromium.do("bob", "click", selector="#clipboard")
    chromium.do("bob", "fill", selector="#clipboard-text", text="grüße")
    reaches(viewer, session, clipboard="grüße")
    with copied(viewer, session, "from the desktop"):
        chromium.do("bob", "wait", text="document.querySelector('#clipboard-text').value"
                    " === 'from the desktop'")
    chromium.do("bob", "close")


def test_the_page_offers_what_is_allowed_and_follows_changes(viewer, chromium, alice, bob, session):
    look = ALL + "%any% allow display\n"
    update(viewer, session, alice.name, look)
    enter(chromium, viewer, "bob", session, bob.name)
    assert chromium.do("bob", "evaluate", text=VISIBLE) == ["fullscreen", "people"]
    before = state_of(viewer, session)
    chromium.do("bob", "type", text="x")
    chromium.do("bob", "move", x=300, y=300)
    update(viewer, session, alice.name, look + "%any% allow keyboard clipboard-copy\n")
    chromium.do("bob", "wait", text="!document.querySelector('#keys').hidden")
    assert chromium.do("bob", "evaluate", text=VISIBLE) == [
        "fullscreen", "clipboard", "keys", "people"]
    chromium.do("bob", "click", selector="#keys")
    buttons = ("[...document.querySelectorAll('#keys-panel button')].filter(b => !b.hidden)"
               ".map(b => b.textContent)")
    assert "Ctrl+Alt+Del" not in chromium.do("bob", "evaluate", text=buttons)
    assert state_of(viewer, session) == before
    update(viewer, session, alice.name, ALL)
    chromium.do("bob", "wait", text=f"!{SHOWN} && {TITLE}.startsWith('You may not see')")
    chromium.do("bob", "close")


def keep_texts(chromium, page, selector):
    """From now on what an element shows is kept: `texts` in the page has all of it."""
    chromium.do(page, "evaluate", text=f"""window.texts = [];
        new MutationObserver(() => texts.push(document.querySelector('{selector}').textContent))
            .observe(document.querySelector('{selector}'), {{childList: true, subtree: true}})""")


def test_the_page_tells_who_else_is_there_and_who_comes_and_goes(viewer, chromium, alice, bob, session):
    alice, bob = alice.name, bob.name
    shown = "[...document.querySelectorAll('#people-list li')].map(item => item.textContent)"

    def sees(page, *expected):
        chromium.do(page, "wait", text=f"{shown}.join() === {json.dumps(','.join(expected))}")

    enter(chromium, viewer, "alice", session, alice)
    sees("alice", f"{alice} (owner, you)")
    keep_texts(chromium, "alice", "#said")
    enter(chromium, viewer, "bob", session, bob)
    sees("bob", f"{alice} (owner)", f"{bob} (you)")
    chromium.do("alice", "wait", text="document.querySelector('#people').textContent === '2 people'")
    chromium.do("alice", "wait", text=f"texts.includes('{bob} is here now')")
    enter(chromium, viewer, "bob again", session, bob)
    sees("alice", f"{alice} (owner, you)", f"{bob} (2 windows)")
    for page in ("bob again", "bob"):
        chromium.do(page, "close")
    chromium.do("alice", "wait", text=f"texts.includes('{bob} has left')")
    sees("alice", f"{alice} (owner, you)")
    chromium.do("alice", "close")


def test_the_page_tells_how_good_the_connection_is_and_comes_again_after_a_silence(service, alice, chromium):
    it = Viewer(service, start=False)
    code = pathlib.Path(it.page, "quality.js")
    text = code.read_text(encoding="utf-8")
    assert "LATE_MS = 5000" in text and "LOST_MS = 15000" in text
    code.write_text(text.replace("= 5000", "= 500").replace("= 15000", "= 6000"), encoding="utf-8")
    try:
        it.start()
        session_id = it.agent.create_ready(alice.name)
        enter(chromium, it, "alice", session_id, alice.name)
        value = "document.querySelector('#quality').value"
        chromium.do("alice", "wait", text=f"/^(Good|Fair|Poor) · [1-9][0-9]* ms$/.test({value})")
        keep_texts(chromium, "alice", "#quality")
        it.process.send_signal(signal.SIGSTOP)  # a network that breaks says nothing either
        try:
            chromium.do("alice", "wait", text=f"!{SHOWN} && {TITLE} === 'The connection is lost'")
        finally:
            it.process.send_signal(signal.SIGCONT)
        assert chromium.do("alice", "evaluate", text="texts.includes('No answer')")
        chromium.do("alice", "wait", text=f"{SHOWN} && {value}.endsWith('ms')")
        chromium.do("alice", "close")
        it.agent.delete(session_id, alice.name)
    finally:
        it.done()


def test_the_keyboard_of_a_touch_screen_types(viewer, chromium, alice, session):
    typed = pathlib.Path(alice.home, "typed")
    enter(chromium, viewer, "alice", session, alice.name, width=390, height=844, touch=True)
    agree(typed.exists)
    agree(lambda: "-geometry 390x" in x_of(viewer, session, "xwininfo", "-root"))
    point_at(chromium, viewer, "alice", session, 60, 100)
    chromium.do("alice", "click", selector="#menu")
    chromium.do("alice", "click", selector="#touch")
    chromium.do("alice", "wait", text="document.activeElement.id === 'touch-keys'")
    chromium.do("alice", "type", text="ah")
    chromium.do("alice", "press", text="Backspace")
    chromium.do("alice", "type", text="é!\n")
    agree(lambda: typed.read_text(encoding="utf-8") == "aé!\n")
    chromium.do("alice", "close")


def test_a_stranger_sees_one_plain_page(viewer, chromium):
    assert chromium.do("eve", "open", url=f"https://127.0.0.1:{viewer.port}/?authToken=x#s") == 401
    assert "does not open a desktop" in chromium.do("eve", "evaluate",
                                                    text="document.body.textContent")
    chromium.do("eve", "close")
