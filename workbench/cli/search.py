"""``workbench search``: the tiles of a study that are most like one that is shown."""

from __future__ import annotations

import json
from pathlib import Path

import click

from workbench.cli.options import json_option, quiet_option, verbose_option
from workbench.cli.say import say


@click.command()
@click.option("-i", "--input", "folder", required=True, type=click.Path(path_type=Path, file_okay=False),
              help="Folder of results of 'predict stainnet', or an index that was saved.")  # fmt: skip
@click.option("--like", "shown", required=True, multiple=True, metavar="SLIDE:X,Y",
              help="A place in a tile, in pixels of level 0, as case1:10240,8832; of several the mean.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for hits.csv, gallery.html and maps of similarity.")  # fmt: skip
@click.option("-n", "--count", default=50, show_default=True, type=click.IntRange(1, 100_000), help="How many tiles.")
@click.option("--in", "within", metavar="SLIDE", help="Only in this slide.")
@click.option("--elsewhere", is_flag=True, help="Only in other slides than those that are shown.")
@click.option("--save-index", type=click.Path(path_type=Path, file_okay=False),
              help="Also keep the index in this folder: the next search opens it in no time.")  # fmt: skip
@json_option
@quiet_option
@verbose_option
def search(
    folder: Path, shown: tuple[str, ...], output: Path | None, count: int, within: str | None, elsewhere: bool,
    save_index: Path | None, as_json: bool, quiet: bool, verbose: bool,
) -> None:  # fmt: skip
    """Find the tiles of a study that look most like one that is shown, by the embeddings of a slide backend."""
    from workbench.core.output import require_folder
    from workbench.slide.search import TileIndex, index_of
    from workbench.slide.search_report import COLUMNS, rows_of, write_found

    if output is not None:
        require_folder(output)
    index = TileIndex.open(folder) if (folder / "index.json").is_file() else index_of(folder)
    if save_index is not None:
        index.save(save_index)
    tiles = index.places(shown)
    query = index.query(tiles)
    hits = index.similar(query, count, slide=None if within is None else index.number_of(within), without=tiles,
                         elsewhere=elsewhere)  # fmt: skip
    rows = rows_of(index, hits)
    if as_json:
        say(json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], indent=1))
    else:
        for rank, name, x, y, similarity, *_ in rows if not quiet else ():
            say(f"{rank:>5}  {similarity:6.3f}  {name}  x {x:.0f}, y {y:.0f}")
        say(f"{len(rows)} of {len(index):,} tiles of {len(index.slides)} slide(s)", err=True)
    if output is not None:
        files, notes = write_found(output, index, hits, query, f"Like {', '.join(shown)}")
        for note in notes:
            say(f"note: {note}", err=True)
        for path in files:
            say(str(path), err=as_json)
