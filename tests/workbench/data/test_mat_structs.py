"""Structures of MATLAB files: the same values from both versions, nothing that leads out of the file or to itself."""

import contextlib

import h5py
import numpy as np
import pytest
from scipy import io

from tests import eeglab_maker
from workbench.core.errors import InputError
from workbench.data import mat5, mat_structs
from workbench.data.mat_structs import OnDisk, variables


@pytest.mark.parametrize("version", [5, 7.3])
def test_values_of_both_versions(version, tmp_path):
    eeg = {"n": 3.0, "text": "Ä b", "rows": [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}], "left_out": 5.0, "none": []}
    path = eeglab_maker.save(tmp_path / "a.mat", eeg | {"array": np.arange(6.0).reshape(2, 3)}, version=version)
    wanted = {"EEG": {"n": {}, "text": {}, "rows": {"a": {}}, "array": {}, "none": {}}, "else": {}}
    found = variables(path, wanted)
    assert set(found) == {"EEG"}
    (one,) = found["EEG"]
    assert set(one) == set(wanted["EEG"])
    assert (one["n"], one["text"], [r["a"] for r in one["rows"]]) == (3.0, "Ä b", [1.0, 2.0])
    assert [set(r) for r in one["rows"]] == [{"a"}, {"a"}]
    np.testing.assert_array_equal(one["array"], np.arange(6.0).reshape(2, 3))
    assert len(one["none"]) == 0


def test_cells_and_what_is_no_plain_value(tmp_path):
    cells = np.array([["x", np.arange(3.0)]], dtype=object)
    io.savemat(tmp_path / "a.mat", {"s": {"cells": cells, "z": 1j, "flag": True, "rows": np.array(["ab", "cd"])}})
    (one,) = variables(tmp_path / "a.mat", {"s": {}})["s"]
    assert one["cells"][0] == "x"
    assert one["cells"][1].tolist() == [[0.0, 1.0, 2.0]]
    assert one["z"] is None, "complex"
    assert one["rows"] is None, "several lines of text"
    assert one["flag"] == 1


def test_long_arrays_stay_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(mat_structs, "_LARGE", 100)
    data = eeglab_maker.signals(samples=80, trials=3)
    path = eeglab_maker.save(tmp_path / "a.mat", {"data": data}, version=7.3)
    (one,) = variables(path, {"EEG": {}})["EEG"]
    assert isinstance(one["data"], OnDisk)
    assert one["data"].shape == data.shape


def test_long_arrays_of_a_recording_are_copied_as_they_are(tmp_path, monkeypatch):
    import workbench as wb

    monkeypatch.setattr(mat_structs, "_LARGE", 100)
    for trials in (0, 3):
        data = eeglab_maker.signals(samples=80, trials=trials)
        fields = eeglab_maker.fields(data, trials=max(1, trials))
        path = eeglab_maker.save(tmp_path / f"{trials}.set", fields, version=7.3)
        np.testing.assert_allclose(wb.read(path).data, data.reshape(4, -1, order="F") * 1e-6, rtol=3e-7)


def made(path, build):
    eeglab_maker.save(path, {"n": 1.0}, version=7.3)
    with h5py.File(path, "r+") as f:
        build(f)
    return path


def test_what_leads_out_of_the_file_is_not_followed(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["x"] = np.arange(5.0)

    def build(f):
        f["EEG/linked"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
        f["EEG/soft"] = h5py.SoftLink("/EEG/n")
        (tmp_path / "raw.bin").write_bytes(bytes(80))
        f["EEG"].create_dataset("outside", (10,), "f8", external=[(str(tmp_path / "raw.bin"), 0, 80)])

    (one,) = variables(made(tmp_path / "a.mat", build), {"EEG": {}})["EEG"]
    assert one["n"] == 1.0
    assert (one["linked"], one["soft"], one["outside"]) == (None, None, None)


def test_a_cell_that_holds_itself_ends(tmp_path):
    def build(f):
        cell = f["EEG"].create_dataset("cell", (1, 1), h5py.ref_dtype)
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
        cell[0, 0] = cell.ref

    with pytest.raises(InputError, match=r"'EEG.cell' holds too many values, or leads to itself"):
        variables(made(tmp_path / "a.mat", build), {"EEG": {}})


def test_samples_that_were_never_written_are_no_zeros(tmp_path):
    path = made(tmp_path / "a.mat", lambda f: f["EEG"].create_dataset("data", (100, 4), "f4"))
    with pytest.raises(InputError, match=r"array 'EEG.data': its shape promises 1600 bytes"):
        variables(path, {"EEG": {}})


def test_structures_that_cannot_be(tmp_path, monkeypatch):
    path = eeglab_maker.save(tmp_path / "a.mat", {"rows": [{"a": float(n)} for n in range(5)]})
    whole = path.read_bytes()
    with monkeypatch.context() as few:
        few.setattr(mat5, "_MOST_VALUES", 3)
        with pytest.raises(InputError, match="more than 3 values"):
            variables(path, {"EEG": {}})
    with monkeypatch.context() as flat:
        flat.setattr(mat5, "_MOST_DEEP", 1)
        with pytest.raises(InputError, match="structures within structures"):
            variables(path, {"EEG": {}})
    at = whole.index(b"rows")
    for place in range(at, min(len(whole), at + 400), 4):
        path.write_bytes(whole[:place] + b"\xff\xff\xff\x7f" + whole[place + 4 :])
        with contextlib.suppress(InputError):  # and nothing else
            variables(path, {"EEG": {}})


def test_a_small_file_does_not_fill_the_memory(tmp_path):
    path = tmp_path / "a.mat"
    io.savemat(path, {"EEG": {"data": np.zeros((4, 8_000_000))}}, do_compression=True)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match="'EEG' cannot be read .a packed array of 256000"):
        variables(path, {"EEG": {}})
