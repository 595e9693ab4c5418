"""How leads are arranged on paper: rows of short pieces, and long strips below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from workbench.core.errors import UsageError, nearest
from workbench.page.leads import CABRERA, CHEST, LIMB, STANDARD

PAGE_SECONDS = 10.0
"""How long a whole row usually is."""


@dataclass(frozen=True)
class Cell:
    """A piece of one lead: `row` from the top, `column` of the `columns` of its row; strips have one column."""

    lead: str
    row: int
    column: int
    columns: int
    is_strip: bool = False

    def times(self, seconds: float) -> tuple[float, float]:
        """Start and end [s] where a row shows `seconds` and its columns follow each other in time."""
        width = seconds / self.columns
        return self.column * width, (self.column + 1) * width


@dataclass(frozen=True)
class Layout:
    """An arrangement of leads.

    Parameters
    ----------
    name
        As people say it: ``"3x4+1"`` has three rows of four pieces and one strip.
    rows
        Leads of each row, left to right.
    strips
        Leads that are drawn over the whole width below the rows.
    """

    name: str
    rows: tuple[tuple[str, ...], ...]
    strips: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        leads = [lead for row in self.rows for lead in row]
        if len(set(leads)) != len(leads):
            raise ValueError(f"layout {self.name} holds a lead twice: {leads}")
        if len({len(row) for row in self.rows}) != 1:
            raise ValueError(f"layout {self.name} has rows of unequal numbers of leads")

    @property
    def columns(self) -> int:
        """Pieces in a row."""
        return len(self.rows[0])

    @property
    def n_rows(self) -> int:
        """Rows and strips."""
        return len(self.rows) + len(self.strips)

    @property
    def leads(self) -> tuple[str, ...]:
        """The leads of the rows, in the standard order as far as they have one; aVR for a -aVR that is drawn."""
        found = [lead.lstrip("-") for row in self.rows for lead in row]
        return tuple(sorted(found, key=lambda n: STANDARD.index(n) if n in STANDARD else len(STANDARD)))

    def cells(self) -> Iterator[Cell]:
        """All pieces, row by row; strips last."""
        for r, row in enumerate(self.rows):
            for c, lead in enumerate(row):
                yield Cell(lead, r, c, len(row))
        for s, lead in enumerate(self.strips):
            yield Cell(lead, len(self.rows) + s, 0, 1, is_strip=True)

    def with_strips(self, *strips: str) -> Layout:
        """The same rows with other strips below."""
        ending = " Cabrera" if self.name.endswith(" Cabrera") else ""
        base = self.name.removesuffix(ending).split("+")[0]
        return Layout((f"{base}+{len(strips)}" if strips else base) + ending, self.rows, strips)


def _by_columns(leads: tuple[str, ...], n_rows: int) -> tuple[tuple[str, ...], ...]:
    """Rows, where the leads follow each other down the columns."""
    return tuple(leads[r::n_rows] for r in range(n_rows))


@cache
def layouts() -> dict[str, Layout]:
    """All arrangements that are known, by name; those in Cabrera order end in ``" Cabrera"``.

    ``3x4`` (+1, +2, +3 strips), ``6x2`` (+1), ``12x1``, ``3x1``, ``6x1``, ``chest 6x1``, ``chest 3x2``, and ``3x5``
    with V4R, V8 and V9. Each holds every one of its leads once.
    """
    found: dict[str, Layout] = {}
    for order, ending in ((LIMB, ""), (CABRERA, " Cabrera")):
        twelve = (*order, *CHEST)
        four, two = _by_columns(twelve, 3), _by_columns(twelve, 6)
        for layout in (
            Layout("3x4", four),
            Layout("3x4+1", four, ("II",)),
            Layout("3x4+2", four, ("II", "V1")),
            Layout("3x4+3", four, ("V1", "II", "V5")),
            Layout("6x2", two),
            Layout("6x2+1", two, ("II",)),
            Layout("12x1", _by_columns(twelve, 12)),
            Layout("6x1", _by_columns(order, 6)),
        ):
            found[layout.name + ending] = Layout(layout.name + ending, layout.rows, layout.strips)
    fifteen = (*LIMB, *CHEST, "V4R", "V8", "V9")
    found["3x5"] = Layout("3x5", _by_columns(fifteen, 3))
    found["3x1"] = Layout("3x1", _by_columns(LIMB[:3], 3))
    found["chest 6x1"] = Layout("chest 6x1", _by_columns(CHEST, 6))
    found["chest 3x2"] = Layout("chest 3x2", _by_columns(CHEST, 3))
    return found


def of_rows(count: int) -> tuple[Layout, ...]:
    """Layouts of whole pages with so many rows, strips added or left out as the count wants."""
    return _with_count(layouts().values(), count)


def parts_of_rows(count: int) -> tuple[Layout, ...]:
    """The same of parts, with one strip at most: rows that follow each other in a page of 3x4 or 6x2, or a half."""
    return tuple(one for one in _with_count(_parts().values(), count) if len(one.strips) < 2)


def known_layouts() -> tuple[str, ...]:
    """All names that a person may give: every layout, whole or in part, with up to three strips."""
    return tuple(sorted({one.name for count in range(1, 16) for one in (*of_rows(count), *parts_of_rows(count))}))


def layout_named(name: str) -> Layout | None:
    """The layout of that name among `known_layouts`."""
    every = (one for count in range(1, 16) for one in (*of_rows(count), *parts_of_rows(count)))
    return next((one for one in every if one.name == name), None)


def require_layout(name: str) -> None:
    """Refuse a name that no layout has; no name at all is fine.

    Raises
    ------
    UsageError
        With the nearest name.
    """
    if name and name not in known_layouts():
        raise UsageError(f"no layout '{name}'.{nearest(name, known_layouts())}")


def _with_count(bases: Iterable[Layout], count: int) -> tuple[Layout, ...]:
    found: dict[str, Layout] = {}
    for layout in bases:
        base = layout.with_strips()
        extra = count - len(base.rows)
        if 0 <= extra <= 3 and (extra == 0 or base.columns > 1):
            strips = {0: (), 1: ("II",), 2: ("II", "V1"), 3: ("V1", "II", "V5")}[extra]
            own = layout.with_strips(*strips)
            found[own.name] = own
    return tuple(found.values())


@cache
def _parts() -> dict[str, Layout]:
    """Rows that are left where a page was cut: ``"3x4 rows 2-3"``, ``"6x2 row 1"``, ``"limb 3x2"``."""
    found = {"limb 3x2": Layout("limb 3x2", _by_columns(LIMB, 3))}
    for whole in ("3x4", "6x2"):
        for ending in ("", " Cabrera"):
            rows = layouts()[whole + ending].rows
            for first in range(len(rows)):
                for last in range(first, len(rows)):
                    if last - first + 1 == len(rows):
                        continue
                    which = f"row {first + 1}" if first == last else f"rows {first + 1}-{last + 1}"
                    name = f"{whole} {which}{ending}"
                    found[name] = Layout(name, rows[first : last + 1])
    return found
