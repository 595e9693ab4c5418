from __future__ import annotations

import json

import click

from workbench.cli.options import json_option, verbose_option
from workbench.cli.say import say

_MARKS = {"good": "ok  ", "note": "note", "bad": "BAD "}


@click.command()
@json_option
@verbose_option
def doctor(as_json: bool, verbose: bool) -> int:
    """Check this installation: packages, graphics, devices, folders, demo weights; says how to fix what is wrong."""
    from workbench.doctor import examine

    findings = examine()
    if as_json:
        say(json.dumps([f.__dict__ for f in findings], indent=2))
    else:
        for f in findings:
            say(f"{_MARKS[f.status]}  {f.name:<14} {f.message}")
            if f.fix:
                say(f"      {'':<14} fix: {f.fix}")
    return 1 if any(f.status == "bad" for f in findings) else 0
