"""A small KIT (Ricoh) recording, written from the layout of ``.con`` files: a directory of blocks, little-endian."""

import struct

import numpy as np

RATE = 500.0
_BLOCKS = 29
_SYSTEM, _CHANNELS, _SENSITIVITY, _AMPLIFIER, _ACQUISITION, _SAMPLES = 1, 4, 5, 7, 8, 9
_GAIN = 1e-12  # tesla per volt
_STEP = 10.0 / 2**16  # volt per number


def save_kit(path, data, trigger):
    """Write axial gradiometers (``(channels, samples)`` in tesla) and one trigger channel (volt)."""
    count = len(data) + 1
    blocks = {
        _SYSTEM: _system(count),
        _CHANNELS: b"".join(_channel(i) for i in range(len(data))) + _trigger(),
        _SENSITIVITY: np.tile([0.0, _GAIN], count).astype("<f8").tobytes(),
        _AMPLIFIER: struct.pack("<i", 0),
        _ACQUISITION: struct.pack("<idii", 1, RATE, data.shape[1], data.shape[1]),
    }
    stored = np.concatenate([np.rint(data / (_GAIN * _STEP)), np.rint(trigger / _STEP)[None]])
    blocks[_SAMPLES] = stored.T.astype("<i2").tobytes()
    offset, table, body = 16 * _BLOCKS, b"", b""
    for number in range(_BLOCKS):
        block = blocks.get(number, b"")
        size = 80 if number == _CHANNELS else max(len(block), 1)
        entries = _BLOCKS if number == 0 else count if number == _CHANNELS else 0
        table += struct.pack("<Iiii", 0 if number == 0 else offset + len(body), size, entries, entries)
        body += block
    path.write_bytes(table + body)
    return path


def _system(count):
    out = struct.pack("<iii", 2, 4, 34) + b"test".ljust(128, b"\0") + b"made".ljust(128, b"\0")
    out += struct.pack("<i", count) + b"".ljust(256, b"\0") + struct.pack("<ii", 1367823000, 1367823000)
    for _kind in ("dewar", "fll", "trigger"):
        out += b"\0" * 12 + struct.pack("<i", 0)
    out += b"\0" * 12 + struct.pack("<i", 0) + b"\0" * 116
    return out + struct.pack("<d", 10.0) + struct.pack("<iii", 0, 16, 16)


def _channel(number):
    turn = 2.4 * number
    place = (0.1 * np.cos(turn), 0.1 * np.sin(turn), 0.02 + 0.005 * number, 45.0, np.rad2deg(turn))
    return (struct.pack("<i5d", 2, *place) + b"\0" * 16 + f"A{number + 1:03d}".encode()).ljust(80, b"\0")


def _trigger():
    return (struct.pack("<iii", -1, 1, 0) + b"TRIG1").ljust(80, b"\0")
