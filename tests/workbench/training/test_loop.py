"""The loop: a kill costs nothing, the best weights win, and it stops when it should."""

import csv
import dataclasses
import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.workbench.training import toy
from workbench.core.errors import Cancelled, UsageError, WeightsError
from workbench.training import checkpoint
from workbench.training.loop import LoopSettings, fit


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


def test_it_learns_and_keeps_the_best_averaged_weights(tmp_path: Path) -> None:
    result = toy.run(tmp_path)
    scores = [row["score"] for row in result.history]
    assert scores[-1] > scores[0] + 1
    assert result.score == max(scores)
    net = toy.make_net()
    net.load_state_dict(result.state)
    assert toy.validate(net.eval())["score"] == pytest.approx(result.score, abs=1e-6)


def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    def stop_at_21(event) -> None:
        if event.step == 21:
            raise Cancelled

    whole = toy.run(tmp_path / "whole")
    half = toy.run(tmp_path / "half", on_event=stop_at_21)
    assert half.stopped == "cancelled"
    rest = toy.run(tmp_path / "half", resume=True)
    assert_same(rest.state, whole.state)
    assert rest.score == whole.score
    assert [r["score"] for r in rest.history] == [r["score"] for r in whole.history]


def test_kill_9_loses_at_most_the_steps_since_the_last_state(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.workbench.training.toy", str(tmp_path)],
        cwd=root, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        for line in process.stdout:
            if int(line) == 23:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "state.safetensors").exists()
    seen = []
    resumed = toy.run(tmp_path, resume=True, on_event=lambda e: seen.append(e.step))
    assert seen[0] in (21, 22, 23, 24, 25)  # a state is kept every 4 steps
    assert_same(resumed.state, toy.run(None).state)


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    toy.run(tmp_path)
    with pytest.raises(UsageError, match=r"differed in settings\.lr"):
        toy.run(tmp_path, settings=dataclasses.replace(toy.SETTINGS, lr=0.01), resume=True)


def test_a_broken_state_is_refused_and_never_unpickled(tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(WeightsError, match="not the state of a training"):
        toy.run(tmp_path, resume=True)


def test_early_stopping_waits_for_patience(tmp_path: Path) -> None:
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.9])
    settings = LoopSettings(steps=60, validate_every=2, patience=3)
    result = fit(toy.make_net(), toy.draw, toy.loss_of, settings, validate=lambda m: {"score": next(scores)})
    assert result.stopped == "no progress"
    assert (result.step, result.best_step, result.score) == (10, 4, 0.5)


def test_cancelling_keeps_the_best_so_far(tmp_path: Path) -> None:
    def stop(event) -> None:
        if event.step == 30:
            raise Cancelled

    result = toy.run(tmp_path, on_event=stop)
    assert result.stopped == "cancelled"
    assert result.best_step in (8, 16, 24)
    assert result.score == max(r["score"] for r in result.history)


def test_a_time_budget_ends_the_training_with_a_low_rate() -> None:
    rates = []
    settings = LoopSettings(steps=10**6, max_minutes=0.02, validate_every=10**6, save_every=10**6)
    result = toy.run(None, settings=settings, on_event=lambda e: rates.append(e.lr))
    assert result.stopped == "time is up"
    assert 1.0 < result.seconds < 10.0
    assert rates[-1] < 0.05 * max(rates)
    assert result.score is not None  # validated at the end all the same


@pytest.mark.parametrize(
    "more", [{"max_minutes": 0.005, "steps": 10**6}, {"patience": 2, "lr": 0.0, "validate_every": 2, "steps": 60}]
)
def test_what_had_come_to_its_end_is_not_taken_further_by_resuming(tmp_path: Path, more) -> None:
    """Else a second stage that builds on this one would find another one when it is resumed."""
    settings = LoopSettings(**{"validate_every": 10**6, **more})
    first = toy.run(tmp_path, settings=settings)
    events = []
    again = toy.run(tmp_path, settings=settings, resume=True, on_event=events.append)
    assert not events
    assert again.stopped == first.stopped != "finished"
    assert (again.step, again.best_step, again.score) == (first.step, first.best_step, first.score)
    assert all(torch.equal(again.state[k], v) for k, v in first.state.items())


