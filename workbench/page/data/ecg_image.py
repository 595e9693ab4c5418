"""What all readers of electrocardiograms share: volts to millivolts, names of leads, and the image they make."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, visible
from workbench.core.types import Image, time_base
from workbench.page.leads import is_modified, signal_name, standard_name

MOST_LEADS = 256
"""Signals of one file."""
LOWEST_RATE, HIGHEST_RATE = 20.0, 100_000.0
"""Samples per second [Hz] that an electrocardiogram can have."""
LARGEST = 256 << 20
"""Bytes of a file that is parsed at once."""

_VOLTS = {
    "V": 1e3, "VOLT": 1e3, "VOLTS": 1e3,
    "MV": 1.0, "MILLIVOLT": 1.0, "MILLIVOLTS": 1.0,
    "UV": 1e-3, "MICROVOLT": 1e-3, "MICROVOLTS": 1e-3,
    "NV": 1e-6, "NANOVOLT": 1e-6, "NANOVOLTS": 1e-6,
}  # fmt: skip


def millivolts_of(unit: str) -> float | None:
    """What one of that unit is in millivolts: ``"uV"`` is 0.001; ``None`` for what is no voltage.

    Both signs for micro are known. A capital M is read as milli: nobody measures a heart in megavolts.
    """
    text = unit.strip(" \t\r\n\0[]()").replace("\u00b5", "u").replace("\u03bc", "u").upper()
    return _VOLTS.get(text)


def lead_names(labels: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Standard names for what a file calls its signals, each only once, and notes on what that needed.

    A label that is no lead stays as it is; one without a name is called by its number.
    """
    names: list[str] = []
    notes: list[str] = []
    strange: list[str] = []
    modified: list[str] = []
    labels = [label[:100] for label in labels]
    limb = {standard_name(label) for label in labels if not is_modified(label)}
    for number, label in enumerate(labels, 1):
        text = visible(" ".join(label.replace("\0", " ").split()))[:60]
        name = signal_name(label)
        if is_modified(label):
            # Beside the limb lead itself it is another signal.
            name = text if name in limb else name
            modified.append(text if name == text else f"{text} (read as {name})")
        if name is None:
            name = text or f"signal {number}"
            strange.append(name)
        if name in names:
            copy = 2
            while f"{name} ({copy})" in names:
                copy += 1
            notes.append(f"two signals are called {name}: the later one is named '{name} ({copy})'")
            name = f"{name} ({copy})"
        names.append(name)
    if modified:
        notes.append(
            f"modified limb leads, with electrodes on the trunk: {listed(modified)}; heights and axes may differ from "
            "those of limb leads"
        )
    if strange:
        notes.append(f"{len(strange)} signal(s) are no lead known here and keep their names: {listed(strange)}")
    return tuple(names), tuple(notes)


def listed(names: Iterable[str], most: int = 6) -> str:
    """Names in one line, the rest counted."""
    all_names = list(names)
    more = f" and {len(all_names) - most} more" if len(all_names) > most else ""
    return ", ".join(all_names[:most]) + more


_OF_PEOPLE = re.compile(
    r"\b(confirmed|unconfirmed|reviewed|signed|interpreted|over-?read|ordered|referred|edited|electronically|requested"
    r"|dr|md|physician|doctor|operator|technician|name|patient|born|birth|validato|confermato|befundet|arzt)\b",
    re.IGNORECASE,
)


def statements_of(lines: Iterable[str]) -> list[str]:
    """What a device says of an electrocardiogram, a line each, without the lines that may name a person.

    Devices write "Confirmed by ..." among their diagnoses.
    """
    clean = [visible(" ".join(line.replace("\0", " ").split()))[:200] for line in lines]
    return [line for line in dict.fromkeys(clean) if line and not _OF_PEOPLE.search(line)][:40]


def require_rate(path: Path, rate: float, what: str = "the sampling rate") -> float:
    """A sampling rate [Hz] that can be, or what is wrong with it."""
    if not (math.isfinite(rate) and LOWEST_RATE <= rate <= HIGHEST_RATE):
        raise InputError(
            f"{path}: {what} is {rate:g} Hz, expected {LOWEST_RATE:g} to {HIGHEST_RATE:g} Hz of an electrocardiogram."
            " Export or copy the file again."
        )
    return float(rate)


def require_size(path: Path, largest: int = LARGEST) -> int:
    """Bytes of a file that is parsed whole; refused where it is none or too large."""
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path}: is empty, expected an electrocardiogram. Copy or export it again.")
    if size > largest:
        raise InputError(
            f"{path}: has {size >> 20} MiB, files of this format are read up to {largest >> 20} MiB. Export"
            f" it in parts."
        )
    return size


def ecg_image(
    path: Path,
    leads: Sequence[str],
    samples: int,
    rate: float,
    loader: Callable[[], npt.NDArray[np.float32]],
    *,
    format: str,
    header: Mapping[str, Any],
    notes: Iterable[str] = (),
    files: Iterable[Path] = (),
) -> Image:
    """An `Image` of kind ``page`` that holds signals: ``(leads, samples)`` float32 [mV], NaN where there is none.

    Parameters
    ----------
    leads
        One name for each row, each only once.
    rate
        Samples per second [Hz].
    loader
        Returns the samples.
    header
        What the file says besides, as plain values; empty ones are left out.

    Raises
    ------
    InputError
        No lead, too many leads, no sample, or a sampling rate that cannot be.
    """
    if not leads or len(leads) > MOST_LEADS:
        raise InputError(f"{path}: holds {len(leads)} leads, expected 1 to {MOST_LEADS}. Export or copy it again.")
    if samples < 1:
        raise InputError(f"{path}: holds no sample of its {len(leads)} leads. Export or copy it again.")
    rate = require_rate(path, rate)
    about = {"sampling_rate": rate, "duration": samples / rate} | {
        k: v for k, v in header.items() if v is not None and v != "" and v != [] and v != {}
    }
    return Image(
        geometry=time_base(samples, rate),
        dtype=np.dtype(np.float32),
        channels=tuple(leads),
        loader=loader,
        kind="page",
        source=path,
        value_unit="mV",
        modality="ECG",
        format=format,
        header=about,
        files=tuple(files) or (path,),
        notes=tuple(dict.fromkeys(notes)),
    )
