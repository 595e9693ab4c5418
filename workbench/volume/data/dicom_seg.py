"""DICOM segmentations read onto the grid of their source; `workbench.volume.data.dicom_seg_write` writes them.

Reading needs pydicom only. A DICOM-SEG leaves out empty frames, so our own files keep the grid of the source in a
private block; files of other programs get the grid that their frames span.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Geometry, Image
from workbench.data.geometry import check_size, checked_affine
from workbench.data.label_table import doubled_names
from workbench.volume.data import cielab
from workbench.volume.data.dicom_damage import reading_dicom
from workbench.volume.data.dicom_fields import many
from workbench.volume.data.dicom_header import Header, read_header, starts_as_dicom
from workbench.volume.data.dicom_pixels import is_compressed, read_pixels
from workbench.volume.data.dicom_planes import check_pixels
from workbench.volume.data.dicom_roles import SEGMENTATION
from workbench.volume.data.dicom_seg_grid import Frame, held, placed, plan_of, slices_of

PRIVATE_GROUP, PRIVATE_CREATOR = 0x0071, "NAPARI-WORKBENCH"
VALUE_PREFIX = "label value "


@dataclass(frozen=True)
class _Segment:
    """One segment as the file describes it; the colour is stored CIELab."""

    number: int
    description: str
    label: str
    lab: tuple[float, float, float] | None


def is_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM-SEG."""
    if not path.is_file() or not starts_as_dicom(path):
        return False
    try:
        header = read_header(path)
    except InputError:
        return False
    return header is not None and header.sop_class in SEGMENTATION


def read(path: Path, reference: Geometry | None = None) -> Image:
    """Open a DICOM-SEG as an image whose samples are the label map and whose `classes` are its segments.

    Parameters
    ----------
    reference
        Grid of the image that it was drawn on: tells the step between slices where the frames that are there do not
        (empty ones are left out), as long as they lie on slices of it.

    Raises
    ------
    InputError
        If it is not a binary or label-map segmentation, or an attribute or its pixels are not what they must be; when
        ``data`` is asked for, if segments overlap.
    GeometryError
        If its frames lie on no regular grid.
    """
    header = read_header(path, everything=True)
    if header is None:
        raise InputError(f"{path}: not a readable DICOM file. Copy or export it again.")
    kind = header.text("SegmentationType")
    if kind not in ("BINARY", "LABELMAP"):
        raise InputError(
            f"{path}: a segmentation of type {kind or 'unknown'}, expected BINARY or LABELMAP. Threshold and export it"
            " again."
        )
    rows, columns = header.count("Rows", high=65535), header.count("Columns", high=65535)
    frames = _frames(header, kind)
    segments = [(s.number, _class(s)) for s in _segments(header)]
    notes = [n for n in (check_pixels(header, 1),) if n]
    kept = _kept_grid(header)
    if kept is not None and kept[0][:2] != (columns, rows):
        notes.append(
            f"{path.name}: its private grid has {kept[0][0]} x {kept[0][1]} voxels a slice and its frames {columns} x"
            f" {rows}: the grid is the one that its frames span"
        )
        kept = None
    if kept is None:
        shape, affine = placed(plan_of(header), frames, (rows, columns), reference, path)
    else:
        shape, affine = kept[0], checked_affine(kept[1], path, "private geometry block")
        slices_of(frames, affine, shape[2], path)
        series = header.item("ReferencedSeriesSequence")
        sources = [] if series is None else series.items("ReferencedInstanceSequence")
        if len(sources) > 1 and len(sources) != shape[2]:  # one of a multi-frame source
            raise InputError(
                f"{path}: its private grid has {shape[2]} slices, and it was made from {len(sources)} images"
                " (ReferencedSeriesSequence). The header is damaged: copy or export it again."
            )
    values = {number: info.value for number, info in segments}
    if len(set(values.values())) < len(values):
        values = {number: number for number in values}
        segments = [(n, ClassInfo(n, c.name, c.color)) for n, c in segments]
    dtype = np.dtype(np.uint8 if max(values.values(), default=0) < 256 else np.uint16)
    check_size(shape, 1, dtype, path)
    classes = ClassTable(tuple(sorted((c for n, c in segments if n > 0 and c.value > 0), key=lambda c: c.value)))
    return Image(
        geometry=Geometry(shape, affine),
        dtype=dtype,
        channels=("0",),
        loader=partial(_load, path, frames, shape, affine, values, dtype),
        source=path,
        modality="SEG",
        format="dicom-seg",
        header={"segmentation_type": kind, "n_segments": len(segments), "n_frames": len(frames)},
        classes=classes,
        notes=(*notes, *doubled_names(classes)),
    )


