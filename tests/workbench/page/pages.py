"""Drawn pages for tests, and what a perfect network would see of them."""

from __future__ import annotations

from functools import cache

import numpy as np

from workbench.page.draw.canvas import Canvas
from workbench.page.draw.capture import capture
from workbench.page.draw.render import _without_gaps, render
from workbench.page.draw.simulate import simulate
from workbench.page.draw.styles import random_style
from workbench.page.predict.maps import Maps, Name


@cache
def drawn(seed, maker="A", layout="3x4+1", dpi=150.0, kind="render", rhythm="sinus", form="normal", noise=1.0, **more):
    """A page, captured; the same for the same arguments."""
    signals = simulate(seed, rhythm=rhythm, form=form, noise=noise)
    style = random_style(np.random.default_rng(seed), maker=maker, layout=layout, clean=True)
    page = render(signals, style, dpi=dpi, seed=seed)
    return page if kind == "render" and not more else capture(page, kind, seed=seed, **more)


def perfect_maps(page, grid, flat):
    """Maps of the flat page as a network that makes no mistake would give them."""
    height, width = flat.pixels.shape[:2]

    def on_flat(places):
        return (grid.to_paper(places) - np.array(flat.corner)) * 8 - 0.5

    canvas = Canvas(2 * width, 2 * height, (0.0, 0.0, 0.0))
    for lead in page.leads:
        for line in _without_gaps(lead.line):
            canvas.lines([(on_flat(line) + 0.5) * 2 - 0.5], 6.0, (1.0, 1.0, 1.0))
    trace = canvas.pixels()[..., 0].reshape(height, 2, 2 * width).mean(axis=1).astype(np.float32) / 255
    names = []
    for word in page.words:
        if word.kind == "lead":
            x, y = (on_flat(word.corners).mean(axis=0) + 0.5) / 8
            names.append(Name(word.text, float(x), float(y), 0.9))
    empty = np.zeros_like(trace)
    return Maps(trace, empty, np.zeros((height // 2, width // 2), np.float32), tuple(names))


def leads_of(signals):
    """Leads by name, float64."""
    return {name: row.astype(float) for name, row in zip(signals.channels, signals.data, strict=True)}
