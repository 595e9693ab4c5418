"""Lists of chunks that lie: HDF5 itself goes on, and reads zeros or the samples of another place."""

import re
import struct

import h5py
import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.data.hdf5_chunks import slab
from workbench.data.mat_files import Hdf5Store

SIDES = (5, 4, 3)
VALUES = np.random.default_rng(0).random((5, 7, 6))
KEY, LINK = 8 + 8 * 4, 8


def save(path, values=VALUES, **options):
    with h5py.File(path, "w") as f:
        f.create_dataset("cube", data=values, chunks=SIDES, **options)
    return path


def with_key(path, number, *, size=None, mask=None, offset=None, link=None):
    """The same file with another entry in its list of chunks: that of chunk `number`, or the last key behind all."""
    content = bytearray(path.read_bytes())
    at = next(m.start() for m in re.finditer(rb"TREE\x01", content)) + 24 + number * (KEY + LINK)
    for value, place, code in ((size, 0, "<I"), (mask, 4, "<I"), (link, KEY, "<Q")):
        if value is not None:
            struct.pack_into(code, content, at + place, value)
    if offset is not None:
        struct.pack_into("<3Q", content, at + 8, *offset)
    path.write_bytes(content)
    return path


def where(path, number):
    with h5py.File(path) as f:
        found = f["cube"].id.get_chunk_info(number)
    return found.byte_offset, found.size


PACKINGS = [{}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True, "fletcher32": True},
            {"fletcher32": True}, {"compression": "lzf"}]  # fmt: skip


@pytest.mark.parametrize("options", PACKINGS)
@pytest.mark.parametrize("fill", [0.0, np.nan, 7.0])
def test_whole_arrays_are_read_whatever_is_in_them(tmp_path, options, fill):
    values = VALUES.copy()
    values[:, 4:, :3] = fill  # a chunk of nothing but what is read where nothing was written
    path = save(tmp_path / "a.mat", values, fillvalue=fill, **options)
    store = Hdf5Store(path)
    assert [v.shape for v in store.variables] == [(6, 7, 5)]
    np.testing.assert_array_equal(store.array("cube"), values.T)
    part = slab(store.dataset("cube"), slice(1, 4), slice(0, 7, 2), slice(2, 5))
    np.testing.assert_array_equal(part, values[1:4, ::2, 2:5])


@pytest.mark.parametrize(
    ("number", "change", "words"),
    [
        (1, {"offset": (0, 0, 0)}, "listed twice"),
        (1, {"offset": (0, 0, 2)}, "bad coordinate offset"),  # says HDF5
        (1, {"offset": (0, 0, 6)}, "where none can begin"),
        (1, {"offset": (0, 0, 3 * 2**61)}, "where none can begin"),
        (1, {"size": 2**31}, r"would end at byte \d+ of \d+"),
        (1, {"size": 0}, "would end at byte"),
        (3, {"link": 2**40}, "would end at byte"),
    ],
)
@pytest.mark.parametrize("options", PACKINGS[:2])
def test_a_list_that_cannot_be_is_refused_without_reading_samples(tmp_path, options, number, change, words):
    path = with_key(save(tmp_path / "a.mat", **options), number, **change)
    with pytest.raises(InputError, match=rf"a\.mat: (array 'cube'|the list of arrays is damaged).*{words}"):
        _ = Hdf5Store(path).variables


def test_two_chunks_in_one_place_are_refused(tmp_path):
    path = save(tmp_path / "a.mat")
    with_key(path, 1, link=where(path, 0)[0])
    with pytest.raises(InputError, match="lie at the same bytes"):
        _ = Hdf5Store(path).variables


def test_a_size_that_the_samples_cannot_have_is_refused(tmp_path):
    path = with_key(save(tmp_path / "a.mat"), 1, size=479)
    with pytest.raises(InputError, match="take 479 to 480 bytes, unpacked 480 each"):
        _ = Hdf5Store(path).variables


@pytest.mark.parametrize("mask", [1, 2, 256])
def test_a_chunk_without_its_checksum_is_refused(tmp_path, mask):
    path = with_key(save(tmp_path / "a.mat", fletcher32=True), 1, mask=mask)
    with pytest.raises(InputError, match="said to have no checksum"):
        _ = Hdf5Store(path).variables


@pytest.mark.parametrize("options", PACKINGS)
def test_chunks_that_are_listed_and_not_found_are_no_zeros(tmp_path, options):
    """The key behind the last chunk ends the search, and stands in no list."""
    path = with_key(save(tmp_path / "a.mat", **options), 4, offset=(0, 0, 0))
    with h5py.File(path) as f:
        assert (f["cube"][:, 4:, 3:] == 0).all()  # so does HDF5
    store = Hdf5Store(path)
    assert store.variables
    with pytest.raises(InputError, match=r"does not lead to the samples at \[0, 4, 3\]"):
        store.array("cube")
    np.testing.assert_array_equal(slab(store.dataset("cube"), slice(None), slice(0, 4), slice(0, 3)), VALUES[:, :4, :3])
