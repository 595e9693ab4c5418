"""Values of all sensors at the time cursor, drawn on a head; or the words why that cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from workbench_napari.shared.figure_canvas import FigureWidget

_DELAY_MS = 70
_MANY_DOTS = 64
_HEAD = 0.095
_FEWEST, _MANY = 4, 20


class Topomap(FigureWidget):
    """A matplotlib canvas with one map; it draws when the cursor rests for a moment."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(210, layout=None, parent=parent)
        self.message = ""
        self._last: Any = None
        self.drawn: tuple[str, float] | None = None
        self._where: Any = None
        self._rows: list[list[int]] = []
        self._next: tuple[npt.NDArray[Any], float, str, str, tuple[float, float]] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self.draw_now)
        self.say("Open a recording")

    def set_sensors(self, info: Any, names: Sequence[str], kind: str) -> bool:
        """Where the rows of the shown block lie; returns whether a map can be drawn."""
        self._where, self._rows = sensor_places(info, names, kind)
        if self._where is None:
            self.say("No sensor positions in this file:\nno map")
        elif _on_a_line(self._where):
            self._where = None
            self.say("The sensors lie on a line:\nno map")
        return self._where is not None

    def show_values(
        self, values: npt.NDArray[Any], seconds: float, title: str, unit: str, limits: tuple[float, float]
    ) -> None:
        """Draw these values (one per row of the block) soon."""
        if self._where is None:
            return
        self._next = (np.asarray(values, float), seconds, title, unit, limits)
        self._timer.start()

    def say(self, text: str) -> None:
        """Words instead of a map."""
        self._timer.stop()
        self._next, self.drawn, self.message = None, None, text
        if self.is_made:
            self.first_drawing()

    def first_drawing(self) -> None:
        text = self.message
        self.figure.clear()
        self.figure.text(0.5, 0.5, text, color=self.colors.quiet, ha="center", va="center", fontsize=9)
        self.canvas.draw_idle()

    def redraw(self) -> None:
        if self.message:
            self.say(self.message)
        elif self._last is not None:
            self._next = self._next or self._last
            self.draw_now()

    def draw_now(self) -> None:
        """Draw what was asked for last."""
        if self._next is None or self._where is None:
            return
        from matplotlib import colormaps
        from mne.viz import plot_topomap

        values, seconds, title, unit, limits = self._next
        self._last, self._next, self.message = self._next, None, ""
        self.figure.clear()
        axes = self.figure.add_axes((0.02, 0.02, 0.72, 0.84))
        shown = np.array([values[r[0]] if len(r) == 1 else np.sqrt((values[r] ** 2).mean()) for r in self._rows])
        if not np.isfinite(shown).all():
            self.say(f"No {title.lower()} at {seconds:.3f} s")
            return
        if any(len(r) > 1 for r in self._rows):
            limits = (0.0, limits[1])  # strengths of pairs have no sign
        signed = limits[0] < 0
        colors = colormaps["RdBu_r" if signed else "magma"]
        dots = "k." if len(shown) <= _MANY_DOTS else "k,"
        picture, _ = plot_topomap(
            shown, self._where, axes=axes, show=False, vlim=limits, cmap=colors, contours=4, sensors=dots, res=64
        )
        for line in axes.lines:
            if line.get_linestyle() != "None":
                line.set_color(self.colors.text)
        bar = self.figure.colorbar(picture, cax=self.figure.add_axes((0.78, 0.14, 0.035, 0.6)))
        bar.ax.tick_params(colors=self.colors.text, labelsize=7.5)
        bar.ax.set_title(unit or "value", color=self.colors.text, fontsize=8)
        bar.outline.set_edgecolor(self.colors.line)
        self.figure.text(
            0.38, 0.93, f"{title}, {seconds:.3f} s", color=self.colors.text, fontsize=9, ha="center", va="center"
        )
        self.drawn = (title, seconds)
        self.canvas.draw_idle()


def sensor_places(info: Any, names: Sequence[str], kind: str) -> tuple[Any, list[list[int]]]:
    """Places ``(n, 2)`` on a flat head, and the rows that lie at each; ``(None, [])`` if they are not known.

    Directions seen from the middle of the sensors are laid flat, distances along the head being kept. MNE does the same
    around a sphere fitted to the points of the head, which many files do not have.
    """
    if info is None:
        return None, []
    known = {name: n for n, name in enumerate(info["ch_names"])}
    rows = [r for r, name in enumerate(names) if name in known]
    places = np.array([_head_place(info, known[names[r]]) for r in rows], float).reshape(-1, 3)
    good = np.isfinite(places).all(axis=1) & (np.abs(places) > 0).any(axis=1)
    rows, places = [r for r, g in zip(rows, good, strict=True) if g], places[good]
    groups = [[n] for n in range(len(rows))]
    if kind == "grad":  # the two gradiometers of a sensor are drawn as one
        found: dict[tuple[float, ...], list[int]] = {}
        for n, place in enumerate(places):
            found.setdefault(tuple(np.round(place, 3)), []).append(n)
        groups = list(found.values())
    if len(groups) < _FEWEST:
        return None, []
    flat = flattened(places)
    return np.array([flat[g].mean(axis=0) for g in groups]), [[rows[n] for n in g] for g in groups]


def _on_a_line(places: npt.NDArray[np.float64]) -> bool:
    across = np.linalg.svd(places - places.mean(axis=0), compute_uv=False)
    return bool(across[1] < 0.02 * across[0])


def _head_place(info: Any, number: int) -> Any:
    """Position of a sensor in the coordinates of the head, where the file knows how it lay in the device."""
    from mne.transforms import apply_trans

    channel, move = info["chs"][number], info["dev_head_t"]
    place = np.asarray(channel["loc"][:3], float)
    if not np.isfinite(place).all() or not place.any():
        return np.full(3, np.nan)
    from_device = int(channel["coord_frame"]) == 1 and move is not None
    return apply_trans(move, place) if from_device else place


def flattened(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Positions ``(n, 3)`` [m], x to the right, y to the front, z up, on a flat head ``(n, 2)`` of MNE's radius."""
    around = places - _middle(places)
    away = np.linalg.norm(around, axis=1)
    angle = np.arccos(np.clip(around[:, 2] / np.maximum(away, 1e-9), -1, 1))
    turn = np.arctan2(around[:, 1], around[:, 0])
    reach = _HEAD * angle / (np.pi / 2)
    reach *= min(1.0, 0.97 * _HEAD / max(float(reach.max()), 1e-9))
    return np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=1)


def _middle(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Middle of the sphere that fits sensors best; of a few places, a point below them."""
    if len(places) >= _MANY:
        design = np.hstack([2 * places, np.ones((len(places), 1))])
        found: npt.NDArray[np.float64] = np.linalg.lstsq(design, (places**2).sum(axis=1), rcond=None)[0][:3]
        return found
    return np.array([0.0, 0.0, min(0.04, float(np.median(places[:, 2])) - 0.01)])
