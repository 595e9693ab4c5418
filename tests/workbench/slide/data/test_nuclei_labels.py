"""Reference nuclei from every layout in use, and what cannot be one."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.io
import tifffile
from PIL import Image as Pillow

from workbench.core.errors import GeometryError, InputError, NothingFound
from workbench.slide.data.nuclei_labels import read_reference

SHAPE = (40, 50)


@pytest.fixture
def labels():
    found = np.zeros(SHAPE, np.int32)
    found[2:10, 3:12], found[10:18, 3:12], found[20:33, 30:44] = 1, 2, 700
    return found


@pytest.fixture
def types(labels):
    return np.choose(np.searchsorted([1, 2, 700], labels) * (labels > 0) + (labels > 0), [0, 2, 1, 2])


def same(found, labels):
    """The same nuclei, whatever their numbers."""
    pairs = np.unique(np.stack([found.ravel(), labels.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(labels)) == len(np.unique(found))


def test_numbers_of_pixels(labels, tmp_path):
    Pillow.fromarray(labels.astype(np.uint16)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", labels.astype(np.float32))
    np.save(tmp_path / "a.npy", labels.astype(np.int64))
    for name in ("a.png", "a.tif", "a.npy"):
        found = read_reference(tmp_path / name, SHAPE)
        np.testing.assert_array_equal(found.labels, labels)
        assert found.types is None
        assert len(found) == 3
        assert found.notes == ()


def test_a_palette_is_numbers_not_colours(labels, tmp_path):
    picture = Pillow.fromarray(np.minimum(labels, 3).astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_reference(tmp_path / "a.png", SHAPE).labels, np.minimum(labels, 3))


def test_classes_of_a_file_beside(labels, types, tmp_path):
    Pillow.fromarray(labels.astype(np.uint16)).save(tmp_path / "a_instances.png")
    strewn = types.copy()
    strewn[3, 4] = 1  # a pixel of another class: that of most of the nucleus counts
    strewn[25, 35] = 0
    Pillow.fromarray(strewn.astype(np.uint8)).save(tmp_path / "a_types.png")
    found = read_reference(tmp_path / "a_instances.png", SHAPE)
    np.testing.assert_array_equal(found.types, types)
    assert found.classes.names == ("class 1", "class 2")
    assert found.notes == ()
    strewn[labels == 2] = 0
    Pillow.fromarray(strewn.astype(np.uint8)).save(tmp_path / "a_types.png")
    found = read_reference(tmp_path / "a_instances.png", SHAPE)
    assert found.notes == ("1 of the labelled nuclei have no class",)
    assert not found.types[labels == 2].any()
    Pillow.fromarray(np.zeros(SHAPE, np.uint8)).save(tmp_path / "a_types.png")
    with pytest.raises(InputError, match="classes are 0 on all nuclei"):
        read_reference(tmp_path / "a_instances.png", SHAPE)


def test_layouts_of_conic_pannuke_and_hover_net(labels, types, tmp_path):
    np.save(tmp_path / "conic.npy", np.stack([labels, types], -1).astype(np.uint16))
    pannuke = np.stack([np.where(types == c, labels, 0) for c in range(1, 6)] + [labels == 0], -1)
    np.save(tmp_path / "pannuke.npy", pannuke.astype(np.float64))
    scipy.io.savemat(tmp_path / "hover.mat", {"inst_map": labels.astype(float), "type_map": types.astype(float)})
    for name in ("conic.npy", "pannuke.npy", "hover.mat"):
        found = read_reference(tmp_path / name, SHAPE)
        assert same(found.labels, labels), name
        np.testing.assert_array_equal(found.types, types)


def test_outlines(labels, types, tmp_path):
    boxes = [(3, 2, 12, 10, "a"), (3, 10, 12, 18, "b"), (30, 20, 44, 33, "a"), (300, 300, 310, 310, "a")]
    features = [
        {"type": "Feature", "properties": {"classification": {"name": name}},
         "geometry": {"type": "Polygon", "coordinates": [[[x, y], [u, y], [u, v], [x, v], [x, y]]]}}
        for x, y, u, v, name in boxes
    ]  # fmt: skip
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = read_reference(tmp_path / "a.geojson", SHAPE)
    assert same(found.labels, labels)
    names = {c.value: c.name for c in found.classes}
    assert {names[v] for v in np.unique(found.types[types == 2])} == {"a"}
    assert {names[v] for v in np.unique(found.types[types == 1])} == {"b"}
    assert any("1 outline(s) lie outside" in note for note in found.notes)
    with pytest.raises(GeometryError, match="all 4 outlines lie outside"):
        read_reference(tmp_path / "a.geojson", (2, 2))


def test_what_cannot_be_right_is_refused(labels, tmp_path):
    def saved(name, array):
        np.save(tmp_path / name, array)
        return tmp_path / name

    with pytest.raises(GeometryError, match="40 x 50 pixels, its image has 40 x 51"):
        read_reference(saved("a.npy", labels), (40, 51))
    with pytest.raises(InputError, match="one number \\(255\\) for 2 pieces: a mask"):
        read_reference(saved("b.npy", np.where(labels > 0, 255, 0)), SHAPE)
    with pytest.raises(InputError, match="holds fractions"):
        read_reference(saved("c.npy", labels / 3), SHAPE)
    with pytest.raises(InputError, match="0 and positive were expected"):
        read_reference(saved("d.npy", labels - 1), SHAPE)
    with pytest.raises(InputError, match="holds 5 pictures"):
        read_reference(saved("e.npy", np.zeros((5, 40, 50, 6))), SHAPE)
    Pillow.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "f.png")
    with pytest.raises(InputError, match=r"40 x 50 x 3; one number per pixel"):
        read_reference(tmp_path / "f.png", SHAPE)
    scipy.io.savemat(tmp_path / "g.mat", {"other": labels})
    with pytest.raises(InputError, match="has no inst_map"):
        read_reference(tmp_path / "g.mat", SHAPE)
    (tmp_path / "h.txt").write_text("1")
    with pytest.raises(InputError, match="nuclei are read from"):
        read_reference(tmp_path / "h.txt", SHAPE)
    with pytest.raises(InputError, match="no background"):
        read_reference(saved("j.npy", np.full(SHAPE, 255)), SHAPE)
    with pytest.raises(InputError, match="one number"):
        read_reference(saved("k.npy", labels > 0), SHAPE)
    picture = np.random.default_rng(0).integers(0, 255, (*SHAPE, 3))
    with pytest.raises(InputError, match="none of PanNuke"):
        read_reference(saved("l.npy", picture), SHAPE)
    with pytest.raises(InputError, match="none of PanNuke"):
        read_reference(saved("m.npy", np.stack([np.where(labels == n, n, 0) for n in (1, 2, 700)], -1)), SHAPE)
    with pytest.raises(InputError, match="these are no numbers of nuclei"):
        read_reference(saved("n.npy", picture[..., 0] // 100), SHAPE)
    with pytest.raises(NothingFound, match="no such file"):
        read_reference(tmp_path / "gone.png", SHAPE)
    pieces = labels.copy()
    pieces[38, 48] = 1
    assert "1 more pieces than numbers" in read_reference(saved("i.npy", pieces), SHAPE).notes[0]


def test_nothing_pickled_is_unpacked(shared_data):
    path = shared_data / "slide" / "cellvit_seg" / "test_1.npy"
    if not path.exists():
        pytest.skip("no public labels of CellViT here")
    with pytest.raises(InputError, match="Python objects"):
        read_reference(path, (256, 256))


def test_an_outline_around_others_does_not_take_their_pixels(tmp_path):
    def box(x, y, u, v):
        return {"type": "Feature", "properties": {},
                "geometry": {"type": "Polygon", "coordinates": [[[x, y], [u, y], [u, v], [x, v], [x, y]]]}}  # fmt: skip

    bow = box(30, 5, 40, 15)
    bow["geometry"]["coordinates"][0][1:3] = reversed(bow["geometry"]["coordinates"][0][1:3])
    features = [box(3, 3, 9, 9), box(12, 3, 18, 9), box(0, 0, 50, 40), bow]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = read_reference(tmp_path / "a.geojson", SHAPE)
    assert len(found) == 4
    assert len(np.unique(found.labels[3:9, 3:18])) == 3
    assert any("1 outline(s) cross themselves" in note for note in found.notes)


def test_a_background_that_is_not_last_is_refused(tmp_path):
    """The last channel is what no other is by chance, too, where its class holds all that is left."""
    labels = np.zeros((*SHAPE, 6), np.uint16)
    labels[2:10, 3:12, 0], labels[20:33, 30:44, 4] = 1, 2
    labels[12:18, 3:12, 4] = 3
    labels[..., 5] = ~labels[..., :5].any(2)
    np.save(tmp_path / "a.npy", labels)
    assert len(read_reference(tmp_path / "a.npy", SHAPE)) == 3
    np.save(tmp_path / "b.npy", np.roll(labels, 1, -1))
    with pytest.raises(InputError, match="last channel should be what is no nucleus.*channel 0 looks like it"):
        read_reference(tmp_path / "b.npy", SHAPE)
    dense = labels.copy()  # nuclei cover most of it: the background is less than half
    dense[1:, :, 4] = np.arange(SHAPE[0] - 1)[:, None] // 8 + 1
    dense[:10, :, 0] = 0
    dense[..., 5] = ~dense[..., :5].any(2)
    np.save(tmp_path / "d.npy", np.roll(dense, 1, -1))
    with pytest.raises(InputError, match="last channel should be what is no nucleus"):
        read_reference(tmp_path / "d.npy", SHAPE)
    labels[..., 1] = labels[..., 0]
    np.save(tmp_path / "c.npy", labels)
    with pytest.raises(InputError, match="72 pixels are of nuclei of two classes"):
        read_reference(tmp_path / "c.npy", SHAPE)


def test_numbers_of_any_size_take_no_more_memory(labels, tmp_path):
    np.save(tmp_path / "a.npy", np.where(labels == 700, 2**31 - 1, labels))
    found = read_reference(tmp_path / "a.npy", SHAPE)
    assert same(found.labels, labels)
    assert found.labels.max() == 3


def test_hovernets_types_by_nucleus(labels, tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"inst_map": labels, "inst_type": np.array([[2], [1], [2]])})
    found = read_reference(tmp_path / "a.mat", SHAPE)
    np.testing.assert_array_equal(found.types, np.select([labels == 1, labels == 2, labels == 700], [2, 1, 2]))
    scipy.io.savemat(tmp_path / "b.mat", {"inst_map": labels, "inst_type": np.array([[2], [1]])})
    with pytest.raises(InputError, match="inst_type has 2 classes, inst_map 3 nuclei"):
        read_reference(tmp_path / "b.mat", SHAPE)
