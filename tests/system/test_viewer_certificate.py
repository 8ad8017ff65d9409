"""The certificate that the web viewer shows: the broker's authority signs it, over the agent's link."""

import contextlib
import glob
import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess

import pytest

from agent_helpers import PROGRAM
from conftest import let_everybody_reach
from keeper_helpers import PATIENCE
from rfb_client import RAW, Rfb
from tls_helpers import own_files
from viewer_helpers import Viewer, settings_for
from waiting import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes users")


@contextlib.contextmanager
def brought_up(service, broker=None, **options):
    viewer = Viewer(service, settings=settings_for(broker) if broker else "", **options)
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


def await_signed(viewer, authority, after=None):
    """A certificate of that authority, another one than `after`."""
    name = viewer.server()["Hostname"]

    def look():
        found = shown(viewer, authority, name)
        return found if found and (not after or found["serialNumber"] != after["serialNumber"]) else None
    return wait_until(look, what="what the viewer does about its certificate")


def test_who_trusts_the_broker_alone_trusts_the_address_of_a_session(service, alice, broker):
    with brought_up(service, broker) as it:
        wait_until(lambda: broker.ok("/describeServers")["Servers"])
        await_signed(it, broker.http.verify)
        session_id = broker.create(Owner=alice.name, InitFile="init.sh")
        wait_until(lambda: broker.state(session_id) == "READY")
        server = broker.ok(f"/sessionConnectionData/{session_id}/{alice.name}",
                           method="GET")["Session"]["Server"]
        for name in {server["Hostname"], server["DefaultDnsName"], server["Ip"]} - {"127.0.0.1", "localhost"}:
            wait_until(lambda: shown(it, broker.http.verify, name), what=name)
        assert not shown(it, broker.http.verify, "other.example")
        key = os.path.join(it.folder, "state/viewer.key")
        assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
        it.agent.delete(session_id, alice.name)


def signs_itself(viewer):
    """Does it show the certificate of its own?"""
    return shown(viewer, os.path.join(viewer.folder, "state/viewer.pem"), "localhost") is not None


def says(viewer, *reasons):
    """Wait for these lines; each is there once."""
    for reason in reasons:
        wait_until(lambda: reason in viewer.messages(), what="what the viewer does about its certificate")
    for reason in reasons:
        assert viewer.messages().count(reason) == 1, viewer.messages()


def diagnosis(viewer):
    """What the doctor tells of the viewer."""
    done = subprocess.run([PROGRAM, "doctor", "--conf", viewer.agent.keeper.conf], timeout=PATIENCE,
                          capture_output=True, text=True)
    (found,) = [f for f in json.loads(done.stdout)["Findings"] if f["Check"] == "viewer"]
    # whole days are left at first, for less than a second
    return found["State"], re.sub("(396|397|29|30) more days", "N more days", found["Text"])


def test_a_host_without_a_broker_signs_itself(service):
    with brought_up(service) as it:
        says(it, "the certificate signs itself: this host has no broker")
        assert signs_itself(it)
        state, text = diagnosis(it)
        assert state == "OK" and "signed by itself and good for N more days" in text
        it.stop()
        assert "no viewer listens" in diagnosis(it)[1]


def test_a_viewer_with_files_of_the_administrator_asks_nobody(service, broker, tmp_path):
    own_files(tmp_path, "given")
    for name in ("given.pem", "given.key"):
        shutil.copy(tmp_path / name, f"/tmp/{service.name}-{name}")
        shutil.chown(f"/tmp/{service.name}-{name}", service.name)
    files = f"certificate = '/tmp/{service.name}-given.pem'\nkey = '/tmp/{service.name}-given.key'\n"
    try:
        with brought_up(service, broker, viewer=files) as it:
            wait_until(lambda: broker.ok("/describeServers")["Servers"])
            assert shown(it, tmp_path / "ca.pem", "localhost")
            it.stop()
            assert "signs itself" not in it.messages()
        assert "certificate" not in broker.command("describe-agent-clients").stdout
    finally:
        for name in ("given.pem", "given.key"):
            os.unlink(f"/tmp/{service.name}-{name}")


def test_it_signs_itself_until_the_broker_answers_and_keeps_what_it_got(service, broker):
    broker.stop()
    with brought_up(service, broker) as it:
        says(it, "the certificate signs itself: the broker is not reached")
        assert signs_itself(it)
        state, text = diagnosis(it)
        assert state == "WARNING" and "signed by itself" in text
        broker.start()
        await_signed(it, broker.http.verify)
        state, text = diagnosis(it)
        assert state == "OK" and "signed by the broker's authority and good for N more days" in text
        broker.stop()
        it.stop()
        before = len(it.messages())
        it.start()
        assert await_signed(it, broker.http.verify)
        assert "signs itself" not in it.messages()[before:]


def test_a_broker_that_signs_nothing_is_told_of_once(service, make_broker, tmp_path):
    own_files(tmp_path, "given")
    both = tmp_path / "both.pem"
    both.write_text((tmp_path / "given.pem").read_text() + (tmp_path / "given.key").read_text())
    broker = make_broker(start=False, client_to_broker_connector_key_store_file=both,
                         agent_to_broker_connector_key_store_file=both)
    broker.http.verify = str(tmp_path / "ca.pem")
    let_everybody_reach(tmp_path)
    broker.start().log_in()
    with brought_up(service, broker) as it:
        says(it, "the certificate signs itself: the broker has no authority of its own")
        assert signs_itself(it)


def test_a_guest_stays_while_the_certificate_is_renewed_and_the_authority_is_another(service, alice, make_broker, monkeypatch):
    monkeypatch.setenv("DCV_SM_CERTIFICATE_TIME_SCALE", "200000")  # 30 days are 13 s
    broker = make_broker()
    monkeypatch.delenv("DCV_SM_CERTIFICATE_TIME_SCALE")
    with brought_up(service, broker) as it:
        session_id = it.agent.create_ready(alice.name)
        first = await_signed(it, broker.http.verify)
        guest = it.guest(session_id, alice.name)
        rfb = Rfb(guest, [RAW])
        rfb.whole()
        second = await_signed(it, broker.http.verify, after=first)
        rfb.whole()
        broker.stop()
        for name in glob.glob(f"{broker.folder}/security/*_ca*") + glob.glob(f"{broker.folder}/security/listener.*"):
            os.unlink(name)
        broker.start()  # with days as long as days are
        assert await_signed(it, broker.http.verify, after=second)
        rfb.whole()
        assert it.n_connections(session_id) == 1
        guest.close()
        it.agent.delete(session_id, alice.name)
