"""States of sessions over time: deadlines, loss and return, adoption, forgetting; and at random."""

import random

import pytest

from waiting import PATIENCE_S, wait_until

OWNERS = ("mira", "jonas", "lena")


def ready(broker, **more):
    identity = broker.create(**more)
    wait_until(lambda: broker.state(identity) == "READY")
    return identity


def described(broker, *ids):
    return broker.ok("/describeSessions", {"SessionIds": list(ids)} if ids else {})["Sessions"]


def made_on_host(identity, owner, state="READY", **more):
    return {"Id": identity, "Name": "", "Owner": owner, "Type": "VIRTUAL", "State": state,
            "CreationTime": "2026-03-02T08:00:11Z", "NumOfConnections": 0, **more}


# --- deadlines ---------------------------------------------------------------------------------

def test_a_creation_that_does_not_get_ready_is_ended_and_tried_again(make_broker):
    broker = make_broker(create_session_deadline_seconds=1)
    agent = broker.agent()
    agent.becomes = None
    identity = broker.create()
    wait_until(lambda: broker.session(identity).get("Substate") == "PENDING_PREPARATION")
    agent.wait_for_command("DeleteSessions")
    agent.becomes = "READY"
    wait_until(lambda: broker.state(identity) == "READY")


def test_a_creation_that_never_gets_ready_fails_in_the_end(make_broker):
    broker = make_broker(create_session_deadline_seconds=1,
                         create_sessions_number_of_retries_on_failure=1)
    agent = broker.agent()
    agent.becomes = None
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "DELETED")
    assert broker.session(identity)["StateReason"] == "The session did not become ready"
    assert len(agent.wait_for_command("CreateSessions")) == 2


def test_a_deletion_that_does_not_end_is_told_and_ordered_again(make_broker):
    broker = make_broker(delete_session_deadline_seconds=1)
    agent = broker.agent()
    identity = ready(broker)
    agent.ends_as = "DELETING"
    broker.delete(identity)
    wait_until(lambda: broker.state(identity) == "UNKNOWN")
    assert broker.session(identity)["StateReason"] == "The session did not end in time"
    agent.report(wait=True)
    assert broker.state(identity) == "UNKNOWN", "that it is still ending is no news"
    agent.wait_for_command("DeleteSessions", 3)
    agent.ends_as = "DELETED"
    wait_until(lambda: broker.state(identity) == "DELETED")


def test_a_session_of_a_host_that_never_gets_ready_is_unknown(make_broker):
    broker = make_broker(create_session_deadline_seconds=1)
    agent = broker.agent()
    agent.sessions["s"] = made_on_host("s", "mira", "CREATING")
    agent.report(wait=True)
    assert broker.state("s") == "CREATING"
    wait_until(lambda: broker.state("s") == "UNKNOWN")
    assert broker.session("s")["StateReason"] == "The session did not become ready in time"
    agent.set_state("s", "READY")
    agent.report(wait=True)
    assert broker.state("s") == "READY" and "StateReason" not in broker.session("s")


def test_the_deadline_of_a_creation_goes_on_after_a_restart(make_broker):
    broker = make_broker(create_session_deadline_seconds=1,
                         create_sessions_number_of_retries_on_failure=0)
    agent = broker.agent()
    agent.becomes = None
    identity = broker.create()
    agent.wait_for_command("CreateSessions")
    broker.kill()
    broker.start()
    agent.connect()
    wait_until(lambda: broker.state(identity) == "DELETED")


@pytest.mark.parametrize("restart", [False, True])
def test_a_creation_given_up_while_its_host_was_away_is_ended_there(make_broker, restart):
    broker = make_broker(create_session_deadline_seconds=1,
                         create_sessions_number_of_retries_on_failure=0)
    agent = broker.agent()
    agent.becomes = None
    identity = broker.create()
    agent.wait_for_command("CreateSessions")
    agent.drop()
    wait_until(lambda: broker.state(identity) == "DELETED")
    given_up = broker.session(identity)
    if restart:
        broker.stop()
        broker.start()
    agent.set_state(identity, "READY")
    agent.connect()
    agent.wait_for_command("DeleteSessions")
    wait_until(lambda: agent.sessions[identity]["State"] == "DELETED")
    agent.report(wait=True)
    assert broker.session(identity) == given_up
    agent.sessions.clear()
    agent.report(wait=True)
    assert broker.session(identity) == given_up
    assert len(agent.wait_for_command("DeleteSessions")) == 1


