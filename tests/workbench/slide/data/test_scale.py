"""Sizes of pixels: what can be is believed, all else is said."""

from __future__ import annotations

import pytest

from workbench.core.errors import UsageError
from workbench.slide.data.scale import Scale, believed, given


@pytest.mark.parametrize(("x", "y"), [("0.499", "0.499"), (0.2282, 0.2284), ("0,25", "0.25"), (8.0, 8.0)])
def test_what_can_be_is_believed(x, y):
    found = believed(x, y, "here")
    assert found.mpp == tuple(float(str(v).replace(",", ".")) for v in (x, y))
    assert found.source == "here"
    assert not found.notes


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ("352.77777983377013", "352.77777983377013", "72 dots per inch"),
        (264.583, 264.583, "96 dots per inch"),
        ("0", "0", "0 x 0 um per pixel"),
        ("-0.5", "0.5", "-0.5 x 0.5"),
        ("nan", "0.5", "nan x 0.5"),
        ("inf", "inf", "inf"),
        ("0.5", None, "0.5 x None"),
        ("0.25", "0.5", "not square"),
        ("0.5", "0.506", "not square"),
        ("1e-9", "1e-9", "1e-09"),
        ("half a micron", "0.5", "half a micron"),
    ],
)
def test_what_cannot_be_is_said_and_not_believed(x, y, words):
    found = believed(x, y, "here")
    assert found.mpp is None
    (note,) = found.notes
    assert words in note
    assert "--mpp" in note


def test_a_file_that_says_nothing_has_no_size_and_no_note():
    assert believed(None, None, "here") == Scale()


@pytest.mark.parametrize(
    ("mpp", "power", "words"),
    [
        (0.499, "20", ""),
        (0.2282, "40", ""),
        (0.2520, 40, ""),
        (1.0, "10", ""),
        (0.5, "40", "one of both is wrong"),
        (0.25, "20", "one of both is wrong"),
        (0.5, "22.6", "22.6x, which no scanner has"),
        (0.5, "0", ""),
        (0.5, "forty", ""),
    ],
)
def test_size_and_objective_are_compared(mpp, power, words):
    found = believed(mpp, mpp, "here", power)
    assert found.mpp == (mpp, mpp)
    assert [words in note for note in found.notes] == [True] * bool(words)


def test_what_a_person_gives_is_used_and_a_difference_is_said():
    stated = believed(0.5, 0.5, "OME-XML", 20)
    assert given(stated, None) is stated
    assert given(stated, 0.5005).notes == ()
    other = given(stated, 0.25)
    assert other.mpp == (0.25, 0.25)
    assert other.source == "given"
    assert "the file states 0.5 (OME-XML)" in other.notes[0]
    assert "do not go with the objective of 20x" in other.notes[1]
    unknown = given(believed(352.78, 352.78, "TIFF resolution"), 0.5)
    assert unknown.mpp == (0.5, 0.5)
    assert not unknown.notes, "what was not believed needs no word any more"


@pytest.mark.parametrize("mpp", [0.0, -1.0, float("nan"), float("inf"), 352.78])
def test_what_no_slide_has_cannot_be_given(mpp):
    with pytest.raises(UsageError, match="--mpp"):
        given(Scale(), mpp)
