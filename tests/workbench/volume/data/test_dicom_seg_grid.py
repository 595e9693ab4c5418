"""The grid of the frames of a DICOM-SEG where nothing but the frames and what they declare tells it."""

from pathlib import Path

import numpy as np
import pytest

from workbench.volume.data.dicom_seg_grid import Frame, Plan, placed, slices_of


@pytest.mark.parametrize(
    ("step", "declared", "there"),
    [
        (0.625, 0.62, range(300)),  # rounded: at 0.62 mm they would be 302 slices
        (0.625, 0.62, [*range(0, 200, 2), *range(203, 300)]),
        (2.5, 40.0, range(20)),  # nonsense: more than from the first frame to the next
        (2.5, 0.0, [0, 2, 5, 9]),
        (2.5, 2.5, [0, 2, 4]),
    ],
)
def test_the_step_is_that_of_the_frames(step, declared, there):
    frames = [Frame(n, 1, (0.0, 0.0, step * k)) for n, k in enumerate(there)]
    plan = Plan(np.eye(3)[:2], (1.0, 1.0), declared, declared)
    shape, affine = placed(plan, frames, (4, 4), None, Path("seg.dcm"))
    assert shape == (4, 4, max(there) + 1)
    assert affine[2, 2] == pytest.approx(step)
    assert slices_of(frames, affine, shape[2], Path("seg.dcm")) == list(there)
