"""What the system tests share: where the programs are, starting and ending them, certificates, users.

Nothing here uses a network but loopback. What a test starts, it starts through the fixture `start`
(or through its own means); whatever `start` began is ended after the test by its own pid, and the
test fails if a process that came from it is left, or if a sanitizer reported anything.
"""

import contextlib
import fcntl
import os
import pathlib
import pwd
import secrets
import select
import signal
import subprocess
import tempfile
import time

import pytest

from broker_helpers import Broker
from keeper_helpers import User
from page_helpers import Chromium
from viewer_helpers import Viewer

MARK = "DCV_TEST_PROCESS"  # in the environment of everything that `start` began


@pytest.fixture(scope="session")
def build():
    """The folder with the programs under test: DCV_BUILD, or build/ of this source tree."""
    default = pathlib.Path(__file__).resolve().parents[2] / "build"
    return pathlib.Path(os.environ.get("DCV_BUILD", default)).resolve()


@pytest.fixture(scope="session")
def is_sanitized(build):
    """Whether the sanitizers' runtime is in the programs under test."""
    return b"__asan_init" in (build / "dcv-session-manager-broker").read_bytes()


@pytest.fixture
def faketime(is_sanitized):
    """The library which, preloaded, gives a program a clock that is off."""
    if is_sanitized:
        pytest.skip("faketime is preloaded, and the sanitizer's runtime wants to be first")
    (library,) = pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return str(library)


@pytest.fixture
def fake_time(faketime):
    """fake_time(offset): the environment of a program whose wall clock is as much off."""
    return lambda offset: {"LD_PRELOAD": faketime, "FAKETIME": offset, "DONT_FAKE_MONOTONIC": "1"}


def wait_line(fd, timeout=20):
    """The next line that arrives on a descriptor. Fails at its end or when the time is over."""
    line = b""
    deadline = time.monotonic() + timeout
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise TimeoutError(f"no line within {timeout} s, only {line!r}")
        byte = os.read(fd, 1)
        if not byte:
            raise EOFError(f"the descriptor was closed after {line!r}")
        line += byte
    return line.decode().rstrip("\n")


class Program:
    """A program under test, with its output in a file, ended by its own pid and no other way."""

    def __init__(self, arguments, output, ready_option=None, env=None, ready_timeout=20,
                 **options):
        self.output_path = output
        self.mark = secrets.token_hex(8)
        self.ready_line = None
        arguments = [str(argument) for argument in arguments]
        read_fd, write_fd = os.pipe()
        if ready_option:
            arguments += [ready_option, str(write_fd)]
            options["pass_fds"] = (*options.get("pass_fds", ()), write_fd)
        with open(output, "wb") as file:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                env={**(os.environ if env is None else env), MARK: self.mark}, **options)
        os.close(write_fd)
        try:
            if ready_option:
                self.ready_line = wait_line(read_fd, ready_timeout)
        except (TimeoutError, EOFError) as error:
            self.stop()
            raise AssertionError(f"{arguments[0]} did not get ready: {error}\n"
                                 + self.output()) from None
        finally:
            os.close(read_fd)

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        return pathlib.Path(self.output_path).read_text(errors="replace")

    def stop(self, number=signal.SIGTERM, timeout=20):
        """End it if it still runs. Returns its exit status, negative for a signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"pid {self.pid} did not end within {timeout} s:\n"
                                 + self.output()) from None

    def left_behind(self):
        """The pids of processes that carry this one's mark: its children and theirs."""
        wanted = f"{MARK}={self.mark}".encode()
        left = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    left.append(int(folder.name))
        return left


@pytest.fixture
def start(tmp_path):
    """start(arguments, ready_option="--ready-fd", ...): a Program that ends with the test."""
    programs = []

    def begin(arguments, **options):
        output = tmp_path / f"output-{len(programs)}.txt"
        programs.append(Program(arguments, output, **options))
        return programs[-1]

    yield begin
    problems = []
    for program in reversed(programs):
        try:
            program.stop()
        except AssertionError as error:
            problems.append(str(error))
        left = program.left_behind()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if left:
            problems.append(f"{program.process.args[0]} left processes behind: {left}")
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A folder with ca.pem, and server.pem and server.key for localhost and 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=test authority")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile", "names")
    return folder


def let_everybody_reach(path):
    """Open the folders above a path, as far as they are ours, for users to pass."""
    for folder in pathlib.Path(path).parents:
        if folder != pathlib.Path("/") and folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o011)


@contextlib.contextmanager
def _accounts_locked():
    """useradd refuses to wait for another one that runs at the same time."""
    with open(pathlib.Path(tempfile.gettempdir()) / "dcv-test-accounts.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def make_user():
    """make_user(): a new account with a home folder, as pwd describes it; removed afterwards."""
    if os.geteuid() != 0:
        pytest.skip("accounts can be made by root only")
    names = []

    def make():
        name = "dcvtest" + secrets.token_hex(4)
        with _accounts_locked():
            subprocess.run(["useradd", "-m", "-s", "/bin/bash", name], check=True)
        names.append(name)
        return pwd.getpwnam(name)

    yield make
    for name in names:
        with _accounts_locked():
            subprocess.run(["userdel", "-r", "-f", name], check=True, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def _sanitizer_folder(build):
    """Where programs with sanitizers write what they find: any user must be able to."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="dcv-sanitizer-"))
    folder.chmod(0o1777)
    for variable in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        given = os.environ.get(variable)
        options = f"log_path={folder}/report:detect_leaks=1:print_stacktrace=1"
        os.environ[variable] = f"{given}:{options}" if given else options
    yield folder
    folder.rmdir()


@pytest.fixture(autouse=True)
def _no_sanitizer_report(_sanitizer_folder):
    yield
    reports = []
    for path in sorted(_sanitizer_folder.iterdir()):
        reports.append(path.read_text(errors="replace"))
        path.unlink()
    assert not reports, "\n".join(reports)


# --- brokers -------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def first_broker():
    """One that has made its authority and keys, and has ended."""
    broker = Broker().start()
    broker.stop()
    yield broker
    broker.done()


@pytest.fixture
def make_broker(first_broker):
    """make_broker(setting=value, ...): a running broker with a client that is logged in; with
    start=False one that is still to be started. It finds authority and keys, for it takes long to make them."""
    made = []

    def make(start=True, **settings):
        made.append(Broker(**settings))
        made[-1].inherit(first_broker)
        return made[-1].start().log_in() if start else made[-1]
    yield make
    for broker in made:
        broker.done()


@pytest.fixture
def broker(make_broker):
    return make_broker()


# --- people --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def alice():
    user = User()
    yield user
    user.remove()


@pytest.fixture
def share(alice, tmp_path):
    """A folder for her files, new for each test."""
    folder = pathlib.Path(alice.home, tmp_path.name)
    folder.mkdir()
    os.chown(folder, alice.uid, alice.gid)
    return folder


@pytest.fixture(scope="module")
def bob():
    user = User()
    yield user
    user.remove()


@pytest.fixture(scope="module")
def service():
    """The account that a service runs as."""
    user = User()
    yield user
    user.remove()


# --- sessions in browsers ------------------------------------------------------------------------

@pytest.fixture(scope="module")
def viewer(service):
    it = Viewer(service)
    yield it
    it.done()


@pytest.fixture(scope="module")
def chromium(is_sanitized):
    if is_sanitized:
        pytest.skip("a browser's tests ask nothing of the programs that others have not asked")
    it = Chromium()
    yield it
    it.done()
