"""Small recordings with everything that can travel with one: types, positions, triggers, annotations, bad channels."""

from datetime import UTC, datetime

import mne
import numpy as np

RATE = 500.0
EVENTS = ((2.0, 1), (5.0, 2), (9.0, 1))
MARKS = ((1.0, 0.5, "BAD_jump", ()), (6.0, 1.0, "movement", ()), (7.5, 0.25, "spike", ("MEG 0001", "MEG 0003")))


def info(n_meg=8, n_eeg=4, rate=RATE, extras=True):
    """An `mne.Info` of magnetometers on a half sphere, EEG electrodes, eye and heart channels and a trigger."""
    angles = {"Fz": (90, 45), "Cz": (0, 90), "Pz": (-90, 45), "Oz": (-90, 5), "C3": (180, 45), "C4": (0, 45),
              "F3": (135, 40), "F4": (45, 40)}  # fmt: skip
    eeg = list(angles)[:n_eeg]
    names = [f"MEG {i + 1:04d}" for i in range(n_meg)] + eeg
    kinds = ["mag"] * n_meg + ["eeg"] * n_eeg
    if extras:
        names, kinds = [*names, "EOG 061", "ECG 063", "STI 014"], [*kinds, "eog", "ecg", "stim"]
    made = mne.create_info(names, rate, kinds, verbose="ERROR")
    if n_eeg:
        places = {n: 0.095 * _direction(*np.deg2rad(angles[n])) for n in eeg}
        fiducials = {"nasion": [0, 0.1, 0], "lpa": [-0.08, 0, 0], "rpa": [0.08, 0, 0]}
        montage = mne.channels.make_dig_montage(places, **fiducials, coord_frame="head")
        made.set_montage(montage, on_missing="ignore", verbose="ERROR")
    for i in range(n_meg):
        turn, height = 2.4 * i, 0.2 + 0.75 * (i + 0.5) / n_meg  # a spiral over the half sphere
        normal = np.array([np.cos(turn) * np.sqrt(1 - height**2), np.sin(turn) * np.sqrt(1 - height**2), height])
        side = np.cross(normal, [0.3, 0.5, 0.8])
        side /= np.linalg.norm(side)
        made["chs"][i]["loc"][:] = np.concatenate([0.11 * normal, side, np.cross(normal, side), normal])
        made["chs"][i]["coil_type"] = mne.io.constants.FIFF.FIFFV_COIL_VV_MAG_T3
    with made._unlock():
        made["dev_head_t"] = mne.transforms.Transform("meg", "head", np.eye(4))
        made["line_freq"] = 50.0
    return made


def _direction(turn, height):
    return np.array([np.cos(turn) * np.cos(height), np.sin(turn) * np.cos(height), np.sin(height)])


def signals(n_channels, seconds, rate=RATE, seed=0, scale=1e-13):
    """Noise with a slope of 1/f and a rhythm of 10 Hz, ``(channels, samples)``."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    spectrum = np.fft.rfft(rng.normal(size=(n_channels, n)), axis=1)
    spectrum /= np.maximum(np.fft.rfftfreq(n, 1 / rate), 0.5) ** 0.5
    data = np.fft.irfft(spectrum, n, axis=1)
    data /= data.std(axis=1, keepdims=True)
    data += np.sin(2 * np.pi * 10 * np.arange(n) / rate) * rng.uniform(0.3, 1, (n_channels, 1))
    return scale * data


def raw(seconds=12.0, n_meg=8, n_eeg=4, rate=RATE, seed=0, dated=True, first=0, extras=True):
    """An `mne.io.RawArray` with triggers at `EVENTS`, annotations `MARKS` and a bad channel."""
    made = info(n_meg, n_eeg, rate, extras)
    data = np.zeros((len(made["ch_names"]), round(seconds * rate)))
    data[:n_meg] = signals(n_meg, seconds, rate, seed)
    data[n_meg : n_meg + n_eeg] = signals(n_eeg, seconds, rate, seed + 1, 1e-5)
    if extras:
        data[-3:-1] = signals(2, seconds, rate, seed + 2, 1e-4)
        for at, code in EVENTS:
            if at < seconds - 0.1:
                data[-1, round(at * rate) : round((at + 0.05) * rate)] = code
    with made._unlock():
        made["subject_info"] = {"his_id": "secret", "last_name": "Doe", "birthday": None}
    found = mne.io.RawArray(data, made, first_samp=first, verbose="ERROR")
    if dated:
        found.set_meas_date(datetime(2013, 5, 6, 7, 8, tzinfo=UTC))
    rows = [m for m in MARKS if m[0] + m[1] < seconds and (n_meg >= 3 or not m[3])]
    found.set_annotations(
        mne.Annotations([m[0] for m in rows], [m[1] for m in rows], [m[2] for m in rows], ch_names=[m[3] for m in rows])
    )
    found.info["bads"] = ["MEG 0002"] if n_meg > 2 else []
    return found


def save_raw(path, **kwargs):
    """Write `raw` as FIF; returns the path."""
    raw(**kwargs).save(path, overwrite=True, verbose="ERROR")
    return path
