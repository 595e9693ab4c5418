"""The six letters in 3-D lie where the parts of the patient are drawn, whichever way the camera is turned."""

from __future__ import annotations

import time

import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared.views import camera_of
from workbench_napari.volume.orientation_cube import BACK, FAR, NEAR

import workbench as wb
from tests.tiny import make_volume
from tests.workbench_napari.volume.window import show
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.types import Labels

pytestmark = pytest.mark.gui

COLORS = {"R": (255, 0, 0), "H": (0, 255, 0), "A": (0, 0, 255)}


@pytest.fixture
def balls(window, tmp_path):
    """Balls at the patient's right, head and front, in a file whose axes run otherwise."""
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = (30, -30, -30)
    data = np.zeros((60, 60, 60), np.uint8)
    grid = np.moveaxis(np.indices(data.shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    for value, ras in ((1, (24, 0, 0)), (2, (0, 0, 24)), (3, (0, 24, 0))):
        data[((grid - ras) ** 2).sum(-1) < 5**2] = value
    classes = ClassTable(tuple(ClassInfo(i + 1, k, c) for i, (k, c) in enumerate(COLORS.items())))
    path = make_volume(tmp_path / "a.nii.gz", shape=data.shape, affine=affine)
    (labels,) = wb.write(Labels(data, wb.read(path).geometry, classes), tmp_path, name="balls_labels")
    viewer = window(show=True)
    tool = open_files(viewer, [path, labels])
    viewer.layers[0].opacity = 0.02
    viewer.layers[1].opacity = 1.0
    return viewer, tool


def _seen(viewer, letter):
    """Direction of a ball from the middle of the canvas, in units of the distance that it has in the world."""
    pixels = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    bright = pixels.max(axis=-1) > 50
    same = np.abs(pixels / np.maximum(pixels.max(axis=-1, keepdims=True), 1) - np.array(COLORS[letter]) / 255) < 0.35
    y, x = np.argwhere(bright & same.all(axis=-1)).mean(axis=0)
    height, width = pixels.shape[:2]
    return np.array([x - width / 2, y - height / 2])


@pytest.mark.parametrize(
    ("view", "up"),
    [
        pytest.param((0, 1, 0), (1, 0, 0), marks=pytest.mark.slow),
        pytest.param((-0.4, 0.8, -0.3), (1, 0, 0), marks=pytest.mark.slow),
        ((0.5, -0.6, 0.5), (0.6, 0.5, 0.0)),
        pytest.param((1, 0.2, 0.3), (0, 0, 1), marks=pytest.mark.slow),
    ],
)
def test_letters_point_to_where_the_parts_are_drawn(balls, qtbot, view, up):
    viewer, tool = balls
    show(tool, "3-D")
    cube = tool.orientation.cube
    assert cube.isVisible()
    assert not tool.orientation.letters.isVisible()
    camera_of(viewer).set_view_direction(view_direction=view, up_direction=up)
    camera_of(viewer).center = tuple(viewer.layers[1].data_to_world((29.5, 29.5, 29.5)))
    qtbot.wait(50)
    assert set(cube.places) == set("HFAPLR")
    for letter in COLORS:
        x, y, _ = cube.places[letter]
        if np.hypot(x, y) < 0.3:
            continue  # in front of the middle, or hidden behind it
        seen = _seen(viewer, letter)
        turned = abs(np.angle(complex(*seen) / complex(x, y), deg=True))
        assert turned < 12, (letter, seen, (x, y))
    for one, other in ("HF", "AP", "LR"):
        assert np.allclose(np.array(cube.places[one]), -np.array(cube.places[other]))


def test_letters_come_and_go_with_the_view_and_cost_nothing(balls, qtbot):
    viewer, tool = balls
    cube, letters = tool.orientation.cube, tool.orientation.letters
    assert (cube.isVisible(), letters.isVisible()) == (False, True)
    show(tool, "3-D")
    assert (cube.isVisible(), letters.isVisible()) == (True, False)
    camera_of(viewer).angles = (10, 20, 30)
    before = dict(cube.places)
    camera_of(viewer).angles = (10, 20, 75)
    assert cube.places != before
    began = time.thread_time()
    for _ in range(200):
        tool.orientation.turn()
    assert (time.thread_time() - began) / 200 < 1e-3
    viewer.layers[0].visible = False
    tool.orientation.look()
    assert not cube.isVisible()


def test_an_assumed_orientation_has_its_question_mark_in_3d_too(window):
    viewer = window(show=True)
    viewer.add_image(np.zeros((8, 9, 10), np.float32), name="stack", scale=(4, 3, 2), units="mm")
    tool = open_files(viewer, [], tool="volume")
    show(tool, "3-D")
    assert "H?" in tool.orientation.cube.accessibleName()
    tool.orienting.set("LPS")
    assert tool.orientation.cube.isVisible()
    assert "?" not in tool.orientation.cube.accessibleName()


def test_letters_stand_out_from_their_box():
    def bright(color):
        parts = [c / 255 for c in (color.red(), color.green(), color.blue())]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    for ink in (NEAR, FAR):
        assert (bright(ink) + 0.05) / (bright(BACK) + 0.05) >= 4.5
