"""Lines over a page and back to leads: what is not touched stays, what a person draws counts, and all of it is said."""

import json
import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image as Pillow

import workbench as wb
from tests.workbench.page.pages import drawn
from tests.workbench.page.taught_pages import true_lines
from workbench.core.errors import GeometryError, WorkbenchError
from workbench.core.lines import Lines
from workbench.page.corrected import is_corrected, with_lines
from workbench.page.diagnose.by_hand import BY_PERSON
from workbench.page.paper_map import PaperMap
from workbench.page.traces import LEAD, ORIGIN, STRIP, Sheet, channels_of, completed, leads_of, turned, without_covered


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "page.png"
    Pillow.fromarray(drawn(82, "C", "3x4+1", 120.0, "scan").pixels).save(path)
    return wb.predict("ecg_image", path)


def moved(lines: Lines, row: int, change) -> Lines:
    points = [lines.line(n) if n != row else change(lines.line(n)) for n in range(len(lines))]
    return Lines.from_points(points, features=lines.features, frame=lines.frame, name=lines.name, about=lines.about)


def with_line(lines: Lines, points, **own) -> Lines:
    features = {key: (*values, own[key]) for key, values in lines.features.items()}
    every = [*(lines.line(n) for n in range(len(lines))), np.asarray(points)]
    return Lines.from_points(every, features=features, frame=lines.frame, name=lines.name, about=lines.about)


def test_lines_say_what_the_leads_are(result):
    leads, again = result["leads"], leads_of(result["traces"])
    assert again.channels == leads.channels
    for one, other in zip(leads.data, again.data, strict=True):
        n = min(len(one), len(other))
        both = np.isfinite(one[:n]) & np.isfinite(other[:n])
        assert both.sum() > 0.99 * np.isfinite(one).sum()
        error = (one[:n] - other[:n])[both]
        assert np.std(error) < 0.02


def test_a_result_whose_lines_nobody_touched_stays_as_it_is(result):
    assert with_lines(result, "traces", result["traces"]) is result


def test_a_diagnosis_that_a_person_wrote_corrects_no_line(result):
    lines = result["traces"]
    now = with_lines(result, "traces", replace(lines, about={**lines.about, BY_PERSON: "left bundle block"}))
    assert now.provenance.details[BY_PERSON] == "left bundle block"
    assert now["leads"] is result["leads"]
    assert not is_corrected(now)


def test_a_line_that_is_moved_changes_its_lead_alone(result):
    lines = result["traces"]
    row = channels_of(lines).index("V2")
    sheet = Sheet.of(lines)
    mm = sheet.to_mm(lines.line(row))
    middle = (mm[:, 0] > np.quantile(mm[:, 0], 0.4)) & (mm[:, 0] < np.quantile(mm[:, 0], 0.6))
    lifted = np.where(middle[:, None], mm - [0, 5.0], mm)  # half a millivolt up
    now = with_lines(result, "traces", moved(lines, row, lambda _: sheet.from_mm(lifted)))
    assert is_corrected(now)
    assert not is_corrected(result)
    before, after = result["leads"], now["leads"]
    for n, name in enumerate(before.channels):
        same = before.data[n] == after.data[n, : before.data.shape[1]]
        same |= np.isnan(before.data[n])
        assert same.all() == (name != "V2")
        if name == "V2":
            gone = after.data[n, : len(same)] - before.data[n]
            assert 0.1 < (~same).mean() * before.data.shape[1] / np.isfinite(before.data[n]).sum() < 0.35
            assert abs(np.nanmedian(gone[~same]) - 0.5) < 0.01
            assert (now["certainty"].data[n, : len(same)][~same] == 1).all()
    assert any(note.startswith("lines corrected by hand: V2") for note in now.provenance.notes)
    assert now["measurements"] is not result["measurements"]


def test_a_stretch_that_is_drawn_again_counts(result):
    lines = result["traces"]
    row = channels_of(lines).index("II strip")
    sheet = Sheet.of(lines)
    mm = sheet.to_mm(lines.line(row))
    x = np.linspace(mm[0, 0] + 30, mm[0, 0] + 80, 60)
    level = float(np.median(mm[:, 1]))
    own = {key: values[row] for key, values in lines.features.items()}
    more = with_line(lines, sheet.from_mm(np.column_stack([x, np.full(60, level - 10.0)])), **own)
    now = with_lines(result, "traces", more)
    n = now["leads"].channels.index("II strip")
    rate = now["leads"].sampling_rate
    origin = own["second 0 [mm]"]
    a, b = (int((v - origin) / 25 * rate) for v in (x[0], x[-1]))
    flat = now["leads"].data[n, a + 3 : b - 3]
    assert np.ptp(flat) < 0.01
    assert abs(np.median(flat) - 1.0) < 0.1
    # What lies below it is gone from the picture, too, and each stretch is there once.
    left = now["traces"]
    spans = [sheet.to_mm(left.line(k))[:, 0] for k, c in enumerate(channels_of(left)) if c == "II strip"]
    spans.sort(key=lambda s: s.min())
    assert len(spans) == 3
    assert all(one.max() <= other.min() + 0.01 for one, other in pairwise(spans))


