"""Maps over a slide as OME-Zarr 0.4 that lies where it belongs: a scale and a translation for every level.

J. Moore et al., "OME-Zarr", Histochem. Cell Biol. 160:223, 2023, doi 10.1007/s00418-023-02209-1. Translations are those
of pixel centres, in micrometres from the centre of the first pixel of the slide.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.types import Heatmap, Labels
from workbench.slide.data.heat_maps import levels_of

VERSION = "0.4"
ZIPPED = ".ome.zarr.zip"
_DAY = (1980, 1, 1, 0, 0, 0)
_CHUNK = 256


def write_ome_zarr(path: Path, part: Labels | Heatmap) -> None:
    """Write a map as the folder `path`: float32 with NaN where there is no value, or labels with names and colours.

    A folder cannot be renamed over another: whoever calls this writes to a new one. Equal maps give equal bytes.
    """
    import zarr

    group = zarr.create_group(str(path), zarr_format=2)
    datasets = []
    for number, data in enumerate(levels_of(part)):
        array = group.create_array(
            str(number), shape=data.shape, dtype=data.dtype, chunks=tuple(min(_CHUNK, n) for n in data.shape),
            chunk_key_encoding={"name": "v2", "separator": "/"}, fill_value=0 if isinstance(part, Labels) else np.nan,
        )  # fmt: skip
        array[:] = data
        datasets.append({"path": str(number), **_placed(part, 2**number)})
    group.attrs.update(_attributes(part, datasets))


def write_zipped(path: Path, part: Labels | Heatmap) -> None:
    """The same folder in one file, a ZIP without compression of its own: as zarr's ``ZipStore`` opens it, or unpacked.

    A file can be hashed, kept and replaced as a whole. Equal maps give equal bytes.
    """
    import tempfile
    import zipfile

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        root = Path(folder) / "map"
        write_ome_zarr(root, part)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(p for p in root.rglob("*") if p.is_file()):
                name = file.relative_to(root).as_posix()
                archive.writestr(zipfile.ZipInfo(name, _DAY), file.read_bytes())


def _placed(part: Labels | Heatmap, step: int) -> dict[str, Any]:
    """Where a level lies whose pixels are `step` times as wide; without micrometres in pixels of the map."""
    affine = part.geometry.affine
    if affine is None or part.geometry.unit != "um":
        size, first = np.ones(2), np.zeros(2)
    else:
        size, first = np.diag(affine)[:2].astype(float), np.asarray(affine, float)[:2, 2]
    # Means of 2 x 2 lie between their pixels; of labels every second pixel is kept.
    shift = 0.0 if isinstance(part, Labels) else (step - 1) / 2
    return {
        "coordinateTransformations": [
            {"type": "scale", "scale": (size * step).tolist()},
            {"type": "translation", "translation": (first + shift * size).tolist()},
        ]
    }


def _attributes(part: Labels | Heatmap, datasets: list[dict[str, Any]]) -> dict[str, Any]:
    unit = {"unit": "micrometer"} if part.geometry.affine is not None and part.geometry.unit == "um" else {}
    axes = [{"name": a, "type": "space", **unit} for a in "yx"]
    how = "nearest" if isinstance(part, Labels) else "mean"
    found: dict[str, Any] = {
        "multiscales": [{"version": VERSION, "name": part.name, "axes": axes, "datasets": datasets, "type": how}]
    }
    if isinstance(part, Labels):
        found["image-label"] = {
            "version": VERSION,
            "colors": [{"label-value": c.value, "rgba": [*c.color, 255]} for c in part.classes],
            "properties": [{"label-value": c.value, "name": c.name} for c in part.classes],
        }
    elif part.unit:
        found["workbench"] = {"unit": part.unit}
    return found
