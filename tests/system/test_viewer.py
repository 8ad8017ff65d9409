"""The web viewer, with clients that speak RFB by hand: who is let in, and what they reach there."""

import concurrent.futures
import contextlib
import glob
import json
import os
import signal
import string
import struct
import subprocess
from random import Random

import pytest

from broker_helpers import Broker
from keeper_helpers import BUILD, wait_for
from rfb_client import (CONTINUOUS_UPDATES, COPY_RECT, CURSOR, EXTENDED_CLIPBOARD,
                        EXTENDED_DESKTOP_SIZE, FENCE, HEXTILE, LAST_RECT, RAW, TIGHT, ZRLE, Rfb)
from viewer_helpers import (ALL, OPEN, Browser, Direct, Viewer, permissions, settings_for,
                            update)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes users")

PROBE = os.path.join(BUILD, "doubles/x-probe")

@pytest.fixture
def make_session(viewer, alice):
    made = []

    def make(text=OPEN, **fields):
        made.append(viewer.agent.create_ready(alice.name, PermissionsFile=permissions(text),
                                              **fields))
        return made[-1]

    yield make
    for session_id in made:
        if viewer.agent.find(session_id)["State"] == "READY":
            viewer.agent.delete(session_id, alice.name)


def rfb_of(viewer, session_id):
    (path,) = [path for path in glob.glob(f"{viewer.agent.keeper.run_dir}/*/*/rfb")
               if number_of(viewer, session_id) == path.split("/")[-3]]
    return path


def number_of(viewer, session_id):
    for path in glob.glob(f"{viewer.agent.keeper.run_dir}/*/state"):
        with open(path, "rb") as file:
            if f"={session_id}\0".encode() in file.read():
                return path.split("/")[-2]
    raise AssertionError("no keeper")


def x_environment(viewer, session_id):
    folder = os.path.dirname(rfb_of(viewer, session_id))
    with open(os.path.join(folder, "../state"), "rb") as file:
        fields = dict(e.decode().split("=", 1) for e in file.read()[:-1].split(b"\0"))
    return {**os.environ, "DISPLAY": f":{fields['DISPLAY']}",
            "XAUTHORITY": os.path.join(folder, "Xauthority")}


def x_of(viewer, session_id, *command):
    """Run an X program in a session."""
    return subprocess.run(command, env=x_environment(viewer, session_id), check=True,
                          capture_output=True, text=True, timeout=60).stdout


def session_owner(viewer, session_id):
    return viewer.agent.find(session_id)["Owner"]


def test_describe_servers_has_the_address_of_the_viewer(viewer):
    server = viewer.server()
    assert server["Port"] == str(viewer.port) and server["WebUrlPath"] == "/"
    (endpoint,) = server["Endpoints"]
    assert (endpoint["Port"], endpoint["Protocol"]) == (viewer.port, "HTTP")


def test_the_page_is_for_those_whose_token_is_good(viewer, make_session, alice):
    session_id = make_session()
    token = viewer.token(session_id, alice.name)
    status, headers, body = viewer.get(f"/?authToken={token}")
    assert status == 200 and b"viewer.js" in body
    assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    for path in ("/viewer.js", "/viewer.css", "/novnc/core/rfb.js", "/view"):
        assert viewer.get(path)[0] == 200, path
    for path in ("/novnc/../door.c", "/novnc/vnc.html", "/etc/passwd", "/%2e%2e/output", "/ws"):
        assert viewer.get(path)[0] == 404, path
    for path in ("/", "/?authToken=", "/?authToken=x", f"/?authToken={token[:-1]}",
                 f"/?authToken=x{token}", f"/?authToken={token}.x"):
        status, _, body = viewer.get(path)
        assert status == 401 and b"does not open a desktop" in body
    assert viewer.get(f"/?authToken={token}", "POST")[0] == 405