def test_a_lead_that_gets_another_name_is_measured_as_that(result):
    lines = result["traces"]
    names = list(lines.feature(LEAD))
    one, two = names.index("V2"), names.index("V3")
    names[one], names[two] = names[two], names[one]
    now = with_lines(result, "traces", replace(lines, features={**lines.features, LEAD: tuple(names)}))
    before, after = result["leads"], now["leads"]
    n = min(before.data.shape[1], after.data.shape[1])
    error = after.data[after.channels.index("V3"), :n] - before.data[before.channels.index("V2"), :n]
    assert np.nanstd(error) < 0.02


def test_a_lead_that_is_taken_away_is_said(result):
    lines = result["traces"]
    rows = [n for n, name in enumerate(channels_of(lines)) if name != "aVL"]
    fewer = Lines.from_points(
        [lines.line(n) for n in rows], features={k: tuple(v[n] for n in rows) for k, v in lines.features.items()},
        name=lines.name, about=lines.about,
    )  # fmt: skip
    now = with_lines(result, "traces", fewer)
    assert "aVL" not in now["leads"].channels
    with pytest.raises(GeometryError, match="no line has the name"):
        leads_of(replace(fewer, features={**fewer.features, LEAD: ("",) * len(fewer), "strip": (False,) * len(fewer)}))


def test_another_scale_changes_all_leads(result):
    lines = result["traces"]
    about = {**lines.about, "scale": [2.0, 1.0]}
    now = with_lines(result, "traces", replace(lines, about=about))
    assert abs(now["leads"].data.shape[1] / result["leads"].data.shape[1] - 2) < 0.01
    rate = {row[0]: row[1] for row in result["measurements"].rows}["heart rate"]
    slower = {row[0]: row[1] for row in now["measurements"].rows}["heart rate"]
    assert rate is not None
    assert slower is None or abs(slower - rate / 2) < 2


def test_lines_are_written_and_read_again(result, tmp_path):
    wb.write(result, tmp_path)
    again = wb.read_lines(tmp_path / result.image.name / "traces.geojson")
    lines = result["traces"]
    assert channels_of(again) == channels_of(lines)
    assert np.abs(again.coordinates - lines.coordinates).max() <= 5.1e-5
    assert np.nanmax(np.abs(leads_of(again).data - leads_of(lines).data)) < 0.002


def test_layers_and_back_are_the_same_lines(result):
    (data, attributes, kind) = wb.to_layers(result)[0]
    assert kind == "shapes"
    back = wb.lines_from_layer(data, attributes)
    assert np.allclose(back.coordinates, result["traces"].coordinates, atol=1e-9)
    assert back.features == dict(result["traces"].features)
    with pytest.raises(GeometryError, match="rectangle"):
        wb.lines_from_layer(data, {**attributes, "shape_type": ["rectangle"] * len(data)})


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_turned_picture_has_its_pixels_where_they_were(turn):
    picture = np.arange(30).reshape(5, 6)
    y, x = np.mgrid[0:5, 0:6]
    there = turned(np.column_stack([x.ravel(), y.ravel()]), turn, (5, 6)).astype(int)
    assert (np.rot90(picture, -turn)[there[:, 1], there[:, 0]] == picture.ravel()).all()
    assert (turned(there, -turn, (5, 6)) == np.column_stack([x.ravel(), y.ravel()])).all()


def test_a_map_of_paper_survives_json_and_goes_straight_on_beyond_the_picture():
    y, x = np.mgrid[0:40, 0:60] * 16.0
    paper = np.array([x / 8 + 0.002 * y + 1e-6 * x * y, y / 8 - 0.001 * x])
    made = PaperMap(paper, 16.0, 0.0, np.ones((40, 60)))
    again = PaperMap.from_json(made.to_json())
    assert again.paper.size < paper.size / 10
    places = np.random.default_rng(0).uniform(-50, 1000, (500, 2))
    assert np.abs(made.to_paper(places) - again.to_paper(places)).max() < 0.01
    assert np.abs(made.to_pixels(made.to_paper(places)) - places).max() < 0.01
    with pytest.raises((ValueError, KeyError)):
        PaperMap.from_json({"step": 1})


@pytest.mark.parametrize("wrong", [{}, {"paper": 3}, {"scale": [0, 1]}, {"sampling rate [Hz]": 1e9}])
def test_lines_without_a_scale_are_no_leads(result, wrong):
    lines = result["traces"]
    about = {} if not wrong else {**lines.about, **wrong}
    with pytest.raises(GeometryError):
        leads_of(replace(lines, about=about))


