from workbench.core.types import Mark, Marks
from workbench.recording.marks import in_order, merge_marks


def test_marks_of_several_sources_come_in_order_of_time_and_once():
    drawn = Marks((Mark(4.0, 0.5, "blink"), Mark(2.0, 1.0, "BAD")), "drawn")
    file = [Mark(2.0, 1.0, "BAD"), Mark(2.0, 1.0, "BAD", ("Cz",)), Mark(1.0, 0.0, "press"), Mark(2.0, 0.5, "spike")]
    merged = merge_marks(drawn, file, iter(()), name="all")
    assert merged.name == "all"
    assert merged.marks == (
        Mark(1.0, 0.0, "press"),
        Mark(2.0, 0.5, "spike"),
        Mark(2.0, 1.0, "BAD"),
        Mark(2.0, 1.0, "BAD", ("Cz",)),
        Mark(4.0, 0.5, "blink"),
    )
    assert merge_marks().marks == ()


def test_the_order_does_not_depend_on_who_made_them():
    marks = [Mark(1.0, 0.0, "b"), Mark(1.0, 0.0, "a"), Mark(1.0, 0.0, "a", ("x",)), Mark(0.5, 9.0, "c")]
    assert in_order(marks) == in_order(reversed(marks)) == [marks[3], marks[1], marks[2], marks[0]]
