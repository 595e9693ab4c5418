"""Spectra: power in, power out; backgrounds and peaks that are known."""

import numpy as np
import pytest

from tests.simulated_bursts import bursting
from workbench.core.errors import InputError
from workbench.recording.evaluate.spectra import BANDS, background, peak, psd


def test_the_density_holds_the_power_of_the_signal() -> None:
    fs = 250.0
    t = np.arange(int(60 * fs)) / fs
    wave = 3.0 * np.sin(2 * np.pi * 12.0 * t)
    freqs, density = psd(wave[None], fs)
    assert density.sum() * (freqs[1] - freqs[0]) == pytest.approx(9 / 2, rel=1e-3)
    assert freqs[density[0].argmax()] == 12.0
    assert freqs[0] == 1.0
    assert freqs[-1] == 45.0


def test_the_range_ends_at_half_the_sampling_rate() -> None:
    freqs, _ = psd(np.random.default_rng(0).standard_normal((1, 500)), 60.0)
    assert freqs[-1] == 30.0


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_the_background_is_the_power_law_below_the_bumps(slope) -> None:
    freqs = np.arange(1, 45.5, 0.5)
    line = 5.0 * freqs**-slope
    bumps = 1 + 8 * np.exp(-((freqs - 10) ** 2) / 2) + 3 * np.exp(-((freqs - 20) ** 2) / 8)
    noise = np.exp(0.05 * np.random.default_rng(0).standard_normal(len(freqs)))
    found = background(freqs, line * bumps * noise)
    np.testing.assert_allclose(found, np.log10(line), atol=0.06)


@pytest.mark.parametrize("frequency", [8.3, 10.0, 11.6])
def test_a_rhythm_is_found_where_it_is(frequency) -> None:
    x, _ = bursting(1, 60.0, frequency=frequency)
    freqs, density = psd(x, 250.0)
    found = peak(freqs, density[0], BANDS["alpha"])
    assert found.frequency == pytest.approx(frequency, abs=0.25)
    assert found.height > 6
    beside = peak(freqs, density[0], BANDS["beta"])  # what the on- and offsets of bursts spread is small
    assert np.isnan(beside.height) or beside.height < 2.5


def test_noise_has_no_peak_nor_has_a_slope() -> None:
    x, _ = bursting(1, 60.0, strength=0.0)
    freqs, density = psd(x, 250.0)
    assert np.isnan(peak(freqs, density[0], BANDS["alpha"]).frequency)
    steep = np.where(freqs < 14, 100.0, 1.0)
    assert np.isnan(peak(freqs, steep * 100 ** -((freqs - 14) / 20), (15.0, 17.0)).height)


def test_errors_name_what_is_wrong() -> None:
    x = np.ones((2, 400))
    with pytest.raises(InputError, match=r"1\.60 s of signal are too short"):
        psd(x, 250.0)
    x[1, 3] = np.nan
    with pytest.raises(InputError, match="1 of 2 channels hold NaN"):
        psd(x, 100.0)
    with pytest.raises(InputError, match="expected"):
        psd(np.ones(100), 100.0)
