"""What is measured in an electrocardiogram, in a few lines for the window. No Qt here."""

from __future__ import annotations

from typing import Any

from workbench.core.types import Result, Scores, Signals

_GROUPS = (
    ("heart rate", "RR"), ("P", "PR", "QRS"), ("QT", "QTc Bazett", "QTc Fridericia"), ("P axis", "QRS axis", "T axis"),
)  # fmt: skip
"""What stands in one line."""


def in_words(now: Result, made: Result | None = None) -> str:
    """Leads, coverage and measurements of a result; what could not be measured is said with its reason."""
    lines = []
    leads = now.parts.get("leads")
    if isinstance(leads, Signals):
        seconds = leads.data.shape[1] / leads.sampling_rate
        layout = now.provenance.details.get("layout")
        lines.append(f"{len(leads.channels)} leads, {seconds:.1f} s" + (f", layout {layout}" if layout else ""))
    lines += _low(now.parts.get("coverage"))
    table = now.parts.get("measurements")
    if isinstance(table, Scores):
        rows = table.as_dicts()
        known = [row for row in rows if row["value"] is not None]
        groups = [[row for row in known if row["measurement"] in names] for names in _GROUPS]
        groups.append([row for row in known if not any(row["measurement"] in names for names in _GROUPS)])
        lines += [" · ".join(map(_one, group)) for group in groups if group]
        reasons: dict[str, list[str]] = {}
        for row in rows:
            if row["value"] is None:
                reasons.setdefault(str(row.get("reason") or ""), []).append(str(row["measurement"]))
        lines += [
            f"Not measurable: {', '.join(names)}" + (f" ({why})" if why else "") for why, names in reasons.items()
        ]
    return "\n".join(lines)


def _one(row: dict[str, Any]) -> str:
    value = row["value"]
    text = f"{value:.0f}" if isinstance(value, int | float) else str(value)
    return f"{row['measurement']} {text} {row['unit']}".strip()


def _low(table: Any) -> list[str]:
    """Leads of which much is missing."""
    if not isinstance(table, Scores):
        return []
    low = [f"{row['lead']} {100 * row['coverage']:.0f} %" for row in table.as_dicts() if row["coverage"] < 0.9]
    return [f"Seen in part only: {', '.join(low)}"] if low else []
