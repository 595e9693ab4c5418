"""The MEG tool is made of parts: none is inherited, and each is small. What they tell is right without a window."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import workbench_napari.recording
from workbench_napari.recording.blocks import Block
from workbench_napari.recording.modelling import describe_run
from workbench_napari.recording.results import describe_variance
from workbench_napari.recording.trace import nice
from workbench_napari.recording.tracing import traces_of

from workbench.core.types import Provenance, Scores

SOURCES = sorted(Path(workbench_napari.recording.__file__).parent.glob("*.py"))


def classes():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield path.name, node


def test_no_class_hides_in_the_bases_of_another():
    names = {node.name for _, node in classes()}
    for file, node in classes():
        bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        assert not bases & names, f"{file}: {node.name} inherits {bases & names}; let it own that part instead"


def test_every_part_is_small():
    for file, node in classes():
        methods = sum(isinstance(n, ast.FunctionDef) for n in node.body)
        lines = node.end_lineno - node.lineno + 1
        assert (lines <= 300, methods <= 40) == (True, True), (
            f"{file}: {node.name} has {lines} lines, {methods} methods"
        )
    for path in SOURCES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path.name


def test_traces_of_one_unit_are_of_one_height():
    data = np.array([[0, 1, -1, 2] * 50, [0, 100, -100, 50] * 50, [0, 2, -2, 4] * 50], np.float32)
    block = Block("x", "X", ["a-1", "b-1", "c-1"], ["fT", "µV", "fT"], 100.0, 2.0, 200,
                  lambda first, last, rows: data[rows if rows is not None else slice(None), first:last])  # fmt: skip
    found = traces_of(block, [(2, "red"), (1, "blue"), (0, "green")], 2.5, 3.0, 1000)
    assert [(t.name, t.unit, t.color) for t in found] == [("c", "fT", "red"), ("b", "µV", "blue"), ("a", "fT", "green")]
    assert found[0].height == found[2].height == nice(1.5 * block.reach([0, 2]))
    assert found[1].height == nice(1.5 * block.reach([1]))
    assert np.array_equal(found[0].values, data[2, 50 : 50 + len(found[0].times)])
    assert found[0].times[0] == pytest.approx(2.5)
    assert traces_of(block, [], 2.5, 3.0, 1000) == []


def test_tables_and_runs_are_told_in_a_line():
    scores = Scores(("channel", "variance [%]"), (("Cz", 90.0), ("Pz", "70"), ("Oz", float("nan"))))
    assert describe_variance(scores) == "The tokens keep 80.0 % of the variance on average, least of Pz (70.0 %)."
    assert describe_variance(None) == describe_variance(Scores(("channel",), ())) == ""
    made = Provenance("b", "w", None, {}, device="cpu", device_reason="asked for", seconds=1.26, notes=("a note.", "b"))
    assert describe_run(made, " 3 peaks.") == "Done in 1.3 s on cpu (asked for). 3 peaks. A note. B."
