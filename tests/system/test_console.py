"""Console sessions: the desktop of whoever is logged in at the local seat."""

import base64
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from agent_helpers import Agent, png_first_pixel, png_size
from console_helpers import XORG, Seat, is_alive
from keeper_helpers import BUILD, name_of, of_session, uid_of
from waiting import wait_until

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and users need root"),
    pytest.mark.skipif(not os.path.exists(XORG), reason="needs Xorg and its dummy driver")]
CONSOLE = {"Type": "CONSOLE", "InitFile": None}


@pytest.fixture
def seat():
    with Seat() as made:
        yield made


@pytest.fixture
def make_agent(seat):
    made = []

    def make(**arguments):
        made.append(Agent(prefix=seat.prefix, **arguments))
        return made[-1]

    yield make
    for agent in made:
        agent.done()


@pytest.fixture
def agent(make_agent):
    return make_agent()


def refusal(agent, owner):
    """Why a session that was begun came to nothing."""
    return agent.end_of(agent.create(owner, **CONSOLE))


def counts(agent):
    server = agent.call_well("/describeServers")["Servers"][0]
    return (server["ConsoleSessionCount"], server["VirtualSessionCount"],
            server.get("UnavailabilityReason"))


def kill_keeper(agent):
    number, = agent.keeper.numbers()
    record = pathlib.Path(agent.keeper.run_dir, number, "state").read_bytes()
    fields = dict(entry.split(b"=", 1) for entry in record[:-1].split(b"\0"))
    os.kill(int(fields[b"PID"]), signal.SIGKILL)


# --- the life of one -----------------------------------------------------------------------------


def test_a_console_session_is_the_desktop_of_its_owner_and_leaves_it_alone(agent, seat):
    server = seat.start_x11_login()
    desktop = seat.start_desktop(DISPLAY=server.display)
    server.run("xsetroot", "-solid", "#204060")
    session_id = agent.create_ready(seat.user.name, **CONSOLE)
    session = agent.find(session_id)
    assert (session["Type"], session["Owner"]) == ("CONSOLE", seat.user.name)
    shot = agent.screenshot(session_id, MaxWidth=320, MaxHeight=320)
    assert png_size(shot) == (320, 240)
    assert png_first_pixel(shot) == (0x20, 0x40, 0x60)
    # who looks at the screen is the owner, and nothing else was started
    assert [(name_of(pid), uid_of(pid)) for pid in of_session(session_id)] == [
        ("dcv-screenshot", seat.user.uid)]
    agent.delete(session_id, seat.user.name)
    assert is_alive(server.process) and is_alive(desktop)
    server.run("xdpyinfo")
    # and once more
    agent.delete(agent.create_ready(seat.user.name, **CONSOLE), seat.user.name)
    assert agent.keeper.numbers() == []


def test_there_is_one_and_no_virtual_session_beside_it(agent, seat):
    seat.start_x11_login()
    owner = seat.user.name
    assert counts(agent) == (0, 0, None)
    session_id = agent.create(owner, **CONSOLE)
    assert counts(agent) == (1, 0, "SERVER_FULL")
    assert agent.try_create(owner, **CONSOLE) == "this host has a console session"
    assert agent.try_create(owner) == "this host has a console session"
    agent.wait_for(session_id, "READY")
    agent.delete(session_id, owner)
    assert counts(agent) == (0, 0, None)
    virtual = agent.create_ready(owner)
    assert agent.try_create(owner, **CONSOLE) == (
        "this host has virtual sessions, which no console session can be beside")
    agent.delete(virtual, owner)


def test_the_limits_of_virtual_sessions_are_not_its(make_agent, seat):
    agent = make_agent(settings="max_virtual_sessions = 0\nmax_concurrent_sessions_per_user = 1\n")
    seat.start_x11_login()
    assert counts(agent) == (0, 0, "SERVER_FULL")
    agent.delete(agent.create_ready(seat.user.name, **CONSOLE), seat.user.name)


