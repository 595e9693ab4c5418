"""Parcel time courses in NumPy and MATLAB files: an array with two axes and a sampling rate.

The sampling rate comes from, in this order: the path (``file.npy:250Hz``, ``file.npz:key@250Hz``), the file itself (a
number named ``sampling_rate``, ``sfreq``, ``fs``...), or a JSON file of the same name beside it, which may also name
``channels``, ``kinds``, ``unit``, ``start``, ``bads``, ``annotations`` (``[onset, duration, label]``) and ``events``
(``[time, label]``). The longer axis is time, unless the
side file names as many channels as it has samples; the header says which. ``.npy`` files are mapped, not loaded.

An array without a sampling rate is taken for a recording only if it holds fractions and one axis is at least 200
samples and 8 times as long as the other: pictures are nearly never so narrow. Cubes and maps stay what they are.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, nearest
from workbench.core.types import Geometry, Image, Mark, Marks, time_base
from workbench.data.header_text import shortened
from workbench.recording.data import foreign, units
from workbench.recording.data.array_side import RATES, fields_of, loaded, side_file, side_rate, unit_of
from workbench.recording.data.recording import Event, Recording, RecordingNative, array_recording, summary

_CHANNELS = ("channels", "channel_names", "ch_names")
_NAMES = (*_CHANNELS, "names", "parcels", "labels")
_KINDS = """
bio chpi csd dbs dipole ecg ecog eeg emg eog exci eyegaze fnirs_cw_amplitude fnirs_fd_ac_amplitude fnirs_fd_phase
fnirs_od fnirs_td_gated_amplitude fnirs_td_moments_intensity fnirs_td_moments_mean fnirs_td_moments_variance gof grad
gsr hbo hbr ias mag misc pupil ref_meg resp seeg stim syst temperature
"""
KINDS = frozenset(_KINDS.split())
"""Types of channels, as MNE names them."""

ARRAY_VOLTS = ("V", "mV", "uV", "\u00b5V", "\u03bcV", "nV", "pV")
_KEY = re.compile(r"^(?P<key>[^@]*?)@?(?P<rate>\d+(?:\.\d+)?(?:e\d+)?)\s*hz$", re.IGNORECASE)
_NARROW, _SHORT = 8, 200
_LOWEST, _HIGHEST = 1e-3, 1e7  # [Hz] slower than any average, faster than any amplifier


@dataclass(frozen=True)
class Found:
    """One array that could be a recording, and what its file says about it."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rate: float | None
    load: Callable[[], npt.NDArray[Any]]


def split_key(key: str | None) -> tuple[str | None, float | None]:
    """``"x@250Hz"`` as (``"x"``, 250.0); ``"250Hz"`` as (``None``, 250.0); other keys with ``None``."""
    match = None if key is None else _KEY.match(key)
    if match is None:
        return key, None
    return match["key"] or None, float(match["rate"])


def is_recording(path: Path, key: str | None = None) -> bool:
    """Whether an array file is a recording and no cube or map; only headers are read."""
    name, rate = split_key(key)
    if rate is not None:
        return True
    if name in ("bands-first", "bands-last"):
        return False
    try:
        arrays = _arrays(path)
    except InputError:
        return False
    try:
        if isinstance(loaded(path), dict):  # a list that lies there by chance makes no recording of a map
            if side_rate(path) is not None:
                return True
            if fields_of(path).get("role") == "embeddings":
                return False
    except InputError:  # what it says is lost: reading says so, and no map is made of time courses
        return any(_could_be(a) for a in arrays)
    fitting = [a for a in arrays if len(a.shape) == 2 and min(a.shape) >= 1 and (name is None or a.name == name)]
    if name is None and any(len(a.shape) == 3 for a in arrays):
        return False
    if any(a.rate is not None for a in fitting) and any(_could_be(a) for a in fitting):
        return True
    fractions = [a for a in fitting if a.dtype.kind == "f" and _is_narrow(a.shape)]
    if len(fractions) == 1 and not _is_scene(path):
        return True
    return not _with_axes(arrays) and path.suffix.lower() == ".mat" and foreign.fieldtrip(path) is not None


