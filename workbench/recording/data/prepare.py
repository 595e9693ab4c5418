"""A recording as a network wants it: chosen channels, resampled, filtered, standardised; long ones in bounded memory.

Samples are read in pieces, resampled and filtered on the way (`workbench.recording.data.filters`), and kept at the new
rate: in memory, or in a temporary file when they are many. Statistics come from a second pass over that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.types import Geometry, Image, Progress, Signals, time_base
from workbench.recording.data import cleaning
from workbench.recording.data.channels import Choice, choose_channels
from workbench.recording.data.filters import Array, Resampler
from workbench.recording.data.measured import RANK_TOLERANCE
from workbench.recording.data.pieces import PIECE, Pieces, scratch
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.data.recording import Recording, made_info, open_recording

__all__ = ["Prepared", "RecordingRecipe", "prepare", "restore", "restored_signals"]


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
    keys
        By which copies and crops of the file are known again (`workbench.recording.data.content_keys`).
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
    keys: tuple[str, ...] = ()


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
    pieces = Pieces(recording, choice, recipe, resampler, progress)
    records: list[dict[str, Any]] = [{"step": "pick", "channels": len(choice.names), "how": choice.how}]
    if not resampler.is_identity:
        way = "up" if resampler.ratio < 1 else "down"
        notes.append(f"resampled {way} from {recording.rate:.6g} to {recipe.sampling_rate:g} Hz")
        records.append({"step": "resample", "from_hz": recording.rate, "to_hz": recipe.sampling_rate})
    data, good = pieces.run()
    notes += pieces.notes
    records += pieces.records
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
    made = _standardised(recording, choice, recipe, data, good, notes, records, resampler)
    return replace(made, keys=pieces.keys)


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
    return made if choice.reduce_to is None else _reduced(made, choice.reduce_to, recording.name)


def _reduced(sensors: Prepared, count: int, name: str) -> Prepared:
    """Principal components of standardised sensors, standardised again; signs are fixed by the largest weight."""
    total = np.zeros((len(sensors.channels),) * 2)
    for part in _chunks(sensors.data):
        block = sensors.data[:, part][:, sensors.good[part]]
        total += block @ block.T
    values, vectors = np.linalg.eigh(total)
    rank = int((values > RANK_TOLERANCE * values[-1]).sum())
    if rank < count:
        raise InputError(
            f"{name}: its {len(sensors.channels)} channels have rank {rank} (components were taken out, or it was "
            f"filtered in space): {count} components were asked for, {count - rank} of them would be rounding noise "
            "blown up. Use the recording as it was before, or weights for fewer components."
        )
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
    from workbench.recording.data.read import UNITS

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


def _chunks(data: Array) -> Iterator[slice]:
    step = max(1024, PIECE // (4 * max(1, data.shape[0])))
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