def test_the_log_is_csv_with_a_row_per_validation(tmp_path: Path) -> None:
    result = toy.run(tmp_path)
    with (tmp_path / "log.csv").open() as f:
        rows = list(csv.DictReader(f))
    assert [int(r["step"]) for r in rows] == [8, 16, 24, 32, 40]
    assert float(rows[-1]["score"]) == result.history[-1]["score"]
    assert {"loss", "lr", "seconds"} <= set(rows[0])


def test_events_tell_time_left_and_scores() -> None:
    events = []
    toy.run(None, on_event=events.append)
    assert [e.step for e in events] == list(range(1, 41))
    assert events[0].score is None
    assert events[-1].validated
    assert events[-1].seconds_left == 0
    assert "left" in events[-1].line()
    assert "Dice" in events[-1].line()


def test_frozen_parameters_stay_and_nothing_to_train_is_an_error() -> None:
    net = toy.make_net()
    net[0].requires_grad_(False)
    before = net[0].weight.clone()
    fit(net, toy.draw, toy.loss_of, LoopSettings(steps=5, lr=0.1))
    assert torch.equal(net[0].weight, before)
    with pytest.raises(UsageError, match="frozen"):
        fit(net.requires_grad_(False), toy.draw, toy.loss_of, LoopSettings(steps=1))


def test_a_loss_that_is_not_finite_is_named() -> None:
    with pytest.raises(UsageError, match="loss became nan at step 0"):
        fit(toy.make_net(), toy.draw, lambda m, b: nn.functional.mse_loss(m(b[0]), b[1] * float("nan")), toy.SETTINGS)


def test_named_parameters_norms_and_biases_do_not_decay(tmp_path: Path) -> None:
    net = nn.Sequential()
    net.embed, net.norm, net.linear = nn.Embedding(4, 3), nn.LayerNorm(3), nn.Linear(3, 2)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    settings = LoopSettings(steps=1, lr=0.1, weight_decay=1.0, no_decay="embed", warmup=0.0, ema=0.0, floor=1.0)
    # The sum does not change with any parameter: what moves, moves by decay alone.
    result = fit(net, lambda n: n, lambda model, n: sum(p.sum() * 0.0 for p in model.parameters()), settings)
    moved = {k for k, v in result.state.items() if not torch.equal(v, before[k])}
    assert moved == {"linear.weight"}
    assert torch.allclose(result.state["linear.weight"], 0.9 * before["linear.weight"])


def test_the_floor_is_where_the_rate_ends_and_the_warm_up_starts_low() -> None:
    from workbench.training.schedule import warmup_cosine

    assert warmup_cosine(1.0, 0.1, floor=0.1) == pytest.approx(0.1)
    assert warmup_cosine(0.0, 0.1, floor=0.1) == pytest.approx(0.01)
    assert {warmup_cosine(f, 0.0, floor=1.0) for f in (0.0, 0.3, 1.0)} == {1.0}


def test_decay_goes_along_half_a_cosine_to_its_end() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrix = nn.Parameter(torch.ones(2, 2))
            self.bias = nn.Parameter(torch.ones(2))

    def value(**settings) -> tuple[float, float]:
        result = fit(
            Idle(), lambda n: n, lambda m, n: 0 * (m.matrix.sum() + m.bias.sum()),
            LoopSettings(steps=4, lr=0.1, warmup=0.0, floor=1.0, ema=0.0, keep="last", **settings),
        )  # fmt: skip
        return float(result.state["matrix"][0, 0]), float(result.state["bias"][0])

    decays = [0.4 + (0.04 - 0.4) * 0.5 * (1 + math.cos(math.pi * n / 4)) for n in (1, 2, 3, 4)]
    assert value(weight_decay=0.04, weight_decay_end=0.4) == pytest.approx(
        (math.prod(1 - 0.1 * d for d in decays), 1.0), rel=1e-6
    )
    assert value(weight_decay=0.04) == pytest.approx(((1 - 0.1 * 0.04) ** 4, 1.0), rel=1e-6)


def test_states_from_before_the_end_of_decay_are_still_continued(tmp_path: Path) -> None:
    toy.run(tmp_path)
    assert "weight_decay_end" not in checkpoint.load(tmp_path / "state.safetensors").values["identity"]["settings"]