def _segments(header: Header) -> list[_Segment]:
    found = []
    for item in header.items("SegmentSequence"):
        lab = item.numbers("RecommendedDisplayCIELabValue", 3)
        found.append(
            _Segment(
                item.count("SegmentNumber", low=0, high=65535),
                item.text("SegmentDescription"),
                item.text("SegmentLabel"),
                None if lab is None else (lab[0], lab[1], lab[2]),
            )
        )
    if not found:
        raise header.broken("SegmentSequence", "a description of each segment")
    numbers = [s.number for s in found]
    if doubled := sorted({n for n in numbers if numbers.count(n) > 1}):
        raise InputError(
            f"{header.file}: SegmentNumber {doubled[0]} is described {numbers.count(doubled[0])} times, expected once."
            " The header is damaged: export it again."
        )
    return found


def _class(segment: _Segment) -> ClassInfo:
    number, text = segment.number, segment.description
    words = text.removeprefix(VALUE_PREFIX)
    value = int(words) if text.startswith(VALUE_PREFIX) and words.isdigit() and 0 < int(words) < 65536 else number
    own = None if segment.lab is None else cielab.to_rgb(segment.lab)
    color = own or ClassTable.from_values([max(number, 1)]).classes[0].color
    return ClassInfo(value, segment.label or f"class {value}", color)


def _frames(header: Header, kind: str) -> list[Frame]:
    shared = header.item("SharedFunctionalGroupsSequence")
    groups = header.items("PerFrameFunctionalGroupsSequence")
    promised = header.count("NumberOfFrames")
    if len(groups) != promised:
        raise InputError(
            f"{header.file}: {promised} frames but {len(groups)} descriptions of frames. The file is damaged: copy or"
            " export it again."
        )
    if all(held("PlanePositionSequence", group, shared) is None for group in groups):
        raise GeometryError(
            f"{header.file}: a 2-D segmentation (its frames have no position in the patient), which is not supported: a"
            " segmentation of a volume was expected. Give that of the CT or MR series."
        )
    found = []
    for index, group in enumerate(groups):
        place = held("PlanePositionSequence", group, shared)
        position = None if place is None else place.numbers("ImagePositionPatient", 3, GeometryError)
        if position is None:
            raise GeometryError(
                f"{header.file}: frame {index + 1} has no ImagePositionPatient, each needs one. Export it again."
            )
        named = held("SegmentIdentificationSequence", group, shared)
        if named is None and kind == "BINARY":
            raise InputError(
                f"{header.file}: frame {index + 1} has no SegmentIdentificationSequence, each needs one. Export it"
                " again."
            )
        segment = 0 if named is None or kind == "LABELMAP" else named.count("ReferencedSegmentNumber", high=65535)
        found.append(Frame(index, segment, (position[0], position[1], position[2])))
    return found


