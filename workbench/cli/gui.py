from __future__ import annotations

import importlib

import click

from workbench.cli.options import kind_option, verbose_option


@click.command()
@click.argument("paths", nargs=-1)
@click.option(
    "--tool",
    help="Kind of data whose tool to dock (volume, scene, recording, or one that a package adds); by default that of "
    "the first file.",
)
@kind_option
@verbose_option
def gui(paths: tuple[str, ...], tool: str | None, kind: str | None, verbose: bool) -> None:
    """Open files or a saved session (NAME.session) in napari with the right tool docked."""
    from workbench.core.errors import MissingExtra

    try:
        importlib.import_module("napari")
        launcher = importlib.import_module("workbench_napari.launch")
    except ModuleNotFoundError as error:
        raise MissingExtra(f"the desktop window ({error.name} is not installed)", "gui") from error
    launcher.launch([str(p) for p in paths], tool, kind)
