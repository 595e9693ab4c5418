"""Groups whose commands are strings until one is used, so that ``--help`` imports nothing heavy."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

from workbench.core.errors import UsageError, nearest

if TYPE_CHECKING:
    from workbench.core.registry import Backend

COMMANDS: dict[str, tuple[str, str]] = {
    "info": ("workbench.cli.info:info", "Show geometry, units and channels of a file; no pixels are loaded."),
    "predict": ("workbench.cli.predict:predict", "Run a model over a file, a folder, a glob or a list."),
    "train": ("workbench.cli.train:train", "Teach a model with your corrections, or from scratch."),
    "evaluate": ("workbench.cli.evaluate:evaluate", "Score a model against reference labels."),
    "probe": ("workbench.cli.probe:probe", "Compare encoders on labelled tiles: a few labels, and retrieval."),
    "search": ("workbench.cli.search:search", "Find the tiles of a study that are most like one that is shown."),
    "stains": ("workbench.cli.stains:stains", "Keep the colours of the stains of a slide, to bring others to them."),
    "clusters": ("workbench.cli.clusters:clusters", "Group the tiles of a study, and show where each group lies."),
    "backends": ("workbench.cli.backends:backends", "List what the workbench can do."),
    "weights": ("workbench.cli.weights:weights", "List, show, fetch and check weights."),
    "doctor": ("workbench.cli.doctor:doctor", "Check this installation and say how to fix it."),
    "demo": ("workbench.cli.demo:demo", "Run the main job on the sample data and make a report with pictures."),
    "gui": ("workbench.cli.gui:gui", "Open files in napari with the right tool docked."),
}


class LazyGroup(click.Group):
    """Group over a table ``name -> (module:attribute, one line of help)``."""

    def __init__(self, *args: Any, commands_table: dict[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = commands_table or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            raise UsageError(f"no command '{cmd_name}'.{nearest(cmd_name, self.table)}")
        module, _, attribute = self.table[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])


class BackendGroup(click.Group):
    """Group with one command per backend that offers the verb, built from its settings when it is asked for."""

    def __init__(self, *args: Any, make: Any = None, verb: str = "predict", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.make, self.verb = make, verb

    def _rows(self) -> list[Backend]:
        from workbench.core.registry import backends

        return [row for row in backends().values() if self.verb in row.verbs]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [row.name for row in self._rows()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from workbench.core.registry import backends, find

        # Undo the hyphen of the token normaliser: names of backends are spelt with underscores.
        name = cmd_name.replace("-", "_")
        row = find(name if name in backends() else cmd_name)
        command: click.Command = self.make(row)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Backends"):
            formatter.write_dl([(b.name, f"{b.task} ({b.title})") for b in self._rows()])
