"""Rate and intervals: PR, QRS, QT and what is made of them.

Onsets and offsets are those of all leads together (`lead_rule`). QTc after Bazett 1920 (QT / sqrt(RR), Heart 7:353) and
Fridericia 1920 (QT / cube root of RR, doi:10.1111/j.0954-6820.1920.tb18266.x), RR in seconds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.page.measure.beats import Beats
from workbench.page.measure.delineate import Delineation
from workbench.page.measure.lead_rule import GlobalMarks
from workbench.page.measure.measurements import Measurement
from workbench.page.measure.presence import Presence

Array = npt.NDArray[np.float64]

TIED = 0.025
"""[s] P waves that belong to their QRS come before it at a distance that varies by less (standard deviation)."""
MORE_P = 0.3
"""Share of the intervals between beats with a further P wave from which on there are more P waves than beats."""


def robust_sd(values: Array) -> float | None:
    """Standard deviation from the median deviation; ``None`` for fewer than three values."""
    values = values[np.isfinite(values)]
    if len(values) < 3:
        return None
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def rr_intervals(beats: Beats, there: npt.NDArray[np.bool_], rate: float) -> tuple[Array, str]:
    """Intervals [s] between neighbours, NaN where nobody saw the time between them, and what to know of them.

    Where leads are seen one after another, a beat may be lost where one ends and the next begins: then only intervals
    count that a lead saw whole, as long as there are some.

    Parameters
    ----------
    there
        ``(leads, samples)``: where each lead was seen.
    rate
        Samples per second [Hz] of `there`.
    """
    by_one, by_any = np.diff(beats.times), np.diff(beats.times)
    for k in range(len(by_any)):
        part = there[:, int(beats.times[k] * rate) : int(beats.times[k + 1] * rate) + 1]
        if not part.mean(axis=1).max() > 0.98:
            by_one[k] = np.nan
        if not part.any(axis=0).mean() > 0.98:
            by_any[k] = np.nan
    if np.isfinite(by_one).any():
        return by_one, ""
    return by_any, "no lead shows two beats: intervals go from one lead to the next" if np.isfinite(
        by_any
    ).any() else ""


def rates(intervals: Array, why: str = "") -> tuple[Measurement, Measurement]:
    """Heart rate [1/min] and mean RR interval [ms]; `why` is what to know of the intervals."""
    known = intervals[np.isfinite(intervals)]
    if not len(known):
        why = "fewer than two beats in one stretch"
        return Measurement("heart rate", None, "1/min", reason=why), Measurement("RR", None, "ms", reason=why)
    mean = float(known.mean())
    spread = float(known.std(ddof=1)) if len(known) > 2 else None
    if spread is not None and spread > 0.15 * mean:
        why = "; ".join(filter(None, (why, "irregular: the mean over all beats")))
    return (
        Measurement("heart rate", 60 / mean, "1/min", 60 / mean**2 * spread if spread else spread, reason=why),
        Measurement("RR", 1000 * mean, "ms", 1000 * spread if spread is not None else None, reason=why),
    )


def further_p_waves(found: Delineation, leads: list[int], beats: Beats, hidden: float = 0.06) -> Array:
    """Moments [s] of P waves that lead to no beat, between the first and the last beat.

    A wave counts where a quarter of the leads, and two where there are two, show it within 60 ms.
    """
    if len(beats.times) < 2:
        return np.zeros(0)
    peaks = [(float(x), lead) for lead in leads for x in found.further_p[lead][:, 1]]
    peaks = sorted(p for p in peaks if beats.times[0] < p[0] < beats.times[-1])
    needed = min(2, len(leads)) if len(leads) < 8 else int(np.ceil(0.25 * len(leads)))
    moments: list[float] = []
    group: list[tuple[float, int]] = []
    for peak in [*peaks, (float("inf"), -1)]:
        if group and peak[0] - group[0][0] > hidden:
            if len({lead for _, lead in group}) >= needed:
                moments.append(float(np.median([x for x, _ in group])))
            group = []
        group.append(peak)
    return np.array(moments)


def _interval(name: str, marks: GlobalMarks, beats: Beats, leads: list[int], start: int, end: int) -> Measurement:
    """From one border to another, over all leads."""
    value = 1000 * float(marks.dominant[end] - marks.dominant[start])
    each = 1000 * (marks.per_beat[:, end] - marks.per_beat[:, start])[beats.dominant]
    alone = 1000 * (marks.per_lead[leads, end] - marks.per_lead[leads, start])
    return Measurement(name, value, "ms", robust_sd(each), robust_sd(alone))


def intervals(
    marks: GlobalMarks, beats: Beats, found: Delineation, leads: list[int], rr: Measurement, p: Presence, t: Presence
) -> tuple[Measurement, ...]:
    """P, PR, QRS, QT, QTc by Bazett and by Fridericia [ms]."""
    have_qrs = bool(np.isfinite(marks.dominant[[3, 5]]).all())
    no_qrs = "no beat whose QRS could be delineated"
    values = []
    why_not_pr = _no_pr(marks, beats, found, leads, p) if have_qrs else no_qrs
    if p.present:
        width = _interval("P", marks, beats, leads, 0, 2)
        values.append(Measurement("P", width.value, "ms", width.spread, width.between_leads, p.reason))
    else:
        values.append(Measurement("P", None, "ms", reason=p.reason))
    if why_not_pr:
        values.append(Measurement("PR", None, "ms", reason=why_not_pr))
    else:
        pr = _interval("PR", marks, beats, leads, 0, 3)
        values.append(Measurement("PR", pr.value, "ms", pr.spread, pr.between_leads, p.reason))
    values.append(
        _interval("QRS", marks, beats, leads, 3, 5) if have_qrs else Measurement("QRS", None, "ms", reason=no_qrs)
    )
    if not have_qrs or not t.present:
        why = no_qrs if not have_qrs else t.reason
        return (
            *values,
            *(Measurement(name, None, "ms", reason=why) for name in ("QT", "QTc Bazett", "QTc Fridericia")),
        )
    qt = _interval("QT", marks, beats, leads, 3, 8)
    values.append(Measurement("QT", qt.value, "ms", qt.spread, qt.between_leads, t.reason))
    for name, power in (("QTc Bazett", 0.5), ("QTc Fridericia", 1 / 3)):
        if rr.value is None or qt.value is None:
            values.append(Measurement(name, None, "ms", reason=rr.reason))
            continue
        factor = (rr.value / 1000) ** -power
        scaled = [None if x is None else x * factor for x in (qt.value, qt.spread, qt.between_leads)]
        why = "the RR interval is irregular" if rr.reason else t.reason
        values.append(Measurement(name, scaled[0], "ms", scaled[1], scaled[2], why))
    return tuple(values)


def _no_pr(marks: GlobalMarks, beats: Beats, found: Delineation, leads: list[int], p: Presence) -> str:
    """Why there is no PR interval; empty where there is one."""
    further = further_p_waves(found, leads, beats)
    between = max(len(beats.times) - 1, 1)
    if len(further) >= max(MORE_P * between, 1) and (len(further) > 1 or between < 3):
        return f"more P waves than beats ({len(further)} in {between} intervals between beats lead to none)"
    if not p.present:
        return p.reason
    each = (marks.per_beat[:, 3] - marks.per_beat[:, 0])[beats.dominant]
    each = each[np.isfinite(each)]
    if len(each) >= 4 and float(np.std(each, ddof=1)) > TIED:
        low, high = 1000 * float(each.min()), 1000 * float(each.max())
        return f"P waves are not tied to the QRS: {low:.0f} to {high:.0f} ms before it"
    return ""
