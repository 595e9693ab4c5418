"""The swatch of a class has the colour that the canvas shows, whatever the opacity and the blending of its layer."""

from __future__ import annotations

import numpy as np
import pytest
from workbench_napari.shared.seen_color import seen_color

pytestmark = pytest.mark.gui


@pytest.mark.parametrize(
    ("blending", "opacity", "below"),
    [("translucent", 0.5, True), ("translucent", 0.8, False), ("additive", 0.7, True), ("opaque", 1.0, True)],
)
def test_the_swatch_is_what_is_seen(window, wait, blending, opacity, below):
    viewer = window(show=True)
    if below:
        viewer.add_image(np.full((40, 40), 50.0), contrast_limits=(0, 100))
    labels = viewer.add_labels(np.full((40, 40), 3, np.uint8))
    labels.opacity, labels.blending = opacity, blending
    color = labels.get_color(3)
    assert color is not None

    def middle():
        picture = viewer.screenshot(canvas_only=True, flash=False)
        return picture[picture.shape[0] // 2, picture.shape[1] // 2, :3].astype(int)

    def said():
        text = seen_color(viewer, labels, color)
        return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)])

    wait(lambda: np.abs(middle() - said()).max() <= 6, 10)
    before = said()
    labels.opacity = 0.3
    labels.blending = "translucent"
    assert np.abs(said() - before).max() > 10, "the swatch follows"
    wait(lambda: np.abs(middle() - said()).max() <= 6, 10)
