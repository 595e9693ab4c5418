import pickle

import numpy as np
import pytest

from workbench.core.errors import WeightsError
from workbench.weights.content import content_hash
from workbench.weights.file_content import content_of


def test_the_hash_is_of_the_numbers_and_not_of_how_they_lie():
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert content_hash({"a": array, "b": 1}) == content_hash({"b": 1, "a": np.asfortranarray(array).astype(">i4")})
    assert content_hash({"a": array}) != content_hash({"a": array.astype(np.int64)})


def test_lists_that_share_their_parts_are_refused_at_once(tmp_path):
    """Written out, the larger one would have 2 to the 60 numbers."""
    value = (1, 1)
    (tmp_path / "vocab.pkl").write_bytes(pickle.dumps({"label_map": value, "n": np.arange(3)}))
    with pytest.raises(WeightsError, match="expected arrays of numbers, found a tuple"):
        content_of(tmp_path / "vocab.pkl")
    for _ in range(60):
        value = (value, value)
    (tmp_path / "vocab.pkl").write_bytes(pickle.dumps({"label_map": value, "n": np.arange(3)}))
    with pytest.raises(WeightsError, match="more than 256 MB"):
        content_of(tmp_path / "vocab.pkl")
