"""Our readers as a MONAI reader, so that anybody's MONAI pipeline opens what the workbench opens.

>>> from monai.transforms import LoadImaged
>>> load = LoadImaged(keys=["image", "label"], reader=VolumeReader(), dtype=None)  # None: labels stay integer
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from monai.data.image_reader import ImageReader
from monai.data.meta_tensor import MetaTensor
from monai.utils.enums import MetaKeys, SpaceKeys

from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Image
from workbench.data import formats


class VolumeReader(ImageReader):
    """Reads NIfTI, DICOM folders, NRRD and MHA for ``monai.transforms.LoadImage``.

    Arrays come channel first, ``(C, i, j, k)`` in file voxel order, in the type the file has after rescaling; pass
    ``dtype=None`` to `LoadImage` to keep it (label maps stay integer). Metadata: ``affine`` (RAS+ mm), ``spacing``,
    ``units``, ``axis_names``, ``channel_names``, ``source``, ``value_unit``, ``modality``, ``format``.

    Parameters
    ----------
    series
        Which series of a DICOM folder, as in `workbench.data.formats.read`.
    """

    def __init__(self, series: str | int | None = None) -> None:
        super().__init__()
        self.series = series

    def verify_suffix(self, filename: Sequence[Any] | Any) -> bool:
        """Whether every path has a reader here."""
        return all(formats.is_readable(str(p)) for p in _paths(filename))

    def read(self, data: Sequence[Any] | Any, **kwargs: Any) -> Image | list[Image]:
        """Open one path, or several that become channels of one array."""
        series = kwargs.get("series", self.series)
        images = [formats.read(str(p), series=series) for p in _paths(data)]
        return images if isinstance(data, (list, tuple)) else images[0]

    def get_data(self, img: Image | list[Image]) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        """Samples ``(C, i, j, k)`` and metadata; several images must share one grid."""
        images = list(img) if isinstance(img, (list, tuple)) else [img]
        first = images[0]
        for other in images[1:]:
            if not other.geometry.matches(first.geometry):
                raise GeometryError(
                    f"{other.source} and {first.source} lie on different grids, channels must share one."
                )
        meta = metadata(first)
        meta["channel_names"] = [c for i in images for c in i.channels]
        array = first.data if len(images) == 1 else np.concatenate([i.data for i in images])
        return array, meta


class SceneReader(VolumeReader):
    """Reads spectral scenes (ENVI, MATLAB, NumPy, TIFF) for ``monai.transforms.LoadImage``, channel first.

    Arrays are ``(bands, rows, columns)``, scaled as the header says; class maps ``(1, rows, columns)``. The affine is
    (3, 3): (row, column) -> map coordinates. Besides what `VolumeReader` gives, the metadata hold ``wavelengths_nm``
    (NaN where unknown), ``good_bands`` and ``crs``. ``scene.mat:key`` names one array of a file.

    >>> load = LoadImaged(keys=["image", "label"], reader=SceneReader(), dtype=None)
    """

    def read(self, data: Sequence[Any] | Any, **kwargs: Any) -> Image | list[Image]:
        """Open one scene, or several on one grid whose bands are put together."""
        found = super().read(data, **kwargs)
        for image in found if isinstance(found, list) else [found]:
            if image.kind != "scene":
                raise InputError(f"{image.source}: this is a {image.kind}, a spectral scene was expected.")
        return found

    def get_data(self, img: Image | list[Image]) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        """Samples ``(bands, rows, columns)`` and metadata."""
        array, meta = super().get_data(img)
        images = list(img) if isinstance(img, (list, tuple)) else [img]
        meta["wavelengths_nm"] = np.concatenate([_per_band(i, "wavelengths_nm", np.nan) for i in images])
        meta["good_bands"] = np.concatenate([_per_band(i, "good_bands", 1.0) for i in images]) != 0
        meta["crs"] = images[0].header.get("crs") or ""
        return array, meta


class RecordingReader(VolumeReader):
    """Reads recordings (MEG, EEG, parcel time courses) for ``monai.transforms.LoadImage``, channel first.

    Arrays are ``(channels, samples)`` float32 in SI units. The affine is (2, 2): sample -> seconds. Besides what
    `VolumeReader` gives, the metadata hold ``sampling_rate`` [Hz] (NaN where unknown), ``kinds`` (MNE channel types),
    ``bads``, ``positions`` ``(channels, 3)`` [m] (NaN where unknown) and ``annotations`` (onset [s], duration [s],
    label).

    >>> load = LoadImaged(keys=["image"], reader=RecordingReader(), dtype=None)
    """

    def read(self, data: Sequence[Any] | Any, **kwargs: Any) -> Image | list[Image]:
        """Open one recording, or several on one time base whose channels are put together."""
        found = super().read(data, **kwargs)
        for image in found if isinstance(found, list) else [found]:
            if image.kind != "recording":
                raise InputError(f"{image.source}: this is a {image.kind}, a recording was expected.")
        return found

    def get_data(self, img: Image | list[Image]) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        """Samples ``(channels, samples)`` and metadata."""
        from workbench.recording.data.recording import open_recording

        array, meta = super().get_data(img)
        opened = [open_recording(i) for i in (img if isinstance(img, (list, tuple)) else [img])]
        unknown = [np.full((len(r.channels), 3), np.nan) for r in opened]
        found = [p if (p := r.positions) is not None else u for r, u in zip(opened, unknown, strict=True)]
        meta["sampling_rate"] = float("nan") if opened[0].sampling_rate is None else opened[0].sampling_rate
        meta["kinds"] = [k for r in opened for k in r.kinds]
        meta["bads"] = [b for r in opened for b in r.bads]
        meta["positions"] = np.concatenate(found)
        meta["annotations"] = [[m.onset, m.duration, m.label] for m in opened[0].marks]
        return array, meta


def _per_band(image: Image, key: str, missing: float) -> np.ndarray[Any, Any]:
    values = image.header.get(key)
    return np.full(len(image.channels), missing) if values is None else np.asarray(values, dtype=np.float64)


def metadata(image: Image) -> dict[str, Any]:
    """MONAI metadata of an image: plain values only, so that a DataLoader can collate it."""
    g = image.geometry
    affine = np.eye(g.ndim + 1) if g.affine is None else g.affine
    return {
        MetaKeys.AFFINE: affine.copy(),
        MetaKeys.ORIGINAL_AFFINE: affine.copy(),
        MetaKeys.SPATIAL_SHAPE: np.array(g.shape),
        MetaKeys.SPACE: SpaceKeys.RAS if image.kind == "volume" else "",
        MetaKeys.ORIGINAL_CHANNEL_DIM: 0,
        "spacing": np.array(g.spacing if g.spacing is not None else (np.nan,) * g.ndim),
        "units": g.unit or "",
        "axis_names": list(g.axes),
        "channel_names": list(image.channels),
        "source": str(image.source or ""),
        "value_unit": image.value_unit or "",
        "modality": image.modality or "",
        "format": image.format or "",
    }


def as_metatensor(image: Image, dtype: Any = None) -> MetaTensor:
    """The image as a MetaTensor ``(C, i, j, k)``; `dtype` is a torch type, ``None`` keeps the file's."""
    import torch

    data = image.data
    # torch has no arithmetic on the wider unsigned types; the next wider signed type holds every value.
    wider = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64}.get(data.dtype)
    tensor = torch.from_numpy(np.ascontiguousarray(data if wider is None else data.astype(wider)))
    return MetaTensor(tensor if dtype is None else tensor.to(dtype), meta=metadata(image))


def _paths(data: Sequence[Any] | Any) -> list[Any]:
    return list(data) if isinstance(data, (list, tuple)) else [data]
