"""What correcting three pages of a new style gives: pages of that style, and of all others, before and after.

    python tests/benchmarks/bench_page_learning.py
    python tests/benchmarks/bench_page_learning.py --styles "pale grey" --adapt all --lr 1e-3 --threads 1

Pages are drawn, of maker F (which taught nothing) in colours that no maker has; corrections are the lines that were
drawn. Held-out pages have other patients, rhythms, fonts of labels, rows and captures by chance. Ordinary pages are of
makers A to E, scans and photos by turns. A page that is refused counts as empty: 0 dB. Scores are those of
``workbench evaluate ecg_image``; "s" is the time that learning took, and "cpu s" what it took of all processors.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

STYLES: dict[str, dict[str, Any]] = {
    "blue on blue": {
        "paper": (0.93, 0.95, 1.0), "minor": (0.62, 0.70, 0.90), "major": (0.35, 0.45, 0.80), "ink": (0.40, 0.48, 0.78),
        "pen": 0.3, "grid": "lines", "minor_width": 0.15, "major_width": 0.3,
    },
    "pale grey": {
        "paper": (0.97, 0.97, 0.97), "minor": (0.80, 0.80, 0.82), "major": (0.62, 0.62, 0.66),
        "ink": (0.66, 0.66, 0.70), "pen": 0.35, "grid": "lines", "minor_width": 0.15, "major_width": 0.3,
    },
    "light on dark": {
        "paper": (0.08, 0.10, 0.12), "minor": (0.20, 0.26, 0.24), "major": (0.32, 0.42, 0.38),
        "ink": (0.45, 0.95, 0.55), "pen": 0.35, "grid": "lines", "minor_width": 0.15, "major_width": 0.3,
    },
}  # fmt: skip
TAUGHT, HELD_OUT, ORDINARY = 5_000_001, 5_000_101, 6_000_001
"""First seeds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--styles", default=",".join(STYLES))
    parser.add_argument("--pages", type=int, default=8, help="held-out pages, and ordinary ones")
    parser.add_argument("--corrected", type=int, default=3)
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--only-after", action="store_true", help="leave out the scores before learning")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--adapt", help="as of workbench train ecg_image; so are the next three")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--old-pages", type=int)
    options = parser.parse_args()
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    import torch

    torch.set_num_threads(options.threads)
    learning = {k: v for k in ("adapt", "lr", "steps", "old_pages") if (v := getattr(options, k)) is not None}
    print(f"{options.corrected} corrected pages, {options.pages} held out; {options.threads} threads; {learning or ''}")
    print(f"{'pages':>14} {'weights':>8} {'Kaggle':>7} {'PhysioNet':>10} {'worst lead':>11} {'coverage':>9} "
          f"{'named':>6} {'s':>5} {'cpu s':>6}")  # fmt: skip
    with TemporaryDirectory(prefix="workbench-bench-") as folder:
        run(options, learning, Path(folder))


def run(options: argparse.Namespace, learning: dict[str, Any], folder: Path) -> None:
    import workbench as wb

    ordinary = [put(ordinary_page(ORDINARY + n), folder / "ordinary", f"page{n}") for n in range(options.pages)]
    if not options.only_after:
        print(line("ordinary", "before", wb.evaluate("ecg_image", ordinary, weights=options.weights)), flush=True)
    for style in options.styles.split(","):
        held = [put(styled(style, HELD_OUT + n), folder / style, f"page{n}") for n in range(options.pages)]
        if not options.only_after:
            print(line(style, "before", wb.evaluate("ecg_image", held, weights=options.weights)), flush=True)
        taught = [
            put(styled(style, TAUGHT + n), folder / style, f"taught{n}", lines=True) for n in range(options.corrected)
        ]
        clock, cpu = time.perf_counter(), time.process_time()
        out = folder / f"{style}.safetensors"
        report = wb.train("ecg_image", taught, out=out, weights=options.weights, **learning)
        spent = time.perf_counter() - clock, time.process_time() - cpu
        after = wb.evaluate("ecg_image", held, weights=str(report.weights))
        print(line(style, "after", after, spent), flush=True)
        print(line("ordinary", "after", wb.evaluate("ecg_image", ordinary, weights=str(report.weights))), flush=True)


