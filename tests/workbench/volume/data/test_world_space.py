"""World space is checked, not assumed: real organs, labelled in another file and grid, have the HU they must have."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from tests.workbench.volume.data.test_dicom import sitk_series
from workbench.data import formats, geometry

pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")


@pytest.fixture(scope="module")
def ct(shared_data):
    return formats.read(shared_data / "volume" / "ct_dicom")


@pytest.fixture(scope="module")
def organs(shared_data):
    return formats.read_labels(shared_data / "volume" / "ct_dicom_organs.nii.gz")


def organ_means(ct, organs, affine):
    """Mean HU of each organ: voxels of the label file -> world -> nearest voxel of the CT under `affine`."""
    names = {c.value: c.name for c in organs.classes}
    to_index = np.linalg.inv(affine)
    means = {}
    for value in np.unique(organs.data[organs.data > 0]):
        points = geometry.world(organs.geometry.affine, np.argwhere(organs.data == value))
        index = np.rint(geometry.world(to_index, points)).astype(int)
        inside = ((index >= 0) & (index < ct.geometry.shape)).all(axis=1)
        assert inside.all(), names[value]
        means[names[value]] = float(ct.data[0][tuple(index.T)].mean())
    return means


def ribs(means):
    return np.array([v for k, v in means.items() if k.startswith("rib_")])


def test_organs_have_their_hounsfield_units(ct, organs):
    means = organ_means(ct, organs, ct.geometry.affine)
    bones = {k: v for k, v in means.items() if k.startswith(("rib_", "vertebrae_", "humerus_"))}
    assert len(bones) == 18
    assert min(bones.values()) > 100, bones
    for organ in ("liver", "spleen", "pancreas"):
        assert 40 < means[organ] < 180, organ
    assert means["aorta"] > 100  # contrast agent
    assert 0 < means["spinal_cord"] < 60
    assert 0 < means["autochthon_left"] < 80
    assert means["colon"] < -300  # gas


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_check_above_would_notice_a_flip(ct, organs, axis):
    flip = np.eye(4)
    flip[axis, axis], flip[axis, 3] = -1, ct.geometry.shape[axis] - 1
    right = ribs(organ_means(ct, organs, ct.geometry.affine))
    wrong = ribs(organ_means(ct, organs, ct.geometry.affine @ flip))
    assert right.min() > 150
    assert wrong.min() < 100
    assert right.mean() > 1.3 * wrong.mean()


def test_fat_under_the_skin_is_negative(ct):
    hu = ct.data[0]
    parts, _ = ndimage.label(hu > -300)
    body = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    depth = np.stack(
        [
            ndimage.distance_transform_edt(ndimage.binary_fill_holes(body[:, :, k]), sampling=ct.geometry.spacing[:2])
            for k in range(hu.shape[2])
        ],
        axis=-1,
    )
    fat = hu[(depth > 4) & (depth < 9)]
    assert -120 < np.median(fat) < -60
    assert np.percentile(fat, 95) < 0


def test_lung_of_the_abdomen_scan(shared_data):
    """The DICOM series holds no lung; the other scan with organ labels does."""
    image = formats.read(shared_data / "volume" / "ct_abdomen_3mm.nii.gz")
    labels = formats.read_labels(shared_data / "volume" / "ct_abdomen_3mm_organs.nii.gz", reference=image.geometry)
    named = {c.name: image.data[0][labels.data == c.value] for c in labels.classes}
    for lobe in ("lung_upper_lobe_left", "lung_lower_lobe_left", "lung_lower_lobe_right"):
        assert -900 < named[lobe].mean() < -600
    assert named["vertebrae_L1"].mean() > 100


def test_world_boxes_are_the_same(ct, organs):
    for ours, theirs in zip(geometry.world_box(ct.geometry), geometry.world_box(organs.geometry), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_values_and_world_agree_with_simpleitk(shared_data, ct, organs):
    values, affine = sitk_series(shared_data / "volume" / "ct_dicom")
    np.testing.assert_array_equal(ct.data[0], values)
    np.testing.assert_allclose(ct.geometry.affine, affine, atol=1e-9)
    image = sitk.GetImageFromArray(values.T)
    image.SetSpacing(ct.geometry.spacing)
    image.SetOrigin((np.diag([-1, -1, 1]) @ affine[:3, 3]).tolist())
    liver = np.argwhere(organs.data == 5)[::997]
    for point in geometry.world(organs.geometry.affine, liver):
        index = image.TransformPhysicalPointToIndex((point * [-1, -1, 1]).tolist())
        ours = np.rint(geometry.world(np.linalg.inv(ct.geometry.affine), [point]))[0]
        assert tuple(ours) == index


def test_agrees_with_monai_on_the_real_series(shared_data, ct):
    from monai.data import PydicomReader

    reader = PydicomReader()
    values, meta = reader.get_data(reader.read(str(shared_data / "volume" / "ct_dicom")))
    # MONAI sorts by InstanceNumber, which here counts from head to feet: the same world, k the other way.
    to_ours = np.linalg.inv(ct.geometry.affine) @ meta["affine"]
    np.testing.assert_allclose(to_ours, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 19], [0, 0, 0, 1]], atol=1e-9)
    np.testing.assert_array_equal(ct.data[0][:, :, ::-1], values)


def test_a_mask_made_on_the_series_lands_on_the_organ_file(tmp_path, ct, organs):
    """Bone by threshold on our reading, written as NIfTI, overlaps the ribs and vertebrae that others drew."""
    from workbench.core.classes import ClassTable
    from workbench.core.types import Labels
    from workbench.data import write

    bone = Labels((ct.data[0] > 150).astype("u1"), ct.geometry, ClassTable.from_names(["bone"]))
    (path,) = write.write(bone, tmp_path, source=ct)
    mine = nib.load(path)
    np.testing.assert_array_equal(mine.affine, ct.geometry.affine)  # these numbers fit into float32
    # The organ file runs the other way along j; in world space nothing is flipped.
    canonical = nib.as_closest_canonical(mine).get_fdata() > 0
    truth = nib.as_closest_canonical(nib.Nifti1Image(organs.data, organs.geometry.affine)).get_fdata()
    hard = np.isin(truth, [c.value for c in organs.classes if c.name.startswith(("rib_", "vertebrae_", "humerus_"))])
    assert canonical[hard].mean() > 0.7
    assert canonical[~hard].mean() < 0.03
