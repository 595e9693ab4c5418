"""Which channels of a recording are bad, where a person knows better than its file, and the table of BIDS that says so.

Bad channels that are given take the place of those of the file. From there on everything treats them alike: what is
computed with either is the same, bit for bit.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, UsageError
from workbench.core.types import Image
from workbench.data.companion import require_regular
from workbench.recording.data.channels import numbers_of
from workbench.recording.data.recording import Recording, RecordingNative, open_recording

NONE = "none"
"""Instead of names: no channel is bad."""

_COLUMNS = ("name", "type", "units", "status", "status_description")
_LONGEST = 64 << 20  # bytes
_TYPES = {"mag": "MEGMAG", "grad": "MEGGRADPLANAR", "ref_meg": "MEGREFMAG", "stim": "TRIG"}


def with_bads(recording: Recording, names: Sequence[str]) -> tuple[Recording, tuple[str, ...]]:
    """The recording with these channels as the bad ones, whatever its file says, and what there is to say of it.

    Parameters
    ----------
    names
        One by one or separated by commas, as `only_named` takes them; `NONE` alone: no channel is bad; no names: the
        recording as it is.

    Raises
    ------
    InputError
        A channel that is not there.
    """
    if not names:
        return recording, ()
    given = {recording.channels[n] for n in _numbers(recording, names)}
    bads = tuple(name for name in recording.channels if name in given)
    chosen = replace(
        recording,
        bads=bads,
        info=None if recording.info is None else _with_bads(recording.info.copy(), bads),
        # The events are those of the recording that was given: they are looked for once.
        events_reader=lambda: recording.events,
        event_notes=recording.event_notes,
        raw_opener=None if recording.raw_opener is None else lambda: _marked(recording.raw(), bads),
    )
    return chosen, (describe_bads(recording.bads, bads),)


def with_bad_channels(image: Image, names: Sequence[str]) -> Image:
    """The image of a recording whose bad channels are these, as if its file said so; a note of it tells which.

    Parameters
    ----------
    names
        As `with_bads` takes them.

    Raises
    ------
    InputError
        The image is no recording, or has no such channel.
    """
    if not names:
        return image
    recording, notes = with_bads(open_recording(image), names)
    header = {**image.header, "bads": list(recording.bads)}
    native = RecordingNative(lambda: recording, image.all_files)
    return replace(image, header=header, native=native, notes=(*image.notes, *notes))


def describe_bads(of_file: Sequence[str], bads: Sequence[str]) -> str:
    """Which channels are bad by whom, in a line: those that were given, and what the file says of them."""
    both, own = [n for n in bads if n in of_file], [n for n in bads if n not in of_file]
    other = [n for n in of_file if n not in bads]
    parts = [f"{', '.join(own)} (not by the file)"] * bool(own) + [f"{', '.join(both)} (as in the file)"] * bool(both)
    text = f"bad channels were given: {', '.join(parts) or NONE}"
    return text + (f"; {', '.join(other)}, bad in the file, counted as good" if other else "")


def write_channels(recording: Recording, bads: Iterable[str], path: Path) -> None:
    """Write the table of the channels of a recording: their types, units, and which of them are bad by whom.

    It is the ``channels.tsv`` of BIDS: put beside a recording with a BIDS name it says the same to any program.
    """
    from workbench.recording.data.read import UNITS

    wanted = set(bads)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(_COLUMNS)
        for name, kind in zip(recording.channels, recording.kinds, strict=True):
            status = "bad" if name in wanted else "good"
            said = {
                (True, True): "bad in the file",
                (True, False): "marked bad by hand",
                (False, True): "bad in the file, good by hand",
            }.get((name in wanted, name in recording.bads), "n/a")
            table.writerow((name, _TYPES.get(kind, kind.upper()), UNITS.get(kind, "n/a"), status, said))


def read_bads(path: str | Path) -> tuple[str, ...] | None:
    """The bad channels of a ``channels.tsv`` as BIDS has it; ``None`` if it says nothing of them.

    Raises
    ------
    InputError
        The file cannot be read as such a table.
    """
    path = Path(path).expanduser()
    require_regular(path)
    if path.stat().st_size > _LONGEST:
        raise InputError(f"{path}: {path.stat().st_size} bytes, a table of channels is smaller.")
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines(), delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not readable as a table ({error}).") from error
    if not rows or "name" not in rows[0]:
        raise InputError(f"{path}: holds no table of channels; a column 'name' was expected.")
    if "status" not in rows[0]:
        return None
    return tuple(row["name"] for row in rows if str(row.get("status") or "").strip().lower() == "bad")


def _numbers(recording: Recording, names: Sequence[str]) -> list[int]:
    if NONE in names and NONE not in recording.channels:
        if len(names) > 1:
            raise UsageError(f"bad channels '{', '.join(names)}': either '{NONE}' or names of channels.")
        return []
    return numbers_of(recording, names)


def _with_bads(info: Any, bads: Sequence[str]) -> Any:
    info["bads"] = list(bads)
    return info


def _marked(raw: Any, bads: Sequence[str]) -> Any:
    _with_bads(raw.info, bads)
    return raw
