"""The verbs pass on what they are given: each argument changes what comes out."""

import numpy as np
import pytest

import workbench as wb
from tests.dicom_maker import write_series
from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Case


@pytest.fixture
def two_series(tmp_path):
    write_series(tmp_path / "dcm", uid="1.2.3.10", prefix="a", n=8)
    write_series(tmp_path / "dcm", uid="1.2.3.99", SeriesNumber=2, prefix="b", n=6, seed=1)
    return tmp_path / "dcm"


def test_read_takes_the_series_asked_for(two_series):
    with pytest.raises(InputError, match="2 series"):
        wb.read(two_series)
    for series, uid, slices in (("1", "1.2.3.10", 8), ("1.2.3.99", "1.2.3.99", 6), ("99", "1.2.3.99", 6)):
        image = wb.read(two_series, series=series)
        assert image.header["SeriesInstanceUID"] == uid
        assert image.geometry.shape[2] == slices


def test_predict_takes_the_series_and_the_settings_asked_for(two_series, tiny_weights):
    seen = []
    result = wb.predict(
        "segformer3d", two_series, series="2", weights=str(tiny_weights), device="cpu", overlap=0.25,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert result.provenance.series == "1.2.3.99"
    assert result.labels.data.shape == wb.read(two_series, series="2").geometry.shape
    assert result.provenance.settings["overlap"] == 0.25
    assert seen
    assert seen[-1][0] == seen[-1][1]


def test_cases_with_the_labels_of_another_folder(volume, tmp_path):
    mask = tmp_path / "masks" / volume.name
    mask.parent.mkdir()
    mask.write_bytes(volume.read_bytes())
    (found,) = wb.cases(volume, labels=mask.parent)
    assert found == Case("ct", volume, mask, "ct")
    assert wb.cases([found, Case("b", volume)]) == [found, Case("b", volume)]


def test_write_takes_name_format_and_source(volume, tmp_path):
    image = wb.read(volume)
    labels = wb.Labels(np.ones(image.geometry.shape, np.uint8), image.geometry, wb.ClassTable.from_names(["one"]))
    (path,) = wb.write(labels, tmp_path / "out", format="nrrd", name="mine", source=image)
    assert path == tmp_path / "out" / "mine.seg.nrrd"
    shifted = wb.read(volume)
    shifted.geometry.affine[0, 3] += 5
    with pytest.raises(GeometryError):
        wb.write(labels, tmp_path / "out", source=shifted)
