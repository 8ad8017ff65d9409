"""Benchmarks of screenshots: what the parts cost beside a bare GetImage, what the program costs beside
others, and what the way through agent and broker adds. Prints a table in Markdown.

Run by `make bench-screenshot`. Ratios come from one run, all sides in turns, and are of medians. Nothing
is installed: peers that are not there are left out, and named. Parts can be named as arguments: inside,
programs, clients, services (all of them).
"""

import contextlib
import http.client
import json
import os
import pathlib
import pwd
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

from bench_helpers import BUILD, ROOT, begin_table, left_out, ratio, row

from screenshot_client import Serving
from waiting import PATIENCE_S
from x11_client import Client
from xserver import XServer

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "31"))
SESSIONS = int(os.environ.get("BENCH_SESSIONS", "100"))
LATENCY_S = float(os.environ.get("BENCH_SECONDS", "3"))
PROGRAM = BUILD / "dcv-screenshot"
INSIDE = BUILD / "bench/screenshot"


# --- scenes ------------------------------------------------------------------------------------


def find(*names):
    return next((path for name in names if (path := shutil.which(name))), None)


CONVERT = find("convert-im6", "convert")
DISPLAY = find("display-im6", "display")


def draw_photo(x, width, height):
    """Soft shapes, and the noise of a camera."""
    pixels = subprocess.run(
        [CONVERT, "-size", f"{width // 8}x{height // 8}", "-seed", "1", "plasma:fractal",
         "-resize", f"{width}x{height}!", "-attenuate", "0.1", "+noise", "Gaussian", "-depth", "8",
         "bgra:-"], check=True, capture_output=True).stdout
    with Client(x) as client:
        client.put(client.root, width, height, pixels)
        client.sync()


def draw_text(x, width, height):
    """A terminal full of it."""
    path = ROOT / "screenshot/serve.c"
    x.start("xterm", "-T", "text", "-geometry", f"{width // 6}x{height // 13}+0+0", "-e", "sh", "-c",
            f"pr -t -3 -w {width // 6} -l 400 {path}; printf '\\033[?25l'; exec sleep 100000")
    x.wait_for_window("text")


def draw_desktop(x, width, height):
    """A pattern, a terminal with a listing, a picture."""
    x.run("xsetroot", "-mod", "5", "3", "-fg", "steelblue", "-bg", "khaki")
    x.start("xterm", "-T", "text", "-geometry", "100x40+13+27", "-e", "sh", "-c",
            "ls --color=always -la /usr/lib; printf '\\033[?25l'; exec sleep 100000")
    x.start(DISPLAY, "-title", "picture", "-geometry", f"+{width // 2}+90", "-seed", "1",
            f"plasma:fractal[{width // 3}x{height // 2}]")
    x.wait_for_window("text")
    x.wait_for_window("picture", 60)


@contextlib.contextmanager
def screen(width, height, draw, core=None):
    with XServer("-geometry", f"{width}x{height}", "-depth", "24") as x:
        draw(x, width, height)
        with Client(x) as client:
            client.wait_until_still()
        if core is not None:
            os.sched_setaffinity(x.process.pid, {core})
        yield x


# --- inside a process --------------------------------------------------------------------------


