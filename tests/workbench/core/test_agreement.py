"""What is refused, what is noted, and what a person who knows better gets."""

import pytest

from workbench.core.agreement import Finding, settle, untold
from workbench.core.errors import InputError, MismatchError

REFUSED = Finding("refused", "modality", "MR was found, the weights learnt CT", "Choose weights for MR.")
NOTED = Finding("noted", "spacing", "5 mm was found, the weights learnt 1 to 3 mm")
CONVERTED = Finding("converted", "unit", "um were taken as 0.001 mm")


def test_what_cannot_be_right_is_one_line_with_all_that_differs_and_the_way_out():
    with pytest.raises(MismatchError) as error:
        settle([NOTED, REFUSED], subject="scan.nii", weights="demo")
    said = str(error.value)
    assert isinstance(error.value, InputError)
    assert error.value.exit_code == 3
    assert said.startswith("scan.nii: not what weights demo were taught on: modality: MR was found")
    assert "Choose weights for MR." in said
    assert "--force" in said
    assert "\n" not in said
    assert "spacing" not in said
    assert error.value.findings == (NOTED, REFUSED)


def test_force_turns_refusals_into_notes_and_loses_nothing():
    notes = settle([REFUSED, NOTED, CONVERTED], subject="scan.nii", weights="demo", force=True)
    assert notes == (
        "forced although modality: MR was found, the weights learnt CT",
        "spacing: 5 mm was found, the weights learnt 1 to 3 mm",
        "unit: um were taken as 0.001 mm",
    )


def test_nothing_that_differs_gives_no_notes():
    assert settle([], subject="scan.nii", weights="demo") == ()


def test_weights_that_say_nothing_are_said():
    assert settle([untold("which modality", "old")], subject="x", weights="old") == (
        "contract: weights old do not say which modality they were taught on: it was not compared",
    )
