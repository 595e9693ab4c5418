"""Makes DICOM-SEGs with highdicom, as other programs write them: without empty slices, of some slices, in any order."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom

from workbench.core.types import Image


def planes_of(image: Image, folder: Path) -> list[tuple[int, pydicom.Dataset]]:
    """The slices of a series by their own positions: index on the third axis of the image, and the file."""
    assert image.geometry.affine is not None
    back = np.linalg.inv(image.geometry.affine)
    found = []
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            ds = pydicom.dcmread(file)
            ras = np.array(ds.ImagePositionPatient, float) * (-1, -1, 1)
            found.append((round(float(back[2, :3] @ ras + back[2, 3])), ds))
    return found


def write_seg(
    path: Path,
    data: np.ndarray,
    planes: Sequence[tuple[int, pydicom.Dataset]],
    *,
    names: Sequence[str] = ("liver", "spleen"),
    kind: str = "BINARY",
    omit: bool = True,
    number: int = 7,
) -> pydicom.Dataset:
    """A segmentation of the map ``(columns, rows, slices)`` on these planes only, in their order."""
    hd = importlib.import_module("highdicom")
    tissue = hd.sr.CodedConcept("85756007", "SCT", "Tissue")
    described = [hd.seg.SegmentDescription(n, name, tissue, tissue, "MANUAL") for n, name in enumerate(names, 1)]
    ds = hd.seg.Segmentation(
        source_images=[ds for _, ds in planes],
        pixel_array=np.stack([data[:, :, k].T for k, _ in planes]),
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=hd.UID(),
        series_number=number,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="other",
        manufacturer_model_name="other",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=omit,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path)
    return ds


def shuffle_frames(path: Path, seed: int = 0) -> None:
    """The same file with its frames in another order, descriptions with them."""
    ds = pydicom.dcmread(path)
    pixels = ds.pixel_array.reshape(int(ds.NumberOfFrames), ds.Rows, ds.Columns)
    order = np.random.default_rng(seed).permutation(len(pixels))
    groups = list(ds.PerFrameFunctionalGroupsSequence)
    ds.PerFrameFunctionalGroupsSequence = [groups[n] for n in order]
    shuffled = pixels[order].astype(np.uint8)
    flat = np.packbits(shuffled.ravel(), bitorder="little") if ds.BitsAllocated == 1 else shuffled.ravel()
    content = flat.tobytes()
    ds.PixelData = content + b"\0" * (len(content) % 2)
    ds.save_as(path)
