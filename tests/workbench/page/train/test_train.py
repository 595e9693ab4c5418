"""Learning from corrected pages: it gets better, the same again, can be stopped, and says what it cannot use."""

import csv
import json
from dataclasses import replace

import pytest
from PIL import Image as Pillow

import workbench as wb
from tests.workbench.page.taught_pages import blue_page, save_page, true_lines
from workbench import weights as stored
from workbench.cli import run
from workbench.core.errors import Cancelled, InputError, UsageError
from workbench.core.reports import TrainReport
from workbench.core.seen import Seen, content_key
from workbench.data.lines import read_lines, write_lines
from workbench.page.train.train import MEASURE

QUICK = {"steps": 2, "batch": 2, "old_pages": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return [save_page(blue_page(700 + n), folder, f"p{n}", record=False) for n in range(4)]


@pytest.fixture(scope="module")
def report(cases, tmp_path_factory):
    out = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    return wb.train("ecg_image", cases, out=out, steps=14, batch=4, lr=2e-3, old_pages=1, device="cpu")


def test_a_page_that_was_kept_apart_is_seen_better(report):
    assert isinstance(report, TrainReport)
    assert report.validation == "on 1 held-out page(s) of 1 group(s)"
    before, after = report.scores[f"before {MEASURE}"], report.scores[MEASURE]
    assert after > before + 0.02, report.scores
    assert report.score == pytest.approx(after, abs=1e-6)
    assert report.stopped == "finished"


def test_the_weights_are_those_of_the_backend_and_know_what_taught_them(report, cases):
    found = stored.find(str(report.weights), "ecg_image")
    assert found.meta["net"]["widths"] == [24, 40, 64, 96]
    seen = Seen.of(found.meta)
    assert sorted(c.role for c in seen.cases) == ["chosen by", "learnt", "learnt", "learnt"]
    for case in cases:
        assert seen.mark([content_key(wb.read(case).data)]) in ("learnt", "chosen by")
    assert seen.mark(["0" * 32]) == "no"  # drawn pages alone had taught the demo weights
    page = report.report.read_text(encoding="utf-8")
    assert "Green: corrected lines" in page
    assert report.log.is_file()


def test_the_same_seed_gives_the_same_weights(cases, tmp_path):
    files = [wb.train("ecg_image", cases[:1], out=tmp_path / f"{n}.safetensors", seed=s, **QUICK).weights
             for n, s in enumerate((0, 0, 1))]  # fmt: skip
    one, same, other = (stored.load_tensors(stored.find(str(f), "ecg_image")) for f in files)
    assert all((one[k] == same[k]).all() for k in one)
    assert any((one[k] != other[k]).any() for k in one)


def test_what_does_not_learn_stays(cases, tmp_path):
    demo = stored.load_tensors(stored.find("demo", "ecg_image"))
    for adapt, moves in (("last", {"up.2", "line"}), ("decoder", {"up.0", "up.1", "up.2", "line", "words", "names"})):
        out = wb.train("ecg_image", cases[:1], out=tmp_path / f"{adapt}.safetensors", adapt=adapt, **QUICK).weights
        now = stored.load_tensors(stored.find(str(out), "ecg_image"))
        changed = {k for k in now if (now[k] != demo[k]).any()}
        assert changed
        assert {".".join(k.split(".")[:2]) if k.startswith("up") else k.split(".")[0] for k in changed} <= moves
        assert not any("running" in k for k in changed)


def test_a_cancel_keeps_what_is_there(cases, tmp_path):
    def stop(event):
        if event.step == 1:
            raise Cancelled

    report = wb.train("ecg_image", cases[:1], out=tmp_path / "w.safetensors", on_step=stop, **QUICK)
    assert report.stopped == "cancelled"
    assert report.weights.is_file()
    assert report.score is None
    assert any("nothing was kept apart" in note for note in report.notes)
    # It goes on where it was.
    again = wb.train("ecg_image", cases[:1], out=tmp_path / "w.safetensors", resume=True, **QUICK)
    assert again.stopped == "finished"


def test_a_picture_without_lines_is_said(cases, tmp_path):
    bare = replace(cases[0], labels=None)
    with pytest.raises(InputError, match=r"p0\.png: has no corrected lines"):
        wb.train("ecg_image", [bare], out=tmp_path / "w.safetensors", **QUICK)
    bare.image.with_suffix(".geojson").rename(tmp_path / "kept")
    bare.image.with_suffix(".geojson").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(InputError, match=r"p0\.geojson beside it lacks the block 'workbench' that predict writes"):
        wb.train("ecg_image", [bare], out=tmp_path / "w.safetensors", **QUICK)
    (tmp_path / "kept").rename(bare.image.with_suffix(".geojson"))
    report = wb.train("ecg_image", [bare, cases[1]], out=tmp_path / "w.safetensors", **QUICK)
    assert "has no lines, and teaches nothing" in report.failures["p0"]


def test_lines_of_another_picture_are_refused(cases, tmp_path):
    Pillow.open(cases[0].image).crop((0, 0, 500, 400)).save(tmp_path / "cut.png")
    case = replace(cases[0], image=tmp_path / "cut.png")
    with pytest.raises(
        InputError, match=r"p0\.geojson: these are lines of a picture of \d+ x \d+ pixels, and .*500 x 400"
    ):
        wb.train("ecg_image", [case], out=tmp_path / "w.safetensors", **QUICK)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: replace(lines, features={}), "none of its 3 lines has the name of a lead"),
        (lambda lines: replace(lines, about={}), "lacks the block 'workbench' that predict writes"),
        (lambda lines: replace(lines, about={**lines.about, "paper": 7}), "do not say where on paper they lie"),
    ],
)
def test_lines_that_say_too_little_are_refused(cases, tmp_path, change, words):
    write_lines(change(read_lines(cases[0].labels)), tmp_path / "p0.geojson")
    case = replace(cases[0], labels=tmp_path / "p0.geojson")
    with pytest.raises(InputError, match=words) as caught:
        wb.train("ecg_image", [case], out=tmp_path / "w.safetensors", **QUICK)
    assert "\n" not in str(caught.value)
    assert "p0.geojson" in str(caught.value)


