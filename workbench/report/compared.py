"""The table of a report that says which classes were compared with which."""

from __future__ import annotations

from workbench.core.class_match import Compared
from workbench.report import html


def compared_parts(compared: Compared) -> list[html.Part]:
    """Per class of the weights its reference and why, and what nobody compared."""
    head = ("class of the weights", "value", "reference class (value)", "why", "cases")
    rows = [(r["class"], r["value"], r["reference"] or "none", r["why"], r["cases"]) for r in compared.rows()]
    parts: list[html.Part] = [html.Table(head, rows, digits=0)]
    if compared.unknown:
        names = ", ".join(f"{n} ({count} case(s))" for n, count in compared.unknown.items())
        parts.append(html.Text(f"Reference classes that the weights do not know, in no score: {names}.", "warning"))
    return parts
