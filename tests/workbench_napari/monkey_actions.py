"""What the monkey does with windows, docks, files and layers; `monkey_hands` has what its hands do.

Each action is a function of the monkey and a random generator of its own. It returns a few words about what it did, or
``None`` where it could not be done now.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

TOOLS = ("Volume tool", "Spectra tool", "MEG tool", "Slides tool", "ECG tool", "Any backend")
_MOST_LAYERS = 14
Action = Callable[[Any, Random], str | None]
ACTIONS: dict[str, tuple[int, Action]] = {}
"""Weight and function, by name."""
OF_OURS = ("dock", "undock", "save")
"""What there is not in a napari without us; other actions find no tool then, and do nothing."""


def action(weight: int) -> Callable[[Action], Action]:
    """Let the monkey do it, so often in comparison with the others."""

    def add(function: Action) -> Action:
        ACTIONS[function.__name__] = (weight, function)
        return function

    return add


# --- windows and docks


@action(1)
def second_viewer(m: Any, rng: Random) -> str | None:
    if len(m.desks) > 1:
        return None
    m.open_window()
    return f"{len(m.desks)} windows"


@action(1)
def close_viewer(m: Any, rng: Random) -> str | None:
    if len(m.desks) < 2:
        return None
    m.close_window(rng.choice(m.desks))
    return f"{len(m.desks)} left"


@action(5)
def dock(m: Any, rng: Random) -> str | None:
    free = [title for title in TOOLS if title not in m.desk.tools]
    if not free:
        return None
    title = rng.choice(free)
    m.desk.dock(title, rng)
    return title


@action(2)
def undock(m: Any, rng: Random) -> str | None:
    if not m.desk.tools:
        return None
    title = rng.choice(list(m.desk.tools))
    m.desk.undock(title, by_button=rng.random() < 0.5)
    return title


@action(2)
def float_dock(m: Any, rng: Random) -> str | None:
    if (dock := m.desk.any_dock(rng)) is None:
        return None
    dock.setFloating(not dock.isFloating())
    return f"floating {dock.isFloating()}"


@action(2)
def raise_dock(m: Any, rng: Random) -> str | None:
    if (dock := m.desk.any_dock(rng)) is None:
        return None
    dock.raise_()
    return dock.windowTitle()


@action(3)
def theme(m: Any, rng: Random) -> str:
    m.desk.viewer.theme = rng.choice(("dark", "light"))
    return str(m.desk.viewer.theme)


@action(3)
def resize(m: Any, rng: Random) -> str:
    size = rng.choice(((1000, 700), (1600, 1000), (1280, 800), (700, 500)))
    m.desk.window.resize(*size)
    return f"{size[0]} x {size[1]}"


# --- files and layers


@action(10)
def open_file(m: Any, rng: Random) -> str | None:
    from workbench_napari.shared.opening import open_path

    viewer = m.desk.viewer
    if len(viewer.layers) >= _MOST_LAYERS:
        return None
    if m.is_plain:
        return _plain_layer(viewer, rng)
    kind = rng.choice(list(m.files.by_kind))
    path = rng.choice(m.files.by_kind[kind])
    open_path(viewer, path, m.desk.any_tool(rng) or _Silent())
    return f"{kind} {path.name}"


def _plain_layer(viewer: Any, rng: Random) -> str:
    """A layer like those that our readers make, without us: to see what napari does alone."""
    noise = np.random.default_rng(rng.getrandbits(32))
    what = rng.choice(("volume", "labels", "scene", "recording"))
    if what == "volume":
        viewer.add_image(noise.normal(size=(18, 22, 24)), scale=(4, 3, 3), units="mm")
    elif what == "labels":
        viewer.add_labels(noise.integers(0, 4, (18, 22, 24)), scale=(4, 3, 3), units="mm")
    elif what == "scene":
        viewer.add_image(noise.normal(size=(30, 26)), units="m")
    else:
        viewer.add_image(noise.normal(size=(5, 2000)), scale=(1, 0.004), units=("pixel", "s"))
        viewer.add_shapes([np.array([[0, 1.0], [0, 2], [4, 2], [4, 1]])], ndim=2)
    return f"plain {what}"


class _Silent:
    def say(self, text: str) -> None:
        """There is no tool to say it."""


@action(4)
def remove_layer(m: Any, rng: Random) -> str | None:
    layers = m.desk.viewer.layers
    if not len(layers):
        return None
    layer = rng.choice(list(layers))
    if rng.random() < 0.5:
        layers.remove(layer)
    else:
        layers.selection = {layer}
        layers.remove_selected()
    return str(layer.name)


@action(1)
def remove_all(m: Any, rng: Random) -> str:
    m.desk.viewer.layers.clear()
    return "all layers"


@action(2)
def duplicate_layer(m: Any, rng: Random) -> str | None:
    from napari.layers._layer_actions import _duplicate_layer

    viewer = m.desk.viewer
    if not len(viewer.layers) or len(viewer.layers) >= _MOST_LAYERS:
        return None
    layer = rng.choice(list(viewer.layers))
    viewer.layers.selection = {layer}
    _duplicate_layer(viewer.layers)  # as the menu of the list of layers does
    return str(layer.name)


@action(4)
def rename_layer(m: Any, rng: Random) -> str | None:
    layers = m.desk.viewer.layers
    if not len(layers):
        return None
    layer = rng.choice(list(layers))
    layer.name = rng.choice(("a", "liver", "<i>x</i>", "a/b:c", "labels", " ", "Ä ö 한", "x" * 80))
    return str(layer.name)


@action(4)
def choose_layer(m: Any, rng: Random) -> str | None:
    layers = m.desk.viewer.layers
    if not len(layers):
        return None
    layers.selection.active = rng.choice(list(layers))
    return str(layers.selection.active)


@action(2)
def look_at_layer(m: Any, rng: Random) -> str | None:
    layers = m.desk.viewer.layers
    if not len(layers):
        return None
    layer = rng.choice(list(layers))
    layer.visible, layer.opacity = rng.random() < 0.8, rng.choice((0.3, 0.7, 1.0))
    return str(layer.name)


@action(2)
def new_layer(m: Any, rng: Random) -> str | None:
    """napari's own buttons: new points, shapes, labels."""
    buttons = m.desk.viewer.window._qt_viewer.layerButtons
    if len(m.desk.viewer.layers) >= _MOST_LAYERS:
        return None
    name = rng.choice(("newPointsButton", "newShapesButton", "newLabelsButton"))
    m.click(getattr(buttons, name))
    return name


@action(2)
def order_layers(m: Any, rng: Random) -> str | None:
    layers = m.desk.viewer.layers
    if len(layers) < 2:
        return None
    layers.move(rng.randrange(len(layers)), rng.randrange(len(layers)))
    return "moved"
