"""The broker as the session resolver of Connection Gateways, and the names that they are told."""

import json
import os
import pathlib
import re
import subprocess

import pytest
import requests

from broker_helpers import Broker
from ports import free_port
from waiting import wait_until

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "packaging/gen-gateway-certificates.sh"
ENDPOINTS = [{"IpAddress": "127.0.0.1", "Port": 8443, "WebUrlPath": "/web", "Protocol": "HTTP"},
             {"IpAddress": "127.0.0.1", "Port": 8444, "Protocol": "QUIC"}]
NOT_THERE = {"error": "The requested combination of transport and sessionId does not exist"}


class Gateway:
    def __init__(self, broker, cert=None):
        self.url = f"https://localhost:{broker.settings['gateway-to-broker-connector-https-port']}"
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = broker.http.verify
        self.http.cert = cert

    def resolve(self, session=None, transport="HTTP", **more):
        query = {"sessionId": session, "transport": transport, **more}
        return self.http.post(self.url + "/resolveSession", params=query, timeout=10,
                              headers={"accept": "application/json"})

    def endpoint(self, session):
        reply = self.resolve(session)
        assert reply.status_code == 200, reply.text
        return reply.json()["DcvServerEndpoint"]


@pytest.fixture(scope="module")
def broker():
    """One for all tests that leave it as it was."""
    made = Broker().start()
    yield made
    made.done()


@pytest.fixture
def gateway_broker(make_broker):
    return make_broker(enable_gateway="true", gateway_to_broker_connector_https_port=free_port(),
                       gateway_to_broker_connector_bind_host="127.0.0.1")


def create(broker):
    identity = broker.create()
    wait_until(lambda: broker.state(identity) == "READY")
    return identity


def load(broker, tmp_path, mappings, *options, name="register-server-dns-mappings", check=True):
    path = tmp_path / "mappings.json"
    path.write_text(mappings if isinstance(mappings, str) else json.dumps(mappings))
    result = broker.command(name, "--file-path", str(path), *options, check=check)
    if check:
        found = re.fullmatch(r" Successfully loaded (\d+) server id - dns name mappings from file "
                             + re.escape(str(path)) + "\n", result.stdout)
        return int(found.group(1))
    return result


def mapping(kind, identity, internal, **more):
    return {"ServerIdType": kind, "ServerId": identity,
            "DnsNames": {"InternalDnsName": internal, **more}}


def test_sessions_are_resolved_for_each_transport(gateway_broker):
    broker, gateway = gateway_broker, Gateway(gateway_broker)
    agent = broker.agent("cad01", Endpoints=ENDPOINTS, DefaultDnsName="cad01.example")
    identity = create(broker)
    reply = gateway.resolve(identity, clientIpAddress="192.0.2.7")
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json() == {"SessionId": identity, "TransportProtocol": "HTTP", "Port": 8443,
                            "DcvServerEndpoint": "cad01.example", "WebUrlPath": "/web"}
    assert gateway.resolve(identity, "QUIC").json() == {
        "SessionId": identity, "TransportProtocol": "QUIC", "Port": 8444,
        "DcvServerEndpoint": "cad01.example", "WebUrlPath": "/web"}
    for status, reply in [(404, gateway.resolve("nobody")), (400, gateway.resolve()),
                          (400, gateway.resolve("")), (400, gateway.resolve(identity, "http")),
                          (400, gateway.resolve(identity, None))]:
        assert reply.status_code == status
        assert "error" in reply.json()
    assert gateway.resolve("nobody").json() == NOT_THERE

    # endpoints that nobody can connect to
    agent.server["Endpoints"] = [{"Protocol": "HTTP"}, {"Protocol": "HTTP", "Port": 0}, *ENDPOINTS[:1],
                                 {"Protocol": "QUIC", "Port": 65536}]
    agent.report(wait=True)
    assert gateway.resolve(identity).json()["Port"] == 8443
    assert gateway.resolve(identity, "QUIC").json() == NOT_THERE

    # a session that is not ready, a transport that is not there, a host that is away
    agent.server["Endpoints"] = ENDPOINTS[:1]
    agent.report(wait=True)
    assert gateway.resolve(identity, "QUIC").json() == NOT_THERE
    agent.becomes = None
    assert gateway.resolve(broker.create()).json() == NOT_THERE
    agent.drop()
    wait_until(lambda: gateway.resolve(identity).json() == NOT_THERE)


def test_only_what_belongs_there_is_served_on_the_port_of_gateways(gateway_broker, broker):
    gateway = Gateway(gateway_broker)
    assert gateway.http.get(gateway.url + "/health", timeout=10).json() == {"status": "ok"}
    refused = gateway.http.get(gateway.url + "/resolveSession", timeout=10)
    assert refused.status_code == 405 and refused.headers["Allow"] == "POST"
    for path in ("/describeSessions", "/agent/register", "/oauth2/token", "/a/resolveSession"):
        assert gateway.http.post(gateway.url + path, timeout=10).status_code == 404
    for url in (gateway_broker.url("/resolveSession"),
                f"https://localhost:{gateway_broker.agent_port}/resolveSession"):
        assert gateway.http.post(url, timeout=10).status_code == 404
    # nobody listens where it is not enabled
    assert "Connection Gateways" in gateway_broker.errors()
    assert "Connection Gateways" not in broker.errors()


