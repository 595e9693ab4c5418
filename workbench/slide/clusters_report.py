"""Clusters of tiles, for people: tables, a map over each slide, and a page with typical tiles of each cluster."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import __version__
from workbench.core.atomic import replacing, write_json, write_text
from workbench.core.csv_text import table_text
from workbench.core.errors import UsageError, WorkbenchError, one_line
from workbench.core.types import Image, Labels, plain_name
from workbench.report import html
from workbench.slide.clusters import COUNTS_COLUMNS, Clusters, Plane, counts_of
from workbench.slide.data.heat_maps import write_map
from workbench.slide.search import EMBEDDINGS, Indexed, TileIndex
from workbench.slide.search_report import opened_slide, picture_of
from workbench.slide.tile_grid import TileGrid

CLUSTERS, RECORD = "clusters", "clusters.json"
TILE_COLUMNS = ("slide", "x", "y", "cluster", "distance", "u", "v")
TYPICAL = 12
"""Tiles of each cluster that are shown."""
_PIXELS, _GAP, _ACROSS = 112, 4, 6
_DOTS = 20_000
"""With more, dots are drawn smaller."""


def cluster_map(
    image: Image, own: Indexed, corners: npt.NDArray[np.floating[Any]], labels: npt.ArrayLike, clusters: Clusters
) -> Labels:
    """The cluster of each tile of a slide in its place, 0 where there is no tile."""
    grid = TileGrid.of(corners, own.side, own.step)
    data = grid.painted(np.asarray(labels, np.uint8), np.zeros(grid.shape, np.uint8))
    return Labels(
        data, grid.geometry(image), clusters.classes, CLUSTERS, origin="automatic", algorithm=clusters.describe()
    )


def tile_rows(index: TileIndex, clusters: Clusters, plane: Plane) -> list[tuple[Any, ...]]:
    """A row of `TILE_COLUMNS` for each tile."""
    names = [slide.name for slide in index.slides for _ in range(slide.count)]
    corners, points = np.asarray(index.corners, np.float64).round(1).tolist(), plane.points.tolist()
    columns = zip(names, corners, clusters.labels.tolist(), clusters.distance.tolist(), points, strict=True)
    return [
        (name, x, y, cluster, round(away, 5), round(u, 5), round(v, 5))
        for name, (x, y), cluster, away, (u, v) in columns
    ]


def write_clusters(
    folder: Path, index: TileIndex, clusters: Clusters, plane: Plane, what: str
) -> tuple[list[Path], list[str]]:
    """Write ``tiles.csv``, ``counts.csv``, ``clusters.html``, ``clusters.json`` and, of slides that are there,
    ``NAME_clusters.ome.tif``; what the record of other clusters names in that folder goes first.

    Parameters
    ----------
    what
        A line that says what was clustered.

    Returns
    -------
    files, notes
        What was written, and which slides could not be shown.

    Raises
    ------
    UsageError
        The folder holds results, whose own tables have the same names.
    """
    require_own_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _take_away(folder)
    counts = counts_of(index, clusters)
    written = [
        write_text(folder / "tiles.csv", table_text(TILE_COLUMNS, tile_rows(index, clusters, plane))),
        write_text(folder / "counts.csv", table_text(COUNTS_COLUMNS, counts)),
    ]
    opened = [opened_slide(slide) for slide in index.slides]
    notes = dict.fromkeys(image for image in opened if isinstance(image, str))
    names: set[str] = set()
    for slide, image in zip(index.slides, opened, strict=True):
        if isinstance(image, Image) and slide.count:
            own = slice(slide.first, slide.first + slide.count)
            path = folder / f"{_free_name(slide.name, names)}_{CLUSTERS}.ome.tif"
            try:
                part = cluster_map(image, slide, np.asarray(index.corners[own]), clusters.labels[own], clusters)
            except WorkbenchError as error:
                notes[f"{slide.name}: {one_line(error)}"] = None
                continue
            with replacing(path) as made:
                write_map(made, part)
            written.append(path)
    sections = [_overview(clusters, plane), *_galleries(index, clusters, opened, notes)]
    sections.append(html.Section("Tiles of each slide", [html.Table(COUNTS_COLUMNS, counts, digits=4)]))
    if notes:
        sections.append(html.Section("Notes", [html.Text(f"{note}.", "warning") for note in notes]))
    sections.append(html.Section("Clustered", [_facts(index, clusters)]))
    page = html.write(folder / "clusters.html", "Clusters of tiles", sections, subtitle=f"{what}. Research use only.")
    written.append(page)
    record = write_json(folder / RECORD, _record(index, clusters, plane) | {"files": [path.name for path in written]})
    return [*written, record], list(notes)


def require_own_folder(folder: Path) -> None:
    """Refuse a folder that holds results, whose own tables have the same names.

    Raises
    ------
    UsageError
        With what lies there.
    """
    for name in (EMBEDDINGS, "provenance.json", "index.json"):
        if (folder / name).exists():
            raise UsageError(f"{folder}: holds results ({name}); give the clusters a folder of their own")


def _free_name(name: str, taken: set[str]) -> str:
    """A name for the file of a slide; another one where two slides have the same, whatever the case of letters."""
    plain = plain_name(name)[:100]
    found, number = plain, 1
    while found.casefold() in taken:
        number += 1
        found = f"{plain}-{number}"
    taken.add(found.casefold())
    return found


def _overview(clusters: Clusters, plane: Plane) -> html.Section:
    picture = html.Picture(scatter_png(clusters, plane), f"Each dot is a tile. {plane.describe()}.")
    parts: list[html.Part] = [html.Text(f"{clusters.describe()}."), picture]
    if clusters.tried:
        tried = [(number, value) for number, value in clusters.tried]
        parts.append(html.Table(("clusters", "silhouette"), tried, "What was tried, on a sample of the tiles."))
    return html.Section("All tiles", parts)


def scatter_png(clusters: Clusters, plane: Plane) -> bytes:
    """The tiles in their plane, in the colours of their clusters, as PNG."""
    from matplotlib.figure import Figure

    from workbench.report.pictures import png_of

    figure = Figure(figsize=(8.5, 5.6), layout="constrained")
    axes = figure.subplots()
    colors = np.array([c.color for c in clusters.classes]) / 255
    order = np.random.default_rng(0).permutation(len(plane.points))  # or the last cluster would hide the others
    points, labels = plane.points[order], clusters.labels[order]
    size = 7.0 if len(points) <= _DOTS else 1.5
    axes.scatter(points[:, 0], points[:, 1], s=size, c=colors[labels - 1], linewidths=0, rasterized=True)
    for info, count in zip(clusters.classes, clusters.sizes, strict=True):
        axes.scatter([], [], s=30, color=[np.array(info.color) / 255], label=f"{info.value}: {count:,} tiles")
    axes.set_aspect("equal", "datalim")
    across, up = plane.axes
    axes.set(xlabel=across, ylabel=up)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return png_of(figure)


def _galleries(
    index: TileIndex, clusters: Clusters, opened: list[Image | str], notes: dict[str, None]
) -> list[html.Section]:
    """A picture of typical tiles for each cluster."""
    found = []
    for cluster, size in enumerate(clusters.sizes, 1):
        pictures, places = [], []
        for tile in clusters.typical(cluster, TYPICAL):
            number = next(n for n, s in enumerate(index.slides) if s.first <= tile < s.first + s.count)
            slide, image = index.slides[number], opened[number]
            if isinstance(image, str):
                continue
            try:
                pictures.append(picture_of(image, index.corners[tile], slide.side, _PIXELS))
            except WorkbenchError as error:
                notes[one_line(error)] = None
                continue
            x, y = index.corners[tile].tolist()
            places.append(f"{slide.name} {x:.0f},{y:.0f}")
        parts: list[html.Part] = [html.Text(f"{size:,} tiles, {size / len(index):.1%} of all.")]
        if pictures:
            parts.append(html.Picture(_sheet(pictures, clusters, cluster), f"The most typical: {'; '.join(places)}."))
        else:
            parts.append(html.Text("No slide could be opened: see the notes.", "warning"))
        found.append(html.Section(f"Cluster {cluster}", parts))
    return found


def _sheet(pictures: list[npt.NDArray[np.uint8]], clusters: Clusters, cluster: int) -> bytes:
    """Pictures of tiles beside each other, on a bar in the colour of the cluster, as PNG."""
    from PIL import Image as Pillow

    rows, step = -(-len(pictures) // _ACROSS), _PIXELS + _GAP
    sheet = np.full((rows * step + 2 * _GAP, _ACROSS * step - _GAP, 3), 255, np.uint8)
    sheet[:_GAP] = clusters.classes.classes[cluster - 1].color
    for number, picture in enumerate(pictures):
        row, column = divmod(number, _ACROSS)
        top, left = 2 * _GAP + row * step, column * step
        sheet[top : top + _PIXELS, left : left + _PIXELS] = picture
    buffer = io.BytesIO()
    Pillow.fromarray(sheet).save(buffer, "PNG")
    return buffer.getvalue()


def _facts(index: TileIndex, clusters: Clusters) -> html.Facts:
    about = {k: v for k, v in index.about.items() if v not in (None, "")}
    return html.Facts({"slides": len(index.slides), "tiles": len(index), "clusters": len(clusters), **about})


def _record(index: TileIndex, clusters: Clusters, plane: Plane) -> dict[str, Any]:
    """How clusters were found, and of what: enough to find them again."""
    return {
        "made_by": f"napari-workbench {__version__}", "finished": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "clusters": len(clusters), "sizes": list(clusters.sizes), "how": clusters.describe(),
        "tried": [list(pair) for pair in clusters.tried], "plane": plane.describe(), "tiles": len(index),
        "embeddings": {key: value for key, value in index.about.items() if value not in (None, "")},
        "slides": [{"name": slide.name, "tiles": slide.count, "source": str(slide.source)} for slide in index.slides],
    }  # fmt: skip


def _take_away(folder: Path) -> None:
    """Remove maps of clusters that an earlier run wrote here: beside new tables they would be of other clusters."""
    path = folder / RECORD
    try:
        names = json.loads(path.read_text(encoding="utf-8")).get("files", [])
    except (OSError, ValueError, AttributeError):
        return
    path.unlink()
    for name in names if isinstance(names, list) else []:
        if isinstance(name, str) and Path(name).name == name and name.endswith(f"_{CLUSTERS}.ome.tif"):
            (folder / name).unlink(missing_ok=True)
