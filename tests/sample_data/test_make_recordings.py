"""Simulated recordings: the same values every time, with the rhythms, states, artefacts and events they promise."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

FOLDER = Path(__file__).resolve().parents[2] / "sample_data"
sys.path.insert(0, str(FOLDER))
import make_recordings as made  # noqa: E402


@pytest.fixture(scope="module")
def found():
    return made.simulate(3, 1, 120.0, 0)


def spectrum(data):
    f, power = signal.welch(data, made.SAMPLING_RATE, nperseg=1000)
    return f, 10 * np.log10(power)


def test_the_same_values_give_the_same_arrays_and_others_do_not():
    first, again = made.simulate(2, 1, 5.0, 7), made.simulate(2, 1, 5.0, 7)
    assert np.array_equal(first.data, again.data)
    assert first.events == again.events
    assert first.data.shape == (12, 1250)
    assert first.data.dtype == np.float32
    for other in (made.simulate(1, 1, 5.0, 7), made.simulate(2, 2, 5.0, 7), made.simulate(2, 1, 5.0, 8)):
        assert not np.array_equal(first.data, other.data)


def test_alpha_lives_behind_and_beta_in_the_middle_over_a_falling_background(found):
    brain = made.brain_of(3, 1)
    f, power = spectrum(found.data)
    back, middle = made.PARCELS.index("occipital left"), made.PARCELS.index("central left")
    alpha, beta = (f > 7) & (f < 13), (f > 15) & (f < 26)
    assert f[alpha][power[back, alpha].argmax()] == pytest.approx(brain.alpha_hz, abs=0.6)
    assert f[beta][power[middle, beta].argmax()] == pytest.approx(brain.beta_hz, abs=1.2)
    assert power[back, alpha].max() > power[back, (f > 5) & (f < 7)].mean() + 3
    assert power[back, alpha].max() > power[middle, alpha].max() + 3
    assert power[middle, beta].max() > power[back, beta].max() + 3
    assert power[:, (f > 3) & (f < 6)].mean() > power[:, (f > 50) & (f < 60)].mean() + 10


def test_bursts_follow_the_states(found):
    good = np.ones(found.data.shape[1], bool)
    for mark in found.marks:
        if mark.label in ("blink", "muscle"):
            good[int(mark.onset * 250) : int((mark.onset + mark.duration) * 250) + 1] = False
    for state, parcel, band in ((1, "occipital left", (8.5, 11.5)), (2, "central left", (17, 23))):
        sos = signal.butter(3, band, "bandpass", fs=made.SAMPLING_RATE, output="sos")
        power = signal.sosfiltfilt(sos, found.data[made.PARCELS.index(parcel)]) ** 2
        assert power[good & (found.states == state)].mean() > 2 * power[good & (found.states != state)].mean()
    assert set(np.unique(found.states)) == {0, 1, 2}


def test_neighbouring_parcels_covary(found):
    r = np.corrcoef(found.data)
    at = made.PARCELS.index
    assert r[at("occipital left"), at("occipital right")] > 0.4
    assert r[at("occipital left"), at("occipital right")] > r[at("occipital left"), at("frontal right")] + 0.2


def test_subjects_differ_more_than_sessions():
    brains = {(s, e): made.brain_of(s, e) for s in range(12) for e in (1, 2)}
    hz = np.array([[brains[s, e].alpha_hz for e in (1, 2)] for s in range(12)])
    assert hz.mean(1).std() > 2 * np.abs(np.diff(hz, axis=1)).mean() / 2
    assert ((hz > 8.5) & (hz < 11.5)).all()


def test_events_and_artefacts_are_marked(found):
    kinds = [kind for _, kind in found.events]
    assert set(kinds) == set(made.EVENTS)
    assert 50 < len(kinds) < 90
    assert all(0 < t < 119.3 for t, _ in found.events)
    labels = {m.label for m in found.marks}
    assert labels >= {"visual", "button", "blink"}
    onsets = [m.onset for m in found.marks]
    assert onsets == sorted(onsets)
    front = found.data[made.PARCELS.index("frontal left")]
    blinks = [m for m in found.marks if m.label == "blink"]
    heights = [front[int(m.onset * 250) : int((m.onset + m.duration) * 250)].max() for m in blinks]
    assert np.median(heights) > 3 * front.std()


def test_the_sample_files_are_what_the_script_writes(tmp_path):
    import mne

    written = made.write_samples(tmp_path)
    assert sum(p.stat().st_size for p in (FOLDER / "files").glob("recording_*")) < 3e6
    raw = [mne.io.read_raw_fif(p, verbose="error") for p in (written[0], FOLDER / "files" / written[0].name)]
    assert np.array_equal(raw[0].get_data(), raw[1].get_data())
    assert list(raw[0].annotations.description) == list(raw[1].annotations.description)
    assert np.array_equal(np.load(written[1]), np.load(FOLDER / "files" / written[1].name))


def test_a_file_is_read_as_a_recording_with_places_and_bad_segments(tmp_path):
    from workbench.data import formats
    from workbench.recording.data.prepare import RecordingRecipe, prepare
    from workbench.recording.data.recording import open_recording

    drawn = made.simulate(5, 1, 40.0, 1)
    path = made.write_recording(drawn, tmp_path / "sub-05_ses-1_raw.fif", bad=("blink", "muscle"))
    recording = open_recording(formats.read(path))
    assert recording.channels == made.PARCELS
    assert np.allclose(recording.positions, made.centres(), atol=1e-6)
    assert [m.label.removeprefix("bad ") for m in recording.marks] == [m.label for m in drawn.marks]
    good = prepare(recording, RecordingRecipe(kinds=("misc",))).good
    lost = sum(m.duration for m in drawn.marks if m.label in ("blink", "muscle"))
    assert (~good).sum() / 250 == pytest.approx(lost, rel=0.2, abs=0.1)
