"""Which data taught some weights: remembered by content, so that a score on them is marked as one.

A weight file holds in its record (``seen``) one entry per case it learnt from, or was chosen by: its name, its group,
its role, and keys of its content. Keys are hashes of the numbers, not of files: a copy under another name, in another
folder or in another container has the same keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

BEFORE, UNKNOWN = "seen_before", "not known"
"""Entry of a record, and its value where the weights that a training started from do not say what taught them."""
Role = Literal["learnt", "chosen by"]
"""``"learnt"``: its labels or signals moved the weights; ``"chosen by"``: it decided when to stop, or which to keep."""


def content_key(*arrays: npt.NDArray[Any]) -> str:
    """32 hexadecimal digits of the shapes and values of arrays, whatever type they are stored in.

    Values are compared as float32, so that a copy as another type with the same values has the same key. One row (the
    first axis) at a time is copied.
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}".encode())
        for row in array if array.ndim > 1 else array[None]:
            plain = np.ascontiguousarray(row, dtype="<f4") + np.float32(0)  # -0 as 0
            digest.update(np.where(np.isnan(plain), np.float32(np.nan), plain).tobytes())
    return digest.hexdigest()[:32]


@dataclass(frozen=True)
class SeenCase:
    """One case that taught weights."""

    id: str
    keys: tuple[str, ...]
    role: Role = "learnt"
    group: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "group": self.group, "role": self.role, "keys": list(self.keys)}


@dataclass(frozen=True)
class Seen:
    """What weights remember of all that taught them. Empty where they do not say it (`told` is false)."""

    cases: tuple[SeenCase, ...] = ()
    told: bool = False
    _by_key: Mapping[str, SeenCase] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Seen:
        """From the record of a weight file; entries that are none are left out."""
        entries = record.get("seen")
        if not isinstance(entries, list):
            return cls()
        found = []
        for entry in entries:
            if not isinstance(entry, Mapping) or not isinstance(entry.get("keys"), list):
                continue
            role: Role = "chosen by" if entry.get("role") == "chosen by" else "learnt"
            keys = tuple(str(k) for k in entry["keys"])
            found.append(SeenCase(str(entry.get("id", "")), keys, role, str(entry.get("group", ""))))
        by_key = {k: case for case in reversed(found) for k in case.keys}
        return cls(tuple(found), record.get(BEFORE) != UNKNOWN, by_key)

    def mark(self, keys: Iterable[str], *, group: str = "") -> str:
        """How a case stands in a table of scores.

        Returns
        -------
        str
            ``"no"``: none of its content taught the weights; ``"learnt"`` or ``"chosen by"``: all of it did;
            ``"in part"``: some of its keys did; ``"same group"``: other data of its group did (a scan of the same
            patient); ``"not known"``: the weights do not say what taught them.
        """
        wanted = list(keys)
        hits = [self._by_key[k] for k in wanted if k in self._by_key]
        if not self.told and not hits:
            return "not known"
        if hits and len(hits) < len(wanted):
            return "in part"
        if hits:
            return "learnt" if any(h.role == "learnt" for h in hits) else "chosen by"
        if group and any(c.group == group for c in self.cases):
            return "same group"
        return "no"

    def holds_any(self, keys: Iterable[str]) -> bool:
        """Whether any of these keys is one of what taught the weights."""
        return any(k in self._by_key for k in keys)

    def to_json(self) -> list[dict[str, Any]]:
        return [case.to_json() for case in self.cases]


def joined(*records: Iterable[SeenCase]) -> list[dict[str, Any]]:
    """The entry ``seen`` of weights that go on from others: what taught those, and what taught these."""
    found: dict[tuple[str, tuple[str, ...], str], SeenCase] = {}
    for cases in records:
        for case in cases:
            found[case.id, case.keys, case.role] = case
    return [case.to_json() for case in found.values()]


def summary_note(marks: Mapping[str, str], what: str = "case(s)") -> str:
    """The line above a table of scores with rows that taught the weights; empty where there is nothing to say.

    Parameters
    ----------
    marks
        What `Seen.mark` said, by the name of the case.
    """
    if marks and set(marks.values()) == {"not known"}:
        return "these weights do not say what taught them: whether they have seen these data is not known"
    told = []
    for mark, words in (
        ("learnt", "taught the weights"),
        ("in part", "taught the weights in part"),
        ("chosen by", "decided which weights were kept"),
        ("same group", "are of a group that taught the weights"),
    ):
        names = [name for name, value in marks.items() if value == mark]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            told.append(f"{len(names)} of {len(marks)} {what} {words} ({', '.join(names[:3])}{more})")
    return "; ".join(told) + ": scores on them show fit, not what new data would give" if told else ""
