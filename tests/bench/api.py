"""Benchmarks of the API: the broker beside nginx, in one run.

Run by tests/bench/api.sh; arguments: which parts (relayed, images, page; all of them). Both sides are
measured in turns, and what is printed are ratios of medians.
"""

import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

from bench_helpers import BUILD, ROOT, cpu_s, ended, make_certificate

from broker_helpers import Broker
from link_client import fetch_token
from ports import free_port

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
N_AGENTS = 64
N_SERVERS = 1000
N_IMAGES = 8
IMAGE_BYTES = 1 << 20
HEAD_BYTES = 130  # of an answer, about


def report(name, ratio, detail):
    print(f"{name:<58} {ratio:6.2f}   ({detail})", flush=True)


class Load:
    """wrk with a script, against one side; keeps rate, p99 and CPU time per request. @answer_bytes:
    of the body of every answer; other ones would be failures, and are looked at by their size, since
    a script that looks at them makes wrk the slowest of all."""

    def __init__(self, url, script, process, connections, answer_bytes):
        self.command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}", "--latency", "--timeout",
                        "10", "-s", str(script), url]
        self.process = process
        self.answer_bytes = answer_bytes
        self.connections = connections
        self.rates, self.p99s_ms, self.cpus_us = [], [], []

    def run(self):
        before = cpu_s(self.process)
        said = subprocess.run(self.command, capture_output=True, text=True, check=True).stdout
        used = cpu_s(self.process) - before
        requests, amount, unit = re.search(r"(\d+) requests in [^,]+, ([\d.]+)(\w+) read", said).groups()
        requests = int(requests)
        got_bytes = float(amount) * {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}[unit]
        one_bytes = self.answer_bytes + HEAD_BYTES
        slack = 0.02 + HEAD_BYTES / 2 / one_bytes
        # The answers that were cut off by the end of the run have been read in part.
        if "Non-2xx" in said or "Socket errors" in said or \
                not (requests * one_bytes * (1 - slack) < got_bytes
                     < (requests + self.connections) * one_bytes * (1 + slack)):
            raise RuntimeError(said)
        value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
        self.rates.append(float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]))
        self.p99s_ms.append(float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit])
        self.cpus_us.append(used / requests * 1e6)

    rate = property(lambda self: statistics.median(self.rates))
    p99_ms = property(lambda self: statistics.median(self.p99s_ms))
    cpu_us = property(lambda self: statistics.median(self.cpus_us))


@contextlib.contextmanager
def running_broker(**settings):
    broker = Broker(log_level="info", **settings)
    try:
        yield broker.start().log_in()
    finally:
        broker.done()


def authority(broker):
    return pathlib.Path(broker.folder) / "security/dcvsmbroker_ca.pem"


@contextlib.contextmanager
def fleet(broker, folder, count, behaviour):
    """A simulated fleet that is linked to the broker."""
    server = folder / "server.json"
    subprocess.run([BUILD / "bench/page", server], check=True)
    description = json.loads(server.read_text())
    description["Behaviour"] = {"create_ms": 1, **behaviour}
    file = folder / "fleet.json"
    file.write_text(json.dumps([description]))
    read, write = os.pipe()
    with ended(subprocess.Popen(
            [BUILD / "doubles/fleet", "--broker-url", f"https://localhost:{broker.agent_port}",
             "--ca-file", authority(broker), "--software-statement",
             authority(broker).with_name("default-software-statement"), "--count", str(count),
             "--ready-fd", str(write), file],
            pass_fds=[write], stderr=open(folder / "fleet.err", "ab"))):
        os.close(write)
        with os.fdopen(read) as pipe:
            if pipe.readline() != "ready\n":
                raise RuntimeError((folder / "fleet.err").read_text())
        yield


@contextlib.contextmanager
def answering_agents(broker, folder, count):
    """Agents that do nothing but answer for a session each; the sessions' ids."""
    lines, sessions = [], []
    for i in range(count):
        agent = broker.agent(f"bench-{i}", connect=False)
        sessions.append(str(uuid.uuid4()))
        agent.sessions[sessions[-1]] = {
            "Id": sessions[-1], "Name": "bench", "Owner": "mira", "Type": "VIRTUAL",
            "State": "READY", "CreationTime": "2026-03-02T10:15:00.120Z", "NumOfConnections": 0}
        report = {"event": "report", "body": {**agent.describe(), "Sequence": 1, "BootId": "b"}}
        token = fetch_token(broker.agent_port, agent.client_id, agent.secret).json()["access_token"]
        lines.append(f"{token} {sessions[-1]} {json.dumps(report, separators=(',', ':'))}\n")
    (folder / "agents").write_text("".join(lines))
    with open(folder / "agents") as file, ended(subprocess.Popen(
            [BUILD / "bench/agents", str(broker.agent_port), authority(broker)], stdin=file,
            stdout=subprocess.PIPE, text=True)) as process:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the agents did not start")
        yield sessions


@contextlib.contextmanager
def nginx(folder, role, location, directives, behind=1):
    """One process that serves one path; the process and its port."""
    port = free_port()
    text = (ROOT / "tests/bench/nginx.conf").read_text()
    for name, value in (("FOLDER", folder), ("ROLE", role), ("PORT", port), ("BEHIND", behind),
                        ("LOCATION", location), ("DIRECTIVES", directives)):
        text = text.replace(name, str(value))
    conf = folder / f"{role}.conf"
    conf.write_text(text)
    with ended(subprocess.Popen(["nginx", "-p", folder, "-c", conf])) as process:
        while not (folder / f"{role}.pid").exists():
            if process.poll() is not None:
                raise RuntimeError((folder / f"{role}.log").read_text())
            time.sleep(0.05)
        yield process, port


