"""Features are the mean of what the last layer gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.workbench.recording.predict.test_surprisal import tiny
from workbench.core.errors import Cancelled
from workbench.recording.predict.features import features


def windows(count: int = 50) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 7, (count, 3, 24)).astype(np.uint8)


def test_means_of_the_last_layer() -> None:
    net, labels = tiny(), windows()
    with torch.no_grad():
        hidden = net.eval().hidden(torch.from_numpy(labels.transpose(0, 2, 1).astype(int))).numpy()
    found = features(net.train(), labels)
    assert found.shape == (50, 1, 3, 8)
    assert found.dtype == np.float32
    assert net.training
    assert np.allclose(found[:, 0], hidden.mean(1), atol=1e-5)
    halves = features(net, labels, bins=2, samples=6)
    assert np.allclose(halves[:, 0], hidden[:, 4:7].mean(1), atol=1e-5)
    assert np.allclose(halves[:, 1], hidden[:, 7:].mean(1), atol=1e-5)
    assert not np.allclose(features(net, labels, session="mean"), found, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "bins", "words"),
    [((2, 3, 23), 1, "24"), ((2, 4, 24), 1, "3"), ((3, 24), 1, "24"), ((2, 3, 24), 11, "10")],
)
def test_what_does_not_fit(shape, bins, words) -> None:
    with pytest.raises(ValueError, match=words):
        features(tiny(), np.zeros(shape, int), bins=bins)


def test_progress_and_cancel() -> None:
    seen = []
    features(tiny(), windows(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (50, 50)
    assert len(seen) > 1
    assert features(tiny(), windows(0)).shape == (0, 1, 3, 8)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        features(tiny(), windows(), progress=stop)
