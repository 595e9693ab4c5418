"""Token numbers of MEG-GPT: the refactored vocabulary of the learnt tokeniser, and two fixed tokenisers.

Cho et al., arXiv:2602.16626 (learnt and fixed tokenisers), Huang et al., arXiv:2510.18080. All of them number their
tokens from 1 on; 0 is "unseen": a raw token that the training data never used, or a sample that is not a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.integer[Any]]


class Vocabulary:
    """Raw token ids in the order of their use: the most frequent one becomes label 1.

    Parameters
    ----------
    token_order
        Raw ids that were used, by falling count (integers).
    counts
        How often each of them was used, in the same order.
    n_raw
        Raw ids that the tokeniser knows.
    """

    def __init__(self, token_order: npt.ArrayLike, counts: npt.ArrayLike, n_raw: int) -> None:
        order = np.asarray(token_order, np.int64)
        self.counts = np.asarray(counts, np.int64)
        if order.ndim != 1 or order.shape != self.counts.shape or not order.size:
            raise ValueError(f"{order.shape} raw ids with {self.counts.shape} counts: expected two lists of one length")
        if order.min() < 0 or order.max() >= n_raw or len(np.unique(order)) != order.size:
            raise ValueError(f"raw ids must be different and lie in 0..{n_raw - 1}")
        if self.counts.min() < 0 or self.counts.sum() == 0:
            raise ValueError("counts must not be negative, nor all zero")
        self.token_order = order
        self.n_raw = int(n_raw)
        self.label_map = np.zeros(self.n_raw, np.int64)
        self.label_map[order] = np.arange(1, order.size + 1)
        unused = np.setdiff1d(np.arange(self.n_raw), order)
        # As in the release, an unseen token is drawn as the first raw id that nothing uses.
        self._raw = np.concatenate([unused[:1] if unused.size else order[-1:], order])

    @classmethod
    def from_counts(cls, counts: npt.ArrayLike) -> Vocabulary:
        """From the number of uses of each raw id, ``(n_raw,)`` or ``(sessions, n_raw)``; ids never used are dropped."""
        total = np.atleast_2d(np.asarray(counts, np.int64)).sum(0)
        order = np.argsort(-total, kind="stable")
        order = order[total[order] > 0]
        return cls(order, total[order], total.size)

    @property
    def n_tokens(self) -> int:
        """Labels including 0."""
        return int(self.token_order.size) + 1

    def encode(self, raw: Integers) -> Integers:
        """Raw ids -> labels (0 for ids that the vocabulary does not have), any shape."""
        labels: Integers = self.label_map[raw]
        return labels

    def decode(self, labels: Integers) -> Integers:
        """Labels -> raw ids, any shape."""
        raw: Integers = self._raw[labels]
        return raw

    @property
    def unigram(self) -> npt.NDArray[np.float64]:
        """Share of each label, ``(n_tokens,)``; 0 for label 0."""
        return unigram_of(np.concatenate([[0], self.counts]))


class MuLaw:
    """Companded levels, as in telephony: fine steps near zero, coarse ones for large values.

    Parameters
    ----------
    levels
        Number of tokens, any from 2 on.
    scale
        Largest absolute value, which gets the outermost token; larger ones are clipped to it.
    mu
        Strength of the companding.
    """

    def __init__(self, levels: int = 256, scale: float = 1.0, mu: float = 255.0) -> None:
        if levels < 2 or not scale > 0 or not mu > 0:
            raise ValueError(f"levels {levels}, scale {scale}, mu {mu}: expected >= 2, > 0 and > 0")
        self.levels, self.scale, self.mu = int(levels), float(scale), float(mu)

    @classmethod
    def fit(cls, x: npt.ArrayLike, levels: int = 256, mu: float = 255.0) -> MuLaw:
        """With the largest absolute value of z-scored training data as scale."""
        values = np.abs(np.asarray(x))
        return cls(levels, float(np.nanmax(values)) or 1.0, mu)

    @property
    def n_tokens(self) -> int:
        """Labels including 0."""
        return self.levels + 1

    def encode(self, x: Floats) -> Integers:
        """Values -> labels 1..levels; 0 where a value is not finite."""
        scaled = np.clip(np.asarray(x, np.float32) / np.float32(self.scale), -1, 1)
        compressed = np.copysign(np.log1p(self.mu * np.abs(scaled)) / np.log1p(self.mu), scaled)
        known = np.isfinite(compressed)
        steps = np.rint((np.where(known, compressed, 0) + 1) / 2 * (self.levels - 1))
        return np.where(known, steps + 1, 0).astype(np.int64)

    def decode(self, labels: Integers) -> Floats:
        """Labels -> values; label 0 becomes 0."""
        return self.table()[labels]

    def table(self) -> Floats:
        """Value of each label, ``(n_tokens,)`` float32."""
        compressed = 2 * np.arange(self.levels) / (self.levels - 1) - 1
        values = np.sign(compressed) * np.expm1(np.abs(compressed) * np.log1p(self.mu)) / self.mu * self.scale
        return np.concatenate([[0], values]).astype(np.float32)


class Quantile:
    """Levels that are used equally often in the training data.

    Parameters
    ----------
    edges
        ``(levels - 1,)`` rising limits between neighbouring levels, in z-scores.
    centres
        ``(levels,)`` the value that each level stands for.
    """

    def __init__(self, edges: npt.ArrayLike, centres: npt.ArrayLike) -> None:
        self.edges, self.centres = np.asarray(edges, np.float32), np.asarray(centres, np.float32)
        if self.edges.ndim != 1 or self.centres.shape != (self.edges.size + 1,) or (np.diff(self.edges) < 0).any():
            raise ValueError(f"{self.edges.size} edges, {self.centres.size} centres: expected one less, rising")
        if not (np.isfinite(self.edges).all() and np.isfinite(self.centres).all()):
            raise ValueError("edges and centres must be finite numbers")

    @classmethod
    def fit(cls, x: npt.ArrayLike, levels: int = 128) -> Quantile:
        """From z-scored training data; each level stands for the mean of what falls into it."""
        values = np.sort(np.asarray(x, np.float32), axis=None)
        values = values[np.isfinite(values)]
        if levels < 2 or values.size < levels:
            raise ValueError(f"{levels} levels of {values.size} values: expected 2 or more, and more values")
        edges = np.unique(np.quantile(values, np.arange(1, levels) / levels).astype(np.float32))
        groups = np.split(values, np.searchsorted(values, edges, side="left"))
        means = [g.mean(dtype=np.float64) if g.size else e for g, e in zip(groups, [*edges, edges[-1]], strict=True)]
        return cls(edges, np.array(means))

    @property
    def n_tokens(self) -> int:
        """Labels including 0."""
        return int(self.centres.size) + 1

    def encode(self, x: Floats) -> Integers:
        """Values -> labels 1..levels; 0 where a value is not finite."""
        values = np.asarray(x, np.float32)
        labels = np.searchsorted(self.edges, values, side="right") + 1
        return np.where(np.isfinite(values), labels, 0)

    def decode(self, labels: Integers) -> Floats:
        """Labels -> values; label 0 becomes 0."""
        return self.table()[labels]

    def table(self) -> Floats:
        """Value of each label, ``(n_tokens,)`` float32."""
        return np.concatenate([np.zeros(1, np.float32), self.centres])


def unigram_of(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Share of each label; a label 0 that was counted has no share, so that prompts never hold it."""
    shares = np.asarray(counts, np.float64).copy()
    shares[0] = 0
    total = shares.sum()
    if not total > 0:
        raise ValueError("no label was counted")
    out: npt.NDArray[np.float64] = shares / total
    return out


