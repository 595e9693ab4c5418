"""Calibration pulses among strokes: however they are drawn, and nothing else is one."""

import numpy as np
import pytest

from workbench.page.predict.drawn_pulses import pulses_in, without_pulses

PULSE = np.array([[0.0, 50], [1, 50], [1, 40], [6, 40], [6, 50], [7, 50]])


def parts(line):
    return [line[n : n + 2] for n in range(len(line) - 1)]


def sampled(line, step=0.05):
    x = np.arange(line[0, 0], line[-1, 0], step)
    return np.column_stack([x, np.interp(x, line[:, 0] + 1e-6 * np.arange(len(line)), line[:, 1])])


@pytest.mark.parametrize(
    "strokes",
    [[PULSE], [PULSE[::-1]], parts(PULSE), parts(PULSE[::-1])[::-1], [p[::-1] for p in parts(PULSE)], [PULSE[1:5]],
     [sampled(PULSE)]],
    ids=["one stroke", "from the right", "parts", "parts from the right", "parts turned", "without feet", "samples"],
)  # fmt: skip
def test_a_pulse_is_found_however_it_is_drawn(strokes):
    found = pulses_in(strokes)
    assert len(found) == 1
    assert found[0].size == pytest.approx((10, 5), abs=0.06)


@pytest.mark.parametrize(
    "strokes",
    [
        [np.array([[1.0, 50], [1, 40], [6, 40], [6, 50], [1, 50]])],
        [np.array([[1.0, 40], [1, 50], [6, 50], [6, 40]])],
        [np.array([[1.0, 50], [1, 40], [6, 40], [6, 44]])],
        [np.array([[0.0, 50], [3, 40], [8, 40], [11, 50]])],
        [np.array([[x, 0.0], [x, 20.0]]) for x in (0.0, 5.0, 10.0)]
        + [np.array([[0.0, y], [10.0, y]]) for y in (0.0, 20.0)],
    ],
    ids=["a box", "upside down", "edges of two heights", "slopes", "lines of a grid"],
)
def test_what_is_no_pulse(strokes):
    assert pulses_in(strokes) == []


@pytest.mark.parametrize("end", [1, -1])
def test_a_pulse_in_one_stroke_with_a_curve_is_cut_off(end):
    x = np.arange(7, 60, 0.05)
    trace = np.column_stack([x, 50 - 3 * np.sin(x - 7)])
    curve = np.vstack([PULSE, trace])
    if end < 0:
        curve, trace = ((line * [-1, 1])[::-1] for line in (curve, trace))
    cut = without_pulses(curve, pulses_in([curve]))
    assert cut[0] == pytest.approx(trace[0])
    assert cut[-1] == pytest.approx(trace[-1])
    assert without_pulses(trace, pulses_in([curve])) is trace