def test_permissions_are_checked_kept_and_updated_as_those_of_others(agent, seat):
    seat.start_x11_login()

    def permissions(text):
        return base64.b64encode(text.encode()).decode()

    assert "unknown feature" in agent.try_create(
        seat.user.name, PermissionsFile=permissions("[permissions]\n%any% allow x\n"), **CONSOLE)
    session_id = agent.create_ready(
        seat.user.name, PermissionsFile=permissions("[permissions]\n%any% allow display\n"),
        **CONSOLE)
    update = {"SessionId": session_id, "Owner": seat.user.name,
              "PermissionsFile": permissions("[permissions]\n%owner% allow builtin\n")}
    answer = agent.call_well("/sessionPermissions", [update], "PUT")
    assert answer["SuccessfulList"] == [{"SessionId": session_id}], answer
    update["PermissionsFile"] = permissions("%any% allow display\n")
    answer = agent.call_well("/sessionPermissions", [update], "PUT")
    assert answer["SuccessfulList"] == [], answer


def test_how_busy_it_is_is_not_known(agent, seat):
    """Its programs are not ours: the idle policy must not take somebody who sits there for idle."""
    seat.start_x11_login()
    agent.create_ready(seat.user.name, **CONSOLE)
    number, = agent.keeper.numbers()
    control = agent.keeper.control(number)
    control.send(("OPERATION", "usage"))
    assert "CPU_MS" not in control.until("usage")


def test_it_ends_with_the_login(agent, seat):
    server = seat.start_x11_login()
    session_id = agent.create_ready(seat.user.name, **CONSOLE)
    # another change of the login is not its end
    seat.log_in(display=server.display, state="online")
    assert isinstance(agent.screenshot(session_id), bytes)
    seat.log_out()
    assert agent.end_of(session_id) == f"user {seat.user.name} has logged out of the local seat"
    assert is_alive(server.process) and agent.keeper.numbers() == []


def test_a_login_that_closes_has_ended(agent, seat):
    server = seat.start_x11_login()
    session_id = agent.create_ready(seat.user.name, **CONSOLE)
    seat.log_in(display=server.display, state="closing")
    assert agent.end_of(session_id) == f"user {seat.user.name} has logged out of the local seat"
    assert refusal(agent, seat.user.name) == (
        f"user {seat.user.name} is logging out of the local seat")


def test_it_ends_with_the_x_server(agent, seat):
    server = seat.start_x11_login()
    session_id = agent.create_ready(seat.user.name, **CONSOLE)
    server.process.terminate()
    server.process.wait()
    assert agent.end_of(session_id) == (
        f"the X server of the local seat ({server.display}) has ended")


def test_an_agent_that_starts_again_finds_it(agent, seat):
    server = seat.start_x11_login()
    session_id = agent.create_ready(seat.user.name, **CONSOLE)
    agent.restart()
    session = agent.find(session_id)
    assert (session["State"], session["Type"]) == ("READY", "CONSOLE")
    assert counts(agent) == (1, 0, "SERVER_FULL")
    assert isinstance(agent.screenshot(session_id), bytes)
    # also where its record was lost
    agent.kill()
    shutil.rmtree(agent.state_folder)
    agent.start()
    assert agent.find(session_id)["Type"] == "CONSOLE"
    agent.delete(session_id, seat.user.name)
    assert is_alive(server.process)


def test_a_keeper_that_is_killed_takes_nothing_of_the_user_with_it(agent, seat):
    server = seat.start_x11_login()
    desktop = seat.start_desktop(DISPLAY=server.display)
    session_id = agent.create_ready(seat.user.name, **CONSOLE)
    agent.screenshot(session_id)
    kill_keeper(agent)
    assert agent.end_of(session_id) == "the session's keeper was killed"
    assert of_session(session_id) == [] and agent.keeper.numbers() == []
    assert is_alive(server.process) and is_alive(desktop)
    server.run("xdpyinfo")


