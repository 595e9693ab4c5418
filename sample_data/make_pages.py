"""Make the sample page: a drawn electrocardiogram as a telephone would take it, and the leads that were drawn.

    python sample_data/make_pages.py                   # writes the sample files beside this script again
    python sample_data/make_pages.py -o DIR

``page_9401.jpg`` is a page of maker F in 3x4 with a strip of II, simulated (sinus rhythm, old infarction by formula),
taken with shadows and in perspective. Its name, number and date are invented. ``page_9401_leads.csv`` has the leads in
mV, empty where they are not on the page. Not of a person, and of no use to medicine.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

SEED = 9401
NAME = "page_9401"
DPI = 140.0
QUALITY = 80


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "files")
    for path in make(parser.parse_args().output):
        print(path)


def make(folder: Path) -> list[Path]:
    """Write picture and truth; returns their paths."""
    from PIL import Image

    from workbench.page.data.write_signals import write_csv
    from workbench.page.draw.capture import capture
    from workbench.page.draw.render import render
    from workbench.page.draw.simulate import simulate
    from workbench.page.draw.styles import random_style

    rng = np.random.default_rng(SEED)
    signals = simulate(SEED, rhythm="sinus", form="old MI", rate=72.0)
    style = random_style(rng, maker="F", layout="3x4+1", clean=True)
    page = capture(render(signals, style, dpi=DPI, seed=SEED), "photo", seed=SEED, strength=0.7)
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"{NAME}.jpg"
    Image.fromarray(page.pixels).save(picture, "JPEG", quality=QUALITY)
    kept = page.signals
    rows = [n for n, name in enumerate(kept.channels) if not name.endswith(" strip")]
    strip = [n for n, name in enumerate(kept.channels) if name.endswith(" strip")]
    data = np.asarray(kept.data[rows + strip], float)
    names = tuple(kept.channels[n] for n in rows + strip)
    table = write_csv(data, names, kept.sampling_rate, folder / f"{NAME}_leads.csv")
    return [picture, *table]


if __name__ == "__main__":
    main()
