"""Arrangements of leads: each lead once, in the place where makers draw it."""

import pytest

from workbench.core.errors import UsageError
from workbench.page.layouts import Layout, known_layouts, layout_named, layouts, require_layout
from workbench.page.leads import CHEST, LIMB, STANDARD, derived, standard_name


@pytest.mark.parametrize("layout", layouts().values(), ids=str)
def test_every_lead_is_there_once(layout):
    leads = [lead.lstrip("-") for row in layout.rows for lead in row]
    assert len(set(leads)) == len(leads)
    expected = {12: set(STANDARD), 15: {*STANDARD, "V4R", "V8", "V9"}, 3: set(LIMB[:3])}
    if len(leads) == 6:
        assert set(leads) in (set(LIMB), set(CHEST))
    else:
        assert set(leads) == expected[len(leads)]
    assert len(list(layout.cells())) == len(leads) + len(layout.strips)


def test_a_lead_twice_is_refused():
    with pytest.raises(ValueError, match="holds a lead twice"):
        Layout("6x2", (("V1", "V2"), ("V2", "V3")))


def test_the_usual_page():
    usual = layouts()["3x4+1"]
    assert usual.rows == (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
    assert [c.lead for c in usual.cells()][-1] == "II"
    assert [c.times(10.0) for c in usual.cells()][:4] == [(0.0, 2.5), (2.5, 5.0), (5.0, 7.5), (7.5, 10.0)]
    assert usual.with_strips("V1", "V5").name == "3x4+2"
    assert layouts()["3x4+1 Cabrera"].with_strips().name == "3x4 Cabrera"
    assert layouts()["3x4+1 Cabrera"].rows[2][0] == "-aVR"
    assert layouts()["6x2 Cabrera"].leads == STANDARD


@pytest.mark.parametrize(
    ("label", "name"),
    [("Lead I (Einthoven)", "I"), ("avf", "aVF"), ("C4", "V4"), ("D2", "II"), ("V1\0", "V1"), ("−aVR", "-aVR"),
     ("X", "X"), ("ECG II", "II"), ("1", None), ("V10", None), ("time", None), ("", None)],
)  # fmt: skip
def test_names_of_leads(label, name):
    assert standard_name(label) == name


def test_what_two_leads_say_of_the_others():
    import numpy as np

    one, two = np.array([1.0, 2.0]), np.array([3.0, 1.0])
    found = derived({"I": one, "II": two})
    assert found["III"].tolist() == [2.0, -1.0]
    assert found["aVR"].tolist() == [-2.0, -1.5]
    assert found["aVL"].tolist() == [-0.5, 1.5]
    assert found["aVF"].tolist() == [2.5, 0.0]
    assert derived({"II": two, "III": found["III"]})["I"].tolist() == one.tolist()
    assert derived({"V1": one}) == {}


def test_parts_of_pages_have_names_of_their_own():
    names = known_layouts()
    assert len(set(names)) == len(names)
    assert {"3x4+1", "3x4 rows 2-3+1", "3x4 row 1 Cabrera", "6x2 rows 1-5", "limb 3x2"} <= set(names)
    assert layout_named("3x4 rows 2-3+1").rows == (("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
    assert layout_named("3x4 rows 2-3+1").strips == ("II",)
    assert layout_named("3x4 rows 1-3") is None
    with pytest.raises(UsageError, match="no layout '3x4 rows 2-4'. Did you mean '3x4 rows 2-3"):
        require_layout("3x4 rows 2-4")
