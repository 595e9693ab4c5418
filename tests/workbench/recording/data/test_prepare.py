import tracemalloc
from dataclasses import replace

import mne
import numpy as np
import pytest

from tests.recording_maker import RATE, raw, save_raw, signals
from workbench.core.errors import Cancelled, InputError
from workbench.core.types import Mark, Marks
from workbench.data import formats
from workbench.recording.data import pieces as recording_pieces
from workbench.recording.data.prepare import RecordingRecipe, prepare, restore, restored_signals
from workbench.recording.data.read import image_of_raw
from workbench.recording.data.recording import image_of, open_recording


def image(data=None, rate=250.0, **more):
    data = signals(4, 20.0, 250.0, scale=1.0) if data is None else data
    return image_of(data.astype(np.float32), [f"p{i}" for i in range(len(data))], rate, **more)


def test_parcels_are_standardised_and_come_back():
    data = 5 + 3 * signals(4, 20.0, 250.0, scale=1.0)
    made = prepare(image(data), RecordingRecipe())
    np.testing.assert_allclose(made.data.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(made.data.std(axis=1), 1, rtol=1e-4)
    np.testing.assert_allclose(restore(made, made.data), data, atol=1e-4)
    assert (made.channels, made.kinds) == (("p0", "p1", "p2", "p3"), ("misc",) * 4)
    assert made.good.all()
    assert made.notes == ()
    assert made.steps == ("pick", "standardise")


def test_pieces_give_what_mne_gives_on_the_whole_file(tmp_path, monkeypatch):
    """Resampled, notched and high-passed in small pieces, against MNE's own functions on the whole recording."""
    path = save_raw(tmp_path / "a_raw.fif", seconds=90.0, rate=1000.0, first=333)
    recipe = RecordingRecipe(kinds=("mag",), notch=(50.0,), band=(1.0, 45.0))
    whole = prepare(formats.read(path), recipe)
    monkeypatch.setattr(recording_pieces, "PIECE", 4 * 8 * 1500)
    pieces = prepare(formats.read(path), recipe)
    np.testing.assert_allclose(pieces.data, whole.data, atol=2e-4)
    theirs = mne.io.read_raw_fif(path, preload=True, verbose="ERROR").pick("mag", exclude="bads", verbose="ERROR")
    theirs.resample(250.0, method="polyphase", verbose="ERROR")
    theirs.filter(1.0, 45.0, picks="all", verbose="ERROR").notch_filter(50.0, picks="all", verbose="ERROR")
    expected = theirs.get_data()
    assert whole.data.shape == expected.shape
    ours = restore(whole, whole.data)[:, 1000:-1000]
    difference = (ours - expected[:, 1000:-1000]).std(axis=1) / expected.std(axis=1)
    assert difference.max() < 0.01
    assert whole.channels == tuple(theirs.ch_names)
    assert float(whole.info["sfreq"]) == 250.0
    assert whole.notes[0] == "1 channel(s) marked as bad were left out: MEG 0002"
    assert "resampled down from 1000 to 250 Hz" in whole.notes
    assert whole.steps == ("pick", "resample", "filter", "standardise")


def test_large_results_lie_in_a_file_that_vanishes(tmp_path, monkeypatch):
    path = save_raw(tmp_path / "a_raw.fif")
    recipe = RecordingRecipe(reduce="pca", n_channels=3)
    plain = prepare(formats.read(path), recipe)
    monkeypatch.setattr(recording_pieces, "IN_MEMORY", 1000)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    mapped = prepare(formats.read(path), recipe)
    assert isinstance(mapped.data, np.memmap)
    np.testing.assert_allclose(mapped.data, plain.data, atol=1e-5)
    assert [p.name for p in tmp_path.iterdir()] == ["a_raw.fif"]


def test_reduction_is_stated_and_its_mixing_explains_it(tmp_path):
    made = prepare(formats.read(save_raw(tmp_path / "a_raw.fif")), RecordingRecipe(reduce="pca", n_channels=3))
    assert made.data.shape == (3, 3000)
    assert made.channels == ("PCA 01", "PCA 02", "PCA 03")
    assert any("7 channels were reduced to 3 principal components" in n for n in made.notes)
    assert made.steps[-1] == "pca"
    np.testing.assert_allclose(made.mixing @ made.mixing.T, np.eye(3), atol=1e-5)
    sensors = prepare(formats.read(tmp_path / "a_raw.fif"), RecordingRecipe())
    components = made.mixing @ sensors.data
    np.testing.assert_allclose((components - made.offset[:, None]) / made.scale[:, None], made.data, atol=1e-4)
    np.testing.assert_allclose(np.corrcoef(made.data[:, made.good]), np.eye(3), atol=1e-4)
    back = restored_signals(made, made.data, "back")
    assert (back.data.shape, back.unit, back.channels) == ((7, 3000), "T", sensors.channels)
    truth = restore(sensors, sensors.data)
    assert 1 - ((back.data - truth) ** 2).sum() / (truth**2).sum() == pytest.approx(
        made.records[-1]["explained"], abs=0.05
    )


def test_channels_by_name_by_number_and_not_at_all(tmp_path):
    path = save_raw(tmp_path / "a_raw.fif")
    recording = formats.read(path)
    named = prepare(recording, RecordingRecipe(channels=("Cz", "MEG 0003")))
    assert named.channels == ("Cz", "MEG 0003")
    trusted = prepare(recording, RecordingRecipe(kinds=("eeg",), channels=("a", "b", "c", "d")))
    assert trusted.channels == ("Fz", "Cz", "Pz", "Oz")
    assert "other names than the weights know" in trusted.notes[0]
    with pytest.raises(InputError, match=r"7 mag channels .*, the weights take 52\. Choose other channels"):
        prepare(recording, RecordingRecipe(n_channels=52, reduce="pca"))
    bad = r"\(1 more are marked as bad: MEG 0002\)"
    with pytest.raises(InputError, match=rf"7 mag channels {bad}, the weights take 4\. Use --reduce pca"):
        prepare(recording, RecordingRecipe(n_channels=4))
    with pytest.raises(InputError, match="no ecog channels in it, found 8 mag, 4 eeg, 1 eog, 1 ecg, 1 stim"):
        prepare(recording, RecordingRecipe(kinds=("ecog",)))
    source = raw(extras=True).pick(["eog", "ecg", "stim"], verbose="ERROR")
    source.save(tmp_path / "b_raw.fif", verbose="ERROR")
    with pytest.raises(InputError, match="no MEG or EEG channels in it, found 1 eog, 1 ecg, 1 stim"):
        prepare(formats.read(tmp_path / "b_raw.fif"), RecordingRecipe())
    with pytest.raises(InputError, match=r"no MEG, EEG or parcel \(misc\) channels in it, found 1 eog"):
        prepare(formats.read(tmp_path / "b_raw.fif"), RecordingRecipe(kinds=("misc",), channels=("p1",)))


def test_channels_marked_as_bad_are_never_used_or_missed_in_silence():
    data = signals(4, 20.0, 250.0, scale=1.0)
    made = prepare(image(data, bads=["p1"]), RecordingRecipe(channels=("p0", "p1", "p2", "p3")))
    assert made.notes == ("1 channel(s) that the weights need are marked as bad and were used: p1",)
    with pytest.raises(InputError, match=r"3 misc channels \(1 more are marked as bad: p1\), the weights take 4"):
        prepare(image(data, bads=["p1"]), RecordingRecipe(channels=("a", "b", "c", "d")))


def test_weights_taught_on_parcels_get_sensors_not_what_a_recording_calls_misc(tmp_path):
    """MNE's kind "misc" holds parcels in files of parcels, and head positions in files of sensors."""
    source = raw(extras=True)
    source.set_channel_types({"Pz": "misc"}, verbose="ERROR")
    source.save(tmp_path / "a_raw.fif", verbose="ERROR")
    recording = formats.read(tmp_path / "a_raw.fif")
    taught = RecordingRecipe(kinds=("misc",), channels=("p0", "p1", "p2"), reduce="pca")
    made = prepare(recording, taught)
    assert set(made.sensor_kinds) == {"mag"}
    asked = prepare(recording, RecordingRecipe(kinds=("misc",)))
    assert asked.kinds == ("misc",)


def test_resampling_needs_permission(tmp_path):
    recording = formats.read(save_raw(tmp_path / "a_raw.fif"))
    with pytest.raises(InputError, match="sampled at 500 Hz, 250 Hz was expected and resampling was forbidden"):
        prepare(recording, RecordingRecipe(), allow_resample=False)
    assert prepare(recording, RecordingRecipe(sampling_rate=500.0), allow_resample=False).data.shape == (7, 6000)
    np.save(tmp_path / "p.npy", signals(4, 20.0, 250.0))
    with pytest.raises(InputError, match=r"no sampling rate is known. Write it as .* p|file\.npy:250Hz"):
        prepare(formats.read(tmp_path / "p.npy"), RecordingRecipe())


def test_nan_is_an_error_that_says_where_or_a_bad_stretch():
    data = signals(4, 20.0, 250.0, scale=1.0)
    data[2, 1000:1100] = np.nan
    with pytest.raises(InputError, match=r"channel p2 holds NaN or infinite values from 4 s on"):
        prepare(image(data), RecordingRecipe())
    with pytest.raises(InputError, match=r"channel p2 holds NaN"):
        prepare(image(data, marks=Marks((Mark(3.9, 0.3, "BAD_short"),))), RecordingRecipe())
    marked = prepare(image(data, marks=Marks((Mark(3.9, 0.6, "BAD_sensor"),))), RecordingRecipe(band=(1.0, None)))
    assert np.isfinite(marked.data).all()
    assert not marked.good[975:1125].any()
    assert marked.good[:970].all()
    assert marked.good[1130:].all()
    asked = prepare(image(data), RecordingRecipe(bad_segments=True))
    assert not asked.good[1000:1100].any()
    assert "0.4 s hold no numbers (NaN) and count as bad" in asked.notes
    clean = prepare(image(np.delete(data, np.s_[1000:1100], axis=1)), RecordingRecipe())
    np.testing.assert_allclose(marked.scale, clean.scale, rtol=0.2)
    data[1] = np.inf
    with pytest.raises(InputError, match=r"channel p1 holds no numbers from 0 to 20 s"):
        prepare(image(data), RecordingRecipe(bad_segments=True))
    with pytest.raises(InputError, match=r"no good samples are left, all 5000 lie in bad stretches"):
        prepare(image(marks=Marks((Mark(0.0, 20.0, "bad"),))), RecordingRecipe())


def test_a_hole_longer_than_a_piece_does_not_ring_around_it(monkeypatch):
    data = signals(2, 80.0, 250.0, scale=1.0).astype(np.float32) + 1000
    truth = prepare(image(data), RecordingRecipe(band=(1.0, 40.0), standardise=False)).data
    for first, last in ((8000, 14000), (0, 6000)):
        holes = data.copy()
        holes[:, first:last] = np.nan
        marked = image(holes, marks=Marks((Mark(first / 250, (last - first) / 250, "BAD nan"),)))
        recipe = RecordingRecipe(band=(1.0, 40.0), standardise=False)
        monkeypatch.setattr(recording_pieces, "PIECE", 4 * 2 * 1024)
        made = prepare(marked, recipe)
        close = [slice(t, t + 200) for t in (first - 250, last + 50) if t > 0]
        for part in close:
            assert np.abs(made.data[:, part]).max() < 2 * np.abs(truth).max()


def test_bad_segments_are_found_and_left_out_of_the_statistics():
    data = signals(6, 60.0, 250.0, scale=1.0)
    clean = data.copy()
    data[:, 5000:5250] += 40 * np.random.default_rng(0).normal(size=(6, 250))
    made = prepare(image(data), RecordingRecipe(bad_segments=True))
    assert not made.good[5000:5250].any()
    assert made.good.mean() > 0.95
    np.testing.assert_allclose(made.scale, clean.std(axis=1), rtol=0.05)
    assert any("look bad" in n for n in made.notes)
    assert "bad segments" in made.steps


def test_epochs_are_not_mixed_with_their_neighbours(tmp_path):
    source = raw().filter(None, 40.0, picks="mag", verbose="ERROR")
    events = mne.find_events(source, verbose="ERROR")
    epochs = mne.Epochs(source, events, None, -0.2, 0.5, baseline=None, preload=True, verbose="ERROR")
    epochs.save(tmp_path / "a-epo.fif", verbose="ERROR")
    recipe = RecordingRecipe(kinds=("mag",), standardise=False)
    made = prepare(formats.read(tmp_path / "a-epo.fif"), recipe)
    width = len(epochs.times)
    for (a, b), n in zip(made.segments, range(3), strict=True):
        assert (2 * a, 2 * b) == pytest.approx((n * width, (n + 1) * width), abs=2)
    at, end = made.segments[1]
    # The grid of 250 Hz meets the second epoch between two of its samples.
    times = (np.arange(at, end) / 250 - width / RATE) * RATE
    expected = np.stack([np.interp(times[20:-20], np.arange(width), row) for row in epochs.get_data(picks="mag")[1]])
    found = made.data[:, at + 20 : end - 20]
    assert np.corrcoef(found[0], expected[0])[0, 1] > 0.99


def test_progress_is_told_and_a_cancel_passes_through(tmp_path):
    path = save_raw(tmp_path / "a_raw.fif", seconds=60.0)
    seen = []
    prepare(formats.read(path), RecordingRecipe(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (15000, 15000)

    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        prepare(formats.read(path), RecordingRecipe(), progress=stop)


def test_flat_channels_stay_zero_and_are_named():
    data = signals(3, 10.0, 250.0, scale=1.0)
    data[1] = 7.0
    made = prepare(image(data), RecordingRecipe())
    assert (made.data[1] == 0).all()
    assert made.notes == ("1 channel(s) are flat and stay zero: p1",)
    np.testing.assert_allclose(restore(made, made.data)[1], 7.0)


def test_what_was_filtered_already_is_not_filtered_again(shared_data):
    made = prepare(formats.read(shared_data / "meg" / "ctf_raw.fif"), RecordingRecipe(band=(0.5, None), notch="auto"))
    assert made.data.shape == (274, 126)
    assert "the recording was high-passed at 1 Hz already" in made.notes
    assert "filter" not in made.steps
    bti = prepare(formats.read(shared_data / "meg" / "bti_raw.fif"), RecordingRecipe(band=(0.5, None)))
    assert bti.data.shape == (248, 250)
    assert "high-pass 0.5 Hz needs 6.6 s, the data have 1 s: left out" in bti.notes
    evoked = formats.read(shared_data / "meg" / "neuromag_evoked-ave.fif.gz", series=1)
    made = prepare(evoked, RecordingRecipe())
    assert made.data.shape == (306, 176)
    assert float(made.geometry.affine[0, 1]) == pytest.approx(-0.1998, abs=1e-4)
    assert set(made.kinds) == {"mag", "grad"}


def test_a_recording_can_be_given_opened(tmp_path):
    recording = open_recording(formats.read(save_raw(tmp_path / "a_raw.fif")))
    assert prepare(recording, RecordingRecipe()).data.shape == (7, 3000)


def test_memory_does_not_grow_with_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(recording_pieces, "IN_MEMORY", 1000)
    monkeypatch.setattr(recording_pieces, "PIECE", 1 << 19)
    monkeypatch.setattr("workbench.recording.data.prepare.PIECE", 1 << 19)
    peaks = []
    for seconds in (60.0, 240.0):
        path = save_raw(tmp_path / f"{seconds:g}_raw.fif", seconds=seconds, n_meg=40, rate=1000.0)
        image = formats.read(path)
        recipe = RecordingRecipe(band=(0.5, None), notch=(50.0,), reduce="pca", n_channels=6, bad_segments=True)
        tracemalloc.start()
        made = prepare(image, recipe)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert made.data.shape == (6, round(250 * seconds))
    whole = 55 * 240_000 * 8
    assert peaks[1] < 0.25 * whole
    assert peaks[1] < 1.3 * peaks[0]


def test_a_scrap_between_interruptions_does_not_decide_the_filter():
    """Two gaps in the acquisition that lie close together must not leave the whole recording unfiltered."""
    source = raw(seconds=40.0)
    source.set_annotations(mne.Annotations([10.0, 10.2], [0.1, 0.1], ["BAD_ACQ_SKIP"] * 2))
    recipe = RecordingRecipe(kinds=("mag",), band=(1.0, 40.0), notch=(50.0,))
    made = prepare(image_of_raw(source), recipe)
    assert "filter" in made.steps
    assert made.segments == ((0, 2500), (2525, 2550), (2575, 10000))
    assert "1 stretch(es) shorter than the filter count as bad (0.1 s)" in made.notes
    assert not made.good[2525:2550].any()
    assert made.good[2600:].all()
    source.set_annotations(None)
    whole = prepare(image_of_raw(source), replace(recipe, standardise=False))
    cut = restore(made, made.data)
    np.testing.assert_allclose(cut[:, 4000:9000], whole.data[:, 4000:9000], atol=1e-3 * np.abs(whole.data).max())
    # Epochs that are all too short leave the filter out, as before.
    assert recording_pieces.usual_length([100] * 7) == 100
    assert recording_pieces.usual_length([5000, 3, 4000]) == 4000
