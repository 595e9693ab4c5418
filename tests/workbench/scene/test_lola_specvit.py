"""The backend: areas from the true pixel size, holes, thresholds, tiles as they come, and weights that do not fit."""

import numpy as np
import pytest
import torch

from tests.scenes import cube_image, labels_of, scene_arrays
from workbench import weights
from workbench.core.errors import Cancelled, InputError, WeightsError
from workbench.core.settings import build
from workbench.scene.lola_specvit import Config, areas, load, model_of, predict
from workbench.scene.train.settings import SceneTrainConfig
from workbench.scene.train.train import learn_scene, record_of, save

QUICK = {"device": "cpu", "components": 5, "patch": 5, "steps": 1, "batch": 9, "head_start": 100}


@pytest.fixture(scope="module")
def learnt():
    cube, labels = scene_arrays()
    image = cube_image(cube)
    return learn_scene(image, labels_of(labels, image), build(SceneTrainConfig, QUICK)), image, labels


def test_areas_come_from_the_pixel_size(learnt) -> None:
    _, image, labels = learnt
    table = areas(labels_of(labels, image))
    assert table.columns == ("class", "value", "pixels", "share [%]", "area [m2]")
    counts = np.bincount(labels.ravel())[1:]
    assert [r[2] for r in table.rows] == counts.tolist()
    assert [r[4] for r in table.rows] == (counts * 4.0).tolist()
    bare = areas(labels_of(labels, cube_image(image.data, affine=False)))
    assert all(r[4] is None for r in bare.rows)


def test_pixels_without_a_spectrum_get_no_class(learnt) -> None:
    taught, image, _ = learnt
    cube = image.data.copy()
    cube[4, 3, 5] = np.nan
    result = predict(model_of(taught), cube_image(cube), Config())
    assert result.labels.data[3, 5] == 0
    assert (result.labels.data == 0).sum() == 1
    with pytest.raises(InputError, match="no pixel holds a whole spectrum"):
        predict(model_of(taught), cube_image(np.full_like(cube, np.nan)), Config())


def test_doubtful_pixels_can_be_left_out(learnt) -> None:
    taught, image, _ = learnt
    sure = predict(model_of(taught), image, Config(min_confidence=0.9))
    confidence = sure.parts["confidence"].data
    assert ((sure.labels.data == 0) == (confidence < 0.9)).all()


def test_tiles_arrive_with_class_values_and_cover_the_scene(learnt) -> None:
    taught, image, _ = learnt
    grown = np.zeros(image.geometry.shape, int)
    result = predict(model_of(taught), image, Config(tile=12), on_tile=lambda r, c, m: grown.__setitem__((r, c), m))
    assert np.array_equal(grown, result.labels.data)
    whole = predict(model_of(taught), image, Config(mode="patches"))
    assert (whole.labels.data == result.labels.data).mean() > 0.995


def test_components_can_be_fitted_on_the_new_scene(learnt) -> None:
    taught, image, _ = learnt
    result = predict(model_of(taught), image, Config(pca="scene"))
    assert any("fitted on this scene" in n for n in result.provenance.notes)
    assert np.array_equal(result.labels.data, predict(model_of(taught), image, Config()).labels.data)


def test_a_reference_map_from_the_spectra_in_the_file(learnt, tmp_path) -> None:
    taught, image, labels = learnt
    file = save(tmp_path / "w.safetensors", taught, record_of(taught, image))
    config = Config(weights=str(file), device="cpu", reference=True)
    result = predict(load(config, torch.device("cpu")), image, config)
    reference = result.parts["reference_labels"]
    assert (reference.data == labels).mean() > 0.95
    assert reference.data.dtype == result.labels.data.dtype
    assert result.labels.name == "labels"
    bare = {k: v for k, v in weights.load_tensors(file).items() if k not in ("spectra.known", "spectra.values")}
    weights.save(file, bare, weights.read_meta(file))
    with pytest.raises(WeightsError, match="leave out --reference"):
        predict(load(config, torch.device("cpu")), image, config)


def test_cancel(learnt) -> None:
    taught, image, _ = learnt

    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        predict(model_of(taught), image, Config(), stop)


def test_weights_that_do_not_fit(learnt, tmp_path) -> None:
    taught, image, _ = learnt
    good = save(tmp_path / "good.safetensors", taught, record_of(taught, image))
    tensors, meta = weights.load_tensors(good), weights.read_meta(good)
    config = Config(weights=str(tmp_path / "bad.safetensors"), device="cpu")
    torch.save({"a": torch.ones(2)}, tmp_path / "foreign.pt")
    with pytest.raises(WeightsError, match="no record of ours"):
        load(Config(weights=str(tmp_path / "foreign.pt")), torch.device("cpu"))
    for change, message in (
        ({k: v for k, v in tensors.items() if k != "spectra.basis"}, "basis"),
        ({k: v for k, v in tensors.items() if k != "head.weight"}, "head.weight"),
    ):
        weights.save(tmp_path / "bad.safetensors", change, meta)
        with pytest.raises(WeightsError, match=message):
            load(config, torch.device("cpu"))
    weights.save(tmp_path / "bad.safetensors", tensors, {k: v for k, v in meta.items() if k != "spectra"})
    with pytest.raises(WeightsError, match="how spectra are prepared"):
        load(config, torch.device("cpu"))


def test_a_volume_is_refused(learnt) -> None:
    import dataclasses

    taught, image, _ = learnt
    with pytest.raises(InputError, match="is a volume, a spectral cube was expected"):
        predict(model_of(taught), dataclasses.replace(image, kind="volume"), Config())
