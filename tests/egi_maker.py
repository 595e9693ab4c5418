"""EGI simple binary files, written from the layout of their header: big-endian, sample after sample."""

import struct

import numpy as np

RATE = 250


def save(path, data, events=None, *, version=4, bits=0, span=0, samples=None):
    """Samples ``(channels, samples)`` as stored, and ``{"DIN1": row of 0 and 1}``; `samples` to count others."""
    events = events or {}
    head = struct.pack(">i6hi", version, 2014, 4, 8, 9, 46, 44, 736)
    head += struct.pack(">5h", RATE, len(data), 1, bits, span)
    head += struct.pack(">ih", data.shape[1] if samples is None else samples, len(events))
    head += b"".join(name.encode().ljust(4)[:4] for name in events)
    frames = np.concatenate([data, np.array(list(events.values())).reshape(len(events), data.shape[1])])
    path.write_bytes(head + frames.T.astype({2: ">i2", 4: ">f4", 6: ">f8"}[version]).tobytes())
    return path
