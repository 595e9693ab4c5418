"""Simulated electrocardiograms: limb leads that obey Einthoven and Goldberger, and rhythms that are what they say."""

import numpy as np
import pytest
from scipy.signal import find_peaks

from workbench.page.draw.simulate import FORMS, RHYTHMS, simulate
from workbench.page.leads import STANDARD


@pytest.mark.parametrize("rhythm", RHYTHMS)
@pytest.mark.parametrize("form", FORMS)
def test_limb_leads_say_the_same(rhythm, form):
    found = simulate(5, rhythm=rhythm, form=form)
    lead = dict(zip(found.channels, found.data.astype(float), strict=True))
    assert found.channels == STANDARD
    assert found.data.shape == (12, 5000)
    assert found.unit == "mV"
    assert np.abs(lead["III"] - (lead["II"] - lead["I"])).max() < 1e-5
    assert np.abs(lead["aVR"] + (lead["I"] + lead["II"]) / 2).max() < 1e-5
    assert np.abs(lead["aVL"] - (lead["I"] - lead["II"] / 2)).max() < 1e-5
    assert np.abs(lead["aVF"] - (lead["II"] - lead["I"] / 2)).max() < 1e-5
    assert 0.1 < np.ptp(found.data, axis=1).max() < 12


def beats(found):
    size = np.abs(found.data[:2]).max(axis=0)
    return find_peaks(size, height=0.5 * size.max(), distance=100)[0] / 500


def test_rate_and_seed():
    one, same, other = (simulate(s, rate=75.0, noise=0.0) for s in (3, 3, 4))
    assert np.array_equal(one.data, same.data)
    assert not np.array_equal(one.data, other.data)
    assert abs(60 / np.diff(beats(one)).mean() - 75) < 3
    spread = [np.diff(beats(simulate(3, rhythm=r, rate=80.0, noise=0.0))).std() for r in ("sinus", "AF")]
    assert spread[1] > 3 * spread[0]
    assert 60 / np.diff(beats(simulate(3, rhythm="tachycardia", noise=0.0))).mean() > 108
    assert 60 / np.diff(beats(simulate(3, rhythm="bradycardia", noise=0.0))).mean() < 52


def test_an_anterior_infarction_lifts_the_chest_leads_and_an_inferior_one_the_lower_limbs():
    def st(form, lead):
        found = simulate(11, form=form, rate=60.0, noise=0.0)
        row = found.data[STANDARD.index(lead)].astype(float)
        at = (beats(found)[2:-2, None] + np.array([0.10, 0.16])) * 500
        return np.interp(at, np.arange(5000), row).mean() - np.median(row)

    assert st("anterior MI", "V2") > st("normal", "V2") + 0.1
    assert st("inferior MI", "aVF") > st("normal", "aVF") + 0.1
