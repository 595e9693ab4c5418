"""The reader inside MONAI's own LoadImaged, against MONAI's own readers."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import DataLoader, Dataset, MetaTensor, NibabelReader
from monai.transforms import Compose, EnsureTyped, LoadImage, LoadImaged, Orientationd

from tests.dicom_maker import write_series
from tests.recording_maker import raw, save_raw
from tests.scene_maker import MAP_INFO, cube, save_envi
from workbench.core.errors import GeometryError, InputError
from workbench.data import formats
from workbench.data.monai_reader import as_metatensor
from workbench.recording.data.monai_reader import RecordingReader
from workbench.scene.data.monai_reader import SceneReader
from workbench.volume.data.monai_reader import VolumeReader

# MONAI registers a reader of its own that warns where NVIDIA's decoder is not installed.
pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")

AFFINE = np.array([[-0.7, 0.3, 0.1, 10.5], [0.2, 0.9, -0.4, -20.25], [0.1, 0.2, 2.5, 30], [0, 0, 0, 1]])


def save(path, data, affine=AFFINE):
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


def test_load_imaged_keeps_labels_integer_and_geometry_in_meta(tmp_path):
    ct = save(tmp_path / "ct.nii.gz", np.random.default_rng(0).integers(-1000, 2000, (4, 5, 6)).astype("i2"))
    mask = save(tmp_path / "m.nii.gz", np.ones((4, 5, 6), "u1"))
    load = Compose(
        [LoadImaged(["image", "label"], reader=VolumeReader(), dtype=None), EnsureTyped("image", dtype=torch.float32)]
    )
    out = load({"image": ct, "label": mask})
    assert isinstance(out["image"], MetaTensor)
    assert out["image"].shape == (1, 4, 5, 6)
    assert out["label"].dtype == torch.uint8
    theirs = LoadImage(reader=NibabelReader(), ensure_channel_first=True)(ct)
    torch.testing.assert_close(out["image"].as_tensor(), theirs.as_tensor())
    torch.testing.assert_close(out["image"].affine, theirs.affine)
    meta = out["image"].meta
    assert meta["spacing"] == pytest.approx(np.linalg.norm(AFFINE[:3, :3], axis=0))
    assert meta["units"] == "mm"
    assert meta["axis_names"] == ["i", "j", "k"]
    assert meta["channel_names"] == ["0"]
    assert meta["source"] == str(ct)


def test_dicom_nrrd_and_mha_load_too(tmp_path):
    pixels, affine = write_series(tmp_path / "d")
    load = LoadImage(reader=VolumeReader(), dtype=None)
    tensor = load(tmp_path / "d")
    np.testing.assert_array_equal(tensor[0].numpy(), pixels.astype("i2") - 1024)
    np.testing.assert_allclose(tensor.affine.numpy(), affine, atol=1e-9)
    assert tensor.meta["modality"] == "CT"
    assert tensor.meta["value_unit"] == "HU"
    data = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("f4")
    for name in ("a.nrrd", "a.mha"):
        sitk.WriteImage(sitk.GetImageFromArray(data), str(tmp_path / name))
        np.testing.assert_array_equal(load(tmp_path / name)[0].numpy(), data.T)


def test_monai_orientation_uses_our_affine(tmp_path):
    data = np.random.default_rng(0).normal(size=(4, 5, 6)).astype("f4")
    path = save(tmp_path / "a.nii", data, np.diag([-1.0, 2, -3, 1]))
    out = Orientationd("image", "RAS", labels=None)(LoadImaged("image", reader=VolumeReader())({"image": path}))
    np.testing.assert_array_equal(out["image"][0].numpy(), data[::-1, :, ::-1])


def test_several_files_become_channels_of_one_grid(tmp_path):
    paths = [save(tmp_path / f"{n}.nii", np.full((4, 5, 6), n, "f4")) for n in (1, 2)]
    tensor = LoadImage(reader=VolumeReader())(paths)
    assert tensor.shape == (2, 4, 5, 6)
    assert tensor[:, 0, 0, 0].tolist() == [1, 2]
    assert len(tensor.meta["channel_names"]) == 2
    other = save(tmp_path / "3.nii", np.zeros((4, 5, 6), "f4"), np.eye(4))
    reader = VolumeReader()
    with pytest.raises(GeometryError, match="different grids"):
        reader.get_data(reader.read([paths[0], other]))


def test_data_loader_collates_the_metadata(tmp_path):
    rows = [{"image": save(tmp_path / f"{n}.nii", np.full((4, 5, 6), n, "i2"))} for n in range(2)]
    dataset = Dataset(rows, LoadImaged("image", reader=VolumeReader()))
    (batch,) = DataLoader(dataset, batch_size=2)
    assert batch["image"].shape == (2, 1, 4, 5, 6)


def test_suffixes(tmp_path):
    reader = VolumeReader()
    assert reader.verify_suffix(save(tmp_path / "a.nii", np.zeros((3, 4, 5), "u1")))
    (tmp_path / "b.txt").write_text("")
    assert not reader.verify_suffix([tmp_path / "a.nii", tmp_path / "b.txt"])


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "u4", "f4"])
def test_as_metatensor(tmp_path, dtype):
    data = np.random.default_rng(0).integers(0, 99, (4, 5, 6)).astype(dtype)
    image = formats.read(save(tmp_path / "a.nii", data))
    tensor = as_metatensor(image)
    np.testing.assert_array_equal(tensor[0].numpy(), data)
    assert tensor.dtype.is_floating_point == (dtype == "f4")
    np.testing.assert_array_equal(tensor.affine.numpy(), image.geometry.affine)
    assert as_metatensor(image, torch.float16).dtype == torch.float16


def test_scenes_load_channel_first_with_their_bands(tmp_path):
    path = save_envi(tmp_path, cube(12), map_info=MAP_INFO, bbl="{1, 1, 0, 1, 1, 1, 1}", wavelength_units="nm",
                     wavelength="{400, 500, 600, 700, 800, 900, 1000}")  # fmt: skip
    np.savez(tmp_path / "gt.npz", truth=np.ones((9, 11), "u1"), scene=cube(12).transpose(1, 2, 0))
    load = Compose(
        [LoadImaged(["image", "label"], reader=SceneReader(), dtype=None), EnsureTyped("image", dtype=torch.float32)]
    )
    out = load({"image": path, "label": f"{tmp_path / 'gt.npz'}:truth"})
    assert isinstance(out["image"], MetaTensor)
    np.testing.assert_array_equal(out["image"].numpy(), cube(12).astype("f4"))
    assert (out["label"].shape, out["label"].dtype) == ((1, 9, 11), torch.uint8)
    meta = out["image"].meta
    assert meta["affine"].numpy().tolist() == [[0, 20, 565010], [-20, 0, 4149990], [0, 0, 1]]
    assert meta["wavelengths_nm"].tolist() == [400, 500, 600, 700, 800, 900, 1000]
    assert meta["good_bands"].tolist() == [True, True, False, True, True, True, True]
    assert (meta["units"], meta["axis_names"], meta["crs"]) == ("m", ["row", "column"], "UTM 10 North, WGS-84")
    loader = DataLoader(Dataset([{"image": path}] * 2, LoadImaged(["image"], reader=SceneReader())), batch_size=2)
    assert next(iter(loader))["image"].shape == (2, 7, 9, 11)


def test_bands_of_several_files_become_one_scene(tmp_path):
    paths = [save_envi(tmp_path / name, cube(12), map_info=MAP_INFO) for name in "ab"]
    array, meta = SceneReader().get_data(SceneReader().read(paths))
    assert array.shape == (14, 9, 11)
    assert np.isnan(meta["wavelengths_nm"]).tolist() == [True] * 14
    other = save_envi(tmp_path / "c", cube(12), map_info=MAP_INFO.replace("565000", "565040"))
    with pytest.raises(GeometryError, match="different grids"):
        SceneReader().get_data(SceneReader().read([paths[0], other]))


def test_a_volume_is_not_a_scene(tmp_path):
    path = save(tmp_path / "ct.nii.gz", np.zeros((4, 5, 6), "i2"))
    with pytest.raises(InputError, match="this is a volume, a spectral scene was expected"):
        SceneReader().read(path)


def test_recordings_load_with_their_clock_types_and_positions(tmp_path):
    path = save_raw(tmp_path / "a_raw.fif")
    out = LoadImaged("image", reader=RecordingReader(), dtype=None)({"image": path})["image"]
    truth = raw()
    assert isinstance(out, MetaTensor)
    np.testing.assert_allclose(out.numpy(), truth.get_data(), rtol=1e-6)
    meta = out.meta
    np.testing.assert_allclose(meta["affine"], [[1 / 500, 0], [0, 1]])
    assert (meta["units"], meta["axis_names"], meta["sampling_rate"]) == ("s", ["time"], 500.0)
    assert meta["channel_names"] == truth.ch_names
    assert meta["kinds"] == truth.get_channel_types()
    assert meta["bads"] == ["MEG 0002"]
    assert [a[2] for a in meta["annotations"]] == ["BAD_jump", "movement", "spike"]
    np.testing.assert_allclose(meta["positions"][0], truth.info["chs"][0]["loc"][:3], atol=1e-6)
    np.save(tmp_path / "p.npy", truth.get_data()[:3])
    tensor = LoadImage(reader=RecordingReader())(f"{tmp_path / 'p.npy'}:500Hz")
    assert tensor.shape == (3, 6000)
    loader = DataLoader(Dataset([{"image": path}] * 2, LoadImaged("image", reader=RecordingReader())), batch_size=2)
    assert next(iter(loader))["image"].shape == (2, 15, 6000)
    with pytest.raises(InputError, match="this is a volume, a recording was expected"):
        RecordingReader().read(save(tmp_path / "ct.nii.gz", np.zeros((4, 5, 6), "i2")))
