"""`dcvctl doctor` on hosts that are well, and on hosts that are broken on purpose."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading

import pytest

from agent_helpers import Agent
from broker_helpers import Broker
from keeper_helpers import BUILD, PAM_DIR, User
from ports import free_port
from waiting import wait_until

DCVCTL = os.path.join(BUILD, "dcvctl")
WELL, WARNINGS, ERRORS = 0, 1, 2

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="users and mounts need root"),
    pytest.mark.skipif(not shutil.which("Xvnc"), reason="needs Xvnc"),
]


@pytest.fixture(scope="module")
def broker():
    """One that nobody breaks."""
    made = Broker().start().log_in()
    yield made
    made.done()


class Findings:
    def __init__(self, done):
        self.status = done.returncode
        answer = json.loads(done.stdout)
        self.all = answer["Findings"]
        assert answer["Errors"] == len(self.of("ERROR"))
        assert answer["Warnings"] == len(self.of("WARNING"))
        assert answer["NotChecked"] == len(self.of("NOT_CHECKED"))
        # how full the disks of the machine are that runs this is not the point
        wrong = {f["State"] for f in self.all}
        assert self.status == (ERRORS if "ERROR" in wrong else WARNINGS if "WARNING" in wrong
                               else WELL)

    def of(self, state, check=None):
        return [f for f in self.all if f["State"] == state and check in (None, f["Check"])]

    def only(self, state):
        """The one finding of this state; there is nothing else to be done but for full disks."""
        found = [f for f in self.of("WARNING") + self.of("ERROR") if f["Check"] != "disk"]
        assert [f["State"] for f in found] == [state], found
        assert found[0]["Advice"]
        return found[0]["Check"], found[0]["Text"]


class Host:
    """Everything that a host needs: keeper, folders, settings, PAM file; an agent if it is started."""

    def __init__(self, service, owner, broker=None):
        self.owner, self.service = owner, service
        self.agent = Agent(self.settings(broker), start=False,
                           keeper_options=("--agent-user", service.name))
        self.keeper = self.agent.keeper
        self.agent.prefix = ("setpriv", f"--reuid={service.uid}", f"--regid={service.gid}",
                             "--init-groups")
        for folder in (self.agent.folder, self.agent.log_folder):
            shutil.chown(folder, service.name, service.name)
        self.pam_dir = os.path.join(self.keeper.folder, "pam.d")
        os.mkdir(self.pam_dir)
        shutil.copy(os.path.join(PAM_DIR, "dcv-session-keeper"), self.pam_dir)
        if broker:
            self.put_trust(broker)

    def settings(self, broker):
        text = "default_session = '/bin/true'\n"
        if broker:
            text += (f"broker_host = 'localhost'\nbroker_port = {broker.agent_port}\n"
                     "ca_file = 'CA'\nsoftware_statement_path = 'STATEMENT'\n")
        return text

    def put_trust(self, broker):
        self.ca = os.path.join(self.keeper.folder, "ca.pem")
        shutil.copy(broker.http.verify, self.ca)
        os.chmod(self.ca, 0o644)
        self.replace("'CA'", f"'{self.ca}'")
        self.statement = os.path.join(self.keeper.folder, "statement")
        pathlib.Path(self.statement).write_text(broker.statement)
        os.chmod(self.statement, 0o640)
        shutil.chown(self.statement, "root", self.service.name)
        self.replace("STATEMENT", self.statement)

    def replace(self, old, new):
        text = pathlib.Path(self.keeper.conf).read_text()
        assert old in text
        pathlib.Path(self.keeper.conf).write_text(text.replace(old, new))

    def command(self, *more):
        return [DCVCTL, "--socket", self.agent.socket, "doctor", "--agent-conf", self.keeper.conf,
                "--state-dir", self.agent.state_folder, "--agent-user", self.service.name,
                "--keeper-socket", self.keeper.path, "--keeper-log-dir", self.keeper.log_dir,
                "--pam-dir", self.pam_dir, "--owner", self.owner.name, *more]

    def examine(self, *more, prefix=(), env=None):
        done = subprocess.run([*prefix, *self.command("--json", *more)], text=True, timeout=60, env=env,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert done.stderr == "", done
        return Findings(done)

    def done(self):
        self.agent.done()


@pytest.fixture
def make_host(service, alice):
    made = []

    def make(broker=None, start=True, owner=alice):
        made.append(Host(service, owner, broker))
        if start:
            made[-1].agent.start()
        return made[-1]
    yield make
    for host in made:
        host.done()


@pytest.fixture(scope="module")
def standing(service, alice):
    """A host with an agent that runs. Whoever breaks it mends it."""
    host = Host(service, alice)
    try:
        host.agent.start()
        yield host
    finally:
        host.done()


# --- well ----------------------------------------------------------------------------------------


def is_linked(host):
    local = host.agent.call_well("/describeServers")["Servers"][0]["Local"]
    return local["BrokerLinked"]


def test_a_host_that_is_well_has_nothing_to_be_done(make_host, broker):
    host = make_host(broker)
    wait_until(lambda: is_linked(host))
    findings = host.examine()
    assert [f for f in findings.all if f["State"] != "OK" and f["Check"] != "disk"] == []
    assert {f["Check"] for f in findings.all} == {
        "settings", "account", "folders", "tags", "disk", "programs", "pam", "keeper", "broker",
        "certificate", "clock", "viewer", "owner", "agent", "availability", "link"}
    assert all("Advice" not in f for f in findings.of("OK"))


def test_people_read_a_line_for_each_finding_and_what_to_do(standing):
    done = subprocess.run(standing.command("--xserver", "no-such-program"), text=True, timeout=60,
                          capture_output=True, check=False)
    assert done.returncode == ERRORS
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("ERROR "))
    assert "programs" in lines[at] and "no-such-program" in lines[at]
    assert lines[at + 1].lstrip().startswith("-> Install")
    assert lines[-1].startswith("1 errors, ")


def test_a_wrong_command_line_is_no_host_that_is_well():
    assert subprocess.run([DCVCTL, "doctor", "--nonsense"], capture_output=True,
                          timeout=60, check=False).returncode == 2


# --- settings and folders ------------------------------------------------------------------------


def test_settings_that_are_wrong_are_told_with_their_line(make_host):
    host = make_host(start=False)
    host.replace("geometry", "broker_port = 'x'\ngeometry")
    (found,) = host.examine().of("ERROR", "settings")
    assert "line 7: agent.broker_port: expected" in found["Text"]


@pytest.fixture
def modes(standing):
    """modes(path, mode[, user]): change it until the test is over."""
    undo = []

    def change(path, mode, user=None):
        status = os.stat(path)
        undo.append((path, status))
        os.chmod(path, mode)
        if user:
            shutil.chown(path, user)
    yield change
    for path, status in reversed(undo):
        os.chmod(path, status.st_mode & 0o7777)
        os.chown(path, status.st_uid, status.st_gid)


def test_a_folder_that_others_can_write_is_an_error(standing, modes):
    modes(standing.keeper.init_folder, 0o777)
    check, text = standing.examine().only("ERROR")
    assert check == "folders" and f"{standing.keeper.init_folder} can be written by others" in text


def test_a_parent_that_belongs_to_somebody_is_an_error(standing, modes, alice):
    modes(standing.keeper.folder, 0o755, alice.name)
    errors = standing.examine().of("ERROR", "folders")
    assert len(errors) >= 2
    assert all(f"{standing.keeper.folder} belongs to uid {alice.uid}" in f["Text"] for f in errors)


def test_a_folder_that_owners_cannot_enter_is_a_warning(standing, modes):
    modes(standing.keeper.autorun_folder, 0o700)
    check, text = standing.examine().only("WARNING")
    assert check == "folders" and standing.keeper.autorun_folder in text


def test_a_folder_that_is_missing_is_a_warning(standing):
    os.rename(standing.keeper.autorun_folder, standing.keeper.autorun_folder + ".away")
    try:
        check, text = standing.examine().only("WARNING")
    finally:
        os.rename(standing.keeper.autorun_folder + ".away", standing.keeper.autorun_folder)
    assert check == "folders" and "is not there" in text


def test_a_tag_file_that_is_wrong_is_a_warning(make_host, tmp_path):
    host = make_host(start=False)
    (tmp_path / "10.toml").write_text("rack = 'b4'\n\nbroken =\n")
    os.chmod(tmp_path, 0o755)
    host.replace("[agent]\n", f"[agent]\ntags_folder = '{tmp_path}'\n")
    (found,) = host.examine().of("WARNING", "tags")
    assert f"{tmp_path}/10.toml: line 3" in found["Text"] and "man agent.conf" in found["Advice"]


def test_a_log_folder_that_the_agent_cannot_write_is_an_error(standing, modes):
    modes(standing.agent.log_folder, 0o755, "root")
    check, text = standing.examine().only("ERROR")
    assert check == "folders" and f"cannot write the log in {standing.agent.log_folder}" in text
    assert "root:" in text and "mode 0755" in text


def test_a_folder_that_comes_with_the_service_is_only_a_warning(make_host):
    host = make_host(start=False)
    host.agent.socket = os.path.join(host.keeper.folder, "none", "agent.sock")
    (found,) = host.examine().of("WARNING", "folders")
    assert os.path.dirname(host.agent.socket) in found["Text"] and "systemd" in found["Advice"]


def test_a_statement_that_the_agent_cannot_read_is_an_error(make_host, broker):
    host = make_host(broker, start=False)
    os.chmod(host.statement, 0o600)
    (found,) = host.examine().of("ERROR", "folders")
    assert host.statement in found["Text"] and "Permission denied" in found["Text"]


# --- accounts ------------------------------------------------------------------------------------


def test_an_agent_without_an_account_is_an_error(standing):
    check, text = standing.examine("--agent-user", "no-such-user").only("ERROR")
    assert check == "account" and "no-such-user" in text


@pytest.mark.parametrize("command, text", [
    (("chage", "-E", "0"), "expired"), (("usermod", "-p", "!x"), "locked"),
    (("usermod", "-s", "/bin/false"), "no login shell")])
def test_an_owner_who_can_have_no_session_is_an_error(standing, command, text):
    user = User()
    try:
        subprocess.run([*command, user.name], check=True)
        found = standing.examine("--owner", user.name).only("ERROR")
    finally:
        user.remove()
    assert found[0] == "owner" and text in found[1]


def test_an_owner_of_a_system_account_is_an_error(standing):
    check, text = standing.examine("--owner", "daemon").only("ERROR")
    assert check == "owner" and "system accounts" in text


def test_a_user_is_told_what_could_not_be_checked(standing, alice):
    findings = standing.examine(prefix=("setpriv", f"--reuid={alice.uid}", f"--regid={alice.gid}",
                                        "--init-groups"))
    assert {f["Check"] for f in findings.of("NOT_CHECKED")} >= {"keeper", "folders"}
    assert all(f["Advice"] == "Ask as root." for f in findings.of("NOT_CHECKED", "keeper"))
    assert [f["Text"] for f in findings.of("OK", "owner")], findings.all
    assert findings.of("ERROR") == [], findings.of("ERROR")


# --- disks ---------------------------------------------------------------------------------------


def test_disks_that_are_full_are_errors(standing):
    script = ("mount -t tmpfs -o size=1m none /home && "
              "mount -t tmpfs -o size=20m none /run && exec \"$@\"")
    findings = standing.examine(prefix=("unshare", "-m", "sh", "-c", script, "sh"))
    told = {f["Text"].split()[0]: f["State"] for f in findings.all if f["Check"] == "disk"}
    assert (told["/home"], told["/run"]) == ("ERROR", "WARNING")
    # and with the disk the owner's home has gone
    assert "does not exist" in findings.of("ERROR", "owner")[0]["Text"]


# --- programs and PAM ----------------------------------------------------------------------------


def test_a_host_without_an_x_server_is_told_what_to_install(standing):
    check, text = standing.examine("--xserver", "/nowhere/Xvnc").only("ERROR")
    assert check == "programs" and "X server" in text and "/nowhere/Xvnc" in text


def test_a_host_without_a_desktop_is_told_what_to_install(make_host):
    host = make_host(start=False)
    host.replace("/bin/true", "/nowhere/Xsession")
    (found,) = host.examine().of("ERROR", "programs")
    assert "desktop" in found["Text"] and "apt install" in found["Advice"]


def test_a_dcv_engine_without_its_command_is_an_error(make_host):
    host = make_host(start=False)
    host.replace("geometry", "engine = 'dcv'\ndcv_root = '/nowhere/dcv'\ngeometry")
    (found,) = host.examine().of("ERROR", "programs")
    assert "/nowhere/dcv" in found["Text"]


def test_pam_without_our_service_is_an_error(standing):
    check, text = standing.examine("--pam-dir", standing.keeper.folder).only("ERROR")
    assert check == "pam" and "there is no PAM file" in text


def test_a_pam_file_that_others_can_write_is_an_error(standing, modes):
    modes(os.path.join(standing.pam_dir, "dcv-session-keeper"), 0o666)
    check, text = standing.examine().only("ERROR")
    assert check == "pam" and "can be written by others" in text


# --- keeper and agent ----------------------------------------------------------------------------


def test_a_keeper_that_does_not_run_is_an_error(standing, tmp_path):
    check, text = standing.examine("--keeper-socket", tmp_path / "nothing").only("ERROR")
    assert check == "keeper" and "no keeper can be reached" in text


def test_a_keeper_that_hangs_up_is_an_error(standing, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "listen"))
        listener.listen()
        thread = threading.Thread(target=lambda: listener.accept()[0].close())
        thread.start()
        check, text = standing.examine("--keeper-socket", tmp_path / "listen").only("ERROR")
        thread.join()
    assert check == "keeper" and "does not talk to us" in text


def test_an_agent_whose_keeper_has_ended_says_why_it_is_of_no_use(make_host):
    host = make_host()
    host.keeper.process.terminate()
    host.keeper.process.wait()
    findings = host.examine()
    assert findings.of("ERROR", "keeper") and findings.of("OK", "agent")
    (found,) = findings.of("ERROR", "availability")
    assert host.keeper.path in found["Text"]


def test_an_ordinary_user_can_try_it_without_root(make_host, alice):
    """Agent, keeper and folders of one's own: nothing is wrong but that it is for oneself."""
    agent = Agent(user=alice.name, start=False, prefix=(
        "setpriv", f"--reuid={alice.uid}", f"--regid={alice.gid}", "--init-groups"),
        settings="default_session = '/bin/true'\n")
    try:
        agent.start()
        done = subprocess.run(
            [*agent.prefix, DCVCTL, "--socket", agent.socket, "--output", "json", "doctor",
             "--agent-conf", agent.keeper.conf, "--state-dir", agent.state_folder,
             "--agent-user", "no-such-user", "--keeper-socket", agent.keeper.path,
             "--keeper-log-dir", agent.keeper.log_dir],
            text=True, capture_output=True, timeout=60, check=False)
        findings = Findings(done)
    finally:
        agent.done()
    assert findings.of("ERROR") == [] and findings.of("NOT_CHECKED") == []
    warnings = [f for f in findings.of("WARNING") if f["Check"] != "disk"]
    assert [f["Check"] for f in warnings] == ["account", "keeper"]
    assert alice.name in findings.of("OK", "owner")[0]["Text"]


