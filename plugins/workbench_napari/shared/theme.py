"""Colours that can be read in napari's theme of the moment: text, quiet text, lines, and any colour given to curves.

A widget of ours that draws by itself has a method ``use_colors(colors)``; the tool calls it at the beginning and
whenever the theme changes.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LEAST = 4.5
"""Contrast of text with what lies below (WCAG AA)."""
LINE = 3.0
"""The same of lines."""


@dataclass(frozen=True)
class Colors:
    """What is drawn with, as ``#rrggbb``.

    Attributes
    ----------
    back, panel
        Of the whole, and of what curves lie on.
    text, quiet
        Of what is read, and of what only explains.
    line
        Of axes and frames.
    cursor
        Of the time cursor, and of the curve under the mouse.
    """

    back: str = "#262930"
    panel: str = "#1d2026"
    text: str = "#d6d8dc"
    quiet: str = "#a2a5aa"
    line: str = "#6a727c"
    cursor: str = "#ffd54a"

    @property
    def is_dark(self) -> bool:
        return luminance(self.back) < 0.18

    def readable(self, color: Any, least: float = LEAST) -> str:
        """This colour, darker or lighter until it stands out from back and panel."""
        return readable(color, (self.back, self.panel), least)


def colors_of(theme: str) -> Colors:
    """The colours for a theme of napari, by its name."""
    from napari.utils.theme import get_theme

    own = get_theme(theme)
    back, text = hex_of(own.background), hex_of(own.text)
    panel = mixed(back, "#000000", 0.18) if luminance(back) < 0.18 else mixed(back, "#ffffff", 0.6)
    both = (back, panel)
    return Colors(
        back,
        panel,
        readable(text, both),
        readable(mixed(text, back, 0.4), both),
        readable(mixed(text, back, 0.6), both, LINE),
        readable("#ffd54a", both),
    )


def hex_of(color: Any) -> str:
    """``#rrggbb`` of a colour as napari, Qt, matplotlib or a class table has it."""
    if hasattr(color, "as_rgb_tuple"):
        color = color.as_rgb_tuple()
    elif hasattr(color, "getRgb"):
        color = color.getRgb()
    if isinstance(color, str):
        text = color.lstrip("#")
        return "#" + ("".join(2 * c for c in text) if len(text) == 3 else text[:6]).lower()
    parts = [float(c) for c in color][:3]
    if max(parts) <= 1.0 and any(isinstance(c, float) or hasattr(c, "dtype") for c in color):
        parts = [255 * c for c in parts]
    return _text(parts)


def luminance(color: Any) -> float:
    """Relative luminance (WCAG), 0 to 1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _parts(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Any, other: Any) -> float:
    """Contrast of two colours (WCAG), 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def mixed(one: Any, other: Any, share: float) -> str:
    """So much of the other colour in the first."""
    return _text([255 * ((1 - share) * a + share * b) for a, b in zip(_parts(one), _parts(other), strict=True)])


def readable(color: Any, backs: tuple[str, ...], least: float = LEAST) -> str:
    """The colour in the same hue, as little lighter or darker as the contrast with all these backgrounds needs."""
    return _readable(hex_of(color), tuple(backs), least)


@lru_cache(maxsize=4096)
def _readable(color: str, backs: tuple[str, ...], least: float) -> str:
    """The same, remembered: every mark is painted in such a colour, at every move of the mouse."""
    hue, light, saturation = colorsys.rgb_to_hls(*_parts(color))
    step = 0.01 if max(luminance(b) for b in backs) < 0.18 else -0.01
    found = color
    while min(contrast(found, b) for b in backs) < least and 0.0 < light + step < 1.0:
        light += step
        found = _text([255 * c for c in colorsys.hls_to_rgb(hue, light, saturation)])
    return found


def _parts(color: Any) -> tuple[float, float, float]:
    text = hex_of(color)
    red, green, blue = (int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _text(parts: Iterable[float]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(round(c) for c in parts))
