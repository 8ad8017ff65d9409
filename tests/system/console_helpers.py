"""A local seat: a real Xorg without a screen (its dummy driver), somebody's programs on it, and the
files with which logind would tell of the login. Those are made in a mount namespace, where the agent
and its keeper run; nothing else of them is any different."""

import os
import shutil
import struct
import subprocess
import tempfile

from keeper_helpers import User, uid_of, wait_for
from namespace_helpers import namespace
from xserver import XServer

XORG = "/usr/lib/xorg/Xorg"
SLEEP = ("sleep", "100000")
CONFIGURATION = """
Section "Device"
    Identifier "none"
    Driver "dummy"
EndSection
Section "Screen"
    Identifier "none"
    Device "none"
    DefaultDepth 24
    SubSection "Display"
        Virtual 640 480
    EndSubSection
EndSection
Section "ServerFlags"
    Option "AutoAddDevices" "false"
EndSection
"""
EMPTY_RUN = """
mount -t tmpfs -o mode=755 none /run
echo ready
read line
"""
WITHOUT_TERMINAL = ("-sharevts", "-novtswitch", "vt7")  # it takes none away from anybody
USER_PROCESS = 7


class Seat:
    """`user` is logged in; more users come with add_user(). Use as a context."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="seat-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.users, self.programs, self.servers = [], [], []
        self.namespace = namespace("-m", script=EMPTY_RUN)
        self.prefix = self.namespace.__enter__()
        # nsenter -t PID -m
        self.run = f"/proc/{self.prefix[2]}/root/run"
        self.user = self.add_user()
        return self

    def __exit__(self, *_):
        for program in self.programs:
            program.kill()
            program.wait()
        for server in self.servers:
            server.__exit__()
        for user in self.users:
            user.remove()
        self.namespace.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    def add_user(self):
        self.users.append(User())
        return self.users[-1]

    # --- what logind says ------------------------------------------------------------------------

    def write(self, path, *lines):
        """Replace a file below /run as logind does: those who watch see one change."""
        path = os.path.join(self.run, path)
        with open(path + ".new", "w", encoding="ascii") as file:
            file.writelines(line + "\n" for line in lines)
        os.rename(path + ".new", path)

    def start_logind(self):
        for folder in ("seats", "sessions"):
            os.makedirs(os.path.join(self.run, "systemd", folder), exist_ok=True)

    def stop_logind(self):
        shutil.rmtree(os.path.join(self.run, "systemd"), ignore_errors=True)

    def has_seat(self, graphical=True, active=None):
        self.start_logind()
        lines = [f"CAN_GRAPHICAL={int(graphical)}"]
        if active:
            lines += [f"ACTIVE={active}", "ACTIVE_UID=0"]
        self.write("systemd/seats/seat0", *lines)

    def log_in(self, user=None, display=None, kind="x11", role="user", state="active", login="7"):
        """Somebody is logged in, as logind knows it; `user` of the seat if nobody else is named."""
        self.start_logind()
        lines = [f"UID={(user or self.user).uid}", "SEAT=seat0", f"TYPE={kind}", f"CLASS={role}",
                 f"STATE={state}", "ACTIVE=1"]
        if display:
            lines.append(f"DISPLAY={display}")
        self.write(f"systemd/sessions/{login}", *lines)
        self.has_seat(active=login)

    def log_out(self, login="7"):
        self.has_seat()
        os.unlink(os.path.join(self.run, "systemd/sessions", login))

    def note_in_utmp(self, line, host, pid):
        entry = struct.pack("hi32s4s32s256shhiii4i20s", USER_PROCESS, pid, line.encode(), b"",
                            self.user.name.encode(), host.encode(), 0, 0, 0, 0, 0, 0, 0, 0, 0,
                            b"")
        with open(os.path.join(self.run, "utmp"), "wb") as file:
            file.write(entry)

    # --- the display -----------------------------------------------------------------------------

    def start_server(self, *options, program=XORG):
        """An X server as a login screen starts it: as root, with an authority file of its own."""
        if os.path.realpath(program) == XORG:
            path = os.path.join(self.folder, "xorg.conf")
            with open(path, "w", encoding="ascii") as file:
                file.write(CONFIGURATION)
            options = ("-config", path, "-noreset", "-logfile", "/dev/null", *WITHOUT_TERMINAL, *options)
        self.servers.append(XServer(*options, program=program).__enter__())
        return self.servers[-1]

    def give_authority(self, server, user=None, path=None):
        """A copy of the cookie for a user, as the login screen makes it; its path."""
        user = user or self.user
        path = path or os.path.join(user.home, ".Xauthority")
        shutil.copy(server.authority, path)
        os.chown(path, user.uid, user.gid)
        os.chmod(path, 0o600)
        return path

    def start_desktop(self, user=None, command=SLEEP, **environment):
        """A program of the user, with this in its environment."""
        user = user or self.user
        self.programs.append(subprocess.Popen(
            ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups", *command],
            env={"PATH": os.environ["PATH"], "HOME": user.home, **environment}, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        program = self.programs[-1]
        # its own environment is there with its own name
        wait_for(lambda: uid_of(program.pid) == user.uid and comm(program.pid) == command[0],
                 "the program to run")
        return program

    def start_x11_login(self):
        """All of it, with the display that logind knows and the authority in the home folder."""
        server = self.start_server()
        self.give_authority(server)
        self.log_in(display=server.display)
        return server


def comm(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return file.read().strip()


def is_alive(process):
    return process.poll() is None
