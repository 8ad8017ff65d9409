"""Benchmarks of the API: the broker with a simulated fleet beside nginx, in one run.

Run by tests/bench/api.sh; arguments: which parts (relayed, images, page; all of them). Both sides are measured in turns, and what is printed are ratios of medians.
"""

import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DCV_BUILD", ROOT / "build")).resolve()
os.environ["DCV_BUILD"] = str(BUILD)
sys.path.insert(0, str(ROOT / "tests/system"))

from broker_helpers import Broker, free_port  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
N_AGENTS = 64
N_SERVERS = 1000
N_IMAGES = 8
IMAGE_BYTES = 1 << 20
HEAD_BYTES = 130  # of an answer, about


def cpu_s(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


def compare(ours, theirs):
    for load in (ours, theirs):
        load.run()  # warm up: connections, tokens, pages of the file
        load.rates, load.p99s_ms, load.cpus_us = [], [], []
    for _ in range(ROUNDS):
        ours.run()
        theirs.run()


class Fleet:
    def __init__(self, broker, folder, count, behaviour):
        server = pathlib.Path(folder) / "server.json"
        subprocess.run([BUILD / "bench/page", server], check=True)
        description = json.loads(server.read_text())
        description["Behaviour"] = {"create_ms": 1, **behaviour}
        file = pathlib.Path(folder) / "fleet.json"
        file.write_text(json.dumps([description]))
        security = pathlib.Path(broker.folder) / "security"
        read, write = os.pipe()
        self.process = subprocess.Popen(
            [BUILD / "doubles/fleet", "--broker-url", f"https://localhost:{broker.agent_port}",
             "--ca-file", security / "dcvsmbroker_ca.pem", "--software-statement",
             security / "default-software-statement", "--count", str(count), "--ready-fd",
             str(write), file], pass_fds=[write], stderr=open(f"{folder}/fleet.err", "ab"))
        os.close(write)
        if not os.read(read, 16):
            raise RuntimeError("the fleet did not start")
        os.close(read)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Nginx:
    """A proxy and what is behind it, each one process."""

    def __init__(self, folder, permissions_answer, images):
        self.folder = pathlib.Path(folder)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout",
             self.folder / "key.pem", "-out", self.folder / "certificate.pem"],
            check=True, capture_output=True)
        (self.folder / "images").write_bytes(images)
        os.chmod(self.folder, 0o755)
        behind = free_port()
        self.port = free_port()
        proxy = ("proxy_pass https://behind; proxy_http_version 1.1; "
                 "proxy_set_header Connection \"\"; proxy_ssl_protocols TLSv1.3; "
                 "proxy_max_temp_file_size 0;")
        self.processes = [
            self.start("behind", behind, 1, f"return 200 '{permissions_answer}';",
                       f"alias {self.folder}/images;"),
            self.start("proxy", self.port, behind, proxy, proxy)]
        self.proxy = self.processes[1]

    def start(self, role, port, behind, permissions, images):
        text = (ROOT / "tests/bench/nginx.conf").read_text()
        for name, value in (("FOLDER", self.folder), ("ROLE", role), ("PORT", port),
                            ("BEHIND", behind), ("PERMISSIONS", permissions),
                            ("IMAGES", images)):
            text = text.replace(name, str(value))
        conf = self.folder / f"{role}.conf"
        conf.write_text(text)
        process = subprocess.Popen(["nginx", "-p", self.folder, "-c", conf])
        while not (self.folder / f"{role}.pid").exists():
            if process.poll() is not None:
                raise RuntimeError((self.folder / f"{role}.log").read_text())
            time.sleep(0.05)
        return process

    def url(self, path):
        return f"https://127.0.0.1:{self.port}{path}"

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait()


def write_script(path, method, target, token, bodies):
    """A request of each body in turn."""
    path.write_text(
        "local bodies = {%s}\nlocal n = 0\n"
        "local headers = {['Authorization'] = 'Bearer %s', ['Content-Type'] = 'application/json'}\n"
        "request = function()\n n = n %% #bodies + 1\n"
        " return wrk.format('%s', '%s', headers, bodies[n])\nend\n"
        % (", ".join("'" + body + "'" for body in bodies), token, method, target))


