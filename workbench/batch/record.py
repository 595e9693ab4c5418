"""The completion record of a case: present and true, or the case counts as not done.

``provenance.json`` is written last and names every file with its hash. Only a record whose settings, weights, input
and files all match lets a case be skipped; the mere existence of files says nothing. Whether files are those of the
record is decided by size and times first (`quick`); where these differ, by hashes (`compare`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from workbench.core import case_folder, kinds, leftovers, settings
from workbench.core.provenance import input_hash
from workbench.core.types import Case, Image

NAME = case_folder.RECORD
State = Literal["new", "complete", "damaged", "changed", "other", "edited"]

# How a case was computed, not what: the spelling of a path, the device and the batch do not make another result.
_HOW = {"weights", "device", "batch"}

# What a list says of a case that does not change how its image is read; which series it is tells the hash of its files.
_ABOUT = {"series", "kind", "group", "split", "subject"}


READING_COLUMNS = ("allow_truncated", "regularise")
"""Columns of a list that change how an image of any kind is read; a kind names its own in its ``cases`` module."""


@dataclass(frozen=True)
class Wanted:
    """What would be computed for any case of a run.

    Parameters
    ----------
    settings
        Of the backend, as a record holds them.
    usual
        The defaults of those settings: one that did not exist when a result was made had that effect.
    format
        Of the results, as it was asked for (``"auto"``).
    files
        Hash of each file that a setting names, by the setting: the same path may hold something else by now.
    """

    backend: str
    settings: Mapping[str, Any]
    usual: Mapping[str, Any]
    weights_sha256: str | None
    format: str = "auto"
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, backend: str, config: Any, weights_sha256: str | None, format: str = "auto") -> Wanted:
        usual = {s.name: s.default for s in settings.describe(type(config)).values()}
        files = settings.file_hashes(config)
        return cls(backend, _plain(settings.as_dict(config)), _plain(usual), weights_sha256, format, files)

    def differing(self, record: Mapping[str, Any]) -> list[str]:
        """Which settings a record has otherwise, and whether it is of another backend or of other weights."""
        other = ["backend"] if record.get("backend", self.backend) != self.backend else []
        found = {**{k: v for k, v in self.usual.items() if k in self.settings}, **record.get("settings", {})}
        names = sorted({*self.settings, *found} - _HOW)
        told = [k for k in names if self.settings.get(k) != found.get(k)]
        run = record.get("run")
        held = run.get("settings_files", {}) if isinstance(run, dict) else {}
        told += [
            f"what the file of {k} holds" for k in sorted(self.files) if k not in told and held.get(k) != self.files[k]
        ]
        return other + told + (["weights"] if record.get("weights_sha256") != self.weights_sha256 else [])


def about(case: Case, image: Image, format: str, files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the record of a case says of the run that made it, besides its provenance; `files` are `Wanted.files`."""
    named = {"settings_files": dict(files)} if files else {}
    return {"run": {"format": format, **_case_facts(case), "inputs": input_stamps(case, image), **named}}


def input_stamps(case: Case, image: Image) -> list[list[Any]]:
    """Path, size and times of all that decides what an image is: its files, and the folder where they were found."""
    folders = [case.image] if case.image.is_dir() else []
    return file_stamps([*folders, *image.all_files])


def file_stamps(files: Iterable[Path]) -> list[list[Any]]:
    """Path, size [bytes], time of the last change of the content and of anything [ns]; of a missing file the path."""
    return [[os.fspath(f), *(_times(f) or ())] for f in files]


def read(folder: Path) -> dict[str, Any] | None:
    """The record in `folder`, or ``None`` if there is none that can be read; what a killed run began is completed."""
    case_folder.settle(folder)
    return case_folder.read_record(folder)


def quick(folder: Path, case: Case, wanted: Wanted) -> bool:
    """Whether `folder` holds exactly what is wanted, as far as sizes and times tell; no file is read but the record.

    False says nothing yet: `compare` decides then.
    """
    try:
        there = {e.name: e.stat(follow_symlinks=False) for e in os.scandir(folder)}
    except OSError:
        return False
    if NAME not in there or any(name.startswith(leftovers.PART) for name in there):
        return False
    record = case_folder.read_record(folder)
    run = None if record is None else record.get("run")
    if record is None or not isinstance(run, dict) or record.get("edited_by_hand"):
        return False
    facts = {"format": wanted.format, **_case_facts(case)}
    if any(run.get(k) != v for k, v in facts.items()):
        return False
    if wanted.differing(record) or not _same_stamps(run.get("inputs")):
        return False
    files, times = record.get("files"), record.get("times")
    if not isinstance(files, dict) or not isinstance(times, dict) or not files:
        return False
    return all(
        name in there and there[name].st_size == entry.get("size") and there[name].st_mtime_ns == times.get(name)
        for name, entry in files.items()
    )


