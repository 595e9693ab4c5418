"""Write docs/command-line.md from the parser. A test checks that the page is current."""

from __future__ import annotations

from pathlib import Path

import click

from workbench.cli import CONTEXT, cli
from workbench.core import registry

PAGE = Path(__file__).with_name("command-line.md")


def render() -> str:
    """The whole page as Markdown: of our own backends, whatever strangers have installed beside them."""
    installed, registry.backends = registry.backends, lambda: {row.name: row for row in registry.BUILT_IN}
    try:
        return _page()
    finally:
        registry.backends = installed


def _page() -> str:
    lines = [
        "# Command line",
        "",
        "Made by `docs/make_reference.py` from the parser; do not edit by hand.",
        "",
    ]
    _section(cli, click.Context(cli, info_name="workbench", **CONTEXT), lines)
    return "\n".join(lines).rstrip() + "\n"


def _section(command: click.Command, context: click.Context, lines: list[str]) -> None:
    context.terminal_width = 110
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    lines += [f"## `{context.command_path}`", "", "```text", text.strip(), "```", ""]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                _section(child, click.Context(child, parent=context, info_name=name, **CONTEXT), lines)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(PAGE)
