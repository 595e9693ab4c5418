import json

import mne
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from tests.recording_maker import info, raw, signals
from workbench.core.errors import InputError
from workbench.core.provenance import input_hash
from workbench.recording.data import steps as rs
from workbench.recording.data.prepare import RecordingRecipe, prepare
from workbench.recording.data.read import image_of_raw, marks_of
from workbench.recording.data.recording import image_of, open_recording


def test_steps_leave_the_original_alone_and_say_what_they_did():
    source = raw(seconds=30.0)
    before = source.get_data().copy()
    steps = [rs.Pick(("mag",)), rs.Notch((50.0, 100.0, 900.0)), rs.BandPass(1.0, 45.0), rs.Resample(250.0)]
    made, records = rs.run(source, steps)
    np.testing.assert_array_equal(source.get_data(), before)
    assert made.info["sfreq"] == 250.0
    assert made.get_channel_types(unique=True) == ["mag", "eog", "ecg", "stim"]
    assert [r["step"] for r in records] == ["pick", "notch", "band pass", "resample"]
    assert records[1]["removed_hz"] == [50.0, 100.0]
    assert records[3]["from_hz"] == 500.0
    json.dumps(records)
    assert rs.describe(records[3]) == "resample: rate 250, from hz 500"
    assert rs.describe(records[0]).startswith("pick: kinds mag, keep eog, ecg, stim, channels 11")
    spectrum = np.abs(np.fft.rfft(made.get_data("mag")[0]))
    frequencies = np.fft.rfftfreq(made.n_times, 1 / 250)
    assert spectrum[np.abs(frequencies - 10) < 0.2].max() > 50 * spectrum[np.abs(frequencies - 60) < 5].max()
    assert [m.label for m in marks_of(made)] == [m.label for m in marks_of(source)]


def test_filters_leave_triggers_alone_and_take_parcels():
    source = raw(seconds=30.0, extras=True)
    source.set_channel_types({"Pz": "misc"}, verbose="ERROR")  # a head position, a photo diode...
    made, _ = rs.run(source, [rs.BandPass(1.0, 45.0), rs.Notch((50.0,))])
    assert open_recording(image_of_raw(made)).events == open_recording(image_of_raw(source)).events != []
    for kind in ("stim", "misc", "eog"):
        np.testing.assert_array_equal(made.get_data(kind), source.get_data(kind))
    assert np.abs(made.get_data("mag")).max() < np.abs(source.get_data("mag")).max()
    parcels = mne.io.RawArray(
        signals(3, 30.0, 250.0, scale=1.0) + 7, mne.create_info(3, 250.0, "misc"), verbose="ERROR"
    )
    made, _ = rs.run(parcels, [rs.Notch((50.0,)), rs.BandPass(1.0, 45.0)])
    assert np.abs(made.get_data().mean(axis=1)).max() < 0.1


def test_steps_and_prepare_agree():
    source = raw(seconds=60.0, rate=1000.0)
    made, _ = rs.run(source, [rs.Pick(("mag",), ()), rs.Resample(250.0), rs.BandPass(1.0, 40.0)])
    keep = [n for n in made.ch_names if n not in made.info["bads"]]
    ours = prepare(image_of_raw(source), RecordingRecipe(kinds=("mag",), band=(1.0, 40.0)))
    assert list(ours.channels) == keep
    for mine, theirs in zip(ours.data, made.get_data(keep), strict=True):
        assert np.corrcoef(mine[500:-500], theirs[500:-500])[0, 1] > 0.9999


def test_what_steps_made_is_an_image_again():
    source = raw(first=99)
    made, _ = rs.run(source, [rs.Pick(("mag",)), rs.Resample(250.0)])
    image = image_of_raw(made)
    assert (image.kind, image.source, image.name, image.header["sampling_rate"]) == ("recording", None, "image", 250.0)
    np.testing.assert_allclose(image.data, made.get_data(), rtol=1e-6)
    recording = open_recording(image)
    assert [(round(t, 2), k) for t, k in recording.events] == [(2.0, "1"), (5.0, "2"), (9.0, "1")]
    # MNE rounds the number of the first sample when it resamples: up to half a sample.
    assert [m.onset for m in recording.marks] == pytest.approx([1.0, 6.0, 7.5], abs=0.0021)
    assert input_hash(image) is None
    assert prepare(image, RecordingRecipe()).data.shape == (7, 3000)


def test_bad_channels_are_found_and_interpolated():
    source = raw(n_meg=40, seconds=20.0)
    source.info["bads"] = []
    truth = source.get_data()[[4]].copy()
    # What neighbours can say must vary smoothly over the head.
    places = np.array([c["loc"][:3] for c in source.info["chs"][:40]]) / 0.11
    source._data[:40] = 1e-13 * places @ signals(3, 20.0, scale=1.0) + 1e-15 * signals(40, 20.0, scale=1.0, seed=9)
    truth = source.get_data()[[4]].copy()
    source._data[4] += 1e-11 * np.random.default_rng(0).normal(size=source.n_times)
    source._data[7] = 0.0
    made, records = rs.run(source, [rs.BadChannels(), rs.Interpolate()])
    assert set(records[0]["bad"]) >= {"MEG 0005", "MEG 0008"}
    assert len(records[0]["bad"]) <= 4
    assert records[1]["channels"] == records[0]["bad"]
    assert made.info["bads"] == []
    assert np.corrcoef(made.get_data()[4], truth[0])[0, 1] > 0.95


