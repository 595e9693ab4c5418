"""Work that was kept is restored over its own image: never over another one that happens to be open. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.layers import KEY
from workbench_napari.shared.recovery_store import Entry

_ROLES = ("marks", "annotations")
_PARTS = ("mask",)


def own_of(entry: Entry) -> Mapping[str, Any]:
    """What the kept layer remembers of its image."""
    return entry.record["attributes"].get("metadata", {}).get(KEY) or {}


def image_of(entry: Entry) -> tuple[str, str | None] | None:
    """File and kind that a result was made from, or that was drawn on; labels that are a file have none."""
    own = own_of(entry)
    if not own.get("source") or not (own.get("result") or _is_drawn(own)):
        return None
    return own["source"], own["kind"] if own.get("kind") in kinds.kinds() else None


def must_wait(entry: Entry, viewer: Any) -> bool:
    """Whether the slide that a layer was drawn on is not open."""
    own = own_of(entry)
    return bool(own.get("slide_shape") and _is_drawn(own)) and image_layer(own, viewer) is None


def image_layer(own: Mapping[str, Any], viewer: Any) -> Any:
    """The open image that a kept layer was drawn on: that of its file, or of the same file in another place."""
    there = [(layer, layer.metadata.get(KEY) or {}) for layer in viewer.layers]
    same = [
        (layer, other)
        for layer, other in there
        if other.get("role") == "image" and all(other.get(k) == own.get(k) for k in ("kind", "series", "key"))
        and other.get("slide_shape") == own.get("slide_shape")
    ]  # fmt: skip
    here = [layer for layer, other in same if other.get("source") == own.get("source")]
    # The stamp holds name, size and time of the file, and not its folder.
    moved = [layer for layer, other in same if own.get("stamp") and other.get("stamp") == own["stamp"]]
    return next(iter((*here, *moved)), None)


def is_changed(own: Mapping[str, Any], image: Any) -> bool:
    """Whether the file of an open image is another than when a layer was drawn on it, by its name, size and time."""
    now = (image.metadata.get(KEY) or {}).get("stamp")
    return bool(own.get("stamp") and now) and own["stamp"] != now


def kept_line(entries: list[Entry]) -> str:
    """What is said of entries whose image is not open."""
    names = dict.fromkeys(Path(str(own_of(entry)["source"])).name for entry in entries)
    layers = ", ".join(f"'{entry.name}'" for entry in entries)
    return f"{layers} {'is' if len(entries) == 1 else 'are'} kept: open {' and '.join(names)} to restore."


def _is_drawn(own: Mapping[str, Any]) -> bool:
    return own.get("role") in _ROLES or (own.get("part") in _PARTS and not own.get("result"))
