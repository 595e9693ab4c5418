"""DICOM segmentations: written through highdicom onto the source series, read back onto its grid.

Reading needs pydicom only. A DICOM-SEG leaves out empty frames, so the grid of the source is kept in a private block;
files of other programs get the grid that their frames span.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import __version__
from workbench.core.classes import RGB, ClassInfo, ClassTable
from workbench.core.errors import GeometryError, InputError, MissingExtra
from workbench.core.types import Geometry, Image, Labels
from workbench.data.geometry import LPS_TO_RAS, check_size, checked_affine

_PRIVATE_GROUP, _PRIVATE_CREATOR = 0x0071, "NAPARI-WORKBENCH"
_VALUE_PREFIX = "label value "

# SNOMED CT concepts of frequent organs; what is not here is coded as tissue, with its name in the segment label.
_TYPES = {
    "liver": "10200004", "spleen": "78961009", "pancreas": "15776009", "stomach": "69695003", "aorta": "15825003",
    "gallbladder": "28231008", "urinary_bladder": "89837001", "kidney": "64033007", "kidneys": "64033007",
    "lung": "39607008", "lungs": "39607008", "heart": "80891009", "brain": "12738006", "esophagus": "32849002",
    "vertebrae": "51282000", "vertebra": "51282000",
}  # fmt: skip


@dataclass(frozen=True)
class _Frame:
    """One frame: its index in the file, its segment (0: label map) and the position of its first pixel (LPS, mm)."""

    index: int
    segment: int
    position: tuple[float, float, float]


def write(path: Path, labels: Labels, source: Image, *, algorithm: str = "napari-workbench") -> None:
    """Write a label map as a binary DICOM-SEG that refers to the slices of `source`.

    Parameters
    ----------
    labels
        On the grid of `source`; every value above 0 must be in its class table.
    source
        What `workbench.volume.data.dicom.read` gave for the series. Its patient and study fields go into the file, as
        DICOM demands; identifiers that an anonymiser blanked are replaced by ones derived from the slices.

    Raises
    ------
    MissingExtra
        If highdicom is not installed (extra ``dicom``).
    InputError
        If a value has no class, there are no classes, or highdicom refuses the source.
    """
    try:
        hd: Any = importlib.import_module("highdicom")
    except ImportError as error:
        raise MissingExtra("writing DICOM-SEG (highdicom is not installed)", "dicom") from error
    planes = source.native.stack.planes
    datasets, order = _source_datasets(planes)
    numbered = _numbered(labels)[..., order]
    uid = importlib.import_module("pydicom.uid").generate_uid
    try:
        segmentation = hd.seg.Segmentation(
            source_images=datasets,
            # (frames, rows, columns), from (column, row, slice)
            pixel_array=np.ascontiguousarray(numbered.transpose(2, 1, 0)),
            segmentation_type="BINARY",
            segment_descriptions=[_description(hd, n, c, algorithm) for n, c in enumerate(labels.classes, 1)],
            series_instance_uid=uid(),
            series_number=900,
            sop_instance_uid=uid(),
            instance_number=1,
            manufacturer="napari-workbench",
            manufacturer_model_name="workbench",
            software_versions=__version__,
            device_serial_number="0",
            content_label="SEGMENTATION",
            series_description=f"Segmentation {algorithm}"[:64],
        )
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{source.source}: no DICOM-SEG can be made for this series ({reason}). Use NIfTI.") from error
    assert labels.geometry.affine is not None
    block = segmentation.private_block(_PRIVATE_GROUP, _PRIVATE_CREATOR, create=True)
    block.add_new(0x01, "UL", list(labels.geometry.shape))
    block.add_new(0x02, "FD", [float(v) for v in labels.geometry.affine[:3].ravel()])
    segmentation.save_as(path)


def read(path: Path) -> Image:
    """Open a DICOM-SEG as an image whose samples are the label map and whose `classes` are its segments.

    Raises
    ------
    InputError
        If it is not a binary or label-map segmentation; when ``data`` is asked for, if segments overlap.
    GeometryError
        If its frames lie on no regular grid.
    """
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        kind = str(header.SegmentationType)
        frames = list(_frames(header))
        segments = [_class(item) for item in header.SegmentSequence]
        shape, affine = _grid(header, frames, path)
    except (AttributeError, KeyError, IndexError, pydicom.errors.InvalidDicomError) as error:
        raise InputError(f"{path}: a damaged DICOM-SEG ({error}). Export it again.") from error
    if kind not in ("BINARY", "LABELMAP"):
        raise InputError(f"{path}: a {kind} segmentation, expected BINARY or LABELMAP. Threshold and export it again.")
    values = {number: info.value for number, info in segments}
    if len(set(values.values())) < len(values):
        values = {number: number for number in values}
        segments = [(n, ClassInfo(n, c.name, c.color)) for n, c in segments]
    dtype = np.dtype(np.uint8 if max(values.values(), default=0) < 256 else np.uint16)
    check_size(shape, 1, dtype, path)
    return Image(
        geometry=Geometry(shape, affine),
        dtype=dtype,
        channels=("0",),
        loader=partial(_load, path, frames, shape, affine, values, dtype),
        source=path,
        modality="SEG",
        format="dicom-seg",
        header={"segmentation_type": kind, "n_segments": len(segments), "n_frames": len(frames)},
        classes=ClassTable(tuple(sorted((c for n, c in segments if n > 0 and c.value > 0), key=lambda c: c.value))),
    )


def _source_datasets(planes: Any) -> tuple[list[Any], list[int]]:
    """Headers of the source files, and the order in which the slices of our grid stand in them."""
    import pydicom
    from pydicom.uid import generate_uid

    files = list(dict.fromkeys(p.path for p in planes))
    if len(files) > 1 and len(files) != len(planes):
        raise InputError(
            f"{files[0]}: the volume is spread over several multi-frame files; DICOM-SEG needs one. Use NIfTI."
        )
    order = (
        list(range(len(planes))) if len(files) > 1 else sorted(range(len(planes)), key=lambda k: planes[k].frame or 0)
    )
    datasets = [pydicom.dcmread(f, stop_before_pixels=True) for f in files]
    # The same for every slice, and the same each time.
    seed = [str(d.file_meta.get("MediaStorageSOPInstanceUID") or d.get("SOPInstanceUID") or "") for d in datasets]
    for dataset in datasets:
        meta = dataset.file_meta
        for name, fallback in (
            ("SOPInstanceUID", meta.get("MediaStorageSOPInstanceUID")),
            ("SOPClassUID", meta.get("MediaStorageSOPClassUID")),
            ("StudyInstanceUID", generate_uid(entropy_srcs=["study", *seed])),
            ("SeriesInstanceUID", generate_uid(entropy_srcs=["series", *seed])),
            ("FrameOfReferenceUID", generate_uid(entropy_srcs=["frame", *seed])),
        ):
            if not dataset.get(name):
                setattr(dataset, name, fallback)
        for name in (
            "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
            "StudyTime",
        ):  # fmt: skip
            if name not in dataset:
                setattr(dataset, name, "")
    return datasets, order


def _numbered(labels: Labels) -> npt.NDArray[np.uint16]:
    """The map with segment numbers 1..n in place of class values: DICOM wants them without gaps."""
    if not len(labels.classes):
        raise InputError(f"label map '{labels.name}' has no classes, a DICOM-SEG needs at least one. Name them first.")
    highest = int(labels.data.max(initial=0))
    known = {c.value: n for n, c in enumerate(labels.classes, 1)}
    if highest > 65535:
        raise InputError(f"label map '{labels.name}' holds the value {highest}, DICOM-SEG takes values up to 65535.")
    table = np.zeros(highest + 1, dtype=np.uint16)
    for value, number in known.items():
        if value <= highest:
            table[value] = number
    present = np.flatnonzero(np.bincount(labels.data.ravel(), minlength=1))
    unknown = [int(v) for v in present if v > 0 and v not in known]
    if unknown:
        raise InputError(f"label map '{labels.name}' holds values without a class: {unknown[:10]}. Name them first.")
    return np.asarray(table[labels.data])


def _description(hd: Any, number: int, info: ClassInfo, algorithm: str) -> Any:
    coded = hd.sr.CodedConcept
    key = info.name.lower().replace(" ", "_")
    base = key.removesuffix("_left").removesuffix("_right")
    if base in _TYPES:
        category = coded("123037004", "SCT", "Anatomical Structure")
        kind = coded(_TYPES[base], "SCT", base.replace("_", " ").capitalize())
    else:
        category = kind = coded("85756007", "SCT", "Tissue")
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=info.name[:64] or f"class {info.value}",
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type="SEMIAUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=algorithm, version=__version__, family=coded("123110", "DCM", "Artificial Intelligence")
        ),
        display_color=hd.color.CIELabColor(*_lab(info.color)),
    )
    # Segment numbers have no gaps, class values may: the value travels in words.
    description.SegmentDescription = f"{_VALUE_PREFIX}{info.value}"
    return description


def _class(item: Any) -> tuple[int, ClassInfo]:
    number = int(item.SegmentNumber)
    text = str(item.get("SegmentDescription") or "")
    words = text.removeprefix(_VALUE_PREFIX)
    value = int(words) if text.startswith(_VALUE_PREFIX) and words.isdigit() and 0 < int(words) < 65536 else number
    lab = item.get("RecommendedDisplayCIELabValue")
    color = (
        _rgb(lab) if lab is not None and len(lab) == 3 else ClassTable.from_values([max(number, 1)]).classes[0].color
    )
    return number, ClassInfo(value, str(item.get("SegmentLabel") or f"class {value}"), color)


def _lab(color: RGB) -> tuple[float, float, float]:
    """CIELab (D50) of an sRGB colour; highdicom's own conversion takes another white point than DICOM."""
    srgb = np.array(color) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    ratio = (_TO_XYZ @ linear) / _WHITE
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return float(116 * f[1] - 16), float(500 * (f[0] - f[1])), float(200 * (f[1] - f[2]))


