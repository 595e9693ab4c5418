"""The ECG tool: open a photo or scan of a paper ECG, read its leads, correct their lines, measure, save."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

import workbench as wb
from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY
from workbench.core.lines import Lines
from workbench.core.types import Result, Signals
from workbench.page import ORIGIN, Sheet, channels_of
from workbench_napari.general.restored import read_image
from workbench_napari.general.tool import GeneralTool
from workbench_napari.page.correcting import Correcting
from workbench_napari.page.diagnosing import AskGroup, Diagnosing, DiagnosisGroup
from workbench_napari.page.leads_view import LeadsView
from workbench_napari.page.numbers import in_words
from workbench_napari.page.panel import CorrectGroup, ScaleGroup, ShowGroup
from workbench_napari.page.reopened import reopen, require_page
from workbench_napari.page.scaling import Scaling
from workbench_napari.page.spot import Spot
from workbench_napari.shared.job import Work
from workbench_napari.shared.next_turn import NextTurn
from workbench_napari.shared.pages import Part
from workbench_napari.shared.panel_base import button, empty_state
from workbench_napari.shared.shortcuts import Key
from workbench_napari.shared.worker import report

_FILES = (
    "Pages and electrocardiograms (*.png *.jpg *.jpeg *.tif *.tiff *.bmp *.webp *.heic *.pdf *.hea *.csv *.dcm *.xml "
    "*.scp *.edf);;All files (*)"
)
_LINES = "Lines (*.geojson);;All files (*)"
_HEIGHT = 280
_TALL = 850
"""Pixels of a window that has room for page, tool and leads at once; in others the leads wait for their button."""


class EcgTool(GeneralTool):
    """Dock widget for paper and digital electrocardiograms: the general tool, with lines to correct and calipers.

    Parameters
    ----------
    napari_viewer
        The viewer it is docked to (napari passes it by this name).
    """

    KIND: ClassVar[str] = "page"
    SAMPLE: ClassVar[str] = "page"
    SKIP: ClassVar[tuple[str, ...]] = ("diagnosis",)

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.shown.showing.connect(self._on_showing)
        self.use_theme()

    # --- what it looks like

    def _empty_state(self) -> QWidget:
        self.open_page_button = QPushButton("Open an ECG...")
        self.sample_button = button("Open the sample page", "The same as File > Open Sample > Workbench; works offline")
        return empty_state(
            "<b>No electrocardiogram is open yet</b><br><br>Open a photo, scan or PDF of a paper ECG on its grid, or a "
            "digital one (WFDB, DICOM, aECG, MUSE, Philips, SCP, CSV). Pictures are opened as pages with the button:",
            self.open_page_button,
            self.sample_button,
        )

    def _pages(self) -> dict[str, tuple[Part, ...]]:
        own = super()._pages()
        self.open_button_above = button("Open an ECG...", "A photo, scan or PDF of a page, or a digital recording")
        self.input.column.insertWidget(0, self.open_button_above)
        self.correct_group, self.scale_group, self.show_group = CorrectGroup(), ScaleGroup(), ShowGroup()
        self.ask_group, self.diagnosis_group = AskGroup(), DiagnosisGroup()
        return {
            "Run": (*own["Run"], self.ask_group),
            "Correct": (self.correct_group, self.scale_group),
            "Result": (self.show_group, self.diagnosis_group, *own["Result"]),
        }

    def connect_tool(self) -> None:
        self.leads = LeadsView()
        # The plot has no parent until it is docked: a window that closes does not take it along.
        self.destroyed.connect(partial(_delete, self.leads))
        self.correcting = Correcting(self.viewer, self.correct_group, self._picture, self)
        self.scaling = Scaling(self.viewer, self.scale_group, self._lines, self._page_of_lines, self)
        self.spot = Spot(self.viewer)
        self.diagnosing = Diagnosing(
            self.diagnosis_group, lambda: self.shown.layers() if self.shown.token else [], self._lines_layer,
            self._on_diagnosed, self,
        )  # fmt: skip
        self._fit = NextTurn(self.viewer.reset_view, self)
        super().connect_tool()
        for opener in (self.open_page_button, self.open_button_above):
            opener.clicked.connect(lambda: self.browse_file("Open an electrocardiogram", _FILES, self.KIND))
        for part in (self.correcting, self.scaling, self.diagnosing):
            part.said.connect(self.say)
        self.scaling.scaled.connect(self.set_scale)
        self.scaling.given.connect(self._on_given_scale)
        self.follow_mouse(None, self.correcting.on_press, self.scaling.on_press)
        group = self.correct_group
        group.undo.clicked.connect(lambda: self._step(self.steps.undo))
        group.redo.clicked.connect(lambda: self._step(self.steps.redo))
        group.open.clicked.connect(self._browse_lines)
        self.show_group.leads.toggled.connect(self.show_leads)
        self.show_group.flat.toggled.connect(self.show_flat)
        self.leads.place_clicked.connect(self.go_to)
        self.keys.also_in(self.leads)
        self.keys.add(
            Key("Ctrl+D", "draw a stretch of a lead again, and stop", group.draw.click),
            Key("Ctrl+Shift+E", "move points of lines, and stop", group.points.click),
            Key("Ctrl+Shift+G", "show the grid as it was found", self.scale_group.grid.toggle),
            Key("Ctrl+Shift+A", "show what a diagnosis looked at", self.diagnosis_group.looked.toggle),
            Key("Ctrl+L", "show the leads below the page", self.show_group.leads.toggle),
        )

    def _painted(self) -> list[Any]:
        return [*super()._painted(), *([self.leads] if hasattr(self, "leads") else [])]

    # --- layers come and go

    def _on_layers(self, event: Any = None) -> None:
        super()._on_layers(event)
        self.body.setVisible(self.layer is not None or bool(self.shown.token))
        self.empty.setVisible(self.layer is None)

    def _refresh_buttons(self, event: Any = None) -> None:
        super()._refresh_buttons(event)
        if not hasattr(self, "correcting"):
            return
        self.correcting.follow(self._lines_layer())
        self.scaling.refresh()
        self.diagnosing.refresh()
        self.correct_group.open.setEnabled(self._page_layer() is not None and not self.is_busy)
        self.show_group.leads.setEnabled(self.leads.leads is not None)
        self.show_group.flat.setEnabled(self._flat_picture() is not None)

    def _let_go(self) -> None:
        super()._let_go()
        self.correcting.let_go()
        self.scaling.let_go()
        self.spot.clear()
        self._put_away()
        self.leads.deleteLater()

    # --- what is shown

    def _lines_layer(self) -> Any:
        """The layer of the lines of the result that is shown, or ``None``."""
        layers = self.shown.layers() if self.shown.token else []
        return next((x for x in layers if (x.metadata.get(KEY) or {}).get("role") == "lines"), None)

    def _lines(self) -> Lines | None:
        return self.correcting.readable()

    def _page_layer(self) -> Any:
        """The picture of the page that is chosen, or ``None``."""
        layer = self.layer
        return layer if layer is not None and type(layer).__name__ == "Image" else None

    def _page_of_lines(self) -> Any:
        """The picture that the lines lie on, whichever is chosen by now; the chosen one where there are no lines."""
        lines = self._lines_layer()
        own = {} if lines is None else lines.metadata.get(KEY) or {}
        if not own.get("source"):
            return self._page_layer()
        there = ((layer, layer.metadata.get(KEY) or {}) for layer in self.viewer.layers)
        same = (layer for layer, other in there if other.get("role") == own["kind"] and _is_of(other, own))
        return next(same, None)

    def _picture(self) -> Any:
        layer = self._page_of_lines()
        return None if layer is None else np.asarray(layer.data)[..., :3]

    def _flat_picture(self) -> Any:
        made = self.shown.made
        return None if made is None else made.parts.get("page")

    @staticmethod
    def _describe(now: Result, made: Result) -> str:
        return in_words(now, made)

    def _on_showing(self, now: Any) -> None:
        """Numbers of what is shown arrived: the leads follow."""
        part = None if now is None else now.parts.get("leads")
        self.leads.show_leads(part if isinstance(part, Signals) else None)
        if self.leads.leads is not None and not self._was_put_away and self.window().height() >= _TALL:
            self.show_group.leads.setChecked(True)
        self.diagnosing.show(now)
        self._refresh_buttons()

    def _on_diagnosed(self, layer: Any) -> None:
        """A person wrote a diagnosis."""
        self.journal.touch(layer)
        self.shown.count()
        self._refresh_buttons()

    def _work(self, layer: Any, backend: str, values: dict[str, Any]) -> Work:
        own = {"diagnosis": self.ask_group.value} if self.input.model.asks_for("diagnosis") else {}
        return super()._work(layer, backend, values | own)

    _was_put_away = False

    def show_leads(self, on: bool) -> None:
        """Put the leads below the page, or away."""
        self._was_put_away = not on
        if not on:
            self._put_away()
        elif self.leads.parent() is None:
            dock = self.viewer.window.add_dock_widget(self.leads, name="Leads", area="bottom")
            window = dock.parent()
            if hasattr(window, "resizeDocks"):
                window.resizeDocks([dock], [min(_HEIGHT, window.height() // 3)], Qt.Orientation.Vertical)
            self.leads.show()
            if self._view.has_stayed:
                self._fit.ask()

    def _put_away(self) -> None:
        if self.leads.parent() is not None:
            self.viewer.window.remove_dock_widget(self.leads)

    def show_flat(self, on: bool) -> None:
        """Show the corrected page beside the picture, or not."""
        self.spot.show_flat(self._flat_picture() if on else None, self._page_of_lines())

    def go_to(self, channel: str, seconds: float) -> None:
        """Mark the place on the page where a lead is drawn at a moment."""
        lines = self._lines()
        if lines is None or channel not in channels_of(lines):
            return
        sheet = Sheet.of(lines)
        for n, name in enumerate(channels_of(lines)):
            mm = sheet.to_mm(lines.line(n))
            x = float(lines.feature(ORIGIN, 0.0)[n]) + seconds * sheet.speed / sheet.scale[0]
            if name == channel and mm[:, 0].min() <= x <= mm[:, 0].max():
                order = np.argsort(mm[:, 0])
                y = float(np.interp(x, mm[order, 0], mm[order, 1]))
                ((column, row),) = sheet.from_mm(np.array([[x, y]]))
                self.spot.mark(row - 0.5, column - 0.5)
                return

    # --- corrections

    def _step(self, step: Callable[[], None]) -> None:
        layer = self.correcting.layer
        if layer is not None:
            self.viewer.layers.selection.active = layer
            step()

    def _browse_lines(self, _checked: bool = False) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Open lines", self.folder.text(), "Lines (*.geojson);;All files (*)"
        )
        if path:
            self.open_lines(Path(path))

    def open_lines(self, path: Path) -> bool:
        """Show lines that were saved for the page that is chosen; returns whether that started."""
        layer = self._page_layer()
        if layer is None:
            self.say("Open the page first that the lines were drawn on.")
            return False
        try:
            image, lines = read_image(layer.metadata[KEY]), wb.read_lines(path)
            require_page(lines, image, path)
        except WorkbenchError as error:
            self.say(report(error))
            return False
        return self.start(f"Opening {path.name}", partial(reopen, lines, image, path), self._shower(layer))

    def set_scale(self, x: float, y: float) -> None:
        """Correct the millimetres of the grid by these factors; leads and measurements follow."""
        layer = self.correcting.layer
        if layer is None:
            return
        about = layer.metadata[KEY]["about"]
        before = tuple(about.get("scale") or (1.0, 1.0))
        about["scale"] = [float(x), float(y)]
        self.journal.touch(layer)
        self.shown.count()
        self._refresh_buttons()
        if (x, y) == (1.0, 1.0):
            self.say("The scale is that of the grid again.")
        else:
            changed = [f"{name} by {n / b:.4f}" for name, b, n in zip("xy", before, (x, y), strict=True) if n != b]
            self.say(f"The scale was changed along {' and '.join(changed) or 'nothing'}: leads and intervals follow.")

    def _on_given_scale(self, pixels_per_mm: float) -> None:
        """Nothing was read yet: the run takes the scale that two clicks gave."""
        if self.input.model.asks_for("pixels_per_mm"):
            self.input.model.form.set_values({"pixels_per_mm": round(pixels_per_mm, 4)})
        self.say(f"{pixels_per_mm:.2f} pixels a millimetre: press Run to read the page at this scale.")


def _is_of(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two layers are of one file, and of one page in it."""
    return all(one.get(key) == other.get(key) for key in ("source", "series", "key"))


def _delete(view: Any, _tool: Any = None) -> None:
    with suppress(RuntimeError):  # the window took it along
        view.deleteLater()
