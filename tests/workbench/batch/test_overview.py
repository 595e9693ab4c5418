"""The overview: whatever is in the rows the page is whole, its links lead somewhere, and it says what it marks."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import time
from urllib.parse import unquote_to_bytes

import pytest

from tests.html_page import Page
from tests.workbench.batch.study_rows import NASTY, row, study
from workbench.batch.overview import MOST_CLASSES, MOST_FAILURES, amount, duration, plain, readable, write_overview
from workbench.batch.rows import JsonLines
from workbench.core.provenance import peak_memory_mb

MEASURE = "volume [mL]"


@pytest.fixture
def page_of(tmp_path):
    def write(rows, **more):
        given = {"title": "A study", "facts": {"seconds": 3600.0}, "size_column": MEASURE,
                 "pictures": tmp_path / "pictures"} | more  # fmt: skip
        return Page(write_overview(tmp_path / "overview.html", rows, **given))

    return write


def cases_of(page):
    """The table of cases: rows by heading."""
    head, *rows = page.tables["cases"]
    assert all(len(r) == len(head) for r in rows)
    return [dict(zip(head, r, strict=True)) for r in rows]


def test_figures_are_on_top_and_failures_come_first(page_of):
    rows = [
        row("a", 10.0),
        row("b", status="failed", stage="read", error="InputError", message="b.nii: cut off", hint="Copy it again."),
        row("c", 11.0, status="skipped"),
        row("d", status="not run", seconds=None),
    ]
    page = page_of(rows, facts={"seconds": 1800, "device": "cpu", "files": ["x", "y"]})
    text = " ".join(page.text.split())
    for said in ("done 1", "already complete 1", "failed 1", "not run 1", "time 30 min 00 s", "cases per hour 2"):
        assert said in text
    assert "device" in text
    assert text.index("Failures") < text.index("Over the study") < text.index("Cases All cases")
    assert page.tables["0"][1] == ["b", "read", "b.nii: cut off (InputError)", "Copy it again."]
    assert page.links[0] == "#case-1"
    assert [c["status"] for c in cases_of(page)] == ["done", "failed", "already complete", "not run"]
    assert [c["liver volume [mL]"] for c in cases_of(page)] == ["10", "", "11", ""]


def test_without_failures_and_sizes_there_are_no_empty_sections(page_of):
    page = page_of([row("a"), row("b")], size_column="")
    assert list(page.tables) == ["cases"]
    assert "Failures" not in page.text
    assert list(cases_of(page)[0]) == ["case", "status", "seconds", "peak memory [MB]", "notes", "files"]


def test_a_study_without_cases_is_a_page(page_of):
    page = page_of([])
    assert "done 0" in " ".join(page.text.split())
    assert len(page.tables["cases"]) == 1


def test_outliers_are_marked_linked_and_the_rule_is_said(page_of):
    page = page_of(study())
    liver, spleen = page.tables["0"][1:]
    assert liver[-1] == "none"
    assert spleen[-1] == "P003 ▲ high (2,000)"
    assert "#case-3" in page.links
    assert ("tr", {"id": "case-3"}) in page.tags
    assert "modified z-score is above 3.5" in page.text
    odd = [c for c in cases_of(page) if c["marked"]]
    assert [(c["case"], c["marked"], c["spleen volume [mL]"]) for c in odd] == [
        ("P003", "spleen high", "▲ high: 2,000")
    ]


def test_of_fewer_than_five_none_is_marked_and_the_page_says_so(page_of):
    page = page_of([row("a", 10.0), row("b", 11.0), row("c", 12.0), row("d", 10_000.0)])
    assert page.tables["0"][1][-1] == "fewer than 5 cases: none are marked"
    assert not any(c["marked"] for c in cases_of(page))


def test_no_name_breaks_the_page(page_of, tmp_path):
    (tmp_path / "pictures").mkdir()
    rows = []
    for i, name in enumerate(NASTY):
        columns = {name: name, "plain": i}
        rows.append(row(name, 10.0 + i, columns=columns, notes=[name, name], files=[str(tmp_path / name / "l.nii")],
                        group=name, source=name, status="failed" if i % 2 else "done", stage=name, error=name,
                        message=f"{name}: bad", hint=name))  # fmt: skip
        rows[-1]["table"][0]["class"] = name
    page = page_of(rows, title=NASTY[3], facts={name: name for name in NASTY})
    shown = [c["case"] for c in cases_of(page)]
    assert shown == [plain(name) for name in NASTY]
    assert shown[NASTY.index("line\nbreak")] == "line\\x0abreak"
    assert shown[NASTY.index("broken \udce9\udcff")] == "broken \\udce9\\udcff"
    assert shown[NASTY.index("turned \u202e gnp")] == "turned \\u202e gnp"
    assert [t for t, _ in page.tags].count("script") == 1
    text = (tmp_path / "overview.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_links_lead_to_the_files_whatever_they_are_called(page_of, tmp_path):
    (tmp_path / "pictures").mkdir()
    rows, files = [], []
    for name in (n for n in NASTY if "\ud800" not in n and "/" not in n):
        files += [tmp_path / "out" / name / "labels.nii.gz", tmp_path / "pictures" / f"{name}.png"]
        rows.append(row(name, files=[str(files[-2])]))
    rows.append(row("<b>", files=[str(tmp_path / "out" / "b" / "x.csv")]))
    (tmp_path / "pictures" / "<b>.png").write_bytes(b"x")
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    page = page_of(rows)

    def there(href):
        assert href.isascii()
        assert ":" not in href.split("/")[0]
        return (str(tmp_path).encode() + b"/" + unquote_to_bytes(href)).replace(b"/./", b"/")

    known = {str(f).encode("utf-8", "surrogateescape") for f in files}
    assert {there(h) for h in page.links if h.endswith("labels.nii.gz")} | {there(p) for p in page.pictures} >= known
    assert len(page.pictures) == len(rows)
    for tag, attributes in page.tags:
        if tag == "img":
            assert attributes["loading"] == "lazy"
            assert attributes["alt"].startswith("picture of ")


def test_a_name_that_no_disk_holds_and_a_missing_picture_have_no_link(page_of, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").touch()
    page = page_of([row("a"), row("half \ud800", files=["/x/half \ud800/l.nii"])])
    assert page.pictures == ["pictures/a.png"]
    assert page.links == ["pictures/a.png"]
    assert "l.nii" in cases_of(page)[1]["files"]


def test_relative_paths_of_files_count_from_where_the_run_was(page_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    page = page_of([row("a", files=[f"{tmp_path.name}/a/labels.nii.gz", f"{tmp_path.name}/x.csv"])])
    assert page.links == ["a/labels.nii.gz", "x.csv"]


def test_of_many_classes_and_columns_the_rest_is_in_the_summary(page_of):
    classes = [f"structure {i}" for i in range(MOST_CLASSES + 5)]
    columns = {f"column {i}": i for i in range(20)}
    rows = [
        {**row(f"c{n}", columns=columns), "table": [{"class": c, MEASURE: 10.0 + n % 3} for c in classes]}
        for n in range(20)
    ]
    rows[7]["table"][-1][MEASURE] = 500.0
    page = page_of(rows)
    head = page.tables["cases"][0]
    assert [h for h in head if h.startswith("structure")] == [f"{c} {MEASURE}" for c in classes[:MOST_CLASSES]]
    assert "5 more classes are in summary.csv; 12 more columns of the list are in summary.csv" in page.text
    assert cases_of(page)[7]["marked"] == "structure 16 high"  # marked though it has no column
    assert len(page.tables["0"]) == 1 + len(classes)


def test_of_many_failures_the_first_are_listed(page_of):
    rows = [row(f"c{i}", status="failed", message="x") for i in range(MOST_FAILURES + 3)]
    page = page_of(rows)
    assert len(page.tables["0"]) == 1 + MOST_FAILURES
    assert f"{MOST_FAILURES + 3} failed; the first {MOST_FAILURES} are listed here" in page.text


def test_only_our_script_may_run(page_of, tmp_path):
    page_of(study())
    text = (tmp_path / "overview.html").read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in text


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_headings_sort_the_table(page_of, tmp_path):
    """The script itself, on a table of its own kind: numbers by value, words as people sort, empty cells at the end."""
    page_of(study())
    (script,) = re.findall(r"<script>(.*?)</script>", (tmp_path / "overview.html").read_text(encoding="utf-8"), re.S)
    order = subprocess.run(["node", "-e", _DOCUMENT + script + _CLICKS], capture_output=True, text=True, check=True)
    assert json.loads(order.stdout) == {
        "heads": ["picture", "BUTTON case", "BUTTON size"],
        "size": ["c10 9", "c2 80.5", "c1 1200", "c3 "],
        "size again": ["c1 1200", "c2 80.5", "c10 9", "c3 "],
        "case": ["c1 1200", "c2 80.5", "c3 ", "c10 9"],
        "aria": [None, "ascending", None],
        "said": "sorted by case, ascending",
    }


_DOCUMENT = """
const cell = (text, v, data = {}) => ({ textContent: text, dataset: v === undefined ? data : { v }, kids: [],
  attributes: {}, getAttribute(n) { return this.attributes[n] ?? null; },
  setAttribute(n, x) { this.attributes[n] = x; },
  removeAttribute(n) { delete this.attributes[n]; }, replaceChildren(kid) { this.kids = [kid]; } });
