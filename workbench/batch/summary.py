"""What a run leaves for programs: a table of all cases (``summary.csv``), and the record of the run (``run.json``)."""

from __future__ import annotations

import csv
import json
import os
import platform
import socket
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from workbench.batch.rows import Rows, notes, number, sizes, survey
from workbench.core.atomic import replacing
from workbench.core.csv_text import safe_cell
from workbench.core.jsonable import plain_json
from workbench.core.provenance import versions

_BEFORE, _AFTER = ("case", "group"), ("source", "status", "seconds", "message", "notes")


def write_summary(path: Path, rows: Rows, size_column: str) -> Path:
    """One line per case in the order of the rows, joined to the columns of the input list; written whole or not at all.

    Columns: ``case`` and ``group``; those of the input list, of which one that has a name of ours gets " (list)" behind
    it; source, status, seconds, message, number of notes; the size of each class, with its unit. A case without a
    class, or without a size, has an empty cell there, never 0.

    Parameters
    ----------
    size_column
        Of the kind: the column of the tables of classes that holds sizes (``"volume [mL]"``).
    """
    found = survey(rows, size_column)
    measured = [f"{name} {found.measure}" for name in found.classes]
    ours = {*_BEFORE, *_AFTER, *measured}
    listed = []
    for name in found.columns:
        while name in ours:
            name += " (list)"
        ours.add(name)
        listed.append(name)
    with replacing(path) as part, part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([safe_cell(c) for c in (*_BEFORE, *listed, *_AFTER, *measured)])
        for row in rows:
            columns, has = row.get("columns") or {}, sizes(row, found.measure)
            cells = [
                row.get("case", ""),
                row.get("group", ""),
                *(columns.get(name, "") for name in found.columns),
                row.get("source", ""),
                row.get("status") or "not run",
                "" if (seconds := number(row.get("seconds"))) is None else seconds,
                row.get("message", ""),
                len(notes(row)),
                *(has.get(name, "") for name in found.classes),
            ]
            table.writerow([safe_cell(c) for c in cells])
    return path


def write_run(path: Path, header: Mapping[str, Any], rows: Rows) -> Path:
    """The record of a run as JSON: `header`, then `machine`, the counts, and a line for each of the ``cases``, last.

    Parameters
    ----------
    header
        What only the run knows: command line, device, threads, jobs, started, finished, exit code. What it says itself
        stands in place of what is found here.
    """
    head = {**header, **{k: v for k, v in machine().items() if k not in header}}
    head.setdefault("counts", dict(survey(rows, "").counts))
    head.pop("cases", None)
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        text = _json(head, indent=2)
        file.write(text[:-2] + ',\n  "cases": [')
        comma = ""
        for row in rows:
            file.write(f"{comma}\n    {_json(dict(row))}")
            comma = ","
        file.write("\n  ]\n}\n")
    return path


def _json(value: Any, indent: int | None = None) -> str:
    """Valid JSON: NaN and infinity, which it does not have, are looked for only where there are some."""
    try:
        return json.dumps(value, indent=indent, default=str, allow_nan=False)
    except ValueError:
        return json.dumps(plain_json(value), indent=indent, default=str, allow_nan=False)


def machine() -> dict[str, Any]:
    """Where it runs: host, system, processors, the versions that results depend on, and all installed packages."""
    return {
        "host": socket.gethostname(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "versions": versions(),
        "packages": _packages(),
    }


@cache
def _packages() -> dict[str, str]:
    found: dict[str, str] = {}
    for one in metadata.distributions():
        name = one.metadata["Name"] if one.metadata is not None else None
        if name:  # a package that was removed in part has none
            found.setdefault(str(name), str(one.version))
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))
