"""What the agent tells of its host, compared with the tools of the system and with a stand-in of the
metadata service of EC2; and what it does when the host changes."""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from agent_helpers import Agent
from keeper_helpers import PATIENCE, wait_for
from namespace_helpers import namespace

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and keepers need root")


@pytest.fixture
def make_agent():
    made = []

    def make(**arguments):
        made.append(Agent(**arguments))
        return made[-1]

    yield make
    for agent in made:
        agent.done()


def server(agent):
    return agent.call_well("/describeServers")["Servers"][0]


def tool(*command):
    """What a tool prints, without the colours and words of another language."""
    return subprocess.run(command, check=True, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


# --- the tools -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def host():
    agent = Agent()
    yield server(agent)["Host"]
    agent.done()


def test_processors_are_those_of_lscpu(host):
    said = {f["field"].rstrip(":"): f["data"] for f in json.loads(tool("lscpu", "-J"))["lscpu"]}
    cpu = host["CpuInfo"]
    assert cpu["NumberOfCpus"] == int(said["CPU(s)"])
    assert cpu["Architecture"] == said["Architecture"]
    if "Core(s) per socket" in said:
        assert cpu["PhysicalCoresPerCpu"] == int(said["Core(s) per socket"])
    if said.get("Vendor ID", "-") != "-":
        assert cpu["Vendor"] == said["Vendor ID"]
    if said.get("Model name", "-") != "-":
        assert cpu["ModelName"] == said["Model name"]


def test_memory_is_that_of_free(host):
    rows = {line.split()[0]: line.split() for line in tool("free", "-b").splitlines()[1:]}
    assert host["Memory"]["TotalBytes"] == int(rows["Mem:"][1])
    assert host["Swap"]["TotalBytes"] == int(rows["Swap:"][1])
    # the two looked at different moments
    available = int(rows["Mem:"][6])
    used = host["Memory"]["TotalBytes"] - available
    assert abs(host["Memory"]["UsedBytes"] - used) < host["Memory"]["TotalBytes"] / 4


def test_system_and_kernel_are_named(host):
    with open("/etc/os-release", encoding="utf-8") as file:
        release = dict(re.findall(r'^(\w+)="?(.*?)"?$', file.read(), re.MULTILINE))
    assert host["Os"] == {"Family": "linux", "Name": release["NAME"],
                          "Version": release["VERSION_ID"], "KernelVersion": os.uname().release}
    assert host["CpuLoadAverage"].keys() == {"OneMinute", "FiveMinutes", "FifteenMinutes"}


@pytest.mark.skipif(not shutil.which("lspci"), reason="needs lspci")
def test_gpus_are_those_of_lspci(host):
    expected = []
    for line in tool("lspci", "-mm", "-nn", "-d", "::03xx").splitlines():
        # SLOT "CLASS [NUMBER]" "VENDOR [NUMBER]" "DEVICE [NUMBER]" ...
        fields = re.findall(r'"([^"]*)"', line)
        expected.append({"Vendor": re.sub(r" \[\w{4}\]$", "", fields[1]),
                         "ModelName": re.sub(r" \[\w{4}\]$", "", fields[2])})
    assert host["Gpus"] == expected


def test_users_are_those_of_loginctl(make_agent):
    agent = make_agent(settings="broker_update_interval = 1")
    done = subprocess.run(["loginctl", "list-sessions", "-o", "json"], check=False,
                          capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("logind does not run here; see the next test")
    users = set()
    for session in json.loads(done.stdout):
        shown = dict(line.split("=", 1) for line in tool(
            "loginctl", "show-session", "-p", "Class", "-p", "State", "-p", "Name",
            session["session"]).splitlines())
        if shown["Class"] == "user" and shown["State"] != "closing":
            users.add(shown["Name"])
    wait_for(lambda: server(agent)["Host"]["LoggedInUsers"]
             == [{"Username": name} for name in sorted(users)], "the users to be those")


LOGIND = """
mount -t tmpfs none /run
mkdir -p /run/systemd/seats /run/systemd/sessions
session() {
    printf 'UID=%s\\nUSER=x\\nACTIVE=1\\nSTATE=%s\\nCLASS=%s\\n' $2 $3 $4 > /run/systemd/sessions/$1
}
session 1 0 active user
session 2 0 online user
session c1 1 active greeter
session 4 2 closing user
session 5 3 online background
echo ready
read line
"""


@pytest.mark.parametrize("setting, users", [("true", [{"Username": "root"}]), ("false", [])])
def test_users_of_logind_are_people_who_are_there(make_agent, setting, users):
    with namespace("-m", script=LOGIND) as prefix:
        agent = make_agent(prefix=prefix, settings="broker_update_interval = 1\n"
                           f"enable_query_logged_in_users = {setting}")
        # the second look at the latest finds them; what is to be nobody is looked for as often
        wait_for(lambda: server(agent)["Host"]["LoggedInUsers"] == users, "the users")
        assert server(agent)["Host"]["LoggedInUsers"] == users


# --- EC2 -----------------------------------------------------------------------------------------

DOCUMENT = {"accountId": "123456789012", "region": "eu-west-1", "availabilityZone": "eu-west-1b",
            "instanceType": "g4dn.xlarge", "instanceId": "i-0aa11bb22cc33dd44",
            "imageId": "ami-0f0f0f0f0f0f0f0f0", "billingProducts": None}
AWS = {"Region": "eu-west-1", "EC2InstanceType": "g4dn.xlarge",
       "EC2InstanceId": "i-0aa11bb22cc33dd44", "EC2ImageId": "ami-0f0f0f0f0f0f0f0f0"}

# A metadata service as EC2 has it; `kind` says what is wrong with it. It prints what it is asked.
SERVICE = textwrap.dedent("""
    import http.server, json, sys, time
    kind, document = sys.argv[1], sys.argv[2]

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self, status, text):
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def note(self):
            print(self.command, self.path, flush=True)
            if kind == "hangs":
                time.sleep(3600)

        def do_PUT(self):
            self.note()
            good = self.path == "/latest/api/token" and int(
                self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) > 0
            if kind == "forbids":
                self.reply(403, "no")
            else:
                self.reply(200 if good else 400, "to\\tken" if kind == "bad token" else "TOKEN==")

        def do_GET(self):
            self.note()
            if self.headers["X-aws-ec2-metadata-token"] != "TOKEN==":
                self.reply(401, "")
            elif self.path != "/latest/dynamic/instance-identity/document":
                self.reply(404, "")
            else:
                self.reply(200, document)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("169.254.169.254", 80), Handler)
    server.daemon_threads = True
    print("ready", flush=True)
    server.serve_forever()
""")


class Cloud:
    """A network, and a machine's firmware, of its own, with a metadata service in it."""

    def __init__(self, kind="good", vendor=None, document=None):
        script = "ip link set lo up; ip address add 169.254.169.254/32 dev lo\n"
        script += "mount -t tmpfs none /sys/class\n"
        if vendor:
            script += "mkdir -p /sys/class/dmi/id\n"
            script += f"echo '{vendor}' > /sys/class/dmi/id/sys_vendor\n"
        script += 'exec "$@"'
        self.process = subprocess.Popen(
            ["unshare", "-n", "-m", "sh", "-e", "-c", script, "sh", sys.executable, "-c", SERVICE,
             kind, json.dumps(DOCUMENT) if document is None else document],
            stdout=subprocess.PIPE, bufsize=0)  # a second line must not wait in a buffer of ours
        self.prefix = ("nsenter", "-t", str(self.process.pid), "-n", "-m")
        assert self.line() == "ready"

    def line(self):
        """The next request."""
        assert select.select([self.process.stdout], [], [], PATIENCE)[0]
        return self.process.stdout.readline().decode().rstrip("\n")

    def done(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def make_cloud():
    made = []

    def make(**arguments):
        made.append(Cloud(**arguments))
        return made[-1]

    yield make
    for cloud in made:
        cloud.done()


def test_an_instance_tells_what_it_is(make_agent, make_cloud):
    cloud = make_cloud()
    agent = make_agent(prefix=cloud.prefix)
    assert cloud.line() == "PUT /latest/api/token"
    assert cloud.line() == "GET /latest/dynamic/instance-identity/document"
    wait_for(lambda: server(agent)["Host"].get("Aws") == AWS, "the instance's data")
    assert agent.messages().count("EC2") == 0, agent.messages()


@pytest.mark.parametrize("arguments, n_requests", [
    ({"kind": "forbids"}, 1),
    ({"kind": "bad token"}, 1),
    ({"document": "<html>Welcome</html>"}, 2),
    ({"document": '{"region": "eu-west-1"}'}, 2),
])
def test_what_answers_elsewhere_is_not_ec2(make_agent, make_cloud, arguments, n_requests):
    cloud = make_cloud(**arguments)
    agent = make_agent(prefix=cloud.prefix, log="level = 'debug'")
    for _ in range(n_requests):
        cloud.line()
    wait_for(lambda: "no EC2 instance: " in agent.messages(), "the end of the search")
    assert "Aws" not in server(agent)["Host"]


def test_a_service_that_hangs_holds_nothing_up(make_agent, make_cloud):
    cloud = make_cloud(kind="hangs")
    agent = make_agent(prefix=cloud.prefix, log="level = 'debug'")
    assert cloud.line() == "PUT /latest/api/token"
    assert "Aws" not in server(agent)["Host"]
    wait_for(lambda: "no EC2 instance: 169.254.169.254 port 80: no answer within 2 s"
             in agent.messages(), "the end of patience")
    assert agent.stop() == 0


def test_another_machines_firmware_is_believed(make_agent, make_cloud):
    cloud = make_cloud(vendor="Dell Inc.")
    agent = make_agent(prefix=cloud.prefix)
    assert "Aws" not in server(agent)["Host"]
    assert agent.stop() == 0
    assert not select.select([cloud.process.stdout], [], [], 0)[0], "it was asked"


# --- beyond the API ------------------------------------------------------------------------------


def test_the_local_answer_tells_what_is_free(make_agent):
    free = server(make_agent())["Local"]["FreeBytes"]
    for folder in free:
        status = os.statvfs(folder)
        # others write meanwhile
        assert abs(free[folder] - status.f_bavail * status.f_frsize) < 2 ** 30
    assert {"/tmp", "/run"} <= free.keys()


# --- tags ----------------------------------------------------------------------------------------

OWN_ETC = """
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay none -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
mkdir -p /etc/dcv-session-manager-agent
echo ready
read line
"""


def test_without_a_folder_for_tags_the_settings_folder_has_them(make_agent):
    with namespace("-m", script=OWN_ETC) as prefix:
        folder = f"/proc/{prefix[2]}/root/etc/dcv-session-manager-agent"
        with open(f"{folder}/site.toml", "w", encoding="utf-8") as file:
            file.write("place = 'above'\n")
        agent = make_agent(prefix=prefix)
        assert {"Key": "place", "Value": "above"} in server(agent)["Tags"]
        os.mkdir(f"{folder}/tags")
        with open(f"{folder}/tags/site.toml", "w", encoding="utf-8") as file:
            file.write("place = 'in tags'\n")
        agent.restart()
        assert {"Key": "place", "Value": "in tags"} in server(agent)["Tags"]


# --- what changes --------------------------------------------------------------------------------


def test_an_address_that_comes_later_is_the_hosts(make_agent):
    script = "ip link set lo up; ip link add eth7 type veth peer name eth8; echo ready; read line"
    with namespace("-n", script=script) as prefix:
        agent = make_agent(prefix=prefix, settings="broker_update_interval = 1\n"
                           "preferred_network_interface = 'eth7'")
        assert server(agent)["Ip"] == "127.0.0.1"
        subprocess.run([*prefix, "sh", "-ec",
                        "ip address add 192.0.2.7/24 dev eth7; ip link set eth7 up; ip link set eth8 up"], check=True)
        wait_for(lambda: server(agent)["Ip"] == "192.0.2.7", "the new address")


def test_a_host_without_keepers_is_unhealthy_until_they_are_back(make_agent):
    agent = make_agent(settings="max_virtual_sessions = 0\nbroker_update_interval = 1")
    assert server(agent)["UnavailabilityReason"] == "SERVER_FULL"
    listener = agent.keeper.process
    listener.send_signal(signal.SIGTERM)
    listener.wait(PATIENCE)
    assert server(agent)["UnavailabilityReason"] == "UNHEALTHY_DCV_SERVER"
    agent.call_well("/closeServers", [{"ServerId": server(agent)["Id"]}])
    assert server(agent)["UnavailabilityReason"] == "UNHEALTHY_DCV_SERVER"
    wait_for(lambda: f"connect to {agent.keeper.path}" in agent.messages(), "it to be logged")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(agent.keeper.path)
        other.listen()
        assert server(agent)["UnavailabilityReason"] == "SERVER_CLOSED"
        wait_for(lambda: "this host is SERVER_CLOSED" in agent.messages(), "it to be noticed")
    os.unlink(agent.keeper.path)
