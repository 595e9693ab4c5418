"""Odd weight files: one `WeightsError` that names the file, and no memory taken for what the file does not hold."""

import json
import time

import pytest
import torch
from safetensors.torch import save_file

from workbench import weights
from workbench.core.errors import WeightsError
from workbench.volume.segformer3d import build_network


@pytest.fixture
def odd(tmp_path, tiny_weights):
    """Write the tiny weights with another record and build the network from them."""
    good = weights.find(tiny_weights)

    def build(**change):
        path = weights.save(tmp_path / "odd.safetensors", weights.load_tensors(good), {**good.meta, **change})
        return build_network(weights.find(path))

    build.net, build.recipe = good.meta["net"], good.meta["recipe"]
    return build


def test_the_fixture_changes_nothing_by_itself(odd):
    assert odd()[2].names == ("liver", "spleen")


@pytest.mark.parametrize(
    "change",
    [
        {"embed_dims": [10**7, 10**7, 10**7, 10**7]},
        {"embed_dims": [2**40, 2**40, 2**40, 2**40]},
        {"depths": [10**9, 1, 1, 1]},
        {"depths": [1, 1, 10**9, 1]},
        {"decoder_head_embedding_dim": 10**9},
        {"in_channels": 10**8},
        {"in_channels": -1},
        {"embed_dims": "abcd"},
        {"embed_dims": None},
        {"embed_dims": [8, 8]},
        {"num_heads": [0, 1, 2, 2]},
        {"depths": ["a", 1, 1, 1]},
        {"widths": 7},
        {"num_classes": 9},
    ],
)
def test_networks_that_the_file_does_not_hold(odd, change):
    began = time.monotonic()
    with pytest.raises(WeightsError, match=r"odd\.safetensors") as caught:
        odd(net={**odd.net, **change})
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "change",
    [
        {"roi": "large"},
        {"roi": [32, 32]},
        {"roi": [32, 32, 0]},
        {"roi": [32.5, 32, 32]},
        {"spacing_mm": [0, 1, 1]},
        {"spacing_mm": ["1", "1", "1"]},
        {"window": [0]},
        {"orientation": "RRS"},
        {"orientation": 3},
        {"intensity": "bright"},
        {"activation": []},
        {"channels": []},
        {"channels": ["one", "two"]},
        {"future": 1},
    ],
)
def test_recipes_that_cannot_be_followed(odd, change):
    with pytest.raises(WeightsError, match=r"odd\.safetensors"):
        odd(recipe={**odd.recipe, **change})


@pytest.mark.parametrize(
    "classes",
    [
        [{"name": "liver"}],
        [{"value": 0, "name": "liver", "color": [1, 2, 3]}],
        [{"value": 1, "name": "liver", "color": 3}],
        [{"value": 7, "name": "liver", "color": [1, 2, 3]}],
        [5],
    ],
)
def test_classes_that_are_none(odd, classes):
    with pytest.raises(WeightsError, match=r"odd\.safetensors"):
        odd(classes=classes)


@pytest.mark.parametrize("missing", ["recipe", "classes"])
def test_what_is_missing_is_named(tmp_path, tiny_weights, missing):
    good = weights.find(tiny_weights)
    meta = {k: v for k, v in good.meta.items() if k != missing}
    path = weights.save(tmp_path / "odd.safetensors", weights.load_tensors(good), meta)
    with pytest.raises(WeightsError, match=missing):
        build_network(weights.find(path))


@pytest.mark.parametrize(
    "record",
    [
        [1, 2], "text", 7, {"backend": "segformer3d"}, {"net": {}}, {"backend": ["x"], "net": {}},
        {"backend": "segformer3d", "net": [1]}, {"backend": "segformer3d", "net": {}, "recipe": [1]},
        {"backend": "segformer3d", "net": {}, "classes": {"a": 1}}, {"backend": "b", "net": {}, "format": "new"},
        {"backend": "b", "net": {}, "format": True},
    ],
)  # fmt: skip
def test_records_of_the_wrong_type(tmp_path, record):
    path = tmp_path / "odd.safetensors"
    save_file({"w": torch.zeros(2)}, path, metadata={"workbench": json.dumps(record)})
    with pytest.raises(WeightsError, match=r"odd\.safetensors"):
        weights.find(path)


@pytest.mark.parametrize("header", [b"[]", b'{"__metadata__": [1]}', b'{"__metadata__": {"workbench": {"a": 1}}}'])
def test_headers_of_the_wrong_type(tmp_path, header):
    path = tmp_path / "odd.safetensors"
    # The first byte decides that it is a safetensors file, so a list is given as what follows an object's brace.
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(WeightsError, match=r"odd\.safetensors"):
        weights.load_tensors(path) if header.startswith(b"[") else weights.read_meta(path)


def test_a_header_nested_too_deeply(tmp_path):
    path = tmp_path / "odd.safetensors"
    header = b'{"__metadata__": ' + b"[" * 200_000
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(WeightsError, match="damaged"):
        weights.read_meta(path)


def test_an_adapter_with_odd_tensors(tmp_path, tiny_weights):
    good = weights.find(tiny_weights)
    meta = {**good.meta, "kind": "lora", **weights.base_record(good, tmp_path / "adapter.safetensors")}
    name = "segformer_encoder.tf_block1.0.attention.query"
    for a in (torch.zeros(()), torch.zeros(3), torch.zeros(2, 99)):
        path = weights.save(tmp_path / "adapter.safetensors", {f"{name}.lora_a": a}, meta)
        with pytest.raises(WeightsError, match=r"adapter\.safetensors"):
            build_network(weights.find(path))
