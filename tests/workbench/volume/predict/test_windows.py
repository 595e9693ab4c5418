"""Window positions, weights and settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.errors import UsageError
from workbench.volume.predict.windows import (
    WindowSettings,
    blend_unit,
    choose_precision,
    fill_window,
    importance_map,
    plan_axis,
    smaller_window,
    window_starts,
)


@pytest.mark.parametrize(("length", "roi", "overlap"), [(50, 24, 0.5), (24, 24, 0.5), (25, 24, 0.25), (100, 7, 0.9)])
def test_window_starts_are_monais(length: int, roi: int, overlap: float) -> None:
    from monai.data.utils import dense_patch_slices
    from monai.inferers.utils import _get_scan_interval

    interval = _get_scan_interval((length,), (roi,), 1, (overlap,))
    expected = [s[0].start for s in dense_patch_slices((length,), (roi,), interval)]
    assert list(window_starts(length, roi, overlap)) == expected


@given(length=st.integers(1, 300), roi=st.integers(1, 100), overlap=st.floats(0, 0.99))
@settings(max_examples=200, deadline=None)
def test_windows_cover_the_axis_and_stay_in_it(length: int, roi: int, overlap: float) -> None:
    plan = plan_axis(length, roi, overlap)
    covered = np.zeros(plan.padded, bool)
    for start in plan.starts:
        assert 0 <= start <= plan.padded - roi
        covered[start : start + roi] = True
    assert covered.all()
    assert plan.padded == max(length, roi)
    assert list(plan.starts) == sorted(set(plan.starts))


def test_importance_map_is_monais() -> None:
    from monai.data.utils import compute_importance_map

    expected = compute_importance_map((24, 17, 96), mode="gaussian", sigma_scale=0.125)
    torch.testing.assert_close(importance_map((24, 17, 96)), expected)


def test_window_of_a_small_box_is_centred_in_zeros() -> None:
    box = np.ones((1, 3, 8, 10), np.float32)
    plans = [plan_axis(n, 8, 0.5) for n in box.shape[1:]]
    target = np.full((1, 8, 8, 8), 7, np.float32)
    fill_window(target, box, plans, (0, 0, 2))
    assert target[:, 2:5].min() == 1
    assert not target[:, :2].any()
    assert not target[:, 5:].any()


@pytest.mark.parametrize(("length", "unit"), [(96, 4), (100, 4), (98, 1), (101, 1), (20, 4)])
def test_coarse_blending_needs_windows_on_the_grid(length: int, unit: int) -> None:
    assert blend_unit(plan_axis(length, 32, 0.5), 4) == unit
    assert blend_unit(plan_axis(length, 30, 0.5), 4) == 1


def test_smaller_windows_end_at_32() -> None:
    seen = [(160, 128, 96)]
    while smaller_window(seen[-1]) != seen[-1]:
        seen.append(smaller_window(seen[-1]))
    assert seen[1] == (96, 64, 64)
    assert seen[-1] == (32, 32, 32)
    assert smaller_window((14, 64, 32)) == (14, 32, 32)


def test_precision_is_chosen_in_the_open() -> None:
    cpu = torch.device("cpu")
    assert choose_precision(WindowSettings((32, 32, 32)), cpu) == "float32"
    assert choose_precision(WindowSettings((32, 32, 32), precision="bfloat16"), cpu) == "bfloat16"
    fast = WindowSettings((32, 32, 32), stride=4, mode="fast")
    assert choose_precision(fast, cpu) in ("float32", "bfloat16")


@pytest.mark.parametrize(
    "bad",
    [{"roi": (0, 8, 8)}, {"overlap": 1.0}, {"mode": "fast"}, {"batch": 0}, {"flips": (3,)}],
)
def test_bad_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        WindowSettings(**({"roi": (16, 16, 16)} | bad))
