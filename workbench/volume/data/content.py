"""Keys of what a volume holds, the same whatever file it lies in: for what weights remember of what taught them."""

from __future__ import annotations

from workbench.core.seen import content_key
from workbench.core.types import Image
from workbench.volume.data.grid import Grid


def keys_of(image: Image) -> tuple[str, ...]:
    """One key per channel, of its values with the axes turned to R, A, S: copies stored flipped have the same."""
    data = Grid.plan(image.geometry, "RAS").orient(image.samples())
    return tuple(content_key(channel) for channel in data)
