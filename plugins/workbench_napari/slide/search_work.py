"""Searching for tiles like those that a person picked: the work, beside the window. No Qt here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import UsageError, WorkbenchError, one_line
from workbench.core.layers import LayerTuple
from workbench.core.types import Embeddings, Progress, Result
from workbench.slide import SIMILARITY, TileEmbeddings, TileIndex, index_of, picture_of, similarity_map, to_layers
from workbench_napari.slide.on_slide import slide_image

SHOWN = 48
"""Tiles in the gallery."""


@dataclass(frozen=True, eq=False)
class Similar:
    """A tile that was found: the slide that it is of, its corner and side in pixels of level 0, and its picture."""

    slide: str
    source: str
    corner: tuple[float, float]
    side: float
    similarity: float
    picture: npt.NDArray[np.uint8] | None


@dataclass(frozen=True, eq=False)
class Answer:
    """What a search found.

    Parameters
    ----------
    tiles
        The most similar first.
    layer
        Map of similarity over the slide that is looked at.
    searched
        How many tiles of how many slides.
    notes
        What could not be shown.
    """

    tiles: list[Similar]
    layer: LayerTuple
    searched: tuple[int, int]
    notes: list[str] = field(default_factory=list)


def own_index(made: Result) -> TileIndex | None:
    """The tiles of a result; ``None`` where it has no embeddings of tiles."""
    part = made.parts.get("embeddings")
    if not isinstance(part, Embeddings) or not part.about.get("patch_size_level0"):
        return None
    return TileIndex.of([(TileEmbeddings.of(part), str(made.image.source or ""), "the result that is shown")])


def search(
    own: TileIndex, picked: Sequence[int], record: Mapping[str, Any], made: Result, study: Path | None,
    progress: Progress,
) -> Answer:  # fmt: skip
    """Find the tiles most like those that were picked on a slide.

    Parameters
    ----------
    own, picked
        The tiles of the slide, and which of them a person picked.
    record
        Of the layer of the slide.
    study
        Folder of results whose slides are searched, too.

    Raises
    ------
    WorkbenchError
        There is nothing to search, or it cannot be compared with the tiles of this slide.
    """
    progress(0, 2)
    query = own.query(picked)
    image = slide_image(dict(record))
    here = own.similarity(query)
    heat = similarity_map(image, own.slides[0], np.asarray(own.corners), here)
    layer = next(x for x in to_layers(Result({SIMILARITY: heat}, image, made.provenance)) if x[2] == "image")
    progress(1, 2)
    index, without = own, np.asarray(picked, np.int64)
    if study is not None:
        index = index_of(study)
        if index.about != own.about:
            different = next(k for k, v in own.about.items() if index.about.get(k) != v)
            raise UsageError(
                f"{study}: its {different} is {index.about.get(different)}, that of the result that is shown is "
                f"{own.about[different]}: their tiles cannot be compared. Run both the same way."
            )
        without = _same_tiles(index, own, without)
    hits = index.similar(query, SHOWN, without=without)
    opened: dict[int, Any] = {}
    notes: dict[str, None] = {}
    tiles = []
    for similarity, number, corner in zip(hits.similarity.tolist(), hits.slides.tolist(), hits.corners, strict=True):
        slide = index.slides[number]
        picture = None
        try:
            if number not in opened:
                opened[number] = image if slide.source == str(image.source) else _read(slide.source)
            picture = picture_of(opened[number], corner, slide.side)
        except WorkbenchError as error:
            notes[f"{slide.name}: {one_line(error)}"] = None
        x, y = corner.tolist()
        tiles.append(Similar(slide.name, slide.source, (x, y), slide.side, similarity, picture))
    progress(2, 2)
    return Answer(tiles, layer, (len(index), len(index.slides)), list(notes))


def _same_tiles(index: TileIndex, own: TileIndex, picked: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The numbers that picked tiles have in the index of a study; those of a slide that is not in it are left out."""
    found = []
    for slide in index.slides:
        if slide.source != own.slides[0].source or not slide.source:
            continue
        corners = np.asarray(index.corners[slide.first : slide.first + slide.count])
        for corner in np.asarray(own.corners)[picked]:
            same = np.flatnonzero((np.abs(corners - corner) <= 1).all(1))
            found += (slide.first + same).tolist()
    return np.array(found, np.int64)


def _read(source: str) -> Any:
    import workbench as wb

    if not source:
        raise UsageError("nothing says which file it is")
    return wb.read(source, kind="slide")
