"""What a search found, for people: a table, a gallery with pictures of the tiles, and maps of similarity."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import write_text
from workbench.core.csv_text import table_text
from workbench.core.errors import WorkbenchError, one_line
from workbench.core.types import Heatmap, Image, plain_name
from workbench.report import html
from workbench.slide.data.heat_maps import write_map
from workbench.slide.data.resample import Square, level_for, read_square
from workbench.slide.search import Hits, Indexed, TileIndex
from workbench.slide.tile_grid import TileGrid

COLUMNS = ("rank", "slide", "x", "y", "similarity", "side [pixels]", "file")
SIMILARITY = "similarity"
_SHOWN = 60
"""Hits with a picture in the gallery."""
_PIXELS = 128


def rows_of(index: TileIndex, hits: Hits) -> list[tuple[Any, ...]]:
    """A row of `COLUMNS` for each hit."""
    found = []
    for rank, (similarity, slide, corner) in enumerate(
        zip(hits.similarity.tolist(), hits.slides.tolist(), hits.corners.tolist(), strict=True), 1
    ):
        own = index.slides[slide]
        found.append((rank, own.name, *(round(c, 1) for c in corner), round(similarity, 4), own.side, own.source))
    return found


def similarity_map(
    image: Image, own: Indexed, corners: npt.NDArray[np.floating[Any]], values: npt.ArrayLike
) -> Heatmap:
    """The similarity of each tile of a slide in its place, NaN where there is no tile."""
    return TileGrid.of(corners, own.side, own.step).heat(image, values, SIMILARITY)


def picture_of(image: Image, corner: npt.ArrayLike, side: float, pixels: int = _PIXELS) -> npt.NDArray[np.uint8]:
    """A tile ``(pixels, pixels, 3)`` of a slide.

    Raises
    ------
    InputError
        It cannot be read.
    """
    assert image.pyramid is not None
    factor = side / pixels
    x, y = np.asarray(corner, np.float64).tolist()
    square = Square(x, y, pixels)
    found: npt.NDArray[np.uint8] = read_square(image.pyramid, square, factor, level_for(image.pyramid, factor))
    return found


def write_found(
    folder: Path, index: TileIndex, hits: Hits, query: npt.ArrayLike, what: str
) -> tuple[list[Path], list[str]]:
    """Write ``hits.csv``, ``gallery.html`` and, for slides with hits that are there, ``NAME_similarity.ome.tif``.

    Parameters
    ----------
    query
        Vector that was looked for.
    what
        A line that says what was looked for.

    Returns
    -------
    files, notes
        What was written, and which slides could not be shown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [write_text(folder / "hits.csv", table_text(COLUMNS, rows_of(index, hits)))]
    pictures, notes = _pictures(index, hits)
    for number in dict.fromkeys(hits.slides.tolist()):
        own = index.slides[number]
        image = opened_slide(own)
        if isinstance(image, Image):
            corners = index.corners[own.first : own.first + own.count]
            path = folder / f"{plain_name(own.name)[:100]}_{SIMILARITY}.ome.tif"
            write_map(path, similarity_map(image, own, np.asarray(corners), index.similarity(query, number)))
            written.append(path)
    sections = [html.Section("Most similar", pictures)]
    if notes:
        sections.append(html.Section("Notes", [html.Text(f"{note}.", "warning") for note in notes]))
    table = html.Table(COLUMNS, rows_of(index, hits), "Places are upper left corners in pixels of level 0.", digits=4)
    sections += [html.Section("Table", [table]), html.Section("Searched", [_facts(index)])]
    written.append(
        html.write(folder / "gallery.html", "Similar tiles", sections, subtitle=f"{what}. Research use only.")
    )
    return written, notes


def _pictures(index: TileIndex, hits: Hits) -> tuple[list[html.Part], list[str]]:
    from PIL import Image as Pillow

    parts: list[html.Part] = []
    notes: dict[str, None] = {}
    opened: dict[int, Image | str] = {}
    for row, slide, corner in list(zip(rows_of(index, hits), hits.slides.tolist(), hits.corners, strict=True))[:_SHOWN]:
        own = index.slides[slide]
        if slide not in opened:
            opened[slide] = opened_slide(own)
        image = opened[slide]
        if isinstance(image, str):
            notes[image] = None
            continue
        try:
            pixels = picture_of(image, corner, own.side)
        except WorkbenchError as error:
            notes[one_line(error)] = None
            continue
        buffer = io.BytesIO()
        Pillow.fromarray(pixels).save(buffer, "PNG")
        caption = f"{row[0]}. {own.name}, x {row[2]:.0f}, y {row[3]:.0f}: {row[4]:.3f}"
        parts.append(html.Picture(buffer.getvalue(), caption))
    return parts or [html.Text("No slide could be opened: see the notes.", "warning")], list(notes)


def opened_slide(own: Indexed) -> Image | str:
    """The slide, or why its pixels cannot be shown."""
    from workbench.data import formats

    if not own.source:
        return f"{own.name}: nothing beside its embeddings says which file it is"
    try:
        image: Image = formats.read(own.source, kind="slide")
    except WorkbenchError as error:
        return one_line(error)
    if image.pyramid is None or (any(own.shape) and tuple(image.geometry.shape[:2]) != own.shape):
        return f"{own.source}: has other pixels than the slide that was embedded"
    return image


def _facts(index: TileIndex) -> html.Facts:
    about = {k: v for k, v in index.about.items() if v not in (None, "")}
    return html.Facts({"slides": len(index.slides), "tiles": len(index), **about})
