"""A small BTi/4D recording, written from the layout of its files: ``config``, and ``c,rfDC`` with the samples."""

import struct

import numpy as np

RATE = 500.0


def save_bti(folder, data, trigger):
    """Write a folder with magnetometers (``(channels, samples)`` in tesla) and a trigger channel."""
    folder.mkdir()
    names = [f"A{i + 1}" for i in range(len(data))] + ["TRIGGER"]
    (folder / "config").write_bytes(_config(names))
    stored = np.concatenate([data, trigger[None]]).T.astype(">f4").tobytes()
    stored += b"\0" * (-len(stored) % 8)
    (folder / "c,rfDC").write_bytes(stored + _header(names, data.shape[1]) + struct.pack(">q", len(stored)))
    return folder


class _Bytes(bytearray):
    def put(self, layout, *values):
        self.extend(struct.pack(">" + layout, *values))

    def text(self, words, length):
        self.extend(words.encode().ljust(length, b"\0"))

    def align(self):
        self.extend(b"\0" * (-len(self) % 8))

    def transform(self, place=(0.0, 0.0, 0.0)):
        matrix = np.eye(4)
        matrix[:3, 3] = place
        matrix[3, :3] = 1.0  # scalings
        self.extend(matrix.astype(">f8").tobytes())


def _config(names):
    out = _Bytes()
    out.put("h32s16shihhffhhh", 2, b"site", b"host", 1, 0, 50, len(names), 1.0, 1.0, 1, 2, 0)
    out.extend(b"\0" * 2)
    out.put("I32s", 0, b"")
    out.transform()
    table, weights = _Bytes(), _Bytes()
    table.put("iii16si28s", 2, 0, 1, b"", 1, b"")
    weights.put("iII32s80sII72s", 2, 0, 1, b"", b"", 1, 1, b"")
    for block, kind, labels in ((table, "B_E_table_used", 2), (weights, "B_weights_used", 3)):
        for _label in range(labels):
            block.text("A1", 16)
        block.put("f", 0.0)
        if kind == "B_weights_used":
            block.put("h", 0)
        out.put("I20si32sII32s", 0, kind.encode(), 0, b"", 0, len(block), b"")
        out.align()
        out.extend(block)
        out.align()
    for number, name in enumerate(names):
        sensor = name.startswith("A")
        out.text(name, 16)
        out.put("hHh", number + 1, 1 if sensor else 5, number)
        out.extend(b"\0" * 2)
        out.put("ff16sdi32s", 1.0, 1.0, b"", 0.0, 0, b"")
        out.align()
        out.put("ii32s", 0, 0, b"")
        if sensor:
            turn = 2.4 * number
            out.put("f4s", 0.0, b"")
            out.transform((0.1 * np.cos(turn), 0.1 * np.sin(turn), 0.02 * number))
            out.put("hh", 0, 0)
            out.extend(b"\0" * 36)
        else:
            out.put("i", 0)
            out.extend(b"\0" * 34)
        out.align()
    return bytes(out)


def _header(names, samples):
    out = _Bytes()
    out.put("h5s", 1, b"MEG")
    out.extend(b"\0")
    out.put("hhiiiif16sih", 3, 1, 1, 1, 0, 0, 1 / RATE, b"s", 1, len(names))
    out.extend(b"\0" * 2)
    out.put("iihhi", 0, 0, 0, 0, 1367823000)
    out.extend(b"\0" * 20)
    out.align()
    out.put("ifffiii", samples, samples / RATE, 0.0, 0.0, 0, 0, 0)
    out.extend(b"\0" * 28)
    for number, name in enumerate(names):
        out.put("16shhf16sh", name.encode(), number + 1, 0, 1.0, b"T", 0)
        out.extend(b"\0" * 6)
        out.put("ddii4sf", 0.0, 0.0, number, 0, b"", 0.0)
        out.extend(b"\0" * 24)
    out.put("i20si32si256si", 0, b"b_filt", 0, b"secret", 1367823000, b"", 0)
    out.extend(b"\0" * 32)
    out.align()
    return bytes(out)
