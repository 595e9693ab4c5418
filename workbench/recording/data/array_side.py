"""The JSON file beside an array, which says what its samples are: fields that are given once, and a sampling rate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError
from workbench.data.companion import require_regular
from workbench.data.header_text import shortened

RATES = ("sampling_rate", "sfreq", "fs", "srate", "sampling_frequency", "samplingrate", "fsample", "sample_rate", "hz")


def side_file(path: Path) -> Path:
    """The JSON file that may describe an array."""
    return path.with_suffix(".json")


def fields_of(path: Path) -> dict[str, Any]:
    """What the side file says, by name; nothing where there is none.

    Raises
    ------
    InputError
        It is no JSON, gives a field twice, or holds something else than fields.
    """
    found = loaded(path)
    if not isinstance(found, dict):
        raise InputError(
            f'{side_file(path)}: holds {shortened(json.dumps(found))}, fields such as {{"sampling_rate": 250}} were'
            " expected. Correct or remove it."
        )
    return found


def loaded(path: Path) -> Any:
    """What the side file holds; no fields where there is none."""
    file = side_file(path)
    require_regular(file)
    if not file.is_file():
        return {}

    def fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"{file}: {shortened(twice)} is given twice. Leave one of them.")
        return found

    try:
        return json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=fields)
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{file}: not readable as JSON ({error}). Correct or remove it.") from error


def side_rate(path: Path) -> float | None:
    """The sampling rate [Hz] of the side file; ``None`` where it gives none."""
    found = {k: _rate(path, k, v) for k, v in fields_of(path).items() if k.lower() in RATES and v is not None}
    if len(set(found.values())) > 1:
        said = " and ".join(f"'{k}' is {v:g} Hz" for k, v in found.items())
        raise InputError(f"{side_file(path)}: {said}. Leave one of them.")
    return next(iter(found.values()), None)


def _rate(path: Path, key: str, value: Any) -> float:
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return float(value)  # some programs write numbers as text
    except (ValueError, OverflowError):
        pass
    raise InputError(
        f"{side_file(path)}: '{key}' is {shortened(json.dumps(value))}, the sampling rate in Hz was expected."
    )


def unit_of(path: Path, beside: dict[str, Any]) -> str | None:
    """The unit that the fields name."""
    unit = beside.get("unit")
    if unit is None or isinstance(unit, str):
        return unit
    raise InputError(f"{side_file(path)}: 'unit' is {shortened(json.dumps(unit))}, a text was expected.")
