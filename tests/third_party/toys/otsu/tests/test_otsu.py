import numpy as np

import workbench as wb
from workbench.testing import check_backend, make_volume


def test_it_keeps_the_rules(tmp_path):
    path = make_volume(tmp_path / "ct.nii.gz")  # a small ellipsoid (50 HU) in air (-1000 HU), voxels of 36 mm3
    result = check_backend("otsu", path, bins=64)  # settings that find something...
    (row,) = result["volumes"].as_dicts()
    assert row["voxels"] == np.count_nonzero(wb.read(path).data > -475)  # ...and assert what they find
    assert row["volume [mL]"] == row["voxels"] * 36 / 1000


def test_its_scores(tmp_path):
    path = make_volume(tmp_path / "ct.nii.gz")
    (labels,) = wb.write(wb.predict("otsu", path).labels, tmp_path / "labels", name="ct", source=wb.read(path))
    report = wb.evaluate("otsu", [wb.Case("ct", path, labels)], out=tmp_path / "out")
    assert isinstance(report, wb.EvaluationReport)
    assert report.rows == [{"case": "ct", "Dice": 1.0}]
    assert [file.name for file in report.files] == ["scores.csv"]
