"""What tools draw can be read in napari's dark and light theme: contrast of the colours that are on the screen."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from qtpy.QtWidgets import QLabel
from workbench_napari.recording.traces import COLORS
from workbench_napari.shared.figure_canvas import FigureWidget
from workbench_napari.shared.opening import PLUGIN
from workbench_napari.shared.theme import LEAST, LINE, colors_of, contrast, hex_of

pytestmark = pytest.mark.gui
THEMES = ("dark", "light")


def drawn(widget):
    """Contrast of the most common colour of a widget on the screen and of that which stands out most from it."""
    image = widget.grab().toImage().convertToFormat(widget.grab().toImage().Format.Format_RGB32)
    pixels = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8).reshape(image.height(), -1, 4)
    colors = Counter(map(tuple, pixels[:, : image.width(), 2::-1].reshape(-1, 3).tolist()))
    back = colors.most_common(1)[0][0]
    return max(contrast([int(v) for v in c], [int(v) for v in back]) for c in colors)


@pytest.mark.parametrize("theme", THEMES)
def test_colours_of_a_theme(theme):
    colors = colors_of(theme)
    for back in (colors.back, colors.panel):
        assert min(contrast(c, back) for c in (colors.text, colors.quiet, *map(colors.readable, COLORS))) >= LEAST
        assert contrast(colors.line, back) >= LINE
    assert len({colors.readable(c) for c in COLORS}) == len(COLORS)


@pytest.mark.parametrize("title", ["MEG tool", "Spectra tool"])
def test_plots_canvas_text_and_notes_follow_the_theme(window, wait, title):
    viewer = window(show=True)
    viewer.window.resize(1500, 900)
    _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, title, tabify=False)
    sample = {"MEG tool": "meg_recording", "Spectra tool": "spectral_scene"}[title]
    viewer.open_sample("napari-workbench", sample)
    if title == "MEG tool":
        wait(lambda: len(tool.traces.traces) > 0)
        tool.stack.set_cursor(2.0)
        wait(lambda: tool.panel.channels.topomap.drawn is not None)
    for theme in (*THEMES, "dark"):
        viewer.theme = theme
        back = hex_of(colors_of(theme).back)
        wait(lambda: notes_of(tool))
        for label in notes_of(tool):
            wait(lambda label=label: drawn(label) >= LEAST, 5)
        for figure in tool.findChildren(FigureWidget):
            wait(lambda figure=figure, back=back: hex_of(figure.figure.get_facecolor()) == back)
            for text in figure.figure.findobj(lambda artist: hasattr(artist, "get_fontsize")):
                if text.get_text().strip() and text.get_visible():
                    assert contrast(text.get_color(), back) >= LEAST, (theme, text.get_text())
        if title == "MEG tool":
            wait(lambda: drawn(tool.traces.info) >= LEAST, 5)
            for curve, trace in zip(tool.traces._curves, tool.traces.traces, strict=True):
                ground = tool.traces.plot.backgroundBrush().color()
                assert contrast(curve.opts["pen"].color(), ground) >= LEAST, trace.name
            overlay = tool.stack.overlay
            named = overlay.grab(overlay.rect().adjusted(0, 40, -(overlay.width() - 110), -40))
            assert drawn(_Picture(named)) >= LEAST


def notes_of(tool):
    return [w for w in tool.findChildren(QLabel) if w.property("quiet") and w.isVisible() and w.text()]


class _Picture:
    """A picture that was taken already."""

    def __init__(self, pixmap):
        self._pixmap = pixmap

    def grab(self):
        return self._pixmap
