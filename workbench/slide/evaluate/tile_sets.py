"""Labelled pictures of tiles as encoders see them, and references that need no training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, NothingFound, UsageError
from workbench.core.types import Progress
from workbench.data.case_lists import read_rows
from workbench.slide.predict.view import SIZE
from workbench.slide.train.knn import colour_histogram

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
DEMO, RANDOM, COLOUR, TEXTURE, TEXTURE_COLOUR = "demo", "random", "colour", "lbp", "lbp+colour"
"""Encoders by name besides weights; `RANDOM` is the network of the demo weights with random numbers."""
REFERENCES = (RANDOM, COLOUR, TEXTURE, TEXTURE_COLOUR)
"""What needs no training."""
RANDOM_SEEDS = (1000, 1001, 1002)
_UNKNOWN = ("", "unknown", "none", "nan")


@dataclass(frozen=True, eq=False)
class TileSet:
    """Labelled pictures that are compared with each other, never with those of another set.

    Parameters
    ----------
    files
        Of the pictures.
    labels
        ``(N,)`` place in `names`.
    groups
        ``(N,)`` patient of each, -1 where nobody says.
    """

    name: str
    files: tuple[Path, ...]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    names: tuple[str, ...]

    @property
    def has_groups(self) -> bool:
        """Whether it is known of every picture whose it is."""
        return bool((self.groups >= 0).all())

    @property
    def tied(self) -> str:
        """The first class that comes from one group only: nothing tells it from that group; "" if there is none."""
        if not self.has_groups:
            return ""
        for i, name in enumerate(self.names):
            if len(np.unique(self.groups[self.labels == i])) < 2:
                return name
        return ""


def read_sets(path: Path, only: Sequence[str] = ()) -> list[TileSet]:
    """The sets of a list: columns ``image`` (or ``file``), ``class`` (or ``label``), ``group`` and ``set``, if there.

    Raises
    ------
    InputError, NothingFound
        It is no such list; a picture is not there.
    UsageError
        A set that it does not have.
    """
    if not path.is_file():
        raise NothingFound(f"{path}: no such file. Check the path.")
    rows = [row for _, row in read_rows(path, ("image", "file", "path"))]
    columns = set(rows[0]) if rows else set()
    image = next((c for c in ("image", "file", "path") if c in columns), "")
    label = next((c for c in ("class", "label") if c in columns), "")
    if not image or not label:
        raise InputError(f"{path}: has the columns {', '.join(sorted(columns))}; image and class were expected")
    by_set: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_set.setdefault(row.get("set", "") or "tiles", []).append(row)
    if missing := [name for name in only if name not in by_set]:
        raise UsageError(f"{path}: has no set '{missing[0]}'; it has {', '.join(by_set)}")
    found = []
    for name, own in by_set.items():
        if only and name not in only:
            continue
        files = tuple(path.parent / row[image] for row in own)
        if lost := [f for f in files if not f.is_file()]:
            raise NothingFound(f"{lost[0]}: no such file (set {name}). Check the column '{image}' of {path}.")
        if blank := [row for row in own if row[label].strip().lower() in ("", "nan", "na", "n/a")]:
            raise InputError(f"{path}: {blank[0][image]} has no '{label}'. Give it, or leave the picture out.")
        names = tuple(sorted({row[label] for row in own}))
        groups = [row.get("group", "") or "" for row in own]
        known = sorted({g for g in groups if g.lower() not in _UNKNOWN})
        place = {g: i for i, g in enumerate(known)}
        found.append(TileSet(
            name, files, np.array([names.index(row[label]) for row in own], np.int64),
            np.array([place.get(g, -1) for g in groups], np.int64), names,
        ))  # fmt: skip
    several = [one for one in found if len(one.names) > 1]
    if not several:
        raise InputError(f"{path}: every picture has the class '{found[0].names[0]}': there is nothing to tell apart")
    return several


def pictures_of(one: TileSet) -> list[Pixels]:
    """The pictures ``(H, W, 3)`` uint8."""
    import workbench as wb

    found = []
    for file in one.files:
        image = wb.read(file, kind="slide")
        assert image.pyramid is not None
        rows, columns = image.pyramid.levels[0].shape
        found.append(np.asarray(image.pyramid.read(0, 0, 0, rows, columns)))
    return found


def crops_of(picture: Pixels, size: int = SIZE) -> list[Pixels]:
    """Squares of `size` pixels that cover a picture, evenly spaced; a smaller one is enlarged to one."""
    rows, columns = picture.shape[:2]
    if min(rows, columns) < size:
        return [picture]
    down, across = (
        np.round(np.linspace(0, n - size, max(1, math.ceil(n / size - 0.02)))).astype(int) for n in (rows, columns)
    )
    return [picture[y : y + size, x : x + size] for y in down for x in across]


def texture(pictures: Sequence[Pixels], *, colour: bool = False) -> Floats:
    """Local binary patterns (T. Ojala et al., IEEE TPAMI 24:971, 2002), uniform and turned, at radius 1, 2 and 3; and
    means and deviations of red, green and blue, if asked for: ``(N, 54)``, ``(N, 60)``.
    """
    from skimage.color import rgb2gray
    from skimage.feature import local_binary_pattern

    found = []
    for picture in pictures:
        gray = np.round(rgb2gray(picture) * 255).astype(np.uint8)
        parts = []
        for points, radius in ((8, 1), (16, 2), (24, 3)):
            pattern = local_binary_pattern(gray, points, radius, "uniform").astype(np.int64)
            parts.append(np.bincount(pattern.ravel(), minlength=points + 2) / pattern.size)
        if colour:
            values = picture.reshape(-1, 3) / 255
            parts += [values.mean(0), values.std(0)]
        found.append(np.concatenate(parts))
    return np.array(found, np.float32)


def features_by(
    encoder: str, pictures: Sequence[Pixels], progress: Progress | None = None, pooling: str = "auto"
) -> list[Floats]:
    """What an encoder says of pictures: ``(N, D)``, once; of random numbers once for each of `RANDOM_SEEDS`.

    Raises
    ------
    WeightsError, InputError
        No such weights.
    """
    if encoder == COLOUR:
        return [colour_histogram(pictures)]
    if encoder in (TEXTURE, TEXTURE_COLOUR):
        return [texture(pictures, colour=encoder == TEXTURE_COLOUR)]
    if encoder != RANDOM:
        return [_embedded(_network(encoder, pooling), pictures, progress)]
    return [_embedded(_network(RANDOM, pooling, seed), pictures, progress) for seed in RANDOM_SEEDS]


def _network(encoder: str, pooling: str, seed: int = 0) -> Callable[[Floats], Floats]:
    import torch

    from workbench import weights
    from workbench.nets.vit import Pooled, VisionTransformer
    from workbench.slide.predict.load import pooled

    found = weights.find(DEMO if encoder == RANDOM else encoder, "stainnet")
    net, how = pooled(found, pooling, found.meta.get("recipe") or {})
    if encoder == RANDOM:
        torch.manual_seed(seed)
        fresh = VisionTransformer(**net.config)
        net = fresh if how == "cls" else Pooled(fresh, how)
    net.eval()

    def run(batch: Floats) -> Floats:
        with torch.inference_mode():
            found: Floats = net(torch.from_numpy(batch)).numpy()
        return found

    return run


def _embedded(run: Callable[[Floats], Floats], pictures: Sequence[Pixels], progress: Progress | None) -> Floats:
    from workbench.slide.predict.view import to_input

    found = []
    for number, picture in enumerate(pictures):
        found.append(run(np.stack([to_input(crop) for crop in crops_of(picture)])).mean(0))
        if progress is not None:
            progress(number + 1, len(pictures))
    return np.array(found, np.float32)
