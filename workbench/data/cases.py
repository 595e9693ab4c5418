"""Cases of a study: images, their reference labels and the group each belongs to, from folders or from a list.

Three layouts are understood: a folder pair (``images/`` and ``labels/``, or two folders), nnU-Net's ``imagesTr`` and
``labelsTr``, and a CSV or JSONL list with the columns ``image``, ``labels``, ``group``, ``id``.
"""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from workbench.core import kinds
from workbench.core.csv_text import cell_text
from workbench.core.errors import InputError, NothingFound, WorkbenchError, WorkbenchWarning, nearest, reading, reason
from workbench.core.registry import Backend, wrong_kind
from workbench.core.types import Case, Image, case_name
from workbench.data import formats

_IMAGE_FOLDERS = (("images", "labels"), ("imagesTr", "labelsTr"), ("image", "label"), ("imgs", "masks"))
_YES, _NO = ("yes", "true", "1"), ("", "no", "false", "0")
LISTS = (".csv", ".tsv", ".jsonl", ".ndjson")
_CHANNEL = re.compile(r"_(\d{4})$")
# Endings by which label files are told from their images when both have the same stem otherwise.
_LABEL_ENDINGS = ("", "_labels", "_label", "_seg", "_mask", "-labels", "-label", "-seg", "-mask", "_organs", "_gt")
# Names that certainly begin with a patient: "sub-01_ses-2", "patient007_frame01", "P12-followup", "TCGA-AB-1234-01".
# Anything looser would lump together studies such as "BraTS2021_00012".
_PATIENT = re.compile(
    r"^(sub-[A-Za-z0-9]+|(?:patient|pat|subject|subj|case|pt|p)[-_]?\d+|TCGA-\w{2}-\w{4})(?=[-_.]|$)", re.IGNORECASE
)


def load_cases(path: str | Path, labels: str | Path | None = None, *, missing_ok: bool = False) -> list[Case]:
    """All cases of a study, sorted by id.

    Parameters
    ----------
    path
        A folder of images (with `labels` beside it or given), the folder above ``images/`` and ``labels/``, or a CSV
        or JSONL list. Paths in a list are relative to the list.
    labels
        Folder with the label maps, named as the images (``scan.nii.gz``), or with ``_seg``, ``_label``... added.
    missing_ok
        A list may name files that do not exist: whoever opens such a case is told.

    Notes
    -----
    `Case.group` is the column ``group``, else the patient that the id begins with (``sub-01_ses-2`` -> ``sub-01``,
    ``patient007_frame01`` -> ``patient007``), else the id. Other columns go into `Case.options`; for recordings
    ``subject`` (also the group, where none is given), ``session``, ``sampling_rate`` and ``events`` (a file, relative
    to the list) mean something.

    Raises
    ------
    NothingFound
        If the path does not exist or holds no readable image.
    InputError
        If a row or a file does not fit; the message names it.
    """
    path = Path(path).expanduser()
    file, _ = formats.split_address(path)
    if not file.exists():
        raise NothingFound(f"{path}: no such file or folder. Give a folder of images, or a CSV or JSONL list.")
    formats.require_regular_or_folder(file)
    if file.is_file():
        if path.suffix.lower() not in LISTS:
            if not formats.is_readable(path):
                raise InputError(f"{path}: neither a list of cases ({', '.join(LISTS)}) nor a readable image.")
            found = [_single(path, labels)]
        elif labels is not None:
            raise InputError(f"{path}: a list names its own labels in the column 'labels'; leave out the label folder.")
        else:
            found = _once(_from_list(path, missing_ok), path)
    else:
        found = folder_cases(path) or _from_folders(path, None if labels is None else Path(labels).expanduser())
    if not found:
        raise NothingFound(f"{path}: no readable images in it. Can be read: {', '.join(formats.suffixes())}.")
    _check_unique(found, path)
    return sorted(found, key=lambda c: c.id)


