"""WFDB records: what `wfdb` reads, in mV, and what it does not look at."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import wfdb

from tests.workbench.page.made import heart, wfdb_record
from workbench.core.errors import InputError, UsageError
from workbench.page.data import wfdb_files
from workbench.page.leads import STANDARD

RAW = np.round(heart(3, 1000) * 1000).astype(np.int16)


def _lines(*names: str, gain: str = "1000(0)/mV") -> list[str]:
    return [f"{gain} 16 0 0 {int(RAW[n].sum()) & 0xFFFF} 0 {name}" for n, name in enumerate(names)]


def test_a_record_of_fifteen_leads_is_what_wfdb_reads(shared_data):
    path = shared_data / "ecg" / "s0010_re.hea"
    image = wfdb_files.read(path)
    assert not image.is_loaded
    assert image.channels == (*STANDARD, "X", "Y", "Z")
    expected = wfdb.rdrecord(str(path.with_suffix(""))).p_signal.T
    np.testing.assert_allclose(image.data, expected, atol=1e-6)
    assert image.header["age"] == 81
    assert image.header["sex"] == "female"
    assert image.header["sampling_rate"] == 1000
    assert any("Myocardial infarction" in line for line in image.header["diagnoses"])
    assert not any("checksum" in note for note in image.notes)
    assert any("names no unit" in note for note in image.notes)


@pytest.mark.parametrize("number", [1, 10, 101])
def test_records_with_baselines_are_what_wfdb_reads(shared_data, number):
    path = shared_data / "ludb" / f"{number}.hea"
    image = wfdb_files.read(path)
    expected = wfdb.rdrecord(str(path.with_suffix(""))).p_signal.T
    np.testing.assert_allclose(image.data, expected, atol=1e-6)
    assert image.channels == STANDARD
    assert len(image.header["diagnoses"]) >= 1
    # LUDB 1.0.1 scaled each lead to its own range: what its headers call mV is none.
    assert len(image.notes) == 1
    assert "all 12 leads span the same 1 mV" in image.notes[0]


@pytest.mark.parametrize("number", [1, 10, 101])
def test_one_gain_for_all_leads_makes_limb_leads_agree(shared_data, number):
    path = shared_data / "ludb" / f"{number}.hea"
    image = wfdb_files.read(path, gain=1000)
    raw = wfdb.rdrecord(str(path.with_suffix("")), physical=False)
    np.testing.assert_allclose(image.data, (raw.d_signal - np.array(raw.baseline)).T / 1000, atol=1e-6)
    leads = dict(zip(image.channels, image.data, strict=True))
    assert np.std(leads["III"] - (leads["II"] - leads["I"])) < 1e-3
    assert image.notes == ("the gain of all voltages is the one given, 1000 steps per mV, not that of the header",)


def test_a_gain_that_is_given_calibrates(tmp_path):
    path = wfdb_record(tmp_path, "r", RAW[:1], _lines("V1", gain="0/mV"))
    np.testing.assert_allclose(wfdb_files.read(path, gain=200).data, RAW[:1] / 200, atol=1e-6)
    for gain in (0, -1, float("nan")):
        with pytest.raises(UsageError, match="expected a positive number of steps per mV"):
            wfdb_files.read(path, gain=gain)


def test_a_file_of_another_name_is_read_where_only_one_can_be_meant(shared_data, tmp_path):
    folder = shared_data / "ecg"
    image = wfdb_files.read(folder / "ptbxl_00001_lr.hea")
    raw = np.fromfile(folder / "ptbxl_00001_lr.dat", "<i2").reshape(-1, 12).T
    np.testing.assert_allclose(image.data, raw / 1000, atol=1e-6)
    assert "00001_lr.dat" in image.notes[0]
    shutil.copy(folder / "ptbxl_00001_lr.hea", tmp_path / "ptbxl_00001_lr.hea")
    with pytest.raises(InputError, match="names the file '00001_lr.dat', which is missing"):
        wfdb_files.read(tmp_path / "ptbxl_00001_lr.hea")
    (tmp_path / "ptbxl_00001_lr.dat").write_bytes(b"\0" * 100)
    with pytest.raises(InputError, match=r"does not hold the 24000 bytes"):
        wfdb_files.read(tmp_path / "ptbxl_00001_lr.hea")


def test_units_are_converted_and_what_is_no_voltage_is_left_out(tmp_path):
    lines = [
        f"1(0)/uV 16 0 0 {int(RAW[0].sum()) & 0xFFFF} 0 I",
        f"1000000(0)/V 16 0 0 {int(RAW[1].sum()) & 0xFFFF} 0 II",
        f"10(0)/mmHg 16 0 0 {int(RAW[2].sum()) & 0xFFFF} 0 ABP",
    ]
    image = wfdb_files.read(wfdb_record(tmp_path, "r", RAW, lines))
    assert image.channels == ("I", "II")
    np.testing.assert_allclose(image.data, RAW[:2] / 1000, atol=1e-6)
    assert "ABP (in mmHg, no voltage)" in image.notes[0]


@pytest.mark.parametrize("sign", ["\u00b5V", "\u03bcV", "uV"])
def test_a_sign_for_micro_is_never_lost(tmp_path, sign):
    # wfdb drops letters that are not ASCII: by itself it takes these signals for volts.
    image = wfdb_files.read(wfdb_record(tmp_path, "r", RAW[:1], _lines("V1", gain=f"1(0)/{sign}")))
    np.testing.assert_allclose(image.data, RAW[:1] / 1000, atol=1e-6)


def test_no_voltage_and_no_calibration_are_refused(tmp_path):
    with pytest.raises(InputError, match="none of its 1 signal.*no voltage"):
        wfdb_files.read(wfdb_record(tmp_path, "r", RAW[:1], _lines("I", gain="10/NU")))
    with pytest.raises(InputError, match="not calibrated"):
        wfdb_files.read(wfdb_record(tmp_path, "r", RAW[:1], _lines("I", gain="0/mV")))
    with pytest.raises(InputError, match="not calibrated"):
        wfdb_files.read(wfdb_record(tmp_path, "r", RAW[:1], [""]))


def test_a_rate_is_never_guessed(tmp_path):
    with pytest.raises(InputError, match="names no sampling rate"):
        wfdb_files.read(wfdb_record(tmp_path, "r", RAW[:1], _lines("I"), head="r 1"))
    for rate in ("0", "5", "1e9", "-500"):
        with pytest.raises(InputError):
            wfdb_files.read(wfdb_record(tmp_path, "r", RAW[:1], _lines("I"), head=f"r 1 {rate} 1000"))


def test_headers_as_the_challenges_write_them(tmp_path):
    """PhysioNet Challenge 2020: samples in a MATLAB file behind 24 bytes, and a date that header(5) does not know."""
    (tmp_path / "A0001.mat").write_bytes(b"\0" * 24 + RAW.T.astype("<i2").tobytes())
    lines = [f"A0001.mat 16+24 1000/mV 16 0 {int(r[0])} {int(r.sum()) & 0xFFFF} 0 {n}" for r, n in
             zip(RAW, ("I", "II", "V1"), strict=True)]  # fmt: skip
    head = "A0001 3 500 1000 05-Feb-2020 11:39:16"
    (tmp_path / "A0001.hea").write_text("\n".join([head, *lines]) + "\n#Age: 74\n#Sex: Male\n#Dx: 59118001\n")
    image = wfdb_files.read(tmp_path / "A0001.hea")
    np.testing.assert_allclose(image.data, RAW / 1000, atol=1e-6)
    assert not any("checksum" in note for note in image.notes)
    assert image.header["diagnoses"] == ["59118001"]


def test_headers_as_mit_bih_writes_them(tmp_path):
    """No unit, and the zero of the converter as baseline: (11 bits, zero 1024), header(5)."""
    raw = RAW[:2] + np.int16(1024)
    lines = [f"200 11 1024 {int(r[0])} {int(r.sum()) & 0xFFFF} 0 {n}" for r, n in zip(raw, ("MLII", "V5"), strict=True)]
    path = wfdb_record(tmp_path, "100", raw, lines, head="100 2 360 1000 0:0:0 0/0/0", comments="# 69 M 1085 1629 x1\n")
    image = wfdb_files.read(path)
    np.testing.assert_allclose(image.data, RAW[:2] / 200, atol=1e-6)
    assert image.header["sampling_rate"] == 360
    assert any("names no unit" in note for note in image.notes)


def test_invalid_samples_are_gaps_and_a_negative_gain_is_said(tmp_path):
    raw = RAW[:2].copy()
    raw[0, 100:200] = -32768
    lines = [
        f"1000(0)/mV 16 0 0 {int(raw[0].sum()) & 0xFFFF} 0 I",
        f"-1000(5)/mV 16 0 0 {int(raw[1].sum()) & 0xFFFF} 0 II",
    ]
    image = wfdb_files.read(wfdb_record(tmp_path, "r", raw, lines))
    assert np.array_equal(np.isnan(image.data[0]), raw[0] == -32768)
    np.testing.assert_allclose(image.data[1], -(raw[1] - 5.0) / 1000, atol=1e-6)
    assert any("negative" in note for note in image.notes)


def test_a_wrong_checksum_is_said(tmp_path):
    lines = _lines("I", "II", "V1")
    lines[1] = "1000(0)/mV 16 0 0 1 0 II"
    image = wfdb_files.read(wfdb_record(tmp_path, "r", RAW, lines))
    assert any("checksum of 1 of 3 signal(s)" in note and "(II)" in note for note in image.notes)


def test_a_file_that_is_cut_off_is_refused_and_one_too_long_said(tmp_path):
    path = wfdb_record(tmp_path, "r", RAW, _lines("I", "II", "V1"))
    whole = (tmp_path / "r.dat").read_bytes()
    (tmp_path / "r.dat").write_bytes(whole[:-2])
    with pytest.raises(InputError, match="needs 6000 bytes; it has 5998"):
        wfdb_files.read(path)
    (tmp_path / "r.dat").write_bytes(whole + b"\0" * 12)
    assert any("12 bytes behind" in note for note in wfdb_files.read(path).notes)


def test_a_length_that_is_not_counted_is_that_of_the_file(tmp_path):
    image = wfdb_files.read(wfdb_record(tmp_path, "r", RAW, _lines("I", "II", "V1"), head="r 3 500"))
    assert image.geometry.shape == (1000,)
    np.testing.assert_allclose(image.data, RAW / 1000, atol=1e-6)
    assert "counts no samples" in image.notes[0]


def test_signals_of_several_rates_have_that_of_the_fastest(tmp_path):
    fast, slow = np.arange(1000, dtype=np.int16), np.arange(0, 1000, 2, dtype=np.int16)
    frames = np.concatenate([fast.reshape(500, 2), slow.reshape(500, 1)], axis=1)
    (tmp_path / "r.dat").write_bytes(frames.astype("<i2").tobytes())
    (tmp_path / "r.hea").write_text("r 2 250 500\nr.dat 16x2 1000/mV 16 0 0 0 0 I\nr.dat 16 1000/mV 16 0 0 0 0 II\n")
    image = wfdb_files.read(tmp_path / "r.hea")
    assert image.geometry.shape == (1000,)
    assert image.header["sampling_rate"] == 500
    np.testing.assert_allclose(image.data[0], fast / 1000, atol=1e-6)
    np.testing.assert_allclose(image.data[1, :999], fast[:999] / 1000, atol=1e-6)
    assert np.isnan(image.data[1, 999])  # no sample of it comes later
    assert any("interpolated" in note for note in image.notes)


def test_segments_follow_one_another_with_gaps_between(tmp_path):
    wfdb_record(tmp_path, "a", RAW[:2], _lines("I", "II"))
    wfdb_record(tmp_path, "b", RAW[1:], [f"500/mV 16 0 0 {int(r.sum()) & 0xFFFF} 0 {n}" for n, r in
                                         (("II", RAW[1]), ("V1", RAW[2]))])  # fmt: skip
    (tmp_path / "layout.hea").write_text(
        "layout 3 500 0\n~ 0 200/mV 0 0 0 0 0 V1\n~ 0 200/mV 0 0 0 0 0 I\n~ 0 200/mV 0 0 0 0 0 II\n"
    )
    (tmp_path / "m.hea").write_text("m/4 3 500 2250\nlayout 0\na 1000\n~ 250\nb 1000\n")
    image = wfdb_files.read(tmp_path / "m.hea")
    assert image.channels == ("V1", "I", "II")
    expected = np.full((3, 2250), np.nan)
    expected[0, 1250:] = RAW[2] / 500
    expected[1, :1000] = RAW[0] / 1000
    expected[2, :1000], expected[2, 1250:] = RAW[1] / 1000, RAW[1] / 500
    np.testing.assert_allclose(image.data, expected, atol=1e-6)
    theirs = wfdb.rdrecord(str(tmp_path / "m"))
    order = [theirs.sig_name.index(name) for name in image.channels]
    np.testing.assert_allclose(image.data, theirs.p_signal.T[order], atol=1e-6)
    assert any("250 of 2250 samples lie between" in note for note in image.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("m/2 1 500 1999\na 1000\na 1000\n", "counts 1999 samples, its segments 2000"),
        ("m/3 1 500 2000\na 1000\na 1000\n", "counts 3 segments and lists 2"),
        ("m/1 1 500 500\na 500\n", "counts 500 samples in segment a, whose header counts 1000"),
        ("m/1 1 500 1000\nz 1000\n", "whose header z.hea is missing"),
        ("m/1 1 500 1000\n../a 1000\n", "expected a file of its own folder"),
        ("m/1 1 500 1000\nm 1000\n", "missing"),
        ("m/1 1 500 1000\n~ 1000\n", "none of its 1 segments holds samples"),
    ],
)
def test_segments_that_do_not_fit_are_refused(tmp_path, text, said):
    wfdb_record(tmp_path, "a", RAW[:1], _lines("I"))
    (tmp_path / "m.hea").write_text(text)
    with pytest.raises(InputError, match=said):
        wfdb_files.read(tmp_path / "m.hea")


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("r 1 500 1000000000", "r.dat 16 1000/mV 16 0 0 0 0 I"),
        ("r 1000 500 1000", "r.dat 16 1000/mV 16 0 0 0 0 I"),
        ("r 1 500 1000", "../r.dat 16 1000/mV 16 0 0 0 0 I"),
        ("r 1 500 1000", "/etc/passwd 16 1000/mV 16 0 0 0 0 I"),
        ("r 1 500 1000", "http://h/r.dat 16 1000/mV 16 0 0 0 0 I"),
        ("r 1 500 1000", "r.dat 99 1000/mV 16 0 0 0 0 I"),
        ("r 1 500 1000", "r.dat 16x100000000 1000/mV 16 0 0 0 0 I"),
        ("r 1 500 1000", "r.dat 16+99999999999999 1000/mV 16 0 0 0 0 I"),
        ("r 1 500 1000", "r.dat 16 1e-300/mV 16 0 0 0 0 I"),
        ("r 0 500 1000", ""),
        ("r 1 500 -5", "r.dat 16 1000/mV 16 0 0 0 0 I"),
        ("r 1 500 1000", "x" * 100_000),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, head, line):
    (tmp_path / "r.dat").write_bytes(b"\0" * 2000)
    (tmp_path / "r.hea").write_text(f"{head}\n{line}\n")
    with pytest.raises(InputError) as caught:
        wfdb_files.read(tmp_path / "r.hea")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "r.hea") in str(caught.value)


def test_names_of_people_stay_in_the_file(tmp_path):
    comments = (
        "#Age: 63\n#Sex: Male\n#Dx: 164889003,164934002\n#Patient name: Ada Muster\n#Physician: Dr. No\n"
        "#<diagnoses>:\n#Left axis deviation\n#Name: Ada Muster\n"
    )
    image = wfdb_files.read(wfdb_record(tmp_path, "r", RAW, _lines("I", "II", "V1"), comments=comments))
    assert image.header["age"] == 63
    assert image.header["sex"] == "Male"
    assert image.header["diagnoses"] == ["164889003,164934002", "Left axis deviation"]
    assert "Muster" not in str(image.header)
    assert "No" not in str(image.header["diagnoses"])


def test_packed_and_other_formats_are_what_wfdb_reads(tmp_path):
    signals = heart(2, 999) * 0.5
    for form in ("24", "80", "32", "516"):
        gain, name = (100.0, f"f{form}")
        digital = np.round(signals.T * gain).astype(np.int64)
        wfdb.wrsamp(name, 500, ["mV", "mV"], ["I", "II"], d_signal=digital, fmt=[form, form], adc_gain=[gain, gain],
                    baseline=[0, 0], write_dir=str(tmp_path))  # fmt: skip
        image = wfdb_files.read(tmp_path / f"{name}.hea")
        np.testing.assert_allclose(image.data, digital.T / gain, atol=1e-6)
        assert image.notes == ()


def test_bytes_the_other_way_round_are_read(tmp_path):
    """Format 61, signal(5); the library reads it only as voltages."""
    values = RAW.copy()
    values[1, 7] = -32768
    (tmp_path / "r.dat").write_bytes(values.T.astype(">i2").tobytes())
    lines = [f"r.dat 61 1000(5)/mV 16 0 0 {int(row.sum()) & 0xFFFF} 0 {name}" for row, name in
             zip(values, ("I", "II", "V1"), strict=True)]  # fmt: skip
    (tmp_path / "r.hea").write_text("# 61 years\nr 3 500 1000\n" + "\n".join(lines) + "\n")
    image = wfdb_files.read(tmp_path / "r.hea")
    expected = wfdb.rdrecord(str(tmp_path / "r")).p_signal.T
    assert np.isnan(expected[1, 7])
    np.testing.assert_allclose(image.data, expected, atol=1e-6)
    assert not any("checksum" in note for note in image.notes)


def test_twelve_bits_are_unpacked(tmp_path):
    """Format 212, signal(5): two samples in three bytes; MIT-BIH has it, and the library does not write it."""
    values = np.clip(np.round(heart(2, 500) * 200), -2047, 2047).astype(np.int64)
    values[0, 7] = -2048
    one, two = values.T[:, 0] & 0xFFF, values.T[:, 1] & 0xFFF
    packed = np.stack([one & 0xFF, (one >> 8) | ((two >> 8) << 4), two & 0xFF], axis=1).astype(np.uint8)
    (tmp_path / "r.dat").write_bytes(packed.tobytes())
    sums = [int(row.sum()) & 0xFFFF for row in values]
    lines = [f"r.dat 212 200/mV 12 0 0 {total} 0 {name}" for total, name in zip(sums, ("MLII", "V1"), strict=True)]
    (tmp_path / "r.hea").write_text("r 2 360 500\n" + "\n".join(lines) + "\n")
    image = wfdb_files.read(tmp_path / "r.hea")
    expected = values / 200.0
    expected[0, 7] = np.nan
    np.testing.assert_allclose(image.data, expected, atol=1e-6)
    assert not any("checksum" in note for note in image.notes)


def test_a_skewed_signal_is_moved_as_wfdb_moves_it(tmp_path):
    path = wfdb_record(tmp_path, "r", RAW[:2], _lines("I", "II"))
    path.write_text(path.read_text().replace("r.dat 16 ", "r.dat 16:5 ", 1))
    image = wfdb_files.read(path)
    np.testing.assert_allclose(image.data[0, :-5], RAW[0, 5:] / 1000, atol=1e-6)
    assert np.isnan(image.data[0, -5:]).all()
    np.testing.assert_allclose(image.data, wfdb.rdrecord(str(tmp_path / "r")).p_signal.T, atol=1e-6)


def test_a_packed_file_that_is_too_short_is_refused(tmp_path):
    wfdb.wrsamp("p", 500, ["mV"], ["I"], d_signal=RAW[:1].T.astype(np.int64), fmt=["516"], adc_gain=[1000.0],
                baseline=[0], write_dir=str(tmp_path))  # fmt: skip
    path = tmp_path / "p.hea"
    np.testing.assert_allclose(wfdb_files.read(path).data, RAW[:1] / 1000, atol=1e-6)
    path.write_text(path.read_text().replace(" 1000\n", " 1000000000\n", 1))
    with pytest.raises(InputError, match="counts 1000000000 samples per signal, and p.dat holds 1000"):
        wfdb_files.read(path)


def test_two_signals_of_one_name_are_both_kept(tmp_path):
    image = wfdb_files.read(wfdb_record(tmp_path, "r", RAW, _lines("II", "MLII", "ii")))
    assert image.channels == ("II", "MLII", "II (2)")
    assert len(image.notes) == 2
