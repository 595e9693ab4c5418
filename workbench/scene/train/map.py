"""A taught network over a whole scene: the fast shared pass where it is exact, else patch by patch."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from workbench.core.errors import UsageError
from workbench.core.types import Image, Progress
from workbench.scene.data.scene import open_blocks
from workbench.scene.data.spectra import FittedSpectra
from workbench.scene.net.lola_fused import FusedLola
from workbench.scene.net.lola_specvit import LolaSpecViT
from workbench.scene.predict.map import SceneMap, SceneSettings, map_patches, map_scene

Mode = Literal["auto", "dense", "patches"]


def map_taught(
    net: LolaSpecViT,
    fitted: FittedSpectra,
    image: Image,
    device: torch.device,
    *,
    mode: Mode = "auto",
    where: npt.NDArray[np.bool_] | None = None,
    settings: SceneSettings | None = None,
    on_tile: Any = None,
    progress: Progress | None = None,
) -> SceneMap:
    """Classify every pixel of a scene; labels count from 1 in the order of the network's outputs.

    Parameters
    ----------
    mode
        ``"dense"``: convolve once over the scene (needs a network without padding, and no standardisation per patch).
        ``"patches"``: cut out every patch. ``"auto"``: dense where that gives the same.
    where
        (rows, columns): which pixels to classify; the others get 0.

    Raises
    ------
    InputError
        The scene has other bands than the model knows.
    UsageError
        Dense mode was asked for where it is inexact.
    """
    fitted.require(image)
    exact = net.dense and not fitted.recipe.patch
    if mode == "dense" and not exact:
        raise UsageError(
            "mode=dense: these weights pad or standardise every patch, so a shared pass would change the result; "
            "use mode=patches"
        )
    blocks = open_blocks(image)
    fused = FusedLola(net).to(device)
    if exact and mode != "patches":
        return map_scene(
            fused.front, fused.window_head, blocks, margin=net.margin, window_offsets=net.window_offsets,
            prepare=fitted.apply, where=where, settings=settings, device=device, on_tile=on_tile, progress=progress,
        )  # fmt: skip
    return map_patches(
        fused, blocks, patch_size=net.patch_size, standardise=fitted.recipe.patch, prepare=fitted.apply, where=where,
        settings=settings, device=device, on_tile=on_tile, progress=progress,
    )  # fmt: skip
