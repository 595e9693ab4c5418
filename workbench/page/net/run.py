"""Run a classifier over many pages, a few at once."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Floats = npt.NDArray[np.float64]
Precision = Literal["float32", "bfloat16"]
_AT_ONCE = 16
_LARGE = 20_000_000
"""Numbers of a network beyond which a processor takes pictures one at a time: what several give leaves its caches."""


def as_input(inputs: npt.NDArray[Any]) -> Tensor:
    """Pictures ``(n, height, width, 3)`` uint8 or leads ``(n, 12, samples)`` as networks take them, float32."""
    found = torch.from_numpy(np.ascontiguousarray(inputs))
    return found.permute(0, 3, 1, 2).float() if inputs.dtype == np.uint8 else found.float()


def head_of(net: Any) -> nn.Linear:
    """The last layer."""
    found: nn.Linear = net.head if hasattr(net, "head") else net.net.classifier
    return found


def features_and_logits(
    net: nn.Module, inputs: npt.NDArray[Any], device: Any, precision: Precision = "float32"
) -> tuple[Floats, Floats]:
    """What the last layer sees, ``(n, width)``, and what it gives, ``(n, classes)``.

    Parameters
    ----------
    precision
        Of what the network multiplies; ``"bfloat16"`` pays on processors that have it (GPUs), and is slow on others.
    """
    ready: Any = net.eval()
    head = head_of(net)
    features, logits = [], []
    large = torch.device(device).type == "cpu" and sum(p.numel() for p in net.parameters()) > _LARGE
    at_once = 1 if large else _AT_ONCE
    half = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bfloat16")
    with torch.no_grad(), half:  # not inference_mode: BEiT keeps tensors that a later attribution differentiates
        for first in range(0, len(inputs), at_once):
            seen = ready.features(as_input(inputs[first : first + at_once]).to(device))
            features.append(seen.float().cpu().numpy())
            logits.append(head(seen).float().cpu().numpy())
    return np.concatenate(features).astype(np.float64), np.concatenate(logits).astype(np.float64)
