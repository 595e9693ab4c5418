"""Generation: three ways that agree where they must, draws that keep to their filters, memory that stays flat."""

from __future__ import annotations

import gc

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.recording.net.test_causality import configurations, lively_net
from tests.workbench.recording.predict.test_surprisal import tiny, tokens
from workbench.core.errors import Cancelled, UsageError
from workbench.recording.net.gpt import MEGGPT
from workbench.recording.predict.generate import Sampling, generate
from workbench.recording.predict.sampling import draw, probabilities

EXACT = {"precision": "float32"}


@settings(max_examples=25, deadline=None)
@given(configurations(), st.integers(0, 99))
def test_sliding_draws_the_tokens_of_the_full_forward(config, seed) -> None:
    net = lively_net(config)
    sessions = [1, 0] if net.n_sessions else None
    full, sliding = (
        generate(net, 12, sessions=sessions, batch=2, mode=mode, seed=seed, **EXACT) for mode in ("full", "sliding")
    )
    assert full.shape == (2, net.n_channels, 12)
    assert np.array_equal(full, sliding)
    assert full.min() >= 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_sliding_is_full_for_longer(precision) -> None:
    full, sliding = (generate(tiny(), 150, mode=m, seed=3, precision=precision) for m in ("full", "sliding"))
    assert np.array_equal(full, sliding)


@settings(max_examples=25, deadline=None)
@given(configurations(), st.integers(0, 99), st.data())
def test_anchored_draws_from_the_full_forward_of_its_window(config, seed, data) -> None:
    net = lively_net(config)
    anchor = data.draw(st.integers(1, net.n_trained))
    prompt = np.random.default_rng(seed).integers(1, net.n_tokens, (net.n_channels, net.sequence_length))
    found = generate(net, 10, mode="anchored", anchor=anchor, seed=seed, prompt=prompt, **EXACT)[0]
    past = np.concatenate([prompt, found], 1)
    random = np.random.default_rng([seed, 0])
    random.choice(net.n_tokens, (net.sequence_length, net.n_channels), p=[0, *[1 / (net.n_tokens - 1)] * 4])
    kept = net.sequence_length - anchor + 1
    for t in range(10):
        place = net.sequence_length + t
        start = net.sequence_length + t // anchor * anchor - kept
        window = np.zeros((net.sequence_length, net.n_channels), int)
        window[: place - start] = past[:, start:place].T
        with torch.no_grad():
            logits = net(torch.from_numpy(window)[None])[:, place - start - 1 - net.sequence_length]
        chance = torch.from_numpy(random.random(net.n_channels))
        assert np.array_equal(draw(logits, chance[None], Sampling())[0], found[:, t])


def test_a_recording_does_not_depend_on_its_company(monkeypatch) -> None:
    net = tiny()
    four = generate(net, 30, sessions=[0, 1, 2, 3], seed=5, **EXACT)
    monkeypatch.setattr("workbench.recording.predict.generate._ROWS", 3)
    assert np.array_equal(four, generate(net, 30, sessions=[0, 1, 2, 3], seed=5, **EXACT))
    assert np.array_equal(four[:2], generate(net, 30, sessions=[0, 1], seed=5, **EXACT))
    assert not np.array_equal(four, generate(net, 30, sessions=[0, 1, 2, 3], seed=6, **EXACT))
    assert not np.array_equal(four[0], four[1])
    for batch in (generate(net, 30, sessions="mean", batch=3), generate(net, 30, batch=3)):
        assert batch.shape == (3, 3, 30)
        assert batch.dtype == np.uint8


def test_a_prompt_goes_on() -> None:
    net = tiny().eval()
    prompt = tokens(100)
    expected = probabilities(net(torch.from_numpy(prompt[:, -24:].T[None].astype(int)))[0, -1].detach(), Sampling())
    first = generate(net, 1, batch=4000, prompt=prompt, mode="sliding", **EXACT)[:, :, 0]
    for channel in range(3):
        shares = np.bincount(first[:, channel], minlength=7) / 4000
        assert shares == pytest.approx(expected[channel].numpy(), abs=0.04)
    # A prompt that is too short is filled up with random tokens; a longer one is cut.
    assert generate(net, 5, prompt=prompt[:, :3]).shape == (1, 3, 5)
    assert np.array_equal(generate(net, 5, prompt=prompt, **EXACT), generate(net, 5, prompt=prompt[:, 70:], **EXACT))


