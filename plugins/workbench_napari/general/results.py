"""Results of the general tool: as layers, and back to a `Result` as a person has corrected it. No Qt here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import workbench as wb
from workbench.core import kinds
from workbench.core.corrections import updated_parts
from workbench.core.jsonable import plain_json
from workbench.core.layers import KEY, LayerTuple, token
from workbench.core.types import Heatmap, Image, Labels, Result, Scores
from workbench.volume import set_by_hand

State = tuple[Any, dict[str, Any]]
"""Data and attributes of a layer."""

TABLE_ROWS = 500
"""Longer tables are not kept in the records of layers, which are written with every edit."""

_SHOWN_ROWS = 12


def layers_of(result: Result, series: str | None = None, name: str = "") -> tuple[str, list[LayerTuple]]:
    """A name for the result, and its layers.

    The record of each layer carries that name and whatever it takes to make the result again from the file of the
    image and its layers, after a crash too: see `workbench_napari.general.restored`.

    Parameters
    ----------
    series
        What the image was chosen by, where its path holds several.
    name
        That of a result of which this is more; by default a new one.
    """
    name = name or token(result)
    whole = _plain(
        {
            "result": name,
            "provenance": result.provenance.to_json(),
            "parts": list(result.parts),
            "tables": {k: _table(p) for k, p in result.parts.items() if _is_kept(p)},
        }
    )
    layers = []
    for data, attributes, kind in wb.to_layers(result):
        record = dict((attributes.get("metadata") or {}).get(KEY) or {})
        record = {"kind": result.image.kind, "source": _source(result)} | record | whole
        if record.get("series") is None:
            record["series"] = series
        part = result.parts.get(str(record.get("part")))
        if part is not None:
            record |= {"holds": type(part).__name__, "named": getattr(part, "name", "")}
            if hasattr(part, "classes"):
                record.setdefault("classes", part.classes.to_json())
        layers.append((data, {**attributes, "metadata": {**(attributes.get("metadata") or {}), KEY: record}}, kind))
    return name, layers


def notes_of(result: Result, layers: Sequence[LayerTuple]) -> list[str]:
    """What a person should know of a run: notes of the backend, and of the layers (shown as points, say)."""
    own = [(attributes["metadata"][KEY] or {}).get("note") for _, attributes, _ in layers]
    return list(dict.fromkeys(str(note) for note in (*result.provenance.notes, *own) if note))


def corrected(result: Result, layers: Sequence[State]) -> Result:
    """The result as its layers show it now; parts without a layer stay as they were made.

    Of two layers of one part the first counts: napari puts a duplicate behind its model. A table that the kind does not
    make anew from the edited parts is named in a note.
    """
    result = _as_it_lies(result, layers)
    shown: dict[str, State] = {}
    edited = result.provenance.edited_by_hand
    for data, attributes in layers:
        record = attributes["metadata"][KEY]
        if record.get("part"):
            shown.setdefault(str(record["part"]), (data, attributes))
        edited = edited or bool(record.get("edited"))
    own = kinds.find(result.image.kind).hook("layers", "updated")
    now: Result = own(result, shown) if own is not None else updated_parts(result, shown)
    notes = now.provenance.notes
    if edited:
        notes += tuple(f"table '{key}' is from before the edits by hand" for key in old_tables(result, now))
    return replace(now, provenance=replace(now.provenance, edited_by_hand=edited, notes=notes))


def with_own_geometry(image: Image, record: Mapping[str, Any]) -> Image:
    """The image with the orientation that a person has set for its layer, where its file gives none."""
    own = record.get("orientation") or {}
    if own.get("affine") is None or tuple(record.get("shape") or ()) != tuple(image.geometry.shape):
        return image
    geometry = replace(image.geometry, affine=np.array(record["affine"], dtype=np.float64))
    return replace(image, geometry=geometry, native=None)


def _as_it_lies(result: Result, layers: Sequence[State]) -> Result:
    """The result on the grid that its layers have now: a person may have set another orientation since the run."""
    record = next((own for _, a in layers if (own := a["metadata"][KEY]).get("orientation")), {})
    image = with_own_geometry(result.image, record)
    if image is result.image:
        return result
    parts = dict(result.parts)
    for key, part in parts.items():
        if isinstance(part, Labels | Heatmap) and part.geometry.matches(result.image.geometry):
            parts[key] = replace(part, geometry=image.geometry)
    notes = [n for n in result.provenance.notes if not n.startswith("orientation set by hand")]
    told = set_by_hand(record)
    provenance = replace(result.provenance, notes=(*notes, *([told] if told else [])))
    return replace(result, image=image, parts=parts, provenance=provenance)


def old_tables(made: Result, now: Result) -> list[str]:
    """Tables of a corrected result that are still those of the run."""
    return [k for k, part in now.parts.items() if isinstance(part, Scores) and part is made.parts.get(k)]


def summary(now: Result, made: Result | None = None) -> str:
    """Sizes and numbers of the result in a few lines.

    Parameters
    ----------
    made
        The result as the backend made it; tables that `now` still has from there are marked once a person has edited.
    """
    old = old_tables(made, now) if made is not None and now.provenance.edited_by_hand else []
    lines = []
    for key, part in now.parts.items():
        if isinstance(part, Scores):
            if key in old:
                lines.append(f"{key}, as they were before your edits:")
            for row in part.as_dicts()[:_SHOWN_ROWS]:
                lines.append(", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{v}" for k, v in row.items()))
            if len(part.rows) > _SHOWN_ROWS:
                lines.append(f"and {len(part.rows) - _SHOWN_ROWS} more rows")
        elif hasattr(part, "__len__"):
            lines.append(f"{key}: {len(part)}")
    return "\n".join(lines)


def _source(result: Result) -> str | None:
    return None if result.image.source is None else str(result.image.source.absolute())


def _is_kept(part: Any) -> bool:
    return isinstance(part, Scores) and len(part.rows) <= TABLE_ROWS


def _table(part: Any) -> dict[str, Any]:
    return {"columns": list(part.columns), "rows": [list(row) for row in part.rows], "name": part.name}


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(plain_json(record), default=str))
    return plain
