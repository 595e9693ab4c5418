"""The DICOM files of a tree as cases: one per volume, whatever folders its slices and those of others lie in.

A volume is looked for in each folder that holds slices, per patient and study. Series whose files lie in several
folders are put together; what is no volume (reports, dose pages, localizers, contours) is named, and is in nobody's
way. Two volumes of one study in one folder are a question, which `--series` answers.
"""

from __future__ import annotations

import math
import os
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.core.errors import reason
from workbench.core.study import Place, Skipped, Study, joined
from workbench.core.types import Case, case_name
from workbench.volume.data.dicom_damage import kinds, quietly
from workbench.volume.data.dicom_index import Entry, Key, entry, filled_keys
from workbench.volume.data.dicom_labels import drawn_on, with_labels
from workbench.volume.data.dicom_roles import SEGMENTATION, other_roles, without_picture
from workbench.volume.data.series_rule import SeriesFacts, parse

DIRECTORY = "DICOMDIR"
_LISTED = 8
_TAIL = 4
_LONGEST = 64 << 20  # bytes of a DICOMDIR


@dataclass(frozen=True, eq=False)
class _Group:
    """One series: its files, and the folder that is opened to read it."""

    key: Key
    entries: tuple[Entry, ...]
    home: Path
    role: str = ""
    doubled: str = ""
    """Why its files are not certainly one volume, as some are in two folders."""

    @property
    def uid(self) -> str:
        return self.key[0].partition("|")[0]

    @property
    def facts(self) -> SeriesFacts:
        slices = sum(e.facts.slices for e in self.entries)
        return replace(self.entries[0].facts, study=self.key[1], patient=self.key[2], slices=slices)

    @property
    def problem(self) -> str:
        return self.doubled or next((e.problem for e in self.entries if e.problem), "")

    @property
    def order(self) -> tuple[float, bool, str]:
        number = self.facts.number
        return (math.inf if math.isnan(number) else number, self.key[3], self.uid)

    @property
    def title(self) -> str:
        return f"{self.short[:-1]}, {self.entries[0].size}, UID {self.uid or 'empty'})"

    @property
    def short(self) -> str:
        f = self.facts
        name = f.description or ("series ?" if math.isnan(f.number) else f"series {f.number:g}")
        what = "localizer" if self.key[3] else f.modality or "image"
        return f"{name} ({what}, {f.slices:g} images)"

    def skipped(self, why: str) -> Skipped:
        path = self.entries[0].path if len(self.entries) == 1 else self.home
        return Skipped(path, f"{why}: {self.short}", len(self.entries))


