"""One border for all leads: outermost, but borne out; rows of one name count once."""

import numpy as np
import pytest

from workbench.page.measure.beats import Beats
from workbench.page.measure.delineate import Delineation
from workbench.page.measure.lead_rule import borne_out, chosen_leads, global_marks


def test_a_lone_outlier_does_not_decide():
    onsets = np.array([-0.080, -0.045, -0.044, -0.042, -0.040, -0.040, -0.038, -0.036, -0.036, np.nan])
    assert borne_out(onsets, 3) == -0.045
    assert borne_out(-onsets, 5) == 0.045


def test_without_an_outlier_it_is_the_outermost():
    assert borne_out(np.array([-0.05, -0.048, -0.044, -0.03]), 3) == -0.05
    assert borne_out(np.array([0.05, 0.048, 0.044, 0.03]), 5) == 0.05


def test_two_leads_give_the_outer_one_and_none_gives_nothing():
    assert borne_out(np.array([-0.05, -0.02]), 3) == -0.05
    assert borne_out(np.array([0.3]), 8) == 0.3
    assert np.isnan(borne_out(np.array([np.nan, np.nan]), 3))


def test_leads_that_all_disagree_still_give_an_answer():
    assert borne_out(np.array([-0.4, -0.2, 0.0, 0.1, 0.3]), 3) in (-0.4, -0.2, 0.0)


def test_peaks_are_medians():
    assert borne_out(np.array([0.1, 0.2, 0.9]), 7) == 0.2


def test_of_rows_with_one_name_the_longest_is_the_lead():
    there = np.zeros((4, 10), bool)
    there[0, :3] = there[1] = there[2, :5] = True
    assert chosen_leads(("II", "II", "V1", "V2"), there) == [1, 2]


def test_beats_seen_by_different_leads_have_the_same_borders():
    """On a page each beat is seen by other leads: an early lead must not make its beats begin early."""
    marks = np.full((3, 4, 9), np.nan)
    moments = np.array([1.0, 2.0, 3.0, 4.0])
    onset = (-0.055, -0.05, -0.045)
    for lead, seen in enumerate(((0, 1), (2, 3), (0, 1, 2, 3))):
        for beat in seen:
            marks[lead, beat, 3:6] = moments[beat] + np.array([onset[lead], 0.0, 0.04])
    beats = Beats(moments, np.zeros(4, np.int64), np.ones(4))
    found = Delineation(("I", "V1", "II"), moments, marks, (np.zeros((0, 3)),) * 3)
    out = global_marks(found, beats, [0, 1, 2])
    assert out.dominant[3] == pytest.approx(-0.055)
    np.testing.assert_allclose(out.per_beat[:, 3], moments - 0.055)
    assert np.isnan(out.per_beat[:, 0]).all()


def test_another_form_has_borders_of_its_own():
    marks = np.full((1, 3, 9), np.nan)
    moments = np.array([1.0, 2.0, 3.0])
    marks[0, :, 3] = moments - np.array([0.05, 0.09, 0.05])
    found = Delineation(("II",), moments, marks, (np.zeros((0, 3)),))
    out = global_marks(found, Beats(moments, np.array([0, 1, 0]), np.ones(3)), [0])
    np.testing.assert_allclose(moments - out.per_beat[:, 3], [0.05, 0.09, 0.05])
