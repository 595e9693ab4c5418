"""A PDF file that would take all memory, or end the process, is refused in a line; damaged pages are too."""

import time
import zlib

import pytest

import workbench as wb
from workbench.core.errors import InputError
from workbench.page.data import pdf_trial


def written(path, objects):
    """A PDF file of these objects (number to bytes); 1 is the catalogue."""
    out, places = bytearray(b"%PDF-1.7\n"), {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in places.items():
        out += b"%d 1\n%010d 00000 n \n" % (number, place)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (max(objects) + 1, start)
    path.write_bytes(out)
    return path


def stream(content, head=b""):
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (head, len(content), content)


def page(content, resources=b"", kids=b"3 0 R"):
    return {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Count 1/Kids[%s]>>" % kids,
        3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 842 595]/Contents 4 0 R/Resources<<%s>>>>" % resources,
        4: content,
    }


def nested(depth):
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 842 595]"
    calls = {
        10 + n: stream(b"/X Do " * 10, form + b"/Resources<</XObject<</X %d 0 R>>>>" % (11 + n)) for n in range(depth)
    }
    return calls | {10 + depth: stream(b"0 0 m 100 100 l S", form)}


def test_forms_within_forms_are_refused_before_they_unfold(tmp_path):
    objects = page(stream(b"/X Do"), b"/XObject<</X 10 0 R>>") | nested(12)
    begun = time.perf_counter()
    with pytest.raises(InputError, match=r"bomb.pdf: page 1 unfolds to more than 1.00 GB, expected an electroc"):
        wb.read(written(tmp_path / "bomb.pdf", objects))
    assert time.perf_counter() - begun < 60


def test_a_page_of_millions_of_lines_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf_trial, "MOST_BYTES", 400 * 10**6)
    packed = zlib.compress(b"0 0 m 9 9 l S\n" * 4_000_000)
    with pytest.raises(InputError, match="unfolds to more than 0.40 GB"):
        wb.read(written(tmp_path / "lines.pdf", page(stream(packed, b"/Filter/FlateDecode"))))


def test_a_few_forms_are_read(tmp_path):
    objects = page(stream(b"/X Do"), b"/XObject<</X 10 0 R>>") | nested(2)
    assert wb.read(written(tmp_path / "a.pdf", objects)).geometry.shape == (2479, 3508)


def test_a_page_that_takes_too_long_or_crashes_is_refused(tmp_path, monkeypatch):
    path = written(tmp_path / "a.pdf", page(stream(b"0 0 m 9 9 l S")))
    monkeypatch.setattr(pdf_trial, "MOST_SECONDS", 0.2)
    monkeypatch.setattr(pdf_trial, "_CODE", "while True: pass")
    pdf_trial._fine.clear()
    with pytest.raises(InputError, match="page 1 is not laid out within"):
        wb.read(path)
    monkeypatch.setattr(pdf_trial, "_CODE", "import os; os.abort()")
    pdf_trial._fine.clear()
    with pytest.raises(InputError, match="PDFium crashes on it"):
        wb.read(path)
    pdf_trial._fine.clear()


def test_without_a_python_to_start_nothing_is_tried(tmp_path, monkeypatch):
    path = written(tmp_path / "a.pdf", page(stream(b"0 0 m 9 9 l S")))
    monkeypatch.setattr("sys.executable", "")
    pdf_trial._fine.clear()
    assert wb.read(path).kind == "page"


def test_a_damaged_page_is_one_line(tmp_path):
    path = written(tmp_path / "self.pdf", page(stream(b""), kids=b"2 0 R"))
    for ask in (lambda: wb.read(path), lambda: wb.info(path)):
        with pytest.raises(InputError, match="self.pdf: page 1 is damaged") as caught:
            ask()
        assert "\n" not in str(caught.value)
