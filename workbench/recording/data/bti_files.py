"""The files of a BTi folder: whether the samples are there, and whether ``config`` and ``hs_file`` can be.

The header of the samples lies at the end of their file, so that one which is cut off cannot be read at all.
"""

from __future__ import annotations

import itertools
import math
import struct
from pathlib import Path

from workbench.core.errors import InputError
from workbench.data.companion import require_regular
from workbench.data.header_text import whole_number
from workbench.recording.data.extent import ADVICE, Checked, compare

_BYTES = {1: 2, 2: 4, 3: 4, 4: 8}
_EPOCH, _CHANNEL, _EVENT, _PROCESS, _STEP = 56, 104, 66, 356, 28
_FILTERS, _BANDS = "b_filt_hp,b_filt_lp,b_filt_notch", "b_filt_b_pass,b_filt_b_reject"
_MASK = 2**31 - 1
_LONGEST_CONFIG = 64 << 20


def check(samples: Path) -> Checked:
    """Compare the numbers of the header with the file of the samples, and look at the files beside it.

    Raises
    ------
    InputError
        A number cannot be, or samples are missing or too many.
    """
    folder = samples.parent
    for file in (samples, folder / "config", folder / "hs_file"):
        require_regular(file)
    _check_config(folder / "config")
    _check_head(folder / "hs_file")
    size = samples.stat().st_size
    with samples.open("rb") as f:
        if size < 16:
            raise InputError(f"{samples}: cut off: {size} bytes. {ADVICE}")
        f.seek(size - 8)
        (start,) = struct.unpack(">Q", f.read(8))
        if (size - (start & _MASK)) <= _MASK:  # as MNE corrects it
            start &= _MASK
        start += -start % 8
        if start > size - 8 or size - start > _LONGEST_CONFIG:
            raise InputError(f"{samples}: cut off: its header should begin at byte {start} of {size}. {ADVICE}")
        f.seek(start)
        head = f.read(size - 8 - start)
    try:
        counted, width, breaks = _numbers(samples, head)
    except struct.error as error:
        raise InputError(f"{samples}: cut off: its header ends after {len(head)} bytes. {ADVICE}") from error
    found, rest = divmod(start, width)
    if 0 <= start - counted * width < 8:
        said = f"{len(breaks) + 1} epochs, by its header: what lies between them is not joined"
        others = tuple(f for f in (folder / "config", folder / "hs_file") if f.is_file())
        # The header begins at the next multiple of 8 bytes.
        return Checked((said,) if breaks else (), breaks=breaks, files=others)
    left = f"{rest} of the {width} bytes of another" if rest else ""
    return Checked(compare(samples, counted, found, left, allowed=None))


