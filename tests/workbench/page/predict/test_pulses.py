"""Calibration pulses: their height says the gain, their width only that a speed may be wrong."""

import numpy as np

from workbench.page.predict.pulses import gain_of, other_speed, sizes


def pulses(*, high=10.0, wide=5.0, count=3):
    out = np.zeros((60 * 8, 60 * 16), np.float32)
    for n in range(count):
        x0, y0 = round((5 + 18 * n) * 16), 40 * 8
        x1, y1 = x0 + round(wide * 16), y0 - round(high * 8)
        out[y1 - 1 : y1 + 2, x0 - 3 : x1 + 3] = 1
        out[y1 - 1 : y0 + 2, x0 - 3 : x0 + 3] = 1
        out[y1 - 1 : y0 + 2, x1 - 3 : x1 + 3] = 1
    return sizes(out, 8.0, 2)


def test_height_and_width_are_measured():
    found = pulses(high=10.0, wide=5.0)
    assert found.shape == (3, 2)
    assert np.allclose(found, [10.0, 5.0], atol=0.2)
    assert gain_of(found[:, 0])[0] == 10.0
    assert pulses(count=0).shape == (0, 2)


def test_wide_pulses_speak_against_a_speed_and_usual_ones_do_not():
    assert other_speed(pulses(wide=5.0)[:, 1], 25.0) == ""
    assert other_speed(pulses(wide=2.5)[:, 1], 25.0) == ""  # 100 ms, as some makers draw them
    assert "10.0 mm wide, which is usual for paper of 50 mm/s" in other_speed(np.array([10.0, 10.0]), 25.0)
    assert "usual for paper of 25 mm/s" in other_speed(pulses(wide=5.0)[:, 1], 50.0)
    assert other_speed(pulses(wide=10.0)[:1, 1], 25.0) == ""  # one says nothing
    assert other_speed(np.array([10.0, 5.0, 7.0, 3.0]), 25.0) == ""  # nor do many that differ
