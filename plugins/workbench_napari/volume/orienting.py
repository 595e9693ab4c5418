"""The part of the Volume tool for an orientation that no file gives: which one was taken, and another one by hand."""

from __future__ import annotations

import weakref
from typing import Any

from qtpy.QtCore import QObject, Signal

from workbench.core.errors import WorkbenchError
from workbench_napari.shared.saving import samples_of
from workbench_napari.shared.worker import report
from workbench_napari.volume.image_choice import ImageChoice
from workbench_napari.volume.layer_roles import is_volume, record_of
from workbench_napari.volume.orientation_box import OrientationBox
from workbench_napari.volume.turning import going_along, name_of, taken_for, turn_all

_MOST = 100


class Orienting(QObject):
    """Sets the orientation of the image that is chosen, and of all that lies over it, and takes it back.

    Signals
    -------
    said
        A line for the user.
    turned
        Layers lie another way now.
    """

    said = Signal(str)
    turned = Signal()

    def __init__(
        self, viewer: Any, choice: ImageChoice, box: OrientationBox, journal: Any, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._choice, self._box, self._journal = viewer, choice, box, journal
        self._done: list[tuple[weakref.ref[Any], str, str]] = []
        self._undone: list[tuple[weakref.ref[Any], str, str]] = []
        self._edits: Any = None
        box.chosen.connect(self.set)

    def look(self, _value: Any = None) -> None:
        """Another image may be chosen, or lie elsewhere."""
        self._box.show_taken(taken_for(self._choice.layer, pixel_is_mm=self._choice.pixel_is_mm))

    def look_around(self) -> None:
        """Layers came or went: an image that comes again lies as its labels do, which were turned with it before."""
        known = {}
        for layer in self._viewer.layers:
            own = record_of(layer).get("orientation") or {}
            if own.get("set") and own.get("of") and not is_volume(layer):
                known[str(own["of"])] = own
        for image in [x for x in self._viewer.layers if known and is_volume(x)]:
            own, found = known.get(name_of(image)), taken_for(image)
            if own is None or found is None or found.is_set or found.read != own["read"]:
                continue
            turn_all(image, [], str(own["set"]), self._journal)
            self.said.emit(f"'{image.name}' was turned to {own['set']}, as its labels were set by hand.")
            self.turned.emit()

    def set(self, code: str, goes_on: bool = False) -> bool:
        """Let the axes of the chosen image's file run so; returns whether it could be done.

        Parameters
        ----------
        goes_on
            It is one step with the one before.
        """
        image = self._choice.layer
        found = taken_for(image, pixel_is_mm=self._choice.pixel_is_mm)
        if found is None or not self._turn(image, code):
            self.look()
            return False
        if code != found.now:
            before = found.now
            if goes_on and self._done and self._done[-1][0]() is image:
                before = self._done.pop()[1]
            self._done = [*self._done, (weakref.ref(image), before, code)][-_MOST:]
            self._undone = []
        self._edits = self._edited()
        return True

    def undo(self) -> bool:
        """Take the last change back, if nothing was painted since; returns whether there was one."""
        return self._edits == self._edited() and self._step(self._done, self._undone, 1)

    def redo(self) -> bool:
        """Do it again, if nothing was painted since."""
        return self._edits == self._edited() and self._step(self._undone, self._done, 2)

    def _step(self, stack: list[Any], other: list[Any], which: int) -> bool:
        if not stack or (image := stack[-1][0]()) is None or image not in self._viewer.layers:
            return False
        step = stack.pop()
        if not self._turn(image, step[which]):
            return False
        other.append(step)
        self._edits = self._edited()
        return True

    def _edited(self) -> tuple[Any, ...]:
        """What was painted so far: a step of napari's history that came later is undone first."""
        labels = (x for x in self._viewer.layers if type(x).__name__ == "Labels")
        return tuple((id(x), len(x._undo_history), len(x._redo_history)) for x in labels)

    def _turn(self, image: Any, code: str) -> bool:
        others = going_along(image, self._viewer.layers)
        shape = samples_of(image).shape
        try:
            turn_all(image, others, code, self._journal, pixel_is_mm=self._choice.pixel_is_mm)
        except WorkbenchError as error:
            self.said.emit(report(error))
            return False
        if samples_of(image).shape != shape:
            self._viewer.reset_view(reset_camera_angle=False)
        along = f", and {len(others)} layer{'s' * (len(others) > 1)} with it" if others else ""
        found = taken_for(image)
        how = f"set to {code} by hand" if found is not None and found.is_set else f"{code} again, as read"
        self.said.emit(f"Orientation of '{image.name}' is {how}{along}.")
        self.turned.emit()
        return True
