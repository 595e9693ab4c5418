"""What devices measured, under one name each: intervals in ms, axes in degrees, rates in beats per minute."""

from __future__ import annotations

NAMES = ("heart_rate", "atrial_rate", "RR", "PP", "P", "PR", "QRS", "QT", "QTc", "QTcB", "QTcF", "P_axis", "QRS_axis",
         "T_axis")  # fmt: skip
"""Keys of ``Image.header["measurements"]``: rates [1/min], intervals and durations [ms], frontal axes [deg]."""

_PER = {"ms": 1.0, "msec": 1.0, "milliseconds": 1.0, "s": 1000.0, "sec": 1000.0, "us": 0.001}


def unit_of(name: str) -> str:
    """Unit of a measurement: ``"ms"``, ``"deg"`` or ``"1/min"``."""
    return "deg" if name.endswith("_axis") else "1/min" if name.endswith("_rate") else "ms"


def measured(name: str, value: float | None, unit: str) -> tuple[float | None, str]:
    """A measurement in the unit of its name, and a note where the file gives another quantity's unit.

    Intervals in s, ms and us are converted. An axis or a rate has only one unit: a file that calls it ms has the wrong
    word for the right number (its code says what it is), which the note tells. An interval in a unit that is no time is
    left out.

    Parameters
    ----------
    value
        The number as stated, or ``None``. Intervals and rates of 0 mean "not measured" and give ``None``.
    """
    if value is None or value != value or abs(value) > 1e6:
        return None, ""
    own = unit_of(name)
    said = unit.strip()
    if own == "ms":
        if value <= 0:
            return None, ""
        factor = _PER.get(said.lower()) if said else None
        if factor is None:
            return None, f"{name} of the device is in {said or 'no unit'}, which is no time: left out"
        return _plain(value * factor), ""
    if own == "1/min" and value <= 0:
        return None, ""
    if own == "deg" and abs(value) > 360:
        return None, f"{name} of the device is {value:g} degrees, which is none: left out"
    known = {
        "deg": ("deg", "degree", "degrees", "\u00b0"),
        "1/min": ("1/min", "/min", "bpm", "{h.b.}/min", "{beats}/min"),
    }
    if said and said.lower() not in known[own]:
        return _plain(value), f"{name} of the device is given in {said}; taken as {own}, which is all that it can be"
    return _plain(value), ""


def _plain(value: float) -> float | int:
    value = round(value, 4)
    return int(value) if value == int(value) else value
