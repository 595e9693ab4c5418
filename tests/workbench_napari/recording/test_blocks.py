"""Blocks of a recording: pieces of it in columns and lines that a screen can show, right to the sample."""

from __future__ import annotations

import numpy as np
import pytest
from workbench_napari.recording import blocks as meg_blocks
from workbench_napari.recording.blocks import Block, part_of, reduced, sensors_block, signals_block
from workbench_napari.recording.overlay import ticks
from workbench_napari.recording.topomap import flattened, sensor_places
from workbench_napari.recording.trace import nice, number

from tests.recording_maker import info, raw, save_raw
from workbench.core.types import Signals, time_base
from workbench.data import formats
from workbench.recording.data.recording import array_recording, open_recording


def block_of(data, **more):
    names = [f"c{i}" for i in range(len(data))]
    return Block(
        "x", "X", names, ["V"] * len(data), 100.0, 2.0, data.shape[1],
        lambda a, b, rows: data[:, a:b] if rows is None else data[list(rows), a:b], **more,
    )  # fmt: skip


@pytest.fixture
def data():
    return np.random.default_rng(0).normal(size=(3, 5000)).astype(np.float32)


@pytest.mark.parametrize("step", [1, 3, 7, 100])
def test_a_column_stands_for_its_samples(data, step):
    peaks, tops = reduced(data, step, "peak"), reduced(data, step, "max")
    for column in (0, 5, peaks.shape[1] - 1):
        part = data[:, column * step : (column + 1) * step]
        assert np.array_equal(peaks[:, column], part[np.arange(3), np.abs(part).argmax(axis=1)])
        assert np.array_equal(tops[:, column], part.max(axis=1))
    assert np.array_equal(reduced(data, step, "first"), data[:, ::step])


def test_unknown_values_do_not_hide_known_ones():
    values = np.array([[np.nan, 1.0, np.nan, np.nan]], np.float32)
    assert np.array_equal(reduced(values, 2, "max"), [[1.0, np.nan]], equal_nan=True)


def test_columns_lie_where_their_samples_are(data):
    block = block_of(data)
    found = block.columns(10.0, 20.0, most=100)
    first = round((found.start - 2.0) * 100)
    assert first % found.step == 0
    assert found.start <= 10.0
    assert found.start + found.data.shape[1] * found.step / 100 >= 20.0
    assert np.array_equal(
        found.data, reduced(data[:, first : first + found.data.shape[1] * found.step], found.step, "peak")
    )
    assert block.columns(-100.0, 1.0).data.shape[1] <= 1, "before the beginning there is nothing"
    assert block.columns(2.0, 52.0, most=10**6).step == 1


def test_the_same_columns_however_the_view_is_moved(data):
    block = block_of(data)
    a, b = block.columns(10.0, 20.0, most=50), block.columns(10.3, 20.3, most=50)
    assert a.step == b.step
    shift = round((b.start - a.start) * 100) // a.step
    assert np.array_equal(a.data[:, shift:], b.data[:, : a.data.shape[1] - shift])


def test_long_stretches_are_looked_into_not_read(data, monkeypatch):
    monkeypatch.setattr(meg_blocks, "_MOST_READ", 1000)
    monkeypatch.setattr(meg_blocks, "_LOOKS", 50)
    monkeypatch.setattr(meg_blocks, "_LOOK_VALUES", 30)
    block, read = block_of(data), []
    real = block._read
    block._read = lambda a, b, rows: (read.append(b - a), real(a, b, rows))[1]
    found = block.columns(2.0, 52.0)
    assert found.data.shape == (3, 50)
    assert sum(read) == 50 * 10
    look = data[:, 300:310]
    assert np.array_equal(found.data[:, 3], look[np.arange(3), np.abs(look).argmax(axis=1)])
    times, lines = block.lines(2.0, 52.0, [1], 400)
    assert np.array_equal(lines[0, 6:8], [data[1, 300:310].min(), data[1, 300:310].max()])
    assert times[6] == pytest.approx(2.0 + (300 + 25) / 100)


def test_lines_keep_every_extreme(data):
    block = block_of(data)
    times, lines = block.lines(2.0, 52.0, [0, 2], 200)
    assert lines.shape[1] == len(times) < 500
    whole = 5000 - 5000 % 25
    assert np.array_equal(lines.max(axis=1), data[[0, 2], :whole].max(axis=1))
    assert np.array_equal(lines.min(axis=1), data[[0, 2], :whole].min(axis=1))
    assert (np.diff(times) > 0).all()
    times, lines = block.lines(10.0, 10.5, [1], 1000)
    assert np.array_equal(lines[0], data[1, round((times[0] - 2) * 100) :][: lines.shape[1]])


def test_values_at_a_moment(data):
    block = block_of(data)
    assert np.array_equal(block.at(2.0 + 0.07), data[:, 7])
    assert block.at(1.0) is None
    assert block.at(52.1) is None
    assert block.value(9, 2) == data[2, 9]


