"""Segmentations that highdicom wrote without their empty slices meet their series voxel for voxel."""

import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

import workbench as wb
from tests.dicom_maker import OBLIQUE, write_series
from tests.seg_maker import planes_of, shuffle_frames, write_seg
from workbench.cli import run
from workbench.core.errors import GeometryError
from workbench.core.settings import build
from workbench.core.types import Case, Geometry
from workbench.data import formats
from workbench.volume.train.settings import TrainConfig
from workbench.volume.train.train import train_volumes

hd = pytest.importorskip("highdicom", reason="extra 'dicom' is not installed")

FLAT = (1, 0, 0, 0, 1, 0)
SERIES = {
    "flat": {"orientation": FLAT},
    "from head to feet": {"orientation": FLAT, "reverse": True, "step": (0.0, 0.0, -2.5)},
    "oblique": {"orientation": OBLIQUE},
    "tilted": {"orientation": FLAT, "step": (0.0, -0.8, 2.4)},
}
SLICES = {
    "some that touch": (1, 2, 5),
    "two far apart": (2, 6),
    "one": (3,),
    "every second": (0, 2, 4, 6),
    "at uneven distances": (0, 3, 7),
    "all": tuple(range(8)),
}


def ct(folder, how, n=8, columns=7, **more):
    write_series(folder, n=n, rows=6, columns=columns, **SERIES[how], **more)
    return wb.read(folder)


def map_on(image, slices, seed=1):
    data = np.zeros(image.geometry.shape, np.uint8)
    for k in slices:
        data[:, :, k] = np.random.default_rng([seed, k]).integers(0, 3, data.shape[:2])
    return data


def voxels_by_highdicom(path):
    """Segment -> world positions [mm, LPS] of its voxels, from frames and positions alone, by pydicom and highdicom."""
    seg = hd.seg.segread(str(path))
    shared = seg.SharedFunctionalGroupsSequence[0]
    turned = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    found = {}
    frames = seg.pixel_array.reshape(int(seg.NumberOfFrames), seg.Rows, seg.Columns)
    for frame, group in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        place = group.PlanePositionSequence[0].ImagePositionPatient
        to_world = hd.spatial.PixelToReferenceTransformer(place, turned, spacing)
        for value in np.unique(frame[frame > 0]):
            named = "SegmentIdentificationSequence" in group
            number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber if named else int(value)
            found.setdefault(number, []).append(to_world(np.argwhere(frame == value)[:, ::-1]))
    return {number: np.concatenate(points) for number, points in found.items()}


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("where", SLICES)
@pytest.mark.parametrize("how", SERIES)
def test_frames_lie_on_the_slices_of_their_image(tmp_path, how, where, kind):
    image = ct(tmp_path / "ct", how)
    data = map_on(image, SLICES[where])
    planes = planes_of(image, tmp_path / "ct")
    # The whole series given and empty frames left out; or only the slices that were drawn on.
    for name, used in (("whole", planes), ("part", [p for p in planes if p[0] in SLICES[where]])):
        path = tmp_path / f"{name}.dcm"
        written = write_seg(path, data, used, kind=kind)
        assert int(written.NumberOfFrames) == len(SLICES[where]) * (2 if kind == "BINARY" else 1)
        for order in ("as written", "another order"):
            if order == "another order":
                shuffle_frames(path)
            found = formats.read_labels(path, reference=image.geometry)
            np.testing.assert_array_equal(found.data, data, err_msg=f"{name}, {order}")
            assert found.geometry.matches(image.geometry)
            assert found.classes.names == ("liver", "spleen")
            assert not any("reach the border" in n for n in found.notes)  # what is left out is empty
            back = np.linalg.inv(image.geometry.affine)
            theirs = np.zeros_like(data)
            for number, points in voxels_by_highdicom(path).items():
                index = (points * (-1, -1, 1)) @ back[:3, :3].T + back[:3, 3]
                assert np.abs(index - np.rint(index)).max() < 1e-3
                theirs[tuple(np.rint(index).astype(int).T)] = number
            np.testing.assert_array_equal(found.data, theirs)


