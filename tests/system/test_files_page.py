"""The page's panel of files in Chromium."""

import fcntl
import os
import subprocess

import pytest

from keeper_helpers import wait_for
from page_helpers import enter
from test_files import Files, small_disk
from viewer_helpers import OPEN, permissions, update

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes users")

NAMES = "[...document.querySelectorAll('#files-list bdi')].map(e => e.textContent)"
STATUS = "document.querySelector('#files-status').textContent"
UPLOADS = "[...document.querySelectorAll('#files-uploads small')].map(e => e.textContent)"


@pytest.fixture
def session(viewer, alice, share):
    session_id = viewer.agent.create_ready(alice.name, PermissionsFile=permissions(OPEN),
                                           StorageRoot=str(share))
    yield session_id
    viewer.agent.delete(session_id, alice.name)


def shows(chromium, text, expected):
    wait_for(lambda: chromium.do("page", "evaluate", text=text) == expected, f"{expected} in the page")


def test_a_person_finds_files_and_takes_them(viewer, chromium, alice, session, share, tmp_path):
    content = os.urandom(3_000_000)
    (share / "model.step").write_bytes(content)
    (share / ".hidden").touch()
    (share / "results 10").mkdir()
    (share / "results 9").mkdir()
    odd = os.fsencode(share / "results 9") + b"/\xff<b>\n\xe2\x80\xae.txt"
    with open(odd, "wb") as file:
        file.write(b"odd")
    enter(chromium, viewer, "page", session, alice.name)
    chromium.do("page", "click", selector="#files")
    shows(chromium, NAMES, ["results 9/", "results 10/", "model.step"])
    chromium.do("page", "click", selector="#files-hidden")
    shows(chromium, NAMES, ["results 9/", "results 10/", ".hidden", "model.step"])
    assert chromium.do("page", "download", selector="#files-list li:nth-child(4) button",
                       path=str(tmp_path / "got")) == "model.step"
    assert (tmp_path / "got").read_bytes() == content
    chromium.do("page", "click", selector="#files-list li:nth-child(1) button")
    shows(chromium, NAMES, ["\ufffd<b>\u240a\u202e.txt"])
    chromium.do("page", "download", selector="#files-list button", path=str(tmp_path / "odd"))
    assert (tmp_path / "odd").read_bytes() == b"odd"
    os.unlink(odd)
    chromium.do("page", "click", selector="#files-list button")
    chromium.do("page", "wait", text=f"{STATUS}.endsWith('is not there any more.')")
    # with the keyboard alone: back to where one began, and out of the panel
    chromium.do("page", "click", selector="#files-refresh")
    shows(chromium, STATUS, "There is nothing here.")
    for _ in range(3):
        chromium.do("page", "press", text="Shift+Tab")
    chromium.do("page", "press", text="Enter")
    shows(chromium, f"{NAMES}.length", 4)
    chromium.do("page", "press", text="Escape")
    chromium.do("page", "wait", text="document.querySelector('#files-panel').hidden"
                " && document.activeElement.tagName === 'CANVAS'")
    assert [text for text in chromium.do("page", "problems") if "404" not in text] == []
    chromium.do("page", "close")


def test_a_person_uploads_files(viewer, chromium, alice, session, share, tmp_path):
    content = os.urandom(9_000_000)
    large, small = tmp_path / "groß %41.bin", tmp_path / "small.txt"
    large.write_bytes(content)
    small.write_text("small")
    enter(chromium, viewer, "page", session, alice.name)
    chromium.do("page", "click", selector="#files")
    shows(chromium, STATUS, "There is nothing here.")
    chromium.do("page", "choose", selector="#files-chosen", paths=[str(large), str(small)])
    shows(chromium, UPLOADS, ["Uploaded", "Uploaded"])
    shows(chromium, NAMES, ["groß %41.bin", "small.txt"])
    assert (share / large.name).read_bytes() == content
    assert (share / large.name).stat().st_uid == alice.uid
    # dropped on the desktop, and nothing is written over
    chromium.do("page", "press", text="Escape")
    chromium.do("page", "evaluate", text="""{
        const data = new DataTransfer();
        data.items.add(new File(["other"], "small.txt", {lastModified: 1}));
        for (const type of ["dragover", "drop"])
            document.querySelector("#screen").dispatchEvent(new DragEvent(type,
                {dataTransfer: data, bubbles: true, cancelable: true}));
    }""")
    shows(chromium, f"{UPLOADS}[2]", "Uploaded as small (1).txt, for there is one of its name")
    shows(chromium, NAMES, ["groß %41.bin", "small (1).txt", "small.txt"])
    assert (share / "small.txt").read_text() == "small"
    # a right that is lost takes the button away
    update(viewer, session, alice.name, "[permissions]\n%any% allow display file-download\n")
    chromium.do("page", "wait", text="document.querySelector('#files-choose').hidden")
    update(viewer, session, alice.name, "[permissions]\n%any% allow display\n")
    chromium.do("page", "wait", text="document.querySelector('#files').hidden"
                " && document.querySelector('#files-panel').hidden")
    assert chromium.do("page", "problems") == []
    chromium.do("page", "close")