def compare(
    folder: Path,
    wanted: Wanted,
    case: Case,
    image: Image,
    *,
    format: str = "",
    kept: str = "",
    verify: bool = False,
) -> tuple[State, str]:
    """What `folder` holds, measured against what would be computed now, and for ``"other"`` what differs.

    ``"new"``: no record; ``"complete"``: exactly this; ``"damaged"``: this, but a file changed or is gone;
    ``"changed"``: the very file was changed since; ``"other"``: made from another input, weights or settings;
    ``"edited"``: corrected by hand. `format` is the one to
    write; records of version 0.1 say none, and have the `kept` one. Inputs are always hashed here; what was written
    where its size or time is another, or to `verify`.
    """
    record = read(folder)
    if record is None:
        return "new", ""
    if record.get("edited_by_hand"):
        return "edited", ""
    differing = wanted.differing(record)
    if record.get("input_sha256") != input_hash(image):
        differing.append("input")
    if format and record.get("format", kept) != format:
        differing.append("format")
    differing += _other_options(record, case, image.kind)
    if differing == ["input"] and _same_place(record, case, image):
        return "changed", "input"
    if differing:
        return "other", ", ".join(differing)
    files: dict[str, dict[str, Any]] = record.get("files", {})
    times: dict[str, Any] = {} if verify else record.get("times", {})
    intact = bool(files) and all(_intact(folder / Path(n).name, entry, times.get(n)) for n, entry in files.items())
    return ("complete" if intact else "damaged"), ""


def is_of(folder: Path, image: Image) -> bool:
    """Whether what lies in `folder` was made from this very image."""
    return (case_folder.read_record(folder) or {}).get("input_sha256") == input_hash(image)


def refresh(folder: Path, case: Case, image: Image, wanted: Wanted) -> None:
    """Note sizes and times as they are now in a record that was found to be true: the next look is quick.

    Those of earlier versions, and what a person saved, stay as they are.
    """
    record = case_folder.read_record(folder) or {}
    if not isinstance(record.get("run"), dict):
        return
    times = {name: (_times(folder / name) or (0, 0))[1] for name in record.get("files", {})}
    case_folder.amend(folder, {**about(case, image, wanted.format, wanted.files), "times": times})


def _intact(path: Path, entry: Mapping[str, Any], time_ns: Any) -> bool:
    found = _times(path)
    if found is not None and time_ns is not None and found[:2] == (entry.get("size"), time_ns):
        return True
    return case_folder.is_intact(path, entry)


def _case_facts(case: Case) -> dict[str, Any]:
    """What is read, and how: a record of a case of other facts is looked at more closely."""
    files = [os.fspath(f) for f in case.files]
    return {"image": os.fspath(case.image), "files": files, "channels": list(case.channels), "options": _options(case)}


def _options(case: Case) -> dict[str, str]:
    return {k: str(v) for k, v in case.options.items()}


def _other_options(record: Mapping[str, Any], case: Case, kind: str) -> list[str]:
    """Columns of a list that say how an image is read, and said something else then.

    A kind of a stranger that does not say which these are may read any column.
    """
    row = kinds.find(kind)
    own = row.hook("cases", "READING_COLUMNS")
    reading = None if own is None and not row.is_built_in else {*READING_COLUMNS, *(own or ())}
    run = record.get("run")
    if not isinstance(run, dict) or not isinstance(run.get("options"), dict):
        return []  # of an earlier version, or saved by a person
    then, now = run["options"], _options(case)
    looked_at = {*then, *now} - _ABOUT if reading is None else {*then, *now} & reading
    return [f"column '{k}'" for k in sorted(looked_at) if then.get(k) != now.get(k)]


def _same_place(record: Mapping[str, Any], case: Case, image: Image) -> bool:
    """Whether a result was made from what lay where the image of a case lies now: another file is another patient."""
    run = record.get("run")
    place = run.get("image") if isinstance(run, dict) else record.get("source")
    try:
        here = {p.resolve() for p in (case.image, *image.all_files)}
        return isinstance(place, str) and Path(place).resolve() in here
    except (OSError, RuntimeError):
        return False


def _same_stamps(stored: Any) -> bool:
    if not isinstance(stored, list) or not stored:
        return False
    try:
        return all(tuple(rest) == _times(path) for path, *rest in stored)
    except (TypeError, ValueError):
        return False


def _times(path: Path | str) -> tuple[int, int, int] | None:
    """Size, time of the last change of the content, and of anything; no program can set the last one back."""
    try:
        at = os.stat(path)
    except (OSError, ValueError):
        return None
    return at.st_size, at.st_mtime_ns, at.st_ctime_ns


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return found