def read(path: Path, key: str | None = None) -> Image:
    """Open an array of time courses.

    Parameters
    ----------
    key
        Name of the array in a ``.npz`` or ``.mat`` file and/or the sampling rate, e.g. ``"data@250Hz"``.

    Raises
    ------
    InputError
        If no array has two axes, several do, or the side file does not fit.
    """
    name, rate = split_key(key)
    arrays = _arrays(path)
    if path.suffix.lower() == ".mat" and not _with_axes(arrays) and (structure := foreign.fieldtrip(path)):
        foreign.refuse_fieldtrip(path, structure)
    found = _choose(path, arrays, name)
    beside = fields_of(path)
    turned, why = _is_turned(found.shape, beside)
    channels, samples = (found.shape[1], found.shape[0]) if turned else found.shape
    rate = rate if rate is not None else found.rate if found.rate is not None else side_rate(path)
    if rate is not None and not _LOWEST <= rate <= _HIGHEST:
        raise InputError(
            f"{path}: a sampling rate of {rate} Hz, a positive number from {_LOWEST:g} to {_HIGHEST:g} was expected."
        )
    names = _names(path, beside, channels)
    start = _start(path, beside)
    kinds = _texts(path, beside, "kinds") or ["misc"] * channels
    if len(kinds) != channels:
        raise InputError(f"{side_file(path)}: 'kinds' lists {len(kinds)} types, {path.name} has {channels} channels.")
    unknown = sorted(set(kinds) - KINDS)
    if unknown:
        raise InputError(f"{side_file(path)}: 'kinds' names {unknown[0]!r}.{nearest(unknown[0], KINDS)}")
    marks, events = _marks(path, beside), _events(path, beside)
    bads = tuple(_texts(path, beside, "bads"))
    strange = [b for b in bads if b not in names]
    if strange:
        raise InputError(f"{side_file(path)}: 'bads' names {strange[0]!r}, no channel.{nearest(strange[0], names)}")
    unit = unit_of(path, beside)
    endless = [m for m in marks if not (math.isfinite(m.duration) and m.duration >= 0)]
    if endless:
        raise InputError(
            f"{side_file(path)}: annotation '{endless[0].label}' lasts {endless[0].duration:g} s,"
            " 0 or more was expected."
        )
    for what, times in (("annotation", [m.onset for m in marks]), ("event", [t for t, _ in events])):
        end = math.inf if rate is None else start + samples / rate
        outside = [t for t in times if not start <= t <= end]
        if outside:
            raise InputError(
                f"{side_file(path)}: {len(outside)} {what}(s) lie outside the data, first at {outside[0]:g} s; the"
                f" recording runs from {start:g} to {end:g} s."
            )
    axes = f"{samples} samples x {channels} channels" if turned else f"{channels} channels x {samples} samples"

    def opened() -> Recording:
        data = found.load()
        return array_recording(
            data.T if turned else data, names, rate, start=start, kinds=kinds, marks=marks, events=events, bads=bads,
            source=path,
        )  # fmt: skip

    opener = _once(opened)
    shown = array_recording(
        np.empty((channels, 0)), names, rate, start=start, kinds=kinds, marks=marks, bads=bads, source=path
    )
    header = summary(shown) | {
        "duration_s": None if rate is None else round(samples / rate, 6),
        "key": found.name or None,
        "stored_shape": list(found.shape),
        "taken_as": f"{axes}: {why}",
        "role": str(beside.get("role", "signal")),
        "n_events": len(events),
    }
    return Image(
        geometry=Geometry((samples,), None, ("time",), None) if rate is None else time_base(samples, rate, start),
        dtype=np.dtype(np.float32),
        channels=tuple(names),
        loader=lambda: opener().read(),
        kind="recording",
        source=path,
        value_unit=unit,
        format="parcels",
        header=header,
        native=RecordingNative(opener, tuple(p for p in (path, side_file(path)) if p.is_file())),
        notes=_notes(path, key, found, names, unit),
    )


def _with_axes(arrays: list[Found]) -> list[Found]:
    """The arrays that are more than single numbers and lists."""
    return [a for a in arrays if sum(n > 1 for n in a.shape) > 1]


def _is_turned(shape: tuple[int, ...], beside: dict[str, Any]) -> tuple[bool, str]:
    """Whether an array is samples x channels, and why."""
    named = {len(beside[k]) for k in (*_NAMES, "kinds") if isinstance(beside.get(k), list)}
    if len(named) == 1 and shape[0] != shape[1]:
        fitting = [axis for axis in (0, 1) if shape[axis] in named]
        if len(fitting) == 1:
            return fitting[0] == 1, "the side file names as many channels"
    return shape[0] > shape[1], "the longer axis is time"


def _once(opener: Callable[[], Recording]) -> Callable[[], Recording]:
    kept: list[Recording] = []

    def opened() -> Recording:
        if not kept:
            kept.append(opener())
        return kept[0]

    return opened


def _arrays(path: Path) -> list[Found]:
    """All numeric arrays of a file; only headers are read."""
    suffix = path.suffix.lower()
    if suffix == ".mat":
        from workbench.data import mat_files

        store = mat_files.open_store(path)
        scalars = {v.name.lower(): v.name for v in store.variables if math.prod(v.shape) == 1}
        key = next((scalars[r] for r in RATES if r in scalars), None)
        rate = None if key is None else store.scalar(key)
        return [Found(v.name, v.shape, v.dtype, rate, partial(store.array, v.name)) for v in store.variables]
    from workbench.data import npy_files

    if suffix == ".npy":
        shape, _, dtype = npy_files.header_of(path)
        return [Found("", shape, dtype, None, partial(np.load, path, mmap_mode="r", allow_pickle=False))]
    members = npy_files.members_of(path)
    scalars = {n.lower(): n for n, (shape, _, _) in members.items() if math.prod(shape) == 1}
    key = next((scalars[r] for r in RATES if r in scalars), None)
    rate = None if key is None else float(npy_files.load_member(path, key).ravel()[0])
    return [Found(n, h[0], h[2], rate, partial(npy_files.load_member, path, n)) for n, h in members.items()]


