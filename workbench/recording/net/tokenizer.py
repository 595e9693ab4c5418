"""The MEG-GPT tokeniser: a recurrent encoder that gives each sample one token, and one waveform for each token.

Huang et al., "MEG-GPT", arXiv:2510.18080, and Cho et al. on its tokeniser, arXiv:2602.16626. Written from a description
of shapes, names and numbers; no line of the authors' code is used. State-dict layout and numbers are those of the
released network (PyTorch, MIT), 231,040 parameters.

Every channel is coded by itself. A gated recurrent network reads the samples from left to right; of its state, a linear
layer with normalisation makes one logit per token, and the largest one is the token of that sample. In the decoder each
token stands for a waveform of `token_dim` samples, and overlapping waveforms add up.

>>> net = MEGTokenizer(n_channels=52)
>>> reconstruction = net(x)                   # (B, L, C) z-scored -> (B, L, C)
>>> ids = net.encode(x)                       # (B, L, C) int64, 0..n_tokens - 1
>>> again = net.decode(ids)                   # equal to `reconstruction` in evaluation mode

Two deviations that give the same numbers: the decoder's convolution followed by a sum over its output channels is one
convolution with summed weights, and arg-max tokens are looked up instead of convolved as one-hot vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Padding = Literal["causal", "same"]

_SHARPNESS = 0.1


class MEGTokenizer(nn.Module):
    """The tokeniser; arguments are named and preset as published.

    Parameters
    ----------
    n_channels
        Channels of the recordings it is meant for. No tensor depends on it.
    n_tokens
        Different tokens (before the vocabulary leaves out those that are never used).
    rnn_n_units, n_layers
        Width and depth of the recurrent encoder.
    sequence_length
        Samples in a window; the encoder starts anew in each window.
    token_dim
        Length of a token's waveform in samples.
    padding
        ``"causal"``: a token shapes its own sample and the `token_dim` - 1 after it. ``"same"``: samples on both sides.
    bias
        Whether the waveforms have an offset.
    groups
        Groups of the decoder's convolution.
    """

    def __init__(
        self,
        n_channels: int,
        n_tokens: int = 128,
        rnn_n_units: int = 128,
        n_layers: int = 1,
        sequence_length: int = 200,
        token_dim: int = 10,
        padding: Padding = "causal",
        bias: bool = True,
        groups: int = 1,
    ) -> None:
        super().__init__()
        if padding not in ("causal", "same"):
            raise ValueError(f"padding {padding!r}: expected 'causal' or 'same'")
        if n_tokens % groups:
            raise ValueError(f"{n_tokens} tokens cannot be split into {groups} groups")
        self._config: dict[str, Any] = {
            "n_channels": int(n_channels),
            "n_tokens": int(n_tokens),
            "rnn_n_units": int(rnn_n_units),
            "n_layers": int(n_layers),
            "sequence_length": int(sequence_length),
            "token_dim": int(token_dim),
            "padding": padding,
            "bias": bool(bias),
            "groups": int(groups),
        }
        for name in ("n_channels", "n_tokens", "rnn_n_units", "n_layers", "sequence_length", "token_dim", "groups"):
            if self._config[name] < 1:
                raise ValueError(f"{name} {self._config[name]}: expected at least 1")
        self.n_tokens, self.sequence_length, self.token_dim = int(n_tokens), int(sequence_length), int(token_dim)
        self.pad_left = self.token_dim - 1 if padding == "causal" else (self.token_dim - 1) // 2
        self.encoder_layer = _Encoder(rnn_n_units, n_layers)
        self.token_weights_layer = _TokenWeights(rnn_n_units, n_tokens)
        self.decoder_layer = _Decoder(n_tokens, token_dim, bias, groups)

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return dict(self._config)

    @property
    def temperature(self) -> float:
        """Share of soft weights while training, from 1 down to almost 0; 0 would leave the encoder no gradient."""
        return float(self.token_weights_layer._temperature)

    def set_temperature(self, temperature: float) -> None:
        """Set the share of soft weights while training."""
        if not 0 <= temperature <= 1:
            raise ValueError(f"temperature {temperature}: expected 0 to 1")
        self.token_weights_layer._temperature.fill_(temperature)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct signals.

        In training mode the waveforms are mixed by ``T softmax(logits) + (1 - T) one_hot(argmax)``, of which only the
        first term carries a gradient to the encoder; in evaluation mode each sample has exactly one token.

        Parameters
        ----------
        x
            ``(B, L, C)`` float, z-scored per channel.

        Returns
        -------
        Tensor
            ``(B, L, C)`` of the same type.
        """
        logits = self.logits(x)
        if not self.training:
            return self.decode(logits.argmax(-1))
        temperature = self.token_weights_layer._temperature
        hard = F.one_hot(logits.argmax(-1), self.n_tokens).to(logits.dtype)
        weights = temperature * logits.softmax(-1) + (1 - temperature) * hard
        batch, length, channels, _ = weights.shape
        rows = weights.permute(0, 2, 3, 1).reshape(batch * channels, self.n_tokens, length)
        kernels, offset = self.decoder_layer.collapsed()
        padded = F.pad(rows, (self.pad_left, self.token_dim - 1 - self.pad_left))
        # Tap j of a waveform lands j samples later, so as a (cross-correlating) convolution it is turned round.
        out = F.conv1d(padded, kernels.flip(-1)[None])[:, 0] + offset
        signals: Tensor = out.reshape(batch, channels, length).transpose(1, 2)
        return signals

    def logits(self, x: Tensor) -> Tensor:
        """Logits of each sample, ``(B, L, C)`` -> ``(B, L, C, n_tokens)``; already divided by 0.1."""
        batch, length, channels = x.shape
        rows = x.transpose(1, 2).reshape(batch * channels, length, 1)
        out: Tensor = self.token_weights_layer(self.encoder_layer(rows))
        logits: Tensor = out.reshape(batch, channels, length, self.n_tokens).transpose(1, 2)
        return logits

    def encode(self, x: Tensor) -> Tensor:
        """Raw token of each sample, ``(B, L, C)`` -> ``(B, L, C)`` int64."""
        if x.device.type != "cpu":
            return self.logits(x).argmax(-1)
        # Sample by sample, so that states and logits stay in the processor's cache: 2.5 times as fast as whole windows.
        batch, length, channels = x.shape
        columns = x.detach().permute(1, 0, 2).reshape(length, batch * channels, 1)
        out = torch.empty(length, batch * channels, dtype=torch.long)
        with torch.no_grad():
            for t, states in enumerate(self.encoder_layer.steps(columns)):
                out[t] = self.token_weights_layer(states).argmax(-1)
        return out.reshape(length, batch, channels).transpose(0, 1)

    def decode(self, ids: Tensor) -> Tensor:
        """Signals of raw tokens, ``(B, L, C)`` integers -> ``(B, L, C)``; zeros before and after the window."""
        kernels, offset = self.decoder_layer.collapsed()
        length = ids.shape[1]
        out = offset.expand(ids.shape).clone()
        table = kernels.t().contiguous()
        for tap in range(self.token_dim):
            shift = tap - (self.token_dim - 1 - self.pad_left)
            begin, end = max(0, shift), min(length, length + shift)
            if begin < end:
                out[:, begin:end] += table[tap][ids[:, begin - shift : end - shift]]
        return out

    def kernels(self) -> Tensor:
        """Waveform of each raw token, ``(n_tokens, token_dim)``, in the order of time; without the offset."""
        return self.decoder_layer.collapsed()[0]


