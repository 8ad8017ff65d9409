"""The certificate that the web viewer shows: the broker's authority signs it, over the agent's link."""

import contextlib
import os
import socket
import ssl
import stat

import pytest

from broker_helpers import Broker
from conftest import wait_until
from keeper_helpers import PATIENCE, User
from viewer_helpers import Viewer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes users")


@pytest.fixture(scope="module")
def people():
    users = [User(), User()]
    yield users
    for user in users:
        user.remove()


@contextlib.contextmanager
def brought_up(people, broker=None, **options):
    settings = "" if not broker else (
        f"broker_host = 'localhost'\nbroker_port = {broker.agent_port}\n"
        f"ca_file = '{broker.http.verify}'\n"
        f"software_statement_path = '{broker.folder}/security/default-software-statement'\n")
    viewer = Viewer(people[0], settings=settings, **options)
    try:
        yield viewer
    finally:
        viewer.done()


def shown(viewer, authority, name):
    """The certificate that a client gets who trusts `authority` alone and wants to reach `name`; None: it does not
    trust what it sees."""
    context = ssl.create_default_context(cafile=authority)
    assert context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED
    with socket.create_connection(("127.0.0.1", viewer.port), PATIENCE) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=name) as tls:
                return tls.getpeercert()
        except ssl.SSLCertVerificationError:
            return None


def await_signed(viewer, authority, name=None):
    name = name or viewer.server()["Hostname"]
    return wait_until(lambda: shown(viewer, authority, name), PATIENCE, viewer.messages)


def test_who_trusts_the_broker_alone_trusts_the_address_of_a_session(people, broker):
    with brought_up(people, broker) as it:
        wait_until(lambda: broker.ok("/describeServers")["Servers"])
        await_signed(it, broker.http.verify)
        session_id = broker.create(Owner=people[1].name, InitFile="init.sh")
        wait_until(lambda: broker.state(session_id) == "READY", PATIENCE)
        server = broker.ok(f"/sessionConnectionData/{session_id}/{people[1].name}",
                           method="GET")["Session"]["Server"]
        for name in {server["Hostname"], server["DefaultDnsName"], server["Ip"]} - {"127.0.0.1", "localhost"}:
            assert shown(it, broker.http.verify, name), name
        assert not shown(it, broker.http.verify, "other.example")
        key = os.path.join(it.folder, "state/viewer.key")
        assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
        it.agent.delete(session_id, people[1].name)
