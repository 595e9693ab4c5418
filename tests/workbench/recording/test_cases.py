"""Every one of the shared small recordings gives its right value, and so does MNE, or the bytes of the file."""

import pytest

from tests.workbench.recording.case_table import FOLDER, ROWS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.file)
def test_the_right_value(row):
    path = FOLDER / row.file
    if not path.is_file():
        pytest.skip(f"real data not here: {path}")
    assert row.ours(path) == row.right
    assert row.reference(path) == row.right


def test_no_file_was_forgotten():
    if not FOLDER.is_dir():
        pytest.skip(f"real data not here: {FOLDER}")
    beside = {"README.md", "firstsamp_raw.fif"}
    assert {p.name for p in FOLDER.iterdir()} - beside == {row.file for row in ROWS}
