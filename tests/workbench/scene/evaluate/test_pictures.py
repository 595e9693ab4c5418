"""Pictures of reports: the scene in colour."""

import numpy as np

from tests.scenes import cube_image, scene_arrays
from workbench.scene.evaluate.pictures import colour_picture


def test_pixels_without_data_are_black_and_do_not_stretch_the_others():
    cube = scene_arrays()[0]
    plain = colour_picture(cube_image(cube[:, 6:]))
    holes = cube.copy()
    holes[:, :6] = -9999
    shown = colour_picture(cube_image(holes, ignore_value=-9999.0))
    assert not shown[:6].any()
    np.testing.assert_allclose(shown[6:], plain, atol=0.02)
    assert plain.min() == 0
    assert plain.max() == 1
