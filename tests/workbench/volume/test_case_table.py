"""Each of people's volumes on which version 0.1 was wrong gives its right value, by other libraries."""

from pathlib import Path

import pytest

from tests.workbench.volume import case_table

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "volumes"


@pytest.mark.parametrize("name", case_table.ROWS)
def test_a_file_gives_its_right_value(name, tmp_path) -> None:
    if not (CASES / name).is_file():
        pytest.skip(f"real data not here: {CASES / name}")
    right, found, is_right = case_table.row(CASES / name, tmp_path)
    assert is_right, f"expected {right}, found {found}"


def test_every_file_has_a_row() -> None:
    if not CASES.is_dir():
        pytest.skip(f"real data not here: {CASES}")
    assert {p.name for p in CASES.iterdir()} - {"README.md"} == set(case_table.ROWS)
