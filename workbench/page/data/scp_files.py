"""SCP-ECG files (EN 1064, ISO 11073-91064), read with the optional package `ecgdatakit` (Apache-2.0).

What the file itself states of its leads, samples, rate and step is read here too and compared with what the package
gives; so are the checksums of the sections that hold the samples.
"""

from __future__ import annotations

import binascii
import math
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import InputError, MissingExtra, reading
from workbench.core.types import Image
from workbench.page.data import plausible
from workbench.page.data.dicom_ecg import LEAD_CODES
from workbench.page.data.ecg_image import (
    MOST_LEADS,
    ecg_image,
    lead_names,
    listed,
    require_rate,
    require_size,
    statements_of,
)
from workbench.page.data.measured import measured
from workbench.page.data.xml_tree import number_of

_LARGEST = 64 << 20
_MOST_SAMPLES = 5_000_000
_ADVICE = "Export or copy the file again."


@dataclass(frozen=True)
class _Stated:
    """What sections 3 and 6 say: codes and lengths of the leads, samples per second [Hz], one step [mV]."""

    codes: tuple[int, ...]
    lengths: tuple[int, ...]
    rate: float
    step: float
    notes: tuple[str, ...]


def is_ecg(path: Path) -> bool:
    """Whether a file begins as SCP-ECG does: a section 0 that says ``SCPECG``."""
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError:
        return False
    return len(head) >= 32 and head[16:22] == b"SCPECG" and head[8:10] == b"\0\0"


def read(path: Path) -> Image:
    """Open an SCP-ECG file; needs the extra ``ecg``.

    Returns
    -------
    workbench.core.types.Image
        Kind ``page``: ``(leads, samples)`` float32 [mV], leads in the order of the file. Median beats are left out,
        with a note.

    Raises
    ------
    MissingExtra
        `ecgdatakit` is not installed; the message holds the install command.
    InputError
        It is no such file, is damaged, or what was decoded is not what the file states.
    """
    stated = _stated(path)
    try:
        import ecgdatakit
        from ecgdatakit.exceptions import ECGDataKitError
    except ImportError as error:
        raise MissingExtra(f"{path}: reading SCP-ECG", "ecg") from error
    from workbench.core.errors import PARSING

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its checksums are compared above
        with reading(path, "no SCP-ECG file that can be decoded", _ADVICE, kinds=(*PARSING, ECGDataKitError)):
            record: Any = ecgdatakit.FileParser().parse(str(path))
    notes = list(stated.notes)
    leads = list(record.leads)
    if str(record.source_format) != "scp_ecg":
        raise InputError(f"{path}: was taken for {record.source_format}, expected SCP-ECG. {_ADVICE}")
    labels = [str(lead.label) for lead in leads]
    names, odd = lead_names(labels)
    expected = [LEAD_CODES.get(code) for code in stated.codes]
    wrong = [n for n, e in zip(names, expected, strict=False) if e is not None and e != n]
    if len(leads) != len(stated.codes) or wrong:
        raise InputError(f"{path}: states {len(stated.codes)} leads ({listed(str(e) for e in expected)}), decoded were"
                         f" {len(leads)} ({listed(names)}). {_ADVICE}")  # fmt: skip
    total = max(stated.lengths)
    data = np.full((len(leads), total), np.nan, np.float32)
    for n, lead in enumerate(leads):
        row = np.asarray(lead.samples, np.float64)
        if lead.units != "mV" or abs(float(lead.sampling_rate) - stated.rate) > 1e-3 * stated.rate:
            raise InputError(f"{path}: states {stated.rate:g} Hz, decoded was {lead.sampling_rate} Hz in {lead.units}.")
        if row.ndim != 1 or len(row) != stated.lengths[n] or not np.isfinite(row).all():
            raise InputError(
                f"{path}: states {stated.lengths[n]} samples of {names[n]}, decoded were {row.shape}. {_ADVICE}"
            )
        off = np.abs(row / stated.step - np.round(row / stated.step))
        if off.max(initial=0.0) > 0.01:
            raise InputError(
                f"{path}: samples of {names[n]} are no whole steps of {1000 * stated.step:g} uV. {_ADVICE}"
            )
        data[n, : len(row)] = row
    notes += plausible.odd(path, names, data)
    if min(stated.lengths) != total:
        notes.append(f"leads hold {min(stated.lengths)} to {total} samples: no signal behind the shorter ones")
    if record.median_beats:
        notes.append(f"averaged beats of {len(record.median_beats)} leads were left out")
    return ecg_image(
        path, names, total, stated.rate, lambda: data, format="scp", header=_header(record, notes),
        notes=(*notes, *odd),
    )  # fmt: skip


