"""From tiles to embeddings: the transform of the StainNet model card, and batches through the network.

J. Li et al., "StainNet", arXiv 2512.10326: bicubic to 224 pixels, values to -1..1, the class token after the last norm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from workbench.core.types import Progress

SIZE = 224
"""Side of what the network sees, in pixels."""
MEAN = STD = 0.5

Tile = tuple[int, npt.NDArray[Any]]


def to_input(tile: npt.NDArray[np.uint8], size: int = SIZE) -> npt.NDArray[np.float32]:
    """A tile ``(rows, columns, 3)`` of 8 bits as the network sees it: ``(3, size, size)`` float32, -1 black, 1 white.

    The short side becomes `size` (bicubic with antialiasing, on 8 bits, as Pillow does it); of a tile that is not
    square the middle is taken.
    """
    from PIL import Image as Pillow

    rows, columns = tile.shape[:2]
    if (rows, columns) != (size, size):
        scale = size / min(rows, columns)
        wide, high = max(size, round(columns * scale)), max(size, round(rows * scale))
        resized = np.asarray(Pillow.fromarray(tile).resize((wide, high), Pillow.Resampling.BICUBIC))
        top, left = (high - size) // 2, (wide - size) // 2
        tile = resized[top : top + size, left : left + size]
    values = tile.astype(np.float32) / np.float32(255)
    scaled: npt.NDArray[np.float32] = np.ascontiguousarray(((values - MEAN) / STD).transpose(2, 0, 1))
    return scaled


def embed(
    net: torch.nn.Module,
    tiles: Iterable[Tile],
    *,
    batch: int = 32,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    total: int = 0,
    progress: Progress | None = None,
    width: int = 0,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The embeddings of tiles: their numbers ``(N,)`` and ``(N, D)`` float32, in the order the tiles came.

    Parameters
    ----------
    net
        Gives ``(B, D)`` for ``(B, 3, 224, 224)``; on `device`, with parameters of `dtype`.
    tiles
        ``(number, pixels)``, e.g. a `workbench.slide.data.stream.TileStream`; or with what `to_input` made of them.
    batch
        Tiles at once. Every batch is filled up to it, so that neighbours do not change a byte of an embedding.
    total
        How many tiles there are, for `progress`.
    width
        Length of an embedding, for the shape of the result where there is no tile.
    """
    numbers: list[int] = []
    found: list[npt.NDArray[np.float32]] = []
    net.eval()
    with torch.inference_mode():
        for some in _batches(tiles, batch):
            inputs = np.zeros((batch, 3, SIZE, SIZE), np.float32)
            for place, (_, pixels) in enumerate(some):
                inputs[place] = to_input(pixels) if pixels.dtype == np.uint8 else pixels
            x = torch.from_numpy(inputs).to(device=device, dtype=dtype, non_blocking=True)
            out: Any = net(x)[: len(some)].float().cpu().numpy()
            width = out.shape[1]
            numbers += [number for number, _ in some]
            found.append(out)
            if progress is not None:
                progress(len(numbers), max(total, len(numbers)))
    features = np.concatenate(found) if found else np.zeros((0, width), np.float32)
    return np.array(numbers, np.int64), features


def _batches(tiles: Iterable[Tile], size: int) -> Iterator[list[Tile]]:
    source = iter(tiles)
    while some := list(islice(source, size)):
        yield some
