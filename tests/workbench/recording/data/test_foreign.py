"""Recordings that are not read are named, wherever they lie, and nothing else is taken for them."""

import numpy as np
import pytest
from scipy import io

import workbench as wb
from workbench.core.errors import InputError
from workbench.data import formats
from workbench.recording.data import foreign


def mff(path):
    path.mkdir()
    (path / "info.xml").write_text("<x/>")
    return path


def struct_of(*fields):
    return {"data": {name: np.arange(3.0) for name in fields}}


def matlab(**content):
    def made(path):
        io.savemat(path, content, do_compression=True)
        return path

    return made


def plain(content):
    def made(path):
        path.write_bytes(content)
        return path

    return made


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("a.mff", mff, r"an EGI recording .*mne.io.read_raw_egi\('a.mff'\).save\('a_raw.fif'\)"),
        ("a.cnt", plain(b"RIFF\0\0\0\0CNT " + b"\0" * 900), "an ANT Neuro recording .*read_raw_ant"),
        ("a.eeg", plain(b"EEG-1100A V01.00" + b"\0" * 900), "a Nihon Kohden recording .*read_raw_nihon"),
        ("a.mat", matlab(**struct_of("label", "fsample", "trial", "time")), "'data' is a FieldTrip structure"),
        ("a.mat", matlab(**struct_of("label", "avg", "time")), "'data' is a FieldTrip structure"),
    ],
)
def test_named_with_the_way_out(name, make, words, tmp_path):
    path = make(tmp_path / name)
    assert formats.is_readable(path), "so that a folder does not lose it without a word"
    for verb in (wb.read, formats.info):
        with pytest.raises(InputError, match=words) as caught:
            verb(path)
        assert "\n" not in str(caught.value)


def test_structures_in_hdf5(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as f:
        for field in ("label", "trial", "time"):
            f.create_dataset(f"raw/{field}", data=np.zeros(3))
    content = bytearray((tmp_path / "a.mat").read_bytes())
    content[:20] = b"MATLAB 7.3 MAT-file "
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(InputError, match="'raw' is a FieldTrip structure"):
        wb.read(tmp_path / "a.mat")


def test_others_are_not_taken_for_them(tmp_path):
    assert foreign.known(plain(b"\0" * 600)(tmp_path / "a.eeg")) is None
    assert foreign.known(tmp_path / "not there.cnt") is None
    assert foreign.known(plain(b"x")(tmp_path / "a.cnt")) is None
    both = matlab(**struct_of("label", "trial", "time"), cube=np.zeros((5, 6, 7)))(tmp_path / "c.mat")
    assert wb.read(both).kind == "scene"
    with pytest.raises(InputError, match="no cube"):
        wb.read(matlab(**struct_of("label", "else"))(tmp_path / "d.mat"))
