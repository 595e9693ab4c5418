"""Go on with next-token training on a few recordings: transformer and head learn, embeddings stay as they are.

Huang et al., arXiv:2510.18080, do so on the training sessions before they decode. No event or label is looked at.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.core.errors import Cancelled, InputError
from workbench.recording.net.gpt import MEGGPT
from workbench.recording.train.data import Integers, Session, Windows, cut, stretches
from workbench.training.loop import Event, LoopSettings, fit


def fine_tune(
    gpt: MEGGPT,
    sessions: Sequence[Session],
    labels: Sequence[Integers],
    *,
    steps: int,
    lr: float,
    batch: int,
    seed: int = 0,
    on_event: Callable[[Event], None] | None = None,
) -> MEGGPT:
    """A copy of the network that has seen these recordings.

    Parameters
    ----------
    gpt
        The network, on the device to train on; it stays as it is.
    sessions, labels
        Recordings and their tokens (C, T).
    steps, lr, batch
        Optimiser steps, highest rate (warm-up over a tenth, then cosine), windows per step.
    on_event
        Called after every step; what it raises passes through.

    Returns
    -------
    MEGGPT
        In evaluation mode. Sessions are trained without a session vector, as features are taken without one.

    Raises
    ------
    InputError
        No recording has enough good samples in a row.
    """
    net = copy.deepcopy(gpt)
    net.input_embedding_layer.requires_grad_(False)
    length = net.sequence_length + 1
    windows = Windows(stretches(sessions, length), length)
    if not windows.places:
        raise InputError(f"no recording to fine-tune on has {length} good samples in a row; leave out fine_tune")
    device = next(net.parameters()).device

    def draw(number: int) -> Tensor:
        chosen = windows.draw(batch, np.random.default_rng([seed, 3, number]))
        return torch.from_numpy(cut(labels, chosen, length).astype(np.int64))

    def loss_of(model: nn.Module, tokens: Tensor) -> Tensor:
        assert isinstance(model, MEGGPT)
        return model.loss(tokens.to(device), None)["loss"]

    torch.manual_seed(seed)
    settings = LoopSettings(
        steps=steps, lr=lr, warmup=0.1, floor=0.1, ema=0.0, weight_decay=0.01, betas=(0.9, 0.98),
        validate_every=steps, save_every=steps, seed=seed, measure="nats", keep="last",
    )  # fmt: skip
    result: Any = fit(net, draw, loss_of, settings, on_event=on_event)
    if result.stopped == "cancelled":
        raise Cancelled
    net.load_state_dict(result.state)
    return net.eval()
