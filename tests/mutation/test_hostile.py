"""Damaged and hostile files of the shared folder: each ends in one clear line, none in other samples.

The table: ``python -m tests.mutation.hostile_table``.
"""

import nibabel as nib
import numpy as np
import pytest

from tests.mutation.hostile_table import HOSTILE, PAYLOAD, VERBS, entries, verbs, verdict
from tests.mutation.serving import serving


@pytest.fixture(scope="module")
def verdict_of():
    with serving("tests.mutation.hostile_table") as ask:
        yield ask


@pytest.mark.parametrize("name", entries() or [None])
def test_a_hostile_file_ends_in_one_line(name, verdict_of):
    if name is None:
        pytest.skip(f"real data not here: {HOSTILE}")
    wrong = verdict_of(name)
    assert not wrong


def test_verdicts():
    cpu = {"cpu": 0.1}
    read, refused, fault = {"hash": "a", **cpu}, {"refused": "a line", **cpu}, {"fault": "slow", "line": "5 s", **cpu}
    assert verdict("x", {"info": refused, "data": refused}) == ""
    assert verdict("x", {"info": read, "data": refused}) == "accepted by info"
    assert verdict(PAYLOAD[0], {"info": read, "data": refused}) == ""
    assert verdict(PAYLOAD[0], {"info": read, "data": read}) == "accepted by info, data"
    assert verdict(PAYLOAD[0], {"info": refused, "data": refused}) == "info loads its samples"
    assert verdict(PAYLOAD[0], {"info": read, "data": fault}) == "slow in data: 5 s"


def test_every_verb_is_tried_and_takes_what_is_sound(tmp_path):
    """What refuses everything would refuse the hostile files too."""
    sound = tmp_path / "v.nii.gz"
    values = np.zeros((12, 12, 12), np.int16)
    values[3:6], values[6:9] = 1, 2  # an image, and a map of labels
    nib.save(nib.Nifti1Image(values, np.diag([3.0, 3, 4, 1])), sound)
    found = verbs(sound)
    assert set(found) == set(VERBS)
    for name, do in found.items():
        assert do() is not None, name
