"""Nuclei from files as a result, and what was learnt of them as a file. No Qt here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, UsageError, WeightsError, WorkbenchError
from workbench.core.types import Part, Progress, Result, Scores
from workbench.slide import COUNTS, NUCLEI, REJECTED_NUCLEI, Learnt, count_rows, prepare, save_classes
from workbench_napari.shared.saving import stored_provenance
from workbench_napari.slide.on_slide import slide_image


def open_nuclei(path: Path, record: dict[str, Any], _progress: Progress | None = None) -> Result:
    """Nuclei of a file over the slide of a layer; rejected ones are taken from the file beside it.

    Raises
    ------
    WorkbenchError
        No outlines; outlines of another place or scale, or beyond the slide.
    """
    import workbench as wb

    image = slide_image(record)
    read = wb.read_objects(path)
    objects = read.exploded()
    _require_on(objects, image, path)
    others = path.with_name(path.name.replace(NUCLEI, REJECTED_NUCLEI, 1))
    rejected = wb.read_objects(others) if path.stem == NUCLEI and others != path and others.is_file() else None
    parts: dict[str, Part] = {NUCLEI: replace(objects, name=NUCLEI)}
    if rejected is not None:
        parts[REJECTED_NUCLEI] = replace(rejected, name=REJECTED_NUCLEI)
    parts["counts"] = Scores(COUNTS, count_rows(objects, None), "counts")
    provenance = stored_provenance({"source": str(path)}, image.source)
    note = f"nuclei were opened from {path.name}"
    if len(objects) > len(read):
        note += f", whose {len(read):,} outlines had several pieces: each piece is a nucleus"
    result = Result(parts, image, replace(provenance, notes=tuple(dict.fromkeys((*provenance.notes, note)))))
    prepare(result)
    return result


def _require_on(objects: Any, image: Any, path: Path) -> None:
    from workbench.slide import require_frame

    require_frame(objects, image.geometry, f"the nuclei of {path.name}", image.source)
    if not len(objects):
        return
    rows, columns = image.geometry.shape[:2]
    middle = objects.centroids() / objects.frame.pixel_size
    outside = (middle < 0).any(1) | (middle[:, 0] > columns) | (middle[:, 1] > rows)
    if outside.any():
        raise InputError(
            f"{path}: {int(outside.sum()):,} of {len(objects):,} outlines lie beyond the slide of {columns:,} x "
            f"{rows:,} pixels. Are they of this slide, and in pixels of its full resolution?"
        )


def write_classes(learnt: Learnt, made: Result, path: Path, _progress: Progress | None = None) -> Path:
    """Write what was learnt beside the record of the weights that found the nuclei.

    Raises
    ------
    WorkbenchError
        Those weights are not there any more, or are others by now.
    """
    from workbench import weights

    provenance = made.provenance
    name = str(provenance.settings.get("weights") or provenance.weights)
    try:
        base = weights.find(name, "cellvta")
    except WorkbenchError as error:
        raise WeightsError(f"the weights that found these nuclei are not there any more: {error}") from error
    if provenance.weights_sha256 not in (None, base.sha256):
        raise WeightsError(f"{base.path}: other weights than those that found these nuclei; run again")
    if base.is_lora or base.meta.get("kind") == "classes":
        base = weights.find_base(base)
    if path.suffix != ".safetensors":
        path = path.with_name(f"{path.name}.safetensors")
    if path.exists() and path.samefile(base.path):
        raise UsageError(f"{path}: these are the weights that found the nuclei; choose another name")
    return save_classes(learnt, base, path, mpp=float(base.meta["recipe"]["mpp"]))
