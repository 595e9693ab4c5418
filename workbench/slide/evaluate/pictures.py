"""Larger pictures of what was found on a slide, for reports."""

from __future__ import annotations

from workbench.core.types import Result
from workbench.slide.preview import drawn

SIDE = 900
"""Pixels along the longer side of each half."""


def overview(result: Result) -> bytes:
    """PNG: the slide with the edge of its tissue, and beside it a colour for each tile."""
    return drawn(result, SIDE)