def test_prompts_follow_the_unigram() -> None:
    net = tiny()
    only = np.array([9.0, 0, 0, 1, 0, 0, 0])
    with_only = generate(net, 6, unigram=only, mode="full", seed=1, **EXACT)
    prompt = np.full((3, 24), 3)
    random = np.random.default_rng([1, 0])
    random.choice(7, (24, 3))
    with torch.no_grad():
        logits = net.eval()(torch.from_numpy(prompt.T[None]))[0, -1]
    assert np.array_equal(with_only[0, :, 0], draw(logits, torch.from_numpy(random.random(3)), Sampling()))


LOGITS = torch.tensor([9.0, 3.0, 2.0, 1.0, 0.0, -1.0])


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        (Sampling(top_p=1), {1, 2, 3, 4, 5}),
        (Sampling(temperature=0), {1}),
        (Sampling(top_k=2, top_p=1), {1, 2}),
        (Sampling(top_p=0.5), {1}),
        (Sampling(top_p=0.64), {1, 2}),  # the token that crosses the share stays
        (Sampling(top_p=0.98), {1, 2, 3, 4}),
        (Sampling(top_p=1, typical=0.2), {2}),  # 1.44 nats are closer than 0.44 to the entropy of 1.01
        (Sampling(top_p=1, typical=0.5), {1, 2}),
    ],
)
def test_filters(sampling, kept) -> None:
    shares = probabilities(LOGITS, sampling)
    assert shares.sum() == pytest.approx(1)
    assert {int(i) for i in shares.nonzero()} == kept
    if sampling.temperature:
        free = LOGITS[1:].softmax(-1)
        inside = [i for i in range(1, 6) if i in kept]
        expected = free[[i - 1 for i in inside]] / free[[i - 1 for i in inside]].sum()
        assert shares[inside] == pytest.approx(expected)


def test_temperature_sharpens() -> None:
    cold, warm = (probabilities(LOGITS, Sampling(top_p=1, temperature=t))[1] for t in (0.5, 2.0))
    assert cold > LOGITS[1:].softmax(-1)[0] > warm


def test_draws_follow_the_probabilities() -> None:
    chance = torch.from_numpy(np.random.default_rng(0).random(40_000))
    drawn = draw(LOGITS.expand(40_000, -1), chance, Sampling(top_p=0.9))
    shares = torch.bincount(drawn, minlength=6) / 40_000
    assert shares == pytest.approx(probabilities(LOGITS, Sampling(top_p=0.9)), abs=0.01)
    edges = draw(LOGITS.expand(2, -1), torch.tensor([0.0, 1 - 1e-15], dtype=torch.float64), Sampling(top_p=0.98))
    assert edges.tolist() == [1, 4]


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "fast"},
        {"anchor": 9},
        {"anchor": 0},
        {"batch": 0},
        {"sessions": [4]},
        {"sessions": []},
        {"unigram": [1, 2]},
        {"unigram": [1, 0, 0, 0, 0, 0, 0]},
        {"prompt": np.ones((2, 5), int)},
        {"prompt": np.full((3, 5), 7)},
    ],
)
def test_settings_that_cannot_work(wrong) -> None:
    with pytest.raises(UsageError, match="expected"):
        generate(tiny(), 4, **wrong)


@pytest.mark.parametrize("wrong", [{"top_p": 0}, {"top_k": -1}, {"temperature": -1}, {"typical": 2}])
def test_samplings_that_cannot_work(wrong) -> None:
    with pytest.raises(UsageError, match="expected"):
        Sampling(**wrong)


def test_a_network_without_sessions_has_none() -> None:
    with pytest.raises(UsageError, match="without sessions"):
        generate(tiny(n_sessions=0, session_dim=None), 4, sessions="mean")


@pytest.mark.parametrize("mode", ["anchored", "sliding", "full"])
def test_progress_and_cancel(mode) -> None:
    seen: list[tuple[int, int]] = []
    generate(tiny(), 50, batch=2, mode=mode, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert len(seen) > 3
    assert seen[-1] == (100, 100)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        generate(tiny(), 50, mode=mode, progress=stop)


def test_memory_is_flat() -> None:
    net = MEGGPT(8, 200, 300, 8, 1, 8, [8, 4], [1, 2], [8, 8], [1, 1])
    generate(net, 50, **EXACT)
    gc.collect()
    process, peaks = psutil.Process(), []
    generate(net, 800, progress=lambda done, total: peaks.append(process.memory_info().rss), **EXACT)
    written = 200 * 800 * 2  # the result itself
    assert max(peaks) - peaks[len(peaks) // 10] < written + 2e7
