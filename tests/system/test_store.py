"""What the broker has said yes to is kept, whatever happens to the broker or to its disk."""

import json
import os
import random
import subprocess
import threading

import requests

from broker_helpers import PROGRAM, Broker
from ports import free_port
from waiting import wait_until


class Changes:
    """Changes by several clients at once; remembers which were acknowledged."""

    def __init__(self, broker):
        self.broker = broker
        self.lock = threading.Lock()
        self.clients, self.gone, self.statements, self.waiting = set(), set(), set(), set()
        self.n = 0
        self.enough = threading.Event()

    def acknowledged(self, where, what):
        with self.lock:
            where.add(what)
            self.n += where is not self.waiting  # which come much faster than the others
            if self.n >= self.goal:
                self.enough.set()

    def command(self, *arguments):
        done = self.broker.command(*arguments, "--json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def administrate(self, number):
        while not self.enough.is_set():
            made = self.command("register-api-client", "--client-name", f"c{number}-{self.n}")
            if made:
                self.acknowledged(self.clients, made["client-id"])
            if made and self.n % 3 == 0 and self.command("unregister-api-client", "--client-id",
                                                         made["client-id"]):
                self.acknowledged(self.gone, made["client-id"])
            statement = self.command("generate-software-statement")
            if statement:
                self.acknowledged(self.statements, statement["software-statement"])

    def create(self):
        while not self.enough.is_set():
            try:
                reply = requests.post(
                    self.broker.url("/createSessions"), timeout=10, verify=self.broker.http.verify,
                    headers={"Authorization": f"Bearer {self.broker.token}"},
                    json=[{"Name": "n", "Owner": "mira", "Type": "VIRTUAL",
                           "EnqueueRequest": True}] * 3)
            except requests.RequestException:
                continue
            for made in reply.json()["SuccessfulList"]:
                self.acknowledged(self.waiting, made["Id"])

    def until_killed(self, goal):
        """Kill the broker in the middle of it when `goal` more commands were acknowledged."""
        self.goal = self.n + goal
        self.enough.clear()
        threads = [threading.Thread(target=self.administrate, args=(i,)) for i in range(2)]
        threads.append(threading.Thread(target=self.create))
        for thread in threads:
            thread.start()
        assert self.enough.wait(60)
        self.broker.kill()
        for thread in threads:
            thread.join()

    def check(self):
        clients = {c["id"]: c["active"] for c in
                   self.command("describe-api-clients")["clients"]}
        assert self.clients <= clients.keys()
        assert not any(clients[c] for c in self.gone)
        listed = self.command("describe-software-statements")["software-statements"]
        assert self.statements <= {s["software-statement"] for s in listed}
        found, token = set(), None
        while not found or token:
            page = self.broker.ok("/describeSessions", {"NextToken": token} if token else {})
            found |= {s["Id"] for s in page["Sessions"]}
            token = page.get("NextToken")
        assert self.waiting <= found


def test_what_was_acknowledged_is_there_after_every_kill(broker):
    chance = random.Random(4)
    changes = Changes(broker)
    for _ in range(8):
        changes.until_killed(chance.randrange(1, 12))
        broker.start()
        changes.check()
    assert changes.clients and changes.gone and changes.statements and changes.waiting


def check_that_nothing_changes_and_all_is_served(broker, agent, ready):
    """While the store cannot be written: changes 503 or refused by name, and reads go on."""
    refused = broker.call("/createSessions", [{"Name": "n", "Owner": "mira", "Type": "VIRTUAL"}])
    assert refused.status_code == 503, refused.text
    assert refused.json()["error"].startswith("store: cannot write: ")
    assert refused.headers["Retry-After"] == "5"
    failed = broker.call("/closeServers", [{"ServerId": agent.server_id, "Force": True}])
    assert failed.status_code == 503, failed.text
    command = broker.command("register-api-client", "--client-name", "later", check=False)
    assert command.returncode == 1 and "store" in command.stderr
    assert broker.state(ready) == "READY"
    assert broker.ok("/describeServers")["Servers"][0]["Availability"] == "AVAILABLE"
    assert broker.http.get(broker.url("/health"), timeout=5).status_code == 200


def check_that_all_is_well(broker, agent):
    assert "client-id" in broker.command("register-api-client", "--client-name", "later").stdout
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    assert broker.ok("/closeServers", [{"ServerId": agent.server_id, "Force": True}])["SuccessfulList"]


def test_a_full_disk_refuses_changes_and_serves_the_rest_until_there_is_room_again(request):
    broker = Broker()
    request.addfinalizer(broker.done)
    data = os.path.join(broker.folder, "broker-data")
    os.mkdir(data, 0o700)
    broker.start(["unshare", "--mount", "sh", "-c",
                  'mount -t tmpfs -o size=1m,mode=700 tmpfs "$0" && exec "$@"', data]).log_in()
    agent = broker.agent()
    ready = broker.create()
    wait_until(lambda: broker.state(ready) == "READY")
    filler = f"/proc/{broker.process.pid}/root{data}/filler"
    with open(filler, "wb", buffering=0) as f:
        size = 65536
        while size:
            try:
                f.write(bytes(size))
            except OSError:
                size //= 2
    check_that_nothing_changes_and_all_is_served(broker, agent, ready)
    os.unlink(filler)
    check_that_all_is_well(broker, agent)


def test_a_store_that_cannot_be_written_refuses_changes_and_serves_the_rest(broker):
    agent = broker.agent()
    ready = broker.create()
    wait_until(lambda: broker.state(ready) == "READY")
    pid = str(broker.process.pid)
    subprocess.run(["prlimit", "--pid", pid, "--fsize=1:unlimited"], check=True)
    check_that_nothing_changes_and_all_is_served(broker, agent, ready)
    subprocess.run(["prlimit", "--pid", pid, "--fsize=unlimited:unlimited"], check=True)
    check_that_all_is_well(broker, agent)


def test_a_second_broker_leaves_the_store_of_the_first_alone(broker):
    second = os.path.join(broker.folder, "second.properties")
    with open(broker.conf) as f, open(second, "w") as g:
        g.write(f.read().replace(str(broker.port), str(free_port()))
                .replace(str(broker.agent_port), str(free_port())))
    os.chmod(second, 0o600)
    done = subprocess.run([PROGRAM, "--conf", second], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "broker.db is in use by another program" in done.stderr
    assert broker.ok("/describeServers") is not None
