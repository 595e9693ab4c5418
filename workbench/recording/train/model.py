"""Teach MEG-GPT the next token of every channel, and say how much better than the mere frequency of tokens it guesses.

Huang et al., "MEG-GPT", arXiv:2510.18080, in the form of the authors' PyTorch release.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workbench.core.errors import InputError, UsageError
from workbench.nets.lora import add_lora
from workbench.recording.net.gpt import MEGGPT
from workbench.recording.predict.tokens import Codec
from workbench.recording.train.data import Integers, Session, Split, Tell, Windows, cut, loop_settings, named
from workbench.recording.train.settings import MEGTrainConfig
from workbench.recording.train.weights import LORA_TARGETS, Parts
from workbench.training.loop import Event, FitResult, fit

# As published: embeddings do not decay (nor do norms and biases, as the loop has it).
_NO_DECAY = r"input_embedding_layer"
_VAL_BATCH = 16
Batch = tuple[Tensor, Tensor | None]


def encode_sessions(codec: Codec, sessions: Sequence[Session], tell: Tell | None = None) -> list[Integers]:
    """Labels (channels, samples) of every recording."""
    return [codec.encode(s.data, named(tell, s.name), runs=s.segments) for s in sessions]


def make_network(
    config: MEGTrainConfig, start: Parts | None, codec: Codec, sessions: Sequence[Session], trained: Sequence[int]
) -> MEGGPT:
    """The transformer to train: of a preset, or that of the starting weights with or without adapters.

    `trained` are the numbers of the sessions that are trained on: with ``session_embedding`` each gets a vector.
    """
    channels = len(sessions[0].channels)
    if start is not None and start.gpt is not None:
        gpt = start.gpt
        if gpt.n_channels != channels:
            raise InputError(
                f"{sessions[0].name}: {channels} channels after preparation, but the weights are for {gpt.n_channels}; "
                "choose channels, reduce them, or train from scratch (--weights none)"
            )
        if config.session_embedding:
            raise UsageError("session_embedding gives new recordings vectors of their own, which needs weights=none")
        if config.lora_rank:
            add_lora(gpt, rank=config.lora_rank, targets=LORA_TARGETS, train_also=None)
        return gpt
    if config.lora_rank:
        raise UsageError("lora_rank adapts a trained transformer, but there is none; give --weights that hold one")
    changes: dict[str, Any] = {"n_channels": channels, "n_tokens": codec.n_tokens, "n_sessions": 0, "session_dim": None}
    if config.session_embedding:
        changes |= {"n_sessions": len(trained), "session_dim": codec.n_tokens}
    if config.dropout >= 0:
        changes["dropout"] = config.dropout
    return MEGGPT.preset(config.net, **changes)


def session_vectors(
    gpt: MEGGPT, start: Parts | None, labels: Sequence[Integers], sessions: Sequence[Session], split: Split
) -> dict[int, int]:
    """Which vector belongs to which session: by name for weights that have some, else a new one for each trained on.

    New vectors start as the frequencies of tokens in what is trained on of their session, as released.
    """
    if not gpt.n_sessions:
        return {}
    trained = sorted({s.session for s in split.train})
    if start is not None and start.gpt is not None:
        names = list(start.sessions)
        return {i: names.index(sessions[i].name) for i in trained if sessions[i].name in names}
    counts = np.stack([count_labels(labels, split, gpt.n_tokens, i) for i in trained])
    gpt.set_session_table(torch.from_numpy(counts / counts.sum(1, keepdims=True)).float())
    return {number: row for row, number in enumerate(trained)}


def learn_model(
    gpt: MEGGPT,
    codec: Codec,
    labels: Sequence[Integers],
    split: Split,
    config: MEGTrainConfig,
    device: torch.device,
    *,
    folder: Path | None = None,
    vectors: Mapping[int, int] | None = None,
    fingerprint: Mapping[str, Any] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> FitResult:
    """Train the transformer on the training stretches of `split`; its best state is in it afterwards.

    The scores are those of validation windows: ``cross-entropy`` and ``unigram entropy`` of the same tokens (nats; the
    second is what the token frequencies of the training data give), ``top-1`` and ``top-5`` (shares of 1), and as
    ``score`` the difference of the two entropies. `vectors`: number of the vector of each session that has one; windows
    of others get the mean.
    """
    schedule = config.model_schedule()
    length = gpt.sequence_length + 1
    train, val = Windows(split.train, length), Windows(split.val, length)
    rows = vectors or {}
    gpt.to(device)
    steps = schedule.steps or math.ceil(schedule.epochs * train.per_epoch / schedule.batch)

    def batch_of(windows: Sequence[tuple[int, int]]) -> Batch:
        tokens = torch.from_numpy(cut(labels, windows, length).astype(np.int64))
        known = bool(rows) and all(number in rows for number, _ in windows)
        return tokens, torch.tensor([rows[n] for n, _ in windows]) if known else None

    def session_of(batch: Batch) -> Any:
        if not gpt.n_sessions:
            return None
        return "mean" if batch[1] is None else batch[1].to(device)

    def loss_of(model: torch.nn.Module, batch: Batch) -> Tensor:
        assert isinstance(model, MEGGPT)
        return model.loss(batch[0].to(device), session_of(batch))["loss"]

    held = val.spread(config.val_windows)
    unigram = unigram_entropy(count_labels(labels, split, codec.n_tokens), labels, held, length, gpt.n_trained)

    def validate(model: torch.nn.Module) -> dict[str, float]:
        assert isinstance(model, MEGGPT)
        sums, count = {"loss": 0.0, "top1": 0.0, "top5": 0.0}, 0
        for first in range(0, len(held), _VAL_BATCH):
            batch = batch_of(held[first : first + _VAL_BATCH])
            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                found = model.loss(batch[0].to(device), session_of(batch))
            for key in sums:
                sums[key] += float(found[key]) * len(batch[0])
            count += len(batch[0])
        loss, top1, top5 = (sums[k] / count for k in ("loss", "top1", "top5"))
        return {"score": unigram - loss, "cross-entropy": loss, "unigram entropy": unigram, "top-1": top1,
                "top-5": top5}  # fmt: skip

    settings = loop_settings(
        schedule, config, steps, no_decay=_NO_DECAY, patience=config.patience, precision=config.precision,
        measure="nats below the unigram entropy",
    )  # fmt: skip
    result = fit(
        gpt, lambda n: batch_of(train.draw(schedule.batch, np.random.default_rng([config.seed, 2, n]))), loss_of,
        settings, validate=validate, folder=folder, resume=config.resume, fingerprint=fingerprint, on_event=on_event,
    )  # fmt: skip
    gpt.load_state_dict(result.state)
    gpt.eval()
    return result


def unigram_entropy(
    counts: Integers, labels: Sequence[Integers], windows: Sequence[tuple[int, int]], length: int, trained: int
) -> float:
    """Cross-entropy (nats) of the token frequencies in `counts` on the tokens that are asked for in some windows."""
    shares = (counts + 1) / (counts.sum() + counts.size)
    targets = cut(labels, windows, length)[:, -trained:]
    return float(-np.log(shares)[targets].mean())


def count_labels(
    labels: Sequence[Integers], split: Split, n_tokens: int, session: int | None = None
) -> npt.NDArray[np.int64]:
    """How often each label occurs in the training stretches, of all sessions or of one, (n_tokens,)."""
    counts = np.zeros(n_tokens, np.int64)
    for place in split.train:
        if session is not None and place.session != session:
            continue
        part = labels[place.session][:, place.start : place.stop]
        counts += np.bincount(part.ravel(), minlength=n_tokens)
    return counts
