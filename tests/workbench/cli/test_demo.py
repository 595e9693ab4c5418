"""The page of ``workbench demo``: every kind has its part with pictures, and every link leads to a file."""

import re

import pytest

from tests.follow_links import files_behind
from workbench.cli import run
from workbench.core import kinds


def test_a_file_in_the_way_is_said_before_anything_is_computed(tmp_path, capsys) -> None:
    (tmp_path / "taken").write_text("")
    assert run(["demo", "-o", str(tmp_path / "taken")]) == 2
    assert "is a file. Choose another output folder." in capsys.readouterr().err


def test_every_built_in_kind_brings_its_part() -> None:
    assert all(row.demo.startswith(f"workbench.{row.name}.") for row in kinds.BUILT_IN)


@pytest.mark.slow
def test_the_page_shows_every_kind_and_all_its_links_lead_to_files(tmp_path) -> None:
    assert run(["demo", "-o", str(tmp_path), "--device", "cpu", "-q"]) == 0
    page = tmp_path / "demo.html"
    sections = re.findall(r"<section>(.*?)</section>", page.read_text(encoding="utf-8"), re.S)
    assert len(sections) == len(kinds.BUILT_IN)
    for section in sections:
        assert "data:image/png" in section
        assert "<a href=" in section
    linked = set(files_behind(page))
    written = {p for p in tmp_path.rglob("*") if p.is_file()} - {page}
    assert written == linked
