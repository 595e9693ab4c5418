"""Recordings and what was made of them as napari layers (channels x time), and annotations back, without napari.

The second axis is time in seconds: ``scale`` is ``(1, 1 / sampling rate)``, ``translate`` the start. Layers of
different sampling rates therefore lie on each other. Rows are the channels that a network would get by default (MEG,
else EEG, bad ones left out), so that tokens and surprisal align with the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.layers import KEY, LayerTuple, colormap, token
from workbench.core.types import Image, Mark, Marks, Result, Signals
from workbench.recording.preview import preview as preview

MANY = 16_000_000
"""Of recordings with more values the layer holds an overview of `COLUMNS` columns; ``step`` in its metadata says so."""
COLUMNS = 1024
_PROBES = 24
_MARKS = ("-annot.fif", "_annot.fif", "-annot.fif.gz", "_annot.fif.gz")
_LIMIT = 5.0


def to_layers(item: Image | Result, *, as_labels: bool | None = None) -> list[LayerTuple]:
    """The channels of a recording over time; of a result its signals, tokens, maps and annotations.

    The contract of the ``layers`` module of a kind; see `workbench.core.layers.to_layers`. `as_labels` means nothing.
    """
    return result_layers(item, token(item)) if isinstance(item, Result) else image_layers(item)


def updated(result: Result, layers: Mapping[str, tuple[Any, dict[str, Any]]]) -> Result:
    """The result with its annotations as the layers show them now (data and attributes by part)."""
    parts = dict(result.parts)
    for key, (data, attributes) in layers.items():
        if isinstance(parts.get(key), Marks):
            parts[key] = replace(marks_from_layer(data, attributes), name=key)
    return replace(result, parts=parts)


def attached_reader(path: Path) -> Callable[[Path], list[LayerTuple]] | None:
    """Reads annotations of MNE (``-annot.fif``) as a layer; they belong on a recording and are none themselves."""
    return _read_annotations if path.name.lower().endswith(_MARKS) else None


def _read_annotations(path: Path) -> list[LayerTuple]:
    from workbench.recording.data.marks_files import read_marks

    return [marks_layer(read_marks(path), (), {"kind": "recording", "part": path.stem}, path.stem)]


def image_layers(image: Image) -> list[LayerTuple]:
    """The channels of a recording as one image layer, each in robust standard deviations from its median.

    Bad ones are among them: whether a channel is bad is seen by looking at it.
    """
    from workbench.core.errors import InputError
    from workbench.recording.data.channels import choose_channels
    from workbench.recording.data.recipe import RecordingRecipe
    from workbench.recording.data.recording import open_recording

    recording = open_recording(image)
    try:
        numbers: Sequence[int] = choose_channels(replace(recording, bads=()), RecordingRecipe()).numbers
    except InputError:  # no brain signal in it: show what there is
        numbers = range(len(recording.channels))
    names = [recording.channels[n] for n in numbers]
    view = _View(recording, list(numbers))
    rate = recording.sampling_rate or 1.0
    record = recording_record(image) | {
        "role": "recording",
        "channels": names,
        "row_kinds": [recording.kinds[n] for n in numbers],
        "row_scale": [float(s) for s in view.scale[:, 0]],
        "sampling_rate": recording.sampling_rate,
    }
    attributes = {
        "name": image.name,
        "colormap": "RdBu_r",
        "contrast_limits": (-_LIMIT, _LIMIT),
        "rgb": False,
        **_time_attributes(rate, recording.start, record, recording.sampling_rate is not None),
    }
    if recording.n_samples * len(names) <= MANY:
        return [(view.read(0, recording.n_samples), attributes, "image"), *_own_marks(recording, image, names)]
    # Not multiscale: napari would read on the main thread whatever lies between overview and single samples.
    step, data = view.overview()
    attributes["metadata"][KEY]["step"] = step
    attributes["scale"] = (1.0, step / rate)
    attributes["translate"] = (0.0, recording.start + (step - 1) / 2 / rate)
    return [(data, attributes, "image"), *_own_marks(recording, image, names)]


def result_layers(result: Result, token: str) -> list[LayerTuple]:
    """Signals, tokens, maps and annotations of a result as layers."""
    record = recording_record(result.image) | {"provenance": result.provenance.to_json(), "result": token}
    layers: list[LayerTuple] = []
    for key, part in result.parts.items():
        if isinstance(part, Signals):
            layers.append(signals_layer(part, record | {"part": key}, f"{result.image.name} {part.name}"))
        elif isinstance(part, Marks):
            rows = next((p.channels for p in result.parts.values() if isinstance(p, Signals)), result.image.channels)
            layers.append(marks_layer(part, rows, record | {"part": key}, f"{result.image.name} {part.name}"))
    return layers


def signals_layer(part: Signals, record: Mapping[str, Any], name: str) -> LayerTuple:
    """Tokens as a labels layer, maps in robust limits, signals in robust standard deviations of each channel."""
    own = {"role": part.role, "part_name": part.name, "channels": list(part.channels), "value_unit": part.unit,
           "sampling_rate": part.sampling_rate}  # fmt: skip
    attributes: dict[str, Any] = {
        "name": name,
        "blending": "translucent_no_depth",
        "visible": False,
        **_time_attributes(part.sampling_rate, part.start, {**record, **own}),
    }
    if part.role == "tokens":
        classes = ClassTable.from_values(list(range(1, int(part.data.max(initial=0)) + 1)))
        attributes |= {"colormap": colormap(classes), "opacity": 0.9}
        return part.data, attributes, "labels"
    if part.role == "map":
        attributes |= {"colormap": "magma", "contrast_limits": robust_limits(part.data), "opacity": 0.9, "rgb": False}
        return part.data, attributes, "image"
    middle, scale = _robust(part.data[:, :: max(1, part.data.shape[1] // 20_000)])
    attributes |= {"colormap": "RdBu_r", "contrast_limits": (-_LIMIT, _LIMIT), "rgb": False}
    return ((part.data - middle) / scale).astype(np.float32), attributes, "image"


def marks_layer(marks: Marks, rows: Sequence[str], record: Mapping[str, Any], name: str = "annotations") -> LayerTuple:
    """Annotations as rectangles (row, seconds): over all rows, or from the first to the last of their channels.

    Corners of shapes are float32 in napari, so the exact times stand in the features.
    """
    attributes: dict[str, Any] = {
        "name": name,
        "edge_width": 0.0,
        "ndim": 2,
        "units": ("pixel", "s"),
        "axis_labels": ("channel", "time"),
        "metadata": {KEY: {**record, "role": "marks", "part_name": marks.name, "channels": list(rows)}},
    }
    if len(marks):  # napari takes no properties of no shapes
        attributes |= {
            "shape_type": "rectangle",
            "features": marks_features(marks),
            "feature_defaults": {"label": "annotation", "channels": "", "onset": np.nan, "duration": np.nan},
            "text": {"string": "{label}", "anchor": "upper_left", "size": 9, "color": "white"},
            "face_color": [0.9, 0.6, 0.0, 0.25],
            "edge_color": [0.9, 0.6, 0.0, 0.9],
        }
    return mark_boxes(marks, rows) or None, attributes, "shapes"


def marks_features(marks: Marks) -> dict[str, list[Any]]:
    """The table beside the rectangles: label, channels (joined by ``;``), onset and duration [s]."""
    return {
        "label": [m.label for m in marks],
        "channels": [";".join(m.channels) for m in marks],
        "onset": [float(m.onset) for m in marks],
        "duration": [float(m.duration) for m in marks],
    }


def mark_boxes(marks: Marks, rows: Sequence[str]) -> list[npt.NDArray[np.float64]]:
    """Corners ``(4, 2)`` (row, seconds) of the rectangles of annotations."""
    return [_box(m, rows) for m in marks]


def marks_from_layer(data: Sequence[npt.ArrayLike], attributes: Mapping[str, Any]) -> Marks:
    """Rectangles (or any shapes) of a layer back as annotations, in the order of their onsets.

    A shape that was neither moved nor made anew keeps its exact times and its channels; of others those channels count
    whose row it touches, and none are named where it touches nearly all of them.
    """
    record = (attributes.get("metadata") or {}).get(KEY) or {}
    rows: list[str] = list(record.get("channels") or [])
    features = attributes.get("features")
    found = []
    for number, corners in enumerate(data):
        box = np.asarray(corners, dtype=np.float64)
        low, high = box.min(axis=0), box.max(axis=0)
        label = _feature(features, "label", number)
        text = _feature(features, "channels", number)
        before = tuple(c for c in text.split(";") if c) if isinstance(text, str) else ()
        onset, duration = _times(features, number, low[1], high[1])
        mark = Mark(onset, duration, label if isinstance(label, str) and label else "annotation", before)
        kept = _box(mark, rows)
        if not np.allclose(kept[:, 0].min(), low[0]) or not np.allclose(kept[:, 0].max(), high[0]):
            touched = [c for i, c in enumerate(rows) if low[0] < i + 0.5 and high[0] > i - 0.5]
            mark = Mark(mark.onset, mark.duration, mark.label, () if len(touched) > 0.9 * len(rows) else tuple(touched))
        found.append(mark)
    return Marks(tuple(sorted(found, key=lambda m: m.onset)), str(record.get("part_name", "annotations")))


def _times(features: Any, number: int, start: float, stop: float) -> tuple[float, float]:
    """Onset and duration: as stored, unless the rectangle was moved further than float32 rounds."""
    onset, duration = (_feature(features, name, number) for name in ("onset", "duration"))
    try:
        onset, duration = float(onset), float(duration)
    except (TypeError, ValueError):
        onset = duration = np.nan
    close = 4e-7 * max(1.0, abs(start), abs(stop))
    if abs(onset - start) <= close and abs(onset + duration - stop) <= close:
        return onset, duration
    return round(start, 6), round(stop - start, 6)


def recording_record(image: Image) -> dict[str, Any]:
    """What a layer remembers of its recording: small, plain values that survive JSON."""
    return {
        "kind": "recording",
        "source": None if image.source is None else str(Path(image.source).absolute()),
        "format": image.format,
        "key": image.header.get("key"),
        "series": image.header.get("condition"),
        "name": image.name,
        "value_unit": image.value_unit,
    }


def robust_limits(data: npt.NDArray[Any]) -> tuple[float, float]:
    """1st and 99.5th percentile of a sample of the values that are numbers."""
    sample = np.asarray(data[:, :: max(1, data.shape[1] // 20_000)], dtype=np.float32)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return (0.0, 1.0)
    low, high = (float(v) for v in np.percentile(sample, (1, 99.5)))
    return (low, high) if high > low else (low, low + 1.0)


class _View:
    """The chosen channels in robust standard deviations; the statistics come from a few looks into the recording."""

    def __init__(self, recording: Any, numbers: list[int]) -> None:
        self.recording, self.numbers = recording, numbers
        n = recording.n_samples
        if n * len(numbers) <= MANY:
            sample = recording.read(0, n, numbers)
        else:
            width = min(n, 1000)
            starts = np.linspace(0, n - width, _PROBES).astype(int)
            sample = np.concatenate([recording.read(int(s), int(s) + width, numbers) for s in starts], axis=1)
        self.middle, self.scale = _robust(sample)

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        block = self.recording.read(start, stop, self.numbers)
        shown: npt.NDArray[np.float32] = ((block - self.middle) / self.scale).astype(np.float32)
        return shown

    def overview(self) -> tuple[int, npt.NDArray[np.float32]]:
        """Samples per column, and one look for each column: its value furthest from the median."""
        n = self.recording.n_samples
        step = -(-n // COLUMNS)
        columns = []
        for start in range(0, n, step):
            look = self.read(start, min(start + min(step, 32), n))
            peak = np.abs(look).argmax(axis=1)
            columns.append(look[np.arange(len(look)), peak])
        return step, np.stack(columns, axis=1)


def _own_marks(recording: Any, image: Image, rows: Sequence[str]) -> list[LayerTuple]:
    if not len(recording.marks):
        return []
    return [marks_layer(recording.marks, rows, recording_record(image), f"{image.name} annotations")]


def _robust(sample: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Median and robust standard deviation of each row ``(rows, 1)``; flat rows get 1."""
    filled = np.where(np.isfinite(sample), sample, 0)
    middle = np.median(filled, axis=1, keepdims=True)
    scale = 1.4826 * np.median(np.abs(filled - middle), axis=1, keepdims=True)
    scale = np.where(scale > 0, scale, filled.std(axis=1, keepdims=True))
    return middle.astype(np.float32), np.where(scale > 0, scale, 1).astype(np.float32)


def _time_attributes(rate: float, start: float, record: Mapping[str, Any], timed: bool = True) -> dict[str, Any]:
    return {
        "scale": (1.0, 1.0 / rate),
        "translate": (0.0, start),
        "units": ("pixel", "s" if timed else "pixel"),
        "axis_labels": ("channel", "time"),
        "metadata": {KEY: dict(record)},
    }


def _box(mark: Mark, rows: Sequence[str]) -> npt.NDArray[np.float64]:
    places = [i for i, name in enumerate(rows) if name in mark.channels] if mark.channels else []
    low, high = (min(places), max(places)) if places else (0, max(len(rows) - 1, 0))
    begin, end = mark.onset, mark.onset + mark.duration
    return np.array([[low - 0.5, begin], [low - 0.5, end], [high + 0.5, end], [high + 0.5, begin]])


def _feature(features: Any, name: str, number: int) -> Any:
    """One value of a table: a data frame of napari, or a plain mapping."""
    if features is None or name not in features:
        return None
    column = features[name]
    return column.iloc[number] if hasattr(column, "iloc") else column[number]
