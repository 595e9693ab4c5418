"""What a page may lack."""

from __future__ import annotations

from workbench.core.errors import InputError


class NotAPage(InputError):
    """A picture that is not read as an electrocardiogram, and why: no grid, no traces, too few leads."""


class NoGrid(NotAPage):
    """There is no grid of graph paper, however the picture is turned: nothing gives it a scale."""
