"""dcv-screenshot on real X servers, compared with ImageMagick."""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

from png_helpers import decode_png
from screenshot_client import PROGRAM, TIMEOUT_S, Serving
from x11_client import Client
from xserver import XServer

SERVER_TIMEOUT_S = 5  # CAPTURE_TIMEOUT_MS


def shoot(x, *arguments, **options):
    environment = x.environment if x else {**os.environ, "DISPLAY": ""}
    return subprocess.run([PROGRAM, *map(str, arguments)], env=environment, timeout=TIMEOUT_S,
                          capture_output=True, **options)


def shoot_well(x, *arguments):
    result = shoot(x, *arguments)
    assert (result.returncode, result.stderr) == (0, b"")
    return result.stdout


def assert_fails(result, status, *words):
    """One sentence on standard error, and the right status."""
    text = result.stderr.decode()
    assert result.returncode == status, text
    assert re.fullmatch(r"dcv-screenshot: [^\n]+\n", text), text
    assert result.stdout == b""
    for word in words:
        assert word in text


def magick(*arguments):
    return subprocess.run(list(map(str, arguments)), timeout=TIMEOUT_S, capture_output=True,
                          text=True)


def size_of(path):
    return tuple(map(int, magick("identify", "-format", "%w %h", path).stdout.split()))


def psnr(one, other):
    result = magick("compare", "-metric", "PSNR", one, other, "null:")
    text = result.stderr.split()[0]
    return float("inf") if text in ("inf", "1.#INF") else float(text)


def draw(x):
    """Fine and coarse detail: text, a logo, a picture with smooth and noisy parts."""
    x.run("xsetroot", "-mod", "5", "3", "-fg", "steelblue", "-bg", "khaki")
    x.start("xterm", "-T", "text", "-geometry", "60x20+13+27", "-e",
            "ls --color=always -la /usr/lib; printf '\\033[?25l'; exec sleep 1000")
    x.start("xlogo", "-title", "logo", "-geometry", "131x117-0-0")
    x.start("display", "-title", "picture", "-geometry", "+300+90", "plasma:fractal[240x230]")
    for name in ("text", "logo", "picture"):
        x.wait_for_window(name)
    with Client(x) as client:
        client.wait_until_still()


def reference(x, path):
    x.run("import", "-window", "root", "-depth", "8", str(path))


@contextlib.contextmanager
def drawn(*options, program="Xvnc"):
    with XServer(*options, program=program) as x:
        draw(x)
        yield x


@pytest.fixture(scope="module")
def screen():
    with drawn("-geometry", "641x479", "-depth", "24") as x:
        yield x


def check_scaled(x, tmp_path, width, height, *bounds):
    reference(x, tmp_path / "reference.png")
    shoot_well(x, "-o", tmp_path / "shot.png", *bounds)
    magick("convert", tmp_path / "reference.png", "-scale", f"{width}x{height}!",
           tmp_path / "scaled.png")
    assert size_of(tmp_path / "shot.png") == (width, height)
    assert psnr(tmp_path / "scaled.png", tmp_path / "shot.png") >= 45


# --- what a picture shows ----------------------------------------------------------------------


def test_a_full_picture_is_what_the_screen_shows(screen, tmp_path):
    reference(screen, tmp_path / "reference.png")
    shoot_well(screen, "-o", tmp_path / "shot.png")
    assert size_of(tmp_path / "shot.png") == (641, 479)
    assert psnr(tmp_path / "reference.png", tmp_path / "shot.png") == float("inf")
    colours = magick("identify", "-format", "%k", tmp_path / "shot.png").stdout
    assert int(colours) > 1000  # it is not an empty screen that was compared


@pytest.mark.parametrize("width,height,bounds", [
    (160, 120, ("--max-width", 160)),
    (134, 100, ("--max-height", 100)),
    (160, 120, ("--max-width", 160, "--max-height", 400)),
    (321, 240, ("--max-width", 321)),
    (640, 478, ("--max-width", 640)),
    (37, 28, ("--max-width", 37, "--max-height", 29)),
    (1, 1, ("--max-width", 1, "--max-height", 1)),
    (641, 479, ("--max-width", 2000, "--max-height", 0)),
])
def test_a_smaller_picture_is_the_area_average(screen, tmp_path, width, height, bounds):
    check_scaled(screen, tmp_path, width, height, *bounds)


