"""What the shell prints: names in files and folders never steer the terminal nor turn the direction of writing."""

from __future__ import annotations

import click

from workbench.core.errors import visible


def say(text: object = "", *, err: bool = False) -> None:
    """Print lines of text, all other control characters in it made visible."""
    click.echo(visible(str(text), keep="\n\t"), err=err)
