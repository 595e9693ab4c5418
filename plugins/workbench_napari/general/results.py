"""Results of the general tool: as layers, and back to a `Result` as a person has corrected it. No Qt here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import workbench as wb
from workbench.core import kinds
from workbench.core.corrections import updated_parts
from workbench.core.layers import KEY, LayerTuple, token
from workbench.core.types import Result, Scores


def layers_of(result: Result) -> tuple[str, list[LayerTuple]]:
    """A name for the result, and its layers, which all carry that name."""
    name = token(result)
    layers = []
    for data, attributes, kind in wb.to_layers(result):
        record = dict((attributes.get("metadata") or {}).get(KEY) or {}) | {"result": name}
        layers.append((data, {**attributes, "metadata": {**(attributes.get("metadata") or {}), KEY: record}}, kind))
    return name, layers


def corrected(result: Result, layers: Sequence[tuple[Any, dict[str, Any]]]) -> Result:
    """The result as its layers show it now; parts without a layer stay as they were made."""
    shown = {}
    edited = result.provenance.edited_by_hand
    for data, attributes in layers:
        record = attributes["metadata"][KEY]
        if record.get("part"):
            shown[str(record["part"])] = (data, attributes)
        edited = edited or bool(record.get("edited"))
    own = kinds.find(result.image.kind).hook("layers", "updated")
    now: Result = own(result, shown) if own is not None else updated_parts(result, shown)
    return replace(now, provenance=replace(result.provenance, edited_by_hand=edited))


def summary(result: Result) -> str:
    """Sizes and numbers of the result in a few lines."""
    lines = []
    for key, part in result.parts.items():
        if isinstance(part, Scores):
            for row in part.as_dicts()[:12]:
                lines.append(", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{v}" for k, v in row.items()))
            if len(part.rows) > 12:
                lines.append(f"and {len(part.rows) - 12} more rows")
        elif hasattr(part, "__len__"):
            lines.append(f"{key}: {len(part)}")
    return "<br>".join(lines)
