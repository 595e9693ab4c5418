from __future__ import annotations

import json
from typing import Any

import click

from workbench.cli.options import json_option, verbose_option


@click.command()
@click.argument("paths", nargs=-1, required=True)
@json_option
@verbose_option
def info(paths: tuple[str, ...], as_json: bool, verbose: bool) -> None:
    """Show geometry, units and channels of files or DICOM folders. Only headers are read."""
    from workbench import api

    rows: list[dict[str, Any]] = [row for path in paths for row in api.info(path)]
    if as_json:
        click.echo(json.dumps(rows, indent=2, default=str))
        return
    for number, row in enumerate(rows):
        if number:
            click.echo()
        width = max(len(k) for k in row)
        for key, value in row.items():
            click.echo(f"{key.replace('_', ' '):<{width}}  {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "\n".join(["", *("    " + "  ".join(f"{v:12.6g}" for v in row) for row in value)])
    if isinstance(value, list | tuple):
        return " x ".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in value)
    return "-" if value is None else str(value)
