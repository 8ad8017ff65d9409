"""X servers for tests.

    with XServer("-geometry", "800x600", "-depth", "24") as x:
        x.run("xsetroot", "-solid", "navy")
        x.start("xclock")

The server is Xvnc as an ordinary program: a free display number, an authority file of its own, RFB
on a Unix socket only, everything in a temporary folder. It has answered before `with` is entered, and
it and every client that was started here have ended after it.
"""

import os
import secrets
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

FAMILY_WILD = 65535
READY_TIMEOUT_S = 20
RUN_TIMEOUT_S = 60


def write_authority(path):
    """One cookie for whatever display number the server will choose."""
    fields = [b"", b"", b"MIT-MAGIC-COOKIE-1", secrets.token_bytes(16)]
    entry = struct.pack(">H", FAMILY_WILD)
    for field in fields:
        entry += struct.pack(">H", len(field)) + field
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(entry)


def read_line(descriptor, timeout_s):
    """The line that comes from a descriptor, or what came until its end."""
    text = b""
    deadline = time.monotonic() + timeout_s
    os.set_blocking(descriptor, False)
    while not text.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("nothing came")
        select.select([descriptor], [], [], left)
        try:
            chunk = os.read(descriptor, 100)
        except BlockingIOError:
            continue
        if not chunk:
            break
        text += chunk
    return text.decode().strip()


class XServer:
    def __init__(self, *options, program="Xvnc"):
        self.options = options or ("-geometry", "800x600", "-depth", "24")
        self.program = program
        self.clients = []
        self.process = None

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="xserver-")
        self.authority = os.path.join(self.folder, "authority")
        self.rfb_socket = os.path.join(self.folder, "rfb")
        self.log_path = os.path.join(self.folder, "log")
        write_authority(self.authority)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for client in self.clients:
            if client.poll() is None:
                client.kill()
            client.wait()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)  # it cannot end while it is stopped
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self):
        reading, writing = os.pipe()
        command = [self.program, *self.options, "-auth", self.authority, "-nolisten", "tcp",
                   "-displayfd", str(writing)]
        if self.program == "Xvnc":
            # without -rfbport -1 it would listen on the network too, without a password
            command += ["-SecurityTypes", "None", "-rfbunixpath", self.rfb_socket,
                        "-rfbunixmode", "0600", "-rfbport", "-1", "-extension", "GLX"]
        try:
            with open(self.log_path, "wb") as log:
                self.process = subprocess.Popen(command, pass_fds=[writing], stdout=log,
                                                stderr=log, stdin=subprocess.DEVNULL)
            os.close(writing)
            writing = -1
            number = read_line(reading, READY_TIMEOUT_S)
        finally:
            os.close(reading)
            if writing >= 0:
                os.close(writing)
        if not number:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                raise RuntimeError(f"{self.program} did not start:\n{log.read()}")
        self.display = ":" + number

    @property
    def environment(self):
        return {**os.environ, "DISPLAY": self.display, "XAUTHORITY": self.authority}

    def run(self, *command, **options):
        """Run a client to its end; its result, with output as bytes. It must succeed."""
        return subprocess.run(command, env=self.environment, check=True, timeout=RUN_TIMEOUT_S,
                              stdin=subprocess.DEVNULL, capture_output=True, **options)

    def start(self, *command):
        """Start a client that goes on until the end of the test."""
        client = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.clients.append(client)
        return client

    def wait_for_window(self, name, timeout_s=20):
        """Wait until a window of that name is seen. (There is nothing to wait on but the server.)"""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = subprocess.run(["xwininfo", "-name", name], env=self.environment,
                                   timeout=RUN_TIMEOUT_S, capture_output=True)
            if found.returncode == 0 and b"IsViewable" in found.stdout:
                return
            time.sleep(0.05)
        raise TimeoutError(f"no window '{name}'")

    def stop(self):
        """Freeze the server, as a hung one is; cont() thaws it."""
        self.process.send_signal(signal.SIGSTOP)
        while self._state() not in "Tt":
            time.sleep(0.005)

    def cont(self):
        self.process.send_signal(signal.SIGCONT)

    def _state(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]

    def connect_rfb(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(self.rfb_socket)
        return connection
