"""What a result must be before anybody sees it: of this image, on its grid, with provenance, made of known parts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, get_args

import numpy as np

from workbench.core import memory
from workbench.core.errors import FaultyExtension, GeometryError, one_line
from workbench.core.fitting import fits, is_of
from workbench.core.objects import Objects
from workbench.core.pieces import Pieces
from workbench.core.registry import Backend
from workbench.core.types import Heatmap, Image, Labels, Part, Progress, Provenance, Result

PiecesOf: TypeAlias = Callable[[Mapping[str, Any]], Pieces]


def predict(
    backend: Backend,
    model: Any,
    image: Image,
    config: Any,
    progress: Progress | None = None,
    pieces: PiecesOf | None = None,
) -> Result:
    """Let a loaded model propose a result, and check it before anybody sees it; see `check_result`.

    Memory that runs out becomes an `OutOfMemory` with what is in use and what is there, whoever made the backend.

    Parameters
    ----------
    pieces
        Where parts of the work are kept that a run which is killed need not do again, for backends whose ``predict``
        has a parameter of this name: called with what the parts are made of (`workbench.core.pieces.Pieces`).
    """
    own = backend.load_module().predict
    more = {"pieces": pieces} if pieces is not None and "pieces" in inspect.signature(own).parameters else {}
    with memory.guarding(image.source or image.name):
        result: Result = own(model, image, config, progress, **more)
    if not image.was_read_whole:  # but piece by piece: from one and the same file
        image.require_unchanged()
    check_result(backend, image, result)
    return result


def check_result(backend: Backend, image: Image, result: Any) -> None:
    """Refuse a result that breaks the contract of backends, before it is shown or written.

    Raises
    ------
    FaultyExtension
        It is no `Result` of this image with provenance and known parts; a map does not lie on the grid of the image;
        objects have coordinates that are no numbers, or lie outside the image.
    """

    def fault(what: str) -> FaultyExtension:
        return FaultyExtension(f"backend {backend.name}: {what}. Nothing is shown or written; tell its makers.")

    if not isinstance(result, Result):
        raise fault(f"gave a {type(result).__name__}, a Result was expected")
    if not isinstance(result.provenance, Provenance):
        raise fault("its result has no provenance (Recorder.finish() makes it)")
    if not result.parts:
        raise fault("its result has no parts")
    if not is_of(result.image, image):
        raise fault("its result belongs to another image")
    for key, part in result.parts.items():
        if not isinstance(part, get_args(Part)):
            raise fault(f"part '{key}' is a {type(part).__name__}, one of {', '.join(_PARTS)} was expected")
        if isinstance(part, Labels | Heatmap):
            expected = image.geometry.shape if image.pyramid is None else part.geometry.shape
            if part.data.shape != expected or part.geometry.shape != expected:
                raise fault(f"part '{key}' has the shape {part.data.shape}, the image {expected}")
            if not fits(part.geometry, result.image):
                raise fault(f"part '{key}' does not lie on the grid of the image")
        if isinstance(part, Labels) and part.data.dtype.kind not in "iub":
            raise fault(f"part '{key}' has the type {part.data.dtype}, label maps hold whole numbers")
        if isinstance(part, Objects):
            try:
                part.validate()
            except GeometryError as error:
                raise fault(f"part '{key}': {one_line(error)}") from error
            _require_inside(part, image, key, fault)


def _require_inside(part: Objects, image: Image, key: str, fault: Callable[[str], FaultyExtension]) -> None:
    """Objects of a picture may reach over its border, but not lie beyond it."""
    if image.geometry.ndim != 2 or not len(part):
        return
    rows, columns = image.geometry.shape
    low_x, low_y, high_x, high_y = (np.asarray(part.bounds(), np.float64) / np.tile(part.frame.pixel_size, 2)).T
    outside = (high_x <= 0) | (high_y <= 0) | (low_x >= columns) | (low_y >= rows)
    if outside.any():
        first = part.ids[int(np.argmax(outside))]
        raise fault(
            f"{int(outside.sum())} of {len(part)} objects of '{key}' lie outside the image of {columns} x {rows} "
            f"pixels, first {first}"
        )


_PARTS = tuple(t.__name__ for t in get_args(Part))
