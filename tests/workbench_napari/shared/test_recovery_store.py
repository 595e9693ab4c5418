"""The recovery store without Qt: exact arrays, whole files only, a cap, and respect for living processes."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
import zipfile

import numpy as np
import pytest
from workbench_napari.shared import recovery_store as files
from workbench_napari.shared.recovery_store import Store

from workbench.core.errors import InputError


def put(store, name="labels", array=None, when=None, **record):
    folder = store.new_folder()
    data = np.zeros((4, 5, 6), np.uint8) if array is None else array
    files.write_arrays(folder / "base-000001.npz", {"data": data})
    entry = {"kind": "labels", "name": name, "source": None, "attributes": {}, **record}
    files.write_record(folder, entry | ({"updated": when} if when else {}), "base-000001.npz")
    return folder


def test_base_and_deltas_give_the_array(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 9, (6, 7, 8)).astype(np.uint16).transpose(2, 1, 0)[::-1]
    store = Store(tmp_path)
    folder = put(store, array=truth)
    truth = truth.copy()
    for number in (2, 3, 4):
        box = tuple(slice(int(a), int(a) + 3) for a in rng.integers(0, 4, 3))
        truth[box] = number
        files.write_delta(folder, number, [box, box], [truth[box], truth[box]])
    (entry,) = store.entries()
    assert np.array_equal(files.read_array(entry), truth)
    assert files.read_array(entry).dtype == truth.dtype
    # A new base makes the old files superfluous; a leftover delta of before must not count.
    final = truth + 1
    files.write_arrays(folder / "base-000005.npz", {"data": final})
    files.write_record(folder, {"kind": "labels", "name": "x", "attributes": {}}, "base-000005.npz")
    assert np.array_equal(files.read_array(store.entries()[0]), final)
    files.drop_older(folder, 5)
    assert sorted(p.name for p in folder.iterdir()) == ["base-000005.npz", "entry.json"]


def test_no_pickle_is_written_or_read(tmp_path):
    with pytest.raises(ValueError, match="pickle"):
        files.write_arrays(tmp_path / "base-000001.npz", {"data": np.array([object()])})
    assert not list(tmp_path.iterdir())
    np.savez(tmp_path / "evil.npz", data=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="Python objects"):
        files.read_arrays(tmp_path / "evil.npz")


def test_a_flipped_bit_in_a_large_array_is_noticed(tmp_path):
    data = np.zeros((40, 200, 200), np.uint8)
    files.write_arrays(tmp_path / "base-000001.npz", {"data": data})
    content = bytearray((tmp_path / "base-000001.npz").read_bytes())
    at = content.rfind(b"PK\x01\x02") + 16  # the checksum of the only member
    content[at] ^= 1
    (tmp_path / "base-000001.npz").write_bytes(content)
    with pytest.raises(InputError, match="Bad CRC-32"):
        files.read_arrays(tmp_path / "base-000001.npz")


@pytest.mark.parametrize("content", [b"no array", b"\x93NUMPY\x01\x00"])
def test_a_member_that_is_no_array_is_one_line(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "delta-000002.npz", "w") as archive:
        archive.writestr("starts.npy", content)
    with pytest.raises(InputError, match="damaged: not readable as the arrays"):
        files.read_arrays(tmp_path / "delta-000002.npz")


def test_a_member_shorter_than_its_header_says_is_refused_before_memory_is_taken(tmp_path):
    stream = io.BytesIO()
    np.save(stream, np.zeros((4, 6), np.float32))
    longer = stream.getvalue().replace(b"(4, 6), }".ljust(18), b"(4294967297, 6), }")
    with zipfile.ZipFile(tmp_path / "delta-000002.npz", "w") as archive:
        archive.writestr("box0.npy", longer)
    with pytest.raises(InputError, match=r"damaged: 96 bytes for an array \(4294967297, 6\)"):
        files.read_arrays(tmp_path / "delta-000002.npz")


def test_half_an_entry_is_not_offered(tmp_path):
    store = Store(tmp_path)
    folder = put(store)
    (folder / "base-000001.npz").unlink()
    broken = store.new_folder()
    broken.mkdir()
    (broken / "entry.json").write_text('{"format": 1, "na')
    assert store.entries() == []
    assert len(store.problems()) == 2


def test_cap_drops_the_oldest_that_nobody_edits(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (40, 50, 50)).astype(np.uint8)  # 100 kB that do not compress
    store = Store(tmp_path, limit_bytes=350_000)
    now = time.time()
    dead = {"pid": 2**22 - 3, "started": 1.0}
    folders = [put(store, f"n{i}", noise, when=now - 100 + i, **dead) for i in range(4)]
    living = put(store, "alive", noise, when=now - 1000, pid=1, started=_started(1))
    mine = put(store, "mine", noise)
    dropped = store.trim(keep=[mine])
    assert [e.name for e in dropped] == ["n0", "n1", "n2"]
    assert {e.folder for e in store.entries()} == {folders[3], living, mine}


def _started(pid):
    import psutil

    return psutil.Process(pid).create_time()


def test_alive_means_this_very_process(tmp_path):
    store = Store(tmp_path)
    put(store, "mine")
    put(store, "reused number", pid=os.getpid(), started=1.0)
    put(store, "ended", pid=2**22 - 3, started=1.0)
    put(store, "elsewhere", host="another-machine")
    put(store, "elsewhere, long ago", host="another-machine", when=time.time() - 2 * 86400)
    alive = {e.name: files.is_alive(e) for e in store.entries()}
    assert alive == {
        "mine": True,
        "reused number": False,
        "ended": False,
        "elsewhere": True,
        "elsewhere, long ago": False,
    }


def test_only_one_window_can_claim(tmp_path):
    store = Store(tmp_path)
    put(store, "x", pid=2**22 - 3, started=1.0)
    (entry,) = store.entries()
    mine = store.claim(entry)
    assert mine is not None
    assert files.is_alive(mine)
    assert store.claim(entry) is None


def test_limit_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RECOVERY_MB", "1.5")
    assert Store(tmp_path).limit_bytes == 1_500_000


GOOD = {"format": 1, "kind": "labels", "name": "x", "source": None, "updated": 1.7e9, "state": "open",
        "base": "base-000001.npz", "attributes": {"metadata": {}}, "pid": 4194301, "started": 1.0}  # fmt: skip


def entry_of(store, **changed):
    """An entry of a hand that is not ours."""
    folder = store.new_folder()
    files.write_arrays(folder / "base-000001.npz", {"data": np.zeros((4, 5, 6), np.uint8)})
    (folder / "entry.json").write_text(json.dumps({**GOOD, **changed}))
    return folder


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"updated": float("nan")}, "'updated' is 'nan'"),
        ({"updated": float("-inf")}, "'updated' is '-inf'"),
        ({"updated": 1e300}, "'updated' is '1e+300'"),
        ({"updated": "now"}, "'updated'"),
        ({"updated": True}, "'updated'"),
        ({"updated": -5}, "'updated'"),
        ({"name": ["x"]}, "'name'"),
        ({"name": None}, "'name'"),
        ({"kind": "image"}, "'kind'"),
        ({"kind": ["labels"]}, "'kind'"),
        ({"source": 3}, "'source'"),
        ({"state": {}}, "'state'"),
        ({"base": "../../outside/base-000001.npz"}, "'base'"),
        ({"base": "/etc/passwd"}, "'base'"),
        ({"base": "."}, "'base'"),
        ({"base": "delta-000001.npz"}, "'base'"),
        ({"base": "base-000002.npz"}, "base-000002.npz is not there"),
        ({"attributes": [1]}, "'attributes'"),
        ({"attributes": {"metadata": [1]}}, "'metadata'"),
        ({"attributes": {"metadata": {files.KEY: "x"}}}, "'metadata'"),
        ({"format": 99}, "'format'"),
    ],
)
def test_an_entry_that_is_not_ours_is_said_and_hides_no_other(tmp_path, changed, word):
    store = Store(tmp_path)
    good, bad = put(store, "good", pid=2**22 - 3, started=1.0), entry_of(store, **changed)
    (found,) = store.entries()
    assert found.folder == good
    (line,) = store.problems()
    assert word in line
    assert line.startswith(str(bad))
    assert "\n" not in line
    store.trim()
    assert bad.is_dir()


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"a":' * 200_000, "[]", "3", "", "\0", '{"format": ' + "9" * 5000 + "}"]
)
def test_broken_records_hide_no_other(tmp_path, text):
    store = Store(tmp_path)
    good, bad = put(store, "good"), entry_of(store)
    (bad / "entry.json").write_text(text)
    assert [e.folder for e in store.entries()] == [good]
    assert len(store.problems()) == 1


def test_a_huge_record_is_not_read(tmp_path):
    store = Store(tmp_path)
    bad = entry_of(store)
    with (bad / "entry.json").open("wb") as file:
        file.truncate(1 << 32)
    assert store.entries() == []
    assert "4295 MB, a record is small" in store.problems()[0]


@pytest.mark.parametrize("odd", [{"pid": 2**80}, {"pid": None}, {"pid": -1}, {"started": "x"}, {"started": []}])
def test_an_owner_that_cannot_be_is_not_alive(tmp_path, odd):
    store = Store(tmp_path)
    put(store, "x", **{"pid": os.getpid(), **odd})
    (entry,) = store.entries()
    assert not files.is_alive(entry)


def test_links_lead_nowhere(tmp_path):
    """Of what they lead to nothing is read, offered or removed."""
    outside, store = Store(tmp_path / "outside"), Store(tmp_path / "store")
    theirs = put(outside, "theirs")
    put(store, "good")
    (store.root / "linked").symlink_to(theirs)
    inner = entry_of(store)
    (inner / "base-000001.npz").unlink()
    (inner / "base-000001.npz").symlink_to(theirs / "base-000001.npz")
    record = entry_of(store)
    shutil.move(record / "entry.json", tmp_path / "entry.json")
    (record / "entry.json").symlink_to(tmp_path / "entry.json")
    assert [e.name for e in store.entries()] == ["good"]
    assert len(store.problems()) == 3
    for folder in (store.root / "linked", theirs, tmp_path, store.root, store.root / ".." / "outside" / theirs.name):
        store.discard(folder)
    assert (theirs / "entry.json").is_file()
    assert (theirs / "base-000001.npz").is_file()
    (entry,) = store.entries()
    (entry.folder / "delta-000002.npz").symlink_to(theirs / "base-000001.npz")
    with pytest.raises(InputError, match="a link or no file"):
        files.read_array(entry)
    store.discard(entry.folder)
    assert (theirs / "base-000001.npz").is_file()
    assert store.entries() == []


@pytest.mark.parametrize(
    ("starts", "box", "word"),
    [
        ([[-1, 0, 0]], (2, 2, 2), "lies outside"),
        ([[3, 0, 0]], (2, 2, 2), "lies outside"),
        ([[0, 0]], (2, 2, 2), "expected 3 for each"),
        ([[0, 0, 0]], (2, 2), "lies outside"),
        ([[0.0, 0.0, 0.0]], (2, 2, 2), "expected 3 for each"),
        ([[0, 0, 0], [0, 0, 0]], (2, 2, 2), "has no 'box1'"),
    ],
)
def test_boxes_that_do_not_fit_are_refused(tmp_path, starts, box, word):
    store = Store(tmp_path)
    folder = put(store)
    files.write_arrays(folder / "delta-000002.npz", {"starts": np.array(starts), "box0": np.ones(box, np.uint8)})
    with pytest.raises(InputError, match=word):
        files.read_array(store.entries()[0])


def test_files_of_others_in_an_entry_are_left_alone(tmp_path):
    store = Store(tmp_path)
    folder = put(store)
    (folder / "notes-x.npz").write_bytes(b"mine")
    (folder / "delta-x.npz").write_bytes(b"mine")
    assert files.read_array(store.entries()[0]).shape == (4, 5, 6)
    files.drop_older(folder, 9)
    assert sorted(p.name for p in folder.iterdir()) == ["delta-x.npz", "entry.json", "notes-x.npz"]


def test_a_feature_that_is_not_a_number_is_kept(tmp_path):
    store = Store(tmp_path)
    put(store, attributes={"features": {"area": [1.0, float("nan")]}})
    (entry,) = store.entries()
    assert np.isnan(entry.record["attributes"]["features"]["area"][1])


@pytest.mark.parametrize("step", range(3))
def test_an_entry_that_is_discarded_while_it_is_read_is_none_and_no_problem(tmp_path, monkeypatch, step):
    store, steps = Store(tmp_path), iter(range(9))
    folder, own = put(store), files._is_own

    def discarded(path, kind):
        answer = own(path, kind)
        if next(steps) == step:
            shutil.rmtree(folder)
        return answer

    monkeypatch.setattr(files, "_is_own", discarded)
    assert (store.entries(), store.problems()) == ([], [])
