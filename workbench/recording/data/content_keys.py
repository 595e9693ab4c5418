"""Keys of what a recording holds, by which copies, crops and joined recordings are known again.

Fixed blocks would be lost with the first sample that is cut off. So the places are chosen by the samples themselves
("winnowing", S. Schleimer et al., SIGMOD 2003): of every 8 s the sample whose value and successor have the smallest
hash, and the key is the hash of the 64 samples from there on. Whatever stretch of more than 8 s two recordings have in
common, they have keys in common; names, order of files and containers do not matter. Other numbers do: what was
filtered, resampled, re-referenced or rescaled is another recording here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workbench.core.seen import content_key

SECONDS = 8.0
LENGTH = 64
_FEWEST_VALUES = 16  # distinct ones of a key's samples: zeros and clipped stretches are the same everywhere
_DIGITS = 14
_PIECE = 1 << 20


def key_channels(numbers: Sequence[int]) -> tuple[int, ...]:
    """Which of the chosen channels are looked at: the first and the middle one, the same whatever they are called."""
    return tuple(dict.fromkeys((numbers[0], numbers[len(numbers) // 2])))


def content_keys(rows: npt.NDArray[np.float32], rate: float) -> tuple[str, ...]:
    """Keys of some channels of a recording, each in order of time.

    Parameters
    ----------
    rows
        ``(channels, samples)`` as they are in the file. NaN counts as a value.
    rate
        Samples per second [Hz].

    Returns
    -------
    tuple of str
        14 hexadecimal digits each; of a recording that is too short, one key of all of it.
    """
    window = max(4 * LENGTH, round(SECONDS * rate))
    found: dict[str, None] = {}
    for row in rows:
        for first in range(0, max(1, len(row) - window), _PIECE):
            # Every window lies in one of the pieces as a whole.
            piece = row[first : first + _PIECE + window + LENGTH + 1]
            plain = np.ascontiguousarray(piece, dtype="<f4") + np.float32(0)  # -0 as 0
            plain[np.isnan(plain)] = np.nan
            found |= dict.fromkeys(_keys(plain, window))
    if not found and rows.size and np.isfinite(rows).any() and np.ptp(rows[np.isfinite(rows)]) > 0:
        return (content_key(rows)[:_DIGITS],)
    return tuple(found)


def _keys(row: npt.NDArray[np.float32], window: int) -> list[str]:
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    count = len(row) - 1 - window
    if count < 1:
        return []
    bits = row.view("<u4").astype(np.uint64)
    mixed = (bits[:-1] * np.uint64(0x9E3779B97F4A7C15)) ^ (bits[1:] * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed ^= mixed >> np.uint64(29)
    hashes = ((mixed * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(33)).astype(np.int64)
    hashes[row[:-1] == row[1:]] = np.iinfo(np.int64).max  # never a place in a flat stretch
    half = window // 2
    # The smallest hash of each window that lies inside, and which samples are the smallest of such a window.
    least = minimum_filter1d(hashes, window)[half : half + len(hashes) - window + 1]
    padded = np.concatenate([np.full(window - 1, -1), least, np.full(window - 1, -1)])
    best = maximum_filter1d(padded, window)[half : half + len(hashes)]
    found = []
    for at in np.flatnonzero((best == hashes) & (hashes < np.iinfo(np.int64).max)):
        piece = row[at : at + LENGTH]
        if len(piece) == LENGTH and len(np.unique(piece)) >= _FEWEST_VALUES:
            found.append(hashlib.sha256(piece.tobytes()).hexdigest()[:_DIGITS])
    return found
