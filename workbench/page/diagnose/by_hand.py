"""What a person holds a page for, kept with its lines: it is saved, restored and read again with them."""

from __future__ import annotations

from dataclasses import replace

from workbench.core.lines import Lines
from workbench.core.types import Result

BY_PERSON = "diagnosis by hand"
"""Of `Lines.about` and of the details of a provenance."""
LONGEST = 200
_NOTE = "diagnosis by a person:"


def opinion_of(lines: Lines | None) -> str:
    """What a person wrote, or ""."""
    found = None if lines is None else lines.about.get(BY_PERSON)
    return found.strip()[:LONGEST] if isinstance(found, str) else ""


def with_opinion(result: Result, key: str) -> Result:
    """The result, with what its lines say that a person holds it for in its notes and details."""
    lines = result.parts.get(key)
    said = opinion_of(lines if isinstance(lines, Lines) else None)
    before = str(result.provenance.details.get(BY_PERSON, ""))
    if said == before:
        return result
    notes = tuple(n for n in result.provenance.notes if not n.startswith(_NOTE))
    details = {k: v for k, v in result.provenance.details.items() if k != BY_PERSON}
    if said:
        notes, details = (*notes, f"{_NOTE} {said}"), {**details, BY_PERSON: said}
    return replace(result, provenance=replace(result.provenance, notes=notes, details=details))
