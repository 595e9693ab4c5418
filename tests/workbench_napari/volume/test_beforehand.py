"""What a run would refuse is said before Run, with the way out."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from workbench_napari.launch import open_files

from tests.tiny import make_volume

pytestmark = pytest.mark.gui


def opened(window, path):
    viewer = window()
    tool = open_files(viewer, [path])
    return viewer, tool, tool.panel.image.beforehand


def test_nothing_is_said_of_what_fits(window, ct_file):
    _, tool, label = opened(window, ct_file)
    tool.beforehand.look()
    assert "refuse" not in label.text(), label.text()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda data, affine: (np.abs(data - data.min()), affine), "values"),
        (lambda data, affine: (data, affine @ np.diag([0.001, 0.001, 0.001, 1])), "voxel size"),
        (lambda data, affine: (np.where(data < -900, np.nan, data), affine), "NaN"),
    ],
    ids=["no-HU", "metres", "NaN"],
)
def test_what_does_not_fit_is_said_before_run(window, wait, ct_file, tmp_path, make, said):
    file = nib.load(ct_file)
    data, affine = make(np.asarray(file.dataobj, dtype=np.float32), file.affine)
    nib.save(nib.Nifti1Image(data.astype(np.float32), affine), tmp_path / "odd.nii.gz")
    viewer, _, label = opened(window, tmp_path / "odd.nii.gz")
    wait(lambda: "Run would refuse this" in label.text())
    assert said.lower() in label.text().lower()
    assert "Use anyway" in label.text()
    assert not label.isHidden()
    viewer.open(str(ct_file), plugin="napari-workbench")
    wait(lambda: "refuse" not in label.text())


def test_the_way_out_for_nan_is_the_setting(window, wait, tmp_path):
    path = make_volume(tmp_path / "ct.nii.gz")
    data = np.asarray(nib.load(path).dataobj, dtype=np.float32)
    data[:3] = np.nan
    nib.save(nib.Nifti1Image(data, nib.load(path).affine), tmp_path / "nan.nii.gz")
    _, tool, label = opened(window, tmp_path / "nan.nii.gz")
    wait(lambda: "NaN" in label.text())
    tool.model.form.widgets["nan"].value = "background"
    wait(lambda: "NaN" not in label.text())
