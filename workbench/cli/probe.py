"""``workbench probe``: how well encoders tell labelled tiles apart, with a few labels and by finding similar ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from workbench.cli.options import json_option, quiet_option, verbose_option
from workbench.cli.say import say


def _numbers(_context: Any, _parameter: Any, text: str) -> list[int]:
    try:
        found = [0 if part.strip() == "all" else int(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"'{text}': numbers separated by commas were expected, as 1,2,5,all") from None
    if any(n < 0 for n in found):
        raise click.BadParameter(f"'{text}': numbers of labels are 1 or more, or 'all'")
    return found


@click.command()
@click.option("-i", "--input", "source", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="List of pictures (CSV): columns image, class, and group and set where there are any.")  # fmt: skip
@click.option("-e", "--encoder", "encoders", multiple=True,
              help="Weights (demo, a name or a file), or random, colour, lbp, lbp+colour; repeatable. By default demo "
              "and all references.")  # fmt: skip
@click.option("--teach", type=click.IntRange(1), metavar="STEPS",
              help="Also teach an encoder like the demo's on these pictures, without labels (DINO).")  # fmt: skip
@click.option("--set", "sets", multiple=True, help="Only this set of the list; repeatable.")
@click.option("--shots", default="1,2,5,10,25,all", show_default=True, callback=_numbers,
              help="Labels of each class that teach.")  # fmt: skip
@click.option("--repeats", default=20, show_default=True, type=click.IntRange(1, 1000), help="Draws of those labels.")
@click.option("--pooling", default="auto", show_default=True, type=click.Choice(["auto", "cls", "mean", "both"]),
              help="What stands for a tile; see predict stainnet.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for tables.")
@json_option
@quiet_option
@verbose_option
def probe(
    source: Path, encoders: tuple[str, ...], teach: int | None, sets: tuple[str, ...], shots: list[int], repeats: int,
    pooling: str,
    output: Path | None, as_json: bool, quiet: bool, verbose: bool,
) -> None:  # fmt: skip
    """Compare encoders on labelled tiles: a few labels of each class (logistic regression), and retrieval.

    Judged by group (patient); beside it a split at random, which flatters where a group has several tiles.
    """
    from workbench.cli.progress import bar
    from workbench.core.errors import UsageError
    from workbench.core.output import require_folder
    from workbench.slide.evaluate.few_labels import compared
    from workbench.slide.evaluate.few_labels_report import lines_of, write_tables
    from workbench.slide.evaluate.tile_sets import REFERENCES, read_sets

    if output is not None:
        require_folder(output)
    if teach is not None and output is None:
        raise UsageError("--teach needs a folder for the weights: give -o")
    found = read_sets(source, sets)
    chosen = list(encoders or ("demo", *REFERENCES))
    with bar("comparing", quiet=quiet, unit="picture") as draw:
        if teach is not None and output is not None:
            from workbench.slide.evaluate.tile_teaching import teach_on

            chosen.insert(0, str(teach_on(found, output / "taught.safetensors", teach, draw)))
        rows, notes = compared(found, chosen, shots, repeats=repeats, progress=draw, pooling=pooling)
    if as_json:
        say(json.dumps(rows, indent=1))
    elif not quiet:
        for line in lines_of(rows):
            say(line)
    for note in notes:
        say(f"note: {note}", err=True)
    if output is not None:
        for path in write_tables(output, rows, notes):
            say(str(path), err=as_json)
