"""dcv-screenshot --serve, and our end of its socket; the protocol is in screenshot/serve.h."""

import array
import fcntl
import os
import socket
import subprocess

PROGRAM = os.path.join(os.environ.get("DCV_BUILD", "build"), "dcv-screenshot")
TIMEOUT_S = 60
F_GET_SEALS, ALL_SEALS = 1034, 0xF


class Serving:
    """A program that serves, and our end of its socket."""

    def __init__(self, x, *options):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [PROGRAM, "--serve", str(theirs.fileno()), *options], env=x.environment,
                pass_fds=[theirs.fileno()], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.socket.settimeout(TIMEOUT_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def ask(self, *entries):
        self.socket.send(b"".join(entry.encode() + b"\0" for entry in entries))

    def receive(self):
        """One answer: its entries, and the file that came with it or None."""
        packet, control, flags, _ = self.socket.recvmsg(8192, socket.CMSG_SPACE(4 * 4))
        assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
        assert packet.endswith(b"\0"), packet
        entries = dict(entry.split("=", 1) for entry in packet[:-1].decode().split("\0"))
        descriptors = array.array("i")
        for _, _, data in control:
            descriptors.frombytes(data)
        if not descriptors:
            return entries, None
        assert len(descriptors) == 1
        with os.fdopen(descriptors[0], "rb") as file:
            assert fcntl.fcntl(file, F_GET_SEALS) == ALL_SEALS
            self.inode = os.fstat(file.fileno()).st_ino
            return entries, file.read()

    def wait(self):
        output, errors = self.process.communicate(timeout=TIMEOUT_S)
        assert output == b""
        return self.process.returncode, errors.decode()
