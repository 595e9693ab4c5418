"""Labels of slides on 60 that are drawn, half of whose patients have a rare region: ``bench_slide_labels.py [N]``.

Everything as a user does it: the list, ``train stainnet --objective mil`` with the demo weights, and ``predict
stainnet`` on slides of patients that taught nothing.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]


FRESH = 20
"""Slides of other patients, on which the attention is looked at."""


def main() -> int:
    """Make, train, judge and print."""
    from tests.mil_maker import write_study
    from workbench import weights

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study, _ = write_study(folder / "study", count)
        fresh, places = write_study(folder / "fresh", FRESH, first=10_000)
        out = folder / "label.safetensors"
        clock = time.perf_counter()
        _run("train", "stainnet", "-i", study, "-o", out, "--objective", "mil", "--label-column", "diagnosis")
        print(f"{count} slides of {count // 2} patients, {time.perf_counter() - clock:.0f} s")
        for name, value in weights.read_meta(out)["scores"].items():
            print(f"  {name}: {value:.3f}")
        _run("predict", "stainnet", "-i", fresh, "-o", folder / "out", "--weights", out, "--jobs", "0")
        judge(folder / "out", fresh, places)
    return 0


def judge(out: Path, study: Path, places: Any) -> None:
    """Labels and attention of slides of patients that taught nothing."""
    from sklearn.metrics import roc_auc_score

    from workbench.slide.data.heat_maps import read_map

    truth, said, each = [], [], []
    for row in csv.DictReader(study.open()):
        folder = out / row["id"]
        odds = {r["class"]: float(r["probability"]) for r in csv.DictReader((folder / "slide_class.csv").open())}
        truth.append(row["diagnosis"] == "tumour")
        said.append(odds["tumour"])
        attention, _ = read_map(folder / "attention.ome.tif")
        if places[row["id"]]:
            rare = np.zeros(attention.shape, bool)
            rare[tuple(np.array(places[row["id"]]).T)] = True
            seen = np.isfinite(attention)
            each.append(roc_auc_score(rare[seen], attention[seen]))
    area = roc_auc_score(truth, said)
    print(f"{len(truth)} slides of other patients: AUROC {area:.3f}; attention on rare tiles: AUROC "
          f"{np.mean(each):.3f} (worst slide {np.min(each):.3f})")  # fmt: skip


def _run(*call: object) -> None:
    subprocess.run(["workbench", *map(str, call), "-q"], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