def test_the_desktop_looks_as_it_is_whatever_the_encoding(viewer, make_session, alice):
    session_id = make_session()
    x_of(viewer, session_id, "xsetroot", "-mod", "5", "7", "-fg", "red", "-bg", "navy")
    direct = Rfb(Direct(rfb_of(viewer, session_id)), [RAW, EXTENDED_DESKTOP_SIZE])
    direct.whole()
    direct.resize(200, 150)
    while (direct.width, direct.height) != (200, 150):
        direct.request(incremental=True)
        direct.update()
    for encoding in (RAW, HEXTILE, TIGHT, ZRLE):
        browser = viewer.guest(session_id, alice.name)
        rfb = Rfb(browser, [encoding, COPY_RECT, LAST_RECT, CURSOR, EXTENDED_DESKTOP_SIZE, FENCE,
                            CONTINUOUS_UPDATES])
        assert rfb.whole() == direct.whole()
        assert encoding in rfb.seen
        x_of(viewer, session_id, "xsetroot", "-gray")
        assert rfb.whole() == direct.whole()
        x_of(viewer, session_id, "xsetroot", "-solid", "orange")
        assert rfb.whole() == direct.whole()
        browser.close()


def test_who_reads_late_gets_everything_and_keeps_nobody_waiting(viewer, make_session, alice, bob):
    session_id = make_session()
    x_of(viewer, session_id, "xsetroot", "-mod", "5", "7", "-fg", "red", "-bg", "navy")
    desk = Rfb(viewer.guest(session_id, alice.name), [RAW, EXTENDED_DESKTOP_SIZE])
    desk.resize(1600, 1200)
    while (desk.width, desk.height) != (1600, 1200):
        desk.request(incremental=True)
        desk.update()
    slow = Rfb(viewer.guest(session_id, bob.name), [RAW])
    for _ in range(3):
        slow.request()
    picture = desk.whole()
    for _ in range(3):
        assert slow.whole() == picture


def state_of(viewer, session_id):
    return json.loads(x_of(viewer, session_id, PROBE, "state"))


def reaches(viewer, session_id, **expected):
    wait_for(lambda: {**state_of(viewer, session_id), **expected} == state_of(viewer, session_id),
             f"{expected} on the display")


