"""Which notes of the readers say that a file does not tell how the patient lies, and that an orientation was taken."""

from __future__ import annotations

from collections.abc import Iterable

_SAID = (
    "orientation is a guess",  # NIfTI without sform and qform
    "the header has no TransformMatrix",  # MetaImage
    "the header has no space directions",  # NRRD
    "axes were taken as left, posterior, superior",  # NRRD without an anatomical space
    "does not say where left is",  # Analyze
    "goodRASFlag is 0",  # MGH
)


def orientation_note(notes: Iterable[str]) -> str | None:
    """The note that says how a reader took the orientation; ``None`` where the file gives one."""
    return next((note for note in notes if any(said in note for said in _SAID)), None)