def test_an_upload_goes_on_after_a_break(viewer, chromium, alice, session, share, tmp_path):
    size, half, n_others = 1 << 20, 1 << 19, 30
    for i in range(n_others):
        (share / f"{i}.txt").touch()
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    os.utime(file, (1_000_000_000, 1_000_000_000))
    other = Files(viewer, session, alice)
    assert other.put("file", bytes(half), size, time=1_000_000_000_000)[0] == 200
    other.browser.close()
    (part,) = share.glob(".file.*.part")
    enter(chromium, viewer, "page", session, alice.name, width=360, height=640)
    chromium.do("page", "click", selector="#menu")
    chromium.do("page", "click", selector="#files")
    shows(chromium, f"{NAMES}.length", n_others)
    with open(part, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        chromium.do("page", "choose", selector="#files-chosen", paths=[str(file)])
        chromium.do("page", "wait", text=f"{UPLOADS}[0].startsWith('It is being uploaded already')")
        # on a small screen, too, and however many files there are, one sees how it gets on
        assert chromium.do("page", "evaluate", text="""(([row, panel]) => row.bottom < panel.bottom)(
            ["#files-uploads li", "#files-panel"].map((s) => document.querySelector(s).getBoundingClientRect()))""")
        viewer.stop()
        chromium.do("page", "wait", text="!document.querySelector('#notice').hidden")
    viewer.start()
    shows(chromium, UPLOADS, ["Uploaded"])
    assert (share / "file").read_bytes() == bytes(half) + file.read_bytes()[half:]
    chromium.do("page", "close")


def test_what_is_whole_is_not_sent_again_when_the_answer_was_lost(viewer, chromium, alice, session, share, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(os.urandom(9_000_000))
    enter(chromium, viewer, "page", session, alice.name)
    chromium.do("page", "click", selector="#files")
    shows(chromium, STATUS, "There is nothing here.")
    chromium.do("page", "evaluate", text="""{
        const {open, send} = XMLHttpRequest.prototype;
        window.lost = 0;
        XMLHttpRequest.prototype.open = function (method, address) {
            this.isEnd = /offset=[1-9]/.test(address);
            open.call(this, method, address);
        };
        XMLHttpRequest.prototype.send = function (body) {
            if (this.isEnd && lost++ === 0)
                this.onload = this.onerror;
            send.call(this, body);
        };
    }""")
    chromium.do("page", "choose", selector="#files-chosen", paths=[str(file)])
    shows(chromium, UPLOADS, ["Uploaded"])
    assert chromium.do("page", "evaluate", text="lost") == 1
    assert os.listdir(share) == ["file"] and (share / "file").read_bytes() == file.read_bytes()
    chromium.do("page", "close")


def test_a_full_disk_is_told_in_words(viewer, chromium, alice, session, share, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(bytes(5_000_000))
    with small_disk(share):
        enter(chromium, viewer, "page", session, alice.name)
        chromium.do("page", "click", selector="#files")
        chromium.do("page", "choose", selector="#files-chosen", paths=[str(file)])
        shows(chromium, UPLOADS,
              ["Not uploaded: the disk has no room for it: 5 MB are needed, 2 MB are left."])
        subprocess.run(["mount", "-o", "remount,size=8m", share], check=True)
        chromium.do("page", "click", selector="#files-uploads button:not([hidden])")
        shows(chromium, UPLOADS, ["Uploaded"])
        assert (share / "file").stat().st_size == 5_000_000
        # cancelled, nothing is left of it
        file.write_bytes(bytes(50_000_000))
        chromium.do("page", "choose", selector="#files-chosen", paths=[str(file)])
        chromium.do("page", "wait", text=f"{UPLOADS}[1].startsWith('Not uploaded')")
        chromium.do("page", "click", selector="#files-uploads li:nth-child(2) button:last-child")
        shows(chromium, UPLOADS, ["Uploaded"])
        assert os.listdir(share) == ["file"]
        chromium.do("page", "close")
