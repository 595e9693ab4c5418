"""How a recording is told from other data: by suffix, as a folder of CTF, BTi or BIDS, arrays by what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.errors import InputError
from workbench.core.kinds import Verdict
from workbench.core.memory import array_bytes
from workbench.core.types import Image
from workbench.recording.data import foreign, parcels
from workbench.recording.data import read as recordings

_ARRAYS = (".mat", ".npy", ".npz")


def sniff(path: Path, key: str | None) -> Verdict:
    """Folders and files of recorders are sure; an array is one if a sampling rate or its shape says so."""
    if foreign.known(path) is not None:  # what is not read is named, and nothing else is made of it
        return "sure"
    if path.is_dir():
        return "sure" if recordings.is_folder_recording(path) else "no"
    if path.suffix.lower() in _ARRAYS:
        return "sure" if parcels.is_recording(path, key) else "no"
    return "sure" if kinds.RECORDING.suffix_of(path) and not recordings.is_other(path) else "no"


def read(
    path: Path, *, series: str | int | None, key: str | None, as_map: bool, allow_truncated: bool = False
) -> Image:
    """Open it; of arrays `series` may name the one to take, and none is read in part."""
    if not path.is_dir() and path.suffix.lower() in _ARRAYS:
        return parcels.read(path, str(series) if series is not None else key)
    return recordings.read(path, series=series, allow_truncated=allow_truncated)


def info(path: Path, *, allow_truncated: bool = False) -> list[dict[str, Any]]:
    """One row per recording of a data set, per response of a file of evoked ones."""
    from workbench.data.formats import describe

    if not path.is_dir() and path.suffix.lower() in _ARRAYS:
        return [describe(parcels.read(path))]
    return recordings.info(path, allow_truncated=allow_truncated)


def claims(path: Path, key: str | None) -> bool:
    """NumPy arrays are ours where something says their sampling rate; who names an array means us."""
    from workbench.data.formats import split_address

    file, _ = split_address(path)
    if file.suffix.lower() not in (".npy", ".npz"):
        return True
    try:
        return key is not None or parcels.read(file, key).header.get("sampling_rate") is not None
    except InputError:
        return False


def is_companion(path: Path) -> bool:
    """Whether it is a later part of a split FIF file."""
    return path.name.lower().endswith((".fif", ".fif.gz")) and recordings.is_part(path)


def reading_bytes(image: Image) -> int:
    """Memory for reading besides the samples: MNE reads in float64, arrays are mapped."""
    if image.format in ("parcels", "array"):
        return 0
    return array_bytes((len(image.channels), *image.geometry.shape), 8)