def test_bad_segments_become_annotations_beside_the_others():
    source = raw(seconds=60.0, n_meg=20)
    source._data[:20, 10_000:11_000] *= 30
    made, records = rs.run(source, [rs.BadSegments()])
    found = [m for m in marks_of(made) if m.label == "bad_segment"]
    assert any(m.onset <= 20.0 and m.onset + m.duration >= 22.0 for m in found)
    assert sum(m.duration for m in found) < 4.0
    assert records[0]["seconds"] == pytest.approx(sum(m.duration for m in found))
    assert {"BAD_jump", "movement", "spike"} <= {m.label for m in marks_of(made)}


def with_eye_and_heart(seconds=60.0):
    """Twenty magnetometers with blinks and heart beats mixed in, and channels that show each alone."""
    source = raw(n_meg=20, seconds=seconds, rate=250.0)
    source.info["bads"] = []
    rng = np.random.default_rng(5)
    n = source.n_times
    blinks, beats = np.zeros(n), np.zeros(n)
    bump = np.hanning(75)
    for at in rng.integers(100, n - 200, 25):
        blinks[at : at + 75] += bump
    for at in range(50, n - 50, 210):
        beats[at : at + 12] += np.hanning(12) - 0.4 * np.hanning(12)[::-1]
    clean = 1e-13 * rng.normal(size=(20, 12)) @ signals(12, seconds, 250.0, scale=1.0, seed=3) + 1e-14 * rng.normal(
        size=(20, n)
    )
    source._data[:20] = clean + 1e-12 * (
        np.outer(rng.normal(size=20), blinks) + 4 * np.outer(rng.normal(size=20), beats)
    )
    source._data[24] = 1e-4 * blinks + 1e-6 * rng.normal(size=n)
    source._data[25] = 1e-3 * beats + 1e-5 * rng.normal(size=n)
    source.set_annotations(None)
    return source, clean, blinks, beats


def test_ica_takes_eye_and_heart_out_and_nothing_else():
    source, clean, blinks, beats = with_eye_and_heart()
    made, records = rs.run(source, [rs.Pick(("mag",)), rs.ICA()])
    assert 2 <= len(records[1]["removed"]) <= 4
    data = made.get_data("mag")
    before = source.get_data("mag")
    for shape in (blinks, beats):
        left = np.abs([np.corrcoef(row, shape)[0, 1] for row in data]).max()
        assert left < 0.15
        assert np.abs([np.corrcoef(row, shape)[0, 1] for row in before]).max() > 0.4
    assert np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(data, clean, strict=True)]) > 0.9
    again, _ = rs.run(source, [rs.Pick(("mag",)), rs.ICA()])
    np.testing.assert_array_equal(again.get_data("mag"), data)


@pytest.mark.slow
def test_prepare_does_the_same_ica_in_pieces():
    source, clean, blinks, beats = with_eye_and_heart()
    made = prepare(image_of_raw(source), RecordingRecipe(kinds=("mag",), ica=("eog", "ecg")))
    assert made.data.shape == (20, source.n_times)
    for shape in (blinks, beats):
        assert np.abs([np.corrcoef(row, shape)[0, 1] for row in made.data]).max() < 0.15
    assert any("independent components went with eog/ecg and were removed" in n for n in made.notes)
    assert "ica" in made.steps
    assert np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(made.data, clean, strict=True)]) > 0.9
    with pytest.raises(InputError, match="the recording has no eog channel to compare"):
        prepare(image_of(signals(8, 20.0), [f"c{i}" for i in range(8)], 250.0), RecordingRecipe(ica=("eog",)))


def test_reduction_to_components():
    made, records = rs.run(raw(), [rs.Pick(("mag",), ()), rs.Reduce(3)])
    assert made.get_data().shape == (3, 6000)
    assert 0.3 < records[-1]["explained"] <= 1


def test_steps_that_cannot_be_done_say_so_in_one_line():
    with pytest.raises(InputError, match="no seeg channels in this recording, found"):
        rs.run(raw(), [rs.Pick(("seeg",))])
    with pytest.raises(InputError, match="no eog or ecg channel"):
        rs.run(raw(extras=False), [rs.ICA()])
    with pytest.raises(InputError, match="step 'band pass' cannot be done: ") as error:
        rs.run(raw(), [rs.BandPass(400.0, None)])
    assert "\n" not in str(error.value)


def test_anonymise():
    source = raw(first=55)
    marks = marks_of(source).marks
    made = rs.anonymise(source)
    assert made.info["meas_date"] is None
    assert "Doe" not in str(made.info["subject_info"])
    assert [(round(m.onset, 6), m.label) for m in marks_of(made)] == [(round(m.onset, 6), m.label) for m in marks]


