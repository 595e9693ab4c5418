"""Files of one folder that belong together: channels of one image, and the label map drawn on it."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.errors import InputError, reading
from workbench.core.study import Skipped
from workbench.core.types import case_name

_BTCV = ("img", "label")
IMAGE_FOLDERS = (("images", "labels"), ("imagesTr", "labelsTr"), ("image", "label"), _BTCV, ("imgs", "masks"))
"""Folders of images, and their sisters with the label maps."""
VALIDATION = ("imagesVa", "labelsVa")
"""The validation part of AMOS."""
TESTS = ("imagesTs", "labelsTs")
"""The test part of nnU-Net and the Decathlon."""
PAIRS = (*IMAGE_FOLDERS, VALIDATION, TESTS)
WITH_LABELS = (_BTCV[0],)
"""Folders that are taken for images only beside their sister: their name alone says little."""
LABEL_FOLDERS = (
    "labels", "labelstr", "labelsva", "labelsts", "label", "masks", "segmentations", "derivatives", "predictions"
)  # fmt: skip
"""Folders that hold no images, by their names (small letters)."""

# Endings by which label files are told from their images when both have the same stem otherwise.
LABEL_ENDINGS = (
    "", "_labels", "_label", "_seg", "_mask", "-labels", "-label", "-seg", "-mask", "_organs", "_gt", "_segmentation",
    "_dseg", "_labelmap", "-segmentation", "-labelmap", "_instances", "_inst",
)  # fmt: skip
# LiTS has volume-0 and segmentation-0, BTCV img0001 and label0001: the words before one number.
_LABEL_WORD = re.compile(r"(segmentation|seg|labels?|mask)([-_]?\d+)", re.IGNORECASE)
_IMAGE_WORD = re.compile(r"(volume|vol|image|img|scan|ct)([-_]?\d+)", re.IGNORECASE)
_ORIGINALS = ("-orig", "_orig")  # SLIVER: liver-orig001 has others, liver-orig and liver-seg
_ALONE = ("labels", "label", "seg", "mask", "segmentation", "labelmap", "gt")
CHANNEL = re.compile(r"_(\d{4})$")
_LONGEST = 64 << 20  # bytes of a dataset.json
_FEW = 8  # channels that a single image of numbered files may have


@dataclass(frozen=True)
class Item:
    """One image of a folder: its files in the order of its channels, and the files that seem to be its label maps."""

    name: str
    files: tuple[Path, ...]
    channels: tuple[str, ...] = ()
    labels: tuple[Path, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class DataSet:
    """What a ``dataset.json`` of nnU-Net or the Decathlon says.

    Attributes
    ----------
    channels
        Names of the channels, in their order.
    training, tests, validation
        Names of the cases, where they are listed, as their files are called: perhaps with the number of a channel.
    pairs
        Name of an image -> name of its label map, as the lists pair them.
    shared
        Names that several folders have, each for another image (``imagesTr/case_001``, ``imagesTs/case_001``).
    """

    channels: tuple[str, ...] = ()
    training: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    stated: int | None = None
    listed: bool = field(default=False)
    validation: tuple[str, ...] = ()
    pairs: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()


def data_set(folder: Path) -> DataSet | None:
    """What the ``dataset.json`` in a folder says; ``None`` without one, or with one of something else.

    Raises
    ------
    InputError
        It is damaged.
    """
    path = folder / "dataset.json"
    if not path.is_file():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or not {"channel_names", "modality", "labels", "numTraining"} & set(content):
        return None
    names = content.get("channel_names") or content.get("modality")
    channels: tuple[str, ...] = ()
    if isinstance(names, dict) and all(str(k).isdigit() for k in names):
        channels = tuple(str(names[k]) for k in sorted(names, key=int))
    training, tests = _listed(content.get("training")), _listed(content.get("test"))
    stated = content.get("numTraining")
    lists = [content.get(part) for part in ("training", "validation", "test")]
    return DataSet(
        channels,
        training,
        tests,
        stated if isinstance(stated, int) else None,
        isinstance(content.get("training"), list),
        _listed(content.get("validation")),
        _paired(lists),
        _shared(lists),
    )


def read_json(path: Path) -> Any:
    """The content of a small JSON file of a data set."""
    if path.stat().st_size > _LONGEST:
        raise InputError(f"{path}: {path.stat().st_size >> 20} MB, a description of a data set is small.")
    with reading(path, "not JSON", "Repair it, or move it away.", kinds=(OSError, ValueError, RecursionError)):
        return json.loads(path.read_text(encoding="utf-8-sig"))


def _listed(rows: Any) -> tuple[str, ...]:
    return tuple(case_name(path) for path in _paths(rows))


def _paths(rows: Any) -> Iterator[Path]:
    for row in rows if isinstance(rows, list) else ():
        text = row.get("image") if isinstance(row, dict) else row
        if isinstance(text, str) and text:
            yield Path(text.replace("\\", "/"))


def _shared(lists: Iterable[Any]) -> tuple[str, ...]:
    folders: dict[str, set[str]] = defaultdict(set)
    for path in (p for rows in lists for p in _paths(rows)):
        folders[case_name(path)].add(path.parent.name)
    return tuple(name for name, own in folders.items() if len(own - {""}) > 1)


def _paired(lists: Iterable[Any]) -> dict[str, str]:
    """Image -> label map, by the names in the lists, and by those without the number of a channel where one has it."""
    found: dict[str, str] = {}
    for row in (r for rows in lists if isinstance(rows, list) for r in rows if isinstance(r, dict)):
        image, label = _listed([row]), row.get("label")
        if image and isinstance(label, str) and label:
            found[image[0]] = case_name(Path(label.replace("\\", "/")))
    bare: dict[str, set[str]] = defaultdict(set)
    for name, label in found.items():
        bare[CHANNEL.sub("", name)].add(label)
    return {**{stem: next(iter(own)) for stem, own in bare.items() if len(own) == 1}, **found}


def label_names(case: str) -> list[str]:
    """The names that the label map of a case may have in a folder of label maps."""
    match = _IMAGE_WORD.fullmatch(case)
    others = [] if match is None else [w + match[2] for w in ("segmentation", "label", "seg", "mask")]
    return [*(case + ending for ending in LABEL_ENDINGS), *others]


def items(
    files: Sequence[Path],
    beside: Collection[str] = (),
    *,
    numbered: int | None = None,
    sequences: bool = True,
    apart: Collection[Path] = (),
) -> tuple[list[Item], list[Skipped]]:
    """The images of a folder.

    Parameters
    ----------
    files
        Readable files of it.
    beside
        Names of the folders in it that are cases themselves.
    numbered
        ``_0000``, ``_0001`` are channels (a folder of nnU-Net), at most so many, or any number of them where it is 0;
        without it only where all cases have the same ones.
    sequences
        ``_t1``, ``_t2``, ``_flair`` are channels of one image.
    apart
        Files that are an image each, whatever their names say.

    Returns
    -------
    tuple
        The images, and label maps of no image here.
    """
    single = [f for f in files if not f.name.lower().endswith(".seg.nrrd")]
    named = {name: Item(name, tuple(group)) for name, group in _by_name(single).items()}
    alone = [item for item in named.values() if item.files[0] in apart]
    found = _by_number({n: i for n, i in named.items() if i.files[0] not in apart}, numbered)
    if sequences:
        found = _by_sequence(found)
    maps = {f: case_name(f) for f in files if f.name.lower().endswith(".seg.nrrd")}
    labels: dict[str, list[Path]] = defaultdict(list)
    skipped = []
    # Folders hold tens of thousands of files: nothing here may look at all of them for each of them.
    others = {*found, *beside}
    numbers = _numbered_images(others)
    for name, item in list(found.items()):
        stem = _image_of(name, others, numbers, item)
        if stem is not None and stem not in others:
            stem = next((stem + o for o in _ORIGINALS if stem + o in found), stem)
        if stem is not None and len(item.files) == 1:
            maps[item.files[0]] = stem
            del found[name]
            if name not in beside:
                others.discard(name)
    for file, stem in maps.items():
        if stem in found or stem in beside:
            labels[stem].append(file)
        else:
            skipped.append(Skipped(file, "named as a label map, and no image of that name lies beside it"))
    whole = [Item(i.name, i.files, i.channels, tuple(labels.get(i.name, ())), i.problem) for i in found.values()]
    whole += [Item(name, (), labels=tuple(labels[name])) for name in beside if name in labels]
    return [*whole, *alone], skipped


def _by_name(files: Iterable[Path]) -> dict[str, list[Path]]:
    counts = Counter(case_name(f) for f in files)
    # Two files of one name (a.nii, a.nii.gz) are two images, told apart by the rest of their names.
    return {case_name(f) if counts[case_name(f)] == 1 else f.name.replace(".", "_"): [f] for f in files}


def _numbered_images(names: Iterable[str]) -> dict[str, list[str]]:
    """Names such as ``image0001``, by what follows the word."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if (match := _IMAGE_WORD.fullmatch(name)) is not None:
            found[match[2]].append(name)
    return found


