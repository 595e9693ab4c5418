"""What the Slides tool saves: the result as it is shown, masks and annotations beside it. No Qt here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from workbench.core.identity import identity_of
from workbench.core.types import Image, Part, Progress, Provenance, Result
from workbench.slide import (
    ANNOTATIONS,
    ANNOTATIONS_FILE,
    MASK,
    Annotations,
    annotations_in,
    mask_of,
    regions,
    write_annotations,
)  # fmt: skip
from workbench_napari.shared.case import Saved, is_edited, save_result
from workbench_napari.shared.saving import LayerState, stored_provenance
from workbench_napari.slide.on_slide import size_of, slide_image
from workbench_napari.slide.region import REGION, Region

_SAME = 1e-6


@dataclass(frozen=True, eq=False)
class Saving:
    """What to save, as the layers were when Save was pressed.

    Parameters
    ----------
    record
        Of the layer of the slide.
    result
        As its layers show it now; ``None`` where there was no run.
    masks, drawn
        Masks that no run made, and layers of annotations.
    frame
        What coordinates in the file of annotations count from: the whole slide, or the bounds that it marks.
    region
        Where the run took its tiles, where that was in a mask or in outlines.
    notes
        What else there is to say of it.
    """

    record: dict[str, Any]
    result: Result | None
    masks: Sequence[LayerState]
    drawn: Sequence[LayerState]
    folder: Path
    format: str = "auto"
    frame: Literal["file", "bounds"] = "file"
    region: Region | None = None
    notes: tuple[str, ...] = ()


def save(job: Saving, _progress: Progress | None = None) -> Saved:
    """Write everything into the folder of the slide inside ``job.folder``, as one state.

    Raises
    ------
    GeometryError
        A shape is unfinished, or a mask has other pixels than its layer was made with: nothing is written.
    UsageError
        The folder cannot be written to.
    """
    image: Image = slide_image(job.record) if job.result is None else job.result.image
    found = annotations_in(job.drawn)
    parts: dict[str, Part] = {} if job.result is None else dict(job.result.parts)
    keys = [MASK if number == 1 else f"{MASK}_{number}" for number in range(1, len(job.masks) + 1)]
    masks = {key: replace(mask_of(state), name=key) for key, state in zip(keys, job.masks, strict=True)}
    parts |= masks
    if job.drawn:
        parts[ANNOTATIONS] = regions(found, image.geometry.shape)
    made = _provenance(job, image)
    if job.result is None:
        made = replace(made, notes=(*made.notes, *image.notes))
    bounds = None if image.pyramid is None or job.frame != "bounds" else image.pyramid.bounds
    region, used = job.region, ""
    if region is not None:
        used = region.saved_as(masks, found, counts_from_file=bounds is None)
        made = replace(made, settings={**made.settings, "roi": used} if used else made.settings)
    elif str(made.settings.get("roi", "")).startswith(f"{REGION}."):
        made = replace(made, notes=(*made.notes, f"{made.settings['roi']} was not kept: a restored result lacks it"))
    said = (*made.notes, *job.notes, *found.notes, *_said_of(bounds, job), *_other_size(job, image, found))
    result = Result(parts, image, replace(made, notes=tuple(dict.fromkeys(said))))

    def beside(folder: Path) -> list[Path]:
        written = [] if region is None or used else [region.write(folder)]
        if job.drawn:
            frame = None if bounds is None else job.frame
            write_annotations(found, folder / ANNOTATIONS_FILE, frame=frame, bounds=bounds)
            written.append(folder / ANNOTATIONS_FILE)
        return written

    identity = identity_of(image, made.input_sha256)
    return save_result(result, job.folder, identity, format=job.format, per_backend=True, beside=beside)


def _said_of(bounds: tuple[int, int, int, int] | None, job: Saving) -> tuple[str, ...]:
    if not job.drawn or job.frame != "bounds":
        return ()
    if bounds is None:
        return (f"the slide marks no bounds: {ANNOTATIONS_FILE} counts from its first pixel",)
    return (f"{ANNOTATIONS_FILE} counts from the bounds of the slide, column {bounds[1]}, row {bounds[0]}, as QuPath",)


def _other_size(job: Saving, image: Image, found: Annotations) -> tuple[str, ...]:
    """Somebody gave the slide pixels of another size since the run: areas of annotations are in those of now."""
    run, now = size_of(image.geometry.affine), size_of(found.frame.affine)
    if job.result is None or not job.drawn or run == now or (run and now and abs(now / run - 1) < _SAME):
        return ()
    names = ["pixels of unknown size" if size is None else f"{size:.4g} um per pixel" for size in (run, now)]
    return (f"the run took {names[0]}, the annotations were saved with {names[1]}",)


def _provenance(job: Saving, image: Image) -> Provenance:
    made = stored_provenance({}, image.source) if job.result is None else job.result.provenance
    drawn = [key for key, states in (("masks", job.masks), ("annotations", job.drawn)) if any(map(_by_hand, states))]
    return replace(made, edited_by_hand=made.edited_by_hand or bool(drawn))


def _by_hand(state: LayerState) -> bool:
    from workbench.core.layers import KEY

    return is_edited((state[1].get("metadata") or {}).get(KEY) or {})
