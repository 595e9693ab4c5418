"""Features of trials from a frozen MEG-GPT: what its last layer makes of them, before the prediction of tokens.

Huang et al., arXiv:2510.18080: the decoder's output averaged over time, without a session, then a logistic regression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from workbench.recording.net.gpt import MEGGPT, Session
from workbench.recording.predict.precision import Precision, in_precision

Progress = Callable[[int, int], None]

_ROWS, _ROWS_ACCELERATOR = 96, 4096


def features(
    gpt: MEGGPT,
    windows: npt.NDArray[np.integer[Any]],
    *,
    session: Session = None,
    bins: int = 1,
    samples: int | None = None,
    device: torch.device | str | None = None,
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Features of windows of tokens.

    Parameters
    ----------
    gpt
        The network; it is left as it is.
    windows
        ``(N, C, sequence_length)`` labels, each with the trial at its end.
    session
        ``"mean"``, or ``None`` to leave the session out, as the paper does.
    bins
        Stretches of time over which the output is averaged, each by itself; 1 as in the paper.
    samples
        Only so many of the last output positions; all of them by default, which is also the most.
    device
        Where to compute; by default where the network is.
    precision
        ``"float32"``, ``"bfloat16"``, or ``"auto"``: bfloat16 where the device is built for it.
    progress
        Called with windows done and in total.

    Returns
    -------
    array
        ``(N, bins, C, model_dim)`` float32.

    Raises
    ------
    ValueError
        Windows of another shape than the network's, or more bins than output positions.
    """
    expected = (gpt.n_channels, gpt.sequence_length)
    if windows.ndim != 3 or windows.shape[1:] != expected:
        raise ValueError(f"windows of shape {windows.shape}, expected (trials, {expected[0]}, {expected[1]})")
    last = gpt.length_out if samples is None else min(samples, gpt.length_out)
    if not 1 <= bins <= last:
        raise ValueError(f"{bins} bins of {last} positions: expected 1 to {last}")
    net, where = in_precision(gpt, device, precision)
    edges = np.linspace(0, last, bins + 1).round().astype(int)
    per_step = max(1, (_ROWS if where.type == "cpu" else _ROWS_ACCELERATOR) // gpt.n_channels)
    out = np.empty((len(windows), bins, gpt.n_channels, gpt.config["model_dim"]), np.float32)
    with torch.inference_mode():
        for first in range(0, len(windows), per_step):
            chosen = slice(first, first + per_step)
            tokens = torch.from_numpy(np.ascontiguousarray(windows[chosen].transpose(0, 2, 1)).astype(np.int64))
            hidden = net.hidden(tokens.to(where), session, last=last).float()
            for i in range(bins):
                out[chosen, i] = hidden[:, edges[i] : edges[i + 1]].mean(1).cpu().numpy()
            if progress:
                progress(min(first + per_step, len(windows)), len(windows))
    return out
