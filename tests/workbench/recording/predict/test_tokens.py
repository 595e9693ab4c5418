"""Codecs: the release's way over long recordings, round trips, damaged input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.workbench.recording.net.test_tokenizer import released, released_vocabulary
from workbench.core.errors import Cancelled, WeightsError
from workbench.recording.net.tokenizer import MEGTokenizer
from workbench.recording.net.vocabulary import MuLaw, Quantile, Vocabulary
from workbench.recording.predict.tokens import Codec, raw_tokens, variance_explained


def tiny(channels: int = 2, margin: int = 3) -> Codec:
    torch.manual_seed(0)
    tokenizer = MEGTokenizer(channels, 8, 6, sequence_length=30, token_dim=5)
    counts = [0, 9, 2, 5, 5, 0, 1, 7]
    return Codec.learnt(tokenizer, Vocabulary.from_counts(counts), margin)


def noise(channels: int = 2, samples: int = 500) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((channels, samples)).astype(np.float32)


def test_released_tokens_of_a_session(shared_parity: Path) -> None:
    io = {k: v.numpy() for k, v in load_file(shared_parity / "meggpt_tokenizer_io.safetensors").items()}
    x = np.ascontiguousarray(io["input"].T)
    unsure = (io["windows_logits_argmax_gap"] < 1e-3).reshape(2000, 3).T
    codec = Codec.learnt(released(shared_parity), released_vocabulary(shared_parity), margin=0)

    labels = codec.encode(x)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels[~unsure], io["refactored_tokens"].T[~unsure])
    short = raw_tokens(codec.tokenizer, x[:, :1930], margin=0)
    assert (short != io["raw_tokens_first_T_minus_70"].T).mean() < 1e-3
    codec.margin = 10
    with_margin = codec.encode(x)
    assert (with_margin[:, 10:-10] != io["refactored_tokens_margin"].T).mean() < 1e-3

    as_released = codec.decode(io["refactored_tokens"].T, window=200)
    assert np.abs(as_released - io["reconstruction_from_refactored"].T).max() <= 1e-4 * np.abs(as_released).max()
    assert variance_explained(x, as_released) == pytest.approx([97.55] * 3, abs=0.8)
    # Windows that overlap, and waveforms that reach on, lose nothing at the windows' borders.
    assert variance_explained(x, codec.decode(with_margin)).mean() > variance_explained(x, as_released).mean()


@pytest.mark.parametrize("samples", [1, 29, 30, 31, 60, 499])
def test_every_sample_gets_the_token_of_its_window(samples) -> None:
    codec = tiny()
    x = noise(samples=samples)
    found = raw_tokens(codec.tokenizer, x, margin=3)
    window = min(30, samples)
    margin = 3 if samples > 30 else 0
    starts = [*range(0, samples - window + 1, window - 2 * margin), samples - window]
    expected = np.zeros_like(found)
    with torch.no_grad():
        for start in starts:
            piece = codec.tokenizer.encode(torch.from_numpy(x[:, start : start + window].T[None]))[0].numpy().T
            low = 0 if start == 0 else margin
            high = window if start == samples - window else window - margin
            expected[:, start + low : start + high] = piece[:, low:high]
    assert np.array_equal(found, expected)


def codecs() -> list[Codec]:
    x = noise()
    return [
        tiny(),
        Codec(MuLaw.fit(x, 57), counts=np.arange(57)),
        Codec(MuLaw(300, 4.0)),
        Codec(Quantile.fit(x, 20), counts=np.ones(20)),
    ]


@pytest.mark.parametrize("codec", codecs(), ids=["learnt", "mulaw", "mulaw wide", "quantile"])
def test_a_codec_survives_its_file(codec) -> None:
    x = noise()
    x[1, 40:44] = np.nan, np.inf, -np.inf, np.nan
    again = Codec.build(codec.config(), {**codec.tensors(), "gpt.other": torch.zeros(1)})
    labels = again.encode(x)
    assert labels.dtype == (np.uint16 if codec.n_tokens > 256 else np.uint8)
    assert np.array_equal(labels, codec.encode(x))
    assert not labels[1, 40:44].any()
    assert labels.max() < codec.n_tokens
    assert np.array_equal(codec.decode(labels), again.decode(labels))
    assert np.isfinite(again.decode(labels)).all()
    if codec.counts is None:
        assert again.unigram is None
    else:
        assert again.unigram[0] == 0
        assert again.unigram.sum() == pytest.approx(1)


@pytest.mark.parametrize("levels", [54, 108, 182, 256])
def test_fixed_tokenisers_keep_the_signal(levels) -> None:
    x = noise(3, 20000)
    for coder, least in ((MuLaw.fit(x, levels), 99.0), (Quantile.fit(x, levels), 99.0)):
        codec = Codec(coder)
        labels = codec.encode(x)
        assert labels.min() >= 1
        assert (variance_explained(x, codec.decode(labels)) > least).all()
        assert np.array_equal(codec.encode(codec.decode(labels)), labels)
        assert np.array_equal(np.argsort(coder.table()[1:], kind="stable"), np.arange(coder.n_tokens - 1))
    shares = np.bincount(Codec(Quantile.fit(x, levels)).encode(x).ravel())[1:] / x.size
    assert shares == pytest.approx(1 / levels, rel=0.02)


def test_nothing_is_carried_over_a_break() -> None:
    """Epochs are coded as recordings of their own, whatever lies before them."""
    x, runs = noise(samples=250), ((0, 80), (80, 100), (100, 240))
    for codec in codecs():
        labels = codec.encode(x, runs=runs)
        signals = codec.decode(labels, runs=runs)
        for a, b in runs:
            assert np.array_equal(labels[:, a:b], codec.encode(x[:, a:b]))
            assert np.array_equal(signals[:, a:b], codec.decode(labels[:, a:b]))
        assert not labels[:, 240:].any()
    assert not np.array_equal(tiny().encode(x), tiny().encode(x, runs=runs))
    seen = []
    tiny().encode(x, lambda *a: seen.append(a), runs=((0, 80), (80, 250)))
    assert seen == sorted(seen)
    assert seen[-1] == (500, 500)


def test_progress_and_cancel() -> None:
    seen = []
    tiny().encode(noise(), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (1000, 1000)
    assert seen == sorted(seen)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    for codec in codecs():
        with pytest.raises(Cancelled):
            codec.encode(noise(), stop)


def test_weights_that_do_not_fit_are_refused() -> None:
    codec = tiny()
    config, tensors = codec.config(), codec.tensors()
    with pytest.raises(WeightsError, match="of another shape"):
        Codec.build({**config, "tokenizer": {**config["tokenizer"], "rnn_n_units": 7}}, tensors)
    with pytest.raises(ValueError, match="contradict|raw ids|expected"):
        Codec.build(config, {**tensors, "vocabulary.token_order": torch.tensor([1, 1, 2, 3, 4, 5])})
    with pytest.raises(ValueError, match="no kind"):
        Codec.build({"kind": "magic"}, tensors)


def test_variance_explained() -> None:
    x = noise()
    assert variance_explained(x, x) == pytest.approx([100, 100])
    assert variance_explained(x, np.zeros_like(x)) == pytest.approx([0, 0], abs=1)
    assert np.isnan(variance_explained(np.ones((1, 9)), np.ones((1, 9)))).all()
