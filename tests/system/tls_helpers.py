"""Certificates as administrators make them, and a client that trusts them all."""

import ssl
import subprocess

import requests


def blind_context():
    """For what is not about trust. The system's authorities are not read: that takes longer than a handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class BlindAdapter(requests.adapters.HTTPAdapter):
    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, ssl_context=blind_context(), **options)


def blind_post(url, **options):
    """POST over a connection of its own."""
    with requests.Session() as http:
        http.trust_env = False
        http.mount("https://", BlindAdapter())
        return http.post(url, verify=False, timeout=10, **options)


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def own_files(folder, name, days=90):
    """An authority (once) and a certificate with its key, for localhost, in `folder`."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    if not (folder / "ca.pem").exists():
        openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                "-subj", "/CN=own authority")
        (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", "csr", "-subj", "/CN=localhost")
    openssl(folder, "x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", f"{name}.pem", "-days", str(days), "-extfile", "names")
    openssl(folder, "pkcs12", "-export", "-in", f"{name}.pem", "-inkey", f"{name}.key",
            "-certfile", "ca.pem", "-passout", "pass:xyzzy", "-out", f"{name}.p12")