def _stated(path: Path) -> _Stated:
    """Sections 3 and 6 of the file, their checksums compared."""
    require_size(path, _LARGEST)
    raw = path.read_bytes()
    if not is_ecg(path):
        raise InputError(
            f"{path}: begins with {raw[:8].hex()}, expected SCP-ECG (EN 1064) with its section 0. {_ADVICE}"
        )
    size = struct.unpack_from("<I", raw, 2)[0]
    if size > len(raw):
        raise InputError(f"{path}: says that it has {size} bytes and has {len(raw)}: it was cut off. Copy it again.")
    notes = [f"{len(raw) - size} bytes behind its end were not read"] if size < len(raw) else []
    places: dict[int, tuple[int, int]] = {}
    length = struct.unpack_from("<I", raw, 10)[0]
    for at in range(6 + 16, min(6 + length, size) - 9, 10):
        number, extent, index = struct.unpack_from("<HII", raw, at)
        if extent and number not in places:
            places[number] = (index - 1, extent)
    bodies: dict[int, bytes] = {}
    damaged = []
    for number, (start, extent) in places.items():
        if not (start >= 0 and start + extent <= size and extent >= 16):
            raise InputError(
                f"{path}: its section {number} lies at {start} to {start + extent} of {size} bytes. {_ADVICE}"
            )
        crc, own = struct.unpack_from("<HH", raw, start)
        if number and own != number:
            raise InputError(f"{path}: its section {number} calls itself {own}. {_ADVICE}")
        if crc and crc != binascii.crc_hqx(raw[start + 2 : start + extent], 0xFFFF):
            damaged.append(number)
        bodies[number] = raw[start + 16 : start + extent]
    if bad := [n for n in damaged if n in (2, 3, 5, 6)]:
        raise InputError(f"{path}: the checksum of section {bad[0]}, which its samples need, is wrong: the"
                         f" file was changed"
                         " or damaged. Copy or export it again.")  # fmt: skip
    whole = struct.unpack_from("<H", raw, 0)[0]
    if damaged:
        notes.append(
            f"the checksum of section(s) {listed(str(n) for n in damaged)} is wrong; those of the samples are right"
        )
    elif whole and whole != binascii.crc_hqx(raw[2:size], 0xFFFF):
        notes.append("the checksum of the whole file is wrong; those of its sections are right")
    return _leads(path, bodies, notes)


def _leads(path: Path, bodies: dict[int, bytes], notes: list[str]) -> _Stated:
    three, six = bodies.get(3, b""), bodies.get(6, b"")
    if len(three) < 2 or len(six) < 6:
        raise InputError(f"{path}: has no sections 3 and 6, expected leads and rhythm data. {_ADVICE}")
    count = three[0]
    if not 1 <= count <= MOST_LEADS or len(three) < 2 + 9 * count:
        raise InputError(f"{path}: counts {count} leads in {len(three)} bytes. {_ADVICE}")
    codes, lengths = [], []
    for n in range(count):
        start, end, code = struct.unpack_from("<IIB", three, 2 + 9 * n)
        codes.append(code)
        lengths.append(end - start + 1)
    if min(lengths) < 1 or sum(lengths) > _MOST_SAMPLES:
        raise InputError(f"{path}: states {min(lengths)} to {max(lengths)} samples of a lead. {_ADVICE}")
    step, interval = struct.unpack_from("<HH", six, 0)
    if not step or not interval:
        raise InputError(f"{path}: states steps of {step} nV every {interval} us, expected both. {_ADVICE}")
    rate = 1e6 / interval
    rate = float(round(rate)) if math.isclose(rate, round(rate), rel_tol=1e-3) else rate
    return _Stated(tuple(codes), tuple(lengths), require_rate(path, rate), step * 1e-6, tuple(notes))


def _header(record: Any, notes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    m = record.measurements
    fields = {
        "heart_rate": (m.heart_rate, "1/min"), "RR": (m.rr_interval, "ms"), "PR": (m.pr_interval, "ms"),
        "QRS": (m.qrs_duration, "ms"), "QT": (m.qt_interval, "ms"), "QTcB": (m.qtc_bazett, "ms"),
        "QTcF": (m.qtc_fridericia, "ms"), "P_axis": (m.p_axis, "deg"), "QRS_axis": (m.qrs_axis, "deg"),
        "T_axis": (m.t_axis, "deg"),
    }  # fmt: skip
    for name, (value, unit) in fields.items():
        number, note = measured(name, None if value is None else float(value), unit)
        if number is not None:
            found[name] = number
        if note:
            notes.append(note)
    marks = {k: v for k in ("p_onset", "qrs_onset", "qrs_offset", "t_offset")
             if (v := number_of(record.annotations.get(f"median_{k}_ms"))) is not None}  # fmt: skip
    for name, begin, end in (("PR", "p_onset", "qrs_onset"), ("QRS", "qrs_onset", "qrs_offset"),
                             ("QT", "qrs_onset", "t_offset")):  # fmt: skip
        if name not in found and begin in marks and end in marks:  # section 7 gives the borders of the averaged beat
            number, note = measured(name, marks[end] - marks[begin], "ms")
            if number is not None:
                found[name] = number
    corrected = str(record.annotations.get("qtc", "")).partition(" ms")
    if corrected[1] and (number := measured("QTc", number_of(corrected[0]), "ms")[0]) is not None:
        found["QTc"] = number
    age = record.patient.age
    return {
        "measurements": found,
        "statements": statements_of(str(s) for s in record.interpretation.statements),
        "age": int(age) if isinstance(age, int | float) and 0 <= age <= 130 else None,
        "sex": record.patient.sex if record.patient.sex in ("M", "F") else None,
        "device": str(record.recording.device.model or "")[:40],
    }
