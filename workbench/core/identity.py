"""Which image work belongs to: its content and its name, never only where it lies or that it has no file.

A file that was moved is still the same image; another one of its name, or one that was put in its place, is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.provenance import input_hash
from workbench.core.stamps import FileStamp
from workbench.core.types import Image, Progress

DETAIL = "identity"
"""What `Identity.to_json` gives is called so among the details of a `Provenance`."""

_PIECE_BYTES = 16 << 20
_MOST_BYTES = 512 << 20


@dataclass(frozen=True)
class Identity:
    """What tells an image from others.

    Parameters
    ----------
    name
        What people call it; folders are named after it.
    of
        ``"file"``; ``"layer"``: what a layer of the window showed that no file of ours is behind; ``"drawing"``: work
        that lies on no image.
    sha256
        Hash of the files, or of the samples; of a drawing a token of its own. ``None`` where it cannot be known: the
        file is gone, or was changed since it was opened.
    source
        Path of the file.
    part
        Which of several images of one file: an array of a ``.mat``, one of several evoked responses.
    """

    name: str
    of: str
    sha256: str | None = None
    source: str | None = None
    part: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Any) -> Identity | None:
        """A stored one again; ``None`` if it is none."""
        if not isinstance(stored, Mapping) or stored.get("of") not in ("file", "layer", "drawing"):
            return None
        sha256, source = stored.get("sha256"), stored.get("source")
        return cls(
            str(stored.get("name") or "image"),
            str(stored["of"]),
            None if sha256 is None else str(sha256),
            None if source is None else str(source),
            str(stored.get("part") or ""),
        )

    def is_that_of(self, record: Mapping[str, Any]) -> bool:
        """Whether a completion record is of this very image."""
        details = record.get("details")
        stored = Identity.from_json(details.get(DETAIL) if isinstance(details, Mapping) else None)
        if stored is None:  # of the shell, of a script, or of an earlier version
            hashed, source = record.get("input_sha256"), record.get("source")
            stored = Identity(self.name, "file", hashed, source, self.part)
        if (self.of, self.part) != (stored.of, stored.part):
            return False
        if self.sha256 is not None and stored.sha256 is not None:
            return self.sha256 == stored.sha256 and (self.of != "layer" or self.name == stored.name)
        return self.of == "file" and _same_path(self.source, stored.source)


def identity_of(image: Image, known: str | None = None) -> Identity:
    """The identity of an image that has a file.

    Parameters
    ----------
    known
        Hash of its files as it was taken before, for files that are gone by now, or are others.
    """
    header = image.header
    part = next((str(v) for k in ("key", "condition") if (v := header.get(k))), "")
    source = None if image.source is None else str(Path(image.source).absolute())
    return Identity(image.name, "file", _file_hash(image) or known, source, part)


def identity_of_layers(name: str, arrays: Sequence[Any], progress: Progress | None = None) -> Identity:
    """The identity of what layers show that no file of ours is behind; see `content_hash`."""
    return Identity(name, "layer", content_hash(arrays, progress))


def content_hash(arrays: Sequence[Any], progress: Progress | None = None) -> str:
    """Hash of the type, shape and samples of arrays, read piece by piece: dask arrays are never whole in memory.

    Of a pyramid (a sequence of arrays, the finest first) the finest level counts. How an array is stored, in which
    chunks and byte order, makes no difference.
    """
    finest = [a if hasattr(a, "dtype") and hasattr(a, "shape") and not _is_pyramid(a) else a[0] for a in arrays]
    digest = hashlib.sha256()
    total = max(1, sum(int(np.prod(a.shape, dtype=np.int64)) for a in finest))
    done = 0
    for array in finest:
        kind = np.dtype(array.dtype).newbyteorder("<")
        digest.update(f"{kind.str} {tuple(int(n) for n in array.shape)};".encode())
        for piece in _pieces(array, ()):
            samples = np.ascontiguousarray(np.asarray(array[piece] if piece else array), dtype=kind)
            digest.update(samples.data)
            done += samples.size
            if progress is not None:
                progress(done * 1000 // total, 1000)
    return digest.hexdigest()


def _is_pyramid(array: Any) -> bool:
    """Whether it is napari's sequence of levels, which says the type and shape of the finest one as its own."""
    return type(array).__name__ == "MultiScaleData"


def _pieces(array: Any, before: tuple[slice, ...]) -> Iterator[tuple[slice, ...]]:
    """Slices that together are an array in the order of its samples, small ones where it is not stored in larger."""
    axis = len(before)
    if axis == len(array.shape):
        yield before
        return
    row = int(np.prod(array.shape[axis + 1 :], dtype=np.int64)) * np.dtype(array.dtype).itemsize
    length = int(array.shape[axis])
    if row > _MOST_BYTES and axis + 1 < len(array.shape):
        for index in range(length):
            yield from _pieces(array, (*before, slice(index, index + 1)))
        return
    step = max(1, _PIECE_BYTES // max(1, row))
    chunks = getattr(array, "chunks", None)
    if chunks:
        stored = chunks[axis][0] if isinstance(chunks[axis], tuple) else chunks[axis]
        step = max(step, min(int(stored), max(1, _MOST_BYTES // max(1, row))))
    for start in range(0, length, step):
        yield (*before, slice(start, min(start + step, length)))


_hashes: dict[tuple[FileStamp, ...], str | None] = {}
_MANY = 64


def _file_hash(image: Image) -> str | None:
    """Files that are as they were are not read again for every save."""
    stamp = image.stamp
    if not stamp or not image.is_unchanged:
        return None
    if stamp not in _hashes:
        if len(_hashes) >= _MANY:
            _hashes.clear()
        _hashes[stamp] = input_hash(image)
    return _hashes[stamp]


def _same_path(a: str | None, b: Any) -> bool:
    return a is not None and isinstance(b, str) and Path(a).absolute() == Path(b).absolute()
