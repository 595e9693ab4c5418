"""Every file of the shared cases of scenes gives its right value; `tests.scene_cases` prints the same as a table."""

import pytest

from tests.scene_cases import CASES, table

NOT_SCENES = {"README.md", "mkip2.py", "base_gt.hdr", "testenviclasses"}
"""No cases of their own: what they are for is in the checks of the others."""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.mark.parametrize("name", CASES)
def test_a_case_gives_its_right_value(name, shared_cases, work):
    assert CASES[name](shared_cases / "scenes", work)


def test_every_file_has_a_row(shared_cases):
    files = {f.name for f in (shared_cases / "scenes").iterdir() if f.suffix != ".dat"}
    assert files - NOT_SCENES == set(CASES)


def test_a_wrong_value_is_said_in_the_table(shared_cases):
    def wrong(folder, work):
        raise AssertionError("3 of 4")

    text = table(shared_cases / "scenes", {"upper.hdr": CASES["upper.hdr"], "x.hdr": wrong})
    assert "| upper.hdr | the first line of the header is 'ENVI Standard'" in text
    assert "| x.hdr | **wrong**: 3 of 4 |" in text
