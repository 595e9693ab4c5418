"""What pydicom raises on damaged files, as one line. Values are parsed when they are looked at, not when it opens."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from workbench.core.errors import PARSING, reading


def kinds() -> tuple[type[Exception], ...]:
    """Errors of pydicom on damaged files, beside those of every parser."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (*PARSING, BytesLengthException, InvalidDicomError)


def reading_dicom(file: Path, found: str, advice: str = "Copy or export it again.") -> AbstractContextManager[None]:
    """`workbench.core.errors.reading` around calls of pydicom, and around looks at what it has read."""
    return reading(file, found, advice, kinds=kinds())
