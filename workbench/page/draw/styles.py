"""How makers of electrocardiographs print their pages: paper, grid, pens, letters, pulses, words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from workbench.page.layouts import Layout, layouts

Colour = tuple[float, float, float]
GridKind = Literal["lines", "dots", "dots and lines", "major only", "fine"]
PulsePlace = Literal["left", "right", "each", "none"]
Separator = Literal["none", "tick", "dashes", "long dots", "gap"]
LabelPlace = Literal["above", "below", "on"]

INKS: tuple[Colour, ...] = ((0.05, 0.05, 0.05), (0.0, 0.0, 0.0), (0.15, 0.15, 0.2), (0.08, 0.1, 0.4), (0.25, 0.1, 0.1))
GRIDS: dict[str, tuple[Colour, Colour, Colour]] = {
    "red": ((1.0, 0.97, 0.96), (0.98, 0.78, 0.76), (0.93, 0.52, 0.50)),
    "pink": ((1.0, 0.95, 0.96), (0.98, 0.80, 0.86), (0.95, 0.60, 0.72)),
    "salmon": ((0.99, 0.90, 0.89), (0.96, 0.74, 0.72), (0.88, 0.50, 0.47)),
    "orange": ((1.0, 0.96, 0.91), (0.97, 0.83, 0.70), (0.91, 0.64, 0.46)),
    "brown": ((0.97, 0.94, 0.89), (0.86, 0.76, 0.66), (0.68, 0.52, 0.40)),
    "green": ((0.92, 0.98, 0.93), (0.72, 0.88, 0.77), (0.46, 0.71, 0.55)),
    "blue": ((0.95, 0.97, 1.0), (0.76, 0.82, 0.93), (0.50, 0.60, 0.82)),
    "slate": ((0.74, 0.77, 0.84), (0.62, 0.65, 0.74), (0.47, 0.50, 0.62)),
    "grey": ((0.98, 0.98, 0.98), (0.82, 0.82, 0.82), (0.60, 0.60, 0.60)),
    "dark grey": ((0.95, 0.95, 0.95), (0.66, 0.66, 0.66), (0.38, 0.38, 0.38)),
}
"""Paper, fine lines, strong lines."""


@dataclass(frozen=True)
class Style:
    """All that a page looks like, but for its signals. Lengths in mm of paper, colours as red, green, blue (0 to 1).

    Parameters
    ----------
    size
        Width and height.
    grid_from
        Left, top, right and bottom edge of the area with a grid; as a whole number of fine lines from each other.
    minor_width, major_width
        Of the lines of the grid; of dots their diameter.
    seconds
        How long a row is [s].
    speed, gain
        Of the paper [mm/s] and of the amplitude [mm/mV].
    first_row, last_row
        Heights of the middle of the first and the last row, from the top.
    start
        Where the signals begin, from the left.
    pulse_width
        Of the calibration pulse of 1 mV.
    """

    maker: str
    layout: Layout
    size: tuple[float, float]
    grid_from: tuple[float, float, float, float]
    paper: Colour
    minor: Colour
    major: Colour
    grid: GridKind
    minor_width: float
    major_width: float
    ink: Colour
    pen: float
    seconds: float
    speed: float
    gain: float
    first_row: float
    last_row: float
    start: float
    pulse: PulsePlace
    pulse_width: float
    separator: Separator
    label: LabelPlace
    label_size: float
    font: str
    bold: bool
    names: dict[str, str] = field(default_factory=dict)
    head: tuple[str, ...] = ()
    foot: str = ""

    @property
    def second(self) -> float:
        """Paper for one second [mm]."""
        return self.speed


MAKERS = ("A", "B", "C", "D", "E", "F")
"""Styles of six makers, none of them a real one; the last is not used for learning, but to test."""
HELD_OUT = "F"
_FONTS = ("DejaVu Sans", "DejaVu Serif", "STIXGeneral", "DejaVu Sans Mono", "cmss10", "cmr10", "cmtt10")
_NAMES = (
    "Jordan Example",
    "A. Sample",
    "Müller-Test, K.",
    "Иван Пример",
    "Ольга Образец",
    "Åsa Exempelsson",
    "Nguyen Mau",
)
_FINDINGS = (
    "Sinus rhythm", "Normal ECG", "Abnormal ECG", "Left axis deviation", "Atrial fibrillation", "Prolonged QT",
    "Nonspecific T wave abnormality", "Poor data quality, interpretation may be adversely affected", "Unconfirmed",
    "ST elevation, consider acute infarct", "Premature ventricular complexes",
)  # fmt: skip

_HABITS: dict[str, dict[str, tuple[str, ...]]] = {
    "A": {
        "colours": ("red", "pink", "salmon"), "grid": ("lines",), "pulse": ("left",), "separator": ("none", "tick"),
        "label": ("below", "on"), "font": ("STIXGeneral", "DejaVu Serif"),
    },
    "B": {
        "colours": ("orange", "red", "brown"), "grid": ("lines", "dots and lines"), "pulse": ("left",),
        "separator": ("long dots", "none"), "label": ("on", "above"), "font": ("STIXGeneral", "cmr10"),
    },
    "C": {
        "colours": ("grey", "dark grey"), "grid": ("dots", "dots and lines", "fine"), "pulse": ("each", "left"),
        "separator": ("dashes", "gap"), "label": ("above",), "font": ("DejaVu Sans Mono", "cmtt10"),
    },
    "D": {
        "colours": ("blue", "slate", "green"), "grid": ("lines", "fine"), "pulse": ("left", "none"),
        "separator": ("tick", "none"), "label": ("below", "above"), "font": ("DejaVu Sans", "cmss10"),
    },
    "E": {
        "colours": ("pink", "red", "green"), "grid": ("lines", "major only"), "pulse": ("right", "none"),
        "separator": ("dashes", "tick"), "label": ("above", "on"), "font": ("DejaVu Sans", "cmss10", "STIXGeneral"),
    },
    "F": {
        "colours": ("salmon", "green", "grey"), "grid": ("lines", "dots"), "pulse": ("left", "right"),
        "separator": ("tick", "gap"), "label": ("above", "below"), "font": ("DejaVu Serif",),
    },
}  # fmt: skip
"""What a maker always does, and what varies between its machines."""


def random_style(
    rng: np.random.Generator,
    *,
    maker: str | None = None,
    layout: str | None = None,
    clean: bool = False,
    fonts: tuple[str, ...] = (),
) -> Style:
    """A page of a maker, by chance.

    Parameters
    ----------
    maker
        One of `MAKERS`; any but `HELD_OUT` by default.
    layout
        Name in `workbench.page.layouts.layouts`; by chance, 3x4 with strips most often, by default.
    clean
        25 mm/s and 10 mm/mV only.
    fonts
        Further families of letters, taken for half of the pages.
    """
    maker = str(rng.choice([m for m in MAKERS if m != HELD_OUT])) if maker is None else maker
    if layout is None:
        names = [n for n in layouts() if n != "3x5"]
        weights = np.array(
            [6.0 if n.startswith("3x4") and "Cabrera" not in n else 0.5 if "Cabrera" in n else 1.0 for n in names]
        )
        layout = str(rng.choice(names, p=weights / weights.sum()))
    arrangement = layouts()[layout]
    if arrangement.strips and rng.random() < 0.2:
        strips = rng.permutation(["II", "V1", "V5", "I", "V2", "aVF"])[: len(arrangement.strips)]
        arrangement = arrangement.with_strips(*map(str, strips))
    speed = 25.0 if clean or rng.random() < 0.88 else float(rng.choice([50.0, 12.5]))
    gain = 10.0 if clean or rng.random() < 0.85 else float(rng.choice([5.0, 20.0]))
    common = _of_maker(maker, rng)
    seconds = 10.0 if speed <= 25 else 5.0
    pulse: PulsePlace = common["pulse"]  # type: ignore[assignment]
    wide = seconds * speed
    lead_in = 8.0 if pulse in ("left", "each") else 2.0
    margin = float(rng.uniform(1, 9))
    per_piece = (6.0 if pulse == "each" else 0.0) * (arrangement.columns - 1)
    grid_width = int(np.ceil((wide + lead_in + per_piece + (9 if pulse == "right" else 2) + 2 * margin) / 5) * 5)
    rows = arrangement.n_rows
    pitch = float(rng.uniform(19, 34)) if rows <= 6 else float(rng.uniform(13, 18))
    if rows <= 3:
        pitch = float(rng.uniform(25, 45))
    pitch *= 1.3 if gain > 10 and rows <= 6 else 1.0
    top = float(rng.uniform(12, 25))
    grid_height = int(np.ceil((top + pitch * (rows - 1) + rng.uniform(12, 25)) / 5) * 5)
    crop = rng.random() < 0.3
    edge = [0.0 if crop else float(rng.uniform(2, 12)) for _ in range(4)]
    header = 0.0 if rng.random() < 0.3 else float(rng.uniform(14, 34))
    footer = float(rng.uniform(5, 9))
    left, upper = edge[0], edge[1] + header
    size = (left + grid_width + edge[2], upper + grid_height + footer + edge[3])
    paper, minor, major = GRIDS[str(common["colours"])]
    jitter = rng.normal(0, 0.015, 3)
    style_names = {"-aVR": str(rng.choice(["-aVR", "–aVR"]))}
    if rng.random() < 0.06:
        style_names |= {"I": "D1", "II": "D2", "III": "D3"}
    if rng.random() < 0.05:
        style_names |= {f"V{n}": f"C{n}" for n in range(1, 7)}
    if rng.random() < 0.06:
        style_names |= {"aVR": "AVR", "aVL": "AVL", "aVF": "AVF"}
    foot = (
        f"{speed:g} mm/s   {gain:g} mm/mV   {rng.choice(['0.05-150 Hz', '0.5-40 Hz', 'F 60~ 0.15-100 Hz', '~50 Hz'])}"
    )
    return Style(
        maker=maker,
        layout=arrangement,
        size=size,
        grid_from=(left, upper, left + grid_width, upper + grid_height),
        paper=_shifted(paper, jitter),
        minor=_shifted(minor, jitter),
        major=_shifted(major, jitter),
        grid=common["grid"],  # type: ignore[arg-type]
        minor_width=float(rng.uniform(0.08, 0.20)) if common["grid"] != "dots" else float(rng.uniform(0.2, 0.34)),
        major_width=float(rng.uniform(0.16, 0.38)),
        ink=INKS[int(rng.choice(len(INKS), p=[0.4, 0.3, 0.14, 0.1, 0.06]))],
        pen=float(rng.uniform(0.22, 0.5)),
        seconds=seconds,
        speed=speed,
        gain=gain,
        first_row=upper + top,
        last_row=upper + top + pitch * (rows - 1),
        start=left + margin + lead_in,
        pulse=pulse,
        pulse_width=float(rng.choice([5.0, 5.0, 2.5, 3.5])) * (speed / 25 if rng.random() < 0.5 else 1.0),
        separator=common["separator"],  # type: ignore[arg-type]
        label=common["label"],  # type: ignore[arg-type]
        label_size=float(rng.uniform(2.2, 4.2)),
        font=str(rng.choice(fonts)) if fonts and rng.random() < 0.5 else str(common["font"]),
        bold=bool(rng.random() < 0.3),
        names=style_names,
        head=_head(rng) if header else (),
        foot=foot if rng.random() < 0.75 else "",
    )


def _of_maker(maker: str, rng: np.random.Generator) -> dict[str, object]:
    """What a maker always does, and what varies within its machines."""

    def one(*of: str) -> str:
        return str(rng.choice(of))

    return {key: one(*values) for key, values in _HABITS[maker].items()}


def _shifted(colour: Colour, by: np.ndarray) -> Colour:
    r, g, b = np.clip(np.array(colour) + by, 0, 1)
    return float(r), float(g), float(b)


def _head(rng: np.random.Generator) -> tuple[str, ...]:
    """Lines above the grid: ``"name:"``, ``"id:"``, ``"date:"`` and ``"text:"`` say what they are."""
    name = str(rng.choice(_NAMES))
    day, year, hour, minute = (int(rng.integers(*of)) for of in ((1, 29), (1987, 2027), (24,), (60,)))
    lines = [
        f"name:{rng.choice(['Name: ', '', 'Patient: '])}{name}",
        f"id:{rng.choice(['ID: ', 'PATIENT ID ', ''])}{int(rng.integers(10**5, 10**9))}",
        f"date:{day:02d}-{rng.choice(['Jan', 'Mai', 'OCT', '07'])}-{year} {hour:02d}:{minute:02d}",
        f"text:Vent. rate {int(rng.integers(40, 140))} BPM",
        f"text:PR interval {int(rng.integers(110, 240))} ms",
        f"text:QRS duration {int(rng.integers(70, 150))} ms",
        f"text:QT/QTc {int(rng.integers(340, 480))}/{int(rng.integers(380, 500))} ms",
    ]
    lines += [f"text:{f}" for f in rng.choice(_FINDINGS, int(rng.integers(0, 4)), replace=False)]
    return tuple(str(line) for line in rng.permutation(lines))