def join_cases(parts: Iterable[Case | str | Path]) -> list[Case]:
    """Cases as they are, and those that paths stand for (see `load_cases`), in the order given.

    Raises
    ------
    NothingFound, InputError
        As `load_cases`; or two of one name.
    """
    found: list[Case] = []
    for part in parts:
        found += [part] if isinstance(part, Case) else load_cases(part)
    _check_unique(found, Path("the cases given"))
    return found


def open_case(case: Case) -> Image:
    """The image of a case: header now, samples when asked for.

    Of its options, ``series`` chooses a DICOM series or an evoked response, ``kind`` says what kind of data it is, and
    ``allow_truncated`` (yes or no) reads what is there of a file that was cut off;
    what others mean is said by the ``cases`` module of each kind (for recordings ``sampling_rate`` and ``events``).

    Raises
    ------
    NothingFound, InputError, GeometryError
        As `workbench.data.formats.read`.
    """
    path, series = case_address(case)
    image = formats.read(
        path, series=series, kind=case.options.get("kind") or None, allow_truncated=_is_yes(case, "allow_truncated")
    )
    add = kinds.find(image.kind).hook("cases", "opened")
    return image if add is None else cast(Image, add(image, case))


def _is_yes(case: Case, column: str) -> bool:
    """What a column of yes and no says; an empty one says no."""
    text = str(case.options.get(column, "")).strip().lower()
    if text not in _YES and text not in _NO:
        raise InputError(f"case '{case.id}': '{column}' is {text!r}, yes or no was expected.")
    return text in _YES


def case_address(case: Case) -> tuple[Path, str | None]:
    """Path and series of a case, with what its options say of them worked in."""
    plain = case.image, case.options.get("series")
    for _, own in kinds.hooks("cases", "case_path"):
        if (found := own(case)) != plain:
            return cast("tuple[Path, str | None]", found)
    return plain


def folder_cases(path: Path) -> list[Case]:
    """Cases of a folder that some kind knows as a whole (a BIDS data set); empty if none does."""
    for _, own in kinds.hooks("cases", "folder_cases"):
        if found := own(path):
            return cast("list[Case]", found)
    return []


def settled(cases: list[Case], backend: Backend, *, go_on: bool = False) -> list[Case]:
    """The cases of a backend's own kind of data; where a file could be of several, the case says so from now on.

    With `go_on`, a case that is missing, damaged or of another kind is kept as it is, as long as there are others:
    whoever opens it is told.

    Raises
    ------
    InputError, NothingFound
        A case is of another kind, or is not there; with `go_on` only where this is so of all of them.
    """
    found: list[Case] = []
    bad: list[WorkbenchError] = []
    for case in cases:
        try:
            found.append(_settled(case, backend))
        except (InputError, NothingFound) as error:
            if not go_on:
                raise
            found.append(case)
            bad.append(error)
    if bad and len(bad) == len(cases):
        raise bad[0]
    return found


def _settled(case: Case, backend: Backend) -> Case:
    path, _ = case_address(case)
    told = case.options.get("kind") or None
    with naming(case):
        kind = formats.kind_of(path, kind=told, hint=backend.kind).name
        if kind != backend.kind:
            raise wrong_kind(backend, kind, path)
    unclear = told is None and len(kinds.candidates(*formats.split_address(path))) > 1
    return replace(case, options={**case.options, "kind": kind}) if unclear else case


@contextmanager
def naming(case: Case) -> Iterator[None]:
    """Put the id of the case in front of our errors inside: a study has hundreds, and file names repeat."""
    try:
        yield
    except (InputError, NothingFound) as error:
        prefix = f"case '{case.id}': "
        if str(error).startswith(prefix):
            raise
        raise type(error)(f"{prefix}{error}") from error


def group_of(case_id: str) -> str:
    """The patient-like beginning of an id, or the id itself."""
    match = _PATIENT.match(case_id)
    return match[1] if match else case_id


