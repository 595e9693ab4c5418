"""The blocks of the pages on extending are the files of the toys, and the tests that they show pass where installed."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest

from tests.pages import ROOT, blocks
from tests.third_party.conftest import TOYS
from workbench.core import kind_hooks, kinds, registry, reports

SHOWN = {
    "colours": ("add-a-backend-slides.md",),
    "otsu": ("add-a-backend.md", "add-a-backend-verbs.md"),
    "photos": ("add-a-kind.md", "objects.md", "add-a-kind-window.md"),
}
_FILE = re.compile(r"^# ([\w./-]+\.(?:py|toml|yaml))(?:, continued)?$")


def shown_files(pages: tuple[str, ...]) -> dict[str, str]:
    """Files that pages show, by path: blocks that begin with ``# path``; pieces of one are put together."""
    pieces: dict[str, list[str]] = {}
    for page in pages:
        for block in blocks((ROOT / "docs" / page).read_text(encoding="utf-8")):
            first, _, rest = block.text.partition("\n")
            if name := _FILE.match(first):
                pieces.setdefault(name[1], []).append(rest.strip("\n"))
    return {path: "\n\n\n".join(texts) + "\n" for path, texts in pieces.items()}


@pytest.mark.parametrize("toy", SHOWN)
def test_pages_show_the_files_that_are_installed_and_run(toy):
    shown = shown_files(SHOWN[toy])
    files = [p for p in (TOYS / toy).rglob("*") if p.is_file() and "__pycache__" not in p.parts and p.stat().st_size]
    assert sorted(shown) == sorted(p.relative_to(TOYS / toy).as_posix() for p in files)
    for path, text in shown.items():
        assert text == (TOYS / toy / path).read_text(encoding="utf-8"), f"{path}: the page and the file differ"


def test_tests_of_the_pages_pass(run):
    code = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', *sys.argv[1:]]))"
    done = run("--rootdir", str(TOYS), *(str(TOYS / toy / "tests") for toy in SHOWN), code=code)
    assert "4 passed" in done.stdout, done.stdout[-3000:] + done.stderr[-1000:]


def told(page: str) -> set[str]:
    """Words that a page sets as code at the beginning of a row of a table, without their arguments."""
    rows = re.findall(r"^\| (`[^|]+`) \|", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.M)
    return {name for row in rows for name in re.findall(r"`(\w+)", row)}


def functions(protocol: type) -> set[str]:
    return {
        n
        for n, f in vars(protocol).items()
        if not n.startswith("_") and (inspect.isfunction(f) or isinstance(f, property))
    }


def test_every_field_of_a_kind_and_every_function_of_its_modules_is_told():
    wanted = {f.name for f in dataclasses.fields(kinds.Kind)} | {"FILE_COLUMNS", "READING_COLUMNS"}
    for protocol in (kind_hooks.KindFiles, kind_hooks.KindLayers, kind_hooks.KindWriter, kind_hooks.KindCases):
        wanted |= functions(protocol)
    assert told("add-a-kind-fields.md") == wanted


def test_every_field_of_a_backend_and_of_the_reports_is_told():
    page = (ROOT / "docs" / "add-a-backend.md").read_text(encoding="utf-8")
    for field in dataclasses.fields(registry.Backend):
        assert re.search(rf"^    {field.name}=|`{field.name}`", page, re.M), field.name
    assert told("add-a-backend-verbs.md") == functions(reports.TrainReport)
    shown = shown_files(SHOWN["otsu"])["my_otsu/otsu.py"]
    for name in functions(reports.EvaluationReport):
        assert re.search(rf"^    ({name}:|def {name}\()", shown, re.M), name