@quietly()
def cases_of_files(files: Sequence[Path], place: Place) -> Study:
    """Cases of the DICOM files of a tree.

    Parameters
    ----------
    files
        All of them, in any order.
    place
        The tree, and the rule by which one of several series is taken.

    Raises
    ------
    UsageError
        The rule cannot be read.
    """
    rule = parse(place.series or "")
    entries = [entry(f) for f in files if f.name.upper() != DIRECTORY]
    # Contours are no image, and where label maps are looked for they are what is meant.
    contours = [e for e in entries if place.maps and not e.picture and e.look.modality == "RTSTRUCT"]
    drawn = {} if place.maps else drawn_on(entries)
    skipped = [*_lost(entries)]
    notes: list[str] = []
    groups = _with_roles(list(_groups([e for e in entries if e.picture and e.key is not None], notes)))
    lost = {e.path.parent: e.problem for e in reversed(entries) if e.key is None}
    homes: dict[Path, list[_Group]] = defaultdict(list)
    roles: list[_Group] = []
    for group in groups:
        wanted = place.maps and group.entries[0].look.sop_class in SEGMENTATION
        if place.series and rule is None:
            homes[group.home].append(group)
        elif group.role and not wanted:
            roles.append(group)
        elif rule is not None and (why := rule.failing(group.facts)):
            skipped.append(group.skipped(f"--series: {why}"))
        else:
            homes[group.home].append(group)
    maps = [Case("_".join((*place.names.get(e.path.parent, ()), case_name(e.path))), e.path) for e in contours]
    parts = [Study(tuple(maps), tuple(skipped), tuple(notes))]
    for file in files:
        if file.name.upper() == DIRECTORY:
            parts.append(_directory(file))
    everything = _below(groups, homes)
    volumes: list[tuple[Case, str]] = []
    for home, inside in sorted(homes.items()):
        below = sorted(everything[home], key=lambda g: g.order)
        if place.series and rule is None:
            parts.append(_numbered(home, below, place, alone=len(homes) == 1))
            continue
        if place.maps:
            parts.append(Study(tuple(_maps(home, inside, place))))
            continue
        units: dict[tuple[str, str], list[_Group]] = defaultdict(list)
        for group in inside:
            units[group.key[1:3]].append(group)
        names = sorted(e.path.name for g in inside for e in g.entries) if len(units) > 1 else []
        for unit in units.values():
            case = _case(home, unit, below, _id(home, unit, names, place), place, lost)
            volumes.append((case, unit[0].uid if len(unit) == 1 else ""))
    cases, several, said, told = with_labels(volumes, drawn)
    parts.append(Study(tuple(cases), tuple(several), tuple(said)))
    # Of a series of segmentations some may have found theirs.
    rest = [replace(g, entries=tuple(e for e in g.entries if e.path not in told)) for g in roles]
    aside = [*(g.skipped(g.role) for g in rest if g.entries), *_without_pictures(entries, {*told, *_paths(contours)})]
    return joined([*parts, Study((), tuple(aside))])


def _paths(entries: Sequence[Entry]) -> set[Path]:
    return {e.path for e in entries}


def _groups(entries: Sequence[Entry], notes: list[str]) -> Iterator[_Group]:
    by_key: dict[Key, list[Entry]] = defaultdict(list)
    whole = filled_keys(e.key for e in entries if e.key is not None)
    for e in entries:
        assert e.key is not None
        by_key[whole[e.key]].append(e)
    for key, found in by_key.items():
        folders: dict[Path, list[Entry]] = defaultdict(list)
        for e in found:
            folders[e.path.parent].append(e)
        if len(folders) == 1 or _is_spread(key, found):
            home = Path(os.path.commonpath([str(f) for f in folders]))
            yield _Group(key, tuple(found), home)
            continue
        yield from _doubled(key, folders, notes)


def _doubled(key: Key, folders: dict[Path, list[Entry]], notes: list[str]) -> Iterator[_Group]:
    """A series of which folders hold copies: each whole copy is a group, and parts of another folder are left out.

    Folders that share some of their images, and none of which has all, can be told into volumes in no certain way:
    each by itself would lack slices, and count the shared ones twice.
    """
    names = {folder: frozenset(e.sop for e in inside if e.sop) for folder, inside in folders.items()}
    for together in _sharing(names):
        everything = frozenset().union(*(names[f] for f in together))
        whole = [f for f in together if names[f] == everything]
        for folder in whole:
            if everything and folder != whole[0]:
                notes.append(f"{folder}: holds the same images as {whole[0]}; both are cases")
            yield _Group(key, tuple(folders[folder]), folder)
        parts = [f for f in together if f not in whole]
        if whole:
            for folder in parts:
                notes.append(
                    f"{folder}: its {len(names[folder])} images are also in {whole[0]}, which has {len(everything)} of"
                    " the series; those here are left out"
                )
            continue
        home = Path(os.path.commonpath([str(f) for f in parts]))
        count = sum(len(names[f]) for f in parts) - len(everything)
        listed = ", ".join(str(f) for f in parts[:_LISTED])
        said = (
            f"{home}: one series in {len(parts)} folders, which share {count} of its {len(everything)} images, and none"
            f" has all ({listed}). Remove the second file of each image."
        )
        yield _Group(key, tuple(e for f in parts for e in folders[f]), home, doubled=said)


