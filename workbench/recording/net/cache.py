"""MEG-GPT one sample at a time: keys and values of a window are kept, so that a new sample costs one column per layer.

>>> window = Window(net.eval(), session)
>>> logits = window.start(tokens)             # (B, n, C): the first n positions of the window -> (B, C, n_tokens)
>>> logits = window.step(tokens_of_a_sample)  # (B, C) -> (B, C, n_tokens), up to the window's end

The logits are those of the network on the whole window, at the same positions. What a position sees never changes,
since nothing looks ahead; a patch becomes a key once its last position is there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.recording.net.gpt import MEGGPT, Session
from workbench.recording.net.gpt_layers import DecoderLayer


class Window:
    """One window of a network in evaluation mode, filled from its first position on.

    Parameters
    ----------
    net
        Any configuration.
    session
        See `MEGGPT.hidden`.
    """

    def __init__(self, net: MEGGPT, session: Session = None) -> None:
        self.net, self.session = net, session
        self.length = net.sequence_length
        self.first_output = self.length - net.length_out
        self.filled = 0
        self._layers = [_LayerWindow(layer, self.length) for layer in net.layers]

    def start(self, tokens: Tensor) -> Tensor:
        """Fill the first positions anew, ``(B, n, C)``; logits ``(B, C, n_tokens)`` of the sample that follows.

        Raises
        ------
        ValueError
            Fewer positions than the network needs to give any logits, or more than the window has.
        """
        batch, count, channels = tokens.shape
        if not self.first_output < count <= self.length:
            raise ValueError(f"{count} samples of context, expected {self.first_output + 1} to {self.length}")
        self.filled = count
        x = self.net.input_embedding_layer(tokens, self.session).flatten(0, 1)
        for layer in self._layers[:-1]:
            x = layer.start(x, count)
        x = self._layers[-1].start(x, count, only_last=True)
        return self._logits(x, batch, channels)

    def step(self, tokens: Tensor) -> Tensor:
        """Add one position, ``(B, C)``; logits ``(B, C, n_tokens)`` of the sample that follows."""
        if not 0 < self.filled < self.length:
            raise ValueError("this window is full" if self.filled else "this window was not started")
        x = self.net.input_embedding_layer(tokens[:, None], self.session, self.filled).flatten(0, 1)
        for layer in self._layers:
            x = layer.step(x, self.filled)
        self.filled += 1
        return self._logits(x, *tokens.shape)

    def _logits(self, x: Tensor, batch: int, channels: int) -> Tensor:
        out: Tensor = self.net.prediction_head(x[:, -1])
        return out.reshape(batch, channels, -1)


class _LayerWindow:
    """Keys and values of one layer; positions count from the window's start, and its input begins at `offset`."""

    def __init__(self, layer: DecoderLayer, window: int) -> None:
        self.layer, self.attention, self.layout = layer, layer.gasp_time_attention, layer.layout
        self.offset = window - self.layout.length_in
        self.first_query = window - self.layout.length_out
        self.first_single = window - self.layout.unpatched
        self.patches = self.singles = 0
        self.keys = self.values = self.single_keys = self.single_values = self.waiting = torch.empty(0)

    def start(self, x: Tensor, count: int, only_last: bool = False) -> Tensor:
        """(N, positions from `offset` to `count`, width) -> the same from `first_query` on."""
        layout = self.layout
        y = self.layer.norm_time1(x)
        self.patches = y.shape[1] // layout.patch_len
        self.singles = max(0, count - self.first_single)
        whole = self.patches * layout.patch_len
        self._allocate(y)
        self.waiting[:, : y.shape[1] - whole] = y[:, whole:]
        if self.patches:
            self.keys[:, :, : self.patches], self.values[:, :, : self.patches] = self.attention.patch_keys(y[:, :whole])
        if self.singles:
            keys, values = self.attention.single_keys(y[:, -self.singles :])
            self.single_keys[:, :, : self.singles], self.single_values[:, :, : self.singles] = keys, values
        skip = y.shape[1] - 1 if only_last else self.first_query - self.offset
        rows = slice(skip - self.first_query + self.offset, count - self.first_query)
        blocked = self._joined_mask(self.attention.gasp_layer.attention_mask[rows])
        keys, values = self._joined(slice(0, self.patches), slice(0, self.singles))
        return self.layer.finish(x[:, skip:] + self.attention.attend(y[:, skip:], keys, values, blocked))

    def step(self, x: Tensor, position: int) -> Tensor:
        """(N, 1, width) at a position -> the same."""
        layout = self.layout
        y = self.layer.norm_time1(x)
        place = (position - self.offset) % layout.patch_len
        self.waiting[:, place] = y[:, 0]
        if place == layout.patch_len - 1:
            keys, values = self.attention.patch_keys(self.waiting)
            self.keys[:, :, self.patches], self.values[:, :, self.patches] = keys[:, :, 0], values[:, :, 0]
            self.patches += 1
        if position >= self.first_single:
            keys, values = self.attention.single_keys(y)
            self.single_keys[:, :, self.singles], self.single_values[:, :, self.singles] = (
                keys[:, :, 0],
                values[:, :, 0],
            )
            self.singles += 1
        if self.attention.has_own_mask:
            row = self.attention.gasp_layer.attention_mask[position - self.first_query][None]
            blocked = self._joined_mask(row)
            keys, values = self._joined(slice(0, self.patches), slice(0, self.singles))
            return self.layer.finish(x + self.attention.attend(y, keys, values, blocked))
        oldest = layout.first_seen(position - self.offset)
        oldest_single = 0 if layout.unpatched_band is None else position - layout.unpatched_band - self.first_single
        patches, singles = slice(oldest, self.patches), slice(max(0, oldest_single), self.singles)
        return self.layer.finish(x + self.attention.attend(y, *self._joined(patches, singles), None))

    def _joined_mask(self, mask: Tensor) -> Tensor:
        """Of rows of the mask, the columns of the keys that are there."""
        patches = self.layout.patches
        return torch.cat([mask[:, : self.patches], mask[:, patches : patches + self.singles]], 1)

    def _allocate(self, y: Tensor) -> None:
        """Room for the whole window, taken once and used again by every later start with as many rows."""
        rows, _, width = y.shape
        heads, layout = self.attention.heads, self.layout
        if self.keys.shape[0] == rows:
            return
        self.keys = y.new_zeros(rows, heads, layout.patches, width // heads)
        self.values = torch.zeros_like(self.keys)
        self.single_keys = y.new_zeros(rows, heads, layout.unpatched, width // heads)
        self.single_values = torch.zeros_like(self.single_keys)
        self.waiting = y.new_zeros(rows, layout.patch_len, width)

    def _joined(self, patches: slice, singles: slice) -> tuple[Tensor, Tensor]:
        keys, values = self.keys[:, :, patches], self.values[:, :, patches]
        if not self.layout.unpatched:
            return keys, values
        more_keys, more_values = self.single_keys[:, :, singles], self.single_values[:, :, singles]
        return torch.cat([keys, more_keys], 2), torch.cat([values, more_values], 2)
