"""Fixtures around `tests.tiny`."""

from pathlib import Path

import pytest

from tests.tiny import make_tiny_weights, make_volume


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    return make_tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def volume(tmp_path) -> Path:
    return make_volume(tmp_path / "in" / "ct.nii.gz")
