"""The recovery store without Qt: exact arrays, whole files only, a cap, and respect for living processes."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from workbench_napari.shared import recovery_store as files
from workbench_napari.shared.recovery_store import Store


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
    with pytest.raises(ValueError, match="allow_pickle"):
        files.read_arrays(tmp_path / "evil.npz")


def test_half_an_entry_is_not_offered(tmp_path):
    store = Store(tmp_path)
    folder = put(store)
    (folder / "base-000001.npz").unlink()
    broken = store.new_folder()
    broken.mkdir()
    (broken / "entry.json").write_text('{"format": 1, "na')
    assert store.entries() == []


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
