"""A loaded encoder of tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.slide.predict.view import STAINNET, View
from workbench.weights import WeightsFile

if TYPE_CHECKING:
    import torch

    from workbench.slide.predict.heads import AnyHead


@dataclass(frozen=True)
class Model:
    """A loaded network with what belongs to its weights; ``recipe`` has the scale and the tile that it learnt from.

    ``net.dim`` is the length of an embedding. Where `weights` were taught on top of others, `head` is what they hold,
    and `base` the weights that embed.
    """

    net: Any
    weights: WeightsFile
    device: torch.device
    reason: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    view: View = STAINNET
    head: AnyHead | None = None
    base: WeightsFile | None = None
    pooling: str = "cls"

    @property
    def encoder(self) -> WeightsFile:
        """The weights that embed; of what was taught on top of them, its base."""
        return self.base or self.weights


def precision_of(wanted: str, device: torch.device) -> str:
    """Number type of a network: as asked for; ``"auto"`` is bfloat16 on a GPU, else float32."""
    if wanted != "auto":
        return wanted
    return "bfloat16" if device.type == "cuda" else "float32"
