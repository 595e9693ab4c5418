"""Scores of readings: the numbers of both definitions computed anew, and what cannot be compared is refused."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

import workbench as wb
from tests.workbench.page.pages import drawn, leads_of
from tests.workbench.page.taught_pages import save_page, true_lines
from workbench.cli import run
from workbench.core.atomic import sha256_of
from workbench.core.errors import InputError, UsageError
from workbench.core.reports import EvaluationReport
from workbench.core.seen import Seen, SeenCase, content_key
from workbench.core.signals import Signals, time_base
from workbench.core.types import Provenance, Result
from workbench.data.cases import load_study
from workbench.data.lines import write_lines
from workbench.page.data.write_signals import write_csv
from workbench.page.errors import NotAPage
from workbench.page.evaluate.evaluation import COVERAGE, GAIN, KAGGLE, LAG, NAMED, PHYSIONET, SEEN, TIME
from workbench.page.evaluate.pages import evaluate_pages
from workbench.page.evaluate.reference import Reference, due
from workbench.page.evaluate.scores import score

RATE = 500.0


@pytest.fixture(scope="module")
def page():
    return drawn(91, "D", "3x4+1", 100.0)


@pytest.fixture
def case(page, tmp_path):
    return save_page(page, tmp_path / "in", "p0", lines=False)


def reading(page, change=lambda name, values: values, **details):
    """A backend that reads the truth, but for what is changed."""
    told = {"layout": "3x4+1", "seconds of a row": 10.0, "speed": 25.0, **details}

    def read(image):
        leads = {n: change(n, v) for n, v in leads_of(page.signals).items()}
        data = np.array([v for v in leads.values() if v is not None], np.float32)
        names = tuple(n for n, v in leads.items() if v is not None)
        signals = Signals(data, names, time_base(data.shape[1], RATE), "leads", "mV")
        fields = dict.fromkeys(Provenance.__dataclass_fields__)
        return Result({"leads": signals}, image, Provenance(**{**fields, "notes": (), "details": told}))

    return read


def later(values, samples):
    return np.concatenate([np.full(samples, np.nan), values[:-samples]])


def snr(true, found):
    """Decibels of what both have, after the best constant of at most 1 mV: PhysioNet's, without a shift in time."""
    good = np.isfinite(true) & np.isfinite(found)
    error = found[good] - true[good]
    error = error - np.clip(error.mean(), -1, 1)
    return 10 * np.log10((true[good] ** 2).mean() / (error**2).mean()) * good.sum() / np.isfinite(true).sum()


def test_the_numbers_are_those_of_the_definitions(page, case):
    noise = np.random.default_rng(0).normal(0, 0.05, page.signals.data.shape[1])
    read = reading(page, lambda name, v: v * 1.1 + noise + 0.3)
    report = evaluate_pages([case], read)
    assert isinstance(report, EvaluationReport)
    (row,) = report.rows
    true = leads_of(page.signals)
    mine = {n: snr(v, v * 1.1 + noise + 0.3) for n, v in true.items()}
    assert {r["lead"]: r[PHYSIONET] for r in report.leads} == pytest.approx(mine, abs=0.02)
    assert row[PHYSIONET] == pytest.approx(np.mean(list(mine.values())), abs=0.02)
    above = below = 0.0
    for v in true.values():
        good = np.isfinite(v)
        error = (v * 0.1 + noise)[good]
        above += (v[good] ** 2).sum()
        below += ((error - error.mean()) ** 2).sum()
    assert row[KAGGLE] == pytest.approx(10 * np.log10(above / below), abs=0.05)
    assert row["worst lead"] == min(mine, key=mine.get)
    assert row[GAIN] == pytest.approx(10, abs=0.7)
    assert row[LAG] == pytest.approx(0, abs=2.1)
    assert abs(row[TIME]) < 0.3
    assert row[COVERAGE] > 99
    assert row[NAMED] == "13 of 13"
    assert report.summary[0][PHYSIONET] == row[PHYSIONET]
    assert report.summary[0]["named right [%]"] == 100


def test_leads_that_come_late_are_exchanged_or_missing_are_told(page, case):
    true = leads_of(page.signals)
    other = {"V1": true["V2"], "V2": true["V1"], "aVL": None, "II strip": later(true["II strip"], 20)}
    report = evaluate_pages([case], reading(page, lambda name, v: other.get(name, v)))
    rows = {r["lead"]: r for r in report.leads}
    assert {n: r[NAMED] for n, r in rows.items() if r[NAMED] != "yes"} == {"V1": "no", "V2": "no", "aVL": "not found"}
    assert rows["II strip"][LAG] == pytest.approx(40)
    assert (rows["aVL"][PHYSIONET], rows["aVL"][COVERAGE]) == (0, 0)
    assert report.rows[0][NAMED] == "10 of 13"


def full_record(page, folder, seconds=10.0, rate=RATE):
    """The record as the device has it: twelve leads from end to end, no strip."""
    from workbench.page.draw.simulate import simulate

    signals = simulate(91, seconds=seconds, sampling_rate=rate)
    write_csv(np.asarray(signals.data, float), signals.channels, rate, folder / "p0.csv")


