"""The MEG tool: look at a recording, tokenise and model it, annotate, generate, decode, save."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from workbench_napari.recording.annotating import Annotating
from workbench_napari.recording.bad_channels import BadChannels
from workbench_napari.recording.decoding import Decoding
from workbench_napari.recording.head_map import HeadMap
from workbench_napari.recording.keeping import Keeping
from workbench_napari.recording.looking import Looking
from workbench_napari.recording.marks import is_marks
from workbench_napari.recording.mne_browser import MneBrowser
from workbench_napari.recording.modelling import Modelling
from workbench_napari.recording.overviewing import Overviewing
from workbench_napari.recording.panel import FORMATS, MOUSE, RecordingPanel
from workbench_napari.recording.pointing import Pointing
from workbench_napari.recording.recording import OpenRecording, key_of, record_of
from workbench_napari.recording.results import Results
from workbench_napari.recording.shown import Shown
from workbench_napari.recording.stack import StackView
from workbench_napari.recording.traces import Traces
from workbench_napari.recording.tracing import Tracing
from workbench_napari.shared.agreement_box import Asked
from workbench_napari.shared.following import ActiveLayer
from workbench_napari.shared.pages import Part
from workbench_napari.shared.panel_base import button_row, group_box, main_button
from workbench_napari.shared.shortcuts import Key
from workbench_napari.shared.tool_base import DockTool

_RECORDINGS = (
    "Recordings (*.fif *.fif.gz *.edf *.bdf *.gdf *.vhdr *.con *.sqd *.set *.cnt *.raw *.npy *.npz *.mat)"
    ";;All files (*)"
)


class RecordingTool(DockTool):
    """Dock widget for MEG and EEG recordings: it makes its parts and connects them; each does one thing.

    Parameters
    ----------
    napari_viewer
        The viewer it is docked to (napari passes it by this name).
    """

    SAMPLE = "meg_recording"

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, "recording", parent)
        viewer, panel = self.viewer, self.panel
        self.stack = stack = StackView(viewer, self)
        self.traces = traces = Traces()
        self.shown = shown = Shown(viewer, panel.recording, self)
        self.looking = Looking(viewer, shown, stack, panel.recording, self)
        self.pointing = Pointing(shown, stack, traces, panel.recording, self)
        self.tracing = Tracing(viewer, shown, stack, traces, panel, self)
        self.overviewing = Overviewing(shown, stack, traces.overview, self)
        self.head_map = HeadMap(shown, stack, panel.channels, self)
        self.annotating = Annotating(viewer, shown, stack, traces, panel.annotations, self)
        self.bad_channels = BadChannels(shown, self.annotating, panel.channels, self.journal, self)
        self.results = Results(viewer, shown, panel.variance, panel.generation, panel.result, self)
        self.modelling = Modelling(
            viewer, shown, stack, self.annotating, self.results, panel.model, panel.generation, self.start,
            self.agreement, self,
        )  # fmt: skip
        self.decoding = Decoding(panel.model, panel.decoding, self.start, self.chosen_folder, self.agreement, self)
        self.keeping = Keeping(
            shown, self.annotating, self.results, self.bad_channels, self.start, self.start_saving, self
        )
        self.mne_browser = MneBrowser(shown, self.annotating, panel.browser_button, self)
        self._connect()
        self.use_theme()
        self._on_layers()

    # --- what is in it

    def _empty_state(self) -> QWidget:
        # The frame asks for this first, so the panel is made here.
        self.panel = RecordingPanel()
        self.sample_button = self.panel.sample_button
        return self.panel.empty

    def _pages(self) -> dict[str, tuple[Part, ...]]:
        panel = self.panel
        made = (panel.variance.widget, panel.generation.widget, panel.decoding.widget)
        return {
            "Look": (panel.recording.box, panel.channels.box),
            "Annotate": (panel.annotations.widget,),
            "Model": (panel.model.box, panel.result.box, *made),
            "Files": (self._save_group(),),
        }

    def _save_group(self) -> QWidget:
        group, column = group_box("Save")
        folder_tip = "Results go into a folder of their own in here, named after the recording"
        self._save_form(column, FORMATS, folder_tip, "File format of tokens, surprisal and signals")
        column.addLayout(self._save_buttons("Write annotations and results (Ctrl+Shift+Return)"))
        column.addLayout(button_row(self.panel.results_button, self.panel.browser_button, spacing=6))
        return group

    def _footer(self) -> QWidget:
        self.run_button = main_button(
            "Run",
            "Tokens, reconstruction and surprisal of the recording (Ctrl+Return). While it runs: cancel (Escape).",
        )
        return self._footer_of(self.run_button)

    def _main_button(self) -> QPushButton:
        return self.run_button

    # --- wiring

    def _viewer_events(self) -> list[tuple[Any, Callable[..., Any]]]:
        follow = ActiveLayer(self.viewer, lambda: self.panel.recording.recordings)
        active = self.viewer.layers.selection.events.active
        return [*super()._viewer_events(), (active, self.annotating.on_active), *follow.events()]

    def _connect(self) -> None:
        self.connect_tool()
        self.follow_mouse(self.pointing.on_move, self.pointing.on_press)
        self.pointing.channel_wanted.connect(self.tracing.toggle)
        for clicked in (self.pointing.channel_clicked, self.traces.channel_clicked):
            clicked.connect(self.bad_channels.toggle)
        self.bad_channels.changed.connect(self._on_bads)
        self.shown.present.connect(self._on_present)
        self.shown.changed.connect(self._refresh_buttons)
        self.panel.model.model.changed.connect(self.follow_choice)
        self.panel.model.model.edited.connect(self.agreement.withdraw)
        self.shown.changed.connect(self.follow_choice)
        parts = (
            self.looking, self.pointing, self.tracing, self.overviewing, self.head_map, self.annotating,
            self.bad_channels, self.modelling, self.keeping, self.mne_browser,
        )  # fmt: skip
        for part in parts:
            part.said.connect(self.say)
        for worker in (self.modelling, self.decoding, self.keeping):
            worker.done.connect(self._on_done)
        panel = self.panel
        self.modelling.generated.connect(lambda: self.bring_into_sight(panel.generation.widget))
        self.decoding.decoded.connect(lambda: self.bring_into_sight(panel.decoding.widget))
        panel.open_recording_button.clicked.connect(lambda: self.browse_file("Open a recording", _RECORDINGS))
        panel.results_button.clicked.connect(self._browse_results)
        self.keys.also_in(self.traces)
        self.keys.notes = MOUSE
        self.keys.add(
            Key("Ctrl+Left", "time cursor: one sample back", lambda: self.pointing.step(-1)),
            Key("Ctrl+Right", "time cursor: one sample forth", lambda: self.pointing.step(1)),
            Key("Ctrl+Shift+Left", "time cursor: a tenth of what is in sight back", lambda: self.pointing.jump(-0.1)),
            Key("Ctrl+Shift+Right", "time cursor: a tenth of what is in sight forth", lambda: self.pointing.jump(0.1)),
            Key("Ctrl+B", "all channels of a kind over each other, and back", self.traces.butterfly_button.toggle),
            Key("Ctrl+D", "draw annotations, and stop", panel.annotations.draw_button.toggle),
            Key("Ctrl+Z", "undo", panel.annotations.undo_button.click),
            Key("Ctrl+Shift+Z", "redo", panel.annotations.redo_button.click),
        )

    def _painted(self) -> list[Any]:
        return [*super()._painted(), *([self.traces, self.stack.overlay] if hasattr(self, "traces") else [])]

    def _let_go(self) -> None:
        for part in (self.annotating, self.pointing, self.head_map, self.overviewing, self.looking, self.tracing):
            part.close()

    # --- what parts tell

    def _on_layers(self, event: Any = None) -> None:
        if not self.shown.is_quiet:
            self.shown.look_around(event)
            self.annotating.look_around(event)

    def _on_present(self, there: bool) -> None:
        self.empty.setVisible(not there)
        self.body.setVisible(there)

    def _on_bads(self) -> None:
        """Other channels are bad: everything that shows them follows."""
        found = self.opened
        if found is not None:
            self.stack.set_bads(found.bads)
            self.panel.recording.info.setText(found.describe())
        for part in (self.tracing, self.head_map, self.overviewing):
            part.on_bads()

    def _asked(self) -> tuple[Asked, ...]:
        return self.modelling.asked, self.decoding.asked

    def _on_done(self, text: str) -> None:
        self._done_text = text

    def _refresh_buttons(self, _event: Any = None) -> None:
        busy, there, panel = self.is_busy, self.opened is not None, self.panel
        self.run_button.setEnabled(there or busy)
        panel.generation.button.setEnabled(there and not busy)
        panel.decoding.button.setEnabled(not busy)
        self.save_button.setEnabled(there and not busy)
        panel.results_button.setEnabled(there and not busy)
        panel.annotations.open_button.setEnabled(there)
        panel.browser_button.setEnabled(there and self.mne_browser.is_there)

    # --- what a person does

    @property
    def opened(self) -> OpenRecording | None:
        """The recording that is shown, or ``None``."""
        return self.shown.opened

    def main_action(self) -> bool:
        return self.modelling.run()

    def covers(self, layer: Any) -> bool:
        return is_marks(layer) and self._recording_of(layer) >= 0

    def take_up(self, layer: Any) -> None:
        self.panel.recording.recordings.setCurrentIndex(self._recording_of(layer))

    def _recording_of(self, layer: Any) -> int:
        """Where the recording of annotations stands in the list; -1 if it is not open."""
        choice, key = self.panel.recording.recordings, key_of(record_of(layer))
        there = [choice.itemData(n)() for n in range(choice.count())]
        return next((n for n, la in enumerate(there) if la is not None and key_of(record_of(la)) == key), -1)

    def save(self) -> bool:
        return self.keeping.save(self.chosen_folder, FORMATS[self.format.currentText()])

    def _browse_results(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Choose a folder of results", self.folder.text())
        if path:
            self.keeping.open_results(path)
