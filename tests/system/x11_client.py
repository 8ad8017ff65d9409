"""A client that speaks just enough of the X protocol to draw, and to see what it drew.

Requests by their numbers in the X Window System Protocol, appendix B.
"""

import socket
import struct
import time

from waiting import PATIENCE_S

SUCCESS, REPLY = 1, 1
FOREGROUND_AND_NO_EXPOSURES = 0x4 | 0x10000
Z_PIXMAP = 2
MAX_REQUEST = 65535 * 4


class Client:
    def __init__(self, x):
        with open(x.authority, "rb") as file:
            cookie = file.read()[-16:]
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(f"/tmp/.X11-unix/X{x.display[1:]}")
        name = b"MIT-MAGIC-COOKIE-1"
        self.socket.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(name), len(cookie))
                            + name + bytes(2) + cookie)
        status, units = struct.unpack("<B5xH", self._receive(8))
        setup = self._receive(units * 4)
        assert status == SUCCESS
        self.next_id, = struct.unpack_from("<I", setup, 4)
        vendor_length, = struct.unpack_from("<H", setup, 16)
        n_formats = setup[21]
        screen = 32 + (vendor_length + 3) // 4 * 4 + n_formats * 8
        self.root, = struct.unpack_from("<I", setup, screen)
        self.width, self.height = struct.unpack_from("<HH", setup, screen + 20)
        self.context = self._new_id()
        self._request(55, 0, struct.pack("<IIIII", self.context, self.root,
                                         FOREGROUND_AND_NO_EXPOSURES, 0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _receive(self, length):
        data = b""
        while len(data) < length:
            chunk = self.socket.recv(length - len(data))
            assert chunk, "the X server has gone"
            data += chunk
        return data

    def _new_id(self):
        self.next_id += 1
        return self.next_id

    def _request(self, opcode, byte, data):
        self.socket.sendall(struct.pack("<BBH", opcode, byte, 1 + len(data) // 4) + data)

    def _reply(self):
        while True:
            packet = self._receive(32)
            assert packet[0] != 0, f"X error {packet[1]} to request {packet[10]}"
            if packet[0] == REPLY:
                return packet + self._receive(struct.unpack_from("<I", packet, 4)[0] * 4)

    def sync(self):
        """Wait until everything asked for so far has been done."""
        self._request(43, 0, b"")
        self._reply()

    def _colour(self, colour):
        self._request(56, 0, struct.pack("<III", self.context, 0x4, colour))

    def fill(self, drawable, colour, x, y, width, height):
        self._colour(colour)
        self._request(70, 0, struct.pack("<IIhhHH", drawable, self.context, x, y, width, height))

    def line(self, drawable, colour, x1, y1, x2, y2):
        self._colour(colour)
        self._request(66, 0, struct.pack("<IIhhhh", drawable, self.context, x1, y1, x2, y2))

    def copy(self, source, target, x1, y1, x2, y2, width, height):
        self._request(62, 0, struct.pack("<IIIhhhhHH", source, target, self.context, x1, y1, x2,
                                         y2, width, height))

    def put(self, drawable, width, height, pixels):
        """Rows of BGRX from the top left on, in requests that are not too long."""
        n_rows = (MAX_REQUEST - 24) // (width * 4)
        for y in range(0, height, n_rows):
            part = pixels[y * width * 4:(y + n_rows) * width * 4]
            self._request(72, Z_PIXMAP, struct.pack("<IIHHhhBBxx", drawable, self.context, width,
                                                    len(part) // (width * 4), 0, y, 0, 24) + part)

    def clear(self, window, x, y, width, height):
        self._request(61, 0, struct.pack("<IhhHH", window, x, y, width, height))

    def window(self, colour, x, y, width, height):
        """A window that is seen."""
        window = self._new_id()
        background, override_redirect = 0x2, 0x200
        self._request(1, 0, struct.pack("<IIhhHHHHIIII", window, self.root, x, y, width, height,
                                        0, 1, 0, background | override_redirect, colour, 1))
        self._request(8, 0, struct.pack("<I", window))
        return window

    def move(self, window, x, y):
        self._request(12, 0, struct.pack("<IHxxii", window, 0x1 | 0x2, x, y))

    def image(self):
        """What the whole screen shows, as the server has it."""
        self._request(73, Z_PIXMAP, struct.pack("<IhhHHI", self.root, 0, 0, self.width,
                                                self.height, 0xffffffff))
        return self._reply()[32:]

    def wait_until_still(self):
        """Clients draw when they like; the same picture for half a second is as good as it gets."""
        deadline = time.monotonic() + PATIENCE_S
        last, since = None, 0
        while time.monotonic() < deadline:
            now = self.image()
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 0.5:
                return
            time.sleep(0.1)
        raise TimeoutError("the screen does not come to rest")

    def pixels(self):
        """What the whole screen shows, as rows of RGB. For screens of depth 24."""
        data = self.image()
        rgb = bytearray(self.width * self.height * 3)
        rgb[0::3], rgb[1::3], rgb[2::3] = data[2::4], data[1::4], data[0::4]
        return bytes(rgb)
