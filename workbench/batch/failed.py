"""What failed, for the next run: a small file per case in ``<output>/.workbench/failed``.

A case that was refused for what it is (its file is damaged, its weights do not fit) is refused again for as long as
input, settings, weights and the workbench are the same: it is reported and not tried. What may pass next time (a
crash, memory, a limit of time) is tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import workbench
from workbench.batch.lease import STATE, file_name
from workbench.batch.outcome import Outcome
from workbench.batch.record import Wanted, file_stamps
from workbench.core.atomic import write_text
from workbench.core.types import Case

LISTING = "failures.jsonl"
_TRIES = 20
REFUSED = ("InputError", "GeometryError", "MismatchError")
"""Errors about what a case is."""


def _path(output: Path, case: str) -> Path:
    return output / STATE / "failed" / file_name(case)


def keep(output: Path, outcome: Outcome, tried: Mapping[str, Any]) -> None:
    """Note a failure, and what was tried (`key_of`, as it was when that began).

    Raises
    ------
    OSError, UsageError
        It cannot be written.
    """
    stored = {**outcome.to_json(), "tried": tried}
    for tries in range(_TRIES):
        try:
            write_text(_path(output, outcome.case), json.dumps(stored, default=str) + "\n")
            return
        except FileNotFoundError:  # a run that ended beside this one has removed the folder, which was empty
            if tries == _TRIES - 1 or not output.is_dir():
                raise


def forget(output: Path, case: str) -> None:
    """The case was done, or is there already."""
    with suppress(OSError):
        _path(output, case).unlink()


def find(output: Path, case: Case, wanted: Wanted) -> tuple[Outcome, bool] | None:
    """How a case failed before, if it did; and whether it is certain to fail again in the same way."""
    stored = _read(_path(output, case.id))
    if stored is None:
        return None
    outcome = Outcome.from_json(stored)
    key = key_of(case, wanted)
    same = stored.get("tried") == json.loads(json.dumps(key, default=str))
    return outcome, bool(same and outcome.error in REFUSED and key["files"])


def every(output: Path) -> Iterator[dict[str, Any]]:
    """All that failed in a folder and was not done since, of whatever run, by the names of the cases."""
    try:
        paths = list((output / STATE / "failed").iterdir())
    except OSError:
        return
    found = [stored for path in paths if (stored := _read(path)) is not None]
    for stored in sorted(found, key=lambda s: str(s.get("case"))):
        stored.pop("tried", None)
        yield stored


def listing(output: Path) -> Path | None:
    """Write ``failures.jsonl`` with a line per case that failed; without any it goes."""
    lines = [json.dumps(stored) for stored in every(output)]
    if lines:
        return write_text(output / LISTING, "\n".join(lines) + "\n")
    (output / LISTING).unlink(missing_ok=True)
    for folder in (output / STATE / "failed", output / STATE):
        with suppress(OSError):
            folder.rmdir()
    return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        Outcome.from_json(stored)
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return stored if isinstance(stored, dict) else None


def key_of(case: Case, wanted: Wanted) -> dict[str, Any]:
    """What decides how a case fails. Of folders nobody sees from outside whether something in them was changed."""
    files = case.files or (case.image,)
    plain = all(f.is_file() for f in files)
    return {
        "files": file_stamps(files) if plain else [],
        "options": {k: str(v) for k, v in case.options.items()},
        "settings": {**wanted.settings, "format": wanted.format},
        "weights": wanted.weights_sha256,
        "version": workbench.__version__,
    }
