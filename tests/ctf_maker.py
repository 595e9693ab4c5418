"""A small CTF recording, written from the layout of its files: ``.res4`` (header), ``.meg4`` (samples), ``.hc``."""

import struct

import numpy as np

RATE, GAIN = 600.0, 2.0**20 * 1e9


def save_ctf(folder, data, trigger, trials=2, clock=None):
    """Write a ``.ds`` folder with magnetic channels (tesla), a reference sensor, a trigger and a marker at 0.5 s.

    `data` is ``(channels, samples)``, cut into `trials` stretches of equal length, as CTF stores them; `clock` are the
    counts of a system clock, if it has one.
    """
    folder.mkdir()
    names = [f"MLC{i + 1:02d}-1706" for i in range(len(data))] + ["BG1-1706", "UPPT001"]
    names += [] if clock is None else ["SCLK01-177"]
    samples = data.shape[1] // trials
    (folder / f"{folder.stem}.res4").write_bytes(_header(names, samples, trials))
    rows = [np.rint(data * GAIN), 0 * trigger[None], np.rint(trigger)[None], *([] if clock is None else [clock[None]])]
    stored = np.concatenate(rows).astype(">i4")
    body = b"".join(stored[:, t * samples : (t + 1) * samples].tobytes() for t in range(trials))
    (folder / f"{folder.stem}.meg4").write_bytes(b"MEG41CP\0" + body)
    (folder / f"{folder.stem}.hc").write_text(_coils())
    (folder / "MarkerFile.mrk").write_text(_MARKERS)
    (folder / "ClassFile.cls").write_text("PATH OF DATASET:\n\n\nNUMBER OF CLASSES:\n0\n\n\n")
    return folder


_MARKERS = """PATH OF DATASET:

NUMBER OF MARKERS:
1

CLASSGROUPID:
3
NAME:
blink
NUMBER OF SAMPLES:
1
LIST OF SAMPLES:
TRIAL NUMBER\t\tTIME FROM SYNC POINT (in seconds)
+0\t\t+0.5
"""


class _Bytes(bytearray):
    def put(self, layout, *values):
        self.extend(struct.pack(">" + layout, *values))

    def text(self, words, length):
        self.extend(words.encode().ljust(length, b"\0"))

    def align(self, to):
        self.extend(b"\0" * (-len(self) % to))


def _header(names, samples, trials):
    out = _Bytes()
    out.text("MEG41RS", 8)
    for words in ("app", "origin", "made by a test"):
        out.text(words, 256)
    out.put("h", 1)
    out.text("12:30", 255)
    out.text("06/05/2013", 255)
    out.put("ih", samples, len(names))
    out.align(8)
    out.put("ddh", RATE, samples * trials / RATE, trials)
    out.align(4)
    out.put("ihh", 0, trials, 0)
    out.align(4)
    out.put("i", trials)
    out.extend(b"\0" * 10)  # triggers
    out.put("h", 0)
    out.align(4)
    out.put("ih", 0, 0)
    out.align(4)
    out.put("i", 0)
    out.align(4)
    out.put("ii", 0, 0)
    for words, length in (("run", 32), ("title", 256), ("set", 32), ("set", 32), ("secret", 32), ("operator", 32)):
        out.text(words, length)
    out.extend(b"\0" * 60)
    out.align(4)
    out.put("i", 0)
    out.extend(b"\0" * (1844 - len(out)))
    out.put("h", 0)  # no filters
    for name in names:
        out.text(name, 32)
    for number, name in enumerate(names):
        trigger, kind = name[0] in "US", {"U": 11, "S": 17, "B": 0, "M": 5}[name[0]]
        gain = 1.0 if trigger else -GAIN
        out.put("hhi4d2hi", kind, 0, 0, gain, 1.0 if trigger else -1.0, 1.0, 0.0, 0 if trigger else 2, 0, 0)
        for _frame in range(2):
            for coil in range(8):
                turn = 2.4 * number
                place = np.array([10 * np.cos(turn), 10 * np.sin(turn), 2.0 + 5 * coil]) * (coil < 2) * (not trigger)
                normal = np.array([0.0, 0.0, 1.0 - 2 * coil]) * (coil < 2) * (not trigger)
                out.put("3dd3ddhihd", *place, 0.0, *normal, 0.0, 0, 0, 0, 0.0)
    sensors = [n for n in names if n.startswith("M")]
    out.put("h", len(sensors))  # first-order compensation by the reference sensor, not applied
    for name in sensors:
        out.text(name, 32)
        out.put("iih", 0x47314252, 0, 1)
        out.text("BG1-1706", 31 * 50)
        out.put("50d", 0.01, *[0.0] * 49)
    return bytes(out)


def _coils():
    places = {"nasion": (10.0, 0.0, 0.0), "left ear": (0.0, 7.0, 0.0), "right ear": (0.0, -7.0, 0.0)}
    lines = []
    for kind in ("standard", "measured"):
        for frame in ("dewar", "head"):
            if kind == "standard" and frame == "head":
                continue
            for name, place in places.items():
                shift = -25.0 if frame == "dewar" else 0.0
                lines.append(f"{kind} {name} coil position relative to {frame} (cm):")
                lines += [
                    f"\t{axis} = {v}" for axis, v in zip("xyz", (place[0], place[1], place[2] + shift), strict=True)
                ]
    return "\n".join(lines) + "\n"