# --- loss and return ---------------------------------------------------------------------------

def test_what_is_on_its_way_becomes_unknown_with_its_host_and_goes_on_with_it(broker):
    agent = broker.agent()
    agent.becomes, agent.ends_as = None, "DELETING"
    creating, deleting = broker.create(), broker.create()
    agent.wait_for_command("CreateSessions", 2)
    wait_until(lambda: broker.session(deleting).get("Substate") == "PENDING_PREPARATION")
    broker.delete(deleting)
    agent.wait_for_command("DeleteSessions")
    agent.drop()
    wait_until(lambda: {s["State"] for s in described(broker)} == {"UNKNOWN"})
    assert all(s["StateReason"] == "The agent of the server is unreachable"
               for s in described(broker))
    assert all("Substate" not in s and s["Server"] for s in described(broker))
    agent.connect()
    wait_until(lambda: broker.state(creating) == "CREATING")
    assert broker.state(deleting) == "DELETING"
    with agent.lock:
        agent.set_state(creating, "READY")
        del agent.sessions[deleting]
        agent.report()
    wait_until(lambda: broker.state(creating) == "READY")
    assert broker.state(deleting) == "DELETED"


def test_a_host_that_comes_back_without_its_session_has_lost_it(broker):
    agent = broker.agent()
    identity = ready(broker)
    agent.drop()
    wait_until(lambda: broker.state(identity) == "UNKNOWN")
    agent.sessions.clear()
    agent.connect()
    wait_until(lambda: broker.state(identity) == "DELETED")
    assert described(broker, identity)[0]["Server"]["Id"] == agent.server_id


def test_who_hangs_is_lost_and_who_stays_away_is_forgotten_in_time(make_broker, is_sanitized):
    """One test, because both take a minute. Who hangs neither reads nor answers pings."""
    if is_sanitized:
        pytest.skip("a minute, in which a sanitizer finds nothing that it did not find before")
    broker = make_broker(seconds_before_deleting_unreachable_dcv_server=60,
                         seconds_before_deleting_sessions_unreachable_server=61)
    hanging, away = broker.agent("hanging"), broker.agent("away")
    for agent, identity in ((hanging, "h"), (away, "a")):
        agent.sessions[identity] = made_on_host(identity, "mira")
        agent.report(wait=True)
    away.drop()
    hanging.lock.acquire()  # its thread stops at the next message
    try:
        broker.ok("/openServers", [{"ServerId": hanging.server_id}])
        wait_until(lambda: broker.state("a") == "UNKNOWN")
        assert len(broker.ok("/describeServers")["Servers"]) == 2
        wait_until(lambda: len(broker.ok("/describeServers")["Servers"]) == 1, 70)
        assert "Server" not in (broker.session("a") or {})
        wait_until(lambda: broker.session("a") is None)
        wait_until(lambda: broker.state("h") == "UNKNOWN")
    finally:
        hanging.lock.release()
    away.connect()
    wait_until(lambda: broker.state("a") == "READY")


# --- sessions made on the host -----------------------------------------------------------------

def test_a_session_made_again_under_its_old_id_is_that_session(broker):
    first, second = broker.agent("a"), broker.agent("b")
    identity = ready(broker)
    host = first if identity in first.sessions else second
    other = second if host is first else first
    broker.delete(identity)
    wait_until(lambda: broker.state(identity) == "DELETED")
    host.sessions[identity] = made_on_host(identity, "mira")
    host.report(wait=True)
    assert [(s["State"], s["Server"]["Id"]) for s in described(broker, identity)] == [
        ("READY", host.server_id)]
    del host.sessions[identity]
    host.report(wait=True)
    assert broker.state(identity) == "DELETED"
    other.sessions[identity] = made_on_host(identity, "mira")
    other.report(wait=True)
    assert [(s["State"], s["Server"]["Id"]) for s in described(broker, identity)] == [
        ("READY", other.server_id)], "also on another host, after a reboot into a new one"
    assert "StateReason" not in broker.session(identity)
    broker.delete(identity)
    wait_until(lambda: broker.state(identity) == "DELETED")


