"""What would make the numbers wrong without a word: gain, electrodes in each other's place, spikes of a pacemaker."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from workbench.page.leads import LIMB
from workbench.page.measure.axes import Axis
from workbench.page.measure.beats import Beats, windows
from workbench.page.measure.median_beat import MedianBeat

Array = npt.NDArray[np.float64]

LOW, HIGH = 0.35, 8.0
"""[mV] The largest QRS of all leads, from peak to peak, is seldom smaller or larger."""
MISFIT = 0.25
"""Share of the largest limb lead (rms) by which the limb leads may disagree with Einthoven's law."""
SMOOTH = 0.040
"""[s] Moving mean before limb leads are compared."""
SLOW = {"heart rate": 48.0, "P": 160.0, "PR": 260.0, "QRS": 145.0, "QT": 580.0}
FAST = {"heart rate": 140.0, "P": 60.0, "PR": 90.0, "QRS": 58.0, "QT": 230.0}
"""[1/min, ms] Beyond each of these some hearts are, beyond `TOGETHER` of them hardly any."""
TOGETHER = 3
SLOWEST, FASTEST = 22.0, 260.0
"""[1/min] Rates beyond these are likelier a wrong scale of time."""
SPIKE = 0.15
"""[mV] A jump that goes back within `SPIKE_LENGTH` [s]."""
SPIKE_LENGTH = 0.004


def gain_notes(beat: MedianBeat, twelve: bool) -> list[str]:
    """Notes on amplitudes that hearts do not have."""
    inside = (beat.times >= beat.marks[3]) & (beat.times <= beat.marks[5])
    if not inside.any():
        return []
    rows = beat.data[:, inside]
    rows = rows[np.isfinite(rows).all(1)]
    if not len(rows):
        return []
    heights = np.ptp(rows, axis=1)
    largest = float(heights.max())
    if largest > HIGH:
        return [
            f"the largest QRS is {largest:.1f} mV from peak to peak, more than {HIGH:g} mV: check the gain and unit"
        ]
    if largest < LOW and twelve:
        return [f"the largest QRS of all leads is {largest:.2f} mV, less than {LOW:g} mV: check the gain and unit"]
    return []


def time_notes(values: Mapping[str, float | None]) -> list[str]:
    """Notes on times that are all twice, or half, of what hearts have: the scale of time, not the heart.

    One long interval is a finding. Where three of rate, P, PR, QRS and QT lie beyond these limits together, paper of
    50 mm/s read as of 25, or a wrong sampling rate, is likelier than a heart.
    """
    slow = [name for name, limit in SLOW.items() if _beyond(values.get(name), limit, slower=name != "heart rate")]
    fast = [name for name, limit in FAST.items() if _beyond(values.get(name), limit, slower=name == "heart rate")]
    beating = values.get("heart rate")
    if beating is not None and not SLOWEST <= beating <= FASTEST:
        return [f"a heart rate of {beating:.0f}/min is hardly one: check the speed of the paper, or the sampling rate"]
    for names, how in ((slow, "about twice as slow as hearts are"), (fast, "about twice as fast as hearts are")):
        if len(names) >= TOGETHER:
            return [f"{', '.join(names)} together are {how}: check the speed of the paper, or the sampling rate"]
    return []


def _beyond(value: float | None, limit: float, slower: bool) -> bool:
    return value is not None and (value > limit if slower else value < limit)


