"""Bad stretches, and eye and heart by independent components, on a prepared array: the numbers behind the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.recording.data.channels import Choice
from workbench.recording.data.filters import Array
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.data.recording import mne_quiet, mne_step

WINDOW_S = 0.5
LIMIT = 5.0
_FIT_SAMPLES = 60_000
ICA_COMPONENTS = 40
ICA_SEED = 97
_CORRELATION = 0.3
_Z = 3.0


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


def bad_channels(data: npt.NDArray[Any], kinds: Sequence[str], limit: float = 5.0) -> list[int]:
    """Numbers of channels that are flat or stand out in amplitude or its derivative among those of their type."""
    found = set()
    for kind in set(kinds) - {"stim", "misc", "eog", "ecg", "emg", "ref_meg"}:
        rows = np.array([i for i, k in enumerate(kinds) if k == kind])
        for spread in (data[rows].std(axis=1), np.diff(data[rows], axis=1).std(axis=1)):
            flat = spread <= 1e-6 * np.median(spread)
            found |= set(rows[flat].tolist())
            logs = np.log(np.where(flat, np.nan, spread))
            middle = np.nanmedian(logs)
            deviation = max(1.4826 * float(np.nanmedian(np.abs(logs - middle))), 0.1)
            found |= set(rows[np.abs(logs - middle) > limit * deviation].tolist())
    return sorted(found)


def fit_ica(raw: Any, components: int = ICA_COMPONENTS, seed: int = ICA_SEED) -> Any:
    """`mne.preprocessing.ICA` (FastICA, seeded) fitted to the data channels of a recording."""
    import mne
    from sklearn.exceptions import ConvergenceWarning  # noqa: F401  sklearn is what FastICA comes from

    picks = mne.pick_types(raw.info, meg=True, eeg=True, misc=False, exclude="bads")
    if not len(picks):
        raise InputError("ica: no MEG or EEG channels to decompose.")
    count = min(components, len(picks))
    with mne_quiet(), mne_step("ica"):
        # The rank is smaller than the number of channels where signal spaces were projected out.
        rank = sum(mne.compute_rank(raw, rank=None, verbose="ERROR").values())
        ica = mne.preprocessing.ICA(
            min(count, int(rank)), method="fastica", random_state=seed, max_iter=500, verbose="ERROR"
        )
        ica.fit(raw, picks=picks, verbose="ERROR")
    return ica


def correlated_components(sources: npt.NDArray[Any], helpers: npt.NDArray[Any]) -> list[int]:
    """Components whose absolute correlation with a helper channel stands out: |z| > 3 and at least 0.3."""
    found: set[int] = set()
    for helper in helpers:
        both = np.corrcoef(np.concatenate([sources, helper[None]]))[-1, :-1]
        strength = np.abs(np.nan_to_num(both))
        others = np.median(strength)
        spread = max(1.4826 * float(np.median(np.abs(strength - others))), 1e-3)
        found |= set(np.flatnonzero((strength > _CORRELATION) & (strength - others > _Z * spread)).tolist())
    return sorted(found)
