"""A recording as a network wants it: chosen channels, resampled, filtered, standardised; long ones in bounded memory.

Samples are read in pieces, resampled and filtered on the way (`workbench.data.recording_filters`), and kept at the new
rate: in memory, or in a temporary file when they are many. Statistics come from a second pass over that.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.data import recording_cleaning as cleaning
from workbench.data.recording import Recording, made_info, open_recording
from workbench.data.recording_channels import Choice, choose_channels
from workbench.data.recording_filters import Array, Resampler, design, filtered
from workbench.data.recording_recipe import RecordingRecipe
from workbench.errors import InputError, UsageError
from workbench.types import Geometry, Image, Progress, Signals, time_base

__all__ = ["Prepared", "RecordingRecipe", "prepare", "restore", "restored_signals"]

IN_MEMORY = 512 * 1024**2
"""Results of more bytes are kept in a temporary file."""

_PIECE = 16 * 1024**2  # bytes of one piece at the new rate


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared recording.

    Parameters
    ----------
    data
        ``(C, T)`` float32, standardised per channel; an array, or a memory map of a file that vanishes with it.
    geometry
        Time base of `data`.
    channels, kinds
        Name and MNE type of each channel (components are called ``PCA 01`` and so on, of type ``"misc"``).
    good
        ``(T,)``: false in bad stretches and where the acquisition was interrupted.
    scale, offset
        ``(C,)``: ``data * scale + offset`` has the unit of the recording (of the components, after a reduction).
    mixing
        ``(C, sensors)`` where channels were reduced: components are ``mixing @ ((sensors - offset) / scale)`` with
        `sensor_offset` and `sensor_scale`; its rows are orthonormal.
    info
        `mne.Info` of the sensors at the new rate, where there is one.
    segments
        Stretches of samples that follow each other without a break.
    notes
        What a reader of the result should know, in words.
    steps
        Names of the steps that were done, in order; `records` says each with its numbers.
    """

    data: Array
    geometry: Geometry
    channels: tuple[str, ...]
    kinds: tuple[str, ...]
    good: npt.NDArray[np.bool_]
    scale: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    mixing: npt.NDArray[np.float32] | None = None
    sensor_scale: npt.NDArray[np.float32] | None = None
    sensor_offset: npt.NDArray[np.float32] | None = None
    info: Any = None
    segments: tuple[tuple[int, int], ...] = ()
    sensors: tuple[str, ...] = ()
    sensor_kinds: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    records: tuple[dict[str, Any], ...] = ()


def prepare(
    image: Image | Signals | Recording,
    recipe: RecordingRecipe,
    *,
    allow_resample: bool = True,
    progress: Progress | None = None,
) -> Prepared:
    """Read a recording and prepare it.

    Parameters
    ----------
    image
        An image of kind ``"recording"``, signals, or an opened recording.
    recipe
        What to do.
    allow_resample
        Whether another sampling rate than the recipe's may be changed; if not, it is an error.
    progress
        Called with (done, total) in steps of pieces; an exception it raises passes through.

    Raises
    ------
    InputError
        If there are no channels of the wanted kind, their number does not fit, the sampling rate is unknown or may not
        be changed, or samples are not numbers outside bad stretches.
    """
    recording = open_recording(image)
    choice = choose_channels(recording, recipe)
    notes = list(choice.notes)
    resampler = Resampler(recording.rate, recipe.sampling_rate)
    if not resampler.is_identity and not allow_resample:
        raise InputError(
            f"{recording.name}: sampled at {recording.rate:g} Hz, {recipe.sampling_rate:g} Hz was expected and"
            " resampling was forbidden. Allow it, or resample the recording yourself."
        )
    pieces = _Pieces(recording, choice, recipe, resampler, progress)
    records: list[dict[str, Any]] = [{"step": "pick", "channels": len(choice.names), "how": choice.how}]
    if not resampler.is_identity:
        way = "up" if resampler.ratio < 1 else "down"
        notes.append(f"resampled {way} from {recording.rate:.6g} to {recipe.sampling_rate:g} Hz")
        records.append({"step": "resample", "from_hz": recording.rate, "to_hz": recipe.sampling_rate})
    notes += pieces.filter_notes
    records += pieces.filter_records
    data, good = pieces.run()
    data, extra = data[: len(choice.names)], data[len(choice.names) :]
    if recipe.bad_segments:
        found = cleaning.bad_windows(data, good, choice.kinds, recipe.sampling_rate)
        lost = int((good & ~found).sum())
        good &= found
        records.append({"step": "bad segments", "seconds": round(lost / recipe.sampling_rate, 3)})
        if lost:
            notes.append(f"{lost / recipe.sampling_rate:.4g} s look bad (amplitude or its derivative) and are left out")
    if not good.any():
        raise InputError(f"{recording.name}: no good samples are left, all {len(good)} lie in bad stretches.")
    if recipe.ica:
        record, said = cleaning.remove_by_ica(data, extra, choice, good, recipe, recording.info)
        records.append(record)
        notes.append(said)
    del extra
    return _standardised(recording, choice, recipe, data, good, notes, records, resampler)


