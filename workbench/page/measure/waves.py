"""Where P, QRS and T are likely in each lead, by the network that was taught on LUDB.

Kalyakulina et al. 2020, LUDB, doi:10.1109/ACCESS.2020.3029211 (ODC-By 1.0). The card of the weights,
``ecg_waves.md`` beside this file, says how they were taught and how well they do on patients that they never saw.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from workbench.core.errors import PARSING, WeightsError, reading
from workbench.page.measure.prepare import conditioned, resampled

if TYPE_CHECKING:
    from workbench.page.measure.network import WaveNet

WEIGHTS = Path(__file__).with_name("ecg_waves.safetensors")
_REPAIR = "It belongs to napari-workbench: install that again"
WINDOW, MARGIN = 40.0, 5.0
"""Long recordings are looked at in windows [s] that overlap by twice the margin."""


@dataclass(frozen=True, eq=False)
class Waves:
    """What the network says of each lead and moment.

    Parameters
    ----------
    waves
        ``(leads, 3, samples)`` float32, 0 to 1: probability of P, QRS and T; the rest is none of them.
    peaks
        Same shape: probability that the peak of P, QRS, T is here.
    there
        ``(leads, samples)`` bool: false where a lead was not seen; the probabilities are 0 there.
    rate
        Samples per second [Hz]; sample k lies at ``k / rate`` seconds from the first sample of the leads.
    """

    waves: npt.NDArray[np.float32]
    peaks: npt.NDArray[np.float32]
    there: npt.NDArray[np.bool_]
    rate: float


@cache
def network(path: Path = WEIGHTS) -> WaveNet:
    """The network with the weights of a file, ready to be asked."""
    import torch
    from safetensors import SafetensorError, safe_open

    from workbench.page.measure.network import WaveNet

    if not path.is_file():
        raise WeightsError(f"{path}: no such file. {_REPAIR}")
    with (
        reading(path, "not a weight file", _REPAIR, kinds=(*PARSING, SafetensorError), error=WeightsError),
        safe_open(path, "pt") as file,
    ):
        config = json.loads((file.metadata() or {})["config"])
        net = WaveNet(tuple(config["widths"]), config["kernel"])
        state = {key: file.get_tensor(key).to(torch.float32) for key in file.keys()}  # noqa: SIM118
        found = net.load_state_dict(state, strict=False)
        if found.unexpected_keys or any(not key.endswith("num_batches_tracked") for key in found.missing_keys):
            raise ValueError("its tensors are not those of this network")
    return net.eval()


def find_waves(data: npt.NDArray[np.float64], rate: float, net: WaveNet | None = None) -> Waves:
    """Ask the network.

    Parameters
    ----------
    data
        ``(leads, samples)`` [mV]; NaN where a lead was not seen. Samples of one column are of one moment.
    rate
        Samples per second [Hz], any.
    net
        Another network than the one that comes with the workbench (held-out folds).
    """
    import torch

    from workbench.page.measure.network import RATE, STEP

    net = net or network()
    rows, there = resampled(data, rate, RATE)
    x = conditioned(rows, there, RATE)
    leads, samples = x.shape
    waves = np.zeros((leads, 3, samples), np.float32)
    peaks = np.zeros_like(waves)
    whole, margin = int(WINDOW * RATE), int(MARGIN * RATE)
    for first in range(0, max(samples - 2 * margin, 1), whole - 2 * margin):
        last = min(first + whole, samples)
        pad = -(last - first) % STEP
        piece = np.pad(x[:, first:last], [(0, 0), (0, pad)])
        seen = np.pad(there[:, first:last], [(0, 0), (0, pad)])
        with torch.inference_mode():
            logits = net(torch.from_numpy(piece).float()[None], torch.from_numpy(seen).float()[None])[0]
            classes, tops = torch.softmax(logits[:, :4], 1)[:, 1:].numpy(), torch.sigmoid(logits[:, 4:]).numpy()
        skip = margin if first else 0  # the window before has seen both sides of these
        waves[:, :, first + skip : last] = classes[:, :, skip : last - first]
        peaks[:, :, first + skip : last] = tops[:, :, skip : last - first]
    waves *= there[:, None]
    peaks *= there[:, None]
    return Waves(waves, peaks, there, RATE)