def entropy(shares: npt.ArrayLike) -> float:
    """Entropy of a distribution in nats: the cross-entropy of whoever knows only how frequent each token is."""
    p = np.asarray(shares, np.float64)
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def official_vocabulary(record: Mapping[str, npt.ArrayLike]) -> Vocabulary:
    """The vocabulary in the arrays of a released ``vocab.pkl`` (see `workbench.weights.inert_pickle`).

    Raises
    ------
    ValueError
        An array is missing, or the two directions of the mapping contradict each other.
    """
    names = ("token_order", "total_token_counts", "label_map")
    missing = [k for k in names if k not in record]
    if missing:
        raise ValueError(f"no array {', '.join(missing)} in the vocabulary")
    order, counts, label_map = (
        _whole_numbers(record[k], k) for k in ("token_order", "total_token_counts", "label_map")
    )
    vocabulary = Vocabulary(order, counts, label_map.size)
    if not np.array_equal(vocabulary.label_map, label_map):
        raise ValueError("token_order and label_map of the vocabulary contradict each other")
    return vocabulary


_LARGEST = 1 << 24  # entries of a vocabulary: far more than any tokeniser has


def _whole_numbers(value: object, name: str) -> npt.NDArray[np.int64]:
    """A flat list or array of whole numbers; anything else is refused before numpy makes an array of it."""
    if not isinstance(value, np.ndarray | list | tuple) or (isinstance(value, np.ndarray) and value.ndim != 1):
        raise ValueError(f"{name} of the vocabulary is no list of whole numbers")
    if len(value) > _LARGEST:
        raise ValueError(f"{name} of the vocabulary has {len(value)} entries, expected at most {_LARGEST}")
    if not isinstance(value, np.ndarray) and not all(_is_number(v) for v in value):
        raise ValueError(f"{name} of the vocabulary is no list of whole numbers")
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" and array.size:
        raise ValueError(f"{name} of the vocabulary holds {array.dtype}, expected whole numbers")
    whole = array.astype(np.int64)
    if not np.array_equal(whole, array):
        raise ValueError(f"{name} of the vocabulary holds numbers that are not whole")
    return whole


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and bool(-(2**62) < value < 2**62)
