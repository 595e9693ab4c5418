"""HL7 annotated electrocardiograms (aECG, ``AnnotatedECG``): XML with one sequence of numbers for each lead.

HL7 aECG Implementation Guide, 21 March 2005 (Brown and Badilini); leads by their MDC names (ISO 11073-10102).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
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
from workbench.page.data.xml_tree import number_of, text_of

ROOT = "AnnotatedECG"
_LEAD = "MDC_ECG_LEAD_"
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_CODES = {
    "MDC_ECG_HEART_RATE": "heart_rate", "MDC_ECG_TIME_PD_RR": "RR", "MDC_ECG_TIME_PD_PP": "PP",
    "MDC_ECG_TIME_PD_P": "P", "MDC_ECG_TIME_PD_PR": "PR", "MDC_ECG_TIME_PD_QRS": "QRS", "MDC_ECG_TIME_PD_QT": "QT",
    "MDC_ECG_TIME_PD_QTc": "QTc", "MDC_ECG_TIME_PD_QTcB": "QTcB", "MDC_ECG_TIME_PD_QTcF": "QTcF",
    "MDC_ECG_ANGLE_P_FRONT": "P_axis", "MDC_ECG_ANGLE_QRS_FRONT": "QRS_axis", "MDC_ECG_ANGLE_T_FRONT": "T_axis",
}  # fmt: skip
_LONGEST = 20_000_000
"""Characters of the digits of one lead."""
_ADVICE = "Export or copy the file again."


def is_ecg(path: Path) -> bool:
    """Whether it is an XML file whose first element is ``AnnotatedECG``."""
    return xml_tree.root_of(path) == ROOT


@dataclass(frozen=True)
class _Set:
    """The leads of one sequence set: ``(leads, samples)`` float32 [mV], from a moment [s] of its own clock on."""

    leads: tuple[str, ...]
    data: npt.NDArray[np.float32]
    step: float
    start: float | None


def read(path: Path) -> Image:
    """Open an aECG file.

    Returns
    -------
    workbench.core.types.Image
        Kind ``page``: ``(leads, samples)`` float32 [mV], leads in the order of the file. Sets of leads that were
        recorded one after the other lie where their times say, NaN elsewhere. Series of averaged beats are left out,
        with a note. What the device measured is in ``header["measurements"]``.

    Raises
    ------
    InputError
        It is no aECG file, is damaged, or states no unit or no step of time.
    """
    root = xml_tree.parse(path)
    if root.tag != ROOT:
        raise InputError(f"{path}: its first element is <{shortened(root.tag)}>, expected <{ROOT}>.")
    series = [s for s in root.findall("component/series") if s.find("component/sequenceSet") is not None]
    if not series:
        raise InputError(f"{path}: holds no series with a sequence set, expected leads. {_ADVICE}")
    rhythm = [s for s in series if _code(s) == "RHYTHM"] or series
    notes: list[str] = []
    left = [_code(s) or "without a name" for s in series if s is not rhythm[0]]
    left += [_code(s) or "derived" for s in root.iter("derivedSeries")]
    if left:
        notes.append(f"{len(left)} more series were left out: {listed(left)}")
    chosen = rhythm[0]
    sets = [_set(path, s, notes) for s in chosen.findall("component/sequenceSet")]
    leads, data, rate = _joined(path, [s for s in sets if s is not None], notes)
    notes += plausible.odd(path, leads, data)
    measurements = _measurements(chosen, notes)
    header: dict[str, Any] = {
        "measurements": measurements,
        "statements": _statements(chosen),
        "sex": _attribute(root, "administrativeGenderCode", "code"),
        "device": text_of(next(iter(chosen.iter("manufacturerModelName")), None)),
        "manufacturer": text_of(chosen, "author/seriesAuthor/manufacturerOrganization/name"),
    }
    return ecg_image(
        path, leads, data.shape[1], rate, lambda: data, format="aecg", header=header, notes=notes,
    )  # fmt: skip


def _code(element: ElementTree.Element) -> str:
    return _attribute(element, "code", "code", near=True)


def _attribute(element: ElementTree.Element, tag: str, name: str, near: bool = False) -> str:
    found = element.find(tag) if near else next(element.iter(tag), None)
    return "" if found is None else (found.get(name) or "").strip()


def _set(path: Path, element: ElementTree.Element, notes: list[str]) -> _Set | None:
    step: float | None = None
    start: float | None = None
    labels: list[str] = []
    rows: list[npt.NDArray[np.float64]] = []
    for sequence in element.findall("component/sequence"):
        code, value = _code(sequence), sequence.find("value")
        if value is None:
            continue
        if code.startswith("TIME_"):
            step = _step(path, value)
            start = _moment(_attribute(value, "head", "value", near=True), code)
            continue
        if not code.startswith(_LEAD):
            notes.append(f"a sequence called {shortened(code, 40)} is no lead and was left out")
            continue
        labels.append(code.removeprefix(_LEAD))
        rows.append(_row(path, code, value))
    if not rows:
        return None
    if step is None:
        raise InputError(f"{path}: a set of {len(rows)} leads states no step of time, and none is guessed. {_ADVICE}")
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        notes.append(f"leads of one set hold {lengths[0]} to {lengths[-1]} samples: no signal behind the shorter ones")
    data = np.full((len(rows), lengths[-1]), np.nan, np.float32)
    for n, row in enumerate(rows):
        data[n, : len(row)] = row
    names, odd = lead_names(labels)
    notes.extend(odd)
    return _Set(names, data, step, start)


def _step(path: Path, value: ElementTree.Element) -> float:
    """Seconds from one sample to the next."""
    increment = value.find("increment")
    number = number_of(increment.get("value")) if increment is not None else None
    unit = "" if increment is None else (increment.get("unit") or "").strip()
    if number is None or unit not in _SECONDS or number <= 0:
        raise InputError(f"{path}: the step of time is {number} {unit or 'without a unit'}, expected a"
                         f" number of s, ms or"
                         f" us. {_ADVICE}")  # fmt: skip
    seconds = number * _SECONDS[unit]
    require_rate(path, 1.0 / seconds if seconds > 1e-12 else float("inf"))
    return seconds


def _moment(text: str, code: str) -> float | None:
    """Seconds of a time stamp, ``20021122091000.000``, or of a number of seconds; ``None`` where there is none."""
    if code == "TIME_RELATIVE":
        return number_of(text) if text else 0.0
    match = re.fullmatch(r"(\d{14})(\.\d{1,9})?([+-]\d{4})?", text)
    if not match:
        return None
    try:
        day = datetime.strptime(match[1], "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return (day - datetime(1900, 1, 1)).total_seconds() + float(match[2] or 0)


def _row(path: Path, code: str, value: ElementTree.Element) -> npt.NDArray[np.float64]:
    """Samples of one lead [mV]: origin and scale have units of their own."""
    parts = {}
    for name in ("origin", "scale"):
        found = value.find(name)
        number = number_of(found.get("value")) if found is not None else None
        factor = millivolts_of((found.get("unit") or "") if found is not None else "")
        if number is None or factor is None or abs(number) > 1e9:
            what = (
                "missing" if found is None else f"{shortened(str(found.get('value')))} {found.get('unit') or 'no unit'}"
            )
            raise InputError(f"{path}: {name} of {code} is {what}, expected a number of uV, mV or V. {_ADVICE}")
        parts[name] = number * factor
    if parts["scale"] == 0:
        raise InputError(f"{path}: scale of {code} is 0, expected the voltage of one step. {_ADVICE}")
    text = text_of(value, "digits")
    if len(text) > _LONGEST:
        raise InputError(
            f"{path}: digits of {code} have {len(text)} characters, expected up to {_LONGEST}. Export parts."
        )
    words = text.split()
    try:
        if "_" in text:  # Python takes 1_000 for a number
            raise ValueError
        digits = np.array(words, dtype=np.float64)
    except ValueError:
        bad = next((w for w in words if number_of(w) is None), "?")
        raise InputError(f"{path}: digits of {code} hold {shortened(bad, 20)}, expected numbers. {_ADVICE}") from None
    if not np.all(np.abs(digits) < 2.0**31):
        raise InputError(f"{path}: digits of {code} hold numbers beyond 32 bits. {_ADVICE}")
    return parts["origin"] + parts["scale"] * digits


def _joined(path: Path, sets: list[_Set], notes: list[str]) -> tuple[tuple[str, ...], npt.NDArray[np.float32], float]:
    """All sets on one time base."""
    sets = [s for s in sets if s.data.shape[1]]
    if not sets:
        raise InputError(f"{path}: holds no samples of a lead. {_ADVICE}")
    first = sets[0]
    rate = _rate(first.step)
    if len(sets) == 1:
        return first.leads, first.data, rate
    if any(abs(s.step - first.step) > 1e-9 for s in sets) or any(s.start is None for s in sets):
        notes.append(f"{len(sets) - 1} further set(s) of leads with another rate or without a time were left out")
        return first.leads, first.data, rate
    begin = min(s.start or 0.0 for s in sets)
    places = [round(((s.start or 0.0) - begin) * rate) for s in sets]
    total = max(place + s.data.shape[1] for place, s in zip(places, sets, strict=True))
    if total > 20 * sum(s.data.shape[1] for s in sets):
        raise InputError(f"{path}: its sets of leads lie {total / rate:g} s apart, expected one recording. {_ADVICE}")
    leads = tuple(dict.fromkeys(lead for s in sets for lead in s.leads))
    data = np.full((len(leads), total), np.nan, np.float32)
    for place, s in zip(places, sets, strict=True):
        for row, lead in enumerate(s.leads):
            target = data[leads.index(lead), place : place + s.data.shape[1]]
            if not np.all(np.isnan(target) | np.isnan(s.data[row]) | (target == s.data[row])):
                raise InputError(f"{path}: two sets hold different samples of {lead} at one time. {_ADVICE}")
            np.copyto(target, s.data[row], where=~np.isnan(s.data[row]))
    notes.append(f"{len(sets)} sets of leads lie where their times say; a lead holds no signal elsewhere")
    return leads, data, rate


def _rate(step: float) -> float:
    """Samples per second; a whole number where the step is one over it up to its rounding."""
    rate = 1.0 / step
    return float(round(rate)) if abs(rate - round(rate)) < 1e-6 * rate else rate


def _measurements(series: ElementTree.Element, notes: list[str]) -> dict[str, Any]:
    """Global measurements by code: those without a lead, the first of each where beats have their own."""
    found: dict[str, Any] = {}
    more: set[str] = set()
    for annotation in series.iter("annotation"):
        value = annotation.find("value")
        name = _CODES.get(_code(annotation).removesuffix("_GL"))
        if name is None or value is None:
            continue
        if any(_code(b).startswith(_LEAD) for b in annotation.iter("boundary")):
            continue
        number, note = measured(name, number_of(value.get("value")), value.get("unit") or "")
        if note:
            notes.append(note)
        if number is not None and found.setdefault(name, number) != number:
            more.add(name)
    if more:
        notes.append(f"the file measures {listed(sorted(more))} beat by beat with different values: the first is given")
    return found


def _statements(series: ElementTree.Element) -> list[str]:
    """Text of the interpretation, where there is one."""
    found = []
    for annotation in series.iter("annotation"):
        value = annotation.find("value")
        if _code(annotation).startswith("MDC_ECG_INTERPRETATION") and value is not None and (text := text_of(value)):
            found.append(text)
    return statements_of(found)
