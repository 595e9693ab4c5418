"""From leads to numbers: beats, waves, intervals and axes in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.signals import Signals
from workbench.page.leads import is_modified, standard_name
from workbench.page.measure.axes import Axis, axis
from workbench.page.measure.beats import Beats, find_beats
from workbench.page.measure.checks import gain_notes, limb_notes, misfit_notes, missed_notes, paced, time_notes
from workbench.page.measure.delineate import Delineation, delineate, without_p
from workbench.page.measure.intervals import further_p_waves, intervals, rates, rr_intervals
from workbench.page.measure.lead_rule import chosen_leads, global_marks
from workbench.page.measure.measurements import Measurement, Measurements
from workbench.page.measure.median_beat import median_beat
from workbench.page.measure.prepare import Array, checked, resampled
from workbench.page.measure.presence import Presence, presence
from workbench.page.measure.sharpen import sharpened
from workbench.page.measure.waves import find_waves

if TYPE_CHECKING:
    from workbench.page.measure.network import WaveNet

UNITS = {"mV": 1.0, "uV": 1e-3, "µV": 1e-3, "μV": 1e-3, "V": 1e3}
"""Units of voltage and how many mV they are."""
SHORTEST = 1.0
"""[s] Less than this holds no whole beat."""
LONGEST = 600.0
"""[s] More than this is no electrocardiogram at rest; it is cut into pieces by whoever knows what it is."""
FEW = 0.35
"""Share of the beats below which what looked like P waves is taken for none."""
WORKING_RATE = 500.0
"""[Hz] All leads are brought to this rate first, so that the rate of a file decides nothing."""


def measure(signals: Signals, *, net: WaveNet | None = None) -> Measurements:
    """Measure an electrocardiogram.

    Parameters
    ----------
    signals
        Leads as rows, in mV, uV or V, NaN where a lead was not seen; its channels are names of leads as `standard_name`
        knows them. Samples of one column are of one moment: on a page of 3 x 4 leads each lead has a window of its own.
    net
        See `find_waves`.

    Raises
    ------
    InputError
        No unit of voltage, no time base, or what `measure_leads` refuses.
    """
    if signals.unit not in UNITS:
        raise InputError(
            f"{signals.name}: leads in {signals.unit or 'no unit'}, expected {', '.join(('mV', 'uV', 'V'))}. "
            "Say the unit of the values"
        )
    if signals.geometry.affine is None:
        raise InputError(f"{signals.name}: no sampling rate, expected one in Hz. Say the time base")
    data = np.asarray(signals.data)
    if data.dtype.kind in "fiu":
        data = data.astype(np.float64) * UNITS[signals.unit]
    return measure_leads(data, signals.channels, signals.sampling_rate, subject=signals.name, net=net)


def measure_leads(
    data: npt.ArrayLike,
    names: tuple[str, ...],
    rate: float,
    *,
    subject: str = "leads",
    net: WaveNet | None = None,
) -> Measurements:
    """Measure an electrocardiogram that is an array.

    Parameters
    ----------
    data
        ``(leads, samples)`` [mV]; NaN where a lead was not seen.
    names
        One per lead. Rows may share a name (lead II and its rhythm strip): all show waves, the longest is a lead.
    rate
        Samples per second [Hz], 100 to 1000.
    subject
        What errors call it.
    net
        See `find_waves`.

    Returns
    -------
    Measurements
        heart rate, RR, P, PR, QRS, QT, QTc Bazett, QTc Fridericia, P axis, QRS axis, T axis. What cannot be measured
        is ``None`` with a reason; beats, waves and the representative beat come along.

    Raises
    ------
    InputError
        Data of another shape or type, infinite values, a rate outside 50 to 2000 Hz, less than a second, more than
        ten minutes.
    """
    rows = checked(data, names, rate, subject)
    seconds = rows.shape[1] / rate
    if not SHORTEST <= seconds <= LONGEST:
        raise InputError(
            f"{subject}: {seconds:.2f} s of leads, expected {SHORTEST:g} to {LONGEST:g} s. "
            "Give one electrocardiogram at rest"
        )
    known = tuple(name if is_modified(name) else standard_name(name) or name for name in names)
    rows, notes = upright(rows, known)
    known = tuple(name.removeprefix("-") if name == "-aVR" else name for name in known)
    there = np.isfinite(rows)
    leads = chosen_leads(known, there)
    notes += _lead_notes(rows, known)
    given, given_rate = rows, rate
    rows, there = resampled(rows, rate, WORKING_RATE)
    rows, rate = np.where(there, rows, np.nan), WORKING_RATE
    waves = find_waves(rows, rate, net)
    beats = find_beats(rows, rate, waves)
    found = delineate(waves, beats, known)
    if not len(beats.times):
        return _nothing(beats, found, notes, "no beat found" if leads else "no lead was seen")
    marks = global_marks(found, beats, leads)
    p = presence(rows, rate, beats, found, marks, leads, 0)
    t = presence(rows, rate, beats, found, marks, leads, 2)
    if not p.present and p.beats < FEW * p.of:  # what few beats show by chance is no P wave
        found = without_p(found)
        marks = global_marks(found, beats, leads)
    marks, median = sharpened(marks, median_beat(rows, known, rate, beats, marks), beats, leads)
    rate_value, rr = rates(*rr_intervals(beats, there, rate))
    by_name = {known[row]: row for row in leads}
    misfit = misfit_notes(median, by_name)
    axes = (
        axis(median, by_name, 0) if p.present else Axis(None, None, p.reason),
        axis(median, by_name, 1),
        axis(median, by_name, 2) if t.present else Axis(None, None, t.reason),
    )
    if misfit:  # which of the leads is wrong is not known
        why = "the limb leads do not fit each other"
        first, second, third = (a if a.angle is None else Axis(None, None, why) for a in axes)
        axes = (first, second, third)
    values = (
        rate_value, rr, *intervals(marks, beats, found, leads, rr, p, t),
        *(Measurement(f"{name} axis", a.angle, "deg", a.spread, reason=a.reason)
          for name, a in zip(("P", "QRS", "T"), axes, strict=True)),
    )  # fmt: skip
    notes += gain_notes(median, len(by_name) >= 6)
    notes += time_notes({m.name: m.value for m in values})
    notes += missed_notes(rows, rate, len(beats.times))
    notes += misfit or limb_notes(axes)
    notes += _beat_notes(given, given_rate, beats, found, leads, float(marks.dominant[3]))
    return Measurements(values, beats, found, marks.per_beat, median, p, t, tuple(notes))


def upright(rows: Array, names: tuple[str, ...]) -> tuple[Array, list[str]]:
    """Leads with -aVR turned into aVR, and a note that says so."""
    if "-aVR" not in names:
        return rows, []
    sign = np.array([-1.0 if name == "-aVR" else 1.0 for name in names])
    return rows * sign[:, None], ["-aVR was turned into aVR"]


def _lead_notes(rows: Array, names: tuple[str, ...]) -> list[str]:
    """Leads that show nothing, and names that no lead has."""
    unseen, flat, strange = [], [], []
    for row, name in zip(rows, names, strict=True):
        seen = row[np.isfinite(row)]
        if not len(seen):
            unseen.append(name)
        elif float(np.ptp(seen)) < 0.01:
            flat.append(name)
        if standard_name(name) is None:
            strange.append(f"'{name}'")
    notes = []
    if unseen:
        notes.append(f"not seen: {', '.join(unseen)}")
    if flat:
        notes.append(f"flat, electrode off?: {', '.join(flat)}")
    if strange:
        notes.append(f"no names of leads, they count for intervals and not for axes: {', '.join(strange)}")
    return notes


def _beat_notes(
    rows: Array, rate: float, beats: Beats, found: Delineation, leads: list[int], onset: float
) -> list[str]:
    """Beats of other forms, spikes, P waves without a beat."""
    notes = []
    others = int((~beats.dominant).sum())
    if others:
        kinds = int(beats.kind.max())
        notes.append(
            f"{others} of {len(beats.times)} beats look different ({kinds} form{'s' if kinds > 1 else ''}): "
            "they are in the heart rate, and in no interval"
        )
    spikes = int(paced(rows[leads], rate, beats, onset).sum())
    if spikes:
        notes.append(f"spikes of a pacemaker before {spikes} of {len(beats.times)} beats: intervals are of paced beats")
    further = len(further_p_waves(found, leads, beats))
    if further:
        notes.append(f"{further} P wave{'s' if further > 1 else ''} between the beats lead to none")
    return notes


def _nothing(beats: Beats, found: Delineation, notes: list[str], why: str) -> Measurements:
    """No beat: nothing is measurable."""
    units = {
        "heart rate": "1/min", "RR": "ms", "P": "ms", "PR": "ms", "QRS": "ms", "QT": "ms", "QTc Bazett": "ms",
        "QTc Fridericia": "ms", "P axis": "deg", "QRS axis": "deg", "T axis": "deg",
    }  # fmt: skip
    values = tuple(Measurement(name, None, unit, reason=why) for name, unit in units.items())
    absent = Presence(False, 0, 0, None, why)
    return Measurements(values, beats, found, np.full((0, 9), np.nan), None, absent, absent, tuple(notes))
