"""The double of a DCV server (tests/doubles/dcv) in a folder of its own."""

import json
import os
import shutil
import subprocess
import tempfile
import time

from keeper_helpers import BUILD, PATIENCE, ROOT

DOUBLE = os.path.join(ROOT, "tests", "doubles", "dcv")


class DcvServer:
    """Keyword arguments are for its config.json, with '_' for '-'; `timeout` is the agent's."""

    def __init__(self, timeout=20, **config):
        self.folder = tempfile.mkdtemp(prefix="dcv-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.command = os.path.join(self.folder, "dcv")
        self.home = os.path.join(self.folder, "home")
        self.timeout = timeout
        os.mkdir(self.home)
        os.chmod(self.home, 0o755)
        shutil.copy(DOUBLE, self.command)
        self.configure(**config)

    def settings(self):
        return f"\nengine = 'dcv'\ndcv_root = '{self.command}'\ndcv_timeout = {self.timeout}\n"

    def configure(self, **config):
        config = {name.replace("_", "-"): value for name, value in config.items()}
        config["screenshot-program"] = os.path.join(BUILD, "dcv-screenshot")
        self.write("config.json", json.dumps(config))

    def write(self, name, text):
        path = os.path.join(self.home, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def fault(self, text=""):
        """From now on: "COMMAND:fault,...", "*" for every command; nothing: none."""
        self.write("fault", text)

    def run(self, *arguments):
        done = subprocess.run([self.command, *arguments], capture_output=True, text=True,
                              timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sessions(self):
        """By id, as the server's own state has them."""
        found = {}
        for name in os.listdir(self.home):
            if name.startswith("session-") and not name.endswith(".new"):
                try:
                    with open(os.path.join(self.home, name), encoding="utf-8") as file:
                        session = json.load(file)
                        found[session["id"]] = session
                except (OSError, ValueError):
                    pass
        return found

    def calls(self, command=None):
        """The argument vectors of the commands that have ended."""
        try:
            with open(os.path.join(self.home, "calls.log"), encoding="utf-8") as file:
                calls = [json.loads(line)["arguments"] for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []
        return [call for call in calls if not command or call[:1] == [command]]

    def output(self):
        """What the programs of sessions have printed."""
        text = ""
        for name in os.listdir(self.home):
            if name.startswith("output-"):
                with open(os.path.join(self.home, name), encoding="utf-8",
                          errors="replace") as file:
                    text += file.read()
        return text

    def done(self):
        """End what is left, with the processes."""
        self.fault()
        self.run("double-restart")
        deadline = time.monotonic() + PATIENCE
        while any(os.path.exists(f"/proc/{name[7:]}") for name in os.listdir(self.home)
                  if name.startswith("output-")):
            assert time.monotonic() < deadline, "the double's sessions do not end"
            time.sleep(0.02)
        shutil.rmtree(self.folder, ignore_errors=True)
