"""Work is never lost: every hand edit of labels, shapes or points reaches the recovery store within seconds.

Labels are kept as one compressed copy of the whole array, written by a background thread straight from the living
array, plus the boxes that changed since: those are copied on the main thread and are small. An edit during the long
write lands in a later box, so base and boxes together are exact, and painting in a 512^3 layer never waits.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QObject, QTimer, Signal

from workbench.core.errors import WorkbenchError, one_line, reading
from workbench.core.layers import KEY
from workbench_napari.shared import recovery_store as store_files
from workbench_napari.shared.edit_boxes import NEVER, box_of, history_of, is_step, merge_boxes, step_of
from workbench_napari.shared.layer_record import HINT, arrays_of, edits_of, kind_of, layer_tuple, record_of
from workbench_napari.shared.recovery_store import Box, Entry, Store
from workbench_napari.shared.window import main_window, unwrap

DELAY_MS = 1000
"""From the first edit to the start of writing."""

_MANY_DELTAS = 40
_SMALL_BASE = 20 << 20

_journals: dict[int, Journal] = {}


def journal_of(viewer: Any) -> Journal:
    """The journal of a viewer; it starts with the first call and ends with the viewer's window."""
    viewer = unwrap(viewer)
    found = _journals.get(id(viewer))
    if found is None or found._viewer() is not viewer:
        found = _journals[id(viewer)] = Journal(viewer)
    return found


def saved_data(data: Any) -> None:
    """Tell the journals that the layer which shows this very array was saved completely."""
    for journal in list(_journals.values()):
        for layer in journal.layers():
            if layer.data is data:
                journal.saved(layer)


def _end(key: int, pool: ThreadPoolExecutor, _window: Any = None) -> None:
    """The window is gone and its journal with it; what was submitted is still written."""
    journal = _journals.get(key)
    if journal is not None and journal._pool is pool:
        del _journals[key]
    pool.shutdown(wait=True)


class _Track:
    """What is known about one layer that can be edited."""

    def __init__(self, layer: Any, folder: Path) -> None:
        self.layer = weakref.ref(layer)
        self.folder = folder
        self.kind = kind_of(layer)
        self.revision = 0
        self.saved_revision = 0
        # The step of the edit history after which the layer is as it was opened or saved: undo may lead back there.
        self.clean = step_of(layer)
        self.boxes: list[Box] = []
        self.whole = False
        # Boxes of the brush stroke that is still going on: napari tells of it only when the button is released.
        self.staged = 0
        self.stroke: list[Box] = []
        self.history: Any = None
        self.number = 0
        self.base: str | None = None
        self.base_bytes = 0
        self.delta_bytes = 0
        self.deltas = 0
        self.connections: list[tuple[Any, Callable[..., None]]] = []


