"""No printed or written name survives on the corrected page: true boxes of words, in five places and several scripts,
against the same page without them."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Pillow
from scipy.ndimage import maximum_filter

import workbench as wb
from tests.workbench.page.pages import drawn, perfect_maps
from workbench.core.device import choose
from workbench.core.errors import WorkbenchError
from workbench.core.lines import Picture
from workbench.page.draw.canvas import Canvas
from workbench.page.draw.capture import CAPTURES, capture
from workbench.page.draw.render import Words, render
from workbench.page.draw.simulate import simulate
from workbench.page.draw.styles import random_style
from workbench.page.ecg_image import load
from workbench.page.predict.digitise import Paper, flatten, read_flat
from workbench.page.predict.grid import find_grid
from workbench.page.predict.maps import look
from workbench.page.predict.masking import MASKED, SHOWN, corrected_page, ink_to_keep, painted_paper
from workbench.page.rectified import PER_MM
from workbench.page.settings import Config
from workbench.page.traces import PAGE_CORNER, Sheet

NAMES = {
    "Latin": "Jordan Example", "Cyrillic": "Ольга Образцова", "Greek": "Ελένη Παράδειγμα", "id": "PID 4711 0815",
}  # fmt: skip
BLACK, BLUE, RED, FAINT = (0.05, 0.05, 0.05), (0.1, 0.15, 0.55), (0.7, 0.1, 0.1), (0.55, 0.55, 0.55)


@pytest.fixture(scope="module")
def net():
    return load(Config(), choose("cpu")[0]).net


def places(page):
    """Lower left corners of words on paper [mm]: over and under the grid, between rows, and on a trace."""
    style, (left, top, right, bottom) = page.style, page.style.grid_from
    rows = sorted({lead.baseline for lead in page.leads})
    return {
        "above left": (left + 2, max(top - 5, 4)),
        "above right": (right - 60, max(top - 5, 4)),
        "below": (left + 20, bottom - 1.5),
        "between rows": (style.start + 70, (rows[0] + rows[1]) / 2 + 1),
        "on a trace": (style.start + 90, rows[1] + 1),
    }


def with_words(page, words):
    """A page on which more is printed: text, place on paper [mm], colour and size [mm] of each."""
    pixels, found = page.pixels.astype(float), list(page.words)
    height, width = pixels.shape[:2]
    scale = page.dpi / 25.4
    for text, place, colour, size in words:
        canvas = Canvas(width, height, (0.0, 0.0, 0.0))
        x, y = page.to_pixels(np.array([place], float))[0]
        left, top, right, bottom = canvas.text(x, y, text, size * scale, (1.0, 1.0, 1.0))
        share = canvas.pixels()[..., :1] / 255
        pixels = pixels * (1 - share) + share * np.array(colour) * 255
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        found.append(Words("name", text, corners, (corners + 0.5) / scale))
    return replace(page, pixels=np.round(pixels).astype(np.uint8), words=tuple(found))


def pages(seed, maker, layout, kind, dpi, words):
    """The same page without and with words, captured alike."""
    style = random_style(np.random.default_rng(seed), maker=maker, layout=layout, clean=True)
    base = render(simulate(seed), style, dpi=dpi, seed=seed)
    both = base, with_words(base, words(base))
    return both if kind == "render" else tuple(capture(page, kind, seed=seed) for page in both)


def read(pixels, grid, net):
    flat = flatten(pixels, grid)
    return read_flat(flat, grid, look(net, flat.pixels), Paper(), layout=None, sampling_rate=500.0, source="page")


def box_of(word, found):
    """Rows and columns of the flat page in which a word stands."""
    at = (found.grid.to_paper(word.corners) - np.array(found.flat.corner)) * PER_MM - 0.5
    low, high = np.maximum(np.floor(at.min(axis=0)).astype(int) - 2, 0), np.ceil(at.max(axis=0)).astype(int) + 3
    return slice(low[1], high[1]), slice(low[0], high[0])


def difference(one, other, box):
    return np.abs(one[box].astype(int) - other[box].astype(int)).max(axis=2)


def survived(word, without, found, masked, clean):
    """Of the ink of a word the share away from traces that keeps 40 % of its contrast or more, and the share that is
    kept from the picture anywhere; None where the word was not seen on it."""
    box = box_of(word, found)
    before = difference(found.flat.pixels, without.flat.pixels, box)
    ink = before > (40 if before.max(initial=0) > 80 else max(15, 0.5 * before.max(initial=0)))
    if ink.sum() < 10:
        return None
    traces = maximum_filter(np.logical_or(*ink_to_keep(without)), 5)[box]
    left = (difference(masked, clean, box) > 0.4 * before) & ~traces
    left &= difference(masked, found.flat.pixels, box) < 0.6 * before
    return float(left[ink].mean()), float((ink_to_keep(found)[0][box] & (before > 0))[ink].mean())


CASES = [
    (2, "C", "3x4", "render", 200.0, ("Latin", "Cyrillic", "Greek", "id", "Latin"), BLACK, 2.4),
    (7, "B", "6x2", "scan", 150.0, ("Cyrillic", "Latin", "id", "Greek", "Cyrillic"), RED, 3.2),
    pytest.param(
        20, "A", "3x4+1", "photo", 110.0, ("Greek", "id", "Cyrillic", "Latin", "id"), BLUE, 5.0, marks=pytest.mark.slow
    ),
    pytest.param(
        22,
        "E",
        "3x4",
        "grey scan",
        90.0,
        ("id", "Greek", "Latin", "Cyrillic", "Greek"),
        FAINT,
        3.2,
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("seed", "maker", "layout", "kind", "dpi", "scripts", "colour", "size"), CASES)
def test_no_name_survives_and_names_of_leads_do(net, seed, maker, layout, kind, dpi, scripts, colour, size):
    def words(page):
        return [(NAMES[s], place, colour, size) for s, place in zip(scripts, places(page).values(), strict=True)]

    plain, named = pages(seed, maker, layout, kind, dpi, words)
    grid = find_grid(plain.pixels)
    without, found = read(plain.pixels, grid, net), read(named.pixels, grid, net)
    clean, masked = corrected_page(without).pixels, corrected_page(found).pixels
    shown = corrected_page(found, mask=False).pixels
    assert np.array_equal(shown, found.flat.pixels)
    for where, word in zip(places(plain), named.words[len(plain.words) :], strict=True):
        left = survived(word, without, found, masked, clean)
        assert left is None or max(left) < (0.1 if where == "on a trace" else 0.05), (where, word.text, left)
        assert left is None or survived(word, without, found, shown, without.flat.pixels)[0] > 0.2
    kept, _ = ink_to_keep(found)
    names = [kept[box_of(word, found)].mean() > 0.6 for word in plain.words if word.kind == "lead"]
    assert np.mean(names) > 0.6
    # The ink of the leads is there: where it is seen well, the page shows it.
    trace = found.maps.trace.reshape(len(kept), -1, 2).min(axis=2) > 0.9
    inked = np.abs(masked.astype(int) - np.median(masked[~kept], axis=0)).max(axis=2) > 25
    assert inked[trace & kept].mean() > 0.9
    assert kept[trace].mean() > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("kind", CAPTURES)
def test_no_name_survives_on_many_pages(net, kind):
    lost, seen = [], 0
    for seed in range(6):
        rng = np.random.default_rng([seed, CAPTURES.index(kind)])

        def words(page, rng=rng):
            colours, sizes = (BLACK, BLACK, BLUE, RED, FAINT), (2.4, 3.2, 5.0, 7.0)
            return [
                (NAMES[rng.choice(list(NAMES))], at, colours[rng.integers(5)], sizes[rng.integers(4)])
                for at in places(page).values()
            ]

        layout = ("3x4+1", "3x4", "6x2")[seed % 3]
        plain, named = pages(100 + seed, "ABCDEF"[seed], layout, kind, (100.0, 150.0, 200.0)[seed % 3], words)
        try:
            grid = find_grid(plain.pixels)
            without, found = read(plain.pixels, grid, net), read(named.pixels, grid, net)
        except WorkbenchError:
            continue
        clean, masked = corrected_page(without).pixels, corrected_page(found).pixels
        for where, word in zip(places(plain), named.words[len(plain.words) :], strict=True):
            left = survived(word, without, found, masked, clean)
            seen += left is not None
            if left is not None and max(left) > (0.35 if where == "on a trace" else 0.08):
                lost.append((seed, where, word.text, left))
    assert seen > 10
    assert not lost


def test_paper_is_painted_without_what_was_overlooked():
    rng = np.random.default_rng(0)
    page = np.full((400, 600, 3), 240, np.uint8)
    page[::8], page[:, ::8] = (240, 200, 200), (240, 200, 200)
    page[::40], page[:, ::40] = (230, 140, 140), (230, 140, 140)
    true = page.copy()
    for _ in range(30):  # strokes that no map shows
        y, x = rng.integers(0, 380), rng.integers(0, 560)
        page[y : y + rng.integers(3, 20), x : x + rng.integers(3, 40)] = 20
    kept = np.zeros((400, 600), bool)
    kept[60, 60] = kept[340, 540] = True
    found = painted_paper(page, kept, np.ones_like(kept))
    inside = slice(12, 389), slice(12, 589)
    assert (np.abs(found[inside].astype(int) - true[inside]).max(axis=2) > 3).mean() < 0.002
    assert (found[:12] == found[0, 0]).all()
    assert (found[:, -11:] == found[0, 0]).all()
    nothing = painted_paper(page, np.zeros_like(kept), np.zeros_like(kept))
    assert (nothing == np.median(page.reshape(-1, 3), axis=0)).all()


def test_nothing_that_looks_like_a_name_of_a_lead_is_kept_far_from_where_one_stands():
    page = drawn(81, "D", "3x4+1", 100.0)
    grid = find_grid(page.pixels)
    flat = flatten(page.pixels, grid)
    maps = perfect_maps(page, grid, flat)
    words = np.ones_like(maps.words)  # one word as large as the page: no name is told in it
    found = read_flat(flat, grid, replace(maps, words=words), Paper(), layout=None, sampling_rate=500.0, source="page")
    kept, lines = ink_to_keep(found)
    assert not kept.any()
    assert lines.any()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    base = drawn(81, "D", "3x4+1", 130.0)
    page = with_words(base, [("Jordan Example", at, BLACK, 3.0) for at in places(base).values()])
    path = tmp_path_factory.mktemp("masked") / "page.png"
    Pillow.fromarray(np.ascontiguousarray(np.rot90(page.pixels, 2))).save(path)
    return path, page


@pytest.fixture(scope="module")
def result(saved):
    return wb.predict("ecg_image", saved[0])


def test_the_page_is_a_part_of_the_result_and_changes_no_other(saved, result, tmp_path):
    page = result["page"]
    assert isinstance(page, Picture)
    assert (page.spacing, page.name) == (1 / PER_MM, "page")
    assert MASKED in result.provenance.notes
    shown = wb.predict("ecg_image", saved[0], mask=False, turn="180", measure=False)
    without = wb.predict("ecg_image", saved[0], page=False, turn="180", measure=False)
    assert SHOWN in shown.provenance.notes
    assert "page" not in without.parts
    assert not {MASKED, SHOWN} & set(without.provenance.notes)
    assert PAGE_CORNER not in without.provenance.details
    for other in (shown, without):
        assert np.array_equal(result["leads"].data, other["leads"].data, equal_nan=True)
        assert result["leads"].channels == other["leads"].channels
        assert np.array_equal(result["traces"].coordinates, other["traces"].coordinates)
    assert (shown["page"].pixels != page.pixels).any()
    files = {f.name: f for f in wb.write(result, tmp_path)}
    again = Pillow.open(files["page.png"])
    assert np.array_equal(np.asarray(again), page.pixels)
    assert again.info["dpi"][0] == pytest.approx(PER_MM * 25.4, abs=0.1)
    assert set(again.info) <= {"dpi"}
    for file in files.values():
        assert b"Jordan" not in file.read_bytes()


def test_nothing_is_left_of_names_on_a_page_that_lay_upside_down(saved, result):
    page, sheet = result["page"].pixels, Sheet.of(result["traces"])
    height, width = sheet.shape
    assert sheet.turn == 2
    for where, word in zip(places(saved[1]), saved[1].words[-5:], strict=True):
        corners = np.array([width, height]) - (word.corners + 0.5)
        at = (sheet.to_mm(corners) - result.provenance.details[PAGE_CORNER]) * PER_MM
        low, high = np.floor(at.min(axis=0)).astype(int), np.ceil(at.max(axis=0)).astype(int)
        box = page[max(low[1], 0) : max(high[1], 0), max(low[0], 0) : max(high[0], 0)]
        if where != "on a trace":
            # Tips of beats go through some of them.
            assert (box.max(axis=2) > 110).mean() > 0.97, where


def test_a_digital_electrocardiogram_has_no_page(result, tmp_path):
    wb.write(result, tmp_path)
    found = wb.predict("ecg_image", tmp_path / result.image.name / "leads.hea")
    assert "page" not in found.parts
