"""Train the network that finds P, QRS and T, and score it on patients that it never saw.

    python sample_data/train_ecg_waves.py --ludb FOLDER            # the weights: minutes on one core
    python sample_data/train_ecg_waves.py --ludb FOLDER --folds    # one network for each of five folds, into --work

The folder holds LUDB 1.0.1 (Kalyakulina et al. 2020, doi:10.1109/ACCESS.2020.3029211, ODC-By 1.0). One record is one
patient. Record r lies in fold ``rank(r) % 5``, where records without any P wave are ranked apart from the others.
The same seeds every time; `tests/benchmarks/bench_ecg_delineation.py` scores the networks of the folds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

LEADS = ("i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6")
FOLDS = 5
SETTINGS = {"steps": 1500, "rows": 72, "samples": 1024, "lr": 4e-3, "decay": 0.02, "seed": 0}
KEPT_BEAT = {"p": 1, "N": 2, "t": 3}


def records(folder: Path) -> list[int]:
    """Numbers of the records, in order."""
    return sorted(int(path.stem) for path in folder.glob("*.hea"))


def waves(folder: Path, record: int, lead: str) -> list[tuple[int, float, float, float]]:
    """Class, onset, peak, offset [samples at 500 Hz] of each wave that was annotated in one lead."""
    import wfdb

    marks = wfdb.rdann(str(folder / str(record)), lead)
    found = []
    for k, symbol in enumerate(marks.symbol):
        if symbol in KEPT_BEAT:
            before = k and marks.symbol[k - 1] == "("
            after = k + 1 < len(marks.symbol) and marks.symbol[k + 1] == ")"
            peak = float(marks.sample[k])
            onset = float(marks.sample[k - 1]) if before else np.nan
            offset = float(marks.sample[k + 1]) if after else np.nan
            found.append((KEPT_BEAT[symbol], onset, peak, offset))
    return found


def load(folder: Path) -> dict[str, Any]:
    """All records at 250 Hz: leads [mV], class of each sample (255: not annotated), and the peaks."""
    import wfdb

    from workbench.page.measure.prepare import resampled

    numbers = records(folder)
    data, labels, peaks = [], [], []
    for number in numbers:
        record = wfdb.rdrecord(str(folder / str(number)))
        signal, comments = record.p_signal.T, record.comments
        new, _ = resampled(np.asarray(signal, float), 500.0, 250.0)
        label = np.full(new.shape, 255, np.uint8)
        peak = np.zeros((len(LEADS), 3, new.shape[1]), np.float32)
        at = np.arange(new.shape[1])
        for row, lead in enumerate(LEADS):
            found = waves(folder, number, lead)
            if not found:
                continue
            ends = [x for _, a, p, b in found for x in (a, p, b) if np.isfinite(x)]
            label[row, int(np.ceil(min(ends) / 2)) : int(max(ends) / 2) + 1] = 0
            for kind, onset, top, offset in found:
                if np.isfinite(onset) and np.isfinite(offset):
                    label[row, int(np.ceil(onset / 2)) : int(offset / 2) + 1] = kind
                else:  # half a wave teaches nothing
                    label[row, int(top / 2) - 40 : int(top / 2) + 41] = 255
                near = np.exp(-0.5 * ((at - top / 2) / 3.0) ** 2)
                peak[row, kind - 1] = np.maximum(peak[row, kind - 1], near)
        if any("III degree" in note for note in comments):  # P waves are there, and not annotated
            label[label == 0] = 255
        data.append(new)
        labels.append(label)
        peaks.append(peak)
    return {"numbers": numbers, "data": np.stack(data), "labels": np.stack(labels), "peaks": np.stack(peaks)}


def fold_of(everything: dict[str, Any]) -> np.ndarray:
    """The fold of each record."""
    without = ~(everything["labels"] == 1).any((1, 2))
    fold = np.zeros(len(without), int)
    for group in (without, ~without):
        fold[group] = np.arange(group.sum()) % FOLDS
    return fold


def batch(everything: dict[str, Any], which: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """One batch as the network gets it: windows of some leads, disturbed as paper and electrodes disturb them."""
    from workbench.page.measure.prepare import conditioned

    length = int(SETTINGS["samples"])
    leads = int(rng.choice([1, 2, 3, 4, 6, 8, 12, 12]))
    count = int(SETTINGS["rows"]) // leads
    xs, theres, ls, ps = [], [], [], []
    for record in rng.choice(which, count):
        rows = rng.permutation(12)[:leads]
        full = everything["data"][record].shape[1]
        stretch = rng.uniform(0.8, 1.2) if rng.random() < 0.5 else 1.0
        need = int(length * stretch) + 2
        start = int(rng.integers(0, full - need + 1)) if need < full else 0
        at = np.clip(start + np.arange(length) * stretch, 0, full - 1.001)
        low, part = at.astype(int), at % 1.0
        wave = everything["data"][record][rows]
        x = wave[:, low] * (1 - part) + wave[:, low + 1] * part
        near = np.rint(at).astype(int)
        label, peak = everything["labels"][record][rows][:, near], everything["peaks"][record][rows][:, :, near]
        there = np.ones(x.shape, bool)
        if rng.random() < 0.25:
            x, label, peak = conducted(x, label.copy(), peak.copy(), rng)
        if rng.random() < 0.6:
            x = disturbed(x, rng)
        if rng.random() < 0.03:  # no heart at all
            x = rng.normal(0, 0.03, x.shape) * rng.choice([0.0, 1.0]) + rng.normal(0, 0.05, (leads, 1))
            if rng.random() < 0.5:
                x = np.cumsum(x - x.mean(1, keepdims=True), 1)
            label, peak = np.zeros_like(label), np.zeros_like(peak)
        if rng.random() < 0.3:  # a page: each lead has a window of its own
            for row in there:
                if rng.random() < 0.8:
                    first = int(rng.integers(-300, length - 200))
                    row[: max(first, 0)] = False
                    row[first + 625 :] = False
        if rng.random() < 0.1:
            for row in there:
                first = int(rng.integers(0, length))
                row[first : first + int(rng.integers(5, 60))] = False
        x[~there] = 0
        xs.append(conditioned(x, there, 250.0))
        theres.append(there)
        ls.append(np.where(there, label, 255))
        ps.append(peak)
    return np.stack(xs).astype(np.float32), np.stack(theres), np.stack(ls), np.stack(ps)


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _straight(x: np.ndarray, first: int, last: int) -> None:
    """A straight line from sample `first` to sample `last` in every lead, in place."""
    x[:, first : last + 1] = np.linspace(x[:, first], x[:, last], last + 1 - first, axis=1)


def conducted(
    x: np.ndarray, label: np.ndarray, peak: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Leads where some P waves lead to no beat, where no beat has a P wave, or where P waves come in between.

    LUDB has next to none of these, and a network that never saw them takes every bump before a QRS for a P wave, and
    none in other places.
    """
    x, length = x.copy(), x.shape[1]
    p_waves = [(a, b) for a, b in _runs((label == 1).any(0)) if a > 5 and b < length - 5]
    what = rng.integers(3)
    if what == 0:  # blocked: the P wave stays, what follows is cut out
        for first, last in _runs((label == 2).any(0)):
            later = _runs(((label == 1) | (label == 2)).any(0)[last:])
            bound = last + later[0][0] if later else length - 1
            t_end = last + max((b for _, b in _runs((label == 3).any(0)[last:bound])), default=100)
            end = min(t_end + 3, bound - 1)
            if first > 2 and last < end < length and rng.random() < 0.4:
                _straight(x, first - 1, end)
                label[:, first - 1 : end][label[:, first - 1 : end] != 1] = 0
                peak[:, 1:, first - 1 : end] = 0
    elif what == 1:  # no atrium
        for first, last in p_waves:
            free = ~((label == 2) | (label == 3)).any(0)
            free[: first - 3] = free[last + 3 :] = False
            for a, b in _runs(free):
                if a <= first + 3 and b > a + 2:
                    _straight(x, a, b - 1)
                    label[:, a:b][label[:, a:b] == 1] = 0
        label[label == 1] = 255  # what could not be cut out
        peak[:, 0] = 0
    elif p_waves:  # one more
        first, last = p_waves[int(rng.integers(len(p_waves)))]
        piece = x[:, first - 2 : last + 2]
        count = piece.shape[1]
        bump = (piece - np.linspace(piece[:, 0], piece[:, -1], count, axis=1)) * rng.uniform(0.7, 1.3)
        which = label[:, first - 2 : last + 2] == 1
        tops = peak[:, 0, first - 2 : last + 2].copy()
        free = (label == 0).all(0)
        for a, b in _runs(free):
            if b - a > count + 4 and rng.random() < 0.6:
                at = int(rng.integers(a, b - count))
                x[:, at : at + count] += bump
                label[:, at : at + count][which] = 1
                peak[:, 0, at : at + count] = np.maximum(peak[:, 0, at : at + count], tops)
    return x, label, peak


