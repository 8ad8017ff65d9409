"""A real dcv-session-keeper in a temporary folder, its protocol, and users to be its owners."""

import array
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import uuid

from waiting import PATIENCE_S as PATIENCE
from waiting import wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("DCV_BUILD", os.path.join(ROOT, "build"))
PROGRAM = os.path.join(BUILD, "dcv-session-keeper")
PAM_DIR = os.path.join(ROOT, "packaging", "pam")
MESSAGE_MAX = 65536


def pack(fields):
    """The packet of a list of (name, value); values are text or bytes."""
    out = b""
    for name, value in fields:
        if isinstance(value, str):
            value = value.encode()
        out += name.encode() + b"=" + value + b"\0"
    return out


def unpack(packet):
    assert packet.endswith(b"\0"), packet
    return dict(entry.decode().split("=", 1) for entry in packet[:-1].split(b"\0"))


class Gone(Exception):
    """The keeper closed the connection."""


class Connection:
    """One connection to a keeper or its listener."""

    def __init__(self, path=None, fd=None):
        self.socket = (socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) if fd is None
                       else socket.socket(fileno=fd))
        self.socket.settimeout(PATIENCE)
        if fd is None:
            self.socket.connect(path)
        self.seen = []

    @classmethod
    def given(cls, fd):
        """One that is connected already; the descriptor is taken over."""
        return cls(fd=fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, *fields):
        self.socket.send(pack(fields))

    def receive(self):
        """One event as a dict; a descriptor that came along is under 'fd'."""
        fds = array.array("i")
        packet, control, _, _ = self.socket.recvmsg(MESSAGE_MAX, socket.CMSG_SPACE(4))
        if not packet:
            raise Gone()
        event = unpack(packet)
        for level, kind, data in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[:4])
                event["fd"] = fds[0]
        self.seen.append(event)
        return event

    def until(self, *names):
        """The first event of one of these names."""
        while True:
            event = self.receive()
            if event.get("EVENT") in names:
                return event

    def start(self, session_id, owner, init=None, autorun=None, arguments=()):
        fields = [("OPERATION", "start"), ("SESSION_ID", session_id), ("OWNER", owner)]
        if init is not None:
            fields.append(("INIT_FILE", init))
        if autorun is not None:
            fields.append(("AUTORUN_FILE", autorun))
        fields += [("ARGUMENT", argument) for argument in arguments]
        self.send(*fields)

    def stop(self, reason=None):
        fields = [("OPERATION", "stop")]
        if reason is not None:
            fields.append(("REASON", reason))
        self.send(*fields)

    def close(self):
        self.socket.close()


