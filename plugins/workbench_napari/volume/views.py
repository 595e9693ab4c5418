"""Axial, coronal, sagittal and 3-D views as radiologists hold them.

The world of our layers is (S, P, L): see `workbench.volume.placement`. napari draws rows downwards, which puts the
feet up in coronal and sagittal slices; so the vertical axis is turned whenever S runs along it.
"""

from __future__ import annotations

from typing import Any

from workbench_napari.shared.views import camera_of as camera_of

VIEWS = {
    "Axial": (0, 1, 2),
    "Coronal": (1, 0, 2),
    "Sagittal": (2, 0, 1),
}
"""Order of the world axes (S, P, L): the first is the stack, then rows and columns."""


def show(viewer: Any, name: str) -> None:
    """Switch to ``"Axial"``, ``"Coronal"``, ``"Sagittal"`` or ``"3-D"``."""
    lead = tuple(range(viewer.dims.ndim - 3))
    if viewer.dims.ndim < 3:
        return
    if name == "3-D":
        viewer.dims.order = (*lead, *(len(lead) + a for a in (0, 1, 2)))
        viewer.dims.ndisplay = 3
        turn_head_up(viewer)
        # From the front, slightly from the patient's left and above: towards the back, the right and the feet.
        camera_of(viewer).set_view_direction(view_direction=(-0.25, 1.0, -0.35), up_direction=(1, 0, 0))
    else:
        viewer.dims.ndisplay = 2
        viewer.dims.order = (*lead, *(len(lead) + a for a in VIEWS[name]))
        turn_head_up(viewer)
    viewer.reset_view(reset_camera_angle=False)


def current(viewer: Any) -> str | None:
    """Name of the view that is shown, if it is one of ours."""
    if viewer.dims.ndim < 3:
        return None
    if viewer.dims.ndisplay == 3:
        return "3-D"
    lead = viewer.dims.ndim - 3
    order = tuple(a - lead for a in viewer.dims.order[-3:])
    return next((name for name, axes in VIEWS.items() if axes == order), None)


def turn_head_up(viewer: Any) -> None:
    """Let the vertical screen axis run to the head where it is the S axis, and never mirror the patient."""
    if viewer.dims.ndim < 3:
        return
    flat = viewer.dims.ndisplay == 2
    head_is_vertical = viewer.dims.order[-2] == viewer.dims.ndim - 3
    # L, P, S (columns, rows, stack) is a right-handed world: with L to the right and P downwards, S runs away from the
    # viewer. napari's own default, towards, would mirror the patient in 3-D.
    wanted = ("away", "up" if flat and head_is_vertical else "down", "right")
    if tuple(str(o) for o in camera_of(viewer).orientation) != wanted:
        camera_of(viewer).orientation = wanted
