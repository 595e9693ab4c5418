"""Diagnoses of real records, from pages that were drawn of them and read from their pixels: LUDB, in folds by patient.

    python tests/benchmarks/bench_diagnosis_real.py --ludb FOLDER --work FOLDER [--threads 1]

Atrial fibrillation, left ventricular hypertrophy, and any ischaemia or infarction, each against the rest. The networks
of the demo, which have seen simulated hearts alone, are kept as they are; a last layer for each question is fitted to
the records of four folds and judged on the fifth. Beside it what people measure by hand. All from the pages; the last
rows take the records themselves, so that what reading costs is seen. Intervals: 2000 draws of patients. The network
that finds waves for what is measured by hand was taught on these records: that is rather too good.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

SIZE = (256, 512)
LAYOUTS = ("3x4+1", "3x4", "6x2", "12x1")
SHARES = (0.55, 0.15, 0.2, 0.1)
QUESTIONS = {
    "AF": ("Atrial fibrillation",),
    "LVH": ("Left ventricular hypertrophy",),
    "ischaemia or infarction": ("schemia", "STEMI", "Scar formation", "nfarct"),
}
BY_HAND = {
    "AF": "RR irregularity", "LVH": "Sokolow-Lyon", "ischaemia or infarction": "largest ST deviation",
}  # fmt: skip
FOLDS, DRAWS, SHUFFLES = 5, 2000, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ludb", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for what was read of each page")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--records", type=int, default=0, help="no more than these, for trying it out")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    numbers = sorted(int(p.stem) for p in options.ludb.glob("*.hea"))[: options.records or None]
    began = time.monotonic()
    rows = [read(options.ludb, number, options.work) for number in numbers]
    print(f"{len(rows)} records, {(time.monotonic() - began) / len(rows):.1f} s a page ({options.threads} thread(s))")
    lost = [n for n, row in zip(numbers, rows, strict=True) if not row["page"]]
    print(f"refused pages: {len(lost)} {lost}; they count as the middle of the others")
    table(options.ludb, numbers, rows)
    demo_says(rows)


def read(folder: Path, number: int, work: Path) -> dict[str, Any]:
    """What networks and people take from the page of a record, and from the record; kept from run to run."""
    kept = work / f"{number}.npz"
    if not kept.exists():
        found = made(folder, number)
        np.savez(kept, **found)
    with np.load(kept) as stored:
        return {k: stored[k] for k in stored.files}


def made(folder: Path, number: int) -> dict[str, Any]:
    import workbench as wb
    from workbench.core.types import Geometry, Image
    from workbench.page.data.pictures import AXES
    from workbench.page.diagnose.inputs import of_result
    from workbench.page.diagnose.leads import lead_array
    from workbench.page.draw.render import render
    from workbench.page.draw.styles import random_style
    from workbench.page.errors import NotAPage

    rng = np.random.default_rng([number, 8])
    record = record_of(folder, number)
    style = random_style(rng, layout=str(rng.choice(LAYOUTS, p=SHARES)), clean=True)
    page = render(record, style, dpi=150, seed=number)
    pixels = np.ascontiguousarray(np.moveaxis(page.pixels, 2, 0))
    image = Image(
        Geometry(pixels.shape[1:], None, AXES, None), pixels.dtype, ("red", "green", "blue"), lambda: pixels, "page"
    )
    out: dict[str, Any] = {"true leads": lead_array(record), "true by hand": by_hand(record), "page": False}
    try:
        result = wb.predict("ecg_image", image, measure=False)
    except NotAPage as error:
        print(f"{number}: {error}", flush=True)
        return out
    inputs = of_result(result, image, SIZE)
    out |= {"page": True, "by hand": by_hand(result["leads"]), "layout": inputs.layout}
    out |= {} if inputs.picture is None else {"picture": inputs.picture}
    out |= {} if inputs.leads is None else {"leads": inputs.leads}
    return out


def record_of(folder: Path, number: int) -> Any:
    """Its twelve leads in mV, in the standard order."""
    import wfdb

    from workbench.core.signals import Signals, time_base
    from workbench.page.leads import STANDARD

    found = wfdb.rdrecord(str(folder / str(number)))
    names = [name.lower() for name in found.sig_name]
    data = np.stack([found.p_signal[:, names.index(lead.lower())] for lead in STANDARD]).astype(np.float32)
    return Signals(data, STANDARD, time_base(data.shape[1], float(found.fs)), str(number), "mV")


def by_hand(signals: Any) -> np.ndarray:
    """RR irregularity (deviation by mean), Sokolow-Lyon (S in V1 and the taller R of V5 and V6) [mV], and the largest
    deviation of ST 60 ms after the QRS in leads but aVR [mV]; NaN where one cannot be measured."""
    from workbench.core.errors import InputError
    from workbench.page.measure.measured import measure

    out = np.full(3, np.nan)
    try:
        found = measure(signals)
    except InputError:
        return out
    steps = np.diff(found.beats.times)
    if len(steps) > 2:
        out[0] = steps.std() / steps.mean()
    if found.median is None:
        return out
    beat = {n.removesuffix(" strip"): row for n, row in zip(found.median.names, found.median.data, strict=True)}
    times, (start, end) = found.median.times, found.median.marks[3:6:2]
    qrs = (times >= (start if np.isfinite(start) else -0.06)) & (times <= (end if np.isfinite(end) else 0.06))
    if all(name in beat for name in ("V1", "V5", "V6")):
        taller = [beat[name][qrs].max() for name in ("V5", "V6") if np.isfinite(beat[name][qrs]).all()]
        if taller and np.isfinite(beat["V1"][qrs]).all():
            out[1] = max(taller) - beat["V1"][qrs].min()
    if np.isfinite(end):
        at = int(np.argmin(np.abs(times - end - 0.06)))
        levels = [abs(row[at]) for name, row in beat.items() if name != "aVR" and np.isfinite(row[at])]
        out[2] = max(levels, default=np.nan)
    return out


def labels(folder: Path, number: int) -> dict[str, bool]:
    text = (folder / f"{number}.hea").read_text()
    told = [line for line in text.splitlines() if line.startswith("#")]
    return {q: any(word in line for line in told for word in words) for q, words in QUESTIONS.items()}


def table(folder: Path, numbers: list[int], rows: list[dict[str, Any]]) -> None:
    import torch

    from workbench.page.diagnose.model import load
    from workbench.page.net.run import features_and_logits

    device = torch.device("cpu")
    found = load("demo", device)
    seen = {}
    for name, net, key in (("picture", "image", "picture"), ("leads", "signal", "leads"),
                           ("leads of the record", "signal", "true leads")):  # fmt: skip
        there = np.array([key in row for row in rows])
        values = np.full((len(rows), 1), np.nan)
        if there.any():
            given, _ = features_and_logits(found.nets[net], np.stack([row[key] for row in rows if key in row]), device)
            values = np.full((len(rows), given.shape[1]), np.nan)
            values[there] = given
        seen[name] = values
    nothing = np.full(3, np.nan)
    hand = {
        "page": np.stack([row.get("by hand", nothing) for row in rows]),
        "record": np.stack([row["true by hand"] for row in rows]),
    }
    for n, question in enumerate(QUESTIONS):
        truth = np.array([labels(folder, number)[question] for number in numbers])
        print(f"\n{question}: {truth.sum()} of {len(truth)}")
        odds = {name: folds(values, truth) for name, values in seen.items()}
        odds["both"] = (odds["picture"] + odds["leads"]) / 2
        lines = {
            "picture": odds["picture"], "leads": odds["leads"], "both": odds["both"],
            f"{BY_HAND[question]}, from the page": filled(hand["page"][:, n]),
            "leads of the record": odds["leads of the record"],
            f"{BY_HAND[question]}, from the record": filled(hand["record"][:, n]),
        }  # fmt: skip
        for name, values in lines.items():
            print(f"  {name:40s} {told(truth, values)}")
        control = [shuffled(seen[name], truth) for name in ("picture", "leads")]
        print(f"  {'shuffled labels: picture; leads':40s} {'; '.join(control)}", flush=True)


def demo_says(rows: list[dict[str, Any]]) -> None:
    """Of how many pages of real hearts the demo, which knows simulated ones alone, would say what."""
    from collections import Counter

    import torch

    from workbench.page.diagnose.diagnose import opinion
    from workbench.page.diagnose.model import TOGETHER, load
    from workbench.page.diagnose.opinions import weigh

    by = load("demo", torch.device("cpu"))
    said: Counter[str] = Counter()
    away = 0
    for row in rows:
        asked = {
            path: opinion(by, path, row[key][None])[0]
            for path, key in (("image", "picture"), ("signal", "leads")) if key in row
        }  # fmt: skip
        away += any(one.away > 1 for one in asked.values())
        said[weigh(by.classes, asked, {}, 75.0, pool=by.temperature[TOGETHER]).said or "nothing"] += 1
    print(f"\nwhat the demo says of them: {dict(said)}; unlike what taught one of its networks: {away}")


def folds(features: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Probabilities of each record by a last layer that its fold did not teach."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    out = np.full(len(truth), np.nan)
    there = np.isfinite(features).all(axis=1)
    for taught, held in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(features, truth):
        taught, held = taught[there[taught]], held[there[held]]
        mean, std = features[taught].mean(0), features[taught].std(0) + 1e-6
        fitted = LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000)
        fitted.fit((features[taught] - mean) / std, truth[taught])
        out[held] = fitted.predict_proba((features[held] - mean) / std)[:, 1]
    return filled(out)


def shuffled(features: np.ndarray, truth: np.ndarray) -> str:
    """AUROC of labels that mean nothing: their mean over many shuffles is chance, or there is a leak."""
    from sklearn.metrics import roc_auc_score

    orders = (np.random.default_rng(seed).permutation(truth) for seed in range(SHUFFLES))
    found = [roc_auc_score(wrong, folds(features, wrong)) for wrong in orders]
    return f"mean {np.mean(found):.3f} (of {SHUFFLES}, {min(found):.3f} to {max(found):.3f})"


def filled(values: np.ndarray) -> np.ndarray:
    """What could not be said counts as the middle of the others."""
    return np.where(np.isfinite(values), values, np.nanmedian(values))


def told(truth: np.ndarray, values: np.ndarray) -> str:
    """AUROC with the interval in which 95 of 100 draws of patients lie."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    drawn = []
    while len(drawn) < DRAWS:
        chosen = rng.integers(0, len(truth), len(truth))
        if 0 < truth[chosen].sum() < len(truth):
            drawn.append(roc_auc_score(truth[chosen], values[chosen]))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return f"{roc_auc_score(truth, values):.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
