"""Leads as the network of leads takes them: always prepared in the same way, whatever they come from."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.signals import Signals
from workbench.page.leads import STANDARD
from workbench.page.net.lead_net import RATE, SECONDS
from workbench.page.runs import runs

Floats = npt.NDArray[np.floating[Any]]

MOST = 4.0
"""Millivolts at which values are cut off."""
_SHORTEST = 0.2
"""Seconds below which what was seen of a lead between two gaps is left out."""
RECIPE = {"sampling rate [Hz]": RATE, "seconds": SECONDS, "baseline": "median of each lead", "cut off [mV]": MOST}
"""What is done to leads, as it stands in the record of weights."""


def lead_array(signals: Signals) -> npt.NDArray[np.float32]:
    """The twelve leads of a page or a record, ``(12, 1250)`` float32, mV at 125 Hz, NaN where nothing was seen.

    Of a lead with a strip the one of which more was seen is taken. Each is filtered against aliases, its median is
    taken away, and values beyond `MOST` are cut off. Of a longer record the first ten seconds count.

    Parameters
    ----------
    signals
        Leads in mV, NaN in gaps; channels that are none of the twelve standard leads are left out.
    """
    count = round(RATE * SECONDS)
    out = np.full((len(STANDARD), count), np.nan, np.float32)
    for n, lead in enumerate(STANDARD):
        named = list(zip(signals.channels, signals.data, strict=True))
        own = [row for name, row in named if name in (lead, f"{lead} strip")]
        own += [-row for name, row in named if name in (f"-{lead}", f"-{lead} strip")]
        if not own:
            continue
        best = max(own, key=lambda row: int(np.isfinite(row).sum()))
        found = _resampled(np.asarray(best, float), signals.sampling_rate)[:count]
        good = np.isfinite(found)
        if good.any():
            out[n, : len(found)] = np.clip(found - np.median(found[good]), -MOST, MOST)
    return out


def _resampled(values: Floats, rate: float) -> Floats:
    """At `RATE`, each piece without gaps by itself."""
    from scipy.signal import resample_poly

    ratio = Fraction(RATE / rate).limit_denominator(4000)
    out = np.full(int(np.ceil(len(values) * RATE / rate)), np.nan)
    for a, b in runs(np.isfinite(values)):
        if (b - a) / rate < _SHORTEST:
            continue
        piece = resample_poly(values[a:b], ratio.numerator, ratio.denominator, padtype="line")
        first = round(a / rate * RATE)
        last = min(first + len(piece), len(out))
        out[first:last] = piece[: last - first]
    return out
