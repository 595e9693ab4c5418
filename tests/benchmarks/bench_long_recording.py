"""A long recording from file to surprisal: ``python tests/benchmarks/bench_long_recording.py --minutes 60``.

Makes a synthetic recording (300 magnetometers, 1 kHz, 1/f background with bursts of alpha, and mains) as split FIF
files in a temporary folder, about 72 MB per minute, and deletes them afterwards. Each arm runs in a process of its own,
whose largest resident set is reported:

- ``prepare``: read, resample to 250 Hz, high-pass and notch, standardise, reduce to principal components;
- ``predict``: all of that, tokens and surprisal with the demo weights (`workbench.predict`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CHANNELS, RATE = 300, 1000.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the temporary recording goes; needs 72 MB per minute")
    parser.add_argument("--arms", nargs="*", default=["prepare", "predict"], choices=["prepare", "predict"])
    parser.add_argument("--components", type=int, default=12, help="of the arm prepare")
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the arm predict")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--arm", nargs=2, metavar=("ARM", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.arm:
        print(json.dumps(run_arm(args.arm[0], Path(args.arm[1]), args)))
        return 0
    report: dict[str, Any] = {"minutes": args.minutes, "threads": args.threads}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        clock = time.perf_counter()
        file = make(Path(folder), args.minutes)
        size = sum(p.stat().st_size for p in Path(folder).glob("long*.fif"))
        count, took = len(list(Path(folder).glob("long*.fif"))), time.perf_counter() - clock
        print(f"made {args.minutes} min, {CHANNELS} channels, {RATE:g} Hz: {size / 1e9:.2f} GB in {count} file(s),"
              f" {took:.0f} s", flush=True)  # fmt: skip
        for arm in args.arms:
            command = [sys.executable, __file__, "--arm", arm, str(file), "--components", str(args.components)]
            command += ["--weights", args.weights, "--threads", str(args.threads), "--set", *args.set]
            # Threads that wait must not spin where others want the cores.
            environment = (
                os.environ
                | {"OMP_WAIT_POLICY": "PASSIVE"}
                | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(args.threads))
            )
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            if done.returncode:
                print(done.stderr[-2000:])
                return 1
            row = report[arm] = json.loads(done.stdout.splitlines()[-1])
            speed, used = 60 * args.minutes / row["seconds"], row["processor_seconds"]
            print(f"{arm:8} {row['seconds']:.1f} s ({used:.0f} s of processor), {speed:.0f} times real time,"
                  f" peak {row['peak_mb']:.0f} MB; {row['stages']}", flush=True)  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def run_arm(arm: str, file: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One arm in this process."""
    import workbench as wb
    from workbench.core.provenance import peak_memory_mb

    if arm == "prepare":
        from workbench.recording.data.prepare import prepare
        from workbench.recording.data.recipe import RecordingRecipe

        recipe = RecordingRecipe(band=(0.5, None), notch="auto", reduce="pca", n_channels=args.components)
        clock = time.perf_counter()
        made = prepare(wb.read(file), recipe)
        seconds = time.perf_counter() - clock
        shown: Any = f"{made.data.shape} at 250 Hz; {'; '.join(made.notes)}"
    else:
        import torch

        torch.set_num_threads(args.threads)
        values = {"kinds": "mag", **dict(pair.split("=", 1) for pair in args.set)}
        stages: list[tuple[float, float]] = []
        clock = time.perf_counter()

        def progress(done: int, total: int) -> None:
            stages.append((time.perf_counter() - clock, done / total))

        result = wb.predict(
            "meg_gpt", file, weights=args.weights, reduce="pca", reconstruction=False, progress=progress, **values
        )
        seconds = time.perf_counter() - clock
        shown = f"{ {k: getattr(getattr(p, 'data', None), 'shape', '') for k, p in result.parts.items()} }"
        shown += "; " + ", ".join(f"{share:.0%} at {s:.0f} s" for s, share in stages[:: max(1, len(stages) // 8)])
    used = time.process_time()
    return {"seconds": seconds, "processor_seconds": used, "peak_mb": peak_memory_mb(), "stages": shown}


def make(folder: Path, minutes: int) -> Path:
    """Write the recording: four different minutes in turn, joined without reading them into memory."""
    import mne

    rng = np.random.default_rng(4)
    n = round(60 * RATE)
    t = np.arange(n) / RATE
    frequencies = np.fft.rfftfreq(n, 1 / RATE)
    slope = 1 / np.maximum(frequencies, 0.5) ** 0.5
    mixing = rng.normal(size=(CHANNELS, 20))
    info = mne.create_info([f"MEG {i:04d}" for i in range(CHANNELS)], RATE, "mag", verbose="ERROR")
    with info._unlock():
        info["line_freq"] = 50.0
    parts = []
    for k in range(min(4, minutes)):
        spectrum = slope * (rng.normal(size=(20, len(frequencies))) + 1j * rng.normal(size=(20, len(frequencies))))
        sources = np.fft.irfft(spectrum, n, axis=1)
        sources /= sources.std(axis=1, keepdims=True)
        bursts = np.sin(2 * np.pi * 10 * t) * (np.sin(2 * np.pi * (0.2 + 0.03 * k) * t) > 0.6)
        sources[:4] += 2 * bursts
        data = mixing @ sources + 0.5 * rng.normal(size=(CHANNELS, n)) + 0.5 * np.sin(2 * np.pi * 50 * t)
        file = folder / f"part{k}_raw.fif"
        mne.io.RawArray(1e-13 * data, info, verbose="ERROR").save(file, verbose="ERROR")
        parts.append(file)
    raws = [mne.io.read_raw_fif(parts[m % len(parts)], preload=False, verbose="ERROR") for m in range(minutes)]
    whole = mne.concatenate_raws(raws, preload=False, verbose="ERROR")
    whole.set_annotations(None)
    file = folder / "long_raw.fif"
    whole.save(file, split_size="2GB", verbose="ERROR")
    for part in parts:
        part.unlink()
    return file


if __name__ == "__main__":
    sys.exit(main())
