"""The picture of a recording: channels over its whole length, annotations where they are, surprisal below."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from tests.recording_maker import save_raw
from workbench.core.preview import preview_of
from workbench.core.types import Mark, Marks, Provenance, Result, Signals
from workbench.data import formats
from workbench.recording import preview
from workbench.recording.data.recording import image_of

RATE, SECONDS = 100.0, 32.0  # ten columns a second


def recording(channels=3, **more):
    t = np.arange(round(RATE * SECONDS)) / RATE
    data = np.stack([np.sin(2 * np.pi * (1 + i) * t) for i in range(channels)]).astype(np.float32)
    return image_of(data, [f"c{i}" for i in range(channels)], RATE, **more)


def pixels_of(image, **parts):
    result = Result(parts, image, Provenance("b", "w", None, {}))
    png = preview_of(result)
    assert png == preview_of(result)
    with Pillow.open(io.BytesIO(png)) as opened:
        return np.asarray(opened.convert("RGB")).astype(int)


def columns_of(pixels, color=preview.MARK):
    return np.flatnonzero((pixels[0] == color).all(axis=-1)).tolist()


def test_each_channel_has_a_line_over_the_whole_length():
    pixels = pixels_of(recording(4))
    assert pixels.shape == (180, 320, 3)
    drawn = (pixels == preview._TRACE).all(axis=-1)
    assert drawn.any(axis=0).all()  # in every column
    bands = np.array_split(drawn[preview._TOP :], 4)
    assert all(band.any(axis=0).all() for band in bands)
    assert pixels[:5].min() == 255  # no annotation


def test_annotations_lie_where_they_are_on_the_clock_of_the_recording():
    image = recording(start=100.0, marks=Marks((Mark(110.0, 0.5, "own"),)))
    found = Marks((Mark(102.0, 1.0, "result"), Mark(131.95, 9.0, "over the end"), Mark(5.0, 1.0, "before")))
    assert columns_of(pixels_of(image, annotations=found)) == [*range(20, 30), *range(100, 105), 319]


def test_a_moment_is_one_column():
    assert columns_of(pixels_of(recording(), annotations=Marks((Mark(3.21, 0.0, "press"),)))) == [32]


def test_surprisal_is_dark_where_it_is_high_and_gray_where_there_is_none():
    image = recording()
    surprise = np.ones((3, image.geometry.shape[0]), np.float32)
    surprise[:, :400] = np.nan
    surprise[:2, 2000:2100] = 9.0
    surprise[2, 2000:2100] = np.nan
    part = Signals(surprise, image.channels, image.geometry, "surprisal", "nats", "map")
    strip = pixels_of(image, surprisal=part)[-3]
    assert (strip[:40] == 235).all()
    assert (strip[50:199] == 255).all()
    assert strip[200:210].max() <= 60
    assert (strip[220:] == 255).all()


def test_a_jump_of_one_sample_is_seen():
    image = recording(1)
    image.data[0, 1605] = 50.0
    drawn = (pixels_of(image) == preview._TRACE).all(axis=-1)
    tops = drawn.argmax(axis=0)
    assert tops[160] < tops[np.arange(320) != 160].min() - 20


def test_a_long_recording_is_read_in_pieces(tmp_path, monkeypatch):
    image = formats.read(save_raw(tmp_path / "a_raw.fif", seconds=60.0))
    whole = pixels_of(image)
    assert not image.is_loaded
    monkeypatch.setattr(preview, "_MANY", 1000)
    pieces = pixels_of(image)
    assert not image.is_loaded
    assert columns_of(pieces) == columns_of(whole) != []
    trace = [(p == preview._TRACE).all(axis=-1) for p in (whole, pieces)]
    assert (trace[0] == trace[1]).mean() > 0.9


def test_samples_in_memory_are_taken(tmp_path, monkeypatch):
    from workbench.recording.data.recording import Recording

    image = formats.read(save_raw(tmp_path / "a_raw.fif"))
    expected = pixels_of(image)
    assert image.data is not None
    monkeypatch.setattr(Recording, "read", lambda *a: pytest.fail("read again"))
    assert np.array_equal(pixels_of(image), expected)


@pytest.mark.parametrize("samples", [1, 7, 319])
def test_recordings_shorter_than_the_picture_is_wide(samples):
    image = image_of(np.random.default_rng(0).normal(size=(2, samples)), ["a", "b"], 10.0)
    assert pixels_of(image).shape == (180, 320, 3)
