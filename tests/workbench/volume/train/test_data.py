"""What a volume training is scored by, and which batches it refuses."""

import math

import numpy as np
import pytest
import torch

from workbench.core.class_merge import ClassMerge
from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError
from workbench.core.settings import build
from workbench.volume.data.recipe import VolumeRecipe
from workbench.volume.train.data import Validation, require_batch
from workbench.volume.train.settings import TrainConfig


@pytest.mark.parametrize(
    ("changes", "roi", "fits"),
    [
        ({"batch": 1}, (32, 32, 32), False), ({"batch": 1}, (16, 32, 32), False), ({"batch": 2}, (32, 32, 32), True),
        ({"batch": 1}, (33, 32, 32), True), ({"batch": 1, "lora_rank": 4}, (32, 32, 32), True),
        ({"batch": 1, "freeze": "encoder"}, (32, 32, 32), True),
    ],
)  # fmt: skip
def test_one_value_makes_no_statistics(changes, roi, fits) -> None:
    config = build(TrainConfig, changes)
    if fits:
        require_batch(config, roi)
        return
    with pytest.raises(UsageError, match=r"batch=1 with roi=.*a single value"):
        require_batch(config, roi)


def test_a_class_that_the_reference_does_not_show_is_not_scored() -> None:
    """It is neither perfect nor failed, whatever was found: cases with and without an organ stay comparable."""
    table = ClassTable.from_names(["liver", "spleen", "kidney"])
    merge = ClassMerge.parse("liver:1,spleen:2,kidney:3")
    validation = Validation([], VolumeRecipe(), merge, table, torch.device("cpu"))
    reference, predicted = np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)
    reference[0], predicted[0, :2] = 1, 1
    predicted[1] = 2
    reference[2] = 3
    found = validation._dice(predicted, reference)
    assert found[1] == pytest.approx(2 * 8 / (8 + 16))
    assert math.isnan(found[2])
    assert found[3] == 0.0
