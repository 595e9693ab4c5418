"""Measurements of devices in one unit each."""

from __future__ import annotations

import pytest

from workbench.page.data.measured import NAMES, measured, unit_of


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("PR", 0.16, "s", 160),
        ("PR", 160, "ms", 160),
        ("QT", 398.5, "ms", 398.5),
        ("RR", 0, "ms", None),  # 0 is "not measured"
        ("PR", None, "ms", None),
        ("PR", float("nan"), "ms", None),
        ("PR", 1e12, "ms", None),
        ("QRS_axis", -61, "deg", -61),
        ("P_axis", 0, "deg", 0),
        ("heart_rate", 0, "1/min", None),
        ("heart_rate", 61, "bpm", 61),
    ],
)
def test_what_is_plain_is_taken_without_a_word(name, value, unit, expected):
    assert measured(name, value, unit) == (expected, "")


def test_what_is_odd_is_said():
    assert measured("PR", 160, "mV") == (None, "PR of the device is in mV, which is no time: left out")
    assert measured("PR", 160, "")[0] is None
    assert measured("T_axis", 999, "deg")[0] is None
    number, note = measured("T_axis", 86, "ms")
    assert number == 86
    assert "all that it can be" in note


def test_every_name_has_a_unit():
    assert {unit_of(name) for name in NAMES} == {"ms", "deg", "1/min"}
    assert unit_of("QRS_axis") == "deg"
    assert unit_of("heart_rate") == "1/min"
