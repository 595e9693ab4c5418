"""Parts of `workbench.recording.net.gpt`: the sum of embeddings, and attention to completed patches of the past."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_BLOCKED = -1e9
"""Added to scores that must not count; finite, so that a row of them gives no NaN, neither forward nor backward."""

_FEW_KEYS = 64


@dataclass(frozen=True)
class Layout:
    """Which positions a layer works on; all lengths in samples, see `workbench.recording.net.gpt.MEGGPT`.

    The input's last position is the window's last position for every layer; queries are the last `length_out` of them.
    """

    length_in: int
    length_out: int
    patch_len: int
    unpatched: int = 0
    band: int | None = None
    unpatched_band: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.length_out <= self.length_in or self.patch_len < 1:
            raise ValueError(f"a layer cannot make {self.length_out} of {self.length_in} positions")
        if not 0 <= self.unpatched <= self.length_in:
            raise ValueError(f"{self.unpatched} unpatched keys of {self.length_in} positions")

    @property
    def patches(self) -> int:
        return self.length_in // self.patch_len

    def first_seen(self, position: int) -> int:
        """The first patch that a position of the input sees: one that ends no more than `band` before it."""
        if self.band is None:
            return 0
        return max(0, -(-(position - self.band + 1) // self.patch_len) - 1)

    def blocked(self) -> Tensor:
        """Which key each query must not see, bool ``(length_out, patches + unpatched)``."""
        position = torch.arange(self.length_in - self.length_out, self.length_in)[:, None]
        ends = torch.arange(self.patches)[None] * self.patch_len + self.patch_len - 1
        singles = torch.arange(self.length_in - self.unpatched, self.length_in)[None]
        return torch.cat([_hidden(position, ends, self.band), _hidden(position, singles, self.unpatched_band)], 1)

    def ahead(self) -> Tensor:
        """Which keys lie, in part or as a whole, behind each query; shape as `blocked`."""
        return replace(self, band=None, unpatched_band=None).blocked()


def _hidden(query: Tensor, key: Tensor, band: int | None) -> Tensor:
    hidden = key > query
    return hidden if band is None else hidden | (key < query - band)


class Norm(nn.Module):
    """Layer normalisation under the published name."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_layer = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm_layer(x)
        return out


