"""The wire behaviour of everything that listens through common/http-server and common/ws, seen through
the stand-in tests/doubles/http-echo.c: real sockets, whole and half requests, and nonsense."""

import base64
import contextlib
import ctypes
import ctypes.util
import hashlib
import json
import os
import pathlib
import re
import signal
import select
import socket
import ssl
import stat
import struct
import subprocess
import time

import pytest

from conftest import let_everybody_reach
from ports import free_port
from waiting import wait_until

BODY_MAX = 100000
MESSAGE_MAX = 2 << 20


@pytest.fixture
def echo(build, start, tmp_path, certificates):
    """The server on a Unix socket and on TLS; with .unix, .port and .program."""

    class Echo:
        unix = str(tmp_path / "echo.sock")
        port = free_port()
        program = start([build / "doubles/http-echo", "--unix", unix, "--port", port,
                         "--certificate", certificates / "server.pem",
                         "--key", certificates / "server.key"], ready_option="--ready-fd")

        @staticmethod
        def connect(timeout=20):
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(timeout)
            peer.connect(Echo.unix)
            return peer

        @staticmethod
        def connect_tls(timeout=20, **versions):
            context = ssl.create_default_context(cafile=certificates / "ca.pem")
            for name, value in versions.items():
                setattr(context, name, value)
            peer = socket.create_connection(("127.0.0.1", Echo.port), timeout)
            return context.wrap_socket(peer, server_hostname="localhost")

        @staticmethod
        def rss():
            status = pathlib.Path(f"/proc/{Echo.program.pid}/status").read_text()
            return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

        @staticmethod
        def cpu_ticks():
            """Processor time so far, in hundredths of a second."""
            fields = pathlib.Path(f"/proc/{Echo.program.pid}/stat").read_text().split()
            return int(fields[13]) + int(fields[14])

    return Echo


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Reader:
    """Reads one response after the other from a connection."""

    def __init__(self, peer):
        self.peer = peer
        self.bytes = b""

    def more(self):
        got = self.peer.recv(65536)
        self.bytes += got
        return bool(got)

    def until(self, mark):
        while mark not in self.bytes:
            assert self.more(), f"closed after {self.bytes!r}"
        found, self.bytes = self.bytes.split(mark, 1)
        return found

    def take(self, n):
        while len(self.bytes) < n:
            assert self.more(), f"closed after {len(self.bytes)} of {n} bytes"
        found, self.bytes = self.bytes[:n], self.bytes[n:]
        return found

    def response(self, has_body=True):
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        status = int(lines[0].split()[1])
        headers = {name.lower(): value.strip() for name, value in
                   (line.split(":", 1) for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        return Response(status, headers, self.take(length) if has_body else b"")

    def is_closed(self):
        """Nothing more comes, and the other end closes."""
        try:
            while self.more():
                pass
        except ConnectionResetError:
            pass
        return not self.bytes


def ask(peer, request, has_body=True):
    peer.sendall(request)
    return Reader(peer).response(has_body)


def is_answering(echo):
    with echo.connect(5) as peer:
        return ask(peer, b"GET /still-there HTTP/1.1\r\nHost: x\r\n\r\n").status == 200


# --- requests -----------------------------------------------------------------------------------


def test_a_request_arrives_with_its_parts(echo):
    with echo.connect() as peer:
        got = ask(peer, b"POST //a/b%20c?x=1&y=%2F HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                        b"Authorization: Bearer t\r\nContent-Type: application/json\r\n\r\nhello")
    assert got.status == 200
    assert got.headers["content-type"] == "application/json"
    said = got.json()
    assert said["method"] == "POST"
    assert said["path"] == "/a/b c"
    assert said["query"].startswith("x=1&y=")
    assert said["authorization"] == "Bearer t" and said["hasAuthorization"]
    assert said["contentType"] == "application/json"
    assert said["body"] == "hello"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_every_method_arrives(echo, method):
    with echo.connect() as peer:
        got = ask(peer, f"{method} /m HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    assert got.json()["method"] == method
    assert got.json()["bodyLength"] == 0


def test_a_body_arrives_however_slowly_it_is_sent_and_costs_nobody_else_anything(echo):
    request = b"PUT /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n" + b"s" * 20
    with echo.connect() as slow:
        for i, byte in enumerate(request):
            slow.sendall(bytes([byte]))
            if i % 10 == 0:
                assert is_answering(echo)
        assert Reader(slow).response().json()["body"] == "s" * 20


def test_half_a_request_and_a_peer_that_goes_are_no_event(echo):
    pieces = [b"", b"G", b"GET / HT", b"GET / HTTP/1.1\r\nHos",
              b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhal",
              b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"]
    for piece in pieces:
        with echo.connect() as peer:
            peer.sendall(piece)
    assert is_answering(echo)


def test_a_connection_is_kept_for_the_next_request(echo):
    with echo.connect_tls() as peer:
        for i in range(20):
            body = b"x" * i
            got = ask(peer, b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                      % (i, i, body))
            assert got.json()["path"] == f"/{i}"
            assert got.json()["bodyLength"] == i


GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize("first", [GET, POST])
@pytest.mark.parametrize("second", [GET, POST, POST * 9, GET * 2 + POST])
def test_pipelined_requests_are_answered_in_their_order(echo, first, second):
    for connect in (echo.connect, echo.connect_tls):
        with connect() as peer:
            peer.sendall(first % b"first" + second.replace(b"%s", b"second") + first % b"last")
            reader = Reader(peer)
            paths = [reader.response().json()["path"]]
            while paths[-1] != "/last":
                paths.append(reader.response().json()["path"])
            assert paths == ["/first", *["/second"] * second.count(b"%s"), "/last"]


@pytest.mark.parametrize("n", [10, -2], ids=["half a head", "half a body"])
def test_half_a_pipelined_request_is_answered_when_the_rest_comes(echo, n):
    request = POST % b"second"
    with echo.connect_tls() as peer:
        peer.sendall(GET % b"first" + request[:n])
        reader = Reader(peer)
        assert reader.response().json()["path"] == "/first"
        peer.sendall(request[n:])
        assert reader.response().json()["body"] == "abc"


def test_a_peer_that_pipelines_and_does_not_read_cannot_pile_up_answers(echo):
    before = echo.rss()
    with echo.connect(1) as peer:
        with contextlib.suppress(TimeoutError):
            while True:
                peer.sendall(b"GET /big?size=1000000 HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        assert is_answering(echo)
        assert echo.rss() - before < 5_000_000


@pytest.mark.parametrize("first", [GET, POST])
@pytest.mark.parametrize("then", [GET, POST, b""], ids=["GET", "POST", "the end"])
def test_what_comes_while_an_answer_is_awaited_costs_nothing(echo, first, then):
    with echo.connect_tls() as peer:
        peer.sendall(first % b"hold")
        assert is_answering(echo)
        if then:
            peer.sendall(then.replace(b"%s", b"next"))
        else:
            peer.shutdown(socket.SHUT_WR)
        before = echo.cpu_ticks()
        for _ in range(5):
            assert is_answering(echo)
        select.select([], [], [], 0.3)
        assert echo.cpu_ticks() - before < 15
        with echo.connect() as other:
            assert ask(other, GET % b"release").status == 200
    assert is_answering(echo)


@pytest.mark.parametrize("first", [GET, POST])
def test_a_pipelining_peer_whose_answer_comes_later_is_in_nobodys_way(echo, first):
    with echo.connect() as peer:
        peer.sendall(first % b"hold" + POST % b"next")
        for _ in range(3):
            assert is_answering(echo)
        with echo.connect() as other:
            assert ask(other, GET % b"release").status == 200
        reader = Reader(peer)
        assert [reader.response().json()["path"] for _ in range(2)] == ["/hold", "/next"]


def test_who_answers_a_request_is_not_given_the_next_one_meanwhile(echo):
    with echo.connect() as peer, echo.connect_tls() as other, echo.connect() as third:
        for held in (peer, other):
            held.sendall(GET % b"hold" + GET % b"next" + POST % b"last")
        assert is_answering(echo)
        third.sendall(GET % b"release")
        for held in (peer, other):
            reader = Reader(held)
            assert [reader.response().json()["path"] for _ in range(3)] == \
                ["/hold", "/next", "/last"]
    assert "while another one is being answered" not in echo.program.output()


def test_a_peer_that_says_it_has_ended_still_gets_its_answer(echo):
    for connect in (echo.connect, echo.connect_tls):
        with connect() as peer:
            peer.sendall(GET % b"hold")
            assert is_answering(echo)
            if connect == echo.connect:
                peer.shutdown(socket.SHUT_WR)
            with echo.connect() as other:
                assert ask(other, GET % b"release").status == 200
            reader = Reader(peer)
            assert reader.response().json()["path"] == "/hold"


@pytest.mark.parametrize("rest", [b"", b"\r\n", b"GET /ha", POST[:-1] % b"half"])
def test_a_peer_that_ends_after_several_requests_gets_all_their_answers(echo, rest):
    with echo.connect() as peer:
        peer.sendall(GET % b"hold" + POST % b"next" + GET % b"hold" + GET % b"last" + rest)
        peer.shutdown(socket.SHUT_WR)
        for _ in range(2):
            assert is_answering(echo)
            with echo.connect() as other:
                assert ask(other, GET % b"release").status == 200
        reader = Reader(peer)
        assert [reader.response().json()["path"] for _ in range(4)] == \
            ["/hold", "/next", "/hold", "/last"]
        assert reader.is_closed()


def test_a_peer_that_goes_before_its_answer_is_no_event(echo):
    peers = [echo.connect() for _ in range(5)]
    for peer in peers:
        peer.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
    assert is_answering(echo)
    for peer in peers:
        peer.close()
    with echo.connect() as other:
        assert ask(other, b"GET /release HTTP/1.1\r\nHost: x\r\n\r\n").status == 200


def test_head_is_answered_without_a_body(echo):
    with echo.connect() as peer:
        got = ask(peer, b"HEAD /big?size=5000 HTTP/1.1\r\nHost: x\r\n\r\n", has_body=False)
        assert got.status == 200
        assert got.headers["content-length"] == "5000"
        got = ask(peer, b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert got.json()["path"] == "/next"


def test_http_1_0_is_answered_and_closed(echo):
    with echo.connect() as peer:
        peer.sendall(b"GET /old HTTP/1.0\r\n\r\n")
        reader = Reader(peer)
        assert reader.response().json()["path"] == "/old"
        assert reader.is_closed()


@pytest.mark.parametrize("connection, is_kept", [
    (b"HTTP/1.0\r\nConnection: Keep-Alive", True), (b"HTTP/1.1\r\nConnection: close", False),
    (b"HTTP/1.1\r\nConnection: TE, Close", False), (b"HTTP/1.1\r\nConnection: keep-alive", True)])
def test_a_connection_is_kept_or_closed_as_the_peer_wants_it(echo, connection, is_kept):
    with echo.connect_tls() as peer:
        peer.sendall(b"GET /one " + connection + b"\r\nHost: x\r\n\r\n")
        reader = Reader(peer)
        assert reader.response().json()["path"] == "/one"
        if is_kept:
            peer.sendall(GET % b"two")
            assert reader.response().json()["path"] == "/two"
        else:
            assert reader.is_closed()


@pytest.mark.parametrize("target, path, query", [
    ("/a%2Fb%2f", "/a/b/", ""), ("///a//b", "/a//b", ""), ("/a/../b", "/a/../b", ""), ("/?", "/", ""),
    ("/a?b?c#d", "/a", "b?c#d"), ("/%e2%82%ac", "/\u20ac", ""), ("https://x:1/y?z", "/y", "z"),
    ("/a+b", "/a+b", "")])
def test_the_target_is_read_as_it_is_written(echo, target, path, query):
    with echo.connect() as peer:
        got = ask(peer, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).json()
    assert (got["path"], got["query"]) == (path, query)


@pytest.mark.parametrize("head", [
    b"GET /a%00b HTTP/1.1", b"GET /a%zz HTTP/1.1", b"GET /% HTTP/1.1", b"GET a HTTP/1.1",
    b"GET / HTTP/9.9", b"GET /", b"GET  / HTTP/1.1", b"G\x00T / HTTP/1.1", b"G(T / HTTP/1.1",
    b"GET / HTTP/1.1\r\n: x", b"GET / HTTP/1.1\r\nX y: z", b"GET / HTTP/1.1\r\nX : z",
    b"GET / HTTP/1.1\r\nX: a\r\n folded", b"GET / HTTP/1.1\r\nX: a\nY: b", b"GET / HTTP/1.1\r\nno",
    b"GET / HTTP/1.1\r\nX: a\rb", b"GET / HTTP/1.1\r\nX: a\x00b",
    b"GET / HTTP/1.1\r\nAuthorization: a\r\nauthorization: b",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1",
    b"POST / HTTP/1.1\r\nContent-Length:", b"POST / HTTP/1.1\r\nContent-Length: \t",
    b"POST / HTTP/1.1\r\nTransfer-Encoding:", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: a"])
def test_an_ill_formed_head_is_400_and_closed(echo, head):
    for connect in (echo.connect, echo.connect_tls):
        with connect() as peer:
            peer.sendall(head + b"\r\n\r\n")
            reader = Reader(peer)
            got = reader.response()
            assert got.status == 400
            assert isinstance(got.json()["error"], str)
            assert reader.is_closed()


def test_empty_lines_before_a_request_mean_nothing(echo):
    with echo.connect() as peer:
        reader = Reader(peer)
        for _ in range(2):
            peer.sendall(b"\r\n\r\n" + GET % b"x")
            assert reader.response().json()["path"] == "/x"


def test_an_empty_line_in_two_pieces_means_nothing_either(echo):
    with echo.connect() as peer:
        reader = Reader(peer)
        for _ in range(2):
            peer.sendall(b"\r\n\r")
            assert is_answering(echo)  # by now it has been read
            peer.sendall(b"\n" + GET % b"x")
            assert reader.response().json()["path"] == "/x"


@pytest.mark.parametrize("request_bytes, status", [
    (b"HEAD /a%zz HTTP/1.1\r\n\r\n", 400), (b"HEAD / HTTP/1.1\r\nX: " + b"x" * 20000, 431),
    (b"HEAD / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", 413),
    (b"HEAD / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n", 400)])
def test_a_refused_head_is_told_without_a_body(echo, request_bytes, status):
    with echo.connect_tls() as peer:
        peer.sendall(request_bytes)
        reader = Reader(peer)
        got = reader.response(has_body=False)
        assert got.status == status and int(got.headers["content-length"]) > 0
        assert reader.is_closed()


def test_a_post_without_a_length_has_no_body(echo):
    with echo.connect() as peer:
        got = ask(peer, b"POST /oauth2/token?grant_type=x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert got.status == 200
        assert got.json()["bodyLength"] == 0


def test_expect_100_continue_is_answered(echo):
    with echo.connect() as peer:
        peer.sendall(b"POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                     b"Expect: 100-continue\r\n\r\n")
        reader = Reader(peer)
        assert reader.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        peer.sendall(b"ok")
        assert reader.response().json()["body"] == "ok"


def test_http_1_0_is_not_told_to_continue(echo):
    with echo.connect() as peer:
        peer.sendall(b"POST /e HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert is_answering(echo)
        peer.sendall(b"ok")
        assert Reader(peer).response().json()["body"] == "ok"


@pytest.mark.parametrize("target", [
    "/a%00b", "/a%zz", "/%", "/..%2f..%2fetc/passwd", "/" + "a/../" * 50, "*", "http://x/y", "a"])
def test_odd_paths_do_no_harm(echo, target):
    with echo.connect() as peer:
        peer.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass
    assert is_answering(echo)


@pytest.mark.parametrize("request_bytes", [
    b"\x00" * 100, b"\xff\xfe\r\n\r\n", b"\r\n" * 1000, b"FOO / HTTP/1.1\r\n\r\n", b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\n: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_nonsense_does_no_harm(echo, request_bytes):
    for connect in (echo.connect, echo.connect_tls):
        with connect() as peer:
            try:
                peer.sendall(request_bytes)
                peer.settimeout(0.2)
                while peer.recv(65536):
                    pass
            except OSError:
                pass
    assert is_answering(echo)


# --- bodies -------------------------------------------------------------------------------------


def test_a_body_of_the_greatest_size_arrives(echo):
    with echo.connect_tls() as peer:
        got = ask(peer, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                  % (BODY_MAX, b"b" * BODY_MAX))
        assert got.json()["bodyLength"] == BODY_MAX


@pytest.mark.parametrize("length", [BODY_MAX + 1, 10 ** 12, 10 ** 23, 10 ** 40])
def test_a_body_above_the_limit_is_413_before_it_is_sent(echo, length):
    with echo.connect() as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length)
        reader = Reader(peer)
        assert reader.response().status == 413
        assert reader.is_closed()


@pytest.mark.parametrize("length", ["-1", "1x", "0x10", "+5", "1 2", "1,1"])
def test_a_length_that_is_no_number_is_400(echo, length):
    with echo.connect() as peer:
        peer.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        reader = Reader(peer)
        assert reader.response().status == 400
        assert reader.is_closed()


CHUNKED = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_chunked_body_arrives(echo):
    for connect in (echo.connect, echo.connect_tls):
        with connect() as peer:
            got = ask(peer, CHUNKED + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: x\r\n\r\n")
            assert got.json()["body"] == "hello world"


def test_a_connection_is_kept_after_a_chunked_body(echo):
    with echo.connect_tls() as peer:
        reader = Reader(peer)
        for body in (b"0\r\n\r\n", b"3\r\nabc\r\n0\r\nT: x\r\n\r\n"):
            peer.sendall(CHUNKED + body + GET % b"next")
            assert reader.response().json()["path"] == "/c"
            assert reader.response().json()["path"] == "/next"


def test_a_chunked_body_arrives_byte_by_byte(echo):
    with echo.connect() as peer:
        peer.sendall(CHUNKED)
        for byte in b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n":
            peer.sendall(bytes([byte]))
        assert Reader(peer).response().json()["body"] == "abcde"


@pytest.mark.parametrize("body", [b"x\r\n", b"5\nhello\r\n", b"5\r\nhelloX\r\n", b"-1\r\n",
                                  b"FFFFFFFFFFFFFFFFFF\r\n", b"0\r\n\n"])
def test_a_malformed_chunked_body_is_400(echo, body):
    with echo.connect() as peer:
        peer.sendall(CHUNKED + body)
        reader = Reader(peer)
        got = reader.response()
        assert got.status == 400
        assert got.json() == {"error": "ill-formed chunked body"}
        assert reader.is_closed()


def test_a_chunked_body_above_the_limit_is_413(echo):
    with echo.connect() as peer:
        peer.sendall(CHUNKED + b"%x\r\n" % (BODY_MAX + 1) + b"c" * (BODY_MAX + 1))
        assert Reader(peer).response().status == 413


@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "chunked, chunked", "identity",
                                    "x" * 100 + ", chunked"])
def test_other_transfer_codings_are_400(echo, coding):
    with echo.connect() as peer:
        got = ask(peer, f"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {coding}\r\n\r\n"
                  .encode())
        assert got.status == 400


def test_both_a_length_and_chunks_are_400(echo):
    with echo.connect() as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")
        reader = Reader(peer)
        assert reader.response().status == 400
        assert reader.is_closed()


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 30719, 30720, 32768, 65536, 65537, 20_000_000])
def test_an_answer_of_any_size_arrives_whole(echo, size):
    for connect in (echo.connect, echo.connect_tls):
        with connect() as peer:
            got = ask(peer, b"GET /big?size=%d HTTP/1.1\r\nHost: x\r\n\r\n" % size)
            assert len(got.body) == size
            wanted = bytes(range(ord("a"), ord("a") + 23)) * (size // 23 + 1)
            assert hashlib.sha256(got.body).digest() == hashlib.sha256(wanted[:size]).digest()
            assert ask(peer, b"GET /n HTTP/1.1\r\nHost: x\r\n\r\n").json()["path"] == "/n"


HEAD_MAX = 16384


def head_of(size, name=b"Authorization"):
    start = b"GET / HTTP/1.1\r\nHost: x\r\n" + name + b": "
    return start + b"t" * (size - len(start) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize("name", [b"Authorization", b"X-Unknown"])
def test_a_head_of_the_greatest_size_arrives(echo, name):
    for connect in (echo.connect, echo.connect_tls):
        with connect() as peer:
            got = ask(peer, head_of(HEAD_MAX, name))
            assert got.status == 200
            if name == b"Authorization":
                assert len(got.json()["authorization"]) > 16000


@pytest.mark.parametrize("name", [b"Authorization", b"X-Unknown", b"Cookie"])
@pytest.mark.parametrize("size", [HEAD_MAX + 1, 40_000, 70_000, 1_000_000])
def test_a_larger_head_is_431(echo, name, size):
    for connect in (echo.connect, echo.connect_tls):
        with connect() as peer:
            got = ask(peer, head_of(size, name))
            assert got.status == 431
            assert got.json() == {"error": "the head of the request is larger than 16384 bytes"}
    assert is_answering(echo)


def test_a_head_without_end_is_431_before_it_ends(echo):
    with echo.connect_tls() as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * HEAD_MAX)
        reader = Reader(peer)
        assert reader.response().status == 431
        assert reader.is_closed()


def test_too_many_headers_are_431(echo):
    with echo.connect() as peer:
        assert ask(peer, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100 + b"\r\n").status == 200
        assert ask(peer, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n").status == 431


def test_a_peer_that_never_reads_holds_no_more_than_its_answer_and_is_dropped(echo):
    size = 30_000_000
    before = echo.rss()
    with echo.connect(60) as peer:
        peer.sendall(b"GET /big?size=%d HTTP/1.1\r\nHost: x\r\n\r\n" % size)
        assert is_answering(echo)
        assert echo.rss() - before < 2 * size
        hangup = select.poll()
        hangup.register(peer, 0)  # POLLHUP comes unasked
        assert hangup.poll(40_000)  # WRITE_TIMEOUT_S of the server


def test_a_peer_that_says_nothing_or_little_is_dropped(echo):
    with echo.connect(60) as silent, echo.connect(60) as half, echo.connect(60) as trickle:
        half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        trickle.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(80):
            if select.select([trickle], [], [], 0.5)[0]:
                break
            trickle.sendall(b"x")
        else:
            pytest.fail("it goes on")
        assert Reader(trickle).is_closed()
        assert Reader(half).is_closed()
        assert Reader(silent).is_closed()


# --- who is there -------------------------------------------------------------------------------


def test_the_unix_socket_tells_who_is_there_with_all_groups(echo, make_user):
    user = make_user()
    subprocess.run(["usermod", "-a", "-G", "audio,video", user.pw_name], check=True)
    let_everybody_reach(echo.unix)
    got = subprocess.run(
        ["su", "-s", "/bin/sh", user.pw_name, "-c",
         f"curl -s --unix-socket {echo.unix} http://localhost/who"],
        check=True, capture_output=True).stdout
    said = json.loads(got)
    groups = {int(group) for group in subprocess.run(
        ["id", "-G", user.pw_name], check=True, capture_output=True).stdout.split()}
    assert said["uid"] == user.pw_uid
    assert set(said["groups"]) == groups
    assert len(groups) == 3
    assert said["address"] == ""


CONNECT_100_TIMES = """
import socket, sys
peers = []
for _ in range(100):
    peers.append(socket.socket(socket.AF_UNIX))
    peers[-1].connect(sys.argv[1])
n = 0
for peer in peers:
    try:
        peer.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        n += len(peer.recv(100)) > 0
    except OSError:
        pass
print(n)
"""


def test_a_local_user_has_64_connections_and_root_any_number(echo, make_user):
    user = make_user()
    let_everybody_reach(echo.unix)

    def n_answered(uid):
        return int(subprocess.run(["/usr/bin/python3", "-c", CONNECT_100_TIMES, echo.unix], user=uid,
                                  capture_output=True, check=True, timeout=60, cwd="/").stdout)
    for _ in range(2):
        assert n_answered(user.pw_uid) == 64
        assert n_answered(0) == 100
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(echo.connect())
        assert n_answered(user.pw_uid) == 64


def test_peers_do_not_take_the_last_descriptors(build, start, tmp_path):
    path = str(tmp_path / "few.sock")
    program = start(["prlimit", "--nofile=100:100", build / "doubles/http-echo", "--unix", path],
                    ready_option="--ready-fd")
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(200)]
        for peer in peers:
            peer.connect(path)
        assert peers[-1].recv(1) == b""  # by now all have been looked at
        assert len(os.listdir(f"/proc/{program.pid}/fd")) < 80
        assert ask(peers[0], GET % b"x").status == 200
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        assert ask(peer, GET % b"x").status == 200


def test_tcp_tells_the_address_and_no_user(echo):
    with echo.connect_tls() as peer:
        said = ask(peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").json()
    assert said["uid"] == -1 and said["groups"] == []
    assert said["address"] == "127.0.0.1"


def test_every_user_may_connect_whatever_the_umask(build, start, tmp_path):
    path = tmp_path / "umask.sock"
    start([build / "doubles/http-echo", "--unix", path], ready_option="--ready-fd", umask=0o077)
    mode = path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) & 0o666 == 0o666


def test_a_socket_left_by_a_killed_server_is_replaced(build, start, tmp_path):
    path = tmp_path / "left.sock"
    first = start([build / "doubles/http-echo", "--unix", path], ready_option="--ready-fd")
    first.stop(signal.SIGKILL)
    assert path.exists()
    second = start([build / "doubles/http-echo", "--unix", path], ready_option="--ready-fd")
    assert second.stop() == 0
    assert not path.exists()


def test_a_path_that_cannot_be_listened_on_is_an_error_that_names_it(build, start, tmp_path):
    program = start([build / "doubles/http-echo", "--unix", tmp_path / "none/x.sock"])
    assert program.process.wait(20) == 1
    assert "none/x.sock" in program.output()


def test_a_path_that_no_socket_can_have_is_an_error_that_names_it(build, start, tmp_path):
    path = tmp_path / ("x" * 120)
    program = start([build / "doubles/http-echo", "--unix", path])
    assert program.process.wait(20) != 0
    assert f"{path} is too long for a socket's path" in program.output()
    assert not list(tmp_path.glob("x*"))


def test_a_port_that_is_taken_is_an_error_that_names_it(build, start, certificates, echo):
    program = start([build / "doubles/http-echo", "--port", echo.port, "--certificate",
                     certificates / "server.pem", "--key", certificates / "server.key"])
    assert program.process.wait(20) == 1
    assert f"port {echo.port}" in program.output()


# --- TLS ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(echo, version):
    with echo.connect_tls(minimum_version=version, maximum_version=version) as peer:
        assert ask(peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").status == 200


def test_tls_1_1_is_refused(echo):
    # at the lowest security level, or OpenSSL would refuse before anything was sent
    got = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{echo.port}", "-tls1_1",
                          "-cipher", "ALL:@SECLEVEL=0"], input=b"", capture_output=True)
    assert b"alert protocol version" in got.stderr
    assert is_answering(echo)


class Tls:
    """A client that can make the server say something, without end and without reading it."""

    library = ctypes.CDLL(ctypes.util.find_library("ssl"))
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(library, name).restype = ctypes.c_void_p

    def __init__(self, port):
        self.peer = socket.socket()
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.peer.connect(("127.0.0.1", port))
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 20, 0))
        self.context = ctypes.c_void_p(self.library.SSL_CTX_new(
            ctypes.c_void_p(self.library.TLS_client_method())))
        self.ssl = ctypes.c_void_p(self.library.SSL_new(self.context))
        assert self.library.SSL_set_fd(self.ssl, self.peer.fileno()) == 1
        assert self.library.SSL_connect(self.ssl) == 1

    def send(self, text):
        assert self.library.SSL_write(self.ssl, text, len(text)) == len(text)

    def ask_for_a_new_key(self):
        """Can it still be asked for?"""
        return self.library.SSL_key_update(self.ssl, 1) == 1 and \
            self.library.SSL_do_handshake(self.ssl) == 1

    def close(self):
        self.library.SSL_free(self.ssl)
        self.library.SSL_CTX_free(self.context)
        self.peer.close()


def test_a_peer_that_asks_for_new_keys_and_does_not_read_is_dropped(echo):
    with contextlib.closing(Tls(echo.port)) as tls:
        tls.send(GET % b"big?size=30000000")  # so that nothing else can leave
        for _ in range(30_000):
            if not tls.ask_for_a_new_key():
                break
        hangup = select.poll()
        hangup.register(tls.peer, 0)  # POLLHUP comes unasked
        assert hangup.poll(10_000)  # sooner than for an answer that is not read
    assert is_answering(echo)


def test_plain_http_on_the_tls_port_is_not_answered(echo):
    with socket.create_connection(("127.0.0.1", echo.port), 20) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            assert b"200" not in peer.recv(65536)
        except ConnectionResetError:
            pass
    assert is_answering(echo)


# --- WebSocket ----------------------------------------------------------------------------------


class WebSocket:
    """A client that can do everything wrong. Source: RFC 6455."""

    def __init__(self, peer, authorization=None, protocol="echo"):
        self.peer = peer
        self.reader = Reader(peer)
        key = base64.b64encode(os.urandom(16)).decode()
        request = ["GET /ws HTTP/1.1", "Host: localhost", "Upgrade: websocket",
                   "Connection: Upgrade", f"Sec-WebSocket-Key: {key}",
                   "Sec-WebSocket-Version: 13"]
        if protocol:
            request.append(f"Sec-WebSocket-Protocol: {protocol}")
        if authorization:
            request.append(f"Authorization: {authorization}")
        peer.sendall(("\r\n".join(request) + "\r\n\r\n").encode())
        self.response = self.reader.response()

    def send(self, payload, opcode=1, final=True, length=None):
        length = len(payload) if length is None else length
        head = bytes([opcode | (0x80 if final else 0)])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 65536:
            head += struct.pack("!BH", 0x80 | 126, length)
        else:
            head += struct.pack("!BQ", 0x80 | 127, length)
        mask = os.urandom(4)
        repeated = mask * (len(payload) // 4 + 1)
        masked = (int.from_bytes(payload, "big")
                  ^ int.from_bytes(repeated[:len(payload)], "big")).to_bytes(len(payload), "big")
        self.peer.sendall(head + mask + masked)

    def frame(self):
        first, length = self.reader.take(2)
        if length == 126:
            length = struct.unpack("!H", self.reader.take(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self.reader.take(8))[0]
        return first & 0x0f, bool(first & 0x80), self.reader.take(length)

    def message(self):
        """The next whole message, pings answered; ("close", code) at its end."""
        whole = b""
        while True:
            opcode, final, payload = self.frame()
            if opcode == 8:
                return "close", struct.unpack("!H", payload[:2])[0] if payload else None
            if opcode == 9:
                self.send(payload, opcode=10)
                continue
            if opcode == 10:
                continue
            whole += payload
            if final:
                return whole.decode()


@pytest.fixture(params=["unix", "tls"])
def websocket(request, echo):
    peer = echo.connect() if request.param == "unix" else echo.connect_tls()
    with peer:
        ws = WebSocket(peer)
        assert ws.response.status == 101
        ws.echo = echo
        yield ws


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 200000, MESSAGE_MAX])
def test_a_message_of_any_size_comes_back(websocket, size):
    text = "x" * size
    websocket.send(text.encode())
    assert websocket.message() == text


def test_a_message_in_fragments_with_a_ping_between_comes_back_whole(websocket):
    websocket.send(b"one ", final=False)
    websocket.send(b"are you there", opcode=9)
    websocket.send(b"two ", opcode=0, final=False)
    websocket.send(b"three", opcode=0)
    opcode, _, payload = websocket.frame()
    assert (opcode, payload) == (10, b"are you there")
    assert websocket.message() == "one two three"


def test_a_message_above_the_limit_is_closed_with_1009(websocket):
    websocket.send(b"x", length=MESSAGE_MAX + 1)
    assert websocket.message() == ("close", 1009)


def test_fragments_above_the_limit_are_closed_with_1009(websocket):
    websocket.send(b"x" * MESSAGE_MAX, final=False)
    websocket.send(b"x" * 10, opcode=0)
    assert websocket.message() == ("close", 1009)


def test_a_binary_message_is_closed_with_1003(websocket):
    websocket.send(b"\x00\x01", opcode=2)
    assert websocket.message() == ("close", 1003)


def test_a_close_is_answered(websocket):
    websocket.send(b"close")
    assert websocket.message() == ("close", 1000)


@pytest.mark.parametrize("text", [b"\xff", b"x" * 9 + b"\xc3", b"\xed\xa0\x80", b"\xc0\x80 and more"])
def test_a_message_that_is_not_utf_8_is_closed_with_1007(websocket, text):
    good = "\u20ac\u00e9\U0001f600" * 3 + "plain ASCII behind"
    websocket.send(good.encode()[:1], final=False)
    websocket.send(good.encode()[1:], opcode=0)
    assert websocket.message() == good
    websocket.send(text)
    assert websocket.message() == ("close", 1007)


@pytest.mark.parametrize("head", [b"\x81\x02", b"\xf1\x82", b"\x83\x80", b"\x09\x80", b"\x80\x81"])
def test_a_frame_that_breaks_the_protocol_is_closed_with_1002_before_it_is_whole(websocket, head):
    websocket.peer.sendall(head)
    assert websocket.message() == ("close", 1002)


@pytest.mark.parametrize("payload, code", [
    (b"", None), (b"\x03", 1002), (struct.pack("!H", 999), 1002), (struct.pack("!H", 1005), 1002),
    (struct.pack("!H", 1006), 1002), (struct.pack("!H", 1015), 1002), (struct.pack("!H", 5000), 1002),
    (struct.pack("!H", 1000) + b"\xff", 1007), (struct.pack("!H", 3000) + b"x" * 123, 3000)])
def test_a_close_is_answered_by_what_it_says(websocket, payload, code):
    websocket.send(payload, opcode=8)
    assert websocket.message() == ("close", code)


def test_a_peer_that_closes_is_answered(websocket):
    websocket.send(struct.pack("!H", 1000) + b"bye", opcode=8)
    assert websocket.message() == ("close", 1000)
    wait_until(lambda: "closed by the peer: bye" in websocket.echo.program.output())


@pytest.mark.parametrize("half", [b"\x81", b"\x81\xfe\x01", b"\x81\x85abcd", b"\x81\x85abcdhe",
                                  b"\x01\x83abcdxyz"])
def test_half_a_frame_and_a_peer_that_goes_are_no_event(websocket, half):
    websocket.peer.sendall(half)
    websocket.peer.close()
    assert is_answering(websocket.echo)


@pytest.mark.parametrize("bad", [b"\x81\x02hi", b"\xf1\x82abcdxy", b"\x83\x80abcd", b"\x8b\x80abcd",
                                 b"\x80\x81abcdx", b"\x81\xff" + b"\xff" * 8 + b"abcd",
                                 b"\x89\xfe\x01\x00abcd" + b"p" * 256])
def test_frames_that_break_the_protocol_do_no_harm(websocket, bad):
    websocket.peer.sendall(bad)
    websocket.peer.settimeout(0.3)
    try:
        websocket.message()
    except (OSError, AssertionError):
        pass
    assert is_answering(websocket.echo)


def test_a_peer_that_never_reads_is_dropped_when_its_queue_is_full(websocket):
    echo = websocket.echo
    before = echo.rss()
    websocket.send(b"flood 5")
    websocket.send(b"flood 500")
    wait_until(lambda: "why=peer does not read" in echo.program.output(), 20, "the drop")
    assert echo.rss() - before < 40 << 20
    assert is_answering(echo)


def test_pings_of_a_peer_that_does_not_read_pile_up_no_answers(websocket):
    ping = b"\x89\xfd\0\0\0\0" + b"p" * 125
    for _ in range(200):
        websocket.peer.sendall(ping * 1000)
    websocket.send(b"the last one", opcode=9)
    assert is_answering(websocket.echo)
    websocket.send(b"still there")
    pongs = []
    while (frame := websocket.frame())[0] == 10:
        pongs.append(frame[2])
    assert pongs[-1] == b"the last one" and len(pongs) < 200_000
    assert frame[2] == b"still there"


def test_a_peer_that_reads_gets_everything_that_fits_the_queue(websocket):
    websocket.send(b"flood 7")
    for _ in range(7):
        assert websocket.message() == "x" * (1 << 20)


def test_an_upgrade_may_be_refused(echo):
    with echo.connect() as peer:
        refused = WebSocket(peer, authorization="Bearer bad")
        assert refused.response.status == 401
        assert refused.reader.is_closed()


@pytest.mark.parametrize("version, key, more", [
    ("1.0", "x" * 22 + "==", ""), ("1.1", "", ""), ("1.1", "x" * 24, ""), ("1.1", "x" * 21 + "===", ""),
    ("1.1", "*" * 22 + "==", ""), ("1.1", "x" * 22, ""), ("1.1", "x" * 22 + "==", "Content-Length: 1"),
    ("1.1", "x" * 22 + "==", "Transfer-Encoding: chunked")])
def test_an_ill_formed_upgrade_is_400(echo, version, key, more):
    with echo.connect() as peer:
        request = [f"GET /ws HTTP/{version}", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
                   f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
                   "Sec-WebSocket-Protocol: echo", *([more] if more else [])]
        peer.sendall(("\r\n".join(request) + "\r\n\r\n").encode())
        reader = Reader(peer)
        assert reader.response().status == 400
        assert reader.is_closed()


def test_an_upgrade_to_another_protocol_is_refused(echo):
    for protocol in ("other", "echo2, ech", None):
        with echo.connect() as peer:
            assert WebSocket(peer, protocol=protocol).response.status == 426
    with echo.connect() as peer:
        assert WebSocket(peer, protocol="other, echo").response.status == 101


# --- the end ------------------------------------------------------------------------------------


def test_it_stops_cleanly_with_every_kind_of_connection_open(echo):
    peers = [echo.connect(), echo.connect_tls(), echo.connect(), echo.connect(), echo.connect()]
    peers[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
    peers[2].sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
    peers[3].sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    peers[4].sendall(b"GET /big?size=9000000 HTTP/1.1\r\nHost: x\r\n\r\n")
    websockets = [WebSocket(echo.connect()), WebSocket(echo.connect_tls())]
    websockets[0].send(b"flood 5")
    websockets[1].send(b"half", final=False)
    assert is_answering(echo)
    started = time.monotonic()
    assert echo.program.stop() == 0
    assert time.monotonic() - started < 5
    for peer in peers + [websocket.peer for websocket in websockets]:
        peer.close()
    assert not pathlib.Path(echo.unix).exists()
