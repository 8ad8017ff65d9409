"""Files of a session through the web viewer: what reaches them, and what does not."""

import contextlib
import glob
import hashlib
import http.client
import json
import os
import pathlib
import socket
import subprocess
import urllib.parse

import pytest

from keeper_helpers import PATIENCE, name_of, pids, uid_of, wait_for
from viewer_helpers import ALL, CONTEXT, OPEN, Viewer, permissions, update

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes users")

STRANGE = bytes(set(range(1, 256)) - {ord("/")})
LOOK = ALL + "%any% allow display\n"
BIG = 1 << 30


@pytest.fixture
def make_session(viewer, alice, share):
    made = []

    def make(text=OPEN, root=None):
        made.append(viewer.agent.create_ready(
            alice.name, PermissionsFile=permissions(text),
            StorageRoot=root or f"%home%/{share.name}"))
        return made[-1]

    yield make
    for session_id in made:
        if viewer.agent.find(session_id)["State"] == "READY":
            viewer.agent.delete(session_id, alice.name)


class Files:
    """The files of a session, as somebody who is connected has them."""

    def __init__(self, viewer, session_id, user):
        self.viewer = viewer
        self.browser = viewer.guest(session_id, user.name)
        self.key = self.browser.admitted["files"]

    def open(self, method, kind, path, query="", length=None, **headers):
        """A connection on which the head of a request was sent."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.viewer.port, context=CONTEXT,
                                                 timeout=PATIENCE)
        quoted = urllib.parse.quote_from_bytes(os.fsencode(path), safe="/")
        connection.putrequest(method, f"/files/{self.key}/{kind}/{quoted}" + (query and "?") + query)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if length is not None:
            connection.putheader("Content-Length", str(length))
        connection.endheaders()
        return connection

    def ask(self, method, kind, path, query="", body=None, **headers):
        """(status, headers, bytes)"""
        connection = self.open(method, kind, path, query, None if body is None else len(body),
                               **headers)
        try:
            if body:
                connection.send(body)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path, **headers):
        status, _, body = self.ask("GET", "content", path, **headers)
        return status, body

    def list(self, path=""):
        """What is in a folder, by name."""
        status, _, body = self.ask("GET", "list", path)
        assert status == 200, body
        return {urllib.parse.unquote_to_bytes(entry.pop("name")): entry
                for entry in json.loads(body)["entries"]}

    def put(self, path, body, size=None, offset=0, time=1):
        query = f"size={len(body) if size is None else size}&time={time}&offset={offset}"
        status, _, answer = self.ask("PUT", "content", path, query, body)
        return status, json.loads(answer)

    def part(self, path, size, time=1, method="GET"):
        status, _, answer = self.ask(method, "part", path, f"size={size}&time={time}")
        return status, json.loads(answer)


def helper_of(user):
    (pid,) = [pid for pid in pids() if uid_of(pid) == user.uid
              and name_of(pid) == "dcv-session-fil"]
    return pid


def test_files_go_there_and_back_whatever_their_names(viewer, make_session, alice, bob, share):
    files = Files(viewer, make_session(), bob)
    name = share.name.encode() + STRANGE[:200]
    for path in (b"plain.txt", STRANGE, "größe.pdf".encode(), b"-rf", b"a b%20c?d#e&f+g",
                 name.replace(b"/", b"")):
        content = os.urandom(1000)
        status, answer = files.put(path, content)
        assert (status, urllib.parse.unquote_to_bytes(answer["name"])) == (201, path)
        on_disk = pathlib.Path(os.fsdecode(os.path.join(os.fsencode(share), path)))
        assert on_disk.read_bytes() == content
        assert on_disk.stat().st_uid == alice.uid
        assert files.get(path) == (200, content)
        assert files.list()[path]["size"] == 1000
    assert len(files.list()) == 6
    folder = share / "folder" / "below"
    folder.mkdir(parents=True)
    (folder / "empty").touch()
    subprocess.run(["chown", "-R", str(alice.uid), folder.parent], check=True)
    assert files.list()[b"folder"]["folder"] and not files.list()[b"plain.txt"]["folder"]
    assert list(files.list("folder/below")) == [b"empty"]
    assert files.get("folder/below/empty") == (200, b"")
    assert files.put("folder/below/empty too", b"")[0] == 201
    assert (folder / "empty too").read_bytes() == b""
    for path in ("folder", "nothing", "plain.txt/x", "folder/none/x"):
        assert files.get(path)[0] in (400, 404), path
    assert files.put("none/x", b"x")[0] == 404
    assert files.ask("GET", "list", "plain.txt")[0] == 404


def test_what_comes_is_never_a_page(viewer, make_session, bob, share):
    (share / 'a"b\r\nSet-Cookie: x=1;ü\udcff.html').write_text("<script>alert(1)</script>")
    files = Files(viewer, make_session(), bob)
    status, headers, _ = files.ask("GET", "content", 'a"b\r\nSet-Cookie: x=1;ü\udcff.html')
    assert status == 200 and "Set-Cookie" not in headers
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"] == (
        "attachment; filename*=UTF-8''a%22b%0D%0ASet-Cookie%3A%20x%3D1%3B%C3%BC_.html")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox;")
    for kind, path in (("list", ""), ("content", "missing"), ("part", "x")):
        headers = files.ask("GET", kind, path)[1]
        assert headers["Content-Type"] == "application/json"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("sandbox;")


def test_a_part_of_a_file_can_be_had(viewer, make_session, bob, share):
    content = bytes(range(256))
    (share / "file").write_bytes(content)
    files = Files(viewer, make_session(), bob)
    etag = files.ask("HEAD", "content", "file")[1]["ETag"]
    for range_, status, expected, told in (
            ("bytes=0-0", 206, content[:1], "bytes 0-0/256"),
            ("bytes=100-", 206, content[100:], "bytes 100-255/256"),
            ("bytes=-5", 206, content[-5:], "bytes 251-255/256"),
            ("bytes=-500", 206, content, "bytes 0-255/256"),
            ("bytes=250-999", 206, content[250:], "bytes 250-255/256"),
            ("bytes=256-", 416, b"", "bytes */256"), ("bytes=-0", 416, b"", "bytes */256"),
            ("bytes=5-4", 200, content, None), ("bytes=0-1,3-4", 200, content, None),
            ("bytes=99999999999999999999-", 200, content, None), ("lines=1-2", 200, content, None)):
        answer = files.ask("GET", "content", "file", Range=range_)
        assert (answer[0], answer[2], answer[1]["Content-Range"]) == (status, expected, told), range_
    assert files.get("file", Range="bytes=1-1", If_Range=etag) == (206, content[1:2])
    assert files.get("file", Range="bytes=1-1", If_Range='"other"') == (200, content)
    for more in ({}, {"Range": "bytes=0-0"}):
        status, headers, body = files.ask("HEAD", "content", "file", **more)
        assert (status, headers["Content-Length"], body) == (200, "256", b"")


def test_no_path_leads_out_of_the_storage_folder(viewer, make_session, alice, bob, share):
    secret = pathlib.Path(alice.home, "secret")
    secret.write_text("secret")
    inside = share / "inside"
    inside.mkdir(mode=0o777)
    inside.chmod(0o777)
    (inside / "file").write_text("inside")
    (share / "out").symlink_to("../secret")
    (share / "absolute").symlink_to(secret)
    (share / "up").symlink_to("..")
    (share / "proc").symlink_to("/proc/self/root")
    (share / "loop").symlink_to("loop")
    (share / "within").symlink_to("inside/file")
    (share / "folder-within").symlink_to("inside")
    files = Files(viewer, make_session(), bob)
    # whatever the outcome, one that leads out is not told
    assert sorted(files.list()) == [b"folder-within", b"inside", b"within"]
    assert files.get("within") == (200, b"inside")
    assert list(files.list("folder-within")) == [b"file"]
    for path in ("out", "absolute", "up/secret", "../secret", "inside/../../secret", "/etc/passwd",
                 str(secret), "proc/etc/passwd", "loop", "inside/../../../etc/passwd"):
        status, body = files.get(path)
        assert status >= 400 and b"root:" not in body and b"secret" not in body, path
    for path in ("up", "..", "/etc", "proc", "inside/../.."):
        assert files.ask("GET", "list", path)[0] >= 400, path
    for path in ("up/new", "../new", "/tmp/new", "proc/tmp/new", "..", ".", "", "inside/..", "inside/"):
        assert files.put(path, b"new")[0] >= 400, path
    assert not pathlib.Path(alice.home, "new").exists()
    # a link in the way of an upload is not written through
    assert files.put("out", b"new")[0] == 201
    assert secret.read_text() == "secret" and (share / "out (1)").read_text() == "new"


def test_what_is_no_file_is_left_alone(viewer, make_session, alice, bob, share):
    os.mkfifo(share / "pipe")
    os.chown(share / "pipe", alice.uid, alice.gid)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(share / "socket"))
    os.mknod(share / "null", 0o20666, os.makedev(1, 3))
    (share / "unreadable").write_text("x")
    (share / "unreadable").chmod(0)
    files = Files(viewer, make_session(), bob)
    assert list(files.list()) == [b"unreadable"]
    for path in ("pipe", "socket", "null"):
        status, body = files.get(path)
        assert (status, json.loads(body)) == (400, {"error": "it is no regular file"}), path
    status, body = files.get("unreadable")
    assert (status, json.loads(body)["error"]) == (403, "the owner of the session may not do that")
    listener.close()


def test_each_right_opens_what_it_says(viewer, make_session, alice, bob, share):
    (share / "file").write_text("content")
    session_id = make_session(LOOK)
    files = Files(viewer, session_id, bob)

    def statuses():
        return [files.ask("GET", "list", "")[0], files.get("file")[0],
                files.put("new", b"new")[0], files.part("new", 3)[0],
                files.part("new", 3, method="DELETE")[0]]

    assert statuses() == [403] * 5
    assert [pid for pid in pids() if uid_of(pid) == alice.uid
            and name_of(pid) == "dcv-session-fil"] == []
    update(viewer, session_id, alice.name, LOOK + "%any% allow file-download\n")
    files.browser.event("features")
    assert statuses() == [200, 200, 403, 403, 403]
    assert not (share / "new").exists()
    update(viewer, session_id, alice.name, LOOK + "%any% allow file-upload\n")
    files.browser.event("features")
    assert statuses() == [200, 403, 201, 200, 200]
    helper = helper_of(alice)
    files.browser.close()
    wait_for(lambda: helper not in pids(), "the program to end with the last who is there")
    wait_for(lambda: files.get("file")[0] == 401, "the key to be good no more")


def test_without_a_storage_folder_there_are_no_files(viewer, alice, make_session, bob):
    session_id = viewer.agent.create_ready(alice.name)
    assert "files" not in viewer.guest(session_id, alice.name).admitted
    viewer.agent.delete(session_id, alice.name)
    for root in ("%home%/missing", "%home%x", "relative", "/root/x"):
        files = Files(viewer, make_session(root=root), bob)
        status, _, body = files.ask("GET", "list", "")
        assert status in (403, 404) and b"storage folder" in body, root


def half_downloaded(files):
    """A connection with a download of which little has been read."""
    connection = files.open("GET", "content", "big")
    answer = connection.getresponse()
    assert (answer.status, len(answer.read(1000))) == (200, 1000)
    return connection, answer


def breaks_off(answer):
    with pytest.raises((http.client.IncompleteRead, OSError)):
        while answer.read(1 << 20):
            pass
        raise http.client.IncompleteRead(b"") if answer.length else AssertionError("it is whole")


HALF = 1 << 19


def half_uploaded(files, share, content=bytes(2 * HALF)):
    """A connection with an upload, half of which has come."""
    connection = files.open("PUT", "content", "up", f"size={2 * HALF}&time=1&offset=0", 2 * HALF)
    connection.send(content[:HALF])
    wait_for(lambda: [os.path.getsize(path) for path in glob.glob(f"{share}/.up.*.part")]
             == [HALF], "half of it to be there")
    return connection


def test_transfers_end_with_the_right_to_them(viewer, make_session, alice, bob, share):
    with open(share / "big", "wb") as file:
        file.truncate(BIG)
    session_id = make_session()
    files = Files(viewer, session_id, bob)
    connection, answer = half_downloaded(files)
    upload = half_uploaded(files, share)
    update(viewer, session_id, alice.name, LOOK + "%any% allow file-upload\n")
    breaks_off(answer)
    connection.close()
    update(viewer, session_id, alice.name, LOOK + "%any% allow file-download\n")
    answer = upload.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]) == (
        403, "you may not do that any more")
    upload.close()
    connection, answer = half_downloaded(files)
    update(viewer, session_id, alice.name, ALL)
    assert files.browser.closing() == 4911
    breaks_off(answer)
    connection.close()
    files = Files(viewer, session_id, alice)
    connection, answer = half_downloaded(files)
    viewer.agent.delete(session_id, alice.name)
    assert files.browser.closing() == 4910
    breaks_off(answer)
    connection.close()
    assert files.get("big")[0] == 401


def test_an_interrupted_upload_goes_on_where_it_stopped(viewer, make_session, alice, bob, share):
    content = os.urandom(2 * HALF)
    session_id = make_session()
    files = Files(viewer, session_id, bob)
    assert files.part("up", 2 * HALF) == (200, {"offset": 0})
    half_uploaded(files, share, content).close()
    wait_for(lambda: files.part("up", 2 * HALF) == (200, {"offset": HALF}), "what has come")
    assert not (share / "up").exists()
    assert files.part("up", 2 * HALF, time=2) == (200, {"offset": 0})  # is another file
    files.browser.close()
    files = Files(viewer, session_id, alice)
    status, answer = files.put("up", content, offset=0)
    assert (status, answer["offset"]) == (409, HALF)
    assert files.put("up", content[HALF:HALF + 1], 2 * HALF, HALF) == (200, {"offset": HALF + 1})
    (share / "up").write_text("somebody else's")
    assert files.put("up", content[HALF + 1:], 2 * HALF, HALF + 1) == (201, {"name": "up%20%281%29"})
    assert (share / "up (1)").read_bytes() == content
    assert (share / "up").read_text() == "somebody else's"
    assert files.put("a.tar", b"1")[1] == {"name": "a.tar"}
    assert files.put("a.tar", b"2")[1] == {"name": "a%20%281%29.tar"}
    assert files.put("gone", b"12", 4) == (200, {"offset": 2})
    assert files.part("gone", 4, method="DELETE") == (200, {"offset": 0})
    assert sorted(os.listdir(share)) == ["a (1).tar", "a.tar", "up", "up (1)"]


def test_a_file_whose_long_name_is_taken_gets_one_that_is_long_enough(viewer, make_session, bob, share):
    files = Files(viewer, make_session(), bob)
    for name, second in ((255 * "n", 251 * "n" + " (1)"), (125 * "é" + ".tar", 123 * "é" + " (1).tar"),
                         ("a." + 253 * "b", "a." + 249 * "b" + " (1)"), (127 * "é", 125 * "é" + " (1)")):
        for expected in (name, second):
            status, answer = files.put(name, expected.encode())
            assert (status, urllib.parse.unquote(answer["name"])) == (201, expected), answer
            assert files.get(expected) == (200, expected.encode())
    assert len(os.listdir(share)) == 8


def test_one_connection_serves_many_requests(viewer, make_session, bob, share):
    files = Files(viewer, make_session(), bob)
    connection = http.client.HTTPSConnection("127.0.0.1", viewer.port, context=CONTEXT,
                                             timeout=PATIENCE)
    piece, n = os.urandom(4 << 20), 12
    for i in range(n):
        query = f"size={n * len(piece)}&time=1&offset={i * len(piece)}"
        for method, path, body in (("PUT", f"content/file?{query}", piece), ("GET", "list/", None)):
            connection.request(method, f"/files/{files.key}/{path}", body)
            answer = connection.getresponse()
            assert answer.status == (201 if method == "PUT" and i == n - 1 else 200), answer.read()
            answer.read()
    connection.close()
    assert (share / "file").read_bytes() == n * piece


def test_one_upload_at_a_time_writes_to_a_file(viewer, make_session, bob, share):
    files = Files(viewer, make_session(), bob)
    connection = half_uploaded(files, share)
    status, answer = files.part("up", 2 * HALF)
    assert (status, answer["error"]) == (409, "it is being uploaded already")
    connection.send(bytes(HALF))
    answer = connection.getresponse()
    assert answer.status == 201
    connection.close()


def test_an_upload_whose_part_was_removed_does_not_end_another_that_is_half(viewer, make_session, bob,
                                                                            share):
    content = os.urandom(2 * HALF)
    files = Files(viewer, make_session(), bob)
    removed = half_uploaded(files, share)
    (part,) = share.glob(".up.*.part")
    part.unlink()
    other = half_uploaded(files, share, content)
    removed.send(bytes(HALF))
    assert removed.getresponse().status == 409
    removed.close()
    assert not (share / "up").exists()
    other.send(content[HALF:])
    assert other.getresponse().status == 201
    other.close()
    assert (share / "up").read_bytes() == content


def test_a_part_that_others_have_laid_out_is_not_written_to(viewer, make_session, bob, share):
    files = Files(viewer, make_session(), bob)
    assert files.put("up", b"12", 4) == (200, {"offset": 2})
    (part,) = share.glob(".up.*.part")
    share.chmod(0o1777)
    part.unlink()
    part.write_text("12")
    os.chown(part, bob.uid, bob.gid)
    part.chmod(0o666)
    assert files.put("up", b"34", 4, 2)[0] == 403
    part.unlink()
    part.symlink_to("elsewhere")
    assert files.put("up", b"34", 4, 0)[0] >= 400
    part.unlink()
    os.mkfifo(part)
    assert files.put("up", b"34", 4, 0)[0] >= 400
    assert not (share / "elsewhere").exists()


@contextlib.contextmanager
def small_disk(folder):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "none", folder],
                      check=False).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_told_and_the_upload_goes_on_when_there_is_room(viewer, make_session, bob,
                                                                       share):
    with small_disk(share):
        files = Files(viewer, make_session(), bob)
        status, answer = files.part("large", 5_000_000)
        assert (status, answer["error"]) == (
            507, "the disk has no room for it: 5 MB are needed, 2 MB are left")
        content = os.urandom(1_500_000)
        connection = files.open("PUT", "content", "large", "size=1500000&time=1&offset=0", 1500000)
        connection.send(content[:500000])
        wait_for(lambda: [path.stat().st_size for path in share.glob(".large.*.part")] == [500000],
                 "a part of it")
        filler = share / "filler"
        filler.write_bytes(bytes(1_400_000))
        connection.send(content[500000:])
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]) == (507, "the disk is full")
        connection.close()
        filler.unlink()
        status, answer = files.part("large", 1500000)
        assert status == 200 and 500000 <= answer["offset"] < 1500000
        offset = answer["offset"]
        assert files.put("large", content[offset:], 1500000, offset)[0] == 201
        assert (share / "large").read_bytes() == content
        files.browser.close()
        wait_for(lambda: viewer.agent.describe() is not None, "the agent")


def memory(pid, field):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(dict(line.split(":", 1) for line in file)[field].split()[0]) * 1024


def test_large_files_do_not_need_large_memory(viewer, make_session, alice, bob, share, is_sanitized):
    with open(share / "big", "wb") as file:
        file.truncate(BIG)
        file.seek(BIG - 6)
        file.write(b"at end")
    files = Files(viewer, make_session(), bob)
    files.list()
    before = {pid: memory(pid, "VmRSS") for pid in (viewer.process.pid, helper_of(alice))}
    connection = files.open("GET", "content", "big")
    answer, n, last = connection.getresponse(), 0, b""
    while piece := answer.read(1 << 20):
        n, last = n + len(piece), piece
    assert (n, last[-6:]) == (BIG, b"at end")
    connection.close()
    size, piece, digest = 256 << 20, os.urandom(1 << 20), hashlib.sha256()
    for offset in range(0, size, 32 << 20):
        connection = files.open("PUT", "content", "new", f"size={size}&time=1&offset={offset}",
                                32 << 20)
        for _ in range(32):
            connection.send(piece)
            digest.update(piece)
        assert connection.getresponse().status == (201 if offset + (32 << 20) == size else 200)
        connection.close()
    with open(share / "new", "rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == digest.digest()
    # the sanitizers keep what is freed, 256 MB of it
    most = 512 << 20 if is_sanitized else 32 << 20
    for pid, rss in before.items():
        assert memory(pid, "VmHWM") - rss < most, pid


def test_hostile_requests_reach_nothing(viewer, make_session, alice, bob, share):
    (share / "file").write_text("content")
    session_id = make_session()
    other_id = make_session(ALL)
    files = Files(viewer, session_id, bob)
    assert files.list()
    good = files.key
    for key in ("", "x", "0" * 32, good[:-1], good + "0", good.upper() + "x", "../" + good):
        files.key = key
        assert files.get("file")[0] in (401, 404), key
        assert files.put("new", b"new")[0] in (401, 404)
    files.key = good
    # a key is good for its own session alone
    theirs = Files(viewer, other_id, alice)
    assert theirs.key != good and Files(viewer, session_id, alice).key != good
    for method, kind, query, length in (
            ("POST", "content", "", 0), ("DELETE", "content", "", 0), ("PUT", "list", "", 0),
            ("PATCH", "part", "", 0), ("GET", "nothing", "", 0), ("GET", "part", "size=-1&time=1", 0),
            ("GET", "part", "size=1e3&time=1", 0), ("GET", "part", "", 0),
            ("PUT", "content", "size=1&time=1", 1), ("PUT", "content", "size=1&time=1&offset=-1", 1),
            ("PUT", "content", "size=1&time=1&offset=9007199254740992", 1),
            ("PUT", "content", "size=99999999999999999999&time=1&offset=0", 1),
            ("PUT", "content", "size=1&time=x&offset=0", 1),
            ("PUT", "content", "size=0&time=1&offset=0", 1),
            ("PUT", "content", "size=99999999999&time=1&offset=0", 99999999999),
            ("GET", "content", "", 10)):
        connection = files.open(method, kind, "file", query, length)
        if length == 1:
            connection.send(b"x")
        status = connection.getresponse().status
        connection.close()
        assert 400 <= status < 500, (method, kind, query, status)
    connection = files.open("PUT", "content", "file", "size=1&time=1&offset=0",
                            Transfer_Encoding="chunked")
    assert connection.getresponse().status == 400
    connection.close()
    assert files.get("x/" * 3000)[0] >= 400
    assert files.get("x" * 256)[0] >= 400 and files.put("x" * 256, b"x")[0] == 400
    assert files.put("x" * 255, b"x")[0] == 201
    assert sorted(os.listdir(share)) == ["file", "x" * 255]
    # as many as may be, and one more
    with open(share / "big", "wb") as file:
        file.truncate(BIG)
    open_now = [half_downloaded(files) for _ in range(8)]
    assert files.get("file")[0] == 429
    assert Files(viewer, session_id, bob).get("file")[0] == 429
    assert Files(viewer, session_id, alice).get("file")[0] == 200
    for connection, answer in open_now:
        answer.close()
        connection.close()
    wait_for(lambda: files.get("file")[0] == 200, "there to be room again")
    # the program is killed, and comes again
    os.kill(helper_of(alice), 9)
    wait_for(lambda: files.get("file")[0] == 200, "the files to be there again")


def test_the_files_stay_while_the_agent_is_away(service, alice, bob, share):
    it = Viewer(service)
    try:
        (share / "file").write_text("content")
        session_id = it.agent.create_ready(alice.name, PermissionsFile=permissions(OPEN),
                                           StorageRoot=str(share))
        late, files = Files(it, session_id, alice), Files(it, session_id, bob)
        it.agent.kill()
        status, body = late.get("file")
        assert (status, "cannot be reached" in json.loads(body)["error"]) == (503, True)
        it.agent.start()
        wait_for(lambda: it.n_connections(session_id) == 2, "both to be counted again")
        # what each of them may do is looked up after that
        wait_for(lambda: files.get("file") == (200, b"content"), "the files to be reached")
        it.agent.kill()
        assert files.get("file") == (200, b"content")
        it.agent.start()
        it.agent.delete(session_id, alice.name)
    finally:
        it.done()
