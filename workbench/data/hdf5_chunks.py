"""The chunks of an HDF5 array, held against its shape before and after HDF5 reads them.

The list of chunks carries no checksum, and HDF5 reads a chunk that it does not find as zeros: of a list that is damaged
come other samples, without a word.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, reading, reason
from workbench.data.geometry import MAX_DEFLATE_RATIO

_DEFLATE, _SHUFFLE, _FLETCHER = 1, 2, 3  # numbers of the filters in HDF5
_KNOWN = {_DEFLATE, _SHUFFLE, _FLETCHER}
_SUM = 4  # bytes of a Fletcher-32 checksum
_LARGE = 256 * 1024**2  # bytes; more in a chunk than in the whole array is refused from here on
_ADVICE = "The file is damaged: save it again."


@dataclass(frozen=True, eq=False)
class Chunks:
    """How an array lies in the file.

    Attributes
    ----------
    sides
        Of a chunk, along each axis.
    filters
        What packs the chunks, by the numbers of HDF5, in order.
    offsets
        (chunks, axes), the first sample of each chunk that the file lists.
    masks
        Which filters were left out for each chunk, a bit each.
    starts, sizes
        First byte and number of bytes of each chunk.
    """

    sides: tuple[int, ...]
    filters: tuple[int, ...]
    offsets: npt.NDArray[np.float64]
    masks: npt.NDArray[np.int64]
    starts: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.float64]


def chunks_of(dataset: Any) -> Chunks:
    """What HDF5 says of the chunks of an array; nothing is judged."""
    made = dataset.id.get_create_plist()
    found: list[tuple[tuple[int, ...], int, int, int]] = []

    def add(one: Any) -> None:
        found.append((one.chunk_offset, one.filter_mask, one.byte_offset or 0, one.size))

    dataset.id.chunk_iter(add)
    axes = len(dataset.shape)
    return Chunks(
        tuple(int(n) for n in dataset.chunks),
        tuple(int(made.get_filter(i)[0]) for i in range(made.get_nfilters())),
        np.array([f[0] for f in found], np.float64).reshape(len(found), axes),  # numbers of 64 bits, any of them
        np.array([f[1] for f in found], np.int64),
        np.array([f[2] for f in found], np.float64),
        np.array([f[3] for f in found], np.float64),
    )


def require_all(path: Path, name: str, shape: tuple[int, ...], itemsize: int, chunks: Chunks) -> None:
    """Refuse an array whose chunks are not there, each once, within the file and as long as they must be.

    Raises
    ------
    InputError
        Says what the list of chunks holds instead.
    """
    what = f"{path}: array '{name}'"
    expected = math.prod(-(-n // c) for n, c in zip(shape, chunks.sides, strict=True))
    if len(chunks.offsets) != expected:
        raise InputError(
            f"{what}: its shape promises {expected} chunks of samples, the file holds {len(chunks.offsets)}. Save it"
            " again."
        )
    raw, size = math.prod(chunks.sides) * itemsize, math.prod(shape) * itemsize
    if raw > max(_LARGE, size):
        raise InputError(f"{what}: a chunk takes {raw} bytes, all samples {size}. {_ADVICE}")
    _require_places(what, shape, chunks)
    _require_sizes(what, path.stat().st_size, raw, chunks)


def _require_places(what: str, shape: tuple[int, ...], chunks: Chunks) -> None:
    numbers, rest = np.divmod(chunks.offsets, np.array(chunks.sides))
    wrong = (rest != 0).any(axis=1) | (chunks.offsets >= np.array(shape)).any(axis=1)
    if wrong.any():
        place = [int(v) for v in chunks.offsets[int(np.argmax(wrong))]]
        raise InputError(f"{what}: a chunk of samples is listed at {place}, where none can begin. {_ADVICE}")
    if len(np.unique(numbers, axis=0)) != len(numbers):
        raise InputError(f"{what}: a chunk of samples is listed twice, another is missing. {_ADVICE}")


def _require_sizes(what: str, length: int, raw: int, chunks: Chunks) -> None:
    ends = chunks.starts + chunks.sizes
    if (chunks.sizes < 1).any() or (ends > length).any():
        raise InputError(f"{what}: a chunk of samples would end at byte {ends.max():.0f} of {length}. {_ADVICE}")
    order = np.argsort(chunks.starts)
    if (ends[order][:-1] > chunks.starts[order][1:]).any():
        raise InputError(f"{what}: two chunks of samples lie at the same bytes. {_ADVICE}")
    if not set(chunks.filters) <= _KNOWN:
        return
    left_out = {number: chunks.masks >> at & 1 == 1 for at, number in enumerate(chunks.filters)}
    if (chunks.masks >> len(chunks.filters)).any() or left_out.get(_FLETCHER, np.zeros(1, bool)).any():
        raise InputError(f"{what}: a chunk of samples is said to have no checksum. {_ADVICE}")
    # One at the rim may be as it is, if the array was made so.
    longest = raw + (_SUM if _FLETCHER in chunks.filters else 0)
    plain = left_out[_DEFLATE] if _DEFLATE in left_out else np.ones(len(chunks.sizes), bool)
    packed = chunks.sizes[~plain]
    wrong = (chunks.sizes[plain] != raw) & (chunks.sizes[plain] != longest)
    if wrong.any() or (packed > longest + raw // 500 + 64).any() or (raw > packed * MAX_DEFLATE_RATIO).any():
        raise InputError(
            f"{what}: its chunks of samples take {chunks.sizes.min():.0f} to {chunks.sizes.max():.0f} bytes, unpacked"
            f" {raw} each. {_ADVICE}"
        )


def slab(dataset: Any, *selection: slice) -> npt.NDArray[Any]:
    """Samples of an array, each from a chunk that HDF5 has found.

    Parameters
    ----------
    selection
        A slice along each axis, with steps of 1 or more.

    Raises
    ------
    InputError
        The samples cannot be read, or a chunk is not found by the list that names it.
    """
    path = dataset.file.filename
    with reading_samples(path):
        found = np.asarray(dataset[selection])
        sides, shape, fill = dataset.chunks, dataset.shape, dataset.fillvalue
    if sides is not None and found.size:
        for offset in _empty(found, selection, shape, sides, fill):
            with reading(path, f"its list of chunks does not lead to the samples at {list(offset)}", _ADVICE):
                dataset.id.read_direct_chunk(offset)
    return found


def _empty(
    found: npt.NDArray[Any], selection: tuple[slice, ...], shape: tuple[int, ...], sides: tuple[int, ...], fill: Any
) -> Iterator[tuple[int, ...]]:
    """First samples of the chunks that hold nothing but the fill value, as those do that HDF5 did not find."""
    numbers, edges = [], []
    for chosen, n, side in zip(selection, shape, sides, strict=True):
        number, first = np.unique(np.arange(*chosen.indices(n)) // side, return_index=True)
        numbers.append(number)
        edges.append(first)
    first_samples = _is(found[np.ix_(*edges)], fill)
    for place in np.argwhere(first_samples):
        block = tuple(
            slice(int(edge[at]), int(edge[at + 1]) if at + 1 < len(edge) else None)
            for edge, at in zip(edges, place, strict=True)
        )
        if _is(found[block], fill).all():
            yield tuple(int(number[at]) * side for number, at, side in zip(numbers, place, sides, strict=True))


def _is(values: npt.NDArray[Any], fill: Any) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = np.isnan(values) if fill != fill else values == fill
    return same


@contextmanager
def reading_samples(path: object) -> Iterator[None]:
    """Around reads of samples by h5py, which checks them only then."""
    with reading(path, "the samples cannot be read", "Save it again."):
        try:
            yield
        except OSError as error:
            if "allocat" in str(error):  # HDF5 has no error of its own for this
                raise MemoryError(reason(error)) from error
            raise