def test_sensors_come_in_the_units_people_read_without_a_large_offset(tmp_path):
    recording = open_recording(formats.read(save_raw(tmp_path / "a_raw.fif")))
    block = sensors_block(recording)
    plain = recording.read()
    kinds = np.array(block.kinds)
    assert np.allclose(block.read(0, 100)[kinds == "mag"], plain[kinds == "mag", :100] * 1e15, rtol=1e-5)
    assert np.allclose(block.read(0, 100)[kinds == "eeg"], plain[kinds == "eeg", :100] * 1e6, rtol=1e-5)
    assert dict(zip(block.kinds, block.units, strict=True))["ecg"] == "mV"
    shifted = plain.copy()
    shifted[0] += 1e-9  # as in recordings coupled to direct current
    other = sensors_block(array_recording(shifted, recording.channels, 500.0, kinds=recording.kinds))
    assert abs(np.median(other.read(0, 6000)[0])) < 10
    assert np.allclose(other.read(0, 100)[1], block.read(0, 100)[1])
    some = part_of(block, ["MEG 0003", "Cz"], "recording", "Recording")
    assert some.units == ("fT", "µV")
    assert np.array_equal(some.read(5, 9, [1]), block.read(5, 9, [block.rows.index("Cz")]))


def test_names_lose_the_ending_that_all_have():
    def labels(*rows):
        return Block("x", "X", rows, [""] * len(rows), 1.0, 0.0, 1, lambda a, b, r: np.zeros((1, 1))).labels

    assert labels("MLC11-2908", "MLC12-2908") == ("MLC11", "MLC12")
    assert labels("A-1", "B-2") == ("A-1", "B-2")
    assert labels("A", "B") == ("A", "B")


def test_tokens_and_maps_are_reduced_as_they_should():
    data = np.arange(12, dtype=np.uint8).reshape(2, 6)
    for role, how in (("tokens", "first"), ("map", "max"), ("signal", "peak")):
        part = Signals(data, ("a", "b"), time_base(6, 250.0, 1.0), role, None, role)
        block = signals_block(part, role, role)
        assert (block.reduce, block.start, block.rate) == (how, 1.0, 250.0)
        assert np.array_equal(block.read(1, 4), data[:, 1:4])
    physical = Signals(data * 1e-15, ("a", "b"), time_base(6, 250.0), "made", "T", "signal", ("mag", "mag"))
    assert signals_block(physical, "made", "").units == ("fT", "fT")
    assert np.allclose(signals_block(physical, "made", "").read(0, 6), data)


def test_ticks_are_round_and_inside():
    for start, stop in ((0.0, 100.0), (3.21, 3.29), (-0.2, 0.5), (1000.0, 4600.0)):
        found = ticks(start, stop, 8)
        assert 2 <= len(found) <= 9
        assert all(start - 1e-9 <= at <= stop + 1e-9 for at, _ in found)
        assert all(float(text) == pytest.approx(at) for at, text in found)


def test_numbers_for_people():
    assert [nice(v) for v in (0.9, 1.0, 1.1, 230, 6e-4)] == [1, 1, 2, 500, 0.001]
    assert [number(v) for v in (1473.2, -0.06612, 12.345, np.nan)] == ["1473", "-0.0661", "12.3", "-"]


def test_sensors_are_laid_flat_with_the_nose_up():
    places = np.array([(0, 0, 0.12), (0, 0.1, 0.04), (0.1, 0, 0.04), (-0.1, 0, 0.04), (0, -0.1, 0.04)])
    flat = flattened(places)
    assert np.allclose(flat[0], 0)
    assert flat[1][1] > 0.05
    assert flat[2][0] > 0.05
    assert np.allclose(flat[3], -flat[2])
    where, rows = sensor_places(info(), [f"MEG {i:04d}" for i in range(1, 9)], "mag")
    assert where.shape == (8, 2)
    assert rows == [[i] for i in range(8)]
    assert sensor_places(None, ["a"], "mag") == (None, [])
    assert sensor_places(info(), ["ECG 063", "EOG 061"], "") == (None, [])


def test_pairs_of_gradiometers_are_one_place(shared_data):
    image = formats.read(shared_data / "meg" / "neuromag_evoked-ave.fif.gz", series=1)
    recording = open_recording(image)
    names = [n for n, k in zip(recording.channels, recording.kinds, strict=True) if k == "grad"]
    where, rows = sensor_places(recording.info, names, "grad")
    assert len(names) == 203 or len(names) == 204
    assert where.shape == (102, 2)
    assert {len(r) for r in rows} <= {1, 2}


def test_raw_of_the_maker_is_what_the_file_holds(tmp_path):
    block = sensors_block(open_recording(formats.read(save_raw(tmp_path / "b_raw.fif"))))
    assert np.allclose(block.read(10, 20)[0], raw().get_data()[0, 10:20] * 1e15, rtol=1e-4, atol=1e-2)
