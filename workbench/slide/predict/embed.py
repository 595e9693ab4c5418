"""From tiles to embeddings: batches through the network.

J. Li et al., "StainNet", arXiv 2512.10326: the class token after the last norm.
On a processor every core takes batches of its own (`workbench.nets.lanes`).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from workbench.core.types import Progress
from workbench.nets.lanes import batches, in_lanes, lanes_on
from workbench.slide.predict.view import STAINNET, View, to_input

Tile = tuple[int, npt.NDArray[Any]]
_Features = npt.NDArray[np.float32]
BATCH = 8
"""Tiles at once on a processor: what its caches hold of a layer."""
BATCH_ON_GPU = 256


def embed(
    net: torch.nn.Module,
    tiles: Iterable[Tile],
    *,
    batch: int | None = None,
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
        Tiles at once, on a processor for each core (`torch.get_num_threads`); by default what suits the device. Every
        batch is filled up to it, so that neighbours do not change a byte of an embedding.
    total
        How many tiles there are, for `progress`.
    width
        Length of an embedding, for the shape of the result where there is no tile.
    view
        How the network sees tiles.
    """
    size = batch or (BATCH if torch.device(device).type == "cpu" else BATCH_ON_GPU)

    def embedded(some: list[Tile]) -> _Features:
        # From pages that stay where they are, a GPU copies while it computes.
        pinned = torch.device(device).type == "cuda"
        with torch.inference_mode():
            inputs = torch.zeros((size, 3, view.size, view.size), pin_memory=pinned)
            for place, (_, pixels) in enumerate(some):
                inputs[place] = torch.from_numpy(to_input(pixels, view) if pixels.dtype == np.uint8 else pixels)
            x = inputs.to(device=device, non_blocking=pinned).to(dtype)
            found: _Features = net(x)[: len(some)].float().cpu().numpy()
            return found

    numbers: list[int] = []
    features: list[_Features] = []
    net.eval()
    with closing(in_lanes(lanes_on(device), embedded, batches(tiles, size))) as done:
        for some, out in done:
            width = out.shape[1]
            numbers += [number for number, _ in some]
            features.append(out)
            if progress is not None:
                progress(len(numbers), max(total, len(numbers)))
    found = np.concatenate(features) if features else np.zeros((0, width), np.float32)
    return np.array(numbers, np.int64), found