@contextlib.contextmanager
def copied(viewer, session_id, text):
    """That text is in the clipboard of the session."""
    with subprocess.Popen([PROBE, "copy", text], env=x_environment(viewer, session_id),
                          stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"ready\n"
        yield
        owner.kill()


def test_keyboard_pointer_and_clipboard_work_for_those_who_may(viewer, make_session, bob):
    session_id = make_session()
    rfb = Rfb(viewer.guest(session_id, bob.name), [RAW])
    rfb.whole()
    rfb.pointer(123, 45, 1)
    rfb.key(ord("a"))
    rfb.key(ord("b"))
    reaches(viewer, session_id, x=123, y=45, buttons=1, keys=2)
    rfb.cut(b"from outside")
    reaches(viewer, session_id, clipboard="from outside")
    with copied(viewer, session_id, "from inside"):
        while not rfb.copied:
            rfb.message()
        assert rfb.copied == [(False, b"from inside")]
    # what is held down is let go with the right to it
    update(viewer, session_id, session_owner(viewer, session_id), ALL + "%any% allow display\n")
    reaches(viewer, session_id, buttons=0, keys=0)


def test_a_view_only_guest_reaches_nothing_but_the_picture(viewer, make_session, alice, bob):
    session_id = make_session(ALL + "%any% allow display\n")
    desk = Rfb(viewer.guest(session_id, alice.name), [RAW, CURSOR])
    desk.pointer(10, 20)
    reaches(viewer, session_id, x=10, y=20)
    guest = viewer.guest(session_id, bob.name)
    assert guest.admitted["features"] == ["display"]
    rfb = Rfb(guest, [RAW, CURSOR, EXTENDED_CLIPBOARD, EXTENDED_DESKTOP_SIZE], shared=0)
    picture = rfb.whole()
    assert rfb.cursor in (None, (0, 0, b""))
    before = state_of(viewer, session_id)
    rfb.pointer(300, 200, 1)
    rfb.key(ord("x"))
    rfb.source.send(struct.pack(">BBHII", 255, 0, 1, ord("x"), 0x2D))  # as QEMU has it
    rfb.cut(b"from a guest")
    rfb.source.send(struct.pack(">BxxxiI", 6, -4, 1 << 24 | 1))  # extended: what can you do?
    rfb.resize(320, 200)
    with copied(viewer, session_id, "secret"):
        # an answer comes when all that has been said before is done
        assert rfb.whole() == picture == desk.whole()
        while not desk.copied:
            desk.message()
        rfb.whole()
    assert rfb.copied == []
    assert {**state_of(viewer, session_id), "clipboard": None} == {**before, "clipboard": None}
    assert state_of(viewer, session_id)["clipboard"] != "from a guest"


def test_the_shape_of_the_pointer_is_told_to_those_who_may_see_it(viewer, make_session, alice, bob):
    session_id = make_session(ALL + "%any% allow display\n")
    x_of(viewer, session_id, "xsetroot", "-cursor_name", "left_ptr")
    desk = Rfb(viewer.guest(session_id, alice.name), [RAW, CURSOR])
    rfb = Rfb(viewer.guest(session_id, bob.name), [RAW])
    desk.pointer(100, 100)
    while not desk.cursor or desk.cursor[0] == 0:
        desk.whole()
    rfb.whole()
    assert rfb.cursor == (0, 0, b"")


def test_dcvctl_connect_prints_the_address(viewer, make_session, alice):
    def connect(session_id):
        return subprocess.run([os.path.join(BUILD, "dcvctl"), "--socket", viewer.agent.socket, "connect",
                               session_id, alice.name], capture_output=True, text=True, check=False)

    session_id = make_session()
    address = connect(session_id).stdout.strip()
    path, _, fragment = address.partition("#")
    assert fragment == session_id
    assert viewer.get("/" + path.split("/", 3)[3])[0] == 200
    assert f":{viewer.port}/" in address
    viewer.stop()
    wait_for(lambda: viewer.server()["Port"] == "0", "the agent to notice")
    try:
        done = connect(session_id)
        assert done.returncode == 255 and "dcv-session-viewer" in done.stderr and not done.stdout
    finally:
        viewer.start()


def test_a_client_that_makes_no_sense_is_put_out(viewer, make_session, alice):
    session_id = make_session()
    for nonsense in (b"\x07", b"\xff\x01" + bytes(10), b"\x06\0\0\0\x7f\xff\xff\xff",
                     b"\xf8" + bytes(7) + b"\xff", b"\0\0\0\0" + bytes(16)):
        browser = viewer.guest(session_id, alice.name)
        rfb = Rfb(browser, [RAW])
        rfb.source.send(nonsense)
        assert browser.closing() == 4900
    browser = viewer.browser()
    browser.send(b"RFB 003.008\n")  # before a token
    assert browser.closing() == 4900
    for text in (b"x", b"[]", b'{"token": 1, "session": 2}', b'{"token": "x"}'):
        browser = Browser(viewer.port)
        browser.send_frame(1, text)
        assert browser.closing() == 4900
    browser = Browser(viewer.port)
    browser.send_frame(1, b"x" * 20000)
    assert browser.closing() == 1009
    wait_for(lambda: viewer.n_connections(session_id) == 0, "those to be counted as gone")


def test_strangers_who_make_no_sense_fill_no_log(viewer):
    before = len(viewer.messages())
    for _ in range(60):
        browser = viewer.browser()
        browser.send(b"x")
        assert browser.closing() == 4900
        with pytest.raises(AssertionError, match="426|400"):
            Browser(viewer.port, protocol="another")
    assert len(viewer.messages()[before:].splitlines()) <= 25


def test_a_token_is_good_for_its_session_alone(viewer, make_session, alice, bob):
    session_id, other = make_session(ALL), make_session(ALL)
    token = viewer.token(session_id, alice.name)
    assert viewer.browser(other, token=token).closing() == 4401
    assert viewer.browser(session_id, token=token + "x").closing() == 4401
    assert viewer.browser("no-such-session", token=token).closing() == 4401
    assert viewer.browser(session_id, token="x" * 16000).closing() == 4401
    assert viewer.browser(session_id, bob.name).closing() == 4403
    status, _, _ = viewer.get("/?authToken=" + viewer.token(session_id, bob.name))
    assert status == 403
    viewer.agent.delete(session_id, alice.name)
    assert viewer.browser(session_id, token=token).closing() == 4401
    assert viewer.get(f"/?authToken={token}")[0] == 401
    with open(os.path.join(viewer.agent.log_folder, "agent.log"), encoding="utf-8") as log:
        log = log.read()
    assert "the token is for another session" in log and "do not give the display" in log
    assert token not in log and token not in viewer.messages()


def test_connections_are_counted(viewer, make_session, alice, bob):
    session_id = make_session()
    assert viewer.n_connections(session_id) == 0
    assert "LastDisconnectionTime" not in viewer.agent.find(session_id)
    first, second = viewer.guest(session_id, alice.name), viewer.guest(session_id, bob.name)
    people = first.event("people")["people"]
    while len(people) != 2:
        people = first.event("people")["people"]
    assert [(p["user"], p["owner"], p["you"]) for p in people] == [
        (alice.name, True, True), (bob.name, False, False)]
    assert viewer.n_connections(session_id) == 2
    first.close()
    wait_for(lambda: viewer.n_connections(session_id) == 1, "one to be gone")
    second.close()
    wait_for(lambda: viewer.n_connections(session_id) == 0, "both to be gone")
    assert viewer.agent.find(session_id)["LastDisconnectionTime"]


def test_connections_that_stop_half_way_keep_nobody_else_out(viewer, make_session, alice, bob):
    session_id = make_session()
    idle = [viewer.guest(session_id, bob.name) for _ in range(32)]
    for browser in idle[:12]:
        assert browser.read(12) == b"RFB 003.008\n"
    assert viewer.browser(session_id, bob.name).closing() == 4429
    Rfb(viewer.guest(session_id, alice.name), [RAW]).whole()


def test_max_concurrent_clients_holds_but_who_comes_again_takes_the_place(viewer, make_session,
                                                                          alice, bob):
    session_id = make_session(MaxConcurrentClients=1)
    token = viewer.token(session_id, alice.name)
    first = viewer.browser(session_id, token=token)
    first.event("admitted")
    assert viewer.browser(session_id, bob.name).closing() == 4429
    again = viewer.browser(session_id, token=token)
    again.event("admitted")
    assert first.closing() == 4913
    again.close()


def test_new_permissions_hold_at_once(viewer, make_session, alice, bob):
    session_id = make_session()
    guest = viewer.guest(session_id, bob.name)
    rfb = Rfb(guest, [RAW, EXTENDED_DESKTOP_SIZE])
    rfb.whole()
    update(viewer, session_id, alice.name, ALL + "%any% allow display pointer\n")
    assert guest.event("features")["features"] == ["display", "pointer"]
    rfb.resize(300, 200)
    rfb.whole()
    assert rfb.width == 640
    # bob's own group, and one in which he is not
    update(viewer, session_id, alice.name, ALL + "%any% allow display\n"
           f"osgroup:{bob.name} allow mouse\nosgroup:{alice.name} allow keyboard\n")
    assert guest.event("features")["features"] == ["display", "mouse"]
    rfb.resize(300, 200)
    while rfb.width != 300:
        rfb.request(incremental=True)
        rfb.update()
    update(viewer, session_id, alice.name, ALL)
    assert guest.closing() == 4911
    assert viewer.browser(session_id, bob.name).closing() == 4403


def test_who_stops_in_the_middle_of_a_message_does_not_keep_what_is_taken_away(viewer, make_session,
                                                                               alice, bob):
    session_id = make_session()
    guest = viewer.guest(session_id, bob.name)
    rfb = Rfb(guest, [RAW])
    rfb.key(ord("a"))
    rfb.whole()
    rfb.source.send(struct.pack(">BBHHHH", 3, 0, 0, 0, 1, 1) + struct.pack(">BxxxI", 6, 4) + b"hal")
    rfb.update()
    update(viewer, session_id, alice.name, ALL + "%any% allow display\n")
    reaches(viewer, session_id, keys=0)
    rfb.source.send(b"f")
    rfb.whole()
    assert state_of(viewer, session_id)["clipboard"] is None


def test_ctrl_alt_del_is_not_put_together_by_a_connection_that_is_closing(viewer, make_session, bob):
    session_id = make_session(ALL + "%any% allow display keyboard\n")
    first, second = (Rfb(viewer.guest(session_id, bob.name), [RAW]) for _ in range(2))
    for key in (0xFFE3, 0xFFE9):  # Control_L, Alt_L
        first.key(key)
    first.whole()
    first.source.send(b"\x07")  # no message; the WebSocket waits for an answer to its end
    assert first.source.closing() == 4900
    second.key(0xFFFF)  # Delete
    second.whole()
    reaches(viewer, session_id, modifiers=0, keys=1)


def test_new_permissions_hold_even_if_the_viewer_was_told_too_much_at_once(viewer, make_session,
                                                                           alice, bob):
    session_id = make_session()
    guest = viewer.guest(session_id, bob.name)
    viewer.process.send_signal(signal.SIGSTOP)
    try:
        for i in range(400):  # more than a Unix socket holds
            update(viewer, session_id, alice.name,
                   ALL + f"%any% allow display {'mouse' if i % 2 else 'keyboard'}\n")
        update(viewer, session_id, alice.name, ALL)
    finally:
        viewer.process.send_signal(signal.SIGCONT)
    assert guest.closing() == 4911
    wait_for(lambda: viewer.n_connections(session_id) == 0, "nobody to be inside")


def test_who_goes_leaves_no_key_and_no_button_pressed(viewer, make_session, bob):
    session_id = make_session()
    rfb = Rfb(viewer.guest(session_id, bob.name), [RAW])
    rfb.pointer(5, 6, 1)
    rfb.key(ord("a"))
    rfb.whole()
    rfb.source.send(struct.pack(">BxxxI", 6, 4) + b"hal")  # a message that will not be whole
    rfb.source.close()
    reaches(viewer, session_id, x=5, y=6, buttons=0, keys=0)


def test_deleting_a_session_puts_everybody_out(viewer, make_session, alice, bob):
    session_id = make_session()
    guests = [viewer.guest(session_id, user.name) for user in (alice, bob)]
    viewer.agent.delete(session_id, alice.name)
    assert [guest.closing() for guest in guests] == [4910, 4910]


def test_nothing_listens_for_a_session_on_the_network(viewer, make_session, alice):
    session_id = make_session()
    assert os.stat(rfb_of(viewer, session_id)).st_uid == alice.uid  # its X server is there
    listening = subprocess.check_output(["ss", "-Hltne"], text=True)
    assert f"uid:{viewer.user.uid} " in listening
    assert f"uid:{alice.uid} " not in listening


def test_with_supervision_others_are_there_only_with_the_owner(service, alice, bob):
    text = ALL + f"%any% allow display\n{service.name} allow display unsupervised-access\n"
    it = Viewer(service, viewer="supervision_control = 'enforced'")
    try:
        session_id = it.agent.create_ready(alice.name, PermissionsFile=permissions(text))
        assert it.browser(session_id, bob.name).closing() == 4403
        first, second = (it.guest(session_id, alice.name) for _ in range(2))
        guest, trusted = it.guest(session_id, bob.name), it.guest(session_id, service.name)
        first.close()
        wait_for(lambda: it.n_connections(session_id) == 3, "one of the owner's to be gone")
        second.close()
        assert guest.closing() == 4912
        wait_for(lambda: it.n_connections(session_id) == 1, "the guest to be gone")
        Rfb(trusted, [RAW]).whole()
        it.agent.delete(session_id, alice.name)
    finally:
        it.done()


def test_who_is_inside_stays_there_while_the_agent_is_away(service, alice, bob):
    it = Viewer(service)
    try:
        session_id = it.agent.create_ready(alice.name, PermissionsFile=permissions(OPEN))
        other_id = it.agent.create_ready(alice.name)
        token = it.token(session_id, alice.name)
        rfb = Rfb(it.guest(session_id, bob.name), [RAW])
        it.guest(other_id, alice.name)
        it.agent.kill()
        rfb.whole()
        assert it.get(f"/?authToken={token}")[0] == 503
        assert it.browser(session_id, token=token).closing() == 4503
        it.agent.start()
        wait_for(lambda: it.n_connections(session_id) == 1, "the guest to be counted again")
        assert it.server()["Port"] == str(it.port)
        rfb.whole()
        update(it, session_id, alice.name, ALL)
        assert rfb.source.closing() == 4911
        it.stop()
        wait_for(lambda: it.n_connections(other_id) == 0, "nobody to be there without a viewer")
        assert it.server()["Port"] == "0" and it.server()["Endpoints"] == []
        for one in (session_id, other_id):
            it.agent.delete(one, alice.name)
    finally:
        it.done()


def guesses(token, n):
    """Tokens of nobody: noise, and the good one with up to three characters changed."""
    letters = string.ascii_letters + string.digits + "-_."
    random = Random(6)
    for i in range(n):
        tried = list(token)
        while "".join(tried) == token:
            if i % 4 == 0:
                tried = random.choices(letters, k=random.randint(1, 300))
            for _ in range(random.randint(1, 3)):
                tried[random.randrange(len(tried))] = random.choice(letters)
        yield "".join(tried)


def n_open(*pids):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def test_random_and_mutated_tokens_are_not_accepted(viewer, make_session, alice):
    session_id = make_session(ALL)
    token = viewer.token(session_id, alice.name)
    guest = viewer.guest(session_id, alice.name)
    pids = viewer.process.pid, viewer.agent.process.pid
    before = n_open(*pids)
    log = os.path.join(viewer.agent.log_folder, "agent.log")
    log_before = os.path.getsize(log)
    tokens = list(guesses(token, 10000))
    answers = list(viewer.get_all([f"/?authToken={token}" for token in tokens]))
    accepted = [t for t, (status, page) in zip(tokens, answers, strict=True)
                if status != 401 or b"viewer.js" in page]
    assert accepted == []
    assert viewer.get(f"/?authToken={token}")[0] == 200
    Rfb(guest, [RAW]).whole()
    wait_for(lambda: n_open(*pids) <= before, "the connections to be closed")
    assert os.path.getsize(log) - log_before < 100000  # a line for each would be ten times that


@pytest.fixture
def broker():
    it = Broker().start().log_in()
    yield it
    it.done()


def linked(service, broker):
    """A viewer on a host that the broker knows."""
    it = Viewer(service, settings=settings_for(broker))
    wait_for(lambda: [s["Port"] for s in broker.ok("/describeServers")["Servers"]] == [str(it.port)],
             "the host to be known")
    return it


def ready_session(broker, owner):
    """A session that the broker has made, with what it tells the owner to connect."""
    session_id = broker.create(Owner=owner.name, InitFile="init.sh")
    wait_for(lambda: broker.state(session_id) == "READY", "the session")
    return session_id, broker.ok(f"/sessionConnectionData/{session_id}/{owner.name}", method="GET")


def test_tokens_of_a_broker_are_shown_to_it(broker, service, alice):
    it = linked(service, broker)
    try:
        session_id, data = ready_session(broker, alice)
        server, token = data["Session"]["Server"], data["ConnectionToken"]
        assert (server["Port"], server["WebUrlPath"]) == (str(it.port), "/")
        assert it.get(f"/?authToken={token}")[0] == 200
        browser = it.browser(session_id, token=token)
        assert browser.event("admitted")["owner"]
        Rfb(browser, [RAW]).whole()
        wait_for(lambda: broker.session(session_id)["NumOfConnections"] == 1, "the broker to know")
        forged = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
        assert it.get(f"/?authToken={forged}")[0] == 401
        assert it.browser(session_id, token=forged).closing() == 4401
        broker.stop()
        assert it.get(f"/?authToken={token}")[0] == 503
        Rfb(it.guest(session_id, alice.name), [RAW]).whole()  # by a token of the host's own
        it.agent.delete(session_id, alice.name)
    finally:
        it.done()


def n_connected(port):
    return len(subprocess.run(["ss", "-Htn", "state", "established", f"dport = :{port}"], check=True,
                              capture_output=True, text=True).stdout.splitlines())


def test_one_address_cannot_use_up_the_questions_to_the_broker(broker, service, alice):
    it = linked(service, broker)
    try:
        session_id, data = ready_session(broker, alice)
        path = f"/?authToken={data['ConnectionToken']}"
        with concurrent.futures.ThreadPoolExecutor(21) as pool:
            broker.process.send_signal(signal.SIGSTOP)
            try:
                asked = [pool.submit(lambda: list(it.get_all([path]))) for _ in range(20)]
                wait_for(lambda: sum(one.done() for one in asked) == 20 - 16, "the others to be refused")
                elsewhere = pool.submit(lambda: list(it.get_all([path], address="127.0.0.2")))
                wait_for(lambda: n_connected(broker.agent_port) == 16 + 1 + 1,
                         "one question of another address beside those and the link")
            finally:
                broker.process.send_signal(signal.SIGCONT)
            ((status, _),) = elsewhere.result()
            assert status == 200
            statuses = [one.result()[0][0] for one in asked]
        assert (statuses.count(503), statuses.count(200)) == (4, 16)
        it.agent.delete(session_id, alice.name)
    finally:
        it.done()
