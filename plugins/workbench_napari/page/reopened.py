"""A page with the lines that were saved for it, as a result to go on with. No Qt here."""

from __future__ import annotations

from pathlib import Path

from workbench.core import case_folder
from workbench.core.errors import GeometryError, MismatchError
from workbench.core.identity import identity_of
from workbench.core.lines import Lines
from workbench.core.types import Image, Progress, Result
from workbench.page import Sheet, from_lines
from workbench_napari.shared.saving import stored_provenance


def require_page(lines: Lines, image: Image, path: Path) -> None:
    """Raise a `GeometryError` where lines lie on a picture of another size."""
    shape, own = Sheet.of(lines).shape, tuple(image.geometry.shape)
    if shape != own:
        raise GeometryError(
            f"{path}: its lines lie on a picture of {shape[1]} x {shape[0]} pixels, {image.name} has "
            f"{own[1]} x {own[0]}. Open the page that they were drawn on."
        )


def reopen(lines: Lines, image: Image, path: Path, progress: Progress | None = None) -> Result:
    """Leads and measurements of lines that were saved.

    Raises
    ------
    MismatchError
        The folder that they lie in says that they were saved for another page.
    """
    record = case_folder.record_of_file(path)
    if record is not None and not identity_of(image).is_that_of(record):
        raise MismatchError(f"{path}: these lines were saved for {record.get('source')}, not for {image.source}.")
    return from_lines(lines, image, stored_provenance({"source": str(path), "provenance": record}, image.source))
