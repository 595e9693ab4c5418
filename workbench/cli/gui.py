from __future__ import annotations

import importlib

import click

from workbench.cli.options import verbose_option


@click.command()
@click.argument("paths", nargs=-1)
@click.option("--tool", help="Tool to dock; by default the one that fits the files.")
@verbose_option
def gui(paths: tuple[str, ...], tool: str | None, verbose: bool) -> None:
    """Open files in napari with the right tool docked."""
    from workbench.core.errors import MissingExtra

    try:
        importlib.import_module("napari")
        launcher = importlib.import_module("workbench_napari.launch")
    except ModuleNotFoundError as error:
        raise MissingExtra(f"the desktop window ({error.name} is not installed)", "gui") from error
    launcher.launch([str(p) for p in paths], tool)
