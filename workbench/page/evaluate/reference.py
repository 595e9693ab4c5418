"""What a reading of a page is held against: its digital record, or lines that a person corrected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError, InputError, one_line
from workbench.core.types import Case, Image, sampling_rate_of
from workbench.data import formats
from workbench.page.layouts import Layout, layout_named
from workbench.page.leads import FURTHER, STANDARD, STRIP
from workbench.page.lines_files import SUFFIXES, lines_for
from workbench.page.traces import PIECES, leads_of

Floats = npt.NDArray[np.float64]
_SHORTEST, _LONGEST = 0.8, 1.25
"""Of the duration of a page, the shortest and the longest record that can be of it."""
_MORE = 1.3
"""Of the time that a layout gives to a lead, how much more a record must have to be cut to it."""


@dataclass(frozen=True, eq=False)
class Reference:
    """The truth about a page: lead -> mV at `rate` Hz from second 0 of the page, NaN where it is not known."""

    leads: Mapping[str, Floats]
    rate: float
    what: Literal["record", "lines"]
    source: Path
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """From second 0 to the last sample of any lead."""
        ends = [np.flatnonzero(np.isfinite(v)) for v in self.leads.values()]
        return max((int(e[-1]) + 1 for e in ends if e.size), default=0) / self.rate


def reference_of(case: Case, image: Image) -> Reference:
    """The record of a page where there is one, else its corrected lines.

    Raises
    ------
    InputError
        There is none, it cannot be read, it is not in millivolts, names no lead, or nobody corrected the lines.
    """
    path = Path(case.options["reference"]) if case.options.get("reference") else case.labels
    if path is None:
        raise InputError(
            f"{case.image}: has no reference. Put its record beside it under its name (.hea, .csv, .dcm...), or give "
            "--labels or a column 'labels'."
        )
    return _of_lines(path, image) if path.suffix.lower() in SUFFIXES else _of_record(path)


def _of_lines(path: Path, image: Image) -> Reference:
    told = lines_for(path, image)
    if told.corrected is False:
        raise InputError(
            f"{path}: these lines are as they were read, nobody corrected them, and a score against them says nothing. "
            "Correct them, give the record of the page, or copy them beside the picture if they are right."
        )
    try:
        signals = leads_of(told.lines)
    except GeometryError as error:
        raise InputError(f"{path}: {one_line(error)}") from error
    leads = {name: row.astype(np.float64) for name, row in zip(signals.channels, signals.data, strict=True)}
    return Reference(leads, signals.sampling_rate, "lines", path, told.notes)


def _of_record(path: Path) -> Reference:
    record = formats.read(path, kind="page")
    if record.geometry.axes != ("time",):
        raise InputError(
            f"{path}: is the picture of a page, its record or its corrected lines were expected. Give a file of leads."
        )
    if record.value_unit != "mV":
        raise InputError(
            f"{path}: its values are in {record.value_unit or 'no unit'}, mV were expected. State the unit."
        )
    known = [n for n, name in enumerate(record.channels) if name.removesuffix(STRIP) in (*STANDARD, *FURTHER)]
    if not known:
        raise InputError(
            f"{path}: none of its {len(record.channels)} signals is a lead ({', '.join(record.channels[:4])}...); I, "
            "II, V1... were expected. Name them."
        )
    data = np.asarray(record.samples(), np.float64)
    leads = {record.channels[n]: data[n] for n in known if np.isfinite(data[n]).any()}
    if not leads:
        raise InputError(f"{path}: no lead has a sample. Give the record of the page.")
    if all(np.nanmin(row) == np.nanmax(row) for row in leads.values()):
        raise InputError(
            f"{path}: all its leads are flat, and nothing is measurable by them. Give the record of the page."
        )
    left = [name for n, name in enumerate(record.channels) if n not in known]
    notes = (f"signals of the record that are no leads are not scored: {', '.join(left[:4])}",) if left else ()
    return Reference(leads, sampling_rate_of(record.geometry), "record", path, notes)


def at_rate(leads: Mapping[str, Floats], before: float, rate: float) -> dict[str, Floats]:
    """Leads at another sampling rate: straight lines between samples, none over gaps."""
    if abs(before - rate) < 1e-9:
        return dict(leads)
    out = {}
    for name, values in leads.items():
        times = np.arange(len(values)) / before
        at = np.arange(int(np.floor(times[-1] * rate + 1e-6)) + 1) / rate
        good = np.isfinite(values)
        filled = np.interp(at, times[good], values[good])
        share = np.interp(at, times, good.astype(float))
        out[name] = np.where(share > 0.999, filled, np.nan)
    return out


def due(
    reference: Reference, found: tuple[str, ...], about: Mapping[str, Any], rate: float, given: str = ""
) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """What a page shows of its record, and what to say of it.

    A record holds each lead from end to end; a page of several columns shows a part of it, and some lead below as a
    strip. Where `given` says the layout, it counts; else that which was read, which may hide what was not found. A
    record that is missing where the page shows nothing is taken as it is, and so are lines.

    Parameters
    ----------
    found
        Names of the leads that were read.
    about
        Of the reading: ``"layout"``, ``"seconds of a row"``, and where it is known `PIECES`.
    rate
        Of what comes out [Hz].

    Raises
    ------
    InputError
        The record is longer or shorter than the page, or they have no lead in common.
    """
    leads = at_rate(reference.leads, reference.rate, rate)
    if not {n.removesuffix(STRIP) for n in leads} & {n.removesuffix(STRIP) for n in found}:
        raise InputError(
            f"{reference.source}: has the leads {', '.join(list(leads)[:6])}, and on the page {', '.join(found[:6])} "
            "were read: nothing can be compared. Give the reference of this page."
        )
    if reference.what == "lines":
        return leads, ()
    seconds = float(about.get("seconds of a row") or 0.0)
    if seconds and not _SHORTEST * seconds <= reference.seconds <= _LONGEST * seconds:
        raise InputError(
            f"{reference.source}: lasts {reference.seconds:.1f} s, and the page was read as {seconds:.1f} s at "
            f"{about.get('speed', 25.0):g} mm/s. Give the record of this page, cut to what is printed, or the speed."
        )
    name = given or str(about.get("layout", ""))
    layout = layout_named(name)
    span = seconds or reference.seconds
    shown = _shown(layout, span) if layout is not None else dict(about.get(PIECES) or {})
    if not shown:
        return leads, ()
    out: dict[str, Floats] = {}
    cut = False
    for lead, (first, last) in shown.items():
        if lead not in leads:
            continue
        values = leads[lead]
        if np.isfinite(values).sum() > _MORE * (last - first) * rate:
            a, b = round(first * rate), round(last * rate)
            values = np.where((np.arange(len(values)) >= a) & (np.arange(len(values)) < b), values, np.nan)
            cut = True
        out[lead] = values
    read = [n for n in found if n.endswith(STRIP)]
    strips = [f"{s}{STRIP}" for s in layout.strips] if given and layout is not None else read
    for strip in (*strips, *(n for n in leads if n.endswith(STRIP))):
        whole = leads.get(strip, leads.get(strip.removesuffix(STRIP)))
        if whole is not None and (strip in leads or np.isfinite(whole).sum() > 0.5 * span * rate):
            out[strip] = whole
    rest = [n for n in leads if n not in out]
    notes = []
    if cut:
        whose = "that was given" if given else "that was read; where it is wrong, give --layout"
        what = "to where each lead was drawn on the page" if layout is None else f"to what the layout {name} shows"
        notes.append(f"records were cut {what} ({whose})")
    if rest and given:
        notes.append(f"the layout {name} does not show {', '.join(rest)} of the record: not scored")
    else:
        out |= {n: leads[n] for n in rest}
    return out, tuple(notes)


def _shown(layout: Layout, span: float) -> dict[str, tuple[float, float]]:
    """Of each lead of the rows the seconds between which a layout shows it."""
    return {cell.lead.lstrip("-"): cell.times(span) for cell in layout.cells() if not cell.is_strip}
