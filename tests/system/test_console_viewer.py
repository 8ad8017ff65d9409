"""Console sessions in the web viewer: the desktop at the local seat, through TigerVNC's scraping server."""

import glob
import json
import os
import signal
import stat
import struct
import subprocess

import pytest

from console_helpers import XORG, Seat, is_alive
from keeper_helpers import BUILD, name_of, of_session, tcp_listeners, wait_for
from rfb_client import CONTINUOUS_UPDATES, EXTENDED_DESKTOP_SIZE, FENCE, RAW, Rfb
from page_helpers import enter as enter_page
from page_helpers import url_of
from test_viewer import PROBE
from test_viewer_page import TITLE, VISIBLE
from viewer_helpers import ALL, Viewer, permissions

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and users need root"),
    pytest.mark.skipif(not os.path.exists(XORG), reason="needs Xorg and its dummy driver")]
LOOK = ALL + "%any% allow display\n"


@pytest.fixture
def seat():
    with Seat() as made:
        yield made


@pytest.fixture
def viewer(seat, service):
    it = Viewer(service, prefix=seat.prefix, viewer="supervision_control = 'enforced'")
    yield it
    it.done()


@pytest.fixture
def console(seat, viewer):
    """The login at the seat, and the session that shows it."""
    server = seat.start_x11_login()
    return server, viewer.agent.create_ready(seat.user.name, Type="CONSOLE", InitFile=None,
                                             PermissionsFile=permissions(LOOK))


def state_of(server):
    environment = {**os.environ, "DISPLAY": server.display, "XAUTHORITY": server.authority}
    return json.loads(subprocess.check_output([PROBE, "state"], env=environment, timeout=60))


def reaches(server, **expected):
    wait_for(lambda: expected.items() <= state_of(server).items(), f"{expected} on the display")


def scrapers(session_id):
    return [pid for pid in of_session(session_id) if name_of(pid) == "X0tigervnc"]


def enter(viewer, session_id, user):
    return Rfb(viewer.guest(session_id, user.name), [RAW, EXTENDED_DESKTOP_SIZE])


def test_its_owner_sees_it_and_works_at_it(console, viewer, seat):
    server, session_id = console
    server.run("xsetroot", "-solid", "#204060")
    rfb = enter(viewer, session_id, seat.user)
    assert rfb.source.admitted["console"] and rfb.source.admitted["owner"]
    assert (rfb.width, rfb.height) == (640, 480)
    assert rfb.whole()[:4] == bytes((0x20, 0x40, 0x60, 0))
    server.run("xsetroot", "-solid", "#602040")
    wait_for(lambda: rfb.whole()[:4] == bytes((0x60, 0x20, 0x40, 0)), "the other picture")
    rfb.pointer(123, 45, 1)
    rfb.key(ord("a"))
    reaches(server, x=123, y=45, buttons=1, keys=1)
    rfb.source.close()
    reaches(server, buttons=0, keys=0)
    # it is for viewers, and nobody stays for ever
    wait_for(lambda: not scrapers(session_id), "the server to end without viewers")
    assert enter(viewer, session_id, seat.user).whole()[:4] == bytes((0x60, 0x20, 0x40, 0))


def test_who_goes_from_a_busy_desktop_leaves_no_key_and_no_button_pressed(console, viewer, seat):
    server, session_id = console
    server.start("sh", "-c", "while xsetroot -solid red; do xsetroot -solid blue; done")
    for x in range(100, 108):
        rfb = Rfb(viewer.guest(session_id, seat.user.name), [RAW, FENCE, CONTINUOUS_UPDATES])
        rfb.whole()
        rfb.source.send(struct.pack(">BBHHHH", 150, 1, 0, 0, 640, 480))
        rfb.pointer(x, 45, 1)
        rfb.key(ord("a"))
        reaches(server, x=x, buttons=1, keys=1)
        rfb.source.close()
        reaches(server, buttons=0, keys=0)


def test_who_may_only_look_reaches_nothing_and_nobody_resizes_the_screen(console, viewer, seat):
    server, session_id = console
    server.run("xrandr", "--newmode", "small", "6.0", "320", "336", "360", "400", "200", "203", "206",
               "210")
    server.run("xrandr", "--addmode", "DUMMY0", "small")
    owner = enter(viewer, session_id, seat.user)
    guest = enter(viewer, session_id, seat.add_user())
    picture = guest.whole()
    before = state_of(server)
    guest.pointer(300, 200, 1)
    guest.key(ord("x"))
    guest.source.send(struct.pack(">BBHII", 255, 0, 1, ord("x"), 0x2D))  # as QEMU has it
    for rfb in (owner, guest):
        rfb.resize(320, 200)
        # an answer comes when all that has been said before is done
        assert rfb.whole() == picture
    assert state_of(server) == before
    assert b"-geometry 640x480+0+0" in server.run("xwininfo", "-root").stdout