def xvfb_screen(geometry):
    """Options for Xvfb, which has the depths that Xvnc lacks."""
    if not shutil.which("Xvfb"):
        pytest.skip("no Xvfb here")
    return "-noreset", "-screen", "0", geometry


def check_depth(x, depth, tmp_path):
    assert f"Depth: {depth}\n" in x.run("xwininfo", "-root").stdout.decode()
    check_scaled(x, tmp_path, 160, 120, "--max-width", "160")
    check_scaled(x, tmp_path, 641, 479)


def test_depth_16_comes_out_right(tmp_path):
    with drawn("-geometry", "641x479", "-depth", "16") as x:
        check_depth(x, 16, tmp_path)


@pytest.mark.parametrize("depth", [16, 24, 30])
def test_depths_come_out_right_on_another_server(tmp_path, depth):
    with drawn(*xvfb_screen(f"641x479x{depth}"), program="Xvfb") as x:
        check_depth(x, depth, tmp_path)


def test_a_screen_without_true_colour_is_refused_by_its_depth(tmp_path):
    with XServer(*xvfb_screen("64x64x8"), program="Xvfb") as x:
        assert_fails(shoot(x, "-o", tmp_path / "shot.png"), 1, "depth 8")
        assert os.listdir(tmp_path) == []


def test_it_works_without_shared_memory(tmp_path):
    with drawn("-geometry", "641x479", "-depth", "24", "-extension", "MIT-SHM") as x:
        assert "MIT-SHM" not in x.run("xdpyinfo").stdout.decode()
        check_scaled(x, tmp_path, 160, 120, "--max-width", "160")
        check_scaled(x, tmp_path, 641, 479)


def test_it_works_without_randr(tmp_path):
    with drawn("-geometry", "641x479", "-depth", "24", "-extension", "RANDR") as x:
        shoot_well(x, "--all", "-o", tmp_path / "shot.png")
        assert size_of(tmp_path / "shot-1.png") == (641, 479)


def test_the_smallest_display_comes_out_right(tmp_path):
    with XServer(*xvfb_screen("1x1x24"), program="Xvfb") as x:
        x.run("xsetroot", "-solid", "#336699")
        for bounds in ((), ("--max-width", 1), ("--max-height", 9)):
            assert decode_png(shoot_well(x, "-o", "-", *bounds)) == b"\x33\x66\x99"


def available_mb():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable")) / 1024


def test_the_largest_display_comes_out_right():
    if available_mb() < 4000:
        pytest.skip("the X server alone takes 1.1 GB")
    with XServer(*xvfb_screen("16384x16384x24"), program="Xvfb") as x, Client(x) as client:
        client.fill(client.root, 0x336699, 0, 0, 16384, 8192)
        client.fill(client.root, 0x997755, 0, 8192, 16384, 8192)
        client.sync()
        rows = decode_png(shoot_well(x, "-o", "-", "--max-width", 8))
        assert rows == b"\x33\x66\x99" * 32 + b"\x99\x77\x55" * 32


# --- formats and files -------------------------------------------------------------------------


def kind(path):
    with open(path, "rb") as file:
        head = file.read(4)
    return {b"\x89PNG": "png", b"\xff\xd8\xff\xe0": "jpeg"}[head]


@pytest.mark.parametrize("name,arguments,expected", [
    ("a.png", (), "png"), ("a.jpg", (), "jpeg"), ("a.JPEG", (), "jpeg"), ("a", (), "png"),
    ("a.png", ("--format", "jpeg"), "jpeg"), ("a.jpg", ("--format", "png"), "png"),
])
def test_the_format_follows_from_the_option_or_the_suffix(screen, tmp_path, name, arguments,
                                                          expected):
    shoot_well(screen, "-o", tmp_path / name, "--max-width", "20", *arguments)
    assert kind(tmp_path / name) == expected
    assert os.listdir(tmp_path) == [name]


