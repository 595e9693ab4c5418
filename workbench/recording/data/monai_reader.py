"""Recordings for anybody's MONAI pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.core.types import Image
from workbench.data.monai_reader import KindReader
from workbench.recording.data.recording import open_recording


class RecordingReader(KindReader):
    """Reads recordings (MEG, EEG, parcel time courses) for ``monai.transforms.LoadImage``, channel first.

    Arrays are ``(channels, samples)`` float32 in SI units. The affine is (2, 2): sample -> seconds. Besides what
    `KindReader` gives, the metadata hold ``sampling_rate`` [Hz] (NaN where unknown), ``kinds`` (MNE channel types),
    ``bads``, ``positions`` ``(channels, 3)`` [m] (NaN where unknown) and ``annotations`` (onset [s], duration [s],
    label).

    >>> load = LoadImaged(keys=["image"], reader=RecordingReader(), dtype=None)
    """

    KIND = "recording"

    def get_data(self, img: Image | list[Image]) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        """Samples ``(channels, samples)`` and metadata."""
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
