"""OME-Zarr folders for tests, in both versions of the format and any order of axes."""

from __future__ import annotations

import json

import numpy as np
import zarr

MICRON = "micrometer"


def make_ome_zarr(path, planes, mpp=0.25, *, version="0.4", axes="tczyx", chunk=64, unit=MICRON, shard=None, **more):
    """Write planes ``(rows, columns, 3)`` as levels; returns the folder.

    Parameters
    ----------
    mpp
        Of level 0 along x and y, or a pair (x, y), or ``None`` for no scale.
    shard
        Side of the shards (0.5 alone).
    more
        For `zarr.create_array`.
    """
    zarr_format = 2 if version == "0.4" else 3
    datasets = []
    for number, plane in enumerate(planes):
        order = [a for a in axes if a in "yxc"]
        data = plane.transpose(["yxc".index(a) for a in order])
        data = data.reshape([plane.shape["yxc".index(a)] if a in "yxc" else 1 for a in axes])
        chunks = tuple(min(chunk, n) if a in "yx" else n for a, n in zip(axes, data.shape, strict=True))
        options = dict(more)
        if shard:
            options["shards"] = tuple(shard if a in "yx" else n for a, n in zip(axes, data.shape, strict=True))
        array = zarr.create_array(
            str(path / str(number)), shape=data.shape, dtype=np.uint8, chunks=chunks, zarr_format=zarr_format, **options
        )
        array[:] = data
        entry = {"path": str(number)}
        if mpp is not None:
            wide, high = mpp if isinstance(mpp, tuple) else (mpp, mpp)
            step = planes[0].shape[0] / plane.shape[0]
            entry["coordinateTransformations"] = [
                {"type": "scale", "scale": [{"y": high * step, "x": wide * step}.get(a, 1.0) for a in axes]}
            ]
        datasets.append(entry)
    kinds = {"t": "time", "c": "channel"}
    named = [{"name": a, "type": kinds.get(a, "space")} | ({"unit": unit} if a in "yx" and unit else {}) for a in axes]
    write_group(path, {"multiscales": [{"axes": named, "datasets": datasets}]}, version)
    return path


def write_group(path, attributes, version="0.4"):
    """The files of a group with these attributes of OME."""
    path.mkdir(parents=True, exist_ok=True)
    if version == "0.4":
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        for one in attributes.get("multiscales", ()):
            one.setdefault("version", version)
        (path / ".zattrs").write_text(json.dumps(attributes))
        return
    stored = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": version, **attributes}}}
    (path / "zarr.json").write_text(json.dumps(stored))


def edit(file, change):
    """Let `change` work on the JSON of a file."""
    found = json.loads(file.read_text(encoding="utf-8"))
    change(found)
    file.write_text(json.dumps(found))
