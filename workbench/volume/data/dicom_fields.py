"""Attributes of a DICOM data set: each is there, is missing, or is one line that names its tag and its value.

pydicom parses a value when it is looked at, and says in many ways what is wrong with it; nobody else looks.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, reason
from workbench.data.header_text import shortened
from workbench.volume.data.dicom_damage import kinds

_MOST = 2**31 - 1


@cache
def tag_of(name: str) -> Any:
    """The tag of an attribute, looked up once: pydicom takes names as well, and parses them each time."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import Tag

    number = tag_for_keyword(name)
    assert number is not None, name
    return Tag(number)


class Fields:
    """The attributes of a data set, or of an item of a sequence in it.

    Parameters
    ----------
    file
        Named in errors.
    dataset
        As pydicom gives it.
    """

    def __init__(self, file: Path, dataset: Any) -> None:
        self.file, self._dataset = file, dataset
        self._known: dict[str, Any] = {}

    def value(self, name: str, expected: str = "a readable value") -> Any:
        """The value of an attribute, ``None`` where it is missing or empty."""
        if name in self._known:  # many are asked for again and again, in thousands of files
            return self._known[name]
        found = self._known[name] = self._value(name, expected)
        return found

    def _value(self, name: str, expected: str) -> Any:
        tag = tag_of(name)
        try:
            # Not by its name: pydicom takes an AttributeError while it parses for an attribute that is missing.
            if tag not in self._dataset:
                return None
            value = self._dataset[tag].value
        except kinds() as error:
            raise self.broken(name, expected, reason(error, 80)) from error
        return None if value is None or (hasattr(value, "__len__") and not len(value)) else value

    def count(self, name: str, default: int | None = None, *, low: int = 1, high: int = _MOST) -> int:
        """A whole number within its bounds; `default` where it is missing or empty."""
        value = self.value(name, f"a whole number from {low} to {high}")
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or not low <= value <= high:
            raise self.broken(name, f"a whole number from {low} to {high}")
        return int(value)

    def numbers(self, name: str, count: int, error: type[InputError] = InputError) -> tuple[float, ...] | None:
        """So many finite numbers, or ``None`` where the attribute is missing or empty."""
        expected = f"{count} finite number(s)"
        value = self.value(name, expected)
        if value is None:
            return None
        try:
            numbers = tuple(float(v) for v in many(value))
        except (TypeError, ValueError, OverflowError) as raised:
            raise self.broken(name, expected, error=error) from raised
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            raise self.broken(name, expected, error=error)
        return numbers

    def text(self, name: str) -> str:
        """One line of text, empty where the attribute is missing."""
        value = self.value(name, "text")
        return "" if value is None else "".join(str(value).splitlines()).strip()

    def items(self, name: str) -> list[Fields]:
        """The items of a sequence, none where it is missing."""
        found = self.value(name, "a sequence")
        if found is None:
            return []
        items = many(found)
        if not all(hasattr(item, "private_block") for item in items):
            raise self.broken(name, "a sequence")
        return [Fields(self.file, item) for item in items]

    def item(self, name: str) -> Fields | None:
        """The first item of a sequence, ``None`` where there is none."""
        items = self.items(name)
        return items[0] if items else None

    def has(self, name: str) -> bool:
        """Whether the attribute is there and not empty, whatever it holds."""
        try:
            return self.value(name) is not None
        except InputError:
            return tag_of(name) in self._dataset

    def shown(self, name: str) -> Any:
        """A plain value for people, ``None`` where it is missing or cannot be read: nothing is computed from it."""
        try:
            value = self.value(name)
        except InputError:
            return None
        if value is None or isinstance(value, str):
            return None if value is None else str(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(value)
        return int(value) if isinstance(value, int) else [str(v) for v in many(value)]

    def private(self, group: int, creator: str, element: int) -> Any:
        """The value of a private element, ``None`` where its creator has no block or the element is missing."""
        try:
            block = self._dataset.private_block(group, creator)
            return block[element].value
        except KeyError:
            return None
        except kinds() as error:
            raise InputError(
                f"{self.file}: the private element ({group:04x},xx{element:02x}) of {creator} cannot be read"
                f" ({reason(error, 80)}). The file is damaged: copy or export it again."
            ) from error

    def broken(self, name: str, expected: str, why: str = "", error: type[InputError] = InputError) -> InputError:
        """The line for an attribute that is not what it must be."""
        tag = tag_of(name)
        found = "missing or empty"
        if tag in self._dataset:
            try:
                with_value = getattr(self._dataset.get_item(tag), "value", None)
            except kinds():  # of a type that nobody knows, within a sequence
                with_value = "unreadable"
            if with_value is not None and (not hasattr(with_value, "__len__") or len(with_value)):
                found = _spelled(with_value)
        because = f" ({why})" if why else ""
        return error(
            f"{self.file}: {name} ({tag >> 16:04x},{tag & 0xFFFF:04x}) is {found}{because}, expected {expected}. The"
            " header is damaged: copy or export it again."
        )


def many(value: Any) -> list[Any]:
    """One value or several, as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, (str, bytes, int, float)) or not hasattr(value, "__iter__") else list(value)


def _spelled(value: Any) -> str:
    if isinstance(value, bytes):
        return shortened(value[:200].decode("latin-1").strip(" \0"))
    if isinstance(value, (str, int, float)):
        return shortened(str(value)) if isinstance(value, str) else str(value)
    return " ".join(shortened(str(many(value)[:10])).split())
