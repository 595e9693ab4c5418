"""Bad stretches, and eye and heart by independent components, on a prepared array: the numbers behind the steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.data.recording_channels import Choice
from workbench.data.recording_filters import Array
from workbench.data.recording_recipe import RecordingRecipe
from workbench.errors import InputError

WINDOW_S = 0.5
LIMIT = 5.0
_FIT_SAMPLES = 60_000


def bad_windows(
    data: Array, good: npt.NDArray[np.bool_], kinds: tuple[str, ...], rate: float, limit: float = LIMIT
) -> npt.NDArray[np.bool_]:
    """Which samples ``(T,)`` stay good: windows whose amplitude or derivative stands out count as bad.

    For every window of `WINDOW_S` and every channel the standard deviation of the signal and of its derivative is
    taken; the median over the channels of a kind, and its 95th percentile, are compared over windows by a robust
    z-score (median and median absolute deviation, in logarithms). A window is bad if any exceeds `limit`.
    """
    width = max(2, round(WINDOW_S * rate))
    count = int(data.shape[1]) // width
    keep = np.ones(data.shape[1], dtype=bool)
    if count < 4:
        return keep
    spread = np.empty((2, data.shape[0], count), np.float32)
    for w in range(count):
        block = data[:, w * width : (w + 1) * width]
        spread[0, :, w] = block.std(axis=1)
        spread[1, :, w] = np.diff(block, axis=1).std(axis=1)
    whole = np.add.reduceat(good[: count * width], np.arange(0, count * width, width)) > width // 2
    if whole.sum() < 4:
        return keep
    bad = np.zeros(count, dtype=bool)
    for kind in set(kinds):
        rows = [i for i, k in enumerate(kinds) if k == kind]
        logs = np.log(np.maximum(spread[:, rows], np.finfo(np.float32).tiny))
        for measure in logs:
            for level in (np.median(measure, axis=0), np.percentile(measure, 95, axis=0)):
                middle = np.median(level[whole])
                deviation = 1.4826 * np.median(np.abs(level[whole] - middle))
                # Very even recordings have next to no deviation: 5 % at least, so that nothing normal stands out.
                bad |= level > middle + limit * max(float(deviation), 0.05)
    for at in np.flatnonzero(bad) * width:
        keep[at : at + width] = False
    return keep


def remove_by_ica(
    data: Array,
    helpers: Array,
    choice: Choice,
    good: npt.NDArray[np.bool_],
    recipe: RecordingRecipe,
    info: Any,
) -> tuple[dict[str, Any], str]:
    """Take out of `data`, in place, the independent components that go with the eye and heart channels."""
    import mne

    from workbench.data.recording_steps import correlated_components, fit_ica

    if not len(helpers):
        wanted = " or ".join(recipe.ica)
        raise InputError(f"ica: the recording has no {wanted} channel to compare components with. Leave the step out.")
    where = np.flatnonzero(good)
    where = where[:: max(1, len(where) // _FIT_SAMPLES)]
    if info is not None:
        sensors = mne.pick_info(info, list(choice.numbers), copy=True, verbose="ERROR")
        with sensors._unlock():
            sensors["sfreq"] = recipe.sampling_rate
            sensors["highpass"] = max(float(sensors["highpass"]), 1.0)
            sensors["bads"] = []
    else:
        sensors = mne.create_info(list(choice.names), recipe.sampling_rate, "mag", verbose="ERROR")
    sample = np.asarray(data[:, where], dtype=np.float64)
    ica = fit_ica(mne.io.RawArray(sample, sensors, verbose="ERROR"))
    sources = ica.get_sources(mne.io.RawArray(sample, sensors, verbose="ERROR")).get_data()
    exclude = correlated_components(sources, np.asarray(helpers[:, where], dtype=np.float64))
    operator = component_operator(ica, exclude, sensors)
    mean = sample.mean(axis=1, keepdims=True).astype(np.float32)
    step = max(1024, 16 * 1024**2 // (4 * data.shape[0]))
    for start in range(0, data.shape[1], step):
        block = data[:, start : start + step]
        data[:, start : start + step] = operator @ (block - mean) + mean
    record = {"step": "ica", "components": int(ica.n_components_), "removed": exclude, "against": list(recipe.ica)}
    kinds = "/".join(recipe.ica)
    said = f"{len(exclude)} of {ica.n_components_} independent components went with {kinds} and were removed"
    return record, said


def component_operator(ica: Any, exclude: list[int], info: Any) -> Array:
    """The matrix ``(C, C)`` by which MNE's `ICA.apply` changes a signal without its mean."""
    import mne

    count = len(info["ch_names"])
    # ICA.apply is linear up to a constant: apply it to the unit vectors and to nothing.
    probe = np.concatenate([np.zeros((count, 1)), np.eye(count)], axis=1)
    # MNE wants values of a usual size here, nothing else depends on it.
    raw = ica.apply(mne.io.RawArray(probe, info.copy(), verbose="ERROR"), exclude=exclude, verbose="ERROR")
    out = raw.get_data()
    operator: Array = (out[:, 1:] - out[:, :1]).astype(np.float32)
    return operator


def runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches ``(start, stop)`` of a mask that are true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
