import gzip
import os
import struct
import subprocess
import sys
from pathlib import Path

import mne
import numpy as np
import pytest

from tests.recording_maker import raw, save_raw
from workbench.core.errors import InputError
from workbench.data import formats
from workbench.recording.data import fif_file


def test_blocks_tell_what_is_in_a_file_whatever_its_name(tmp_path):
    source = raw()
    source.save(tmp_path / "x.fif", verbose="ERROR", overwrite=True)
    epochs = mne.Epochs(source, mne.find_events(source, verbose="ERROR"), None, preload=True, verbose="ERROR")
    epochs.save(tmp_path / "y.fif", verbose="ERROR")
    mne.write_evokeds(tmp_path / "z.fif", [epochs.average()], verbose="ERROR")
    assert [fif_file.contents(tmp_path / f"{n}.fif") for n in "xyz"] == ["raw", "epochs", "evoked"]
    (tmp_path / "z.fif.gz").write_bytes(gzip.compress((tmp_path / "z.fif").read_bytes()))
    assert fif_file.contents(tmp_path / "z.fif.gz") == "evoked"


def test_packed_files_are_unpacked_once_and_again_when_they_change(tmp_path):
    path = tmp_path / "a_raw.fif.gz"
    body = save_raw(tmp_path / "a_raw.fif").read_bytes()
    path.write_bytes(gzip.compress(body))
    copy = fif_file.plain(path)
    assert copy.read_bytes() == body
    assert fif_file.plain(path) == copy
    assert fif_file.plain(tmp_path / "a_raw.fif") == tmp_path / "a_raw.fif"
    path.write_bytes(gzip.compress(body + b"more"))
    assert fif_file.plain(path).read_bytes() == body + b"more"
    path.write_bytes(gzip.compress(body)[:-1000])
    with pytest.raises(InputError, match="truncated or damaged .gz"):
        fif_file.plain(path)
    path.write_bytes(b"no gzip at all")
    with pytest.raises(InputError, match="truncated or damaged .gz"):
        fif_file.plain(path)


@pytest.mark.parametrize("where", range(0, 4000, 173))
def test_every_cut_is_found(tmp_path, where):
    body = save_raw(tmp_path / "a_raw.fif", seconds=1.0, n_meg=3, n_eeg=0).read_bytes()
    (tmp_path / "b_raw.fif").write_bytes(body[: len(body) - 1 - where])
    with pytest.raises(InputError, match="truncated FIF file"):
        formats.read(tmp_path / "b_raw.fif")


def test_tags_that_lead_in_a_circle_end(tmp_path):
    tag = struct.pack(">4i", 100, 31, 4, 0) + b"\0" * 4
    (tmp_path / "a.fif").write_bytes(tag + struct.pack(">4i", 101, 3, 4, 20) + b"\0" * 4)
    with pytest.raises(InputError, match="lead in a circle"):
        fif_file.contents(tmp_path / "a.fif")
    assert np.frombuffer(tag[:4], ">i4")[0] == 100


def test_a_block_without_a_kind_is_named(tmp_path):
    tag = struct.pack(">4i", 100, 31, 4, 0) + b"\0" * 4
    (tmp_path / "a.fif").write_bytes(tag + struct.pack(">4i", 104, 3, 0, -1))
    with pytest.raises(InputError, match="damaged FIF file: a block without a kind at byte 20"):
        fif_file.contents(tmp_path / "a.fif")


def test_a_packed_file_cannot_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(fif_file, "LARGEST", 3 << 20)
    path = tmp_path / "bomb_raw.fif.gz"
    path.write_bytes(gzip.compress(bytes(50 << 20)))
    with pytest.raises(InputError, match="unpacks to more than 3145728 bytes, which no FIF file holds"):
        fif_file.plain(path)
    assert not list(fif_file.Path(fif_file._folder().name).glob("*bomb_raw.fif"))
    path.write_bytes(gzip.compress(bytes(3 << 20)))
    assert fif_file.plain(path).stat().st_size == 3 << 20


def test_unpacked_copies_go_when_the_program_ends(tmp_path):
    packed = tmp_path / "a_raw.fif.gz"
    packed.write_bytes(gzip.compress(save_raw(tmp_path / "a_raw.fif", seconds=1.0, n_meg=3, n_eeg=0).read_bytes()))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    program = (
        "import sys; from pathlib import Path; from workbench.recording.data import fif_file;"
        "print(fif_file.plain(Path(sys.argv[1])).is_file())"
    )
    environment = os.environ | {"TMPDIR": str(scratch), "PYTHONPATH": str(Path(__file__).resolve().parents[4])}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, packed], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "True", done.stderr
    assert list(scratch.iterdir()) == []
