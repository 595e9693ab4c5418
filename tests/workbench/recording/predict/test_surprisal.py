"""Surprisal over long recordings is what the network says window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench.core.errors import Cancelled, UsageError
from workbench.recording.net.gpt import MEGGPT
from workbench.recording.predict.surprisal import context_lengths, surprisal


def tiny(**changes: object) -> MEGGPT:
    torch.manual_seed(0)
    config = {
        "sequence_length": 24,
        "n_channels": 3,
        "n_tokens": 7,
        "model_dim": 8,
        "n_heads": 2,
        "ff_dim": 16,
        "n_patches_in": [24, 6],
        "patch_len_in": [1, 4],
        "n_patches_out": [6, 10],
        "patch_len_out": [4, 1],
        "l_patched_b": [5, None],
        "n_sessions": 4,
        "session_dim": 5,
        "loss_sequence_length": 8,
    }
    net = MEGGPT(**{**config, **changes})
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, 0, 0.4)
    return net


def tokens(samples: int = 200) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 7, (3, samples)).astype(np.uint8)


@pytest.mark.parametrize("stride", [None, 1, 5, 8])
@pytest.mark.parametrize("samples", [25, 26, 33, 200])
def test_each_value_is_that_of_its_own_window(samples, stride) -> None:
    net, labels = tiny(), tokens(samples)
    assert net.training
    found = surprisal(net, labels, session=2, precision="float32", stride=stride)
    assert net.training
    assert found.dtype == np.float32
    context = context_lengths(net, samples, stride)
    assert np.array_equal(np.isnan(found), np.broadcast_to(context == 0, found.shape))
    assert not context[:17].any()
    assert (context[17:] >= 17).all()
    net.eval()
    for t in range(17, samples):
        # The window whose last `context` positions lie before t: anything after t must not matter.
        start = t - context[t]
        window = np.zeros((3, 24), np.int64)
        window[:, : context[t]] = labels[:, start:t]
        with torch.no_grad():
            logits = net(torch.from_numpy(window.T[None]), torch.tensor([2]))[0]
        row = logits[logits.shape[0] - 1 - (24 - context[t])]
        expected = torch.nn.functional.cross_entropy(row, torch.from_numpy(labels[:, t].astype(int)), reduction="none")
        assert found[:, t] == pytest.approx(expected.numpy(), abs=1e-4)


def test_smaller_strides_give_longer_contexts() -> None:
    net = tiny()
    shortest = [context_lengths(net, 200, stride)[24:].min() for stride in (8, 4, 1)]
    assert shortest == [17, 21, 24]


def test_a_recording_shorter_than_the_context_has_no_surprisal() -> None:
    assert np.isnan(surprisal(tiny(), tokens(24))).all()
    assert not context_lengths(tiny(), 24).any()


def test_mean_of_surprisal_is_the_loss() -> None:
    net, labels = tiny().eval(), tokens(25)
    with torch.no_grad():
        loss = net.loss(torch.from_numpy(labels.T[None].astype(int)), "mean")["loss"]
    found = surprisal(net, labels, session="mean", precision="float32")
    assert np.nanmean(found) == pytest.approx(float(loss), abs=1e-5)


def test_bfloat16_is_close() -> None:
    exact = surprisal(tiny(), tokens(), precision="float32")
    coarse = surprisal(tiny(), tokens(), precision="bfloat16")
    assert np.nanmean(np.abs(exact - coarse)) < 0.05
    assert not np.array_equal(exact[:, 30:], coarse[:, 30:])


@pytest.mark.parametrize(
    ("labels", "stride", "words"),
    [
        (tokens()[:2], None, "3 channels"),
        (tokens() + np.uint8(1), None, "0 to 6"),
        (tokens(), 9, "1 to 8"),
        (tokens(), 0, "1 to 8"),
    ],
)
def test_what_does_not_fit_is_refused(labels, stride, words) -> None:
    with pytest.raises(ValueError, match=words):
        surprisal(tiny(), labels, stride=stride)


def test_precision_names() -> None:
    with pytest.raises(UsageError, match="float32"):
        surprisal(tiny(), tokens(), precision="half")


def test_progress_and_cancel() -> None:
    seen = []
    surprisal(tiny(), tokens(2000), progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert len(seen) > 2
    assert seen[-1] == (2000, 2000)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        surprisal(tiny(), tokens(), progress=stop)