def test_it_listens_in_the_owners_folder_and_nowhere_else(console, viewer, seat):
    _, session_id = console
    assert scrapers(session_id) == []
    enter(viewer, session_id, seat.user).whole()
    (pid,) = scrapers(session_id)
    assert os.stat(f"/proc/{pid}").st_uid == seat.user.uid
    assert tcp_listeners(pid) == []
    listening = subprocess.check_output(["ss", "-Hltne"], text=True)
    assert f"uid:{viewer.user.uid} " in listening and f"uid:{seat.user.uid} " not in listening
    (path,) = glob.glob(f"{viewer.agent.keeper.run_dir}/*/owner/rfb")
    for one, mode in ((path, 0o600), (os.path.dirname(path), 0o700)):
        assert (os.stat(one).st_uid, stat.S_IMODE(os.stat(one).st_mode)) == (seat.user.uid, mode)
    # there is one for all
    enter(viewer, session_id, seat.user).whole()
    assert scrapers(session_id) == [pid]


def test_its_death_is_told_and_the_next_one_has_it_started_anew(console, viewer, seat):
    server, session_id = console
    rfb = enter(viewer, session_id, seat.user)
    picture = rfb.whole()
    for _ in range(5):  # at once: it may not have ended altogether yet
        (pid,) = scrapers(session_id)
        os.kill(pid, signal.SIGKILL)
        assert rfb.source.closing() == 4901
        rfb = enter(viewer, session_id, seat.user)
        assert rfb.whole() == picture
        assert scrapers(session_id) not in ([], [pid])
    log = b"".join(viewer.agent.keeper.whole_log_of(session_id))
    assert b"viewers' server of the local seat ended: killed by signal 9" in log
    assert is_alive(server.process)


def test_who_is_inside_stays_while_the_agent_is_away_and_ends_with_the_session(console, viewer,
                                                                               seat):
    server, session_id = console
    other = seat.add_user()
    assert viewer.browser(session_id, other.name).closing() == 4403  # not without the owner
    owner = enter(viewer, session_id, seat.user)
    viewer.agent.kill()
    owner.whole()
    viewer.agent.start()
    wait_for(lambda: viewer.n_connections(session_id) == 1, "the owner to be counted again")
    guest = enter(viewer, session_id, other)
    guest.whole()
    owner.source.close()
    assert guest.source.closing() == 4912
    owner = enter(viewer, session_id, seat.user)
    owner.whole()
    viewer.agent.delete(session_id, seat.user.name)  # and nothing of it is left
    assert owner.source.closing() == 4910
    server.run("xdpyinfo")


def test_the_page_offers_what_a_screen_has(console, viewer, seat, chromium):
    server, session_id = console
    enter_page(chromium, viewer, "console", session_id, seat.user.name)
    server.run("xsetroot", "-solid", "#204060")
    pixel = "[...document.querySelector('#screen canvas').getContext('2d').getImageData(5, 5, 1, 1).data]"
    chromium.do("console", "wait", text=f"{pixel}.join() === '32,64,96,255'")
    assert chromium.do("console", "evaluate", text=VISIBLE) == [
        "fullscreen", "keys", "screenshot", "people"]
    chromium.do("console", "close")


def test_a_host_without_the_program_says_what_it_lacks(console, viewer, seat, chromium):
    _, session_id = console
    for name in ("X0tigervnc", "x0vncserver"):
        path = os.path.realpath(f"/usr/bin/{name}")
        subprocess.run([*seat.prefix, "mount", "--bind", "/dev/null", path], check=True)
    assert viewer.browser(session_id, seat.user.name).closing() == 4501
    chromium.do("console", "open", url=url_of(viewer, session_id, seat.user.name))
    chromium.do("console", "wait", text=f"{TITLE} === 'This desktop cannot be shown'")
    chromium.do("console", "close")
    lacks = "TigerVNC's scraping server, X0tigervnc or x0vncserver, is not there"
    with open(os.path.join(viewer.agent.log_folder, "agent.log"), encoding="utf-8") as log:
        assert f"a connection of user {seat.user.name} is refused: {lacks}" in log.read()
    doctor = subprocess.run(
        [*seat.prefix, os.path.join(BUILD, "dcvctl"), "--socket", viewer.agent.socket, "doctor",
         "--agent-conf", viewer.agent.keeper.conf], capture_output=True, text=True, timeout=60,
        check=False).stdout
    assert lacks in doctor and "apt install tigervnc-scraping-server" in doctor
