"""The RFB protocol as a client speaks it, written for the tests and independent of the viewer's filter:
it takes the stream apart and keeps the picture that results.

A source has `read(n)` and `send(bytes)`. Pixels are 32 bits, little-endian, R in the lowest byte.
"""

import struct
import zlib

RAW, COPY_RECT, HEXTILE, TIGHT, ZRLE = 0, 1, 5, 7, 16
LAST_RECT, CURSOR, DESKTOP_SIZE, EXTENDED_DESKTOP_SIZE = -224, -239, -223, -308
QEMU_KEY, FENCE, CONTINUOUS_UPDATES = -258, -312, -313
EXTENDED_CLIPBOARD = 0xC0A1E5CE - 2**32

PIXEL_FORMAT = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 0, 8, 16)


class Rfb:
    def __init__(self, source, encodings, shared=1):
        self.source = source
        assert source.read(12) == b"RFB 003.008\n"
        source.send(b"RFB 003.008\n")
        (n,) = source.read(1)
        assert 1 in source.read(n)
        source.send(b"\1")
        assert source.read(4) == b"\0\0\0\0"
        source.send(bytes([shared]))
        self.width, self.height, length = struct.unpack(">HH16xI", self.source.read(24))
        self.name = self.source.read(length)
        self.picture = bytearray(4 * self.width * self.height)
        self.streams = [zlib.decompressobj() for _ in range(4)]
        self.zrle = zlib.decompressobj()
        self.cursor = None
        self.copied, self.bells, self.seen, self.n_pixels = [], 0, set(), 0
        self.source.send(b"\0\0\0\0" + PIXEL_FORMAT)
        self.set_encodings(encodings)

    # --- what is said ----------------------------------------------------------------------------

    def set_encodings(self, encodings):
        self.source.send(struct.pack(f">BxH{len(encodings)}i", 2, len(encodings), *encodings))

    def request(self, incremental=False):
        self.source.send(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))

    def key(self, keysym, down=True):
        self.source.send(struct.pack(">BBxxI", 4, down, keysym))

    def type(self, text):
        for c in text:
            keysym = {"\n": 0xFF0D}.get(c, ord(c))
            self.key(keysym)
            self.key(keysym, False)

    def pointer(self, x, y, buttons=0):
        self.source.send(struct.pack(">BBHH", 5, buttons, x, y))

    def cut(self, text):
        self.source.send(struct.pack(">BxxxI", 6, len(text)) + text)

    def resize(self, width, height):
        self.source.send(struct.pack(">BxHHBxIHHHHI", 251, width, height, 1, 1, 0, 0, width, height,
                                     0))

    # --- what is heard ---------------------------------------------------------------------------

    def update(self):
        """Until a picture has come."""
        while self.message() != 0:
            pass

    def whole(self):
        """The picture as it is now. News of other kinds may come before it."""
        self.n_pixels = 0
        self.request()
        self.update()
        while self.n_pixels < self.width * self.height:
            self.request(incremental=True)
            self.update()
        return bytes(self.picture)

    def message(self):
        """Take one message; its type."""
        (kind,) = self.source.read(1)
        if kind == 0:
            (n,) = struct.unpack(">xH", self.source.read(3))
            while n > 0:
                n = 0 if self.rectangle() == LAST_RECT else n - (n != 0xFFFF)
        elif kind == 2:
            self.bells += 1
        elif kind == 3:
            (length,) = struct.unpack(">xxxi", self.source.read(7))
            self.copied.append((length < 0, self.source.read(abs(length))))
        elif kind == 248:
            flags, length = struct.unpack(">xxxIB", self.source.read(8))
            payload = self.source.read(length)
            if flags & 1 << 31:
                self.source.send(struct.pack(">BxxxIB", 248, flags & 7, length) + payload)
        else:
            assert kind == 150, f"message {kind}"
        return kind

    def rectangle(self):
        x, y, w, h, encoding = struct.unpack(">HHHHi", self.source.read(12))
        self.seen.add(encoding)
        if encoding == RAW:
            self.put(x, y, w, h, self.source.read(4 * w * h))
        elif encoding == COPY_RECT:
            sx, sy = struct.unpack(">HH", self.source.read(4))
            rows = [self.row(sx, sy + i, w) for i in range(h)]
            self.put(x, y, w, h, b"".join(rows))
        elif encoding == HEXTILE:
            self.hextile(x, y, w, h)
        elif encoding == TIGHT:
            self.put(x, y, w, h, self.tight(w, h))
        elif encoding == ZRLE:
            (length,) = struct.unpack(">I", self.source.read(4))
            self.take_zrle(x, y, w, h, self.zrle.decompress(self.source.read(length)))
        elif encoding == CURSOR:
            self.cursor = (w, h, self.source.read(4 * w * h + (w + 7) // 8 * h))
        elif encoding == EXTENDED_DESKTOP_SIZE:
            (n,) = struct.unpack(">Bxxx", self.source.read(4))
            self.source.read(16 * n)
            if x != 1 or y == 0:
                self.set_size(w, h)
        elif encoding == DESKTOP_SIZE:
            self.set_size(w, h)
        else:
            assert encoding in (LAST_RECT, QEMU_KEY), f"rectangle {encoding}"
        return encoding

    def set_size(self, width, height):
        if (width, height) != (self.width, self.height):
            self.width, self.height = width, height
            self.picture = bytearray(4 * width * height)

    # --- pictures --------------------------------------------------------------------------------

    def row(self, x, y, w):
        at = 4 * (y * self.width + x)
        return bytes(self.picture[at:at + 4 * w])

    def put(self, x, y, w, h, pixels):
        assert len(pixels) == 4 * w * h
        self.n_pixels += w * h
        for i in range(h):
            at = 4 * ((y + i) * self.width + x)
            self.picture[at:at + 4 * w] = pixels[4 * w * i:4 * w * (i + 1)]

    def fill(self, x, y, w, h, pixel):
        self.put(x, y, w, h, pixel * (w * h))

    def hextile(self, x, y, w, h):
        read = self.source.read
        back = fore = bytes(4)
        for ty in range(y, y + h, 16):
            for tx in range(x, x + w, 16):
                tw, th = min(16, x + w - tx), min(16, y + h - ty)
                (how,) = read(1)
                if how & 1:
                    self.put(tx, ty, tw, th, read(4 * tw * th))
                    continue
                back = read(4) if how & 2 else back
                fore = read(4) if how & 4 else fore
                self.fill(tx, ty, tw, th, back)
                for _ in range(read(1)[0] if how & 8 else 0):
                    colour = read(4) if how & 16 else fore
                    at, size = read(2)
                    self.fill(tx + (at >> 4), ty + (at & 15), (size >> 4) + 1, (size & 15) + 1,
                              colour)

    def tight_data(self, stream, length):
        if length < 12:
            return self.source.read(length)
        size = shift = 0
        for i in range(3):
            (byte,) = self.source.read(1)
            size |= (byte & 0x7F if i < 2 else byte) << shift
            shift += 7
            if i < 2 and not byte & 0x80:
                break
        return self.streams[stream].decompress(self.source.read(size))

    def tight(self, w, h):
        read = self.source.read

        def widen(pixels):
            return b"".join(pixels[i:i + 3] + b"\0" for i in range(0, len(pixels), 3))

        (how,) = read(1)
        for i in range(4):
            if how & 1 << i:
                self.streams[i] = zlib.decompressobj()
        how >>= 4
        if how == 8:
            return (read(3) + b"\0") * (w * h)
        assert how < 8, "JPEG was not asked for"
        stream, filter_ = how & 3, read(1)[0] if how & 4 else 0
        if filter_ == 1:
            n = read(1)[0] + 1
            palette = [read(3) + b"\0" for _ in range(n)]
            if n > 2:
                return b"".join(palette[i] for i in self.tight_data(stream, w * h))
            stride = (w + 7) // 8
            bits = self.tight_data(stream, stride * h)
            return b"".join(palette[bits[y * stride + x // 8] >> 7 - x % 8 & 1]
                            for y in range(h) for x in range(w))
        assert filter_ == 0, "a gradient is for more colours than this desktop has"
        return widen(self.tight_data(stream, 3 * w * h))

    def take_zrle(self, x, y, w, h, data):
        at = 0

        def read(n):
            nonlocal at
            at += n
            assert at <= len(data)
            return data[at - n:at]

        def run():
            length = 1
            while (byte := read(1)[0]) == 255:
                length += 255
            return length + byte

        for ty in range(y, y + h, 64):
            for tx in range(x, x + w, 64):
                tw, th = min(64, x + w - tx), min(64, y + h - ty)
                self.put(tx, ty, tw, th, self.zrle_tile(tw, th, read, run))
        assert at == len(data)

    def zrle_tile(self, w, h, read, run):
        (how,) = read(1)

        def pixel():
            return read(3) + b"\0"

        if how == 0:
            return b"".join(pixel() for _ in range(w * h))
        if how == 1:
            return pixel() * (w * h)
        if how == 128:
            out = b""
            while len(out) < 4 * w * h:
                colour = pixel()
                out += colour * run()
            return out
        palette = [pixel() for _ in range(how & 127)]
        if how > 128:
            out = b""
            while len(out) < 4 * w * h:
                (i,) = read(1)
                out += palette[i & 127] * (run() if i & 128 else 1)
            return out
        bits = 1 if how == 2 else 2 if how <= 4 else 4
        out = b""
        for _ in range(h):
            packed = read((w * bits + 7) // 8)
            out += b"".join(palette[packed[i * bits // 8] >> 8 - bits - i * bits % 8 &
                                    (1 << bits) - 1] for i in range(w))
        return out
