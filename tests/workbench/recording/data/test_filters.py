import mne
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recording_maker import signals
from workbench.recording.data.filters import Resampler, design, filtered, reflected


def resampled(data, resampler, length, first=0, last=None):
    blocks = resampler.blocks(lambda a, b: data[:, a:b], first, data.shape[1] if last is None else last, length)
    return np.concatenate(list(blocks), axis=1)


@settings(deadline=None, max_examples=40)
@given(
    rate_in=st.sampled_from([1000.0, 678.17, 600.614990234375, 480.0, 250.0, 200.0, 1024.0]),
    rate_out=st.sampled_from([250.0, 100.0, 256.0]),
    samples=st.integers(300, 4000),
    length=st.integers(1, 3000),
)
def test_how_pieces_are_cut_does_not_matter(rate_in, rate_out, samples, length):
    data = np.random.default_rng(samples).normal(size=(2, samples)).astype(np.float32)
    resampler = Resampler(rate_in, rate_out)
    whole, pieces = resampled(data, resampler, 10**6), resampled(data, resampler, length)
    assert whole.shape == (2, resampler.count(samples))
    assert abs(whole.shape[1] - samples * rate_out / rate_in) < 1 + 1e-6
    np.testing.assert_allclose(pieces, whole, atol=2e-6)


@pytest.mark.parametrize("rates", [(1000, 250), (678.17, 250), (600.614990234375, 250), (480, 250), (200, 250)])
def test_rhythms_keep_their_time_and_size_and_what_is_too_fast_is_gone(rates):
    rate_in, rate_out = rates
    t_in = np.arange(round(20 * rate_in)) / rate_in
    out = resampled(np.sin(2 * np.pi * 11 * t_in + 0.3)[None].astype(np.float32), Resampler(*rates), 1000)
    t_out = np.arange(out.shape[1]) / rate_out
    inner = slice(100, -100)
    np.testing.assert_allclose(out[0, inner], np.sin(2 * np.pi * 11 * t_out + 0.3)[inner], atol=1e-3)
    np.testing.assert_allclose(resampled(np.full((1, 999), 3.0, np.float32), Resampler(*rates), 99), 3.0, rtol=1e-5)
    if rate_in > 2 * 140:
        fast = resampled(np.sin(2 * np.pi * 140 * t_in)[None].astype(np.float32), Resampler(*rates), 1000)
        assert np.abs(fast[0, inner]).max() < 1e-3


@pytest.mark.parametrize(
    ("band", "notches"), [((0.5, None), ()), ((1.0, 40.0), ()), (None, (50.0, 100.0)), ((2.0, 45.0), (50.0,))]
)
def test_filters_are_mnes(band, notches):
    data = signals(3, 60.0, 250.0, scale=1.0)
    taps, notes = design(250.0, band, notches, data.shape[1])
    assert notes == []
    assert len(taps) % 2 == 1
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-12)
    ours = np.concatenate(list(filtered(iter([data.astype(np.float32)]), taps)), axis=1)
    theirs = data
    if band:
        theirs = mne.filter.filter_data(theirs, 250.0, *band, verbose="ERROR")
    if notches:
        theirs = mne.filter.notch_filter(theirs, 250.0, notches, verbose="ERROR")
    # At the ends MNE reflects anew before each filter, here once before all of them.
    inner = slice(None) if (band is None) != (not notches) and len(notches) < 2 else slice(2500, -2500)
    np.testing.assert_allclose(ours[:, inner], theirs[:, inner], atol=2e-5)


@settings(deadline=None, max_examples=25)
@given(samples=st.integers(50, 9000), step=st.integers(1, 4000), half=st.integers(0, 900))
def test_filtering_in_pieces_is_filtering_whole(samples, step, half):
    rng = np.random.default_rng(samples)
    data = rng.normal(size=(2, samples)).astype(np.float32)
    taps = rng.normal(size=2 * half + 1)
    taps = (taps + taps[::-1]) / np.abs(taps).sum()
    whole = np.concatenate(list(filtered(iter([data]), taps)), axis=1)
    pieces = (data[:, i : i + step] for i in range(0, samples, step))
    cut = np.concatenate(list(filtered(pieces, taps)), axis=1)
    assert whole.shape == cut.shape == data.shape
    np.testing.assert_allclose(cut, whole, atol=1e-5)
    padded = reflected(lambda a, b: data[:, a:b], 0, samples, -half, samples + half)
    expected = np.stack([np.convolve(row, taps, "valid") for row in padded.astype(np.float64)])
    np.testing.assert_allclose(whole, expected, atol=1e-4)


def test_filters_longer_than_the_data_are_left_out_and_named():
    taps, notes = design(250.0, (0.5, 40.0), (50.0,), 500)
    assert notes == ["high-pass 0.5 Hz needs 6.6 s, the data have 2 s: left out",
                     "notch 50 Hz needs 3.3 s, the data have 2 s: left out"]  # fmt: skip
    assert 1 < len(taps) < 500
    assert design(250.0, None, (), 500)[0].tolist() == [1.0]
    assert design(250.0, (None, 130.0), (200.0,), 500)[0].tolist() == [1.0]  # above Nyquist: nothing to do


def test_reflection_is_mnes():
    data = np.random.default_rng(0).normal(size=(2, 30)).astype(np.float32)
    found = reflected(lambda a, b: data[:, a:b], 0, 30, -40, 45)
    assert found.shape == (2, 85)
    np.testing.assert_allclose(found[:, 40:70], data)
    np.testing.assert_allclose(found[:, 39], 2 * data[:, 0] - data[:, 1])
    np.testing.assert_allclose(found[:, 11], 2 * data[:, 0] - data[:, 29])
    assert (found[:, :11] == 0).all()
    np.testing.assert_allclose(found[:, 70], 2 * data[:, -1] - data[:, -2])
