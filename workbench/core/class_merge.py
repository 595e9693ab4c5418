"""Which classes to learn, and how the values of each label file become theirs. No torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError, UsageError
from workbench.core.layers import count_labels, map_labels
from workbench.core.types import Labels


@dataclass(frozen=True)
class ClassMerge:
    """Class names in order, each with the values (ints), ranges (pairs) and name patterns (text) that it gathers."""

    rules: tuple[tuple[str, tuple[int | tuple[int, int] | str, ...]], ...]

    @classmethod
    def parse(cls, text: str) -> ClassMerge:
        """Read ``liver:5,kidneys:2+3,vertebrae:26-50,ribs:rib_*`` or a JSON file ``{"liver": [5], ...}``."""
        if text.strip().endswith(".json"):
            path = Path(text.strip()).expanduser()
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                pairs = [
                    (str(k), [str(v) for v in (vs if isinstance(vs, list) else [vs])]) for k, vs in content.items()
                ]
            except (OSError, ValueError, AttributeError) as error:
                raise UsageError(f"{path}: expected a JSON object of class name -> values ({error})") from error
        else:
            pairs = []
            for item in filter(None, (part.strip() for part in text.split(","))):
                name, colon, values = item.partition(":")
                if not colon or not name.strip() or not values.strip():
                    raise UsageError(f"classes: '{item}' is not NAME:VALUES, e.g. 'kidneys:2+3'")
                pairs.append((name.strip(), values.split("+")))
        names = [name for name, _ in pairs]
        if not names or len(set(names)) != len(names):
            raise UsageError(f"classes: expected different names, got {names}")
        return cls(tuple((name, tuple(_source(v.strip()) for v in values)) for name, values in pairs))

    @classmethod
    def keep(cls, maps: Iterable[Labels]) -> ClassMerge:
        """The classes that occur in these label maps, by name, in order of their lowest value.

        A header may name a hundred classes of which the map shows five; only those that it shows are kept.
        """
        lowest: dict[str, int] = {}
        for labels in maps:
            present = set(count_labels(labels.data))
            for c in labels.classes:
                if c.value in present:
                    lowest[c.name] = min(c.value, lowest.get(c.name, c.value))
        if not lowest:
            raise InputError("no label file holds a class: every voxel is 0. Give label maps with classes above 0.")
        return cls(tuple((name, (_literal(name),)) for name in sorted(lowest, key=lambda n: (lowest[n], n))))

    def renamed(self, names: Mapping[str, str]) -> ClassMerge:
        """The same sources under other names, where `names` gives one."""
        return ClassMerge(tuple((names.get(name, name), sources) for name, sources in self.rules))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.rules)

    def table(self, like: ClassTable | None = None) -> ClassTable:
        """The classes numbered from 1; colours are those of equal names in `like`."""
        colors = {c.name: c.color for c in like} if like else {}
        made = ClassTable.from_names(self.names)
        return ClassTable(tuple(ClassInfo(c.value, c.name, colors.get(c.name, c.color)) for c in made))

    def values_in(self, classes: ClassTable) -> dict[int, int]:
        """Value in a file with these classes -> value to learn (from 1). A later rule wins over an earlier one."""
        found: dict[int, int] = {}
        for number, (_, sources) in enumerate(self.rules, start=1):
            for s in sources:
                if isinstance(s, int):
                    found[s] = number
                elif isinstance(s, tuple):
                    found |= dict.fromkeys(range(s[0], s[1] + 1), number)
                else:
                    found |= {c.value: number for c in classes if fnmatchcase(c.name, s)}
        return found

    def apply(self, labels: Labels) -> npt.NDArray[np.uint8]:
        """The label map with the values to learn, 0 where none applies."""
        if len(self.rules) > 255:
            raise UsageError(f"classes: {len(self.rules)} classes, at most 255 can be learnt")
        return np.asarray(map_labels(labels.data, self.values_in(labels.classes), np.uint8), np.uint8)


def _source(text: str) -> int | tuple[int, int] | str:
    if text.isdigit():
        return int(text)
    pair = re.fullmatch(r"(\d+)-(\d+)", text)
    return (int(pair[1]), int(pair[2])) if pair else text


def _literal(name: str) -> str:
    """A pattern that matches this name only."""
    return re.sub(r"([\[*?])", r"[\1]", name)


def require_present(counts: Mapping[str, int], where: str) -> None:
    """Refuse to learn classes that no case shows: the usual cause is a wrong value or name."""
    absent = [name for name, voxels in counts.items() if voxels == 0]
    if absent:
        raise InputError(f"{where}: no voxel of {', '.join(absent)}; check the values or names given in 'classes'")
