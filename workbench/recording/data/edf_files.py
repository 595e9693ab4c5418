"""Headers of EDF, BDF and GDF files, and whether the records that they count are there."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path

from workbench.core.errors import InputError
from workbench.data.header_text import shortened, whole_number
from workbench.recording.data import units
from workbench.recording.data.edf_times import Layout
from workbench.recording.data.extent import ADVICE, Checked, compare, incomplete

_BYTES = {"edf": 2, "bdf": 3}
_GDF_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 8, 8: 8, 16: 4, 17: 8}
_CHANNELS = 9999  # four digits
_ANNOTATIONS = re.compile(rb"[EB]DF Annotations")
_PLUS = re.compile(rb"[EB]DF\+[CD]")


def check(path: Path, allow_truncated: bool) -> Checked:
    """Compare the number of records of an EDF or BDF header with the size of the file.

    A file whose recording was never closed has -1 records, or fewer than it holds.

    Raises
    ------
    InputError
        A number cannot be, or the records are not those that are there.
    """
    size = path.stat().st_size
    with path.open("rb") as f:
        head = f.read(256)
        channels = _field(path, "the number of channels", head[252:256], 1, _CHANNELS)
        about = f.read(256 * channels)
    start = _field(path, "the size of the header", head[184:192], 0, 10**8)
    if start != 256 * (channels + 1) or len(head) + len(about) < start:
        raise InputError(
            f"{path}: a header of {start} bytes for {channels} channels in a file of {size} bytes, expected"
            f" {256 * (channels + 1)} bytes. {ADVICE}"
        )
    length = _number(path, "the duration of a record", head[244:252])
    if length < 0:
        raise InputError(f"{path}: a record lasts {length:g} s, expected 0 or more. {ADVICE}")
    for at, what in ((104, "physical minimum"), (112, "physical maximum"), (120, "digital minimum"),
                     (128, "digital maximum")):  # fmt: skip
        for number in range(channels):
            _number(path, f"the {what} of channel {number + 1}", _column(about, channels, at, number))
    counts = [
        _field(path, f"samples per record of channel {n + 1}", _column(about, channels, 216, n), 1, 10**8)
        for n in range(channels)
    ]
    records = _field(path, "the number of records", head[236:244], -1, 10**8)
    width = sum(counts) * _BYTES["bdf" if path.name.lower().endswith(".bdf") else "edf"]
    found, rest = divmod(size - start, width)
    signals = [c for n, c in enumerate(counts) if not _ANNOTATIONS.match(about, 16 * n)]
    samples = max(signals, default=max(counts))
    # Such a file has one by the standard; under another name its bytes are read as samples.
    lost = len(signals) == channels and _PLUS.match(head, 192)
    said = ("says that it holds annotations, and no channel is called so: there is one channel too many, or none",)
    odd = (said if lost else ()) + units.unknown(
        (_text(about[16 * n : 16 * n + 16]), _text(_column(about, channels, 96, n)))
        for n in range(channels)
        if not _ANNOTATIONS.match(about, 16 * n)
    )
    if records == found:
        left = f"{rest} bytes behind the last record were left out"
        return Checked(((left,) if rest else ()) + odd)
    if records < 0:
        found_in = f"its header counts no records, its file holds {found} of {samples} samples"
        return Checked(incomplete(path, found_in, found * samples, allowed=allow_truncated) + odd)
    left = f"{rest} of the {width} bytes of another record" if rest else ""
    # More records than the header counts are those of a recording that was never closed either.
    notes = compare(path, records * samples, found * samples, left, read=found * samples, allowed=allow_truncated)
    return Checked(notes + odd)


def layout(path: Path) -> Layout:
    """Where the records and their annotations lie in an EDF or BDF file that was checked."""
    with path.open("rb") as f:
        head = f.read(256)
        channels = int(_text(head[252:256]))
        about = f.read(256 * channels)
    counts = [int(_text(_column(about, channels, 216, n))) for n in range(channels)]
    size = _BYTES["bdf" if path.name.lower().endswith(".bdf") else "edf"]
    start, width = 256 * (channels + 1), sum(counts) * size
    notes = [bool(_ANNOTATIONS.match(about, 16 * n)) for n in range(channels)]
    return Layout(
        start=start,
        width=width,
        records=(path.stat().st_size - start) // width,
        seconds=_number(path, "the duration of a record", head[244:252]),
        samples=max((c for c, is_text in zip(counts, notes, strict=True) if not is_text), default=max(counts)),
        annotations=tuple((sum(counts[:n]) * size, counts[n] * size) for n, is_text in enumerate(notes) if is_text),
        discontinuous=_text(head[192:236]).upper().startswith(("EDF+D", "BDF+D")),
    )


def _column(about: bytes, channels: int, at: int, number: int) -> bytes:
    """Eight characters of one channel: fields are stored one after the other, each for all channels."""
    place = channels * at + 8 * number
    return about[place : place + 8]


def _field(path: Path, what: str, raw: bytes, low: int, high: int) -> int:
    return whole_number(path, what, _text(raw), low, high)


def _number(path: Path, what: str, raw: bytes) -> float:
    text = _text(raw).replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{path}: {what} is {shortened(text)}, expected a number. {ADVICE}")
    return number


def _text(raw: bytes) -> str:
    return raw.decode("latin-1").split("\0")[0].strip()


def check_gdf(path: Path) -> Checked:
    """Compare the records and events that a GDF header counts with the size of the file.

    Raises
    ------
    InputError
        A number cannot be, or the file is longer or shorter.
    """
    size = path.stat().st_size
    with path.open("rb") as f:
        head = f.read(256)
        try:
            version = float(head[4:8].decode("ascii"))
            old = version < 1.9
            (start,) = struct.unpack_from("<q" if old else "<H", head, 184)
            (records,) = struct.unpack_from("<q", head, 236)
            (channels,) = struct.unpack_from("<I" if old else "<H", head, 252)
        except (ValueError, struct.error) as error:
            raise InputError(f"{path}: not a readable GDF header. {ADVICE}") from error
        start = start if old else 256 * start
        whole_number(path, "the number of channels", str(channels), 1, 65535)
        whole_number(path, "the number of records", str(records), 1, 10**12)
        about = f.read(256 * channels)
        if head[:3] != b"GDF" or start != 256 * (channels + 1) or 256 + len(about) < start:
            raise InputError(
                f"{path}: a header of {start} bytes for {channels} channels in a file of {size} bytes, expected"
                f" {256 * (channels + 1)} bytes. {ADVICE}"
            )
        counts = struct.unpack_from(f"<{channels}i", about, 216 * channels)
        types = struct.unpack_from(f"<{channels}i", about, 220 * channels)
        for count, kind in zip(counts, types, strict=True):
            whole_number(path, "samples per record of a channel", str(count), 1, 10**8)
            if kind not in _GDF_BYTES:
                raise InputError(f"{path}: samples of type {kind}, which holds no single numbers. {ADVICE}")
        width = sum(n * _GDF_BYTES[t] for n, t in zip(counts, types, strict=True))
        end = start + records * width
        f.seek(min(end, size))
        table = f.read(8)
    samples = max(counts)
    if end > size:
        compare(path, records * samples, (size - start) // width * samples, allowed=None)
    events = _events(table, version)
    if size - end not in (0, events):
        raise InputError(
            f"{path}: {size - end} bytes follow the {records} records that its header counts, expected none or a table"
            f" of events of {events} bytes. {ADVICE}"
        )
    return Checked()


def _events(table: bytes, version: float) -> int:
    """Bytes of the table of events that begins so."""
    if len(table) < 8:
        return len(table)
    count = int.from_bytes(table[4:8] if version < 1.94 else table[1:4], "little")
    return 8 + count * (12 if table[0] == 3 else 6)
