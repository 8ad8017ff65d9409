"""Benchmarks of one host: creation of a session, and what an idle agent and broker take.

Run by tests/bench/run.sh, as root. Ratios and differences come from one run, both sides interleaved.
"""

import http.client
import json
import os
import pathlib
import secrets
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from bench_helpers import BUILD, ROOT

from ports import free_port

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "31"))
IDLE_S = int(os.environ.get("BENCH_IDLE_S", "10"))
GEOMETRY = "1280x800"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Host:
    """Keeper and agent in a temporary folder, with a temporary user."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.user = "dcvbench" + secrets.token_hex(3)
        self.processes = []

    def __enter__(self):
        os.chmod(self.folder, 0o755)
        for name in ("init", "autorun", "log", "klog", "run"):
            (self.folder / name).mkdir(mode=0o755)
        (self.folder / "init/wait.sh").write_text("#!/bin/sh\nexec sleep 1000\n")
        os.chmod(self.folder / "init/wait.sh", 0o755)
        self.conf = self.folder / "agent.conf"
        self.conf.write_text(
            f"version = '0.1'\n[agent]\ninit_folder = '{self.folder}/init'\n"
            f"autorun_folder = '{self.folder}/autorun'\ngeometry = '{GEOMETRY}'\n"
            "settle_time = 0\n"  # what it waits for is no work of ours
            f"[log]\ndirectory = '{self.folder}/log'\n")
        subprocess.run(["useradd", "-m", self.user], check=True)
        self.start(BUILD / "dcv-session-keeper", "--listen", self.folder / "run/listen", "--run-dir",
                   self.folder / "run", "--log-dir", self.folder / "klog", "--conf", self.conf,
                   "--agent-user", "root", "--agent-group", "root",
                   "--pam-dir", ROOT / "packaging/pam")
        self.agent = self.start(
            BUILD / "dcv-session-manager-agent", "--conf", self.conf, "--state-dir",
            self.folder / "state", "--socket", self.folder / "sock", "--keeper-socket",
            self.folder / "run/listen", "--keeper-run-dir", self.folder / "run")
        self.api = UnixConnection(str(self.folder / "sock"))
        return self

    def start(self, program, *arguments):
        read_fd, write_fd = os.pipe()
        process = subprocess.Popen(
            [str(program), *map(str, arguments), "--ready-fd", str(write_fd)], pass_fds=[write_fd],
            stderr=open(self.folder / (pathlib.Path(program).name + ".err"), "ab"))
        os.close(write_fd)
        if os.read(read_fd, 16) != b"ready\n":
            raise RuntimeError(f"{program} did not start, see {self.folder}")
        os.close(read_fd)
        self.processes.append(process)
        return process

    def __exit__(self, *unused):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
        subprocess.run(["userdel", "-r", self.user], check=False, stderr=subprocess.DEVNULL)

    def call(self, operation, body):
        self.api.request("POST", "/" + operation, json.dumps(body))
        return json.loads(self.api.getresponse().read())

    def state(self, session_id):
        found = self.call("describeSessions", {"SessionIds": [session_id]})["Sessions"]
        return found[0]["State"], found[0].get("StateReason")

    def await_state(self, session_id, wanted):
        while True:
            state, reason = self.state(session_id)
            if state == wanted:
                return
            if state == "DELETED":
                raise RuntimeError(f"session {session_id}: {reason}")

    def create_ms(self):
        """From the request to READY, as a client sees it."""
        start = time.monotonic()
        reply = self.call("createSessions", [{"Name": "bench", "Owner": self.user,
                                              "Type": "VIRTUAL", "InitFile": "wait.sh"}])
        session_id = reply["SuccessfulList"][0]["Id"]
        self.await_state(session_id, "READY")
        took = (time.monotonic() - start) * 1000
        self.call("deleteSessions", [{"SessionId": session_id, "Owner": self.user}])
        self.await_state(session_id, "DELETED")
        return took

    def bare_ms(self):
        """PAM and Xvnc by themselves, with the same options."""
        run = self.folder / "bare"
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        shutil.chown(run, self.user)
        words = subprocess.run(
            [BUILD / "bench/bare-session", self.user, ROOT / "packaging/pam", run,
             "-geometry", GEOMETRY, "-depth", "24", "-SecurityTypes", "None", "-rfbunixmode", "0600",
             "-rfbport", "-1", "-nolisten", "tcp"],
            check=True, capture_output=True, text=True).stdout.split()
        return float(words[1]) + float(words[3])


def idle(name, process):
    """Proportional set size, and how often the process is woken."""
    def switches():
        text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        return int(next(line for line in text.splitlines()
                        if line.startswith("voluntary_ctxt")).split()[1])

    before = switches()
    time.sleep(IDLE_S)  # idleness is what is measured
    woken = switches() - before
    text = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    pss_kb = int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])
    print(f"{name + ' idle: Pss / limit of 10 MB':<58} {pss_kb / 10000:6.2f}   ({pss_kb} kB)")
    print(f"{name + ' idle: wake-ups per second':<58} {woken / IDLE_S:6.2f}")


def bench_creation(host):
    bare, ours = [], []
    for _ in range(ROUNDS):
        bare.append(host.bare_ms())
        ours.append(host.create_ms())
    a, b = statistics.median(bare), statistics.median(ours)
    print(f"{'create to READY / PAM and X server alone':<58} {b / a:6.2f}   "
          f"({b:.1f} ms - {a:.1f} ms = {b - a:+.1f} ms, goal +15)")


def bench_idle_broker(host):
    if not (BUILD / "dcv-session-manager-broker").exists():
        return
    (host.folder / "broker").mkdir(mode=0o700)
    ports = free_port(), free_port()
    conf = host.folder / "broker.properties"
    conf.write_text(
        f"session-manager-working-path = {host.folder}/broker\nlog-directory = {host.folder}/broker\n"
        f"client-to-broker-connector-https-port = {ports[0]}\n"
        f"client-to-broker-connector-bind-host = 127.0.0.1\n"
        f"agent-to-broker-connector-https-port = {ports[1]}\n"
        f"agent-to-broker-connector-bind-host = 127.0.0.1\n")
    os.chmod(conf, 0o640)
    idle("broker", host.start(BUILD / "dcv-session-manager-broker", "--conf", conf))


def main():
    with tempfile.TemporaryDirectory(prefix="dcv-bench-") as folder, Host(folder) as host:
        idle("agent", host.agent)
        bench_idle_broker(host)
        bench_creation(host)


if __name__ == "__main__":
    main()