def _standardised(
    recording: Recording,
    choice: Choice,
    recipe: RecordingRecipe,
    data: Array,
    good: npt.NDArray[np.bool_],
    notes: list[str],
    records: list[dict[str, Any]],
    resampler: Resampler,
) -> Prepared:
    count = len(choice.names)
    geometry = time_base(data.shape[1], recipe.sampling_rate, recording.start)
    segments = tuple(resampler.outputs(a, b) for a, b in recording.segments)
    info = _info(recording, choice, recipe.sampling_rate)
    scale, offset = np.ones(count, np.float32), np.zeros(count, np.float32)
    if recipe.standardise or choice.reduce_to is not None:
        offset, scale = _moments(data, good)
        flat = [n for n, s in zip(choice.names, scale, strict=True) if not s > 0]
        if flat:
            notes.append(f"{len(flat)} channel(s) are flat and stay zero: {', '.join(flat[:5])}")
            scale[~(scale > 0)] = 1
        for part in _chunks(data):
            data[:, part] -= offset[:, None]
            data[:, part] /= scale[:, None]
        records.append({"step": "standardise", "over_good_s": round(float(good.sum()) / recipe.sampling_rate, 3)})
    made = Prepared(
        data=data,
        geometry=geometry,
        channels=choice.names,
        kinds=choice.kinds,
        good=good,
        scale=scale,
        offset=offset,
        info=info,
        segments=segments,
        sensors=choice.names,
        sensor_kinds=choice.kinds,
        notes=tuple(notes),
        steps=tuple(str(r["step"]) for r in records),
        records=tuple(records),
    )
    return made if choice.reduce_to is None else _reduced(made, choice.reduce_to)


def _reduced(sensors: Prepared, count: int) -> Prepared:
    """Principal components of standardised sensors, standardised again; signs are fixed by the largest weight."""
    total = np.zeros((len(sensors.channels),) * 2)
    for part in _chunks(sensors.data):
        block = sensors.data[:, part][:, sensors.good[part]]
        total += block @ block.T
    values, vectors = np.linalg.eigh(total)
    chosen = vectors[:, ::-1][:, :count].T
    chosen = chosen * np.sign(chosen[np.arange(count), np.abs(chosen).argmax(axis=1)])[:, None]
    mixing = np.ascontiguousarray(chosen, dtype=np.float32)
    data = scratch((count, sensors.data.shape[1]))
    for part in _chunks(sensors.data):
        data[:, part] = mixing @ sensors.data[:, part]
    offset, scale = _moments(data, sensors.good)
    scale[~(scale > 0)] = 1
    for part in _chunks(data):
        data[:, part] -= offset[:, None]
        data[:, part] /= scale[:, None]
    share = float(values[::-1][:count].sum() / max(values.sum(), 1e-30))
    kept = f"{100 * share:.1f} % of variance"
    note = f"{len(sensors.channels)} channels were reduced to {count} principal components ({kept})"
    record = {"step": "pca", "from": len(sensors.channels), "to": count, "explained": round(share, 4)}
    return replace(
        sensors,
        data=data,
        channels=tuple(f"PCA {i + 1:02d}" for i in range(count)),
        kinds=("misc",) * count,
        scale=scale,
        offset=offset,
        mixing=mixing,
        sensor_scale=sensors.scale,
        sensor_offset=sensors.offset,
        notes=(*sensors.notes, note),
        steps=(*sensors.steps, "pca"),
        records=(*sensors.records, record),
    )


def restore(prepared: Prepared, data: npt.NDArray[Any]) -> Array:
    """Standardised values ``(C, n)`` back in the unit of the recording; components back to sensors ``(sensors, n)``."""
    physical = np.asarray(data, dtype=np.float32) * prepared.scale[:, None] + prepared.offset[:, None]
    if prepared.mixing is None or prepared.sensor_scale is None or prepared.sensor_offset is None:
        return physical
    sensors: Array = prepared.mixing.T @ physical
    return sensors * prepared.sensor_scale[:, None] + prepared.sensor_offset[:, None]


