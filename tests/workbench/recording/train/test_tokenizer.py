"""The tokeniser learns, starts from levels if asked to, and its vocabulary holds what is used."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from workbench.core.settings import build
from workbench.recording.net.tokenizer import MEGTokenizer
from workbench.recording.predict.tokens import raw_tokens, variance_explained
from workbench.recording.train import tokenizer as meg_tokenizer
from workbench.recording.train.data import Session, split_sessions
from workbench.recording.train.settings import MEGTrainConfig


def sessions(count=3, samples=1500, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        t = np.arange(samples) / 250
        x = lfilter([0.25], [1, -0.97], rng.normal(0, 1, (2, samples))) + np.sin(2 * np.pi * 10 * t)
        x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
        found.append(Session(f"s{i}", f"p{i}", x.astype(np.float32), np.ones(samples, bool), ("a", "b"), 250.0))
    return found


@pytest.mark.parametrize(("groups", "padding"), [(1, "causal"), (1, "same"), (4, "causal")])
def test_levels_reconstruct_before_any_step(groups, padding):
    net = MEGTokenizer(2, n_tokens=32, rnn_n_units=32, sequence_length=100, token_dim=6, groups=groups, padding=padding)
    x = sessions()[0].data
    windows = torch.from_numpy(x[:, :1000].reshape(2, 10, 100).transpose(1, 2, 0).copy())
    meg_tokenizer.start_from_levels(net.eval(), windows)
    with torch.no_grad():
        found = net(windows).numpy()
    flat = windows.numpy().transpose(2, 0, 1).reshape(2, -1), found.transpose(2, 0, 1).reshape(2, -1)
    assert variance_explained(*flat).min() > 95


@pytest.mark.parametrize("start", ["levels", "random"])
def test_it_learns(start):
    config = build(
        MEGTrainConfig,
        {"start": start, "n_tokens": 16, "units": 16, "window": 60, "tokenizer_steps": 40, "tokenizer_batch": 8,
         "tokenizer_lr": 1e-2, "val_fraction": 0.3, "annealing": 4},
    )  # fmt: skip
    data = sessions()
    split = split_sessions(data, 60, by="subject", fraction=0.3, seed=0)
    temperatures, lines = [], []
    net, result = meg_tokenizer.learn_tokenizer(
        data, split, config, torch.device("cpu"), on_event=lambda e: (lines.append(e), None)[1]
    )
    temperatures = [row["temperature"] for row in result.history]
    assert temperatures[-1] == pytest.approx(1e-3)
    assert temperatures == sorted(temperatures, reverse=True)
    assert len(set(temperatures)) == 4
    assert result.best_step == 40  # the planned end counts, not the best on the way
    assert result.scores["variance explained"] == result.history[-1]["variance explained"]
    assert result.scores["variance explained"] > (90 if start == "levels" else 30)
    assert net.temperature == pytest.approx(1e-3)
    assert not net.training


def test_the_temperature_has_fallen_when_the_time_is_up():
    config = build(
        MEGTrainConfig,
        {"n_tokens": 16, "units": 16, "window": 60, "tokenizer_steps": 10**6, "max_minutes": 0.02, "val_fraction": 0.3},
    )  # fmt: skip
    data = sessions()
    split = split_sessions(data, 60, by="subject", fraction=0.3, seed=0)
    _, result = meg_tokenizer.learn_tokenizer(data, split, config, torch.device("cpu"))
    assert result.stopped == "time is up"
    assert result.history[-1]["temperature"] == pytest.approx(1e-3)


def test_the_vocabulary_counts_training_stretches_only():
    data = sessions()
    split = split_sessions(data, 60, by="subject", fraction=0.3, seed=0)
    torch.manual_seed(0)
    net = MEGTokenizer(2, n_tokens=64, rnn_n_units=16, sequence_length=60, token_dim=4)
    codec = meg_tokenizer.count_vocabulary(net, data, split, margin=5)
    total = sum((s.stop - s.start) * 2 for s in split.train)
    assert codec.counts.sum() == total
    assert (codec.counts > 0).all()
    assert sorted(codec.counts, reverse=True) == codec.counts.tolist()
    used = {
        int(v) for s in {s.session for s in split.train} for v in np.unique(raw_tokens(net, data[s].data, margin=5))
    }
    assert set(codec.vocabulary.token_order.tolist()) == used


@pytest.mark.parametrize(("kind", "levels"), [("mulaw", 54), ("quantile", 54), ("mulaw", 256)])
def test_fixed_tokenisers_are_fitted_and_counted(kind, levels):
    data = sessions()
    split = split_sessions(data, 101, by="subject", fraction=0.3, seed=0)
    codec = meg_tokenizer.fit_fixed(kind, data, split, build(MEGTrainConfig, {"n_tokens": levels}))
    assert codec.kind == kind
    assert codec.n_tokens == levels + 1
    assert codec.counts.sum() == sum((s.stop - s.start) * 2 for s in split.train)
    held = data[split.val[0].session].data
    assert variance_explained(held, codec.decode(codec.encode(held))).min() > 99
