from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click

from workbench.cli.options import json_option, kind_option, truncated_option, verbose_option
from workbench.cli.say import say
from workbench.core import kinds
from workbench.core.errors import InputError


@click.command()
@click.argument("paths", nargs=-1, required=True)
@kind_option
@truncated_option
@json_option
@verbose_option
def info(paths: tuple[str, ...], kind: str | None, allow_truncated: bool, as_json: bool, verbose: bool) -> int:
    """Show geometry, units and channels of files and folders. Only headers are read.

    A folder or a zip archive is searched with all folders below it: its cases are shown, the rest is named as skipped.
    What cannot be read is told, and does not keep the others from being shown.
    """
    from workbench.cli import failed
    from workbench.cli.cases import say_skipped
    from workbench.data import study

    if kind is not None:
        kinds.find(kind)
    rows: list[dict[str, Any]] = []
    codes = []
    for path in paths:
        try:
            found, whole = study.info(Path(path).expanduser(), kind=kind, allow_truncated=allow_truncated)
            if found and all(row.get("problem") for row in found):  # of many series some may be no volumes
                for row in found:
                    codes.append(failed(InputError(row["problem"]), verbose=verbose, subject=path))
            codes += [InputError.exit_code for row in found if row.get("case") and row.get("problem")]
            rows += found
            say_skipped(whole)
        except Exception as error:
            codes.append(failed(error, verbose=verbose, subject=path))
    if codes and len(paths) == 1 and not rows:
        return codes[0]
    code = 3 if codes else 0
    if as_json:
        say(json.dumps(rows, indent=2, default=str))
        return code
    for number, row in enumerate(rows):
        if number:
            say()
        of_kind = kinds.kinds().get(row.get("kind", ""))
        if of_kind is not None:
            row = {k: v for k, v in row.items() if k not in of_kind.hidden}
        width = max(len(k) for k in row)
        for key, value in row.items():
            say(f"{key.replace('_', ' '):<{width}}  {_shown(value)}")
    return code


def _shown(value: Any) -> str:
    if value is None or value == [] or value == ():
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{k}={_brief(v)}" for k, v in value.items() if v is not None)
    if isinstance(value, list | tuple):
        if len(value) > 12 and not isinstance(value[0], dict | list):
            return str(_brief(value))
        if isinstance(value[0], list):
            return "\n".join(["", *("    " + "  ".join(f"{v:12.9g}" for v in row) for row in value)])
        if isinstance(value[0], dict):
            names = [f"{v['name']} ({v['value']})" if "name" in v and "value" in v else _shown(v) for v in value]
            more = f", and {len(names) - 12} more" if len(names) > 12 else ""
            return ", ".join(names[:12]) + more
        return (" x " if all(isinstance(v, int | float) for v in value) else ", ").join(
            f"{v:.6g}" if isinstance(v, float) else str(v) for v in value
        )
    return str(value)


def _brief(value: Any) -> Any:
    """Long lists (bands, channels) by their first and last element and their number; types of channels by counts."""
    counts = Counter(value) if isinstance(value, list) and value and isinstance(value[0], str) else Counter()
    if counts and len(value) > 3 * len(counts):
        return ", ".join(f"{n} {text}" for text, n in counts.most_common())
    if not isinstance(value, list | tuple) or len(value) <= 12:
        return value
    if all(isinstance(v, bool) for v in value):
        return f"{sum(value)} of {len(value)}"
    return f"{value[0]} to {value[-1]} ({len(value)})"