def test_a_known_session_in_any_state_is_adopted_when_a_host_reports_it(broker):
    waiting = broker.create(EnqueueRequest=True, Requirements="tag:pool = 'moon'")
    agent = broker.agent()
    agent.sessions[waiting] = made_on_host(waiting, "mira")
    agent.report(wait=True)
    assert [(s["State"], s["Server"]["Id"]) for s in described(broker, waiting)] == [
        ("READY", agent.server_id)]
    broker.kill()
    broker.start()
    agent.connect()
    assert [s["Id"] for s in described(broker)] == [waiting]


def test_two_hosts_with_a_session_console_are_told_apart(broker):
    agents = [broker.agent(n) for n in ("a", "b")]
    for agent in agents:
        agent.sessions["console"] = {**made_on_host("console", "mira"), "Type": "CONSOLE"}
        agent.report(wait=True)
    assert {s["Server"]["Hostname"] for s in described(broker, "console")} == {"a", "b"}
    reply = broker.delete("console")
    assert reply["UnsuccessfulList"][0]["FailureReason"] == (
        "The owner has a session of this id on several servers")
    agents[0].sessions["console"]["Owner"] = "jonas"
    agents[0].report(wait=True)
    assert broker.delete("console")["SuccessfulList"]
    wait_until(lambda: agents[1].sessions["console"]["State"] == "DELETED")
    assert agents[0].sessions["console"]["State"] == "READY"


def test_deleted_sessions_are_not_shown_at_all_when_the_time_is_zero(make_broker):
    broker = make_broker(delete_session_duration_seconds=0)
    broker.agent()
    identity = ready(broker)
    broker.delete(identity)
    wait_until(lambda: broker.session(identity) is None)


def test_deleted_sessions_stay_over_a_restart_for_the_rest_of_their_time(make_broker):
    broker = make_broker(delete_session_duration_seconds=4)
    agent = broker.agent()
    identity = ready(broker)
    broker.delete(identity)
    wait_until(lambda: broker.state(identity) == "DELETED")
    agent.drop()
    broker.stop()
    broker.start()
    assert broker.state(identity) == "DELETED"
    wait_until(lambda: broker.session(identity) is None)


# --- at random ---------------------------------------------------------------------------------

