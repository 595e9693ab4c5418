"""How large a pixel of a slide is: what files say is looked at before it is believed.

Files state micrometres per pixel (mpp) themselves, or a resolution in a TIFF tag that programs also fill with 72 or 96
dots per inch, which is the density of a screen. A size that cannot be is said and not believed; then people give it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from workbench.core.errors import UsageError

GIVEN = "given"
FINEST, COARSEST = 0.02, 20.0
"""Micrometres per pixel that level 0 of a slide, or a picture of a region of one, can have."""
_SQUARE = 0.01
"""How far the sides of a pixel may differ."""
_NOMINAL = 10.0
"""mpp times objective power of a usual scanner; 40x is 0.25 um."""
_POWERS = (1.25, 2.0, 2.5, 4.0, 5.0, 10.0, 16.0, 20.0, 25.0, 40.0, 50.0, 60.0, 63.0, 80.0, 100.0)
_SAME = 0.002
"""What is no difference between two statements of a size."""


@dataclass(frozen=True)
class Scale:
    """Micrometres per pixel of level 0 along (x, y) or ``None``, where they come from, what a person should know."""

    mpp: tuple[float, float] | None = None
    source: str = ""
    notes: tuple[str, ...] = ()
    objective: float | None = None


def number(text: object) -> float | None:
    """A positive finite number in a property of a file, or ``None``."""
    try:
        value = float(str(text).strip().replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def believed(x: object, y: object, source: str, objective: object = None) -> Scale:
    """What a file states about its pixels, as far as it can be.

    Parameters
    ----------
    x, y
        Micrometres per pixel as they stand in the file: text, numbers, or ``None``.
    source
        Name of the field, for people.
    objective
        Magnification as it stands in the file, or ``None``.
    """
    power = number(objective)
    notes: list[str] = []
    if power is not None and min(abs(power / p - 1) for p in _POWERS) > 0.02:
        notes.append(f"the file states an objective of {power:g}x, which no scanner has; it is not believed")
        power = None
    if x is None and y is None:
        return Scale(notes=tuple(notes), objective=power)
    sides = number(x), number(y)
    wide, high = sides
    problem = ""
    if wide is None or high is None:
        problem = f"{x} x {y} um per pixel ({source})"
    elif not all(FINEST <= s <= COARSEST for s in (wide, high)):
        dots = 25_400 / wide
        screen = f": {dots:.0f} dots per inch, as programs write that know nothing" if dots < 400 else ""
        problem = f"{wide:.6g} x {high:.6g} um per pixel ({source}){screen}"
    elif abs(wide / high - 1) > _SQUARE:
        problem = f"pixels of {wide:.6g} x {high:.6g} um ({source}), which are not square"
    if problem or wide is None or high is None:
        notes.append(f"the file states {problem}; it is not believed. Give the true size with --mpp")
        return Scale(notes=tuple(notes), objective=power)
    if power is not None and not 0.6 <= power * math.sqrt(wide * high) / _NOMINAL <= 1.4:
        notes.append(
            f"the file states {wide:.4g} um per pixel and an objective of {power:g}x, which is usually "
            f"{_NOMINAL / power:.4g} um: one of both is wrong. The size of the pixel is used; --mpp changes it"
        )
    return Scale((wide, high), source, tuple(notes), power)


def given(scale: Scale, mpp: float | None) -> Scale:
    """The size that a person gives instead, with a note where the file says otherwise.

    Raises
    ------
    UsageError
        No slide has such pixels.
    """
    if mpp is None:
        return scale
    if not (math.isfinite(mpp) and FINEST <= mpp <= COARSEST):
        raise UsageError(f"--mpp {mpp:g}: a pixel of a slide has {FINEST} to {COARSEST:g} micrometres")
    notes = tuple(n for n in scale.notes if "--mpp" not in n)
    if scale.mpp is not None and abs(mpp / math.sqrt(scale.mpp[0] * scale.mpp[1]) - 1) > _SAME:
        other = "the list gives" if scale.source == GIVEN else "the file states"
        where = "" if scale.source == GIVEN else f" ({scale.source})"
        notes += (f"{mpp:g} um per pixel are used as given; {other} {scale.mpp[0]:.4g}{where}",)
    usual = None if scale.objective is None else _NOMINAL / scale.objective
    if usual is not None and not 0.6 <= mpp / usual <= 1.4:
        notes += (f"{mpp:g} um per pixel as given do not go with the objective of {scale.objective:g}x that the file "
                  f"states (usually {usual:.4g} um)",)  # fmt: skip
    return replace(scale, mpp=(mpp, mpp), source=GIVEN, notes=notes)
