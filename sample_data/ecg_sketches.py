"""Pictures of leads that were never on paper: quick to make, so that a network sees many hearts before it sees pages.

They are what `workbench.page.diagnose.picture` cuts out of pages, drawn at once: a line in each lead's place and the
lines of the rows above and below it, without paper, words and camera.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

RATE = 125.0
FINE = 3
"""Columns that are drawn for each that is kept."""
PX_MM = 1.6
"""Pixels a millimetre down; 2 across."""
HIGH, WIDE = 64, 128
TALL = 176
"""Rows of the strip that a line is drawn on, which reaches into the places above and below."""
COLUMNS = {"3x4+1": 4, "6x2": 2, "12x1": 1}


def sketch(leads: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A picture ``(256, 512, 3)`` uint8 of the leads of one heart.

    Parameters
    ----------
    leads
        ``(12, 1250)`` mV at `RATE`, all of them seen.
    """
    shown = str(rng.choice(list(COLUMNS), p=(0.6, 0.2, 0.2)))
    thick = float(rng.uniform(0.35, 1.1)) * PX_MM
    gain = float(rng.normal(1, 0.03))
    stretch = float(rng.normal(1, 0.01))
    spacing = float(rng.uniform(18, 45)) * PX_MM
    drift, speed = float(rng.uniform(0, 1.2)) * PX_MM, float(rng.uniform(0.1, 0.4))
    ink = np.zeros((4 * HIGH, 4 * WIDE), np.float32)
    tall = np.zeros((12, TALL, WIDE), np.float32)
    for n in range(12):
        column = n // 3 if shown == "3x4+1" else n // 6 if shown == "6x2" else 0
        begin = column * 10 / COLUMNS[shown]
        tall[n] = _line(leads[n], begin, WIDE, 2.5 if shown == "3x4+1" else 10, gain, stretch, thick, drift, speed, rng)
    for n in range(12):
        column, row = divmod(n, 3)
        at = slice(column * WIDE, (column + 1) * WIDE)
        off = float(rng.normal(0, 0.5))
        for other in range(3):
            ink[row * HIGH : (row + 1) * HIGH, at] += _moved(tall[3 * column + other], (other - row) * spacing + off)
    lead = int(rng.choice([1, 6, 10, 2, 5, 0], p=(0.6, 0.15, 0.1, 0.05, 0.05, 0.05)))
    strip = _line(leads[lead], 0.0, 4 * WIDE, 10, gain, stretch, thick, drift, speed, rng)
    ink[3 * HIGH :] += _moved(strip, 0.0)
    for n in (2, 5, 8, 11):  # the row above the strip
        at = slice(n // 3 * WIDE, (n // 3 + 1) * WIDE)
        ink[3 * HIGH :, at] += _moved(tall[n], -spacing)
    ink = np.minimum(ink * 1.3, 1)
    if rng.random() < 0.7:
        ink = np.maximum(ink, _grid(ink.shape, rng))
    if rng.random() < 0.5:
        spots = rng.random(ink.shape) < 10 ** rng.uniform(-4, -2.3)
        ink = np.maximum(ink, spots * rng.uniform(0.2, 1))
    pale = 255 * (1 - ink)
    return np.repeat(np.round(pale).astype(np.uint8)[..., None], 3, axis=2)


def _line(
    lead: npt.NDArray[np.float32], begin: float, wide: int, seconds: float, gain: float, stretch: float, thick: float,
    drift: float, speed: float, rng: np.random.Generator,
) -> npt.NDArray[np.float32]:  # fmt: skip
    """The ink of one lead, ``(TALL, wide)``, its middle in the middle."""
    fine = (np.arange(wide * FINE + 1) / (wide * FINE)) * (wide / 50.0) * stretch
    times = begin + fine
    values = np.interp(times, np.arange(len(lead)) / RATE, lead) * gain
    values[(times > 10) | (fine > seconds)] = np.nan
    middle = np.nanmedian(values)
    down = TALL / 2 - (values - middle) * 10 * PX_MM
    down = down + drift * np.sin(2 * np.pi * (speed * times + rng.random())) + rng.normal(0, 0.6)
    low, high = np.fmin(down[:-1], down[1:]) - thick / 2, np.fmax(down[:-1], down[1:]) + thick / 2
    there = np.flatnonzero(np.isfinite(low))
    column = there // FINE
    ink = np.zeros((TALL + 2) * wide)
    for edge, sign in ((low[there], 1 / FINE), (high[there], -1 / FINE)):  # ink begins at one and ends at the other
        edge = np.clip(edge, 0, TALL)
        row = edge.astype(int)
        ink += np.bincount(row * wide + column, sign * (1 - edge + row), ink.size)
        ink += np.bincount((row + 1) * wide + column, sign * (edge - row), ink.size)
    return np.cumsum(ink.reshape(-1, wide), axis=0, dtype=np.float32)[:TALL]


def _moved(tall: npt.NDArray[np.float32], off: float) -> npt.NDArray[np.float32]:
    """The rows of a place of a line whose middle lies so many pixels below that of the place."""
    first = (TALL - HIGH) // 2 - round(off)
    out = np.zeros((HIGH, tall.shape[1]), np.float32)
    a, b = max(first, 0), min(first + HIGH, TALL)
    if a < b:
        out[a - first : b - first] = tall[a:b]
    return out


def _grid(shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """What is left of a grid of 1 and 5 mm, finer lines paler."""
    out = np.zeros(shape, np.float32)
    strength = float(rng.uniform(0, 0.45))
    for place in range(0, shape[0], HIGH):
        rows = np.arange(HIGH) + rng.uniform(0, 8)
        for step, share in ((PX_MM, 0.25), (5 * PX_MM, 1.0)):
            near = np.abs((rows + step / 2) % step - step / 2)
            out[place : place + HIGH] = np.maximum(
                out[place : place + HIGH], (strength * share * np.clip(1 - near, 0, 1))[:, None]
            )
    columns = np.arange(shape[1]) + rng.uniform(0, 10)
    near = np.abs((columns + 5) % 10 - 5)
    return np.maximum(out, (strength * np.clip(1 - near, 0, 1))[None, :]).astype(np.float32)


def _in_turn(truth: npt.NDArray[np.int64], even: bool) -> npt.NDArray[np.int64]:
    """Numbers of examples, each once; or of each class as many, over and over where it has fewer."""
    if not even:
        return np.arange(len(truth))
    classes = [np.flatnonzero(truth == k) for k in np.unique(truth)]
    most = max(len(own) for own in classes)
    return np.stack([own[np.arange(most) % len(own)] for own in classes], axis=1).ravel()


class Sketches:
    """Examples for `workbench.page.train.classify.teach`, each shown once: pages that were drawn, and sketches.

    Of every `one_in` one is a page. Which heart it shows and how it is drawn follows from its number alone. `even`:
    what the classes are made of is shown equally often, so that half of all hearts have a rhythm that is not normal.
    """

    def __init__(self, leads: Any, pages: Any, count: int, one_in: int, *, even: bool = False) -> None:
        self.leads, self.pages = leads.inputs, pages.inputs
        numbers = np.arange(count)
        self.is_page = numbers % one_in == 0
        hearts = np.cumsum(~self.is_page) - 1
        of_pages, of_leads = (_in_turn(one.truth, even) for one in (pages, leads))
        self.source = np.where(
            self.is_page, of_pages[numbers // one_in % len(of_pages)], of_leads[hearts % len(of_leads)]
        )
        self.truth = np.where(
            self.is_page, pages.truth[self.source % len(pages)], leads.truth[self.source % len(leads)]
        )

    def __len__(self) -> int:
        return len(self.truth)

    def batch(self, numbers: npt.NDArray[np.int64]) -> tuple[Any, Any]:
        import torch

        from workbench.page.net.run import as_input

        found = [
            self.pages[k] if own else sketch(self.leads[k], np.random.default_rng([n, 5]))
            for n, k, own in zip(numbers, self.source[numbers], self.is_page[numbers], strict=True)
        ]
        return as_input(np.stack(found)), torch.from_numpy(self.truth[numbers])
