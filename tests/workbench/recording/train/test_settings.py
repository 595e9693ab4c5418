"""The published schedules are what the sheet says, and temperatures never reach 0."""

import pytest

from workbench.core.settings import build
from workbench.recording.train.settings import MEGTrainConfig


def test_the_released_schedule():
    config = build(MEGTrainConfig, {"schedule": "released"})
    tokenizer, model = config.tokenizer_schedule(), config.model_schedule()
    assert (tokenizer.epochs, tokenizer.batch, tokenizer.lr, tokenizer.floor) == (20, 128, 1e-5, 1.0)
    assert (model.betas, model.weight_decay, model.lr, model.warmup) == ((0.9, 0.98), 0.01, 1e-5, 0.1)
    assert model.lr * model.floor == pytest.approx(1e-6)
    assert model.clip == 1.0
    temperatures = config.temperatures()
    assert len(temperatures) == 20
    assert temperatures[0] == 1.0
    assert temperatures[-1] == pytest.approx(1e-3)
    assert config.tokenizer_start() == "random"


def test_the_papers_schedule():
    config = build(MEGTrainConfig, {"schedule": "paper"})
    tokenizer, model = config.tokenizer_schedule(), config.model_schedule()
    assert (tokenizer.epochs, tokenizer.batch, tokenizer.lr, tokenizer.eps) == (40, 32, 1e-5, 1e-7)
    assert (model.epochs, model.batch, model.lr, model.weight_decay) == (60, 8, 1e-5, 0.0)
    assert len(config.temperatures()) == 40


@pytest.mark.parametrize("schedule", ["fast", "released", "paper"])
@pytest.mark.parametrize("stages", [0, 1, 7])
def test_temperatures_fall_and_stay_above_zero(schedule, stages):
    found = build(MEGTrainConfig, {"schedule": schedule, "annealing": stages}).temperatures()
    assert all(t > 0 for t in found)
    assert found == sorted(found, reverse=True)
    assert stages in (0, len(found))


def test_what_is_set_wins_over_the_schedule():
    config = build(
        MEGTrainConfig,
        {"schedule": "released", "steps": 9, "lr": 0.5, "tokenizer_epochs": 2.5, "weight_decay": 0.0, "ema": 0.5,
         "start": "levels", "temperature": 0.4},
    )  # fmt: skip
    assert (config.model_schedule().steps, config.model_schedule().epochs) == (9, 0)
    assert config.model_schedule().lr == 0.5
    assert (config.model_schedule().weight_decay, config.model_schedule().ema) == (0.0, 0.5)
    assert (config.tokenizer_schedule().epochs, config.tokenizer_schedule().steps) == (2.5, 0)
    assert config.tokenizer_start() == "levels"
    assert config.temperatures()[0] == 0.4
