"""``workbench stains``: the colours of the stains of a slide as a file, to bring other slides to them."""

from __future__ import annotations

import json
from pathlib import Path

import click

from workbench.cli.options import FiniteRange, json_option, verbose_option
from workbench.cli.say import say


@click.command()
@click.option("-i", "--input", "path", required=True, type=click.Path(path_type=Path),
              help="The slide whose colours are wanted.")  # fmt: skip
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="File for its stain profile (JSON); give it to predict as --stain-profile.")  # fmt: skip
@click.option("--method", default="macenko", show_default=True, type=click.Choice(["macenko", "vahadane"]),
              help="How the colours of stains are found.")  # fmt: skip
@click.option("--mpp", type=FiniteRange(0.02, 20), help="Micrometres per pixel, where the file does not say.")
@click.option("--icc", is_flag=True, help="Convert colours by the profile of the slide to sRGB first.")
@click.option("--overwrite", is_flag=True, help="Replace the file that is there.")
@json_option
@verbose_option
def stains(
    path: Path, output: Path, method: str, mpp: float | None, icc: bool, overwrite: bool, as_json: bool, verbose: bool
) -> None:
    """Find the colours and strengths of the two stains of a slide, and keep them as a profile."""
    from workbench import read
    from workbench.core.errors import UsageError
    from workbench.slide import scaled, stain_profile, write_stain_profile

    if output.suffix.lower() != ".json":
        raise UsageError(f"{output}: a stain profile is a file of the kind .json; give it such a name")
    if output.exists() and not output.is_file():
        raise UsageError(f"{output}: is no file that can be replaced; give another name")
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists; give another name, or --overwrite")
    found, notes = stain_profile(scaled(read(path, kind="slide"), mpp), method, icc=icc)
    write_stain_profile(output, found)
    facts = found.to_json()
    if as_json:
        say(json.dumps(facts, indent=1))
    else:
        for one in facts["stains"]:
            red, green, blue = one["vector"]
            say(f"{one['name']:<14}{red:.3f} {green:.3f} {blue:.3f}   99th percentile {one['percentile_99']:.3f}")
        say(f"{'glass':<14}{' '.join(f'{v:.0f}' for v in found.stains.glass)}")
        say(f"{found.pixels:,} stained pixels, {found.stains.apart:.0f} degrees between the stains ({found.method})")
    for note in (*notes, f"profile: {output}"):
        say(note, err=True)