def test_jpeg_looks_like_the_screen(screen, tmp_path):
    reference(screen, tmp_path / "reference.png")
    shoot_well(screen, "-o", tmp_path / "shot.jpg")
    magick("convert", tmp_path / "reference.png", "-sampling-factor", "4:2:0", "-quality", "80",
           tmp_path / "peer.jpg")
    ours = psnr(tmp_path / "reference.png", tmp_path / "shot.jpg")
    peers = psnr(tmp_path / "reference.png", tmp_path / "peer.jpg")
    assert ours >= peers - 0.5


def test_standard_output_gets_the_file(screen):
    assert shoot_well(screen, "-o", "-", "--max-width", "20").startswith(b"\x89PNG")
    assert shoot_well(screen, "-o", "-", "--format", "jpeg").startswith(b"\xff\xd8")


def test_an_output_that_cannot_be_written_is_told_and_leaves_nothing(screen, tmp_path):
    assert_fails(shoot(screen, "-o", tmp_path / "no" / "a.png"), 1, "no/a.png", "No such file")
    assert_fails(shoot(screen, "-o", tmp_path), 1, str(tmp_path))
    assert_fails(shoot(screen, "-o", "/dev/full"), 1, "/dev/full", "No space left")
    with open("/dev/full", "wb") as full:
        result = subprocess.run([PROGRAM, "-o", "-"], env=screen.environment, stdout=full,
                                stderr=subprocess.PIPE, timeout=TIMEOUT_S)
    assert result.returncode == 1
    assert b"dcv-screenshot: standard output: write: No space left" in result.stderr
    assert os.listdir(tmp_path) == []
    assert not [name for name in os.listdir(tmp_path.parent) if name.startswith(tmp_path.name + ".")]


def test_a_full_disk_keeps_the_old_file(screen, tmp_path):
    script = ('mount -t tmpfs -o size=8k none "$1" && echo old >"$1/a.png" || exit 77; '
              '"$2" -o "$1/a.png"; echo "status $?"; cat "$1/a.png"; ls -A "$1"')
    result = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path), PROGRAM],
                            env=screen.environment, capture_output=True, timeout=TIMEOUT_S,
                            text=True)
    if result.returncode == 77 or "unshare" in result.stderr:
        pytest.skip("may not mount here")
    assert result.stdout == "status 1\nold\na.png\n"
    assert "No space left on device" in result.stderr


# --- monitors ----------------------------------------------------------------------------------


def set_two_monitors(x):
    x.run("xrandr", "--setmonitor", "Left", "300/80x479/127+0+0", "none")
    x.run("xrandr", "--setmonitor", "*Right", "341/90x400/106+300+0", "none")


def crop(tmp_path, geometry):
    magick("convert", tmp_path / "reference.png", "-crop", geometry, "+repage",
           tmp_path / "crop.png")
    return tmp_path / "crop.png"


def test_monitors_come_one_by_one_the_primary_first(tmp_path):
    with drawn("-geometry", "641x479", "-depth", "24") as x:
        set_two_monitors(x)
        monitors = len(x.run("xrandr", "--listactivemonitors").stdout.splitlines()) - 1
        reference(x, tmp_path / "reference.png")
        shoot_well(x, "--all", "-o", tmp_path / "shot.png")
        shoot_well(x, "-o", tmp_path / "primary.png")
        shots = sorted(name for name in os.listdir(tmp_path) if name.startswith("shot"))
        assert shots == [f"shot-{i + 1}.png" for i in range(monitors)]
        right = crop(tmp_path, "341x400+300+0")
        assert psnr(right, tmp_path / "shot-1.png") == float("inf")
        assert psnr(right, tmp_path / "primary.png") == float("inf")
        left = crop(tmp_path, "300x479+0+0")
        others = [path for path in shots[1:] if size_of(tmp_path / path) == (300, 479)]
        assert len(others) == 1
        assert psnr(left, tmp_path / others[0]) == float("inf")


def test_a_monitor_beyond_the_screen_is_cut_off(tmp_path):
    with drawn("-geometry", "641x479", "-depth", "24") as x:
        x.run("xrandr", "--setmonitor", "*Out", "400/80x400/127+441+379", "none")
        reference(x, tmp_path / "reference.png")
        shoot_well(x, "-o", tmp_path / "shot.png")
        assert size_of(tmp_path / "shot.png") == (200, 100)
        assert psnr(crop(tmp_path, "200x100+441+379"), tmp_path / "shot.png") == float("inf")


