"""Training on pixels end to end: it learns, stops, resumes, adapts to other scenes and classes."""

import csv
import json

import numpy as np
import pytest
import torch

from tests.scenes import NAMES, cube_image, labels_of, scene_arrays, write_npy
from workbench import weights
from workbench.core.classes import ClassTable
from workbench.core.device import choose
from workbench.core.errors import Cancelled, InputError, UsageError, WeightsError
from workbench.core.settings import build
from workbench.core.types import Case, Labels
from workbench.nets.lora_strength import CyclicalStrength
from workbench.scene.lola_specvit import Config, build_network, load, model_of, predict
from workbench.scene.predict.blocks import Scene
from workbench.scene.train.data import PixelData, loss_function, turned
from workbench.scene.train.settings import SceneTrainConfig
from workbench.scene.train.train import learn_scene, map_pixels, record_of, save, train_pixels

QUICK = {"device": "cpu", "components": 6, "patch": 5, "steps": 4, "batch": 9, "head_start": 150, "val_fraction": 0.2}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Such small work only loses time to threads that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def config(**changes):
    return build(SceneTrainConfig, QUICK | changes)


@pytest.fixture(scope="module")
def scene():
    cube, labels = scene_arrays()
    image = cube_image(cube)
    return image, labels_of(labels, image)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_npy(tmp_path_factory.mktemp("scene"), *scene_arrays())


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "first.safetensors"
    return train_pixels([Case("s", *files)], config(split="random", per_class=20), out)


def test_twenty_pixels_per_class_are_enough_for_three_materials(trained) -> None:
    assert trained.test["OA"] > 0.9
    assert trained.test["kappa"] > 0.85
    assert trained.measure == "accuracy"
    assert "held-out pixels" in trained.validation
    rows = list(csv.DictReader(trained.log.read_text(encoding="utf-8").splitlines()))
    assert [float(r["accuracy"]) for r in rows] == [h["accuracy"] for h in trained.history]
    assert "Confusion matrix" in trained.report.read_text(encoding="utf-8")


def test_the_file_holds_all_that_mapping_needs(trained, files) -> None:
    from workbench.data import formats

    found = weights.find(trained.weights, "lola_specvit")
    assert found.meta["training"]["train_pixels"] == 48
    assert found.meta["training"]["test_pixels"] == 30 * 26 - 60
    assert found.meta["scores"]["OA"] == trained.test["OA"]
    image = formats.read(files[0])
    model = load(Config(weights=str(trained.weights), device="cpu"), torch.device("cpu"))
    result = predict(model, image, Config())
    truth = np.load(files[1])
    assert (result.labels.data == truth).mean() > 0.9
    assert {"labels", "confidence", "areas"} == set(result.parts)


def test_the_same_seed_gives_the_same_network(scene) -> None:
    image, labels = scene
    a, b, c = (learn_scene(image, labels, config(seed=s, steps=2, head_start=5)) for s in (1, 1, 2))
    assert all(torch.equal(v, b.net.state_dict()[k]) for k, v in a.net.state_dict().items())
    assert not torch.equal(a.net.head.weight, c.net.head.weight)


def test_a_killed_training_goes_on_as_if_nothing_had_happened(scene, tmp_path) -> None:
    image, labels = scene
    short = {"validate_every": 1, "head_start": 5}
    whole = learn_scene(image, labels, config(**short))

    def stop(event) -> None:
        if event.step == 2:
            raise Cancelled

    first = learn_scene(image, labels, config(**short), folder=tmp_path, on_event=stop)
    assert first.result.stopped == "cancelled"
    again = learn_scene(image, labels, config(**short, resume=True), folder=tmp_path)
    assert again.result.step == 4
    assert torch.allclose(again.net.head.weight, whole.net.head.weight, atol=1e-6)


def test_it_stops_when_nothing_improves(scene) -> None:
    image, labels = scene
    learnt = learn_scene(image, labels, config(steps=40, validate_every=1, patience=2, lr=1e-7, ema=0.0, head_start=5))
    assert learnt.result.stopped == "no progress"
    assert learnt.result.step < 40


