"""The table of class volumes: true for sheared grids, nothing hidden, nothing made up."""

import numpy as np

from workbench.core.classes import ClassTable
from workbench.core.types import Geometry
from workbench.volume.display import volume_scores, volume_table

CLASSES = ClassTable.from_names(["liver", "spleen"])


def test_volumes_are_millilitres_of_the_whole_affine() -> None:
    sheared = np.diag([2.0, 2.0, 5.0, 1.0])
    sheared[0, 2] = 3.0
    data = np.zeros((5, 5, 5), np.uint8)
    data[:2] = 1
    table = volume_table(data, CLASSES, Geometry(data.shape, sheared))
    assert table["index"] == [0, 1, 2]
    assert table["class"] == ["background", "liver", "spleen"]
    assert table["voxels"] == [75, 50, 0]
    assert table["volume [mL]"] == [75 * 20 / 1000, 1.0, 0.0]


def test_a_value_painted_without_a_class_is_shown() -> None:
    data = np.array([0, 9, 7, 7], np.int16).reshape(4, 1, 1)
    table = volume_table(data, CLASSES, Geometry(data.shape, np.eye(4)))
    assert table["index"] == [0, 1, 2, 7, 9]
    assert table["class"][-2:] == ["class 7", "class 9"]
    scores = volume_scores(table)
    assert scores.columns == ("class", "value", "volume [mL]", "voxels")
    assert [r[1] for r in scores.rows] == [1, 2, 7, 9]
    assert scores.rows[2] == ("class 7", 7, 0.002, 2)


def test_without_a_position_there_is_no_volume() -> None:
    data = np.ones((2, 2, 2), np.uint8)
    table = volume_table(data, CLASSES, Geometry(data.shape, None))
    assert np.isnan(table["volume [mL]"]).all()
    assert table["voxels"] == [0, 8, 0]
    assert volume_table(data, CLASSES, Geometry(data.shape, None), {1: 5})["voxels"] == [0, 5, 0]  # counted before