def test_an_x_server_that_hangs_costs_the_creation_and_nothing_else(make_agent, seat):
    agent = make_agent(create_timeout=2)
    server = seat.start_x11_login()
    server.stop()
    assert refusal(agent, seat.user.name) == (
        "the X server of the local seat did not answer within 2 s")
    server.cont()
    server.run("xdpyinfo")


# --- whose desktop it is -------------------------------------------------------------------------


NOBODY = [
    (lambda seat: seat.start_logind(), "this host has no local seat (seat0)"),
    (lambda seat: seat.has_seat(graphical=False),
     "nobody is logged in at the local seat, which has no screen"),
    (lambda seat: seat.has_seat(), "nobody is logged in at the local seat"),
    (lambda seat: seat.log_in(role="greeter"),
     "nobody is logged in at the local seat: it shows the login screen"),
    (lambda seat: seat.log_in(role="background"), "nobody is logged in at the local seat"),
    (lambda seat: seat.log_in(seat.add_user(), display=":0"),
     "another user than {} is logged in at the local seat"),
    (lambda seat: seat.log_in(kind="wayland", display=":0"),
     "the desktop of user {} at the local seat runs on Wayland; a console session needs Xorg, "
     "which the login screen may offer"),
    (lambda seat: seat.log_in(kind="tty"),
     "user {} is logged in at the local seat at a text console, without an X display"),
    (lambda seat: seat.log_in(),
     "the X display of user {} at the local seat is not known: no program of the login has one"),
    (lambda seat: seat.log_in(display=":65000"),
     "connect to the X server of display :65000: No such file or directory"),
    (lambda seat: None,
     "nobody is logged in at an X display of this host (no logind runs, and utmp has none)"),
]


def test_the_owner_must_be_logged_in_there_with_xorg(agent, seat):
    for prepare, reason in NOBODY:
        seat.stop_logind()
        prepare(seat)
        assert refusal(agent, seat.user.name) == reason.format(seat.user.name)
    wait_until(lambda: agent.keeper.numbers() == [], what="the end of the keepers")


def test_nobody_who_may_own_no_session_gets_a_console(agent, seat):
    server = seat.start_x11_login()
    seat.write("systemd/sessions/7", "UID=0", "SEAT=seat0", "TYPE=x11", "CLASS=user",
               "STATE=active", f"DISPLAY={server.display}")
    assert refusal(agent, "root") == (
        "sessions for system accounts are not allowed (user root, uid 0)")
    assert refusal(agent, "no-such-user").startswith("user not found: no-such-user")


# --- the display and the way in ------------------------------------------------------------------


def test_a_display_that_logind_is_not_told_is_that_of_the_programs_of_the_login(agent, seat):
    """As with GDM: the authority is in the environment, and so is which login it is."""
    server = seat.start_server()
    seat.log_in()
    other = seat.start_server(program="Xvnc")
    seat.start_desktop(DISPLAY=other.display, XDG_SESSION_ID="99",
                       XAUTHORITY=seat.give_authority(other, path=seat.folder + "/other"))
    seat.start_desktop(DISPLAY="far.example:10.0", XDG_SESSION_ID="7")
    seat.start_desktop(DISPLAY=server.display + ".0", XDG_SESSION_ID="7",
                       XAUTHORITY=seat.give_authority(server, path=seat.folder + "/cookie"))
    server.run("xsetroot", "-solid", "#600000")
    session_id = agent.create_ready(seat.user.name, **CONSOLE)
    assert png_first_pixel(agent.screenshot(session_id)) == (0x60, 0, 0)


