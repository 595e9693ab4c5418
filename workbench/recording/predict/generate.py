"""New signals from MEG-GPT, sample by sample; each channel is drawn by itself, given the past of that channel.

Huang et al., arXiv:2510.18080: 60 s per session from a prompt of random tokens, top-p 0.99. Three ways:

- ``"full"``: the whole network on the last `sequence_length` samples for each new one, as the release does. Reference.
- ``"sliding"``: the same windows, but in float32 the last layer computes its last query only. Same tokens for the same
  seed and precision; what makes it faster is bfloat16.
- ``"anchored"``: the window stays while `anchor` samples are drawn, and keys and values of what it holds are kept
  (`workbench.recording.net.cache`). About ten times as fast. The logits are those of the network on that window, but
  the context grows from ``sequence_length - anchor + 1`` to ``sequence_length`` samples instead of always being the
  latter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workbench.core.errors import UsageError
from workbench.recording.net.cache import Window
from workbench.recording.net.gpt import MEGGPT, Session
from workbench.recording.predict.precision import Precision, in_precision
from workbench.recording.predict.sampling import Sampling, draw

__all__ = ["Mode", "Sampling", "generate"]

Mode = Literal["anchored", "sliding", "full"]
Progress = Callable[[int, int], None]
Integers = npt.NDArray[np.integer[Any]]

_ANCHOR = 16
_NARROW = 128
_ROWS, _ROWS_ACCELERATOR = 208, 8192
"""Recordings x channels that run together: more would only leave the processor's cache."""


