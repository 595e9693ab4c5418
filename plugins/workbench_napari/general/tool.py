"""The general tool: any backend on any opened file; it serves the kinds of data that have no tool of their own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QLayout, QPushButton, QWidget

import workbench as wb
from workbench.core import kinds, registry
from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY
from workbench.core.types import Result
from workbench_napari.general.panel import InputGroup, ResultGroup
from workbench_napari.general.results import corrected, layers_of, summary
from workbench_napari.shared.layer_choice import chosen, fill
from workbench_napari.shared.panel_base import button, empty_state, main_button
from workbench_napari.shared.saving import case_name
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

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        self._results: dict[str, Result] = {}
        self._shown = ""
        super().__init__(napari_viewer, "", parent)
        self.connect_tool()
        self.input.model.changed.connect(self._on_backend)
        self.input.layer.currentIndexChanged.connect(self._refresh_buttons)
        self._on_backend()

    # --- what it looks like

    def _empty_state(self) -> QWidget:
        self.sample_button = button("Open the sample CT", "The same as File > Open Sample > Workbench")
        return empty_state(
            "<b>Nothing is open yet</b><br><br>Open a file that a backend takes: drop it into the window, or use "
            "File > Open. Then choose the backend and press Run.",
            self.sample_button,
        )

    def _parts(self) -> tuple[QWidget | QLayout, ...]:
        # Kinds with a tool of their own come last: their tool does more for them.
        rows = [b for b in registry.backends().values() if "predict" in b.verbs]
        rows.sort(key=lambda b: bool(kinds.find(b.kind).tool))
        self.input = InputGroup(rows)
        self.run_button = main_button("Run", "Run the backend on the layer (Ctrl+Return). While it runs: cancel.")
        self.result = ResultGroup()
        formats = {"As the image": "auto"} | {f: f for f in dict.fromkeys(f for b in rows for f in _formats(b.kind))}
        self._save_form(self.result.column, formats, "Results go into a folder of their own in here", "File format")
        self.result.column.addLayout(self._save_buttons("Write the result as it is shown (Ctrl+Shift+Return)"))
        self.result.hide()
        return self.input, self.run_button, self.progress, self.result

    def _main_button(self) -> QPushButton:
        return self.run_button

    def main_action(self) -> bool:
        return self.run()

    # --- layers come and go

    @property
    def layer(self) -> Any:
        """The image layer that is chosen, or ``None``."""
        return chosen(self.input.layer)

    def _on_backend(self) -> None:
        self.input.model.describe()
        self._on_layers()

    def _on_layers(self, event: Any = None) -> None:
        kind = self.input.model.backend.kind
        fitting = [layer for layer in self.viewer.layers if is_image_of(layer, kind)]
        fill(self.input.layer, fitting, default=len(fitting) - 1)
        self.empty.setVisible(not len(self.viewer.layers))
        self._refresh_buttons()

    def _refresh_buttons(self, _event: Any = None) -> None:
        layer, title = self.layer, kinds.find(self.input.model.backend.kind).title
        self.input.about.setText(f"Open {title} to run this backend on." if layer is None else _about(layer))
        self.run_button.setEnabled(layer is not None or self.runner.is_busy)
        self.result.setVisible(bool(self._shown))
        self.save_button.setEnabled(bool(self._shown) and not self.runner.is_busy)

    # --- run and save

    def run(self) -> bool:
        """Start the backend on the chosen layer; returns whether it started."""
        layer = self.layer
        if layer is None:
            self.say("Open a file for this backend first.")
            return False
        backend = self.input.model.backend.name
        try:
            values = self.input.model.values()
        except WorkbenchError as error:
            self.say(report(error))
            return False
        record = layer.metadata[KEY]

        def work(progress: Any) -> Any:
            image = wb.read(record["source"], series=record.get("series"), kind=record["kind"])
            return wb.predict(backend, image, progress=progress, **values)

        return self.start(f"{self.input.model.backend.title} on {layer.name}", work, self._show)

    def _show(self, result: Result) -> None:
        from napari.layers import Layer

        self._shown, layers = layers_of(result)
        self._results[self._shown] = result
        for data, attributes, kind in layers:
            self.viewer.add_layer(Layer.create(data, attributes, kind))
        self.result.summary.setText(summary(result))
        notes = "".join(f" {n[:1].upper()}{n[1:]}." for n in result.provenance.notes)
        self._done_text = f"Done in {result.provenance.seconds:.1f} s on {result.provenance.device}.{notes}"

    def save(self) -> bool:
        """Write the result as its layers show it now, in the background; returns whether it started."""
        result, folder = self._results.get(self._shown), self.chosen_folder()
        if result is None or folder is None:
            return False
        mine = [x for x in self.viewer.layers if (x.metadata.get(KEY) or {}).get("result") == self._shown]
        try:
            states = [(data, dict(attributes)) for data, attributes, _ in (x.as_layer_data_tuple() for x in mine)]
            now = corrected(result, states)
        except WorkbenchError as error:
            self.say(report(error))
            return False
        work = partial(_write, now, folder, self.format.currentText(), self._formats())
        return self.start_saving(now.image.name, work, mine, "your edits are")

    def _formats(self) -> dict[str, str]:
        return {"As the image": "auto"}


def _write(result: Result, folder: Path, chosen_format: str, names: dict[str, str], _progress: Any) -> list[Path]:
    name = case_name(folder, result, result.image.name)
    return list(wb.write(result, folder, format=names.get(chosen_format, chosen_format), name=name))


def _formats(kind: str) -> tuple[str, ...]:
    return kinds.find(kind).formats


def is_image_of(layer: Any, kind: str) -> bool:
    """Whether a layer was opened from a file of that kind of data."""
    record = layer.metadata.get(KEY) or {}
    made = record.get("result") or record.get("part") or record.get("role") in ("labels", "heatmap", "marks")
    return bool(record.get("source")) and record.get("kind") == kind and not made


def _about(layer: Any) -> str:
    record = layer.metadata[KEY]
    return f"{Path(record['source']).name}, {kinds.find(record['kind']).title}"
