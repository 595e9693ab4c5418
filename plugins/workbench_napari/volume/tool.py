"""The Volume tool: choose a CT or MR layer and a backend, run, correct by hand, read volumes, save."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtWidgets import QPushButton, QWidget

from workbench_napari.shared.agreement_box import Asked, notes_in
from workbench_napari.shared.following import ActiveLayer
from workbench_napari.shared.pages import Part
from workbench_napari.shared.panel_base import main_button
from workbench_napari.shared.shortcuts import Key
from workbench_napari.shared.tool_base import DockTool
from workbench_napari.shared.views import camera_of
from workbench_napari.volume.beforehand import Beforehand
from workbench_napari.volume.class_editing import ClassEditing
from workbench_napari.volume.class_row import ClassRow
from workbench_napari.volume.drawing import Drawing, note_on
from workbench_napari.volume.image_choice import ImageChoice
from workbench_napari.volume.keeping import Keeping
from workbench_napari.volume.layer_roles import is_label_map
from workbench_napari.volume.orientation import Orientation
from workbench_napari.volume.orienting import Orienting
from workbench_napari.volume.panel import FORMATS, VolumePanel
from workbench_napari.volume.segmenting import Segmenting
from workbench_napari.volume.viewing import NAMES, Viewing

_VOLUMES = (
    "Volumes (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.mgz *.mgh *.mnc *.hdr *.img *.dcm *.ima *.zip);;All files (*)"
)


class VolumeTool(DockTool):
    """Dock widget for volumes: it makes its parts and connects them; each does one thing.

    Parameters
    ----------
    napari_viewer
        The viewer it is docked to (napari passes it by this name).
    """

    PROGRESS_TEXT = "%v of %m steps (%p %)"
    SAMPLE = "torso_ct"

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, "volume", parent)
        # The tool says the same in its own words beside the layer (see `describe_layer`), and it does not pop up.
        warnings.filterwarnings("ignore", "Non-orthogonal slicing is being requested", UserWarning)
        viewer, panel = self.viewer, self.panel
        self.model = panel.model.form
        self.viewing = Viewing(viewer, panel.views.group, self)
        self.image_choice = ImageChoice(viewer, panel.image, self)
        self.segmenting = Segmenting(viewer, self.image_choice, self.model, self.start, self.agreement, self)
        self.keeping = Keeping(viewer, panel.labels, self.start_saving, self)
        self.drawing = Drawing(viewer, self)
        self.active_layer = ActiveLayer(viewer, self.image_choice.follows_list)
        self.orientation = Orientation(viewer, self)
        choice = self.image_choice
        self.orienting = Orienting(viewer, choice, panel.image.orientation, self.journal, self)
        self.beforehand = Beforehand(
            self.model,
            lambda: choice.layers,
            lambda: choice.pixel_is_mm,
            lambda: choice.level,
            panel.image.beforehand,
            self,
        )
        self._connect()
        self._on_model()

    # --- what is in it

    def _empty_state(self) -> QWidget:
        # The frame asks for this first, so the panel is made here.
        self.panel = VolumePanel(self.viewer, NAMES)
        self.sample_button = self.panel.sample_button
        return self.panel.empty

    def _above(self) -> tuple[Part, ...]:
        return (self.panel.views.row,)

    def _pages(self) -> dict[str, tuple[Part, ...]]:
        panel = self.panel
        labels = panel.labels
        self.class_row = ClassRow(ClassEditing(self.journal, self))
        labels.column.addWidget(self.class_row)
        folder_tip = "Results go into a folder of their own in here, named after the image"
        self._save_form(labels.column, FORMATS, folder_tip, "File format of the label map")
        labels.column.addLayout(self._save_buttons("Write labels, volumes and how they were made (Ctrl+Shift+Return)"))
        return {"Segment": (panel.image.box, panel.model.box), "Labels": (labels.box,)}

    def _footer(self) -> QWidget:
        self.run_button = main_button("Run", "Segment the volume (Ctrl+Return). While it runs: cancel (Escape).")
        return self._footer_of(self.run_button)

    def _main_button(self) -> QPushButton:
        return self.run_button

    # --- wiring

    def _viewer_events(self) -> list[tuple[Any, Callable[..., Any]]]:
        v = self.viewer
        return [
            *super()._viewer_events(),
            (v.layers.selection.events.active, self.keeping.on_active),
            *self.active_layer.events(),
            *((e, self.orientation.look) for e in (v.dims.events.order, v.dims.events.ndisplay, v.dims.events.ndim)),
            (camera_of(v).events.orientation, self.orientation.look),
            (camera_of(v).events.angles, self.orientation.turn),
            (v.dims.events.order, self.viewing.follow),
            (v.dims.events.ndisplay, self.viewing.follow),
        ]

    def _connect(self) -> None:
        self.connect_tool()
        self.keys.add(
            Key("Ctrl+Z", "undo", partial(self._step, "undo")),
            Key("Ctrl+Shift+Z", "redo", partial(self._step, "redo")),
        )
        self.model.changed.connect(self._on_model)
        self.model.edited.connect(self.agreement.withdraw)
        self.model.edited.connect(self.beforehand.look_soon)
        self.image_choice.changed.connect(self.follow_choice)
        self.image_choice.changed.connect(lambda: self.orientation.follow(self.image_layer))
        self.image_choice.changed.connect(self.orienting.look)
        self.orienting.turned.connect(self._on_turned)
        self.keeping.appeared.connect(self._make_room)
        self.segmenting.made.connect(self._on_made)
        self.segmenting.done.connect(self._on_done)
        self.drawing.made.connect(self._on_made)
        self.panel.labels.layers.currentIndexChanged.connect(self._show_class)
        self.panel.image.new_labels.setMenu(self.panel.image.sources)
        self.panel.image.sources.aboutToShow.connect(self._offer_sources)
        self.panel.open_button.clicked.connect(lambda: self.browse_file("Open a volume", _VOLUMES))
        for part in (self.segmenting, self.keeping, self.drawing, self.class_row, self.orienting):
            part.said.connect(self.say)

    def _let_go(self) -> None:
        self.keeping.close()
        self.class_row.show_layer(None)
        self.class_row.editing.let_go()
        self.orientation.close()
        self.beforehand.close()

    # --- what parts tell

    def _on_layers(self, event: Any = None) -> None:
        images = self.image_choice.look_around(event)
        self.drawing.look_around(self.image_layer, self.journal)
        self.orienting.look_around()
        self.orienting.look()
        labels = self.keeping.look_around(self.image_layer)
        self._show_class()
        self.orientation.follow(self.image_layer)
        self.empty.setVisible(not images and not labels)
        self.body.setVisible(images or labels)
        self.viewing.look_around(event)
        self._enable_buttons()
        self.follow_choice()

    def _on_turned(self) -> None:
        """Layers lie another way: what is said of the image, and the letters, follow."""
        self.image_choice.describe()
        self.orienting.look()
        self.orientation.look()
        self.follow_choice()

    def _step(self, what: str) -> None:
        """Undo or redo: an orientation if it was set after the last stroke, else what napari keeps of the labels."""
        if not getattr(self.orienting, what)() and self.labels_layer is not None:
            getattr(self.labels_layer, what)()

    def follow_choice(self, _value: Any = None) -> None:
        super().follow_choice()
        self.beforehand.look_soon()

    def _asked(self) -> tuple[Asked, ...]:
        return (self.segmenting.asked,)

    def _on_model(self) -> None:
        """Another backend or other weights: say what they are, and ask for the channels that they need."""
        self.image_choice.ask_for(self.model.describe())
        self._on_layers()

    def _make_room(self) -> None:
        """Now the volumes and Save matter, and must be in sight without scrolling."""
        self.model.form.settings_fold.collapse(animate=False)

    def _on_made(self, layer: Any) -> None:
        """Labels that were just made: what to know of them, and their volumes, come into sight."""
        self.keeping.show_new(layer)
        self.bring_into_sight(self.panel.labels.box)

    def _show_class(self, _index: int = 0) -> None:
        """The labels that are chosen: their classes can be edited, and over which image they were drawn is said."""
        labels = self.labels_layer
        self.class_row.show_layer(labels)
        if told := note_on(labels):
            self.panel.labels.notes.show_notes((*notes_in(labels), *told))

    def _offer_sources(self) -> None:
        """What new labels can be made of: nothing, or what points and shapes cover."""
        menu, image = self.panel.image.sources, self.image_layer
        menu.clear()
        if image is None:
            return
        menu.addAction("Empty").triggered.connect(lambda: self.drawing.new_labels(image))
        for drawn in self.drawing.drawn():
            action = menu.addAction(f"Of '{drawn.name}'".replace("&", "&&"))
            action.triggered.connect(partial(self._labels_of, drawn, image))

    def _labels_of(self, drawn: Any, image: Any, _checked: bool = False) -> None:
        self.drawing.labels_of(drawn, image)

    def _on_done(self, text: str) -> None:
        self._done_text = text

    def _refresh_buttons(self, _event: Any = None) -> None:
        # A layer may have got another scale or unit since: nobody tells.
        self.image_choice.describe()
        self._enable_buttons()

    def _enable_buttons(self) -> None:
        busy = self.is_busy
        self.run_button.setEnabled(self.image_layer is not None or busy)
        self.panel.image.new_labels.setEnabled(self.image_layer is not None)
        # What runs now was given the geometry of before.
        self.panel.image.orientation.setEnabled(not busy)
        self.save_button.setEnabled(self.labels_layer is not None and not busy)

    # --- what a person does

    @property
    def image_layer(self) -> Any:
        """The (first) chosen image layer, or ``None``."""
        return self.image_choice.layer

    @property
    def labels_layer(self) -> Any:
        """The labels layer that the table shows and Save writes, or ``None``."""
        return self.keeping.layer

    def main_action(self) -> bool:
        return self.segmenting.run()

    def covers(self, layer: Any) -> bool:
        return is_label_map(layer)

    def take_up(self, layer: Any) -> None:
        self.keeping.choose(layer)

    def save(self) -> bool:
        # What was drawn before its layer was put in place is looked at once more.
        self.drawing.look_around(self.image_layer, self.journal)
        if problem := self.drawing.unclear(self.labels_layer):
            self.say(problem)
            return False
        return self.keeping.save(self.chosen_folder, FORMATS[self.format.currentText()])
