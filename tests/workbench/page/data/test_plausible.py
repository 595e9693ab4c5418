"""Voltages that no body has are refused, those of no heart are said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.workbench.page.made import heart
from workbench.core.errors import InputError
from workbench.page.data.plausible import odd
from workbench.page.leads import STANDARD, derived

PATH = Path("ecg.hea")


def _right() -> np.ndarray:
    """Twelve leads whose limb leads agree."""
    data = heart(12, 2000, seed=3)
    data[0], data[1] = 1.5 * data[11], 4.5 * data[10]
    limb = derived({"I": data[0], "II": data[1]})
    for name, row in limb.items():
        data[STANDARD.index(name)] = row
    return data


def test_nothing_is_said_of_what_is_right():
    data = _right()
    data[6:, 500:] = np.nan
    data[:6, :100] = np.nan
    assert odd(PATH, STANDARD, data) == []
    assert odd(PATH, STANDARD, data + 250) == []  # electrodes have voltages of their own


@pytest.mark.parametrize("name", ["I", "II", "III", "aVR", "aVL", "aVF"])
@pytest.mark.parametrize("factor", [-1, 0.5, 10])
def test_a_wrong_gain_of_a_limb_lead_is_found(name, factor):
    data = _right()
    data[STANDARD.index(name)] *= factor
    assert "limb leads are not what I and II make of them" in odd(PATH, STANDARD, data)[-1]


def test_swapped_leads_are_found():
    data = _right()
    data[[0, 1]] = data[[1, 0]]
    assert any("mixed up" in note for note in odd(PATH, STANDARD, data))


def test_heights_of_no_heart_are_said():
    data = _right()
    data[6] *= 1e-4
    data[7] *= 50
    data[8] = 3.0
    data[9] = np.nan
    assert odd(PATH, STANDARD, data) == [
        "1 lead(s) hold no sample: V4",
        "1 lead(s) are flat: V3",
        "1 lead(s) span less than 5 uV, less than any heart: check gain and unit: V1",
        "1 lead(s) span more than 30 mV, more than any heart: check gain and unit: V2",
    ]


def test_microvolts_taken_for_millivolts_are_refused():
    with pytest.raises(InputError, match=r"ecg.hea: V1 reaches 3e\+03 mV, expected what a body has"):
        odd(PATH, ("I", "V1"), np.array([[0.0, 1.0], [0.0, 3000.0]]))


def test_leads_scaled_to_their_own_range_are_told():
    data = _right()
    data /= np.ptp(data, axis=1, keepdims=True)
    [note] = odd(PATH, STANDARD, data)
    assert "all 12 leads span the same 1 mV" in note


def test_all_gaps_and_one_sample():
    assert odd(PATH, ("I", "II"), np.full((2, 9), np.nan)) == ["all 2 lead(s) hold no sample"]
    assert odd(PATH, ("I",), np.zeros((1, 1))) == ["all 1 lead(s) are flat"]