class _Encoder(nn.Module):
    """A recurrent network over the samples of one channel: (N, L, 1) -> (N, L, units)."""

    def __init__(self, units: int, layers: int) -> None:
        super().__init__()
        self.rnn_layers = nn.ModuleList(nn.GRU(1 if i == 0 else units, units, batch_first=True) for i in range(layers))
        for name, parameter in self.rnn_layers.named_parameters():
            if "bias" in name:
                nn.init.zeros_(parameter)
            elif "weight_ih" in name:
                nn.init.xavier_uniform_(parameter)
            else:  # one orthogonal matrix for each gate
                for gate in parameter.detach().chunk(3):
                    nn.init.orthogonal_(gate)

    def forward(self, x: Tensor) -> Tensor:
        for rnn in self.rnn_layers:
            x, _ = rnn(x)
        return x

    def steps(self, columns: Tensor) -> Iterator[Tensor]:
        """The states (N, units) after each sample, for columns (L, N, 1)."""
        cells = [[p for _, p in rnn.named_parameters()] for rnn in self.rnn_layers]
        states = [columns.new_zeros(columns.shape[1], cell[1].shape[1]) for cell in cells]
        for x in columns:
            for i, cell in enumerate(cells):
                x = states[i] = torch.gru_cell(x, states[i], *cell)
            yield x


class _TokenWeights(nn.Module):
    """From the encoder's state to one logit per token."""

    _temperature: Tensor

    def __init__(self, units: int, tokens: int) -> None:
        super().__init__()
        self.dense_layer = nn.Linear(units, tokens)
        self.norm_layer = nn.LayerNorm(tokens)
        self.register_buffer("_temperature", torch.tensor(1.0))
        nn.init.xavier_uniform_(self.dense_layer.weight)
        nn.init.zeros_(self.dense_layer.bias)

    def forward(self, state: Tensor) -> Tensor:
        out: Tensor = self.norm_layer(self.dense_layer(state)) / _SHARPNESS
        return out


class _Decoder(nn.Module):
    """Holds the convolution from token weights to signals; its output channels are summed."""

    def __init__(self, tokens: int, length: int, bias: bool, groups: int) -> None:
        super().__init__()
        self.token_basis_layer = nn.Conv1d(tokens, tokens, length, groups=groups, bias=bias)
        nn.init.xavier_uniform_(self.token_basis_layer.weight)
        if self.token_basis_layer.bias is not None:
            nn.init.zeros_(self.token_basis_layer.bias)

    def collapsed(self) -> tuple[Tensor, Tensor]:
        """Waveform of each token, (tokens, length) in the order of time, and the common offset, a scalar."""
        conv = self.token_basis_layer
        tokens, inputs, length = conv.weight.shape
        per_group = conv.weight.reshape(conv.groups, tokens // conv.groups, inputs, length).sum(1)
        weight = per_group.flatten(0, 1).flip(-1)
        offset = weight.new_zeros(()) if conv.bias is None else conv.bias.sum()
        return weight, offset
