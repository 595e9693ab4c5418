"""Whether voltages can be those of a heart: what cannot be is refused, what is odd is said.

A gain or a unit that is wrong by a power of ten leaves no other trace. On the skin a heart gives up to some 5 mV, an
electrode by itself up to 300 mV (IEC 60601-2-25), a pacemaker's pulse up to 700 mV.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.page.data.ecg_image import listed
from workbench.page.leads import derived

MOST = 2000.0
"""Voltage [mV] that no electrode on a body has."""
LARGE, SMALL = 30.0, 0.005
"""Ranges [mV] of a lead beyond which its gain or unit is worth a look."""


def odd(path: Path, leads: Sequence[str], data: npt.NDArray[np.floating[Any]]) -> list[str]:
    """Notes on what is odd of the samples of a file.

    Parameters
    ----------
    leads
        One name for each row.
    data
        ``(leads, samples)`` [mV], NaN where there is no sample.

    Raises
    ------
    InputError
        A lead reaches a voltage that no body has.
    """
    low, high = (np.full(len(leads), np.nan) for _ in range(2))
    for n, row in enumerate(data):
        there = row[np.isfinite(row)]
        if there.size:
            low[n], high[n] = there.min(), there.max()
    top = np.nan_to_num(np.maximum(np.abs(low), np.abs(high)))
    if top.max(initial=0.0) > MOST:
        worst = int(np.argmax(top))
        raise InputError(
            f"{path}: {leads[worst]} reaches {top[worst]:.3g} mV, expected what a body has (a few mV). Its gain, its"
            " unit or its samples are wrong: correct or export the file again."
        )
    wide = high - low
    found = []
    for what, which in (
        ("hold no sample", np.isnan(wide)),
        ("are flat", wide == 0),
        (f"span less than {1000 * SMALL:g} uV, less than any heart: check gain and unit", (wide > 0) & (wide < SMALL)),
        (f"span more than {LARGE:g} mV, more than any heart: check gain and unit", wide > LARGE),
    ):
        names = [lead for lead, is_so in zip(leads, which, strict=True) if is_so]
        if names and len(names) < len(leads):
            found.append(f"{len(names)} lead(s) {what}: {listed(names)}")
        elif names:
            found.append(f"all {len(names)} lead(s) {what}")
    spans = wide[np.isfinite(wide) & (wide > 0)]
    if len(spans) >= 3 and spans.max() - spans.min() < 1e-4 * spans.max():
        return [
            f"all {len(spans)} leads span the same {spans.max():.4g} mV: each was scaled to its own range, so that"
            " these are no voltages: heights, axes and leads computed from others mean nothing",
            *found,
        ]
    return [*found, *_einthoven(leads, data)]


def _einthoven(leads: Sequence[str], data: npt.NDArray[np.floating[Any]]) -> list[str]:
    """A note where limb leads of the same moments are not what the others say (Einthoven, Goldberger)."""
    rows = {lead: data[n].astype(np.float64) for n, lead in enumerate(leads) if lead in ("I", "II", "III")}
    if not {"I", "II"} <= set(rows):
        return []
    expected = derived({name: rows[name] for name in ("I", "II")})
    wrong = []
    for name, row in expected.items():
        if name not in leads:
            continue
        both = np.isfinite(row) & np.isfinite(data[leads.index(name)])
        if np.count_nonzero(both) < 50:
            continue
        measured = data[leads.index(name)][both].astype(np.float64)
        # Offsets do not matter: leads are coupled without them.
        difference = measured - row[both]
        apart = float(np.std(difference))
        if apart > max(0.03, 0.2 * float(np.std(measured)), 0.2 * float(np.std(row[both]))):
            wrong.append(f"{name} by {apart:.2g} mV")
    if not wrong:
        return []
    return [f"limb leads are not what I and II make of them ({listed(wrong)}): leads or gains may be mixed up"]