def disturbed(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leads with another gain and polarity, wander, mains, noise, and the columns of a page."""
    leads, length = x.shape
    time = np.arange(length) / 250.0
    x = x * np.exp(rng.normal(0, 0.4, (leads, 1)))
    if rng.random() < 0.5:
        x = x * rng.choice([-1.0, 1.0], (leads, 1), p=[0.3, 0.7])
    if rng.random() < 0.6:
        for _ in range(2):
            phase = rng.uniform(0, 2 * np.pi, (leads, 1))
            x = x + rng.exponential(0.12, (leads, 1)) * np.sin(2 * np.pi * rng.uniform(0.05, 0.6) * time + phase)
    if rng.random() < 0.2:
        x = x + rng.exponential(0.02, (leads, 1)) * np.sin(2 * np.pi * rng.choice([50.0, 60.0]) * time)
    if rng.random() < 0.6:
        x = x + rng.normal(0, 1, x.shape) * rng.exponential(0.015, (leads, 1))
    if rng.random() < 0.2:  # muscle: noise in a band
        noise = np.convolve(rng.normal(0, 1, length), np.hanning(rng.integers(4, 12)), "same")
        x = x + noise * rng.exponential(0.012, (leads, 1))
    if rng.random() < 0.35:  # columns of pixels: fewer samples, in steps
        columns = np.arange(0, length, 250.0 / rng.uniform(90, 300))
        step = rng.uniform(0.004, 0.03)
        x = np.stack([np.interp(np.arange(length), columns, np.interp(columns, np.arange(length), row)) for row in x])
        x = np.rint(x / step) * step if rng.random() < 0.5 else x
    if rng.random() < 0.1:  # a spike of a pacemaker
        at = int(rng.integers(0, length - 1))
        x[:, at] += rng.normal(0, 1.5, leads)
    return x


def learn(everything: dict[str, Any], which: np.ndarray, steps: int, say: str) -> Any:
    """A network taught by these records."""
    import torch

    from workbench.page.measure.network import WaveNet

    torch.manual_seed(int(SETTINGS["seed"]))
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    rng = np.random.default_rng(int(SETTINGS["seed"]))
    net = WaveNet()
    optimiser = torch.optim.AdamW(net.parameters(), lr=SETTINGS["lr"], weight_decay=SETTINGS["decay"])
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, SETTINGS["lr"], total_steps=steps, pct_start=0.15)
    clock, losses = time.perf_counter(), []
    for step in range(steps):
        x, there, label, peak = (torch.from_numpy(np.ascontiguousarray(a)) for a in batch(everything, which, rng))
        logits = net(x, there.float())
        known = (label != 255).float()
        classes = torch.nn.functional.cross_entropy(
            logits[:, :, :4].permute(0, 2, 1, 3), label.long(), ignore_index=255, reduction="sum"
        ) / known.sum().clamp_min(1)
        tops = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, :, 4:], peak, reduction="none")
        loss = classes + 2.0 * (tops * known[:, :, None]).sum() / known.sum().clamp_min(1)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        plan.step()
        losses.append(float(classes.detach()))
        if step % 100 == 99:
            spent = time.perf_counter() - clock
            print(f"{say} step {step + 1}: {np.mean(losses[-100:]):.4f}, {spent:.0f} s", flush=True)
    return net.eval()


def save(net: Any, path: Path, about: dict[str, str]) -> None:
    """Write the weights in half precision."""
    import json

    import torch
    from safetensors.torch import save_file

    state = {
        key: value.to(torch.float16) if value.is_floating_point() else value
        for key, value in net.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, {"config": json.dumps(net.config), **about})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ludb", type=Path, default=ROOT.parent / "shared" / "data" / "ludb")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "sample_data" / "weights" / "ecg_waves.safetensors")
    parser.add_argument("--folds", action="store_true", help="teach one network for each fold, into --work")
    parser.add_argument("--only", type=int, nargs="*", help="only these folds")
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "ecg_folds")
    parser.add_argument("--steps", type=int, default=SETTINGS["steps"])
    options = parser.parse_args()
    everything = load(options.ludb)
    fold = fold_of(everything)
    about = {"taught_on": "LUDB 1.0.1 (ODC-By 1.0), 150 records", "licence": "BSD-3-Clause"}
    if options.folds:
        for k in options.only if options.only is not None else range(FOLDS):
            net = learn(everything, np.flatnonzero(fold != k), options.steps, f"fold {k}")
            held = ",".join(str(n) for n, f in zip(everything["numbers"], fold, strict=True) if f == k)
            save(net, options.work / f"fold_{k}.safetensors", about | {"held_out": held})
    else:
        save(learn(everything, np.arange(len(fold)), options.steps, "all"), options.output, about)


if __name__ == "__main__":
    main()
