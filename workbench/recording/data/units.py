"""Units that files name: those that are known here, and the line about all others."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.data.header_text import shortened

VOLTS = frozenset({"V", "mV", "uV", "\u00b5V", "\u03bcV", "\x83\xcaV"})
"""Volts as readers of EDF know them, to the letter: all others they take for volts (the last is Shift JIS)."""

# What is not measured in volts: nothing is multiplied, so small letters do. An empty unit is no unknown one.
_LIST = """
% /min 1 1/min 1/s a a.u. a/m adc am aru arb arbitrary au a\u00b7m bar bit bits bool boolea boolean bpm c cm cmh2o
code count counts db dba deg deg/s degc degf degree degrees f fam ft ft/cm ft/m g hpa hz index j k khz kohm kpa k\u03a9
l l/min l/s lux lx m m/s m/s2 m/s\u00b2 m/s^2 ma mbar mg min mixed ml ml/min ml/s mm mmhg mmol mohm mol ms m\u03a9 n
n/a na nam nats na\u00b7m nm none nt ohm pa pam percent pixel pixels pt pt/cm pt/m px rad rad/s ratio rpm s sd std t
t/m ua um unitless us w z z-score zscore \u00b0 \u00b0/s \u00b0c \u00b0f \u00b5a \u00b5m \u00b5s \u03bca
\u03bcm \u03bcs \u03a9 -
"""
_OTHERS = frozenset(_LIST.lower().split())


def is_known(unit: str, volts: Iterable[str] = VOLTS) -> bool:
    """Whether a unit is one of those volts, another quantity, or empty."""
    text = unit.strip()
    return not text or text in volts or text.lower().replace(" ", "") in _OTHERS


def unknown(units: Iterable[tuple[str, str]], volts: Iterable[str] = VOLTS) -> tuple[str, ...]:
    """A note on channels with a unit that nobody knows; none where all are known.

    Parameters
    ----------
    units
        Name of a channel, and its unit.
    volts
        The volts that the reader of the format knows.
    """
    strange = [(name, unit) for name, unit in units if not is_known(unit, volts)]
    if not strange:
        return ()
    names = ", ".join(sorted({shortened(unit.strip(), 16) for _, unit in strange}))
    said = f"{len(strange)} channel(s), first {shortened(strange[0][0].strip(), 32)}, in the unit {names}"
    return (f"{said}, which is not known here: their values were taken as they are",)
