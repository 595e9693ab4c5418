"""A label for a bag of tiles: gated attention says how much each tile counts.

M. Ilse, J. Tomczak and M. Welling, "Attention-based Deep Multiple Instance Learning", ICML 2018, arXiv 1802.04712.
Written from the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GatedAttention(nn.Module):
    """``(N, D)`` embeddings of the tiles of one slide to ``(C,)`` logits.

    Parameters
    ----------
    dim, classes
        Width of an embedding; number of classes.
    hidden, attention
        Widths in between: of what a tile becomes, and of the attention.
    dropout
        While it learns.
    """

    def __init__(self, dim: int, classes: int, hidden: int = 256, attention: int = 128, dropout: float = 0.25) -> None:
        super().__init__()
        self.config = {"dim": dim, "classes": classes, "hidden": hidden, "attention": attention, "dropout": dropout}
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.features = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.what = nn.Sequential(nn.Linear(hidden, attention), nn.Tanh())
        self.gate = nn.Sequential(nn.Linear(hidden, attention), nn.Sigmoid())
        self.score = nn.Linear(attention, 1)
        self.classify = nn.Linear(hidden, classes)

    def forward(self, bag: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(C,)``, and the attention ``(N,)`` that each tile is given; its sum is 1."""
        hidden = self.features((bag - self.mean) / self.scale)
        attention = torch.softmax(self.score(self.what(hidden) * self.gate(hidden))[:, 0], 0)
        return self.classify(attention @ hidden), attention

    @torch.no_grad()
    def evidence(self, bag: Tensor) -> Tensor:
        """Logits ``(N, C)`` of each tile, as if a slide were nothing but it."""
        found: Tensor = self.classify(self.features((bag - self.mean) / self.scale))
        return found
