"""A training learns, does not collapse, writes what a backbone of timm's names is, and survives a kill."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.stained_slides import make_cases
from tests.workbench.slide.train.tiny_training import SETTINGS, config, run
from workbench import weights
from workbench.core.errors import Cancelled, MismatchError, UsageError, WeightsError
from workbench.core.reports import TrainReport
from workbench.core.settings import build
from workbench.nets.vit import VisionTransformer
from workbench.slide.predict.embed import embed
from workbench.slide.train.settings import SlideTrainConfig, require_sense
from workbench.slide.train.train import train_dino

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return run(folder)


def bytes_of(path: Path) -> dict[str, bytes]:
    return {k: v.numpy().tobytes() for k, v in weights.load_tensors(path).items()}


def test_the_report_is_one_and_the_weights_load(whole):
    assert isinstance(whole, TrainReport)
    assert whole.measure == "k-NN balanced accuracy"
    assert 0 <= whole.score <= 1
    assert whole.log.exists()
    assert whole.stopped == "finished"
    page = whole.report.read_text(encoding="utf-8")
    assert "What it saw" in page
    assert "colour histogram" in page
    found = weights.find(whole.weights, "stainnet")
    assert found.meta["recipe"] == {"mpp": 0.5, "tile": 96, "size": 224}
    assert found.meta["training"]["steps"] == 6
    assert len(found.meta["training"]["slides"]) == 2
    assert len(found.meta["training"]["held_out_slides"]) == 1
    net = VisionTransformer(**found.meta["net"])
    net.load_state_dict(weights.load_tensors(found), strict=True)
    _, features = embed(net, [(0, np.full((256, 256, 3), 200, np.uint8))])
    assert features.shape == (1, 192)
    assert {"untrained own view found", "colour histogram, k-NN balanced accuracy", "spread"} <= set(whole.scores)


def test_a_killed_training_goes_on_bit_for_bit(whole, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.workbench.slide.train.tiny_training", str(tmp_path)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        for line in process.stdout:
            if int(line) == 4:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "net.safetensors").exists()
    steps = []
    rest = run(tmp_path, lambda event: steps.append(event.step), resume=True)
    assert steps == [4, 5, 6], "from the state of step 3"
    assert bytes_of(rest.weights) == bytes_of(whole.weights)
    assert rest.scores == whole.scores
    timeless = [[{k: v for k, v in row.items() if k != "seconds"} for row in r.history] for r in (rest, whole)]
    assert timeless[0] == timeless[1]


def test_cancelling_keeps_what_is_there(tmp_path):
    def stop(event) -> None:
        if event.step == 2:
            raise Cancelled

    report = run(tmp_path, stop)
    assert report.stopped == "cancelled"
    assert weights.read_meta(report.weights)["training"]["steps"] == 2


@pytest.mark.slow
def test_other_settings_do_not_resume(tmp_path):
    def stop(event) -> None:
        if event.step == 1:
            raise Cancelled

    run(tmp_path, stop)
    with pytest.raises(UsageError, match="hue"):
        run(tmp_path, resume=True, hue=0.02)
    with pytest.raises(UsageError, match="--overwrite"):
        run(tmp_path)


@pytest.mark.slow
def test_time_that_is_up_ends_it(tmp_path):
    report = run(tmp_path, max_minutes=0.0001)
    assert report.stopped == "time is up"


@pytest.mark.slow
def test_twenty_steps_lower_the_loss_and_do_not_collapse(tmp_path):
    losses = []
    report = run(
        tmp_path, lambda event: losses.append(event.loss), steps=30, validate_every=30, batch=8, lr=0.03,
        teacher_temp=0.04, freeze_last=0.0,
    )  # fmt: skip
    assert losses[-1] < losses[0] - 0.02
    assert report.scores["spread"] > 0.1
    assert not any("collapsed" in note for note in report.notes)


@pytest.mark.slow
def test_without_labels_and_without_held_out_slides(tmp_path):
    unlabelled = make_cases(tmp_path, 2, labels=False)
    report = train_dino(unlabelled, config(steps=1, val_fraction=0.5), tmp_path / "a.safetensors")
    assert report.measure == "own view found"
    assert "k-NN balanced accuracy" not in report.scores
    alone = train_dino(unlabelled[:1], config(steps=1, val_fraction=0), tmp_path / "b.safetensors")
    assert alone.score is None
    assert "nothing was kept apart" in alone.validation


@pytest.mark.slow
def test_it_goes_on_from_weights_of_the_same_scale(whole, tmp_path):
    cases = make_cases(tmp_path)
    plain = {k: v for k, v in SETTINGS.items() if k not in ("net", "depth")} | {"weights": str(whole.weights)}
    report = train_dino(
        cases, build(SlideTrainConfig, {**plain, "steps": 1, "lr": 1e-3, "save_as": "float16"}),
        tmp_path / "next.safetensors",
    )  # fmt: skip
    before, after = (weights.load_tensors(p) for p in (whole.weights, report.weights))
    assert all(torch.allclose(before[k], after[k].float(), atol=2e-3) for k in before)
    assert {v.dtype for v in after.values()} == {torch.float16}
    other = {**plain, "mpp": 1.0, "steps": 1}
    with pytest.raises(MismatchError, match=r"taught at 0.5.*--force"):
        train_dino(cases, build(SlideTrainConfig, other), tmp_path / "other.safetensors")
    forced = train_dino(cases, build(SlideTrainConfig, {**other, "force": True}), tmp_path / "other.safetensors")
    assert any(note.startswith("forced although scale") for note in forced.notes)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    weights.save(path, {"x": torch.zeros(2)}, {"backend": "stainnet", "net": {"dim": 24, "depth": 1, "num_heads": 3}})
    with pytest.raises(WeightsError, match=r"other\.safetensors") as caught:
        train_dino(make_cases(tmp_path), config(depth=0, weights=str(path)), tmp_path / "net.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"global_scale": (0.9, 0.5)}, "global_scale=0.9 0.5"),
        ({"local_size": 100}, "local_size=100.*multiple"),
        ({"steps": 0, "epochs": 0.0}, "nothing to train"),
        ({"teacher_temp": 0.2}, "teacher_temp=0.2"),
        ({"end_lr": 0.5}, "end_lr=0.5"),
        ({"weights": "demo", "depth": 3}, "depth=3"),
    ],
)
def test_settings_that_cannot_work_are_one_line(changes, says):
    with pytest.raises(UsageError, match=says) as caught:
        require_sense(config(**changes))
    assert "\n" not in str(caught.value)


def test_values_out_of_range_are_one_line():
    with pytest.raises(UsageError, match="batch=1 is below"):
        config(batch=1)
    with pytest.raises(UsageError, match="unknown setting 'momentun'"):
        config(momentun=0.9)
    assert json.loads(json.dumps(config().net_config()))["depth"] == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_learns_from_the_same_crops(tmp_path):
    here, there = (run(tmp_path / d, steps=3, device=d) for d in ("cpu", "cuda"))
    assert here.history[0]["loss"] == pytest.approx(there.history[0]["loss"], rel=1e-2)
    a, b = (weights.load_tensors(r.weights) for r in (here, there))
    assert all(torch.allclose(a[k], b[k], atol=1e-2) for k in a)
    half = run(tmp_path / "half", steps=3, device="cuda", precision="bfloat16")
    assert half.stopped == "finished"