def test_an_agent_that_does_not_run_is_an_error_and_the_rest_is_still_checked(make_host):
    host = make_host(start=False)
    findings = host.examine()
    check, text = findings.only("ERROR")
    assert check == "agent" and host.agent.socket in text
    assert {"settings", "account", "folders", "programs", "pam", "keeper", "owner"} <= {
        f["Check"] for f in findings.of("OK")}


def test_a_host_that_was_closed_is_a_warning(make_host):
    host = make_host()
    server = host.agent.call_well("/describeServers")["Servers"][0]["Id"]
    host.agent.call_well("/closeServers", [{"ServerId": server}])
    check, text = host.examine().only("WARNING")
    assert check == "availability" and "closed" in text


# --- the broker ----------------------------------------------------------------------------------


def test_a_broker_that_is_not_there_is_an_error(make_host, broker):
    host = make_host(broker, start=False)
    host.replace(f"broker_port = {broker.agent_port}", f"broker_port = {free_port()}")
    (found,) = host.examine().of("ERROR", "broker")
    assert "Connection refused" in found["Text"]


def test_a_broker_of_another_authority_is_an_error(make_host, broker, certificates):
    host = make_host(broker, start=False)
    host.replace(host.ca, str(certificates / "ca.pem"))
    (found,) = host.examine().of("ERROR", "broker")
    assert "certificate is not trusted" in found["Text"]


