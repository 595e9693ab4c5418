"""Pages as people bring them, to results: pictures, drawn PDF pages, digital recordings, and what is none of them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import workbench as wb
from tests.workbench.page.pages import drawn, leads_of
from workbench.core.errors import InputError, UsageError
from workbench.page.errors import NotAPage
from workbench.page.evaluate.scores import score
from workbench.page.leads import STANDARD
from workbench.page.traces import channels_of

DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "ecg"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the public pages are not there ({DATA})")
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def page():
    return drawn(81, "D", "3x4+1", 150.0, "scan")


@pytest.fixture(scope="module")
def saved(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "page.png"
    Pillow.fromarray(page.pixels).save(path)
    return path


@pytest.fixture(scope="module")
def result(saved):
    return wb.predict("ecg_image", saved)


def test_a_scan_becomes_its_leads(page, result):
    leads = result["leads"]
    assert leads.unit == "mV"
    assert leads.channels == (*STANDARD, "II strip")
    found = score(leads_of(page.signals), leads_of(leads), 500.0)
    assert found.physionet > 18
    assert found.kaggle > 18
    assert min(s.coverage for s in found.leads.values()) > 0.95
    assert max(abs(s.lag) for s in found.leads.values()) < 0.012
    assert result["certainty"].data.shape == leads.data.shape
    assert all(row[3] > 0.95 for row in result["coverage"].rows)


def test_the_traces_lie_on_the_ink_of_the_picture(page, result):
    lines = result["traces"]
    names = channels_of(lines)
    for number, piece in enumerate(page.leads, 1):
        name = f"{piece.cell.lead} strip" if piece.cell.is_strip else piece.cell.lead
        places = np.vstack([lines.line(n) for n in range(len(lines)) if names[n] == name])
        x, y = np.clip(np.floor(places).astype(int).T, 0, np.array(page.mask.shape)[::-1, None] - 1)
        rows = np.clip(y + np.arange(-2, 3)[:, None], 0, len(page.mask) - 1)
        assert (page.mask[rows, x] == number).any(axis=0).mean() > 0.9, name


def test_a_layout_that_there_is_not_is_said_before_anything_is_computed(saved):
    with pytest.raises(UsageError, match=r"no layout '3x4\+9'. Did you mean '3x4"):
        wb.predict("ecg_image", saved, layout="3x4+9")
    assert wb.predict("ecg_image", saved, layout="3x4+1", measure=False).provenance.details["layout"] == "3x4+1"


def test_what_it_rests_on_is_said(result):
    notes = " ".join(result.provenance.notes)
    assert "speed was taken as 25 mm/s" in notes
    assert "gain" in notes
    details = result.provenance.details
    assert details["layout"] == "3x4+1"
    assert np.allclose(details["pixels per mm"], 150 / 25.4, rtol=0.005)


def test_words_on_a_picture_are_not_read_and_those_of_a_pdf_page_are(result, page, tmp_path):
    """Scanners write what they recognised as text behind the picture."""
    from matplotlib.figure import Figure

    unread = "the speed was taken as 25 mm/s: words on pictures are not read: check that it says 25 mm/s"
    assert unread in result.provenance.notes
    high, wide = page.pixels.shape[:2]
    figure = Figure(figsize=(wide / 150, high / 150), dpi=150)
    figure.figimage(page.pixels)
    figure.text(0.1, 0.02, "20 mm/s 20 mm/mV 0.15-40 Hz", alpha=0.01)
    figure.savefig(tmp_path / "scan.pdf", dpi=150)
    assert not wb.read(tmp_path / "scan.pdf").native.is_drawn
    found = wb.predict("ecg_image", tmp_path / "scan.pdf", measure=False)
    assert (found.provenance.details["speed"], found.provenance.details["gain"]) == (20, 20)
    assert "the speed was taken as 20 mm/s: as the page says" in found.provenance.notes


def test_another_speed_and_gain_change_what_they_should(saved, result):
    other = wb.predict("ecg_image", saved, speed=50.0, gain=5.0, measure=False)
    one, two = result["leads"], other["leads"]
    assert abs(two.data.shape[1] / one.data.shape[1] - 0.5) < 0.01
    span = [np.nanmax(x.data[1]) - np.nanmin(x.data[1]) for x in (one, two)]
    assert abs(span[1] / span[0] - 2) < 0.05
    assert "measurements" not in other.parts


@pytest.mark.parametrize("turn", [1, pytest.param(2, marks=SLOW), pytest.param(3, marks=SLOW)])
def test_a_page_that_lies_turned_is_turned(page, tmp_path, turn):
    Pillow.fromarray(np.ascontiguousarray(np.rot90(page.pixels, turn))).save(tmp_path / "turned.png")
    found = wb.predict("ecg_image", tmp_path / "turned.png", measure=False)
    assert any(f"turned by {90 * turn} degrees" in note for note in found.provenance.notes)
    assert score(leads_of(page.signals), leads_of(found["leads"]), 500.0).physionet > 16


def test_what_is_written_is_read_again(result, tmp_path):
    files = wb.write(result, tmp_path)
    assert {f.name for f in files} == {
        "leads.dat", "leads.hea", "certainty.npy", "certainty.json", "coverage.csv", "traces.geojson", "report.html",
        "page.png", "measurements.csv", "provenance.json",
    }  # fmt: skip
    again = wb.read(tmp_path / result.image.name / "leads.hea")
    assert again.channels == result["leads"].channels
    assert again.value_unit == "mV"
    n = min(again.data.shape[1], result["leads"].data.shape[1])
    assert np.allclose(again.data[:, :n], result["leads"].data[:, :n], atol=0.0011, equal_nan=True)
    # A digital electrocardiogram is measured as it is.
    digital = wb.predict("ecg_image", tmp_path / result.image.name / "leads.hea")
    assert any("there was no page to read" in note for note in digital.provenance.notes)
    assert len(digital["measurements"].rows) == len(result["measurements"].rows)


def test_a_cat_a_blank_page_and_two_broken_files_are_refused_in_a_line(tmp_path, saved):
    cat = pytest.importorskip("skimage.data").chelsea()
    blank = np.full((700, 900, 3), 255, np.uint8)
    for name, pixels in (("cat.png", cat), ("blank.png", blank)):
        Pillow.fromarray(pixels).save(tmp_path / name)
        with pytest.raises(NotAPage, match="no grid of graph paper is seen"):
            wb.predict("ecg_image", tmp_path / name)
    shutil.copy(saved, tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="cannot be decoded"):
        wb.predict("ecg_image", tmp_path / "cut.png")
    (tmp_path / "no.pdf").write_bytes(b"%PDF-1.4 nothing")
    with pytest.raises(InputError, match="is no PDF that can be read"):
        wb.predict("ecg_image", tmp_path / "no.pdf")


def graph_paper(path, draw):
    """254 x 152 mm of graph paper at 150 dots per inch, and something on it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 254), ylim=(0, 152))
    for lines, count in ((axes.axvline, 255), (axes.axhline, 153)):
        for at in range(count):
            lines(at, color="#f5b0b0", lw=0.3 if at % 5 else 0.9)
    draw(axes)
    axes.axis("off")
    figure.savefig(path, dpi=150)
    return path


