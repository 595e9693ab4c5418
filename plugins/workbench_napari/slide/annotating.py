"""Annotations in the Slides tool: new layers, files of other programs, and the classes of what is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from workbench.slide import Annotations, annotation_layers, line_width
from workbench_napari.slide.on_slide import is_drawn, record_of
from workbench_napari.slide.panel import AnnotationGroup

_FILES = "Annotations (*.geojson *.json *.ndpa *.xml);;All files (*)"


class Annotating(QObject):
    """Makes layers of annotations on the chosen slide, and gives shapes their class.

    Signals
    -------
    said
        A line for the user.
    wanted
        A file of annotations is to be read.
    """

    said = Signal(str)
    wanted = Signal(object)

    def __init__(self, viewer: Any, group: AnnotationGroup, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._group = viewer, group
        self._slide: Any = lambda: None
        self._shown = ""
        self._selection: Any = None
        group.new.clicked.connect(self._on_new)
        group.open.clicked.connect(self._on_open)
        group.classes.lineEdit().editingFinished.connect(self.take_class)
        group.classes.activated.connect(self._on_class)
        self.on_active()

    def follow(self, slide: Any) -> None:
        """The slide that is chosen now."""
        import weakref

        self._slide = (lambda: None) if slide is None else weakref.ref(slide)

    def let_go(self) -> None:
        """Follow nothing any more."""
        self._slide = lambda: None
        self._listen(None)

    # --- layers

    def _on_new(self, _checked: bool = False) -> None:
        slide = self._slide()
        if slide is not None:
            self.add(slide, Annotations(name=self.free_name(f"{slide.name} annotations")), empty=True)
            self.said.emit("Draw outlines with the tools of the new layer; Save writes them as annotations.geojson.")

    def _on_open(self, _checked: bool = False) -> None:
        path, _ = QFileDialog.getOpenFileName(self._group, "Open annotations", "", _FILES)
        if path:
            self.wanted.emit(Path(path))

    def show(self, slide: Any, found: Annotations) -> str:
        """Add the annotations of a file; returns a line that says what came."""
        from dataclasses import replace

        added = self.add(slide, replace(found, name=self.free_name(found.name)))
        told = f" ({'; '.join(found.notes)})" if found.notes else ""
        return f"{len(found)} annotations{told}" if added else f"{found.name} holds no annotations{told}"

    def add(self, slide: Any, found: Annotations, *, empty: bool = False) -> list[Any]:
        """Layers of annotations over a slide; the last one is chosen."""
        from napari.layers import Layer

        record = record_of(slide)
        added = []
        for data, attributes, kind in annotation_layers(found, record, empty=empty):
            layer = Layer.create(data, attributes, kind)
            if kind == "shapes":
                layer.current_edge_width = line_width(record)
                if not len(layer.data):
                    layer.current_face_color = [0.2, 0.5, 1.0, 0.25]
                    layer.current_edge_color = [0.2, 0.5, 1.0, 1.0]
            added.append(self._viewer.add_layer(layer))
        if added:
            self._viewer.layers.selection.active = added[0]
            if empty:
                added[0].mode = "add_polygon"
        return added

    def free_name(self, name: str) -> str:
        """A name that no other file of annotations in the window has: by it shapes and points are put together."""
        taken = {record_of(x).get("annotations") for x in self._viewer.layers if is_drawn(x)}
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name} {number}"
        return free

    # --- classes

    @property
    def layer(self) -> Any:
        """The layer of annotations that is active in the list of napari, or ``None``."""
        active = self._viewer.layers.selection.active
        return active if active is not None and is_drawn(active) else None

    def on_active(self, _event: Any = None) -> None:
        """Another layer is active: offer its classes."""
        layer, combo = self.layer, self._group.classes
        self._listen(layer)
        combo.setEnabled(layer is not None)
        if layer is None:
            return
        names = [str(c["name"]) for c in record_of(layer).get("classes") or []]
        names += [str(n) for n in layer.features.get("class", ()) if str(n)]
        combo.blockSignals(True)
        combo.clear()
        combo.addItems(["", *dict.fromkeys(names)])
        combo.blockSignals(False)
        self._show_class()

    def _listen(self, layer: Any) -> None:
        """Follow which shapes of a layer are selected."""
        if self._selection is not None:
            self._selection.events.items_changed.disconnect(self._show_class)
        self._selection = None if layer is None else layer.selected_data
        if self._selection is not None:
            self._selection.events.items_changed.connect(self._show_class)

    def _show_class(self, _event: Any = None) -> None:
        """The class of the selected shapes, nothing where they have several; of none, that of the next shape."""
        layer, combo = self.layer, self._group.classes
        if layer is None or "class" not in layer.features:
            return
        rows = [i for i in sorted(layer.selected_data) if i < len(layer.features)]
        default = layer.feature_defaults.get("class")
        found = {str(layer.features["class"].iloc[i]) for i in rows}
        if not rows and default is not None and len(default):
            found = {str(default.iloc[0])}
        self._shown = found.pop() if len(found) == 1 else ""
        combo.blockSignals(True)
        combo.setCurrentText(self._shown)
        combo.blockSignals(False)

    def take_class(self) -> None:
        """A name that was typed counts, whoever has the focus now; one that is only shown changes nothing."""
        if self.layer is not None and self._group.classes.currentText().strip() != self._shown:
            self._on_class()

    def _on_class(self, _index: int = 0) -> None:
        layer, name = self.layer, self._group.classes.currentText().strip()
        if layer is None:
            return
        features = layer.features.copy()
        selected = sorted(layer.selected_data)
        if selected and any(str(features["class"].iloc[i]) != name for i in selected):
            features.loc[features.index[selected], "class"] = name
            layer.features = features
            which = f"Number {selected[0] + 1} of" if len(selected) == 1 else f"{len(selected)} of"
            told = f"is '{name}' now" if len(selected) == 1 else f"are '{name}' now"
            self.said.emit(f"{which} '{layer.name}' {told}, as chosen; with none chosen the class is that of the next.")
        defaults = layer.feature_defaults
        layer.feature_defaults = {c: name if c == "class" else defaults[c].iloc[0] for c in defaults.columns}
        self._shown = name
        if name and self._group.classes.findText(name) < 0:
            self._group.classes.addItem(name)
