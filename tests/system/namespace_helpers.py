"""Linux namespaces in which a test arranges a host to its taste."""

import contextlib
import select
import subprocess

from keeper_helpers import PATIENCE


@contextlib.contextmanager
def namespace(*flags, script):
    """A prefix for commands that are to run in new namespaces, in which the script has run. It says
    "ready" when it has, and is ended by a line on its input."""
    process = subprocess.Popen(["unshare", *flags, "sh", "-e", "-c", script],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert select.select([process.stdout], [], [], PATIENCE)[0]
        assert process.stdout.readline() == "ready\n"
        yield ("nsenter", "-t", str(process.pid), *flags)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()
