"""Open one file in a viewer, as people who name it to us mean it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from workbench.core import kinds
from workbench.core.errors import WorkbenchError
from workbench.core.layers import LayerTuple
from workbench_napari.shared import engines
from workbench_napari.shared.job import Job
from workbench_napari.shared.painting_later import is_to_be_painted, painted_later
from workbench_napari.shared.reader import get_reader, read
from workbench_napari.shared.room import require_room, shown_in
from workbench_napari.shared.worker import report, runner_of

PLUGIN = "napari-workbench"
_POLL_MS = 15


def open_path(viewer: Any, path: str | Path, widget: Any, kind: str | None = None) -> None:
    """Open one file in a viewer; what goes wrong is said in the tool and as a notification."""
    import workbench as wb

    try:
        file, key = wb.split_address(path)
        if kind is not None or key is not None or (file.exists() and not _comes_to_us(file)):
            # Not through napari: whoever names a file here means us, `file.mat:key` is no file name, napari knows the
            # suffixes of third parties' kinds by their own manifests only, and does not say why nothing can be opened.
            from napari.layers import Layer

            for item in read(str(path), kind=kind):
                layer = Layer.create(*item)
                require_room(viewer, layer)
                viewer.add_layer(layer)
        else:
            with shown_in(viewer):
                viewer.open(str(Path(path).expanduser()), plugin=PLUGIN)
    except Exception as error:
        widget.say(_why_not(path, error))


@dataclass(frozen=True, eq=False)
class _Asked:
    """One thing to open: what it is, who reads it, and what is said where that fails."""

    key: str
    job: Job
    why_not: Callable[[Any], str]


class Opening(QObject):
    """Opens files and samples while the window goes on: they are read in a thread, and shown a layer at a time.

    What is being read outlives the tool that asked for it, but not the window.

    Signals
    -------
    said
        A line for people.
    outdated
        A line that is not true any more.
    """

    said = Signal(str)
    outdated = Signal(str)

    def __init__(self, viewer: Any, kind: str) -> None:
        super().__init__()
        self._viewer, self._kind = weakref.ref(viewer), kind
        self._runner = runner_of(viewer)
        self._waiting: list[_Asked] = []
        self._steps: Iterator[None] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)

    @property
    def is_busy(self) -> bool:
        """Whether something is still being opened."""
        return bool(self._waiting)

    def open_path(self, path: str | Path, kind: str | None = None) -> None:
        """Open a file, as that kind of data where one is named; what goes wrong is said, and a notification."""
        file = str(Path(path).expanduser())
        self._open(file, partial(read, file, kind=kind), partial(_why_not, file), path=file, reader_plugin=PLUGIN)

    def open_sample(self, key: str) -> None:
        """Open a sample of the plugin."""
        self._open(key, partial(_sample, key), report, sample=(PLUGIN, key))

    def _open(
        self, key: str, work: Callable[[], list[LayerTuple]], why_not: Callable[[Any], str], **source: Any
    ) -> None:
        if any(key == asked.key for asked in self._waiting):
            return  # the second half of a double click
        kind = self._kind

        def reading(_progress: Any) -> list[LayerTuple]:
            engines.prepare_opening(kind)
            return work()

        job = Job(f"Opening {Path(key).name}", reading, partial(self._show, source))
        self._waiting.append(_Asked(key, job, why_not))
        _going.add(self)
        if len(self._waiting) == 1:
            self._begin()

    def _begin(self) -> None:
        job = self._waiting[0].job
        job.start()
        self._timer.start()
        self.said.emit(f"{job.title}...")

    def _poll(self) -> None:
        """Take what was read, or show the next layer of it."""
        asked = self._waiting[0]
        job = asked.job
        if self._runner.is_closed:
            self._waiting.clear()
            self._end(job)
        elif job.outcome is not None and not is_to_be_painted(self._viewer()):
            how, value = job.outcome
            if how == "failed":
                self._end(job)
                self.said.emit(asked.why_not(value))
                return
            try:
                if self._steps is None:
                    self._steps = iter(job.done(value) or ())
                with painted_later(self._viewer()):
                    next(self._steps)
            except StopIteration:
                self._end(job)
            except Exception as error:
                self._end(job)
                self.said.emit(asked.why_not(error))

    def _end(self, job: Job) -> None:
        self._timer.stop()
        self._steps = None
        self.outdated.emit(f"{job.title}...")
        self._waiting = self._waiting[1:]
        if self._waiting:
            self._begin()
        else:
            _going.discard(self)

    def _show(self, source: dict[str, Any], items: list[LayerTuple]) -> Iterator[None]:
        from napari.layers import Layer

        engines.give_units()
        for item in items:
            with _source_of(source):
                layer = Layer.create(*item)
            yield
            viewer = self._viewer()
            if viewer is None or self._runner.is_closed:
                return
            require_room(viewer, layer)
            viewer.add_layer(layer)
            yield


_going: set[Opening] = set()
"""Nobody else may hold them until what they read is shown."""


def _why_not(path: str | Path, error: Exception) -> str:
    """Report why a file cannot be opened; returns the line to say."""
    if isinstance(error, WorkbenchError):
        return report(WorkbenchError(str(error)))
    if isinstance(error, FileNotFoundError | ValueError):
        return report(WorkbenchError(f"{path}: cannot be opened ({error})"))
    # A fault of ours or of a stranger's kind; the other files still open.
    return f"{path}: {report(error)}"


def _sample(key: str) -> list[LayerTuple]:
    """The layers of a sample of ours, as its row in the manifest names them."""
    from npe2 import PluginManager

    rows = PluginManager.instance().get_manifest(PLUGIN).contributions.sample_data or []
    row = next((row for row in rows if row.key == key), None)
    if row is None:
        raise LookupError(f"the plugin has no sample '{key}'")
    found: list[LayerTuple] = list(row.open())
    return found


def _source_of(source: dict[str, Any]) -> AbstractContextManager[Any]:
    """Layers that are made meanwhile remember what they were opened from, where this napari can be told."""
    try:
        from napari.layers._source import layer_source
    except ImportError:
        return nullcontext()
    made: AbstractContextManager[Any] = layer_source(**source)
    return made


def _comes_to_us(file: Path) -> bool:
    """Whether napari would come to our reader with a file or a folder, and our reader would take it."""
    named = [row for row in kinds.kinds().values() if row.suffix_of(file) is not None]
    return (not named or any(row in kinds.BUILT_IN for row in named)) and get_reader(str(file)) is not None