const line = (name, shown, v) => ({ cells: [cell(""), cell(name), cell(shown, v)] });
const body = { rows: [line("c1", "1,200", "1200"), line("c10", "9", "9"), line("c3", ""), line("c2", "80.5", "80.5")],
  append(...rows) { this.rows = rows; } };
const heads = [cell("picture", undefined, { unsorted: "" }), cell("case"), cell("size")];
const status = { textContent: "" };
const table = { tBodies: [body], tHead: { rows: [{ cells: heads }] } };
globalThis.document = { getElementById: (id) => (id === "cases" ? table : status),
  createElement: () => ({ addEventListener(_, f) { this.click = f; } }) };
"""
_CLICKS = """
const seen = () => body.rows.map((r) => r.cells[1].textContent + " " + (r.cells[2].dataset.v ?? ""));
const out = { heads: heads.map((h) => (h.kids.length ? "BUTTON " + h.kids[0].textContent : h.textContent)) };
heads[2].kids[0].click(); out.size = seen();
heads[2].kids[0].click(); out["size again"] = seen();
heads[1].kids[0].click(); out.case = seen();
out.aria = heads.map((h) => h.getAttribute("aria-sort")); out.said = status.textContent;
console.log(JSON.stringify(out));
"""


def test_numbers_are_for_people():
    shown = [amount(v) for v in (0.0, 12.0, 1234567.0, 12345.67, 1234.56, 12.345, 0.01234, 0.000012345, float("nan"))]
    assert shown == ["0", "12", "1,234,567", "12,346", "1,234.6", "12.35", "0.0123", "1.23e-05", "–"]
    assert [duration(s) for s in (0.04, 99.94, 100, 5999, 7325)] == [
        "0.0 s", "99.9 s", "1 min 40 s", "99 min 59 s", "2 h 02 min",
    ]  # fmt: skip


def test_ten_thousand_cases_are_written_in_seconds_and_in_little_memory(tmp_path, page_of):
    lines = tmp_path / "rows.jsonl"
    with lines.open("w", encoding="utf-8") as file:
        for n, one in enumerate(study(10_000)):
            one |= {"notes": ["a note"] * (n % 3), "columns": {"site": "Ulm", "age": n % 90}}
            one["files"] = [str(tmp_path / one["case"] / f) for f in ("labels.nii.gz", "volumes.csv")]
            file.write(json.dumps(one) + "\n")
    given = {"title": "S", "facts": {}, "size_column": MEASURE, "pictures": tmp_path}
    write_overview(tmp_path / "overview.html", study(10), **given)
    before, clock = peak_memory_mb(), time.process_time()
    write_overview(tmp_path / "overview.html", JsonLines(lines), **given)
    assert time.process_time() - clock < 8  # 2 to 4 s of a processor, as busy as it is
    assert peak_memory_mb() - before < 20
    assert (tmp_path / "overview.html").read_text(encoding="utf-8").count('<tr id="case-') == 10_000


def test_how_it_was_run_reads_as_a_person_would_say_it():
    facts = {
        "command": ["workbench", "predict", "segformer3d", "-i", "my study", "-o", "out"],
        "skipped": [],
        "input_notes": ["two files have one name", "one is empty"],
        "options": {"format": "auto", "verify": False, "jobs": 2, "pictures": True, "limits": {"seconds": None}},
        "exit_code": 0,
    }
    assert readable(facts) == {
        "command": "workbench predict segformer3d -i 'my study' -o out",
        "input notes": "two files have one name; one is empty",
        "options": "format: auto, jobs: 2, pictures: yes",
        "exit code": "0",
    }
