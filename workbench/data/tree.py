"""What a folder is, for every verb: its cases, searched in all folders below it, and what was skipped with the reason.

Understood are folders of images and of DICOM files in any order, BIDS, nnU-Net and the Decathlon (``imagesTr``), pairs
of ``images`` and ``labels``, and BraTS (a file per sequence). What is a case never depends on the verb.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from workbench.core import kinds
from workbench.core.errors import InputError, nearest, one_line
from workbench.core.study import Place, Skipped, Study, joined
from workbench.core.types import Case, case_name, plain_name
from workbench.core.walk import Folder
from workbench.data import all_series, archive, formats, layouts
from workbench.data.divisions import divided, missing_of
from workbench.data.groups import grouped, is_patient, lacking_channels
from workbench.data.layouts import DataSet, Item
from workbench.data.own_files import what_wrote
from workbench.data.search import FEW, Search, has_own_name, is_whole, readable, why_not_searched

_BIDS = "dataset_description.json"
_PARTS = {"imagesTr": "training", "imagesVa": "validation", "imagesTs": "test"}


def find(path: Path, *, series: str | None = None, kind: str | None = None, maps: bool = False) -> Study:
    """The cases of a folder and of all folders below it, archives in them included.

    Parameters
    ----------
    path
        An existing folder, or a zip archive.
    series
        Which of several images of one folder to take: a number, a UID, or a rule (see
        `workbench.volume.data.series_rule`). ``all`` makes a case of each page of a file.
    kind
        Only of this kind of data; others are skipped by name. By default all.
    maps
        Look for label maps: names that end in ``_seg`` are cases then.

    Raises
    ------
    UsageError
        The rule cannot be read.
    InputError
        A description of a data set is damaged.
    """
    if all_series.are_asked(series, kind):
        study = all_series.spread(find(path, kind=kind, maps=maps), kind)
        return replace(study, cases=tuple(sorted(unique(study.cases, path), key=lambda c: c.id)))
    top, path = path, archive.located(path)
    search = Search(path, kind, series, maps)
    sisters = {images: labels for images, labels in layouts.PAIRS if images == path.name}
    if sisters and not maps:
        # The images folder itself was given: its sister holds the labels.
        labels = path.parent / sisters[path.name]
        about = layouts.data_set(path.parent)
        _pair(search, path, labels if labels.is_dir() else None, (), about, _PARTS.get(path.name, ""))
    else:
        _enter(search, path, ())
    _together(search)
    said = tuple(filter(None, [archive.note(top), *(archive.note(f) for f in search.archives)]))
    study = joined([*search.parts, Study((), tuple(search.walk.skipped), said)])
    whole, twice = _with_labels(study.cases, search.pending)
    lost = search.unplaced({c.id for c in study.cases})
    cases, notes = grouped([_outside(c) for c in whole], top)
    skipped = [replace(s, path=archive.shown(s.path), reason=archive.told(s.reason)) for s in (*study.skipped, *lost)]
    if len(cases) == 1 and not maps:
        cases = [_after_its_top(cases[0], top)]
    return Study(
        tuple(sorted(unique(cases, top), key=lambda c: c.id)),
        tuple(_summed(sorted(skipped, key=lambda s: str(s.path)))),
        tuple(archive.told(n) for n in dict.fromkeys((*study.notes, *notes, *lacking_channels(cases)))),
        tuple(archive.told(f) for f in (*study.faults, *twice)),
    )


def _after_its_top(case: Case, top: Path) -> Case:
    """The only study of a folder or an archive is called as that is, however deep it lies.

    Whoever goes through patients one by one must not get the same name for each. A folder in it that is certainly
    named after a patient says more.
    """
    name, inside = case_name(top), case.id
    place = archive.located(case.image)
    nameless = place.is_dir() and any(
        row.sniff(place) == "sure" and not has_own_name(row, place) for row, _ in kinds.hooks("cases", "takes")
    )
    if (
        not (nameless or (archive.is_archive(top) and place.is_file()))
        or case.labels is not None
        or inside.startswith(name)
        or is_patient(inside)
    ):
        return case
    _, chosen, series = inside.rpartition("_series-")
    return replace(case, id=f"{name}{chosen}{series if chosen else ''}")


def _outside(case: Case) -> Case:
    """The case with paths that lead through archives, as people know them."""
    labels = None if case.labels is None else archive.shown(case.labels)
    return replace(
        case, image=archive.shown(case.image), labels=labels, files=tuple(archive.shown(f) for f in case.files),
        problem=archive.told(case.problem),
    )  # fmt: skip


def _together(search: Search) -> None:
    """The cases of files that make images together."""
    for row, own in kinds.hooks("cases", "cases_of_files"):
        if search.taken.get(row.name):
            place = Place(search.root, search.names, search.series, search.maps)
            search.parts.append(own(search.taken[row.name], place))


def _summed(skipped: Iterable[Skipped]) -> Iterable[Skipped]:
    """Many files of one folder with one reason are one line."""
    groups: dict[tuple[Path, str], list[Skipped]] = defaultdict(list)
    for one in skipped:
        groups[one.path.parent, one.reason].append(one)
    for (folder, why), found in groups.items():
        if len(found) <= FEW:
            yield from found
        else:
            yield Skipped(folder, f"{why}; first {found[0].path.name}", sum(s.count for s in found))


def unique(cases: Iterable[Case], root: Path) -> list[Case]:
    """The cases with ids that are file names, and that differ even where capitals do not count.

    Those that would be one get letters made of their own place in the tree: they stay as they are when others come.
    """
    plain = [replace(c, id=plain_name(c.id)) for c in cases]
    counts = Counter(c.id.casefold() for c in plain)
    return [replace(c, id=f"{c.id}-{_mark(c, root)}") if counts[c.id.casefold()] > 1 else c for c in plain]


def _mark(case: Case, root: Path) -> str:
    try:
        place = case.image.relative_to(root)
    except ValueError:
        place = case.image
    text = f"{place.as_posix()}|{sorted(case.options.items())}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _enter(search: Search, path: Path, names: tuple[str, ...], bids: bool = False) -> None:
    folder = None if path in search.done else search.walk.enter(path)
    if folder is None:
        return
    search.names[path] = names
    if ours := what_wrote(path):
        search.skip(path, ours)
        return
    if (whole := is_whole(search, path)) is not None:
        if whole:
            search.parts.append(Study((Case("_".join((*names[:-1], case_name(path))), path),)))
        return
    bids = bids or (path / _BIDS).is_file()
    done = _known_data_set(search, folder, names)
    done |= _roots(search, folder, names)
    files = [f for f in folder.files if f not in done]
    folders = [f for f in folder.folders if f not in done]
    _plain_files(search, path, files, names, {f.name for f in folders}, bids)
    for below in folders:
        why = why_not_searched(search, below, bids)
        if not why:
            _enter(search, below, (*names, below.name), bids)
        elif not _holds_labels(search, below):
            search.skip(below, why)
    for file in files:
        if archive.is_archive(file):
            _enter_archive(search, file, names)


def _holds_labels(search: Search, folder: Path) -> bool:
    """Whether cases that were found have their labels in there."""
    return any(folder in case.labels.parents for part in search.parts for case in part.cases if case.labels is not None)


def _enter_archive(search: Search, file: Path, names: tuple[str, ...]) -> None:
    """An archive in a folder is a folder of it; one within an archive stays closed."""
    try:
        if archive.is_inside(file):
            search.skip(file, "an archive within an archive, not opened")
        elif not archive.holds_images(file):
            search.skip(file, "an archive without images")
        else:
            _enter(search, archive.located(file), (*names, file.stem))
            search.archives.append(file)
    except InputError as error:  # whoever is in it must not be lost: a case that fails
        search.parts.append(Study((Case("_".join((*names, file.stem)), file, problem=one_line(error)),)))


def _known_data_set(search: Search, folder: Folder, names: tuple[str, ...]) -> set[Path]:
    """What a kind knows as a whole (a BIDS data set of recordings): its cases; their folders are done.

    Returns the files of the folder that hold its images, and what belongs to them.
    """
    own_files: set[Path] = set()
    for row, own in kinds.hooks("cases", "folder_cases"):
        found: list[Case] = own(folder.path)
        if not found:
            continue
        if search.kind not in (None, row.name):
            search.skip(
                folder.path, f"{len(found)} of {row.title}, {kinds.find(search.kind or '').title} was looked for"
            )
        else:
            ids = [replace(c, id="_".join((*names, c.id))) for c in found]
            search.parts.append(Study(tuple(ids)))
        search.done |= {c.image.parent for c in found}
        own_files |= {formats.split_address(c.image)[0] for c in found}
        own_files |= {formats.split_address(c.labels)[0] for c in found if c.labels is not None}
        columns = row.hook("cases", "FILE_COLUMNS") or ()
        own_files |= {Path(c.options[name]) for c in found for name in columns if c.options.get(name)}
    return own_files


def _roots(search: Search, folder: Folder, names: tuple[str, ...]) -> set[Path]:
    """Pairs of folders of images and labels; nnU-Net and the Decathlon with what their ``dataset.json`` says."""
    if search.maps:
        return set()
    here = {f.name: f for f in folder.folders}
    done: set[Path] = set()
    about = layouts.data_set(folder.path)
    for images, labels in layouts.PAIRS:
        if images not in here or (images in layouts.WITH_LABELS and labels not in here):
            continue
        part = _PARTS.get(images, "")
        _pair(search, here[images], here.get(labels), names, about, part)
        done |= {here[images], *([here[labels]] if labels in here else [])}
        if not part:
            break
    if about is not None and done:
        done.add(folder.path / "dataset.json")
    return done


def _pair(
    search: Search, images: Path, labels: Path | None, names: tuple[str, ...], about: DataSet | None, part: str
) -> None:
    inner = Search(images, search.kind, search.series, walk=search.walk)
    if part:
        _numbered_folder(inner, images, about)
    else:
        _enter(inner, images, ())
    _together(inner)
    study = joined(inner.parts)
    missing: list[str] = []
    cases, twice = _with_labels(study.cases, inner.pending)
    lost = inner.unplaced({c.id for c in study.cases})
    if part:
        cases, said, damaged = divided(cases, part, about, images)
        missing = [*missing_of(about, part, [c.id for c in cases], images), *said]
        twice += damaged
    cases, notes = grouped(cases, images)
    pairs = about.pairs if about is not None and part else {}
    found, wrong = labelled(cases, images, labels, pairs)
    missing += _paired_otherwise(found, pairs, images)
    found = [replace(c, id="_".join((*names, c.id))) for c in found]
    search.parts.append(
        Study(tuple(found), (*study.skipped, *lost), (*study.notes, *notes, *missing), (*study.faults, *twice, *wrong))
    )


def _paired_otherwise(cases: Iterable[Case], pairs: Mapping[str, str], images: Path) -> list[str]:
    """A note on label maps that ``dataset.json`` gives to images of other names."""
    found = [
        f"{c.image.name} with {c.labels.name}"
        for c in cases
        if c.labels is not None and c.id in pairs and case_name(c.labels) not in layouts.label_names(c.id)
    ]
    if not found:
        return []
    return [f"{images}: dataset.json pairs {len(found)} image(s) with label maps of other names, first {found[0]}"]


def labelled(
    cases: Iterable[Case],
    images: Path,
    labels: Path | None,
    pairs: Mapping[str, str] | None = None,
    own: Mapping[str, Path] | None = None,
) -> tuple[list[Case], list[str]]:
    """The cases with the label maps of a folder, and what does not fit, a line each.

    `own` are the labels that the kind finds there itself, by their names: those of its own formats.

    What a data set `pairs` (name of an image -> name of its label map) comes before what the names say.
    """
    if labels is None:
        return list(cases), []
    maps = {c.id: c.image for c in find(labels, maps=True).cases} | dict(own or {})
    by_name = {case_name(m): m for m in maps.values()}
    taken: set[Path] = set()
    found, faults = [], []
    for case in cases:
        paired = (pairs or {}).get(case.id)
        fitting = [maps[name] for name in layouts.label_names(case.id) if name in maps]
        if paired in by_name:
            fitting = [by_name[paired]]
        elif paired is not None and paired not in layouts.label_names(case.id):
            faults.append(
                f"{case.image}: dataset.json pairs it with the label map '{paired}', which is not in {labels}. Add it,"
                " or correct the list."
            )
            fitting = []
        if not fitting:
            near = nearest(case.id, maps)
            if paired is None or paired in layouts.label_names(case.id):
                faults.append(
                    f"{case.image}: no label map '{case.id}' in {labels}.{near} Name it as the image, or use a CSV"
                    " list."
                )
            found.append(case)
            continue
        taken |= set(fitting)
        if len(fitting) > 1:
            names = " and ".join(f.name for f in fitting)
            faults.append(f"{case.image}: has {len(fitting)} label maps in {labels}, {names}. Remove all but one.")
        found.append(replace(case, labels=fitting[0]))
    left = [m.name for m in maps.values() if m not in taken]
    if left:
        faults.append(
            f"{labels}: {len(left)} label map(s) without an image in {images}, first {left[0]}. Remove or rename them."
        )
    return found, faults


def _numbered_folder(search: Search, path: Path, about: DataSet | None) -> None:
    """``imagesTr``: files are channels by their numbers, and ``dataset.json`` names these."""
    folder = search.walk.enter(path)
    if folder is None:
        return
    search.names[path] = ()
    names = about.channels if about is not None else ()
    _plain_files(
        search,
        path,
        list(folder.files),
        (),
        {f.name for f in folder.folders},
        True,
        numbered=len(names),
        channels=names,
    )
    for below in folder.folders:
        _enter(search, below, (below.name,))


def _plain_files(
    search: Search,
    path: Path,
    files: list[Path],
    names: tuple[str, ...],
    folders: set[str],
    bids: bool,
    *,
    numbered: int | None = None,
    channels: tuple[str, ...] = (),
) -> None:
    images = readable(search, path, files)
    if search.maps:
        found = [Item(case_name(f), (f,)) for f in images]
        lost: list[Skipped] = []
    else:
        found, lost = layouts.items(images, folders, numbered=numbered, sequences=not bids, apart=search.apart)
    faults = [
        f"{path}: both {a.name} and {b.name} are case '{case_name(a)}'. Rename one of them."
        for a, b in pairwise(sorted(images))
        if case_name(a) == case_name(b) and not {a, b} & {f for i in found for f in i.labels}
    ]
    search.parts.append(Study((), tuple(lost), (), tuple(faults)))
    for item in found:
        if not item.files:
            search.pending.append(("_".join((*names, item.name)), item))
            continue
        # Files that are named as their folder (BraTS), or only by their sequences, are called after it.
        own = () if names and item.name in ("", names[-1]) else (item.name or path.resolve().name,)
        parts = (*names, *own)
        told = item.channels or channels
        labels = item.labels[0] if len(item.labels) == 1 else None
        if len(item.labels) > 1:
            for file in item.labels:
                search.skip(
                    file, f"one of {len(item.labels)} label maps of {item.name or path.name}: name one in a list"
                )
        case = Case(
            "_".join(parts),
            item.files[0],
            labels,
            "",
            {},
            item.files if len(item.files) > 1 else (),
            told,
            item.problem,
        )
        search.parts.append(Study((case,)))


def _with_labels(cases: Iterable[Case], pending: list[tuple[str, Item]]) -> tuple[list[Case], list[str]]:
    """Label maps that lie beside a folder and are named as it is go to the case of that folder.

    With a line for each case that had a label map by itself.
    """
    maps = {name: item.labels[0] for name, item in pending if len(item.labels) == 1}
    found, faults = [], []
    for case in cases:
        if case.labels is not None and case.id in maps:
            faults.append(
                f"{case.image}: has 2 label maps, {case.labels} and {maps[case.id]}. Name one of them in a list (CSV)."
            )
        found.append(replace(case, labels=maps[case.id]) if case.labels is None and case.id in maps else case)
    return found, faults
