"""Errors: the exit codes that scripts rely on, and the name that was meant."""

import pytest

from workbench.core import errors
from workbench.core.errors import nearest, one_line, reason, visible


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.WorkbenchError, 1), (errors.UsageError, 2), (errors.InputError, 3), (errors.GeometryError, 3),
        (errors.NothingFound, 4), (errors.WeightsError, 5), (errors.OutOfMemory, 6),
    ],
)  # fmt: skip
def test_each_error_has_the_exit_code_of_the_manual(error, code) -> None:
    assert error.exit_code == code
    assert issubclass(error, errors.WorkbenchError)


def test_cancelling_is_no_error_that_a_handler_of_errors_swallows() -> None:
    assert not issubclass(errors.Cancelled, errors.WorkbenchError)


def test_a_missing_extra_says_how_to_install_it() -> None:
    error = errors.MissingExtra("DICOM-SEG", "dicom")
    assert error.exit_code == 2
    assert str(error) == "DICOM-SEG needs the extra 'dicom': pip install 'napari-workbench[dicom]'"


def test_what_steers_a_terminal_or_the_direction_of_writing_is_made_visible() -> None:
    assert one_line("a\x1b[31m\n\tb\u202ec\u2066\x9b ü") == "a\\x1b[31m b\\u202ec\\u2066\\x9b ü"
    assert visible("a\nb\x07", keep="\n") == "a\nb\\x07"


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("overlpa", ("batch", "overlap"), " Did you mean 'overlap'?"),
        ("overlap", ("overlaps", "overlap"), " Did you mean 'overlap'?"),
        ("zzz", ("b", "a"), " Known: a, b."),
        ("zzz", (), ""),
        ("7", (17, 70), " Did you mean '70'?"),
    ],
)
def test_the_nearest_name_or_all_that_are_known(name, known, said) -> None:
    assert nearest(name, known) == said
    assert nearest(name, iter(known)) == said  # keys of a dictionary are no list


def test_a_reason_shows_no_objects_of_python() -> None:
    assert reason(ValueError("Bad cals {np.int64(2): 'EEG 002', 3: np.float64(1e-5)}")) == (
        "Bad cals {2: 'EEG 002', 3: 1e-5}"
    )
    assert reason(ValueError("malformed node on line 1: <ast.BinOp object at 0x7f3>")) == "malformed node on line 1"
    assert reason(ValueError("<ast.Call object at 0x7f3>")) == "ValueError"
