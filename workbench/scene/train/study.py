"""The scene and the label maps of a training or evaluation: one map, or one to learn from and one to test on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from workbench.core.atomic import sha256_of
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, UsageError
from workbench.core.layers import map_labels
from workbench.core.provenance import input_hash
from workbench.core.types import Case, Image, Labels
from workbench.data import formats
from workbench.data.label_names import named, read_named, table_of
from workbench.data.mat_files import open_store
from workbench.data.npy_files import members_of
from workbench.scene.data import polygons
from workbench.scene.train.begin import require_scene
from workbench.scene.train.settings import ScenePixelConfig

_PAIRS = (("tr", "te"), ("train", "test"), ("training", "testing"), ("training", "test"))


@dataclass(frozen=True, eq=False)
class Study:
    """A scene with its labels.

    Parameters
    ----------
    labels, test
        Label map on the grid of the scene; and that of the test pixels, where training and test pixels are given.
    notes
        What a person should know of them.
    hashes
        Of the scene and of the label files, by what they are: who compares scores can tell whether they are the same.
    """

    image: Image
    labels: Labels
    test: Labels | None = None
    notes: tuple[str, ...] = ()
    hashes: dict[str, str] = field(default_factory=dict)


def open_study(cases: Sequence[Case], config: ScenePixelConfig) -> Study:
    """The one scene of a training or evaluation, and its labels on the same grid.

    Two label maps that one file holds as ``TR`` and ``TE`` (or ``train`` and ``test``) are taken as what they say.

    Raises
    ------
    InputError
        Several cases, no labels, no spectral cube, or files that cannot be read.
    """
    if len(cases) != 1:
        raise InputError(f"a network learns the classes of one scene at a time, {len(cases)} cases were given")
    case = cases[0]
    if case.labels is None:
        raise InputError(f"{case.image}: training needs labels; give --labels or a column 'labels'")
    image = formats.read(case.image)
    require_scene(image)
    taught, tested, notes = Path(case.labels), Path(config.test_labels) if config.test_labels else None, []
    pair = None if tested is not None else pair_in(taught)
    if pair is not None:
        taught, tested = pair
        notes.append(f"{taught.name} holds the training pixels, {tested.name} the test pixels, by their names")
    if tested is not None and getattr(config, "split", "all") in ("random", "disjoint"):
        raise UsageError("test pixels are given by a map of their own: leave out --split, which would draw others")
    labels = read_on(image, taught, config.names)
    test = None if tested is None else _numbered_like(labels, read_on(image, tested, config.names))
    notes += [*labels.notes, *(() if test is None else test.notes)]
    files = {"labels sha256": taught, "test labels sha256": tested}
    hashes = {k: sha256_of(*_files(p)) for k, p in files.items() if p is not None}
    scene = input_hash(image)
    return Study(image, labels, test, tuple(notes), ({} if scene is None else {"scene sha256": scene}) | hashes)


def _numbered_like(labels: Labels, test: Labels) -> Labels:
    """The test map with the values that the training map gives to classes of the same name.

    Files of polygons are numbered one by one: the same class may have another value there. Maps of which one does not
    name its classes stay as they are, and so do two of which only the values are the same (they are refused later).
    """
    one, other = labels.classes, test.classes
    numbered = one.is_numbered and other.is_numbered
    if not numbered and (one.is_nameless or other.is_nameless):
        return test
    values = {c.name: c.value for c in one}
    if len(values) != len(one) or not values.keys() & set(other.names):
        return test
    free = max((c.value for c in (*one, *other)), default=0)
    taken = set(values.values())
    onto: dict[int, int] = {}
    for c in other:
        if c.name in values:
            onto[c.value] = values[c.name]
        elif c.value in taken:
            onto[c.value] = free = free + 1
        else:
            onto[c.value] = c.value
    moved = [c.name for c in other if onto[c.value] != c.value]
    if not moved or len(set(onto.values())) != len(onto):
        return test
    data = map_labels(test.data, onto, np.min_scalar_type(max(onto.values())))
    note = f"the test pixels number their classes otherwise: matched by name ({', '.join(moved[:8])})"
    table = ClassTable(tuple(replace(c, value=onto[c.value]) for c in other))
    return replace(test, data=data, classes=table, notes=(*test.notes, note))


def read_on(image: Image, path: Path, names: str = "") -> Labels:
    """A label map on the grid of a scene: a file of labels, or polygons drawn on its map."""
    if polygons.is_vector(formats.split_address(path)[0]):
        found = polygons.labels_of_polygons(path, image)
        return replace(found, classes=named(found, table_of(names))) if names else found
    return read_named(path, reference=image.geometry, names=names)


def _files(path: Path) -> tuple[Path, ...]:
    vector = polygons.is_vector(formats.split_address(path)[0])
    return polygons.files_of(path) if vector else formats.input_files(path)


def pair_in(path: Path) -> tuple[Path, Path] | None:
    """The addresses of the training and the test map in a MATLAB or NumPy file that holds both, named as such.

    ``None`` for other files, and where an array is named (``file.mat:TR``).
    """
    file, key = formats.split_address(path)
    if key is not None or not file.is_file():
        return None
    if file.suffix.lower() == ".mat":
        flat = [v.name for v in open_store(file).variables if len(v.shape) == 2 and min(v.shape) > 1]
    elif file.suffix.lower() == ".npz":
        flat = [n for n, (shape, _, _) in members_of(file).items() if len(shape) == 2 and min(shape) > 1]
    else:
        return None
    pairs = [(a, b) for a in flat for b in flat if a != b and _is_pair(a, b)]
    if len(pairs) != 1:
        return None
    return Path(f"{file}:{pairs[0][0]}"), Path(f"{file}:{pairs[0][1]}")


def _is_pair(train: str, test: str) -> bool:
    """Whether two names are the same but for one word: ``houston_gt_tr`` and ``houston_gt_te``."""
    first, second = _words(train), _words(test)
    if len(first) != len(second):
        return False
    different = [(a, b) for a, b in zip(first, second, strict=True) if a != b]
    return len(different) == 1 and different[0] in _PAIRS


def _words(name: str) -> list[str]:
    spaced: Iterable[str] = re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    return [w for w in spaced if w]
