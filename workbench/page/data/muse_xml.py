"""GE MUSE electrocardiograms (``RestingECG``): XML with samples of 16 bits in base64 for eight of the twelve leads.

III, aVR, aVL and aVF are computed from I and II (Einthoven, Goldberger) where the file does not store them: that is how
the format is meant.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.types import Image
from workbench.data.header_text import shortened
from workbench.page.data import plausible, xml_tree
from workbench.page.data.ecg_image import ecg_image, lead_names, listed, millivolts_of, require_rate, statements_of
from workbench.page.data.measured import measured
from workbench.page.data.xml_tree import base64_bytes, number_of, text_of
from workbench.page.leads import STANDARD, derived

ROOT = "RestingECG"
_FIELDS = {
    "VentricularRate": ("heart_rate", "1/min"), "AtrialRate": ("atrial_rate", "1/min"), "PRInterval": ("PR", "ms"),
    "QRSDuration": ("QRS", "ms"), "QTInterval": ("QT", "ms"), "QTCorrected": ("QTc", "ms"),
    "QTcFrederica": ("QTcF", "ms"),
    "PAxis": ("P_axis", "deg"), "RAxis": ("QRS_axis", "deg"), "TAxis": ("T_axis", "deg"),
}  # fmt: skip
_ADVICE = "Export or copy the file again."


def is_ecg(path: Path) -> bool:
    """Whether it is an XML file whose first element is ``RestingECG``."""
    return xml_tree.root_of(path) == ROOT


def read(path: Path) -> Image:
    """Open a MUSE file.

    Returns
    -------
    workbench.core.types.Image
        Kind ``page``: ``(leads, samples)`` float32 [mV] of the rhythm waveform, twelve leads in their usual order where
        I and II are there. Median beats are left out, with a note.

    Raises
    ------
    InputError
        It is no MUSE file, is damaged, or states no rate or no amplitude of a step.
    """
    root = xml_tree.parse(path)
    if root.tag != ROOT:
        raise InputError(f"{path}: its first element is <{shortened(root.tag)}>, expected <{ROOT}>.")
    waveforms = list(root.iter("Waveform"))
    rhythm = [w for w in waveforms if text_of(w, "WaveformType").lower() == "rhythm"]
    if not rhythm:
        kinds = [text_of(w, "WaveformType") or "without a type" for w in waveforms]
        raise InputError(f"{path}: holds {listed(kinds) or 'no waveform'}, expected one of the type Rhythm. {_ADVICE}")
    chosen = rhythm[0]
    notes: list[str] = []
    left = [text_of(w, "WaveformType") or "without a type" for w in waveforms if w is not chosen]
    if left:
        notes.append(f"{len(left)} more waveform(s) were left out: {listed(left)}")
    rate = _rate(path, chosen)
    labels, rows = [], []
    for lead in chosen.findall("LeadData"):
        label = text_of(lead, "LeadID")
        labels.append(label)
        rows.append(_row(path, label, lead, notes))
    names, odd = lead_names(labels)
    notes.extend(odd)
    lengths = sorted({len(row) for row in rows})
    if not rows or lengths[0] == 0 or lengths[0] != lengths[-1]:
        raise InputError(f"{path}: its {len(rows)} leads hold {lengths} samples, expected as many in each. {_ADVICE}")
    by_name: dict[str, npt.NDArray[Any]] = dict(zip(names, rows, strict=True))
    made = {name: row for name, row in derived(by_name).items() if name not in by_name and name in STANDARD}
    if made:
        notes.append(
            f"{', '.join(made)} are not stored in the file: computed from {_sources(by_name)}, as the format means it"
        )
    by_name |= made
    order = [n for n in STANDARD if n in by_name] + [n for n in by_name if n not in STANDARD]
    data = np.stack([by_name[n] for n in order]).astype(np.float32)
    notes += plausible.odd(path, order, data)
    return ecg_image(
        path, order, data.shape[1], rate, lambda: data, format="muse", header=_header(root, notes), notes=notes,
    )  # fmt: skip


def _sources(leads: dict[str, Any]) -> str:
    return " and ".join([name for name in ("I", "II", "III") if name in leads][:2])


def _rate(path: Path, waveform: ElementTree.Element) -> float:
    base = number_of(text_of(waveform, "SampleBase"))
    text = text_of(waveform, "SampleExponent")
    exponent = number_of(text) if text else 0.0
    if base is None or exponent is None or exponent != round(exponent) or not -6 <= exponent <= 6:
        raise InputError(f"{path}: SampleBase and SampleExponent are {shortened(text_of(waveform, 'SampleBase'))} and"
                         f" {shortened(text)}, expected the sampling rate in Hz. {_ADVICE}")  # fmt: skip
    return require_rate(path, base * 10.0**exponent)


def _row(path: Path, label: str, lead: ElementTree.Element, notes: list[str]) -> npt.NDArray[np.float64]:
    """Samples of one lead [mV], with what the file says of their number and checksum compared."""
    name = shortened(label, 20)
    step = number_of(text_of(lead, "LeadAmplitudeUnitsPerBit"))
    unit = text_of(lead, "LeadAmplitudeUnits")
    factor = millivolts_of(unit)
    if step is None or factor is None or not 0 < abs(step) < 1e6:
        raise InputError(f"{path}: one step of lead {name} is {step} {unit or 'without a unit'}, expected a number of"
                         f" MICROVOLTS or MILLIVOLTS. {_ADVICE}")  # fmt: skip
    size = number_of(text_of(lead, "LeadSampleSize") or "2")
    if size != 2:
        raise InputError(f"{path}: lead {name} has samples of {size} bytes, expected 2. {_ADVICE}")
    raw = base64_bytes(path, text_of(lead, "WaveFormData"), f"WaveFormData of lead {name}")
    count = number_of(text_of(lead, "LeadSampleCountTotal"))
    if len(raw) % 2 or (count is not None and len(raw) != 2 * count):
        raise InputError(
            f"{path}: lead {name} holds {len(raw)} bytes, expected 2 for each of its {count} samples. {_ADVICE}"
        )
    stated = text_of(lead, "LeadDataCRC32")
    if stated.isdigit() and 0 < int(stated) < 1 << 32 and int(stated) != zlib.crc32(raw):
        notes.append(f"the checksum of lead {name} is not that of its samples: they were changed since it was recorded")
    if text_of(lead, "LeadOff").upper() == "TRUE":
        notes.append(f"the device says that lead {name} was off")
    return np.frombuffer(raw, "<i2").astype(np.float64) * (step * factor)


def _header(root: ElementTree.Element, notes: list[str]) -> dict[str, Any]:
    measurements: dict[str, Any] = {}
    measures = root.find("RestingECGMeasurements")
    for tag, (name, unit) in _FIELDS.items():
        number, note = measured(name, number_of(text_of(measures, tag)), unit)
        if number is not None:
            measurements[name] = number
        if note:
            notes.append(note)
    person = root.find("PatientDemographics")
    age = number_of(text_of(person, "PatientAge"))
    years = text_of(person, "AgeUnits").upper() in ("", "YEARS")
    statements = [text_of(s, "StmtText") for s in root.findall("Diagnosis/DiagnosisStatement")]
    return {
        "measurements": measurements,
        "age": int(age) if age is not None and years and 0 <= age <= 130 else None,
        "sex": text_of(person, "Gender").lower()[:10],
        "statements": statements_of(statements),
        "device": text_of(root, "TestDemographics/AcquisitionDevice")[:40],
    }