# --- what can be wrong -------------------------------------------------------------------------


def test_wrong_command_lines_are_told(screen, tmp_path):
    assert_fails(shoot(screen), 2, "-o FILE")
    assert_fails(shoot(screen, "-o", ""), 2, "-o FILE")
    assert_fails(shoot(screen, "-o", "a", "b"), 2, "'b'")
    assert_fails(shoot(screen, "--nonsense"), 2, "--nonsense")
    assert_fails(shoot(screen, "-o"), 2, "-o needs a value")
    assert_fails(shoot(screen, "--all", "-o", "-"), 2, "--all")
    assert_fails(shoot(screen, "-o", "a", "--format", "gif"), 2, "gif")
    assert_fails(shoot(screen, "-o", "a", "--max-width", "-5"), 2, "-5")
    assert_fails(shoot(screen, "-o", "a", "--max-height", "99999"), 2, "99999")
    assert_fails(shoot(screen, "--serve", "x"), 2, "x")
    assert_fails(shoot(screen, "--serve", "3", "-o", "a"), 2, "--serve")
    assert_fails(shoot(screen, "--serve", "77"), 1, "77")
    assert_fails(shoot(screen, "--serve", "0"), 1, "descriptor 0")
    assert_fails(shoot(None, "-o", "a"), 2, "DISPLAY")


def test_help_and_version_are_given():
    assert shoot_well(None, "--help").startswith(b"Usage: dcv-screenshot")
    assert re.fullmatch(rb"dcv-screenshot \d+\.\d+\S*\n", shoot_well(None, "--version"))


def test_a_display_that_is_not_there_is_told(tmp_path):
    assert_fails(shoot(None, "--display", ":4711", "-o", tmp_path / "a"), 1, ":4711", "no such")
    assert_fails(shoot(None, "--display", "nonsense", "-o", tmp_path / "a"), 1, "nonsense")
    assert_fails(shoot(None, "--display", "far:0", "-o", tmp_path / "a"), 1, "far:0")


def test_a_screen_that_is_not_there_is_told(screen, tmp_path):
    assert_fails(shoot(screen, "--display", screen.display + ".3", "-o", tmp_path / "a"), 1,
                 "no screen 3")


def test_a_display_that_refuses_us_is_told_in_its_words(screen, tmp_path):
    result = subprocess.run([PROGRAM, "-o", str(tmp_path / "a")], timeout=TIMEOUT_S,
                            env={**screen.environment, "XAUTHORITY": "/dev/null"},
                            capture_output=True)
    assert_fails(result, 1, "refused", "Authorization required")


def test_a_hung_server_costs_its_time_limit_and_no_more(tmp_path):
    with XServer("-geometry", "64x64", "-depth", "24") as x:
        x.stop()
        begin = time.monotonic()
        assert_fails(shoot(x, "-o", tmp_path / "a"), 1, x.display, "does not answer")
        assert SERVER_TIMEOUT_S - 0.5 < time.monotonic() - begin < SERVER_TIMEOUT_S + 4
        x.cont()
        shoot_well(x, "-o", tmp_path / "a")


def listen_as_display():
    """A listener that is no X server, and the number of its display."""
    for number in range(200, 300):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(f"\0/tmp/.X11-unix/X{number}")
        except OSError:
            listener.close()
            continue
        listener.listen()
        return listener, number
    raise RuntimeError("no free display")


@pytest.mark.parametrize("answer,word,closes", [
    (b"", "closed", True),
    (b"\1", "does not answer", False),
    (b"\1\0\x0b\0\0\0\xff\xff" + bytes(100), "closed", True),
    (b"\1\0\x0b\0\0\0\xff\xff" + bytes(100), "does not answer", False),
    (b"\0\x04\x0b\0\0\0\1\0no!\n", "no!", True),
    (b"\0\xff\x0b\0\0\0\1\0no!\n", "no!", True),
    (b"\0\0\x0b\0\0\0\0\0", "no reason", True),
    (b"\2\0\x0b\0\0\0\1\0more", "more", True),
    (b"\1\0\x0b\0\0\0\0\0", "", True),
    (b"\1\0\x0b\0\0\0\x08\0" + bytes(32), "", True),
])
def test_a_server_that_speaks_nonsense_is_told(tmp_path, answer, word, closes):
    listener, number = listen_as_display()
    with listener:
        process = subprocess.Popen([PROGRAM, "--display", f":{number}", "-o", tmp_path / "a"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**os.environ, "XAUTHORITY": "/dev/null"})
        peer, _ = listener.accept()
        with peer:
            peer.recv(100)
            peer.sendall(answer)
            if closes:
                peer.shutdown(socket.SHUT_WR)
            output, errors = process.communicate(timeout=TIMEOUT_S)
    assert_fails(subprocess.CompletedProcess([], process.returncode, output, errors), 1, word)