def test_a_record_from_end_to_end_is_cut_to_what_the_page_shows(page, case):
    full_record(page, case.image.parent)
    report = evaluate_pages([case], reading(page))
    rows = {r["lead"]: r for r in report.leads}
    assert len(rows) == 13
    assert min(r[COVERAGE] for r in rows.values()) > 99
    assert min(r[PHYSIONET] for r in rows.values() if np.isfinite(r[PHYSIONET])) > 40
    assert all(r[NAMED] == "yes" for r in rows.values())
    assert any("cut to what the layout 3x4+1 shows (that was read" in note for note in report.notes)
    # Another layout than that of the page is no excuse: what is due then is not there.
    wrong = evaluate_pages([case], reading(page, layout="6x2"))
    assert wrong.rows[0][COVERAGE] < 60


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda page, case: full_record(page, case.image.parent, 5.0), r"lasts 5\.0 s, and the page was read as 10"),
        (lambda page, case: full_record(page, case.image.parent, 20.0), r"lasts 20\.0 s"),
        (lambda page, case: case.labels.write_text("I,II,V7\n0.1,0.2,0.3\n"), "unit"),
        (lambda page, case: write_csv(np.ones((3, 5000)) * np.arange(5000) / 5000, ("V3R", "V4R", "V8"), RATE,
                                      case.labels), "p0"),
        (lambda page, case: case.labels.write_bytes(b"\0\1"), "p0"),
    ],
    ids=["short", "long", "no unit", "other leads", "damaged"],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(page, case, make, words):
    make(page, case)
    with pytest.raises(InputError, match=words) as caught:
        evaluate_pages([case], reading(page))
    assert "\n" not in str(caught.value)


def test_a_flat_record_measures_nothing(page, case):
    write_csv(np.zeros((4, 5000)), ("I", "II", "V1", "V2"), RATE, case.labels)
    with pytest.raises(InputError, match="p0.csv: all its leads are flat, and nothing is measurable by them"):
        evaluate_pages([case], reading(page))


def test_leads_that_a_page_does_not_have_are_refused(page, case):
    record = Reference({"V7": np.ones(5000)}, RATE, "record", case.labels)
    with pytest.raises(InputError, match="nothing can be compared"):
        due(record, ("I", "II"), {}, RATE)


def test_a_page_without_a_reference_and_a_picture_as_one(page, case):
    with pytest.raises(InputError, match=r"p0\.png: has no reference"):
        evaluate_pages([replace(case, labels=None)], reading(page))
    with pytest.raises(InputError, match="its record or its corrected lines were expected"):
        evaluate_pages([replace(case, labels=case.image)], reading(page))
    with pytest.raises(InputError, match="is a digital electrocardiogram, a picture of a page was expected"):
        evaluate_pages([replace(case, image=case.labels)], reading(page))


def test_a_page_that_is_refused_counts_as_empty(page, case):
    def refuse(image):
        raise NotAPage(f"{image.source}: no grid")

    reads = iter((reading(page), refuse))
    report = evaluate_pages([case, replace(case, id="p1")], lambda image: next(reads)(image))
    assert [r[COVERAGE] > 99 for r in report.rows] == [True, False]
    assert report.rows[1][PHYSIONET] == 0
    assert abs(report.rows[1][KAGGLE]) < 1
    assert report.failures == {}
    assert any("refused, and counts as empty: no grid (p1)" in note for note in report.notes)


def test_lines_are_a_reference_unless_nobody_corrected_them(page, case):
    folder = case.image.parent / "p0"
    folder.mkdir()
    write_lines(true_lines(page), folder / "traces.geojson")
    lined = replace(case, labels=folder / "traces.geojson")
    report = evaluate_pages([lined], reading(page))
    assert report.rows[0]["reference"] == "lines"
    assert report.rows[0][PHYSIONET] > 20
    assert report.rows[0][NAMED] == "13 of 13"
    record = {"files": {"traces.geojson": {}}, "notes": [], "input_sha256": None}
    (folder / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="nobody corrected them, and a score against them says nothing"):
        evaluate_pages([lined], reading(page))
    both = replace(lined, options={**lined.options, "reference": str(case.labels)})
    assert evaluate_pages([both], reading(page)).rows[0]["reference"] == "record"


