"""The part of the MEG tool that shows what was computed: layers beside the recording, tables, spectra."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
from qtpy.QtCore import QObject

from workbench.core.types import Part, Provenance, Scores, Signals
from workbench.recording import SIGNALS, TABLES
from workbench_napari.recording.pages import GeneratePage, VariancePage
from workbench_napari.recording.panel import ResultGroup
from workbench_napari.recording.recording import OpenRecording
from workbench_napari.recording.shown import Shown
from workbench_napari.recording.tables import short_comparison


class Results(QObject):
    """Keeps what a run, or a folder that was saved before, gave of the recording that is shown."""

    def __init__(
        self,
        viewer: Any,
        shown: Shown,
        variance: VariancePage,
        generation: GeneratePage,
        group: ResultGroup,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._shown = viewer, shown
        self._variance, self._generation, self._group = variance, generation, group
        shown.switched.connect(self._show_tables)

    def add_signals(
        self, found: OpenRecording, parts: Mapping[str, Part], provenance: Provenance, *, at: float | None = None
    ) -> Generator[None, None, dict[str, Any]]:
        """Show the signals among some parts as layers, one in a step; returns what each layer remembers of the result.

        What was generated is put beside the recording from `at` [s] on.
        """
        record = {"provenance": provenance.to_json(), "result": secrets.token_hex(8)}
        signals = {k: p for k in reversed(SIGNALS) if isinstance(p := parts.get(k), Signals)}
        with self._shown.quietly():
            yield from found.show_parts(self._viewer, signals, record, at=at)
        return record

    def keep_tables(self, found: OpenRecording, parts: Mapping[str, Part]) -> None:
        """Keep the tables among some parts, and show them if their recording is the one that is shown."""
        found.tables |= {k: p for k in TABLES if isinstance(p := parts.get(k), Scores)}
        if self._shown.is_still(found):
            self._show_tables()

    def _show_tables(self) -> None:
        found = self._shown.opened
        self._group.show_notes(() if found is None else found.notes)
        tables = {} if found is None else found.tables
        variance, compared = tables.get("variance"), tables.get("comparison")
        self._variance.table.show_scores(variance)
        self._variance.info.setText(describe_variance(variance) or self._variance.EMPTY)
        self._generation.comparison.show_scores(None if compared is None else short_comparison(compared))
        spectra, unit = ({}, "") if found is None else found.spectra
        self._generation.psd.show_spectra(spectra, unit)


def describe_variance(variance: Scores | None) -> str:
    """The mean and the worst channel of a table of variance explained, in a line; "" of none."""
    if variance is None or not variance.rows:
        return ""
    kept = np.array([float(row[1]) for row in variance.rows])
    worst = variance.rows[int(np.nanargmin(kept))]
    return (
        f"The tokens keep {np.nanmean(kept):.1f} % of the variance on average, "
        f"least of {worst[0]} ({float(worst[1]):.1f} %)."
    )
