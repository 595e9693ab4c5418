"""Units, names and limits that all readers of electrocardiograms share."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.page.data import ecg_image


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("mV", 1), ("uV", 1e-3), ("\u00b5V", 1e-3), ("\u03bcV", 1e-3), ("V", 1e3), ("nV", 1e-6), ("MICROVOLTS", 1e-3),
        ("[mV]", 1), (" mV\0", 1), ("", None), ("mmHg", None), ("T", None), ("m", None), ("kV", None),
    ],
)  # fmt: skip
def test_units_of_voltage(unit, factor):
    assert ecg_image.millivolts_of(unit) == factor


def test_names_are_standard_and_each_only_once():
    names, notes = ecg_image.lead_names(["Lead I (Einthoven)", "avr\0", "C4", "I", "PLETH", "", "i"])
    assert names == ("I", "aVR", "V4", "I (2)", "PLETH", "signal 6", "I (3)")
    assert len(notes) == 3
    assert "2 signal(s) are no lead known here and keep their names: PLETH, signal 6" in notes[-1]


def test_modified_limb_leads_are_limb_leads_with_a_note():
    """The names of the MIT-BIH databases."""
    names, notes = ecg_image.lead_names(["MLII", "V5", "mliii", "MLI"])
    assert names == ("II", "V5", "III", "I")
    assert notes == (
        "modified limb leads, with electrodes on the trunk: MLII (read as II), mliii (read as III), MLI (read as I); "
        "heights and axes may differ from those of limb leads",
    )
    assert ecg_image.lead_names(["MLII", "II"])[0] == ("MLII", "II")


def test_what_steers_a_terminal_is_made_visible():
    names, _ = ecg_image.lead_names(["\x1b[2Jx", "(" * 500_000])
    assert names[0] == "\\x1b[2Jx"
    assert len(names[1]) <= 60


def test_statements_name_nobody():
    lines = ["Sinus rhythm", "  Sinus   rhythm ", "Confirmed by MUSTER, ADA (12)", "Dr. No", "ECG\0", "Referred by: X"]
    assert ecg_image.statements_of(lines) == ["Sinus rhythm", "ECG"]


@pytest.mark.parametrize("rate", [0.0, -500.0, float("nan"), float("inf"), 1e9, 1.0])
def test_rates_that_cannot_be(tmp_path, rate):
    with pytest.raises(InputError, match="Hz, expected 20 to 100000 Hz"):
        ecg_image.require_rate(tmp_path, rate)


def test_too_many_leads_and_no_samples(tmp_path):
    def make(leads, samples):
        return ecg_image.ecg_image(
            tmp_path, leads, samples, 500, lambda: np.zeros((1, 1), np.float32), format="csv", header={}
        )

    for leads, samples in (([], 5), (["a"] * 300, 5), (["I"], 0)):
        with pytest.raises(InputError, match="holds"):
            make(leads, samples)
