"""Pages of PDF files: rendered at the resolution of the scan that they hold, or kept as the lines that were drawn."""

import numpy as np
import pytest
from PIL import Image as Pillow

import workbench as wb
from workbench.core.errors import InputError
from workbench.page.data import pdf_pages


@pytest.fixture
def scan(tmp_path):
    """A PDF with one scanned page of 600 x 400 pixels at 100 dots per inch."""
    pixels = np.random.default_rng(0).integers(0, 255, (400, 600, 3)).astype(np.uint8)
    path = tmp_path / "scan.pdf"
    Pillow.fromarray(pixels).save(path, "PDF", resolution=100.0)
    return path


def drawn(path, pages=1):
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    with PdfPages(path) as file:
        for n in range(pages):
            figure = Figure(figsize=(6, 4))
            axes = figure.subplots()
            x = np.linspace(0, 6, 400)
            axes.plot(x, np.sin(x * 3 + n))
            axes.plot(x, np.cos(x * 3))
            file.savefig(figure)
    return path


def test_a_scanned_page_keeps_its_resolution(scan):
    image = wb.read(scan)
    assert image.kind == "page"
    assert image.geometry.shape == (400, 600)
    assert not image.native.is_drawn
    assert image.data.shape == (3, 400, 600)
    assert image.data.std() > 30


def test_a_drawn_page_has_its_curves_and_its_words(tmp_path):
    image = wb.read(drawn(tmp_path / "a.pdf"))
    assert image.native.is_drawn
    curves = [p for p in image.native.paths() if len(p.points) > 100]
    assert len(curves) == 2
    assert all((p.points >= 0).all() and (p.points <= [153, 102]).all() for p in curves)
    assert image.native.texts()
    assert image.data.shape == (3, *image.geometry.shape)


def test_of_several_pages_one_must_be_chosen(tmp_path):
    path = drawn(tmp_path / "many.pdf", 3)
    assert pdf_pages.count(path) == 3
    with pytest.raises(InputError, match="has 3 pages. Say which: --series 1 to 3"):
        wb.read(path)
    assert wb.read(path, series=2).notes == ("page 2 of 3",)
    assert not np.array_equal(wb.read(path, series=1).data, wb.read(path, series="3").data)
    for series in (0, 4, "x"):
        with pytest.raises(InputError, match="has no page"):
            wb.read(path, series=series)
    assert len(wb.info(path)) == 3


def test_a_locked_file_and_a_cut_one_are_one_line(tmp_path, scan):
    data = scan.read_bytes()
    (tmp_path / "cut.pdf").write_bytes(data[: len(data) // 3])
    (tmp_path / "none.pdf").write_bytes(b"")
    for name in ("cut.pdf", "none.pdf"):
        with pytest.raises(InputError, match="is no PDF that can be read") as caught:
            wb.read(tmp_path / name)
        assert "\n" not in str(caught.value)
    # A file that claims a security handler: pdfium asks for a password.
    locked = data.replace(b"trailer", b"trailer", 1).replace(b"/Root", b"/Encrypt << /Filter /Standard /V 1 /R 2 /O ("
                          + b"x" * 32 + b") /U (" + b"y" * 32 + b") /P -1 >> /Root", 1)  # fmt: skip
    (tmp_path / "locked.pdf").write_bytes(locked)
    with pytest.raises(InputError, match="is locked with a password|is no PDF that can be read"):
        wb.read(tmp_path / "locked.pdf")
