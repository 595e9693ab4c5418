"""Neuroscan ``.cnt`` files: whether samples and events are there as the header says.

The header says how many samples there are and at which byte the list of events begins behind them; how wide a sample
is follows from both. Written from the description of the header that MNE goes by (paulbourke.net/dataformats/eeg).
"""

from __future__ import annotations

import math
import re
import shutil
import struct
from functools import partial
from pathlib import Path

import numpy as np

from workbench.core.errors import InputError
from workbench.data.header_text import whole_number
from workbench.recording.data import copies
from workbench.recording.data.extent import ADVICE, Checked

_HEAD, _CHANNEL = 900, 75
_LARGEST = 2_000_000_000  # bytes; of longer files the place of the events is no number any more
_EVENTS = {1: 8, 2: 19, 3: 19}  # bytes of an event of each type
_DATE = re.compile(rb"(\d{1,2})/(\d{1,2})/\d")
_BLOCKED_AT, _LATER = 894, "Save it as FIF with MNE, which can be told: mne.io.read_raw_cnt({!r}, data_format='int16')"


def is_cnt(path: Path) -> bool:
    """Whether it is a file of Neuroscan; ANT Neuro's have the same suffix."""
    return path.is_file() and _first(path, 12).startswith(b"Version 3")


def check(path: Path) -> Checked:
    """Compare the numbers of the header with each other and with the size of the file.

    Raises
    ------
    InputError
        A number cannot be, or samples or events are missing.
    """
    size, head = path.stat().st_size, _first(path, _HEAD)
    if not head.startswith(b"Version 3") or len(head) < _HEAD:
        raise InputError(f"{path}: {len(head)} bytes of a Neuroscan header, expected {_HEAD}. {ADVICE}")
    if size >= _LARGEST:
        raise InputError(
            f"{path}: {size} bytes; beyond 2 GB its header does not say how wide a sample is."
            f" {_LATER.format(path.name)}."
        )
    (channels,) = struct.unpack_from("<H", head, 370)
    (rate,) = struct.unpack_from("<H", head, 376)
    (samples,) = struct.unpack_from("<i", head, 864)
    (events,) = struct.unpack_from("<i", head, 886)
    (blocked,) = struct.unpack_from("<i", head, _BLOCKED_AT)
    whole_number(path, "the number of channels", str(channels), 1, (size - _HEAD) // _CHANNEL)
    whole_number(path, "the sampling rate", str(rate), 1, 65535)
    start = _HEAD + _CHANNEL * channels
    if not start <= events <= size - 9:
        raise InputError(
            f"{path}: cut off: its samples lie between byte {start} and its list of events at byte {events}, the file"
            f" has {size}. {ADVICE}"
        )
    width, rest = divmod(events - start, max(1, samples) * channels)
    if samples < 1 or rest or width not in (2, 4):
        raise InputError(
            f"{path}: its header promises {samples} samples of {channels} channels, {events - start} bytes lie before"
            f" its list of events: no 2 or 4 bytes each. {ADVICE} {_LATER.format(path.name)}, if you know how wide they"
            " are."
        )
    if blocked > 1 and (blocked % width or samples % (blocked // width)):
        raise InputError(
            f"{path}: samples in blocks of {blocked} bytes a channel, into which its {samples} samples of {width} bytes"
            f" cannot be cut. {ADVICE}"
        )
    _check_channels(path, channels)
    frame = channels * width
    notes = _date(head) + _check_events(path, events, size, start / (frame * rate))
    block = blocked // width
    if block < 2:
        return Checked(notes)
    held = copies.kept(path, "unblocked", partial(_unblocked, path, start, events, (channels, block, width)))
    return Checked(notes, copy=held.value, held=held)


def _unblocked(path: Path, start: int, stop: int, layout: tuple[int, int, int], folder: Path) -> Path:
    """A copy with sample after sample: of samples in blocks, MNE reads pieces that end within one behind their end."""
    channels, block, width = layout
    copy, size = folder / path.name, channels * block * width
    with path.open("rb") as whole, copy.open("wb") as out:
        first = bytearray(whole.read(start))
        first[_BLOCKED_AT : _BLOCKED_AT + 4] = bytes(4)
        out.write(first)
        for _ in range((stop - start) // size):
            one = np.frombuffer(whole.read(size), f"<i{width}").reshape(channels, block)
            out.write(np.ascontiguousarray(one.T).tobytes())
        shutil.copyfileobj(whole, out)
    return copy


def _first(path: Path, size: int) -> bytes:
    with path.open("rb") as f:
        return f.read(size)


def _check_channels(path: Path, channels: int) -> None:
    """Refuse factors that make numbers of a channel nothing, or infinite."""
    content = _first(path, _HEAD + _CHANNEL * channels)[_HEAD:]
    for number in range(channels):
        (sensitivity,) = struct.unpack_from("<f", content, _CHANNEL * number + 59)
        (calibration,) = struct.unpack_from("<f", content, _CHANNEL * number + 71)
        factor = sensitivity * calibration
        if not math.isfinite(factor) or factor == 0:
            raise InputError(
                f"{path}: channel {number + 1} has the sensitivity {sensitivity:g} and the calibration {calibration:g},"
                f" expected numbers that are not 0. {ADVICE}"
            )


def _check_events(path: Path, at: int, size: int, header: float) -> tuple[str, ...]:
    """Whether the list of events is whole; `header` is the time that the header would take, were it samples [s]."""
    with path.open("rb") as f:
        f.seek(at)
        kind, length, _ = struct.unpack("<Bii", f.read(9))
    whole_number(path, "the type of its list of events", str(kind), 1, 3)
    whole_number(path, "the length of its list of events", str(length), 0, 2**31 - 1)
    if at + 9 + length > size or length % _EVENTS[kind]:
        raise InputError(
            f"{path}: cut off: its list of events takes {length} bytes of {_EVENTS[kind]} each at byte {at + 9}, the"
            f" file has {size}. {ADVICE}"
        )
    if kind < 3 or not length:
        return ()
    # They count samples from the first one, by its description; MNE, as EEGLAB, takes the header off once more.
    return (f"events of type 3: their times are those that MNE gives, which may be {header:.3g} s too early",)


def _date(head: bytes) -> tuple[str, ...]:
    found = _DATE.match(head, 225)
    if found is None or found[1] == found[2] or max(int(found[1]), int(found[2])) > 12:
        return ()
    text = head[225:235].split(b"\0")[0].decode("ascii", "replace")
    return (f"its date {text} was read as month/day/year",)
