"""The MEG tool: look at a recording, tokenise and model it, annotate, generate, decode, save."""

from __future__ import annotations

import importlib.util
import secrets
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from workbench.core.errors import UsageError, WorkbenchError
from workbench.core.types import Marks, Scores, Signals
from workbench_napari.recording.annotating import RecordingAnnotating
from workbench_napari.recording.marks import is_marks, marks_of, ordered
from workbench_napari.recording.panel import FORMATS
from workbench_napari.recording.recording import OpenRecording, record_of
from workbench_napari.recording.saving import SIGNALS, Reopened, Saving, reopen, save
from workbench_napari.recording.tables import short_comparison, short_decoding
from workbench_napari.shared.saving import stored_provenance
from workbench_napari.shared.worker import report

BACKEND = "meg_gpt"
PEAKS = "surprisal peaks"
_RECORDINGS = "Recordings (*.fif *.fif.gz *.edf *.bdf *.gdf *.vhdr *.con *.sqd *.npy *.npz *.mat);;All files (*)"
_PSD_SECONDS = 120.0


class RecordingTool(RecordingAnnotating):
    """Dock widget for MEG and EEG recordings.

    Parameters
    ----------
    napari_viewer
        The viewer it is docked to (napari passes it by this name).
    """

    SAMPLE = "meg_recording"

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, "recording", parent)
        self.tables: dict[str, Scores] = {}
        self.report_file: Path | None = None
        self._browser: Any = None
        self._connect()
        self._on_layers()

    # --- wiring

    def _main_button(self) -> QPushButton:
        return self.run_button

    def main_action(self) -> bool:
        return self.run()

    def _connect(self) -> None:
        self.connect_tool()
        self.connect_annotating()
        self.open_recording_button.clicked.connect(lambda: self.browse_file("Open a recording", _RECORDINGS))
        self.annotations_button.clicked.connect(self._browse_annotations)
        self.generate_button.clicked.connect(self.generate)
        self.decode_button.clicked.connect(self._browse_cases)
        self.report_button.clicked.connect(self._open_report)
        self.results_button.clicked.connect(self._browse_results)
        self.browser_button.clicked.connect(self.open_in_mne)
        self.weights.changed.connect(self._on_weights)
        there = importlib.util.find_spec("mne_qt_browser") is not None
        self.browser_button.setToolTip(
            "Open recording and annotations in mne-qt-browser, a window of its own"
            if there
            else "mne-qt-browser is not installed: pip install mne-qt-browser"
        )
        self._has_browser = there
        self._on_weights()

    def _refresh_buttons(self, _event: Any = None) -> None:
        busy, there = self.runner.is_busy, self.opened is not None
        self.run_button.setEnabled(there or busy)
        self.generate_button.setEnabled(there and not busy)
        self.decode_button.setEnabled(not busy)
        self.save_button.setEnabled(there and not busy)
        self.results_button.setEnabled(there and not busy)
        self.annotations_button.setEnabled(there)
        self.browser_button.setEnabled(there and self._has_browser)
        layer = self.editor.layer
        for made in (self.draw_button, self.delete_button):
            made.setEnabled(layer is not None)
        self.undo_button.setEnabled(self.editor.can_undo)
        self.redo_button.setEnabled(self.editor.can_redo)

    def _on_weights(self) -> None:
        self.weights_info.setText(describe_weights(self.weights.value))

    def _open_recording(self, layer: Any) -> None:
        super()._open_recording(layer)
        self._show_tables({} if self.opened is None else self.opened.tables)

    # --- run

    def _values(self, **more: Any) -> dict[str, Any]:
        chosen = {"weights": self.weights.value, "device": self.device.currentText().strip()}
        return {**self.form.values(), **chosen, **more}

    def run(self) -> bool:
        """Tokens, reconstruction, surprisal and its peaks; returns whether it started."""
        return self._predict("Tokenising", self._show_result)

    def generate(self) -> bool:
        """New signals from the model, and how they compare; returns whether it started."""
        return self._predict(
            "Generating from",
            self._show_generated,
            surprisal=False,
            reconstruction=False,
            generate=self.seconds.value(),
            top_p=self.top_p.value(),
            temperature=self.temperature.value(),
            seed=self.seed.value(),
        )

    def _predict(self, title: str, show: Any, **more: Any) -> bool:
        found = self.opened
        if found is None:
            self.say("Open a recording first.")
            return False
        try:
            values = self._values(**more)
        except WorkbenchError as error:
            self.say(report(error))
            return False

        def work(progress: Any) -> Any:
            from workbench import api

            # Opened anew: the window reads the same file in threads of its own.
            image = found.read_again()
            result = api.predict(BACKEND, image, progress=progress, **values)
            return result, spectra_of(found, result.parts.get("generated"))

        return self.start(f"{title} {found.name}", work, partial(show, found))

    def _show_result(self, found: OpenRecording, outcome: Any) -> None:
        result, _ = outcome
        record = {"provenance": result.provenance.to_json(), "result": secrets.token_hex(8)}
        found.provenance = result.provenance
        signals = {k: v for k, v in result.parts.items() if isinstance(v, Signals)}
        with self.quietly():
            found.show_parts(self.viewer, {k: signals[k] for k in reversed(SIGNALS) if k in signals}, record)
        peaks = result.parts.get("annotations")
        if isinstance(peaks, Marks):
            self._show_peaks(found, peaks, record)
        self._keep_tables(found, result.parts)
        self._on_layers()
        self.viewer.layers.selection.active = found.main.layer
        self._say_done(result, "" if peaks is None else f" {len(peaks)} peaks of surprisal.")

    def _show_peaks(self, found: OpenRecording, peaks: Marks, record: dict[str, Any]) -> None:
        """Peaks as annotations in a layer of their own; an earlier one goes unless somebody worked in it."""
        for layer in [la for la in self.viewer.layers if is_marks(la) and self._is_mine(la)]:
            own = record_of(layer)
            if own.get("part") == PEAKS and not own.get("edited"):
                self.viewer.layers.remove(layer)
        self.add_marks_layer(found, peaks, PEAKS, **record)

    def _show_generated(self, found: OpenRecording, outcome: Any) -> None:
        result, spectra = outcome
        found.provenance = found.provenance or result.provenance
        record = {"provenance": result.provenance.to_json(), "result": secrets.token_hex(8)}
        with self.quietly():
            found.show_parts(
                self.viewer, {"generated": result.parts["generated"]}, record, at=round(self.stack.span[0], 2)
            )
        found.spectra = spectra
        self._keep_tables(found, result.parts)
        self._on_layers()
        self.viewer.layers.selection.active = found.main.layer
        self.tabs.setCurrentIndex(2)
        self._say_done(result)

    def _keep_tables(self, found: OpenRecording, parts: Any) -> None:
        found.tables |= {k: v for k, v in parts.items() if isinstance(v, Scores) and k in ("variance", "comparison")}
        if found is self.opened:
            self._show_tables(found.tables)

    def _show_tables(self, tables: dict[str, Scores]) -> None:
        variance = tables.get("variance")
        self.variance.show_scores(variance)
        compared = tables.get("comparison")
        self.comparison.show_scores(None if compared is None else short_comparison(compared))
        spectra, unit = ({}, "") if self.opened is None else self.opened.spectra
        self.psd.show_spectra(spectra, unit)
        text = "Run to see how much of each channel the tokens keep."
        if variance is not None and variance.rows:
            kept = np.array([float(row[1]) for row in variance.rows])
            worst = variance.rows[int(np.nanargmin(kept))]
            text = (
                f"The tokens keep {np.nanmean(kept):.1f} % of the variance on average, "
                f"least of {worst[0]} ({float(worst[1]):.1f} %)."
            )
        self.variance_info.setText(text)

    def _say_done(self, result: Any, more: str = "") -> None:
        made = result.provenance
        notes = "".join(f" {n[:1].upper()}{n[1:].rstrip('.')}." for n in made.notes)
        self._done_text = f"Done in {made.seconds:.1f} s on {made.device} ({made.device_reason}).{more}{notes}"

    # --- decode

    def _browse_cases(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Choose a list of cases", "", "Lists (*.csv *.jsonl);;All files (*)"
        )
        if path:
            self.decode(path)

    def decode(self, path: str | Path) -> bool:
        """Tell events apart by features of the model; returns whether it started."""
        folder = self.chosen_folder()
        if folder is None:
            return False
        values = {"weights": self.weights.value, "device": self.device.currentText().strip(), "task": "decode"}
        out = folder / f"{Path(path).stem}-decode"

        def work(progress: Any) -> Any:
            from workbench import api

            return api.evaluate(BACKEND, path, out=out, progress=progress, **values), out

        return self.start(f"Decoding {Path(path).name}", work, self._show_decoded)

    def _show_decoded(self, outcome: Any) -> None:
        found, out = outcome
        if found.decoding is None:
            reasons = [*found.failures.values(), *found.notes] or ["no trials were found"]
            raise UsageError(f"nothing was decoded: {reasons[0]}")
        self.decoded.show_scores(short_decoding(found.decoding.scores))
        pages = sorted(out.glob("*.html"))
        self.report_file = pages[0] if pages else None
        self.report_button.setEnabled(bool(pages))
        self.tabs.setCurrentIndex(3)
        self._done_text = f"Decoded; the report is in {out}."

    def _open_report(self) -> None:
        if self.report_file is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.report_file)))

    # --- save and open again

    def save(self) -> bool:
        """Write annotations and results as they are now, in the background; returns whether it started."""
        found = self.opened
        if found is None:
            self.say("There is no recording to save anything of.")
            return False
        folder = self.chosen_folder()
        if folder is None:
            return False
        self.editor.settle()
        drawn = [layer for layer in self.mark_layers if layer is not None]
        edited = any(record_of(layer).get("edited") for layer in drawn)
        made = found.provenance or stored_provenance({}, found.image.source)
        job = Saving(
            found.image, self.all_marks(), dict(found.signals), dict(found.tables), made, edited, folder,
            FORMATS[self.format.currentText()],
        )  # fmt: skip
        return self.start_saving(found.name, partial(save, job), drawn, "your annotations are")

    def _browse_results(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Choose a folder of results", self.folder.text())
        if path:
            self.open_results(path)

    def open_results(self, folder: str | Path) -> bool:
        """Show what was saved of this recording before; returns whether it started."""
        found = self.opened
        if found is None:
            self.say("Open the recording first.")
            return False
        return self.start(f"Opening {folder}", partial(reopen, Path(folder)), partial(self._show_reopened, found))

    def _show_reopened(self, found: OpenRecording, saved: Reopened) -> None:
        found.provenance = saved.provenance
        record = {"provenance": saved.provenance.to_json(), "result": secrets.token_hex(8)}
        with self.quietly():
            found.show_parts(
                self.viewer, {k: saved.signals[k] for k in reversed(SIGNALS) if k in saved.signals}, record
            )
        if saved.marks is not None:
            self.show_marks_of_file(saved.marks, "annotations")
        self._keep_tables(found, saved.tables)
        self._on_layers()
        parts = [*saved.signals, *([] if saved.marks is None else [f"{len(saved.marks)} annotations"])]
        self._done_text = f"Opened {', '.join(parts)} from {saved.folder}."

    def _browse_annotations(self) -> None:
        pattern = "Annotations (*-annot.fif *_annot.fif *.csv *.tsv *.txt *.edf *.vmrk);;All files (*)"
        path, _ = QFileDialog.getOpenFileName(self, "Open annotations", "", pattern)
        if path:
            self.open_annotations(path)

    def open_annotations(self, path: str | Path) -> bool:
        """Show the annotations of a file beside those that are there; returns whether it could."""
        from workbench.recording.data.write import read_marks

        try:
            marks = read_marks(path)
        except WorkbenchError as error:
            self.say(report(error))
            return False
        self.show_marks_of_file(marks, Path(path).stem)
        self.say(f"{len(marks)} annotations of {Path(path).name}.")
        return True

    def show_marks_of_file(self, marks: Marks, part: str) -> None:
        """A layer of annotations from a file; layers that hold nothing else make room for it."""
        assert self.opened is not None
        read = set(marks)
        for layer in self.mark_layers:
            if layer is not None and not record_of(layer).get("edited") and set(marks_of(layer)) <= read:
                self.viewer.layers.remove(layer)
        layer = self.add_marks_layer(self.opened, Marks(tuple(ordered(marks))), part)
        self._fill_marks()
        index = next((n for n in range(self.marks_choice.count()) if self.marks_choice.itemData(n)() is layer), 0)
        self.marks_choice.setCurrentIndex(index)

    # --- elsewhere

    def open_in_mne(self) -> None:
        """The recording with its annotations in mne-qt-browser."""
        found = self.opened
        if found is None or not self._has_browser:
            self.say(self.browser_button.toolTip())
            return
        try:
            import mne

            from workbench.recording.data.recording import as_annotations, open_recording

            raw = open_recording(found.read_again()).raw()
            raw.set_annotations(as_annotations(Marks(tuple(self.all_marks()))))
            with mne.viz.use_browser_backend("qt"):
                # MNE knows no usual size of parcel time courses.
                scalings = {"misc": found.main.reach(range(len(found.main.rows)))}
                self._browser = raw.plot(block=False, show=True, scalings=scalings, verbose="ERROR")
        except Exception as error:  # a program of its own: whatever goes wrong in it must not take this one along
            self.say(report(error))


def spectra_of(found: OpenRecording, made: Any) -> tuple[dict[str, Any], str]:
    """Power spectra of generated signals and of the recording they imitate, in one unit; nothing where they differ."""
    from workbench.recording.evaluate.spectra import psd
    from workbench_napari.recording.blocks import signals_block

    if not isinstance(made, Signals):
        return {}, ""
    block = signals_block(made, "generated", "")
    spectra = {}
    try:
        spectra["generated"] = psd(block.read(0, block.samples), block.rate)
        rows = [found.sensors.rows.index(name) for name in block.rows if name in found.sensors.rows]
        if len(rows) == len(block.rows):
            stop = min(found.sensors.samples, round(_PSD_SECONDS * found.sensors.rate))
            spectra["real"] = psd(found.sensors.read(0, stop, rows), found.sensors.rate)
    except WorkbenchError:
        pass  # too short for a spectrum; the signals themselves are there
    return dict(sorted(spectra.items(), reverse=True)), block.unit


def describe_weights(value: str) -> str:
    """What weights expect and hold, from their header."""
    from workbench import weights

    try:
        found = weights.find(value, BACKEND)
    except WorkbenchError as error:
        reason = str(error).split("; give a weight file")[0]
        return f"{reason[:1].upper()}{reason[1:]}. Choose a weight file with the button [...]"
    meta = found.meta
    if not meta:
        return "A checkpoint of the authors, or one without a record of ours."
    net, recipe = meta.get("net") or {}, meta.get("recipe") or {}
    tokens = (net.get("gpt") or {}).get("n_tokens")
    count = len(meta.get("channels") or ()) or recipe.get("n_channels")
    parts = [f"{count} channels" if count else "any number of channels"]
    if recipe.get("sampling_rate"):
        parts.append(f"{recipe['sampling_rate']:g} Hz")
    parts.append(f"{tokens} tokens" if tokens else "a tokeniser only: no surprisal, nothing to generate")
    sessions = len(meta.get("sessions") or ())
    if sessions:
        parts.append(f"{sessions} sessions")
    title = f"{meta['title']}: " if meta.get("title") else ""
    return title + ", ".join(parts)
