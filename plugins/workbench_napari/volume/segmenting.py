"""The part of the Volume tool that runs: the chosen backend on the chosen layers, and what comes out over them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal

from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY
from workbench.core.types import Result
from workbench_napari.shared.agreement_box import AgreementBox, Asked
from workbench_napari.shared.job import Done
from workbench_napari.shared.model_form import ModelForm
from workbench_napari.shared.result_view import ResultView
from workbench_napari.shared.run_text import describe_run
from workbench_napari.shared.saving import unread_state
from workbench_napari.shared.worker import Work, report
from workbench_napari.volume.belonging import identified, shown
from workbench_napari.volume.image_choice import ImageChoice

Start = Callable[[str, Work, Done], bool]
"""Starts a job: title, what to do in a thread, what to do with its answer; whether it could start."""


class Segmenting(QObject):
    """Runs the backend that is chosen on the image that is chosen.

    Signals
    -------
    said
        A line for the user.
    done
        What to say once the job has ended.
    made
        The labels layer that came out.
    """

    said = Signal(str)
    done = Signal(str)
    made = Signal(object)

    def __init__(
        self,
        viewer: Any,
        choice: ImageChoice,
        form: ModelForm,
        start: Start,
        agreement: AgreementBox,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._choice, self._form, self._start = viewer, choice, form, start
        self._agreement = agreement
        self._view = ResultView(viewer)

    @property
    def asked(self) -> Asked:
        """What a run would compare now: backend, weights, layers, and what a pixel is."""
        return (*self._form.asked, *map(id, self._choice.layers), self._choice.level, self._choice.pixel_is_mm)

    def run(self) -> bool:
        """Start the backend on the chosen layers; returns whether it started."""
        layers = self._choice.layers
        if not layers:
            self.said.emit("Choose an image layer first.")
            return False
        try:
            backend, asked, config = self._form.backend.name, self.asked, self._form.config
            values = self._form.values() | self._agreement.values(config, asked)
            image = self._choice.image()
        except WorkbenchError as error:
            self.said.emit(report(error))
            return False

        looks = [shown(layer) for layer in layers]

        def work(progress: Any) -> Result:
            import workbench as wb

            return identified(wb.predict(backend, image, progress=progress, **values), looks)

        layer, level = layers[0], self._choice.level
        before = unread_state(layer, level)[1]
        show = partial(self._show, weakref.ref(layer), level, self._choice.level_note, before)
        if not self._start(f"Segmenting {layer.name}", work, show):
            return False
        self._agreement.asking(config, asked)
        self._view.remember()
        return True

    def _show(
        self, reference: Callable[[], Any], level: int, note: str, before: Mapping[str, Any], result: Result
    ) -> Iterator[None]:
        """Add the parts of a result where the level it was made from is now, or was `before` if its layer is gone."""
        from napari.layers import Layer

        from workbench.volume import follow_layer, set_by_hand

        layer, made = reference(), result.provenance
        by_hand = set_by_hand((before.get("metadata") or {}).get(KEY) or {})
        if notes := [n for n in (note, by_hand) if n]:
            result = replace(result, provenance=replace(made, notes=(*made.notes, *notes)))
        attributes = before if layer is None else unread_state(layer, level)[1]
        labels, stayed = None, self._view.has_stayed
        items = follow_layer(result, attributes, pixel_is_mm=self._choice.pixel_is_mm)
        yield
        for data, own, kind in items:
            if layer is not None:
                own["metadata"][KEY]["over"] = str(layer.unique_id)
            made_layer = Layer.create(data, own, kind)
            yield
            added = self._viewer.add_layer(made_layer)
            labels = added if kind == "labels" else labels
            yield
        if labels is not None:
            self._viewer.layers.selection.active = labels
            self.made.emit(labels)
            if stayed:
                self._view.go_to(labels)
            yield
        self.done.emit(describe_run(result.provenance))