class Journal(QObject):
    """Watches the layers of one viewer and keeps their edits in a `Store`.

    Signals
    -------
    message
        One line for the user: something was dropped, or could not be kept.
    changed
        The list of entries may have changed.
    restored
        A layer was brought back: it is the one that was worked on, others of its kind are older.
    edited
        Other layers than before may be unsaved.
    """

    message = Signal(str)
    changed = Signal()
    restored = Signal(object)
    edited = Signal()

    def __init__(self, viewer: Any, store: Store | None = None) -> None:
        viewer = unwrap(viewer)
        window = main_window(viewer)
        super().__init__(window)
        self.store = store or Store()
        self._viewer = weakref.ref(viewer)
        self._key = id(viewer)
        self._tracks: dict[int, _Track] = {}
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbench-journal")
        self._pending: list[Future[None]] = []
        # Entries that were saved, or restored and kept anew: the writing thread removes them, nobody is offered them.
        self._going: set[Path] = set()
        # Entries of layers that left with unsaved edits, and how many edits those were.
        self._parted: dict[Path, int] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self.write_soon)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        for layer in viewer.layers:
            self._watch(layer)
        if window is not None:
            window.installEventFilter(self)
            window.destroyed.connect(partial(_end, self._key, self._pool))

    # --- what others ask

    def layers(self) -> list[Any]:
        """Layers under watch."""
        return [layer for t in self._tracks.values() if (layer := t.layer()) is not None]

    def revision(self, layer: Any) -> int:
        """Number of edits seen so far; take it before saving and hand it to `saved`."""
        track = self._tracks.get(id(layer))
        return track.revision if track else 0

    def is_unsaved(self, layer: Any) -> bool:
        """Whether there are edits that no successful save has covered."""
        track = self._tracks.get(id(layer))
        return bool(track and track.revision > track.saved_revision)

    def touch(self, layer: Any) -> None:
        """A person changed something about a layer that napari does not tell of: the names of its classes, say."""
        track = self._tracks.get(id(layer))
        if track is not None:
            self._on_whole(track)

    def saved(self, layer: Any, revision: int | None = None) -> None:
        """A save succeeded: forget the recovery copy, unless edits came after `revision`."""
        track = self._tracks.get(id(layer))
        if track is None:
            return
        track.saved_revision = track.revision if revision is None else revision
        if track.saved_revision < track.revision:
            track.clean = NEVER
            if track.base is None:  # undo had led back to what was saved before; that is not what is on the disk now
                track.whole = True
                self._timer.start()
            self.edited.emit()
            return
        track.clean = step_of(layer)
        track.boxes, track.whole, track.base = [], False, None
        folder, track.folder = track.folder, self.store.new_folder()
        self._going.add(folder)
        self._submit(lambda: self.store.discard(folder))
        self.edited.emit()

    def entry_of(self, layer: Any) -> Path | None:
        """The folder that keeps the edits of a layer; take it before saving and hand it to `saved_since`."""
        track = self._tracks.get(id(layer))
        return None if track is None else track.folder

    def saved_since(self, folder: Path | None, revision: int) -> None:
        """A save succeeded whose layer has left the window meanwhile: forget its copy, unless edits came after it."""
        if folder is None or self._parted.get(folder) != revision:
            return
        del self._parted[folder]
        self._going.add(folder)
        try:
            self._submit(lambda: self.store.discard(folder), then_changed=True)
        except RuntimeError:  # the window is gone, and its writing thread has ended
            self.store.discard(folder)

    def offers(self) -> list[Entry]:
        """Entries that nobody is editing: of ended processes, and of layers removed in this window."""
        editing = {t.folder for j in _journals.values() for t in j._tracks.values()} | self._going
        return [
            e
            for e in self.store.entries()
            if e.folder not in editing
            and (
                e.state == "removed" or not store_files.is_alive(e) or e.record.get("pid") == store_files.owner()["pid"]
            )
        ]

    def restore(self, entry: Entry) -> Any | None:
        """Bring an entry back as a layer, still unsaved; ``None`` if another window has taken it."""
        viewer = self._viewer()
        mine = self.store.claim(entry)
        if mine is None or viewer is None:
            self.message.emit(f"'{entry.name}' has just been taken by another window")
            self.changed.emit()
            return None
        try:
            made = _layer_of(mine)
        except WorkbenchError as error:
            self.message.emit(f"'{entry.name}' cannot be restored, and stays where it is: {one_line(error)}")
            self.changed.emit()
            return None
        layer = viewer.add_layer(made)
        track = self._tracks[id(layer)]
        old = mine.folder
        # A fresh entry replaces the old one only after it is complete on disk.
        self._on_whole(track)
        self._write_dirty()
        self._going.add(old)
        self._submit(lambda: self.store.discard(old))
        self.changed.emit()
        self.restored.emit(layer)
        return layer

    def problems(self) -> list[str]:
        """A line for each kept copy that is damaged; nothing of it is offered, and nothing removed."""
        return self.store.problems()

    def discard(self, entry: Entry) -> None:
        """Throw an offered entry away."""
        self.store.discard(entry.folder)
        self.changed.emit()

    def write_soon(self) -> None:
        """Hand all edits to the writing thread now, without waiting for it."""
        self._write_dirty()

    def flush(self, timeout: float | None = 60.0) -> None:
        """Write everything now and wait until it is on disk."""
        self._timer.stop()
        self._write_dirty()
        for future in list(self._pending):
            future.result(timeout)

    # --- watching

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Write everything when the window is about to close; the entries stay for the next start."""
        if event is not None and event.type() == QEvent.Type.Close:
            self.flush()
        return False

    def _on_inserted(self, event: Any) -> None:
        self._watch(event.value)

    def _on_removed(self, event: Any) -> None:
        track = self._tracks.get(id(event.value))
        if track is None:
            return
        self._write(track)
        self._unwatch(track)
        del self._tracks[id(event.value)]
        if track.base is not None:
            folder = track.folder
            self._parted[folder] = track.revision
            self._submit(lambda: store_files.set_state(folder, "removed"), then_changed=True)
        self.edited.emit()

    def _watch(self, layer: Any) -> None:
        kind = kind_of(layer)
        own = layer.metadata.get(KEY) or {}
        if kind is None or id(layer) in self._tracks or own.get("role") in ("tokens", HINT):
            return  # nobody's hand work; the MEG tool changes what layers of tokens hold when the view is zoomed
        track = _Track(layer, self.store.new_folder())
        self._tracks[id(layer)] = track
        if kind == "labels":
            track.history = history_of(layer)
            pairs = [
                (layer.events.paint, lambda e: self._on_paint(track, e.value)),
                (layer.events.labels_update, lambda _: self._on_stroke(track)),
                (layer.events.set_data, lambda _: self._on_refresh(track)),
                (layer.events.data, lambda _: self._on_whole(track)),
            ]
        else:
            pairs = [(e, lambda _: self._on_whole(track)) for e in (layer.events.data, layer.events.features)]
        for emitter, callback in pairs:
            emitter.connect(callback)
        track.connections = pairs

    def _unwatch(self, track: _Track) -> None:
        for emitter, callback in track.connections:
            emitter.disconnect(callback)
        track.connections = []

    def _on_paint(self, track: _Track, atoms: Any) -> None:
        """A finished step of the edit history: a stroke, a fill, a polygon."""
        fresh = list(atoms)[track.staged :]
        track.staged, track.stroke = 0, []
        layer = track.layer()
        if layer is not None:
            track.history = history_of(layer)
            self._add(track, fresh)

    def _on_stroke(self, track: _Track) -> None:
        """Part of a stroke whose button is still down."""
        staged = getattr(track.layer(), "_staged_history", ())
        fresh = list(staged)[track.staged :]
        if fresh:
            track.staged = len(staged)
            before = len(track.boxes)
            self._add(track, fresh)
            track.stroke += track.boxes[before:]

    def _on_refresh(self, track: _Track) -> None:
        """Undo, redo and an abandoned stroke only refresh the layer; they show in its history."""
        layer = track.layer()
        if layer is None:
            return
        if track.staged and not getattr(layer, "_staged_history", ()):
            track.boxes += track.stroke
            track.staged, track.stroke = 0, []
            self._edited(track)
        history = history_of(layer)
        if history is None or history == track.history:
            return
        track.history = history
        stacks = (layer._undo_history, layer._redo_history)
        self._add(track, [atom for stack in stacks if len(stack) for atom in stack[-1]])
        if is_step(layer, track.clean):
            self.saved(layer)

    def _add(self, track: _Track, atoms: list[Any]) -> None:
        for atom in atoms:
            box = box_of(atom)
            if box is None:
                track.whole = True
            else:
                track.boxes.append(box)
        self._edited(track)

    def _on_whole(self, track: _Track) -> None:
        track.whole, track.clean = True, NEVER
        self._edited(track)

    def _edited(self, track: _Track) -> None:
        track.revision += 1
        layer = track.layer()
        if layer is not None:
            mark_edited(layer)
        if not self._timer.isActive():
            self._timer.start()
        self.edited.emit()

    # --- writing

    def _write_dirty(self) -> None:
        for track in list(self._tracks.values()):
            self._write(track)

    def _write(self, track: _Track) -> None:
        layer = track.layer()
        if layer is None or not (track.whole or track.boxes):
            return
        record = record_of(layer)
        folder, track.number = track.folder, track.number + 1
        number = track.number
        boxes, track.boxes = track.boxes, []
        if track.kind == "outlines" and track.base is not None:
            # The objects themselves never change: what was said of them is written anew, and counts instead of before.
            track.whole, state, kept = False, edits_of(layer).arrays(), track.base
            self._submit(lambda: self._write_state(folder, number, kept, record, state))
            return
        heavy = track.delta_bytes > max(_SMALL_BASE, track.base_bytes) or track.deltas >= _MANY_DELTAS
        if track.whole or track.base is None or heavy or track.kind != "labels":
            track.whole, track.base = False, f"base-{number:06d}.npz"
            track.deltas = track.delta_bytes = 0
            arrays = {"data": np.asanyarray(layer.data)} if track.kind == "labels" else arrays_of(layer)
            base = track.base
            self._submit(lambda: self._write_base(track, folder, number, base, record, arrays))
            return
        merged = merge_boxes(boxes)
        copies = [np.array(layer.data[box]) for box in merged]
        track.deltas += 1
        base = track.base
        self._submit(lambda: self._write_delta(track, folder, number, base, record, merged, copies))

    def _write_base(self, track: _Track, folder: Path, number: int, base: str, record: Any, arrays: Any) -> None:
        track.base_bytes = store_files.write_arrays(folder / base, arrays)
        store_files.write_record(folder, record, base)
        store_files.drop_older(folder, number)
        editing = [t.folder for j in list(_journals.values()) for t in list(j._tracks.values())]
        for entry in self.store.trim(keep=[folder, *editing]):
            self.message.emit(
                f"The recovery store is full ({self.store.limit_bytes / 1e6:.0f} MB): its oldest copy, "
                f"'{entry.name}' of {entry.when}, was dropped"
            )

    def _write_delta(
        self, track: _Track, folder: Path, number: int, base: str, record: Any, boxes: list[Box], copies: list[Any]
    ) -> None:
        track.delta_bytes += store_files.write_delta(folder, number, boxes, copies)
        store_files.write_record(folder, record, base)

    @staticmethod
    def _write_state(folder: Path, number: int, base: str, record: Any, arrays: Any) -> None:
        store_files.write_arrays(folder / f"delta-{number:06d}.npz", arrays)
        store_files.write_record(folder, record, base)
        store_files.drop_older_deltas(folder, number)

    def _submit(self, job: Callable[[], None], *, then_changed: bool = False) -> None:
        def guarded() -> None:
            try:
                job()
                if then_changed:
                    self.changed.emit()
            except (OSError, WorkbenchError) as error:
                self.message.emit(f"Edits cannot be kept for recovery ({error}). Save your work now.")

        self._pending = [f for f in self._pending if not f.done()]
        self._pending.append(self._pool.submit(guarded))


def _layer_of(entry: Entry) -> Any:
    """The layer that an entry keeps.

    Raises
    ------
    InputError
        The arrays are damaged, or the record does not fit them.
    """
    from napari.layers import Layer

    if entry.kind == "labels":
        arrays = {"data": store_files.read_array(entry)}
    else:
        arrays = store_files.read_arrays(entry.folder / str(entry.record["base"]))
        if entry.kind == "outlines" and (latest := store_files.latest_delta(entry)) is not None:
            arrays |= store_files.read_arrays(latest)
    # What is looked up here are the fields of a file that anybody may have changed.
    with reading(entry.folder, "the record does not fit the kept arrays"):
        data, attributes, kind = layer_tuple(entry.record, arrays)
        return Layer.create(data, attributes, kind)


def mark_edited(layer: Any) -> None:
    """Note in the layer's own metadata that a person changed it; provenance will say so."""
    own = layer.metadata.get(KEY)
    if own is None:
        own = layer.metadata[KEY] = {}
    own["edited"] = True
