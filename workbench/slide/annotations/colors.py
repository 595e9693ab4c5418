"""Colours as programs write them: lists, packed numbers, hexadecimal text."""

from __future__ import annotations

import re
from typing import Any

from workbench.core.classes import RGB
from workbench.slide.annotations.types import Fault


def of_json(color: Any, packed: Any = None) -> RGB | None:
    """Of GeoJSON: three whole numbers (a fourth is opacity), ``"#rrggbb"``, or one number 0xAARRGGBB with its sign."""
    if color is None:
        color = packed
    if color is None:
        return None
    if type(color) is int and -(1 << 31) <= color < 1 << 32:
        return (color >> 16 & 255, color >> 8 & 255, color & 255)
    if isinstance(color, str) and (found := of_hex(color)) is not None:
        return found
    good = isinstance(color, list) and len(color) in (3, 4) and all(type(c) is int and 0 <= c < 256 for c in color)
    if not good:
        raise Fault(f"a colour is {str(color)[:40]!r}, three whole numbers from 0 to 255 were expected")
    return (color[0], color[1], color[2])


def of_hex(text: str) -> RGB | None:
    """``#rrggbb``, or ``None``."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", text.strip()):
        return None
    value = int(text.strip()[1:], 16)
    return (value >> 16, value >> 8 & 255, value & 255)


def of_bgr(text: str) -> RGB | None:
    """A packed whole number 0xBBGGRR as Aperio writes it, or ``None``."""
    if not re.fullmatch(r"-?\d{1,11}", text.strip()):
        return None
    value = int(text)
    return (value & 255, value >> 8 & 255, value >> 16 & 255)