def _rgb(stored: Any) -> RGB:
    """sRGB of a DICOM CIELab value: L 0..100 and a, b -128..127 on 16 bits, white point D50 (PS3.3 C.10.7.1.1)."""
    l_star = float(stored[0]) * 100 / 65535
    a_star, b_star = (float(v) * 255 / 65535 - 128 for v in stored[1:])
    fy = (l_star + 16) / 116
    f = np.array([fy + a_star / 500, fy, fy - b_star / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _WHITE
    linear = np.clip(np.linalg.inv(_TO_XYZ) @ xyz, 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    r, g, b = (int(v) for v in np.rint(255 * srgb))
    return (r, g, b)


_WHITE = np.array([0.9642, 1.0, 0.8249])
# Linear sRGB to XYZ with white point D50 (Bradford-adapted, as in the ICC sRGB profile).
_TO_XYZ = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)


def _frames(header: Any) -> Iterator[_Frame]:
    shared = header.SharedFunctionalGroupsSequence[0]
    for index, group in enumerate(header.PerFrameFunctionalGroupsSequence):
        place = (group if "PlanePositionSequence" in group else shared).PlanePositionSequence[0].ImagePositionPatient
        holder = group if "SegmentIdentificationSequence" in group else shared
        named = holder.get("SegmentIdentificationSequence")
        segment = int(named[0].ReferencedSegmentNumber) if named else 0
        yield _Frame(index, segment, (float(place[0]), float(place[1]), float(place[2])))


def _grid(header: Any, frames: list[_Frame], path: Path) -> tuple[tuple[int, int, int], npt.NDArray[np.float64]]:
    rows, columns = int(header.Rows), int(header.Columns)
    try:
        block = header.private_block(_PRIVATE_GROUP, _PRIVATE_CREATOR)
        own_shape = tuple(int(v) for v in block[0x01].value)
        affine = np.vstack([np.array(block[0x02].value, dtype=np.float64).reshape(3, 4), [0, 0, 0, 1]])
    except (KeyError, ValueError, TypeError):
        return _spanned(header, frames, rows, columns, path)
    if len(own_shape) != 3 or own_shape[:2] != (columns, rows):
        return _spanned(header, frames, rows, columns, path)
    affine = checked_affine(affine, path, "private geometry block")
    _slices(frames, affine, own_shape[2], path)
    return (columns, rows, own_shape[2]), affine


def _spanned(
    header: Any, frames: list[_Frame], rows: int, columns: int, path: Path
) -> tuple[tuple[int, int, int], npt.NDArray[np.float64]]:
    """The grid from the lowest to the highest frame, with the smallest step between frames (or the declared one)."""
    groups = (header.SharedFunctionalGroupsSequence[0], header.PerFrameFunctionalGroupsSequence[0])
    measures = next(g for g in groups if "PixelMeasuresSequence" in g).PixelMeasuresSequence[0]
    cosines = next(g for g in groups if "PlaneOrientationSequence" in g).PlaneOrientationSequence[0]
    across, down = np.array([float(v) for v in cosines.ImageOrientationPatient]).reshape(2, 3)
    normal = np.cross(across, down)
    points = np.unique(np.array([f.position for f in frames]), axis=0)
    points = points[np.argsort(points @ normal)]
    heights = points @ normal
    declared = float(measures.get("SpacingBetweenSlices") or 0) or float(measures.get("SliceThickness") or 0)
    steps = np.diff(heights)
    height = float(steps[steps > 1e-4].min()) if (steps > 1e-4).any() else declared
    if height <= 0:
        raise GeometryError(f"{path}: one frame and no slice spacing, SpacingBetweenSlices was expected. Export again.")
    count = round((heights[-1] - heights[0]) / height) + 1
    step = (points[-1] - points[0]) / (count - 1) if count > 1 else normal * height
    lps = np.eye(4)
    lps[:3, 0] = across * float(measures.PixelSpacing[1])
    lps[:3, 1] = down * float(measures.PixelSpacing[0])
    lps[:3, 2] = step
    lps[:3, 3] = points[0]
    affine = checked_affine(LPS_TO_RAS @ lps, path, "PlaneOrientationSequence and PlanePositionSequence")
    _slices(frames, affine, count, path)
    return (columns, rows, count), affine


def _slices(frames: list[_Frame], affine: npt.NDArray[np.float64], count: int, path: Path) -> list[int]:
    """Slice index of every frame; an error where a frame lies between slices or outside."""
    world = np.array([f.position for f in frames]) * [-1.0, -1.0, 1.0]
    index = np.linalg.solve(affine[:3, :3], (world - affine[:3, 3]).T).T
    nearest = np.rint(index[:, 2])
    off = np.abs(index - np.column_stack([np.zeros((len(index), 2)), nearest])).max(axis=1)
    bad = np.flatnonzero((off > 0.1) | (nearest < 0) | (nearest >= count))
    if bad.size:
        raise GeometryError(
            f"{path}: frame {bad[0] + 1} at {list(frames[bad[0]].position)} lies on no slice of a regular grid of"
            f" {count} slices. Export it again with evenly spaced slices."
        )
    return [int(v) for v in nearest]


def _pictures(path: Path) -> Iterator[npt.NDArray[Any]]:
    """The frames of a file, each (rows, columns)."""
    import pydicom

    dataset = pydicom.dcmread(path)
    if int(dataset.BitsAllocated) != 1 or dataset.file_meta.TransferSyntaxUID.is_compressed:
        yield from importlib.import_module("pydicom.pixels").iter_pixels(path)
        return
    # Eight voxels a byte, without padding between frames, which pydicom cannot walk frame by frame.
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    packed = np.frombuffer(dataset.PixelData, dtype=np.uint8)
    for index in range(int(dataset.NumberOfFrames)):
        start, stop = index * rows * columns, (index + 1) * rows * columns
        if stop > packed.size * 8:
            raise ValueError(f"truncated: {packed.size} bytes, frame {index + 1} ends at byte {-(-stop // 8)}")
        bits = np.unpackbits(packed[start // 8 : -(-stop // 8)], bitorder="little")
        yield bits[start % 8 :][: stop - start].reshape(rows, columns)


def _load(
    path: Path,
    frames: list[_Frame],
    shape: tuple[int, int, int],
    affine: npt.NDArray[np.float64],
    values: dict[int, int],
    dtype: np.dtype[Any],
) -> npt.NDArray[Any]:
    out = np.zeros(shape[::-1], dtype=dtype)  # (slices, rows, columns)
    overlap = 0
    slices = _slices(frames, affine, shape[2], path)
    try:
        for frame, k, picture in zip(frames, slices, _pictures(path), strict=True):
            if frame.segment == 0:  # label map: the samples are segment numbers
                for number, value in values.items():
                    if number > 0:
                        out[k][picture == number] = value
                continue
            here = picture > 0
            overlap += int(np.count_nonzero(out[k][here]))
            out[k][here] = values[frame.segment]
    except (ValueError, KeyError, AttributeError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path}: the frames cannot be read ({error}). Copy or export it again.") from error
    if overlap:
        raise InputError(
            f"{path}: its segments overlap in {overlap} voxels, a label map holds one class per voxel."
            " Export the segments one by one."
        )
    return out.transpose(2, 1, 0)[None]
