"""What every backend's train and evaluate give back, with real, tiny trainings."""

import dataclasses
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.tiny import make_tiny_recording, make_tiny_scene, make_volume
from tests.workbench.page.taught_pages import blue_page, save_page
from workbench import api
from workbench.core.registry import backends
from workbench.core.reports import EvaluationReport, TrainReport
from workbench.core.types import Case


def volumes(folder: Path) -> list[Case]:
    found = []
    for i in range(2):
        image = make_volume(folder / f"v{i}.nii.gz", (32, 32, 32), (6.0, 6.0, 6.0), seed=i)
        opened = nib.load(image)
        labels = folder / f"v{i}_labels.nii.gz"
        nib.save(nib.Nifti1Image((opened.get_fdata() > -300).astype(np.uint8), opened.affine), labels)
        found.append(Case(f"v{i}", image, labels, f"patient {i}"))
    return found


def scene(folder: Path) -> list[Case]:
    image = make_tiny_scene(folder / "scene.npy")
    return [Case("scene", image, folder / "scene_labels.npy")]


def recordings(folder: Path) -> list[Case]:
    files = [make_tiny_recording(folder / f"sub-{i}.npy", seed=i) for i in range(3)]
    return [Case(f.stem, f, None, f.stem) for f in files]


def pages(folder: Path) -> list[Case]:
    return [save_page(blue_page(700 + n, pen=0.4, ink=(0.0, 0.0, 0.1)), folder, f"p{n}") for n in range(2)]


# A function per backend that makes cases in a folder; quick settings of its training and of its evaluation.
TINY = {
    "segformer3d": (volumes, {"weights": "none", "spacing": (6.0, 6.0, 6.0), "roi": (32, 32, 32), "steps": 1}, {}),
    "lola_specvit": (
        scene,
        {"components": 5, "patch": 5, "steps": 1, "head_start": 20, "batch": 6, "split": "random", "per_class": 8},
        {},
    ),
    "meg_gpt": (
        recordings,
        {"n_tokens": 12, "units": 8, "window": 60, "margin": 5, "token_dim": 4, "tokenizer_steps": 3,
         "tokenizer_batch": 4, "stage": "tokenizer", "val_fraction": 0.34},
        {"task": "tokens"},
    ),
    "ecg_image": (pages, {"steps": 1, "batch": 2, "old_pages": 0}, {}),
}  # fmt: skip


@pytest.fixture(scope="module", params=sorted(TINY))
def reports(request, tmp_path_factory):
    cases, teach, score = TINY[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    made = cases(folder)
    trained = api.train(request.param, made, out=folder / "w.safetensors", device="cpu", **teach)
    scored = api.evaluate(
        request.param, made, out=folder / "report", weights=str(trained.weights), device="cpu", **score
    )
    return trained, scored


def test_every_built_in_backend_is_here():
    assert set(TINY) <= set(backends())


def test_a_training_says_what_it_made(reports):
    report, _ = reports
    assert isinstance(report, TrainReport)
    assert report.weights.suffix == ".safetensors"
    for file in (report.weights, report.log, report.report):
        assert file.is_file()
    assert report.score is None or isinstance(report.score, float)
    assert report.measure
    assert report.validation
    assert report.stopped
    assert report.seconds > 0
    assert all(isinstance(k, str) and isinstance(v, float) for k, v in report.test.items())
    assert isinstance(report.copied, tuple)


def test_an_evaluation_says_what_it_found(reports):
    _, report = reports
    assert isinstance(report, EvaluationReport)
    assert report.rows
    assert report.summary
    assert all(isinstance(key, str) for row in (*report.rows, *report.summary) for key in row)
    assert report.failures == {}
    assert report.traces == {}
    assert isinstance(report.notes, tuple)
    assert {f.suffix for f in report.files} >= {".csv", ".json", ".html"}
    assert all(f.is_file() for f in report.files)
    lines = report.text().splitlines()
    assert len(lines) > 1


def test_a_report_that_lacks_something_is_none():
    names = "weights log report score measure validation test seconds stopped copied"
    full = dict.fromkeys(names.split())
    assert isinstance(dataclasses.make_dataclass("Whole", list(full))(**full), TrainReport)
    for name in full:
        rest = {k: v for k, v in full.items() if k != name}
        assert not isinstance(dataclasses.make_dataclass("Part", list(rest))(**rest), TrainReport)