def line(pages: str, weights: str, report: Any, spent: tuple[float, float] | None = None) -> str:
    """One line of the table."""
    row = report.summary[0]
    seconds = "" if spent is None else f"{spent[0]:>5.0f} {spent[1]:>6.0f}"
    failed = f" ({len(report.failures)} failed)" if report.failures else ""
    return (
        f"{pages:>14} {weights:>8} {row['Kaggle [dB]']:>7.2f} {row['PhysioNet 2024 [dB]']:>10.2f} "
        f"{row['worst lead [dB]']:>11.1f} {row['coverage [%]'] / 100:>9.3f} {row['named right [%]'] / 100:>6.2f} "
        f"{seconds}{failed}"
    )


def styled(style: str, seed: int) -> Any:
    """A page of the new style."""
    from workbench.page.draw.styles import random_style

    rng = np.random.default_rng([seed, 7])
    own = replace(random_style(rng, maker="F", layout="3x4+1", clean=True), **STYLES[style])
    return drawn(own, seed, rng, "scan")


def ordinary_page(seed: int) -> Any:
    from workbench.page.draw.styles import random_style

    rng = np.random.default_rng([seed, 3])
    return drawn(random_style(rng, layout="3x4+1", clean=True), seed, rng, "scan" if seed % 2 else "photo")


def drawn(style: Any, seed: int, rng: np.random.Generator, kind: Any) -> Any:
    from workbench.page.draw.capture import capture
    from workbench.page.draw.render import render
    from workbench.page.draw.simulate import random_rhythm, simulate

    rhythm, form = random_rhythm(rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return capture(render(simulate(seed, rhythm=rhythm, form=form), style, dpi=150, seed=seed), kind, seed=seed)


def put(page: Any, folder: Path, name: str, *, lines: bool = False) -> Any:
    """Write a page with its record, or with its true lines; gives the case."""
    from PIL import Image

    from workbench.core.types import Case
    from workbench.data.lines import write_lines
    from workbench.page.data.write_signals import write_csv

    folder.mkdir(exist_ok=True)
    picture = folder / f"{name}.png"
    Image.fromarray(page.pixels).save(picture)
    if lines:
        write_lines(true_lines(page), picture.with_suffix(".geojson"))
        return Case(name, picture, picture.with_suffix(".geojson"), name, {"kind": "page"})
    signals = page.signals
    write_csv(np.asarray(signals.data, float), signals.channels, signals.sampling_rate, picture.with_suffix(".csv"))
    return Case(name, picture, picture.with_suffix(".csv"), name, {"kind": "page"})


def true_lines(page: Any) -> Any:
    """The lines of a drawn page as a person who makes no mistake would leave them, on the grid that was found."""
    from workbench.core.lines import Lines
    from workbench.page.predict.grid import find_grid
    from workbench.page.traces import LEAD, ORIGIN, STRIP, WAS_READ, Sheet

    grid, style = find_grid(page.pixels), page.style
    seconds = (style.seconds / style.layout.columns, style.seconds)
    sheet = Sheet(grid, page.pixels.shape[:2], 0, style.speed, style.gain, page.signals.sampling_rate, seconds)
    points, rows = [], []
    for lead in page.leads:
        points.append(lead.line[np.isfinite(lead.line).all(axis=1)] + 0.5)
        start = grid.to_paper(page.to_pixels(np.array([[lead.start, lead.baseline]])))[0, 0]
        origin = float(start) - lead.samples[0] / page.signals.sampling_rate * style.speed
        rows.append((lead.cell.lead, lead.cell.is_strip, origin, True))
    features = {key: tuple(row[n] for row in rows) for n, key in enumerate((LEAD, STRIP, ORIGIN, WAS_READ))}
    return Lines.from_points(points, features=features, name="traces", about=sheet.to_json())


if __name__ == "__main__":
    main()