class _FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(linear(width, hidden), nn.GELU(), linear(hidden, width), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


class _Mask(nn.Module):
    """Holds the mask, which is part of the published state dict."""

    attention_mask: Tensor

    def __init__(self, blocked: Tensor) -> None:
        super().__init__()
        self.register_buffer("attention_mask", blocked)


class PatchAttention(nn.Module):
    """Queries look at completed patches of the past; (N, length_in, width) -> (N, length_out, width).

    A patch becomes one key and one value: for each feature of a head, a linear map takes the heads x samples of the
    patch to the heads; then a linear layer over all features follows.
    """

    def __init__(self, layout: Layout, width: int, heads: int) -> None:
        super().__init__()
        self.layout, self.heads = layout, heads
        if layout.patch_len > 1:
            self.patch_projection_k = linear(heads * layout.patch_len, heads)
            self.patch_projection_v = linear(heads * layout.patch_len, heads)
        self.patched_projection_k = linear(width, width)
        self.patched_projection_v = linear(width, width)
        if layout.unpatched:  # the names of these two are ours: no released network has them
            self.unpatched_projection_k = linear(width, width)
            self.unpatched_projection_v = linear(width, width)
        self.query_projection = linear(width, width)
        self.output_projection = linear(width, width)
        self.gasp_layer = _Mask(layout.blocked())
        self.any_blind, self.has_own_mask = True, False
        self.look_at_mask()
        self.register_load_state_dict_post_hook(_look_again)  # type: ignore[no-untyped-call]

    def look_at_mask(self) -> None:
        """Find out anew what may be left out of the work; a loaded mask need not be the one of the layout."""
        blocked = self.gasp_layer.attention_mask
        if blocked.device.type != "meta":
            self.any_blind = bool(blocked.all(1).any())
            self.has_own_mask = not torch.equal(blocked.cpu(), self.layout.blocked().cpu())

    def forward(self, x: Tensor, queries: int) -> Tensor:
        layout = self.layout
        keys, values = self.patch_keys(x)
        if layout.unpatched:
            more_keys, more_values = self.single_keys(x[:, -layout.unpatched :])
            keys, values = torch.cat([keys, more_keys], 2), torch.cat([values, more_values], 2)
        blocked = self.gasp_layer.attention_mask[-queries:]
        return self.attend(x[:, -queries:], keys, values, blocked)

    def patch_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of whole patches: (N, patches * patch_len, width) -> two (N, heads, patches, head width)."""
        rows, length, width = x.shape
        patch, heads = self.layout.patch_len, self.heads
        if patch == 1:
            return self._split(self.patched_projection_k(x)), self._split(self.patched_projection_v(x))
        samples = x.reshape(rows * (length // patch), patch * heads, width // heads)
        both = []
        for reduce, project in (
            (self.patch_projection_k, self.patched_projection_k),
            (self.patch_projection_v, self.patched_projection_v),
        ):
            # The published weight counts heads first, samples second; the samples here lie the other way round.
            weight = reduce.weight.reshape(heads, heads, patch).transpose(1, 2).reshape(heads, patch * heads)
            reduced = torch.matmul(weight, samples) + reduce.bias[:, None]
            both.append(self._split(project(reduced.reshape(rows, length // patch, width))))
        return both[0], both[1]

    def single_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of single positions: (N, l, width) -> two (N, heads, l, head width)."""
        return self._split(self.unpatched_projection_k(x)), self._split(self.unpatched_projection_v(x))

    def attend(self, x: Tensor, keys: Tensor, values: Tensor, blocked: Tensor | None) -> Tensor:
        """Attention of the positions `x`, (N, l, width), to keys; a position that sees no key gets zeros."""
        query = self._split(self.query_projection(x))
        if blocked is None or x.device.type != "cpu":
            out = self._look(query, keys, values, blocked)
        else:
            parts = self._parts(query.shape[2], keys.shape[2])
            seen = [self._look(query[:, :, r], keys[:, :, k], values[:, :, k], blocked[r, k]) for r, k in parts]
            out = seen[0] if len(seen) == 1 else torch.cat(seen, 2)
        projected: Tensor = self.output_projection(out.transpose(1, 2).flatten(2))
        return projected

    def _parts(self, queries: int, keys: int) -> list[tuple[slice, slice]]:
        """Queries that look at the same few keys, where a narrow band hides most of them; else all together."""
        layout = self.layout
        count = (
            1
            if layout.band is None or layout.unpatched or self.has_own_mask
            else round(queries / (3 * layout.band + 3))
        )
        if count < 2 or keys != layout.patches:
            return [(slice(0, queries), slice(0, keys))]
        edges = [round(i * queries / count) for i in range(count + 1)]
        before = layout.length_in - queries
        return [
            (slice(a, b), slice(layout.first_seen(before + a), (before + b) // layout.patch_len))
            for a, b in pairwise(edges)
        ]

    def _look(self, query: Tensor, keys: Tensor, values: Tensor, blocked: Tensor | None) -> Tensor:
        """(N, heads, l, head width): what each query finds; zeros where it sees no key."""
        if not keys.shape[2]:
            return torch.zeros_like(query)
        blind = blocked.all(1)[:, None] if blocked is not None and self.any_blind else None
        if query.device.type != "cpu" or (query.dtype == torch.float32 and keys.shape[2] > _FEW_KEYS):
            seen = None if blocked is None else ~blocked if blind is None else ~blocked | blind
            out = F.scaled_dot_product_attention(query, keys, values, attn_mask=seen)
        else:
            out = _attention_to_few(query, keys, values, blocked)
        return out if blind is None else out.masked_fill(blind, 0)

    def _split(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        return x.reshape(rows, length, self.heads, width // self.heads).transpose(1, 2)


def _look_again(attention: nn.Module, _keys: object) -> None:
    """After a state was loaded."""
    assert isinstance(attention, PatchAttention)
    attention.look_at_mask()


def _attention_to_few(query: Tensor, keys: Tensor, values: Tensor, blocked: Tensor | None) -> Tensor:
    """Attention by matrix products; with few keys on a processor several times as fast as the fused kernel."""
    scale = query.shape[-1] ** -0.5
    flat, transposed = query.flatten(0, 1), keys.flatten(0, 1).transpose(1, 2)
    if blocked is None:
        scores = torch.bmm(flat * scale, transposed)
    else:
        bias = query.new_zeros(blocked.shape).masked_fill_(blocked, _BLOCKED)
        scores = torch.baddbmm(bias.expand(flat.shape[0], -1, -1), flat, transposed, alpha=scale)
    # In float32 also for bfloat16 scores, whose own softmax is several times as slow on a processor.
    shares = scores.float().softmax(-1).to(values.dtype)
    return torch.bmm(shares, values.flatten(0, 1)).reshape(query.shape)


class DecoderLayer(nn.Module):
    """Attention and a feed-forward part, each on normalised input and added to the positions that remain."""

    def __init__(self, layout: Layout, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layout = layout
        self.norm_time1 = Norm(width)
        self.gasp_time_attention = PatchAttention(layout, width, heads)
        self.norm_time2 = Norm(width)
        self.ff_time = _FeedForward(width, hidden, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, last: int | None = None) -> Tensor:
        """(N, length_in, width) -> (N, length_out or `last`, width)."""
        queries = self.layout.length_out if last is None else min(last, self.layout.length_out)
        attended = self.dropout(self.gasp_time_attention(self.norm_time1(x), queries))
        return self.finish(x[:, -queries:] + attended)

    def finish(self, x: Tensor) -> Tensor:
        """The feed-forward part, for any positions."""
        out: Tensor = x + self.ff_time(self.norm_time2(x))
        return out


class InputEmbedding(nn.Module):
    """Token + position + channel + session."""

    def __init__(
        self,
        length: int,
        channels: int,
        tokens: int,
        width: int,
        sessions: int,
        session_width: int | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.token_embed = _Base(nn.Embedding(tokens, width))
        self.pos_embed = _Base(_Table(length, width))
        self.channel_embed = _Base(_Table(channels, width))
        self.extra_embeds = nn.ModuleList([_Session(sessions, session_width or width, width)] if sessions else [])
        self.dropout = nn.Dropout(dropout)
        for table in (self.token_embed.base_module, self.pos_embed.base_module, self.channel_embed.base_module):
            for parameter in table.parameters():
                nn.init.uniform_(parameter, -0.05, 0.05)

    @property
    def session_table(self) -> Tensor | None:
        """Embedding of each session before projection, or ``None``."""
        return next((v.base_module.weight for v in self.extra_embeds if isinstance(v, _Session)), None)

    def forward(self, tokens: Tensor, session: Tensor | Literal["mean"] | None, first: int = 0) -> Tensor:
        """(B, l, C) integers, which lie at the positions from `first` on -> (B, C, l, width)."""
        x = self.token_embed.base_module(tokens.transpose(1, 2).long())
        x = x + self.pos_embed.base_module(slice(first, first + tokens.shape[1]))
        x = x + self.channel_embed.base_module(slice(None))[:, None]
        if session is not None:
            x = x + self.session_vector(session)[:, None, None]
        out: Tensor = self.dropout(x)
        return out

    def session_vector(self, session: Tensor | Literal["mean"]) -> Tensor:
        """(B,) session numbers -> (B, width); the mean session -> (1, width)."""
        if not len(self.extra_embeds):
            raise ValueError("this network has no session embedding; leave the session out")
        out: Tensor = self.extra_embeds[0](session)
        return out


class _Base(nn.Module):
    """Holds a table under the published name."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.base_module = module


class _Table(nn.Module):
    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.position_embeddings = nn.Parameter(torch.zeros(rows, width))

    def forward(self, rows: slice) -> Tensor:
        return self.position_embeddings[rows]


class _Session(nn.Module):
    def __init__(self, sessions: int, size: int, width: int) -> None:
        super().__init__()
        self.base_module = nn.Embedding(sessions, size)
        nn.init.uniform_(self.base_module.weight, -0.05, 0.05)
        self.proj = linear(size, width) if size != width else None

    def forward(self, session: Tensor | Literal["mean"]) -> Tensor:
        table = self.base_module.weight
        vector = table.mean(0, keepdim=True) if isinstance(session, str) else F.embedding(session.long(), table)
        return vector if self.proj is None else F.linear(vector, self.proj.weight, self.proj.bias)


def linear(fan_in: int, fan_out: int) -> nn.Linear:
    """A linear layer with Xavier-uniform weights and no offset at the start."""
    layer = nn.Linear(fan_in, fan_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
