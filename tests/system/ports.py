"""TCP ports for the servers under test."""

import fcntl
import os
import socket
import tempfile

# Below those that the kernel gives to connections (net.ipv4.ip_local_port_range), or one of these would
# have the port before the server has it.
FIRST, COUNT = 20000, 12000
TAKEN = os.path.join(tempfile.gettempdir(), "dcv-session-manager-test-ports")


def free_port():
    """A port that nobody listens on. Every caller on the host gets the next one, so that tests that run
    side by side do not get the same."""
    with open(TAKEN, "a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        n = int(file.read() or 0)
        while not is_free(FIRST + n % COUNT):
            n += 1
        file.truncate(0)
        file.write(str(n + 1))
    return FIRST + n % COUNT


def is_free(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("0.0.0.0", port))
            return True
        except OSError:
            return False
