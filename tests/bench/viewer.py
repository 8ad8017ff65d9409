"""Benchmarks of the viewer: what bridging a session to a browser costs beside a plain TLS copy of the same
bytes, and beside websockify. Prints a table in Markdown.

Run by `make bench-viewer`. All sides are measured in turns, over one connection each, in many short
rounds; a ratio is the median of those of the rounds, for what else the machine does changes slower. A double of an agent lets everybody in, and a double of an X server says what such servers say:
rectangles of the usual encodings and sizes, whose contents nobody between server and browser looks at.
"""

import contextlib
import multiprocessing
import os
import pathlib
import random
import shutil
import socket
import socketserver
import statistics
import struct
import subprocess
import tempfile
import threading
import time
import zlib

from bench_helpers import (BUILD, ROOT, begin_table, cpu_s, ended, left_out, make_certificate, pss_kb,
                           ratio, row)

from ports import free_port
from rfb_client import COPY_RECT, PIXEL_FORMAT, RAW, TIGHT, ZRLE, Rfb
from viewer_helpers import CONTEXT, PROTOCOL, Browser

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "61"))
KEYS = 50  # of a round
STREAM_BYTES = 16000000  # of a round
N_IDLE = 100
PAGE = ROOT / "agent/viewer/page"
WIDTH, HEIGHT = 1920, 1080
ECHO_BYTES = 4 + 12 + 4 * 8 * 16  # an update with one character
ALL_FEATURES = 2**32 - 1


# --- an X server -------------------------------------------------------------------------------


def tight_length(n):
    if n < 1 << 7:
        return bytes([n])
    if n < 1 << 14:
        return bytes([n & 0x7F | 0x80, n >> 7])
    return bytes([n & 0x7F | 0x80, n >> 7 & 0x7F | 0x80, n >> 14])


def rectangle(dice):
    """One of a video, of text, or of a window that was moved."""
    kind = dice.choices(("jpeg", "basic", "palette", "fill", "zrle", "raw", "copy"),
                        (20, 25, 25, 15, 8, 2, 5))[0]
    length = int(200 * 150 ** dice.random())
    size, bits = (64, 64), dice.randbytes(length)
    if kind == "jpeg":
        encoding, body = TIGHT, b"\x90" + tight_length(length) + bits
    elif kind == "basic":
        encoding, body = TIGHT, b"\0" + tight_length(length) + bits
    elif kind == "palette":
        encoding, body = TIGHT, b"\x40\x01\x07" + dice.randbytes(24) + tight_length(length) + bits
    elif kind == "fill":
        encoding, body = TIGHT, b"\x80abc"
    elif kind == "zrle":
        encoding, body = ZRLE, struct.pack(">I", length) + bits
    elif kind == "raw":
        encoding, size, body = RAW, (32, 16), dice.randbytes(4 * 32 * 16)
    else:
        encoding, body = COPY_RECT, b"\0\1\0\1"
    return struct.pack(">HHHHi", 0, 0, *size, encoding) + body


def stream():
    """Updates, to be sent as one piece."""
    dice = random.Random(1)
    updates = bytearray()
    while len(updates) < STREAM_BYTES // 8:
        n = dice.randint(1, 60)
        updates += struct.pack(">BxH", 0, n)
        for _ in range(n):
            updates += rectangle(dice)
    return bytes(updates) * 8


class XServer(socketserver.StreamRequestHandler):
    """Answers a request for the whole screen with all of the stream, and a key with a character."""

    def handle(self):
        read, write = self.rfile.read, self.request.sendall
        write(b"RFB 003.008\n")
        read(12)
        write(b"\1\1")
        read(1)
        write(bytes(4))
        read(1)
        write(struct.pack(">HH", WIDTH, HEIGHT) + PIXEL_FORMAT + struct.pack(">I", 1) + b"x")
        while kind := read(1):
            if kind == b"\2":
                read(4 * struct.unpack(">xH", read(3))[0])
            else:
                message = read({0: 19, 3: 9, 4: 7}[kind[0]])
                if kind == b"\3" and message[0] == 0:
                    write(self.server.stream)
                elif kind == b"\4" and message[0] == 1:
                    write(struct.pack(">BxHHHHHi", 0, 1, 0, 0, 8, 16, RAW) + bytes(4 * 8 * 16))


