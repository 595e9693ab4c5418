"""What weights for recordings were taught on, as plain facts that travel in the weight file.

The facts are those of `workbench.recording.data.measured`, as ranges over the recordings that taught. What they mean
for a recording is said in `workbench.recording.data.compare`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np

from workbench.core.errors import WeightsError
from workbench.recording.data.measured import EDGES, LINES, Measured

Range = tuple[float, float]


@dataclass(frozen=True)
class Taught:
    """What taught some weights.

    Parameters
    ----------
    sampling_rate
        Samples per second [Hz] of what the network learnt.
    kinds
        MNE type -> number of channels, before a reduction.
    reduced
        Whether they were reduced to components.
    recordings
        How many recordings taught.
    rates
        Lowest and highest sampling rate of their files [Hz].
    spread
        Type -> lowest and highest robust deviation of a recording, in SI units.
    edges, shares
        Edges of bands [Hz], and for each the lowest, the median and the highest share of the variance; ``None`` for
        bands that were not compared.
    lines
        Lowest and highest power at 50 and 60 Hz above what is beside it [dB].
    common
        Lowest and highest share of the variance that the mean of EEG channels has.
    rank
        Lowest and highest rank.
    standardised, envelope
        Whether any of them had mean 0 and deviation 1 in the file, or did not go below zero.
    """

    sampling_rate: float
    kinds: Mapping[str, int]
    reduced: bool = False
    recordings: int = 1
    rates: Range | None = None
    spread: Mapping[str, Range] = field(default_factory=dict)
    edges: tuple[float, ...] = EDGES
    shares: tuple[tuple[float, float, float] | None, ...] = ()
    lines: tuple[Range | None, ...] = (None,) * len(LINES)
    common: Range | None = None
    rank: Range | None = None
    standardised: bool = False
    envelope: bool = False

    def typical_above(self, frequency: float) -> float | None:
        """Share of the variance that typically lies above a frequency [Hz]; ``None`` where nothing is known of it."""
        if self.edges != EDGES or not any(self.shares):
            return None
        total = 0.0
        for (low, high), share in zip(pairwise(EDGES), self.shares, strict=False):
            if share is not None and high > frequency:
                top = min(high, self.sampling_rate / 2)
                total += share[1] * min(1.0, max(0.0, (top - max(low, frequency)) / max(top - low, 1e-9)))
        return total

    def to_json(self) -> dict[str, Any]:
        """Plain values for the record of a weight file."""
        return {"kind": "recording", **_rounded(asdict(self))}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Taught | None:
        """From the record of a weight file; ``None`` where it says nothing. What later versions add is left out.

        Raises
        ------
        WeightsError
            The entry is not what a version of the workbench wrote.
        """
        found = record.get("taught")
        if not found:
            return None
        if not isinstance(found, Mapping):
            raise WeightsError(f"what it was taught on is a {type(found).__name__}, expected an object")
        try:
            values = {f.name: _READ[f.name](found[f.name]) for f in fields(cls) if f.name in found}
            return cls(**values)
        except (TypeError, ValueError, KeyError) as error:
            raise WeightsError(f"what it was taught on cannot be understood ({error}); fetch the file again") from error


def gather(found: Sequence[Measured], sampling_rate: float, *, reduced: bool = False) -> Taught:
    """The ranges over the recordings that teach some weights.

    Parameters
    ----------
    found
        One per recording, at least one.
    sampling_rate
        Of what the network learns [Hz].
    reduced
        Whether channels were reduced to components.
    """
    bands = zip(*(m.shares for m in found if m.shares), strict=True)
    kinds = sorted({k for m in found for k in m.spread})
    spread = {k: _range(m.spread.get(k) for m in found) for k in kinds}
    return Taught(
        sampling_rate=sampling_rate, kinds=dict(found[0].kinds), reduced=reduced, recordings=len(found),
        rates=_range(m.rate for m in found),
        spread={k: r for k, r in spread.items() if r is not None},
        shares=tuple(_spread_of([v for v in values if v is not None]) for values in bands),
        lines=tuple(_range(m.lines[i] for m in found) for i in range(len(LINES))),
        common=_range(m.common for m in found), rank=_range(m.rank for m in found),
        standardised=any(m.standardised for m in found), envelope=any(m.envelope for m in found),
    )  # fmt: skip


def joined(before: Taught, now: Taught) -> Taught:
    """What taught weights that go on from others: the ranges of both; shares count by their recordings."""
    shares = before.shares or now.shares
    if before.shares and now.shares and before.edges == now.edges:
        weights = before.recordings, now.recordings
        shares = tuple(
            a if b is None else b if a is None else (
                min(a[0], b[0]), float(np.average([a[1], b[1]], weights=weights)), max(a[2], b[2])
            )
            for a, b in zip(before.shares, now.shares, strict=True)
        )  # fmt: skip
    kinds = dict.fromkeys([*before.spread, *now.spread])
    spread = {k: _range([*(before.spread.get(k) or ()), *(now.spread.get(k) or ())]) for k in kinds}
    return Taught(
        sampling_rate=now.sampling_rate, kinds=before.kinds, reduced=before.reduced or now.reduced,
        recordings=before.recordings + now.recordings, rates=_union(before.rates, now.rates),
        spread={k: r for k, r in spread.items() if r is not None},
        edges=before.edges if before.shares else now.edges, shares=shares,
        lines=tuple(_union(a, b) for a, b in zip(before.lines, now.lines, strict=True)),
        common=_union(before.common, now.common), rank=_union(before.rank, now.rank),
        standardised=before.standardised or now.standardised, envelope=before.envelope or now.envelope,
    )  # fmt: skip


def _range(values: Iterable[float | None]) -> Range | None:
    known = [float(v) for v in values if v is not None and math.isfinite(v)]
    return (min(known), max(known)) if known else None


def _union(a: Range | None, b: Range | None) -> Range | None:
    return _range([*(a or ()), *(b or ())])


def _spread_of(values: list[float]) -> tuple[float, float, float] | None:
    return (min(values), float(np.median(values)), max(values)) if values else None


def _rounded(value: Any) -> Any:
    """Six digits are enough to compare with."""
    if isinstance(value, Mapping):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_rounded(v) for v in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r}, a number was expected")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r}, a number of them was expected")
    return value


def _yes(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r}, true or false was expected")
    return value


def _numbers(value: Any, count: int | None = None) -> Any:
    if not isinstance(value, list | tuple) or (count is not None and len(value) != count):
        raise ValueError(f"{value!r}, {count or 'some'} numbers were expected")
    return tuple(_number(v) for v in value)


def _maybe(value: Any, count: int) -> Any:
    return None if value is None else _numbers(value, count)


def _several(value: Any, count: int, length: int | None = None) -> Any:
    if not isinstance(value, list | tuple) or (length is not None and len(value) != length):
        raise ValueError(f"{value!r}, a list was expected")
    return tuple(_maybe(v, count) for v in value)


def _named(value: Any, read: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r}, an object was expected")
    return {str(k): read(v) for k, v in value.items()}


_READ: dict[str, Any] = {
    "sampling_rate": _number,
    "kinds": lambda v: _named(v, _count),
    "reduced": _yes,
    "recordings": _count,
    "rates": lambda v: _maybe(v, 2),
    "spread": lambda v: _named(v, lambda r: _numbers(r, 2)),
    "edges": _numbers,
    "shares": lambda v: _several(v, 3),
    "lines": lambda v: _several(v, 2, len(LINES)),
    "common": lambda v: _maybe(v, 2),
    "rank": lambda v: _maybe(v, 2),
    "standardised": _yes,
    "envelope": _yes,
}
