"""Several volumes in one series, mosaics, uneven steps and palette colours, held against NiBabel and NumPy."""

import importlib
import warnings

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import workbench as wb
from tests.dicom_maker import header, write_enhanced, write_mosaic, write_series
from workbench.cli import run
from workbench.core.errors import GeometryError, InputError, UsageError
from workbench.core.types import Case
from workbench.data.cases import open_case
from workbench.volume.data import dicom
from workbench.volume.data.dicom_parts import parts

AXIAL = (1, 0, 0, 0, 1, 0)


def echo(folder, prefix, seed, **fields):
    pixels, _ = write_series(folder, prefix=prefix, seed=seed, **fields)
    return pixels.astype(np.int16) - 1024


@pytest.mark.parametrize(
    ("tag", "values", "names"),
    [
        ("EchoTime", (2.4, 4.8), ("EchoTime:2.4", "EchoTime:4.8")),
        ("AcquisitionNumber", (2, 10), ("AcquisitionNumber:2", "AcquisitionNumber:10")),
        ("TemporalPositionIdentifier", (1, 2), ("TemporalPositionIdentifier:1", "TemporalPositionIdentifier:2")),
        ("DiffusionBValue", (0.0, 800.0), ("DiffusionBValue:0", "DiffusionBValue:800")),
        ("ImageType", (["DERIVED", "M"], ["DERIVED", "P"]), ("ImageType:DERIVED/M", "ImageType:DERIVED/P")),
        ("ConvolutionKernel", ("B30f", "B70f"), ("ConvolutionKernel:B30f", "ConvolutionKernel:B70f")),
    ],
)
def test_what_tells_volumes_apart_is_named_and_chosen_by(tmp_path, tag, values, names):
    truth = [echo(tmp_path, f"v{n}", n, **{tag: value}) for n, value in enumerate(values)]
    with pytest.raises(InputError, match=rf"differ in {tag}: --series {names[0]} chooses one") as raised:
        wb.read(tmp_path)
    assert "copies" not in str(raised.value)
    rows = wb.info(tmp_path)
    assert [r["series_uid"].partition("#")[2] for r in rows] == list(names)
    for n, name in enumerate(names):
        for series in (name, str(n + 1), rows[n]["series_uid"]):
            found = wb.read(tmp_path, series=series)
            assert np.array_equal(found.data[0], truth[n])
            assert len(found.all_files) == 6
        assert wb.read(tmp_path, series=found.header["SeriesInstanceUID"]).geometry.matches(found.geometry)
    with pytest.raises(InputError, match="2 series match"):
        wb.read(tmp_path, series="1.2.3.10")
    assert np.array_equal(open_case(Case("a", tmp_path, options={"series": names[1]})).data[0], truth[1])


def test_two_tags_together_where_one_is_not_enough(tmp_path):
    truth = {}
    for n, (time, kind) in enumerate((t, k) for t in (2.4, 4.8) for k in ("M", "P")):
        truth[f"EchoTime:{time}+ImageType:{kind}"] = echo(tmp_path, f"v{n}", n, EchoTime=time, ImageType=[kind])
    assert [r["series_uid"].partition("#")[2] for r in wb.info(tmp_path)] == sorted(truth)
    for name, pixels in truth.items():
        assert np.array_equal(wb.read(tmp_path, series=name).data[0], pixels)


def test_acquisitions_that_overlap_in_part(tmp_path):
    """Chest and abdomen with three slices in common: two volumes of their own length."""
    write_series(tmp_path, prefix="a", n=6, orientation=AXIAL, AcquisitionNumber=1)
    write_series(tmp_path, prefix="b", n=9, orientation=AXIAL, origin=(-50.0, 30.0, 12.0 + 7.5), AcquisitionNumber=2)
    assert [r["shape"][2] for r in wb.info(tmp_path)] == [6, 9]


def test_a_series_of_one_volume_is_left_whole(tmp_path):
    """Values that differ from slice to slice make no volumes."""
    write_series(tmp_path, change=lambda k, ds: setattr(ds, "AcquisitionTime", f"12000{k}"), EchoTime=3.0)
    (series,) = dicom.list_series(tmp_path)
    assert series.part is None
    assert parts(series.headers.values()) == []