# --- serving -----------------------------------------------------------------------------------


def test_several_requests_are_served_in_order(screen, tmp_path):
    reference(screen, tmp_path / "reference.png")
    before_ms = time.time() * 1000 - 10
    with Serving(screen) as serving:
        serving.ask("TAG=one", "FORMAT=png")
        serving.ask("TAG=two", "FORMAT=jpeg", "MAX_WIDTH=160", "MAX_HEIGHT=100")
        serving.ask("TAG=three", "FORMAT=png", "MAX_WIDTH=160", "MAX_HEIGHT=0")
        for tag, form, size in (("one", "png", (641, 479)), ("two", "jpeg", (134, 100)),
                                ("three", "png", (160, 120))):
            entries, file = serving.receive()
            created = int(entries.pop("CREATION_TIME_MS"))
            assert entries == {"TAG": tag, "IMAGE": "0", "COUNT": "1", "FORMAT": form,
                               "PRIMARY": "1"}
            assert before_ms <= created <= time.time() * 1000 + 10
            (tmp_path / tag).write_bytes(file)
            assert kind(tmp_path / tag) == form
            assert size_of(tmp_path / tag) == size
        assert psnr(tmp_path / "reference.png", tmp_path / "one") == float("inf")
        serving.socket.close()
        assert serving.wait() == (0, "")


def test_a_change_of_monitors_is_noticed(tmp_path):
    with drawn("-geometry", "641x479", "-depth", "24") as x, Serving(x) as serving:
        serving.ask("TAG=1")
        assert serving.receive()[0]["COUNT"] == "1"
        set_two_monitors(x)
        serving.ask("TAG=2")
        first, file = serving.receive()
        (tmp_path / "shot").write_bytes(file)
        assert size_of(tmp_path / "shot") == (341, 400)
        answers = [first] + [serving.receive()[0] for _ in range(int(first["COUNT"]) - 1)]
        assert len(answers) >= 2
        assert [a["IMAGE"] for a in answers] == [str(i) for i in range(len(answers))]
        assert [a["PRIMARY"] for a in answers] == ["1"] + ["0"] * (len(answers) - 1)
        assert len({a["CREATION_TIME_MS"] for a in answers}) == 1
        x.run("xrandr", "--delmonitor", "Left")
        x.run("xrandr", "--delmonitor", "Right")
        x.run("xrandr", "--output", "VNC-0", "--mode", "800x600")
        serving.ask("TAG=3")
        entries, file = serving.receive()
        assert entries["COUNT"] == "1"
        (tmp_path / "shot").write_bytes(file)
        assert size_of(tmp_path / "shot") == (800, 600)


def test_a_bad_request_is_refused_and_the_next_one_served(screen):
    with Serving(screen) as serving:
        for packet, tag in ((b"\xff\xfe garbage", ""), (b"\0", ""), (b"TAG=1", ""),
                            (b"TAG=1\0FORMAT=gif\0", "1"), (b"TAG=2\0MAX_WIDTH=x\0", "2"),
                            (b"FORMAT=png\0", ""), (b"TAG=3\0OTHER=1\0", "3"),
                            (b"TAG=4\0TAG=5\0", "4"), (b"TAG=" + b"x" * 5000 + b"\0", "")):
            serving.socket.send(packet)
            entries, file = serving.receive()
            assert sorted(entries) == ["ERROR", "TAG"]
            assert entries["TAG"] == tag and entries["ERROR"] and file is None
        serving.ask("TAG=good", "MAX_WIDTH=16")
        assert serving.receive()[0]["TAG"] == "good"


