"""Pages of PDF files: drawn ones are kept as paths, others are rendered at the resolution of their scan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, one_line
from workbench.core.types import Geometry, Image
from workbench.page.data import page_numbers
from workbench.page.data.pdf_box import Box, shown
from workbench.page.data.pdf_trial import require_bounded
from workbench.page.data.pictures import AXES, CHANNELS, MOST_PIXELS

MM = 25.4 / 72
"""Millimetres of a point of PDF."""
MOST_PATHS = 200_000
_DPI = 300.0
_SHORTEST_CURVE = 40
"""Corners of a path that may be a trace."""


@dataclass(frozen=True, eq=False)
class Path2D:
    """A drawn path.

    Parameters
    ----------
    points
        ``(n, 2)``, x to the right and y down [mm] from the upper left corner of the page.
    colour
        Red, green, blue of the stroke, 0 to 255.
    width
        Of the stroke [mm].
    """

    points: npt.NDArray[np.float64]
    colour: tuple[int, int, int]
    width: float


@dataclass(frozen=True)
class PdfText:
    """Words of a page, and their box (left, top, right, bottom) [mm] from the upper left corner."""

    text: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class PdfPage:
    """A page of a PDF file: which one, its size [mm], and whether curves are drawn on it, or it is a picture."""

    path: Path
    number: int
    size: tuple[float, float]
    is_drawn: bool
    dpi: float

    def paths(self) -> list[Path2D]:
        """All strokes of the page, as far as they are shown."""
        return _paths(self)

    def texts(self) -> list[PdfText]:
        """All words of the page that are shown."""
        return _texts(self)

    def is_mirrored(self) -> bool:
        """Whether most letters of the page are drawn as in a mirror: then its leads run backwards, too."""
        return _is_mirrored(self)


def count(path: Path) -> int:
    """How many pages a file has.

    Raises
    ------
    InputError
        It is damaged, or locked with a password.
    """
    with _document(path) as document:
        return len(document)


def read(path: Path, series: str | int | None = None) -> Image:
    """Open a page: ``(3, rows, columns)`` uint8 when asked for; `Image.native` is its `PdfPage`.

    Parameters
    ----------
    series
        Which page, from 1; needed where there are several.

    Raises
    ------
    InputError
        The file is damaged or locked, has no such page, or several and none was chosen.
    """
    with _document(path, _number(series) or 1) as document:
        pages = len(document)
        number = page_numbers.chosen(path, series, pages)
        with _page(path, number, document) as page:
            found = _described(path, number, page)
    width, height = (round(v / 25.4 * found.dpi) for v in found.size)
    if width * height > MOST_PIXELS:
        raise InputError(
            f"{path}: page {number} is {found.size[0]:.0f} x {found.size[1]:.0f} mm, {width} x {height} pixels; "
            f"expected up to {MOST_PIXELS // 1_000_000} million. Cut the electrocardiogram out."
        )
    return Image(
        geometry=Geometry((height, width), None, AXES, None),
        dtype=np.dtype(np.uint8),
        channels=CHANNELS,
        loader=lambda: _rendered(found, (height, width)),
        kind="page",
        source=path,
        format="pdf",
        header={"page": number, "pages": pages, "drawn": found.is_drawn, "dpi": round(found.dpi, 1)},
        native=found,
        notes=page_numbers.notes_of(number, pages),
    )


def _number(series: str | int | None) -> int:
    """The page that is asked for, by its number; 0 where that says none."""
    with suppress(ValueError, TypeError):
        return min(max(int(series or 0), 0), 1 << 31)
    return 0


@contextmanager
def _document(path: Path, *numbers: int) -> Iterator[Any]:
    """An open file; refused where it, or its pages of these numbers, would take all memory."""
    import pypdfium2

    require_bounded(path, *numbers)
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise InputError(f"{path}: is locked with a password. Save it without one.") from error
        raise InputError(f"{path}: is no PDF that can be read ({one_line(error)}). Export or copy it again.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({one_line(error)}).") from error
    try:
        yield document
    finally:
        document.close()


@contextmanager
def _page(path: Path, number: int, document: Any) -> Iterator[Any]:
    """A page of an open file; a damaged one is refused in a line."""
    import pypdfium2

    page = None
    try:
        page = document[number - 1]
        yield page
    except pypdfium2.PdfiumError as error:
        raise InputError(f"{path}: page {number} is damaged ({one_line(error)}). Export or copy it again.") from error
    finally:
        if page is not None:
            page.close()


def _described(path: Path, number: int, page: Any) -> PdfPage:
    """Whether there are curves or a scan, and how many dots an inch that has."""
    import pypdfium2.raw as pdfium

    width, height = page.get_size()
    curves, dpi = 0, _DPI
    for n, item in enumerate(page.get_objects(max_depth=3)):
        if n > MOST_PATHS:
            break
        if item.type == pdfium.FPDF_PAGEOBJ_PATH:
            curves += pdfium.FPDFPath_CountSegments(item.raw) >= _SHORTEST_CURVE
        elif item.type == pdfium.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = item.get_bounds()
            if (right - left) * (top - bottom) > 0.25 * width * height:
                across, _ = item.get_px_size()
                dpi = max(across / max(right - left, 1e-6) * 72, 72.0)
    return PdfPage(path, number, (width * MM, height * MM), curves >= 2, float(min(dpi, 600.0)))


def _rendered(page: PdfPage, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    with _document(page.path, page.number) as document, _page(page.path, page.number, document) as one:
        bitmap = one.render(scale=page.dpi / 72, rev_byteorder=True, fill_color=(255, 255, 255, 255))
        pixels = np.array(bitmap.to_numpy()[..., :3])
        bitmap.close()
    rows, columns = shape
    grown = np.full((rows, columns, 3), 255, np.uint8)
    grown[: min(rows, pixels.shape[0]), : min(columns, pixels.shape[1])] = pixels[:rows, :columns]
    return np.ascontiguousarray(np.moveaxis(grown, 2, 0))


def _paths(page: PdfPage) -> list[Path2D]:
    import ctypes

    import pypdfium2.raw as pdfium

    found = []
    with _document(page.path, page.number) as document, _page(page.path, page.number, document) as one:
        box = one.get_bbox()
        for n, item in enumerate(one.get_objects(max_depth=3, filter=(pdfium.FPDF_PAGEOBJ_PATH,))):
            if n > MOST_PATHS:
                raise InputError(
                    f"{page.path}: page {page.number} has more than {MOST_PATHS} paths. Export it as a picture."
                )
            m = item.get_matrix()
            parts: list[list[tuple[float, float]]] = []
            x, y = ctypes.c_float(), ctypes.c_float()
            for k in range(pdfium.FPDFPath_CountSegments(item.raw)):
                segment = pdfium.FPDFPath_GetPathSegment(item.raw, k)
                pdfium.FPDFPathSegment_GetPoint(segment, x, y)
                if pdfium.FPDFPathSegment_GetType(segment) == pdfium.FPDF_SEGMENT_MOVETO or not parts:
                    parts.append([])
                parts[-1].append(m.on_point(x.value, y.value))
            red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
            pdfium.FPDFPageObj_GetStrokeColor(item.raw, red, green, blue, alpha)
            wide = ctypes.c_float()
            pdfium.FPDFPageObj_GetStrokeWidth(item.raw, wide)
            colour, width = (red.value, green.value, blue.value), wide.value * abs(m.a or m.b) * MM
            for points in parts:
                for places in shown(np.array(points, float), box):
                    found.append(Path2D(_from_corner(places, box), colour, width))
    return found


def _from_corner(places: npt.NDArray[np.float64], box: Box) -> npt.NDArray[np.float64]:
    """Millimetres to the right and down from the upper left corner of what is shown, of places in points."""
    return np.column_stack([places[:, 0] - box[0], box[3] - places[:, 1]]) * MM


def _is_mirrored(page: PdfPage, most: int = 400) -> bool:
    from pypdfium2 import raw

    signs = []
    with _document(page.path, page.number) as document, _page(page.path, page.number, document) as one:
        text = one.get_textpage()
        try:
            for n in range(min(text.count_chars(), most)):
                m = raw.FS_MATRIX()
                if raw.FPDFText_IsGenerated(text, n):
                    continue  # a blank or the end of a line, which nobody drew
                if raw.FPDFText_GetMatrix(text, n, m) and (det := m.a * m.d - m.b * m.c):
                    signs.append(det > 0)
        finally:
            text.close()
    return bool(signs) and float(np.mean(signs)) < 0.2


def _texts(page: PdfPage) -> list[PdfText]:
    found = []
    with _document(page.path, page.number) as document, _page(page.path, page.number, document) as one:
        box = one.get_bbox()
        text = one.get_textpage()
        try:
            for n in range(min(text.count_rects(), 5000)):
                left, bottom, right, top = text.get_rect(n)
                words = text.get_text_bounded(left - 0.1, bottom - 0.1, right + 0.1, top + 0.1).strip()
                if words and box[0] < (left + right) / 2 < box[2] and box[1] < (bottom + top) / 2 < box[3]:
                    corners = _from_corner(np.array([[left, top], [right, bottom]]), box)
                    found.append(PdfText(words, (*corners[0].tolist(), *corners[1].tolist())))
        finally:
            text.close()
    return found