def test_frames_of_a_multi_frame_file(tmp_path):
    write_enhanced(tmp_path / "two.dcm", n=6)
    ds = pydicom.dcmread(tmp_path / "two.dcm")
    for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient = [1.0, 2.0, 3.0 + 2.0 * (number % 3)]
        content = Dataset()
        content.TemporalPositionIndex = 1 + number // 3
        frame.FrameContentSequence = Sequence([content])
    ds.save_as(tmp_path / "two.dcm")
    with pytest.raises(InputError, match="differ in TemporalPositionIndex"):
        wb.read(tmp_path / "two.dcm")
    stored = pydicom.dcmread(tmp_path / "two.dcm").pixel_array.astype(np.int16) - 1000
    for time in (1, 2):
        found = wb.read(tmp_path / "two.dcm", series=f"TemporalPositionIndex:{time}")
        assert np.array_equal(found.data[0], stored[3 * (time - 1) : 3 * time].transpose(2, 1, 0))
        assert found.geometry.spacing == pytest.approx((0.6, 0.5, 2.0))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("count", [4, 7, 9])
def test_a_mosaic_is_taken_apart_as_nibabel_does(tmp_path, sign, count):
    tiles = np.random.default_rng(count).integers(1, 4000, (count, 6, 8), dtype=np.uint16)
    write_mosaic(tmp_path / "m.dcm", tiles, normal_sign=sign)
    found = wb.read(tmp_path / "m.dcm")
    assert found.geometry.shape == (8, 6, count)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls itself experimental
        wrappers = importlib.import_module("nibabel.nicom.dicomwrappers")
    theirs = wrappers.wrapper_from_data(pydicom.dcmread(tmp_path / "m.dcm"))
    assert theirs.is_mosaic
    assert theirs.image_shape == (6, 8, count)
    order = slice(None, None, sign)
    assert np.array_equal(found.data[0][..., order], tiles.transpose(2, 1, 0))
    assert np.array_equal(found.data[0][..., order], np.asarray(theirs.get_data()).transpose(1, 0, 2))
    for i, j, k in np.ndindex(8, 6, count):
        at = found.geometry.affine @ [i, j, k if sign > 0 else count - 1 - k, 1]
        assert np.allclose(at[:3] * (-1, -1, 1), (theirs.affine @ [j, i, k, 1])[:3], atol=1e-4)


def test_mosaics_of_several_times_are_volumes_of_one_series(tmp_path):
    tiles = np.random.default_rng(0).integers(1, 4000, (2, 4, 6, 8), dtype=np.uint16)
    for n in (0, 1):
        write_mosaic(tmp_path / f"{n}.dcm", tiles[n], AcquisitionNumber=n + 1)
    with pytest.raises(InputError, match="differ in AcquisitionNumber"):
        wb.read(tmp_path)
    assert np.array_equal(wb.read(tmp_path, series="AcquisitionNumber:2").data[0], tiles[1].transpose(2, 1, 0))


def test_a_mosaic_that_cannot_be_placed_is_called_one(tmp_path):
    tiles = np.ones((4, 6, 8), np.uint16)
    write_mosaic(tmp_path / "a" / "m.dcm", tiles)
    ds = pydicom.dcmread(tmp_path / "a" / "m.dcm")
    for name, change in {
        "no private header": lambda d: d.__delitem__((0x0029, 0x1010)),
        "damaged": lambda d: setattr(d[0x0029, 0x1010], "value", b"SV10" + b"\xff" * 60),
        "resized": lambda d: (setattr(d, "Rows", 11), setattr(d, "PixelData", b"\0" * 11 * 16 * 2)),
    }.items():
        again = pydicom.dcmread(tmp_path / "a" / "m.dcm")
        change(again)
        again.save_as(tmp_path / f"{name}.dcm")
        with pytest.raises(InputError, match="mosaic"):
            wb.read(tmp_path / f"{name}.dcm")
    assert ds.Rows == 12


HEIGHTS = {
    "5 then 10": [*range(0, 60, 5), 65, 75, 85, 95],
    "three steps": [0, 2.5, 5, 7.5, 7.75, 8, 8.25, 15.75, 23.25],
    "irregular": [0, 2.5, 5, 7.5, 10.9, 14.3],
}


