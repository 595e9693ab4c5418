"""Our readers as MONAI readers, so that anybody's MONAI pipeline opens what the workbench opens.

>>> from monai.transforms import LoadImaged
>>> load = LoadImaged(keys=["image", "label"], reader=KindReader(), dtype=None)  # None: labels stay integer
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from monai.data.image_reader import ImageReader
from monai.data.meta_tensor import MetaTensor
from monai.utils.enums import MetaKeys, SpaceKeys

from workbench.core import kinds
from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Image
from workbench.data import formats


class KindReader(ImageReader):
    """Reads one kind of data, or any, for ``monai.transforms.LoadImage``: arrays channel first, in file order.

    The readers of single kinds are `workbench.volume.data.monai_reader.VolumeReader`,
    `workbench.scene.data.monai_reader.SceneReader` and `workbench.recording.data.monai_reader.RecordingReader`.
    Arrays come in the type that the file has after rescaling; pass ``dtype=None`` to `LoadImage` to keep it (label maps
    stay integer). Metadata: ``affine``, ``spacing``, ``units``, ``axis_names``, ``channel_names``, ``source``,
    ``value_unit``, ``modality``, ``format``.

    Parameters
    ----------
    series
        Which image of several, as in `workbench.data.formats.read`.
    kind
        Name of the kind; what is of another is refused. By default that of the class, else any.
    """

    KIND: ClassVar[str | None] = None

    def __init__(self, series: str | int | None = None, kind: str | None = None) -> None:
        super().__init__()
        self.series = series
        self.kind = kind or self.KIND

    def verify_suffix(self, filename: Sequence[Any] | Any) -> bool:
        """Whether every path has a reader here."""
        return all(formats.is_readable(str(p)) for p in _paths(filename))

    def read(self, data: Sequence[Any] | Any, **kwargs: Any) -> Image | list[Image]:
        """Open one path, or several that become channels of one array."""
        series = kwargs.get("series", self.series)
        images = [formats.read(str(p), series=series, hint=self.kind) for p in _paths(data)]
        for image in images:
            if self.kind is not None and image.kind != self.kind:
                found, expected = kinds.find(image.kind).title, kinds.find(self.kind).title
                raise InputError(f"{image.source}: this is {found}, {expected} was expected.")
        return images if isinstance(data, (list, tuple)) else images[0]

    def get_data(self, img: Image | list[Image]) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        """Samples ``(C, *axes)`` and metadata; several images must share one grid."""
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


def metadata(image: Image) -> dict[str, Any]:
    """MONAI metadata of an image: plain values only, so that a DataLoader can collate it."""
    g = image.geometry
    affine = np.eye(g.ndim + 1) if g.affine is None else g.affine
    return {
        MetaKeys.AFFINE: affine.copy(),
        MetaKeys.ORIGINAL_AFFINE: affine.copy(),
        MetaKeys.SPATIAL_SHAPE: np.array(g.shape),
        MetaKeys.SPACE: SpaceKeys.RAS if g.ndim == 3 else "",  # the world of volumes, see `Geometry.affine`
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
