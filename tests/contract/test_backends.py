"""What every backend must keep, run on the CPU with a tiny but real configuration."""

import dataclasses

import numpy as np
import pytest

from tests.tiny import (
    make_tiny_meg_weights,
    make_tiny_recording,
    make_tiny_scene,
    make_tiny_scene_weights,
    make_tiny_weights,
    make_volume,
)
from workbench import api
from workbench.core import settings
from workbench.core.device import choose
from workbench.core.errors import Cancelled, UsageError
from workbench.core.registry import backends, find
from workbench.core.types import Heatmap, Labels, Provenance, Result

# A function per backend that makes (weights file, image file) in a folder.
TINY = {
    "segformer3d": lambda folder: (make_tiny_weights(folder / "w.safetensors"), make_volume(folder / "ct.nii.gz")),
    "lola_specvit": lambda folder: (
        make_tiny_scene_weights(folder / "w.safetensors", make_tiny_scene(folder / "cube.npy")),
        folder / "cube.npy",
    ),
    "meg_gpt": lambda folder: (
        make_tiny_meg_weights(folder / "w.safetensors"),
        make_tiny_recording(folder / "parcels.npy"),
    ),
}


@pytest.fixture(params=sorted(backends()))
def tiny(request, tmp_path):
    return find(request.param), *TINY[request.param](tmp_path)


def test_the_row_is_complete(tiny):
    row, *_ = tiny
    assert row.title
    assert row.task
    assert row.reads
    assert row.gives
    assert row.paper
    assert row.licence == "BSD-3-Clause"


def test_the_config_declares_every_setting_with_help(tiny):
    module = tiny[0].load_module()
    for name in ("Config", "TrainConfig", "EvaluateConfig"):
        config = getattr(module, name)
        assert dataclasses.is_dataclass(config)
        assert config.__dataclass_params__.frozen
        for s in settings.describe(config).values():
            assert len(s.help) > 10, s
            assert s.type in (bool, int, float, str), s
        assert {"weights", "device"} <= set(settings.describe(config))
        settings.build(config, {})


def test_load_and_predict_give_parts_on_the_images_grid(tiny):
    row, weights, path = tiny
    module = row.load_module()
    config = settings.build(module.Config, {"weights": str(weights), "device": "cpu"})
    model = module.load(config, choose("cpu")[0])
    assert model.weights.path == weights
    image = api.read(path)
    steps = []
    result = module.predict(model, image, config, lambda done, total: steps.append((done, total)))
    assert isinstance(result, Result)
    assert isinstance(result.provenance, Provenance)
    assert result.provenance.weights_sha256 == model.weights.sha256
    assert result.provenance.settings["device"] == "cpu"
    assert steps
    assert steps[-1][0] == steps[-1][1]
    for part in result.parts.values():
        if isinstance(part, Labels | Heatmap):
            assert part.geometry.matches(image.geometry)
            assert part.data.shape == image.geometry.shape
    again = module.predict(model, image, config)
    for name, part in result.parts.items():
        if isinstance(part, Labels):
            assert np.array_equal(part.data, again.parts[name].data)


def test_cancel_passes_through_at_the_first_step(tiny):
    row, weights, path = tiny
    calls = []

    def stop(done, total):
        calls.append(done)
        raise Cancelled

    with pytest.raises(Cancelled):
        api.predict(row.name, path, weights=str(weights), progress=stop)
    assert len(calls) == 1


def test_unknown_settings_are_errors_with_the_nearest_name(tiny):
    row, weights, path = tiny
    with pytest.raises(UsageError, match="Did you mean 'weights'"):
        api.predict(row.name, path, weigths=str(weights))


def test_unknown_backend_is_an_error_with_the_nearest_name():
    with pytest.raises(UsageError, match="Did you mean 'segformer3d'"):
        api.predict("segformer", "x.nii")
