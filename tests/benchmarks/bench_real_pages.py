"""Pages of real records against their truth, and what is read from the real photos and scans.

    python tests/benchmarks/bench_real_pages.py --data FOLDER [--ludb FOLDER] [--photos] [--weights FILE]

- ``ptbxl_00009`` as drawn PDF in two layouts, ``ptbxl_00449`` as it was printed by others, and ``ptbxl_00001`` and the
  first ten seconds of ``s0010_re`` drawn here in three layouts and scanned at 200 dots per inch. Correlation is that of
  each lead with the truth after the lag that fits best (at most 0.2 s, said in the table); the page of others was drawn
  from a filtered record, and its truth is compared as it is.
- With ``--ludb``: 30 records, drawn as pages of 3 x 4 leads and a strip by all makers, scanned, digitised and measured,
  against the same measurements of the records themselves: what paper costs.
- With ``--photos``: layout, scale, heart rate, intervals and notes of every real picture, in a line each.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "sample_data")]
STANDARD = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "ecg")
    parser.add_argument("--ludb", type=Path)
    parser.add_argument("--records", type=int, default=30)
    parser.add_argument("--photos", action="store_true")
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    import torch

    from workbench.core import device as devices
    from workbench.page import ecg_image
    from workbench.page.settings import Config

    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    config = Config(weights=options.weights)
    model = ecg_image.load(config, devices.choose("auto")[0])
    print(f"weights {model.weights.path.name}, {model.device}, {options.threads} threads")
    records(options.data, model, config)
    if options.ludb is not None:
        costs(options.ludb, options.records, model)
    if options.photos:
        photos(options.data, model, config)


def records(data: Path, model: Any, config: Any) -> None:
    """Drawn and printed pages of real records."""
    print("\n| page | read as | leads | worst r | median r | lag ms | gain | Kaggle dB | PhysioNet dB |")
    print("|---|---|---|---|---|---|---|---|---|")
    truths = {n: truth(data / f"ptbxl_{n}_truth_500hz.csv") for n in ("00009", "00449")}
    for name, number in (("ptbxl_00009_3x4r1_vector.pdf", "00009"), ("ptbxl_00009_6x2_vector.pdf", "00009"),
                         ("ptbxl_00449_report_render.png", "00449")):  # fmt: skip
        result = predicted(data / name, model, config)
        print(row(name, result, truths[number]))
    for name in ("ptbxl_00001_lr.hea", "s0010_re.hea"):
        signals = record(data / name)
        for layout in ("3x4+1", "6x2", "12x1"):
            page = drawn_page(signals, layout, seed=7)
            found = digitised(page, model)
            true = {c: page.signals.data[i].astype(float) for i, c in enumerate(page.signals.channels)}
            print(row(f"{name.split('.')[0]} {layout}", found, true))


def row(name: str, found: Any, true: dict[str, np.ndarray]) -> str:
    """One line of the table; leads of which the page shows a part are compared with that part."""
    from workbench.page.evaluate.scores import score

    signals, layout = found
    rate = signals.sampling_rate
    got = {c: signals.data[i].astype(float) for i, c in enumerate(signals.channels)}
    shown = {}
    for channel in got:
        lead = channel.removesuffix(" strip")
        if channel in true:
            shown[channel] = true[channel]
        elif lead in true:
            shown[channel] = true[lead]
    cut = {}
    for channel, values in shown.items():
        there = np.flatnonzero(np.isfinite(got[channel]))
        part = np.full(len(values), np.nan)
        if len(there):
            a, b = there[0], min(there[-1] + 1, len(values))
            part[a:b] = values[a:b]
        cut[channel] = part
    result = score(cut, got, rate)
    r = [s.correlation for s in result.leads.values() if np.isfinite(s.correlation)]
    lag = 1000 * np.nanmedian([s.lag for s in result.leads.values()])
    gain = np.nanmedian([s.gain for s in result.leads.values()])
    worst = min(result.leads, key=lambda n: result.leads[n].correlation)
    return (
        f"| {name} | {layout} | {len(got)} | {min(r):.4f} ({worst}) | {np.median(r):.4f} | {lag:.0f} | {gain:.3f} | "
        f"{result.kaggle:.1f} | {result.physionet:.1f} |"
    )


def predicted(path: Path, model: Any, config: Any) -> Any:
    import workbench as wb
    from workbench.page import ecg_image

    result = ecg_image.predict(model, wb.read(path, kind="page"), config)
    return result["leads"], result.provenance.details.get("layout", "lines")


def digitised(page: Any, model: Any) -> Any:
    from workbench.page.predict.digitise import digitise

    found = digitise(page.pixels, model.net)
    return found.signals, found.arrangement.layout.name


def truth(path: Path) -> dict[str, np.ndarray]:
    """The record that a page shows: columns of millivolts, at 500 Hz."""
    from workbench.page.data import csv_files

    image = csv_files.read(path, unit="mV", sampling_rate=500.0)
    return {c: image.data[i].astype(float) for i, c in enumerate(image.channels)}


def record(path: Path) -> Any:
    """The first ten seconds of a record at 500 Hz, twelve leads."""
    from scipy.signal import resample_poly

    import workbench as wb
    from workbench.core.signals import Signals, time_base

    image = wb.read(path, kind="page")
    rate = round(1 / image.geometry.affine[0, 0])
    rows = np.array([image.data[image.channels.index(name)] for name in STANDARD], np.float64)[:, : 10 * rate]
    rows = resample_poly(rows, 500, rate, axis=1)[:, :5000].astype(np.float32)
    return Signals(rows, STANDARD, time_base(rows.shape[1], 500.0), "leads", "mV")


def drawn_page(signals: Any, layout: str, seed: int, maker: str = "F") -> Any:
    from workbench.page.draw.capture import capture
    from workbench.page.draw.render import render
    from workbench.page.draw.styles import random_style

    style = random_style(np.random.default_rng(seed), maker=maker, layout=layout, clean=True)
    return capture(render(signals, style, dpi=200.0, seed=seed), "scan", seed=seed, angle=0.0, strength=0.4)


def costs(folder: Path, count: int, model: Any) -> None:
    """What paper costs: measurements of digitised pages less those of the records."""
    from train_ecg_waves import records as numbers_of

    from workbench.core.signals import Signals, time_base
    from workbench.page.data import wfdb_files
    from workbench.page.measure.measured import measure_leads

    names = ("heart rate", "PR", "QRS", "QT", "QRS axis")
    rows: dict[str, list[tuple[float, int]]] = {name: [] for name in names}
    only: dict[str, int] = dict.fromkeys(names, 0)
    refused = 0
    for k, number in enumerate(numbers_of(folder)[:count]):
        image = wfdb_files.read(folder / f"{number}.hea", gain=1000.0)
        data = np.array([image.data[image.channels.index(name)] for name in STANDARD], np.float32)
        signals = Signals(data, STANDARD, time_base(data.shape[1], 500.0), "leads", "mV")
        page = drawn_page(signals, "3x4+1", seed=number, maker="ABCDEF"[k % 6])
        try:
            found, _ = digitised(page, model)
        except Exception as error:
            print(f"record {number}: {error}")
            refused += 1
            continue
        whole = measure_leads(data.astype(float), STANDARD, 500.0)
        leads = tuple(c.removesuffix(" strip") for c in found.channels)
        paper = measure_leads(found.data.astype(float), leads, 500.0)
        for name in names:
            a, b = whole[name].value, paper[name].value
            if a is not None and b is not None:
                off = (b - a + 180) % 360 - 180 if "axis" in name else b - a
                rows[name].append((off, number))
            elif a is not None or b is not None:
                only[name] += 1
    print(f"\npages of {count} records of LUDB less the records, {refused} refused")
    print("| | both | only one | mean | sd | median of |error| | worst |\n|---|---|---|---|---|---|---|")
    for name, values in rows.items():
        off = np.array([v for v, _ in values])
        worst = int(np.abs(off).argmax())
        print(
            f"| {name} | {len(off)} | {only[name]} | {off.mean():+.1f} | {off.std(ddof=1):.1f} | "
            f"{np.median(np.abs(off)):.1f} | {off[worst]:+.0f} (record {values[worst][1]}) |"
        )


def photos(data: Path, model: Any, config: Any) -> None:
    """Every real picture in a line."""
    import workbench as wb
    from workbench.page import ecg_image
    from workbench.page.errors import NotAPage

    print("\n| picture | pixels/mm | layout | leads | names read | rate | PR | QRS | QT | s | notes |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for path in sorted(p for p in data.iterdir() if p.suffix in (".png", ".jpg", ".jpeg")):
        began = time.perf_counter()
        try:
            result = ecg_image.predict(model, wb.read(path, kind="page"), config)
        except NotAPage as error:
            print(f"| {path.name} | refused: {str(error).split(': ', 1)[1]} |")
            continue
        seconds = time.perf_counter() - began
        details, rows = result.provenance.details, result["coverage"].rows
        values = {r[0]: r[1] for r in result["measurements"].rows}
        shown = [
            "not measurable" if values[n] is None else f"{values[n]:.0f}" for n in ("heart rate", "PR", "QRS", "QT")
        ]
        x, y = details["pixels per mm"]
        print(
            f"| {path.name} | {x:.2f}, {y:.2f} | {details['layout']} | {len(rows)} | {sum(bool(r[5]) for r in rows)} | "
            f"{' | '.join(shown)} | {seconds:.1f} | {'; '.join(n[:70] for n in result.provenance.notes)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
