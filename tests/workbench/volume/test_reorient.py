"""An orientation set by hand: affines, arrays and indices against nibabel and a count of voxels."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest

import workbench as wb
from workbench.core.layers import KEY
from workbench.volume import (
    ORIENTATIONS,
    flipped,
    geometry_from_layer,
    grid_record,
    in_order_read,
    layer_world,
    motion,
    taken,
    turned,
)
from workbench.volume.data.assumed import orientation_note
from workbench.volume.reorient import code_of, reoriented

OBLIQUE = np.array([[2.9, -0.5, 0.3, -31.3], [0.6, 2.8, -0.4, 12.7], [-0.2, 0.5, 3.9, 5.5], [0, 0, 0, 1]])
FOREIGN = {"name": "stack", "scale": (4.0, 3.0, 2.0), "translate": (7.0, -5.0, 1.0), "units": "mm"}
SHAPE = (5, 6, 7)


def test_48_orientations_as_nibabel_names_them():
    assert len(set(ORIENTATIONS)) == 48
    for code in ORIENTATIONS:
        ornt = nib.orientations.axcodes2ornt(tuple(code))
        affine = np.eye(4)
        affine[:3, :3] = 0
        for axis, (world, sign) in enumerate(ornt):
            affine[int(world), axis] = 2 * sign
        assert "".join(nib.aff2axcodes(affine)) == code == code_of(affine)
    assert flipped("SPL", "R") == "SPR"
    assert flipped("SPL", "A") == "SAL"


@pytest.mark.parametrize("affine", [np.diag([2.0, 3.0, 4.0, 1.0]), OBLIQUE], ids=["upright", "oblique"])
def test_another_orientation_keeps_spacing_and_middle(affine):
    geometry = wb.Geometry(SHAPE, affine)
    middle = np.array([*(np.array(SHAPE) - 1) / 2, 1])
    for code in ORIENTATIONS:
        now = reoriented(geometry, code)
        assert "".join(nib.aff2axcodes(now.affine)) == code
        assert np.allclose(now.spacing, geometry.spacing)
        assert np.allclose(now.affine @ middle, affine @ middle)
        assert np.allclose(reoriented(now, code_of(affine)).affine, affine)


def _world_of_file(record, index):
    return np.array(record["affine"]) @ [*index, 1]


@pytest.mark.parametrize("code", ["SPR", "IPL", "LPS", "RAS", "ASL", "PIR"])
def test_every_voxel_lies_where_the_affine_says(code):
    data = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    own = dict(FOREIGN, metadata={})
    found = taken(SHAPE, own)
    assert (found.now, found.read, found.is_set) == ("SPL", "SPL", False)
    assert "layer axes were taken" in found.why
    how = turned(SHAPE, own, motion(SHAPE, own, code))
    record = grid_record(SHAPE, own, code)
    after = {**own, **how.attributes, "metadata": {KEY: record}}
    array = how.array(data)
    assert np.shares_memory(array, data)
    geometry, spot, notes = geometry_from_layer(array.shape, after)
    assert np.array_equal(spot.to_file(array), data), "the order of the file stays"
    assert np.array_equal(in_order_read(array, after), data)
    assert np.array_equal(geometry.affine, record["affine"])
    assert notes == (f"orientation set by hand: {code} instead of SPL",)
    world = layer_world(after)
    assert (np.diag(world)[:3] > 0).all(), "shown with the head up and the left on the right"
    for index in itertools.product((0, 3), (1, 5), (0, 6)):
        s, p, left, _ = world @ [*(int(i[0]) for i in np.nonzero(array == data[index])), 1]
        assert np.allclose((-left, -p, s), _world_of_file(record, index)[:3])
        turned_index = how.index([np.array([i]) for i in index])
        assert array[turned_index] == data[index]
    # Back, exactly, and by another way round.
    for way in (["SPL"], ["ILP", "SPL"]):
        shape, state, view = array.shape, after, array
        for step in way:
            again, matrix = grid_record(shape, state, step), motion(shape, state, step)
            how = turned(shape, state, matrix)
            view = how.array(view)
            state = {**state, **how.attributes, "metadata": {KEY: again}}
            shape = view.shape
        assert np.array_equal(view, data)
        assert np.allclose(layer_world(state), layer_world(own))
        assert not taken(shape, state).is_set


def test_channels_in_front_stay_in_front():
    shape = (2, *SHAPE)
    own = {
        "name": "c",
        "scale": (1.0, 4.0, 3.0, 2.0),
        "translate": (9.0, 0.0, 0.0, 0.0),
        "units": ("pixel", *["mm"] * 3),
    }
    how = turned(shape, own, motion(shape, own, "LPS"))
    data = np.arange(np.prod(shape)).reshape(shape)
    assert how.array(data).shape == (2, 7, 6, 5)
    assert np.array_equal(how.array(data)[1], how.array(data[1]))
    assert (how.attributes["scale"][0], how.attributes["translate"][0]) == (1.0, 9.0)


def test_levels_are_not_flipped_but_lie_the_same():
    own = dict(FOREIGN, metadata={})
    matrix = motion(SHAPE, own, "IPR")
    flat, pyramid = turned(SHAPE, own, matrix), turned(SHAPE, own, matrix, flips=False)
    data = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    ends = []
    for how in (flat, pyramid):
        where = [int(i[0]) for i in np.nonzero(how.array(data) == data[1, 2, 3])]
        ends.append(layer_world(how.attributes) @ [*where, 1])
    assert np.allclose(*ends)
    assert np.array_equal(pyramid.array(data), data)
    matrix = motion(SHAPE, own, "LIA")
    pyramid = turned(SHAPE, own, matrix, flips=False)
    kept = {"orientation": grid_record(SHAPE, own, "LIA")["orientation"]}
    assert pyramid.array(data).shape != SHAPE
    assert np.array_equal(in_order_read(pyramid.array(data), {**own, "metadata": {KEY: kept}}), data)


def test_an_orientation_that_the_file_gives_is_not_for_setting(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.int16), np.diag([2.0, 3.0, 4.0, 1.0])), tmp_path / "told.nii")
    ((data, attributes, _),) = wb.to_layers(wb.read(tmp_path / "told.nii"))
    assert taken(data.shape, attributes) is None
    with pytest.raises(ValueError, match="the file gives"):
        grid_record(data.shape, attributes, "LPS")


def _nifti(folder):
    image = nib.Nifti1Image(np.zeros(SHAPE, np.int16), None)
    image.header.set_zooms((2.0, 3.0, 4.0))
    image.header["sform_code"] = image.header["qform_code"] = 0
    nib.save(image, folder / "a.nii")
    return folder / "a.nii"


def _mha(folder):
    head = "ObjectType = Image\nNDims = 3\nDimSize = 7 6 5\nElementType = MET_SHORT\nElementSpacing = 2 3 4\n"
    head += "BinaryData = True\n"
    (folder / "a.mha").write_bytes(f"{head}ElementDataFile = LOCAL\n".encode() + np.zeros(SHAPE, "<i2").tobytes())
    return folder / "a.mha"


def _nrrd(folder):
    head = "NRRD0004\ntype: short\ndimension: 3\nsizes: 7 6 5\nspacings: 2 3 4\nendian: little\nencoding: raw\n\n"
    (folder / "a.nrrd").write_bytes(head.encode() + np.zeros(SHAPE, "<i2").tobytes())
    return folder / "a.nrrd"


def _analyze(folder):
    nib.save(nib.AnalyzeImage(np.zeros(SHAPE, np.int16), np.diag([2.0, 3.0, 4.0, 1.0])), folder / "a.img")
    return folder / "a.img"


@pytest.mark.parametrize("make", [_nifti, _mha, _nrrd, _analyze])
def test_readers_say_that_they_took_it(tmp_path, make):
    image = wb.read(make(tmp_path))
    assert orientation_note(image.notes), image.notes
    ((data, attributes, _),) = wb.to_layers(image)
    found = taken(data.shape, attributes)
    assert found.why == orientation_note(image.notes)
    how = turned(data.shape, attributes, motion(data.shape, attributes, "PIR"))
    record = attributes["metadata"][KEY] | grid_record(data.shape, attributes, "PIR")
    after = {**attributes, **how.attributes, "metadata": {KEY: record}}
    geometry, _, notes = geometry_from_layer(how.array(data).shape, after)
    assert "".join(nib.aff2axcodes(geometry.affine)) == "PIR"
    assert geometry.shape == image.geometry.shape
    assert notes == (f"orientation set by hand: PIR instead of {found.read}",)
