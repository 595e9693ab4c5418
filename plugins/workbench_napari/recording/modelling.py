"""The part of the MEG tool that models: tokens, reconstruction and surprisal of a recording, and new signals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal

from workbench.core.errors import WorkbenchError
from workbench.core.types import Marks, Result, Signals
from workbench_napari.recording.annotating import Annotating
from workbench_napari.recording.blocks import signals_block
from workbench_napari.recording.pages import GeneratePage
from workbench_napari.recording.panel import ModelGroup
from workbench_napari.recording.psd_plot import Spectrum
from workbench_napari.recording.recording import OpenRecording
from workbench_napari.recording.results import Results
from workbench_napari.recording.shown import Shown
from workbench_napari.recording.stack import StackView
from workbench_napari.shared.agreement_box import AgreementBox, Asked
from workbench_napari.shared.delivery import NotNow
from workbench_napari.shared.following import our_choice
from workbench_napari.shared.job import Done
from workbench_napari.shared.run_text import describe_run
from workbench_napari.shared.worker import Work, report

Start = Callable[[str, Work, Done], bool]
"""Starts a job: title, what to do in a thread, what to do with its answer; whether it could start."""

_PSD_SECONDS = 120.0
_Spectra = tuple[dict[str, Spectrum], str]


class Modelling(QObject):
    """Runs the backend on the recording that is shown.

    Signals
    -------
    said
        A line for the user.
    done
        What to say once the job has ended.
    generated
        New signals are there.
    """

    said = Signal(str)
    done = Signal(str)
    generated = Signal()

    def __init__(
        self,
        viewer: Any,
        shown: Shown,
        stack: StackView,
        annotating: Annotating,
        results: Results,
        group: ModelGroup,
        page: GeneratePage,
        start: Start,
        agreement: AgreementBox,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._agreement = agreement
        self._viewer, self._shown, self._stack = viewer, shown, stack
        self._annotating, self._results = annotating, results
        self._group, self._page, self._start = group, page, start
        page.button.clicked.connect(self.generate)
        group.model.changed.connect(group.model.describe)
        group.model.describe()

    @property
    def asked(self) -> Asked:
        """What a run would compare now: backend, weights and recording."""
        found = self._shown.opened
        return (*self._group.model.asked, "" if found is None else found.key)

    def run(self) -> bool:
        """Tokens, reconstruction, surprisal and its peaks; returns whether it started."""
        return self._predict("Tokenising", self._show_result)

    def generate(self) -> bool:
        """New signals from the model, and how they compare; returns whether it started."""
        only = {"surprisal": False, "reconstruction": False}
        return self._predict("Generating from", self._show_generated, **only, **self._page.values())

    def _predict(self, title: str, show: Callable[..., Iterator[None]], **more: Any) -> bool:
        found = self._shown.opened
        if found is None:
            self.said.emit("Open a recording first.")
            return False
        backend, config, asked = self._group.model.backend.name, self._group.model.config, self.asked
        try:
            values = self._group.model.values() | {k: v for k, v in more.items() if self._group.model.asks_for(k)}
            values |= self._agreement.values(config, asked)
            given = found.bads_to_give
            by_name = bool(given) and self._group.model.asks_for("bad_channels")
            values |= {"bad_channels": given} if by_name else {}
        except WorkbenchError as error:
            self.said.emit(report(error))
            return False

        def work(progress: Any) -> tuple[Result, _Spectra]:
            import workbench as wb

            # Opened anew: the window reads the same file in threads of its own.
            # A backend without that setting gets a recording whose header says which channels are bad.
            image = found.read_again(() if by_name else given)
            result = wb.predict(backend, image, progress=progress, **values)
            return result, spectra_of(found, result.parts.get("generated"))

        if not self._start(f"{title} {found.name}", work, partial(show, found)):
            return False
        self._agreement.asking(config, asked)
        return True

    def _show_result(self, found: OpenRecording, outcome: tuple[Result, _Spectra]) -> Iterator[None]:
        result, _ = outcome
        found = self._require_open(found)
        found.provenance = result.provenance
        record = yield from self._results.add_signals(found, result.parts, result.provenance)
        peaks, more = result.parts.get("annotations"), ""
        if isinstance(peaks, Marks):
            with self._shown.quietly():
                self._annotating.mark_layers.add_peaks(found, peaks, record)
            more = f" {len(peaks)} peaks of surprisal."
            yield
        yield from self._finish(found, result, more)

    def _require_open(self, found: OpenRecording) -> OpenRecording:
        now = self._shown.still_open(found)
        if now is None:
            raise NotNow(f"{found.name} was closed while it was worked on: the result waits. Open it again to see it.")
        return now

    def _show_generated(self, found: OpenRecording, outcome: tuple[Result, _Spectra]) -> Iterator[None]:
        found = self._require_open(found)
        result, found.spectra = outcome
        found.provenance = found.provenance or result.provenance
        parts = {"generated": result.parts["generated"]}
        yield from self._results.add_signals(found, parts, result.provenance, at=round(self._stack.span[0], 2))
        yield from self._finish(found, result)
        yield
        self.generated.emit()

    def _finish(self, found: OpenRecording, result: Result, more: str = "") -> Iterator[None]:
        self._results.keep_tables(found, result.parts)
        yield
        self._shown.look_around()
        yield
        if found.main.layer in self._viewer.layers:
            with our_choice():
                self._viewer.layers.selection.active = found.main.layer
        self.done.emit(describe_run(result.provenance, more))


def spectra_of(found: OpenRecording, made: Any) -> _Spectra:
    """Power spectra of generated signals and of the recording they imitate, in one unit; nothing where they differ."""
    from workbench.recording import psd

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