def uneven(folder, name, **fields):
    heights = HEIGHTS[name]

    def place(k, ds):
        ds.ImagePositionPatient = [0, 0, heights[k]]

    return write_series(folder, n=len(heights), orientation=AXIAL, change=place, **fields)[0]


@pytest.mark.parametrize("name", HEIGHTS)
def test_uneven_steps_are_called_uneven_and_made_even_when_asked(tmp_path, name):
    pixels = uneven(tmp_path, name)
    with pytest.raises(GeometryError, match=r"uneven slice spacing.*--regularise") as raised:
        wb.read(tmp_path)
    assert "missing" not in str(raised.value)
    found = wb.read(tmp_path, regularise=True)
    step = found.geometry.spacing[2]
    assert step == pytest.approx(5 if name == "5 then 10" else 0.25 if name == "three steps" else 2.5)
    heights = step * np.arange(found.geometry.shape[2])
    stored = pixels.astype(np.float64) - 1024
    wanted = np.apply_along_axis(lambda line: np.interp(heights, HEIGHTS[name], line), 2, stored)
    assert np.abs(found.data[0] - wanted).max() <= 0.5 + 1e-6
    assert HEIGHTS[name][-1] - step < heights[-1] <= HEIGHTS[name][-1] + 1e-9
    assert "resampled by linear interpolation" in found.notes[0]
    assert open_case(Case("a", tmp_path, options={"regularise": "yes"})).geometry.matches(found.geometry)


def test_a_missing_slice_is_never_filled_in(tmp_path):
    write_series(tmp_path, orientation=AXIAL, skip=(2,))
    with pytest.raises(GeometryError, match="1 slice.s. missing"):
        wb.read(tmp_path, regularise=True)


def test_regularise_is_a_flag_of_volumes_only(tmp_path, tiny_weights, capsys):
    uneven(tmp_path / "in", "5 then 10", rows=24, columns=24)
    arguments = ["predict", "segformer3d", "-i", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--weights"]
    arguments += [str(tiny_weights), "--device", "cpu", "--force"]
    assert run(arguments) != 0
    assert "--regularise" in capsys.readouterr().err
    assert run([*arguments, "--regularise"]) == 0
    assert "resampled by linear interpolation" in capsys.readouterr().err
    assert "resampled by linear" in (tmp_path / "out" / "in" / "provenance.json").read_text(encoding="utf-8")
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 6)))
    with pytest.raises(UsageError, match="no slices in uneven steps"):
        wb.read(tmp_path / "a.npy", kind="scene", regularise=True)


def test_palette_colours_are_looked_up(tmp_path):
    red, green, blue = (np.random.default_rng(n).integers(0, 256, 256).astype(np.uint8) for n in range(3))
    pixels = np.random.default_rng(5).integers(0, 256, (4, 5, 7), dtype=np.uint8)
    for k in range(4):
        ds = header("1.2.3.4.9", PhotometricInterpretation="PALETTE COLOR")
        del ds.RescaleSlope, ds.RescaleIntercept
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit = 7
        ds.Rows, ds.Columns, ds.PixelSpacing, ds.SliceThickness = 5, 7, [1, 1], 2
        ds.ImageOrientationPatient, ds.ImagePositionPatient = list(AXIAL), [0, 0, 2.0 * k]
        for name, table in (("Red", red), ("Green", green), ("Blue", blue)):
            setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 8])
            setattr(ds, f"{name}PaletteColorLookupTableData", table.tobytes())
        ds.PixelData = pixels[k].tobytes() + b"\0"
        ds.save_as(tmp_path / f"{k}.dcm", enforce_file_format=True)
    found = wb.read(tmp_path)
    assert found.channels == ("R", "G", "B")
    assert found.dtype == np.uint8
    assert np.array_equal(found.data, np.stack([t[pixels] for t in (red, green, blue)]).transpose(0, 3, 2, 1))
    assert any("palette colours" in n for n in found.notes)


def test_a_file_that_the_system_does_not_give_is_none(tmp_path, monkeypatch):
    """As /proc/self/mem, and folders that were shares."""
    from pathlib import Path

    from workbench.volume.data import dicom_header

    def refuse(*_, **__):
        raise OSError(5, "Input/output error")

    (tmp_path / "a.dcm").write_bytes(bytes(200))
    monkeypatch.setattr(Path, "open", refuse)
    assert dicom_header.read_header(tmp_path / "a.dcm") is None
