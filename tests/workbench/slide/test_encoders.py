"""Encoders of other groups: their description is believed only as far as it can be right; nothing is executed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from workbench.core.errors import UsageError, WeightsError
from workbench.slide import encoders, stainnet
from workbench.slide.predict.view import View, to_input
from workbench.slide.settings import Config

SEEN = {"input_size": [3, 224, 224], "mean": [0.48, 0.45, 0.4], "std": [0.22, 0.22, 0.23], "interpolation": "bilinear",
        "crop_pct": 0.9, "crop_mode": "center"}  # fmt: skip


def folder_of(path, described, state=None):
    path.mkdir(exist_ok=True)
    text = described if isinstance(described, str) else json.dumps(described)
    (path / "config.json").write_text(text, encoding="utf-8")
    save_file(state or {"a": torch.zeros(1)}, path / "model.safetensors")
    return str(path)


def described(**changes):
    return {"architecture": "resnet18", "pretrained_cfg": {**SEEN, **changes}}


def test_how_tiles_are_prepared_is_read_from_the_description(tmp_path):
    found = encoders.find(folder_of(tmp_path / "e", described()))
    assert encoders.view_of(found) == View(224, (0.48, 0.45, 0.4), (0.22, 0.22, 0.23), "bilinear", 0.9)
    assert found.sha256 == stainnet.weights_hash(Config(encoder=str(tmp_path / "e")))
    own = encoders.find(folder_of(tmp_path / "e", {"architecture": "resnet18", **SEEN, "crop_pct": 1}))
    assert encoders.view_of(own).crop == 1
    (tmp_path / "e" / "config.json").write_text(json.dumps(described() | {"pretrained_cfg": {
        k: v for k, v in SEEN.items() if k != "crop_pct"}}))  # fmt: skip
    assert encoders.view_of(encoders.find(str(tmp_path / "e"))).crop == 0.875, "as timm takes it"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON"),
        ("[1]", "names no 'architecture'"),
        ('{"architecture": "hf-hub:evil/net"}', "names no 'architecture'"),
        ('{"architecture": "a", "model_args": {"checkpoint_path": "/x.pth"}}', "must not hold checkpoint_path"),
        ('{"architecture": "a", "model_args": {"pretrained": true}}', "must not hold pretrained"),
        ('{"architecture": "a", "model_args": 3}', "must be objects"),
        ('{"architecture": "a", "model_args": {"device": "meta"}}', "must not hold device"),
        ('{"architecture": "a", "model_args": {"depth": 10000000}}', "hold numbers of 8,192 or more"),
        ('{"architecture": "a", "model_args": {"init_values": NaN}}', "hold numbers of 8,192 or more"),
    ],
)
def test_descriptions_that_are_none_or_would_load_something_else(tmp_path, text, words):
    with pytest.raises(WeightsError, match=words):
        encoders.find(folder_of(tmp_path / "e", text))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mean": None}, "does not say input_size, mean and std"),
        ({"input_size": [3, 224, 112]}, "cannot be"),
        ({"input_size": [1, 224, 224]}, "cannot be"),
        ({"std": [0.2, 0, 0.2]}, "cannot be"),
        ({"crop_pct": 1.5}, "cannot be"),
        ({"crop_pct": 1e-9}, "cannot be"),
        ({"std": [float("nan")] * 3}, "does not say"),
        ({"mean": [float("inf")] * 3}, "does not say"),
        ({"std": [True, True, True]}, "does not say"),
        ({"std": [1e-300] * 3}, "cannot be"),
        ({"input_size": [3, 32.5, 32.5]}, "cannot be"),
        ({"crop_pct": "all"}, "does not say"),
        ({"interpolation": "magic"}, "interpolation magic"),
        ({"crop_mode": "border"}, "crop border"),
    ],
)
def test_what_is_not_done_here_is_refused(tmp_path, changes, words):
    with pytest.raises(WeightsError, match=words):
        encoders.view_of(encoders.find(folder_of(tmp_path / "e", described(**changes))))


def test_no_folder_of_an_encoder_and_two_networks(tmp_path):
    with pytest.raises(WeightsError, match="no encoder; expected hf_hub:OWNER/NAME, or a folder with config.json"):
        encoders.find(str(tmp_path))
    with pytest.raises(UsageError, match="two networks: give one"):
        stainnet.weights_hash(Config(weights="stainnet-small", encoder=str(tmp_path)))


def test_a_view_takes_the_middle_and_its_own_numbers():
    tile = np.zeros((100, 100, 3), np.uint8)
    tile[25:75, 25:75] = 255
    seen = to_input(tile, View(50, (0.0, 0.0, 0.0), (1.0, 1.0, 0.5), "bilinear", 0.5))
    assert seen.shape == (3, 50, 50)
    assert seen[:, 25, 25].tolist() == [1, 1, 2]
    assert (seen[:2] == 1).all(), "the white middle, nothing of the edge"


def test_networks_of_timm_give_what_timm_gives(tmp_path):
    timm = pytest.importorskip("timm", reason="timm is not installed (extra timm; it needs torchvision)")
    for name, arguments in (("vit_tiny_patch16_224", {"dynamic_img_size": True}), ("resnet18", {})):
        torch.manual_seed(0)
        theirs = timm.create_model(name, pretrained=False, num_classes=5, **arguments).eval()
        about = described() | {"architecture": name, "model_args": arguments}
        found = encoders.find(folder_of(tmp_path / name, about, theirs.state_dict()))
        own = encoders.build(found).eval()
        theirs.reset_classifier(0)
        x = torch.randn(2, 3, 224, 224)
        with torch.inference_mode():
            assert torch.equal(own(x), theirs(x))
        assert own.dim == own(x).shape[1]
        state = theirs.state_dict()
        state.pop(next(iter(state)))
        with pytest.raises(WeightsError, match="lacks 1 entries"):
            encoders.build(encoders.find(folder_of(tmp_path / name, about, state)))


def test_the_transform_of_timm(tmp_path):
    data = pytest.importorskip("timm.data", reason="timm is not installed (extra timm; it needs torchvision)")
    from PIL import Image as Pillow

    view = encoders.view_of(encoders.find(folder_of(tmp_path / "e", described())))
    for size in (256, 250, 224, 300):
        tile = np.random.default_rng(size).integers(0, 255, (size, size, 3), dtype=np.uint8)
        for one in (view, replace(view, filter="bicubic", crop=1.0)):
            theirs = data.create_transform(
                (3, 224, 224), interpolation=one.filter, mean=one.mean, std=one.std, crop_pct=one.crop
            )
            assert np.allclose(to_input(tile, one), theirs(Pillow.fromarray(tile)).numpy(), atol=1e-6)


def test_without_timm_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"pip install 'napari-workbench\[timm\]'"):
        encoders.build(encoders.find(folder_of(tmp_path / "e", described())))
