"""Teach the tokeniser of MEG-GPT, then count its vocabulary; or fit one of the fixed tokenisers.

Huang et al., arXiv:2510.18080; Cho et al., arXiv:2602.16626. Mean squared error; the temperature falls in stages from
soft to hard choices of a token.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.recording.net.tokenizer import MEGTokenizer
from workbench.recording.net.vocabulary import MuLaw, Quantile, Vocabulary
from workbench.recording.predict.tokens import Codec, raw_tokens, variance_explained
from workbench.recording.train.data import Session, Split, Tell, Windows, cut, loop_settings, named
from workbench.recording.train.settings import MEGTrainConfig
from workbench.training.loop import Event, FitResult, fit

_SAMPLED = 400_000  # values that a fixed tokeniser, or the start of a learnt one, is fitted to
Batch = tuple[int, Tensor]


def learn_tokenizer(
    sessions: Sequence[Session],
    split: Split,
    config: MEGTrainConfig,
    device: torch.device,
    *,
    folder: Path | None = None,
    fingerprint: Mapping[str, Any] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> tuple[MEGTokenizer, FitResult]:
    """Train a tokeniser on the training stretches of `split`.

    The scores are the percentage of variance explained on validation windows, as `predict` reports it: tokens chosen
    hard, mean over channels, and how many of the tokens are used.
    """
    schedule = config.tokenizer_schedule()
    length = config.window
    train, val = Windows(split.train, length), Windows(split.val, length)
    arrays = [s.data for s in sessions]
    torch.manual_seed(config.seed)
    net = MEGTokenizer(
        n_channels=len(sessions[0].channels), n_tokens=config.n_tokens, rnn_n_units=config.units,
        sequence_length=length, token_dim=config.token_dim, padding=config.padding,
    )  # fmt: skip
    random = np.random.default_rng([config.seed, 11])
    if config.tokenizer_start() == "levels":
        start_from_levels(net, torch.from_numpy(cut(arrays, train.draw(24, random), length)))
    net.to(device)
    steps = schedule.steps or math.ceil(schedule.epochs * train.per_epoch / schedule.batch)
    temperatures = config.temperatures()
    spent = 0.0  # share of the time that is allowed

    def heard(event: Event) -> None:
        nonlocal spent
        spent = event.seconds / (60 * config.max_minutes) if config.max_minutes else 0.0
        if on_event is not None:
            on_event(event)

    def draw(n: int) -> Batch:
        windows = train.draw(schedule.batch, np.random.default_rng([config.seed, 1, n]))
        return n, torch.from_numpy(cut(arrays, windows, length))

    def loss_of(model: torch.nn.Module, batch: Batch) -> Tensor:
        n, x = batch
        assert isinstance(model, MEGTokenizer)
        # As the learning rate, the temperature must have fallen when the time is up.
        stage = max(n * len(temperatures) // steps, int(spent * len(temperatures)))
        model.set_temperature(temperatures[min(len(temperatures) - 1, stage)])
        x = x.to(device)
        return F.mse_loss(model(x), x)

    held = cut(arrays, val.spread(config.val_windows), length)

    def validate(model: torch.nn.Module) -> dict[str, float]:
        assert isinstance(model, MEGTokenizer)
        ids = torch.cat([model.encode(x.to(device)) for x in torch.split(torch.from_numpy(held), 16)])
        found = model.decode(ids).cpu().numpy()
        rows = held.transpose(2, 0, 1).reshape(held.shape[2], -1), found.transpose(2, 0, 1).reshape(held.shape[2], -1)
        explained = float(np.nanmean(variance_explained(*rows)))
        used = len(torch.unique(ids))
        return {"score": explained, "variance explained": explained, "tokens used": used,
                "temperature": model.temperature}  # fmt: skip

    settings = loop_settings(schedule, config, steps, measure="variance explained [%]", keep="last")
    result = fit(
        net, draw, loss_of, settings, validate=validate, folder=folder, resume=config.resume,
        fingerprint=fingerprint, on_event=heard,
    )  # fmt: skip
    net.load_state_dict(result.state)
    net.set_temperature(temperatures[-1])
    return net.eval(), result


@torch.no_grad()
def start_from_levels(net: MEGTokenizer, x: Tensor) -> None:
    """Give every token a level of the present sample, in place.

    A random recurrent network holds its present input almost undistorted, so a linear reading of its state gives that
    back; the token whose level lies next to it gets the largest logit, and its waveform is that level for one sample.
    Training then spreads waveforms over time. From here a few hundred steps do what takes ten thousands from random
    weights.

    Parameters
    ----------
    net
        A fresh tokeniser, on the CPU.
    x
        ``(B, L, C)`` z-scored windows.
    """
    rows = x.transpose(1, 2).reshape(-1, x.shape[1], 1).float()
    state = net.encoder_layer(rows).double().flatten(0, 1)
    state = torch.cat([state, torch.ones_like(state[:, :1])], 1)
    values = rows.flatten().double()
    gram = state.T @ state
    gram += 1e-4 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    read = torch.linalg.solve(gram, state.T @ values)
    count = net.n_tokens
    quantiles = np.quantile(values[: 10 * _SAMPLED].numpy(), (np.arange(count) + 0.5) / count)
    # Between equally used and equally spaced levels: fine where most samples lie, and not too coarse outside.
    limit = float(np.quantile(np.abs(values.numpy()), 0.9995))
    levels = torch.from_numpy(0.5 * quantiles + 0.5 * np.linspace(-limit, limit, count))
    dense, conv = net.token_weights_layer.dense_layer, net.decoder_layer.token_basis_layer
    # The nearest level has the largest  v c - c^2 / 2,  which is linear in the state.
    dense.weight.copy_(levels[:, None] * read[None, :-1])
    dense.bias.copy_(levels * read[-1] - levels**2 / 2)
    conv.weight.zero_()
    per_group = conv.weight.shape[0] // conv.groups
    tap = net.pad_left  # the one that meets the token of the same sample
    for group in range(conv.groups):
        part = levels[group * conv.weight.shape[1] : (group + 1) * conv.weight.shape[1]]
        conv.weight[group * per_group : (group + 1) * per_group, :, tap] = (part / per_group).float()
    if conv.bias is not None:
        conv.bias.zero_()


def count_vocabulary(
    net: MEGTokenizer, sessions: Sequence[Session], split: Split, *, margin: int, tell: Tell | None = None
) -> Codec:
    """Tokenise all training recordings, count, and drop the tokens that are never used."""
    counts = np.zeros(net.n_tokens, np.int64)
    for number in sorted({s.session for s in split.train}):
        session = sessions[number]
        raw = raw_tokens(net, session.data, margin=margin, runs=session.segments, progress=named(tell, session.name))
        for place in split.train:
            if place.session == number:
                part = raw[:, place.start : place.stop]
                counts += np.bincount(part.ravel(), minlength=net.n_tokens)
    return Codec.learnt(net, Vocabulary.from_counts(counts), margin)


def fit_fixed(kind: str, sessions: Sequence[Session], split: Split, config: MEGTrainConfig) -> Codec:
    """A mu-law or quantile tokeniser of the training recordings, with its tokens counted."""
    random = np.random.default_rng([config.seed, 12])
    windows = Windows(split.train, min(200, min(s.stop - s.start for s in split.train)))
    needed = max(1, _SAMPLED // (windows.length * len(sessions[0].channels)))
    values = cut([s.data for s in sessions], windows.draw(needed, random), windows.length)
    coder: MuLaw | Quantile
    if kind == "mulaw":
        # The study scales by the largest absolute value; of all samples, not only of those drawn.
        largest = max(float(np.abs(sessions[s.session].data[:, s.start : s.stop]).max()) for s in split.train)
        coder = MuLaw(config.n_tokens, largest or 1.0)
    else:
        coder = Quantile.fit(values, config.n_tokens)
    codec = Codec(coder)
    counts = np.zeros(codec.n_tokens, np.int64)
    for place in split.train:
        labels = codec.encode(sessions[place.session].data[:, place.start : place.stop])
        counts += np.bincount(labels.ravel(), minlength=codec.n_tokens)
    return Codec(coder, counts=counts[1:])
