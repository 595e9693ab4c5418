"""What two networks say of a page, whether they agree, and when nothing is said at all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from workbench.core.types import Result, Scores
from workbench.page.net.lead_net import RATE

Floats = npt.NDArray[np.float64]

COLUMNS = ("diagnosis", "image", "signal", "together")
SURE = 0.6
"""Probability from which a diagnosis is said."""
_SEEN, _LEAST_LEADS = 0.5, 10
"""Share of a lead that must be seen, and leads of which that much must be seen, for the opinion on leads."""
_SHORTEST, _FLAT = 2.0, 0.01
"""Seconds of a lead, and millivolts between its highest and lowest value, below which it does not count as seen."""
_LEAST = 1e-6
"""Probabilities below this count as this where they are pooled."""
_NORMAL = re.compile(r"(normal|norm|healthy)\b", re.IGNORECASE)
"""How a class begins that is none: also the folder ``Normal Person ECG Images (284x12=3408)``."""
_NORMAL_RATES = (50.0, 110.0)
"""Heart rates [1/min] with which "normal" goes."""
WORDS = {"image": "the picture of the page", "signal": "the digitised leads"}


@dataclass(frozen=True, eq=False)
class Opinion:
    """What one network says.

    Parameters
    ----------
    path
        ``"image"`` or ``"signal"``.
    odds
        ``(classes,)`` calibrated probabilities, 1 in sum.
    away
        How far the page is from what taught the network; above 1 is unlike all of it. ``nan`` where weights do not say.
    """

    path: str
    odds: Floats
    away: float = float("nan")

    @property
    def first(self) -> int:
        """Number of the class that is likeliest."""
        return int(self.odds.argmax())


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Two opinions, one, or none, and what may be said.

    Parameters
    ----------
    classes
        Their names.
    opinions
        By path; those that count.
    left_out
        By path, why an opinion does not count, or was not asked.
    said
        The class that both hold for likeliest, or "" where nothing is said.
    reason
        Why nothing is said, or what it rests on.
    asked
        Opinions that were given and do not count.
    pool
        Temperature of both together; see `pooled`.
    """

    classes: tuple[str, ...]
    opinions: Mapping[str, Opinion]
    left_out: Mapping[str, str]
    said: str
    reason: str
    asked: Mapping[str, Opinion] = field(default_factory=dict)
    pool: float = 1.0

    @property
    def together(self) -> Floats | None:
        """Probabilities by the opinions that count; ``None`` where none does."""
        return pooled([o.odds for o in self.opinions.values()], self.pool) if self.opinions else None

    def table(self) -> Scores:
        """A row for each class, likeliest first; opinions that do not count are empty."""
        both = self.together
        order = range(len(self.classes)) if both is None else np.argsort(-both, kind="stable")
        rows = tuple(
            (
                self.classes[k],
                *(_rounded(self.opinions[p].odds[k]) if p in self.opinions else None for p in ("image", "signal")),
                None if both is None else _rounded(both[k]),
            )
            for k in order
        )
        return Scores(COLUMNS, rows, "diagnosis")

    def sentence(self) -> str:
        """One line for people."""
        return f"diagnosis: {self.said} ({self.reason})" if self.said else f"no diagnosis is said: {self.reason}"


def normal_of(classes: Sequence[str]) -> int | None:
    """Number of the class of those who have nothing, where there is one."""
    return next((n for n, name in enumerate(classes) if _NORMAL.match(name)), None)


def pooled(odds: Sequence[Floats], temperature: float = 1.0) -> Floats:
    """Probabilities by several opinions: the mean of their logarithms (a logarithmic pool: Genest and Zidek 1986,
    doi:10.1214/ss/1177013825), divided by a temperature; a single opinion stays as it is.

    Parameters
    ----------
    odds
        Of each ``(..., classes)``, 1 in sum.
    temperature
        1 for opinions that err together; 1/2 for two that err by themselves. Trainings fit it to pages apart.
    """
    if len(odds) == 1:
        return odds[0]
    return np.asarray(softmax(mean_log(odds) / temperature, axis=-1))


def mean_log(odds: Sequence[Floats]) -> Floats:
    """What `pooled` divides by its temperature."""
    return np.asarray(np.mean([np.log(np.maximum(one, _LEAST)) for one in odds], axis=0))


