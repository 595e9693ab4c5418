"""The table of people's volumes on which version 0.1 was wrong: what is right, by other libraries, and what we do.

python -m tests.workbench.volume.case_table
"""

from __future__ import annotations

import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom

import workbench as wb
from workbench.core.errors import WorkbenchError
from workbench.data import formats
from workbench.volume.data.nan_values import filled
from workbench.volume.data.recipe import VolumeRecipe

Row = tuple[str, str, bool]
"""The right value, what we say, and whether that is right."""


def refusal(path: Path, **options: object) -> str:
    """The line with which a file is refused, without its path; "read" if it is not."""
    try:
        _ = wb.read(path, **options).data
    except WorkbenchError as error:
        return str(error).replace(str(path), "").removeprefix(": ")
    return "read"


def spacing(path: Path) -> str:
    return " x ".join(f"{s:.6g}" for s in wb.read(path).geometry.spacing)


def acdc_unit_sform(path: Path, _: Path) -> Row:
    """NiBabel takes the sform, as we do; that pixdim says something else must be said."""
    theirs = nib.load(path)
    step = " x ".join(f"{v:.6g}" for v in theirs.header["pixdim"][1:4])
    image = wb.read(path)
    note = next((n for n in image.notes if "pixdim" in n), "no note")
    return f"{step} mm, or a warning", note, step in note and np.allclose(image.geometry.affine, theirs.affine)


def seg_omits_empty(path: Path, folder: Path) -> Row:
    """Frames put where pydicom says they lie, counted."""
    image = wb.read(folder / "ct")
    labels = formats.read_labels(folder / "seg_omit.dcm", reference=image.geometry)
    ds = pydicom.dcmread(folder / "seg_omit.dcm")
    by_height = {}
    for file in (folder / "ct").iterdir():
        by_height[round(float(pydicom.dcmread(file).ImagePositionPatient[2]), 3)] = file
    heights = sorted(by_height)
    truth = np.zeros(image.geometry.shape, np.uint8)
    for frame, pixels in zip(ds.PerFrameFunctionalGroupsSequence, ds.pixel_array, strict=True):
        k = heights.index(round(float(frame.PlanePositionSequence[0].ImagePositionPatient[2]), 3))
        value = int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        truth[..., k][pixels.T > 0] = value
    counts = [int(n) for n in np.bincount(labels.data.ravel())[1:]]
    empty = int((~labels.data.any(axis=(0, 1))).sum())
    found = f"{labels.data.shape}, {counts}, {empty} empty slices"
    right = counts == [3734, 806, 1402] and empty == 7 and np.array_equal(labels.data, truth)
    return "(64, 64, 20), [3734, 806, 1402], 7 empty slices", found, right


