"""The network that classifies digitised leads: each is read by the same convolutions, then leads look at each other.

Residual convolutions over time as in Hannun et al. 2019 (doi:10.1038/s41591-018-0268-3), one set of weights for every
lead; a transformer (Vaswani et al. 2017, arXiv:1706.03762) over the leads of a page, of which any may be missing or
short. One more row, the slopes of all leads together, carries the rhythm of the page from end to end.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

RATE = 125.0
"""Samples per second [Hz] that go in."""
SECONDS = 10.0
LEADS = 12
_ROWS = LEADS + 1
_EYES = 2
"""Values and whether they are there."""


@dataclass(frozen=True)
class LeadNetConfig:
    """Sizes: `classes` that come out, channels of the levels of convolutions, blocks and heads of the transformer."""

    classes: int
    widths: tuple[int, ...] = (16, 32, 48, 64)
    depth: int = 2
    heads: int = 4

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "widths": list(self.widths)}


class _Block(nn.Module):
    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(entering, leaving, 7, 2, 3, bias=False)
        self.first_norm = nn.GroupNorm(4, leaving)
        self.second = nn.Conv1d(leaving, leaving, 5, 1, 2, bias=False)
        self.second_norm = nn.GroupNorm(4, leaving)
        self.past = nn.Conv1d(entering, leaving, 1, 2, bias=False)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        inner = torch.relu(self.first_norm(self.first(x))) * there
        return torch.relu(self.second_norm(self.second(inner)) + self.past(x)) * there


class LeadNet(nn.Module):
    """Logits of classes from the leads of one page.

    Parameters
    ----------
    config
        Its sizes.
    """

    def __init__(self, config: LeadNetConfig) -> None:
        super().__init__()
        self.config = config
        enters = (_EYES, *config.widths[:-1])
        self.down = nn.ModuleList([_Block(a, b) for a, b in zip(enters, config.widths, strict=True)])
        width = config.widths[-1]
        self.lead = nn.Parameter(torch.zeros(_ROWS, config.widths[0]))
        self.joined = nn.Linear(2 * width, 2 * width)
        self.whose = nn.Parameter(torch.zeros(_ROWS, 2 * width))
        layer = nn.TransformerEncoderLayer(
            2 * width, config.heads, 4 * width, dropout=0.1, batch_first=True, norm_first=True
        )
        self.between = nn.TransformerEncoder(layer, config.depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(2 * width)
        self.head = nn.Linear(2 * width, config.classes)
        nn.init.normal_(self.lead, std=0.02)
        nn.init.normal_(self.whose, std=0.02)

    def features(self, leads: Tensor) -> Tensor:
        """``(batch, 2 * width)``: what the head sees. For `leads` see `forward`."""
        seen = torch.isfinite(leads)
        values = torch.where(seen, leads, 0.0)
        steps = torch.diff(values, dim=-1, prepend=values[..., :1])
        joint = seen & torch.roll(seen, 1, -1)
        slopes = (steps.abs() * joint).sum(1, keepdim=True) / joint.sum(1, keepdim=True).clamp_min(1)
        rows = torch.cat([values, 8 * slopes], 1)
        there = torch.cat([seen, joint.any(1, keepdim=True)], 1).to(values.dtype)
        batch = len(leads)
        x = torch.stack([rows, there], 2).flatten(0, 1)
        mask = there.flatten(0, 1)[:, None]
        for n, block in enumerate(self.down):
            mask = torch.nn.functional.max_pool1d(mask, 2, ceil_mode=True)
            x = block(x, mask)
            if not n:
                x = (x + self.lead.repeat(batch, 1)[..., None]) * mask
        mean = x.sum(-1) / mask.sum(-1).clamp_min(1.0)
        most = torch.where(mask > 0, x, 0.0).amax(-1)
        tokens = self.joined(torch.cat([mean, most], 1)).reshape(batch, _ROWS, -1) + self.whose
        absent = ~there.bool().any(-1)
        absent = absent & ~absent.all(1, keepdim=True)
        looked = self.between(tokens, src_key_padding_mask=absent)
        shares = (~absent).to(values.dtype)[..., None]
        out: Tensor = self.norm((looked * shares).sum(1) / shares.sum(1))
        return out

    def forward(self, leads: Tensor) -> Tensor:
        """Leads to logits ``(batch, classes)``.

        Parameters
        ----------
        leads
            ``(batch, 12, samples)`` float32 [mV] at `RATE`, the standard leads in their order, at the times of the page
            at which they were drawn; NaN where nothing was. See `workbench.page.diagnose.leads`.
        """
        out: Tensor = self.head(self.features(leads))
        return out
