"""Where and in which numbers the network runs, and that a GPU gives what the processor gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.workbench.recording.predict.test_surprisal import tiny, tokens
from tests.workbench.recording.predict.test_tokens import noise
from tests.workbench.recording.predict.test_tokens import tiny as tiny_codec
from workbench.core.errors import UsageError
from workbench.recording.predict.features import features
from workbench.recording.predict.generate import generate
from workbench.recording.predict.precision import chosen_precision, in_precision
from workbench.recording.predict.surprisal import surprisal


def test_a_network_is_copied_only_if_it_must_be() -> None:
    net = tiny().eval()
    same, where = in_precision(net, None, "float32")
    assert same is net
    assert where.type == "cpu"
    half, _ = in_precision(net, "cpu", "bfloat16")
    assert next(half.parameters()).dtype == torch.bfloat16
    assert next(net.parameters()).dtype == torch.float32
    still, _ = in_precision(net.train(), "cpu", "float32")
    assert not still.training
    assert net.training


def test_auto_says_what_it_means() -> None:
    assert chosen_precision("auto", "cpu") in ("float32", "bfloat16")
    assert chosen_precision("auto", "mps") == "float32"
    assert chosen_precision("bfloat16", "mps") == "bfloat16"
    with pytest.raises(UsageError, match="expected 'auto'"):
        chosen_precision("float16", "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_what_the_processor_gives() -> None:
    net, labels = tiny(), tokens()
    exact = {"precision": "float32"}
    there = surprisal(net, labels, session=1, device="cuda", **exact)
    assert there == pytest.approx(surprisal(net, labels, session=1, **exact), abs=1e-3, nan_ok=True)
    windows = labels[None, :, :24]
    assert features(net, windows, device="cuda") == pytest.approx(features(net, windows), abs=1e-3)
    for mode in ("full", "sliding", "anchored"):
        drawn = [generate(net, 40, sessions=[0, 2], mode=mode, device=d, **exact) for d in ("cpu", "cuda")]
        assert (drawn[0] == drawn[1]).mean() > 0.95
    codec = tiny_codec()
    here = codec.encode(noise())
    assert (codec.to("cuda").encode(noise()) == here).mean() > 0.99
    assert np.allclose(codec.decode(here), codec.to("cpu").decode(here), atol=1e-5)