def test_lines_that_cover_each_other_are_cut(result):
    assert without_covered(result["traces"]).coordinates.shape == result["traces"].coordinates.shape


def test_damaged_lines_are_one_line_or_leads(result, tmp_path):
    """Files of lines come from other people: numbers that cannot be, other types, flipped bytes."""
    wb.write(result, tmp_path)
    text = (tmp_path / result.image.name / "traces.geojson").read_text(encoding="utf-8")
    whole, rng, path = json.loads(text), random.Random(3), tmp_path / "damaged.geojson"
    about = [key for key in whole["workbench"]["about"] if key != "paper"]
    counts = {"refused": 0, "read": 0}
    for n in range(240):
        wrong = rng.choice([None, -1, 0, 1e308, "x", [], {}, 1e-9, [1, 2], 99999, 1e6])
        if n % 3 == 0:
            body = bytearray(text.encode())
            for _ in range(3):
                body[rng.randrange(len(body))] = rng.randrange(256)
            path.write_bytes(bytes(body))
        else:
            damaged = json.loads(text)
            own = damaged["workbench"]["about"]
            if n % 3 == 1:
                own[rng.choice(about)] = wrong
            else:
                row = rng.choice(own["paper"]["x [mm]"])
                row[rng.randrange(len(row))] = wrong
            path.write_text(json.dumps(damaged), encoding="utf-8")
        try:
            leads_of(without_covered(wb.read_lines(path)))
            counts["read"] += 1
        except WorkbenchError as error:
            counts["refused"] += "\n" not in str(error)
    assert sum(counts.values()) == 240
    assert min(counts.values()) > 10


def test_notes_of_measurements_are_those_of_the_leads_as_they_are(result):
    lines = result["traces"]
    stale = "flat, electrode off?: V9"
    from workbench.page.predict.measurements import measured

    told = measured(result["leads"], str(result.image.source))[1]
    provenance = replace(result.provenance, notes=(*result.provenance.notes, stale))
    now = with_lines(
        replace(result, provenance=provenance), "traces", replace(lines, about={**lines.about, "scale": [1.5, 1.0]})
    )
    here = measured(now["leads"], str(result.image.source))[1]
    assert not (set(told) - set(here)) & set(now.provenance.notes)
    assert set(here) <= set(now.provenance.notes)
    assert stale in now.provenance.notes  # what the run said of the page itself stays
    assert any("corrected by hand, by 1.5000 along x and 1.0000 along y" in note for note in now.provenance.notes)


def without(lines: Lines, *names, rows=None) -> Lines:
    """Lines as they are after a program left out these properties, of some lines or of all."""
    gone = range(len(lines)) if rows is None else rows
    features = {
        key: tuple(None if key in names and n in gone else v for n, v in enumerate(values))
        for key, values in lines.features.items()
    }
    return replace(lines, features=features)


@pytest.mark.parametrize(
    ("maker", "layout", "seed"), [("A", "3x4+1", 82), ("D", "6x2", 83), ("C", "3x4+1", 84), ("C", "3x4+1", 86)]
)
def test_second_0_and_strips_that_are_not_said_are_found_as_on_a_page_that_is_read(maker, layout, seed):
    lines = true_lines(drawn(seed, maker, layout, 100.0))
    true = np.array(lines.feature(ORIGIN), float)
    found = completed(without(lines, ORIGIN, STRIP))
    assert found.feature(STRIP) == lines.feature(STRIP)
    assert np.abs(np.array(found.feature(ORIGIN), float) - true).max() < 1.0
    some = completed(without(lines, ORIGIN, rows=(0, 5, len(lines) - 1)))
    assert np.abs(np.array(some.feature(ORIGIN), float) - true).max() < 1.0
    assert completed(lines) is lines
    gone = replace(lines, features={LEAD: lines.feature(LEAD)})
    assert leads_of(gone).channels == leads_of(lines).channels


def test_second_0_of_a_page_that_was_read_is_found_where_it_was(result):
    lines = result["traces"]
    found = completed(without(lines, ORIGIN, STRIP))
    away = np.array(found.feature(ORIGIN), float) - np.array(lines.feature(ORIGIN), float)
    assert np.abs(away).max() < 0.1, away


def test_lines_too_few_to_tell_where_their_rows_begin_name_the_property():
    lines = true_lines(drawn(82, "A", "3x4+1", 100.0)).subset([2, 3])
    with pytest.raises(GeometryError, match=r"line 1 of 'traces' \(V1\) has no property 'second 0 \[mm\]'"):
        leads_of(without(lines.subset([0, 1]), ORIGIN))