def test_a_descriptor_that_comes_with_a_request_is_dropped(screen):
    with Serving(screen) as serving, open("/dev/null", "rb") as null:
        for _ in range(3):
            socket.send_fds(serving.socket, [b"TAG=1\0MAX_WIDTH=8\0"], [null.fileno()])
            assert serving.receive()[0]["TAG"] == "1"
        folder = f"/proc/{serving.process.pid}/fd"
        targets = [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]
        assert "/dev/null" not in targets[3:]


def test_memory_and_descriptors_do_not_grow(screen):
    with Serving(screen) as serving:
        folder = f"/proc/{serving.process.pid}/fd"
        counts = []
        for i in range(20):
            serving.ask(f"TAG={i}", "FORMAT=jpeg", "MAX_WIDTH=160")
            serving.receive()
            serving.ask("TAG=sync")  # answered after the first one's descriptor is closed
            serving.receive()
            counts.append(len(os.listdir(folder)))
        assert max(counts) - min(counts) <= 1


def pictures(serving, tag, *options):
    """The files of one request, and which files those are."""
    serving.ask(f"TAG={tag}", *options)
    files, inodes = [], []
    while True:
        entries, file = serving.receive()
        assert entries["TAG"] == str(tag) and file is not None, entries
        files.append(file)
        inodes.append(serving.inode)
        if int(entries["IMAGE"]) + 1 == int(entries["COUNT"]):
            return files, inodes


def test_what_has_not_changed_is_not_made_again():
    with XServer("-geometry", "64x48", "-depth", "24") as x, Serving(x) as serving, \
            Client(x) as client:
        wanted = [("FORMAT=png",), ("FORMAT=jpeg",), ("FORMAT=png", "MAX_WIDTH=16")]
        first = [pictures(serving, 1, *options) for options in wanted]
        assert [pictures(serving, 2, *options) for options in wanted] == first
        client.fill(client.root, 0xabcdef, 3, 3, 9, 9)
        client.sync()
        changed = [pictures(serving, 3, *options) for options in wanted]
        for (files, inodes), (old_files, old_inodes) in zip(changed, first):
            assert files != old_files and inodes != old_inodes
        assert [pictures(serving, 4, *options) for options in wanted] == changed


def test_without_a_word_of_changes_every_picture_is_new():
    with XServer("-geometry", "64x48", "-depth", "24", "-extension", "DAMAGE") as x, \
            Serving(x) as serving, Client(x) as client:
        for colour in (0x112233, 0x445566):
            client.fill(client.root, colour, 0, 0, 64, 48)
            client.sync()
            (file,), _ = pictures(serving, colour)
            assert decode_png(file) == client.pixels()


def sizes(files):
    return [struct.unpack(">II", file[16:24]) for file in files]


def test_monitors_that_come_move_and_go_are_a_change():
    with XServer("-geometry", "64x48", "-depth", "24") as x, Serving(x) as serving:
        assert sizes(pictures(serving, 1)[0]) == [(64, 48)]
        x.run("xrandr", "--setmonitor", "*Part", "20/5x10/3+4+6", "none")
        assert sizes(pictures(serving, 2)[0])[0] == (20, 10)
        x.run("xrandr", "--delmonitor", "Part")
        x.run("xrandr", "--setmonitor", "*Part", "30/5x10/3+4+6", "none")
        assert sizes(pictures(serving, 3)[0])[0] == (30, 10)
        x.run("xrandr", "--delmonitor", "Part")
        assert sizes(pictures(serving, 4)[0]) == [(64, 48)]


def test_a_display_that_is_resized_is_shown_in_its_new_size():
    with XServer("-geometry", "1024x768", "-depth", "24") as x, Serving(x) as serving:
        assert sizes(pictures(serving, 1)[0]) == [(1024, 768)]
        for width, height in ((800, 600), (1280, 800), (640, 480)):
            x.run("xrandr", "--fb", f"{width}x{height}", "--output", "VNC-0", "--mode",
                  f"{width}x{height}")
            assert sizes(pictures(serving, 2)[0]) == [(width, height)]
            assert sizes(pictures(serving, 3, "MAX_WIDTH=160")[0])[0][0] == 160


