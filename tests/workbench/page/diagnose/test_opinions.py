"""What two opinions make together, and when nothing is said."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.page.diagnose.opinions import Opinion, pooled, too_little, weigh
from workbench.page.leads import STANDARD

CLASSES = ("normal", "AF", "MI")


def opinion(path, *odds, away=0.5):
    return Opinion(path, np.array(odds), away)


def both(first, second, **how):
    return weigh(CLASSES, {"image": first, "signal": second}, {}, **how)


def test_what_both_hold_for_likeliest_is_said():
    found = both(opinion("image", 0.1, 0.8, 0.1), opinion("signal", 0.2, 0.7, 0.1))
    assert found.said == "AF"
    assert "76%" in found.reason
    assert [row["diagnosis"] for row in found.table().as_dicts()] == ["AF", "normal", "MI"]


def test_two_opinions_that_err_by_themselves_are_surer_together():
    first, second = np.array([0.1, 0.8, 0.1]), np.array([0.1, 0.8, 0.1])
    assert pooled([first, second]) == pytest.approx(first)
    assert pooled([first, second], 0.5) == pytest.approx(first**2 / (first**2).sum())
    assert pooled([first], 0.5) is first
    assert both(opinion("image", *first), opinion("signal", *second), pool=0.5).together[1] == pytest.approx(
        0.9697, abs=1e-4
    )


def test_a_zero_of_one_opinion_is_no_veto_without_end():
    assert pooled([np.array([1.0, 0.0]), np.array([0.0, 1.0])]) == pytest.approx([0.5, 0.5])


def test_opinions_that_differ_say_nothing():
    found = both(opinion("image", 0.1, 0.8, 0.1), opinion("signal", 0.9, 0.05, 0.05))
    assert found.said == ""
    assert "differ" in found.reason


def test_what_is_unlikely_is_not_said():
    assert both(opinion("image", 0.4, 0.5, 0.1), opinion("signal", 0.4, 0.5, 0.1)).said == ""


def test_what_is_unlike_everything_does_not_count():
    strange = opinion("image", 0.0, 0.0, 1.0, away=1.7)
    found = both(strange, opinion("signal", 0.05, 0.9, 0.05))
    assert found.said == "", "two were asked, and one of them does not count"
    assert "1.7 times" in found.reason
    alone = weigh(CLASSES, {"signal": opinion("signal", 0.05, 0.9, 0.05)}, {"image": "there is no page"})
    assert alone.said == "AF"
    assert "alone" in alone.reason
    assert weigh(CLASSES, {"image": opinion("image", 0, 1, 0)}, {"signal": "9 of 12"}, needed=("signal",)).said == ""
    nothing = both(strange, opinion("signal", 0.0, 0.0, 1.0, away=3.0))
    assert nothing.said == ""
    assert nothing.together is None


@pytest.mark.parametrize(("rate", "said"), [(38.0, ""), (72.0, "normal"), (140.0, ""), (None, "")])
def test_normal_goes_with_normal_rates_only(rate, said):
    assert both(opinion("image", 0.9, 0.05, 0.05), opinion("signal", 0.9, 0.05, 0.05), rate=rate).said == said


def test_the_folder_of_normal_people_is_normal_and_abnormal_is_not():
    one = opinion("image", 0.9, 0.05, 0.05)
    for name, said in (("Normal Person ECG Images (284x12=3408)", ""), ("abnormal", "abnormal"), ("Norm", "")):
        assert weigh((name, "AF", "MI"), {"image": one, "signal": one}, {}, 140.0).said == said


def test_leads_of_which_little_is_seen_are_too_little():
    leads = np.random.default_rng(0).normal(0, 0.3, (12, 1250))
    assert too_little(leads, STANDARD, {}) == ""
    assert "9 of 12" in too_little(leads, STANDARD, dict.fromkeys(STANDARD[:3], 0.2))
    short = leads.copy()
    short[:, 40:] = np.nan
    assert "0 of 12" in too_little(short, STANDARD, {})
    assert "flat" in too_little(leads * 0, STANDARD, {})
    leads[:4] = np.nan
    assert "8 of 12" in too_little(leads, STANDARD, {})


def test_an_opinion_without_numbers_is_none():
    found = both(opinion("image", np.nan, np.nan, np.nan), opinion("signal", 0.05, 0.9, 0.05))
    assert found.said == ""
    assert "no numbers" in found.reason
