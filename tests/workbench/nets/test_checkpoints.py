"""Checkpoint forms and the report of what does not fit."""

from __future__ import annotations

import pytest
import torch

from workbench.core.errors import WeightsError
from workbench.nets.checkpoints import load_state, unwrap_checkpoint
from workbench.volume.net.segformer3d import SegFormer3D

SMALL = {"embed_dims": [8, 16, 40, 64], "decoder_head_embedding_dim": 64, "num_heads": [1, 2, 5, 8]}


def small_net(seed: int = 0) -> SegFormer3D:
    torch.manual_seed(seed)
    return SegFormer3D(in_channels=1, num_classes=5, **SMALL)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoint_forms(wrapper: str | None, prefix: str) -> None:
    net = small_net()
    state = {prefix + k: v for k, v in net.state_dict().items()}
    obj = state if wrapper is None else {wrapper: state, "epoch": 3}
    found = unwrap_checkpoint(obj)
    assert list(found) == list(net.state_dict())
    load_state(small_net(1), found)


@pytest.mark.parametrize("obj", [3, {}, {"state_dict": {"a": 1}}, {"epoch": 4}])
def test_not_a_checkpoint(obj: object) -> None:
    with pytest.raises(WeightsError, match="expected a state dict"):
        unwrap_checkpoint(obj)


def test_clear_report() -> None:
    net = small_net()
    state = dict(net.state_dict())
    del state["segformer_encoder.norm1.weight"]
    state["extra.weight"] = torch.zeros(1)
    state["segformer_decoder.linear_pred.bias"] = torch.zeros(9)
    with pytest.raises(WeightsError) as caught:
        load_state(net, state)
    text = str(caught.value)
    assert "1 missing: segformer_encoder.norm1.weight" in text
    assert "1 unexpected: extra.weight" in text
    assert "linear_pred.bias is (9,), expected (5,)" in text
    assert "\n" not in text


def test_half_precision_state_and_missing_counters() -> None:
    net, other = small_net(), small_net(1)
    state = {k: v.half() for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    load_state(other, state)
    assert other.segformer_encoder.norm1.weight.dtype == torch.float32
    torch.testing.assert_close(
        other.segformer_encoder.norm1.weight, net.segformer_encoder.norm1.weight, atol=1e-3, rtol=0
    )