def draw_something(random, client, windows):
    """One request of a kind that changes the screen, or would if the colours were others."""
    target = random.choice([client.root, client.root, *windows])
    width, height = (64, 48) if target == client.root else (14, 11)
    x, y, colour = random.randrange(width), random.randrange(height), random.randrange(1 << 24)
    kind = random.randrange(6)
    if kind == 0:
        client.fill(target, colour, x, y, 1, 1)
    elif kind == 1:
        client.fill(target, colour, x, y, random.randrange(1, 40), random.randrange(1, 40))
    elif kind == 2:
        client.line(target, colour, x, y, random.randrange(60), random.randrange(44))
    elif kind == 3:
        client.copy(client.root, target, x, y, random.randrange(20), random.randrange(20), 12, 9)
    elif kind == 4:
        client.move(random.choice(windows), x - 3, y + 2)
    else:
        client.clear(target, x - 4, y - 4, 5, 7)


def test_of_1000_changes_none_is_missed():
    chance = random.Random(7)
    with XServer("-geometry", "64x48", "-depth", "24") as x, Serving(x) as serving, \
            Client(x) as client:
        windows = [client.window(chance.randrange(1 << 24), 5 + 9 * i, 3 * i, 14, 11)
                   for i in range(4)]
        n_changes, seen = 0, None
        for i in range(1000):
            draw_something(chance, client, windows)
            client.sync()
            pixels = client.pixels()
            if chance.randrange(4) == 0:  # so that there is more than one to go stale
                pictures(serving, i, "MAX_WIDTH=16")
            (file,), inodes = pictures(serving, i)
            assert decode_png(file) == pixels, f"drawing {i}"
            assert pictures(serving, i)[1] == inodes
            n_changes += pixels != seen
            seen = pixels
        assert n_changes > 500


def test_an_idle_program_ends(screen):
    with Serving(screen, "--idle-timeout-ms", "300") as serving:
        serving.ask("TAG=1", "MAX_WIDTH=8")
        serving.receive()
        begin = time.monotonic()
        assert serving.wait() == (0, "")
        assert 0.2 < time.monotonic() - begin < 5
        assert serving.socket.recv(100) == b""


def test_a_hung_server_is_told_and_ends_the_program():
    with XServer("-geometry", "64x64", "-depth", "24") as x, Serving(x) as serving:
        serving.ask("TAG=1")
        serving.receive()
        x.stop()
        begin = time.monotonic()
        serving.ask("TAG=2")
        entries, file = serving.receive()
        assert SERVER_TIMEOUT_S - 0.5 < time.monotonic() - begin < SERVER_TIMEOUT_S + 4
        assert entries["TAG"] == "2" and "does not answer" in entries["ERROR"] and file is None
        status, errors = serving.wait()
        assert status == 1 and "does not answer" in errors


def test_a_server_that_dies_is_told_and_ends_the_program():
    with XServer("-geometry", "1920x1080", "-depth", "24") as x, Serving(x) as serving:
        serving.ask("TAG=1")
        serving.receive()
        x.stop()
        serving.ask("TAG=2")
        x.process.send_signal(signal.SIGKILL)
        entries, file = serving.receive()
        assert entries["TAG"] == "2" and "closed the connection" in entries["ERROR"] and not file
        assert serving.wait()[0] == 1


def test_a_display_that_is_missing_is_told_and_ends_the_program():
    with XServer("-geometry", "64x64", "-depth", "24") as x:
        with Serving(x, "--display", ":4711") as serving:
            serving.ask("TAG=1")
            entries, _ = serving.receive()
            assert entries["TAG"] == "1" and "no such display" in entries["ERROR"]
            assert serving.wait()[0] == 1


def test_the_end_of_an_idle_display_ends_the_program():
    with XServer("-geometry", "64x64", "-depth", "24") as x, Serving(x) as serving:
        serving.ask("TAG=1")
        serving.receive()
        x.process.send_signal(signal.SIGKILL)
        assert serving.wait() == (0, "")


def test_a_peer_that_takes_no_answer_and_leaves_is_survived(screen):
    with Serving(screen) as serving:
        for i in range(3):
            serving.ask(f"TAG={i}")
        serving.socket.close()
        assert serving.wait() == (0, "")
