"""Map a scene with another backend than the one that learns here: third parties' methods, in their own form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import Signal

from workbench.core.errors import WorkbenchError
from workbench.core.registry import Backend
from workbench_napari.shared.model_form import ModelForm
from workbench_napari.shared.panel_base import button
from workbench_napari.shared.section import Section
from workbench_napari.shared.worker import report

Map = Callable[[str, dict[str, Any]], bool]
"""Maps the scene that is shown with a backend and its settings; returns whether it started."""


class OtherMethods(Section):
    """A form for each further backend of scenes, and a button that maps with it; hidden where there is none.

    Parameters
    ----------
    backends
        The backends besides the one that the tool learns with.
    map_with
        Starts the mapping.

    Signals
    -------
    said
        A line for people.
    """

    said = Signal(str)

    def __init__(self, backends: Sequence[Backend], map_with: Map) -> None:
        super().__init__("Other methods")
        self._map_with = map_with
        self.model: ModelForm | None = None
        self.setVisible(bool(backends))
        if not backends:
            return
        column = self.column
        self.model = ModelForm(backends, folded=True)
        self.model.changed.connect(self.model.describe)
        self.model.describe()
        column.addWidget(self.model)
        self.run_button = button("Map with this method", "Map the scene; what is painted is not used")
        self.run_button.clicked.connect(self.run)
        column.addWidget(self.run_button)

    @property
    def asked(self) -> tuple[str, ...]:
        """Backend and weights that are chosen here."""
        return () if self.model is None else self.model.asked

    def run(self, _checked: bool = False) -> bool:
        """Map the scene with the chosen backend; returns whether it started."""
        if self.model is None:
            return False
        try:
            return self._map_with(self.model.backend.name, self.model.values())
        except WorkbenchError as error:
            self.said.emit(report(error))
            return False

    def refresh_buttons(self, busy: bool) -> None:
        """What can be done now?"""
        if self.model is not None:
            self.run_button.setEnabled(not busy)