def test_a_display_that_was_started_from_a_text_console_counts_if_it_is_xorgs(agent, seat):
    """As with startx. A server that nobody sees can be started there, too."""
    hidden = seat.start_server(program="Xvnc")
    seat.log_in(kind="tty")
    cookie = seat.give_authority(hidden, path=seat.folder + "/hidden")
    program = seat.start_desktop(DISPLAY=hidden.display, XDG_SESSION_ID="7", XAUTHORITY=cookie)
    assert refusal(agent, seat.user.name) == (
        f"display {hidden.display} of user {seat.user.name} is no X server of the local seat")
    program.kill()
    program.wait()
    server = seat.start_server()
    seat.start_desktop(DISPLAY=server.display, XDG_SESSION_ID="7",
                       XAUTHORITY=seat.give_authority(server))
    agent.create_ready(seat.user.name, **CONSOLE)


def test_an_x_server_that_is_waylands_is_told_from_xorg(agent, seat):
    """As with a compositor that is started from a text console."""
    path = os.path.join(seat.folder, "Xwayland")
    os.symlink(XORG, path)
    server = seat.start_server(program=path)
    seat.log_in(kind="tty")
    seat.start_desktop(DISPLAY=server.display, XDG_SESSION_ID="7",
                       XAUTHORITY=seat.give_authority(server))
    assert refusal(agent, seat.user.name) == (
        f"the desktop of user {seat.user.name} at the local seat runs on Wayland; a console "
        "session needs Xorg")


def test_an_ordinary_user_has_the_own_desktop_without_root(seat):
    server = seat.start_x11_login()
    user = seat.user
    prefix = (*seat.prefix, "setpriv", f"--reuid={user.uid}", f"--regid={user.gid}",
              "--clear-groups", "--")
    agent = Agent(prefix=prefix, user=user.name)
    try:
        session_id = agent.create_ready(user.name, **CONSOLE)
        assert isinstance(agent.screenshot(session_id), bytes)
        agent.delete(session_id, user.name)
    finally:
        agent.done()
    server.run("xdpyinfo")


def test_the_authority_may_be_where_the_x_server_was_told(agent, seat):
    server = seat.start_server()
    os.chmod(os.path.dirname(server.authority), 0o755)
    seat.log_in(display=server.display)
    assert refusal(agent, seat.user.name).startswith(
        f"X authority file {seat.user.home}/.Xauthority: ")
    os.chown(server.authority, seat.user.uid, seat.user.gid)
    agent.create_ready(seat.user.name, **CONSOLE)


def test_an_authority_that_somebody_else_may_have_written_does_not_count(agent, seat):
    server = seat.start_server()
    seat.log_in(display=server.display)
    path = seat.give_authority(server)
    mine = f"X authority file {path}: expected a regular file that only user {seat.user.name} or " \
        "root may write"
    os.chmod(path, 0o620)
    assert refusal(agent, seat.user.name) == mine
    os.chmod(path, 0o644)
    os.chown(path, seat.add_user().uid, -1)
    assert refusal(agent, seat.user.name) == mine
    os.chown(path, seat.user.uid, -1)
    os.rename(path, path + ".real")
    os.symlink(path + ".real", path)
    assert "symbolic links" in refusal(agent, seat.user.name)
    os.unlink(path)
    os.mkfifo(path, 0o600)
    os.chown(path, seat.user.uid, -1)
    assert refusal(agent, seat.user.name) == mine
    os.unlink(path)
    os.rename(path + ".real", path)
    agent.create_ready(seat.user.name, **CONSOLE)


def test_a_cookie_of_another_server_does_not_open_the_display(agent, seat):
    server, other = seat.start_server(), seat.start_server(program="Xvnc")
    path = seat.give_authority(other)
    seat.log_in(display=server.display)
    assert refusal(agent, seat.user.name) == (
        f"display {server.display} does not let user {seat.user.name} in (X authority file: {path})")


