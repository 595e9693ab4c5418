from __future__ import annotations

import json

import click

from workbench.cli.options import json_option, verbose_option


@click.command()
@json_option
@verbose_option
def backends(as_json: bool, verbose: bool) -> None:
    """List what the workbench can do: backends, what they read and what they give."""
    from workbench.core.registry import backends as rows

    if as_json:
        click.echo(json.dumps([row.to_json() for row in rows().values()], indent=2))
        return
    for row in rows().values():
        click.echo(f"{row.name}: {row.task} ({', '.join(word for word in (row.title, row.paper) if word)})")
        click.echo(f"    reads  {', '.join(row.reads)}")
        click.echo(f"    gives  {', '.join(row.gives)}")
        if row.extra:
            click.echo(f"    needs  pip install 'napari-workbench[{row.extra}]'")