class XServers(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads, request_queue_size = True, 256


@contextlib.contextmanager
def x_server(path):
    server = XServers(str(path), XServer)
    server.stream = stream()
    process = multiprocessing.Process(target=server.serve_forever)
    process.start()
    with ended_process(process):
        yield server.stream


@contextlib.contextmanager
def ended_process(process):
    try:
        yield
    finally:
        process.terminate()
        process.join()


# --- an agent ----------------------------------------------------------------------------------


def admit(viewer, rfb_path):
    """Let everybody in, until the viewer goes."""
    while packet := viewer.recv(65536):
        fields = dict(entry.decode().split("=", 1) for entry in packet[:-1].split(b"\0"))
        if fields["OPERATION"] != "connect":
            continue
        answer = (f"EVENT=connected\0TAG={fields['TAG']}\0USER=mira\0FEATURES={ALL_FEATURES}\0"
                  "IS_OWNER=1\0IS_CONSOLE=0\0")
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(str(rfb_path))
            socket.send_fds(viewer, [answer.encode()], [server.fileno()])


def serve_as_agent(listener, rfb_path):
    while True:
        viewer, _ = listener.accept()
        admit(viewer, rfb_path)


@contextlib.contextmanager
def agent(folder, rfb_path):
    path = folder / "agent"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen()
    threading.Thread(target=serve_as_agent, args=(listener, rfb_path), daemon=True).start()
    yield path


# --- clients -----------------------------------------------------------------------------------


class Plain:
    """TLS, and nothing else."""

    def __init__(self, port):
        self.socket = CONTEXT.wrap_socket(socket.create_connection(("127.0.0.1", port)))
        self.send = self.socket.sendall

    def read(self, n):
        found = b""
        while len(found) < n:
            found += self.socket.recv(n - len(found))
        return found

    def pieces(self):
        while True:
            yield self.socket.recv(65536)


class Framed(Browser):
    """A browser that can take a stream without keeping it."""

    def pieces(self):
        assert not self.binary
        while True:
            opcode, left = self.head()
            while left > 0:
                if not self.bytes:
                    self.receive()
                piece, self.bytes = self.bytes[:left], self.bytes[left:]
                left -= len(piece)
                if opcode in (0, 2):
                    yield piece

    def head(self):
        first, length = self.take(2)
        if length == 126:
            (length,) = struct.unpack(">H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.take(8))
        return first & 15, length


def take(source, n, look):
    for piece in source.pieces():
        look(piece)
        n -= len(piece)
        if n <= 0:
            assert n == 0, "more than was sent"
            return


class Side:
    """One way from a client to the X server: connect() gives a source for Rfb."""

    def __init__(self, name, process, connect):
        self.name, self.process, self.connect = name, process, connect
        self.cpus_s, self.rates, self.trips_ms, self.key_cpus_us = [], [], [], []
        self.rfb = self.enter()

    def enter(self):
        source = self.connect()
        source.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as browsers do
        rfb = Rfb(source, [TIGHT, ZRLE, COPY_RECT])
        rfb.request(incremental=True)
        return rfb

    def check(self, whole):
        """The stream arrives as it was sent."""
        seen = 0

        def look(piece):
            nonlocal seen
            seen = zlib.crc32(piece, seen)

        self.rfb.request()
        take(self.rfb.source, len(whole), look)
        assert seen == zlib.crc32(whole), f"{self.name} changes the stream"

    def stream(self, n_bytes):
        used, began = cpu_s(self.process), time.monotonic()
        self.rfb.request()
        take(self.rfb.source, n_bytes, len)
        self.cpus_s.append(cpu_s(self.process) - used)
        self.rates.append(n_bytes / (time.monotonic() - began))

    def keys(self):
        used = cpu_s(self.process)
        for _ in range(KEYS):
            began = time.monotonic()
            self.rfb.key(ord("a"))
            self.rfb.source.read(ECHO_BYTES)
            self.trips_ms.append((time.monotonic() - began) * 1000)
            self.rfb.key(ord("a"), False)
        self.key_cpus_us.append((cpu_s(self.process) - used) / KEYS * 1e6)

    s_per_gb = property(lambda self: statistics.median(self.cpus_s) / STREAM_BYTES * 1e9)
    key_cpu_us = property(lambda self: statistics.median(self.key_cpus_us))
    trip_ms = property(lambda self: statistics.median(self.trips_ms))
    mb_per_s = property(lambda self: statistics.median(self.rates) / 1e6)

    def idle_kb(self, n):
        """Memory of a connection that has shown something and waits, the mean of @n."""
        before, connections = pss_kb(self.process), []
        for _ in range(n):
            connections.append(self.enter())
            connections[-1].key(ord("a"))
            connections[-1].source.read(ECHO_BYTES)
        return (pss_kb(self.process) - before) / n


@contextlib.contextmanager
def viewer(folder, rfb_path):
    port = free_port()
    conf = folder / "agent.conf"
    conf.write_text(f"version = '0.1'\n[viewer]\nport = {port}\nbind_host = '127.0.0.1'\n")
    read, write = os.pipe()
    with agent(folder, rfb_path) as agent_path, ended(subprocess.Popen(
            [BUILD / "dcv-session-viewer", "--conf", conf, "--page-dir", PAGE, "--state-dir",
             folder / "state", "--agent-socket", agent_path, "--ready-fd", str(write)],
            pass_fds=[write], stdout=open(folder / "viewer.log", "ab"),
            stderr=subprocess.STDOUT)) as process:
        os.close(write)
        with os.fdopen(read) as pipe:
            if pipe.readline() != "ready\n":
                raise RuntimeError((folder / "viewer.log").read_text())

        def connect():
            browser = Framed(port, protocol=PROTOCOL)
            browser.say(token="any", session="any")
            browser.event("admitted")
            return browser

        yield Side("viewer", process, connect)


@contextlib.contextmanager
def tls_copy(folder, rfb_path):
    port = free_port()
    with ended(subprocess.Popen(
            [BUILD / "bench/tls-copy", str(port), folder / "certificate.pem", folder / "key.pem",
             rfb_path], stdout=subprocess.PIPE, text=True)) as process:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("tls-copy did not start")
        yield Side("TLS copy", process, lambda: Plain(port))


@contextlib.contextmanager
def websockify(folder, rfb_path):
    port = free_port()
    with ended(subprocess.Popen(
            ["websockify", "--cert", folder / "certificate.pem", "--key", folder / "key.pem",
             f"--unix-target={rfb_path}", f"127.0.0.1:{port}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)) as process:
        while "proxying" not in (line := process.stdout.readline()):
            if not line:
                raise RuntimeError("websockify did not start")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield Side("websockify", process, lambda: Framed(port, "/", protocol=""))


# --- what is measured --------------------------------------------------------------------------


def measure(sides, whole):
    for side in sides:
        side.check(whole)
    for _ in range(ROUNDS):
        for side in sides:
            side.stream(len(whole))
        for side in sides:
            side.keys()


def print_rows(ours, plain, theirs):
    def cpu(side):
        return f"{side.s_per_gb:.2f} s/GB at {side.mb_per_s:.0f} MB/s"

    def beside(samples, others):
        return ratio(statistics.median(a / b for a, b in zip(samples, others)))

    row("CPU time of bridging, server to browser", "a plain TLS copy of the same bytes",
        f"{beside(ours.cpus_s, plain.cpus_s)} ({cpu(ours)}; {cpu(plain)})", "≤ 1.10×")
    row("round trip of a key", "the same",
        f"{ours.trip_ms - plain.trip_ms:+.3f} ms p50 ({ours.trip_ms:.3f} ms)", "≤ +1 ms")
    row("CPU time of a key and the update that follows", "the same",
        f"{beside(ours.key_cpus_us, plain.key_cpus_us)} ({ours.key_cpu_us:.0f} µs)", "–")
    row(f"memory of an idle viewer, mean of {N_IDLE}", "–", f"{ours.idle_kb(N_IDLE):.0f} kB",
        "≤ 200 kB")
    if not theirs:
        return
    row("websockify: CPU time of bridging", "the viewer",
        f"{beside(theirs.cpus_s, ours.cpus_s)} ({cpu(theirs)})", "several times")
    row("websockify: round trip of a key", "the viewer",
        f"{theirs.trip_ms - ours.trip_ms:+.3f} ms p50 ({theirs.trip_ms:.3f} ms)", "–")
    row("websockify: CPU time of a key and the update that follows", "the viewer",
        f"{beside(theirs.key_cpus_us, ours.key_cpus_us)} ({theirs.key_cpu_us:.0f} µs)", "several times")
    row("websockify: memory of an idle viewer, mean of 10", "–", f"{theirs.idle_kb(10):.0f} kB", "–")


def main():
    begin_table(ROUNDS)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dcv-bench-")))
        make_certificate(folder)
        rfb_path = folder / "rfb"
        whole = stack.enter_context(x_server(rfb_path))
        ours = stack.enter_context(viewer(folder, rfb_path))
        plain = stack.enter_context(tls_copy(folder, rfb_path))
        theirs = None
        if shutil.which("websockify"):
            theirs = stack.enter_context(websockify(folder, rfb_path))
        else:
            left_out("websockify", "not installed")
        measure([ours, plain, *([theirs] if theirs else [])], whole)
        print_rows(ours, plain, theirs)


if __name__ == "__main__":
    main()