def weigh(
    classes: Sequence[str], asked: Mapping[str, Opinion], left_out: Mapping[str, str], rate: float | None = None,
    pool: float = 1.0, needed: Sequence[str] = (),
) -> Diagnosis:  # fmt: skip
    """From what was asked to what is said.

    Parameters
    ----------
    asked
        Opinions by path.
    left_out
        By path, why no opinion was asked.
    rate
        Heart rate as it was measured [1/min], where it could be.
    pool
        Temperature of both together; see `pooled`.
    needed
        Paths without whose opinion nothing is said; an opinion that was asked and does not count is always one.
    """
    why = dict(left_out)
    counts = {}
    for path, opinion in asked.items():
        if not np.isfinite(opinion.odds).all():
            why[path] = "it gives no numbers"
        elif opinion.away > 1:
            why[path] = f"it is unlike everything that taught the network ({opinion.away:.1f} times as far as usual)"
        else:
            counts[path] = opinion
    names = tuple(classes)

    def answer(said: str, reason: str) -> Diagnosis:
        return Diagnosis(names, counts, why, said, reason, {p: o for p, o in asked.items() if p not in counts}, pool)

    refused = [p for p in why if p in asked or p in needed]
    if not counts or refused:
        reasons = why if not counts else {p: why[p] for p in refused}
        return answer("", "; ".join(f"{WORDS[p]}: {text}" for p, text in reasons.items()) or "nothing could be asked")
    firsts = {p: names[o.first] for p, o in counts.items()}
    if len(set(firsts.values())) > 1:
        told = ", ".join(f"{WORDS[p]} {firsts[p]} ({o.odds.max():.0%})" for p, o in counts.items())
        return answer("", f"the two opinions differ: {told}")
    both = pooled([o.odds for o in counts.values()], pool)
    first, odds = names[int(both.argmax())], float(both.max())
    if not odds >= SURE:
        return answer("", f"the likeliest, {first}, has a probability of {odds:.0%}; {SURE:.0%} are asked for")
    if _NORMAL.match(first) and rate is None:
        return answer("", f"{first} ({odds:.0%}), and no heart rate could be measured")
    if _NORMAL.match(first) and rate is not None and not _NORMAL_RATES[0] <= rate <= _NORMAL_RATES[1]:
        return answer("", f"{first} ({odds:.0%}) does not go with the measured heart rate of {rate:.0f}/min")
    alone = [f"by {WORDS[p]} alone; {WORDS[q]}: {why[q]}" for p in counts for q in why if len(counts) == 1]
    return answer(first, f"{odds:.0%}, {alone[0] if alone else 'both opinions agree'}")


def too_little(leads: npt.NDArray[np.floating[Any]], names: Sequence[str], shares: Mapping[str, float]) -> str:
    """Why leads are not enough for an opinion, or "".

    Parameters
    ----------
    leads
        As `workbench.page.diagnose.leads.lead_array` makes them.
    names
        The leads in their order.
    shares
        Lead -> the share of its length on the page that was seen.
    """
    there = {name for name, row in zip(names, leads, strict=True) if np.isfinite(row).any()}
    long = {n for n, row in zip(names, leads, strict=True) if np.isfinite(row).sum() >= _SHORTEST * RATE}
    flat = {n for n, row in zip(names, leads, strict=True) if n in there and np.nanmax(row) - np.nanmin(row) < _FLAT}
    good = [name for name in there & long - flat if shares.get(name, 1.0) >= _SEEN]
    if flat and len(good) < _LEAST_LEADS:
        return f"{len(flat)} lead(s) are flat ({', '.join(sorted(flat, key=list(names).index)[:3])})"
    if len(good) >= _LEAST_LEADS:
        return ""
    return f"{len(good)} of 12 leads are seen in half of their length or more; {_LEAST_LEADS} are asked for"


def seen_of(result: Result) -> dict[str, float]:
    """Lead -> the share of its length that was seen, on its short piece or its strip; empty for records."""
    table = result.parts.get("coverage")
    out: dict[str, float] = {}
    for row in table.as_dicts() if isinstance(table, Scores) else []:
        lead = str(row["lead"]).removesuffix(" strip")
        out[lead] = max(float(row["coverage"]), out.get(lead, 0.0))
    return out


def _rounded(value: float) -> float:
    return round(float(value), 4)