def test_a_record_teaches_nothing(tmp_path):
    case = save_page(blue_page(700), tmp_path, "p0", lines=False)
    with pytest.raises(InputError, match=r"p0\.csv: corrected lines of the page \(GeoJSON\) were expected"):
        wb.train("ecg_image", [case], out=tmp_path / "w.safetensors", **QUICK)
    digital = replace(case, image=case.labels, labels=cases_lines(tmp_path))
    with pytest.raises(InputError, match="is a digital electrocardiogram"):
        wb.train("ecg_image", [digital], out=tmp_path / "w.safetensors", **QUICK)


def cases_lines(folder):
    write_lines(true_lines(blue_page(700)), folder / "lines.geojson")
    return folder / "lines.geojson"


def test_the_same_picture_does_not_teach_and_judge(cases, tmp_path):
    copies = [
        replace(cases[0], id=f"c{n}", group=f"c{n}", options={"split": "validation" if n else "train"})
        for n in range(2)
    ]
    with pytest.raises(UsageError, match="are the same picture: one would teach and the other judge"):
        wb.train("ecg_image", copies, out=tmp_path / "w.safetensors", **QUICK)


def test_equal_pictures_are_one_group_and_lines_that_contradict_are_said(cases, tmp_path):
    lines = json.loads(cases[0].labels.read_text(encoding="utf-8"))
    for feature in lines["features"]:
        feature["properties"]["lead"] = {"I": "II", "II": "I"}.get(feature["properties"]["lead"], "III")
        for point in feature["geometry"]["coordinates"]:
            point[1] += 3.0
    (tmp_path / "other.geojson").write_text(json.dumps(lines), encoding="utf-8")
    copies = [replace(cases[0], id=f"c{n}", group=f"c{n}") for n in range(3)]
    copies.append(replace(cases[0], id="c3", group="c3", labels=tmp_path / "other.geojson"))
    report = wb.train("ecg_image", copies, out=tmp_path / "w.safetensors", **QUICK)
    assert report.validation == "on nothing: too few pages to keep one apart"
    assert "c0 and c1 are the same picture" in report.notes
    assert "c0 and c3 are the same picture, and their lines contradict each other: correct one" in report.notes


