"""``workbench clusters``: groups of tiles that an encoder sees alike, over all slides of a study."""

from __future__ import annotations

import json
from pathlib import Path

import click

from workbench.cli.options import json_option, quiet_option, verbose_option
from workbench.cli.say import say


@click.command()
@click.option("-i", "--input", "folder", required=True, type=click.Path(path_type=Path, file_okay=False),
              help="Folder of results of 'predict stainnet', or an index that 'search' saved.")  # fmt: skip
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False),
              help="Folder for tables, a page, a record, and a map of clusters for each slide.")  # fmt: skip
@click.option("-n", "--count", default=0, show_default="0", type=click.IntRange(0, 20),
              help="How many clusters; 0 takes that of 2 to 12 with the best silhouette.")  # fmt: skip
@click.option("--by", default="pca", show_default=True, type=click.Choice(["pca", "umap"]),
              help="How tiles are laid out in a plane; umap needs 'pip install umap-learn'.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1),
              help="The same seed gives the same clusters.")  # fmt: skip
@json_option
@quiet_option
@verbose_option
def clusters(
    folder: Path, output: Path, count: int, by: str, seed: int, as_json: bool, quiet: bool, verbose: bool
) -> None:
    """Group the tiles of a study by what an encoder sees of them, and show where each group lies."""
    from workbench.core.output import require_folder
    from workbench.slide.clusters import COUNTS_COLUMNS, By, clustered, counts_of, plane_of, require_plane
    from workbench.slide.clusters_report import require_own_folder, write_clusters
    from workbench.slide.search import TileIndex, index_of

    require_folder(output)
    require_own_folder(output)
    wanted: By = "umap" if by == "umap" else "pca"
    require_plane(wanted)
    index = TileIndex.open(folder) if (folder / "index.json").is_file() else index_of(folder)
    found = clustered(index, count, seed)
    plane = plane_of(index, wanted, seed)
    rows = counts_of(index, found)
    if as_json:
        slides = [dict(zip(COUNTS_COLUMNS, row, strict=True)) for row in rows]
        about = {"clusters": len(found), "sizes": found.sizes, "silhouette": _number(found.silhouette)}
        tried = [{"clusters": n, "silhouette": _number(value)} for n, value in found.tried]
        shown = {"by": plane.by, "explained": plane.explained}
        say(json.dumps(about | {"tried": tried, "plane": shown, "counts": slides}, indent=1))
    else:
        for cluster, size in enumerate(found.sizes, 1) if not quiet else ():
            say(f"{cluster:>5}  {size:>8,} tiles  {size / len(index):6.1%}")
        say(f"{found.describe()}; {len(index):,} tiles of {len(index.slides)} slide(s); {plane.describe()}", err=True)
    files, notes = write_clusters(output, index, found, plane, f"{len(index):,} tiles of {len(index.slides)} slide(s)")
    for note in notes:
        say(f"note: {note}", err=True)
    for path in files:
        say(str(path), err=as_json)


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return round(value, 4) if value == value else None