def _single(path: Path, labels: str | Path | None) -> Case:
    name = case_name(path)
    mask = None if labels is None else Path(labels).expanduser()
    if mask is not None and mask.is_dir():
        mask = _matching(name, _entries(mask))
    if labels is not None and (mask is None or not formats.split_address(mask)[0].exists()):
        raise InputError(f"{path}: no label map for it at {labels}. Name it {name}.nii.gz.")
    return Case(name, path, mask, group_of(name))


def _from_folders(path: Path, labels: Path | None) -> list[Case]:
    images = path
    if labels is None:
        for image_name, label_name in _IMAGE_FOLDERS:
            if (path / image_name).is_dir():
                images = path / image_name
                labels = path / label_name if (path / label_name).is_dir() else None
                break
        else:
            # The images folder itself was given: its sister holds the labels.
            sisters = [path.parent / label for image, label in _IMAGE_FOLDERS if path.name == image]
            labels = next((s for s in sisters if s.is_dir()), None)
    elif not labels.is_dir():
        raise InputError(f"{labels}: no such folder of label maps. Give the folder that holds them.")
    entries = _entries(images)
    _refuse_split_channels(entries, images)
    masks = _entries(labels) if labels is not None else {}
    taken: set[Path] = set()
    found = []
    for name, file in entries.items():
        case_id = _CHANNEL.sub("", name)
        mask = _matching(case_id, masks) if masks else None
        if labels is not None and mask is None:
            raise InputError(
                f"{file}: no label map '{case_id}' in {labels}.{nearest(case_id, masks)} Name it as the image, or use a"
                " CSV list."
            )
        if mask is not None:
            taken.add(mask)
        found.append(Case(case_id, file, mask, group_of(case_id)))
    left = [m.name for m in masks.values() if m not in taken]
    if left:
        raise InputError(
            f"{labels}: {len(left)} label map(s) without an image in {images}, first {left[0]}. Remove or rename them."
        )
    return found


def _entries(folder: Path) -> dict[str, Path]:
    """Readable files of a folder and DICOM folders in it, by case name; a folder of DICOM files is one case itself."""
    found: dict[str, Path] = {}
    slices = False
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_file() and (entry.suffix.lower() in (".dcm", ".ima") or not entry.suffix):
            slices = slices or formats.is_readable(entry)
            continue
        if not formats.is_readable(entry) or formats.is_companion(entry):
            continue
        name = case_name(entry)
        if name in found:
            raise InputError(
                f"{folder}: both {found[name].name} and {entry.name} are case '{name}'. Rename one of them."
            )
        found[name] = entry
    if slices and not found:
        found[folder.name] = folder
    return found


def _refuse_split_channels(entries: Iterable[str], folder: Path) -> None:
    """nnU-Net keeps each channel in its own file; only single-channel data sets can be taken as they are."""
    channels: dict[str, list[str]] = {}
    for name in entries:
        if match := _CHANNEL.search(name):
            channels.setdefault(name[: match.start()], []).append(match[1])
    several = [name for name, numbers in channels.items() if len(numbers) > 1]
    if several:
        raise InputError(
            f"{folder}: {len(several)} case(s) have several channel files (nnU-Net style), first {several[0]} with"
            f" {', '.join('_' + n for n in channels[several[0]])}; one file per case was expected."
            " Merge the channels into 4-D files (e.g. nibabel.concat_images)."
        )


def _matching(name: str, masks: dict[str, Path]) -> Path | None:
    for ending in _LABEL_ENDINGS:
        if name + ending in masks:
            return masks[name + ending]
    return None


