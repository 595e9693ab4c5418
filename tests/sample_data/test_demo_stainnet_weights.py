"""The demo weights are small, say what they are, and do on held-out tissue what their card says."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench import weights
from workbench.core.samples import demo_weights
from workbench.core.settings import build
from workbench.nets.vit import VisionTransformer
from workbench.slide.train.settings import SlideTrainConfig
from workbench.slide.train.study import open_study
from workbench.slide.train.tiles_of import TileSource
from workbench.slide.train.validate import Validation

SCRIPT = Path(__file__).resolve().parents[2] / "sample_data" / "train_stainnet_weights.py"


@pytest.fixture(scope="module")
def card():
    return demo_weights()["stainnet"].with_suffix(".md").read_text(encoding="utf-8")


def test_the_file_is_small_and_says_what_it_is():
    path = demo_weights()["stainnet"]
    assert path.stat().st_size < 4e6
    found = weights.find("demo", "stainnet")
    assert found.meta["recipe"] == {"mpp": 0.5, "tile": 256, "size": 224, "pooling": "mean"}
    assert found.meta["title"]
    training = found.meta["training"]
    assert training["stopped"] == "finished"
    assert all("left" in name for name in training["slides"])
    assert all("right" in name for name in training["held_out_slides"])
    tensors = weights.load_tensors(found)
    assert {t.dtype for t in tensors.values()} == {torch.float16}
    VisionTransformer(**found.meta["net"]).load_state_dict({k: v.float() for k, v in tensors.items()}, strict=True)


def test_the_card_says_what_not_to_do_and_where_the_picture_is_from(card):
    plain = " ".join(card.split())
    for text in ("Research use only", "must not be used", "CMMI", "no known copyright restrictions", "random weights",
                 "colour histogram", "never saw"):  # fmt: skip
        assert text in plain, text


@pytest.mark.slow
def test_held_out_tiles_are_told_apart_as_the_card_says(card):
    made = runpy.run_path(str(SCRIPT))
    config = build(SlideTrainConfig, {**made["SETTINGS"], "val_tiles": 256})
    study = open_study(made["cases_of"](), config)
    validation = Validation(study, TileSource(study.train), TileSource(study.val), config, torch.device("cpu"))
    found = weights.find("demo", "stainnet")
    net = VisionTransformer(**found.meta["net"])
    net.load_state_dict({k: v.float() for k, v in weights.load_tensors(found).items()})
    row = re.search(r"\*\*balanced accuracy\*\* \| \d+ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+)", card)
    with torch.no_grad():
        assert validation.knn(net.eval()).balanced == pytest.approx(float(row[1]), abs=0.02)
    assert validation.knn_of_colours().balanced == pytest.approx(float(row[3]), abs=0.005)
    assert np.isfinite(float(row[2]))
