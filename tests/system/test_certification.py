"""Whom the broker signs certificates for, asked by doubles of agents."""

import base64
import ipaddress
import json
import os
import signal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from broker_helpers import Broker
from tls_helpers import own_files
from waiting import wait_until

KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def broker():
    it = Broker().start()
    yield it
    it.done()


def name_of(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def request(*names, key=KEY, **more):
    """A certificate request as an agent sends it; `names` are texts, or what x509 makes."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, more.get("subject", "x"))]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(
            [name_of(n) if isinstance(n, str) else n for n in names]), critical=False)
    for extension in more.get("extensions", ()):
        builder = builder.add_extension(extension, critical=True)
    return base64.b64encode(builder.sign(key, hashes.SHA256()).public_bytes(
        serialization.Encoding.DER)).decode()


def well(answer):
    assert "Certificate" in answer, answer
    end = "-----END CERTIFICATE-----\n"
    return [x509.load_pem_x509_certificate((text + end).encode())
            for text in answer["Certificate"].split(end)[:-1]]


def own_boot_id():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def clients(broker):
    return {c["id"]: c for c in json.loads(
        broker.command("describe-agent-clients", "--json").stdout)["clients"]}


def signings(broker, agent):
    """What audit.log tells of them."""
    with open(os.path.join(broker.folder, "log/audit.log"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.endswith("\n")]
    return [a for a in lines if a["what"] == "SignCertificate" and a["who"]["id"] == agent.client_id]


def test_what_is_signed_is_for_a_tls_server_with_the_reported_names_alone(broker):
    agent = broker.agent("lab1", Ip="10.1.0.1", DefaultDnsName="lab1.example")
    names = ["lab1", "lab1.example", "10.1.0.1"]
    certificate, authority = well(agent.ask_certificate(request(*names, subject="localhost", extensions=[
        x509.BasicConstraints(ca=True, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])])))
    authority.public_key().verify(
        certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    with open(broker.http.verify, "rb") as file:
        assert x509.load_pem_x509_certificate(file.read()) == authority
    assert authority.fingerprint(hashes.SHA256()).hex() == agent.hello["Authority"]

    def extension(oid):
        return certificate.extensions.get_extension_for_oid(oid).value
    assert list(extension(ExtensionOID.EXTENDED_KEY_USAGE)) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert list(extension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)) == [name_of(n) for n in names]
    assert not extension(ExtensionOID.BASIC_CONSTRAINTS).ca
    assert certificate.public_key().public_numbers() == KEY.public_key().public_numbers()
    assert "localhost" not in certificate.subject.rfc4514_string()
    assert (certificate.not_valid_after - certificate.not_valid_before).days == 31  # one has passed
    assert clients(broker)[agent.client_id]["viewer-certificate-names"] == \
        "DNS:lab1,DNS:lab1.example,IP:10.1.0.1"
    (line,) = wait_until(lambda: signings(broker, agent))
    assert (line["outcome"], line["object"], line["server"]) == (
        "done", "DNS:lab1,DNS:lab1.example,IP:10.1.0.1", agent.server_id)


def forged():
    """One for which the signature was made by another key."""
    good = base64.b64decode(request("lab2"))
    return base64.b64encode(good[:-1] + bytes([good[-1] ^ 1])).decode()


BAD = {
    "a name that was not reported": (lambda: request("lab2", "lab3"), "DENIED"),
    "an address that was not reported": (lambda: request("10.1.0.3"), "DENIED"),
    "localhost": (lambda: request("localhost"), "INVALID"),
    "loopback, though it was reported": (lambda: request("127.0.0.1"), "INVALID"),
    "a pattern": (lambda: request("*.example"), "INVALID"),
    "two names in one": (lambda: request("lab2,DNS:localhost"), "INVALID"),
    "a zero byte": (lambda: request(x509.DNSName("lab2\0.example")), "INVALID"),
    "a mail address": (lambda: request("lab2", x509.RFC822Name("a@lab2")), "INVALID"),
    "a URI": (lambda: request("lab2", x509.UniformResourceIdentifier("https://lab2/")), "INVALID"),
    "no name": (request, "INVALID"),
    "too many names": (lambda: request(*(f"lab{i}" for i in range(17))), "INVALID"),
    "an RSA key": (lambda: request("lab2", key=rsa.generate_private_key(65537, 2048)), "INVALID"),
    "a weak key": (lambda: request("lab2", key=ec.generate_private_key(ec.SECP192R1())), "INVALID"),
    "a signature of another key": (forged, "INVALID"),
    "bytes after it": (lambda: base64.b64encode(base64.b64decode(request("lab2")) + b"x").decode(), "INVALID"),
    "half of it": (lambda: request("lab2")[:200], "INVALID"),
    "no base64": (lambda: "-----BEGIN CERTIFICATE REQUEST-----", "INVALID"),
    "nothing": (lambda: "", "INVALID"),
    "no text": (lambda: 7, "INVALID"),
    "a size out of proportion": (lambda: "A" * 10000, "TOO_LARGE"),
}


assert len(BAD) <= 20, "one agent may not ask more often"


@pytest.fixture(scope="module")
def stranger(broker):
    return broker.agent("lab2", Ip="127.0.0.1")


@pytest.mark.parametrize("what", BAD)
def test_nothing_is_signed_for_a_request_with(stranger, what):
    make, code = BAD[what]
    answer = stranger.ask_certificate(make())
    assert answer["code"] == code and answer["error"] and "Certificate" not in answer, answer


def test_who_asks_too_often_waits_and_keeps_the_link(broker):
    agent = broker.agent("lab4", Ip="10.1.0.4")
    for _ in range(20):
        assert agent.ask_certificate("x")["code"] == "INVALID"
    assert agent.ask_certificate(request("lab4"))["code"] == "LIMIT"
    agent.connect()
    assert agent.ask_certificate(request("lab4"))["code"] == "LIMIT"
    other = broker.agent("lab5", Ip="10.1.0.5")
    well(other.ask_certificate(request("lab5")))


def test_a_name_is_kept_by_who_has_it(broker):
    first = broker.agent("lab6", Ip="10.1.0.6")
    well(first.ask_certificate(request("lab6", "10.1.0.6")))
    first.drop()
    second = broker.agent("lab7", Ip="10.1.0.6", DefaultDnsName="LAB6")
    for name in ("10.1.0.6", "LAB6"):
        answer = second.ask_certificate(request("lab7", name))
        assert answer["code"] == "CONFLICT" and first.client_id in answer["error"]
    broker.command("unregister-agent-client", "--client-id", first.client_id)
    well(second.ask_certificate(request("LAB6", "10.1.0.6")))
    broker.stop()
    broker.start()
    third = broker.agent("lab6", Ip="10.1.0.9")
    assert third.ask_certificate(request("lab6"))["code"] == "CONFLICT"


def test_a_name_that_two_hosts_tell_is_signed_for_neither(broker):
    hosts = [broker.agent("lab8", Ip="10.1.0.8"), broker.agent("lab8", Ip="10.1.0.9")]
    for agent in hosts:
        assert agent.ask_certificate(request("lab8"))["code"] == "CONFLICT"
    hosts[0].server["Hostname"] = hosts[0].server["DefaultDnsName"] = "lab9"
    hosts[0].report(wait=True)
    well(hosts[1].ask_certificate(request("lab8")))


def test_an_address_is_the_same_however_it_is_written(broker):
    first = broker.agent("lab10", Ip="2001:db8:0::10")
    second = broker.agent("lab11", Ip="2001:0db8::10")
    for name in ("2001:0db8::10", "2001:DB8::10", "2001:db8:0::10"):
        for kind in (name_of, x509.DNSName):
            assert second.ask_certificate(request(kind(name))).get("code") == "CONFLICT"
    second.server["Ip"] = "10.1.0.11"
    second.report(wait=True)
    well(first.ask_certificate(request(x509.DNSName("2001:DB8::10"))))
    first.drop()
    second.server["Ip"] = "2001:db8::0:10"
    second.report(wait=True)
    assert second.ask_certificate(request(x509.DNSName("2001:db8::0:10"))).get("code") == "CONFLICT"
    assert clients(broker)[first.client_id]["viewer-certificate-names"] == "IP:2001:db8::10"


def test_the_brokers_own_names_are_for_its_host_alone(make_broker):
    broker = make_broker(start=False, certificate_extra_names="portal.example").start()
    name = os.uname().nodename.split(".")[0]
    agent = broker.agent(name, Ip="10.1.0.1", DefaultDnsName="portal.example")
    assert "own name" in agent.ask_certificate(request(name))["error"]
    assert "own name" in agent.ask_certificate(request("portal.example"))["error"]
    agent.report(wait=True, BootId=own_boot_id())
    well(agent.ask_certificate(request(name)))
    assert "own name" in agent.ask_certificate(request(name, "portal.example"))["error"]


def test_nobody_is_signed_for_where_agents_are_not_asked_who_they_are(make_broker):
    broker = make_broker(start=False, enable_agent_authorization="false").start()
    agent = broker.agent("lab1", Ip="10.1.0.1")
    # such a broker does not look at who it is, so this one has registered in vain
    assert agent.hello["Authority"] == ""
    for _ in range(60):
        assert agent.ask_certificate(request("lab1"))["code"] == "UNSUPPORTED"
    assert 0 < broker.log().count("gets no certificate") <= 20


def test_a_broker_that_shows_the_administrators_files_signs_nothing(make_broker, tmp_path):
    own_files(tmp_path, "given")
    (tmp_path / "both.pem").write_text((tmp_path / "given.pem").read_text() +
                                       (tmp_path / "given.key").read_text())
    broker = make_broker(start=False,
                         client_to_broker_connector_key_store_file=tmp_path / "both.pem",
                         agent_to_broker_connector_key_store_file=tmp_path / "both.pem").start()
    agent = broker.agent("lab1", Ip="10.1.0.1")
    assert agent.hello["Authority"] == ""
    answer = agent.ask_certificate(request("lab1"))
    assert answer == {"error": "the broker has no authority of its own", "code": "UNSUPPORTED"}


def test_agents_are_told_of_another_authority_at_once(make_broker):
    broker = make_broker(start=False).start()
    agent = broker.agent("lab1", Ip="10.1.0.1")
    before = agent.hello["Authority"]
    for name in ("dcvsmbroker_ca.pem", "dcvsmbroker_ca.key"):
        os.unlink(os.path.join(broker.folder, "security", name))
    broker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: agent.hello["Authority"] != before)
    _, authority = well(agent.ask_certificate(request("lab1")))
    assert authority.fingerprint(hashes.SHA256()).hex() == agent.hello["Authority"]
