"""Parts of a result that are written alike whatever the kind of data: tables, objects, features, signals, annotations.

A file to write is a `Job`: its path, and a function that writes it to the path that it is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core.csv_text import table_text
from workbench.core.errors import GeometryError, InputError, UsageError, reason
from workbench.core.lines import Lines, Picture
from workbench.core.objects import Objects
from workbench.core.types import Embeddings, Marks, Part, Scores, Signals
from workbench.data.geojson import write_geojson
from workbench.data.lines import write_lines
from workbench.data.npy_files import mapped, spare_bytes

Job: TypeAlias = tuple[Path, Callable[[Path], None]]


def common_jobs(part: Part, target: Path) -> list[Job]:
    """Files to write for a part that the writer of its kind has no files of its own for.

    Parameters
    ----------
    target
        Folder and name, without suffix.

    Raises
    ------
    UsageError
        Only a kind knows how to write such a part.
    """
    if isinstance(part, Scores):
        return [(target.with_name(f"{target.name}.csv"), text_saver(table_of(part)))]
    if isinstance(part, Objects):
        return [(target.with_name(f"{target.name}.geojson"), lambda path: write_geojson(part, path))]
    if isinstance(part, Lines):
        return [(target.with_name(f"{target.name}.geojson"), lambda path: write_lines(part, path))]
    if isinstance(part, Picture):
        return [(target.with_name(f"{target.name}.png"), lambda path: _write_picture(part, path))]
    if isinstance(part, Embeddings):
        return _embedding_jobs(part, target)
    if isinstance(part, Signals):
        return signal_jobs(part, target)
    if isinstance(part, Marks):
        return [(target.with_name(f"{target.name}.csv"), text_saver(marks_table(part)))]
    raise UsageError(
        f"'{part.name}' ({type(part).__name__}) belongs to an image: give that image as source, or write the result."
    )


def _write_picture(part: Picture, path: Path) -> None:
    """PNG; the size of its pixels as dots per inch."""
    from PIL import Image

    dpi = {} if part.spacing is None else {"dpi": (25.4 / part.spacing, 25.4 / part.spacing)}
    Image.fromarray(part.pixels).save(path, format="PNG", **dpi)


def table_of(scores: Scores) -> str:
    """A table as CSV."""
    return table_text(scores.columns, scores.rows)


def signal_jobs(part: Signals, target: Path) -> list[Job]:
    """Time courses, tokens or maps as an array with a JSON file of what they are."""
    beside = {
        "sampling_rate": part.sampling_rate,
        "start": part.start,
        "channels": list(part.channels),
        "kinds": list(part.kinds) or None,
        "unit": part.unit,
        "role": part.role,
        "name": part.name,
    }
    return _array_jobs(part.data, beside, target)


def read_embeddings(path: str | Path) -> Embeddings:
    """Embeddings from ``name.npy`` and the ids in ``name.json`` beside it."""
    path = Path(path).expanduser()
    try:
        beside = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        ids, name = tuple(str(i) for i in beside["ids"]), str(beside["name"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not readable as embeddings with their ids ({reason(error)}).") from error
    data = np.array(mapped(path), np.float32)
    if more := spare_bytes(path):
        raise InputError(
            f"{path}: {more} bytes more than the {data.size} numbers that its header promises. Copy or save it again."
        )
    if data.ndim != 2 or len(ids) != data.shape[0]:
        raise InputError(
            f"{path}: holds features of shape {data.shape}, {path.with_suffix('.json').name} names {len(ids)} ids; one"
            " row per id was expected. Write both again."
        )
    return Embeddings(data, ids, name)


def text_saver(text: str) -> Callable[[Path], None]:
    """Writes the text as UTF-8."""
    return lambda path: _write_text(path, text)


def json_job(values: dict[str, Any], target: Path) -> Job:
    """``<target>.json`` with these values."""
    return target.with_name(f"{target.name}.json"), text_saver(json.dumps(values, indent=1) + "\n")


def marks_table(marks: Marks) -> str:
    """Annotations as CSV: onset and duration in seconds of the recording's clock, label, channels."""
    rows = ([f"{m.onset:.6f}", f"{m.duration:.6f}", m.label, ";".join(m.channels)] for m in marks)
    return table_text(["onset [s]", "duration [s]", "label", "channels"], rows)


def _embedding_jobs(part: Embeddings, target: Path) -> list[Job]:
    if part.data.ndim != 2 or len(part.ids) != part.data.shape[0]:
        raise GeometryError(
            f"embeddings '{part.name}' have shape {part.data.shape} and {len(part.ids)} ids, one per row was expected."
        )
    return _array_jobs(part.data, {"role": "embeddings", "name": part.name, "ids": list(part.ids)}, target)


def _array_jobs(data: npt.NDArray[Any], beside: dict[str, Any], target: Path) -> list[Job]:
    plain = {k: v for k, v in beside.items() if v is not None}
    return [(target.with_name(f"{target.name}.npy"), lambda path: _write_array(path, data)), json_job(plain, target)]


def _write_array(path: Path, data: npt.NDArray[Any]) -> None:
    with path.open("wb") as f:
        np.lib.format.write_array(f, np.ascontiguousarray(data), allow_pickle=False)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
