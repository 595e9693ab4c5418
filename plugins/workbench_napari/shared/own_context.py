"""Let napari tidy up its drawing in the OpenGL context that it draws in.

Whenever a layer has gone, napari 0.9 hands everything that waits to OpenGL, in whatever context is current by then:
that of the other window, say, or the one in which Qt puts a window together. Buffers and programs of that one are then
deleted or overwritten, because their numbers are the same, and one of the next pictures ends the process, with all
that was not saved. Here the canvas is made current first.
"""

from __future__ import annotations

import weakref
from functools import partial, wraps
from typing import Any


def keep_to_own_context() -> None:
    """Do so in all windows of this process, those to come as well; a napari that does not do that stays as it is."""
    try:
        from napari._vispy.canvas import VispyCanvas
    except ImportError:
        return
    tidy = getattr(VispyCanvas, "_clean_and_update_scenegraph", None)
    if tidy is None or getattr(tidy, "is_in_own_context", False):
        return

    @wraps(tidy)
    def in_own_context(canvas: Any, *args: Any, **named: Any) -> Any:
        _take(canvas)
        return tidy(canvas, *args, **named)

    in_own_context.is_in_own_context = True  # type: ignore[attr-defined]
    VispyCanvas._clean_and_update_scenegraph = in_own_context


def _take(canvas: Any) -> None:
    """The canvas is made current right before OpenGL gets what waits: the collection before may change that again."""
    scene = getattr(canvas, "_scene_canvas", None)
    context = getattr(scene, "context", None)
    if context is not None and "finish" not in vars(context):
        context.finish = partial(_finish, weakref.ref(scene))


def _finish(reference: Any) -> None:
    scene = reference()
    if scene is None:
        return
    try:
        scene.set_current()
    except RuntimeError:  # Qt has deleted it, and OpenGL what was in it
        return
    type(scene.context).finish(scene.context)
