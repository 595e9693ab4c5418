"""Volumes that taught weights are known again: copies however stored, crops and padded copies; others are not."""

import nibabel as nib
import numpy as np
import pytest

import workbench as wb
from workbench.core.seen import Seen, SeenCase
from workbench.volume.data.content import MOST, keys_of, mark_of, runs_of

RNG = np.random.default_rng(5)
BODY = np.where(np.hypot(*np.mgrid[-1:1:60j, -1:1:50j])[:, :, None] < 0.9, 40, -1000) * np.ones((1, 1, 40))
SCAN = (BODY + RNG.normal(0, 12, BODY.shape) * (BODY > 0)).astype(np.int16)


def volume(folder, data, name="a.nii.gz", affine=None):
    nib.save(nib.Nifti1Image(data, np.diag([2.0, 2, 3, 1]) if affine is None else affine), folder / name)
    return wb.read(folder / name)


@pytest.fixture
def seen(tmp_path):
    image = volume(tmp_path, SCAN, "taught.nii.gz")
    case = SeenCase("p1", (*keys_of(image), *runs_of(image)), "learnt", "p1")
    return Seen.of({"seen": [case.to_json()]})


PARTS = {
    "half of the slices": lambda a: a[:, :, 20:],
    "an eighth": lambda a: a[20:50, 10:35, 10:30],
    "padded": lambda a: np.pad(a, 6, constant_values=-1000),
    "patched into another": lambda a: np.concatenate([a[:, :, :20], RNG.normal(0, 30, (60, 50, 20))], 2).astype("i2"),
}


@pytest.mark.parametrize("how", PARTS)
def test_a_part_of_a_volume_is_known_again(tmp_path, seen, how):
    assert mark_of(seen, volume(tmp_path, PARTS[how](SCAN))) == "in part"


def test_a_part_that_is_stored_the_other_way_round_is_known_again(tmp_path, seen):
    flipped = np.diag([-2.0, 2, 3, 1])
    assert mark_of(seen, volume(tmp_path, SCAN[::-1], affine=flipped)) == "learnt"
    assert mark_of(seen, volume(tmp_path, SCAN[40:10:-1, :, 5:30].astype("f4"), affine=flipped)) == "in part"


def test_another_scan_is_not_taken_for_it(tmp_path, seen):
    again = (BODY + np.random.default_rng(6).normal(0, 12, BODY.shape) * (BODY > 0)).astype(np.int16)
    assert mark_of(seen, volume(tmp_path, again)) == "no"
    assert mark_of(seen, volume(tmp_path, again), group="p1") == "same group"
    assert mark_of(seen, volume(tmp_path, np.full((40, 30, 20), -1000, np.int16))) == "no"


def test_few_runs_are_kept_and_none_of_what_says_nothing(tmp_path):
    runs = runs_of(volume(tmp_path, SCAN))
    assert MOST / 2 <= len(runs) <= MOST
    assert runs_of(volume(tmp_path, np.where(SCAN > 0, 1, 0).astype("u1"))) == ()
    assert runs_of(volume(tmp_path, SCAN[:10])) == ()