class Bench:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.broker = Broker(log_level="info", max_api_requests_per_second=1000000)
        self.broker.start().log_in()
        image = self.folder / "image.jpg"
        image.write_bytes(b"\xff\xd8\xff" + os.urandom(IMAGE_BYTES - 3))
        self.fleet = Fleet(self.broker, folder, N_AGENTS, {"screenshot": str(image)})
        self.sessions = [self.broker.create() for _ in range(N_AGENTS)]
        while any(s["State"] != "READY" for s in self.broker.ok("/describeSessions", {})["Sessions"]):
            time.sleep(0.1)
        self.permissions = [json.dumps([{"SessionId": identity, "Owner": "mira",
                                         "PermissionsFile": "YQ=="}]) for identity in self.sessions]
        answer = self.broker.call("/sessionPermissions", json.loads(self.permissions[0]), "PUT")
        self.screenshots = json.dumps([{"SessionId": i} for i in self.sessions[:N_IMAGES]])
        images = self.broker.call("/getSessionScreenshots", json.loads(self.screenshots))
        if len(images.json()["SuccessfulList"]) != N_IMAGES:
            raise RuntimeError(images.text[:1000])
        self.n_answer, self.n_images = len(answer.content), len(images.content)
        self.nginx = Nginx(folder, answer.text, images.content)

    def stop(self):
        self.nginx.stop()
        self.fleet.stop()
        self.broker.done()

    def pair(self, n_answer, connections, ours, theirs):
        """@ours, @theirs: method, target, bodies."""
        sides = []
        for name, request, process, url in (
                ("ours", ours, self.broker.process, self.broker.url("")),
                ("theirs", theirs, self.nginx.proxy, self.nginx.url(""))):
            script = self.folder / f"{name}.lua"
            method, target, bodies = request
            write_script(script, method, target, self.broker.token, bodies)
            sides.append(Load(url, script, process, connections, n_answer))
        compare(*sides)
        return sides

    def relayed(self):
        request = ("PUT", "/sessionPermissions", self.permissions)
        ours, theirs = self.pair(self.n_answer, 64, request, request)
        report("relayed request: rate / rate of an nginx proxy", ours.rate / theirs.rate,
               f"{ours.rate:.0f}/s - {theirs.rate:.0f}/s, goal >= 1.0")
        report("relayed request: CPU time / CPU time of an nginx proxy", ours.cpu_us / theirs.cpu_us,
               f"{ours.cpu_us:.1f} us - {theirs.cpu_us:.1f} us, goal <= 1.0")
        report("relayed request: p99 / p99 of an nginx proxy", ours.p99_ms / theirs.p99_ms,
               f"{ours.p99_ms:.2f} ms - {theirs.p99_ms:.2f} ms, goal <= 1.2")

    def images(self):
        ours, theirs = self.pair(self.n_images, 4,
                                 ("POST", "/getSessionScreenshots", [self.screenshots]),
                                 ("GET", "/images", [""]))
        size_mb = self.n_images / 1e6
        report("screenshots: CPU time per MB / of an nginx proxy", ours.cpu_us / theirs.cpu_us,
               f"{ours.cpu_us / size_mb:.0f} us - {theirs.cpu_us / size_mb:.0f} us, "
               f"answers of {size_mb:.1f} MB")

    def page(self):
        self.fleet.stop()
        self.broker.done()  # which would keep the ids of the servers for those that have gone
        self.broker = Broker(log_level="info").start().log_in()
        self.fleet = Fleet(self.broker, self.folder, N_SERVERS, {})
        body = {"MaxResults": N_SERVERS}
        page = self.broker.call("/describeServers", body).content
        (self.folder / "page").write_bytes(page)
        ours, theirs = self.pair(len(page), 16, ("POST", "/describeServers", [json.dumps(body)]),
                                 ("GET", "/page", [""]))
        report("page of 1,000 servers: rate / nginx with the same file", ours.rate / theirs.rate,
               f"{ours.rate:.0f}/s - {theirs.rate:.0f}/s, {len(page)} bytes, goal >= 0.6")


PARTS = ("relayed", "images", "page")


def main():
    with tempfile.TemporaryDirectory(prefix="dcv-bench-") as folder:
        bench = Bench(folder)
        try:
            for part in sys.argv[1:] or PARTS:
                getattr(bench, part)()
        finally:
            bench.stop()


if __name__ == "__main__":
    main()
