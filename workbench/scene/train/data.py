"""What the training on pixels sees: batches of patches drawn by number, balanced over classes, turned and mirrored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.nets.lora_strength import CyclicalStrength
from workbench.scene.predict.blocks import Scene
from workbench.scene.predict.map import standardise_patches
from workbench.scene.train.settings import SceneTrainConfig

_WHOLE = 1 << 27  # numbers of a prepared scene that are kept at once: half a gigabyte
_STRIP = 64


class PixelBatch(NamedTuple):
    """Step number, patches (B, C, p, p) float32 and class indices (B,)."""

    step: int
    patches: Tensor
    targets: Tensor


class Patches:
    """Prepared patches around pixels: cut from the scene where that is small, else kept one by one."""

    def __init__(self, scene: Scene, pixels: npt.NDArray[np.intp], size: int, channels: int) -> None:
        rows, columns = scene.shape
        self.size, self.columns = size, columns
        self.whole: Tensor | None = None
        if channels * rows * columns <= _WHOLE:
            whole = np.empty((channels, rows, columns), np.float32)
            for top in range(0, rows, _STRIP):
                strip = slice(top, min(top + _STRIP, rows))
                whole[:, strip] = scene.read(strip, slice(0, columns))
            half = size // 2
            whole = np.pad(whole, ((0, 0), (half, half), (half, half)), mode="reflect")
            self.whole = torch.from_numpy(whole).unfold(1, size, 1).unfold(2, size, 1)
        else:
            self.place = {int(p): i for i, p in enumerate(pixels)}
            cut = scene.patches(pixels // columns, pixels % columns, size)
            self.cut = torch.from_numpy(cut)

    def take(self, pixels: npt.NDArray[np.intp]) -> Tensor:
        """(n, C, p, p) float32."""
        if self.whole is not None:
            found = self.whole[:, torch.from_numpy(pixels // self.columns), torch.from_numpy(pixels % self.columns)]
            return found.transpose(0, 1).contiguous()
        return self.cut[[self.place[int(p)] for p in pixels]]


class PixelData:
    """Training batches by number, and the validation pixels."""

    def __init__(
        self,
        scene: Scene,
        labels: npt.NDArray[np.integer[Any]],
        values: list[int],
        train: npt.NDArray[np.intp],
        val: npt.NDArray[np.intp],
        config: SceneTrainConfig,
        *,
        size: int,
        channels: int,
        standardise: bool,
    ) -> None:
        flat = labels.ravel()
        index = {v: i for i, v in enumerate(values)}
        self.patches = Patches(scene, np.concatenate([train, val]), size, channels)
        self.train, self.by_class = train, [np.flatnonzero(flat[train] == v) for v in values]
        self.target = np.array([index.get(int(v), -1) for v in range(int(flat.max()) + 1)])
        self.flat, self.val, self.config, self.standardise = flat, val, config, standardise

    def draw(self, step: int) -> PixelBatch:
        """The batch of a step."""
        rng = np.random.default_rng([self.config.seed, 1, step])
        pixels = self.train[self.balanced(rng, self.config.batch)]
        patches = self.patches.take(pixels)
        if self.config.flips:
            patches = turned(patches, rng.integers(8, size=pixels.size))
        if self.standardise:
            patches = standardise_patches(patches)
        if self.config.noise:
            noise = rng.standard_normal(patches.shape, np.float32)
            patches = patches + self.config.noise * torch.from_numpy(noise)
        return PixelBatch(step, patches, torch.from_numpy(self.target[self.flat[pixels]]))

    def balanced(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.intp]:
        """Places in `train`: classes in turn, so that each is equally frequent however many pixels it has."""
        turn = (np.arange(count) + rng.integers(len(self.by_class))) % len(self.by_class)
        drawn = np.empty(count, np.intp)
        for c, known in enumerate(self.by_class):
            here = np.flatnonzero(turn == c)
            drawn[here] = rng.choice(known, here.size, replace=here.size > known.size)
        return drawn

    def spectra(self, pixels: npt.NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        """Prepared spectra (n, C) and class indices (n,) of training or validation pixels (flat indices)."""
        middle = self.patches.size // 2
        chunks = np.array_split(pixels, 1 + pixels.size // 512)
        parts = [self.patches.take(p)[:, :, middle, middle] for p in chunks]
        return torch.cat(parts), torch.from_numpy(self.target[self.flat[pixels]])

    def scores(self, net: nn.Module, device: torch.device) -> dict[str, float]:
        """``score``: mean accuracy of the classes on the validation pixels; a thousandth of the loss breaks ties."""
        logits = []
        with torch.no_grad():
            for first in range(0, self.val.size, 256):
                patches = self.patches.take(self.val[first : first + 256])
                patches = standardise_patches(patches) if self.standardise else patches
                logits.append(net(patches.to(device)).float().cpu())
        found, wanted = torch.cat(logits), torch.from_numpy(self.target[self.flat[self.val]])
        right = (found.argmax(1) == wanted).double()
        accuracy = float(np.mean([float(right[wanted == c].mean()) for c in torch.unique(wanted)]))
        loss = float(F.cross_entropy(found, wanted))
        return {"score": accuracy - 1e-3 * min(1.0, loss), "accuracy": accuracy, "val_loss": loss}


def turned(patches: Tensor, how: npt.NDArray[np.integer[Any]]) -> Tensor:
    """Each patch (B, C, p, p) turned by ``how % 4`` quarters and mirrored from ``how`` 4 on."""
    out = torch.empty_like(patches)
    for k in np.unique(how):
        here = torch.from_numpy(np.flatnonzero(how == k))
        part = torch.rot90(patches[here], int(k) % 4, (2, 3))
        out[here] = part.flip(2) if k > 3 else part
    return out


def loss_function(
    net: nn.Module, config: SceneTrainConfig, device: torch.device
) -> Callable[[nn.Module, PixelBatch], Tensor]:
    """Cross-entropy with smoothed labels; sets the strength of low-rank additions where they cycle."""
    cycle = CyclicalStrength(period=10, growth=2, lowest=0.5)
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]

    def loss_of(model: nn.Module, batch: PixelBatch) -> Tensor:
        if config.lora_rank:
            for norm in norms:
                norm.eval()  # running statistics belong to the frozen weights
        if config.lora_cycle:
            cycle.apply(model, batch.step)
        logits = model(batch.patches.to(device)).float()
        if config.lora_cycle:
            cycle.restore(model)
        return F.cross_entropy(logits, batch.targets.to(device), label_smoothing=config.label_smoothing)

    return loss_of