def _from_list(path: Path, missing_ok: bool = False) -> Iterator[Case]:
    for number, row in _rows(path):
        where = f"{path}, line {number}"
        if not row.get("image"):
            have = ", ".join(k for k in row if k) or "nothing"
            raise InputError(f"{where}: no value for 'image' (found: {have}). Each row needs the path of an image.")
        image = _resolved(path, row.pop("image"))
        mask_text = row.pop("labels", "") or row.pop("label", "")
        mask = _resolved(path, mask_text) if mask_text else None
        for what, file in (("image", image), ("labels", mask)):
            if not missing_ok and file is not None and not formats.split_address(file)[0].exists():
                raise InputError(f"{where}: {what} {file} does not exist. Paths are relative to the list.")
        case_id = row.pop("id", "") or case_name(image)
        if any(c in case_id for c in "/\\\0") or case_id in (".", ".."):
            raise InputError(f"{where}: id '{case_id}' cannot be a folder name. Use letters, digits, '-' and '_'.")
        group = row.pop("group", "") or row.get("subject", "") or group_of(case_id)
        for column in _file_columns():
            if row.get(column):
                row[column] = str(_resolved(path, row[column]))
        yield Case(case_id, image, mask, group, {k: v for k, v in row.items() if k and v})


def _once(cases: Iterable[Case], path: Path) -> list[Case]:
    """The rows of a list without those that repeat another in every column, which is said."""
    rows = list(cases)
    once = {(c.id, c.image, c.labels, c.group, *sorted(c.options.items())): c for c in rows}
    if twice := len(rows) - len(once):
        warnings.warn(
            f"{path}: {twice} row(s) repeat another in every column: left out", WorkbenchWarning, stacklevel=3
        )
    return list(once.values())


def _file_columns() -> tuple[str, ...]:
    """Columns of a list that hold paths, besides those of the images and the labels."""
    return tuple(dict.fromkeys(c for _, columns in kinds.hooks("cases", "FILE_COLUMNS") for c in columns))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a list with their line numbers; all values as text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: not a readable text list ({error}). Save it as UTF-8.") from error
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield number, _json_row(path, number, line)
        return
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    table = csv.DictReader(text.splitlines(), delimiter=delimiter)
    with reading(path, "not readable as a table", "Save it as CSV again.", kinds=(csv.Error,)):
        names = [n.strip().lower() for n in table.fieldnames or []]
    if "image" not in names:
        raise InputError(f"{path}: the first line has the columns {names}, 'image' was expected. Add a header.")
    if twice := sorted({n for n in names if n and names.count(n) > 1}):
        raise InputError(f"{path}: the first line has the column {twice[0]!r} twice. Remove one.")
    table.fieldnames = names
    with reading(path, "not readable as a table", "Save it as CSV again.", kinds=(csv.Error,)):
        rows = [(table.line_num, values) for values in table]
    for number, values in rows:
        if None in values:
            raise InputError(f"{path}, line {number}: more values than columns. Quote values that hold commas.")
        if any((v or "").strip() for v in values.values()):
            yield number, {k: cell_text((v or "").strip()) for k, v in values.items()}


def _delimiter(text: str) -> str:
    first = text.splitlines()[0] if text.strip() else ""
    return max(",;\t", key=first.count)


def _json_row(path: Path, number: int, line: str) -> dict[str, str]:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {number}: not JSON ({reason(error)}). Each line is one object.") from error
    if not isinstance(row, dict):
        raise InputError(f"{path}, line {number}: a {type(row).__name__}, expected an object with 'image'.")
    return {str(k).strip().lower(): "" if v is None else str(v) for k, v in row.items()}


def _resolved(path: Path, text: str) -> Path:
    found = f"{text[:60]!r} is no path"
    with reading(path, found, kinds=(RuntimeError, ValueError)):  # the home of a user who is not known
        file = Path(text).expanduser()
    file = file if file.is_absolute() else path.parent / file
    with reading(path, found, kinds=(OSError, ValueError)):  # longer than any path may be
        formats.split_address(file)[0].exists()
    return file


def _check_unique(found: list[Case], path: Path) -> None:
    seen: set[str] = set()
    for case in found:
        if case.id in seen:
            raise InputError(f"{path}: the id '{case.id}' occurs twice. Give each case its own id in the column 'id'.")
        seen.add(case.id)
