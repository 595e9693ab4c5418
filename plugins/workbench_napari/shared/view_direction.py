"""Let a layer of labels whose classes have names come into a 3-D view that no mouse has been in yet.

napari tells in its status bar what lies under the mouse, and asks each layer that becomes active. While the mouse has
only been in the 2-D view there is no direction to look along; napari's labels with properties take that for an array
then, and adding such a layer fails. A result would not be shown after it had been computed.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import numpy as np


def allow_no_view_direction() -> None:
    """Do so for all layers of labels in this process."""
    from napari.layers import Labels

    asked = getattr(Labels, "_get_properties", None)
    if asked is None or getattr(asked, "allows_no_direction", False):
        return

    @wraps(asked)
    def without_direction(layer: Any, *args: Any, view_direction: Any = None, **named: Any) -> Any:
        none = view_direction is None or np.ndim(view_direction) == 0
        return asked(layer, *args, view_direction=None if none else view_direction, **named)

    without_direction.allows_no_direction = True  # type: ignore[attr-defined]
    Labels._get_properties = without_direction