class Chaos:
    """Random events on a small fleet, and what must hold after each of them."""

    def __init__(self, broker, seed):
        self.broker, self.random = broker, random.Random(seed)
        self.agents = [broker.agent(f"h{i}", tags={"dcv:max-virtual-sessions": "3"})
                       for i in range(3)]
        self.away = set()
        self.accepted = set()

    def step(self):
        getattr(self, self.random.choice((
            "create", "create", "create", "create", "delete", "delete", "force", "refuse", "die",
            "finish", "finish", "drop", "come_back", "come_back", "make_on_host", "end_on_host",
            "hesitate", "close", "open", "report", "restart")))()

    def pick(self, here=True):
        agents = [a for a in self.agents if (a not in self.away) == here]
        return self.random.choice(agents) if agents else None

    def pick_session(self, agent, *states):
        if agent:
            with agent.lock:
                found = [i for i, s in agent.sessions.items() if s["State"] in states]
            return self.random.choice(found) if found else None

    def create(self):
        body = [{"Name": "n", "Owner": self.random.choice(OWNERS), "Type": "VIRTUAL",
                 "EnqueueRequest": self.random.random() < 0.5,
                 "DisableRetryOnFailure": self.random.random() < 0.3}
                for _ in range(self.random.randint(1, 4))]
        reply = self.broker.ok("/createSessions", body)
        self.accepted |= {s["Id"] for s in reply["SuccessfulList"]}

    def delete(self, **more):
        sessions = described(self.broker)
        if sessions:
            session = self.random.choice(sessions)
            self.broker.delete(session["Id"], session["Owner"], **more)

    def force(self):
        self.delete(Force=True)

    def refuse(self):
        self.random.choice(self.agents).refuse = self.random.choice(
            (None, None, (500, "SYSTEM", "broken"), (429, "LIMIT", "full"),
             (404, "NOT_FOUND", "no such user")))

    def hesitate(self):
        agent = self.random.choice(self.agents)
        agent.becomes = self.random.choice((None, "READY", "READY"))
        agent.ends_as = self.random.choice(("DELETING", "DELETED", "DELETED"))

    def change(self, states, state):
        agent = self.pick()
        identity = self.pick_session(agent, *states)
        if identity:
            with agent.lock:
                agent.set_state(identity, state)
                agent.report()

    def die(self):
        self.change(("CREATING", "READY", "DELETING"), "DELETED")

    def finish(self):
        agent = self.pick()
        if agent:
            with agent.lock:
                for identity, session in list(agent.sessions.items()):
                    if session["State"] in ("CREATING", "DELETING"):
                        agent.set_state(identity, {"CREATING": "READY", "DELETING": "DELETED"}[
                            session["State"]])
                agent.report()

    def drop(self):
        agent = self.pick()
        if agent:
            self.away.add(agent)
            agent.drop()

    def come_back(self):
        agent = self.pick(here=False)
        if agent:
            self.away.discard(agent)
            agent.connect()

    def make_on_host(self):
        agent = self.pick()
        if agent:
            with agent.lock:
                agent.sessions["console"] = made_on_host("console", self.random.choice(OWNERS))
                agent.report()

    def end_on_host(self):
        agent = self.pick()
        if agent:
            with agent.lock:
                agent.sessions.pop("console", None)
                agent.report()

    def close(self):
        self.broker.ok("/closeServers", [{"ServerId": self.random.choice(self.agents).server_id,
                                          "Force": True}])

    def open(self):
        self.broker.ok("/openServers", [{"ServerId": a.server_id} for a in self.agents])

    def report(self):
        agent = self.pick()
        if agent:
            agent.report(wait=True)

    def restart(self):
        if self.random.random() < 0.2:
            self.broker.kill()
            self.broker.start()
            for agent in self.agents:
                agent.closed.wait(PATIENCE_S)
                if agent not in self.away:
                    agent.connect()

    def check(self):
        sessions = described(self.broker)
        keys = [(s["Id"], s.get("Server", {}).get("Id")) for s in sessions]
        assert len(keys) == len(set(keys)), keys
        ours = [s["Id"] for s in sessions if s["Id"] != "console"]
        assert len(ours) == len(set(ours)), "one entry for a session"
        for session in sessions:
            assert ("Substate" in session) == (session["State"] == "CREATING")
            if session.get("Substate") == "SESSION_PLACING":
                assert "Server" not in session
            elif session["State"] in ("READY", "UNKNOWN"):
                assert session["Server"]
        for server in self.broker.ok("/describeServers")["Servers"]:
            assert server["VirtualSessionCount"] <= 3 + 1, "places, and what the host made itself"

    def settle(self):
        """Everybody is there and does what it is told: then nothing may be left on its way."""
        for agent in self.agents:
            with agent.lock:
                agent.refuse, agent.becomes, agent.ends_as = None, "READY", "DELETED"
        while self.away:
            self.come_back()
        self.open()

        def is_settled():
            self.finish()
            return not any(s["State"] in ("DELETING", "UNKNOWN") or
                           s.get("Substate") == "PENDING_PREPARATION"
                           for s in described(self.broker))
        wait_until(is_settled)
        for agent in self.agents:  # of two that one owner has on two hosts none can be named
            with agent.lock:
                agent.sessions.pop("console", None)
                agent.report()
        for session in described(self.broker):
            if session["Id"] != "console" and session["State"] != "DELETED":
                self.broker.delete(session["Id"], session["Owner"])

        def is_empty():
            self.finish()
            servers = self.broker.ok("/describeServers")["Servers"]
            return (len(servers) == 3 and {s["State"] for s in described(self.broker)} <= {"DELETED"}
                    and all(s["VirtualSessionCount"] == 0 for s in servers))
        wait_until(is_empty)
        for agent in self.agents:
            with agent.lock:
                assert {s["State"] for s in agent.sessions.values()} <= {"DELETED"}, agent.sessions
        placement = self.broker.command("describe-placement").stdout
        assert placement.count("(sessions=0,") == 3, placement
        assert {s["Id"] for s in described(self.broker)} >= self.accepted


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_at_random_every_session_has_one_entry_and_gets_somewhere(make_broker, seed):
    broker = make_broker(create_session_deadline_seconds=2, delete_session_deadline_seconds=2,
                         server_set_back_seconds=1, create_sessions_queue_max_size=20)
    chaos = Chaos(broker, seed)
    for _ in range(150):
        chaos.step()
        chaos.check()
    chaos.settle()
