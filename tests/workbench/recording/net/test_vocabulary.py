"""Vocabularies, mu-law and quantile levels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.recording.net.vocabulary import MuLaw, Quantile, Vocabulary, entropy, official_vocabulary, unigram_of


def test_the_most_frequent_comes_first() -> None:
    sessions = np.array([[0, 5, 0, 2, 1], [0, 5, 0, 8, 1]])
    vocabulary = Vocabulary.from_counts(sessions)
    assert vocabulary.token_order.tolist() == [1, 3, 4]
    assert vocabulary.counts.tolist() == [10, 10, 2]
    assert vocabulary.n_tokens == 4
    assert vocabulary.label_map.tolist() == [0, 1, 0, 2, 3]
    assert vocabulary.encode(np.array([[4, 0], [3, 1]])).tolist() == [[3, 0], [2, 1]]
    assert vocabulary.decode(np.array([1, 2, 3, 0])).tolist() == [1, 3, 4, 0]  # 0: the first raw id that is not used
    assert vocabulary.unigram.tolist() == pytest.approx([0, 10 / 22, 10 / 22, 2 / 22])
    assert Vocabulary.from_counts([3, 1, 2]).decode(np.array([0])).tolist() == [1]  # all used: the rarest one


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20).filter(any))
def test_labels_of_used_ids_come_back(counts) -> None:
    vocabulary = Vocabulary.from_counts(counts)
    used = np.flatnonzero(counts)
    labels = vocabulary.encode(used)
    assert labels.min() >= 1
    assert labels.max() == vocabulary.n_tokens - 1
    assert np.array_equal(vocabulary.decode(labels), used)
    assert (np.diff(vocabulary.counts) <= 0).all()
    again = official_vocabulary(
        {
            "token_order": vocabulary.token_order,
            "total_token_counts": vocabulary.counts,
            "label_map": vocabulary.label_map,
        }
    )
    assert np.array_equal(again.label_map, vocabulary.label_map)


@pytest.mark.parametrize(
    ("order", "counts", "words"),
    [([1, 1], [2, 3], "different"), ([1, 9], [2, 3], "0..4"), ([1], [2, 3], "one length"), ([], [], "one length"),
     ([1, 2], [0, 0], "all zero"), ([1, 2], [3, -1], "negative")],
)  # fmt: skip
def test_vocabularies_that_cannot_be(order, counts, words) -> None:
    with pytest.raises(ValueError, match=words):
        Vocabulary(order, counts, 5)


def test_entropy_of_the_unigram() -> None:
    assert entropy([0, 0.5, 0.5]) == pytest.approx(np.log(2))
    assert unigram_of([7, 1, 3]).tolist() == [0, 0.25, 0.75]
    with pytest.raises(ValueError, match="no label"):
        unigram_of([7, 0, 0])


@settings(deadline=None)
@given(st.integers(2, 400), st.floats(0.1, 50), st.floats(1, 1000))
def test_mu_law_errs_by_half_a_step(levels, scale, mu) -> None:
    coder = MuLaw(levels, scale, mu)
    x = np.linspace(-1.2 * scale, 1.2 * scale, 501, dtype=np.float32)
    labels = coder.encode(x)
    assert labels.min() == 1
    assert labels.max() == levels == coder.n_tokens - 1
    assert (np.diff(labels) >= 0).all()
    assert np.array_equal(coder.encode(coder.decode(labels)), labels)

    def companded(values):
        return np.sign(values) * np.log1p(mu * np.abs(values) / scale) / np.log1p(mu)

    error = np.abs(companded(coder.decode(labels)) - companded(np.clip(x, -scale, scale)))
    assert error.max() <= 1 / (levels - 1) + 1e-4


def test_mu_law_of_telephony() -> None:
    coder = MuLaw(256, 1.0, 255.0)
    assert coder.encode(np.float32([-1, 1, 2, np.nan])).tolist() == [1, 256, 256, 0]
    assert coder.decode(np.array([0, 1, 256])).tolist() == pytest.approx([0, -1, 1])
    assert MuLaw.fit(np.array([[1.0, -3.0], [2.0, np.nan]]), 54).scale == 3


def test_quantiles_are_used_equally() -> None:
    x = np.random.default_rng(0).standard_normal((2, 6400)).astype(np.float32)
    coder = Quantile.fit(x, 64)
    counts = np.bincount(coder.encode(x).ravel(), minlength=65)
    assert counts[0] == 0
    assert counts[1:].min() >= 199
    assert counts[1:].max() <= 201
    for label in (1, 30, 64):
        assert coder.decode(np.array(label)) == pytest.approx(x[coder.encode(x) == label].mean(), rel=1e-4)
    assert coder.encode(np.float32([-np.inf, -99, 99, np.nan])).tolist() == [0, 1, 64, 0]


def test_quantiles_of_few_values() -> None:
    coder = Quantile.fit(np.repeat([0.0, 1.0, 2.0], [50, 30, 20]), 10)
    assert coder.n_tokens <= 11
    assert coder.decode(coder.encode(np.float32([0, 1, 2]))).tolist() == [0, 1, 2]
    for levels, values in ((1, [1, 2, 3]), (5, [1, 2, 3]), (2, [np.nan, np.nan])):
        with pytest.raises(ValueError, match="levels"):
            Quantile.fit(values, levels)
    with pytest.raises(ValueError, match="rising"):
        Quantile([1, 0], [0, 1, 2])
    with pytest.raises(ValueError, match="finite"):
        Quantile([0, 1], [0, np.nan, 2])


@pytest.mark.parametrize("wrong", [{"levels": 1}, {"scale": 0}, {"mu": -1}, {"scale": float("nan")}])
def test_mu_laws_that_cannot_be(wrong) -> None:
    with pytest.raises(ValueError, match="expected"):
        MuLaw(**wrong)


@pytest.mark.parametrize(
    "bad",
    [[[0, 1], [2, 0]], [0, "x" * 1000], [0, [1]], np.zeros((2, 2)), 3, "012", {"a": 1}, [0, 1.5], [0, 2**63], [0, None],
     np.array([0.5]), np.array(["a"])],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("key", ["token_order", "total_token_counts", "label_map"])
def test_only_flat_lists_of_whole_numbers_become_arrays(key, bad) -> None:
    record = {"token_order": [1, 0], "total_token_counts": [5, 2], "label_map": [2, 1]}
    assert official_vocabulary(record).n_tokens == 3
    with pytest.raises(ValueError, match=key):
        official_vocabulary({**record, key: bad})