def _kept_grid(header: Header) -> tuple[tuple[int, int, int], npt.NDArray[np.float64]] | None:
    """Shape and affine of the source as our own files keep them."""
    sides = header.private(PRIVATE_GROUP, PRIVATE_CREATOR, 0x01)
    numbers = header.private(PRIVATE_GROUP, PRIVATE_CREATOR, 0x02)
    if sides is None and numbers is None:
        return None
    whole, places = many(sides), many(numbers)
    if [type(v) for v in whole] != [int] * 3 or not all(isinstance(v, float) for v in places) or len(places) != 12:
        raise GeometryError(
            f"{header.file}: the private block ({PRIVATE_GROUP:04x},xx01) of {PRIVATE_CREATOR} holds {len(whole)} and"
            f" {len(places)} numbers, expected the 3 sides and the 12 numbers of a grid. Copy or export it again."
        )
    affine = np.vstack([np.array(places, dtype=np.float64).reshape(3, 4), [0, 0, 0, 1]])
    return (whole[0], whole[1], whole[2]), affine


def _pictures(path: Path, count: int, rows: int, columns: int) -> Iterator[npt.NDArray[Any]]:
    """The frames of a file, each (rows, columns)."""
    dataset, syntax = read_pixels(path)
    with reading_dicom(path, "the frames cannot be read"):
        bits, content = int(dataset.BitsAllocated), dataset.PixelData
    if bits != 1 or is_compressed(syntax):
        pictures = importlib.import_module("pydicom.pixels").iter_pixels(dataset)
        for _ in range(count):
            with reading_dicom(path, "the frames cannot be read"):
                picture = next(pictures, None)
            if picture is None:
                return
            yield picture
        return
    # Eight voxels a byte, without padding between frames, which pydicom cannot walk frame by frame.
    packed = np.frombuffer(content, dtype=np.uint8)
    for index in range(count):
        start, stop = index * rows * columns, (index + 1) * rows * columns
        if stop > packed.size * 8:
            raise InputError(
                f"{path}: truncated: {packed.size} bytes, frame {index + 1} ends at byte {-(-stop // 8)}. Copy or"
                " export it again."
            )
        bits_of = np.unpackbits(packed[start // 8 : -(-stop // 8)], bitorder="little")
        yield bits_of[start % 8 :][: stop - start].reshape(rows, columns)


def _load(
    path: Path,
    frames: Sequence[Frame],
    shape: tuple[int, int, int],
    affine: npt.NDArray[np.float64],
    values: dict[int, int],
    dtype: np.dtype[Any],
) -> npt.NDArray[Any]:
    out = np.zeros(shape[::-1], dtype=dtype)  # (slices, rows, columns)
    overlap = 0
    slices = slices_of(frames, affine, shape[2], path)
    numbers = np.zeros(65536, dtype=dtype)  # segment number -> class value
    for number, value in values.items():
        numbers[number] = value if number > 0 else 0
    pictures = _pictures(path, len(frames), shape[1], shape[0])
    for frame, k in zip(frames, slices, strict=True):
        picture = next(pictures, None)
        if picture is None or picture.shape != out[k].shape:
            found = "missing" if picture is None else f"of {picture.shape} samples, {out[k].shape} were expected"
            raise InputError(f"{path}: frame {frame.index + 1} is {found}. Copy or export it again.")
        if frame.segment == 0:  # label map: the samples are segment numbers
            unknown = [int(n) for n in np.unique(picture) if n and n not in values]
            if unknown:
                raise InputError(
                    f"{path}: frame {frame.index + 1} shows segment(s) {unknown[:5]}, which are not described. Export"
                    " it again."
                )
            out[k] = numbers[picture]
            continue
        if frame.segment not in values:
            raise InputError(f"{path}: frame {frame.index + 1} shows segment {frame.segment}, which is not described.")
        here = picture > 0
        overlap += int(np.count_nonzero(out[k][here]))
        out[k][here] = values[frame.segment]
    if overlap:
        raise InputError(
            f"{path}: its segments overlap in {overlap} voxels, a label map holds one class per voxel."
            " Export the segments one by one."
        )
    return out.transpose(2, 1, 0)[None]