def measure_inside(x, prefix=()):
    """Medians in microseconds and sizes of files, by the names of the parts."""
    done = subprocess.run([*prefix, INSIDE, x.display, str(ROUNDS), os.path.join(x.folder, "shot")],
                          env=x.environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    words = [line.split() for line in done.stdout.splitlines()]
    return ({w[0]: float(w[1]) for w in words}, {w[0]: int(w[2]) for w in words if len(w) > 2})


def rows_beside_bare(size, us, n_bytes, goals):
    def beside_bare(name, part, goal):
        row(f"{name}, {size}", "bare", f"{ratio(us[part] / us['bare'])} ({us[part] / 1000:.2f} ms)",
            goal)

    beside_bare("capture + average to 160×100, warm", "average", "≤ 1.0×")
    beside_bare("thumbnail PNG, warm", "thumbnail-png", goals["png"])
    row(f"bytes of it, {size}", "libpng's default",
        ratio(n_bytes["thumbnail-png"] / n_bytes["thumbnail-libpng"]), "≤ 1.10×")
    beside_bare("thumbnail JPEG q80, warm", "thumbnail-jpeg", "≤ 1.15×")
    beside_bare("800×600 JPEG, warm", "preview-jpeg", goals["preview"])
    beside_bare("cold, connect to file", "cold", goals["cold"])
    beside_bare("nothing changed", "unchanged", "≤ 0.08×")


def rows_full_png(scene, us, n_bytes):
    row(f"full PNG of a {scene}", "libpng's default",
        f"{ratio(us['full-png'] / us['full-libpng'])} at "
        f"{ratio(n_bytes['full-png'] / n_bytes['full-libpng'])} the bytes", "≤ 0.45× at ≤ 1.05×")


def bench_inside():
    with screen(1920, 1080, draw_desktop) as x:
        us, n_bytes = measure_inside(x)
    row("bare: full-screen shared-memory GetImage, 1920×1080", "–", f"{us['bare'] / 1000:.2f} ms",
        "–")
    rows_beside_bare("1920×1080", us, n_bytes,
                     {"png": "≤ 1.6×", "preview": "≤ 3.6×", "cold": "≤ 2.3×"})
    row("full JPEG q80, in process", "bare + TurboJPEG of the same pixels",
        ratio(us["full-jpeg"] / (us["bare"] + us["turbojpeg"])), "≤ 1.10×")
    row("memory of a capture for scaled pictures", "–",
        f"{us['shared-kb'] / 1024:.2f} MB shared, {us['heap-kb'] / 1024:.2f} MB heap",
        "≤ 1.5 MB, ≤ 2 MB")
    rows_full_png("desktop", us, n_bytes)
    for scene, draw in (("text", draw_text), ("photo", draw_photo)):
        with screen(1920, 1080, draw) as x:
            rows_full_png(scene, *measure_inside(x))
    with screen(1920, 1080, draw_desktop, core=0) as x:
        us, _ = measure_inside(x, ["taskset", "-c", "0"])
    row("capture + average, client and X server on one core", "bare",
        ratio(us["average"] / us["bare"]), "≤ 1.25×")
    with screen(3840, 2160, draw_desktop) as x:
        us, n_bytes = measure_inside(x)
    rows_beside_bare("3840×2160", us, n_bytes,
                     {"png": "≤ 1.15×", "preview": "≤ 1.6×", "cold": "≤ 1.7×"})


# --- programs ----------------------------------------------------------------------------------


PIL = ("import os, sys; from PIL import ImageGrab; "
       "i = ImageGrab.grab(xdisplay=os.environ['DISPLAY']); i.thumbnail((160, 100)); "
       "i.save(sys.argv[1])")


def has_pil():
    return subprocess.run(["/usr/bin/python3", "-c", "from PIL import ImageGrab"],
                          stderr=subprocess.DEVNULL).returncode == 0


def thumbnail_peers(size):
    """Commands that write a thumbnail to the file named last, and why others are left out."""
    grab = ["ffmpeg", "-v", "error", "-y", "-f", "x11grab", "-video_size", size, "-i", ":DISPLAY",
            "-frames:v", "1", "-vf", "scale=160:90:flags=area"]
    peers = {
        "import": ["import", "-window", "root", "-resize", "160x90"],
        "scrot": ["scrot", "-o", "-t", "160x90"],
        "maim": ["sh", "-c", f'maim | {CONVERT} png:- -scale 160x90 "$0"'],
        "xwd": ["sh", "-c", f'xwd -root -silent | {CONVERT} xwd:- -scale 160x90 "$0"'],
        "ffmpeg": grab,
    }
    for name in list(peers):
        if not shutil.which(name) or (not CONVERT and name in ("maim", "xwd")):
            left_out(name, "not installed")
            del peers[name]
    if has_pil():
        peers["Python PIL"] = ["/usr/bin/python3", "-c", PIL]
    else:
        left_out("Python PIL", "not installed")
    return peers


def time_programs(x, commands):
    """Median seconds of each command, which get the name of a file as their last word."""
    times = {name: [] for name in commands}
    for _ in range(ROUNDS + 1):
        for name, (command, suffix) in commands.items():
            words = [word.replace(":DISPLAY", x.display) for word in map(str, command)]
            begin = time.monotonic()
            subprocess.run([*words, os.path.join(x.folder, "out" + suffix)], env=x.environment,
                           check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.monotonic() - begin)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def bench_programs():
    commands = {name: (command, ".png") for name, command in thumbnail_peers("1920x1080").items()}
    peers = list(commands)
    commands["thumbnail"] = ([PROGRAM, "--max-width", "160", "--max-height", "100", "-o"], ".png")
    has_scrot = bool(shutil.which("scrot"))
    if has_scrot:
        commands["full PNG"] = ([PROGRAM, "-o"], ".png")
        commands["full JPEG"] = ([PROGRAM, "-o"], ".jpg")
        commands["scrot PNG"] = (["scrot", "-o"], ".png")
        commands["scrot JPEG"] = (["scrot", "-o", "-q", "80"], ".jpg")
    with screen(1920, 1080, draw_desktop) as x:
        seconds = time_programs(x, commands)
    for peer in sorted(peers, key=seconds.get):
        row("`dcv-screenshot`, thumbnail PNG", peer,
            f"{seconds[peer] / seconds['thumbnail']:.1f}× faster "
            f"({seconds['thumbnail'] * 1000:.1f} ms, {seconds[peer] * 1000:.1f} ms)", "≥ 9×")
    if has_scrot:
        for kind, goal in (("PNG", "≤ 0.5×"), ("JPEG", "≤ 0.75×")):
            row(f"`dcv-screenshot`, full {kind}", "scrot",
                ratio(seconds[f"full {kind}"] / seconds[f"scrot {kind}"]), goal)
    else:
        left_out("full PNG and JPEG as programs", "scrot is not installed")


# --- the X server's other clients --------------------------------------------------------------


def p99_ms(client):
    times = []
    end = time.monotonic() + LATENCY_S / 5
    while (begin := time.monotonic()) < end:
        client.sync()
        times.append(time.monotonic() - begin)
        time.sleep(0.001)  # a client that draws now and then
    return sorted(times)[len(times) * 99 // 100] * 1000


def bench_clients():
    """A client's round trips while others read the screen without a pause."""
    with screen(1920, 1080, draw_desktop) as x, Client(x) as client:
        found = {part: [] for part in ("bare", "thumbnail-png", "full-shot")}
        for _ in range(5):
            for part, values in found.items():
                load = subprocess.Popen([INSIDE, x.display, "loop", part], env=x.environment,
                                        stdin=subprocess.PIPE)
                client.sync()
                values.append(p99_ms(client))
                load.stdin.close()
                load.wait()
    bare = statistics.median(found["bare"])
    for part, name in (("thumbnail-png", "thumbnails"), ("full-shot", "full PNGs")):
        worst = statistics.median(found[part])
        row(f"a client's round trip during {name}, p99", "during bare GetImages",
            f"{worst - bare:+.2f} ms ({worst:.2f} ms)", "≤ +1 ms")


# --- agent and broker --------------------------------------------------------------------------


class Display:
    """A session's X server, seen from outside."""

    def __init__(self, pid):
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        self.authority = words[words.index("-auth") + 1]
        self.display = self.find_name(pid, words)
        self.environment = {**os.environ, "DISPLAY": self.display, "XAUTHORITY": self.authority}

    @staticmethod
    def find_name(pid, words):
        named = [word for word in words[1:] if word.startswith(":") and word[1:].isdigit()]
        if named:
            return named[0]
        # it chose its number itself, and listens on it
        inodes = set()
        for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                inodes.add(os.readlink(link))
        for line in pathlib.Path("/proc/net/unix").read_text().splitlines():
            fields = line.split()
            if f"socket:[{fields[6]}]" in inodes and "/.X11-unix/X" in line:
                return ":" + fields[7].rpartition("X")[2]
        raise RuntimeError(f"process {pid} has no display")


def displays_of(user):
    """The X servers of a user's sessions."""
    uid, found = pwd.getpwnam(user).pw_uid, []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == uid and (folder / "comm").read_text().startswith("Xvnc"):
                found.append(Display(int(folder.name)))
    return found


@contextlib.contextmanager
def product():
    """Broker, agent and keeper, as the demo sets them up, with room for all sessions."""
    from whole_helpers import Kept, demo

    folder = pathlib.Path(tempfile.mkdtemp(prefix="dcv-bench-")) / "kept"
    os.chmod(folder.parent, 0o755)
    done = demo(BUILD, "--keep", folder)
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
    children = []
    try:
        quiet = folder / "init/quiet.sh"
        quiet.write_text("#!/bin/sh\nexec sleep 100000\n")
        quiet.chmod(0o755)
        conf = folder / "agent.conf"
        conf.write_text(conf.read_text().replace("max_concurrent_sessions_per_user = 4",
                                                 f"max_concurrent_sessions_per_user = {SESSIONS + 4}"))
        whole = Kept(folder, BUILD, children)
        whole.kill("agent")
        whole.start("agent")
        whole.await_agent()
        for session_id in whole.living():
            whole.delete(session_id)
        yield whole
    finally:
        demo(BUILD, "--stop", folder)
        for process in children:
            process.wait(60)
        shutil.rmtree(folder.parent, ignore_errors=True)


class Screens:
    """The displays of sessions, which change when they are told to."""

    def __init__(self, displays):
        self.clients = [Client(display) for display in displays]
        self.n = 0

    def change(self):
        for client in self.clients:
            self.n += 1
            client.fill(client.root, self.n * 2654435761 & 0xffffff, self.n % 500, 40, 90, 60)
            client.sync()


def timed(function, *arguments):
    begin = time.monotonic()
    function(*arguments)
    return (time.monotonic() - begin) * 1000


def ask_resident(serving):
    serving.ask("TAG=1", "MAX_WIDTH=160", "MAX_HEIGHT=100")
    entries, file = serving.receive()
    assert file, entries


class Api:
    """A client that is quick: a connection that stays, requests that are ready, answers unread but for
    their number of images."""

    def __init__(self, whole):
        url = urllib.parse.urlsplit(whole.env["BROKER_URL"])
        context = ssl.create_default_context(cafile=whole.env["BROKER_CA"])
        self.connection = http.client.HTTPSConnection(url.hostname, url.port, context=context)
        self.headers = {"Authorization": whole.http.headers["Authorization"],
                        "Content-Type": "application/json"}

    def ask(self, session_ids):
        self.connection.request("POST", "/getSessionScreenshots", self.body(session_ids),
                                self.headers)
        reply = self.connection.getresponse().read()
        if reply.count(b'"Data":"') != len(session_ids):
            raise RuntimeError(reply[:400])

    @staticmethod
    def body(session_ids):
        return json.dumps([{"SessionId": i} for i in session_ids])


class Turns:
    """How long the turns of a process's loop take: from one wait to the next, by strace. Both go before
    all others meanwhile, so that work is measured, and no waiting for a processor."""

    def __init__(self, pid, folder):
        self.pid = pid
        self.path = pathlib.Path(folder) / f"strace-{pid}"
        self.process = subprocess.Popen(
            ["strace", "-ttt", "-T", "-e", "trace=epoll_wait,epoll_pwait,epoll_pwait2", "-o",
             str(self.path), "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        assert "attached" in self.process.stderr.readline()
        for process in (pid, self.process.pid):  # it stops at every call, and strace looks
            os.sched_setscheduler(process, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK,
                                  os.sched_param(1))

    def longest_ms(self):
        self.process.terminate()
        self.process.wait()
        os.sched_setscheduler(self.pid, os.SCHED_OTHER, os.sched_param(0))
        longest, last_end = 0.0, None
        for line in self.path.read_text().splitlines():
            found = re.fullmatch(r"([\d.]+) .*<([\d.]+)>", line)
            if not found:  # not a call that returned
                continue
            begin, took = map(float, found.groups())
            if last_end is not None:
                longest = max(longest, begin - last_end)
            last_end = begin + took
        return longest * 1000


def bench_one_session(api, session_id, screens, serving):
    resident, through = [], []
    for _ in range(ROUNDS + 3):
        screens.change()
        resident.append(timed(ask_resident, serving))
        screens.change()
        through.append(timed(api.ask, [session_id]))
    alone, all_of_it = statistics.median(resident[3:]), statistics.median(through[3:])
    row("GetSessionScreenshots through broker and agent, 1 session", "the resident capture itself",
        f"{all_of_it - alone:+.2f} ms p50 ({all_of_it:.2f} ms)", "≤ +2 ms p50")


def bench_many_sessions(whole, session_ids, screens, serving):
    api, resident, through = Api(whole), [], []
    api.ask(session_ids)  # starts the programs
    for _ in range(min(ROUNDS, 11)):
        screens.change()
        resident.append(timed(ask_resident, serving))
        through.append(timed(api.ask, session_ids))
    alone, all_of_them = statistics.median(resident), statistics.median(through)
    row(f"{len(session_ids)} sessions in one call on one host",
        f"{len(session_ids)} × the resident capture",
        f"{ratio(all_of_them / alone / len(session_ids))} ({all_of_them:.0f} ms)", "≤ 1.2×")
    if not shutil.which("strace"):
        left_out("turns of the loops", "strace is not installed")
        return
    for name in ("agent", "broker"):
        turns = Turns(whole.pid(name), whole.folder)
        for _ in range(3):
            screens.change()
            api.ask(session_ids)
        row(f"longest turn of the {name}'s loop meanwhile", "–", f"{turns.longest_ms():.1f} ms",
            "≤ 5 ms")


def bench_services():
    if os.geteuid() != 0:
        left_out("agent and broker", "only root can make the user of the sessions")
        return
    with product() as whole:
        session_ids = [whole.create()]
        whole.await_state(session_ids[0], "READY")
        first = displays_of(whole.user)
        screens = Screens(first)
        with Serving(first[0]) as serving:
            bench_one_session(Api(whole), session_ids[0], screens, serving)
        session_ids += [whole.create() for _ in range(SESSIONS - 1)]
        for session_id in session_ids:  # they start one after the other
            whole.await_state(session_id, "READY", patience_s=PATIENCE_S * SESSIONS)
        with Serving(first[0]) as serving:
            bench_many_sessions(whole, session_ids, Screens(displays_of(whole.user)), serving)


def main():
    parts = {"inside": bench_inside, "programs": bench_programs, "clients": bench_clients,
             "services": bench_services}
    if not CONVERT or not DISPLAY:
        raise SystemExit("ImageMagick, which draws the scenes, is not installed")
    begin_table(ROUNDS)
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
