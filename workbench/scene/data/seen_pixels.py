"""Which pixels taught weights: remembered by their spectra, so that they are known again in any copy of a scene.

An entry of ``seen`` in the record of a weight file is a `workbench.core.seen.SeenCase` with one entry more,
``pixels``: a key of 6 bytes for each pixel's spectrum. Another name, container, interleave or crop of the scene, or
bands in another order, does not change the spectra that the weights read, so the pixels are found wherever they lie.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_cdt

from workbench.core.errors import WeightsError
from workbench.core.seen import SeenCase, content_key
from workbench.core.types import Image
from workbench.scene.data.scene import Blocks, open_blocks
from workbench.scene.data.spectra import FittedSpectra

Array = npt.NDArray[Any]
Standing = Literal["no", "near", "chosen by", "learnt"]

STANDINGS: tuple[Standing, ...] = ("no", "near", "chosen by", "learnt")
"""How a pixel stands: unseen; within the patch of one that taught; it chose the weights; it taught them. By number."""

MOST = 200_000
"""Pixels that are remembered of a scene; where more taught, a draw of them is, and the others count as near."""

_BYTES = 6  # 200,000 pixels against a million others: fewer than one of them is taken for a seen one by chance
_ROWS = 64


@dataclass(frozen=True, eq=False)
class SeenPixels:
    """The pixels of one scene that taught weights.

    Parameters
    ----------
    case
        Name, role and key of the scene.
    bands, used
        Bands of the scene, and which of them (from 0) the keys are made of.
    train, val
        Keys of the pixels that taught, and of those that decided when to stop; sorted.
    """

    case: SeenCase
    bands: int
    used: tuple[int, ...]
    train: npt.NDArray[np.uint64]
    val: npt.NDArray[np.uint64]

    def to_json(self) -> dict[str, Any]:
        pixels = {
            "bands": self.bands,
            "used": list(self.used),
            "learnt": _text(self.train),
            "chosen by": _text(self.val),
        }
        return {**self.case.to_json(), "pixels": pixels}


def remember(image: Image, fitted: FittedSpectra, train: Array, val: Array, *, group: str = "") -> SeenPixels:
    """The pixels of a scene that taught weights.

    Parameters
    ----------
    image
        The scene as the network saw it.
    train, val
        Flat indices.
    """
    blocks = open_blocks(image)
    used = fitted.kept
    keys = [_keys_of(blocks, used, _some(pixels)) for pixels in (train, val)]
    case = SeenCase(image.name, (scene_key(image, used),), "learnt", group)
    return SeenPixels(case, blocks.shape[0], tuple(int(b) for b in used), keys[0], keys[1])


def read_seen(record: Mapping[str, Any]) -> list[SeenPixels] | None:
    """The pixels that a record remembers; ``None`` where it does not say what taught the weights.

    Raises
    ------
    WeightsError
        An entry is broken.
    """
    entries = record.get("seen")
    if not isinstance(entries, list):
        return None
    found = []
    for entry in entries:
        pixels = entry.get("pixels") if isinstance(entry, Mapping) else None
        if pixels is None:
            continue  # of a later version, or of another kind
        try:
            case = SeenCase(str(entry["id"]), tuple(map(str, entry["keys"])), "learnt", str(entry.get("group", "")))
            train, val = _keys_in(pixels["learnt"]), _keys_in(pixels["chosen by"])
            found.append(SeenPixels(case, int(pixels["bands"]), tuple(map(int, pixels["used"])), train, val))
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise WeightsError(f"its entry 'seen' is broken ({error}); fetch the file again") from None
    return found


def standing(
    seen: Sequence[SeenPixels], image: Image, original: Image, fitted: FittedSpectra, reach: int
) -> npt.NDArray[np.uint8]:
    """How each pixel of a scene stands to what taught some weights, as the place in `STANDINGS`.

    Parameters
    ----------
    image, original
        The scene as the weights see it, and as its file gives it.
    reach
        Side of everything that the network sees around a pixel: nearer ones share a part of their patches.

    Returns
    -------
    array
        ``(rows, columns)`` uint8.
    """
    found = np.zeros(image.geometry.shape, np.uint8)
    for entry in seen:
        known = entry.used == tuple(int(b) for b in fitted.kept) and entry.bands == len(image.channels)
        source = image if known else original
        if not known and len(original.channels) != entry.bands:
            continue
        blocks = open_blocks(source)
        for rows, columns in blocks.windows():
            keys = spectrum_keys(blocks.read(rows, columns)[list(entry.used)])
            here = found[rows, columns]
            here[np.isin(keys, entry.val)] = np.maximum(here[np.isin(keys, entry.val)], 2)
            here[np.isin(keys, entry.train)] = 3
    hits = found > 0
    if hits.any():
        distance = distance_transform_cdt(np.where(hits, 0, 1).astype(np.int32), "chessboard")
        found[~hits & (distance < reach)] = 1
    return found


def scene_key(image: Image, used: Array) -> str:
    """Key of the content of a scene: of up to 64 rows of it, spread evenly, in the bands that are used."""
    blocks = open_blocks(image)
    wanted = np.unique(np.linspace(0, blocks.shape[1] - 1, _ROWS).round().astype(int))
    lines = [blocks.read(slice(int(r), int(r) + 1), slice(None))[used, 0] for r in wanted]
    return content_key(np.array(blocks.shape[1:]), np.stack(lines))


def spectrum_keys(block: Array) -> npt.NDArray[np.uint64]:
    """A number of 48 bits for each spectrum of ``(bands, ...)`` samples; 0 for one that is the same in all bands.

    Values are compared as float32, so the type that they are stored in does not matter.
    """
    plain = np.ascontiguousarray(block, dtype="<f4") + np.float32(0)  # -0 as 0
    bits = np.where(np.isnan(plain), np.float32(np.nan), plain).view("<u4")
    state = np.full(block.shape[1:], 0x9E3779B97F4A7C15, np.uint64)
    for band in bits:  # the steps of splitmix64, a band at a time
        state = (state ^ band) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    keys = state & np.uint64((1 << (8 * _BYTES)) - 1)
    flat = (bits == bits[:1]).all(axis=0)  # fill values; they say nothing of a place
    found: npt.NDArray[np.uint64] = np.where(flat, np.uint64(0), keys)
    return found


def _keys_of(blocks: Blocks, used: Array, pixels: Array) -> npt.NDArray[np.uint64]:
    if not pixels.size:
        return np.array([], np.uint64)
    rows, columns = np.divmod(pixels, blocks.shape[2])
    keys = np.unique(spectrum_keys(blocks.spectra(rows, columns).T[used]))
    return keys[keys > 0]


def _some(pixels: Array) -> Array:
    if pixels.size <= MOST:
        return pixels
    return np.sort(np.random.default_rng(0).choice(pixels, MOST, replace=False))


def _text(keys: npt.NDArray[np.uint64]) -> str:
    return base64.b64encode(keys.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :_BYTES].tobytes()).decode("ascii")


def _keys_in(text: str) -> npt.NDArray[np.uint64]:
    raw = np.frombuffer(base64.b64decode(text, validate=True), np.uint8).reshape(-1, _BYTES)
    full = np.zeros((len(raw), 8), np.uint8)
    full[:, :_BYTES] = raw
    found: npt.NDArray[np.uint64] = full.view("<u8")[:, 0].astype(np.uint64)
    return found
