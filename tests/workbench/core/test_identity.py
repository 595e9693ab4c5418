"""An image is told from others by its content and its name, wherever it lies and however it is stored."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from tests.tiny import make_volume
from workbench.core.errors import Cancelled
from workbench.core.identity import Identity, content_hash, identity_of, identity_of_layers
from workbench.core.provenance import input_hash
from workbench.data import formats

ARRAY = np.arange(5 * 300 * 70, dtype=np.int16).reshape(5, 300, 70)


def test_the_content_counts_and_not_how_it_is_stored():
    da = pytest.importorskip("dask.array")
    first = content_hash([ARRAY])
    assert content_hash([ARRAY.copy(order="F")]) == first
    assert content_hash([ARRAY.astype(">i2")]) == first
    for chunks in ((5, 300, 70), (1, 300, 70), (2, 17, 9)):
        assert content_hash([da.from_array(ARRAY, chunks=chunks)]) == first
    assert content_hash([[ARRAY, ARRAY[:, ::2, ::2]]]) == first, "of a pyramid the finest level counts"
    changed = ARRAY.copy()
    changed[4, 299, 69] += 1
    others = [changed, ARRAY.astype(np.int32), ARRAY.reshape(5, 70, 300), ARRAY[:4]]
    assert len({first, *(content_hash([a]) for a in others)}) == 5
    assert content_hash([ARRAY, ARRAY]) != content_hash([ARRAY])
    assert content_hash([np.zeros((0, 3))]) != content_hash([np.zeros((3, 0))])


def test_a_large_image_is_never_whole_in_memory_and_can_be_left():
    da = pytest.importorskip("dask.array")
    whole = da.zeros((6000, 20_000), chunks=(500, 500), dtype=np.uint8)  # 120 MB
    tracemalloc.start()
    steps = []
    content_hash([whole], lambda done, total: steps.append((done, total)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6
    assert steps[-1] == (1000, 1000)
    assert len(steps) > 5

    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        content_hash([whole], stop)


def test_moved_copied_and_replaced_files(tmp_path):
    path = make_volume(tmp_path / "a" / "scan.nii.gz", shape=(6, 7, 8))
    image = formats.read(path)
    first = identity_of(image)
    assert first == Identity("scan", "file", input_hash(image), str(path))
    record = {"source": str(path), "input_sha256": first.sha256, "details": {"identity": first.to_json()}}
    of_the_shell = {"source": str(path), "input_sha256": first.sha256, "details": {}}
    (tmp_path / "b").mkdir()
    moved = shutil.copy(path, tmp_path / "b" / "scan.nii.gz")
    for known in (record, of_the_shell):
        assert first.is_that_of(known)
        assert identity_of(formats.read(moved)).is_that_of(known), "the same content elsewhere is the same image"
    make_volume(path, shape=(6, 7, 8), seed=1)
    second = identity_of(formats.read(path))
    assert second.sha256 != first.sha256
    for known in (record, of_the_shell):
        assert not second.is_that_of(known), "another image was put in the place of the first"
    gone = identity_of(image)
    assert gone.sha256 is None, "nothing is vouched for that was changed since it was opened"
    assert gone.is_that_of({"source": str(path), "input_sha256": None})
    assert not gone.is_that_of({"source": str(moved), "input_sha256": None})


def test_nothing_known_is_not_the_same_nothing():
    """Two images without files: they were taken for one as long as only the path was compared."""
    a, b = (identity_of_layers("image", [np.full((3, 4), n)]) for n in (1, 2))
    record = {"source": None, "input_sha256": None, "details": {"identity": a.to_json()}}
    assert a.is_that_of(record)
    assert not b.is_that_of(record)
    assert not replace(a, name="other").is_that_of(record)
    for found in (a, b, Identity("image", "file"), Identity("image", "drawing", "x")):
        assert not found.is_that_of({"source": None, "input_sha256": None, "details": {}})
        assert not found.is_that_of({})
    assert not replace(a, sha256=None).is_that_of({"details": {"identity": replace(a, sha256=None).to_json()}})


def test_several_images_of_one_file_are_several(tmp_path):
    first = Identity("x", "file", "0" * 64, "/x.mat", "a")
    record = {"source": "/x.mat", "input_sha256": "0" * 64, "details": {"identity": first.to_json()}}
    assert first.is_that_of(record)
    assert not replace(first, part="b").is_that_of(record)


def test_what_is_stored_is_believed_only_as_far_as_it_is_one():
    whole = Identity("x", "layer", "0" * 64, None, "p")
    assert Identity.from_json(whole.to_json()) == whole
    for wrong in (None, "x", [], {}, {"of": "else"}):
        assert Identity.from_json(wrong) is None
    assert not whole.is_that_of({"details": "nothing"})


def test_a_file_is_hashed_once_as_long_as_it_is_the_same(tmp_path, monkeypatch):
    from workbench.core import identity

    path = make_volume(tmp_path / "once.nii.gz", shape=(6, 7, 8))
    read = []
    monkeypatch.setattr(identity, "input_hash", lambda image: read.append(image) or input_hash(image))
    known = {identity_of(formats.read(path)).sha256 for _ in range(3)}
    assert len(read) == 1
    os.utime(path, (1, 1))
    known.add(identity_of(formats.read(path)).sha256)
    assert (len(read), len(known)) == (2, 1)
