"""Names of values from tables beside label files: only where they surely are names, and never without end."""

import json
import time

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.data.label_names import read_named, table_of

TABLE = {1: "Alfalfa", 2: "Corn-notill", 16: "Stone Steel Towers"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "1 Alfalfa\n2 Corn-notill\n\n# the rest\n16 Stone Steel Towers\n"),
        ("b.txt", "0: nothing\n1: Alfalfa\n2: Corn-notill\n16: Stone Steel Towers\n"),
        ("c.txt", "1\tAlfalfa\n2 = 'Corn-notill'\n16;Stone Steel Towers"),
        ("d.csv", "1,Alfalfa\n2,Corn-notill\n16,Stone Steel Towers\n"),
        ("e.csv", "value,class\n1,Alfalfa\n2,Corn-notill\n16,Stone Steel Towers\n"),
        ("f.json", json.dumps({"Alfalfa": 1, "Corn-notill": 2, "Stone Steel Towers": 16})),
        ("g.json", json.dumps({"labels": {str(k): v for k, v in TABLE.items()}})),
    ],
)
def test_tables_as_people_write_them(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert table_of(str(tmp_path / name)) == TABLE


def test_one_name_of_two_values_is_said(tmp_path):
    np.savez(tmp_path / "gt.npz", gt=np.array([[0, 1], [2, 2]], np.uint8))
    (tmp_path / "t.txt").write_text("1 corn\n2 corn\n", encoding="utf-8")
    labels = read_named(f"{tmp_path / 'gt.npz'}:gt", names=str(tmp_path / "t.txt"))
    assert labels.notes == ("values 1, 2 have one name, 'corn'",)


def test_a_region_names_no_value_that_is_a_part_of_it(tmp_path):
    """Regions as of nnU-Net for gliomas: of a tumour, its core, and what of it takes up contrast."""
    regions = {"background": 0, "whole tumour": [1, 2, 3], "core": [2, 3], "enhancing": [3], "other": [4, 5]}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": regions}), encoding="utf-8")
    assert table_of(str(tmp_path / "dataset.json")) == {3: "enhancing"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gt.txt", "145 145\n1 2\n"),
        ("gt.txt", "1 Alfalfa\n1 Corn\n"),
        ("gt.txt", "The classes are:\n1 Alfalfa\n"),
        ("gt.json", json.dumps({"RepetitionTime": 2, "Manufacturer": "x"})),
        ("gt.csv", "1 450.2\n2 455.1\n"),
    ],
)
def test_what_lies_beside_and_is_no_table_of_names_is_left_alone(tmp_path, name, text):
    np.savez(tmp_path / "gt.npz", gt=np.array([[0, 1], [2, 2]], np.uint8))
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_named(f"{tmp_path / 'gt.npz'}:gt").classes.names == ("class 1", "class 2")


def test_the_table_of_an_array_of_several_lies_beside_the_file(tmp_path):
    np.savez(tmp_path / "both.npz", tr=np.array([[0, 1], [2, 2]], np.uint8), te=np.array([[1, 1], [2, 2]], np.uint8))
    (tmp_path / "both.txt").write_text("1 corn\n2 soil\n", encoding="utf-8")
    assert read_named(f"{tmp_path / 'both.npz'}:te").classes.names == ("corn", "soil")


@pytest.mark.parametrize("text", ["9" * 5000 + " corn", "\u00b2 corn", "1" + " " * 300_000, " " * 300_000 + "1"])
def test_numbers_and_lines_without_end_are_no_table(tmp_path, text):
    (tmp_path / "t.txt").write_text(text, encoding="utf-8")
    began = time.process_time()
    with pytest.raises(InputError, match="names no values"):
        table_of(str(tmp_path / "t.txt"))
    assert time.process_time() - began < 5


def test_the_largest_value_of_a_label_map_is_named(tmp_path):
    (tmp_path / "t.csv").write_text(f"index,name\n{2**32 - 1},a\n{2**32},b\n")
    assert table_of(str(tmp_path / "t.csv")) == {2**32 - 1: "a"}


@pytest.mark.parametrize(
    ("name", "text"),
    [("t.json", json.dumps({"9" * 5000: "a"})), ("t.csv", "index,name\n" + "9" * 5000 + ",a\n\u00b2,b\n")],
)
def test_values_that_no_label_map_can_hold_are_left_out(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="names no values"):
        table_of(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n.json", '{"1": "liver", "1": "spleen"}'), ("n.json", '{"labels": {"liver": 1, "liver": 2}}'),
        ("n.json", '{"1": "liver", "01": "spleen"}'), ("n.json", '{"labels": {"1": "a"}, "labels": {"1": "b"}}'),
        ("n.csv", "index,name\n1,liver\n1,spleen\n"), ("n.txt", "1 liver 0 0 0 0\n1 spleen 0 0 0 0\n"),
        ("n.label", '1 0 0 0 1 1 1 "liver"\n1 0 0 0 1 1 1 "spleen"\n'),
    ],
)  # fmt: skip
def test_two_names_of_one_value_are_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=f"{name}: .*(two names|twice)"):
        table_of(str(tmp_path / name))
