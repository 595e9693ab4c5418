"""How unexpected each sample of a recording is to MEG-GPT: the negative log-likelihood of its token.

Huang et al., arXiv:2510.18080. Artefacts, bursts and events stand out against what the past made likely.

A window of `sequence_length` samples predicts the samples after its last trained positions, so one window gives up to
`n_trained` values, the first of them from less context than the last. With a stride of `n_trained` each sample is
predicted once; smaller strides cost more and leave out the shortest contexts. `context_lengths` says which context each
value had.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workbench.recording.net.gpt import MEGGPT
from workbench.recording.predict.precision import Precision, in_precision

Progress = Callable[[int, int], None]

_ROWS = 96
"""Windows x channels that run together on a processor: their features fit its cache."""
_ROWS_ACCELERATOR = 4096


def surprisal(
    gpt: MEGGPT,
    labels: npt.NDArray[np.integer[Any]],
    *,
    session: int | Literal["mean"] | None = None,
    device: torch.device | str | None = None,
    precision: Precision = "auto",
    stride: int | None = None,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Negative log-likelihood of each token given the past of its channel.

    Parameters
    ----------
    gpt
        The network; its channels and tokens must be those of `labels`. It is left as it is.
    labels
        ``(C, T)`` integers, as a codec gives them.
    session
        A session number, ``"mean"``, or ``None`` to leave the session out.
    device
        Where to compute; by default where the network is.
    precision
        ``"float32"``, ``"bfloat16"``, or ``"auto"``: bfloat16 where the device is built for it.
    stride
        Samples between windows, 1 to `n_trained` (the default).
    progress
        Called with samples done and in total.

    Returns
    -------
    array
        ``(C, T)`` float32 in nats; NaN for the first samples, which lack context.

    Raises
    ------
    ValueError
        Labels that the network does not know, other channels, or an impossible stride.
    """
    channels, samples = labels.shape
    stride = _checked(gpt, labels, stride)
    out = np.full((channels, samples), np.nan, np.float32)
    length, rows = gpt.sequence_length, gpt.n_trained
    starts = _starts(gpt, samples, stride)
    if not starts:
        return out
    net, where = in_precision(gpt, device, precision)
    per_step = max(1, (_ROWS if where.type == "cpu" else _ROWS_ACCELERATOR) // channels)
    windows = np.lib.stride_tricks.sliding_window_view(labels, length + 1, axis=1)
    with torch.inference_mode():
        for first in range(0, len(starts), per_step):
            chosen = starts[first : first + per_step]
            batch = np.ascontiguousarray(windows[:, chosen].transpose(1, 2, 0)).astype(np.int64)
            values = _nats(net, torch.from_numpy(batch).to(where), session, rows if first == 0 else stride)
            for i, start in enumerate(chosen, first):
                count = _count(gpt, starts, i)
                end = start + length + 1
                out[:, end - count : end] = values[i - first, :, -count:]
            if progress:
                progress(chosen[-1] + length + 1, samples)
    return out


def context_lengths(gpt: MEGGPT, samples: int, stride: int | None = None) -> npt.NDArray[np.int64]:
    """Samples of context from which `surprisal` predicts each sample, ``(samples,)``; 0 where it gives NaN."""
    stride = _checked(gpt, None, stride)
    out = np.zeros(samples, np.int64)
    length = gpt.sequence_length
    starts = _starts(gpt, samples, stride)
    for i, start in enumerate(starts):
        count = _count(gpt, starts, i)
        end = start + length + 1
        out[end - count : end] = np.arange(length - count + 1, length + 1)
    return out


def _starts(gpt: MEGGPT, samples: int, stride: int) -> list[int]:
    """First samples of the windows; the last one predicts the recording's last sample."""
    last = samples - gpt.sequence_length - 1
    if last < 0:
        return []
    starts = list(range(0, last + 1, stride))
    return starts if starts[-1] == last else [*starts, last]


def _count(gpt: MEGGPT, starts: list[int], i: int) -> int:
    """How many values window `i` gives: those that no window before it gave from a longer context."""
    return gpt.n_trained if i == 0 else starts[i] - starts[i - 1]


def _checked(gpt: MEGGPT, labels: npt.NDArray[np.integer[Any]] | None, stride: int | None) -> int:
    if labels is not None:
        if labels.ndim != 2 or labels.shape[0] != gpt.n_channels:
            raise ValueError(f"tokens of shape {labels.shape}, expected ({gpt.n_channels} channels, samples)")
        if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < gpt.n_tokens:
            raise ValueError(f"tokens {labels.min()} to {labels.max()}, the network knows 0 to {gpt.n_tokens - 1}")
    if stride is not None and not 1 <= stride <= gpt.n_trained:
        raise ValueError(f"stride {stride}: expected 1 to {gpt.n_trained}, the positions that were trained")
    return stride or gpt.n_trained


def _nats(net: MEGGPT, tokens: Tensor, session: int | Literal["mean"] | None, rows: int) -> npt.NDArray[np.float32]:
    """(B, L + 1, C) tokens -> (B, C, rows): values of the last `rows` samples."""
    who = torch.full(tokens.shape[:1], session, device=tokens.device) if isinstance(session, int) else session
    logits = net(tokens[:, :-1], who, last=rows).float()
    target = tokens[:, -rows:, :, None]
    nats = logits.logsumexp(-1) - logits.gather(-1, target)[..., 0]
    out: npt.NDArray[np.float32] = nats.transpose(1, 2).cpu().numpy()
    return out
