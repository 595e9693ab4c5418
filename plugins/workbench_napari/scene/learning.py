"""Learn a scene from what is painted, or map it with weights as they are, and show the map while it grows."""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QWidget

from workbench.core import registry
from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError, WorkbenchError
from workbench.core.types import Progress
from workbench.scene import TOO_FEW, SceneLearner, map_only
from workbench.training import Lesson, MapBoard, Outcome, Version, Versions
from workbench_napari.scene.map_layers import MapLayers, is_same
from workbench_napari.scene.painting import Painting
from workbench_napari.scene.scene import Scene
from workbench_napari.shared.agreement_box import AgreementBox, Asked
from workbench_napari.shared.form import SettingsForm
from workbench_napari.shared.job import Done
from workbench_napari.shared.panel_base import button, main_button
from workbench_napari.shared.section import Section
from workbench_napari.shared.weights_choice import WeightsChoice
from workbench_napari.shared.window import main_window
from workbench_napari.shared.worker import report

Work = Callable[[Progress], Outcome]
Start = Callable[[str, Work, Done], bool]
"""Starts a job with a title, its work, and what to do with its outcome; returns whether it started."""

_NOT_HERE = (
    "weights", "device", "force", "resume", "split", "per_class", "fraction", "block", "names", "test_labels",
)  # fmt: skip
"""Settings that painting leaves no room for (all that is painted is learnt from, by the names in the list of classes),
or that are asked for elsewhere."""


