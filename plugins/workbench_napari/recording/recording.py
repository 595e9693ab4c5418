"""A recording that is open in the window: its file, its blocks, and the layers that show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from workbench.core.agreement import FORCED
from workbench.core.layers import KEY
from workbench.core.types import Image, Provenance, Scores, Signals, time_base
from workbench.recording import recording_record, signals_layer
from workbench_napari.recording.blocks import KINDS, Block, part_of, sensors_block, signals_block
from workbench_napari.shared.agreement_box import notes_in

TITLES = {
    "surprisal": "Surprisal",
    "tokens": "Tokens",
    "reconstruction": "Reconstruction",
    "generated": "Generated, put beside the recording",
}
HIDDEN = ("reconstruction",)
"""Parts that are switched off at first: the traces show them better."""


class OpenRecording:
    """One recording and what was computed from it."""

    def __init__(self, image: Image, layer: Any) -> None:
        from workbench.recording import open_recording

        self.image = image
        self.recording = open_recording(image)
        self.record = recording_record(image) | {"sampling_rate": self.recording.sampling_rate}
        self.given_bads: tuple[str, ...] | None = None
        """The bad channels as a person has marked them; ``None``: as the file says."""
        self.sensors = sensors_block(self.recording)
        names = [n for n in record_of(layer).get("channels", ()) if n in self.sensors.rows] or self.sensors.rows
        self.main = part_of(self.sensors, names, "recording", "Recording")
        self.main.layer = layer
        self.parts: dict[str, Block] = {}
        self.signals: dict[str, Signals] = {}
        self.tables: dict[str, Scores] = {}
        self.spectra: tuple[dict[str, Any], str] = ({}, "")
        self.provenance: Provenance | None = None

    @classmethod
    def open(cls, layer: Any) -> OpenRecording:
        """The recording whose sensors a layer shows."""
        return cls(image_of(record_of(layer)), layer)

    def read_again(self, bads: Sequence[str] = ()) -> Image:
        """The same recording, opened a second time; if any are given, with these channels as the bad ones."""
        from workbench.recording import with_bad_channels

        return with_bad_channels(image_of(self.record), bads)

    @property
    def bads(self) -> tuple[str, ...]:
        """Names of the bad channels, in the order of the recording."""
        return self.recording.bads if self.given_bads is None else self.given_bads

    @bads.setter
    def bads(self, names: Iterable[str]) -> None:
        wanted = set(names)
        bads = tuple(name for name in self.recording.channels if name in wanted)
        self.given_bads = None if set(bads) == set(self.recording.bads) else bads

    @property
    def bads_to_give(self) -> tuple[str, ...]:
        """What to give to a run: the bad channels where a person has marked others than the file, else nothing."""
        return () if self.given_bads is None else self.given_bads or ("none",)

    @property
    def name(self) -> str:
        return self.image.name

    @property
    def key(self) -> str:
        """What its layers have in common."""
        return key_of(self.record)

    def show_parts(
        self, viewer: Any, signals: dict[str, Signals], record: dict[str, Any], *, at: float | None = None
    ) -> Iterator[None]:
        """Show what a backend gave, one part in a step; layers of an earlier run are replaced.

        What was generated has a clock of its own; it is put beside the recording, from `at` [s] on.
        """
        from napari.layers import Layer

        for key, part in signals.items():
            if key in self.parts:
                self.remove_part(viewer, key)
                yield
            shown = part
            if key == "generated":
                room = self.main.stop - part.data.shape[1] / part.sampling_rate
                start = max(self.main.start, min(self.main.start if at is None else at, room))
                shown = replace(part, geometry=time_base(part.data.shape[1], part.sampling_rate, start))
            block = signals_block(shown, key, TITLES.get(key, part.name))
            data, attributes, kind = signals_layer(
                shown_signals(shown, block), {**self.record, **record, "part": key}, f"{self.name} {key}"
            )
            attributes["visible"] = key not in HIDDEN
            made = Layer.create(data, attributes, kind)
            yield
            block.layer = viewer.add_layer(made)
            if kind == "labels":
                block.layer.editable = False
            self.parts[key], self.signals[key] = block, part
            yield

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of the results that are shown; parts of another run than the last say whose they are."""
        told = list(self.provenance.notes) if self.provenance is not None else []
        for key, block in self.parts.items():
            own = [n for n in notes_in(block.layer) if n not in told]
            told += [f"{n} ({key})" if n.startswith(FORCED) else f"{key}: {n}" for n in own]
        return tuple(told)

    def remove_part(self, viewer: Any, key: str) -> None:
        """Take a part and its layer away."""
        block = self.parts.pop(key, None)
        self.signals.pop(key, None)
        if block is not None and block.layer in viewer.layers:
            viewer.layers.remove(block.layer)

    def shown_blocks(self, viewer: Any) -> list[Block]:
        """Blocks whose layers are in the list, the recording first."""
        blocks = (self.main, *(self.parts[k] for k in TITLES if k in self.parts))
        return [b for b in blocks if b.layer is not None and b.layer in viewer.layers]

    def describe(self) -> str:
        """Channels, length, rate and filters in a line or two."""
        r, header = self.recording, self.image.header
        counts = Counter(KINDS.get(kind, kind) for kind in r.kinds)
        length = f"{r.duration:.4g} s" if r.duration < 600 else f"{r.duration / 60:.1f} min"
        parts = [", ".join(f"{n} {kind}" for kind, n in counts.items()), f"{length} at {r.rate:g} Hz"]
        if r.what == "epochs":
            parts.append(f"{len(r.segments)} epochs one after the other")
        elif r.what == "evoked":
            parts.append(f"evoked response '{header.get('condition', '')}'")
        high, low = header.get("highpass"), header.get("lowpass")
        if low and (high or low < 0.49 * r.rate):
            parts.append(f"filtered {high or 0:g} to {low:g} Hz")
        if self.bads:
            parts.append(f"bad: {', '.join(self.bads[:6])}{' …' if len(self.bads) > 6 else ''}")
        missing = len(r.channels) - len(self.main.rows)
        if missing:
            parts.append(f"the picture shows {len(self.main.rows)} channels, the list all {len(r.channels)}")
        if self.main.is_long:
            parts.append("zoom in to see every sample")
        return "; ".join(parts)


