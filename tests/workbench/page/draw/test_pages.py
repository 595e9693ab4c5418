"""Drawn pages: what is said to be true of them is, read back from their own pixels."""

import numpy as np
import pytest

from tests.workbench.page.pages import drawn, leads_of
from workbench.page.draw.capture import CAPTURES
from workbench.page.draw.simulate import simulate
from workbench.page.draw.styles import MAKERS, random_style
from workbench.page.evaluate.scores import score
from workbench.page.layouts import layouts
from workbench.page.predict.tracing import follow, middle_line


@pytest.mark.parametrize("layout", ["3x1", "6x1"])
def test_a_page_that_is_written_and_read_back_gives_its_signals(layout, tmp_path):
    """Above 30 dB, from the ink of the file and the truth about where the paper lies."""
    from PIL import Image

    page = drawn(21, "D", layout, 300.0, noise=0.0)
    Image.fromarray(page.ink).save(tmp_path / "ink.png")
    ink = np.asarray(Image.open(tmp_path / "ink.png")).astype(np.float32) / 255
    scale = page.dpi / 25.4
    left, right = (0.75 * ink + 0.25 * np.roll(ink, by, axis=1) for by in (1, -1))
    finer = np.stack([left, right], axis=2).reshape(ink.shape[0], -1)
    rows = np.array([lead.baseline * scale - 0.5 for lead in page.leads])
    true, found = leads_of(page.signals), {}
    for lead, stroke in zip(page.leads, follow(finer, rows, scale), strict=True):
        heights = middle_line(stroke, page.style.pen * scale, 2)
        good = np.isfinite(heights)
        columns = (np.arange(len(heights)) - 0.5) / 2
        at = np.interp(lead.line[:, 0], columns[good], heights[good])
        found[lead.cell.lead] = (lead.baseline - (at + 0.5) / scale) / page.style.gain
    result = score(true, found, 500.0)
    assert result.physionet > 30, {n: round(s.physionet, 1) for n, s in result.leads.items()}
    assert result.worst[1] > 28
    assert all(abs(s.gain - 1) < 0.02 and abs(s.lag) < 0.003 for s in result.leads.values())


@pytest.mark.parametrize("maker", MAKERS)
def test_crossings_lie_where_lines_cross(maker):
    page = drawn(31, maker, "3x4+1", 200.0, noise=0.0)
    assert page.style.maker == maker
    columns = page.crossings[:, 0].max()
    # Fine lines are a millimetre apart: 7.874 pixels at 200 dots per inch.
    row = page.crossings[page.crossings[:, 1] == 5]
    assert np.allclose(np.diff(row[:, 2]), 200 / 25.4, atol=1e-6)
    grey = page.pixels.astype(float).mean(axis=2)
    strong = page.crossings[(page.crossings[:, 0] % 5 == 0) & (page.crossings[:, 1] % 5 == 0)]
    inside = strong[(strong[:, 0] > 0) & (strong[:, 0] < columns)]
    at = np.round(inside[:, 2:]).astype(int)
    between = np.round(inside[:, 2:] + 2.5 * 200 / 25.4).astype(int)
    free = (page.ink[at[:, 1], at[:, 0]] == 0) & (between[:, 1] < grey.shape[0]) & (between[:, 0] < grey.shape[1])
    at, between = at[free], between[free]
    assert np.median(grey[at[:, 1], at[:, 0]]) < np.median(grey[between[:, 1], between[:, 0]]) - 8


@pytest.mark.parametrize("name", layouts())
def test_what_is_not_drawn_is_not_in_the_truth(name):
    layout = layouts()[name]
    if name == "3x5":
        with pytest.raises(ValueError, match="no lead V4R"):
            drawn(1, "A", name, 60.0)
        return
    page = drawn(1, "A", name, 60.0)
    seen = np.isfinite(page.signals.data).sum(axis=1)
    for lead, count in zip(page.leads, seen, strict=True):
        assert count == 5000 / lead.cell.columns
    assert page.signals.data.shape[0] == len(list(layout.cells()))
    whole = dict(zip(simulate(1).channels, simulate(1).data, strict=True))
    for channel, row in leads_of(page.signals).items():
        there = np.isfinite(row)
        assert np.allclose(row[there], whole[channel.removesuffix(" strip")][:5000][there])


@pytest.mark.parametrize("kind", CAPTURES)
def test_what_is_true_moves_with_the_pixels(kind):
    page = drawn(41, "B", "3x4+1", 110.0, kind)
    height, width = page.pixels.shape[:2]
    assert page.capture == kind
    assert page.ink.shape == page.mask.shape == (height, width)
    on_ink = []
    for n, lead in enumerate(page.leads, 1):
        line = lead.line[np.isfinite(lead.line[:, 1])]
        x, y = np.round(line).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        on_ink.append(float((page.ink[y[inside], x[inside]] > 60).mean()))
        # Where leads cross, the one that was drawn later has the pixel.
        assert np.isin(page.mask[y[inside], x[inside]], range(n, len(page.leads) + 1)).mean() > 0.8, lead.cell
    assert np.median(on_ink) > 0.9
    # The line is darker than what lies 1.5 mm beside it, in the pixels themselves.
    grey = page.pixels.astype(float).mean(axis=2)
    line = page.leads[0].line[np.isfinite(page.leads[0].line[:, 1])]
    x, y = np.round(line[::7]).astype(int).T
    good = (x > 8) & (y > 8) & (x < width - 8) & (y < height - 8)
    assert np.median(grey[y[good], x[good]]) < np.median(grey[y[good] - 7, x[good]]) - 15


def test_words_are_known_with_what_they_are():
    page = drawn(52, "F", "6x2", 120.0)
    kinds = {w.kind for w in page.words}
    assert "lead" in kinds
    assert [w.text for w in page.words if w.kind == "lead"] == [c.lead for c in page.style.layout.cells()]
    for word in page.words:
        left, top = word.corners.min(axis=0)
        right, bottom = word.corners.max(axis=0)
        assert right > left
        assert bottom > top


def test_signals_that_are_too_short_are_refused():
    from workbench.page.draw.render import render

    style = random_style(np.random.default_rng(0), maker="A", layout="3x1", clean=True)
    with pytest.raises(ValueError, match="too short for a row of 10 s"):
        render(simulate(0, seconds=4.0), style)