def test_the_closest_mapping_gives_the_name(gateway_broker, tmp_path):
    broker, gateway = gateway_broker, Gateway(gateway_broker)
    agent = broker.agent("cad01", Endpoints=ENDPOINTS, DefaultDnsName="",
                         Host={"Aws": {"EC2InstanceId": "i-0123"}, "Os": {"Family": "linux"}})
    identity = create(broker)
    assert gateway.endpoint(identity) == "cad01"  # its host name: there is nothing else
    assert load(broker, tmp_path, [mapping("Ip", "127.0.0.1", "by-ip.example"),
                                   mapping("Ip", "192.0.2.1", "other.example")]) == 2
    assert gateway.endpoint(identity) == "by-ip.example"
    assert load(broker, tmp_path, [mapping("Host.Aws.Ec2InstanceId", "i-0123", "by-ec2.example")],
                name="register-server-dns-mapping") == 1
    assert gateway.endpoint(identity) == "by-ec2.example"
    load(broker, tmp_path, [mapping("Id", agent.server_id, "first.example"),
                            mapping("Id", agent.server_id, "by-id.example",
                                    ExternalDnsName="outside.example")])
    assert gateway.endpoint(identity) == "by-id.example"
    assert "1 of 2 are left out" in broker.errors()

    shown = broker.command("describe-server-dns-mappings").stdout
    assert json.loads(shown) == [
        {"serverIdType": "Id", "serverId": agent.server_id,
         "dnsNames": {"internalDnsName": "by-id.example", "externalDnsName": "outside.example"}},
        {"serverIdType": "Host.Aws.Ec2InstanceId", "serverId": "i-0123",
         "dnsNames": {"internalDnsName": "by-ec2.example"}},
        {"serverIdType": "Ip", "serverId": "127.0.0.1",
         "dnsNames": {"internalDnsName": "by-ip.example"}},
        {"serverIdType": "Ip", "serverId": "192.0.2.1",
         "dnsNames": {"internalDnsName": "other.example"}}]
    broker.kill()
    broker.start()
    assert broker.command("describe-server-dns-mappings").stdout == shown
    # what was shown can be loaded again, and nothing else is left
    assert load(broker, tmp_path, shown, "--replace") == 4
    assert load(broker, tmp_path, [mapping("Ip", "2001:DB8:0::1", "v6.example")], "--replace") == 1
    assert [m["serverId"] for m in json.loads(
        broker.command("describe-server-dns-mappings").stdout)] == ["2001:db8::1"]


@pytest.mark.parametrize("bad, why", [
    ("{", "invalid JSON"),
    ({}, "it must be a JSON array"),
    ([mapping("Ip", "192.0.2.1", "a"), 3], "element 1: it must be an object"),
    ([mapping("Name", "x", "a")], "element 0: ServerIdType must be Ip, Id or"),
    ([mapping("Ip", "x", "a")], "element 0: ServerId: 'x' is not an address"),
    ([mapping("Id", "", "a")], "element 0: ServerId must be a string of 1 to 1024 bytes"),
    ([mapping("Id", "x", "-a")], "'-a' is not a DNS name"),
    ([mapping("Id", "x", "a", Color="red")], 'DnsNames: what is "Color"?'),
    ([{"ServerIdType": "Id", "ServerId": "x"}], "element 0: DnsNames is missing"),
    ([{"ServerIdType": "Id", "ServerId": "x", "DnsNames": {}}], "InternalDnsName is missing"),
])
def test_a_bad_file_loads_nothing(broker, tmp_path, bad, why):
    before = broker.command("describe-server-dns-mappings").stdout
    refused = load(broker, tmp_path, bad, check=False)
    assert refused.returncode == 1 and why in refused.stderr and "mappings.json" in refused.stderr
    assert broker.command("describe-server-dns-mappings").stdout == before


def test_gateways_show_the_certificate_that_the_script_made(make_broker, tmp_path):
    folder = tmp_path / "resolver-creds"

    def make(*options):
        return subprocess.run(["sh", SCRIPT, "--folder", folder, *options], capture_output=True,
                              text=True, timeout=60)
    made = make()
    assert made.returncode == 0, made.stderr
    assert f"The certificate of the gateways is in {folder}\n" in made.stdout
    password = re.search(r"The pass phrase of the trust store is (\S+)", made.stdout).group(1)
    assert (folder / "dcv_gateway_key.pem").stat().st_mode & 0o777 == 0o600
    again = make()
    assert again.returncode == 1 and "is there already" in again.stderr

    broker = make_broker(
        enable_gateway="true", gateway_to_broker_connector_https_port=free_port(),
        gateway_to_broker_connector_bind_host="127.0.0.1", enable_tls_client_auth_gateway="true",
        gateway_to_broker_connector_trust_store_file=folder / "dcv_gateway_trust_store.p12",
        gateway_to_broker_connector_trust_store_pass=password)
    shown = (str(folder / "dcv_gateway_cert.pem"), str(folder / "dcv_gateway_key.pem"))
    known = Gateway(broker, shown)
    assert known.resolve("nobody").json() == NOT_THERE
    with pytest.raises(requests.exceptions.ConnectionError):
        Gateway(broker).resolve("nobody")
    own = os.path.join(broker.folder, "security/listener")
    with pytest.raises(requests.exceptions.ConnectionError):
        Gateway(broker, (own + ".pem", own + ".key")).resolve("nobody")
    wait_until(lambda: "certificate verify failed: " in broker.errors())
    assert "peer did not return a certificate" in broker.errors()
    assert password not in broker.errors()
