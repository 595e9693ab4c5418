"""Which image a labels layer belongs to: that of its file, of the run that made it, or the one it was drawn over."""

from __future__ import annotations

import re
import secrets
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.core.errors import WorkbenchError
from workbench.core.identity import DETAIL, Identity, identity_of, identity_of_layers
from workbench.core.layers import KEY
from workbench.core.stamps import mark
from workbench.core.types import Image, Progress, Provenance, Result, case_name
from workbench.volume import choose_image, in_order_read
from workbench_napari.shared.case import stored_identity
from workbench_napari.shared.saving import samples_of
from workbench_napari.volume.drawing import attributes_of, below
from workbench_napari.volume.layer_roles import record_of

_NUMBER = re.compile(r" \[\d+\]$")

CHANGED = "the file was changed or replaced after it was opened: the result is that of what the layer shows"


@dataclass(frozen=True)
class Shown:
    """An image layer at a moment: its name, what we noted on it, and its samples, which are not read yet."""

    name: str
    record: Mapping[str, Any]
    data: Any


def shown(layer: Any) -> Shown:
    """What a layer shows now; the samples of a dask array or a pyramid stay where they are.

    The number that napari gives to the second of a name (``image [1]``) is no part of it.
    """
    record, data = dict(record_of(layer)), samples_of(layer)
    if record.get("orientation"):
        # Turned another way it still is the same image.
        data = in_order_read(data, attributes_of(layer))
    return Shown(_NUMBER.sub("", str(layer.name)), record, data)


class Belonging:
    """Remembers over which image the labels were drawn that no file and no run of ours is behind.

    What lies below them is looked at when they appear, not when they are saved: by then another patient may be there.
    """

    def __init__(self) -> None:
        self._over: dict[int, tuple[weakref.ref[Any], weakref.ref[Any]]] = {}

    def look(self, labels: Iterable[Any], images: Sequence[Any], chosen: Any) -> None:
        """Labels and images that are in the window, and the image that is chosen."""
        self._over = {k: v for k, v in self._over.items() if v[0]() is not None}
        for layer in labels:
            own = record_of(layer)
            if id(layer) in self._over or own.get("source") or own.get("result") or DETAIL in own:
                continue
            image = _below(layer, images, chosen)
            if image is not None:
                self._over[id(layer)] = (weakref.ref(layer), weakref.ref(image))

    def below(self, labels: Any) -> Shown | None:
        """The image that labels were drawn over, if it is still there; without one they get a name of their own."""
        found = self._over.get(id(labels))
        image = found[1]() if found is not None and found[0]() is labels else None
        own = record_of(labels)
        if image is None and not (own.get("source") or own.get("result") or DETAIL in own):
            labels.metadata.setdefault(KEY, {})[DETAIL] = Identity(
                str(labels.name), "drawing", secrets.token_hex(32)
            ).to_json()
        return None if image is None else shown(image)


def _below(labels: Any, images: Sequence[Any], chosen: Any) -> Any:
    """The image that labels lie on, as they are drawn over it; where they lie on none, one of their shape, or the only.

    ``None`` as long as it could be several: a person has to choose.
    """
    preferred = next((i for i, image in enumerate(images) if image is chosen), -1)
    try:
        found = choose_image(labels.data.shape, attributes_of(labels), [below(image) for image in images], preferred)
    except WorkbenchError:
        return None
    if found >= 0:
        return images[found]
    fitting = [image for image in images if tuple(image.data.shape[-3:]) == tuple(labels.data.shape)]
    if chosen is not None and any(image is chosen for image in fitting):
        return chosen
    return fitting[-1] if fitting else images[0] if len(images) == 1 else None


def identity_for(
    attributes: Mapping[str, Any], result: Result, below: Shown | None, progress: Progress | None = None
) -> Identity:
    """The image that labels belong to; reads what has to be hashed, so call it in a thread."""
    record = (attributes.get("metadata") or {}).get(KEY) or {}
    made = result.provenance
    known = stored_identity(record, made)
    if known is not None and known.sha256 is not None:
        return known
    if result.image.source is not None:
        return identity_of(result.image, _hashed(made, str(result.image.source)))
    source = record.get("source") or made.source
    if source:
        name = case_name(Path(made.source)) if made.source and made.source != record.get("source") else None
        return Identity(
            name or str(record.get("name") or case_name(Path(source))),
            "file",
            made.input_sha256,
            str(made.source or source),
        )
    if below is not None:
        return identity_of_shown([below], progress)
    return known or Identity(str(attributes.get("name") or "labels"), "drawing")


def identity_of_shown(layers: Sequence[Shown], progress: Progress | None = None) -> Identity:
    """The identity of the image that layers show, one per channel: of its file, or of what they show without one."""
    first = layers[0]
    image = _file_of(first.record)
    if image is not None:
        return identity_of(image)
    source = first.record.get("source")
    if source and not Path(source).exists():
        return Identity(str(first.record.get("name") or first.name), "file", None, str(source))
    return identity_of_layers(str(first.record.get("name") or first.name), [layer.data for layer in layers], progress)


def identified(result: Result, layers: Sequence[Shown]) -> Result:
    """A result that says which image it is of, where that image has no file, or one that is not what was opened."""
    source = layers[0].record.get("source")
    if source and (not Path(source).exists() or _file_of(layers[0].record) is not None):
        return result
    made = result.provenance
    details = {**made.details, DETAIL: identity_of_shown(layers).to_json()}
    changed = {"input_sha256": None, "notes": (*made.notes, CHANGED)} if source else {}
    return replace(result, provenance=replace(made, details=details, **changed))


def _file_of(record: Mapping[str, Any]) -> Image | None:
    """The file of a layer, if it still is the one that was opened."""
    import workbench as wb

    source = record.get("source")
    if not source or not Path(source).exists():
        return None
    try:
        image = wb.read(source, series=record.get("series"))
    except WorkbenchError:
        return None
    return image if record.get("stamp") in (None, mark(image.stamp)) else None


def _hashed(made: Provenance, source: str) -> str | None:
    """The hash that a run took of a file; of a folder it may have been that of all that lies in it."""
    return made.input_sha256 if made.source and Path(source).is_file() else None
