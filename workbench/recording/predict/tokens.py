"""Recordings to tokens and back: learnt, mu-law and quantile codes behind one face.

Huang et al., arXiv:2510.18080; Cho et al., arXiv:2602.16626. Signals are ``(C, T)`` z-scored per channel; labels are
``(C, T)`` unsigned integers, 0 for "unseen".

>>> codec = Codec.learnt(tokenizer, vocabulary)
>>> labels = codec.encode(x)
>>> variance_explained(x, codec.decode(labels))      # percent per channel
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workbench.nets.checkpoints import load_state, require_fit
from workbench.recording.net.tokenizer import MEGTokenizer
from workbench.recording.net.vocabulary import MuLaw, Quantile, Vocabulary, unigram_of

Progress = Callable[[int, int], None]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.integer[Any]]
Kind = Literal["learnt", "mulaw", "quantile"]
Runs = Sequence[tuple[int, int]]
"""Samples (start, stop) that follow each other without a break, such as epochs; empty for one run of all."""

_ROWS = 1536
"""Windows x channels that are encoded together: their state fits the processor's cache."""


class Codec:
    """Tokens of recordings, whatever made them.

    Parameters
    ----------
    coder
        What turns values into labels: a learnt tokeniser with its vocabulary, `MuLaw` or `Quantile`.
    counts
        How often each label from 1 on was seen in training, ``(n_tokens - 1,)``; a vocabulary brings its own.
    margin
        Learnt only: samples at both ends of each window whose tokens are taken from its neighbour.
    """

    def __init__(
        self,
        coder: tuple[MEGTokenizer, Vocabulary] | MuLaw | Quantile,
        *,
        counts: npt.ArrayLike | None = None,
        margin: int = 10,
    ) -> None:
        self._coder = coder
        self.margin = int(margin)
        self.kind: Kind
        if isinstance(coder, tuple):
            tokenizer, vocabulary = coder
            if vocabulary.n_raw != tokenizer.n_tokens:
                raise ValueError(f"vocabulary of {vocabulary.n_raw} raw ids, tokeniser with {tokenizer.n_tokens}")
            if not 0 <= 2 * self.margin < tokenizer.sequence_length:
                raise ValueError(f"margin {margin}: expected less than half of {tokenizer.sequence_length} samples")
            tokenizer.eval()
            self.kind, self.n_tokens = "learnt", vocabulary.n_tokens
            counts = vocabulary.counts
        else:
            self.kind = "mulaw" if isinstance(coder, MuLaw) else "quantile"
            self.n_tokens = coder.n_tokens
        self.counts = None if counts is None else np.asarray(counts, np.int64)
        if self.counts is not None and self.counts.shape != (self.n_tokens - 1,):
            raise ValueError(f"{self.counts.shape} counts, expected one for each of {self.n_tokens - 1} labels")

    @classmethod
    def learnt(cls, tokenizer: MEGTokenizer, vocabulary: Vocabulary, margin: int = 10) -> Codec:
        """Of a tokeniser and the vocabulary that was counted with it."""
        return cls((tokenizer, vocabulary), margin=margin)

    @property
    def dtype(self) -> type[np.uint8 | np.uint16]:
        """Type of labels."""
        return np.uint8 if self.n_tokens <= 256 else np.uint16

    @property
    def tokenizer(self) -> MEGTokenizer | None:
        """The learnt tokeniser, if there is one."""
        return self._coder[0] if isinstance(self._coder, tuple) else None

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary of a learnt tokeniser."""
        return self._coder[1] if isinstance(self._coder, tuple) else None

    @property
    def unigram(self) -> npt.NDArray[np.float64] | None:
        """Share of each label in training, ``(n_tokens,)``, 0 for label 0; ``None`` where nothing was counted."""
        return None if self.counts is None else unigram_of(np.concatenate([[0], self.counts]))

    def to(self, device: torch.device | str) -> Codec:
        """Move the tokeniser; gives the same object."""
        if self.tokenizer is not None:
            self.tokenizer.to(device)
        return self

    def encode(self, x: npt.NDArray[Any], progress: Progress | None = None, *, runs: Runs = ()) -> Integers:
        """Label each sample.

        Parameters
        ----------
        x
            ``(C, T)`` z-scored per channel, in memory or mapped from a file. Samples that are not finite get label 0.
        progress
            Called with samples x channels done and in total.
        runs
            See `Runs`; a learnt tokeniser starts anew in each.

        Returns
        -------
        array
            ``(C, T)`` uint8, or uint16 for more than 256 labels.
        """
        if x.ndim != 2:
            raise ValueError(f"signals of shape {x.shape}, expected (channels, samples)")
        labels: Integers
        if isinstance(self._coder, tuple):
            tokenizer, vocabulary = self._coder
            raw = raw_tokens(tokenizer, x, margin=self.margin, runs=runs, progress=progress)
            table, labels = vocabulary.label_map.astype(self.dtype), np.empty(raw.shape, self.dtype)
            for begin, end in _pieces(x.shape[1]):  # at once, an index of 8 bytes per sample would be made
                labels[:, begin:end] = np.take(table, raw[:, begin:end])
        else:
            labels = np.empty(x.shape, self.dtype)
            for begin, end in _pieces(x.shape[1]):
                labels[:, begin:end] = self._coder.encode(np.asarray(x[:, begin:end], np.float32))
                if progress:
                    progress(x.shape[0] * end, x.size)
        for begin, end in _pieces(x.shape[1]):
            labels[:, begin:end][~np.isfinite(x[:, begin:end])] = 0
        for (_, end), (begin, _) in pairwise(((0, 0), *runs, (x.shape[1],) * 2)) if len(runs) > 1 else ():
            labels[:, end:begin] = 0
        return labels

    def decode(self, labels: Integers, *, window: int | None = None, runs: Runs = ()) -> Floats:
        """Signals of labels, ``(C, T)`` -> ``(C, T)`` float32.

        Parameters
        ----------
        labels
            What `encode` gives, or a network generates.
        window
            Learnt only: let no waveform reach from one window of so many samples into the next, as the release does.
            By default waveforms overlap throughout.
        runs
            See `Runs`; no waveform reaches from one into the next.
        """
        if not isinstance(self._coder, tuple):
            return self._coder.decode(labels)
        if len(runs) > 1:
            signals = np.zeros(labels.shape, np.float32)
            for a, b in runs:
                signals[:, a:b] = self.decode(labels[:, a:b], window=window)
            return signals
        if window is not None:
            parts = [self.decode(labels[:, i : i + window]) for i in range(0, labels.shape[1], window)]
            return np.concatenate(parts, 1)
        tokenizer, vocabulary = self._coder
        kernels, offset = tokenizer.decoder_layer.collapsed()
        table = kernels.detach().cpu().numpy()[vocabulary.decode(np.arange(self.n_tokens))]
        samples = labels.shape[1]
        out = np.full(labels.shape, np.float32(offset.detach().cpu()), np.float32)
        for tap in range(tokenizer.token_dim):
            shift = tap - (tokenizer.token_dim - 1 - tokenizer.pad_left)
            begin, end = max(0, shift), min(samples, samples + shift)
            if begin < end:
                out[:, begin:end] += table[:, tap][labels[:, begin - shift : end - shift]]
        return out

    def config(self) -> dict[str, Any]:
        """What `build` needs besides the tensors, JSON-able."""
        if isinstance(self._coder, tuple):
            return {"kind": self.kind, "margin": self.margin, "tokenizer": self._coder[0].config}
        if isinstance(self._coder, MuLaw):
            return {"kind": self.kind, "levels": self._coder.levels, "scale": self._coder.scale, "mu": self._coder.mu}
        return {"kind": self.kind}

    def tensors(self) -> dict[str, Tensor]:
        """What a weight file must hold: ``tokenizer.*``, ``vocabulary.*``, ``quantile.*``."""
        out: dict[str, Tensor] = {}
        if isinstance(self._coder, tuple):
            out |= {f"tokenizer.{k}": v for k, v in self._coder[0].state_dict().items()}
            out["vocabulary.token_order"] = torch.from_numpy(self._coder[1].token_order)
        elif isinstance(self._coder, Quantile):
            out["quantile.edges"] = torch.from_numpy(self._coder.edges)
            out["quantile.centres"] = torch.from_numpy(self._coder.centres)
        if self.counts is not None:
            out["vocabulary.counts"] = torch.from_numpy(self.counts)
        return out

    @classmethod
    def build(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Codec:
        """The codec of a weight file: what `config` and `tensors` gave; further tensors are left alone.

        Raises
        ------
        WeightsError
            The tokeniser's tensors do not fit its configuration.
        ValueError, KeyError
            Anything else that is missing or wrong; `workbench.weights.blaming` names the file.
        """
        counts = tensors["vocabulary.counts"].numpy() if "vocabulary.counts" in tensors else None
        kind = config["kind"]
        if kind == "mulaw":
            return cls(MuLaw(config["levels"], config["scale"], config["mu"]), counts=counts)
        if kind == "quantile":
            coder = Quantile(tensors["quantile.edges"].numpy(), tensors["quantile.centres"].numpy())
            return cls(coder, counts=counts)
        if kind != "learnt":
            raise ValueError(f"no kind of tokens {kind!r}; expected learnt, mulaw or quantile")
        state = {k.removeprefix("tokenizer."): v for k, v in tensors.items() if k.startswith("tokenizer.")}
        require_fit(lambda: MEGTokenizer(**config["tokenizer"]), state)
        tokenizer = MEGTokenizer(**config["tokenizer"])
        load_state(tokenizer, state)
        if counts is None:
            raise ValueError("the counts of the vocabulary are missing")
        vocabulary = Vocabulary(tensors["vocabulary.token_order"].numpy(), counts, tokenizer.n_tokens)
        return cls.learnt(tokenizer, vocabulary, config["margin"])


def raw_tokens(
    tokenizer: MEGTokenizer,
    x: npt.NDArray[Any],
    *,
    margin: int = 10,
    runs: Runs = (),
    progress: Progress | None = None,
) -> Integers:
    """Raw token of every sample of a long recording, by windows that start the encoder anew.

    Windows lie ``sequence_length - 2 margin`` samples apart and give their middle; the last one ends with the recording
    and gives all of its own. Within ``margin`` samples of the recording's ends there is no neighbour, so those tokens
    come from the first and last window (the release drops them).

    Parameters
    ----------
    tokenizer
        On any device.
    x
        ``(C, T)`` z-scored per channel; values that are not finite count as 0.
    margin
        See above; 0 for windows side by side.
    runs
        See `Runs`; each is tokenised as a recording of its own.
    progress
        Called with samples x channels done and in total.

    Returns
    -------
    array
        ``(C, T)`` uint8, or uint16 for more than 256 raw tokens.
    """
    channels, samples = x.shape
    window = min(tokenizer.sequence_length, samples)
    raw = np.zeros((channels, samples), np.uint8 if tokenizer.n_tokens <= 256 else np.uint16)
    if len(runs) > 1:
        for a, b in runs:

            def within(done: int, total: int, before: int = channels * a) -> None:
                if progress:
                    progress(before + done, channels * samples)

            raw[:, a:b] = raw_tokens(tokenizer, x[:, a:b], margin=margin, progress=within)
        return raw
    if window == 0:
        return raw
    margin = margin if samples > window else 0
    stride = window - 2 * margin
    count = (samples - window) // stride + 1
    device = next(tokenizer.parameters()).device
    was_training = tokenizer.training
    tokenizer.eval()

    def encoded(pieces: npt.NDArray[Any]) -> Integers:
        """(C, windows, L) -> the same, raw tokens."""
        rows = torch.from_numpy(np.nan_to_num(pieces.reshape(-1, window), nan=0, posinf=0, neginf=0).astype(np.float32))
        ids: Integers = tokenizer.encode(rows.to(device)[..., None])[..., 0].cpu().numpy()
        return ids.reshape(pieces.shape)

    views = np.lib.stride_tricks.sliding_window_view(x, window, axis=1)[:, ::stride]
    per_step = max(1, _ROWS // channels)
    with torch.inference_mode():
        for first in range(0, count, per_step):
            ids = encoded(views[:, first : first + per_step])
            windows = ids.shape[1]
            begin = first * stride + margin
            raw[:, begin : begin + windows * stride] = ids[:, :, margin : window - margin].reshape(channels, -1)
            if first == 0:
                raw[:, :margin] = ids[:, 0, :margin]
            if progress:
                progress(channels * min(begin + windows * stride, samples), channels * samples)
        raw[:, samples - window + margin :] = encoded(x[:, None, samples - window :])[:, 0, margin:]
    tokenizer.train(was_training)
    if progress:
        progress(channels * samples, channels * samples)
    return raw


def variance_explained(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Percentage of each channel's variance that `y` explains: ``100 (1 - SSE / SST)``, ``(C, T)`` twice -> ``(C,)``.

    Samples that are not finite in `x` are left out; a constant channel gives NaN.
    """
    out = np.full(x.shape[0], np.nan)
    for channel, (real, found) in enumerate(zip(x, y, strict=True)):
        known = np.isfinite(real)
        values = np.asarray(real, np.float64)[known]
        spread = float(((values - values.mean()) ** 2).sum()) if values.size else 0.0
        if spread > 0:
            out[channel] = 100 * (1 - float(((values - found[known]) ** 2).sum()) / spread)
    return out


def _pieces(samples: int, size: int = 1 << 18) -> Iterator[tuple[int, int]]:
    return ((begin, min(begin + size, samples)) for begin in range(0, samples, size))