def _image_of(name: str, others: Collection[str], numbers: Mapping[str, list[str]], item: Item) -> str | None:
    """The name of the image that a file of this name is the label map of; "" where it says no more than that."""
    lower = name.lower()
    if (match := _LABEL_WORD.fullmatch(name)) is not None:
        same = [o for o in numbers.get(match[2], ()) if o in others]
        if len(same) == 1:
            return same[0]
    for ending in sorted(LABEL_ENDINGS[1:], key=len, reverse=True):
        if lower.endswith(ending):
            return name[: -len(ending)]
    if lower in _ALONE and len(item.files) == 1:
        rest = [o for o in others if o.lower() not in _ALONE]
        return rest[0] if len(rest) == 1 else ""
    return None


def _by_number(found: dict[str, Item], most: int | None) -> dict[str, Item]:
    groups: dict[str, dict[str, Item]] = defaultdict(dict)
    for name, item in found.items():
        if match := CHANNEL.search(name):
            groups[name[: match.start()]][match[1]] = item
    sets = Counter(tuple(sorted(numbers)) for numbers in groups.values())
    if not sets:
        return found
    usual = max(sets, key=lambda s: (sets[s], len(s)))
    alike = len(sets) == 1 and len(groups) > 1 and 1 < len(usual) <= _FEW and usual[0] == "0000"
    # Patients are numbered too (amos_0001 to amos_0600 of one channel each).
    sure = most is not None and usual[0] == "0000" and (not most or len(usual) <= most)
    if not (sure or alike):
        return found
    rest = {n: i for n, i in found.items() if not CHANNEL.search(n)}
    for stem, numbers in groups.items():
        present = tuple(sorted(numbers))
        files = tuple(numbers[n].files[0] for n in present)
        problem = ""
        if present != usual:
            lacking = ", ".join(f"_{n}" for n in usual if n not in numbers) or "none"
            problem = (
                f"{files[0].parent}: case '{stem}' has the channels {', '.join('_' + n for n in present)}, the others"
                f" have {', '.join('_' + n for n in usual)} (lacking: {lacking}). Add the files or remove the case."
            )
        rest[stem] = Item(stem, files, (), (), problem)
    return rest


def _by_sequence(found: dict[str, Item]) -> dict[str, Item]:
    """Files that differ in the sequence that ends their names; without more in their names they are of their folder."""
    for row, own in kinds.hooks("cases", "channel_of"):
        groups: dict[str, dict[tuple[int, str], list[str]]] = defaultdict(lambda: defaultdict(list))
        for name, item in found.items():
            if len(item.files) == 1 and (told := own(name)) is not None and row.sniff(item.files[0]) != "no":
                groups[told[0]][told[1:]].append(name)
        for stem, named in groups.items():
            # One sequence alone is a file like any other, but where a label map calls for its image.
            fewest = 1 if any(stem + e in found for e in LABEL_ENDINGS[1:]) else 2
            if len(named) < fewest or any(len(names) > 1 for names in named.values()) or stem in found:
                continue
            order = sorted(named)
            files = tuple(found.pop(named[c][0]).files[0] for c in order)
            found[stem] = Item(stem, files, tuple(channel for _, channel in order))
    return found
