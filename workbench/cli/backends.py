from __future__ import annotations

import json

import click

from workbench.cli.options import json_option, verbose_option
from workbench.cli.say import say


@click.command()
@json_option
@verbose_option
def backends(as_json: bool, verbose: bool) -> None:
    """List what the workbench can do: backends, what they read and what they give."""
    from workbench.core.registry import backends as rows

    if as_json:
        say(json.dumps([row.to_json() for row in rows().values()], indent=2))
        return
    for row in rows().values():
        say(f"{row.name}: {row.task} ({', '.join(word for word in (row.title, row.paper) if word)})")
        say(f"    reads  {', '.join(row.reads)}")
        say(f"    gives  {', '.join(row.gives)}")
        if row.extra:
            say(f"    needs  pip install 'napari-workbench[{row.extra}]'")
