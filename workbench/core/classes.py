"""The classes of a label map or of objects: value, name and colour."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

RGB: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0-255."""


@dataclass(frozen=True)
class ClassInfo:
    """One class of a label map: its value in the array, its name and its colour (0-255)."""

    value: int
    name: str
    color: RGB

    @property
    def is_nameless(self) -> bool:
        """Whether it is only called after its value, or not at all: its number says all that is known of it."""
        return self.name.strip() in ("", f"class {self.value}")


# Okabe & Ito's colour-blind-safe set, then Kelly's remaining maximum-contrast colours.
_PALETTE: tuple[RGB, ...] = (
    (213, 94, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (204, 121, 167), (230, 159, 0),
    (135, 86, 146), (190, 0, 50), (132, 132, 130), (141, 182, 0), (101, 69, 34), (226, 88, 34), (43, 61, 38),
    (249, 147, 121), (96, 78, 151), (179, 68, 108), (161, 202, 241), (194, 178, 128), (136, 45, 23),
)  # fmt: skip


@dataclass(frozen=True)
class ClassTable:
    """The classes of a label map or of objects, background (0: no class) left out.

    Iterating gives `ClassInfo`; values are unique and positive.
    """

    classes: tuple[ClassInfo, ...] = ()

    def __post_init__(self) -> None:
        values = [c.value for c in self.classes]
        if len(set(values)) != len(values) or any(v <= 0 for v in values):
            raise ValueError(f"class values must be unique and positive, got {values}")

    @classmethod
    def from_names(cls, names: list[str] | tuple[str, ...]) -> ClassTable:
        """Number the names 1, 2, 3... and give each a colour of the palette."""
        return cls(tuple(ClassInfo(i + 1, n, _PALETTE[i % len(_PALETTE)]) for i, n in enumerate(names)))

    @classmethod
    def from_values(cls, values: list[int]) -> ClassTable:
        """Nameless classes: ``class 5`` for value 5, with palette colours."""
        return cls(tuple(ClassInfo(int(v), f"class {v}", _PALETTE[(int(v) - 1) % len(_PALETTE)]) for v in values))

    def unlisted(self, values: Iterable[int]) -> ClassTable:
        """``class N`` for each of the values that is positive and not in the table, in order."""
        known = {c.value for c in self.classes}
        return ClassTable.from_values(sorted({int(v) for v in values if v > 0} - known))

    @classmethod
    def from_json(cls, rows: list[dict[str, Any]]) -> ClassTable:
        """Inverse of `to_json`."""
        return cls(tuple(ClassInfo(int(r["value"]), str(r["name"]), _rgb(r["color"])) for r in rows))

    def to_json(self) -> list[dict[str, Any]]:
        return [{"value": c.value, "name": c.name, "color": list(c.color)} for c in self.classes]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.classes)

    @property
    def is_nameless(self) -> bool:
        """Whether every class is only called after its value, or not at all."""
        return all(c.is_nameless for c in self.classes)

    @property
    def is_numbered(self) -> bool:
        """Whether every class is called after a number of its file, which need not be its value (``class 0``)."""
        return all(re.fullmatch(r"class -?\d+", c.name) for c in self.classes)

    def __iter__(self) -> Iterator[ClassInfo]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)


def _rgb(values: Any) -> RGB:
    r, g, b = (int(v) for v in values)
    return (r, g, b)
