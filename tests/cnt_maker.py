"""Neuroscan ``.cnt`` files, written from the description of their header (paulbourke.net/dataformats/eeg)."""

import struct

import numpy as np

RATE = 250


def save(path, data, names, events=(), *, width=2, block=0, kind=1, samples=None, date=b"04/25/11"):
    """Samples ``(channels, samples)`` as whole numbers; `events` as (sample, type); `block` of a channel each."""
    count, length = data.shape
    start = 900 + 75 * count
    body = start + data.size * width
    head = bytearray(900)
    head[:12] = b"Version 3.0\0"
    head[225:235], head[235:247] = date.ljust(10, b"\0"), b"10:11:12".ljust(12, b"\0")
    struct.pack_into("<H", head, 370, count)
    struct.pack_into("<H", head, 376, RATE)
    struct.pack_into("<i", head, 864, length if samples is None else samples)
    struct.pack_into("<i", head, 886, body)
    struct.pack_into("<i", head, 894, block * width)
    channels = b""
    for n, name in enumerate(names):
        one = bytearray(75)
        one[: len(name)] = name.encode()
        struct.pack_into("<ff", one, 19, 200 + 90 * np.cos(n), 200 + 90 * np.sin(n))
        struct.pack_into("<h", one, 47, n)  # baseline
        struct.pack_into("<f", one, 59, 10.0 + n)
        struct.pack_into("<f", one, 71, 1.5)
        channels += bytes(one)
    stored = data.T if not block else data.reshape(count, -1, block).transpose(1, 0, 2)
    table = b""
    for at, code in events:
        offset = at + 1 if kind == 3 else start + (at + 1) * count * width
        table += struct.pack("<HBci", code, 0, b"\0", offset)
        table += b"" if kind == 1 else struct.pack("<hhfccc", 0, 0, 0.0, b"\0", b"\0", b"\0")
    raw = np.ascontiguousarray(stored).astype("<i2" if width == 2 else "<i4").tobytes()
    path.write_bytes(bytes(head) + channels + raw + struct.pack("<Bii", kind, len(table), 0) + table)
    return path
