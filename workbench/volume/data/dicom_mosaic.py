"""Siemens mosaics: one picture that holds all slices of a volume as tiles, taken apart again.

The picture has the place of a picture of its size, and its own header (CSA) says how many tiles it has and which way
they follow each other; NiBabel reads that header.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import PARSING, GeometryError, InputError, reading
from workbench.volume.data.dicom_fields import many
from workbench.volume.data.dicom_header import Header, read_header
from workbench.volume.data.dicom_stack import Plane, Tile

_CSA = (0x0029, "SIEMENS CSA HEADER", 0x10)
_ADVICE = "Export it again with its private fields, or convert it with dcm2niix at the scanner."


def is_mosaic(header: Header) -> bool:
    """Whether ImageType says that the picture is a mosaic."""
    return "MOSAIC" in [str(v).strip().upper() for v in many(header.shown("ImageType"))]


def tiles(whole: Plane, header: Header) -> Iterator[Plane]:
    """The slices of a mosaic, each with its own place in the patient.

    Raises
    ------
    InputError
        The header of Siemens is missing, damaged, or contradicts the size of the picture.
    """
    count, normal = _csa(header)
    side = math.ceil(math.sqrt(count))
    if whole.rows % side or whole.columns % side:
        raise InputError(
            f"{header.file}: a Siemens mosaic of {count} slices, in {side} x {side} tiles, but its {whole.columns} x"
            f" {whole.rows} pixels cannot be parted so: it was resized. Export the original."
        )
    if whole.orientation is None or whole.position is None or whole.spacing is None:
        raise GeometryError(
            f"{header.file}: a Siemens mosaic without ImagePositionPatient, ImageOrientationPatient or PixelSpacing:"
            f" its slices cannot be placed. {_ADVICE}"
        )
    between = header.numbers("SpacingBetweenSlices", 1, GeometryError) or whole.thickness
    if between is None or between[0] <= 0:
        raise GeometryError(
            f"{header.file}: a Siemens mosaic without SpacingBetweenSlices: its slices cannot be placed. {_ADVICE}"
        )
    rows, columns = whole.rows // side, whole.columns // side
    along_row, along_column = np.array(whole.orientation, dtype=np.float64).reshape(2, 3)
    first = np.array(whole.position) + (
        along_row * whole.spacing[1] * (whole.columns - columns) / 2
        + along_column * whole.spacing[0] * (whole.rows - rows) / 2
    )
    for k in range(count):
        place = first + k * between[0] * normal
        yield replace(
            whole,
            rows=rows,
            columns=columns,
            position=(float(place[0]), float(place[1]), float(place[2])),
            tile=Tile(k // side * rows, k % side * columns, whole.rows, whole.columns),
            number=k,
        )


def _csa(header: Header) -> tuple[int, npt.NDArray[np.float64]]:
    """Number of tiles, and the direction from each to the next (LPS)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # all of NiBabel's readers of DICOM call themselves experimental
        csareader: Any = importlib.import_module("nibabel.nicom.csareader")

    full = read_header(header.file, everything=True)
    content = None if full is None else full.private(*_CSA)
    if not isinstance(content, bytes):
        raise InputError(
            f"{header.file}: a Siemens mosaic (many slices in one picture) without its private header (0029,xx10),"
            f" which says how many slices it holds and where. {_ADVICE}"
        )
    with reading(
        header.file,
        "a Siemens mosaic whose private header (0029,xx10) cannot be read",
        _ADVICE,
        kinds=(*PARSING, csareader.CSAReadError),
    ):
        csa = csareader.read(content)
        count = csareader.get_n_mosaic(csa)
        normal = csareader.get_slice_normal(csa)
    length = 0.0 if normal is None else float(np.linalg.norm(normal))
    if count is None or not 1 <= int(count) <= 65535 or normal is None or not 0.99 < length < 1.01:
        raise InputError(
            f"{header.file}: a Siemens mosaic whose private header (0029,xx10) gives {count} slices along"
            f" {None if normal is None else [float(v) for v in normal]}, expected a number of slices and a direction."
            f" {_ADVICE}"
        )
    return int(count), np.asarray(normal, dtype=np.float64)
