"""Sessions are found again by what makes them different."""

import numpy as np
import pytest

from tests.simulated_bursts import bursting
from workbench.core.errors import InputError
from workbench.recording.evaluate.similarity import FEATURES, describe_session, similarity


@pytest.fixture(scope="module")
def halves():
    """Both halves of six sessions that differ in frequency and in which channels go together."""
    rng = np.random.default_rng(0)
    found = []
    for session in range(6):
        x, _ = bursting(4, 60.0, seed=session, frequency=8.0 + 0.7 * session)
        mixing = np.eye(4) + 0.5 * rng.standard_normal((4, 4))
        found.append((mixing @ x).reshape(4, 2, -1))
    return found


@pytest.mark.parametrize("feature", FEATURES)
def test_the_other_half_of_a_session_is_found(halves, feature) -> None:
    first, second = ([describe_session(x[:, i], 250.0, feature) for x in halves] for i in (0, 1))
    found = similarity(first, second, [f"s{i}" for i in range(6)], feature)
    assert found.top_k[0] >= 5 / 6
    assert found.top_k[-1] == 1
    assert (np.diff(found.top_k) >= 0).all()
    assert found.distance.shape == (6, 6)
    assert found.scores.as_dicts()[1]["chance [share]"] == pytest.approx(2 / 6)


def test_distances_by_hand() -> None:
    real = [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 3.0, 1.0]]
    found = similarity(real, [real[0], real[0], real[2]], ["a", "b", "c"])
    assert found.distance[0].tolist() == pytest.approx([0, 2, 1])
    assert found.rank.tolist() == [1, 3, 1]
    assert found.top_k.tolist() == pytest.approx([2 / 3, 2 / 3, 1])


def test_gains_do_not_tell_sessions_apart() -> None:
    x, _ = bursting(3, 20.0)
    for feature in FEATURES:
        a, b = (describe_session(v, 250.0, feature) for v in (x, x * [[3.0], [0.1], [7.0]]))
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_what_cannot_be_told_apart_ends_at_chance() -> None:
    found = similarity([[1.0, 2.0, 4.0]] * 5, [[1.0, 2.0, 4.0]] * 5, list("abcde"))
    assert found.rank.tolist() == [3] * 5


def test_errors() -> None:
    with pytest.raises(InputError, match="at least two"):
        similarity([[1.0, 2.0]], [[1.0, 2.0]], ["a"])
    with pytest.raises(InputError, match="not pairs"):
        similarity([[1.0, 2.0]] * 2, [[1.0, 2.0]] * 3, ["a", "b"])
    with pytest.raises(InputError, match="constant"):
        describe_session(np.ones((3, 1000)), 250.0, "spectra")
    with pytest.raises(InputError, match="too few pairs"):
        describe_session(bursting(2, 10.0)[0], 250.0, "covariance")
