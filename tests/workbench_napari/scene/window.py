"""A small scene, and what a person does with the Spectra tool, for its tests."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

ROWS, COLUMNS, BANDS = 36, 48, 24
WAVELENGTHS = np.linspace(440, 940, BANDS)
FAST = {"steps": 4, "components": 5, "validate_every": 4, "patch": 7, "head_start": 80, "batch": 12}


def truth() -> np.ndarray:
    """Three materials in stripes."""
    return np.repeat(np.arange(1, 4), COLUMNS // 3)[None].repeat(ROWS, axis=0)


def paint(tool, names=("wood", "water", "soil"), per_class=8, seed=0):
    rng = np.random.default_rng(seed)
    for name in names:
        value = tool.painting.add_class(name)
        layer = tool.painting.layer
        layer.brush_size = 1
        for index in rng.choice(np.flatnonzero(truth() == value), per_class, replace=False):
            layer.paint(np.unravel_index(index, layer.data.shape), value)
    return tool.painting.layer


def finish(tool, wait, seconds=120):
    wait(lambda: not tool.runner.is_busy, seconds)


def row(tool, name):
    table = tool.painting.table
    for r in range(table.row_count()):
        if table.text_at(r, 1) == name:
            return int(table.text_at(r, 2).replace(",", "")), table.text_at(r, 3)
    raise AssertionError(f"no row {name}")


def move(viewer, world):
    for callback in viewer.mouse_move_callbacks:
        callback(viewer, SimpleNamespace(position=world))


def click(viewer, world, drag=0):
    """A press and release as napari sends them."""
    event = SimpleNamespace(type="mouse_press", pos=np.array([5, 5]), position=world, button=1, modifiers=())
    generators = [g for c in viewer.mouse_drag_callbacks if (g := c(viewer, event)) is not None]
    for g in generators:
        next(g, None)
    if drag:
        event.type, event.pos = "mouse_move", np.array([5 + drag, 5])
        for g in generators:
            next(g, None)
    event.type = "mouse_release"
    for g in generators:
        next(g, None)
