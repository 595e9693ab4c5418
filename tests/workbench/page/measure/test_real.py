"""Real electrocardiograms: what devices printed, what another detector finds, and borders that cardiologists drew."""

import warnings

import numpy as np
import pytest

from tests.ecg_maker import as_page
from workbench.page.evaluate.delineation import score
from workbench.page.measure.measured import measure_leads

LUDB_LEADS = ("i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6")
LUDB_RECORDS = (1, 7, 8, 13, 26, 36, 45, 61, 83, 103, 127, 175)
"""Sinus rhythm, bradycardia, fibrillation, flutter, pacing, blocks of branches and of first degree, extrasystoles."""
WITHOUT_P = {8, 45, 83, 103}


def _dicom(path):
    """Leads [mV], their names and the sampling rate; a padding value that is a plain zero pads nothing here."""
    import pydicom

    group = pydicom.dcmread(path).WaveformSequence[0]
    channels = group.ChannelDefinitionSequence
    raw = np.frombuffer(group.WaveformData, "<i2").reshape(-1, len(channels)).T.astype(float)
    gain = [float(c.ChannelSensitivity) * float(c.ChannelSensitivityCorrectionFactor) / 1000 for c in channels]
    names = tuple(c.ChannelSourceSequence[0].CodeMeaning for c in channels)
    return raw * np.array(gain)[:, None], names, float(group.SamplingFrequency)


DEVICES = {
    "dicom_12lead_mortara.dcm": {"RR": 982, "PR": 161, "QRS": 75, "QT": 368, "QTc Bazett": 370},
    "hl7_example.dcm": {"PR": 148, "QRS": 120, "QT": 420},
}
AXES = {"dicom_12lead_mortara.dcm": (74, 52, 57), "hl7_example.dcm": (44, -61, 86)}


@pytest.mark.parametrize("file", sorted(DEVICES))
def test_intervals_are_those_of_the_device(shared_data, file):
    data, names, rate = _dicom(shared_data / "ecg" / file)
    found = measure_leads(data, names, rate)
    for name, printed in DEVICES[file].items():
        # Cardiologists of LUDB let the P wave begin earlier than the device of the second record.
        apart = 20 if (file, name) == ("hl7_example.dcm", "PR") else 15
        assert found[name].value == pytest.approx(printed, abs=apart), name
    for name, printed in zip(("P", "QRS", "T"), AXES[file], strict=True):
        assert found[f"{name} axis"].value == pytest.approx(printed, abs=20), name
    assert found.notes == ()


@pytest.mark.parametrize("file", sorted(DEVICES))
def test_a_page_of_the_same_says_the_same(shared_data, file):
    data, names, rate = _dicom(shared_data / "ecg" / file)
    order = [next(k for k, n in enumerate(names) if n.split()[1].upper() == lead.upper()) for lead in LUDB_LEADS]
    page, page_names = as_page(data[order], rate)
    whole, part = measure_leads(data, names, rate), measure_leads(page, page_names, rate)
    for name in ("PR", "QRS", "QT"):
        assert part[name].value == pytest.approx(whole[name].value, abs=20), name


def test_an_infarction_and_three_more_leads(shared_data):
    """s0010_re of the PTB database; beats as XQRS of wfdb finds them in one lead."""
    wfdb = pytest.importorskip("wfdb")
    from wfdb.processing import xqrs_detect

    record = wfdb.rdrecord(str(shared_data / "ecg" / "s0010_re"))
    found = measure_leads(record.p_signal.T, tuple(record.sig_name), float(record.fs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = xqrs_detect(record.p_signal[:, 7], record.fs, verbose=False) / record.fs
    mine = found.beats.times
    inside = theirs[(theirs > mine[0] - 0.1) & (theirs < mine[-1] + 0.1)]
    assert len(mine) > 40
    assert len(inside) >= len(mine) - 1
    assert np.abs(np.subtract.outer(inside, mine)).min(1).max() < 0.1
    assert found["heart rate"].value == pytest.approx(60 / np.diff(theirs).mean(), rel=0.02)
    assert 80 < found["QRS"].value < 150
    assert 120 < found["PR"].value < 200
    assert 350 < found["QT"].value < 470


@pytest.fixture(scope="module")
def ludb(shared_data):
    """Drawn borders and ours of some records. The weights learnt from them: a guard against change, no score."""
    wfdb = pytest.importorskip("wfdb")
    folder = shared_data / "ludb"
    pairs, measured = [], {}
    for number in LUDB_RECORDS:
        found = measure_leads(wfdb.rdrecord(str(folder / str(number))).p_signal.T, LUDB_LEADS, 500.0)
        measured[number] = found
        for row, lead in enumerate(LUDB_LEADS):
            marks = wfdb.rdann(str(folder / str(number)), lead)
            drawn: dict[str, list[float]] = {}
            for k, symbol in enumerate(marks.symbol):
                wave = {"p": "P", "N": "QRS", "t": "T"}.get(symbol)
                if wave is None:
                    continue
                drawn.setdefault(f"{wave} peak", []).append(marks.sample[k] / 500)
                if marks.symbol[k - 1] == "(":
                    drawn.setdefault(f"{wave} on", []).append(marks.sample[k - 1] / 500)
                if k + 1 < len(marks.symbol) and marks.symbol[k + 1] == ")":
                    drawn.setdefault(f"{wave} off", []).append(marks.sample[k + 1] / 500)
            times = {border: np.array(values) for border, values in drawn.items()}
            every = np.concatenate(list(times.values()))
            pairs.append((times, found.waves.times(row), every.min(), every.max()))
    return {row.border: row for row in score(pairs)}, measured


@pytest.mark.parametrize(
    ("border", "limit"),
    [("P on", 16), ("P off", 16), ("QRS on", 11), ("QRS off", 13), ("T peak", 18), ("T off", 26)],
)
def test_borders_lie_where_cardiologists_drew_them(ludb, border, limit):
    row = ludb[0][border]
    assert row.reference > 600
    assert row.sensitivity > 0.98
    assert row.predictivity > 0.97
    assert abs(row.mean) < 6
    assert row.sd < limit


def test_p_waves_are_where_somebody_drew_some(ludb):
    for number, found in ludb[1].items():
        assert found.p.present == (number not in WITHOUT_P), (number, found.p)
        if number in WITHOUT_P:
            assert found["PR"].value is None
            assert found["P axis"].value is None
        assert found["QRS"].value is not None
        assert found["heart rate"].value is not None
