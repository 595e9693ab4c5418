"""Learning a scene from painted pixels without a window: map, reference, files, watching, cancelling, refusing."""

import numpy as np
import pytest
import torch

import workbench as wb
from tests.scenes import NAMES, cube_image, labels_of, scene_arrays, write_npy
from workbench.core.classes import ClassTable
from workbench.core.errors import Cancelled, InputError, UsageError
from workbench.core.types import Labels
from workbench.scene.train.lesson import SceneLearner, map_only, teach_scene
from workbench.training.lesson import Lesson, MapBoard, Versions

QUICK = {"device": "cpu", "components": 6, "patch": 5, "steps": 4, "batch": 9, "head_start": 150, "val_fraction": 0.2}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Such small work only loses time to threads that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def truth():
    return scene_arrays()[1]


@pytest.fixture(scope="module")
def image():
    return cube_image(scene_arrays()[0])


@pytest.fixture(scope="module")
def painted(image, truth):
    """Twelve pixels of each class."""
    rng = np.random.default_rng(3)
    data = np.zeros_like(truth)
    for value in (1, 2, 3):
        data.flat[rng.choice(np.flatnonzero(truth == value), 12, replace=False)] = value
    return labels_of(data, image)


@pytest.fixture(scope="module")
def taught(image, painted, tmp_path_factory):
    model = tmp_path_factory.mktemp("taught") / "mine.safetensors"
    return teach_scene(image, painted, model, **QUICK)


def test_a_few_painted_pixels_give_a_map_and_a_network(taught, truth):
    parts = taught.result.parts
    assert set(parts) == {"labels", "confidence", "areas", "disagreement", "reference_labels"}
    assert taught.result.labels.classes.names == NAMES
    assert (taught.result.labels.data == truth).mean() > 0.9
    assert (parts["reference_labels"].data == truth).mean() > 0.9
    differs = taught.result.labels.data != parts["reference_labels"].data
    assert np.array_equal(parts["disagreement"].data > 0, differs)
    assert taught.measure == "accuracy"
    assert 0.5 < taught.score <= 1
    assert taught.text.startswith("Learnt 3 classes from 36 pixels.")
    assert f"{100 * differs.mean():.0f} % of the scene differs" in taught.text
    record = taught.result.provenance
    assert record.settings["training"]["steps"] == 4
    assert "taught by 36 painted pixels of this scene, 4 steps" in record.notes


def test_the_shell_gets_the_same_map_from_the_same_files(taught, tmp_path, truth, painted):
    """`workbench train` and `predict` on the files of scene and painted pixels do what Learn does."""
    scene, labels = write_npy(tmp_path, scene_arrays()[0], painted.data)
    wb.train("lola_specvit", [wb.Case("s", scene, labels)], out=tmp_path / "shell.safetensors", **QUICK)
    shell = wb.predict("lola_specvit", scene, weights=str(tmp_path / "shell.safetensors"), device="cpu")
    found = teach_scene(scene, labels, tmp_path / "lesson.safetensors", **QUICK)
    assert np.array_equal(found.result.labels.data, shell.labels.data)
    assert np.array_equal(found.result.labels.data, taught.result.labels.data)


def test_what_was_learnt_is_written_and_maps_again(taught, image, tmp_path):
    written = wb.write(taught.result, tmp_path / "out", format="npy")
    assert {"labels.npy", "reference_labels.npy", "provenance.json"} <= {p.name for p in written}
    board = MapBoard(image.geometry.shape, ClassTable())
    again = map_only(image, board, lambda *_: None, weights=str(taught.model), device="cpu")
    assert again.model is None
    assert again.text == "Mapped with mine.safetensors: grass, soil, water."
    assert board.classes.names == NAMES
    assert np.array_equal(board.whole, taught.result.labels.data)
    assert np.array_equal(again.result.labels.data, taught.result.labels.data)