def as_other_programs_save(path, *, block=True, properties=()):
    """A file of lines as QGIS leaves it: without foreign members, or without some properties."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if not block:
        del found["workbench"]
    for feature in found["features"]:
        for name in properties:
            del feature["properties"][name]
    path.write_text(json.dumps(found), encoding="utf-8")


@pytest.fixture
def lined(page, case):
    write_lines(true_lines(page), case.image.with_suffix(".geojson"))
    return replace(case, labels=case.image.with_suffix(".geojson"))


def test_lines_that_do_not_say_their_second_0_are_scored_as_if_they_did(page, lined):
    whole = evaluate_pages([lined], reading(page)).rows[0]
    as_other_programs_save(lined.labels, properties=("second 0 [mm]", "strip"))
    report = evaluate_pages([lined], reading(page))
    assert report.rows[0][PHYSIONET] > 18
    assert report.rows[0][LAG] == pytest.approx(whole[LAG], abs=8.1)  # half a pen
    assert report.rows[0][NAMED] == "13 of 13"
    assert (
        "13 of 13 lines have no property 'second 0 [mm]': it was taken from where their rows begin, as a page is"
        in (" ".join(report.notes))
    )
    few = json.loads(lined.labels.read_text(encoding="utf-8"))
    few["features"] = [f for f in few["features"] if f["properties"]["lead"] in ("V1", "V2")]
    lined.labels.write_text(json.dumps(few), encoding="utf-8")
    with pytest.raises(InputError, match=r"p0\.geojson: line 1 .* has no property 'second 0 \[mm\]'"):
        evaluate_pages([lined], reading(page))


def test_lines_that_another_program_saved_say_what_they_lack(page, lined):
    as_other_programs_save(lined.labels, block=False)
    (found,) = wb.cases(lined.image)
    assert found.labels == lined.labels
    for one in (found, lined, wb.cases(lined.image, lined.image.parent)[0]):
        with pytest.raises(InputError, match=r"p0\.geojson: lacks the block 'workbench' that predict writes"):
            evaluate_pages([replace(one, options={"kind": "page"})], reading(page))
    as_other_programs_save(lined.labels, properties=("lead",))
    lined.image.with_suffix(".csv").unlink()
    with pytest.raises(InputError, match=r"p0\.geojson beside it lacks the block 'workbench' that predict writes"):
        evaluate_pages(load_study(lined.image.parent, kind="page").cases, reading(page))


def test_lines_that_were_edited_elsewhere_count_as_corrected(page, case):
    folder = case.image.parent / "p0"
    folder.mkdir()
    path = folder / "traces.geojson"
    write_lines(true_lines(page), path)
    entry = {"size": path.stat().st_size, "sha256": sha256_of(path)}
    record = {"files": {"traces.geojson": entry}, "notes": [], "input_sha256": None}
    (folder / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    lined = replace(case, labels=path)
    with pytest.raises(InputError, match="nobody corrected them"):
        evaluate_pages([lined], reading(page))
    path.write_text(path.read_text(encoding="utf-8").replace('"I"', '"I" '), encoding="utf-8")
    report = evaluate_pages([lined], reading(page))
    assert "traces.geojson is another file than provenance.json says was written: taken as corrected" in report.notes


def test_pages_that_taught_are_marked(page, case):
    key = content_key(wb.read(case.image, kind="page").data)
    seen = Seen((SeenCase("p0", (key,)),), True, {key: SeenCase("p0", (key,))})
    report = evaluate_pages([case], reading(page), seen=seen)
    assert report.rows[0][SEEN] == "learnt"
    assert any("taught the weights (p0)" in note for note in report.notes)
    assert evaluate_pages([case], reading(page), seen=Seen((), True)).rows[0][SEEN] == "no"


def test_the_shell_scores_and_writes_a_report(tmp_path, capsys):
    save_page(drawn(91, "D", "3x4+1", 100.0), tmp_path / "in", "p0", lines=False)
    words = ["evaluate", "ecg_image", "-i", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--device", "cpu"]
    assert run([*words, "-q"]) == 0
    shown = capsys.readouterr().out
    assert "PhysioNet 2024 [dB]" in shown
    assert "Kaggle [dB]" in shown
    with (tmp_path / "out" / "leads.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 13
    assert float(rows[0][PHYSIONET]) > 15
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["summary"][0]["n"] == 1
    assert "Black: reference, red: as it was read." in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_layout_that_there_is_not_is_said_at_once(case):
    with pytest.raises(UsageError, match="no layout '3x5\\+9'"):
        wb.evaluate("ecg_image", [case], layout="3x5+9")


def test_a_reference_that_cannot_be_this_page_is_said():
    """Another patient's record, another unit and another rate all had their decibels, and no word."""
    from workbench.page.evaluate.pages import _doubts, _named

    rate, rng = 500.0, np.random.default_rng(0)
    t = np.arange(0, 10, 1 / rate)
    beats = {n: np.convolve(rng.random(len(t)) < 0.003, np.hanning(40), "same") * (1 + k) + 0.1 * np.sin(t * (k + 1))
             for k, n in enumerate(("I", "II", "V1"))}  # fmt: skip
    other = {n: np.roll(v[::-1], 1234) for n, v in beats.items()}

    def said(reference, found):
        return " ".join(_doubts(score(reference, found, rate), _named(reference, reference, found, rate)))

    assert said(beats, beats) == ""
    assert "is it the record of this page, at" in said(other, beats)
    assert "leads are 1e+03 times as high" in said(beats, {n: 1000 * v for n, v in beats.items()})
    assert "leads are 0.5 times as high" in said(beats, {n: 0.5 * v for n, v in beats.items()})
    waves = {n: np.cumsum(rng.standard_normal(len(t))) for n in beats}
    longer = {n: np.interp(t / 1.008, t, v) for n, v in waves.items()}
    assert "time runs +0." in said(waves, longer)
