"""Parts that every kind writes alike: tables, annotations, arrays with their description; and features read again."""

import csv
import json

import numpy as np
import pytest

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError, UsageError
from workbench.core.types import Embeddings, Geometry, Labels, Mark, Marks, Scores, Signals, time_base
from workbench.data.parts import common_jobs, json_job, marks_table, read_embeddings, table_of


def _written(part, folder):
    for path, save in common_jobs(part, folder / "part.of"):
        save(path)
    return sorted(p.name for p in folder.iterdir())


def test_a_table_is_csv_with_its_commas_quoted(tmp_path) -> None:
    table = Scores(("class", "volume [mL]"), (("left, upper", 1.5), ('so-called "lobe"', None)))
    assert _written(table, tmp_path) == ["part.of.csv"]  # a dot in the name is no suffix
    with (tmp_path / "part.of.csv").open(newline="", encoding="utf-8") as f:
        assert list(csv.reader(f)) == [["class", "volume [mL]"], ["left, upper", "1.5"], ['so-called "lobe"', ""]]
    assert "\r" not in table_of(table)


def test_annotations_keep_microseconds_and_channels(tmp_path) -> None:
    marks = Marks((Mark(12345.678901, 0.0, "a, b"), Mark(0.1, 2.5, "blink", ("Fp1", "Fp2"))))
    assert marks_table(marks).splitlines() == [
        "onset [s],duration [s],label,channels", '12345.678901,0.000000,"a, b",', "0.100000,2.500000,blink,Fp1;Fp2",
    ]  # fmt: skip


def test_signals_are_an_array_and_what_it_is(tmp_path) -> None:
    data = np.asfortranarray(np.arange(12.0).reshape(2, 6))
    part = Signals(data, ("a", "b"), time_base(6, 200.0, 1.5), "tokens", unit=None, role="tokens")
    assert _written(part, tmp_path) == ["part.of.json", "part.of.npy"]
    np.testing.assert_array_equal(np.load(tmp_path / "part.of.npy", allow_pickle=False), data)
    beside = json.loads((tmp_path / "part.of.json").read_text(encoding="utf-8"))
    assert beside == {"sampling_rate": 200.0, "start": 1.5, "channels": ["a", "b"], "role": "tokens", "name": "tokens"}


def test_features_come_back_with_their_ids(tmp_path) -> None:
    part = Embeddings(np.arange(6, dtype=np.float32).reshape(3, 2), ("x", "y", "7"), "features")
    _written(part, tmp_path)
    back = read_embeddings(tmp_path / "part.of.npy")
    np.testing.assert_array_equal(back.data, part.data)
    assert (back.ids, back.name) == (part.ids, part.name)


@pytest.mark.parametrize("shape", [(2, 2), (4, 2), (3,)])
def test_features_that_do_not_fit_their_ids_are_neither_written_nor_read(tmp_path, shape) -> None:
    """One row off, and every item has the features of another."""
    ids, data = ("x", "y", "z"), np.zeros(shape, np.float32)
    with pytest.raises(GeometryError, match="3 ids, one per row"):
        common_jobs(Embeddings(data, ids), tmp_path / "e")
    np.save(tmp_path / "e.npy", data)
    (tmp_path / "e.json").write_text(json.dumps({"ids": ids, "name": "e"}))
    with pytest.raises(InputError, match=r"e\.npy: .*3 ids"):
        read_embeddings(tmp_path / "e.npy")


@pytest.mark.parametrize(
    ("array", "beside"),
    [
        (b"", '{"ids": [], "name": "e"}'), (b"nonsense", '{"ids": [], "name": "e"}'), (None, "{"), (None, "[]"),
        (None, '{"name": "e"}'), (None, None), (b"pickled", '{"ids": ["x"], "name": "e"}'),
    ],
)  # fmt: skip
def test_damaged_features_are_one_line(tmp_path, array, beside) -> None:
    path = tmp_path / "e.npy"
    np.save(path, np.zeros((1, 2), np.float32) if array is None else np.array([[None]], object), allow_pickle=True)
    if array not in (None, b"pickled"):
        path.write_bytes(array)
    if beside is not None:
        path.with_suffix(".json").write_text(beside)
    with pytest.raises(InputError, match=r"e\.npy: (not (a )?readable|holds Python objects)") as caught:
        read_embeddings(path)
    assert "\n" not in str(caught.value)


def test_features_that_promise_more_than_the_file_holds_take_no_memory(tmp_path) -> None:
    np.save(tmp_path / "e.npy", np.zeros((4, 6), np.float32))
    (tmp_path / "e.json").write_text(json.dumps({"ids": list("abcd"), "name": "e"}))
    content = (tmp_path / "e.npy").read_bytes()
    (tmp_path / "e.npy").write_bytes(content.replace(b"(4, 6), }".ljust(18), b"(4294967297, 6), }"))
    with pytest.raises(InputError, match=r"e\.npy: truncated: the header promises .* found 224"):
        read_embeddings(tmp_path / "e.npy")


def test_what_belongs_to_an_image_needs_it(tmp_path) -> None:
    labels = Labels(np.zeros((2, 2), np.uint8), Geometry((2, 2)), ClassTable(), "mine")
    with pytest.raises(UsageError, match=r"'mine' \(Labels\) belongs to an image"):
        common_jobs(labels, tmp_path / "a")


def test_a_file_beside_keeps_the_whole_name(tmp_path) -> None:
    path, save = json_job({"a": 1}, tmp_path / "v1.2")
    save(path)
    assert path.name == "v1.2.json"
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": 1}


@pytest.mark.parametrize(
    "beside", ["[" * 100_000, '{"ids": ' + "9" * 5000 + "}", '{"ids": ["a"]}', "[]", "nan"], ids=range(5)
)
def test_damaged_ids_of_embeddings_are_one_line(tmp_path, beside):
    np.save(tmp_path / "e.npy", np.zeros((1, 3), "f4"))
    (tmp_path / "e.json").write_text(beside)
    with pytest.raises(InputError, match="not readable as embeddings with their ids") as error:
        read_embeddings(tmp_path / "e.npy")
    assert "\n" not in str(error.value)


def test_embeddings_of_which_numbers_are_left_over_are_refused(tmp_path):
    np.save(tmp_path / "e.npy", np.zeros((1, 3), "f4"))
    (tmp_path / "e.json").write_text('{"ids": ["a"], "name": "x"}')
    assert read_embeddings(tmp_path / "e.npy").data.shape == (1, 3)
    content = (tmp_path / "e.npy").read_bytes().replace(b"(1, 3)", b"(1, 2)")
    (tmp_path / "e.npy").write_bytes(content)
    with pytest.raises(InputError, match="4 bytes more than the 2 numbers"):
        read_embeddings(tmp_path / "e.npy")
