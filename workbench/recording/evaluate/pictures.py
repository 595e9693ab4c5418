"""Pictures of recordings for reports: spectra, covariances, bursts, surprisal, decoding, fingerprints, sensor maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workbench.core.types import Mark
from workbench.report.pictures import png_of

Array = npt.NDArray[Any]
REAL, MADE = "#1c2430", "#d55e00"
_SHOWN = 12  # channels with a panel of their own
_PIXELS = 1500  # columns of a picture over time


def spectra(
    freqs: Array, real: Array, generated: Array, channels: Sequence[str], peaks: Mapping[str, tuple[float, float]]
) -> bytes:
    """PNG of power spectra: mean and range over channels, then channels one by one.

    Parameters
    ----------
    freqs
        (F,) [Hz].
    real, generated
        (C, F) densities.
    peaks
        Band -> frequencies of the real and the generated peak [Hz], NaN where there is none.
    """
    shown = np.linspace(0, len(channels) - 1, min(_SHOWN, len(channels))).round().astype(int)
    down = -(-len(shown) // 4)
    figure = Figure(figsize=(10.5, 3.6 + 1.5 * down), layout="constrained")
    grid = figure.add_gridspec(1 + down, 4, height_ratios=[2.2, *[1.0] * down])
    top = figure.add_subplot(grid[0, :])
    for name, values, color in (("real", real, REAL), ("generated", generated, MADE)):
        logs = np.log10(np.maximum(values, 1e-300))
        top.plot(freqs, 10 ** logs.mean(0), color=color, linewidth=2, label=name)
        if len(values) > 1:
            low, high = 10 ** np.percentile(logs, (10, 90), axis=0)
            top.fill_between(freqs, low, high, color=color, alpha=0.15, linewidth=0)
    for i, color in enumerate((REAL, MADE)):
        for pair in peaks.values():
            if np.isfinite(pair[i]):
                top.axvline(pair[i], color=color, linestyle=":", linewidth=1)
    top.set(yscale="log", xlabel="frequency [Hz]", ylabel="power density", title="mean, 10 to 90 % of channels")
    top.legend(frameon=False)
    _plain(top)
    for place, i in enumerate(shown):
        ax = figure.add_subplot(grid[1 + place // 4, place % 4])
        ax.plot(freqs, real[i], color=REAL, linewidth=1)
        ax.plot(freqs, generated[i], color=MADE, linewidth=1)
        ax.set(yscale="log", xticks=[10, 20, 30, 40])
        ax.set_title(channels[i], fontsize=8)
        ax.tick_params(labelsize=7)
        ax.minorticks_off()
        _plain(ax)
    return png_of(figure)


def matrices(panels: Mapping[str, Array], *, label: str, labels: Sequence[str] = ()) -> bytes:
    """PNG of square matrices side by side on one diverging scale, e.g. covariances."""
    top = max(float(np.abs(m).max()) for m in panels.values()) or 1.0
    figure = Figure(figsize=(4.2 * len(panels) + 0.8, 4.1), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(panels)))
    for ax, (title, matrix) in zip(axes, panels.items(), strict=True):
        drawn = ax.imshow(matrix, cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest")
        ax.set_title(title, fontsize=10)
        _ticks(ax, labels if ax is axes[0] else (), len(matrix))
    figure.colorbar(drawn, ax=list(axes), shrink=0.75, label=label)
    return png_of(figure)


def pairs(tables: Mapping[str, tuple[Sequence[float], Sequence[float]]], channels: Sequence[str]) -> bytes:
    """PNG of measures per channel, real and generated: measure -> (values of real, values of generated)."""
    figure = Figure(figsize=(3.4 * len(tables), 0.8 + 0.2 * max(6, min(40, len(channels)))), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(tables), sharey=True))
    rows = np.arange(len(channels))
    for ax, (title, (real, made)) in zip(axes, tables.items(), strict=True):
        ax.hlines(rows, real, made, color="0.8", linewidth=2)
        ax.plot(real, rows, "o", color=REAL, markersize=5, label="real")
        ax.plot(made, rows, "o", color=MADE, markersize=5, label="generated")
        ax.set_xlim(left=0)
        ax.set_title(title, fontsize=9)
        _plain(ax)
    axes[0].invert_yaxis()
    axes[0].set_yticks(rows if len(channels) <= 40 else [], channels if len(channels) <= 40 else [], fontsize=8)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return png_of(figure)


def tokens(training: Array | None, found: Array) -> bytes:
    """PNG of how often each token occurs here, (K,) shares with 0 for unseen, above how often it did in training."""
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.bar(np.arange(len(found)), 100 * found, width=0.9, color=MADE, alpha=0.75, label="these recordings")
    if training is not None:
        axes.step(np.arange(len(training)), 100 * training, where="mid", color=REAL, linewidth=1, label="training")
    axes.set(xlabel="token (0: unseen)", ylabel="share [%]")
    axes.legend(frameon=False)
    _plain(axes)
    return png_of(figure)


def surprisal(
    values: Array, start: float, fs: float, channels: Sequence[str], marks: Sequence[Mark] = (), *, title: str = ""
) -> bytes:
    """PNG of surprisal over time: its mean above, the channels below, annotations across both.

    Parameters
    ----------
    values
        (C, T) nats, NaN where there is none.
    start, fs
        Time of the first sample [s] and sampling rate [Hz].
    marks
        Annotations on the same clock; one colour per label.
    """
    count, samples = values.shape
    end = start + samples / fs
    width = min(_PIXELS, samples)
    edges = np.linspace(0, samples, width + 1).astype(int)
    filled, known = np.nan_to_num(values), np.isfinite(values)
    sums = np.add.reduceat(filled, edges[:-1], axis=1)
    counts = np.add.reduceat(known.astype(float), edges[:-1], axis=1)
    binned = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    figure = Figure(figsize=(10.5, 2.4 + 0.16 * max(8, min(50, count))), layout="constrained")
    top, body = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
    seconds = start + (edges[:-1] + edges[1:]) / 2 / fs
    any_known = counts.any(0)
    top.plot(seconds[any_known], np.nanmean(binned[:, any_known], 0), color=REAL, linewidth=0.8)
    top.set(ylabel="mean [nats]", xlim=(start, end), title=title)
    _plain(top)
    high = float(np.nanpercentile(binned, 99.5)) if np.isfinite(binned).any() else 1.0
    drawn = body.imshow(
        binned, aspect="auto", cmap="magma", vmin=0, vmax=high, interpolation="nearest",
        extent=(start, end, count - 0.5, -0.5),
    )  # fmt: skip
    _ticks(body, channels, count, both=False)
    body.set_xlabel("time [s]")
    figure.colorbar(drawn, ax=[top, body], label="surprisal [nats]", shrink=0.8)
    inside = [m for m in marks if m.onset < end and m.onset + m.duration > start]
    colors = {label: f"C{i % 10}" for i, label in enumerate(sorted({m.label for m in inside}))}
    for label, color in colors.items():
        for m in (m for m in inside if m.label == label):
            top.axvspan(m.onset, m.onset + max(m.duration, (end - start) / 700), color=color, alpha=0.35, linewidth=0)
        top.plot([], [], color=color, linewidth=5, alpha=0.5, label=label)
    if colors:
        top.legend(loc="upper right", fontsize=8, ncols=min(5, len(colors)), frameon=False)
    return png_of(figure)


def accuracies(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """PNG of decoding accuracies with their intervals, one panel per split; rows of `Decoding.scores`."""
    splits = list(dict.fromkeys(r["split"] for r in rows))
    names = list(dict.fromkeys(r["features"] for r in rows))
    figure = Figure(figsize=(4.4 * len(splits) + 1.6, 0.9 + 0.42 * len(names)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(splits), sharey=True, sharex=True))
    for ax, split in zip(axes, splits, strict=True):
        for r in (r for r in rows if r["split"] == split):
            y = names.index(r["features"])
            ax.hlines(y, r["95 % from"], r["95 % to"], color="0.6", linewidth=2)
            ax.plot(r["accuracy"], y, "o", color=MADE if y else REAL, markersize=7)
            ax.text(r["accuracy"], y - 0.18, f"{r['accuracy']:.2f}", ha="center", fontsize=8)
        ax.set(xlim=(0, 1), xlabel="accuracy")
        ax.set_title(split, fontsize=10)
        _plain(ax)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.7)
    return png_of(figure)


def fingerprints(distances: Mapping[str, Array], curves: Mapping[str, Array], sessions: Sequence[str]) -> bytes:
    """PNG of distances between generated (rows) and real (columns) sessions, and of the identification curves.

    Parameters
    ----------
    distances
        Feature -> (N, N) correlation distances; the first is drawn.
    curves
        Name -> (N,) share of sessions that are found among the nearest k.
    """
    figure = Figure(figsize=(10.5, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    feature, matrix = next(iter(distances.items()))
    drawn = left.imshow(matrix, cmap="viridis_r", interpolation="nearest")
    left.set_title(f"distance by {feature}", fontsize=10)
    left.set(xlabel="real session", ylabel="generated session")
    _ticks(left, sessions, len(matrix))
    figure.colorbar(drawn, ax=left, shrink=0.8, label="1 - correlation")
    n = len(matrix)
    for name, curve in curves.items():
        right.plot(np.arange(1, n + 1), curve, marker="o", markersize=3, linewidth=1.3, label=name)
    right.plot(np.arange(1, n + 1), np.arange(1, n + 1) / n, "--", color="0.6", label="chance")
    right.set(xlabel="k", ylabel="own session among the nearest k", ylim=(0, 1.03))
    right.legend(frameon=False, fontsize=8)
    _plain(right)
    return png_of(figure)


def sensor_map(values: Array, positions: Array, *, label: str, title: str = "") -> bytes:
    """PNG of one value per sensor, seen from above with the nose up.

    Parameters
    ----------
    values
        (C,) numbers.
    positions
        (C, 3) [m], x to the right, y to the front; rows with NaN are left out.

    Notes
    -----
    Positions are laid flat around the highest point, keeping the angle down from it. With fewer than eight places, or
    several sensors at one place, dots are drawn instead of a surface.
    """
    known = np.isfinite(positions).all(1) & np.isfinite(values)
    flat, shown = flattened(positions[known]), np.asarray(values, float)[known]
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axes = figure.subplots()
    places, place_of = np.unique(flat.round(4), axis=0, return_inverse=True)
    if len(places) >= 8:
        import mne

        mean = np.bincount(place_of.ravel(), shown) / np.bincount(place_of.ravel())
        drawn, _ = mne.viz.plot_topomap(
            mean, places, axes=axes, show=False, cmap="viridis", vlim=(float(mean.min()), float(mean.max())),
            sphere=(0, 0, 0, 0.095), extrapolate="local",
        )  # fmt: skip
    else:
        drawn = axes.scatter(flat[:, 0], flat[:, 1], c=shown, s=260, cmap="viridis", edgecolor="0.3")
        axes.set(aspect="equal", xlim=(-0.13, 0.13), ylim=(-0.13, 0.13))
        axes.set_axis_off()
    figure.colorbar(drawn, ax=axes, shrink=0.75, label=label)
    axes.set_title(title, fontsize=10)
    return png_of(figure)


def flattened(positions: Array) -> npt.NDArray[np.float64]:
    """(C, 3) places on a head as (C, 2) seen from above, [m]; the rim of a helmet ends near 0.1."""
    values = np.asarray(positions, np.float64)
    middle = (values.max(0) + values.min(0)) / 2
    middle[2] = values[:, 2].min()
    away = values - middle
    reach = np.linalg.norm(away, axis=1)
    angle = np.arccos(np.clip(away[:, 2] / np.maximum(reach, 1e-12), -1, 1))
    side = np.hypot(away[:, 0], away[:, 1])
    # 90 degrees down from the top is the rim.
    scale = np.where(side > 1e-9, angle / (np.pi / 2) * 0.095 / np.maximum(side, 1e-9), 0.0)
    return np.asarray(away[:, :2] * scale[:, None])


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _ticks(axes: Axes, labels: Sequence[str], count: int, *, both: bool = True) -> None:
    """Names at the rows (and columns) where there are few, numbers else."""
    if labels and count <= 40:
        axes.set_yticks(range(count), labels, fontsize=7)
        if both:
            axes.set_xticks(range(count), labels, fontsize=7, rotation=90)
    elif not labels:
        axes.set_yticks([])
        axes.set_xticks([])
