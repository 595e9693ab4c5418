"""How well drawn pages are read, by both public definitions: captures of makers that taught, and of one that did not.

    python tests/benchmarks/bench_pages.py --pages 100 --threads 2
    python tests/benchmarks/bench_pages.py --pages 12 --captures clean,photo --weights FILE

Seeds are none of those that taught. Scores are averaged as their definitions say (Kaggle: the ratio, at most
25.84 dB; PhysioNet 2024: decibels of leads). "time" is the error of the scale of time over a row, in per cent, of the
median and the worst page, and the same of its short leads; "named" the share of pages with all leads named right.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np

FIRST_SEED = 1_000_000


@dataclass(frozen=True)
class Condition:
    """How pages are captured: kind, dots per inch, and what is fixed about it."""

    kind: str
    dpi: float
    angle: float | None = None
    noise: float | None = None
    strength: float = 1.0


CONDITIONS = {
    "clean": Condition("scan", 200.0, angle=0.0, strength=0.4),
    "100 dpi": Condition("scan", 100.0, angle=0.0, strength=0.4),
    "turned": Condition("scan", 200.0, angle=5.0, noise=8.0),
    "photo": Condition("photo", 160.0),
    "screen": Condition("screen", 160.0),
    "stained": Condition("stained", 160.0),
    "damaged": Condition("damaged", 160.0),
    "mould": Condition("grey mould", 160.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=20, help="pages of each condition and of each group of makers")
    parser.add_argument("--captures", default=",".join(CONDITIONS))
    parser.add_argument("--layout", default="3x4+1", help="layout, or 'any' for all of them by turns")
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--each", action="store_true", help="print a line for every page")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    from workbench.core import device as devices
    from workbench.page import ecg_image
    from workbench.page.settings import Config

    device, reason = devices.choose("auto")
    model = ecg_image.load(Config(weights=options.weights), device)
    print(f"weights {model.weights.name}, {device} ({reason}), {options.threads} threads, layout {options.layout}")
    head = ("capture", "makers", "pages", "refused", "Kaggle", "PhysioNet", "worst lead", "named", "time % (worst)",
            "of short leads", "gain", "coverage", "s a page")  # fmt: skip
    print(("{:>9} {:>7} {:>6} {:>8} {:>7} {:>10} {:>11} {:>6} {:>17} {:>14} {:>6} {:>9} {:>9}").format(*head))
    for name in options.captures.split(","):
        for makers in ("ABCDE", "F"):
            print(row(name, makers, model, options), flush=True)


def row(name: str, makers: str, model: object, options: argparse.Namespace) -> str:
    """One line of the table."""
    found, refused, seconds = [], 0, []
    for n in range(options.pages):
        one = read(name, makers, n, model, options)
        if one is None:
            refused += 1
        else:
            found.append(one)
            seconds.append(one["seconds"])
    if not found:
        return f"{name:>9} {makers:>7} {options.pages:>6} {refused:>8}"
    from workbench.page.evaluate.scores import mean_kaggle

    scores = [one["score"] for one in found]
    times = np.array([one["stretch"] for one in found])
    named = np.mean([one["named"] for one in found])
    decibels = [s.physionet for s in scores]
    worst = np.median([s.worst[1] for s in scores])
    gain = np.median([lead.gain for s in scores for lead in s.leads.values() if np.isfinite(lead.gain)])
    coverage = np.mean([lead.coverage for s in scores for lead in s.leads.values()])
    of_rows, of_leads = (f"{np.nanmedian(t):.3f} ({np.nanmax(t):.3f})" for t in times.T)
    return (
        f"{name:>9} {makers:>7} {options.pages:>6} {refused:>8} {mean_kaggle(scores):>7.2f} {np.mean(decibels):>10.2f} "
        f"{worst:>11.1f} {named:>6.2f} {of_rows:>17} {of_leads:>14} {gain:>6.3f} {coverage:>9.3f} "
        f"{np.mean(seconds):>9.2f}"
    )


def read(name: str, makers: str, n: int, model: object, options: argparse.Namespace) -> dict | None:
    """Draw, capture, read and score page n; ``None`` where it was refused."""
    from workbench.page.draw.capture import capture
    from workbench.page.draw.render import render
    from workbench.page.draw.simulate import random_rhythm, simulate
    from workbench.page.draw.styles import random_style
    from workbench.page.errors import NotAPage
    from workbench.page.evaluate.scores import score
    from workbench.page.layouts import layouts
    from workbench.page.leads import STANDARD
    from workbench.page.predict.digitise import digitise

    condition, seed = CONDITIONS[name], FIRST_SEED + n
    rng = np.random.default_rng([seed, len(makers)])
    rhythm, form = random_rhythm(rng)
    known = [
        name for name, one in layouts().items() if all(lead.lstrip("-") in STANDARD for row in one.rows for lead in row)
    ]
    layout = known[n % len(known)] if options.layout == "any" else options.layout
    style = random_style(rng, maker=makers[n % len(makers)], layout=layout, clean=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = render(simulate(seed, rhythm=rhythm, form=form), style, dpi=condition.dpi, seed=seed)
    page = capture(
        drawn, condition.kind, seed=seed, angle=condition.angle, noise=condition.noise, strength=condition.strength
    )
    began = time.perf_counter()
    try:
        found = digitise(page.pixels, model.net)
    except NotAPage as error:
        if options.each:
            print(f"  {n} {style.maker} {style.layout.name} {style.grid}: refused, {error}")
        return None
    seconds = time.perf_counter() - began
    true, got = page.signals, found.signals
    result = score(
        {c: true.data[i].astype(float) for i, c in enumerate(true.channels)},
        {c: got.data[i].astype(float) for i, c in enumerate(got.channels)},
        true.sampling_rate,
    )
    stretch = stretch_of(page, found)
    named = set(true.channels) == set(got.channels) and all(
        s.correlation > 0.5 or not np.isfinite(s.correlation) for s in result.leads.values()
    )
    if options.each:
        print(
            f"  {n} {style.maker} {style.layout.name} -> {found.arrangement.layout.name} {rhythm}, {form}, "
            f"{style.grid}, {style.separator}, pulse {style.pulse}: Kaggle {result.kaggle:.1f} "
            f"PhysioNet {result.physionet:.1f} worst {result.worst[0]} {result.worst[1]:.1f} time {stretch[0]:.4f} % "
            f"coverage {min(s.coverage for s in result.leads.values()):.2f} {seconds:.1f} s"
        )
    return {"score": result, "stretch": stretch, "named": named, "seconds": seconds}


def stretch_of(page: object, found: object) -> tuple[float, float]:
    """Error of the scale of time [%], over rows and over short leads: paper that was found against what was drawn."""
    places = page.to_pixels(np.array([[lead.start, lead.baseline] for lead in page.leads]))
    ends = page.to_pixels(np.array([[lead.paper[-1, 0], lead.baseline] for lead in page.leads]))
    first, last = found.grid.to_paper(places)[:, 0], found.grid.to_paper(ends)[:, 0]
    true = np.array([lead.paper[-1, 0] - lead.start for lead in page.leads])
    rows = np.array([lead.cell.row for lead in page.leads])
    errors = [abs((last - first)[rows == r].sum() / true[rows == r].sum() - 1) for r in np.unique(rows)]
    short = [n for n, lead in enumerate(page.leads) if not lead.cell.is_strip]
    return 100.0 * float(np.median(errors)), 100.0 * float(np.median(np.abs((last - first) / true - 1)[short]))


if __name__ == "__main__":
    main()
