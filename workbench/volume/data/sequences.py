"""Which MR sequence or modality a channel is, as far as its name says it: the tokens that the field uses."""

from __future__ import annotations

import re

from workbench.core.types import Image, case_name

_TOKENS = {
    "T1ce": ("t1ce", "t1gd", "t1c", "t1post", "t1wce", "t1wc", "cet1w"),
    "T1": ("t1", "t1w", "t1n", "mprage", "mp2rage", "bravo", "unit1"),
    "FLAIR": ("flair", "t2flair", "t2f", "fla"),
    "T2": ("t2", "t2w", "t2tse"),
    "PD": ("pd", "pdw"),
    "DWI": ("dwi",),
    "ADC": ("adc",),
    "BOLD": ("bold",),
    "cine MR": ("cine",),
    "MR": ("mr", "mri"),
    "CT": ("ct", "cta", "cect", "ncct"),
    "PT": ("pet",),
}
_BY_TOKEN = {token: name for name, tokens in _TOKENS.items() for token in tokens}
_CONTRAST = {"ce", "gd", "gad", "post", "contrast"}


def sequence_of(name: str) -> str:
    """``T1``, ``T1ce``, ``T2``, ``FLAIR``, ..., ``CT``, ``PT``, or "" where a name says none or several."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    found = {_BY_TOKEN[w] for w in words if w in _BY_TOKEN}
    if len(found) > 1:
        found -= {"MR"}
    if found == {"T2", "FLAIR"}:
        found = {"FLAIR"}
    if found == {"T1"} and words & _CONTRAST:
        found = {"T1ce"}
    return found.pop() if len(found) == 1 else ""


def modality_of(name: str) -> str:
    """The DICOM modality (``"CT"``, ``"MR"``, ``"PT"``) that a channel of this name belongs to, or ""."""
    found = sequence_of(name)
    return found if found in ("", "CT", "PT") else "MR"


def sequences_of(image: Image) -> tuple[str, ...]:
    """`sequence_of` per channel: by its name, of a single channel also by the description or the file's name."""
    found = tuple(sequence_of(c) for c in image.channels)
    if len(found) != 1 or found[0]:
        return found
    names = [str(image.header.get("SeriesDescription") or ""), "" if image.source is None else case_name(image.source)]
    return (next(filter(None, map(sequence_of, names)), ""),)


def order_for(wanted: tuple[str, ...], image: Image) -> tuple[int, ...] | None:
    """For each wanted channel the one of the image that has its name; None unless every name occurs once in both."""
    names, found = [sequence_of(w) for w in wanted], list(sequences_of(image))
    if len(set(names)) != len(names) or "" in names or sorted(names) != sorted(found):
        return None
    return tuple(found.index(n) for n in names)
