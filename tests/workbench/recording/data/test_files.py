"""What is a recording: folders of recorders, files by suffix, arrays by what is in them."""

import json

import numpy as np
import pytest

from tests.recording_maker import save_raw
from workbench.recording.data import files


def test_files_of_recorders_are_sure_but_not_what_only_shares_their_suffix(tmp_path) -> None:
    assert files.sniff(save_raw(tmp_path / "a_raw.fif", seconds=1.0), None) == "sure"
    assert files.sniff(tmp_path / "a.EDF", None) == "sure"
    assert files.sniff(tmp_path / "a-eve.fif", None) == "no"
    assert files.sniff(tmp_path / "a.nii.gz", None) == "no"
    assert files.sniff(tmp_path, None) == "no"


def test_an_array_is_one_if_a_rate_says_so(tmp_path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 300), np.float32))
    path.with_suffix(".json").write_text(json.dumps({"sampling_rate": 250}))
    assert files.sniff(path, None) == "sure"
    path.with_suffix(".json").unlink()
    np.save(path, np.zeros((30, 40, 20), np.float32))
    assert files.sniff(path, None) == "no"


@pytest.mark.parametrize("name", ["a_raw-1.fif", "a_split-02_raw.fif"])
def test_later_parts_belong_to_the_first(tmp_path, name) -> None:
    later = tmp_path / name
    later.touch()
    assert not files.is_companion(later)  # alone it is a file like any other
    (tmp_path / ("a_raw.fif" if "-1" in name else "a_split-01_raw.fif")).touch()
    assert files.is_companion(later)
    assert not files.is_companion(tmp_path / "a_raw.nii")
