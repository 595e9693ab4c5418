"""MATLAB 5 files byte by byte: what a file promises is the most that it may take, and damage is one clear error."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.io

from workbench.data import mat5

BOMB = 4 * 1024**2  # bytes that a packed array of a few numbers unpacks to
CLASSES = {"f8": 6, "cell": 1}


def _element(code: int, content: bytes) -> bytes:
    return struct.pack("<II", code, len(content)) + content + b"\0" * (-len(content) % 8)


def _bomb(path, *, kind: str = "f8", shape=(1, 2)):
    """A MATLAB 5 file of some kilobytes whose only array goes on with zeros after what it promises."""
    inner = (
        _element(6, struct.pack("<II", CLASSES[kind], 0))
        + _element(5, struct.pack("<ii", *shape))
        + _element(1, b"x")
        + _element(9, struct.pack("<dd", 1.5, -2.5))
    )
    packed = zlib.compress(struct.pack("<II", 14, BOMB) + inner + b"\0" * BOMB, 9)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    path.write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)
    return path


def _peak(call) -> tuple[object, int]:
    tracemalloc.start()
    try:
        value = call()
        return value, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_listing_a_bomb_unpacks_its_head_alone(tmp_path) -> None:
    path = _bomb(tmp_path / "bomb.mat")
    assert path.stat().st_size < BOMB / 500
    found, peak = _peak(lambda: mat5.entries(path))
    assert [(e.name, e.shape) for e in found] == [("x", (1, 2))]
    assert peak < 1024**2


def _refused(call, match) -> None:
    with pytest.raises(mat5.Damaged, match=match):
        call()


def test_a_bomb_is_refused_in_the_memory_that_its_shape_promises(tmp_path) -> None:
    path = _bomb(tmp_path / "bomb.mat")
    (entry,) = mat5.entries(path)
    _, peak = _peak(lambda: _refused(lambda: mat5.numbers(path, entry), f"a packed array of {BOMB} bytes, at most"))
    assert peak < 1024**2
    honest = path.read_bytes()[136:]
    inner = zlib.decompress(honest)
    packed = zlib.compress(struct.pack("<II", 14, 64) + inner[8:], 9)  # the tag tells of the numbers alone
    path.write_bytes(path.read_bytes()[:128] + struct.pack("<II", 15, len(packed)) + packed)
    (entry,) = mat5.entries(path)
    _, peak = _peak(lambda: _refused(lambda: mat5.numbers(path, entry), "goes on after the 64 bytes that it promises"))
    assert peak < 4 * 1024**2


def test_texts_of_a_bomb_are_limited(tmp_path, monkeypatch) -> None:
    path = _bomb(tmp_path / "bomb.mat", kind="cell")
    (entry,) = mat5.entries(path)
    monkeypatch.setattr(mat5, "_MAX_TEXT", 1 << 14)
    _, peak = _peak(lambda: _refused(lambda: mat5.texts(path, entry), "at most 16384 were expected"))
    assert peak < 1024**2


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "u2", "i1", "i8"])
def test_numbers_are_those_of_scipy(tmp_path, dtype, packed) -> None:
    rng = np.random.default_rng(0)
    wanted = {"one": rng.integers(0, 100, (3, 4, 5)).astype(dtype), "other": rng.integers(0, 9, (7, 1)).astype(dtype)}
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, wanted, do_compression=packed)
    found = {e.name: e for e in mat5.entries(path)}
    assert set(found) == set(wanted)
    for name, entry in found.items():
        assert entry.packed == packed
        assert entry.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(mat5.numbers(path, entry), wanted[name])


def test_complex_arrays_are_told_apart_and_their_real_part_is_whole(tmp_path) -> None:
    values = np.arange(3000).reshape(1, -1) * (1 + 2j)  # larger than the head that is always granted
    path = tmp_path / "c.mat"
    scipy.io.savemat(path, {"z": values}, do_compression=True)
    (entry,) = mat5.entries(path)
    assert entry.complex
    np.testing.assert_array_equal(mat5.numbers(path, entry), values.real)


def test_texts_of_a_cell_array(tmp_path) -> None:
    path = tmp_path / "t.mat"
    cells = np.empty((1, 3), object)
    cells[0, :] = ["Fz", "Größe", np.ones(2)]
    scipy.io.savemat(path, {"names": cells}, do_compression=True)
    (entry,) = mat5.entries(path)
    assert entry.dtype is None
    assert mat5.texts(path, entry) == ["Fz", "Größe", ""]


def test_a_promise_that_the_file_does_not_keep_is_damage(tmp_path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"a": np.arange(6.0).reshape(2, 3)})
    (entry,) = mat5.entries(path)
    longer = mat5.Entry(entry.name, (2, 4), entry.kind, False, entry.start, entry.size, False)
    with pytest.raises(mat5.Damaged, match="48 bytes where 8 x 8 were promised"):
        mat5.numbers(path, longer)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(mat5.Damaged, match="the file ends at"):
        mat5.entries(path)
    path.write_bytes(b"")
    with pytest.raises(mat5.Damaged, match="empty"):
        mat5.entries(path)
    path.write_bytes(content[:126] + b"??" + content[128:])
    with pytest.raises(mat5.Damaged, match="does not begin"):
        mat5.entries(path)
