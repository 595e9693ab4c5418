"""The size of a pixel that a person gives: it belongs to one slide, which is shown with it from then on."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY
from workbench.core.types import Geometry
from workbench.slide import config_of
from workbench_napari.shared.model_form import ModelForm
from workbench_napari.slide.on_slide import AS_READ, GIVEN, is_picture, record_of, rescale, same_slide, size_of

_DELAY_MS = 800
"""From the last letter to the slide: a number is typed letter by letter."""


class PixelSize(QObject):
    """Keeps the field *Mpp* and the slide that is chosen in step.

    Parameters
    ----------
    viewer
        Whose slides are meant.
    model
        The form with the field.

    Signals
    -------
    said
        A line for the user.
    changed
        A slide has other pixels now.
    """

    said = Signal(str)
    changed = Signal()

    def __init__(self, viewer: Any, model: ModelForm, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._model = viewer, model
        self._slide: Callable[[], Any] = lambda: None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self.apply)
        model.edited.connect(self._on_edit)
        model.changed.connect(self._show)
        self._lines: set[int] = set()
        self._listen()

    def follow(self, slide: Any) -> None:
        """Another slide may be chosen: what was typed for the one before stays with that one."""
        if slide is not self._slide():
            self.apply()
            self._slide = (lambda: None) if slide is None else weakref.ref(slide)
            if slide is not None:
                self._inherit(slide)
            self._show()

    def let_go(self) -> None:
        """Follow nothing any more."""
        self._timer.stop()
        self._slide = lambda: None

    def apply(self) -> None:
        """Show the slide with what stands in the field now; a text that is no size is left to the run to refuse."""
        self._timer.stop()
        slide, field = self._slide(), self._field
        if slide is None or field is None or slide not in self._viewer.layers or not self._is_other():
            return
        try:
            mpp = config_of({"mpp": _typed(field)}).mpp
        except WorkbenchError:
            return
        self._give(slide, mpp)

    # --- the field

    @property
    def _field(self) -> Any:
        return self._model.form.widgets.get("mpp")

    def _listen(self) -> None:
        """Whoever leaves the field has typed all of it; the form of another backend has a field of its own."""
        line = None if self._field is None else self._field.native
        if line is not None and id(line) not in self._lines:
            self._lines.add(id(line))
            line.editingFinished.connect(self.apply)

    def _is_other(self) -> bool:
        """Whether something else stands in the field than what the slide is shown with."""
        slide, field = self._slide(), self._field
        given = None if slide is None else record_of(slide).get(GIVEN)
        return field is not None and str(field.value).strip() != _text(given)

    def _on_edit(self) -> None:
        if self._slide() is not None and self._is_other():
            self._timer.start()

    def _show(self) -> None:
        """The field shows what was given for this slide, and for no other."""
        self._listen()
        slide, field = self._slide(), self._field
        if field is not None and self._is_other():
            with field.changed.blocked():
                field.value = _text(None if slide is None else record_of(slide).get(GIVEN))

    # --- the slide

    def take_from(self, layer: Any) -> None:
        """Work that was brought back was drawn on a slide with pixels of a given size: show its slide with it."""
        mpp = record_of(layer).get(GIVEN)
        slide = next((x for x in self._viewer.layers if is_picture(x) and same_slide(x, layer)), None)
        if slide is None or mpp == record_of(slide).get(GIVEN):
            return
        for picture in self._pictures(slide):
            self._place(picture, mpp, drawn=picture is slide, but=layer)
        self._show()
        self._tell(slide, mpp)
        self.changed.emit()

    def _inherit(self, slide: Any) -> None:
        """A slide that is open twice has pixels of one size."""
        given = next((m for x in self._pictures(slide) if (m := record_of(x).get(GIVEN)) is not None), None)
        if given is not None and record_of(slide).get(GIVEN) is None:
            self._place(slide, given, drawn=False)

    def _give(self, slide: Any, mpp: float | None) -> None:
        moved = [self._place(x, mpp, drawn=x is slide) for x in self._pictures(slide)]
        if any(moved):
            self._tell(slide, mpp)
            self.changed.emit()

    def _pictures(self, slide: Any) -> list[Any]:
        return [x for x in self._viewer.layers if x is slide or (is_picture(x) and same_slide(x, slide))]

    def _place(self, layer: Any, mpp: float | None, *, drawn: bool, but: Any = None) -> bool:
        """Show a slide with pixels of this size, of that of its file by default; whether they had another."""
        own = layer.metadata[KEY]
        as_read = own.setdefault(AS_READ, {"affine": own.get("affine"), "unit": own.get("unit")})
        own.pop(GIVEN, None)
        shape = tuple(own["shape"])
        wanted = Geometry(shape, as_read["affine"] and np.array(as_read["affine"]), ("y", "x"), as_read["unit"])
        if mpp is not None:
            own[GIVEN] = mpp
            wanted = Geometry(shape, np.diag([mpp, mpp, 1.0]), ("y", "x"), "um")
        return rescale(self._viewer, layer, wanted, drawn=drawn, but=but)

    def _tell(self, slide: Any, mpp: float | None) -> None:
        old = any(record_of(x).get("result") and same_slide(x, slide) for x in self._viewer.layers)
        as_read = size_of(record_of(slide)[AS_READ]["affine"])
        stated = "does not state it" if as_read is None else f"states {as_read:.4g}"
        if mpp is None:
            told = f"{slide.name} is shown as its file says" + (
                "" if as_read is None else f": {as_read:.4g} um per pixel"
            )
        else:
            told = f"{slide.name} is shown with {mpp:g} um per pixel as given; its file {stated}"
        more = " Its result was made with the size of before and lies where it lay: run again." if old else ""
        self.said.emit(f"{told}.{more}")


def _typed(field: Any) -> str | None:
    text = str(field.value).strip()
    return None if text.lower() in ("", "automatic", "none") else text.replace(",", ".")


def _text(mpp: float | None) -> str:
    return "" if mpp is None else f"{mpp:g}"