@contextlib.contextmanager
def nginx_proxy(folder, location, directives):
    """One process that passes on to another one, which serves that path."""
    with nginx(folder, "behind", location, directives) as (_, behind):
        proxy = ("proxy_pass https://behind; proxy_http_version 1.1; "
                 "proxy_set_header Connection \"\"; proxy_ssl_protocols TLSv1.3; "
                 "proxy_max_temp_file_size 0;")
        with nginx(folder, "proxy", location, proxy, behind) as found:
            yield found


def write_script(path, method, target, token, bodies):
    """A request of each body in turn."""
    path.write_text(
        "local bodies = {%s}\nlocal n = 0\n"
        "local headers = {['Authorization'] = 'Bearer %s', ['Content-Type'] = 'application/json'}\n"
        "request = function()\n n = n %% #bodies + 1\n"
        " return wrk.format('%s', '%s', headers, bodies[n])\nend\n"
        % (", ".join("'" + body + "'" for body in bodies), token, method, target))


def compare(folder, broker, theirs, answer_bytes, connections, requests):
    """Loads of both sides, in turns. @theirs: process and port; @requests: of ours and of theirs, each
    method, target and bodies."""
    sides = []
    for name, process, url, request in (("ours", broker.process, broker.url(""), requests[0]),
                                        ("theirs", theirs[0], f"https://127.0.0.1:{theirs[1]}",
                                         requests[1])):
        script = folder / f"{name}.lua"
        method, target, bodies = request
        write_script(script, method, target, broker.token, bodies)
        sides.append(Load(url, script, process, connections, answer_bytes))
    for load in sides:
        load.run()  # warm up: connections, tokens, pages of the file
        load.rates, load.p99s_ms, load.cpus_us = [], [], []
    for _ in range(ROUNDS):
        for load in sides:
            load.run()
    return sides


def bench_relayed(folder):
    with running_broker(max_api_requests_per_second=1000000) as broker, \
            answering_agents(broker, folder, N_AGENTS) as sessions:
        bodies = [json.dumps([{"SessionId": identity, "Owner": "mira", "PermissionsFile": "YQ=="}])
                  for identity in sessions]
        answer = broker.call("/sessionPermissions", json.loads(bodies[0]), "PUT")
        if len(answer.json()["SuccessfulList"]) != 1:
            raise RuntimeError(answer.text)
        request = ("PUT", "/sessionPermissions", bodies)
        with nginx_proxy(folder, "/sessionPermissions", f"return 200 '{answer.text}';") as proxy:
            ours, theirs = compare(folder, broker, proxy, len(answer.content), 64,
                                   [request, request])
    report("relayed request: rate / rate of an nginx proxy", ours.rate / theirs.rate,
           f"{ours.rate:.0f}/s - {theirs.rate:.0f}/s, goal >= 1.0")
    report("relayed request: CPU time / CPU time of an nginx proxy", ours.cpu_us / theirs.cpu_us,
           f"{ours.cpu_us:.1f} us - {theirs.cpu_us:.1f} us, goal <= 1.0")
    report("relayed request: p99 / p99 of an nginx proxy", ours.p99_ms / theirs.p99_ms,
           f"{ours.p99_ms:.2f} ms - {theirs.p99_ms:.2f} ms, goal <= 1.2")


def bench_images(folder):
    image = folder / "image.jpg"
    image.write_bytes(b"\xff\xd8\xff" + os.urandom(IMAGE_BYTES - 3))
    with running_broker(max_api_requests_per_second=1000000) as broker, \
            fleet(broker, folder, N_IMAGES, {"screenshot": str(image)}):
        sessions = [broker.create() for _ in range(N_IMAGES)]
        while any(s["State"] != "READY" for s in broker.ok("/describeSessions", {})["Sessions"]):
            time.sleep(0.1)
        request = [{"SessionId": identity} for identity in sessions]
        images = broker.call("/getSessionScreenshots", request)
        if len(images.json()["SuccessfulList"]) != N_IMAGES:
            raise RuntimeError(images.text[:1000])
        (folder / "images").write_bytes(images.content)
        with nginx_proxy(folder, "/images", f"alias {folder}/images;") as proxy:
            ours, theirs = compare(folder, broker, proxy, len(images.content), 4,
                                   [("POST", "/getSessionScreenshots", [json.dumps(request)]),
                                    ("GET", "/images", [""])])
    size_mb = len(images.content) / 1e6
    report("screenshots: CPU time per MB / of an nginx proxy", ours.cpu_us / theirs.cpu_us,
           f"{ours.cpu_us / size_mb:.0f} us - {theirs.cpu_us / size_mb:.0f} us, "
           f"answers of {size_mb:.1f} MB")


def bench_page(folder):
    with running_broker() as broker, fleet(broker, folder, N_SERVERS, {}):
        body = {"MaxResults": N_SERVERS}
        page = broker.call("/describeServers", body).content
        (folder / "page").write_bytes(page)
        with nginx(folder, "file", "/page", f"alias {folder}/page;") as server:
            ours, theirs = compare(folder, broker, server, len(page), 16,
                                   [("POST", "/describeServers", [json.dumps(body)]),
                                    ("GET", "/page", [""])])
    report("page of 1,000 servers: rate / nginx with the same file", ours.rate / theirs.rate,
           f"{ours.rate:.0f}/s - {theirs.rate:.0f}/s, {len(page)} bytes, goal >= 0.6")


def main():
    parts = {"relayed": bench_relayed, "images": bench_images, "page": bench_page}
    with tempfile.TemporaryDirectory(prefix="dcv-bench-") as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o755)
        make_certificate(folder)
        for part in sys.argv[1:] or parts:
            parts[part](folder)


if __name__ == "__main__":
    main()
