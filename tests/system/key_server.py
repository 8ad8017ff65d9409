"""An authorization server as tests need one: it serves key sets as it is told, and makes tokens of every kind, also
those that nobody should accept."""

import base64
import collections
import datetime
import hashlib
import hmac
import http.server
import ipaddress
import json
import ssl
import threading
import time

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
CURVES = {"ES256": ("P-256", ec.SECP256R1()), "ES384": ("P-384", ec.SECP384R1()),
          "ES512": ("P-521", ec.SECP521R1())}
WELL_KNOWN = "/.well-known/jwks.json"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encode(value):
    return base64url(json.dumps(value).encode())


class Key:
    """A key pair; its kid is a number of its own unless it is given."""
    count = 0

    def __init__(self, algorithm="RS256", bits=2048, kid=""):
        Key.count += 1
        self.kid = f"key-{Key.count}" if kid == "" else kid
        self.algorithm = algorithm
        self.private = (ec.generate_private_key(CURVES[algorithm][1]) if algorithm in CURVES
                        else rsa.generate_private_key(65537, bits))

    def jwk(self, **more):
        numbers = self.private.public_key().public_numbers()

        def text(number, n_bytes=None):
            return base64url(number.to_bytes(n_bytes or (number.bit_length() + 7) // 8, "big"))
        if self.algorithm in CURVES:
            n_bytes = (self.private.key_size + 7) // 8
            jwk = {"kty": "EC", "crv": CURVES[self.algorithm][0], "x": text(numbers.x, n_bytes),
                   "y": text(numbers.y, n_bytes)}
        else:
            jwk = {"kty": "RSA", "n": text(numbers.n), "e": text(numbers.e)}
        if self.kid is not None:
            jwk["kid"] = self.kid
        jwk.update(more)
        return {name: value for name, value in jwk.items() if value is not None}

    def pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, claims, algorithm=None, **headers):
        """By hand, because a library would not sign claims that are not what they should be."""
        algorithm = algorithm or self.algorithm
        headers = {"alg": algorithm, "kid": self.kid, "typ": "JWT", **headers}
        text = encode({name: value for name, value in headers.items() if value is not None}) + "." + encode(claims)
        signer = jwt.get_algorithm_by_name(algorithm)
        return text + "." + base64url(signer.sign(text.encode(), self.private))


def forge(header, claims, secret=None):
    """A token that no library would make: unsigned, or with an HMAC."""
    text = encode(header) + "." + encode(claims)
    signature = hmac.digest(secret, text.encode(), hashlib.sha256) if secret is not None else b""
    return text + "." + base64url(signature)


def certificate(folder, authority, authority_key):
    """Files with a certificate for this host, signed by an authority (PEM files), and its key."""
    ca = x509.load_pem_x509_certificate(authority.read_bytes())
    ca_key = serialization.load_pem_private_key(authority_key.read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.utcnow()
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"),
                                         x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(
        issuer_name=ca.subject, public_key=key.public_key(), serial_number=x509.random_serial_number(),
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "key server")]),
        not_valid_before=now - datetime.timedelta(hours=1), not_valid_after=now + datetime.timedelta(days=1),
    ).add_extension(names, False).sign(ca_key, hashes.SHA256())
    (folder / "key-server.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key-server.key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return folder / "key-server.pem", folder / "key-server.key"


class KeyServer:
    """HTTPS on loopback, or HTTP without a certificate. What a path answers is in `answers`: a list of JWKs, bytes,
    or a function that is given the handler."""

    def __init__(self, certificate_files=None):
        self.answers, self.fetches = {}, collections.Counter()
        self.ended = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.fetches[self.path] += 1
                answer = outer.answers.get(self.path)
                if callable(answer):
                    answer(self)
                elif answer is None:
                    self.answer(b"nothing here", 404)
                else:
                    self.answer(answer if isinstance(answer, bytes)
                                else json.dumps({"keys": answer}).encode())

            def answer(self, body, status=200, **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a client that hangs up or does not trust us

            def get_request(self):
                sock, address = super().get_request()
                sock.settimeout(30)
                if certificate_files:  # the handshake is made by the thread of the connection
                    sock = self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                return sock, address

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if certificate_files:
            self.server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.server.tls.load_cert_chain(*certificate_files)
        self.port = self.server.server_address[1]
        self.base = f"http{'s' if certificate_files else ''}://localhost:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


class Issuer:
    """A path of a key server with keys of its own, and the tokens that it makes."""
    count = 0

    def __init__(self, server, *keys, path=None):
        Issuer.count += 1
        self.server, self.keys = server, list(keys)
        self.name = f"{server.base}/issuer-{Issuer.count}"
        self.path = path or f"/issuer-{Issuer.count}{WELL_KNOWN}"
        self.url = server.base + self.path
        self.serve([key.jwk() for key in keys])

    def serve(self, answer):
        self.server.answers[self.path] = answer

    @property
    def fetches(self):
        return self.server.fetches[self.path]

    def claims(self, **changes):
        """What a server's token says; a change to None leaves a claim out."""
        now = int(time.time())
        claims = {"iss": self.name, "sub": "portal", "client_id": "portal", "iat": now, "exp": now + 600,
                  "jti": base64url(hashlib.sha256(repr((time.time_ns(), changes)).encode()).digest())}
        claims.update(changes)
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key=None, algorithm=None, headers=None, **changes):
        key = key or self.keys[0]
        return key.sign(self.claims(**changes), algorithm, **(headers or {}))