def test_the_head_start_judges_single_spectra(scene) -> None:
    image, labels = scene
    learnt = learn_scene(image, labels, config(steps=1, head_start=200, lr=2e-3))
    assert float(learnt.net.context_gain.detach().abs().max()) < 0.01
    found, confidence = map_pixels(learnt, image)
    assert (found == labels.data).mean() > 0.9
    assert confidence.min() > 0.3


def test_cancel_does_not_wait_for_the_head_start(scene) -> None:
    steps = []

    def stop(event):
        steps.append(event.step)
        raise Cancelled

    with pytest.raises(Cancelled):
        learn_scene(*scene, config(head_start=100_000), on_event=stop)
    assert steps == [0]


def test_class_values_and_names_survive(scene) -> None:
    image, labels = scene
    table = ClassTable.from_json(
        [{"value": v, "name": n, "color": [1, 2, 3]} for v, n in zip((3, 7, 300), NAMES, strict=True)]
    )
    other = Labels(np.array([0, 3, 7, 300])[labels.data], image.geometry, table)
    learnt = learn_scene(image, other, config())
    assert learnt.classes.names == NAMES
    result = predict(model_of(learnt), image, Config())
    assert result.labels.data.dtype == np.uint16
    assert (result.labels.data == other.data).mean() > 0.9


def test_adapting_to_another_scene_with_other_classes(trained, tmp_path) -> None:
    cube, labels = scene_arrays(seed=5, light=0.2)
    two = np.where(labels == 2, 0, labels)
    image = cube_image(cube)
    out = tmp_path / "adapted.safetensors"
    adapting = config(weights=str(trained.weights), lora_rank=2, lr=1e-2, steps=12)
    learnt = learn_scene(image, labels_of(two, image), adapting)
    assert learnt.net.config["num_classes"] == 2
    base = weights.load_tensors(trained.weights)
    kept = learnt.net.state_dict()["spectral_conv.0.weight"]
    assert torch.equal(kept, base["spectral_conv.0.weight"])
    assert torch.equal(learnt.net.state_dict()["spectral_conv.1.running_mean"], base["spectral_conv.1.running_mean"])
    save(out, learnt, record_of(learnt, image))
    assert out.stat().st_size < 0.5 * trained.weights.stat().st_size
    # Found by hash beside it.
    (tmp_path / "base.safetensors").write_bytes(trained.weights.read_bytes())
    net, fitted, classes = build_network(weights.find(out))
    assert classes.names == ("grass", "water")
    spectra = torch.from_numpy(fitted.apply(cube))[None, :, :11, :11]
    with torch.no_grad():
        assert torch.allclose(net.eval()(spectra), learnt.net(spectra), atol=1e-5)
    found, _ = map_pixels(learnt, image)
    assert (found[two > 0] == two[two > 0]).mean() > 0.8


def test_another_sensor_needs_new_components(trained) -> None:
    cube, labels = scene_arrays(bands=24)
    image = cube_image(cube)
    start = {"weights": str(trained.weights), "lora_rank": 2}
    with pytest.raises(InputError, match=r"24 bands, more than the 20.*--pca scene"):
        learn_scene(image, labels_of(labels, image), config(**start))
    learnt = learn_scene(image, labels_of(labels, image), config(**start, pca="scene", steps=2))
    assert learnt.fitted.bands == 24


def test_the_strength_of_adapters_swings_while_training_only(trained, scene) -> None:
    image, labels = scene
    cyclic = config(weights=str(trained.weights), lora_rank=2, lora_cycle=True, steps=3)
    learnt = learn_scene(image, labels, cyclic)
    layer = learnt.net.levels[0][0].attn.qkv
    assert layer.lora_scale == 1.0
    seen = []
    layer.register_forward_hook(lambda module, *_: seen.append(module.lora_scale))
    data = PixelData(
        Scene(image.loader and _blocks(image), learnt.fitted.apply), labels.data, [1, 2, 3], learnt.split.train,
        learnt.split.val, cyclic, size=learnt.net.patch_size, channels=7, standardise=False,
    )  # fmt: skip
    loss = loss_function(learnt.net, cyclic, torch.device("cpu"))
    for step in (0, 5, 9, 10):
        loss(learnt.net, data.draw(step))
    assert np.allclose(seen, [CyclicalStrength().strength(s) for s in (0, 5, 9, 10)])
    assert seen[1] == pytest.approx(0.75)


