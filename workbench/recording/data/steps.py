"""Preprocessing of recordings as named steps on MNE-Python, each with a record that says what it did.

>>> steps = [Pick(("meg",)), Notch((50.0,)), BandPass(0.5, 45.0), Resample(250.0), BadSegments()]
>>> raw, records = run(open_recording(image).raw(), steps)
>>> result = wb.predict("meg_gpt", image_of_raw(raw))

These work on whole recordings in memory, with all that MNE can do. What a network needs of a long recording is done in
pieces by `workbench.recording.data.prepare`; both give the same numbers where they do the same
(``tests/workbench/recording/data/test_prepare.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, reading
from workbench.core.types import Marks
from workbench.recording.data.cleaning import (
    ICA_COMPONENTS,
    ICA_SEED,
    bad_channels,
    bad_windows,
    correlated_components,
    fit_ica,
    runs,
)
from workbench.recording.data.read import image_of_raw, marks_of
from workbench.recording.data.recording import MNE_DAMAGED, mne_quiet, mne_step

Record = dict[str, Any]


class Step(Protocol):
    """A named step: takes an MNE object, gives the changed one and what it did."""

    def apply(self, raw: Any) -> tuple[Any, Record]: ...


def run(raw: Any, steps: Sequence[Step]) -> tuple[Any, list[Record]]:
    """Apply steps in order to a copy of an `mne.io.Raw`; returns it with one record per step.

    Raises
    ------
    InputError
        If a step cannot be done with this recording; one line says why.
    """
    raw = raw.copy()
    with mne_quiet():
        raw.load_data(verbose="ERROR")
    records = []
    for step in steps:
        with mne_quiet():
            raw, record = step.apply(raw)
        records.append({"step": _name(step), "settings": _settings(step), **record})
    return raw, records


def describe(record: Record) -> str:
    """One readable line for a record of `run`."""
    details = {**record.get("settings", {}), **{k: v for k, v in record.items() if k not in ("step", "settings")}}
    shown = ", ".join(f"{k.replace('_', ' ')} {_short(v)}" for k, v in details.items() if v not in (None, (), [], ""))
    return f"{record['step']}: {shown}" if shown else str(record["step"])


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(v) for v in value[:8]) + (f" and {len(value) - 8} more" if len(value) > 8 else "")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _settings(step: Any) -> Record:
    """The settings of a step that are plain values (a forward model is none)."""
    values = {f.name: getattr(step, f.name) for f in fields(step)}
    return {k: v for k, v in values.items() if v is None or isinstance(v, str | int | float | tuple)}


def _name(step: Any) -> str:
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in type(step).__name__)
    return words.strip().replace("i c a", "ica").replace("p c a", "pca")


@dataclass(frozen=True)
class Pick:
    """Keep channels of some types (``"meg"``, ``"eeg"``, ``"mag"``...), and those of `keep` (eye, heart, triggers)."""

    kinds: tuple[str, ...] = ("meg",)
    keep: tuple[str, ...] = ("eog", "ecg", "stim")

    def apply(self, raw: Any) -> tuple[Any, Record]:
        wanted = {t for k in self.kinds for t in (("mag", "grad") if k == "meg" else (k,))}
        kinds = raw.get_channel_types()
        if not wanted & set(kinds):
            raise InputError(
                f"no {'/'.join(self.kinds)} channels in this recording, found {', '.join(sorted(set(kinds)))}."
            )
        names = [n for n, k in zip(raw.ch_names, kinds, strict=True) if k in wanted or k in self.keep]
        with mne_step(_name(self)):
            return raw.pick(names, verbose="ERROR"), {"channels": len(names)}


def _filtered(raw: Any) -> Any:
    """Channels to filter: sensors, or parcels (``"misc"``) where there are none; never triggers."""
    import mne

    data = mne.pick_types(raw.info, meg=True, eeg=True, ref_meg=False, seeg=True, ecog=True, dbs=True, csd=True,
                          exclude=())  # fmt: skip
    return data if len(data) else mne.pick_types(raw.info, misc=True, exclude=())


@dataclass(frozen=True)
class Notch:
    """Remove narrow bands, e.g. the mains and its harmonics [Hz]."""

    frequencies: tuple[float, ...] = (50.0, 100.0)

    def apply(self, raw: Any) -> tuple[Any, Record]:
        below = [f for f in self.frequencies if f < raw.info["sfreq"] / 2]
        picks = _filtered(raw)
        with mne_step(_name(self)):
            return raw.notch_filter(below, picks=picks, verbose="ERROR"), {"removed_hz": below}


@dataclass(frozen=True)
class BandPass:
    """Zero-phase FIR band-pass [Hz]; either edge may be ``None``."""

    low: float | None = 0.5
    high: float | None = 125.0

    def apply(self, raw: Any) -> tuple[Any, Record]:
        high = self.high if self.high is not None and self.high < raw.info["sfreq"] / 2 else None
        picks = _filtered(raw)
        with mne_step(_name(self)):
            return raw.filter(self.low, high, picks=picks, verbose="ERROR"), {}


@dataclass(frozen=True)
class Resample:
    """Resample [Hz]; triggers and annotations keep their times."""

    rate: float = 250.0

    def apply(self, raw: Any) -> tuple[Any, Record]:
        before = float(raw.info["sfreq"])
        with mne_step(_name(self)):
            return raw.resample(self.rate, verbose="ERROR"), {"from_hz": before}


@dataclass(frozen=True)
class BadChannels:
    """Mark channels as bad that are flat, or whose amplitude or its derivative stands out among those of their type.

    Amplitudes are compared as logarithms by a robust z-score; `limit` is how far a channel may lie from the median.
    """

    limit: float = 5.0

    def apply(self, raw: Any) -> tuple[Any, Record]:
        found = bad_channels(raw.get_data(), raw.get_channel_types(), self.limit)
        names = [raw.ch_names[i] for i in found if raw.ch_names[i] not in raw.info["bads"]]
        raw.info["bads"] = [*raw.info["bads"], *names]
        return raw, {"bad": names}


@dataclass(frozen=True)
class BadSegments:
    """Annotate stretches as ``bad_segment`` whose amplitude or derivative stands out; see `bad_windows`."""

    limit: float = 5.0

    def apply(self, raw: Any) -> tuple[Any, Record]:
        import mne

        kinds = raw.get_channel_types()
        used = [i for i, k in enumerate(kinds) if k not in ("stim", "eog", "ecg", "emg") and raw.ch_names[i] not in
                raw.info["bads"]]  # fmt: skip
        rate = float(raw.info["sfreq"])
        data = raw.get_data(picks=used).astype(np.float32)
        good = bad_windows(data, np.ones(raw.n_times, bool), tuple(kinds[i] for i in used), rate, self.limit)
        stretches = [(a / rate, (b - a) / rate) for a, b in runs(~good)]
        own = [[m.onset, m.duration, m.label, list(m.channels)] for m in marks_of(raw)]
        rows = [*own, *([a, d, "bad_segment", []] for a, d in stretches)]
        if rows:
            onsets, lengths, labels, channels = (list(c) for c in zip(*rows, strict=True))
            raw.set_annotations(mne.Annotations(onsets, lengths, labels, orig_time=None, ch_names=channels))
        return raw, {"segments": len(stretches), "seconds": round(sum(d for _, d in stretches), 3)}


@dataclass(frozen=True)
class Interpolate:
    """Replace bad channels by what their neighbours say; needs positions."""

    def apply(self, raw: Any) -> tuple[Any, Record]:
        names = list(raw.info["bads"])
        if names:
            with mne_step(_name(self)):
                raw.interpolate_bads(reset_bads=True, verbose="ERROR")
        return raw, {"channels": names}


@dataclass(frozen=True)
class ICA:
    """Remove independent components that go with the eye and heart channels (correlation, by z-score); seeded."""

    kinds: tuple[str, ...] = ("eog", "ecg")
    components: int = ICA_COMPONENTS
    seed: int = ICA_SEED

    def apply(self, raw: Any) -> tuple[Any, Record]:
        kinds = raw.get_channel_types()
        helpers = [i for i, k in enumerate(kinds) if k in self.kinds]
        if not helpers:
            raise InputError(
                f"ica: no {' or '.join(self.kinds)} channel to compare components with. Leave the step out."
            )
        with mne_step(_name(self)):
            high = raw.copy().filter(1.0, None, verbose="ERROR") if raw.info["highpass"] < 1 else raw
        ica = fit_ica(high, self.components, self.seed)
        with mne_step(_name(self)):
            sources = ica.get_sources(raw).get_data()
        exclude = correlated_components(sources, raw.get_data(picks=helpers))
        with mne_step(_name(self)):
            ica.apply(raw, exclude=exclude, verbose="ERROR")
        return raw, {"components_fitted": int(ica.n_components_), "removed": exclude}


@dataclass(frozen=True)
class Reduce:
    """Reduce all data channels to principal components of their standardised time courses."""

    n_channels: int = 52

    def apply(self, raw: Any) -> tuple[Any, Record]:
        import mne

        from workbench.recording.data.prepare import prepare
        from workbench.recording.data.recipe import RecordingRecipe

        recipe = RecordingRecipe(sampling_rate=float(raw.info["sfreq"]), reduce="pca", n_channels=self.n_channels)
        made = prepare(image_of_raw(raw), recipe)
        info = mne.create_info(list(made.channels), float(raw.info["sfreq"]), list(made.kinds), verbose="ERROR")
        reduced = mne.io.RawArray(made.data.astype(np.float64), info, verbose="ERROR")
        reduced.set_annotations(_relative(raw))
        return reduced, {"explained": made.records[-1].get("explained")}


@dataclass(frozen=True)
class SourceParcels:
    """LCMV beamformer and the time courses of parcels, where a forward model is given.

    Parameters
    ----------
    forward
        `mne.Forward`, or the path of a ``-fwd.fif``.
    labels
        `mne.Label` objects or lists of source numbers, one per parcel; the first component over its sources (by
        variance, with its sign fixed by the mean) is the time course of a parcel.
    rank
        As in `mne.beamformer.make_lcmv`.
    """

    forward: Any
    labels: Any
    names: tuple[str, ...] = ()
    regularisation: float = 0.05
    rank: Any = None

    def apply(self, raw: Any) -> tuple[Any, Record]:
        return source_parcels(
            raw, self.forward, self.labels, names=self.names, reg=self.regularisation, rank=self.rank
        )  # fmt: skip


def anonymise(raw: Any) -> Any:
    """The recording without names, birthdays and dates, in place (`mne.io.anonymize_info`)."""
    with mne_quiet():
        raw.set_meas_date(None)
        return raw.anonymize(verbose="ERROR")


def source_parcels(
    raw: Any, forward: Any, labels: Any, *, names: Sequence[str] = (), reg: float = 0.05, rank: Any = None
) -> tuple[Any, Record]:
    """Time courses of parcels by an LCMV beamformer, as `mne.io.RawArray` of type ``misc``."""
    import mne

    if isinstance(forward, str) or hasattr(forward, "__fspath__"):
        with reading(forward, "not readable as a forward model", kinds=MNE_DAMAGED):
            forward = mne.read_forward_solution(forward, verbose="ERROR")
    with mne_step("source parcels"):
        covariance = mne.compute_raw_covariance(raw, method="empirical", rank=rank, verbose="ERROR")
        filters = mne.beamformer.make_lcmv(
            raw.info, forward, covariance, reg=reg, pick_ori="max-power", weight_norm="unit-noise-gain", rank=rank,
            reduce_rank=True, verbose="ERROR",
        )  # fmt: skip
        sources = mne.beamformer.apply_lcmv_raw(raw, filters, verbose="ERROR")
    parcels = _members(labels, forward)
    courses = np.stack([_first_component(sources.data[members]) for members in parcels])
    titles = list(names) or [str(getattr(x, "name", f"parcel {i + 1}")) for i, x in enumerate(labels)]
    info = mne.create_info(titles, float(raw.info["sfreq"]), "misc", verbose="ERROR")
    made = mne.io.RawArray(courses, info, verbose="ERROR")
    made.set_annotations(_relative(raw))
    return made, {"parcels": len(parcels), "sources": int(sources.data.shape[0])}


def _members(labels: Any, forward: Any) -> list[npt.NDArray[np.intp]]:
    """Rows of the source estimate for each parcel."""
    found = []
    count = sum(len(s["vertno"]) for s in forward["src"])
    for label in labels:
        if hasattr(label, "vertices"):
            hemi = 0 if label.hemi == "lh" else 1
            before = 0 if hemi == 0 else len(forward["src"][0]["vertno"])
            rows = np.flatnonzero(np.isin(forward["src"][hemi]["vertno"], label.vertices)) + before
        else:
            rows = np.asarray(label, dtype=np.intp)
        if not len(rows):
            raise InputError(
                f"source parcels: {getattr(label, 'name', 'a parcel')} holds no source of the forward model."
            )
        if rows.min() < -count or rows.max() >= count:
            raise InputError(
                f"source parcels: source {rows.max()} of a parcel was asked for, the forward model has {count}."
            )
        found.append(rows)
    return found


def _first_component(data: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Time course of the strongest pattern over sources, signed by the pattern's sum, in their mean amplitude."""
    u, s, v = np.linalg.svd(data - data.mean(axis=1, keepdims=True), full_matrices=False)
    sign = np.sign(u[:, 0].sum()) or 1.0
    course: npt.NDArray[np.float64] = sign * s[0] * v[0] / np.sqrt(len(data))
    return course


def _relative(raw: Any) -> Any:
    """Annotations for a recording whose channels are others: they concern all of them."""
    from workbench.recording.data.recording import as_annotations

    return as_annotations(Marks(tuple(replace(m, channels=()) for m in marks_of(raw))))