def _choose(path: Path, arrays: list[Found], name: str | None) -> Found:
    fitting = [a for a in arrays if _could_be(a)]
    listing = ", ".join(
        f"{a.name or path.name} ({' x '.join(map(str, a.shape)) or 'number'} {a.dtype})" for a in arrays
    )
    if name is not None:
        named = [a for a in arrays if a.name == name]
        if not named:
            raise InputError(f"{path}: no array '{name}' in it.{nearest(name, [a.name for a in arrays])}")
        fitting = [a for a in named if _could_be(a)]
    if not fitting:
        raise InputError(
            f"{path}: no time courses in it: an array of real numbers with two axes (channels x samples) was expected,"
            f" found {listing or 'nothing'}."
        )
    if len(fitting) > 1:
        narrow = [a for a in fitting if a.dtype.kind == "f" and _is_narrow(a.shape)]
        if len(narrow) == 1:
            return narrow[0]
        raise InputError(f"{path}: holds several arrays: {listing}. Name one: {path.name}:{fitting[0].name}")
    return fitting[0]


def _could_be(array: Found) -> bool:
    return len(array.shape) == 2 and array.dtype.kind in "fiu" and max(array.shape) > 1 and min(array.shape) >= 1


def _is_narrow(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and min(shape) >= 1 and max(shape) >= max(_NARROW * min(shape), _SHORT)


def _is_scene(path: Path) -> bool:
    """Whether the rules for scenes take an array without a sampling rate: it names rows, or wavelengths."""
    if path.suffix.lower() != ".mat":
        return False
    from workbench.data.mat_lists import looks_like_list

    return looks_like_list(path)


def _start(path: Path, beside: dict[str, Any]) -> float:
    start = beside.get("start")
    if start is None:
        return 0.0
    if isinstance(start, bool) or not isinstance(start, int | float) or not math.isfinite(start):
        raise InputError(f"{side_file(path)}: 'start' is {start!r}, a number of seconds was expected.")
    return float(start)


def _texts(path: Path, beside: dict[str, Any], key: str) -> list[str]:
    values = beside.get(key)
    if values is None:
        return []
    if not isinstance(values, list):
        raise InputError(f"{side_file(path)}: '{key}' is {values!r}, a list was expected.")
    return [str(v) for v in values]


def _names(path: Path, beside: dict[str, Any], channels: int) -> list[str]:
    for key in _NAMES:
        if isinstance(beside.get(key), list):
            names = [str(n) for n in beside[key]]
            if len(names) != channels:
                raise InputError(
                    f"{side_file(path)}: '{key}' lists {len(names)} names, {path.name} has {channels} channels."
                )
            return names
        if key in _CHANNELS and beside.get(key) is not None:
            raise InputError(
                f"{side_file(path)}: '{key}' is {shortened(json.dumps(beside[key]))}, a list was expected."
            )
    return [f"parcel {i + 1:0{len(str(channels))}d}" for i in range(channels)]


def _marks(path: Path, beside: dict[str, Any]) -> Marks:
    try:
        marks = [Mark(float(m[0]), float(m[1]), str(m[2])) for m in beside.get("annotations") or ()]
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise InputError(f"{side_file(path)}: 'annotations' must be [onset s, duration s, label] each.") from error
    return Marks(tuple(sorted(marks, key=lambda m: m.onset)))


def _events(path: Path, beside: dict[str, Any]) -> list[Event]:
    try:
        return sorted((float(e[0]), str(e[1])) for e in beside.get("events") or ())
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise InputError(f"{side_file(path)}: 'events' must be [time s, label] each.") from error


def _notes(path: Path, key: str | None, found: Found, names: list[str], unit: str | None) -> tuple[str, ...]:
    """What of the array and its side file does not agree, and what was believed."""
    notes = []
    beside = side_rate(path)
    if beside is not None and found.rate is not None and split_key(key)[1] is None and beside != found.rate:
        notes.append(
            f"{side_file(path).name} says {beside:g} Hz, the file itself {found.rate:g} Hz, which was believed"
        )
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        notes.append(f"{len(twice)} name(s) of channels are given twice, first {shortened(twice[0])}")
    if unit is not None and not units.is_known(unit, ARRAY_VOLTS):
        notes.append(f"the unit {shortened(unit)} is not known here: values were taken as they are")
    return tuple(notes)
