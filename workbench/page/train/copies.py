"""Which pages are nearly the same picture: copies and rescans must not lie on both sides of a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

ALIKE = 0.92
"""Correlation of the ink of two pages from which they are taken for one: a copy at another size, quality or brightness
reaches it."""
_ROWS, _COLUMNS = 64, 128


def fingerprint(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """``(8192,)`` of unit length: where the ink of a page lies, whatever its light; of `picture_of` ``(h, w, 3)``."""
    from scipy import ndimage

    grey = picture.astype(np.float32).mean(axis=2)
    ink = np.maximum(ndimage.uniform_filter(grey, 31) - grey, 0)
    height, width = ink.shape
    coarse = ink[: height // _ROWS * _ROWS, : width // _COLUMNS * _COLUMNS]
    coarse = coarse.reshape(_ROWS, height // _ROWS, _COLUMNS, width // _COLUMNS).mean(axis=(1, 3))
    coarse = coarse - coarse.mean()
    length = float(np.linalg.norm(coarse))
    out: npt.NDArray[np.float32] = (coarse / length if length > 0 else coarse).ravel().astype(np.float32)
    return out


def joined(groups: Sequence[str], prints: npt.NDArray[Any]) -> tuple[list[str], int]:
    """Groups, joined where pages of two of them are nearly the same; and how many pages that moved.

    Parameters
    ----------
    groups
        Of each page.
    prints
        ``(pages, 8192)`` of `fingerprint`; rows of zeros are like nothing.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    names, number = np.unique(np.asarray(groups), return_inverse=True)
    a, b = np.nonzero(np.triu(prints @ prints.T > ALIKE, 1))
    links = coo_matrix((np.ones(len(a)), (number[a], number[b])), shape=(len(names), len(names)))
    _, part = connected_components(links, directed=False)
    first = {int(p): str(names[i]) for i, p in reversed(list(enumerate(part)))}
    out = [first[int(part[n])] for n in number]
    return out, sum(before != after for before, after in zip(groups, out, strict=True))
