"""What pydicom raises on damaged files, as one line. Values are parsed when they are looked at, not when it opens."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from workbench.core.errors import PARSING, reading


def kinds() -> tuple[type[Exception], ...]:
    """Errors of pydicom on damaged files, beside those of every parser."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (*PARSING, BytesLengthException, InvalidDicomError)


def reading_dicom(file: Path, found: str, advice: str = "Copy or export it again.") -> AbstractContextManager[None]:
    """`workbench.core.errors.reading` around calls of pydicom, and around looks at what it has read."""
    return reading(file, found, advice, kinds=kinds())


@contextmanager
def quietly() -> Iterator[None]:
    """pydicom warns about each odd value that it meets, in words for programmers; what matters is refused or noted."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
        yield