def test_no_cookie_is_shown_to_an_x_server_of_somebody_else(agent, seat):
    """Who waits at a display that is free would get it."""
    stranger = seat.add_user()
    path = pathlib.Path(stranger.home, "cookie")
    server = seat.start_server(program="Xvnc")
    seat.give_authority(server, stranger, str(path))
    seat.start_desktop(stranger, command=(
        "Xvnc", ":64999", "-auth", str(path), "-rfbunixpath", f"{stranger.home}/rfb", "-rfbport",
        "-1", "-SecurityTypes", "None", "-nolisten", "tcp"))
    wait_until(lambda: os.path.exists("/tmp/.X11-unix/X64999"), what="the display")
    seat.give_authority(server)
    seat.log_in(display=":64999")
    try:
        assert refusal(agent, seat.user.name) == (
            f"the X server of display :64999 is neither user {seat.user.name}'s nor root's")
    finally:
        seat.programs[-1].terminate()
        seat.programs[-1].wait()
    server.run("xdpyinfo")  # its socket is where it was


def test_without_logind_utmp_tells_who_is_at_the_display(agent, seat):
    server = seat.start_server()
    seat.give_authority(server)
    leader = seat.start_desktop(DISPLAY=server.display)
    seat.note_in_utmp(server.display, "", leader.pid)
    assert refusal(agent, seat.add_user().name).startswith("another user than ")
    session_id = agent.create_ready(seat.user.name, **CONSOLE)
    assert isinstance(agent.screenshot(session_id), bytes)
    leader.kill()
    leader.wait()
    assert agent.end_of(session_id) == f"user {seat.user.name} has logged out of the local seat"
    # what is left of the entry is nobody any more
    assert refusal(agent, seat.user.name).startswith("nobody is logged in at an X display")
    other = seat.start_desktop(DISPLAY=server.display)
    seat.note_in_utmp("tty7", server.display, other.pid)
    agent.create_ready(seat.user.name, **CONSOLE)


# --- from end to end -----------------------------------------------------------------------------


def test_dcvctl_makes_shows_and_ends_one(agent, seat):
    seat.start_x11_login()

    def dcvctl(*arguments):
        run = subprocess.run([os.path.join(BUILD, "dcvctl"), "--socket", agent.socket, *arguments],
                             capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 0, run.stderr
        return run.stdout

    dcvctl("create-session", "--type", "console", "--name", "desk", "--owner", seat.user.name)
    session, = agent.describe()
    agent.wait_for(session["Id"], "READY")
    shown = dcvctl("describe-sessions")
    assert session["Id"] in shown and "CONSOLE" in shown
    dcvctl("delete-session", "--session-id", session["Id"], "--owner", seat.user.name)
    agent.wait_for(session["Id"], "DELETED")


def test_a_broker_has_it_made_shown_and_ended(make_agent, make_broker, seat, tmp_path):
    seat.start_x11_login()
    broker = make_broker()
    (tmp_path / "statement").write_text(broker.statement)
    make_agent(settings=f"broker_host = 'localhost'\nbroker_port = {broker.agent_port}\n"
               f"ca_file = '{broker.http.verify}'\n"
               f"software_statement_path = '{tmp_path}/statement'\n")
    wait_until(lambda: broker.ok("/describeServers")["Servers"])
    owner = seat.user.name
    session_id = broker.create(Owner=owner, Type="Console")
    wait_until(lambda: broker.state(session_id) == "READY")
    assert broker.session(session_id)["Type"] == "CONSOLE"
    server, = broker.ok("/describeServers")["Servers"]
    assert (server["ConsoleSessionCount"], server["UnavailabilityReason"]) == (1, "SERVER_FULL")
    shot = broker.ok("/getSessionScreenshots", [{"SessionId": session_id}])
    assert shot["UnsuccessfulList"] == []
    broker.delete(session_id, owner)
    wait_until(lambda: broker.state(session_id) == "DELETED")
    # nobody there: tried as often as failures are, and nothing that is held against the host
    seat.log_out()
    session_id = broker.create(Owner=owner, Type="CONSOLE")
    wait_until(lambda: broker.state(session_id) == "DELETED")
    assert "nobody is logged in at the local seat" in broker.session(session_id)["StateReason"]
    session_id = broker.create(Owner=owner, InitFile="init.sh", DisableRetryOnFailure=True)
    wait_until(lambda: broker.state(session_id) == "READY")