class Learning(Section):
    """The group of the settings, and the row with the buttons Learn and Map only.

    Parameters
    ----------
    backend
        Row of the backend whose settings are shown.
    device
        Where people choose the device.
    painting
        Holds the scene and what is painted in it.
    maps
        Show the map, on the way and at the end.
    start
        Starts a job.
    agreement
        Where a person says to use a scene that was refused.

    Signals
    -------
    changed
        Other weights are chosen.
    learnt
        A scene was learnt or mapped, and its map is shown: a line for people.
    kept
        A scene that is not looked at (any more) was learnt or mapped: a line for people that says where its map is.
    said
        A line for people.
    """

    changed = Signal()
    learnt = Signal(str)
    kept = Signal(str)
    said = Signal(str)

    def __init__(
        self,
        backend: Any,
        device: QComboBox,
        painting: Painting,
        maps: MapLayers,
        start: Start,
        agreement: AgreementBox,
    ) -> None:
        super().__init__("Learn")
        self._backend, self._agreement = backend, agreement
        self.board: MapBoard | None = None
        self.model: Version | None = None
        # They live as long as the window: a lesson may end after the dock of its tool was closed.
        self.versions = versions_of(maps.viewer)
        self._device, self._painting, self._maps, self._start = device, painting, maps, start
        self._shown_version, self._token = 0, ""
        self._scene: Scene | None = None
        self._growing: Callable[[], Any] = lambda: None
        self._build(backend)
        self.weights.changed.connect(self.changed)
        self.form.edited.connect(agreement.withdraw)
        self.map_button.clicked.connect(self.map_scene)

    def _build(self, backend: Any) -> None:
        column = self.column
        self.weights = WeightsChoice(backend.name)
        for known in self.versions:  # of a tool that was docked before
            self.weights.combo.addItem(known.title, str(known.model))
        self.weights.combo.insertItem(0, "nothing (from scratch)", "none")
        self.weights.combo.setCurrentIndex(0)
        self.weights.combo.setToolTip("What the network knows before it sees your pixels; nothing is fetched")
        own = (("Start from", self.weights), ("Device", self._device))
        self.form = SettingsForm(backend.settings_of("train"), skip=_NOT_HERE, above=own)
        self.form.settings_fold.begin(is_open=False)
        column.addWidget(self.form)
        self.row = QWidget()
        row = QHBoxLayout(self.row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.learn_button = main_button(
            "Learn", "Learn from the painted pixels and map the scene (Ctrl+Return). While it runs: cancel (Escape)."
        )
        self.map_button = button("Map only", "Map the scene with the chosen weights, without learning")
        self.map_button.setMinimumHeight(30)
        row.addWidget(self.learn_button, 2)
        row.addWidget(self.map_button, 1)

    def refresh_buttons(self, busy: bool) -> None:
        """What can be done now?"""
        scene = self._painting.scene
        self.learn_button.setEnabled(scene is not None)
        self.map_button.setEnabled(scene is not None and not busy and self.weights.value != "none")

    def forget(self) -> None:
        """Another scene is open: what was learnt is not of this one."""
        self.model = None

    @property
    def asked(self) -> Asked:
        """What learning and mapping compare now: backend, weights and scene."""
        return (self._backend.name, self.weights.value, id(self._painting.scene))

    # --- start

    def learn(self) -> bool:
        """Learn from the painted pixels and map the scene; returns whether it started."""
        scene, painted = self._painting.scene, self._painting.given()
        try:
            if scene is None or painted is None:
                raise UsageError(TOO_FEW)
            config = self._backend.settings_of("train")
            forced = self._agreement.values(config, self.asked)
            learner = SceneLearner(scene.image, **self.form.values(), **self._choices(), **forced)
            lesson = Lesson(learner, painted, self.versions.new_file(), before=self._maps.array("labels"))
        except WorkbenchError as error:
            self.said.emit(report(error))
            return False
        title = f"Learning {len(lesson.board.classes)} classes of {scene.image.name}"
        return self._begin(scene, title, lesson.board, lesson.run, config, self.asked)

    def map_scene(self) -> bool:
        """Map the scene with the chosen weights as they are; returns whether it started."""
        scene = self._painting.scene
        config = self._backend.settings_of("predict")
        values: dict[str, Any] = {**self._choices(), **self._agreement.values(config, self.asked)}
        if scene is None or values["weights"] == "none":
            self.said.emit("Choose weights to map with, or paint and learn.")
            return False
        image, board = scene.image, MapBoard(scene.shape, ClassTable(), before=self._maps.array("labels"))

        def work(progress: Progress) -> Outcome:
            return map_only(image, board, progress, **values)

        return self._begin(scene, f"Mapping {image.name}", board, work, config, self.asked)

    def map_with(self, backend: str, values: dict[str, Any]) -> bool:
        """Map the scene with another backend and its own settings; returns whether it started."""
        scene = self._painting.scene
        if scene is None:
            self.said.emit("Open a scene first.")
            return False
        config = registry.find(backend).settings_of("predict")
        asked = (backend, values.get("weights", ""), id(scene))
        values = values | self._agreement.values(config, asked)
        image, board = scene.image, MapBoard(scene.shape, ClassTable(), before=self._maps.array("labels"))

        def work(progress: Progress) -> Outcome:
            import workbench as wb

            result = wb.predict(backend, image, progress=progress, **values)
            shown = self._maps.shown(result)
            if not shown:
                raise UsageError(f"{backend} gave no map of this scene; its parts are {', '.join(result.parts)}")
            return Outcome(result, None, f"Mapped with {backend}: {', '.join(shown)}.")

        return self._begin(scene, f"Mapping {image.name} with {backend}", board, work, config, asked)

    def _choices(self) -> dict[str, str]:
        return {"weights": self.weights.value, "device": self._device.currentText().strip()}

    def _begin(
        self, scene: Scene, title: str, board: MapBoard, work: Work, config: type | None = None, asked: Asked = ()
    ) -> bool:
        token = secrets.token_hex(8)
        if not self._start(title, work, partial(self._on_done, token, scene)):
            return False
        if config is not None:
            self._agreement.asking(config, asked)
        self.board, self._shown_version, self._token, self._scene = board, 0, token, scene
        return True

    # --- on the way, and at the end

    def show_progress(self, cancelling: bool) -> None:
        """Say what goes on, and show the part of the map that is there already, if its scene is looked at."""
        board, scene = self.board, self._scene
        if board is None or scene is None or scene is not self._painting.scene:
            return
        if board.phase and not cancelling:
            self.said.emit(board.phase)
        if board.version != self._shown_version:
            self._shown_version = board.version
            layer = self._maps.show_labels(scene.image, "labels", board.draft, board.classes, self._token)
            self._growing = weakref.ref(layer)

    def _on_done(self, token: str, scene: Scene, outcome: Outcome) -> Iterator[None]:
        """Show what was learnt; its scene may be closed by now, or another one be looked at."""
        self._growing = lambda: None
        now, text = self._painting.scene, outcome.text
        is_shown = now is not None and is_same(now, scene)
        maps = self._maps if is_shown else self._maps.beside(scene)
        yield from maps.finish(outcome.result, token)
        model = None if outcome.model is None else self.versions.add(outcome)
        if model is not None:
            self.weights.combo.addItem(model.title, str(model.model))
        shown = maps.get("labels")
        shown.visible = is_shown or now is None
        if is_shown:
            self.model = model or self.model
            self.learnt.emit(text)
        else:
            where = "was closed meanwhile" if scene.layer not in self._maps.viewer.layers else "is not shown now"
            self.kept.emit(f"{text} Its scene {where}: the map is in the list of layers as '{shown.name}'.")

    def let_go(self) -> None:
        """The dock is closed: what is learnt goes on and is offered later; until then the last whole map stays."""
        self.end()

    def end(self) -> None:
        """A job ended: where its result is not shown, the last whole map stays, whatever scene is looked at now."""
        board, self.board, self._scene = self.board, None, None
        layer, self._growing = self._growing(), lambda: None
        if board is not None and layer is not None:
            # A map half of one method and half of another would mislead.
            self._maps.restore(layer, board.whole, board.whole_is)


_versions: dict[int, tuple[weakref.ref[Any], Versions]] = {}


def versions_of(viewer: Any) -> Versions:
    """The models that were learnt in a window; they go with it."""
    found = _versions.get(id(viewer))
    if found is None or found[0]() is not viewer:
        found = _versions[id(viewer)] = (weakref.ref(viewer), Versions())
        window = main_window(viewer)
        if window is not None:
            # napari destroys a closed window without asking its tools.
            window.destroyed.connect(partial(_close, id(viewer), found[1]))
    return found[1]


def _close(key: int, versions: Versions, _window: Any = None) -> None:
    versions.close()
    if key in _versions and _versions[key][1] is versions:
        del _versions[key]
