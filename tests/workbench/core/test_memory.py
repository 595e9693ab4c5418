"""What counts as running out of memory: retried with smaller windows, so nothing else may."""

import pytest
import torch

from workbench.core.memory import is_out_of_memory


def _real() -> BaseException:
    """What the allocator of the processor says to an exbibyte."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("x"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"),
        OSError("Cannot allocate memory"),
        _real(),
    ],
)
def test_out_of_memory(error) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("memory format"), KeyError("x")])
def test_other_errors(error) -> None:
    assert not is_out_of_memory(error)
