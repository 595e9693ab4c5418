"""The general tool: any backend on any opened file; it serves the kinds of data that have no tool of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from qtpy.QtWidgets import QPushButton, QWidget

import workbench as wb
from workbench.core import kinds, registry
from workbench.core.errors import WorkbenchError
from workbench.core.identity import identity_of
from workbench.core.layers import KEY
from workbench.core.types import Result
from workbench_napari.general.panel import InputGroup, ResultGroup
from workbench_napari.general.restored import read_image
from workbench_napari.general.results import layers_of, notes_of, summary
from workbench_napari.general.shown import ShownResult
from workbench_napari.shared.agreement_box import Asked
from workbench_napari.shared.case import Saved, save_result
from workbench_napari.shared.following import ActiveLayer
from workbench_napari.shared.job import Done, Work
from workbench_napari.shared.layer_choice import chosen, fill, opened
from workbench_napari.shared.pages import Part
from workbench_napari.shared.panel_base import button, empty_state, main_button
from workbench_napari.shared.result_view import ResultView
from workbench_napari.shared.run_text import describe_run
from workbench_napari.shared.shortcuts import Key
from workbench_napari.shared.steps_back import StepsBack
from workbench_napari.shared.tool_base import DockTool
from workbench_napari.shared.worker import report


class GeneralTool(DockTool):
    """Dock widget for any kind of data.

    Parameters
    ----------
    napari_viewer
        The viewer it is docked to (napari passes it by this name).
    """

    PROGRESS_TEXT = "%v of %m steps (%p %)"
    KIND: ClassVar[str] = ""
    SAMPLE: ClassVar[str] = "torso_ct"
    """The kind of data that it serves; "" for all."""
    SKIP: ClassVar[tuple[str, ...]] = ()
    """Settings that are asked for in a way of its own."""

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        self._is_running = False
        super().__init__(napari_viewer, self.KIND, parent)
        self.shown = ShownResult(self.viewer, self.journal, self, self.KIND, self._describe)
        self.shown.changed.connect(self._refresh_buttons)
        self.shown.counted.connect(self.result.summary.setText)
        self._view = ResultView(self.viewer)
        self.steps = StepsBack(self.viewer, self.has_steps, self)
        self.connect_tool()
        self.keys.add(Key("Ctrl+Z", "undo", self.steps.undo), Key("Ctrl+Shift+Z", "redo", self.steps.redo))
        self.input.model.changed.connect(self._on_backend)
        self.input.model.edited.connect(self.agreement.withdraw)
        self.input.layer.currentIndexChanged.connect(self._on_choice)
        if not any(self._chose_for(layer) for layer in reversed(self.viewer.layers)):
            self._on_backend()

    # --- what it looks like

    def _empty_state(self) -> QWidget:
        self.sample_button = button("Open the sample CT", "The same as File > Open Sample > Workbench")
        return empty_state(
            "<b>Nothing is open yet</b><br><br>Open a file that a backend takes: drop it into the window, or use "
            "File > Open. Then choose the backend and press Run.",
            self.sample_button,
        )

    def _pages(self) -> dict[str, tuple[Part, ...]]:
        # Kinds with a tool of their own come last: their tool does more for them.
        rows = [b for b in registry.backends().values() if "predict" in b.verbs and self.KIND in ("", b.kind)]
        rows.sort(key=lambda b: bool(kinds.find(b.kind).tool))
        self.input = InputGroup(rows, self.SKIP)
        self.result = ResultGroup()
        self._save_form(
            self.result.column, _formats(""), "Results go into a folder of their own in here", "File format"
        )
        self.result.column.addLayout(self._save_buttons("Write the result as it is shown (Ctrl+Shift+Return)"))
        self.result.hide()
        return {"Run": (self.input,), "Result": (self.result,)}

    def _footer(self) -> QWidget:
        self.run_button = main_button("Run", "Run the backend on the layer (Ctrl+Return). While it runs: cancel.")
        return self._footer_of(self.run_button)

    def _main_button(self) -> QPushButton:
        return self.run_button

    def main_action(self) -> bool:
        return self.run()

    # --- layers come and go

    @property
    def layer(self) -> Any:
        """The image layer that is chosen, or ``None``."""
        return chosen(self.input.layer)

    def _viewer_events(self) -> list[tuple[Any, Callable[..., Any]]]:
        follow = ActiveLayer(self.viewer, lambda: self.input.layer)
        active = self.viewer.layers.selection.events.active
        return [*super()._viewer_events(), (active, self.shown.on_active), *follow.events()]

    def _let_go(self) -> None:
        self.shown.let_go()
        self.steps.let_go()

    def has_steps(self, layer: Any) -> bool:
        """Whether Undo and Redo of this tool are for a layer of outlines or points."""
        return bool((layer.metadata.get(KEY) or {}).get("result"))

    def _on_backend(self) -> None:
        self.input.model.describe()
        self._on_layers()

    def _on_layers(self, event: Any = None) -> None:
        if self._chose_for(opened(event)):
            return  # the choice of another backend has brought everything up to date
        kind = self.input.model.backend.kind
        before = self.layer
        fitting = [layer for layer in self.viewer.layers if is_image_of(layer, kind)]
        fill(self.input.layer, fitting, len(fitting) - 1, opened(event))
        self.empty.setVisible(not len(self.viewer.layers))
        self.shown.on_layers()
        self.steps.look_around()
        if self.layer is not before and self.layer is not None:
            self.shown.show_of(self.layer)
        self._refresh_buttons()
        self.follow_choice()

    def _chose_for(self, new: Any) -> bool:
        """Choose a backend for an image that was just opened, where nothing is open for the one that is chosen."""
        kind = self.input.model.backend.kind
        if new is None or is_image_of(new, kind) or any(is_image_of(layer, kind) for layer in self.viewer.layers):
            return False
        fitting = next((row for row in self.input.model.backends if is_image_of(new, row.kind)), None)
        if fitting is not None:
            self.input.model.choose(fitting.name)
        return fitting is not None

    def _on_choice(self, _index: int) -> None:
        self.shown.show_of(self.layer)
        self._refresh_buttons()
        self.follow_choice()

    def _asked(self) -> tuple[Asked, ...]:
        return ((*self.input.model.asked, id(self.layer)),)

    def _refresh_buttons(self, _event: Any = None) -> None:
        layer, title = self.layer, kinds.find(self.input.model.backend.kind).title
        self.input.about.setText(f"Open {title} to run this backend on." if layer is None else _about(layer))
        self.run_button.setEnabled(layer is not None or self.is_busy)
        # While a run goes on there are no numbers to be taken for its own.
        self.result.setVisible(bool(self.shown.token) and not self._is_running)
        self.result.notes.show_notes(self.shown.notes)
        self.save_button.setEnabled(bool(self.shown.token) and not self.is_busy)
        self._offer(_formats(self.shown.kind or self.input.model.backend.kind))

    def _offer(self, formats: dict[str, str]) -> None:
        """The formats of one kind of data; the choice stays where there is one of that name."""
        if [self.format.itemText(i) for i in range(self.format.count())] != list(formats):
            before = self.format.currentText()
            self.format.clear()
            self.format.addItems(list(formats))
            self.format.setCurrentIndex(max(self.format.findText(before), 0))

    # --- run and save

    def run(self) -> bool:
        """Start the backend on the chosen layer; returns whether it started."""
        layer = self.layer
        if layer is None:
            self.say("Open a file for this backend first.")
            return False
        backend = self.input.model.backend.name
        try:
            config, (asked,) = self.input.model.config, self._asked()
            values = self.input.model.values() | self.agreement.values(config, asked)
        except WorkbenchError as error:
            self.say(report(error))
            return False
        try:
            work = self._work(layer, backend, values)
        except WorkbenchError as error:
            self.say(report(error))
            return False
        title = f"{self.input.model.backend.title} on {layer.name}"
        self._is_running = not self.is_busy
        if not self.start(title, work, self._shower(layer)):
            return False
        self.agreement.asking(config, asked)
        self._view.remember()
        return True

    def _work(self, layer: Any, backend: str, values: dict[str, Any]) -> Work:
        """What a run does in its thread, with all that it takes from layers as they are now."""
        record = layer.metadata[KEY]
        return lambda progress: wb.predict(backend, read_image(record), progress=progress, **values)

    def _shower(self, layer: Any) -> Done:
        """What shows the answer of a run, with all that it takes from the window as it is now."""
        return partial(self._show, layer)

    @staticmethod
    def _describe(now: Result, made: Result) -> str:
        """Sizes and numbers of a result in a few lines."""
        return summary(now, made)

    def _show(self, image_layer: Any, result: Result) -> Iterator[None]:
        from napari.layers import Layer

        token, layers = layers_of(result, image_layer.metadata[KEY].get("series"))
        self.shown.adding(token, result, image_layer, len(layers))
        stayed, added = self._view.has_stayed, []
        try:
            for data, attributes, kind in layers:
                added.append(self.viewer.add_layer(Layer.create(data, attributes, kind)))
                yield
        finally:
            self.shown.show(token)
        self._go_to([layer for layer in added if layer in self.viewer.layers], stayed)
        self.bring_into_sight(self.result)
        self._done_text = describe_run(result.provenance, notes=notes_of(result, layers))

    def _go_to(self, added: list[Any], stayed: bool) -> None:
        """Choose what can be corrected of a new result, and let the view go there."""
        drawn = next((x for x in added if type(x).__name__ in ("Labels", "Shapes", "Points")), None)
        drawn = drawn or (added[-1] if added else None)
        if drawn is None:
            return
        self.viewer.layers.selection.active = drawn
        if stayed:
            self._view.go_to(drawn)

    def _after_job(self, how: str) -> None:
        self._is_running = False
        self.shown.count()

    def covers(self, layer: Any) -> bool:
        return self.shown.knows(layer)

    def take_up(self, layer: Any) -> None:
        self.shown.show_with(layer)

    def save(self) -> bool:
        """Write the result as its layers show it now, in the background; returns whether it started."""
        if not self.shown.token:
            return False
        folder = self.chosen_folder()
        if folder is None:
            return False
        drawn = self.shown.layers()
        try:
            now, made, missing = self.shown.now()
        except WorkbenchError as error:
            self.say(report(error))
            return False
        self.shown.counted_as(now, made, missing)
        format = _formats(self.shown.kind).get(self.format.currentText(), "auto")
        return self.start_saving(now.image.name, partial(_write, now, folder, format), drawn, "your edits are")


def _write(result: Result, folder: Path, format: str, _progress: Any) -> Saved:
    identity = identity_of(result.image, result.provenance.input_sha256)
    return save_result(result, folder, identity, format=format, per_backend=True)


def _formats(kind: str) -> dict[str, str]:
    """What the box offers for a kind of data, and the names of these formats."""
    return {"As the image": "auto"} | ({f: f for f in kinds.find(kind).formats} if kind else {})


MADE = ("labels", "heatmap", "marks", "similarity", "stain")
"""Roles of layers that are made of an image, and are none."""


def is_image_of(layer: Any, kind: str) -> bool:
    """Whether a layer was opened from a file of that kind of data."""
    record = layer.metadata.get(KEY) or {}
    made = record.get("result") or record.get("part") or record.get("role") in MADE
    return bool(record.get("source")) and record.get("kind") == kind and not made


def _about(layer: Any) -> str:
    record = layer.metadata[KEY]
    return f"{Path(record['source']).name}, {kinds.find(record['kind']).title}"
