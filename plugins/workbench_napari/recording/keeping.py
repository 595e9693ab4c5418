"""The part of the MEG tool that keeps: annotations and results go into a folder, and come back from one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from workbench.core.identity import identity_of
from workbench.core.types import Image, Marks, Part, Result, Signals
from workbench.recording import describe_bads, read_bads, read_results, write_channels
from workbench_napari.recording.annotating import Annotating
from workbench_napari.recording.bad_channels import STORED, BadChannels
from workbench_napari.recording.modelling import Start
from workbench_napari.recording.recording import OpenRecording, record_of
from workbench_napari.recording.results import Results
from workbench_napari.recording.shown import Shown
from workbench_napari.shared.case import Saved, save_result
from workbench_napari.shared.delivery import NotNow
from workbench_napari.shared.saving import stored_provenance
from workbench_napari.shared.worker import Work

TABLE = "channels.tsv"
"""The table of channels in a folder of results."""
Bads = tuple[str, ...] | None
"""Bad channels that were saved; ``None`` where nothing was said of them."""
StartSaving = Callable[[str, Work, Sequence[Any], str], bool]
"""Starts to write: name of what is saved, what to do in a thread, layers that are then saved, what is kept if not."""


class Keeping(QObject):
    """Saves what there is of the recording that is shown, and shows what was saved of it before.

    Signals
    -------
    said
        A line for the user.
    done
        What to say once the job has ended.
    """

    said = Signal(str)
    done = Signal(str)

    def __init__(
        self,
        shown: Shown,
        annotating: Annotating,
        results: Results,
        bad_channels: BadChannels,
        start: Start,
        start_saving: StartSaving,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._shown, self._annotating, self._results = shown, annotating, results
        self._bad_channels = bad_channels
        self._start, self._start_saving = start, start_saving

    def save(self, chosen_folder: Callable[[], Path | None], format: str) -> bool:
        """Write annotations and results as they are now, in the background; returns whether it started.

        Parameters
        ----------
        chosen_folder
            Asked for the folder only once there is something to save; without one it has said why.
        format
            As in `workbench.api.write`.
        """
        found = self._shown.opened
        if found is None:
            self.said.emit("There is no recording to save anything of.")
            return False
        folder = chosen_folder()
        if folder is None:
            return False
        parts: dict[str, Part] = {**self._annotating.parts(), **found.signals, **found.tables}
        drawn = self._annotating.layers
        made = found.provenance or stored_provenance({}, found.image.source)
        # Those of the file that is annotated are no hand work by themselves: asked are the layers, not their source.
        edited = found.given_bads is not None or any(record_of(layer).get("edited") for layer in drawn)
        details = {**made.details, "bad_channels": {"bad": list(found.bads), "file": list(found.recording.bads)}}
        notes = (*found.notes, *bads_note(found))
        result = Result(parts, found.image, replace(made, edited_by_hand=edited, notes=notes, details=details))
        work = partial(write, result, folder, format, partial(write_table, found.recording, found.bads))
        return self._start_saving(found.name, work, drawn, "your annotations and bad channels are")

    def open_results(self, folder: str | Path) -> bool:
        """Show what was saved of this recording before; returns whether it started."""
        found = self._shown.opened
        if found is None:
            self.said.emit("Open the recording first.")
            return False
        work = partial(_read, folder, found.image)
        return self._start(f"Opening {folder}", work, partial(self._show, found, Path(folder)))

    def _show(self, found: OpenRecording, folder: Path, read: tuple[Result, Bads]) -> Iterator[None]:
        saved, bads = read
        now = self._shown.still_open(found)
        if now is None:
            raise NotNow(f"{found.name} was closed: its results wait. Open it again to see them.")
        found = now
        found.provenance = saved.provenance
        yield from self._results.add_signals(found, saved.parts, saved.provenance)
        told = [key for key, part in saved.parts.items() if isinstance(part, Signals)]
        more: dict[str, Any] = {}
        if bads is not None and self._bad_channels.take_over(found, bads):
            more[STORED] = list(found.bads)
            told += [f"{len(found.bads)} bad channels"] if found.bads else []
        self._annotating.mark_layers.add_saved(found, saved, **more)
        told += [f"{len(part)} {key}" for key, part in saved.parts.items() if isinstance(part, Marks)]
        self._results.keep_tables(found, saved.parts)
        self._shown.look_around()
        self.done.emit(f"Opened {', '.join(told)} from {folder}.")


def bads_note(found: OpenRecording) -> tuple[str, ...]:
    """A line that says which channels a person marked as bad, where the notes of the run do not say just that."""
    if found.given_bads is None:
        return ()
    line = describe_bads(found.recording.bads, found.given_bads)
    return () if line in found.notes else (f"by hand in the window, {line}",)


def write_table(recording: Any, bads: Sequence[str], folder: Path) -> list[Path]:
    """The channels of a recording, and which of them are bad, as the ``channels.tsv`` of BIDS."""
    write_channels(recording, bads, folder / TABLE)
    return [folder / TABLE]


def write(
    result: Result,
    folder: Path,
    format: str,
    beside: Callable[[Path], Iterable[Path]] | None = None,
    _progress: Any = None,
) -> Saved:
    """Write a result into the folder of its recording inside `folder`; see `save_result`.

    Raises
    ------
    GeometryError
        An annotation lies outside the recording: nothing is written.
    UsageError
        The folder cannot be written to.
    """
    identity = identity_of(result.image, result.provenance.input_sha256)
    return save_result(result, folder, identity, format=format, beside=beside)


def _read(folder: str | Path, image: Image, _progress: Any) -> tuple[Result, Bads]:
    result, table = read_results(folder, image), Path(folder).expanduser() / TABLE
    return result, read_bads(table) if table.is_file() else None
