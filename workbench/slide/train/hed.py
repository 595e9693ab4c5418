"""Other strengths of haematoxylin, eosin and DAB in batches of pictures, each along its own colour.

Colours: A. Ruifrok and D. Johnston, Anal. Quant. Cytol. Histol. 23:291, 2001; varied as by D. Tellez et al., Med. Image
Anal. 58:101544, 2019.
"""

from __future__ import annotations

import torch
from torch import Tensor

HED = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Density of red, green and blue of haematoxylin, eosin and DAB."""
_DARKEST = 1 / 255


def restained(x: Tensor, factor: Tensor, shift: Tensor | None = None) -> Tensor:
    """Pictures ``(B, 3, H, W)`` of 0..1 whose stains have `factor` times their amounts, and `shift` more of each.

    Parameters
    ----------
    factor, shift
        ``(B, 3)`` for haematoxylin, eosin and DAB; densities are natural logarithms.
    """
    stains = torch.tensor(HED, device=x.device)
    stains = stains / stains.norm(dim=1, keepdim=True)
    density = -x.clamp(min=_DARKEST).log()
    amounts = torch.einsum("bchw,cs->bshw", density, torch.linalg.inv(stains)) * factor[:, :, None, None]
    if shift is not None:
        amounts = amounts + shift[:, :, None, None]
    return torch.exp(-torch.einsum("bshw,sc->bchw", amounts, stains)).clamp(0, 1)