X = np.linspace(5, 245, 4000)
WORDS = "Lorem ipsum dolor sit amet consectetur"


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda axes: None, id="empty", marks=SLOW),
        pytest.param(lambda axes: [axes.plot(X, y + 6 * np.sin(X / 6), "k", lw=1) for y in (30, 70, 110)], id="sines"),
        pytest.param(lambda axes: axes.plot(X, 76 + 0.001 * (X - 120) ** 2, "k", lw=1.2), id="curve", marks=SLOW),
        pytest.param(lambda axes: [axes.text(20, y, WORDS, fontsize=20) for y in (30, 60, 90, 120)], id="words"),
        pytest.param(
            lambda axes: [axes.plot(X, 0 * X + y, "k", lw=1) for y in (20, 45, 70, 95, 120)], id="rules", marks=SLOW
        ),
        pytest.param(
            lambda axes: axes.bar(np.arange(20, 240, 12), np.arange(19) * 4 + 20, 8, color="k"), id="bars", marks=SLOW
        ),
    ],
)
def test_what_else_is_drawn_on_graph_paper_is_no_electrocardiogram(tmp_path, draw):
    path = graph_paper(tmp_path / "plot.png", draw)
    with pytest.raises(NotAPage) as caught:
        wb.predict("ecg_image", path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@needs_data
@pytest.mark.parametrize("name", ["ptbxl_00009_3x4r1_vector.pdf", "ptbxl_00009_6x2_vector.pdf"])
def test_a_drawn_pdf_page_is_read_as_it_was_drawn(name):
    """At the 125 corners a second that were drawn, 8 ms (4 samples of the truth) after the beginning of the record."""
    found = wb.predict("ecg_image", DATA / name)
    table = np.genfromtxt(DATA / "ptbxl_00009_truth_500hz.csv", delimiter=",", names=True, deletechars="")
    leads = leads_of(found["leads"])
    assert {c.removesuffix(" strip") for c in leads} == set(STANDARD)
    for channel, row in leads.items():
        true = table[channel.removesuffix(" strip")].astype(float)[4:]
        n = min(len(true), len(row))
        drawn_at, there = row[:n:4], true[:n:4]
        both = np.isfinite(drawn_at)
        assert np.corrcoef(drawn_at[both], there[both])[0, 1] > (0.999 if channel in ("II", "II strip") else 0.99), (
            channel
        )
        slope = np.polyfit(there[both], drawn_at[both], 1)[0]
        assert abs(slope - 1) < 0.05, channel
    assert any("without any pixel" in note for note in found.provenance.notes)


@needs_data
def test_two_drawings_of_one_recording_say_the_same():
    one, two = (
        leads_of(wb.predict("ecg_image", DATA / f"ptbxl_00009_{layout}_vector.pdf", measure=False)["leads"])
        for layout in ("3x4r1", "6x2")
    )
    shared = [name for name in STANDARD if name in one and name in two]
    assert len(shared) == 12
    for name in shared:
        n = min(len(one[name]), len(two[name]))
        both = np.isfinite(one[name][:n]) & np.isfinite(two[name][:n])
        if both.sum() > 250:
            a, b = one[name][:n][both], two[name][:n][both]
            assert np.abs((a - np.median(a)) - (b - np.median(b))).max() < 0.03, name


@needs_data
def test_a_screen_of_an_electrophysiology_study_is_refused():
    with pytest.raises(NotAPage, match="no grid of graph paper is seen"):
        wb.predict("ecg_image", DATA / "negative_intracardiac_screen.jpeg")


@needs_data
@pytest.mark.parametrize(
    ("name", "rate"),
    [("eik_00024_avblock_printed.jpg", 47), ("eik_00025_lad_printed.jpg", 82), ("photo_00016.jpg", 80),
     ("photo_00018.jpg", 67)],
)  # fmt: skip
def test_the_rate_is_that_which_is_printed(name, rate):
    found = wb.predict("ecg_image", DATA / name)
    measured = {row["measurement"]: row for row in found["measurements"].as_dicts()}
    assert abs(measured["heart rate"]["value"] - rate) < 3
    if "avblock" in name:
        assert measured["PR"]["value"] is None, "2:1 block: a PR must not be invented"


def test_too_few_pixels_are_refused_before_beats_are_lost(tmp_path):
    small = drawn(81, "D", "3x4+1", 58.0, "scan")
    Pillow.fromarray(small.pixels).save(tmp_path / "small.png")
    with pytest.raises(NotAPage, match=r"small.png: 2\.3 pixels a millimetre \(58 dots per inch\).*scan the page"):
        wb.predict("ecg_image", tmp_path / "small.png")


def test_a_speed_that_cannot_be_is_said(saved):
    found = wb.predict("ecg_image", saved, speed=50.0, page=False, measure=False)
    assert "are 1.3 s long each, at 50 mm/s" in " ".join(found.provenance.notes)


def test_a_scale_that_cannot_be_is_refused(saved, monkeypatch):
    from workbench.page.predict import digitise, grid

    def half(pixels, source="page"):
        found = grid.find_grid(pixels, source)
        return type(found)(
            found.paper / 2, found.step, found.first, found.quality, found.scores, found.has_strong, found.shape
        )

    monkeypatch.setattr(digitise, "find_grid", half)
    with pytest.raises(NotAPage, match=" s long each, at 25 mm/s and 11.8. pixels a millimetre.*pixels-per-mm"):
        wb.predict("ecg_image", saved, page=False)


SAMPLE = Path(__file__).resolve().parents[4] / "sample_data" / "files" / "page_9401.jpg"


@pytest.mark.parametrize(
    ("box", "layout", "leads"),
    [
        ((0, 0, 1, 0.5), "3x4 rows 1-2", ("I", "II", "aVR", "aVL", "V1", "V2", "V4", "V5")),
        ((0, 0.5, 1, 1), "3x4 row 3+1", ("III", "aVF", "V3", "V6", "II strip")),
        pytest.param(
            (0, 0, 0.5, 1), "limb 3x2+1", ("I", "II", "III", "aVR", "aVL", "aVF", "II strip"), marks=SLOW
        ),
        pytest.param(
            (0.5, 0, 1, 1), "chest 3x2+1", ("V1", "V2", "V3", "V4", "V5", "V6", "II strip"), marks=SLOW
        ),
    ],
)  # fmt: skip
def test_a_part_of_a_page_gives_its_own_leads_and_no_others(tmp_path, box, layout, leads):
    whole = wb.predict("ecg_image", SAMPLE, page=False, measure=False)["leads"]
    with Pillow.open(SAMPLE) as opened:
        w, h = opened.size
        opened.crop((round(box[0] * w), round(box[1] * h), round(box[2] * w), round(box[3] * h))).save(
            tmp_path / "part.png"
        )
    found = wb.predict("ecg_image", tmp_path / "part.png", page=False, measure=False)
    assert found.provenance.details["layout"] == layout
    assert found["leads"].channels == leads
    right, got = leads_of(whole), leads_of(found["leads"])
    for name in leads:
        if name != "II strip":  # which is half as long where the page was cut across
            one, other = (values[np.isfinite(values)] for values in (right[name], got[name]))
            many = min(len(one), len(other)) - 250  # a piece may have been cut
            middle = one[len(one) // 2 - many // 2 :][:many]
            assert max(np.corrcoef(middle, other[k:][:many])[0, 1] for k in range(len(other) - many)) > 0.9, name


@pytest.mark.parametrize("name", ["mirrored", pytest.param("two", marks=SLOW)])
def test_two_pages_in_a_picture_and_a_mirrored_one_are_refused(tmp_path, name):
    with Pillow.open(SAMPLE) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    wrong = np.vstack([pixels, pixels]) if name == "two" else pixels[:, ::-1]
    Pillow.fromarray(np.ascontiguousarray(wrong)).save(tmp_path / f"{name}.png")
    with pytest.raises(NotAPage, match=f"{name}.png: [48] rows of traces are seen, and the names that were read"):
        wb.predict("ecg_image", tmp_path / f"{name}.png", page=False, measure=False)


def test_a_beat_through_a_printed_word_is_joined_and_nothing_else_is():
    from workbench.page.predict.digitise import _through_words

    trace = np.zeros((200, 400), np.float32)
    trace[150:153] = 1.0  # a row
    trace[60:90, 100:106], trace[110:150, 100:106] = 1.0, 1.0  # a beat, cut by the name of its lead
    trace[110:150, 300:306] = 1.0  # one that ends below a word
    words = np.zeros((100, 100), np.float32)
    words[45:55] = 1.0
    joined = _through_words(trace, words)
    assert (joined[60:150, 100:106] > 0.5).all()
    assert (joined == trace)[:, 110:].all()
    assert (_through_words(trace, np.zeros_like(words)) == trace).all()


def test_lines_that_can_hardly_be_told_from_the_grid_are_refused_unless_they_are_asked_for(page, tmp_path):
    """Names that nobody can read and a lead that is not seen: what is read then is not said as if it were known."""
    pixels = page.pixels.copy()
    paper = np.median(pixels.reshape(-1, 3), axis=0)
    for word in page.words:
        low, high = (
            np.floor(word.corners.min(axis=0)).astype(int) - 1,
            np.ceil(word.corners.max(axis=0)).astype(int) + 2,
        )
        pixels[max(low[1], 0) : high[1], max(low[0], 0) : high[0]] = paper
    number = 1 + next(n for n, lead in enumerate(page.leads) if lead.cell.lead == "V2")
    rows, columns = np.nonzero(page.mask == number)
    first, last = np.percentile(columns, (20, 75)).astype(int)
    pixels[rows.min() - 4 : rows.max() + 5, first:last] = paper
    path = tmp_path / "faint.png"
    Pillow.fromarray(pixels).save(path)
    with pytest.raises(NotAPage, match=r"faint.png: lines can hardly be told from the grid: V2 was seen in [34]\d%"):
        wb.predict("ecg_image", path, page=False, measure=False)
    found = wb.predict("ecg_image", path, page=False, measure=False, doubtful=True)
    assert any("can hardly be told from the grid" in note for note in found.provenance.notes)
    leads = found["leads"]
    assert set(leads.channels) == {*STANDARD, "II strip"}
    # What is not there is not taken from the rows above and below.
    assert np.isfinite(leads.data[leads.channels.index("V2")]).sum() / leads.sampling_rate < 1.1


@needs_data
@pytest.mark.parametrize("name", ["generated_JS00001-0.png", "photo_00020.jpg"])
def test_real_pages_of_dark_grids_are_refused(name):
    with pytest.raises(NotAPage, match="can hardly be told from the grid"):
        wb.predict("ecg_image", DATA / name, page=False, measure=False)
