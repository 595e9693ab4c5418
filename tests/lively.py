"""Untrained networks that behave like trained ones: every weight matters, every statistic is used."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import nn

Net = TypeVar("Net", bound=nn.Module)


def lively(net: Net, seed: int = 0) -> Net:
    """Redraw all weights and statistics so that signals keep their size through all layers; evaluation mode."""
    torch.manual_seed(seed)
    for name, value in net.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif value.is_floating_point() and value.ndim == 1:
            value.normal_(1.0 if name.endswith("weight") else 0.0, 0.2)
        elif "pos_embed" in name or "table" in name:
            value.normal_(std=0.3)
        elif value.is_floating_point():
            gain = 2.0 if value.ndim > 3 else 1.0  # what follows a convolution takes about half of its signal away
            value.normal_(std=gain / math.sqrt(value[0].numel()))
    return net.eval()
