"""Each of people's volumes on which version 0.1 was wrong gives its right value, by other libraries."""

import pytest

from tests.workbench.volume import case_table


@pytest.mark.parametrize("name", case_table.ROWS)
def test_a_file_gives_its_right_value(name, shared_cases, tmp_path) -> None:
    right, found, is_right = case_table.row(shared_cases / "volumes" / name, tmp_path)
    assert is_right, f"expected {right}, found {found}"


def test_every_file_has_a_row(shared_cases) -> None:
    assert {p.name for p in (shared_cases / "volumes").iterdir()} - {"README.md"} == set(case_table.ROWS)
