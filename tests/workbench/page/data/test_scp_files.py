"""SCP-ECG through the optional package, and what the file states compared with it."""

from __future__ import annotations

import importlib.util
import struct
import sys

import numpy as np
import pytest

from workbench.core.errors import InputError, MissingExtra
from workbench.page.data import aecg_xml, scp_files

HAS_KIT = importlib.util.find_spec("ecgdatakit") is not None
needs_kit = pytest.mark.skipif(not HAS_KIT, reason="the extra 'ecg' (ecgdatakit) is not installed")


@pytest.fixture
def raw(shared_data):
    return (shared_data / "ecg" / "hl7_example.scp").read_bytes()


@needs_kit
def test_the_same_recording_in_aecg_has_the_same_leads(shared_data):
    one = scp_files.read(shared_data / "ecg" / "hl7_example.scp")
    two = aecg_xml.read(shared_data / "ecg" / "hl7_example_aecg.xml")
    assert set(one.channels) == set(two.channels)
    assert len(one.channels) == 12
    for lead in one.channels:
        np.testing.assert_allclose(
            one.data[one.channels.index(lead)], two.data[two.channels.index(lead)], atol=1e-3, err_msg=lead
        )
    measured = {"PR": 148, "QRS": 120, "QT": 420, "QTc": 443, "P_axis": 44, "QRS_axis": -61, "T_axis": 86}
    assert one.header["measurements"] == measured
    assert one.header["sampling_rate"] == 500
    assert "Clark" not in str(one.header)


def test_without_the_package_the_install_command_is_said(shared_data, monkeypatch):
    monkeypatch.setitem(sys.modules, "ecgdatakit", None)
    with pytest.raises(MissingExtra, match=r"pip install 'napari-workbench\[ecg\]'"):
        scp_files.read(shared_data / "ecg" / "hl7_example.scp")


def test_what_the_file_states(shared_data):
    """Read by ourselves, with or without the package."""
    stated = scp_files._stated(shared_data / "ecg" / "hl7_example.scp")
    assert stated.codes == (1, 2, 3, 4, 5, 6, 7, 8, 61, 62, 63, 64)
    assert stated.lengths == (5000,) * 12
    assert (stated.rate, stated.step) == (500.0, 0.0025)
    assert stated.notes == ()


def test_damage_is_one_line_before_anything_is_decoded(raw, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ecgdatakit", None)  # whatever comes, it comes from what is checked here
    path = tmp_path / "x.scp"

    def said(data):
        path.write_bytes(bytes(data))
        with pytest.raises(InputError) as caught:
            scp_files.read(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    for part in range(16):
        message = said(raw[: len(raw) * part // 16])
        assert "cut off" in message or "is empty" in message or "begins with" in message
    flipped = bytearray(raw)
    flipped[-3000] ^= 4
    assert "checksum of section" in said(flipped)
    assert "begins with" in said(b"\0" * len(raw))
    huge = bytearray(raw)
    huge[2:6] = struct.pack("<I", 1 << 31)
    assert "cut off" in said(huge)


def test_a_wrong_sum_of_the_whole_file_is_said(raw, tmp_path):
    path = tmp_path / "x.scp"
    changed = bytearray(raw)
    changed[0] ^= 1
    path.write_bytes(changed)
    assert "checksum of the whole file is wrong" in scp_files._stated(path).notes[0]


def test_other_files_are_none(tmp_path, shared_data):
    assert scp_files.is_ecg(shared_data / "ecg" / "hl7_example.scp")
    assert not scp_files.is_ecg(shared_data / "ecg" / "hl7_example.dcm")
    assert not scp_files.is_ecg(tmp_path / "none")
