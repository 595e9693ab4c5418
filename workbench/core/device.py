"""Choice of the computing device: never silently another one than asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.core.errors import UsageError

if TYPE_CHECKING:
    import torch


def choose(name: str = "auto") -> tuple[torch.device, str]:
    """Return the device and a sentence that says why.

    Parameters
    ----------
    name
        ``"auto"`` (CUDA if there is one, else Apple's MPS, else CPU), ``"cpu"``, ``"cuda"``, ``"cuda:N"``, ``"mps"``.

    Raises
    ------
    UsageError
        The device asked for is not there.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device()), f"auto: found {torch.cuda.get_device_name()}"
        if torch.backends.mps.is_available():
            return torch.device("mps"), "auto: found an Apple GPU (MPS)"
        return torch.device("cpu"), "auto: no GPU that PyTorch can use was found"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name}: expected auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda":
        if not torch.cuda.is_available():
            build = "this PyTorch build has no CUDA" if torch.version.cuda is None else "PyTorch sees no CUDA device"
            raise UsageError(f"--device {name}: {build}; use --device cpu, or install PyTorch for CUDA")
        if device.index is not None and device.index >= torch.cuda.device_count():
            raise UsageError(f"--device {name}: there are only {torch.cuda.device_count()} CUDA devices (0, 1, ...)")
    elif device.type == "mps":
        if not torch.backends.mps.is_available():
            raise UsageError("--device mps: no Apple GPU that PyTorch can use; use --device cpu")
    elif device.type != "cpu":
        raise UsageError(f"--device {name}: expected auto, cpu, cuda, cuda:N or mps")
    return device, "as asked"