def test_source_parcels_of_a_sphere_find_their_dipoles():
    """LCMV on a spherical head: two parcels with known rhythms, seen by 60 magnetometers."""
    rate, seconds = 250.0, 40.0
    made = info(n_meg=60, n_eeg=0, rate=rate, extras=False)
    sphere = mne.make_sphere_model((0.0, 0.0, 0.0), head_radius=None, verbose="ERROR")
    places = np.array(
        [[0.05, 0.0, 0.04], [0.045, 0.01, 0.045], [-0.05, 0.0, 0.04], [-0.045, -0.01, 0.045], [0, 0.06, 0.04]]
    )
    normals = np.cross(places, [0.2, 0.5, 1.0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    sources = mne.setup_volume_source_space(
        pos={"rr": places, "nn": normals}, sphere=(0.0, 0.0, 0.0, 0.09), verbose="ERROR"
    )
    forward = mne.make_forward_solution(made, None, sources, sphere, meg=True, eeg=False, mindist=0.0, verbose="ERROR")
    t = np.arange(round(rate * seconds)) / rate
    courses = np.stack([np.sin(2 * np.pi * 10 * t), np.sin(2 * np.pi * 17 * t + 1)])
    rng = np.random.default_rng(0)
    gain = forward["sol"]["data"].reshape(60, 5, 3)
    field = np.einsum("sd,d->s", gain[:, 0], normals[0])[:, None] * 2e-8 * courses[0]
    field = field + np.einsum("sd,d->s", gain[:, 2], normals[2])[:, None] * 2e-8 * courses[1]
    field += 0.05 * field.std() * rng.normal(size=field.shape)
    recording = mne.io.RawArray(field, made, verbose="ERROR")
    step = rs.SourceParcels(forward, [[0, 1], [2, 3]], ("right", "left"))
    parcels, records = rs.run(recording, [step])
    assert parcels.ch_names == ["right", "left"]
    assert records[0]["parcels"] == 2
    json.dumps(records)
    found = np.abs(np.corrcoef(np.concatenate([parcels.get_data(), courses]))[:2, 2:])
    assert found[0, 0] > 0.95
    assert found[1, 1] > 0.95
    assert found[0, 1] < 0.2
    assert found[1, 0] < 0.2
    with pytest.raises(InputError, match="a parcel holds no source"):
        rs.run(recording, [rs.SourceParcels(forward, [[]])])


def test_parcels_by_labels_and_a_forward_model_from_its_file(tmp_path):
    rate, seconds = 250.0, 40.0
    made = info(n_meg=60, n_eeg=0, rate=rate, extras=False)
    spaces = mne.SourceSpaces([_ball(-1, 101), _ball(1, 102)])
    sphere = mne.make_sphere_model((0.0, 0.0, 0.0), head_radius=None, verbose="ERROR")
    forward = mne.make_forward_solution(made, None, spaces, sphere, meg=True, eeg=False, mindist=0.0, verbose="ERROR")
    mne.write_forward_solution(tmp_path / "a-fwd.fif", forward, verbose="ERROR")
    labels = [
        mne.Label(np.arange(3, 6), hemi="lh", name="left-lh"),
        mne.Label(np.arange(24, 27), hemi="rh", name="right-rh"),
    ]
    t = np.arange(round(rate * seconds)) / rate
    courses = np.stack([np.sin(2 * np.pi * 10 * t), np.sin(2 * np.pi * 17 * t + 1)])
    gain = forward["sol"]["data"].reshape(60, 84, 3)
    field = 2e-8 * (np.outer(gain[:, 4, 0], courses[0]) + np.outer(gain[:, 42 + 25, 0], courses[1]))
    field += 0.05 * field.std() * np.random.default_rng(0).normal(size=field.shape)
    source = mne.io.RawArray(field, made, verbose="ERROR")
    parcels, records = rs.run(source, [rs.SourceParcels(tmp_path / "a-fwd.fif", labels)])
    assert parcels.ch_names == ["left-lh", "right-rh"]
    assert (records[0]["parcels"], records[0]["sources"]) == (2, 84)
    found = np.abs(np.corrcoef(np.concatenate([parcels.get_data(), courses]))[:2, 2:])
    assert found[0, 0] > 0.95
    assert found[1, 1] > 0.95
    assert max(found[0, 1], found[1, 0]) < 0.2


def _ball(side, code):
    """A small closed surface on one side of the head as the sources of a hemisphere."""
    points = np.random.default_rng(code).normal(size=(42, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    triangles = ConvexHull(points).simplices.astype(np.int32)
    nothing = dict.fromkeys(
        ("nearest", "nearest_dist", "pinfo", "patch_inds", "dist", "dist_limit", "use_tris"), None
    )  # fmt: skip
    return nothing | {
        "rr": 0.02 * points + [0.035 * side, 0.0, 0.045], "nn": points, "tris": triangles, "ntri": len(triangles),
        "np": 42, "inuse": np.ones(42, np.int32), "vertno": np.arange(42), "nuse": 42, "nuse_tri": 0, "type": "surf",
        "id": code, "coord_frame": np.int32(4), "subject_his_id": "x",
    }  # fmt: skip
