"""The contract table of recordings: each kind of data against weights of EEG, through predict; printed as a table.

python -m tests.workbench.recording.contract_table             # with --window also what the tool of the window shows
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import mne
import numpy as np
from scipy import signal

import workbench as wb
from tests.recording_maker import signals
from tests.through_window import asking_a_window
from workbench.core.errors import WorkbenchError
from workbench.core.types import Case, Result
from workbench.recording.train.settings import MEGTrainConfig
from workbench.recording.train.train import train_meg

NAMES = ("Fz", "Cz", "Pz", "Oz", "C3", "C4", "F3", "F4")
RATE = 250.0
QUICK = {
    "device": "cpu", "n_tokens": 24, "units": 16, "window": 60, "margin": 5, "token_dim": 4, "tokenizer_steps": 20,
    "tokenizer_batch": 4, "steps": 4, "batch": 2, "val_windows": 4, "val_fraction": 0.34, "validate_every": 3,
}  # fmt: skip


@dataclass(frozen=True)
class Eeg:
    """Signals [V], and what the file says of them."""

    data: np.ndarray
    names: tuple[str, ...] = NAMES
    kinds: tuple[str, ...] = ("eeg",) * 8
    rate: float = RATE


def eeg(seed: int = 50, seconds: float = 30.0, rate: float = RATE) -> Eeg:
    """A brain of its own, seen by eight electrodes."""
    return Eeg(signals(8, seconds, rate, seed, scale=1e-5), rate=rate)


def save(made: Eeg, path: Path) -> Path:
    """As FIF, or what MNE would not take as an array with its JSON file."""
    info = mne.create_info(list(made.names), made.rate, list(made.kinds), verbose="ERROR")
    raw = mne.io.RawArray(made.data, info, verbose="ERROR")
    path.parent.mkdir(parents=True, exist_ok=True)
    raw.save(path, overwrite=True, fmt="double", verbose="ERROR")
    return path


def train(folder: Path) -> Path:
    """Weights of three brains, by MEG-GPT itself."""
    cases = [Case(f"sub-{i}", save(eeg(i), folder / f"sub-{i}_raw.fif"), None, f"person {i}") for i in range(3)]
    config = MEGTrainConfig(**QUICK)
    return train_meg(cases, config, folder / "eeg.safetensors").weights


def _filtered(x: np.ndarray, top: float) -> np.ndarray:
    return signal.sosfiltfilt(signal.butter(8, top, fs=RATE, output="sos"), x, axis=1)


def _envelope(x: np.ndarray) -> np.ndarray:
    alpha = signal.sosfiltfilt(signal.butter(4, (8, 13), "band", fs=RATE, output="sos"), x, axis=1)
    return np.abs(signal.hilbert(alpha, axis=1))


def _with(x: np.ndarray, rows: int | list[int], value: float | np.ndarray) -> np.ndarray:
    out = x.copy()
    out[rows] = value
    return out


def _sine(x: np.ndarray, hertz: float, height: float) -> np.ndarray:
    return x + height * x.std() * np.sin(2 * np.pi * hertz * np.arange(x.shape[1]) / RATE)


def _trigger(x: np.ndarray) -> np.ndarray:
    return 1e-6 * (np.arange(x.shape[1]) // 125 % 4)


ORDER = [3, 0, 7, 1, 2, 6, 5, 4]
Change = Callable[[Eeg], Eeg]
ROWS: dict[str, tuple[Change, str, str]] = {
    "right: another brain": (lambda e: e, "accepted", ""),
    "right: ten seconds": (lambda e: replace(e, data=e.data[:, 2500:5000]), "accepted", ""),
    "right: three times as strong": (lambda e: replace(e, data=3 * e.data), "accepted", ""),
    "right: eyes and triggers beside": (lambda e: Eeg(
        np.vstack([e.data, 5 * e.data[:1], 1e6 * _trigger(e.data)[None]]), (*NAMES, "EOG", "STI"),
        (*("eeg",) * 8, "eog", "stim"),
    ), "accepted", ""),
    "right: stronger alpha, blinks": (lambda e: replace(e, data=_sine(_sine(e.data, 10, 1.5), 0.3, 1)), "accepted", ""),
    "magnetometers": (lambda e: replace(e, data=1e-8 * e.data, kinds=("mag",) * 8), "refused", "channel kinds"),
    "parcels": (lambda e: replace(e, kinds=("misc",) * 8, names=tuple("abcdefgh")), "refused", "found 8 misc"),
    "six channels": (lambda e: Eeg(e.data[:6], NAMES[:6], e.kinds[:6]), "refused", "6 eeg channels, the weights take"),
    "another order": (lambda e: Eeg(e.data[ORDER], tuple(NAMES[i] for i in ORDER)), "converted", "channel order"),
    "spelt otherwise": (lambda e: replace(e, names=tuple(f"EEG {n}-REF" for n in NAMES)), "noted", "spelt otherwise"),
    "renamed": (lambda e: replace(e, names=tuple(f"E{i}" for i in range(8))), "noted", "order was trusted"),
    "another order, one renamed": (lambda e: Eeg(
        e.data[ORDER], ("X1", *(NAMES[i] for i in ORDER[1:])),
    ), "refused", "channel order"),
    "500 Hz": (lambda e: eeg(50, 30.0, 500.0), "converted", "resampled down"),
    "100 Hz": (lambda e: eeg(50, 30.0, 100.0), "refused", "sampling rate.*holds nothing above 50 Hz"),
    "rate per millisecond": (lambda e: replace(e, rate=0.25), "refused", "sampling rate.*milliseconds"),
    "microvolts as volts": (lambda e: replace(e, data=1e6 * e.data), "noted", "amplitude.*microV given as V"),
    "standardised": (lambda e: replace(
        e, data=(e.data - e.data.mean(1, keepdims=True)) / e.data.std(1, keepdims=True)
    ), "noted", "amplitude.*deviation 1"),
    "low-passed at 30 Hz": (lambda e: replace(e, data=_filtered(e.data, 30)), "refused", "spectrum: almost nothing"),
    "envelope of alpha": (lambda e: replace(e, data=_envelope(e.data)), "refused", "spectrum"),
    "mostly drift": (lambda e: replace(e, data=_sine(e.data, 0.05, 200)), "refused", "drift"),
    "a trigger as EEG": (lambda e: replace(e, data=_with(e.data, 7, _trigger(e.data))), "refused", "trigger.*F4"),
    "a flat channel": (lambda e: replace(e, data=_with(e.data, 2, 1e-6)), "noted", "flat.*Pz"),
    "five flat channels": (lambda e: replace(e, data=_with(e.data, [0, 1, 2, 3, 4], 0)), "refused", "flat channels"),
    "nothing but zeros": (lambda e: replace(e, data=0 * e.data), "refused", "channels: all 8 are flat"),
    "a channel of NaN": (lambda e: replace(e, data=_with(e.data, 1, np.nan)), "refused", "Cz holds NaN"),
    "clipped": (lambda e: replace(e, data=np.clip(e.data, -1e-5, 1e-5)), "noted", "amplitude range.*clipped"),
    "60 Hz line": (lambda e: replace(e, data=_sine(e.data, 60, 0.5)), "noted", "line noise: 60 Hz"),
    "average reference": (lambda e: replace(e, data=e.data - e.data.mean(0)), "noted", "reference: the average"),
    "rank of 4": (lambda e: replace(e, data=signals(8, 30, RATE, 9, 1.0)[:, :4] @ e.data[:4]), "noted", "rank: 4 of 8"),
}  # fmt: skip


def outcome(work: Callable[[], Result]) -> tuple[str, str, Result | None]:
    """What happened, what was said, and the result."""
    try:
        result = work()
    except WorkbenchError as error:
        return "refused", str(error), None
    said = [n for n in result.provenance.notes if not n.startswith("variance explained")]
    levels = [f["level"] for f in result.provenance.details["agreement"]]
    happened = "converted" if levels == ["converted"] else "noted" if said else "accepted"
    return happened, "; ".join(said), result


def main(*, with_window: bool = False) -> None:
    with tempfile.TemporaryDirectory() as temporary, asking_a_window(with_window) as look:
        folder = Path(temporary)
        weights = train(folder)
        print(f"{'data':<36} {'stated':<10} {'happens':<10} {'window':<10} said")
        for number, (name, (change, wanted, _)) in enumerate(ROWS.items()):
            path = save(change(eeg()), folder / f"row{number}_raw.fif")
            happened, said, _ = outcome(lambda p=path: wb.predict("meg_gpt", p, weights=str(weights), device="cpu"))
            window = look("recording", path, str(weights))
            line = f"{name:<36} {wanted:<10} {happened:<10} {window:<10} {said.replace(str(folder), '')[:230]}"
            print(line, flush=True)


if __name__ == "__main__":
    main(with_window="--window" in sys.argv)
