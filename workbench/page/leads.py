"""Leads of an electrocardiogram: their names, their orders, and what one lead says of others.

Einthoven 1913; Goldberger 1942 (aVR, aVL, aVF); Wilson 1944 (V1 to V6); Cabrera order as in Kligfield et al. 2007,
doi:10.1161/CIRCULATIONAHA.106.180200.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")
CHEST = ("V1", "V2", "V3", "V4", "V5", "V6")
STANDARD = (*LIMB, *CHEST)
"""The twelve leads in their usual order."""
CABRERA = ("aVL", "I", "-aVR", "II", "aVF", "III")
"""The limb leads in the order of their directions; aVR is drawn upside down."""
STRIP = " strip"
"""What the name of a signal ends with that is a long strip of its lead."""
FURTHER = ("V3R", "V4R", "V5R", "V6R", "V7", "V8", "V9", "X", "Y", "Z", "MCL1")

_KNOWN = {name.upper(): name for name in (*STANDARD, *FURTHER)} | {
    "VR": "aVR", "VL": "aVL", "VF": "aVF", "-AVR": "-aVR", "AVR-": "-aVR", "-VR": "-aVR",
    "D1": "I", "D2": "II", "D3": "III", "DI": "I", "DII": "II", "DIII": "III",
    "L1": "I", "L2": "II", "L3": "III",
    "C1": "V1", "C2": "V2", "C3": "V3", "C4": "V4", "C5": "V5", "C6": "V6",
    "C3R": "V3R", "C4R": "V4R", "C5R": "V5R", "C6R": "V6R", "C7": "V7", "C8": "V8", "C9": "V9",
    "VX": "X", "VY": "Y", "VZ": "Z",
    "MLI": "I", "MLII": "II", "MLIII": "III",
}  # fmt: skip
_DECORATION = re.compile(r"^(LEAD|ABLEITUNG|DERIVATION|ECG|EKG)[\s_:-]*|\([^)]*\)|[\s\x00_.:']+", re.IGNORECASE)


def standard_name(label: str) -> str | None:
    """The usual name of a lead for what a file or a page calls it, or ``None``.

    ``"Lead I (Einthoven)"``, ``"avf"``, ``"C4"`` (Germany, France) and ``"D2"`` (Spain, Latin America) are known;
    a trailing NUL and blanks do not matter. Where a file has a code for the lead, its code is asked, not its label.
    """
    text = label.strip(" \t\0").upper().replace("−", "-")
    if text in _KNOWN:
        return _KNOWN[text]
    return _KNOWN.get(_DECORATION.sub("", text))


def signal_name(label: str) -> str | None:
    """The same as `standard_name`, and ``"II strip"`` for a long strip of a lead as our files call it."""
    text = label.strip(" \t\0")
    own = standard_name(text.removesuffix(STRIP)) if text.endswith(STRIP) else None
    return standard_name(label) if own is None else f"{own}{STRIP}"


def is_modified(label: str) -> bool:
    """Whether a label says a limb lead with electrodes on the trunk (MLI, MLII, MLIII, as the MIT-BIH databases have).

    Its waves are those of the limb lead in form; their heights and the axis may differ.
    """
    return _DECORATION.sub("", label.strip(" \t\0").upper()) in ("MLI", "MLII", "MLIII")


def derived(leads: Mapping[str, npt.NDArray[np.floating]]) -> dict[str, npt.NDArray[np.floating]]:
    """The limb leads that two others determine, where those two are there: what they should be, by name.

    ``III = II - I``, ``aVR = -(I + II) / 2``, ``aVL = I - II / 2``, ``aVF = II - I / 2``; I and II from the two others.
    It holds for samples of one moment only, and is a check: never written into a lead that was measured.
    """
    one, two, three = (leads.get(name) for name in ("I", "II", "III"))
    found: dict[str, npt.NDArray[np.floating]] = {}
    if one is None and two is not None and three is not None:
        one = found["I"] = two - three
    elif two is None and one is not None and three is not None:
        two = found["II"] = one + three
    elif one is not None and two is not None:
        found["III"] = two - one
    if one is not None and two is not None:
        found |= {"aVR": -(one + two) / 2, "aVL": one - two / 2, "aVF": two - one / 2}
    return found
