"""A loaded network of pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.core.errors import WeightsError
from workbench.weights import WeightsFile

if TYPE_CHECKING:
    import torch

    from workbench.page.diagnose.model import Diagnoser

NAME = "ecg_image"
TASK = "digitise"


@dataclass(frozen=True)
class Model:
    """The network that reads, its weights, where it computes and why, and what diagnoses, if anything does."""

    net: Any
    weights: WeightsFile
    device: torch.device
    reason: str
    diagnoser: Diagnoser | None = None


def load_model(name: str, device: torch.device, reason: str) -> Model:
    """Find, check and load weights; see `workbench.page.ecg_image.load`."""
    import torch

    from workbench import weights
    from workbench.nets.checkpoints import load_state, require_fit
    from workbench.page.net.page_net import PageNet, PageNetConfig

    found = weights.find(name, NAME)
    if found.meta.get("task", TASK) != TASK:
        raise WeightsError(
            f"{found.path}: these weights do not read pages (task {found.meta['task']!r}): give them as diagnosis, and "
            "as weights those of the digitiser"
        )
    stored = weights.load_tensors(found)
    with weights.blaming(found.path):
        widths = tuple(int(n) for n in found.meta.get("net", {}).get("widths", PageNetConfig().widths))
        state = {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}
        require_fit(lambda: PageNet(PageNetConfig(widths)), state)
        net = PageNet(PageNetConfig(widths))
        load_state(net, state)
    ready: Any = net.eval()
    return Model(ready.to(device=device, memory_format=torch.channels_last), found, device, reason)
