"""Splits by group (patient, slide, scene, subject), so that nothing of a validation group is ever trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.core.errors import UsageError


def split_groups(groups: Sequence[str], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices for training and for validation.

    Parameters
    ----------
    groups
        Group of each case, in the order of the cases. An empty name is a group of its own.
    fraction
        Share of the groups to validate on, 0 to 1 (exclusive); at least one group when above 0.
    seed
        The same groups, fraction and seed give the same split, whatever the order of the cases.

    Raises
    ------
    UsageError
        There is one group only, so a split would leak it, or the fraction is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise UsageError(f"val_fraction={fraction}: expected at least 0 and below 1")
    named = [g or f"\0{i}" for i, g in enumerate(groups)]
    distinct = sorted(set(named))
    if fraction == 0:
        return list(range(len(named))), []
    if len(distinct) < 2:
        raise UsageError(
            f"all {len(named)} case(s) belong to one group: give cases of at least two groups (column 'group'), "
            "or val_fraction=0"
        )
    order = np.random.default_rng(seed).permutation(len(distinct))
    count = min(len(distinct) - 1, max(1, round(fraction * len(distinct))))
    held_out = {distinct[i] for i in order[:count]}
    train = [i for i, g in enumerate(named) if g not in held_out]
    return train, [i for i, g in enumerate(named) if g in held_out]
