"""The demo diagnosis on drawn pages that taught nothing, read from their pixels as a user's are.

    python tests/benchmarks/bench_diagnosis.py --pages 40 --threads 2

Rows: layouts and makers that taught the network of pictures, a layout and a maker that did not, photos, and pages whose
words are not masked; accuracy, macro F1 and calibration error of the picture, the leads and both, and how often a
diagnosis is said. At last: pages whose ST segments are raised in V1 to V3 alone, and whether attribution points there.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np

ROWS: dict[str, dict[str, Any]] = {
    "3x4+1": {"layout": "3x4+1"},
    "3x4+1 unmasked": {"layout": "3x4+1", "mask": False},
    "6x2 (layout never taught)": {"layout": "6x2"},
    "maker F (style never taught)": {"layout": "3x4+1", "maker": "F"},
    "photos": {"layout": "3x4+1", "capture": "photo"},
}
FIRST = 70_000_000
WALL = ("V1", "V2", "V3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=40, help="of each row")
    parser.add_argument("--walls", type=int, default=20, help="pages with raised ST segments in V1 to V3")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", default=",".join(ROWS), help="some of the rows, with commas between them")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    import torch

    torch.set_num_threads(options.threads)
    for name in options.rows.split(","):
        if name in ROWS:
            report(name, options.pages, **ROWS[name])
    if options.walls:
        walls(options.walls)


def drawn(
    seed: int, diagnosis: Any, *, layout: str, maker: str | None = None, capture: str = "render", leads: Any = None
) -> Any:
    """A page as an image of the workbench."""
    from workbench.core.types import Geometry, Image
    from workbench.page.data.pictures import AXES
    from workbench.page.draw import capture as captures
    from workbench.page.draw.diagnoses import patient
    from workbench.page.draw.render import render
    from workbench.page.draw.styles import random_style

    rng = np.random.default_rng([seed, 5])
    style = random_style(rng, maker=maker, layout=layout, clean=True)
    page = render(patient(diagnosis, seed) if leads is None else leads, style, dpi=150, seed=seed)
    if capture != "render":
        page = captures.capture(page, capture, seed=seed)  # type: ignore[arg-type]
    pixels = np.ascontiguousarray(np.moveaxis(page.pixels, 2, 0))
    geometry = Geometry(pixels.shape[1:], None, AXES, None)
    return Image(geometry, pixels.dtype, ("red", "green", "blue"), lambda: pixels, "page")


def asked(image: Any, mask: bool = True) -> Any:
    import workbench as wb

    return wb.predict("ecg_image", image, diagnosis="demo", mask=mask)


def report(name: str, pages: int, *, mask: bool = True, **how: Any) -> None:
    """A row of the table for each opinion."""
    from workbench.page.draw.diagnoses import DIAGNOSES
    from workbench.page.errors import NotAPage
    from workbench.page.evaluate.classes import accuracy, calibration_error, macro_f1

    began, refused, said = time.monotonic(), 0, []
    odds: dict[str, list[np.ndarray]] = {"image": [], "signal": [], "together": []}
    truth: dict[str, list[int]] = {key: [] for key in odds}
    outside = []
    for n in range(pages):
        k = n % len(DIAGNOSES)
        try:
            result = asked(drawn(FIRST + n, DIAGNOSES[k], **how), mask)
        except NotAPage:
            refused += 1
            continue
        rows = {row["diagnosis"]: row for row in result["diagnosis"].as_dicts()}
        detail = result.provenance.details["diagnosis"]
        if detail["said"]:
            said.append(detail["said"] == DIAGNOSES[k])
        outside.append(detail.get("attribution outside the traces", np.nan))
        for key, values in odds.items():
            if rows[DIAGNOSES[0]][key] is not None:
                values.append(np.array([rows[d][key] for d in DIAGNOSES]))
                truth[key].append(k)
    for key, values in odds.items():
        if values:
            t, o = np.array(truth[key]), np.stack(values)
            print(
                f"{name}: {key} n {len(t)}, accuracy {accuracy(t, o.argmax(1)):.3f}, macro F1 "
                f"{macro_f1(t, o.argmax(1), 4):.3f}, calibration error {calibration_error(t, o):.3f}", flush=True,
            )  # fmt: skip
    right = float(np.mean(said)) if said else float("nan")
    print(
        f"{name}: said of {len(said)} of {pages}, right {right:.3f}; refused {refused}; attribution outside the traces "
        f"{np.nanmean(outside):.2f}; {(time.monotonic() - began) / pages:.1f} s a page", flush=True,
    )  # fmt: skip


def walls(pages: int) -> None:
    """How often the lead to which most is attributed is one of those that were raised."""
    from workbench.page.draw.diagnoses import raised
    from workbench.page.draw.simulate import simulate
    from workbench.page.leads import STANDARD

    hits = {"image": 0, "signal": 0}
    found = 0
    for n in range(pages):
        leads = raised(simulate(FIRST + 5000 + n), WALL, 0.35)
        result = asked(drawn(FIRST + 5000 + n, "normal", layout="3x4+1", leads=leads))
        table = result.parts.get("lead_attribution")
        found += result.provenance.details["diagnosis"].get("attribution of") == "acute MI"
        for key in hits:
            values = {r["lead"]: r[f"{key} [%]"] for r in (table.as_dicts() if table else []) if r["lead"] in STANDARD}
            known = {lead: v for lead, v in values.items() if v is not None}
            hits[key] += bool(known) and max(known, key=lambda lead: known[lead]) in WALL
    print(f"ST raised in V1 to V3: likeliest acute MI on {found} of {pages}; most is attributed to one of them by the "
          f"picture on {hits['image']}, by the leads on {hits['signal']} of {pages}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
