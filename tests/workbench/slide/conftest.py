"""What several tests of slides begin with."""

from __future__ import annotations

import pytest

import workbench as wb
from tests.stained_slides import make_cases
from tests.tiny import make_tiny_slide_weights


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two slides that were embedded."""
    folder = tmp_path_factory.mktemp("study")
    weights = make_tiny_slide_weights(folder / "tiny.safetensors")
    for case in make_cases(folder, 2, labels=False):
        result = wb.predict("stainnet", wb.read(case.image, kind="slide"), weights=str(weights), device="cpu",
                            tile=64, target_mpp=0.5, tissue=0.5)  # fmt: skip
        wb.write(result, folder / "out")
    return folder
