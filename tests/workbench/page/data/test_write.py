"""What the writer of the kind makes of images, signals and pictures."""

from __future__ import annotations

import numpy as np
import pytest
import wfdb
from PIL import Image as Pictures

from tests.workbench.page.made import heart
from workbench.core.errors import UsageError
from workbench.core.types import Geometry, Image, Marks, Signals, time_base
from workbench.page.data import signal_files, write
from workbench.page.data.ecg_image import ecg_image
from workbench.page.leads import STANDARD

DATA = heart(12, 1000).astype(np.float32)


def _image(tmp_path, data=DATA):
    source = tmp_path / "source.csv"
    source.write_text("x")
    return ecg_image(source, STANDARD, 1000, 500, lambda: data, format="csv", header={}, notes=["a note"])


def _save(jobs):
    for path, save in jobs:
        save(path)
    return [path.name for path, _ in jobs]


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("auto", ["my_case.dat", "my_case.hea"]),
        ("wfdb", ["my_case.dat", "my_case.hea"]),
        ("dicom-ecg", ["my case.dcm"]),
        ("csv", ["my case.csv"]),
        ("edf", ["my case.edf"]),
    ],
)
def test_an_image_is_written_and_read_again(tmp_path, family, names):
    image = _image(tmp_path)
    assert _save(write.jobs(image, tmp_path / "my case", write.family(family, image), image)) == names
    if family != "edf":
        again = signal_files.read(tmp_path / names[-1])
        np.testing.assert_allclose(again.data, DATA, atol=0.00006)
        assert again.channels == STANDARD
        assert again.header["sampling_rate"] == 500


def test_signals_of_any_voltage_are_written_in_mv(tmp_path):
    for unit, factor in (("mV", 1), ("uV", 1000), ("V", 0.001)):
        part = Signals(DATA * np.float32(factor), STANDARD, time_base(1000, 500), "ecg", unit=unit)
        _save(write.jobs(part, tmp_path / "ecg", "wfdb", None))
        found = wfdb.rdrecord(str(tmp_path / "ecg")).p_signal.T
        np.testing.assert_allclose(found, DATA, atol=0.00006)


def test_the_rest_is_left_to_the_common_writer(tmp_path):
    base = time_base(1000, 500)
    assert write.jobs(Signals(DATA, STANDARD, base, "z", unit="z"), tmp_path / "z", "wfdb", None) is None
    assert write.jobs(Signals(DATA, STANDARD, base, "z"), tmp_path / "z", "wfdb", None) is None
    later = Signals(DATA, STANDARD, time_base(1000, 500, 3.0), "later", unit="mV")
    assert write.jobs(later, tmp_path / "z", "wfdb", None) is None
    assert write.jobs(Marks(()), tmp_path / "z", "wfdb", None) is None


def test_formats_are_known_or_said():
    assert write.family("auto", None) == "wfdb"
    assert [write.family(f, None) for f in write.FORMATS] == ["wfdb", "dicom-ecg", "csv", "edf"]
    with pytest.raises(UsageError, match="format nifti holds no electrocardiograms"):
        write.family("nifti", None)


@pytest.mark.parametrize("channels", [("grey",), ("red", "green", "blue")])
def test_pictures_become_png(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (len(channels), 40, 60), np.uint8)
    page = Image(
        Geometry((40, 60), None, ("down", "across")), np.dtype(np.uint8), channels, lambda: pixels, kind="page"
    )
    assert _save(write.jobs(page, tmp_path / "page", "auto", None)) == ["page.png"]
    found = np.asarray(Pictures.open(tmp_path / "page.png"))
    assert np.array_equal(found, pixels[0] if len(channels) == 1 else np.moveaxis(pixels, 0, -1))


def test_what_is_neither_is_refused(tmp_path):
    wide = np.zeros((1, 4, 4), np.float32)
    page = Image(Geometry((4, 4), None, ("down", "across")), wide.dtype, ("grey",), lambda: wide, kind="page")
    with pytest.raises(UsageError, match="expected uint8"):
        write.jobs(page, tmp_path / "page", "auto", None)
    tesla = Image(time_base(4, 500), wide.dtype, ("a",), lambda: wide[0, :1], kind="page", value_unit="T")
    with pytest.raises(UsageError, match="no electrocardiogram"):
        write.jobs(tesla, tmp_path / "t", "auto", None)


def test_what_others_cannot_do_is_said(tmp_path):
    image = _image(tmp_path)
    assert "physical minimum" in write.notes(image, "edf")[0]
    assert "1900" in write.notes(image, "dicom-ecg")[0]
    assert write.notes(image, "wfdb") == []
