"""The Volume tool is made of parts: none is inherited, each is small. What they decide is right without a window."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import workbench_napari.volume
from napari.layers import Image, Labels, Points
from workbench_napari.volume.image_choice import describe_layer
from workbench_napari.volume.layer_roles import is_label_map, is_volume, maps_beside
from workbench_napari.volume.segmenting import describe_run
from workbench_napari.volume.viewing import widen_range

from workbench.core.layers import KEY
from workbench.core.types import Provenance
from workbench.volume.layers import geometry_from_layer

SOURCES = sorted(Path(workbench_napari.volume.__file__).parent.glob("*.py"))
CUBE = np.zeros((4, 5, 6), np.float32)


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
        assert len(bases) <= 1, f"{file}: {node.name} inherits {bases}"


def test_every_part_is_small():
    for file, node in classes():
        methods = sum(isinstance(n, ast.FunctionDef) for n in node.body)
        lines = node.end_lineno - node.lineno + 1
        assert (lines <= 300, methods <= 40) == (True, True), (
            f"{file}: {node.name} has {lines} lines, {methods} methods"
        )
    for path in SOURCES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path.name


@pytest.mark.parametrize(
    ("layer", "role"),
    [
        (Image(CUBE), "volume"),
        (Image(np.zeros((2, 4, 5, 6))), "volume"),
        (Image(CUBE[0]), "neither"),
        (Image(np.zeros((4, 5, 6, 3), np.uint8), rgb=True), "neither"),
        (Image(CUBE, metadata={KEY: {"role": "heatmap"}}), "neither"),
        (Labels(CUBE.astype(np.uint8)), "labels"),
        (Labels(np.zeros((5, 6), np.uint8)), "neither"),
        (Points(np.zeros((2, 3))), "neither"),
    ],
    ids=["volume", "channels", "picture", "rgb", "map", "labels", "flat labels", "points"],
)
def test_which_layer_is_what(layer, role):
    assert (is_volume(layer), is_label_map(layer)) == (role == "volume", role == "labels")


def test_maps_of_the_same_run_are_saved_with_the_labels():
    labels = Labels(CUBE.astype(np.uint8), metadata={KEY: {"result": "a"}})
    mine, other = (Image(CUBE, metadata={KEY: {"result": run}}) for run in "ab")
    foreign, drawn = Image(CUBE), Labels(CUBE.astype(np.uint8))
    layers = [labels, mine, other, foreign, drawn]
    assert maps_beside(labels, layers) == [mine]
    assert maps_beside(drawn, layers) == [], "layers without a record do not belong together"


def test_the_whole_range_stays_within_reach():
    layer = Image(CUBE, contrast_limits=(-160, 240), metadata={KEY: {"range": [-1024, 3071]}})
    widen_range(layer)
    assert tuple(layer.contrast_limits) == (-160, 240)
    assert tuple(layer.contrast_limits_range) == (-1024, 3071)
    foreign = Image(CUBE, contrast_limits=(1, 2))
    widen_range(foreign)
    assert tuple(foreign.contrast_limits_range) == (1, 2)


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")
def test_a_layer_is_told_in_a_line():
    layer = Image(CUBE, scale=(4, 3, 3), units="mm", metadata={KEY: {"modality": "CT"}})
    geometry, _, _ = geometry_from_layer(layer.data.shape, layer.as_layer_data_tuple()[1])
    assert describe_layer(layer, geometry, ()) == "CT, 4 × 5 × 6 voxels, 4 × 3 × 3\u00a0mm"
    assert describe_layer(layer, geometry, ("no unit",)).endswith("mm\nNo unit.")
    layer.rotate = (20, 0, 0)
    assert "Oblique" in describe_layer(layer, geometry, ())


def test_a_run_is_told_in_a_line():
    made = Provenance("b", "w", None, {}, device="cpu", device_reason="asked for", seconds=1.26, notes=("level 3", "b"))
    assert describe_run(made) == "Done in 1.3 s on cpu (asked for). Level 3. B."
