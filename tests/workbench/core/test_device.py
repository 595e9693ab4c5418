import pytest
import torch

from workbench.core.device import choose
from workbench.core.errors import UsageError


def test_auto_says_what_it_chose_and_why():
    device, reason = choose("auto")
    assert isinstance(device, torch.device)
    assert reason.startswith("auto:")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda_is_an_error_not_a_fallback():
    with pytest.raises(UsageError, match="--device cuda"):
        choose("cuda")


@pytest.mark.parametrize("name", ["gpu", "tpu:0", "meta", "cuda:x"])
def test_unknown_devices_are_usage_errors(name):
    with pytest.raises(UsageError, match="expected auto, cpu, cuda"):
        choose(name)
