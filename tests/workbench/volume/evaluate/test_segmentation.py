"""Measures against MONAI's own, and what happens where a class is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.meandice import compute_dice
from monai.metrics.surface_dice import compute_surface_dice
from scipy import ndimage

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError
from workbench.volume.evaluate.segmentation import COLUMNS, score_case, summarise

CLASSES = ClassTable.from_names(("one", "two"))


def blobs(seed: int, shape: tuple[int, int, int] = (30, 26, 22)) -> np.ndarray:
    """Two classes of random, ragged regions."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 2.5)
    return np.digitize(smooth, np.percentile(smooth, (70, 90))).astype(np.uint8)


def one_hot(labels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([labels == c for c in range(3)]))[None].float()


# MONAI 1.6 calls its own get_mask_edges with an argument that it has deprecated.
@pytest.mark.filterwarnings("ignore:monai.metrics.utils get_mask_edges:FutureWarning")
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.3, 3.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_measures_equal_those_of_monai(seed: int, spacing: tuple[float, float, float]) -> None:
    reference = blobs(seed)
    predicted = np.roll(blobs(seed), 2, axis=1)
    predicted[blobs(seed + 10) == 2] = 2
    rows = score_case(predicted, reference, spacing, CLASSES, tolerance_mm=2.0)
    p, r = one_hot(predicted), one_hot(reference)
    dice = compute_dice(p, r, include_background=False)[0]
    hd95 = compute_hausdorff_distance(p, r, percentile=95, spacing=spacing)[0]
    nsd = compute_surface_dice(p, r, class_thresholds=[2.0, 2.0], spacing=spacing)[0]
    for i, row in enumerate(rows):
        assert row["dice"] == pytest.approx(float(dice[i]), abs=1e-6)
        assert row["hd95_mm"] == pytest.approx(float(hd95[i]), rel=1e-5)
        assert row["nsd"] == pytest.approx(float(nsd[i]), abs=1e-6)


def test_a_perfect_prediction_scores_perfectly_and_volumes_are_in_millilitres() -> None:
    reference = np.zeros((20, 20, 20), np.uint8)
    reference[5:15, 5:15, 5:15] = 1
    (one, _) = score_case(reference, reference, (2.0, 2.0, 5.0), CLASSES, case="a")
    assert (one["dice"], one["hd95_mm"], one["nsd"]) == (1.0, 0.0, 1.0)
    assert one["volume_ml"] == one["reference_ml"] == pytest.approx(1000 * 20 / 1000)
    assert tuple(one) == COLUMNS


def test_a_known_shift_gives_the_known_distance() -> None:
    reference = np.zeros((30, 12, 12), np.uint8)
    reference[4:10, 3:9, 3:9] = 1
    predicted = np.roll(reference, 3, axis=0)
    (one, _) = score_case(predicted, reference, (2.0, 1.0, 1.0), CLASSES)
    assert one["hd95_mm"] == pytest.approx(6.0)
    assert one["dice"] == pytest.approx(0.5)


def test_missing_classes_are_told_apart() -> None:
    reference = np.zeros((10, 10, 10), np.uint8)
    reference[2:5, 2:5, 2:5] = 1  # in the reference, not found
    predicted = np.zeros_like(reference)
    predicted[6:9, 6:9, 6:9] = 2  # found, not in the reference
    one, two = score_case(predicted, reference, (1, 1, 1), CLASSES)
    assert (one["dice"], one["hd95_mm"], one["nsd"]) == (0.0, math.inf, 0.0)
    assert all(math.isnan(two[m]) for m in ("dice", "hd95_mm", "nsd"))
    assert two["volume_ml"] == pytest.approx(0.027)
    summary = {row["class"]: row for row in summarise([one, two])}
    assert summary["one"]["missed"] == 1
    assert summary["two"]["cases"] == 0
    assert math.isnan(summary["one"]["hd95_mm_mean"])
    assert summary["all"]["dice_mean"] == 0.0


def test_summary_is_mean_sd_and_median() -> None:
    rows = [
        {"case": str(i), "class": "one", "value": 1, "dice": d, "hd95_mm": 1.0, "nsd": 1.0, "volume_ml": 11.0,
         "reference_ml": 10.0, "difference_ml": 1.0}
        for i, d in enumerate((0.5, 0.7, 0.9))
    ]  # fmt: skip
    one, everything = summarise(rows)
    assert one["dice_mean"] == pytest.approx(0.7)
    assert one["dice_sd"] == pytest.approx(0.2)
    assert one["dice_median"] == pytest.approx(0.7)
    assert one["volume_error_percent"] == pytest.approx(10.0)
    assert everything["class"] == "all"
    assert everything["cases"] == 3


def test_shapes_must_agree() -> None:
    with pytest.raises(GeometryError, match="differ in shape"):
        score_case(np.zeros((2, 2, 2), int), np.zeros((2, 2, 3), int), (1, 1, 1), CLASSES)


def _bar(length: int, thick: int = 1) -> np.ndarray:
    """One straight bar, all of it surface, in a box with room for a stray voxel."""
    bar = np.zeros((60, 12, 12), np.uint8)
    bar[1 : 1 + length, 1, 1 : 1 + thick] = 1
    return bar


@pytest.mark.parametrize("strays", [2, 4])
@pytest.mark.parametrize("swapped", [False, True])
def test_hd95_leaves_out_the_farthest_twentieth_and_no_more(strays: int, swapped: bool) -> None:
    """Some voxels 10 mm off, besides 50 that fit: 2 of 52 are fewer than a twentieth, 4 of 54 are more."""
    reference = _bar(50)
    predicted = reference.copy()
    predicted[1 : 1 + 2 * strays : 2, 11, 1] = 1
    if swapped:
        predicted, reference = reference, predicted
    (one, _) = score_case(predicted, reference, (1.0, 1.0, 1.0), CLASSES)
    assert one["hd95_mm"] == pytest.approx(0.0 if strays == 2 else 10.0)
    assert one["nsd"] == pytest.approx((50 + 50) / (100 + strays))


def test_hd95_takes_the_percentile_of_each_direction_and_then_the_larger() -> None:
    """A part that was missed is far from what was found, but nothing found is far from the reference."""
    reference = _bar(50)
    reference[1:11, 11, 1] = 1
    (one, _) = score_case(_bar(50), reference, (1.0, 1.0, 1.0), CLASSES)
    assert one["hd95_mm"] == pytest.approx(10.0)  # 10 of 60 of one direction; of both together 10 of 110
    (other, _) = score_case(reference, _bar(50), (1.0, 1.0, 1.0), CLASSES)
    assert other["hd95_mm"] == one["hd95_mm"]
