"""What the readers of volumes take of memory while they read, besides the samples that they give."""

from __future__ import annotations

import numpy as np

from workbench.core.errors import WorkbenchError
from workbench.core.memory import array_bytes
from workbench.core.types import Image
from workbench.data.geometry import MAX_DEFLATE_RATIO, check_packed
from workbench.volume.data import metaimage_header, nibabel_formats, nrrd_header

_DECODED = 16
"""Bytes per pixel of a DICOM slice while it is decoded and rescaled: as stored, as packed, and as float64."""


def reading_bytes(image: Image) -> int:
    """Bytes besides the samples, at the peak of reading; see `workbench.core.kind_hooks.KindFiles`."""
    voxels = array_bytes((len(image.channels), *image.geometry.shape), 1)
    if image.source is None or image.format is None:
        return 0
    if image.format == "nifti":
        return _of_nifti(image, voxels)
    if image.format in ("nrrd", "mha"):
        return 0 if _is_unpacked_by_us(image) else voxels * image.dtype.itemsize
    if image.format in nibabel_formats.FORMATS:
        return voxels * 8  # scaled in float64
    if image.format == "dicom":
        files = max(1, len(image.files))
        # A file with all frames is decoded as a whole; of many, two at a time.
        return voxels * 4 if files == 1 else min(2, files) * (voxels // files) * _DECODED
    return 0


def _of_nifti(image: Image, voxels: int) -> int:
    """Voxels that are scaled, or turn their bytes, or are colours, are there twice for a while."""
    text = str(image.header.get("stored_dtype", ""))
    if text.startswith("["):
        return 2 * voxels
    try:
        stored = np.dtype(text)
    except TypeError:
        return 0
    plain = stored == image.dtype and (image.header.get("scl_slope"), image.header.get("scl_inter")) == (1.0, 0.0)
    return 0 if plain else voxels * stored.itemsize


def _is_unpacked_by_us(image: Image) -> bool:
    """Compressed voxels in plain order go straight into their array; ITK gives a copy of what it holds."""
    assert image.source is not None
    try:
        if image.format == "mha":
            packed = metaimage_header.packed(image.source)
        else:
            components = int(image.header["components"])
            volumes = len(image.channels) // components
            size = (*image.geometry.shape, *((volumes,) if volumes > 1 else ()))
            packed = nrrd_header.packed(image.source, components, size)
    except (WorkbenchError, OSError):  # reading says it better
        return False
    return len(packed) == 1 and packed[0].plain


def require_held(image: Image) -> None:
    """Refuse one file that cannot hold the voxels of its header, even if they were packed as tightly as can be.

    Voxels that lie beside their header are left alone.
    """
    path = image.source
    if path is None or not path.is_file() or not path.name.lower().endswith((".nii", ".nii.gz", ".nrrd", ".mha")):
        return
    with path.open("rb") as f:
        if path.name.lower().endswith(".nrrd") and b"bz" in f.read(4096):  # packs zeros far more tightly than gzip
            return
    shape = (len(image.channels), *image.geometry.shape)
    # Voxels may be stored in one byte each, and become wider by their scaling.
    if array_bytes(shape, 1) > path.stat().st_size * MAX_DEFLATE_RATIO:
        check_packed(array_bytes(shape, image.dtype.itemsize), path)
