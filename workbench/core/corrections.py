"""From layers that a person has corrected back to the parts of a result, for kinds that say nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError
from workbench.core.layers import count_labels
from workbench.core.levels import finest
from workbench.core.object_layers import objects_from_layer
from workbench.core.objects import Objects
from workbench.core.types import Labels, Result


def updated_parts(result: Result, layers: Mapping[str, tuple[Any, dict[str, Any]]]) -> Result:
    """The result with label maps and objects as their layers show them now.

    Parameters
    ----------
    layers
        Data and attributes of a layer by the name of its part.

    Raises
    ------
    GeometryError
        A layer does not have the shape of its part: nothing of it can be trusted.
    """
    parts = dict(result.parts)
    for key, (data, attributes) in layers.items():
        part = parts.get(key)
        if isinstance(part, Labels):
            array = np.asarray(finest(data, attributes))
            if array.shape != part.data.shape:
                raise GeometryError(f"layer of '{key}' has the shape {array.shape}, its result {part.data.shape}")
            extra = part.classes.unlisted(count_labels(array))
            parts[key] = replace(part, data=array, classes=ClassTable((*part.classes, *extra)))
        elif isinstance(part, Objects):
            parts[key] = replace(objects_from_layer(data, attributes), name=part.name)
    return replace(result, parts=parts)


_SHOWN = 1024
"""Pixels along a piece that napari asks for at once: about what a screen shows."""