class Keeper:
    """`dcv-session-keeper --listen` with a configuration and folders of its own."""

    def __init__(self, prefix=(), user=None, create_timeout=30, delete_grace=2, options=(),
                 settings="", pam_dir=PAM_DIR):
        self.folder = tempfile.mkdtemp(prefix="keeper-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.init_folder = os.path.join(self.folder, "init")
        self.autorun_folder = os.path.join(self.folder, "autorun")
        self.run_dir = os.path.join(self.folder, "run")
        self.log_dir = os.path.join(self.folder, "log")
        self.path = os.path.join(self.folder, "socket", "listen")
        self.conf = os.path.join(self.folder, "agent.conf")
        for folder in (self.init_folder, self.autorun_folder):
            os.mkdir(folder, 0o755)
        if "settle_time" not in settings:  # most tests are not about desktops
            settings = "settle_time = 0\n" + settings
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(
                "version = '0.1'\n[agent]\n"
                f"init_folder = '{self.init_folder}'\nautorun_folder = '{self.autorun_folder}'\n"
                f"create_timeout = {create_timeout}\ndelete_grace = {delete_grace}\n"
                f"geometry = '640x480'\n{settings}\n")
        if user:
            for folder in (self.run_dir, os.path.dirname(self.path), self.log_dir):
                os.mkdir(folder, 0o755)
                shutil.chown(folder, user)
        self.process = subprocess.Popen(
            [*prefix, PROGRAM, "--listen", self.path, "--run-dir", self.run_dir,
             "--log-dir", self.log_dir, "--conf", self.conf, "--pam-dir", pam_dir,
             "--agent-user", "root", *options],
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.stderr, self.is_over, self.news = b"", False, threading.Condition()
        self.connections = []
        self.reader = threading.Thread(target=self.drain, daemon=True)
        self.reader.start()
        self.wait_for_line(b"listening at")

    def drain(self):
        """Take its messages as they come: a full pipe would hold it up."""
        while chunk := os.read(self.process.stderr.fileno(), 65536):
            with self.news:
                self.stderr += chunk
                self.news.notify_all()
        with self.news:
            self.is_over = True
            self.news.notify_all()

    def wait_for_line(self, text):
        """Until one of its messages has this text. It is the sign of being ready."""
        with self.news:
            self.news.wait_for(lambda: text in self.stderr or self.is_over, PATIENCE)
            assert text in self.stderr, f"no '{text}' in: {self.stderr.decode()}"

    def messages(self):
        """What it has said up to now."""
        with self.news:
            return self.stderr.decode(errors="replace")

    def file(self, folder, name, text, mode=0o755):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return name

    def init(self, text, name="init.sh", mode=0o755):
        return self.file(self.init_folder, name, text, mode)

    def autorun(self, text, name="autorun.sh", mode=0o755):
        return self.file(self.autorun_folder, name, text, mode)

    def connect(self, path=None):
        connection = Connection(path or self.path)
        self.connections.append(connection)
        return connection

    def control(self, number):
        return self.connect(os.path.join(self.run_dir, str(number), "control"))

    def start(self, owner, init=None, autorun=None, arguments=(), session_id=None):
        """Ask for a session; the connection and its id."""
        session_id = session_id or new_id()
        connection = self.connect()
        connection.start(session_id, owner, init, autorun, arguments)
        return connection, session_id

    def numbers(self):
        if not os.path.isdir(self.run_dir):
            return []
        return [name for name in os.listdir(self.run_dir) if name.isdigit()]

    def log_of(self, session_id):
        """What its programs have printed, as lines like "init: text"."""
        return b"".join(line.split(b" ", 1)[1] for line in self.whole_log_of(session_id)
                        if line.split(b" ", 2)[1] not in (b"keeper:", b"pam:"))

    def whole_log_of(self, session_id):
        """The lines of the session's log, with their times. One that is still being written is none."""
        with open(os.path.join(self.log_dir, session_id + ".log"), "rb") as file:
            return [line for line in file if line.endswith(b"\n")]

    def done(self):
        for connection in self.connections:
            connection.close()
        for number in self.numbers():
            try:
                control = self.control(number)
                control.stop()
                control.until("ended", "failed")
            except (OSError, Gone):
                pass
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)  # until its last keeper has gone
        shutil.rmtree(self.folder, ignore_errors=True)
        for sign in ("Sanitizer", "runtime error", "left behind", "Alarm clock"):
            assert sign not in self.messages(), self.messages()


def new_id():
    return "t" + uuid.uuid4().hex[:12]


class User:
    """A user of the host for the time of a test."""

    def __init__(self, *options, name=None, home=True):
        self.name = name or "dk" + uuid.uuid4().hex[:8]
        run("useradd", "-m" if home else "-M", "-s", "/bin/sh", *options, self.name)
        fields = subprocess.check_output(["getent", "passwd", self.name], text=True).split(":")
        self.uid, self.gid, self.home = int(fields[2]), int(fields[3]), fields[5]

    def processes(self):
        """Living ones; the service manager that systemd gives to a user is not a session's."""
        return [pid for pid in pids()
                if uid_of(pid) == self.uid and name_of(pid) not in ("systemd", "(sd-pam)")]

    def remove(self, keep_home=False):
        def living():
            return [pid for pid in pids() if uid_of(pid) == self.uid]

        for pid in living() if self.uid else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.uid:
            wait_for(lambda: not living(), "the end of the user's processes")
        subprocess.run(["userdel", "-f" if keep_home else "-rf", self.name],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def uid_of(pid):
    """The real uid of a living process."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields["State"].strip().startswith("Z") else int(fields["Uid"].split()[0])


def of_session(session_id):
    """Living processes that carry this session's id."""
    found = []
    for pid in pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if f"DCV_SESSION_ID={session_id}".encode() in file.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            pass
    return found


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def x_sockets(uid):
    folder = "/tmp/.X11-unix"
    if not os.path.isdir(folder):
        return []
    return [name for name in os.listdir(folder)
            if os.lstat(os.path.join(folder, name)).st_uid == uid]


def x_answers(display, authority, user):
    """Whether an X client of this user is let in."""
    return subprocess.run(
        ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups", "env",
         f"DISPLAY={display}", f"XAUTHORITY={authority}", "xdpyinfo"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def tcp_listeners(pid):
    """Ports at which a process listens, by the inodes of its descriptors."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = []
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="utf-8") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    ports.append(fields[1])
    return ports


def wait_for(condition, what):
    """wait_until(), which says what it waited for."""
    return wait_until(condition, what=what)