def _sharing(names: dict[Path, frozenset[str]]) -> list[list[Path]]:
    """Folders in groups of those that share images, directly or by others."""
    found: list[tuple[list[Path], frozenset[str]]] = []
    for folder, own in names.items():
        near = [one for one in found if one[1] & own]
        found = [one for one in found if not one[1] & own]
        found.append(([*(f for one in near for f in one[0]), folder], own.union(*(one[1] for one in near))))
    return [folders for folders, _ in found]


def _is_spread(key: Key, entries: Sequence[Entry]) -> bool:
    """Whether files of one series in several folders are its parts, and not copies of it or other data."""
    if key[0].startswith("|"):
        return False
    sops = Counter(e.sop for e in entries)
    numbers = Counter(e.instance for e in entries if e.instance is not None)
    return "" not in sops and max(sops.values()) == 1 and max(numbers.values(), default=1) == 1


def _with_roles(groups: list[_Group]) -> list[_Group]:
    studies: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        # Without UIDs and patients everything would be one study.
        studies[group.key[1:3] if any(group.key[1:3]) else (str(group.home), "")].append(number)
    found = list(groups)
    for numbers in studies.values():
        looks = [replace(groups[n].entries[0].look, images=int(groups[n].facts.slices)) for n in numbers]
        for number, role in zip(numbers, other_roles(looks), strict=True):
            found[number] = replace(groups[number], role=role)
    return found


def _case(
    home: Path,
    unit: list[_Group],
    below: list[_Group],
    name: str,
    place: Place,
    lost: dict[Path, str],
) -> Case:
    """The case of the volumes that one study has in one folder; several volumes are its problem."""
    first = unit[0]
    if len(unit) > 1:
        listed = "; ".join(g.title for g in sorted(unit, key=lambda g: g.order)[:_LISTED])
        more = f"; and {len(unit) - _LISTED} more" if len(unit) > _LISTED else ""
        given = f" match --series {place.series}" if place.series else ""
        problem = (
            f"{home}: {len(unit)} volumes of one study{given}, choose one by a rule such as --series"
            f' "description=*arterial*,slices>40": {listed}{more}'
        )
        return Case(name, home, group=first.key[2], options={"series": f"study={first.key[1]}"}, problem=problem)
    eligible = [g for g in below if not g.role]
    options = {}
    if eligible != [first]:
        options = {"series": first.uid or f"study={first.key[1]}"}
        if sum(g.uid == first.uid for g in eligible) > 1:
            options = {"series": f"uid={first.uid},study={first.key[1]},patient={first.key[2]}"}
    problem = first.problem or next((lost[f] for f in {e.path.parent for e in first.entries} if f in lost), "")
    return Case(name, home, group=first.key[2], options=options, problem=problem)


def _maps(home: Path, inside: list[_Group], place: Place) -> Iterator[Case]:
    """Label maps: each file by itself, called after its folder if it is alone there."""
    folders = place.names.get(home, ())
    if len(inside) == 1 and (folders or len(inside[0].entries) > 1):
        path = home if len(inside[0].entries) > 1 else inside[0].entries[0].path
        yield Case("_".join(folders) or home.resolve().name, path)
        return
    for e in (e for group in inside for e in group.entries):
        yield Case("_".join((*folders, case_name(e.path))), e.path)


def _id(home: Path, unit: list[_Group], names: list[str], place: Place) -> str:
    """The folders, and where these hold several studies (with files of these `names`) what tells them apart."""
    folders = place.names.get(home, ())
    if not names:
        return "_".join(folders or (home.resolve().name,))
    own = [e.path.name for g in unit for e in g.entries]
    shared = _common_beginning(own)
    begins = Path(shared).stem if len(own) == 1 else shared.rstrip("0123456789")
    label = begins.rstrip("-_. ")
    if len(label) > 1 and bisect_left(names, begins + chr(0x10FFFF)) - bisect_left(names, begins) == len(own):
        return "_".join((*folders, label))
    study, series = (text.replace(".", "")[-5:] for text in (unit[0].key[1], unit[0].uid if len(unit) == 1 else ""))
    return "_".join((*folders, *filter(None, (unit[0].key[2], study, series))))


