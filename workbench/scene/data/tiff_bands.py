"""Wavelengths of TIFF scenes: from the tags of the bands, from their names (``"B4 665 nm"``), or from a file beside.

Of several that differ the first is taken, and a note says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from workbench.scene.data import envi_header as eh
from workbench.scene.data.wavelength_file import BandList, believed, differ, wavelengths_beside

_Tags = list[dict[str, str]]

_KEYS = ("wavelength", "wavelength_nm", "center_wavelength", "central_wavelength")
_UM = "central_wavelength_um"
_NUMBER_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*(nm|nanometers?|um|µm|μm|microns?|micrometers?)\b", re.IGNORECASE)
_ROUNDED = 0.05
"""Names of bands give round numbers; more than this share is another wavelength."""


def of_tags(
    path: Path, tags: _Tags, imagery: _Tags, descriptions: Sequence[str | None]
) -> tuple[BandList | None, tuple[str, ...]]:
    """What is known of the bands, and what a person should know of the tags.

    Parameters
    ----------
    tags, imagery
        Of each band, keys in lower case; GDAL keeps those of sensors apart.
    descriptions
        The names of the bands.
    """
    if len(tags) < 2:
        return None, ()
    notes: list[str] = []
    found: list[tuple[str, BandList]] = []
    for domain, keys in ((imagery, (_UM,)), (tags, (*_KEYS, _UM))):
        for key in keys:
            centres = _numbers(domain, key, notes)
            bands = None if centres is None else _list(domain, key, centres, notes)
            if bands is not None:
                found.append((f"the tags '{key}'", bands))
    named = [_NUMBER_UNIT.search(d or "") for d in descriptions]
    if all(named):
        centres = [float(m[1]) * (1.0 if m[2].lower().startswith("n") else 1e3) for m in named if m]
        if min(centres) > 0:
            found.append(("the names of the bands", BandList(centres)))
    if not found:
        beside = wavelengths_beside(path, len(tags))
        return beside, tuple(notes)
    source, first = found[0]
    for other_source, other in found[1:]:
        share = _ROUNDED if other_source.startswith("the names") else 2e-3
        if differ(first.wavelengths_nm, other.wavelengths_nm, share):
            notes.append(f"the wavelengths of {other_source} differ from those of {source}, which were taken")
    return believed(first, path, source), tuple(notes)


def _list(tags: _Tags, key: str, centres: list[float], notes: list[str]) -> BandList | None:
    if key == _UM:
        widths = _numbers(tags, "fwhm_um", [])
        return BandList([v * 1e3 for v in centres], None if widths is None else [v * 1e3 for v in widths])
    units = {t.get("wavelength_units", t.get("wavelength_unit", "")) for t in tags} - {""}
    factor, said = eh.to_nm(" and ".join(sorted(units)), centres)
    notes += [] if said is None else [said]
    if factor is None:
        return None
    widths, good = _numbers(tags, "fwhm", []), _numbers(tags, "good", [], low=-1.0)
    return BandList(
        [v * factor for v in centres],
        None if widths is None else [v * factor for v in widths],
        None if good is None else [v != 0 for v in good],
    )


def _numbers(tags: _Tags, key: str, notes: list[str], *, low: float = 0.0) -> list[float] | None:
    """The tag of all bands as numbers; a note where some bands have none."""
    texts = [t.get(key) for t in tags]
    if all(text is None for text in texts):
        return None
    values = [_number(text) for text in texts]
    wrong = sum(not low < v < math.inf for v in values)
    if wrong:
        notes.append(f"the tag '{key}' holds no number above 0 in {wrong} of {len(tags)} bands: taken as not given")
        return None
    return values


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
