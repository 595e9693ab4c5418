"""Rows of a table whose data taught the weights are marked, whatever they are called."""

import numpy as np
import pytest

from workbench.core.seen import Seen, SeenCase, content_key, joined, summary_note

DATA = np.arange(24.0).reshape(2, 3, 4)


def test_keys_are_of_numbers_not_of_types_nor_of_the_order_in_memory():
    assert content_key(DATA) == content_key(DATA.astype(np.int16)) == content_key(np.asfortranarray(DATA))
    assert content_key(DATA) == content_key(DATA.astype(">f4"))
    assert len(content_key(DATA)) == 32


@pytest.mark.parametrize(
    "other",
    [DATA[::-1], DATA.reshape(3, 2, 4), DATA + 1, np.where(DATA == 5, np.nan, DATA)],
    ids=["flip", "shape", "value", "nan"],
)
def test_other_numbers_or_shapes_have_other_keys(other):
    assert content_key(other) != content_key(DATA)


def test_what_is_no_number_and_minus_zero_count_once():
    a, b = np.array([0.0, np.nan]), np.array([-0.0, -np.nan])
    b.view(np.uint64)[1] |= 3  # another payload
    assert content_key(a) == content_key(b)


def seen():
    return Seen.of({"seen": joined(
        [SeenCase("one", ("a",), "learnt", "p1"), SeenCase("two", ("b", "c"), "chosen by", "p2")],
    )})  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "group", "mark"),
    [
        (["a"], "", "learnt"), (["b", "c"], "", "chosen by"), (["b"], "", "chosen by"), (["a", "z"], "", "in part"),
        (["z"], "p1", "same group"), (["z"], "p9", "no"), ([], "", "no"), (["a", "b"], "", "learnt"),
    ],
)  # fmt: skip
def test_marks(keys, group, mark):
    assert seen().mark(keys, group=group) == mark


def test_weights_that_do_not_say_it_are_not_taken_for_clean():
    assert Seen.of({}).mark(["a"]) == "not known"
    assert Seen.of({"seen": []}).mark(["a"]) == "no"
    assert Seen.of({"seen": [7, {"keys": "a"}, {"id": "x", "keys": ["a"]}]}).mark(["a"]) == "learnt"


def test_going_on_from_weights_keeps_what_taught_them_once():
    first = seen()
    again = joined(first.cases, [SeenCase("three", ("d",)), *first.cases])
    assert [c["id"] for c in again] == ["one", "two", "three"]
    assert Seen.of({"seen": again}).mark(["d"]) == "learnt"


def test_the_note_names_them():
    note = summary_note({"x": "learnt", "y": "no", "z": "same group", "w": "in part"})
    assert "1 of 4 case(s) taught the weights (x)" in note
    assert "(w)" in note
    assert "(z)" in note
    assert "not what new data would give" in note
    assert summary_note({"x": "no"}) == ""
    assert summary_note({}) == ""
    assert "is not known" in summary_note({"x": "not known", "y": "not known"})