def generate(
    gpt: MEGGPT,
    n_samples: int,
    *,
    sessions: Sequence[int] | Literal["mean"] | None = None,
    batch: int = 1,
    sampling: Sampling | None = None,
    seed: int = 0,
    mode: Mode = "anchored",
    anchor: int | None = None,
    precision: Precision = "auto",
    unigram: npt.ArrayLike | None = None,
    prompt: Integers | None = None,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> Integers:
    """Draw recordings.

    Parameters
    ----------
    gpt
        The network; it is left as it is.
    n_samples
        Samples of each recording.
    sessions
        One recording for each of these session numbers; or ``"mean"`` or ``None`` for `batch` recordings of the mean
        session, or without one.
    batch
        See `sessions`.
    sampling
        Which tokens may be drawn; by default all, as learnt (the authors' top-p is 0.99).
    seed
        Recording i depends on `seed` and i only, not on how many are drawn together.
    mode
        See the module.
    anchor
        Anchored only: samples drawn from one window, at most the trained positions; by default 16 of them.
    precision
        ``"float32"``, ``"bfloat16"`` or ``"auto"``: bfloat16 where the device is built for it and the network is wide
        enough to gain by it.
    unigram
        Share of each label, ``(n_tokens,)``, from which the first context is drawn; all but 0 alike by default.
    prompt
        What comes before: ``(C, P)`` or ``(B, C, P)`` labels. Random tokens fill up what is missing of a context.
    device
        Where to compute; by default where the network is.
    progress
        Called with samples x recordings done and in total.

    Returns
    -------
    array
        ``(B, C, n_samples)`` labels 1 and up, without the prompt; uint8, or uint16 for more than 256 labels.

    Raises
    ------
    UsageError
        Settings that cannot work.
    """
    sampling = sampling or Sampling()
    if mode not in get_args(Mode):
        raise UsageError(f"mode {mode!r}: expected one of {', '.join(get_args(Mode))}")
    anchor = min(_ANCHOR, gpt.n_trained) if anchor is None else anchor
    if not 1 <= anchor <= gpt.n_trained:
        raise UsageError(f"anchor {anchor}: expected 1 to {gpt.n_trained}, the positions that were trained")
    if n_samples < 0 or batch < 1:
        raise UsageError(f"{batch} recordings of {n_samples} samples: expected at least 1, and not less than 0")
    numbers = _session_numbers(gpt, sessions)
    count = batch if numbers is None else len(numbers)
    randoms = [np.random.default_rng([seed, i]) for i in range(count)]
    context = _first_context(gpt, randoms, unigram, prompt)
    out = np.zeros((count, gpt.n_channels, n_samples), np.uint8 if gpt.n_tokens <= 256 else np.uint16)
    if precision == "auto" and gpt.config["model_dim"] < _NARROW:
        precision = "float32"
    net, where = in_precision(gpt, device, precision)
    together = max(1, (_ROWS if where.type == "cpu" else _ROWS_ACCELERATOR) // gpt.n_channels)
    with torch.inference_mode():
        for first in range(0, count, together):
            part = slice(first, min(first + together, count))
            session: Session = "mean" if sessions == "mean" else None
            if numbers is not None:
                session = torch.tensor(numbers[part], device=where)
            start = torch.from_numpy(context[part]).to(where)
            done = first * n_samples

            def told(samples: int, done: int = done, part: slice = part) -> None:
                if progress:
                    progress(done + samples * (part.stop - part.start), count * n_samples)

            drawing = _Drawing(net, session, start, randoms[part], sampling, out[part], told)
            if mode == "anchored":
                drawing.anchored(anchor)
            else:
                # One row of the last layer instead of all saves little and rounds differently, which bfloat16 shows.
                drawing.sliding(last=1 if mode == "sliding" and next(net.parameters()).dtype == torch.float32 else None)
    return out


class _Drawing:
    """Recordings that are drawn together; memory does not grow with their length."""

    def __init__(
        self,
        net: MEGGPT,
        session: Session,
        context: Tensor,
        randoms: list[np.random.Generator],
        sampling: Sampling,
        out: Integers,
        told: Callable[[int], None],
    ) -> None:
        self.net, self.session, self.context, self.randoms = net, session, context, randoms
        self.sampling, self.out, self.told = sampling, out, told

    def sliding(self, last: int | None) -> None:
        for t in range(self.out.shape[2]):
            logits = self.net(self.context, self.session, last=last)[:, -1]
            self.context = torch.cat([self.context[:, 1:], self._drawn(logits, t)[:, None]], 1)
            self.told(t + 1)

    def anchored(self, anchor: int) -> None:
        window = Window(self.net, self.session)
        kept = self.net.sequence_length - anchor + 1
        samples = self.out.shape[2]
        for begin in range(0, samples, anchor):
            self.context = self.context[:, -kept:]
            logits = window.start(self.context)
            new = [self._drawn(logits, begin)]
            for t in range(begin + 1, min(begin + anchor, samples)):
                logits = window.step(new[-1])
                new.append(self._drawn(logits, t))
            self.context = torch.cat([self.context, torch.stack(new, 1)], 1)
            self.told(begin + len(new))

    def _drawn(self, logits: Tensor, t: int) -> Tensor:
        """Draw sample `t` of every channel, (B, C, V) -> (B, C), and keep it."""
        chance = torch.from_numpy(np.stack([r.random(logits.shape[1]) for r in self.randoms]))
        tokens = draw(logits.cpu(), chance, self.sampling)
        self.out[:, :, t] = tokens.numpy()
        return tokens.to(logits.device)


def _session_numbers(gpt: MEGGPT, sessions: Sequence[int] | Literal["mean"] | None) -> list[int] | None:
    if sessions is not None and not gpt.n_sessions:
        raise UsageError("these weights were trained without sessions; leave the session out")
    if sessions is None or isinstance(sessions, str):
        return None
    numbers = [int(s) for s in sessions]
    wrong = [s for s in numbers if not 0 <= s < gpt.n_sessions]
    if wrong or not numbers:
        raise UsageError(f"session(s) {wrong or numbers}: expected numbers from 0 to {gpt.n_sessions - 1}")
    return numbers


def _first_context(
    gpt: MEGGPT, randoms: list[np.random.Generator], unigram: npt.ArrayLike | None, prompt: Integers | None
) -> npt.NDArray[np.int64]:
    """(B, sequence_length, C): random tokens, then the end of the prompt."""
    length, channels, tokens = gpt.sequence_length, gpt.n_channels, gpt.n_tokens
    shares = np.ones(tokens) if unigram is None else np.array(unigram, np.float64)
    if shares.shape != (tokens,) or shares.min() < 0 or not shares[1:].sum() > 0:
        raise UsageError(f"unigram of shape {shares.shape}: expected a share for each of {tokens} labels")
    shares[0] = 0
    shares /= shares.sum()
    context = np.stack([r.choice(tokens, (length, channels), p=shares) for r in randoms])
    if prompt is not None:
        before = np.asarray(prompt)
        before = before[None] if before.ndim == 2 else before
        if before.ndim != 3 or before.shape[1] != channels or before.shape[0] not in (1, len(randoms)):
            raise UsageError(f"prompt of shape {np.shape(prompt)}: expected ({channels} channels, samples)")
        if before.size and not 0 <= int(before.min()) <= int(before.max()) < tokens:
            raise UsageError(f"prompt with labels {before.min()} to {before.max()}: expected 0 to {tokens - 1}")
        before = before[:, :, -length:]
        if before.shape[2]:
            context[:, -before.shape[2] :] = before.transpose(0, 2, 1)
    return context.astype(np.int64)