def test_the_map_grows_on_the_board_first_by_the_reference(image, painted, tmp_path):
    lesson = Lesson(SceneLearner(image, **QUICK), painted, tmp_path / "m.safetensors")
    wholes, phases = [], []

    def look(done, total):
        phases.append(lesson.board.phase)
        if lesson.board.whole is not None and not wholes:
            wholes.append((lesson.board.whole.copy(), lesson.board.version))

    found = lesson.run(look)
    reference, version = wholes[0]
    assert np.array_equal(reference, found.result.parts["reference_labels"].data)
    assert 1 <= version < lesson.board.version
    assert np.array_equal(lesson.board.whole, found.result.labels.data)
    order = ["support vector machine", "gets ready", "step 2 of 4", "maps the scene"]
    first = [next(i for i, p in enumerate(phases) if text in p) for text in order]
    assert first == sorted(first)


def test_a_cancelled_lesson_leaves_the_whole_reference_map(image, painted, truth, tmp_path):
    values = QUICK | {"steps": 100_000, "patience": 0, "validate_every": 50_000}
    lesson = Lesson(SceneLearner(image, **values), painted, tmp_path / "m.safetensors").start()
    try:
        while "step 2" not in lesson.board.phase:
            assert lesson.is_running
    finally:
        lesson.cancel()
    with pytest.raises(Cancelled):
        lesson.wait(60)
    assert (lesson.board.whole == truth).mean() > 0.9
    assert not lesson.model.exists()


def test_the_next_lesson_starts_from_the_last(image, painted, truth, tmp_path):
    versions = Versions(tmp_path)
    first = versions.add(Lesson(SceneLearner(image, **QUICK), painted, versions.new_file()).run())
    learner = SceneLearner(image, **QUICK | {"weights": str(first.model), "lora_rank": 2})
    found = Lesson(learner, painted, versions.new_file(), before=truth).run()
    versions.add(found)
    assert versions.best.score == max(v.score for v in versions)
    assert (found.result.labels.data == truth).mean() > 0.9
    assert found.result.provenance.settings["training"]["weights"] == str(first.model)


def test_only_what_was_painted_becomes_a_class_and_nameless_ones_go_by_their_value(image, truth, tmp_path):
    data = np.zeros(truth.shape, np.uint16)
    data[truth == 2] = 2
    data[truth == 3] = 300
    given = Labels(data, image.geometry, ClassTable.from_names(["never", "soil"]))
    board = SceneLearner(image, **QUICK).board(given)
    assert board.classes.names == ("soil", "class 300")
    found = teach_scene(image, given, tmp_path / "m.safetensors", **QUICK)
    assert found.result.labels.classes.names == ("soil", "class 300")
    assert set(np.unique(found.result.labels.data)) == {2, 300}


def test_what_cannot_be_learnt_is_refused_in_one_line(image, painted, tmp_path):
    one = Labels(np.where(painted.data == 1, 1, 0), image.geometry, painted.classes)
    with pytest.raises(UsageError, match="at least two classes"):
        teach_scene(image, one, tmp_path / "m.safetensors", **QUICK)
    cut = Labels(painted.data[:-1], image.geometry, painted.classes)
    with pytest.raises(InputError, match=r"\(29, 26\).*\(30, 26\)"):
        teach_scene(image, cut, tmp_path / "m.safetensors", **QUICK)
    with pytest.raises(UsageError, match="stepz"):
        SceneLearner(image, stepz=3)
    (tmp_path / "there.safetensors").write_bytes(b"somebody's weights")
    with pytest.raises(UsageError, match="exists"):
        teach_scene(image, painted, tmp_path / "there.safetensors", **QUICK)
    assert (tmp_path / "there.safetensors").read_bytes() == b"somebody's weights"
    volume = cube_image(scene_arrays()[0])
    volume = type(volume)(volume.geometry, volume.dtype, volume.channels, volume.loader, kind="volume")
    with pytest.raises(InputError, match="is a volume, a spectral cube was expected"):
        SceneLearner(volume)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["there.safetensors"]
