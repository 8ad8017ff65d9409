"""Reading PNG files of 8-bit RGB, such as ours, without a library."""

import struct
import zlib


def chunks(file):
    at = 8
    while at < len(file):
        length, kind = struct.unpack(">I4s", file[at:at + 8])
        yield kind, file[at + 8:at + 8 + length]
        at += 12 + length


def paeth(left, above, corner):
    guess = left + above - corner
    to_left, to_above, to_corner = abs(guess - left), abs(guess - above), abs(guess - corner)
    if to_left <= to_above and to_left <= to_corner:
        return left
    return above if to_above <= to_corner else corner


def unfilter(kind, row, above):
    """In place; rows have three zeros before them."""
    for i in range(3, len(row)):
        left, up, corner = row[i - 3], above[i], above[i - 3]
        guess = (0, left, up, (left + up) // 2)[kind] if kind < 4 else paeth(left, up, corner)
        row[i] = (row[i] + guess) & 255


def decode_png(file):
    """Rows of RGB, as one bytes object."""
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    found = dict(chunks(file))
    width, height, depth, colour = struct.unpack(">IIBB", found[b"IHDR"][:10])
    assert (depth, colour) == (8, 2)
    data = zlib.decompress(found[b"IDAT"])
    above, out = bytearray(3 + width * 3), b""
    for y in range(height):
        begin = y * (width * 3 + 1)
        row = bytearray(3) + bytearray(data[begin + 1:begin + 1 + width * 3])
        unfilter(data[begin], row, above)
        out += row[3:]
        above = row
    return out
