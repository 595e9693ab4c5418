"""Draws of the next token: temperature, top-k, locally typical and top-p sampling.

The MEG-GPT release (Huang et al., arXiv:2510.18080) draws with top-p 0.99. Locally typical sampling is that of Meister
et al., arXiv:2202.00666.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.core.errors import UsageError


@dataclass(frozen=True)
class Sampling:
    """Which tokens may be drawn; the filters work one after another in this order.

    Parameters
    ----------
    temperature
        Logits are divided by it; 0 always takes the most likely token.
    top_k
        Only so many of the most likely tokens (and those as likely as the last of them); 0 for all.
    typical
        Only the tokens whose surprisal is closest to the entropy, until they hold this share; 0 or 1 for all.
    top_p
        Only the most likely tokens, until they hold this share; 1 for all. The token that crosses the share stays.
    """

    top_p: float = 1.0
    top_k: int = 0
    temperature: float = 1.0
    typical: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p {self.top_p}: expected more than 0 and at most 1")
        if self.top_k < 0:
            raise UsageError(f"top_k {self.top_k}: expected 0 (all tokens) or more")
        if not self.temperature >= 0:
            raise UsageError(f"temperature {self.temperature}: expected 0 or more")
        if not 0 <= self.typical <= 1:
            raise UsageError(f"typical {self.typical}: expected 0 (off) to 1")


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """Probability of each token being drawn, ``(..., V)`` float32; token 0, "unseen", is never drawn."""
    logits = logits.float().clone()
    logits[..., 0] = -torch.inf
    if sampling.temperature == 0:
        best: Tensor = torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
        return best
    logits = logits / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1] - 1:
        least = logits.topk(sampling.top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    shares = logits.softmax(-1)
    if 0 < sampling.typical < 1:
        surprise = -shares.clamp(min=1e-30).log()
        distance = (surprise - (shares * surprise).sum(-1, keepdim=True)).abs()
        distance = distance.masked_fill(shares == 0, torch.inf)
        shares = _keep(shares, distance.argsort(dim=-1, stable=True), sampling.typical)
    if sampling.top_p < 1:
        shares = _keep(shares, shares.argsort(dim=-1, descending=True, stable=True), sampling.top_p)
    return shares


def draw(logits: Tensor, chance: Tensor, sampling: Sampling) -> Tensor:
    """Tokens for uniform random numbers ``chance`` in [0, 1), ``(...)``, by the inverse of the cumulated probability.

    The numbers decide, in the order of the tokens, so that logits that differ by rounding give the same tokens.
    """
    if sampling.temperature == 0:
        return probabilities(logits, sampling).argmax(-1)
    summed = probabilities(logits, sampling).double().cumsum(-1)
    target = chance[..., None].double() * summed[..., -1:]
    return (summed <= target).sum(-1).clamp(max=logits.shape[-1] - 1)


def _keep(shares: Tensor, order: Tensor, mass: float) -> Tensor:
    """Without the tokens that come, in `order`, after those that together hold `mass`; normalised again."""
    sorted_shares = shares.gather(-1, order)
    before = sorted_shares.cumsum(-1) - sorted_shares
    kept = torch.zeros_like(shares).scatter(-1, order, sorted_shares * (before < mass))
    return kept / kept.sum(-1, keepdim=True)
