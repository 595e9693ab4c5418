"""A real CT is learnt in minutes, and faster from the demo weights than from scratch."""

import math

import pytest

from workbench.core.settings import build
from workbench.core.types import Case
from workbench.volume.train.settings import TrainConfig
from workbench.volume.train.train import train_volumes

MERGE = "liver:5,spleen:1,kidneys:2+3,aorta:52,vertebrae:26-50"


def seconds_to(history: list[dict[str, float]], score: float) -> float:
    return next((row["seconds"] for row in history if row["score"] >= score), math.inf)


@pytest.mark.slow
def test_an_abdomen_is_learnt_in_minutes_and_faster_from_demo_weights(shared_data, tmp_path) -> None:
    volume = shared_data / "volume"
    case = Case("abdomen", volume / "ct_abdomen_3mm.nii.gz", volume / "ct_abdomen_3mm_organs.nii.gz", "one")
    common = {"device": "cpu", "classes": MERGE, "steps": 500, "batch": 1, "validate_every": 25, "ema": 0.97}
    demo = train_volumes([case], build(TrainConfig, common | {"weights": "demo"}), tmp_path / "demo.safetensors")
    scratch = train_volumes([case], build(TrainConfig, common | {"weights": "none"}), tmp_path / "none.safetensors")
    assert demo.score is not None
    assert demo.score > 0.85
    assert set(demo.copied) == {"liver", "spleen", "kidneys", "aorta", "vertebrae"}
    assert seconds_to(demo.history, 0.8) < seconds_to(scratch.history, 0.8)
    assert demo.seconds < 600