def _times(factor):
    def change(lines):
        lines["features"][1]["geometry"]["coordinates"][3][0] *= factor

    return change


def _away(lines):
    for feature in lines["features"]:
        feature["geometry"]["coordinates"] = [[x + 5000, y] for x, y in feature["geometry"]["coordinates"]]


def _called(name):
    def change(lines):
        lines["features"][0]["properties"]["lead"] = name

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_times(1e30), r"p0.geojson: line 2 runs to \(.*e\+3\d, "),
        (_away, "p0.geojson: line 1 runs to .* and the picture has"),
        (_called("../../../tmp/pwn"), "p0.geojson: line 1 has the lead '../../../tmp/pwn', expected a name"),
        (_called("V" * 100), r"line 1 has the lead 'VVV.*\(100 characters\), expected a name"),
        (_called("I\x1b[31m"), "line 1 has the lead .*, expected a name"),
        (_called("=cmd"), "line 1 has the lead '=cmd', expected a name"),
    ],
)
def test_lines_that_cannot_be_of_a_page_teach_nothing(tmp_path, change, said):
    case = save_page(blue_page(700), tmp_path, "p0", record=False)
    lines = json.loads(case.labels.read_text(encoding="utf-8"))
    change(lines)
    case.labels.write_text(json.dumps(lines), encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        wb.train("ecg_image", [case], out=tmp_path / "w.safetensors", **QUICK)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "w.safetensors").exists()


def test_lines_that_nobody_corrected_are_told(tmp_path):
    folder = tmp_path / "in"
    case = save_page(blue_page(700), folder, "p0", record=False)
    result = folder / "p0"
    result.mkdir()
    case.labels.rename(result / "traces.geojson")
    record = {"files": {"traces.geojson": {}}, "notes": [], "input_sha256": None, "source": "p0.png"}
    (result / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    report = wb.train("ecg_image", folder, out=tmp_path / "w.safetensors", **QUICK)
    assert any("nobody corrected them" in note for note in report.notes)
    record["notes"] = ["lines corrected by hand: V2"]
    (result / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    report = wb.train("ecg_image", folder, out=tmp_path / "w2.safetensors", **QUICK)
    assert not any("nobody corrected them" in note for note in report.notes)
    record["notes"], record["files"] = [], {"traces.geojson": {"size": 1, "sha256": "0" * 64}}
    (result / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    report = wb.train("ecg_image", folder, out=tmp_path / "w4.safetensors", **QUICK)
    assert any("p0: traces.geojson is another file than provenance.json says" in note for note in report.notes)
    assert not any("nobody corrected them" in note for note in report.notes)
    record["input_sha256"] = "0" * 64
    (result / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="another file"):
        wb.train("ecg_image", folder, out=tmp_path / "w3.safetensors", **QUICK)


def test_the_shell_trains(cases, tmp_path, capsys):
    out = tmp_path / "w.safetensors"
    with (tmp_path / "list.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "labels"), (cases[0].image, cases[0].labels)])
    words = ["train", "ecg_image", "-i", str(tmp_path / "list.csv"), "-o", str(out), "--quiet"]
    words += ["--steps", "1", "--batch", "2", "--old-pages", "0", "--device", "cpu"]
    assert run(words) == 0
    assert out.is_file()
    assert str(out) in capsys.readouterr().out
    assert run([*words[:2], "-i", str(cases[0].image), *words[4:]]) == 2  # it is there already
    assert "add --overwrite" in capsys.readouterr().err
