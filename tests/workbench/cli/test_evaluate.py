"""`workbench evaluate`: JSON that every parser reads, and nothing computed for an output that cannot be."""

import json

import nibabel as nib
import numpy as np
import pytest

from workbench.cli import run


@pytest.fixture
def labels(tmp_path, volume):
    """A reference in which the second class is absent."""
    image = nib.load(volume)
    data = np.zeros(image.shape, np.uint8)
    data[10:14, 10:14, 10:14] = 1
    path = tmp_path / "labels.nii.gz"
    nib.save(nib.Nifti1Image(data, image.affine), path)
    return path


def arguments(volume, labels, tiny_weights, out):
    given = ["evaluate", "segformer3d", "-i", str(volume), "--labels", str(labels), "-o", str(out)]
    return [*given, "--weights", str(tiny_weights), "--device", "cpu", "-q", "--match", "number"]


def test_json_has_neither_nan_nor_infinity(volume, labels, tiny_weights, tmp_path, capsys):
    assert run([*arguments(volume, labels, tiny_weights, tmp_path / "out"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    rows = {r["class"]: r for r in shown["rows"]}
    assert rows["spleen"]["dice"] is None
    assert any("do not say what taught them" in note for note in shown["notes"])
    assert "the mean is over 1 of 2 classes of the weights (liver); without a reference class: spleen" in shown["notes"]


def test_an_output_that_is_a_file(volume, labels, tiny_weights, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert run(arguments(volume, labels, tiny_weights, tmp_path / "file")) == 2
    assert "is a file" in capsys.readouterr().err


def test_scores_are_never_written_through_a_link(volume, labels, tiny_weights, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").symlink_to(tmp_path / "away.html")
    assert run(arguments(volume, labels, tiny_weights, tmp_path / "out")) == 2
    assert "a link in it leads to" in capsys.readouterr().err
    assert not (tmp_path / "out" / "scores.csv").exists()
