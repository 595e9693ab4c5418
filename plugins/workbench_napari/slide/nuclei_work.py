"""Nuclei from files as a result, and what was learnt of them as files. No Qt here."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench import read_objects, weights
from workbench.core.errors import InputError, UsageError, WeightsError, WorkbenchError, one_line
from workbench.core.frame import PIXELS
from workbench.core.objects import Objects
from workbench.core.reports import TrainReport
from workbench.core.types import Heatmap, Image, Part, Progress, Result, Scores
from workbench.slide import (
    COUNTS,
    INDEX,
    NUCLEI,
    POSITIVE_AREA,
    REGION_OUTLINES,
    REGIONS,
    REJECTED_NUCLEI,
    TEACHING_STEPS,
    Learnt,
    NucleiEdits,
    count_rows,
    counted,
    frame_of,
    in_pixels,
    index_table,
    prepare,
    read_labels,
    read_map,
    read_seen,
    save_classes,
    teach_corrected,
)
from workbench_napari.shared.saving import stored_provenance
from workbench_napari.slide.on_slide import GIVEN, slide_image
from workbench_napari.slide.weights_name import named_weights


def open_nuclei(path: Path, record: dict[str, Any], _progress: Progress | None = None) -> Result:
    """Nuclei of a file over the slide of a layer; rejected ones are taken from the file beside it.

    Raises
    ------
    WorkbenchError
        No outlines; outlines of another place or scale, or beyond the slide.
    """
    image = slide_image(record)
    if image.geometry.unit != "um":
        raise InputError(
            f"{image.source}: how large its pixels are is not known: give it as Mpp first, so that nuclei get sizes"
        )
    read = read_objects(path)
    objects = replace(read.exploded(), name=NUCLEI)
    if objects.frame.affine is None:
        objects = replace(objects, frame=frame_of(image.geometry))
    _require_on(objects, image, path)
    others = path.with_name(path.name.replace(NUCLEI, REJECTED_NUCLEI, 1))
    is_own = path.stem == NUCLEI and others.is_file()
    edits = NucleiEdits(objects, read_objects(others) if is_own else None)  # or it says why they are not of one
    parts: dict[str, Part] = {NUCLEI: replace(edits.objects(), name=NUCLEI)}
    if len(rejected := edits.rejected()):
        parts[REJECTED_NUCLEI] = replace(rejected, name=REJECTED_NUCLEI)
    provenance = stored_provenance({"source": str(path)}, image.source)
    beside, notes = _beside(path, image)
    if beside is not None and (file := path.with_name("embeddings.h5")).is_file():
        try:
            seen, said = read_seen(file, edits.objects(), provenance.weights_sha256)
        except WorkbenchError as error:
            seen, said = None, one_line(error)
        if seen is not None:
            parts["embeddings"] = seen
        notes += [said] if said else []
    looked = None if beside is None else beside.pop("looked", None)
    parts["counts"] = Scores(COUNTS, count_rows(edits.objects(), looked), "counts")
    parts |= beside or {}
    if isinstance(outlines := parts.get(REGION_OUTLINES), Objects):
        parts[REGION_OUTLINES] = outlines = replace(outlines, frame=in_pixels(objects.frame))
        parts[REGIONS] = counted(outlines, edits.objects())
    if beside is not None and path.with_name(f"{INDEX}.csv").is_file():
        parts[INDEX] = index_table(edits.objects(), outlines if isinstance(outlines, Objects) else None)
    note = f"nuclei were opened from {path.name}"
    if len(objects) > len(read):
        note += f", whose {len(read):,} outlines had several pieces: each piece is a nucleus"
    rest = path.with_name(f"{REJECTED_NUCLEI}{path.suffix}")
    if path.stem not in (NUCLEI, REJECTED_NUCLEI) and rest.is_file():
        notes.append(f"{rest.name} beside it was not read: it belongs to {NUCLEI}{path.suffix}")
    if path.stem == REJECTED_NUCLEI:
        notes.append(f"these are the rejected nuclei alone; {NUCLEI}{path.suffix} opens both")
    result = Result(parts, image, replace(provenance, notes=tuple(dict.fromkeys((*provenance.notes, *notes, note)))))
    prepare(result)
    return result


def _beside(path: Path, image: Image) -> tuple[dict[str, Any] | None, list[str]]:
    """What else a save of ours holds: where was looked, how dense they are; by name, and notes of what is left out."""
    folder, notes = path.parent, []
    if path.stem != NUCLEI or not (folder / "provenance.json").is_file():
        return None, []
    found: dict[str, Any] = {}
    try:
        if (file := folder / "areas.csv").is_file():
            found["areas"] = _table(file)
        rows = list(csv.reader((folder / "counts.csv").read_text(encoding="utf-8").splitlines()))
        if tuple(rows[0]) == COUNTS and rows[-1][0] == "all nuclei" and float(rows[-1][2]) > 0:
            found["looked"] = float(rows[-1][1]) / float(rows[-1][2])
    except (OSError, ValueError, IndexError):
        notes.append("counts.csv beside it was not understood: densities are not known")
    for name, read in (("density", _density), ("tissue", read_labels), (POSITIVE_AREA, _share)):
        file = folder / f"{name}.ome.tif"
        if file.is_file():
            try:
                part = read(file)
            except WorkbenchError as error:
                notes.append(one_line(error))
                continue
            found[name] = replace(part, name=name)
    if (file := folder / f"{REGION_OUTLINES}.geojson").is_file():
        found[REGION_OUTLINES] = replace(read_objects(file).in_frame(PIXELS), name=REGION_OUTLINES)
    return found, notes


def _table(path: Path) -> Scores:
    """A table of ours as it was, numbers as numbers."""

    def plain(text: str) -> Any:
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            return text

    head, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    return Scores(tuple(head), tuple(tuple(map(plain, row)) for row in rows), path.stem)


def _share(path: Path) -> Heatmap:
    data, geometry = read_map(path)
    return Heatmap(data, geometry, POSITIVE_AREA)


def _density(path: Path) -> Heatmap:
    data, geometry = read_map(path)
    return Heatmap(data, geometry, "density", unit="1/mm2")


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
    if made.provenance.backend != "cellvta":
        raise UsageError(
            "What was learnt is kept as weights of CellVTA, which did not find these nuclei: run it, and learn there."
        )
    base = _base_of(made)
    path = named_weights(path, base.path)
    return save_classes(learnt, base, path, mpp=float(base.meta["recipe"]["mpp"]))


def _base_of(made: Result) -> Any:
    """The file of the weights that found the nuclei of a result."""
    provenance = made.provenance
    name = str(provenance.settings.get("weights") or provenance.weights or "")
    try:
        base = weights.find(name, "cellvta")
    except WorkbenchError as error:
        raise WeightsError(f"the weights that found these nuclei are not there any more: {error}") from error
    if provenance.weights_sha256 not in (None, base.sha256):
        raise WeightsError(f"{base.path}: other weights than those that found these nuclei; run again")
    if base.is_lora or base.meta.get("kind") == "classes":
        base = weights.find_base(base)
    return base


def teach(
    edits: NucleiEdits, record: Mapping[str, Any], made: Result, chosen: str, path: Path, progress: Progress
) -> TrainReport:
    """Teach the weights that found the nuclei what a person corrected, and write them.

    Parameters
    ----------
    chosen
        Weights to go on from where the nuclei are of a file.

    Raises
    ------
    WorkbenchError
        Nobody corrected anything; weights that are not there any more, or the name of those.
    """
    base = _base_of(made) if made.provenance.backend == "cellvta" else weights.find(chosen, "cellvta")
    path = named_weights(path, base.path)
    slide_image(dict(record))  # or it says that the file is another by now

    def tell(event: Any) -> None:
        progress(event.step, TEACHING_STEPS)

    strange = made.provenance.backend != "cellvta"
    report: TrainReport = teach_corrected(
        edits, Path(record["source"]), str(base.path), path, mpp=record.get(GIVEN), steps=TEACHING_STEPS,
        overwrite=True, on_step=tell,
    )  # fmt: skip
    if not strange:
        return report
    note = f"the weights {base.name} of CellVTA, which did not find these nuclei, were taught"
    return replace(report, notes=(note, *report.notes))
