"""Where napari's edit history says that a label layer was changed: boxes of voxels, for the journal."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench_napari.shared.recovery_store import Box

_BOX_VOXELS = 16 << 20


def merge_boxes(boxes: list[Box]) -> list[Box]:
    """One box around all, if it is not large; else the boxes themselves."""
    around = tuple(slice(min(b[d].start for b in boxes), max(b[d].stop for b in boxes)) for d in range(len(boxes[0])))
    volume = int(np.prod([s.stop - s.start for s in around]))
    apart = sum(int(np.prod([s.stop - s.start for s in b])) for b in boxes)
    return [around] if volume <= max(2 * apart, _BOX_VOXELS // 16) or len(boxes) > 256 else boxes


def box_of(atom: Any) -> Box | None:
    """Box around one step of napari's edit history, or ``None`` if its kind is not known."""
    key = getattr(atom, "slice_key", None)
    if key is not None:
        if all(isinstance(s, slice) and s.start is not None and s.stop is not None for s in key):
            return tuple(slice(int(s.start), int(s.stop)) for s in key)
        return None
    try:
        return tuple(slice(int(np.min(i)), int(np.max(i)) + 1) for i in atom[0])
    except (TypeError, ValueError, IndexError):
        return None


def history_of(layer: Any) -> tuple[int, ...] | None:
    undo, redo = getattr(layer, "_undo_history", None), getattr(layer, "_redo_history", None)
    if undo is None or redo is None:
        return None
    return len(undo), len(redo), id(undo[-1]) if len(undo) else 0, id(redo[-1]) if len(redo) else 0


NEVER = object()
"""Stands for a step that undo cannot lead back to."""
_BEGIN: tuple[Any, ...] = ()


def step_of(layer: Any) -> Any:
    """The last step of a layer's edit history, for `is_step`; `NEVER` for layers without a history."""
    undo = getattr(layer, "_undo_history", None)
    if undo is None or not getattr(undo, "maxlen", None):
        return NEVER
    return tuple(undo[-1]) if len(undo) else _BEGIN


def is_step(layer: Any, step: Any) -> bool:
    """Whether a layer is again as it was after a step: undo and redo keep the parts of a step, in another order."""
    now = step_of(layer)
    if step is NEVER or now is NEVER:
        return False
    redo = layer._redo_history
    # A full history has dropped its first steps: what it leads back to at its end is not the beginning.
    if step is _BEGIN and len(layer._undo_history) + len(redo) >= layer._undo_history.maxlen:
        return False
    return {id(atom) for atom in now} == {id(atom) for atom in step}