def shown_signals(part: Signals, block: Block) -> Signals:
    """Signals as a layer can hold them: of long ones, columns of several samples."""
    if not block.is_long:
        return part
    columns = block.columns(block.start, block.stop)
    data = np.asarray(columns.data, part.data.dtype)
    middle = columns.start + (columns.step - 1) / 2 / block.rate
    return replace(part, data=data, geometry=time_base(data.shape[1], block.rate / columns.step, middle))


def image_of(record: dict[str, Any]) -> Image:
    """The recording that a layer remembers."""
    import workbench as wb

    address = record["source"] if not record.get("key") else f"{record['source']}:{record['key']}"
    image, rate = wb.read(address, series=record.get("series")), record.get("sampling_rate")
    if rate and image.header.get("sampling_rate") != rate and not record.get("key"):
        return wb.read(f"{address}:{rate:g}Hz")  # the rate was part of the name
    return image


def record_of(layer: Any) -> dict[str, Any]:
    """Our own entry of a layer, empty for layers of others."""
    found: dict[str, Any] = layer.metadata.get(KEY) or {}
    return found


def key_of(record: dict[str, Any]) -> str:
    """Which recording a layer belongs to."""
    return "|".join(str(record.get(name)) for name in ("source", "key", "series"))


def is_recording(layer: Any) -> bool:
    """Whether a layer shows the channels of a recording file."""
    record = record_of(layer)
    return bool(record.get("kind") == "recording" and record.get("role") == "recording" and record.get("source"))
