"""Trigger codes with their settings are those of MNE's find_events."""

import mne
import numpy as np
import pytest

import workbench as wb
from workbench.core.errors import InputError
from workbench.recording import Triggers, open_recording
from workbench.recording.data.read import with_triggers

RATE = 500.0


@pytest.fixture
def path(tmp_path):
    """Two stimulus channels: codes with and without a sign, a glitch on the way to a code, one alone, a button."""
    info = mne.create_info(["MEG 0111", "STI101", "STI 014"], RATE, ["mag", "stim", "stim"], verbose="ERROR")
    data = np.zeros((3, 3000))
    data[0] = np.random.default_rng(0).normal(0, 1e-12, 3000)
    for begin, stop, code in ((200, 240, 1), (600, 640, -32765), (1000, 1001, 16), (1001, 1040, 17), (1400, 1401, 5),
                              (1800, 1850, 256 + 2)):  # fmt: skip
        data[1, begin:stop] = code
    data[2, 2000:2020] = 7
    made = mne.io.RawArray(data, info, first_samp=321, verbose="ERROR")
    made.save(tmp_path / "a_raw.fif", fmt="double", verbose="ERROR")
    return tmp_path / "a_raw.fif"


@pytest.mark.parametrize(
    ("triggers", "options"),
    [
        (Triggers(unsigned="no"), {}),
        (Triggers(), {"uint_cast": True}),
        (Triggers(unsigned="yes", shortest=2), {"uint_cast": True, "min_duration": 2 / RATE}),
        (Triggers(mask=255, unsigned="yes"), {"uint_cast": True, "mask": 255, "mask_type": "and"}),
        (Triggers(channel="STI 014"), {"stim_channel": "STI 014"}),
        (Triggers(shortest=30), {"uint_cast": True, "min_duration": 30 / RATE}),
    ],
)
def test_as_mne_finds_them(path, triggers, options):
    source = mne.io.read_raw_fif(path, verbose="ERROR")
    wanted = mne.find_events(source, shortest_event=1, verbose="ERROR", **options)
    found = with_triggers(open_recording(wb.read(path)), triggers).events
    assert [(round(t * RATE), int(code)) for t, code in found] == [(int(s) - 321, int(c)) for s, _, c in wanted]
    assert len(found)


def test_what_looks_wrong_is_said(path):
    recording = open_recording(wb.read(path))
    assert recording.event_notes == []
    assert [code for _, code in recording.events] == ["1", "32771", "16", "17", "5", "258"]
    assert any("16 bits without a sign" in n for n in recording.event_notes)
    assert any(n.startswith("2 of 6 codes last a single sample (5, 16)") for n in recording.event_notes)
    lost = with_triggers(recording, Triggers(unsigned="no", shortest=2))
    assert [code for _, code in lost.events] == ["1", "32765", "17", "258"]
    assert lost.event_notes == ["the stimulus channel holds negative codes, which lost their sign"]
    clean = with_triggers(recording, Triggers(unsigned="yes", shortest=2))
    assert clean.events
    assert not clean.event_notes
    with pytest.raises(InputError, match=r"no stimulus channel 'STI102'. Did you mean 'STI101'"):
        _ = with_triggers(recording, Triggers(channel="STI102")).events


def test_events_of_annotations_have_no_settings(tmp_path):
    info = mne.create_info(["MEG 0111"], RATE, "mag", verbose="ERROR")
    made = mne.io.RawArray(np.zeros((1, 1000)), info, verbose="ERROR")
    made.set_annotations(mne.Annotations([1.0], [0.0], ["go"]))
    made.save(tmp_path / "a_raw.fif", verbose="ERROR")
    recording = open_recording(wb.read(tmp_path / "a_raw.fif"))
    assert with_triggers(recording, Triggers(shortest=5)).events == [(1.0, "go")]
