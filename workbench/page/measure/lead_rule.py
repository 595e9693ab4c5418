"""One border for all leads: the earliest onset and the latest offset that other leads bear out.

Intervals of an electrocardiogram go from the earliest onset to the latest offset in any lead (Kligfield et al. 2007,
doi:10.1161/CIRCULATIONAHA.106.180200; CSE Working Party 1985, Eur. Heart J. 6:815, for global
measurements). A lone outlier must not decide, so a border counts only where others lie close to it (Laguna et al. 1994,
doi:10.1006/cbmr.1994.1006).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.page.measure.beats import Beats
from workbench.page.measure.delineate import Delineation

Array = npt.NDArray[np.float64]

CLOSE = (0.016, 0.024, 0.016, 0.010, 0.020, 0.012, 0.040, 0.030, 0.024)
"""[s] How close others must lie, for the nine borders."""
ONSETS, OFFSETS = (0, 3, 6), (2, 5, 8)


def borne_out(values: Array, border: int) -> float:
    """The border of all leads for the borders of the single ones.

    Parameters
    ----------
    values
        Times [s], one per lead; NaN where a lead has none.
    border
        Which of the nine: onsets give the earliest, offsets the latest, peaks the median.

    Returns
    -------
    float
        NaN where there is none. Of two leads the outer one; of three to seven leads one that another bears out, of more
        leads one that two others do. Where none is borne out, what counts as close is doubled.
    """
    found = np.sort(values[np.isfinite(values)])
    if not len(found):
        return float("nan")
    if border not in ONSETS + OFFSETS:
        return float(np.median(found))
    if border in OFFSETS:
        found = -found[::-1]
    others = 0 if len(found) < 3 else 1 if len(found) < 8 else 2
    close = CLOSE[border]
    while True:
        for k in range(len(found) - others):
            if found[k + others] - found[k] <= close:
                return float(-found[k] if border in OFFSETS else found[k])
        close *= 2


@dataclass(frozen=True, eq=False)
class GlobalMarks:
    """Borders over all leads.

    Parameters
    ----------
    per_lead
        ``(leads, 9)`` float64 [s]: median over the dominant beats, from the moment of the beat; NaN where a lead shows
        the wave in less than half of its beats.
    dominant
        ``(9,)`` float64 [s]: of all leads together, from the moment of the beat.
    per_beat
        ``(beats, 9)`` float64 [s from the first sample]: of every beat. A dominant beat is the dominant form, moved as
        the leads that saw it are moved: which leads those are does not matter. Another beat has its own leads alone.
    """

    per_lead: Array
    dominant: Array
    per_beat: Array


def _median(values: Array) -> Array:
    """Medians over the first axis, NaN where there is nothing."""
    out = np.full(values.shape[1:], np.nan)
    some = np.isfinite(values).any(0)
    out[some] = np.nanmedian(values[:, some], axis=0)
    return out


def chosen_leads(names: tuple[str, ...], there: npt.NDArray[np.bool_]) -> list[int]:
    """Rows that count as leads: of rows with one name (lead II and its strip) the one that was seen longest."""
    seen = there.sum(1)
    best: dict[str, int] = {}
    for row, name in enumerate(names):
        if name not in best or seen[row] > seen[best[name]]:
            best[name] = row
    return sorted(row for row in best.values() if seen[row])


def global_marks(found: Delineation, beats: Beats, leads: list[int]) -> GlobalMarks:
    """Borders over the leads of these rows."""
    relative = found.marks - beats.times[None, :, None]
    which = beats.dominant
    per_lead = np.full((len(found.names), 9), np.nan)
    for lead in leads:
        rows = relative[lead, which]
        if not len(rows):
            continue
        some = np.isfinite(rows)
        seen = some[:, 3:6].any(1)  # beats that this lead saw
        enough = some.sum(0) * 2 >= max(int(seen.sum()), 1)
        per_lead[lead] = np.where(enough, _median(rows), np.nan)
    dominant = np.array([borne_out(per_lead[leads, k], k) for k in range(9)])
    per_beat = np.full((len(beats.times), 9), np.nan)
    for beat, moment in enumerate(beats.times):
        mine = relative[leads, beat]
        for k in range(9):
            if which[beat]:
                away = mine[:, k] - per_lead[leads, k]
                away = away[np.isfinite(away)]
                if len(away):
                    per_beat[beat, k] = moment + dominant[k] + float(np.median(away))
            else:
                per_beat[beat, k] = moment + borne_out(mine[:, k], k)
    return GlobalMarks(per_lead, dominant, per_beat)