def test_a_certificate_that_is_not_verified_is_a_warning(make_host, broker):
    host = make_host(broker, start=False)
    host.replace("geometry", "tls_strict = false\ngeometry")
    findings = host.examine()
    assert ["tls_strict" in f["Text"] for f in findings.of("WARNING", "certificate")] == [True]
    assert findings.of("OK", "broker")


def test_a_clock_that_is_wrong_and_a_certificate_near_its_end_are_told(make_host, broker, fake_time):
    host = make_host(broker, start=False)
    findings = host.examine(env=os.environ | fake_time("+390d"))
    (clock,) = findings.of("ERROR", "clock")
    assert f"{390 * 86400}"[:4] in clock["Text"] and "before the broker's" in clock["Text"]
    (certificate,) = findings.of("WARNING", "certificate")
    assert "good for 6 more days" in certificate["Text"]


def test_a_link_that_is_refused_is_an_error_although_the_broker_is_well(make_host, broker):
    host = make_host(broker, start=False)
    pathlib.Path(host.statement).write_text("bm8gc3RhdGVtZW50")
    host.agent.start()
    wait_until(lambda: "BrokerTrouble" in host.agent.call_well(
        "/describeServers")["Servers"][0]["Local"])
    wait_until(lambda: host.agent.call_well(
        "/describeServers")["Servers"][0]["Local"]["BrokerTrouble"])
    findings = host.examine()
    check, text = findings.only("ERROR")
    assert check == "link" and "not linked" in text and findings.of("OK", "broker")


# --- the viewer ----------------------------------------------------------------------------------


def test_a_viewer_whose_port_another_program_has_is_told_what_to_do(make_host, service):
    host = make_host(start=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with open(host.keeper.conf, "a", encoding="utf-8") as conf:
            conf.write(f"\n[viewer]\nport = {port}\nuser = '{service.name}'\n")
        (found,) = host.examine().of("WARNING", "viewer")
        assert found["Text"] == f"port {port}, the viewer's, is taken by a program of root"
        assert "under [viewer] in agent.conf, port = 8444" in found["Advice"]
    (found,) = host.examine().of("WARNING", "viewer")
    assert found["Text"] == f"no viewer listens on port {port}"