def _blocks(image):
    from workbench.scene.data.scene import open_blocks

    return open_blocks(image)


def test_batches_are_balanced_and_turned_patches_are_the_same_pixels(scene) -> None:
    image, labels = scene
    some = config(batch=9, flips=False)
    train = np.concatenate([np.flatnonzero(labels.data.ravel() == v)[:n] for v, n in ((1, 50), (2, 3), (3, 9))])
    data = PixelData(
        Scene(_blocks(image), None), labels.data, [1, 2, 3], train, train[:0], some,
        size=5, channels=20, standardise=False,
    )  # fmt: skip
    batch = data.draw(4)
    assert torch.bincount(batch.targets).tolist() == [3, 3, 3]
    assert torch.equal(batch.patches, data.draw(4).patches)
    assert not torch.equal(batch.patches, data.draw(5).patches)
    patch = data.patches.take(np.array([10 * 26 + 11]))
    eight = turned(patch.repeat(8, 1, 1, 1), np.arange(8))
    assert len({tuple(p.flatten().tolist()) for p in eight}) == 8
    assert torch.equal(eight[:, :, 2, 2], patch[:, :, 2, 2].repeat(8, 1))


def test_the_published_preparation_needs_patches(scene) -> None:
    image, labels = scene
    learnt = learn_scene(image, labels, config(patch_standardise=True, steps=1, head_start=5))
    with pytest.raises(UsageError, match="mode=patches"):
        predict(model_of(learnt), image, Config(mode="dense"))
    where = np.zeros(labels.data.shape, bool)
    where[10:14, 10:14] = True
    found, _ = map_pixels(learnt, image, where)
    assert ((found > 0) == where).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora_rank": 4}, "weights=none has none"),
        ({"pca": "weights"}, "weights=none"),
        ({"patch": 6}, "odd"),
        ({"drop_bands": "1-99"}, "1 to 20"),
    ],
)
def test_settings_that_cannot_work(scene, changes, message) -> None:
    with pytest.raises(UsageError, match=message):
        learn_scene(*scene, config(**changes))


def test_cases_that_cannot_work(files, trained, tmp_path, scene) -> None:
    out = tmp_path / "w.safetensors"
    with pytest.raises(InputError, match="one scene at a time, 2 cases"):
        train_pixels([Case("a", *files), Case("b", *files)], config(), out)
    with pytest.raises(InputError, match="needs labels"):
        train_pixels([Case("a", files[0])], config(), out)
    with pytest.raises(UsageError, match="only class 2"):
        learn_scene(scene[0], labels_of(np.full((30, 26), 2, np.uint8), scene[0]), config())
    with pytest.raises(InputError, match="rows and columns"):
        learn_scene(scene[0], labels_of(np.ones((26, 30), np.uint8), scene[0]), config())
    with pytest.raises(UsageError, match="safetensors"):
        train_pixels([Case("a", *files)], config(), tmp_path / "w.pt")
    assert not list(tmp_path.iterdir())


def test_an_adapter_is_no_start(trained, scene, tmp_path) -> None:
    image, labels = scene
    learnt = learn_scene(image, labels, config(weights=str(trained.weights), lora_rank=2, steps=1))
    adapter = save(tmp_path / "a.safetensors", learnt, record_of(learnt, image))
    json.dumps(record_of(learnt, image))
    with pytest.raises(WeightsError, match="start from its base"):
        learn_scene(image, labels, config(weights=str(adapter), lora_rank=2))


def test_device_is_said(scene) -> None:
    assert choose("cpu")[0] == learn_scene(*scene, config(steps=1, head_start=0)).device
