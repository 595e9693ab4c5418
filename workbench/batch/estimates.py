"""How much memory and time cases will take, before any is computed: for ``--dry-run``.

Memory is what the backend says from headers. Time is what cases of this backend took on this machine before, per
sample of their images; the first run knows nothing of it.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from workbench.batch.case import samples_of
from workbench.batch.outcome import Outcome
from workbench.core import memory, registry, settings
from workbench.core.atomic import write_text
from workbench.core.errors import UsageError, one_line
from workbench.core.home import timings_file
from workbench.core.registry import Backend
from workbench.core.types import Case

_KEPT = 50
"""How many cases are remembered of each way to compute."""


@dataclass
class Estimates:
    """What is expected of cases."""

    cases: dict[str, dict[str, str]] = field(default_factory=dict)
    seconds: float = 0.0
    timed: int = 0
    largest: tuple[int, str] = (0, "")
    problem: str = ""

    def of(self, case: Case) -> dict[str, str]:
        """Two columns for a case: memory and time."""
        return self.cases.get(case.id, {})

    def lines(self, processes: int = 1) -> list[str]:
        """The whole in words, for so many processes at once."""
        found = [f"note: memory is not estimated: {self.problem}"] if self.problem else []
        size, case = self.largest
        if case:
            there = memory.available()
            found.append(
                f"note: the largest case, {case}, needs about {memory.size(size)} of memory; {memory.size(there.bytes)}"
                f" is there ({there.limit})"
            )
        if self.timed:
            at_once = max(1, min(processes, self.timed))
            how = f"{at_once} at a time" if at_once > 1 else "one after the other"
            found.append(
                f"note: about {_duration(self.seconds / at_once)} for {self.timed} case(s), {how}, going by what"
                " others took on this machine"
            )
        else:
            found.append("note: how long it takes is known after the first run with these weights on this machine")
        return found


def estimates(backend: Backend, config: Any, cases: Sequence[Case], threads: int) -> Estimates:
    """What cases will take; one that cannot be opened says nothing here."""
    from workbench.data.cases import open_case, settled

    told = Estimates()
    need = getattr(backend.load_module(), "need", None)
    model = None
    try:
        model = registry.load(backend, config) if need is not None else None
    except Exception as error:  # said when it is run; here the cases are what was asked for
        told.problem = one_line(error)
    weights = registry.weights_of(model)
    per_sample = _known().get(_key(backend.name, config, None if weights is None else weights.sha256, threads), [])
    for case in cases:
        with suppress(Exception):  # whatever a damaged file makes of it, it is said when it is run
            image = open_case(*settled([case], backend))
            row = told.cases[case.id] = {}
            if need is not None and not told.problem:
                size = need(model, image, config).total
                row["memory"] = memory.size(size)
                told.largest = max(told.largest, (size, case.id))
            if per_sample:
                seconds = statistics.median(per_sample) * samples_of(image)
                row["time"] = f"{seconds:.1f} s"
                told.seconds += seconds
                told.timed += 1
    return told


def remember(backend: str, config: Any, weights_sha256: str | None, threads: int, outcomes: Iterable[Outcome]) -> None:
    """Keep how long cases took, for estimates to come."""
    new = [o.seconds / o.samples for o in outcomes if o.status == "done" and o.samples and o.seconds > 0]
    if not new:
        return
    known = _known()
    key = _key(backend, config, weights_sha256, threads)
    known[key] = [*known.get(key, []), *new[-_KEPT:]][-_KEPT:]
    with suppress(OSError, UsageError):  # nothing depends on it
        write_text(timings_file(), json.dumps(known))


def _key(backend: str, config: Any, weights_sha256: str | None, threads: int) -> str:
    values: Mapping[str, Any] = settings.as_dict(config)
    told = {k: v for k, v in sorted(values.items()) if k not in ("weights", "force")}
    return json.dumps([backend, weights_sha256, threads, told], default=str)


def _known() -> dict[str, list[float]]:
    try:
        found = json.loads(timings_file().read_text(encoding="utf-8"))
        return {str(k): [float(x) for x in v] for k, v in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 120 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