def _common_beginning(names: list[str]) -> str:
    first, last = min(names), max(names)
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]


def _numbered(home: Path, below: list[_Group], place: Place, alone: bool) -> Study:
    """The series of a number or a UID, as the listing of that folder counts."""
    text = (place.series or "").strip()
    found = [g for g in below if g.uid == text]
    if alone or len(text) >= _TAIL:  # the last digit of a UID chooses nothing in a batch
        found = found or [g for g in below if g.uid.endswith(text)]
    if text.isdigit() and 1 <= int(text) <= len(below):
        found = [below[int(text) - 1]]
    if len(found) == 1 and found[0].home != home:
        return Study(())
    # What is neither a number nor a UID is of a volume within a series: whoever opens it knows.
    if len(found) == 1 or alone or not re.fullmatch(r"[\d.]+", text):
        name = "_".join(place.names.get(home, ()) or (home.resolve().name,))
        return Study((Case(f"{name}_series-{text}", home, group=below[0].key[2], options={"series": text}),))
    listed = "; ".join(g.title for g in below[:_LISTED])
    return Study((), (Skipped(home, f"no series matches --series {text}: {listed}"),))


def _below(groups: Sequence[_Group], homes: Collection[Path]) -> dict[Path, list[_Group]]:
    """Folder -> the series with files in it or below it, as `dicom.list_series` finds them there."""
    found: dict[Path, list[_Group]] = defaultdict(list)
    for group in groups:
        parents = {e.path.parent for e in group.entries}
        for home in {a for p in parents for a in (p, *p.parents) if a in homes}:
            found[home].append(group)
    return found


def _without_pictures(entries: Sequence[Entry], told: Collection[Path]) -> Iterator[Skipped]:
    found: dict[tuple[Path, str, str], list[Entry]] = defaultdict(list)
    for e in entries:
        if not e.picture and not e.problem and e.path not in told:
            found[e.path.parent, e.look.modality, e.look.sop_class].append(e)
    for (folder, modality, sop_class), inside in found.items():
        path = inside[0].path if len(inside) == 1 else folder
        yield Skipped(path, without_picture(modality, sop_class), len(inside))


def _lost(entries: Sequence[Entry]) -> Iterator[Skipped]:
    for e in entries:
        if e.key is None:
            yield Skipped(e.path, e.problem.removeprefix(f"{e.path}: "))


def _directory(file: Path) -> Study:
    """What a DICOMDIR says to be there and is not."""
    import pydicom

    try:
        if file.stat().st_size > _LONGEST:
            return Study((), (Skipped(file, f"too large for an index ({file.stat().st_size >> 20} MB)"),))
        records = pydicom.dcmread(file, force=True).get("DirectoryRecordSequence") or []
        named = [_parts(r.ReferencedFileID) for r in records if "ReferencedFileID" in r]
    except kinds() as error:
        said = f"cannot be read ({reason(error, 80)}): whether all files that it names are here is not known"
        return Study((), (Skipped(file, said),))
    gone = [parts for parts in named if not _is_there(file.parent, parts)]
    if not gone:
        return Study(())
    said = (
        f"{file}: {len(gone)} of the {len(named)} files that it names are not here, first {'/'.join(gone[0])}: slices"
        " or series may be missing"
    )
    return Study((), (), (said,))


def _parts(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(v) for v in value)  # type: ignore[attr-defined]


def _is_there(folder: Path, parts: tuple[str, ...]) -> bool:
    if ".." in parts or any("/" in p or "\0" in p for p in parts):
        return False
    return any(folder.joinpath(*(c(p) for p in parts)).exists() for c in (str, str.lower, str.upper))
