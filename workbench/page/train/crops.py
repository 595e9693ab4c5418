"""Pieces of drawn pages, rectified as pages are, with what the network should say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.page.draw.canvas import Canvas
from workbench.page.draw.capture import CAPTURES, capture
from workbench.page.draw.render import DrawnPage, Floats, render
from workbench.page.draw.simulate import random_rhythm, simulate
from workbench.page.draw.styles import random_style
from workbench.page.net.page_net import FINER, LEADS
from workbench.page.rectified import PER_MM, sample

PEN = 0.375
"""Width of the lines that are to be found [mm], however thick those of the page are."""
_CHANCES = {
    "render": 0.08, "scan": 0.2, "grey scan": 0.14, "photo": 0.24, "screen": 0.1, "stained": 0.08, "damaged": 0.06,
    "mould": 0.05, "grey mould": 0.05,
}  # fmt: skip


@dataclass(frozen=True)
class Crop:
    """A piece of a page and the truth of it; the sizes are those of `workbench.page.net.page_net.PageMaps`.

    Parameters
    ----------
    pixels
        ``(rows, columns, 3)`` uint8.
    trace, pulse
        ``(rows, 2 * columns)`` uint8, how much of a pixel the line covers (255: all).
    words
        ``(rows / 2, columns / 2)`` uint8.
    names
        ``(13, rows / 8, columns / 8)`` uint8: bumps around the middles of names.
    """

    pixels: npt.NDArray[np.uint8]
    trace: npt.NDArray[np.uint8]
    pulse: npt.NDArray[np.uint8]
    words: npt.NDArray[np.uint8]
    names: npt.NDArray[np.uint8]


def random_page(rng: np.random.Generator, *, fonts: tuple[str, ...] = (), maker: str | None = None) -> DrawnPage:
    """A drawn page, captured in some way, by chance."""
    seed = int(rng.integers(2**31))
    rhythm, form = random_rhythm(rng)
    signals = simulate(seed, rhythm=rhythm, form=form)
    style = random_style(rng, maker=maker, fonts=fonts)
    dpi = float(np.exp(rng.uniform(np.log(62), np.log(260))))
    kind = str(rng.choice(list(_CHANCES), p=np.array(list(_CHANCES.values())) / sum(_CHANCES.values())))
    drawn = render(signals, style, dpi=dpi, seed=seed)
    return capture(drawn, next(k for k in CAPTURES if k == kind), seed=seed)


def crops(page: DrawnPage, rng: np.random.Generator, count: int, size: int = 256) -> Iterator[Crop]:
    """Pieces of a page, most of them where its traces and names are.

    Each is rectified with a map that is a little wrong, as that of a grid that was found would be.
    """
    lines = [lead.paper[np.isfinite(lead.paper[:, 1])] for lead in page.leads]
    middles = [line[0] + [2.0, 0.0] for line in lines]
    everything = np.vstack(lines)
    mm = size / PER_MM
    for n in range(count):
        if n % 8 == 7:
            middle = rng.uniform(0, page.style.size)
        elif n % 2:
            middle = middles[int(rng.integers(len(middles)))] + rng.uniform(-0.4, 0.4, 2) * mm
        else:
            middle = everything[int(rng.integers(len(everything)))] + rng.uniform(-0.4, 0.4, 2) * mm
        corner = middle - mm / 2
        turn, stretch = rng.normal(0, 0.006), 1 + rng.normal(0, 0.004, 2)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * stretch

        def on_paper(places: Floats, matrix: Floats = matrix, middle: Floats = middle) -> Floats:
            return (places - middle) @ matrix.T + middle

        def to_pixels(places: Floats, on: Callable[[Floats], Floats] = on_paper) -> Floats:
            return page.to_pixels(on(places))

        pixels = sample(page.pixels, to_pixels, (float(corner[0]), float(corner[1])), size, size)
        back: Floats = np.linalg.inv(matrix)

        def in_crop(paper: Floats, back: Floats = back, middle: Floats = middle, corner: Floats = corner) -> Floats:
            return ((paper - middle) @ back.T + middle - corner) * PER_MM - 0.5

        yield Crop(pixels, *_targets(page, lines, in_crop, size))


def _targets(
    page: DrawnPage, lines: list[Floats], in_crop: Callable[[Floats], Floats], size: int
) -> tuple[npt.NDArray[np.uint8], ...]:
    trace = drawn([in_crop(line) for line in lines], size, size)
    pulse = drawn([in_crop(pulse) for pulse in page.pulses], size, size)
    words = Canvas(size // 2, size // 2, (0.0, 0.0, 0.0))
    names = np.zeros((len(LEADS), size // 8, size // 8), np.float32)
    for word in page.words:
        corners = in_crop(word.paper)
        words.area((corners - 0.5) / 2, (1.0, 1.0, 1.0))
        if word.kind == "lead" and word.text in LEADS:
            cx, cy = corners.mean(axis=0)
            k = LEADS.index(word.text)
            names[k] = np.maximum(names[k], bump(size // 8, size // 8, float(cx), float(cy)))
    return trace, pulse, words.pixels()[..., 0], np.round(names * 255).astype(np.uint8)


def drawn(lines: Sequence[Floats], rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """Lines of even thickness, ``(rows, 2 * columns)``: how much of a pixel they cover, along x twice as fine.

    They are drawn larger, and thinned to that of one direction by what columns cover.

    Parameters
    ----------
    lines
        Each ``(points, 2)`` of (x, y), in pixels from the centre of the first.
    """
    canvas = Canvas(FINER * columns, FINER * rows, (0.0, 0.0, 0.0))
    half = np.array([columns, rows]) / 2
    for line in lines:
        if len(line) > 1 and (np.abs(line - half) < 2 * half).all(axis=1).any():
            canvas.lines([(line + 0.5) * FINER - 0.5], PEN * PER_MM * FINER, (1.0, 1.0, 1.0))
    fine = canvas.pixels()[..., 0].reshape(rows, FINER, FINER * columns)
    out: npt.NDArray[np.uint8] = np.round(fine.mean(axis=1)).astype(np.uint8)
    return out


def bump(rows: int, columns: int, x: float, y: float) -> npt.NDArray[np.float32]:
    """What marks the middle of a name, ``(rows, columns)``, 0 to 1: one value for 8 x 8 pixels; x and y in pixels."""
    across, down = np.arange(columns) * 8 + 3.5, np.arange(rows) * 8 + 3.5
    out: npt.NDArray[np.float32] = np.outer(
        np.exp(-((down - y) ** 2) / (2 * 7.0**2)), np.exp(-((across - x) ** 2) / (2 * 7.0**2))
    ).astype(np.float32)
    return out
