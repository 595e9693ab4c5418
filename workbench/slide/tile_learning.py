"""Classes of tissue learnt from regions that a person marked on a slide whose tiles were embedded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import UsageError
from workbench.core.types import Embeddings, Image, Labels, Part, Result
from workbench.slide.annotations.types import Annotations
from workbench.slide.data.embedding_files import recipe_of, side_of
from workbench.slide.few_shot import Examples, How, Taught, learn_tiles
from workbench.slide.marked import Marked, joined, marked_by, marked_on
from workbench.slide.predict.heads import PROBE, class_parts, head_record, is_tissue, with_classes
from workbench.slide.tile_grid import TileGrid

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LearntTissue:
    """What was learnt.

    Parameters
    ----------
    taught
        The classifier, and its scores on regions that did not teach.
    marked
        Which tiles a person marked.
    odds
        ``(N, C)`` probabilities of all tiles.
    about
        What the embeddings say of their tiles.
    """

    taught: Taught
    marked: Marked
    odds: Floats
    about: dict[str, Any]
    seconds: float

    @property
    def doubtful(self) -> npt.NDArray[np.int64]:
        """Tiles that nobody marked, the most doubtful first: whose two best classes are nearly as probable."""
        two = np.sort(self.odds, axis=1)[:, -2:]
        order = np.argsort(two[:, 1] - two[:, 0], kind="stable")
        found: npt.NDArray[np.int64] = order[self.marked.values[order] == 0]
        return found


def learn_tissue(
    part: Embeddings, annotations: Annotations, masks: Sequence[Labels] = (), *, how: How = "logistic",
    least: float = 0.5, mpp: tuple[float, float] | None = None,
) -> LearntTissue:  # fmt: skip
    """Learn from outlines, points and painted areas with a class.

    Parameters
    ----------
    part
        The embeddings of the tiles of a slide.
    masks
        Painted maps with classes, on coarse grids over the slide.
    least
        Share of a tile that must be covered.
    mpp
        Micrometres per pixel of the slide, along x and y, where there are masks.

    Raises
    ------
    UsageError
        These are no embeddings of tiles; fewer than two classes are marked on a tile.
    """
    side = side_of(part.about)
    if part.places is None or not side:
        raise UsageError("Run StainNet on the slide first: classes are learnt from what it sees of tiles.")
    began = time.monotonic()
    corners = np.asarray(part.places, np.float64)
    marked = marked_by(corners, side, annotations, least)
    for mask in masks:
        marked = joined(marked, marked_on(corners, side, mask, grid_of(mask, mpp), least))
    features = np.asarray(part.data, np.float32)
    count = len(features)
    examples = Examples(
        features, marked.values, marked.regions, np.zeros(count, np.int64), corners, np.full(count, side), ("slide",)
    )
    taught = learn_tiles(examples, marked.classes, how)
    odds = taught.head.probabilities(features)
    return LearntTissue(taught, marked, odds, dict(part.about), time.monotonic() - began)


def grid_of(mask: Labels, mpp: tuple[float, float] | None) -> tuple[Any, Any]:
    """Corner and step (x, y) of a map in pixels of level 0.

    Raises
    ------
    UsageError
        It is not known where on the slide it lies.
    """
    affine = mask.geometry.affine
    if affine is None or mpp is None:
        raise UsageError(f"{mask.name}: it is not known where on the slide it lies, as its pixels have no size")
    size = np.asarray(mpp, np.float64)
    step = np.array([affine[1, 1], affine[0, 0]])
    # The centre of its first pixel, from that of the slide's.
    middle = np.array([affine[1, 2], affine[0, 2]]) + size / 2
    return (middle - step / 2) / size, step / size


def tissue_parts(learnt: LearntTissue, part: Embeddings, image: Image) -> dict[str, Part]:
    """The class of each tile, how probable each class is, and what each covers, as parts of a result."""
    assert part.places is not None
    grid = TileGrid.of_facts(part.places, part.about)
    return class_parts(learnt.taught.classes, learnt.odds, image, grid)


def with_tissue(result: Result, learnt: LearntTissue, note: str) -> Result:
    """A result with these classes instead of those that it had."""
    part = result.parts["embeddings"]
    assert isinstance(part, Embeddings)
    kept = {k: v for k, v in result.parts.items() if not is_tissue(k)}
    old = [n for n in result.provenance.notes if not n.startswith(LEARNT)]
    made = replace(result.provenance, notes=(*old, f"{LEARNT}{note}"))
    parts = {**kept, **tissue_parts(learnt, part, result.image)}
    if "areas" in parts:
        parts["areas"] = with_classes(parts)
    return Result(parts, result.image, made)


LEARNT = "classes of tissue were learnt from marked regions: "
"""A note about them begins so."""


def save_tissue(learnt: LearntTissue, out: Path) -> Path:
    """Write what was learnt as weights of a few kB: ``predict stainnet --weights`` names tiles of other slides by them.

    Raises
    ------
    WeightsError
        The weights that embedded the tiles are not here any more.
    """
    import torch

    from workbench import __version__, weights

    about = learnt.about
    told = {"backend": "stainnet", "base": about.get("encoder"), "base_sha256": about.get("weights_sha256")}
    base = weights.find_base(weights.WeightsFile(out, out.stem, "", told))
    head, taught = learnt.taught.head, learnt.taught
    how = "logistic" if hasattr(head, "weight") else "knn"
    training = {
        "objective": "classes of tiles, marked in the window", "tiles": taught.tiles, "regions": taught.regions,
        "validation": taught.validation, "confusion": taught.confusion.tolist(), "notes": list(learnt.marked.notes),
        "slides": [about.get("name", "")], "seconds": round(learnt.seconds, 2), "device": "cpu", "version": __version__,
    }  # fmt: skip
    meta = head_record(
        base, out, PROBE, head.classes, facts=recipe_of(about), net={"features": _width(head), "how": how},
        training=training, scores=taught.scores,
    )  # fmt: skip
    return weights.save(out, {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in head.tensors().items()}, meta)


def _width(head: Any) -> int:
    return int(next(iter(head.tensors().values())).shape[-1])
