"""The part of the MEG tool that decodes: how well features of the frozen model tell the trials of a study apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog

from workbench.core.errors import UsageError
from workbench_napari.recording.modelling import Start
from workbench_napari.recording.pages import DecodePage
from workbench_napari.recording.panel import ModelGroup
from workbench_napari.recording.tables import short_decoding
from workbench_napari.shared.agreement_box import AgreementBox, Asked


class Decoding(QObject):
    """Evaluates a list of cases, and shows the scores and the way to the report.

    Signals
    -------
    done
        What to say once the job has ended.
    decoded
        New scores are there.
    """

    done = Signal(str)
    decoded = Signal()

    def __init__(
        self,
        group: ModelGroup,
        page: DecodePage,
        start: Start,
        chosen_folder: Callable[[], Path | None],
        agreement: AgreementBox,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._group, self._page, self._start, self._chosen_folder = group, page, start, chosen_folder
        self._agreement, self._path = agreement, ""
        self.report_file: Path | None = None
        page.button.clicked.connect(self._browse)
        page.report_button.clicked.connect(self._open_report)

    @property
    def asked(self) -> Asked:
        """What decoding the last list again would compare: backend, weights, and the list."""
        return (*self._group.model.asked, "decode", self._path)

    def _browse(self) -> None:
        pattern = "Lists (*.csv *.jsonl);;All files (*)"
        path, _ = QFileDialog.getOpenFileName(self._page.widget, "Choose a list of cases", "", pattern)
        if path:
            self.decode(path)

    def decode(self, path: str | Path) -> bool:
        """Tell events apart by features of the model; returns whether it started."""
        folder = self._chosen_folder()
        if folder is None:
            return False
        row, self._path = self._group.model.backend, str(path)
        backend, asked, config = row.name, self.asked, row.settings_of("evaluate")
        values = {**self._group.choice(), "task": "decode", **self._agreement.values(config, asked)}
        out = folder / f"{Path(path).stem}-decode"

        def work(progress: Any) -> tuple[Any, Path]:
            import workbench as wb

            return wb.evaluate(backend, path, out=out, progress=progress, **values), out

        if not self._start(f"Decoding {Path(path).name}", work, self._show):
            return False
        self._agreement.asking(config, asked)
        return True

    def _show(self, outcome: tuple[Any, Path]) -> None:
        found, out = outcome
        if found.decoding is None:
            reasons = [*found.failures.values(), *found.notes] or ["no trials were found"]
            raise UsageError(f"nothing was decoded: {reasons[0]}")
        self._page.table.show_scores(short_decoding(found.decoding.scores))
        left_out = [f"left out: {case}: {why}" for case, why in found.failures.items()]
        self._page.notes.show_notes((*found.notes, *left_out))
        pages = sorted(out.glob("*.html"))
        self.report_file = pages[0] if pages else None
        self._page.report_button.setEnabled(bool(pages))
        self.decoded.emit()
        without = f" without {len(left_out)} recording(s), see there why" if left_out else ""
        self.done.emit(f"Decoded{without}; the report is in {out}.")

    def _open_report(self) -> None:
        if self.report_file is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.report_file)))
