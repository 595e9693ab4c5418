"""What a study looks like on the disk: a row per case from its record, never all of them in memory."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.batch import failed
from workbench.batch.outcome import Outcome
from workbench.batch.record import Wanted
from workbench.batch.rows import JsonLines
from workbench.core import case_folder, leftovers
from workbench.core.types import Case


@contextmanager
def spooled(rows: Iterable[Mapping[str, Any]]) -> Iterator[JsonLines]:
    """The rows in a temporary file: gone through again and again without reading every record each time."""
    folder = leftovers.temporary_folder("workbench-rows")
    try:
        path = folder / "rows.jsonl"
        with path.open("w", encoding="ascii") as file:
            for row in rows:
                file.write(json.dumps(row, default=str) + "\n")
        yield JsonLines(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class OnDisk:
    """The cases of a study in order, each as a plain row (`workbench.batch.rows`).

    Parameters
    ----------
    outcomes
        What this run did, by case; what other runs did tells the disk.
    size_part
        Name of the table of sizes, as the kind of the data calls it.
    wanted
        What this run computes: a result of other settings, which it did not come to, has no part in the study.
    whole
        Whether a row holds the whole record of its case under ``provenance``.
    """

    output: Path
    cases: Sequence[Case]
    outcomes: Mapping[str, Outcome]
    size_part: str = ""
    wanted: Wanted | None = None
    whole: bool = False

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        failures = {str(f.get("case")): f for f in failed.every(self.output)}
        for case in self.cases:
            yield self._row(case, failures.get(case.id))

    def _row(self, case: Case, failure: Mapping[str, Any] | None) -> dict[str, Any]:
        outcome = self.outcomes.get(case.id)
        row: dict[str, Any] = {
            "case": case.id,
            "status": "not run",
            "source": str(case.image),
            "group": case.group,
            "columns": dict(case.options),
            "seconds": None,
            "peak_memory_mb": None,
            "files": [],
            "table": [],
            "notes": [],
            "stage": "",
            "error": "",
            "message": "",
            "hint": "",
        }
        told = outcome.to_json() if outcome is not None and outcome.status == "failed" else failure
        if told is not None:
            kept = ("seconds", "peak_memory_mb", "stage", "error", "message", "hint", "exit_code", "trace")
            return row | {"status": "failed"} | {k: told[k] for k in kept if k in told}
        folder = self.output / case.id
        record = case_folder.read_record(folder)
        if record is None:
            return row
        differing = [] if outcome is not None or self.wanted is None else self.wanted.differing(record)
        if differing and not record.get("edited_by_hand"):
            return row | {"notes": [f"the result that is there was made otherwise: {', '.join(differing)}"]}
        status = "skipped" if outcome is None else outcome.status
        row |= {
            "status": status,
            "seconds": record.get("seconds"),
            "peak_memory_mb": record.get("peak_memory_mb"),
            "files": [str(folder / name) for name in [*record.get("files", {}), case_folder.RECORD]],
            "table": self._table(folder),
            "notes": list(record.get("notes") or ()),
        }
        if outcome is not None and status == "done":
            row["seconds"] = outcome.seconds  # with reading and writing
        if self.whole:
            row["provenance"] = record
        return row

    def _table(self, folder: Path) -> list[dict[str, Any]]:
        if not self.size_part:
            return []
        found: list[dict[str, Any]] = []
        path = folder / f"{self.size_part}.csv"
        with suppress(OSError, ValueError, csv.Error), path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            found = [{k: _value(v) for k, v in row.items() if k} for row in table]
            first = (table.fieldnames or [""])[0]  # see `Scores.as_sizes`
            found = [row if "class" in row else {"class": row.get(first, ""), **row} for row in found]
        return found


def _value(text: Any) -> Any:
    """A number where the cell holds one."""
    for kind in (int, float):
        with suppress(TypeError, ValueError):
            return kind(text)
    return text