def test_simpleitk_finds_each_voxel_where_we_do(tmp_path):
    """SimpleITK opens the frames of one segment as a volume; the series gives the world."""
    # GDCM starts each frame at a whole byte: frames whose bits fill them are read right.
    image = ct(tmp_path / "ct", "oblique", columns=8)
    data = map_on(image, range(2, 7))
    write_seg(tmp_path / "seg.dcm", (data == 1).astype("u1"), planes_of(image, tmp_path / "ct"), names=("liver",))
    found = formats.read_labels(tmp_path / "seg.dcm", reference=image.geometry)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "ct")))
    series = reader.Execute()
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "seg.dcm")))
    places = [
        np.array(g.PlanePositionSequence[0].ImagePositionPatient, float)
        for g in pydicom.dcmread(tmp_path / "seg.dcm").PerFrameFunctionalGroupsSequence
    ]
    for frame, place in zip(theirs > 0, places, strict=True):
        k = series.TransformPhysicalPointToIndex(place.tolist())[2]
        low = series.TransformIndexToPhysicalPoint((0, 0, k))
        ras = np.array(low) * (-1, -1, 1)
        ours = np.rint(np.linalg.solve(image.geometry.affine, [*ras, 1])[:3]).astype(int)
        np.testing.assert_array_equal(found.data[:, :, ours[2]].T, frame)


def test_an_image_stored_otherwise_takes_the_frames_too(tmp_path):
    """The series converted to NIfTI with other axes: its slices are no longer those of the third axis."""
    import nibabel as nib

    image = ct(tmp_path / "ct", "oblique")
    data = map_on(image, (2, 6))
    planes = [p for p in planes_of(image, tmp_path / "ct") if p[0] in (2, 6)]
    write_seg(tmp_path / "seg.dcm", data, planes)
    turned = nib.Nifti1Image(data, image.geometry.affine).as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    nib.save(turned, tmp_path / "turned.nii.gz")
    found = formats.read_labels(tmp_path / "seg.dcm", reference=wb.read(tmp_path / "turned.nii.gz").geometry)
    np.testing.assert_array_equal(found.data, np.asarray(turned.dataobj))
    assert any("turned from" in n for n in found.notes)


def test_frames_of_thicker_slices_are_not_taken_for_slices_that_are_empty(tmp_path):
    """Drawn on 5 mm slices that touch, and given with the 2.5 mm series of the same positions."""
    thick = ct(tmp_path / "thick", "flat", n=4)
    for file in (tmp_path / "thick").iterdir():
        ds = pydicom.dcmread(file)
        ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], 12 + 2 * (ds.ImagePositionPatient[2] - 12)]
        ds.SliceThickness = 5.0
        ds.save_as(file)
    thick = wb.read(tmp_path / "thick")
    assert thick.geometry.spacing[2] == 5
    write_seg(tmp_path / "seg.dcm", map_on(thick, range(4)), planes_of(thick, tmp_path / "thick"))
    thin = ct(tmp_path / "thin", "flat")
    with pytest.raises(GeometryError, match="does not lie on the grid"):
        formats.read_labels(tmp_path / "seg.dcm", reference=thin.geometry)
    np.testing.assert_array_equal(
        formats.read_labels(tmp_path / "seg.dcm", reference=thick.geometry).data, map_on(thick, range(4))
    )


def test_frames_between_slices_or_of_another_image_are_refused(tmp_path):
    image = ct(tmp_path / "ct", "flat")
    write_seg(tmp_path / "seg.dcm", map_on(image, (2, 6)), planes_of(image, tmp_path / "ct"))
    for shift in ((0, 0, 1.2), (0.4, 0, 0)):
        moved = image.geometry.affine.copy()
        moved[:3, 3] += shift
        with pytest.raises(GeometryError, match="does not lie on the grid"):
            formats.read_labels(tmp_path / "seg.dcm", reference=Geometry(image.geometry.shape, moved))
    moved[:3, 3] = image.geometry.affine[:3, 3] + [0, 0, 100]
    with pytest.raises(GeometryError, match=r"seg\.dcm: \d+ of \d+ labelled voxels lie outside of the image"):
        formats.read_labels(tmp_path / "seg.dcm", reference=Geometry(image.geometry.shape, moved))


