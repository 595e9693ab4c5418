"""Scratch space: large results lie on disk while they are used and leave nothing behind; scraps decide little."""

import gc
import os
import shutil
import tempfile
from collections import namedtuple

import numpy as np
import pytest

from workbench.core.errors import UsageError
from workbench.recording.data import pieces
from workbench.recording.data.pieces import scratch, usual_length


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where scratch files go; every array counts as large."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(pieces, "IN_MEMORY", 0)
    return tmp_path


def test_a_small_array_needs_no_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(pieces, "IN_MEMORY", 4 * 3 * 100)
    assert not isinstance(scratch((3, 100)), np.memmap)
    assert isinstance(scratch((3, 101)), np.memmap)


def test_a_large_array_can_be_used_and_leaves_no_file(folder) -> None:
    array = scratch((3, 1000))
    assert isinstance(array, np.memmap)
    assert (array.shape, array.dtype) == ((3, 1000), np.float32)
    assert not array.any()
    array[1] = np.arange(1000)
    part = array[1, 10:]
    del array
    gc.collect()
    np.testing.assert_array_equal(part, np.arange(10, 1000))
    del part
    gc.collect()
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps files that are open")
def test_the_name_is_gone_at_once_so_that_a_crash_leaves_no_file(folder) -> None:
    array = scratch((3, 1000))
    assert list(folder.iterdir()) == []
    array[:] = 1
    assert array.sum() == 3000


def test_where_open_files_are_kept_the_file_goes_with_the_array(folder, monkeypatch) -> None:
    """As Windows does it: the file cannot be removed while it is mapped."""

    def refuse(name):
        raise PermissionError(13, "used by another process", name)

    monkeypatch.setattr(os, "unlink", refuse)
    array = scratch((3, 1000))
    (file,) = folder.iterdir()
    assert file.stat().st_size == 3 * 1000 * 4
    array[:] = 2
    monkeypatch.undo()
    del array
    gc.collect()
    assert not file.exists()


def test_too_little_space_is_said_before_it_is_used(folder, monkeypatch) -> None:
    usage = namedtuple("usage", "total used free")
    needed = 4 * 3 * 1000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, needed + 2**28 - 1))
    with pytest.raises(UsageError, match="TMPDIR"):
        scratch((3, 1000))
    assert list(folder.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, needed + 2**28))
    assert scratch((3, 1000)).shape == (3, 1000)


def test_a_scrap_between_interruptions_does_not_choose_the_filter() -> None:
    assert usual_length([1000]) == 1000
    assert usual_length([20, 1000, 900, 30]) == 900
    assert usual_length([100] * 10) == 100
    assert usual_length([900, 100]) == 900  # exactly nine of ten
    assert usual_length([899, 101]) == 101
