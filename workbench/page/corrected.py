"""A result after a person corrected its lines: leads, coverage and measurements follow, and say that they did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from workbench.core.lines import Lines
from workbench.core.signals import Signals, time_base
from workbench.core.types import Image, Part, Provenance, Result, Scores
from workbench.page.diagnose.by_hand import BY_PERSON, with_opinion
from workbench.page.traces import (
    LEAD,
    ORIGIN,
    STRIP,
    WAS_READ,
    Sheet,
    channels_of,
    completed,
    coverage,
    heights_of,
    leads_of,
    without_covered,
)


def with_lines(result: Result, key: str, now: Lines) -> Result:
    """The result with these lines as its part `key`.

    Leads whose lines are as they were keep their samples to the last bit. A note says which were made from lines that
    a person drew. Certainty is 1 where a person drew, and as it was elsewhere.

    Raises
    ------
    GeometryError
        The lines do not say where on paper they lie, or no line has the name of a lead.
    """
    before = result.parts.get(key)
    assert isinstance(before, Lines)
    now = completed(without_covered(now))
    old_leads = result.parts.get("leads")
    same = _unchanged(before, now)
    if isinstance(old_leads, Signals) and set(channels_of(now)) == set(channels_of(before)) == same:
        is_same = before.about == now.about
        return result if is_same else with_opinion(replace(result, parts={**result.parts, key: now}), key)
    leads, mine, called = _leads(old_leads if isinstance(old_leads, Signals) else None, before, now)
    drawn = [name for name, row in zip(leads.channels, mine, strict=True) if row.any()]
    parts: dict[str, Part] = {**result.parts, key: now, "leads": leads}
    sure = _sureness(result, leads, mine, called)
    if "certainty" in parts or not isinstance(old_leads, Signals):
        parts["certainty"] = replace(leads, data=sure, name="certainty", unit=None, role="map")
    read = dict(zip(channels_of(now), map(bool, now.feature(WAS_READ, False)), strict=True))
    means = {name: _mean(row, values) for name, row, values in zip(leads.channels, sure, leads.data, strict=True)}
    parts["coverage"] = coverage(leads, means, read, Sheet.of(now).seconds)
    notes = [n for n in result.provenance.notes if not n.startswith((BY_HAND, _SCALED))]
    x, y = Sheet.of(now).scale
    if (x, y) != (1.0, 1.0):
        notes.append(f"{_SCALED} {x:.4f} along x and {y:.4f} along y")
    if isinstance(old_leads, Signals):
        gone = [name for name in old_leads.channels if name not in leads.channels]
        said = [", ".join(drawn)] * bool(drawn) + [f"{', '.join(gone)} taken away"] * bool(gone)
        notes += [f"{BY_HAND} {'; '.join(said)}"] * bool(said)
    if "measurements" in parts:
        from workbench.page.predict.measurements import measured

        source = str(result.image.source or result.image.name)
        if isinstance(old_leads, Signals):
            # What was to be known of the numbers of before need not hold of these.
            outdated = measured(old_leads, source)[1]
            notes = [note for note in notes if note not in outdated]
        parts["measurements"], told = measured(leads, source)
        notes += [note for note in told if note not in notes]
    return with_opinion(replace(result, parts=parts, provenance=replace(result.provenance, notes=tuple(notes))), key)


def is_corrected(result: Result) -> bool:
    """Whether a person corrected lines or the scale of a result; a diagnosis that somebody wrote is no such thing."""
    return any(note.startswith((BY_HAND, _SCALED)) for note in result.provenance.notes)


def from_lines(lines: Lines, image: Image, provenance: Provenance) -> Result:
    """What lines over a page mean: leads, coverage and measurements, where nothing else of the run was kept.

    Raises
    ------
    GeometryError
        The lines do not say where on paper they lie, or no line has the name of a lead.
    """
    empty = Scores((), (), "measurements")
    return with_lines(Result({"traces": lines, "measurements": empty}, image, provenance), "traces", lines)


BY_HAND = "lines corrected by hand:"
"""How the note on a corrected result begins."""
_SCALED = "the millimetres of the grid were corrected by hand, by"
_SAME = 2e-4
"""Millivolts below which a line is where it was."""
_FEW_SAMPLES, _FAR = 100, 1.0
"""Samples that two lines share by chance where they cross, and millivolts by which one was drawn at another place."""
_ROUNDED = 8
"""Samples at the end that are no more than rounding."""


def _unchanged(before: Lines, now: Lines) -> set[str]:
    """Signals all of whose lines are as they were, on paper of the same scale."""
    if _paper(before) != _paper(now):
        return set()
    own = (LEAD, STRIP, ORIGIN)
    kept = []
    for lines in (before, now):
        columns = [lines.feature(name) for name in own]
        found: dict[str, list[tuple[object, ...]]] = {}
        for n, name in enumerate(channels_of(lines)):
            points = np.round(lines.line(n), 3)
            found.setdefault(name, []).append((points.tobytes(), *(column[n] for column in columns)))
        kept.append({name: sorted(map(repr, rows)) for name, rows in found.items()})
    return {name for name, rows in kept[1].items() if kept[0].get(name) == rows}


def _paper(lines: Lines) -> dict[str, object]:
    """What lines say of their paper."""
    return {name: value for name, value in lines.about.items() if name != BY_PERSON}


def _leads(old: Signals | None, before: Lines, now: Lines) -> tuple[Signals, npt.NDArray[np.bool_], dict[str, str]]:
    """The leads, which of their samples come from lines that were changed, and what each was called before.

    All other samples stay as they were.
    """
    if old is None:
        leads = leads_of(now)
        return leads, np.isfinite(leads.data), {}
    then, here = heights_of(before), heights_of(now)
    samples = here.data.shape[1]
    if abs(old.data.shape[1] - samples) <= _ROUNDED:
        samples = max(samples, old.data.shape[1])
    data = np.full((len(here.channels), samples), np.nan, np.float32)
    mine = np.zeros(data.shape, bool)
    called: dict[str, str] = {}
    for n, name in enumerate(here.channels):
        values = _padded(here.data[n], samples)
        if (own := _was_called(values, name, then, old)) is not None:
            called[name] = own
            known = _padded(old.data[old.channels.index(own)], samples)
            was = _padded(then.data[then.channels.index(own)], samples)
            zero = float(np.nanmedian(was - known)) if np.isfinite(was - known).any() else float(np.nanmedian(values))
            same = (np.abs(values - was) < _SAME) | (np.isnan(values) & np.isnan(was))
            data[n] = np.where(same, known, values - zero)
            mine[n] = ~same & np.isfinite(values)
            # Without one changed sample there may still be less of it than before.
            data[n, np.isnan(values) & np.isfinite(was)] = np.nan
        else:
            data[n] = values - np.nanmedian(values)
            mine[n] = np.isfinite(values)
    return Signals(data, here.channels, time_base(samples, here.sampling_rate), "leads", "mV"), mine, called


def _was_called(values: npt.NDArray[np.float32], name: str, then: Signals, old: Signals) -> str | None:
    """The signal of before whose line this is: names change places, and each line keeps its own 0 mV.

    The one that has the same samples; a line that was drawn anew is that of its name where it lies near it.
    """
    alike = {}
    for row, own in zip(then.data, then.channels, strict=True):
        if own in old.channels:
            alike[own] = int((np.abs(values - _padded(row, len(values))) < _SAME).sum())
    best = max(alike, key=lambda own: (alike[own], own == name), default=None)
    if best is not None and alike[best] > _FEW_SAMPLES:
        return best
    if name not in alike:
        return None
    was = then.data[then.channels.index(name)]
    return name if abs(float(np.nanmedian(values) - np.nanmedian(was))) < _FAR else None


def _padded(values: npt.NDArray[np.float32], samples: int) -> npt.NDArray[np.float32]:
    out = np.full(samples, np.nan, np.float32)
    out[: len(values)] = values[:samples]
    return out


def _sureness(
    result: Result, leads: Signals, mine: npt.NDArray[np.bool_], called: dict[str, str]
) -> npt.NDArray[np.float32]:
    before = result.parts.get("certainty")
    sure = np.where(np.isfinite(leads.data), np.float32(1), np.float32(0))
    if isinstance(before, Signals):
        for n, name in enumerate(leads.channels):
            if called.get(name, name) in before.channels:
                row = np.nan_to_num(_padded(before.data[before.channels.index(called.get(name, name))], sure.shape[1]))
                sure[n] = np.where(mine[n] | ~np.isfinite(leads.data[n]), sure[n], row)
    return sure


def _mean(sure: npt.NDArray[np.float32], values: npt.NDArray[np.float32]) -> float:
    there = np.isfinite(values)
    return float(sure[there].mean()) if there.any() else 0.0