def restored_signals(prepared: Prepared, data: npt.NDArray[Any], name: str, *, start: float | None = None) -> Signals:
    """Standardised values ``(C, n)`` as `Signals` in the unit of the recording; components become sensors again."""
    rate = 1.0 / float(prepared.geometry.affine[0, 0]) if prepared.geometry.affine is not None else 1.0
    begin = start
    if begin is None:
        begin = 0.0 if prepared.geometry.affine is None else float(prepared.geometry.affine[0, 1])
    physical = restore(prepared, data)
    from workbench.data.recordings import UNITS

    units = {UNITS.get(k) for k in prepared.sensor_kinds}
    return Signals(
        data=physical,
        channels=prepared.sensors,
        geometry=time_base(physical.shape[1], rate, begin),
        name=name,
        unit=units.pop() if len(units) == 1 else None,
        kinds=prepared.sensor_kinds,
        native=prepared.info,
    )


class _Pieces:
    """The first pass: reads, repairs, resamples and filters, segment by segment."""

    def __init__(
        self,
        recording: Recording,
        choice: Choice,
        recipe: RecordingRecipe,
        resampler: Resampler,
        progress: Progress | None,
    ) -> None:
        self.recording, self.choice, self.recipe, self.resampler = recording, choice, recipe, resampler
        self.progress = progress
        self.picks = [*choice.numbers, *choice.helpers]
        self.filter_notes: list[str] = []
        self.filter_records: list[dict[str, Any]] = []
        self.taps = self._design()
        self.excused = _bad_stretches(recording)
        self.repaired = np.zeros(recording.n_samples, dtype=bool)

    def _design(self) -> npt.NDArray[np.float64]:
        recipe, recording, info = self.recipe, self.recording, self.recording.info
        line = None if info is None else info["line_freq"]
        first = recipe.notch
        if first == "auto":
            first = (float(line),) if line else ()
        notches = tuple(f * k for f in first or () for k in range(1, int(recipe.sampling_rate / 2 // f) + 1))
        band = recipe.band
        if band is not None and band[0] and info is not None and info["highpass"] >= band[0]:
            self.filter_notes.append(f"the recording was high-passed at {info['highpass']:g} Hz already")
            band = (None, band[1])
        shortest = min(self.resampler.count(b - a) for a, b in recording.continuous)
        taps, notes = design(recipe.sampling_rate, band, notches, shortest)
        self.filter_notes += notes
        if len(taps) > 1:
            record = {"step": "filter", "band_hz": band, "notch_hz": notches, "taps": len(taps), "left_out": notes}
            self.filter_records.append(record)
            words = [] if band is None else [f"{band[0] or 0:g} to {band[1] or recipe.sampling_rate / 2:g} Hz"]
            words += [f"without {', '.join(f'{f:g}' for f in notches)} Hz"] if notches else []
            self.filter_notes.insert(0, f"filtered: {'; '.join(words)}")
        return taps

    def run(self) -> tuple[Array, npt.NDArray[np.bool_]]:
        """All channels ``(C, T)`` at the new rate, and which samples are good."""
        total = self.resampler.count(self.recording.n_samples)
        data = scratch((len(self.picks), total))
        good = np.zeros(total, dtype=bool)
        length = max(1024, _PIECE // (4 * len(self.picks)))
        for first, last in self.recording.continuous:
            at, end = self.resampler.outputs(first, last)
            good[at:end] = True
            for block in self._segment(first, last, length):
                data[:, at : at + block.shape[1]] = block
                at += block.shape[1]
                if self.progress is not None:
                    self.progress(at, total)
        ratio = self.resampler.ratio
        for first, last in [*self.excused, *cleaning.runs(self.repaired)]:
            good[int(first / ratio) : int(np.ceil(last / ratio)) + 1] = False
        lost = float(self.repaired.sum()) / self.recording.rate
        if lost:
            self.filter_notes.append(f"{lost:.4g} s hold no numbers (NaN) and count as bad")
        return data, good

    def _segment(self, first: int, last: int, length: int) -> Iterator[Array]:
        return filtered(self.resampler.blocks(self._fetch, first, last, length), self.taps)

    def _fetch(self, start: int, stop: int) -> Array:
        block = self.recording.read(start, stop, self.picks)
        # One sum is far cheaper than looking at every sample, and is not finite if any of them is not.
        if np.isfinite(block.sum(dtype=np.float64)):
            return block
        return self._repaired(block, start)

    def _repaired(self, block: Array, start: int) -> Array:
        holes = ~np.isfinite(block)
        columns = holes.any(axis=0)
        allowed = np.zeros(columns.size, dtype=bool)
        for first, last in self.excused:
            allowed[max(0, first - start) : max(0, last - start)] = True
        rest = columns & ~allowed
        if rest.any() and not self.recipe.bad_segments:
            at = int(np.flatnonzero(rest)[0])
            channel = self.recording.channels[self.picks[int(np.flatnonzero(holes[:, at])[0])]]
            raise InputError(
                f"{self.recording.name}: channel {channel} holds NaN or infinite values from"
                f" {self.recording.start + (start + at) / self.recording.rate:.6g} s on. Annotate the stretch as bad,"
                " set bad_segments, or leave the channel out."
            )
        whole = holes.all(axis=1)
        if whole.any() and not columns.all():
            name = self.recording.channels[self.picks[int(np.flatnonzero(whole)[0])]]
            raise InputError(f"{self.recording.name}: channel {name} holds no numbers at all. Mark it as bad.")
        self.repaired[start : start + columns.size] |= columns
        out = block.copy()
        known = np.flatnonzero(~columns)
        for row in np.flatnonzero(holes.any(axis=1)):
            values = np.interp(np.flatnonzero(columns), known, block[row, known]) if known.size else 0.0
            out[row, columns] = values
        return out


def _bad_stretches(recording: Recording) -> list[tuple[int, int]]:
    """Samples of annotations that begin with ``bad``."""
    rate, found = recording.rate, []
    for mark in recording.marks:
        if mark.label.lower().startswith("bad"):
            first = int(np.floor((mark.onset - recording.start) * rate))
            last = int(np.ceil((mark.onset + mark.duration - recording.start) * rate))
            found.append((max(0, first), min(max(last, first + 1), recording.n_samples)))
    return found


def _chunks(data: Array) -> Iterator[slice]:
    step = max(1024, _PIECE // (4 * max(1, data.shape[0])))
    for start in range(0, data.shape[1], step):
        yield slice(start, min(start + step, data.shape[1]))


def _moments(data: Array, good: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Mean and standard deviation of each channel over the good samples, in two passes."""
    count = max(1, int(good.sum()))
    mean = np.zeros(data.shape[0])
    for part in _chunks(data):
        mean += data[:, part][:, good[part]].sum(axis=1, dtype=np.float64)
    mean /= count
    square = np.zeros(data.shape[0])
    for part in _chunks(data):
        block = data[:, part][:, good[part]] - mean[:, None]
        square += np.einsum("ct,ct->c", block, block)
    return mean.astype(np.float32), np.sqrt(square / count).astype(np.float32)


def _info(recording: Recording, choice: Choice, rate: float) -> Any:
    """The recording's info for the chosen channels at the new rate."""
    if recording.info is None:
        return None
    import mne

    info = mne.pick_info(recording.info, list(choice.numbers), copy=True, verbose="ERROR")
    if abs(float(info["sfreq"]) - rate) < 1e-9:
        return info
    fresh = made_info(info["ch_names"], rate, info.get_channel_types())
    with info._unlock():
        info["sfreq"] = fresh["sfreq"]
        info["lowpass"] = min(float(info["lowpass"]), rate / 2)
    return info


def scratch(shape: tuple[int, int]) -> Array:
    """An empty float32 array; a large one lies in a temporary file that vanishes with it."""
    size = 4 * shape[0] * shape[1]
    if size <= IN_MEMORY:
        return np.zeros(shape, np.float32)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < size + 2**28:
        raise UsageError(
            f"the prepared recording needs {size / 1e9:.3g} GB of temporary space, {folder} has {free / 1e9:.3g} GB."
            " Free space, or set TMPDIR to a larger disk."
        )
    handle, name = tempfile.mkstemp(prefix="workbench-", suffix=".f32")
    os.close(handle)
    array: Any = np.memmap(name, dtype=np.float32, mode="w+", shape=shape)
    try:
        os.unlink(name)  # the space is freed when the map is closed, even after a crash
    except OSError:  # Windows keeps files that are open
        weakref.finalize(array, _remove, name)
    return array  # type: ignore[no-any-return]


def _remove(name: str) -> None:
    with suppress(OSError):
        Path(name).unlink()
