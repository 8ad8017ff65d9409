"""The simulated fleet at the real broker: many agents in one process, told what to do over a socket."""

import contextlib
import json
import os
import signal
import socket

import pytest

from broker_helpers import Broker
from conftest import Program


def server(name, address="192.0.2.1", tags=None, behaviour=None, **more):
    element = {
        "Id": name, "Hostname": name, "Ip": address, "DefaultDnsName": f"{name}.lab.example",
        "Port": "8443", "WebUrlPath": "/", "Availability": "AVAILABLE",
        "Endpoints": [{"IpAddress": address, "Port": 8443, "WebUrlPath": "/", "Protocol": "HTTP"}],
        "Host": {"CpuLoadAverage": {"OneMinute": 0.25}, "Gpus": [], "LoggedInUsers": []},
        "Tags": [{"Key": k, "Value": v} for k, v in (tags or {}).items()], **more}
    if behaviour is not None:
        element["Behaviour"] = behaviour
    return element


class Fleet:
    """A running fleet, and its control socket."""

    def __init__(self, start, build, folder, broker, servers, *options):
        self.broker = broker
        self.path = folder / "fleet.sock"
        (folder / "fleet.json").write_text(json.dumps(servers))
        security = os.path.join(broker.folder, "security")
        self.program = start(
            [build / "doubles/fleet", "--broker-url", f"https://localhost:{broker.agent_port}",
             "--ca-file", f"{security}/dcvsmbroker_ca.pem",
             "--software-statement", f"{security}/default-software-statement",
             "--control", self.path, *options, folder / "fleet.json"],
            ready_option="--ready-fd", ready_timeout=90)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(self.path))
        self.lines = self.socket.makefile("r")

    def send(self, line):
        self.socket.sendall(line.encode() + b"\n")
        return json.loads(self.lines.readline())

    def tell(self, command, **fields):
        reply = self.send(json.dumps({"command": command, **fields}))
        assert "error" not in reply, reply
        return reply

    def list(self):
        return {s["Id"]: s for s in self.tell("list")["servers"]}

    def behave(self, name, **keys):
        self.tell("behaviour", server=name, set=keys)

    def described(self, name):
        found = self.broker.ok("/describeServers", {"ServerIds": [name]})["Servers"]
        return found[0] if found else None

    def reason(self, name):
        return self.described(name).get("UnavailabilityReason")


@pytest.fixture
def fleet(start, build, tmp_path, broker):
    """fleet([server(...)...], option...): runs, all linked, stops cleanly after the test."""
    made = []

    def make(servers, *options):
        made.append(Fleet(start, build, tmp_path, broker, servers, *options))
        return made[-1]
    yield make
    for f in made:
        f.socket.close()
        f.lines.close()
        assert f.program.stop() == 0, f.program.output()
        assert "Sanitizer" not in f.program.output(), f.program.output()
        assert not f.path.exists()


@contextlib.contextmanager
def running_fleet(build, tmp_path_factory, servers, *options, stop_with=signal.SIGTERM, **settings):
    """A fleet at a broker with these settings, for a fixture that serves more than one test."""
    broker = Broker(**settings).start().log_in()
    folder = tmp_path_factory.mktemp("fleet")
    try:
        f = Fleet(lambda arguments, **more: Program(arguments, folder / "output", **more), build,
                  folder, broker, servers, *options)
        try:
            yield f
        finally:
            f.socket.close()
            f.lines.close()
            assert f.program.stop(stop_with) == 0, f.program.output()
    finally:
        broker.done()
