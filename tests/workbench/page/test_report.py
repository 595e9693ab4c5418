"""The report of a page: one file, safe to open, with the banner, and nothing of a patient in it."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Pillow

import workbench as wb
from tests.workbench.page.pages import drawn
from workbench.core.signals import Signals, time_base
from workbench.page.predict.masking import MASKED, SHOWN
from workbench.page.report import SUBTITLE, drawn_leads, with_traces, write_report
from workbench.page.traces import PAGE_CORNER

NAME = "page <script>alert(1)<script> & 'co'"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    page = drawn(81, "D", "3x4+1", 130.0)
    path = tmp_path_factory.mktemp("reports") / f"{NAME}.png"
    Pillow.fromarray(np.ascontiguousarray(np.rot90(page.pixels))).save(path)
    return wb.predict("ecg_image", path)


def pictures(text):
    data = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    return [np.asarray(Pillow.open(io.BytesIO(base64.b64decode(d))).convert("RGB")) for d in data]


def test_a_report_is_one_file_with_all_that_was_read(result, tmp_path):
    path = write_report(result, tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    assert "Research use only" in SUBTITLE
    assert SUBTITLE in text
    assert "<script" not in text
    assert "page &lt;script&gt;alert(1)&lt;script&gt; &amp; &#39;co&#39;" in text
    assert str(result.image.source.parent) not in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    page, leads = pictures(text)
    assert page.shape == result["page"].pixels.shape
    assert leads.shape[1] > 900
    for words in ("QTc Bazett", "spread between beats", "coverage", "3x4+1", "painted over", "mm/mV", "turned by"):
        assert words in text
    rows = text[text.index("<h2>What was seen") :]
    assert all(f"<td>{name}</td>" in rows for name in result["leads"].channels)


def test_reasons_and_notes_are_escaped(result, tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    notes = (*result.provenance.notes, evil)
    table = result["measurements"]
    rows = (("PR", None, "ms", None, None, evil), *table.rows)
    parts = {**result.parts, "measurements": replace(table, rows=rows)}
    wrong = replace(result, parts=parts, provenance=replace(result.provenance, notes=notes))
    text = write_report(wrong, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;") == 2


def test_traces_lie_on_the_ink_of_the_page(result):
    pixels = result["page"].pixels
    corner = tuple(result.provenance.details[PAGE_CORNER])
    over = with_traces(pixels, result["traces"], corner, opacity=1.0)
    saturated = (over.max(axis=2).astype(int) - over.min(axis=2) > 90) & (over != pixels).any(axis=2)
    dark = pixels.max(axis=2) < 130
    assert dark[saturated].mean() > 0.7
    assert saturated.sum() > 10_000


def test_without_masking_the_report_says_so(result, tmp_path):
    notes = tuple(SHOWN if note == MASKED else note for note in result.provenance.notes)
    shown = replace(result, provenance=replace(result.provenance, notes=notes))
    text = write_report(shown, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Masking was off" in text
    assert "paper painted anew" not in text


def test_a_report_lies_beside_what_is_written(result, tmp_path):
    files = wb.write(result, tmp_path, name="one", beside=lambda folder: [write_report(result, folder / "report.html")])
    assert tmp_path / "one" / "report.html" in files


def test_a_digital_electrocardiogram_has_a_report_without_a_page(result, tmp_path):
    wb.write(result, tmp_path, name="one")
    digital = wb.predict("ecg_image", tmp_path / "one" / "leads.hea")
    text = write_report(digital, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h2>Page</h2>" not in text
    assert "QTc Bazett" in text
    assert len(pictures(text)) == 1


def test_of_long_recordings_the_first_seconds_are_drawn():
    samples = np.sin(np.arange(20_000) / 40)[None].repeat(2, axis=0).astype(np.float32)
    leads = Signals(samples, ("I", "II"), time_base(20_000, 500.0), "leads", "mV")
    assert 1100 < drawn_leads(leads).shape[1] < 1200


def test_leads_without_a_sample_are_drawn_as_nothing():
    leads = Signals(np.full((2, 1000), np.nan, np.float32), ("I", "II"), time_base(1000, 500.0), "leads", "mV")
    assert drawn_leads(leads).shape[2] == 3