def mosaic(path: Path, _: Path) -> Row:
    """NiBabel's shape of one volume; this file was resized, so that its pixels cannot be parted into tiles."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nibabel.nicom.dicomwrappers import wrapper_from_data

        count = wrapper_from_data(pydicom.dcmread(path)).image_shape[2]
    found = refusal(path)
    return f"a volume of {count} slices, or 'mosaic'", found, "mosaic" in found and f"{count} slices" in found


def nan_background(path: Path, _: Path) -> Row:
    data = np.asarray(nib.load(path).dataobj)
    count = f"{int(np.isnan(data).sum())} of {data.size} voxels"
    image, recipe = wb.read(path), VolumeRecipe()
    try:
        filled(image.data, recipe, "refuse", path.name)
        found = "taken as it is"
    except WorkbenchError as error:
        found = str(error)
    air, notes = filled(image.data, recipe, "background", path.name)
    wanted = np.where(np.isnan(data), np.float32(-1000), data)
    return count, found, count in found and count in notes[0] and np.array_equal(air[0], wanted)


def units_um(path: Path, folder: Path) -> Row:
    """The file is in micrometres; the same in centimetres is made of it."""
    content = path.read_bytes()
    (folder / "units_cm.nrrd").write_bytes(content.replace(b'"um"', b'"cm"'))
    found = f"{spacing(path)} and {spacing(folder / 'units_cm.nrrd')}"
    right = "0.002 x 0.003 x 0.004 and 20 x 30 x 40"
    return f"{right} mm", found, found == right


def _volumes(folder: Path, tag: str, values: dict[str, np.ndarray]) -> Row:
    said = refusal(folder)
    named = tag in said and "copies" not in said
    same = all(np.array_equal(wb.read(folder, series=f"{tag}:{v}").data[0], data) for v, data in values.items())
    return f"{tag} named, one of them offered", said, named and same and f"--series {tag}:" in said


def dual_echo(path: Path, folder: Path) -> Row:
    echoes: dict[str, list[pydicom.Dataset]] = {}
    for file in folder.rglob("*.dcm"):
        ds = pydicom.dcmread(file)
        echoes.setdefault(f"{float(ds.EchoTime):g}", []).append(ds)
    truth = {}
    for time, slices in echoes.items():
        slices.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
        slope, intercept = (float(slices[0].get(f"Rescale{n}", d)) for n, d in (("Slope", 1), ("Intercept", 0)))
        truth[time] = np.stack([ds.pixel_array.T * slope + intercept for ds in slices], axis=-1)
    return _volumes(folder, "EchoTime", truth)


def enh_2times(path: Path, folder: Path) -> Row:
    (file,) = folder.rglob("*.dcm")
    ds = pydicom.dcmread(file)
    frames: dict[str, list[tuple[float, np.ndarray]]] = {}
    for frame, pixels in zip(ds.PerFrameFunctionalGroupsSequence, ds.pixel_array, strict=True):
        time = str(frame.FrameContentSequence[0].TemporalPositionIndex)
        height = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        frames.setdefault(time, []).append((height, pixels.T.astype(np.float64) - 1024))
    truth = {t: np.stack([p for _, p in sorted(f, key=lambda x: x[0])], axis=-1) for t, f in frames.items()}
    return _volumes(folder, "TemporalPositionIndex", truth)


def headct(path: Path, folder: Path) -> Row:
    """Every folder of slices in it: uneven, and even ones interpolated by NumPy where that is asked for."""
    said, right = [], True
    for series in sorted({f.parent for f in folder.rglob("*.dcm")}):
        line = refusal(series)
        said.append(line)
        slices = sorted((pydicom.dcmread(f) for f in series.iterdir()), key=lambda d: float(d.ImagePositionPatient[2]))
        heights = [float(d.ImagePositionPatient[2]) for d in slices]
        even = wb.read(series, regularise=True)
        wanted = heights[0] + even.geometry.spacing[2] * np.arange(even.geometry.shape[2])
        stored = np.stack([d.pixel_array.T * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in slices], -1)
        truth = np.apply_along_axis(lambda v, h=heights, w=wanted: np.interp(w, h, v), 2, stored)
        close = np.abs(even.data[0] - truth).max() <= 0.5 + 1e-6
        right = right and "uneven slice spacing" in line and "missing" not in line and bool(close)
    return "uneven spacing, nothing is missing", "; ".join(said), right


def parametric_map(path: Path, _: Path) -> Row:
    found = refusal(path)
    return "a parametric map, not read", found, "parametric map" in found and "cut off" not in found


def bad_vr(path: Path, _: Path) -> Row:
    found = refusal(path)
    return "one line that names NumberOfFrames", found, "NumberOfFrames" in found and "'1A'" in found


def seg_2d(path: Path, _: Path) -> Row:
    found = refusal(path)
    return "2-D segmentation, not supported", found, "2-D segmentation" in found and "not supported" in found


def zero_sform(path: Path, _: Path) -> Row:
    image, theirs = wb.read(path), nib.load(path)
    right = np.allclose(image.geometry.affine, theirs.get_qform(), atol=1e-5) and spacing(path) == "3 x 3 x 3"
    return "3 x 3 x 3 mm, by the qform", f"{spacing(path)} mm; {'; '.join(image.notes)}", right


ROWS: dict[str, Callable[[Path, Path], Row]] = {
    "acdc_unit_sform.nii": acdc_unit_sform,
    "seg_omits_empty.zip": seg_omits_empty,
    "mosaic_0.dcm": mosaic,
    "nan_background.nii.gz": nan_background,
    "units_um.nrrd": units_um,
    "dual_echo.zip": dual_echo,
    "enh_2times.zip": enh_2times,
    "headct_5_10.zip": headct,
    "parametric_map_float.dcm": parametric_map,
    "badVR.dcm": bad_vr,
    "seg_image_cr_binary.dcm": seg_2d,
    "sform_zero_matrix.nii": zero_sform,
}


def row(path: Path, folder: Path) -> Row:
    """The row of a file; what is packed is unpacked into `folder` first."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                if not name.endswith("/"):
                    target = folder.joinpath(*[part for part in Path(name).parts if part != ".."])
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(packed.read(name))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        return ROWS[path.name](path, folder)


def main(cases: Path) -> int:
    """Print the table of the files in a folder; 1 if a row is wrong."""
    wrong = 0
    for path in sorted(p for p in cases.iterdir() if p.name in ROWS):
        with tempfile.TemporaryDirectory() as folder:
            right, found, is_right = row(path, Path(folder))
        wrong += not is_right
        print(f"{'right' if is_right else 'WRONG'} | {path.name} | {right} | {found[:150]}")
    return int(wrong > 0)


if __name__ == "__main__":
    here = Path(__file__).resolve().parents[4] / "shared" / "cases" / "volumes"
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else here))
