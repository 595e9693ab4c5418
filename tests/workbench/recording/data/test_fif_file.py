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


def number_of(body, kind, at=0):
    """Where the value of the first tag of that kind begins that is long enough."""
    position = 0
    while position < len(body):
        found, _, length, _ = struct.unpack_from(">4i", body, position)
        if found == kind:
            return position + 16 + at
        position += 16 + length
    raise AssertionError(kind)


@pytest.mark.parametrize("packed", [False, True])
def test_a_second_file_behind_the_first_is_refused(tmp_path, packed):
    body = save_raw(tmp_path / "a_raw.fif", seconds=1.0, n_meg=3, n_eeg=0).read_bytes()
    path = tmp_path / ("b_raw.fif.gz" if packed else "b_raw.fif")
    put = gzip.compress if packed else bytes
    path.write_bytes(put(body) + put(body))
    with pytest.raises(InputError, match=f"ends at byte {len(body)}, and another FIF file follows"):
        formats.read(path)
    path.write_bytes(put(body) + put(b"more"))
    assert formats.read(path).notes == (f"4 bytes behind the last tag of {path.name} were left out",)
    path.write_bytes(put(body[:3000]) + put(body[3000:]))
    assert formats.read(path).notes == ()


def test_samples_that_a_tag_jumps_over_are_said(tmp_path):
    path = tmp_path / "a_raw.fif"
    raw(seconds=4.0, n_meg=3, n_eeg=0).save(path, buffer_size_sec=1.0, verbose="ERROR")
    body = bytearray(path.read_bytes())
    first = number_of(body, 300) - 16
    struct.pack_into(">i", body, first + 12, first + 3 * (16 + struct.unpack_from(">4i", body, first)[2]))
    path.write_bytes(body)
    with pytest.raises(InputError, match="over samples at byte"):
        formats.read(path)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
@pytest.mark.parametrize(("what", "at"), [("range", 12), ("calibration", 16)])
def test_factors_that_destroy_samples_are_refused(tmp_path, what, at, value):
    path = save_raw(tmp_path / "a_raw.fif", seconds=1.0, n_meg=3, n_eeg=0)
    body = bytearray(path.read_bytes())
    struct.pack_into(">f", body, number_of(body, 203, at), value)
    path.write_bytes(body)
    with pytest.raises(InputError, match=rf"damaged FIF file: the {what} of channel 'MEG 0001' is {value:g}"):
        formats.read(path)


def test_the_record_of_a_cleaning_does_not_count_the_channels(tmp_path, shared_data):
    """It lies before the number of channels, and says how many of them were cleaned: 306 of 376."""
    info = mne.read_evokeds(shared_data / "meg" / "neuromag_evoked-ave.fif.gz", verbose="ERROR")[0].info
    source = mne.io.RawArray(
        1e-13 * np.random.default_rng(0).normal(size=(len(info["ch_names"]), 601)), info, verbose="ERROR"
    )
    source.save(tmp_path / "a_raw.fif", verbose="ERROR")
    image = formats.read(tmp_path / "a_raw.fif")
    assert image.data.shape == source.get_data().shape
    assert np.allclose(image.data, source.get_data(), rtol=1e-5, atol=1e-18)
