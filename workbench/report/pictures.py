"""Pictures for reports, drawn with matplotlib's Agg canvas: no window, no global state, safe in any thread."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workbench.core.classes import ClassInfo, ClassTable

# Columns and rows of each view in a volume turned to R, A, S; and whether the columns run right to left.
_VIEWS = (("axial", 2, (0, 1), True), ("coronal", 1, (0, 2), True), ("sagittal", 0, (1, 2), False))
_STYLES: tuple[Literal["solid", "dashed"], ...] = ("solid", "dashed")


def _color(c: ClassInfo) -> tuple[float, float, float]:
    r, g, b = c.color
    return (r / 255, g / 255, b / 255)


def png_of(figure: Figure, *, dpi: int = 110) -> bytes:
    """The figure as PNG bytes."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str,
    limits: tuple[float, float] | None = None,
    right: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    right_label: str = "",
) -> bytes:
    """PNG of lines over a common axis, name -> (x, y); `right` has its own axis on the right side, dashed."""
    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    axes = figure.subplots()
    handles = [
        axes.plot(x, y, label=name, linewidth=2.2 if i == 0 else 1.2)[0]
        for i, (name, (x, y)) in enumerate(lines.items())
    ]
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_xlim(left=0)
    if limits:
        axes.set_ylim(*limits)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if right:
        other = axes.twinx()
        handles += [other.plot(x, y, "--", color="0.45", label=name)[0] for name, (x, y) in right.items()]
        other.set_ylabel(right_label)
        other.spines["top"].set_visible(False)
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=9)
    return png_of(figure)


def contours(
    image: npt.NDArray[Any],
    maps: Mapping[str, npt.NDArray[np.integer[Any]]],
    classes: ClassTable,
    *,
    spacing_mm: Sequence[float],
    at: Sequence[int],
    window: tuple[float, float] | None = None,
    title: str = "",
) -> bytes:
    """PNG of three planes through a volume with outlines of label maps.

    Parameters
    ----------
    image
        (X, Y, Z), axes running to the right, front and head of the patient. Drawn as on a radiology workstation: the
        patient's right is on the left side of axial and coronal planes.
    maps
        Name -> label map of the same shape. The first is drawn solid, the second dashed, both in the class colour.
    at
        Voxel through which the planes go.
    window
        Range of grey values; the 1st to 99th percentile if None.
    """
    low, high = window if window else tuple(np.percentile(image[::2, ::2, ::2], (1, 99)))
    shape = image.shape
    widths = [shape[c] * spacing_mm[c] for _, _, (c, _), _ in _VIEWS]
    tallest = max(shape[r] * spacing_mm[r] for _, _, (_, r), _ in _VIEWS)
    figure = Figure(figsize=(12, 12 * tallest / sum(widths) + 0.9), layout="constrained", facecolor="white")
    axes = figure.subplots(1, 3, width_ratios=widths)
    drawn: set[int] = set()
    for ax, (name, axis, (column, row), mirrored) in zip(axes, _VIEWS, strict=True):
        cut = np.take(image, at[axis], axis=axis).T
        ax.imshow(cut, cmap="gray", vmin=low, vmax=high, origin="lower", aspect=spacing_mm[row] / spacing_mm[column])
        for style, labels in zip(_STYLES, maps.values(), strict=False):
            plane = np.take(labels, at[axis], axis=axis).T
            for c in classes:
                mask = plane == c.value
                if mask.any():
                    drawn.add(c.value)
                    color = _color(c)
                    ax.contour(np.pad(mask, 1), [0.5], colors=[color], linestyles=style, linewidths=1.3,
                               extent=(-1, mask.shape[1], -1, mask.shape[0]))  # fmt: skip
        if mirrored:
            ax.invert_xaxis()
        ax.set_title(f"{name}, slice {at[axis]}", fontsize=9)
        ax.set_axis_off()
    handles = [Line2D([], [], color=_color(c), label=c.name) for c in classes if c.value in drawn]
    handles += [Line2D([], [], color="0.3", linestyle=_STYLES[i], label=name) for i, name in enumerate(maps)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    return png_of(figure)
