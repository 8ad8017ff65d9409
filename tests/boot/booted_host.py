"""A throw-away Debian host with systemd as PID 1: an overlay over this machine's own files, booted by
systemd-nspawn in namespaces of its own, without a network but loopback.

What this machine has installed is there; what is written stays in a tmpfs that goes with the host.
"""

import os
import pathlib
import shutil
import subprocess
import time
import uuid

REBOOTED = 133  # systemd-nspawn's exit status when the guest asked for it
BOOT_TIMEOUT_S = 60

# The machine's own default target would start everything that is installed on it.
TARGET = """[Unit]
Requires=basic.target dbus.socket systemd-logind.service systemd-user-sessions.service multi-user.target
After=basic.target systemd-logind.service systemd-user-sessions.service
AllowIsolate=yes
"""
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "LANG": "C.UTF-8", "TERM": "dumb"}


def hierarchies():
    """Of cgroups: two where the first version is there as well, else one."""
    return [path for path in map(pathlib.Path, ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"))
            if path.is_dir()] or [pathlib.Path("/sys/fs/cgroup")]


def why_not():
    """Why no host can be booted here; None: it can."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("systemd-nspawn", "nsenter"):
        if not shutil.which(program):
            return f"{program} is not installed"
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "probe", "/mnt"],
                           capture_output=True, text=True)
    if probe.returncode != 0:
        return f"this machine may not mount: {probe.stderr.strip()}"
    for hierarchy in hierarchies():
        if not os.access(hierarchy, os.W_OK):
            return f"no cgroup can be made in {hierarchy}"
    return None


def child_of(pid, name):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for child in children:
        try:
            if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == name:
                return int(child)
        except FileNotFoundError:
            pass
    return None


class BootedHost:
    def __init__(self, folder, name="host"):
        self.name = name
        self.base = pathlib.Path(folder) / name
        self.root = self.base / "root"
        self.cgroups = []
        self.process = None

    # --- the machine ---------------------------------------------------------------------------

    def make(self):
        self.base.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g,mode=755", self.name, self.base],
                       check=True)
        for part in ("up", "work", "root"):
            (self.base / part).mkdir()
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir=/,upperdir={self.base}/up,workdir={self.base}/work", self.root],
                       check=True)
        # Made anew and moved into place: the machine's own may be mounted over.
        fresh = self.root / "etc/machine-id.new"
        fresh.write_text(uuid.uuid4().hex + "\n")
        fresh.rename(self.root / "etc/machine-id")
        (self.root / "etc/hostname").write_text(self.name + "\n")
        (self.root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
        (self.root / "etc/systemd/system/test-host.target").write_text(TARGET)
        # Of what is enabled on this machine nothing is wanted.
        shutil.rmtree(self.root / "etc/systemd/system/multi-user.target.wants", ignore_errors=True)
        # systemd-nspawn names the children of its cgroup always alike: each host has a parent of its
        # own, in every hierarchy.
        for hierarchy in hierarchies():
            self.cgroups.append(hierarchy / f"test-{self.name}-{os.getpid()}")
            self.cgroups[-1].mkdir()
        return self

    def enter_cgroups(self):
        for cgroup in self.cgroups:
            (cgroup / "cgroup.procs").write_text(str(os.getpid()))

    def boot(self):
        with open(self.base / "console.log", "ab") as console:
            self.process = subprocess.Popen(
                ["systemd-nspawn", "-q", "-b", "-D", str(self.root), f"--machine={self.name}",
                 "--register=no", "--keep-unit", "--link-journal=no", "--console=pipe",
                 "--private-network", "--capability=CAP_BPF,CAP_PERFMON",
                 "--system-call-filter=bpf", "systemd.unit=test-host.target"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                preexec_fn=self.enter_cgroups)
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while True:
            state = self.run("systemctl", "is-system-running", "--wait",
                             check=False).stdout.strip() if self.leader() else ""
            if state in ("running", "degraded"):
                return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the host did not boot ({state}):\n" +
                                   (self.base / "console.log").read_text()[-4000:])
            time.sleep(0.05)

    def leader(self):
        """Its PID 1, as this machine numbers it."""
        return child_of(self.process.pid, "systemd")

    def reboot(self):
        self.run("systemctl", "reboot", check=False)
        if self.process.wait(timeout=90) != REBOOTED:
            raise RuntimeError(f"not rebooted, but ended with {self.process.returncode}")
        return self.boot()

    def end(self):
        if self.process and self.process.poll() is None:
            if self.leader():
                self.run("systemctl", "poweroff", "--no-wall", check=False)
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for path in (self.root, self.base):
            if os.path.ismount(path):
                subprocess.run(["umount", path], check=True)
        for cgroup in self.cgroups:
            for folder, _, _ in os.walk(cgroup, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass

    # --- inside --------------------------------------------------------------------------------

    def run(self, *command, user=None, check=True, input=None, timeout=120):
        """A command on the host; @user: through PAM, as su does."""
        command = [str(word) for word in command]
        if user:
            command = ["runuser", "-u", user, "--", *command]
        leader = self.leader()
        if not leader:
            raise RuntimeError("the host is down")
        done = subprocess.run(["nsenter", "-t", str(leader), "-a", "--", "env", "-i",
                               *(f"{name}={value}" for name, value in ENVIRONMENT.items()),
                               *command],
                              capture_output=True, text=True, input=input, timeout=timeout)
        if check and done.returncode != 0:
            raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def visit(self, *command, timeout=120):
        """A program of this machine in the host's network; what it prints."""
        done = subprocess.run(["nsenter", "-t", str(self.leader()), "-n", "--", *map(str, command)],
                              capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout.strip()

    def visitor(self, *command):
        """The same, going on."""
        return subprocess.Popen(["nsenter", "-t", str(self.leader()), "-n", "--", *map(str, command)],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def out(self, *command, **options):
        return self.run(*command, **options).stdout.strip()

    def written(self):
        """The files that were written since it was made, but for those of file systems of its own."""
        upper = self.base / "up"
        return {"/" + str(path.relative_to(upper)) for path in upper.rglob("*")
                if path.is_symlink() or path.is_file()}

    def path(self, path):
        """Of a file of the host that is not on a file system of its own (as /run is)."""
        return self.root / str(path).lstrip("/")
