"""What is a recording: folders of recorders, files by suffix, arrays by what is in them."""

import json
import os

import mne
import numpy as np
import pytest

from tests.bti_maker import save_bti
from tests.recording_maker import raw, save_raw, signals
from workbench.core import provenance
from workbench.core.atomic import sha256_of
from workbench.data import formats
from workbench.recording.data import bids, files


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


def in_bids(folder):
    folder = folder / "sub-01" / "meg"
    folder.mkdir(parents=True)
    path = save_raw(folder / "sub-01_task-rest_split-01_meg.fif", seconds=1.0)
    (folder / "sub-01_task-rest_channels.tsv").write_text("name\ttype\tstatus\nCz\tEEG\tbad\n")
    (folder / "sub-01_task-rest_events.tsv").write_text("onset\tduration\ttrial_type\n0.5\t0\tface\n")
    (folder / "sub-01_task-rest_meg.json").write_text('{"PowerLineFrequency": 50}')
    (folder / "sub-01_coordsystem.json").write_text("{}")
    # Of other recordings, or nothing that a reader takes.
    for other in ("task-rest_run-2_channels.tsv", "task-rest2_events.tsv", "task-rest_tokens.json", "task-rest.tsv"):
        (folder / f"sub-01_{other}").write_text("{}")
    names = ["sub-01_task-rest_channels.tsv", "sub-01_task-rest_events.tsv", "sub-01_task-rest_meg.json"]
    return path, [path.name, *names, "sub-01_coordsystem.json"]


def brainvision(folder):
    source = raw(n_meg=0, n_eeg=4, seconds=4.0, extras=False)
    source.set_meas_date(None)
    mne.export.export_raw(folder / "a.vhdr", source, verbose="ERROR")
    return folder / "a.vhdr", ["a.vhdr", "a.eeg", "a.vmrk"]


def bti(folder):
    place = save_bti(folder / "run1", signals(5, 1.0, 500.0), np.zeros(500))
    return place / "c,rfDC", ["c,rfDC", "config"]


def epochs(folder):
    source = raw(seconds=60.0, rate=1000.0)
    path = folder / "a-epo.fif"
    mne.make_fixed_length_epochs(source, 2.0, preload=True, verbose="ERROR").save(
        path, split_size="2MB", verbose="ERROR"
    )
    return path, sorted(p.name for p in folder.glob("*.fif"))


def in_bids_without_the_package(folder):
    return in_bids(folder)


@pytest.mark.parametrize(
    "made", [in_bids, in_bids_without_the_package, brainvision, bti, epochs], ids=lambda f: f.__name__
)
def test_files_beside_a_recording_are_part_of_its_hash_and_stamp(made, tmp_path, monkeypatch) -> None:
    if made is in_bids_without_the_package:
        monkeypatch.setattr(bids, "available", lambda: False)
    (tmp_path / "dataset_description.json").write_text("{}")
    path, names = made(tmp_path)
    found = formats.read(path, kind="recording").all_files
    assert found[0] == path
    assert len(names) > 1
    assert sorted(f.name for f in found) == sorted(names)
    for file in found:
        image = formats.read(path, kind="recording")
        assert provenance.input_hash(image) == sha256_of(*found)
        os.utime(file, (0, 0))
        assert provenance.input_hash(image) is None
