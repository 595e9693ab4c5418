"""Rules that choose a series for a whole batch."""

import math

import pytest

from workbench.core.errors import UsageError
from workbench.volume.data.series_rule import SeriesFacts, parse

CT = SeriesFacts(
    description="Abdomen arterial 1.0", modality="CT", kernel="B30f", uid="1.2.3.44", study="1.2.9", slices=120,
    thickness=1.0, number=4,
)  # fmt: skip


@pytest.mark.parametrize(
    "rule",
    [
        "description=*arterial*,modality=CT,slices>40",
        "DESCRIPTION = *ARTERIAL* , slices >= 120",
        "kernel=B3?f,thickness<=1.5",
        "modality!=MR,number=4",
        "uid=3.44",
        'description="Abdomen*"',
        "*arterial*",
    ],
)
def test_rules_that_hold(rule):
    assert parse(rule).failing(CT) == ""


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("description=arterial", "description is 'Abdomen arterial 1.0', asked for = arterial"),
        ("modality=CT,slices>120", "slices is 120, asked for > 120"),
        ("kernel!=b*", "kernel is 'B30f'"),
        ("thickness<1", "thickness is 1"),
        ("uid=45", "uid is"),
    ],
)
def test_rules_that_do_not_hold_say_why(rule, why):
    assert why in parse(rule).failing(CT)


@pytest.mark.parametrize("term", ["slices>1", "slices<1", "number=1", "number>=0"])
def test_what_the_header_does_not_say_fulfils_no_comparison(term):
    assert math.isnan(SeriesFacts().slices)
    assert parse(term).failing(SeriesFacts())


@pytest.mark.parametrize("text", ["3", "1.2.840.113", "99", ""])
def test_numbers_and_uids_are_no_rules(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("descripton=*a*", "no series has 'descripton'.*Did you mean 'description'"),
        ("slices=many", "'slices' is a number, found 'many'"),
        ("modality>CT", "'modality' is text"),
        ("modality=CT slices>4,=3", "cannot be read from '=3' on"),
        ("=CT", "cannot be read from"),
    ],
)
def test_what_looks_like_a_rule_and_is_none(text, message):
    with pytest.raises(UsageError, match=message):
        parse(text)