def _numbers(path: Path, head: bytes) -> tuple[int, int, tuple[int, ...]]:
    """Samples of all epochs, bytes of one sample of all channels, and the samples at which later epochs begin."""
    sort, _, epochs = struct.unpack_from(">hhi", head, 8)
    (events,) = struct.unpack_from(">i", head, 20)
    (period,) = struct.unpack_from(">f", head, 28)
    processes, channels = struct.unpack_from(">ih", head, 48)
    (classes,) = struct.unpack_from(">i", head, 60)
    if sort not in _BYTES or not (math.isfinite(period) and period > 0):
        raise InputError(f"{path}: samples of type {sort} every {period:g} s, expected 1 to 4 and a time. {ADVICE}")
    room = len(head)
    for what, count, bytes_each in (("epochs", epochs, _EPOCH), ("channels", channels, _CHANNEL),
                                    ("events", events, _EVENT), ("processes", processes, _PROCESS),
                                    ("classes of events", classes, 50)):  # fmt: skip
        whole_number(path, f"the number of {what}", str(count), int(what in ("epochs", "channels")), room // bytes_each)
    counts = [struct.unpack_from(">i", head, 96 + _EPOCH * n)[0] for n in range(epochs)]
    for count in counts:
        whole_number(path, "the number of samples", str(count), 0, _MASK)
    at = 96 + _EPOCH * epochs + _CHANNEL * channels
    for _ in range(events):
        at += _EVENT + -(at + _EVENT) % 8
    for _ in range(processes):
        (steps,) = struct.unpack_from(">i", head, at + 320)
        whole_number(path, "the number of steps of a process", str(steps), 0, room // _STEP)
        at += _PROCESS + -(at + _PROCESS) % 8
        for _ in range(steps):
            at += _step(path, head, at)
            at += -at % 8
    return sum(counts), channels * _BYTES[sort], tuple(itertools.accumulate(counts))[:-1]


def _step(path: Path, head: bytes, at: int) -> int:
    """Bytes of one step of a process."""
    kind = struct.unpack_from(">20s", head, at + 4)[0].split(b"\0")[0].decode("latin-1")
    if kind == "BTi_defaults":
        return _STEP + 56
    if kind in _FILTERS:  # a part of the text, as MNE asks
        return _STEP + 36
    if kind in _BANDS:
        return _STEP + 8
    (more,) = struct.unpack_from(">i", head, at + _STEP)
    return _STEP + 36 + whole_number(path, "the size of a step of a process", str(more), 0, len(head))


def _check_config(path: Path) -> None:
    """Whether the blocks of a configuration fit the file, and their tables the blocks."""
    size = path.stat().st_size
    if size > _LONGEST_CONFIG:
        raise InputError(f"{path}: {size} bytes, a configuration of at most {_LONGEST_CONFIG} was expected. {ADVICE}")
    content = path.read_bytes()
    try:
        (channels,) = struct.unpack_from(">h", content, 58)
        sensors, blocks = struct.unpack_from(">hh", content, 68)
        whole_number(path, "the number of channels", str(channels), 1, size // 100)
        at = 112 + 128 * whole_number(path, "the number of sensors", str(sensors), 0, size // 128)
        for _ in range(whole_number(path, "the number of blocks", str(blocks), 0, size // 100)):
            kind, _, _, _, room = struct.unpack_from(">20si32sII", content, at + 4)
            at += 100 + -(at + 100) % 8
            if at + room > size:
                raise InputError(
                    f"{path}: cut off: a block needs bytes up to {at + room}, the file has {size}. {ADVICE}"
                )
            _check_table(path, kind.split(b"\0")[0], content, at, room)
            at += room + -(at + room) % 8
    except struct.error as error:
        raise InputError(f"{path}: cut off: its blocks need more than its {size} bytes. {ADVICE}") from error


def _check_table(path: Path, kind: bytes, content: bytes, at: int, room: int) -> None:
    """Whether the rows and columns of a table fit its block: a reader makes room for them."""
    if kind in (b"B_E_table_used", b"B_E_TABLE"):
        rows, columns = (struct.unpack_from(">i", content, at + place)[0] for place in (8, 28))
        others = 0
    elif kind == b"B_weights_used" or kind[:4] == b"BWT_":
        version, _, rows = struct.unpack_from(">iII", content, at)
        columns, others = struct.unpack_from(">II", content, at + 124) if version == 2 else (0, 0)
    else:
        return
    fits = min(rows, columns) >= 0 and max(rows, columns, others, 2 * rows * columns, 2 * rows * others) <= room
    if not fits:
        name = kind.decode("latin-1")
        raise InputError(f"{path}: the table {name!r} has {rows} x {columns} values in {room} bytes. {ADVICE}")


def _check_head(path: Path) -> None:
    """Whether the points of a head shape fit its file."""
    if not path.is_file():
        return
    size = path.stat().st_size
    with path.open("rb") as f:
        f.seek(12)
        count = int.from_bytes(f.read(4), "big", signed=True)
    most = max(size - 16 - 120, 0) // 24
    whole_number(path, "the number of points", str(count), 0, most)
