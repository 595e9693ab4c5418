"""Save what the MEG tool made in one folder. No Qt and no napari here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.core.types import Image, Marks, Part, Progress, Provenance, Result, Scores, Signals
from workbench_napari.shared.saving import case_name


@dataclass(frozen=True, eq=False)
class Saving:
    """What to save; see `save`."""

    image: Image
    marks: Marks
    signals: Mapping[str, Signals]
    tables: Mapping[str, Scores]
    provenance: Provenance
    edited: bool
    folder: Path
    format: str


def save(job: Saving, _progress: Progress | None = None) -> list[Path]:
    """Write annotations and results into a folder of their own inside ``job.folder``; returns the paths.

    Raises
    ------
    GeometryError
        An annotation lies outside the recording: nothing is written.
    UsageError
        The folder cannot be written to.
    """
    from workbench import api

    parts: dict[str, Part] = {"annotations": job.marks, **job.signals, **job.tables}
    result = Result(parts, job.image, replace(job.provenance, edited_by_hand=job.edited))
    name = case_name(job.folder, result, job.image.name)
    return list(api.write(result, job.folder, format=job.format, name=name))  # type: ignore[arg-type]
