"""What is measured in leads, as a table of a result."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.core.signals import Signals
from workbench.core.types import Scores

if TYPE_CHECKING:
    from workbench.page.measure import Measurements

COLUMNS = ("measurement", "value", "unit", "spread between beats", "spread between leads", "reason")


def measurements(leads: Signals, source: str) -> Measurements:
    """All measurements; a strip counts as its lead."""
    from workbench.page.measure import measure

    names = tuple(name.removesuffix(" strip") for name in leads.channels)
    return measure(replace(leads, channels=names, name=source))


def measured(leads: Signals, source: str) -> tuple[Scores, list[str]]:
    """The table of them, and what is to be known of it."""
    found = measurements(leads, source)
    rows = tuple(
        (m.name, _rounded(m.value), m.unit, _rounded(m.spread), _rounded(m.between_leads), m.reason) for m in found
    )
    return Scores(COLUMNS, rows, "measurements"), list(found.notes)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
