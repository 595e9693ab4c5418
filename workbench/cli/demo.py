from __future__ import annotations

from pathlib import Path

import click

from workbench.cli.options import quiet_option, verbose_option
from workbench.cli.say import say


@click.command()
@click.option(
    "-o", "--output", default="demo_out", show_default=True, type=click.Path(path_type=Path), help="Folder for results."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@quiet_option
@verbose_option
def demo(output: Path, device: str, quiet: bool, verbose: bool) -> int:
    """Segment the sample CTs, map the sample scene, explore the sample recording, and report with pictures.

    The CTs are synthetic torso phantoms that the demo weights have not seen. The hyperspectral scene is synthetic too:
    a network learns it from 20 painted pixels per class. The MEG recording is simulated, of a subject that the demo
    weights have not seen. Needs no network connection.
    """
    import importlib
    from functools import partial

    from workbench.cli.progress import bar
    from workbench.core import kinds
    from workbench.core.errors import WorkbenchError
    from workbench.core.output import require_folder
    from workbench.report import html
    from workbench.report.demo import Demo

    output = output.expanduser()
    require_folder(output)
    run = Demo(output, device, partial(bar, quiet=quiet), say)
    sections = []
    for row in kinds.kinds().values():
        module, _, name = row.demo.partition(":")
        section = getattr(importlib.import_module(module), name)(run) if module else None
        if section is not None:
            sections.append(section)
            say()
    if not sections:
        raise WorkbenchError("the sample data is not part of this installation; reinstall napari-workbench")
    page = html.write(output / "demo.html", "napari-workbench demo", sections, subtitle="Research use only.")
    for failure in run.failures:
        say(f"Error: {failure}", err=True)
    say(f"Results: {run.predictions}")
    say(f"Page with pictures and links to all reports: {page.resolve()}")
    return 3 if run.failures else 0