def test_without_an_image_uneven_frames_get_the_step_that_has_them_all(tmp_path):
    image = ct(tmp_path / "ct", "oblique")
    data = map_on(image, (0, 2, 5))
    planes = [p for p in planes_of(image, tmp_path / "ct") if p[0] in (0, 2, 5)]
    write_seg(tmp_path / "seg.dcm", data, planes)
    found = wb.read(tmp_path / "seg.dcm")
    np.testing.assert_array_equal(found.data[0], data[:, :, :6])
    np.testing.assert_allclose(found.geometry.affine, image.geometry.affine, atol=1e-6)


QUICK = {"weights": "none", "device": "cpu", "spacing": (6.0, 6.0, 6.0), "roi": (32, 32, 32), "batch": 2, "steps": 1}


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A series that networks take, with blocks in it, the segmentation of these, and the same as NIfTI."""
    import nibabel as nib

    folder = tmp_path_factory.mktemp("scan")

    def draw(k, ds):
        rng = np.random.default_rng([5, k])
        hu = rng.normal(-80, 15, (ds.Rows, ds.Columns))
        hu[:6] = rng.normal(-1000, 5, hu[:6].shape)
        hu[10:20, 10:22] = rng.normal(60, 15, (10, 12))
        ds.PixelData = (hu + 1024).clip(0, 4095).astype("<u2").tobytes()

    write_series(folder / "ct", n=20, rows=40, columns=36, spacing=(3.0, 3.0), orientation=FLAT, change=draw)
    image = wb.read(folder / "ct")
    data = np.zeros(image.geometry.shape, np.uint8)
    data[10:22, 10:20, 6:9] = data[10:22, 10:20, 14] = 1
    data[24:30, 24:30, 6] = 2
    planes = [p for p in planes_of(image, folder / "ct") if p[0] in (6, 7, 8, 14)]
    write_seg(folder / "seg" / "labels.dcm", data, planes)
    shuffle_frames(folder / "seg" / "labels.dcm")
    nib.save(nib.Nifti1Image(data, image.geometry.affine), folder / "labels.nii.gz")
    return folder


def test_evaluate_scores_it_as_the_same_map_in_nifti(scan, tiny_weights, tmp_path, capsys):
    found = {}
    for name in ("seg/labels.dcm", "labels.nii.gz"):
        out = tmp_path / name.replace("/", "_")
        line = ["evaluate", "segformer3d", "-i", str(scan / "ct"), "--labels", str(scan / name), "-o", str(out)]
        assert (
            run([*line, "--weights", str(tiny_weights), "--device", "cpu", "--match", "number", "--force", "-q"]) == 0
        )
        found[name] = json.loads((out / "scores.json").read_text(encoding="utf-8"))["rows"]
    numbers = [
        [(r["value"], r["dice"], float(r["hd95_mm"]), r["reference_ml"]) for r in rows] for rows in found.values()
    ]
    assert numbers[0] == numbers[1]
    assert numbers[0][0][3] > 0
    case = Case("one", scan / "ct", scan / "seg" / "labels.dcm")
    own = {"weights": str(tiny_weights), "device": "cpu", "match": "number", "force": True}
    again = wb.evaluate("segformer3d", [case], **own)
    assert judged(again.rows) == numbers[0]


def judged(rows):
    return [(r["value"], r["dice"], float(r["hd95_mm"]), r["reference_ml"]) for r in rows]


def test_train_takes_it_from_the_shell_and_from_python(scan, tmp_path, capsys):
    from workbench.volume.train import data

    seen = []
    reads = data.LabelReader.__call__

    def watched(self, case, reference):
        found = reads(self, case, reference)
        seen.append(found.data)
        return found

    wanted = formats.read_labels(scan / "labels.nii.gz").data
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data.LabelReader, "__call__", watched)
        case = Case("one", scan / "ct", scan / "seg" / "labels.dcm")
        made = train_volumes([case], build(TrainConfig, QUICK), tmp_path / "w.safetensors")
        line = ["train", "segformer3d", "-i", str(scan / "ct"), "--labels", str(scan / "seg" / "labels.dcm")]
        line += [
            "-o",
            str(tmp_path / "x.safetensors"),
            "--weights",
            "none",
            "--device",
            "cpu",
            "--spacing",
            "6",
            "6",
            "6",
        ]
        assert run([*line, "--roi", "32", "32", "32", "--steps", "1", "-q"]) == 0, capsys.readouterr().err
    assert len(seen) >= 2
    assert all(np.array_equal(s, wanted) for s in seen)
    assert set(made.scores) == {"liver", "spleen"}
