import numpy as np
import pytest

from tests.recording_maker import save_raw, signals
from workbench.core.errors import InputError
from workbench.core.types import Geometry, Image, Mark, Marks, Signals, time_base
from workbench.data import formats
from workbench.recording.data.prepare import RecordingRecipe, prepare, restored_signals
from workbench.recording.data.recording import array_recording, image_of, open_recording


def test_arrays_become_images_and_recordings():
    data = signals(3, 4.0, 250.0, scale=1.0).astype(np.float32)
    marks = Marks((Mark(1.5, 0.5, "x"),))
    image = image_of(data, "abc", 250.0, start=1.0, kinds=("eeg",) * 3, marks=marks, events=[(2.0, "face")])
    assert (image.kind, image.channels, image.header["kinds"]) == ("recording", ("a", "b", "c"), ["eeg"] * 3)
    np.testing.assert_array_equal(image.data, data)
    recording = open_recording(image)
    assert open_recording(recording) is recording
    assert (recording.start, recording.duration, recording.events) == (1.0, 4.0, [(2.0, "face")])
    raw = recording.raw()
    np.testing.assert_allclose(raw.get_data(), data, rtol=1e-6)
    assert raw.get_channel_types() == ["eeg"] * 3
    assert [a["onset"] for a in raw.annotations] == [0.5]  # from the first sample, which lies at 1 s
    blocks = list(recording.blocks(0.9))
    assert blocks[0] == (0, 225)
    assert blocks[-1] == (900, 1000)
    assert recording.continuous == ((0, 1000),)


def test_an_image_made_by_hand_opens_too():
    data = np.ones((2, 50), np.float32)
    image = Image(time_base(50, 10.0, -1.0), np.dtype("f4"), ("a", "b"), lambda: data, kind="recording")
    recording = open_recording(image)
    assert (recording.rate, recording.start, recording.kinds) == (10.0, -1.0, ("misc", "misc"))
    bare = Image(Geometry((50,), None, ("time",), None), np.dtype("f4"), ("a", "b"), lambda: data, kind="recording")
    with pytest.raises(InputError, match="recording: no sampling rate is known"):
        _ = open_recording(bare).rate
    volume = Image(Geometry((2, 2, 2)), np.dtype("f4"), ("a",), lambda: np.ones((1, 2, 2, 2)))
    with pytest.raises(InputError, match="this is a volume, a recording was expected"):
        open_recording(volume)


def test_signals_of_a_result_are_a_recording_again(tmp_path):
    made = prepare(formats.read(save_raw(tmp_path / "a_raw.fif")), RecordingRecipe(reduce="pca", n_channels=3))
    whole = restored_signals(made, made.data, "x")
    opened = open_recording(whole)
    assert opened.positions.shape == (7, 3)
    assert opened.rate == 250.0
    assert prepare(whole, RecordingRecipe()).info["sfreq"] == 250.0
    part = Signals(made.data, made.channels, made.geometry, "x", "z", native=made.info)  # the sensors' info, not theirs
    assert open_recording(part).info is None
    assert prepare(part, RecordingRecipe()).data.shape == (3, 3000)


def test_a_reader_that_gives_other_samples_is_found_out():
    recording = array_recording(np.ones((2, 100)), "ab", 100.0)
    object.__setattr__(recording, "n_samples", 120)
    with pytest.raises(InputError, match=r"samples 90 to 120 came as \(2, 10\), expected \(2, 30\)"):
        recording.read(90, 120)
