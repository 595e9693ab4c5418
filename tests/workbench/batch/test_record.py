import numpy as np

from tests.scene_maker import cube, save_envi
from workbench.batch.record import Wanted, compare
from workbench.core.classes import ClassTable
from workbench.core.provenance import Recorder
from workbench.core.settings import build
from workbench.core.types import Case, Labels, Result
from workbench.data.formats import read
from workbench.data.write import write
from workbench.scene.lola_specvit import Config
from workbench.weights import WeightsFile


def test_a_scene_whose_header_changed_is_not_complete(tmp_path):
    """The header says what the samples mean: bad bands, scale, position."""
    scene = read(save_envi(tmp_path / "in", cube()))
    weights = WeightsFile(tmp_path / "w.safetensors", "w", "0" * 64)
    recorder = Recorder("lola_specvit", Config(), weights, scene, "cpu", "asked for")
    labels = Labels(np.ones((9, 11), "u1"), scene.geometry, ClassTable.from_names(["soil"]))
    write(Result({"labels": labels}, scene, recorder.finish()), tmp_path / "out", name="scene")

    def state(name):
        image = read(tmp_path / "in" / name)
        wanted = Wanted.of("lola_specvit", Config(), "0" * 64)
        return compare(tmp_path / "out" / "scene", wanted, Case("scene", tmp_path / "in" / name), image)

    assert state("scene.hdr") == ("complete", "")
    assert state("scene.dat") == ("complete", "")
    with (tmp_path / "in" / "scene.hdr").open("a") as f:
        f.write("bbl = {1, 1, 1, 1, 1, 1, 0}\n")
    assert state("scene.hdr") == ("changed", "input")
    assert state("scene.dat") == ("changed", "input")


def test_other_weights_make_another_result(tmp_path):
    """A case that other weights were run on is never passed off as done."""
    scene = read(save_envi(tmp_path / "in", cube()))
    weights = WeightsFile(tmp_path / "w.safetensors", "w", "0" * 64)
    recorder = Recorder("lola_specvit", Config(), weights, scene, "cpu", "asked for")
    labels = Labels(np.ones((9, 11), "u1"), scene.geometry, ClassTable.from_names(["soil"]))
    write(Result({"labels": labels}, scene, recorder.finish()), tmp_path / "out", name="scene")

    def state(sha256, **values):
        config = build(Config, {"weights": "w", **values})
        case = Case("scene", tmp_path / "in" / "scene.hdr")
        return compare(tmp_path / "out" / "scene", Wanted.of("lola_specvit", config, sha256), case, scene)

    assert state("0" * 64) == ("complete", "")
    assert state("1" * 64) == ("other", "weights")
    # The same file under another name is the same weights; another setting is named beside them.
    assert state("0" * 64, weights="elsewhere/w.safetensors", device="cpu") == ("complete", "")
    assert state("1" * 64, reference=True) == ("other", "reference, weights")
