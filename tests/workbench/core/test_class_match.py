"""Numbers are no names: what two tables of classes have in common, and what a training makes of the classes it had."""

import numpy as np
import pytest

from workbench.core.class_match import Compared, adapting_note, compared_lines, match_classes
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError
from workbench.core.types import Geometry, Labels

NAMED = ClassTable.from_names(("corn", "soil", "water"))
NAMELESS = ClassTable.from_values([1, 2, 3])


def labels(names: dict[int, str]) -> Labels:
    data = np.array([list(names)], np.uint8)
    return Labels(data, Geometry(data.shape), ClassTable(tuple(ClassInfo(v, n, (1, 2, 3)) for v, n in names.items())))


def test_an_empty_name_is_none():
    assert ClassTable((ClassInfo(1, "", (0, 0, 0)), ClassInfo(2, "class 2", (0, 0, 0)))).is_nameless
    assert not ClassTable((ClassInfo(1, "class 2", (0, 0, 0)),)).is_nameless
    found = match_classes(NAMED, labels({1: "", 2: "soil", 3: "the"}))
    assert [m.reference for m in found.matches] == [(), (("soil", 2),), ()]
    assert found.unknown == (("", 1), ("the", 3))


def test_neither_has_names():
    found = match_classes(NAMELESS, labels({2: "class 2", 3: "class 3", 9: "class 9"}))
    assert [(m.value, m.compared_with) for m in found.matches] == [(1, ""), (2, "class 2 (2)"), (3, "class 3 (3)")]
    compared = Compared.of([found])
    assert "neither the weights nor the labels name their classes" in compared.note
    assert "the mean is over 2 of 3 classes" in compared.note
    asked = match_classes(NAMELESS, labels({2: "class 2", 3: "class 3"}), match="number")
    assert "neither" not in Compared.of([asked]).note


@pytest.mark.parametrize(("wanted", "names"), [(NAMED, {1: "class 1"}), (NAMELESS, {1: "corn"})])
def test_one_side_without_names_is_refused_unless_asked(wanted, names):
    with pytest.raises(InputError, match="--match number"):
        match_classes(wanted, labels(names))
    assert match_classes(wanted, labels(names), match="number").matches[0].why == "same number, as asked"


def test_a_number_among_names_is_no_match_for_a_name():
    found = match_classes(NAMED, labels({1: "class 1", 2: "soil"}))
    assert [m.why for m in found.matches] == ["no reference class", "same name", "no reference class"]


def test_the_note_says_how_parts_are_joined():
    wanted = ClassTable.from_names(("liver", "kidneys", "lungs"))
    note = Compared.of([match_classes(wanted, labels({1: "liver", 2: "kidney_right", 3: "kidney_left"}))]).note
    assert "joined by --classes, e.g. --classes 'kidneys:kidney_right+kidney_left'" in note
    assert "--classes" not in Compared.of([match_classes(wanted, labels({1: "liver", 2: "spleen"}))]).note


def test_what_a_training_makes_of_the_classes_it_had():
    assert adapting_note(NAMED, NAMED) == ""
    assert adapting_note(NAMELESS, NAMELESS) == ""
    assert "do not name their classes (class 1, class 2, class 3)" in adapting_note(NAMED, NAMELESS)
    other = ClassTable.from_names(("Corn", "soil", "road"))
    assert adapting_note(NAMED, other) == (
        "classes of the labels that the weights do not know by this name: Corn, which the weights call corn, road; "
        "classes of the weights that are in no label, so the new weights do not know them: water"
    )


def test_values_that_share_a_name_are_said():
    found = match_classes(NAMED, labels({1: "soil", 2: "soil", 3: "corn", 4: "water"}))
    assert found.matches[1].why == "same name, which several values have"
    note = Compared.of([found]).note
    assert "values of the references that share a name were compared as one class: soil (1) + soil (2)" in note
    assert "share" not in Compared.of([match_classes(NAMED, labels({1: "soil", 3: "corn"}))]).note


def test_in_how_many_cases_a_class_was_compared_is_said():
    whole, some = labels({1: "corn", 2: "soil", 3: "water"}), labels({1: "corn", 2: "soil", 3: "water"})
    some.data[some.data == 3] = 0  # its table names what it does not show
    assert "case" not in Compared.of([match_classes(NAMED, whole)] * 2).headline
    lacking = Compared.of([match_classes(NAMED, m) for m in (whole, some, labels({1: "corn"}))])
    assert "of 3 case(s) the reference shows soil in 2, water in 1 only" in lacking.headline


def test_a_class_that_was_compared_in_several_ways_says_in_how_many_cases():
    lacking = Compared.of([match_classes(NAMED, labels(n)) for n in ({1: "corn", 2: "soil"}, {1: "corn"}, {1: "corn"})])
    assert compared_lines(lacking.classes)[:3] == [
        "corn (1): corn (1), same name",
        "soil (2): soil (2), same name, in 1 of 3 cases",
        "soil (2): no reference class, in 2 of 3 cases",
    ]
