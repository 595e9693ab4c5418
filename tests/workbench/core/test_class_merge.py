"""Merging classes by value, range, name or file."""

import json

import numpy as np
import pytest

from workbench.core.class_merge import ClassMerge
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError, UsageError
from workbench.core.types import Geometry, Labels

TABLE = ClassTable(
    tuple(
        ClassInfo(v, n, (v, v, v))
        for v, n in ((1, "spleen"), (2, "kidney_right"), (3, "kidney_left"), (5, "liver"), (30, "vertebrae_L3"))
    )
)
DATA = np.array([0, 1, 2, 3, 5, 30, 40]).reshape(7, 1, 1)
LABELS = Labels(DATA, Geometry(DATA.shape, np.eye(4)), TABLE)


@pytest.mark.parametrize(
    "text",
    ["liver:5,kidneys:2+3,vertebrae:26-50", "liver:liver,kidneys:kidney_*,vertebrae:vertebrae_*+40", "FILE"],
)
def test_values_ranges_names_and_files_give_the_same(text: str, tmp_path) -> None:
    if text == "FILE":
        path = tmp_path / "classes.json"
        path.write_text(json.dumps({"liver": [5], "kidneys": ["kidney_*"], "vertebrae": "26-50"}))
        text = str(path)
    merge = ClassMerge.parse(text)
    assert merge.names == ("liver", "kidneys", "vertebrae")
    assert merge.apply(LABELS).ravel().tolist() == [0, 0, 2, 2, 1, 3, 3]
    assert [c.value for c in merge.table()] == [1, 2, 3]


def map_of(values: list[int], table: ClassTable) -> Labels:
    return Labels(np.array(values).reshape(-1, 1, 1), Geometry((len(values), 1, 1)), table)


def test_without_rules_the_classes_that_occur_are_kept_in_order() -> None:
    other = map_of([0, 2], ClassTable.from_names(("spleen", "aorta")))
    merge = ClassMerge.keep([map_of([30, 5, 1], TABLE), other])
    assert merge.names == ("spleen", "aorta", "liver", "vertebrae_L3")  # the kidneys are named but never shown
    assert merge.apply(LABELS).ravel().tolist() == [0, 1, 0, 0, 3, 4, 0]


def test_names_with_pattern_characters_are_taken_literally() -> None:
    labels = map_of([1, 2], ClassTable.from_names(("lobe [left]", "lobe l")))
    assert ClassMerge.keep([labels]).apply(labels).ravel().tolist() == [1, 2]


def test_colours_of_known_classes_are_kept() -> None:
    like = ClassTable((ClassInfo(4, "liver", (9, 8, 7)),))
    assert next(iter(ClassMerge.parse("liver:5").table(like))).color == (9, 8, 7)


@pytest.mark.parametrize("text", ["liver", "liver:", ":5", "a:1,a:2", "", "nothing-here.json"])
def test_what_cannot_be_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        ClassMerge.parse(text)


def test_empty_label_files_are_refused() -> None:
    with pytest.raises(InputError, match="every voxel is 0"):
        ClassMerge.keep([map_of([0, 0], TABLE)])