def missed_notes(rows: Array, rate: float, found: int) -> list[str]:
    """A note where the lead that was seen longest has clearly more strokes like beats than beats were found.

    Strokes are counted without the network that finds beats: band of 8 to 30 Hz, peaks of its energy. In LUDB none of
    150 records has more.
    """
    from scipy import ndimage, signal

    seen = np.isfinite(rows)
    row, there = rows[seen.sum(axis=1).argmax()], seen[seen.sum(axis=1).argmax()]
    if there.sum() < 4 * rate:
        return []
    filled = np.interp(np.arange(len(row)), np.flatnonzero(there), row[there])
    band = signal.butter(2, [8.0, min(30.0, 0.45 * rate)], "band", fs=rate, output="sos")
    power = ndimage.uniform_filter1d(signal.sosfiltfilt(band, filled) ** 2, max(1, round(0.1 * rate)))
    energy = np.sqrt(np.maximum(power, 0.0))  # running sums round below 0
    energy[~there] = 0.0
    window = round(1.5 * rate)
    usual = np.median([energy[n : n + window].max() for n in range(0, len(energy) - window, window // 3)])
    strokes, _ = signal.find_peaks(energy, height=0.4 * usual, distance=max(1, round(0.25 * rate)))
    if len(strokes) <= 1.08 * found + 1:
        return []
    return [
        f"{found} beats were found, and the longest lead has {len(strokes)} strokes like beats: some may have been "
        "missed, and heart rate and RR are wrong then"
    ]


def misfit_notes(beat: MedianBeat, rows: dict[str, int]) -> list[str]:
    """Notes on limb leads that do not fit each other: then no axis is right."""
    inside = (beat.times >= beat.marks[3] - 0.02) & (beat.times <= beat.marks[5] + 0.02)
    wave = {name: _smoothed(beat.data[rows[name]], beat.rate)[inside] for name in LIMB if name in rows}
    wave = {name: row for name, row in wave.items() if row.size and np.isfinite(row).all() and np.ptp(row) > 0.01}
    return _einthoven(wave) if {"I", "II", "III"} <= set(wave) else []


def limb_notes(axes: tuple[Axis, Axis, Axis]) -> list[str]:
    """Notes on axes that hearts seldom have: electrodes may have been exchanged.

    Exchanged electrodes obey Einthoven's law, so they show only in directions: with the arms exchanged, P and QRS of
    lead I point down and aVR is upright (Batchvarov et al. 2007, doi:10.1093/europace/eum198). It is a hint, since a
    heart on the right side looks the same in the limb leads.
    """
    notes = []
    p, qrs, _ = axes
    if p.angle is not None and qrs.angle is not None and abs(p.angle) > 100 and abs(qrs.angle) > 90:
        notes.append(
            f"P and QRS of lead I point down and aVR is upright (P axis {p.angle:.0f} deg): "
            "arm electrodes exchanged, lead I upside down, or the heart on the right side?"
        )
    elif p.angle is not None and -170 < p.angle < -60:
        notes.append(f"P axis {p.angle:.0f} deg: a rhythm from below the sinus node, or exchanged limb electrodes?")
    return notes


def _smoothed(row: Array, rate: float) -> Array:
    """Moving mean of `SMOOTH` seconds: leads of a page lie a few milliseconds apart, and may."""
    width = max(round(SMOOTH * rate), 1)
    return np.convolve(row, np.full(width, 1 / width), "same")


def _einthoven(wave: dict[str, Array]) -> list[str]:
    """I + III = II and -(I + II) / 2 = aVR...; where not, the one change of sign or place that would mend it."""

    def misfit(leads: dict[str, Array]) -> float:
        one, two, three = leads["I"], leads["II"], leads["III"]
        off = [one + three - two]
        if "aVR" in leads:
            off.append(leads["aVR"] + (one + two) / 2)
        if "aVL" in leads:
            off.append(leads["aVL"] - one + two / 2)
        if "aVF" in leads:
            off.append(leads["aVF"] - two + one / 2)
        size = max(float(np.sqrt(np.mean(x**2))) for x in leads.values())
        return max(float(np.sqrt(np.mean(x**2))) for x in off) / max(size, 1e-9)

    now = misfit(wave)
    if now <= MISFIT:
        return []
    tries = [({**wave, name: -wave[name]}, f"{name} upside down") for name in wave]
    names = list(wave)
    for k, one in enumerate(names):
        tries += [
            ({**wave, one: wave[other], other: wave[one]}, f"{one} and {other} exchanged") for other in names[k + 1 :]
        ]
    best, what = min(((misfit(leads), what) for leads, what in tries), key=lambda t: t[0])
    hint = f"; they would with {what}" if best < 0.5 * MISFIT and best < now / 3 else ""
    if not hint:
        pair = np.stack([wave["I"], wave["III"]], 1)
        gains = np.linalg.lstsq(pair, wave["II"], rcond=None)[0]
        left = np.sqrt(np.mean((pair @ gains - wave["II"]) ** 2)) / max(np.sqrt(np.mean(wave["II"] ** 2)), 1e-9)
        if left < 0.5 * MISFIT and (gains > 0.2).all() and (gains < 5).all() and (np.abs(gains - 1) > 0.15).any():
            hint = f"; II is {gains[0]:.2f} I + {gains[1]:.2f} III, so leads have different gains"
    return [f"the limb leads do not fit each other: I + III and II differ, or aVR, aVL, aVF ({100 * now:.0f} %){hint}"]


def paced(data: Array, rate: float, beats: Beats, onset: float) -> npt.NDArray[np.bool_]:
    """``(beats,)``: whether a spike of a pacemaker stands near the onset of the QRS, 80 ms before to 40 ms after.

    A spike goes up and back within 4 ms, by a third of the height of the QRS or more: small ones of bipolar electrodes
    are not seen. Below 400 Hz such a thing cannot be told from others: no beat is paced.
    """
    count = len(beats.times)
    if rate < 400 or not np.isfinite(onset):
        return np.zeros(count, np.bool_)
    width = max(round(SPIKE_LENGTH * rate), 2)
    pieces = windows(data, rate, beats.times, -onset + 0.08, onset + 0.045)
    if pieces.shape[2] <= 2 * width:
        return np.zeros(count, np.bool_)
    middle = pieces[:, :, width:-width]
    before, after = pieces[:, :, : -2 * width], pieces[:, :, 2 * width :]
    out = np.minimum(np.abs(middle - before), np.abs(middle - after)) * (
        np.sign(middle - before) == np.sign(middle - after)
    )
    # What is no spike moves as much between other samples; of a spike the two sides are alike.
    lone = np.where(np.isfinite(out) & (np.abs(before - after) < 0.5 * out), out, 0.0)
    usual = np.nan_to_num(np.nanmedian(np.where(np.isfinite(out), np.abs(out), 0.0), axis=(0, 2)))
    rows = windows(data, rate, beats.times, 0.06, 0.06)
    height = np.nan_to_num(
        np.where(np.isfinite(rows), rows, 0.0).max((0, 2)) - np.where(np.isfinite(rows), rows, 0.0).min((0, 2))
    )
    least = np.maximum(np.maximum(SPIKE, 20 * usual), 0.3 * height)
    return np.asarray((lone.max(2) > least).sum(1) >= np.maximum(1, 0.25 * np.isfinite(out).any(2).sum(1)))
