"""Which result the tool shows, and its numbers, which follow what a person edits."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from workbench.core import registry
from workbench.core.errors import WorkbenchError, one_line
from workbench.core.layers import KEY
from workbench.core.object_layers import new_outline
from workbench.core.types import Image, Result
from workbench_napari.general.restored import is_whole, outline_of, read_image, restored
from workbench_napari.general.results import State, corrected, summary
from workbench_napari.shared.agreement_box import notes_in
from workbench_napari.shared.journal import Journal
from workbench_napari.shared.latest_work import LatestWork
from workbench_napari.shared.saving import unread_state

DELAY_MS = 400
"""From the last edit to new numbers."""
LIVE_OBJECTS = 3000
"""With more objects the numbers follow when the result is saved: the window would stand still at every edit."""
LIVE_OUTLINES = 20_000
"""The same for outlines that are painted from arrays."""
LIVE_PIXELS = 8 << 20
"""The same for the pixels of label maps."""

_LATER = "Edited since: the numbers follow when you save."


class ShownResult(QObject):
    """Keeps the results of this session and says which one is shown: of the layer that was chosen last.

    A result whose layers were brought back after a crash is made again from them and the file of its image.

    Parameters
    ----------
    kind
        Results of this kind of data alone; "" takes all.
    describe
        Says sizes and numbers of a result, as `workbench_napari.general.results.summary` does.

    Signals
    -------
    changed
        Another result is shown, or none.
    counted
        Its numbers as text.
    showing
        The result as it is now, with tables that fit what was edited; ``None`` where they are still to come.
    """

    changed = Signal()
    counted = Signal(str)
    showing = Signal(object)

    def __init__(
        self,
        viewer: Any,
        journal: Journal,
        parent: QObject | None = None,
        kind: str = "",
        describe: Callable[[Result, Result], str] = summary,
    ) -> None:
        super().__init__(parent)
        self._kind, self._describe = kind, describe
        self._viewer, self._journal = viewer, journal
        self._results: dict[str, Result] = {}
        self._images: dict[str, Image] = {}
        self._where: dict[str, tuple[Any, Any]] = {}
        self._state: tuple[Any, ...] = ()
        self._text = ""
        self._wires: dict[int, tuple[Any, list[tuple[Any, Callable[..., Any]]]]] = {}
        self._is_adding = False
        self.token = ""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self.count)
        self._counting = LatestWork(self)
        self._counting.arrived.connect(self._on_counted)
        self._counting.failed.connect(self._on_failed)
        self.on_layers()

    # --- which one

    def adding(self, token: str, result: Result, image_layer: Any, layers: int) -> None:
        """A result was just made; so many layers of it are added now, and `show` is called when they are there."""
        self._results[token] = result
        self._where[token] = (weakref.ref(image_layer), bool(layers))
        self._is_adding = True

    def extend(self, result: Result) -> None:
        """The result that is shown has other parts from now on; their layers are added and removed by who says so."""
        self._results[self.token] = result
        self._state = ()

    def show(self, token: str) -> None:
        """Show this result, or with "" none."""
        self._is_adding = False
        if token != self.token:
            self.token, self._state, self._text = token, (), ""
            self.changed.emit()
        self.count()

    def show_of(self, image_layer: Any) -> None:
        """Show the latest result of an image, or none if it has none."""
        own = _record(image_layer) if image_layer is not None else {}
        found = [t for t in (*self._results, *self._strangers()) if own and self._is_there(t) and self._is_of(t, own)]
        self.show(self.token if self.token in found else found[-1] if found else "")

    def on_active(self, _event: Any = None) -> None:
        """A person chose a layer in napari's list: its result is meant."""
        layer = self._viewer.layers.selection.active
        if layer is not None and not self._is_adding:
            self.show_with(layer)

    def knows(self, layer: Any) -> bool:
        """Whether a layer belongs to a result that can be shown and saved."""
        token = str(_record(layer).get("result") or "")
        return bool(token) and (token in self._results or (is_whole(_record(layer)) and self._takes(_record(layer))))

    def show_with(self, layer: Any) -> None:
        """Show the result that a layer belongs to, if there is one."""
        if self.knows(layer) and (token := str(_record(layer)["result"])) != self.token:
            self.show(token)

    def on_layers(self) -> None:
        """Layers came or went."""
        here = {id(layer): layer for layer in self._viewer.layers if _record(layer).get("result")}
        for key in [k for k in self._wires if k not in here]:
            self._unwire(key)
        for key, layer in here.items():
            if key not in self._wires:
                self._wire(layer)
        if self._is_adding:
            return
        if not self.token:
            found = [t for t in self._strangers() if t not in self._results]
            if found:
                self.show(found[-1])
        elif not self._is_there(self.token):
            self.show("")
        self._timer.start()

    def let_go(self) -> None:
        """Let go of all layers."""
        self._timer.stop()
        self._counting.close()
        for key in list(self._wires):
            self._unwire(key)

    @property
    def is_adding(self) -> bool:
        """Whether layers of a result are being added: what napari makes active then, no person has chosen."""
        return self._is_adding

    # --- what it is now

    @property
    def kind(self) -> str:
        """Kind of data of what is shown, or ""."""
        if self.token in self._results:
            return self._results[self.token].image.kind
        layers = self.layers()
        return str(_record(layers[0])["kind"]) if layers else ""

    @property
    def made(self) -> Result | None:
        """What is shown as the backend made it; ``None`` where it was brought back after a crash, or nothing is."""
        return self._results.get(self.token)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of the run that made what is shown."""
        made = self._results.get(self.token)
        if made is not None:
            return made.provenance.notes
        layers = self.layers() if self.token else []
        return notes_in(layers[0]) if layers else ()

    def layers(self, token: str | None = None) -> list[Any]:
        """The layers of the result that count: of each part the first, a duplicate stands behind its model."""
        found: dict[str, Any] = {}
        for layer in self._viewer.layers:
            own = _record(layer)
            if own.get("result") == (self.token if token is None else token) and own.get("result"):
                found.setdefault(str(own.get("part", id(layer))), layer)
        return list(found.values())

    def now(self) -> tuple[Result, Result, list[str]]:
        """The result as its layers show it, as it was made, and names of parts that a restored result lacks.

        Raises
        ------
        WorkbenchError
            The layers cannot be turned back, or the file of a restored result is gone.
        """
        return self._now_of(self.token, [_state(layer) for layer in self.layers()])

    def _now_of(self, token: str, states: list[State]) -> tuple[Result, Result, list[str]]:
        """`now` of a moment ago, whatever is chosen or edited since."""
        made = self._results.get(token)
        if made is not None:
            return corrected(made, states), made, []
        if token not in self._images:
            self._images[token] = read_image(states[0][1]["metadata"][KEY])
        outline, missing = outline_of(self._images[token], states)
        now = restored(outline, states)
        # What lines mean is made again from them.
        return now, outline, [key for key in missing if key not in now.parts]

    def count(self) -> None:
        """Count anew if anything was edited since, in a thread; a large result only when it is saved."""
        self._timer.stop()
        layers = self.layers()
        state = (self.token, *((id(x), self._journal.revision(x)) for x in layers))
        if state == self._state:
            return
        self._state = state
        self._counting.forget()
        made = self._results.get(self.token)
        if not self.token:
            self._say("")
        elif made is not None and not any(_record(layer).get("edited") for layer in layers):
            self.counted_as(made, made, [])
        elif any(_is_large(layer) for layer in layers):
            head = self._text.removesuffix(f"\n{_LATER}") if self._text else self._title()
            self._say(f"{head}\n{_LATER}")
        else:
            states = [_state(layer) for layer in layers]
            token = self.token
            self._counting.ask(state, lambda _stop: self._now_of(token, states))

    def _on_counted(self, state: Any, numbers: tuple[Result, Result, list[str]]) -> None:
        # Of what was edited since then, new numbers follow.
        if state[0] == self.token:
            self._tell(*numbers)

    def _on_failed(self, error: Exception) -> None:
        # A stranger's kind may do anything; the numbers must not take the window down.
        known = "" if isinstance(error, WorkbenchError) else f"{type(error).__name__}: "
        self._say(f"{self._title()}\n{known}{one_line(error)}")

    def counted_as(self, now: Result, made: Result, missing: list[str]) -> None:
        """Say the numbers of what the layers show at this moment."""
        self._counting.forget()
        self._state = (self.token, *((id(x), self._journal.revision(x)) for x in self.layers()))
        self._tell(now, made, missing)

    def _tell(self, now: Result, made: Result, missing: list[str]) -> None:
        lines = [self._title(), self._describe(now, made)]
        if missing:
            lines.append(f"Restored without {', '.join(missing)}: only what was edited is kept. Run again for it.")
        self._say("\n".join(line for line in lines if line))
        self.showing.emit(now)

    def _say(self, text: str) -> None:
        self._text = text
        self.counted.emit(text)

    def _title(self) -> str:
        layers = self.layers()
        own = _record(layers[0]) if layers else {}
        made = self._results.get(self.token)
        backend = made.provenance.backend if made is not None else str((own.get("provenance") or {}).get("backend"))
        row = registry.backends().get(backend)
        name = made.image.name if made is not None else str(own.get("name") or "")
        return ", ".join(word for word in (name, backend if row is None else row.title) if word)

    # --- layers

    def _strangers(self) -> list[str]:
        """Results that this tool did not make but can make again from their layers."""
        found = (_record(layer) for layer in self._viewer.layers)
        return list(dict.fromkeys(str(own["result"]) for own in found if is_whole(own) and self._takes(own)))

    def _takes(self, own: dict[str, Any]) -> bool:
        return self._kind in ("", own.get("kind"))

    def _is_there(self, token: str) -> bool:
        """Whether any layer of it is left; of one without layers, whether its image is."""
        if self.layers(token):
            return True
        image_layer, had_layers = self._where.get(token, (lambda: None, True))
        return not had_layers and image_layer() in self._viewer.layers

    def _is_of(self, token: str, own: dict[str, Any]) -> bool:
        layers = self.layers(token)
        image_layer, _ = self._where.get(token, (lambda: None, True))
        other = _record(layers[0]) if layers else _record(image_layer()) if image_layer() is not None else {}
        return all(other.get(key) == own.get(key) for key in ("source", "kind", "series", "key"))

    def _wire(self, layer: Any) -> None:
        names = ("data", "features", "paint", "labels_update", "set_data")
        pairs: list[tuple[Any, Callable[..., Any]]] = [
            (emitter, self._on_edit) for name in names if (emitter := getattr(layer.events, name, None)) is not None
        ]
        if _record(layer).get("role") == "objects":
            pairs.append((layer.events.data, _before_outline))
        for emitter, callback in pairs:
            emitter.connect(callback)
        self._wires[id(layer)] = (layer, pairs)

    def _unwire(self, key: int) -> None:
        _, pairs = self._wires.pop(key)
        for emitter, callback in pairs:
            emitter.disconnect(callback)

    def _on_edit(self, _event: Any = None) -> None:
        self._timer.start()


def _before_outline(event: Any) -> None:
    """An outline is about to be added: it has nothing of the others, whatever napari has made the default meanwhile."""
    action = getattr(event, "action", None)
    if str(getattr(action, "value", action)) == "adding":
        layer = event.source
        layer.feature_defaults = new_outline(layer.features, _record(layer))


def _record(layer: Any) -> dict[str, Any]:
    own = layer.metadata.get(KEY)
    return own if isinstance(own, dict) else {}


def _state(layer: Any) -> State:
    if getattr(layer, "multiscale", False):
        return unread_state(layer)
    data, attributes, _ = layer.as_layer_data_tuple()
    return data, dict(attributes)


def _is_large(layer: Any) -> bool:
    if _record(layer).get("role") == "objects":
        return len(layer.data) > LIVE_OBJECTS
    if _record(layer).get("role") == "outlines":
        return int(_record(layer).get("count", 0)) > LIVE_OUTLINES
    return bool(_record(layer).get("holds") == "Labels" and layer.data.size > LIVE_PIXELS)
