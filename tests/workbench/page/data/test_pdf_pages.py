"""Pages of PDF files: rendered at the resolution of the scan that they hold, or kept as the lines that were drawn."""

import hashlib

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


def test_a_cut_file_is_one_line(tmp_path, scan):
    data = scan.read_bytes()
    (tmp_path / "cut.pdf").write_bytes(data[: len(data) // 3])
    (tmp_path / "none.pdf").write_bytes(b"")
    for name in ("cut.pdf", "none.pdf"):
        with pytest.raises(InputError, match="is no PDF that can be read") as caught:
            wb.read(tmp_path / name)
        assert "\n" not in str(caught.value)


PAD = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def rc4(key, data):
    state, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def test_a_file_with_a_password_asks_for_it(tmp_path):
    """The standard security handler of 40 bits, as PDF 1.4 has it (algorithms 3.2 to 3.4)."""
    password, rights, name = (b"secret" + PAD)[:32], -4, b"0123456789abcdef"
    owner = rc4(hashlib.md5(password).digest()[:5], password)
    key = hashlib.md5(password + owner + rights.to_bytes(4, "little", signed=True) + name).digest()[:5]
    user = rc4(key, PAD)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] >>",
        b"<< /Filter /Standard /V 1 /R 2 /O <" + owner.hex().encode() + b"> /U <" + user.hex().encode()
        + b"> /P %d >>" % rights,
    ]  # fmt: skip
    body, places = b"%PDF-1.4\n", []
    for n, text in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n" % n + text + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % at for at in places)
    named = b"<" + name.hex().encode() + b">"
    trailer = b"trailer << /Size 5 /Root 1 0 R /Encrypt 4 0 R /ID [" + named + named
    end = b"xref\n0 5\n0000000000 65535 f \n" + table + trailer + b"] >>\nstartxref\n%d\n%%%%EOF" % len(body)
    (tmp_path / "locked.pdf").write_bytes(body + end)
    with pytest.raises(InputError, match="is locked with a password. Save it without one.") as caught:
        wb.read(tmp_path / "locked.pdf")
    assert "\n" not in str(caught.value)


def test_a_book_of_300_pages_is_asked_for_one(tmp_path):
    pages = [Pillow.new("RGB", (20, 10), (n % 256, 0, 0)) for n in range(300)]
    pages[0].save(tmp_path / "book.pdf", save_all=True, append_images=pages[1:], resolution=72.0)
    with pytest.raises(InputError, match="has 300 pages. Say which: --series 1 to 300"):
        wb.read(tmp_path / "book.pdf")
    rows = wb.info(tmp_path / "book.pdf")
    assert len(rows) == 100
    assert rows[0]["n_series"] == 300
    assert wb.read(tmp_path / "book.pdf", series=300).data.shape == (3, 10, 20)


def words_of(path, matrix):
    """A page with two words and a line, drawn through a matrix."""
    content = f"q {matrix} cm BT /F1 20 Tf 40 100 Td (II) Tj 80 0 Td (aVR) Tj ET 10 50 m 500 60 l S Q".encode()
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 300]/Contents 4 0 R/Resources<</Font<</F1 " + font + b">>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, text) for n, text in enumerate(objects, 1))
    path.write_bytes(b"%PDF-1.4\n" + body + b"trailer<</Root 1 0 R>>\n%%EOF")
    return wb.read(path, kind="page").native


@pytest.mark.parametrize(
    ("matrix", "mirrored"), [("1 0 0 1 0 0", False), ("-1 0 0 1 600 0", True), ("1 0 0 -1 0 300", True),
                             ("-1 0 0 -1 600 300", False)],
)  # fmt: skip
def test_a_page_that_is_drawn_as_in_a_mirror_is_told(tmp_path, matrix, mirrored):
    page = words_of(tmp_path / "a.pdf", matrix)
    assert [t.text for t in page.texts()]
    assert page.is_mirrored() is mirrored
    assert pdf_pages.read(drawn(tmp_path / "b.pdf")).native.is_mirrored() is False
