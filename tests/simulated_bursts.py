"""Signals with a 1/f background and rhythmic bursts whose times are known."""

import numpy as np


def bursting(
    channels: int = 2,
    seconds: float = 40.0,
    fs: float = 250.0,
    *,
    seed: int = 0,
    every: float = 1.5,
    lasting: float = 0.5,
    frequency: float = 10.0,
    strength: float = 2.0,
) -> tuple[np.ndarray, np.ndarray]:
    """(C, T) float64 signals and the (C, T) mask of bursts: `every` seconds of pause on average, `lasting` each."""
    rng = np.random.default_rng(seed)
    samples = int(seconds * fs)
    freqs = np.fft.rfftfreq(samples, 1 / fs)
    signals, masks = [], []
    for _ in range(channels):
        spectrum = np.fft.rfft(rng.standard_normal(samples)) / np.maximum(freqs, 1) ** 0.5
        spectrum[0] = 0
        noise = np.fft.irfft(spectrum, samples)
        mask = np.zeros(samples, bool)
        t = 0
        while True:
            t += int(fs * (0.3 + rng.exponential(every - 0.3)))
            stop = t + int(fs * (0.3 + rng.exponential(lasting - 0.3)))
            if stop >= samples:
                break
            mask[t:stop] = True
            t = stop
        wave = np.sin(2 * np.pi * frequency * np.arange(samples) / fs + rng.uniform(0, 2 * np.pi))
        signals.append(noise / noise.std() + strength * mask * wave)
        masks.append(mask)
    return np.array(signals), np.array(masks)
