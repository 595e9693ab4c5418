"""From tiles to embeddings: batches through the network.

J. Li et al., "StainNet", arXiv 2512.10326: the class token after the last norm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from workbench.core.types import Progress
from workbench.slide.predict.view import STAINNET, View, to_input

Tile = tuple[int, npt.NDArray[Any]]


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
    view: View = STAINNET,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The embeddings of tiles: their numbers ``(N,)`` and ``(N, D)`` float32, in the order the tiles came.

    Parameters
    ----------
    net
        Gives ``(B, D)`` for ``(B, 3, size, size)``, the size that of `view`; on `device`, parameters of `dtype`.
    tiles
        ``(number, pixels)``, e.g. a `workbench.slide.data.stream.TileStream`; or with what `to_input` made of them.
    batch
        Tiles at once. Every batch is filled up to it, so that neighbours do not change a byte of an embedding.
    total
        How many tiles there are, for `progress`.
    width
        Length of an embedding, for the shape of the result where there is no tile.
    view
        How the network sees tiles.
    """
    numbers: list[int] = []
    found: list[npt.NDArray[np.float32]] = []
    net.eval()
    # From pages that stay where they are, a GPU copies while it computes.
    pinned = torch.device(device).type == "cuda"
    with torch.inference_mode():
        for some in _batches(tiles, batch):
            inputs = torch.zeros((batch, 3, view.size, view.size), pin_memory=pinned)
            for place, (_, pixels) in enumerate(some):
                inputs[place] = torch.from_numpy(to_input(pixels, view) if pixels.dtype == np.uint8 else pixels)
            x = inputs.to(device=device, non_blocking=pinned).to(dtype)
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
