"""What a volume training sees: windows drawn by number, and whole volumes to validate on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.data.dataset import CacheDataset
from monai.losses.dice import DiceCELoss
from torch import Tensor, nn

from workbench.core.class_merge import ClassMerge, require_present
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, UsageError
from workbench.core.types import Case, Image
from workbench.data import formats
from workbench.data.cases import naming, open_case
from workbench.data.geometry import require_match
from workbench.report.html import Picture
from workbench.volume.data import files
from workbench.volume.data.agreement import conformed
from workbench.volume.data.checks import require_volume
from workbench.volume.data.grid import Grid
from workbench.volume.data.label_names import LabelReader
from workbench.volume.data.nan_values import Nan, filled
from workbench.volume.data.preprocess import crop_box, prepare
from workbench.volume.data.recipe import VolumeRecipe
from workbench.volume.data.transforms import IMAGE, LABELS, plain_errors, random_transforms, steady_transforms
from workbench.volume.evaluate.pictures import comparison
from workbench.volume.net.segformer3d import SegFormer3D
from workbench.volume.predict.segment import segment
from workbench.volume.predict.windows import WindowSettings
from workbench.volume.train.settings import TrainConfig

_COARSEST = 32  # the last stage of the encoder has one token for so many voxels
MARGIN = 12  # voxels around a window, so that turning it needs no invented border


def require_cases(
    cases: Sequence[Case], channels: int | None = None, *, resample_labels: bool = False
) -> tuple[str, ...]:
    """Look at the headers of all cases before any voxel is read, and return the names of the channels they share.

    Parameters
    ----------
    cases
        All with labels.
    channels
        How many channels the starting weights take; None: as many as the first image has.
    resample_labels
        Label maps of another lattice will be resampled.

    Raises
    ------
    InputError
        Not a volume, or an image with another number of channels; the message names the case.
    GeometryError
        A label map on another grid than its image.
    """
    first: tuple[str, ...] | None = None
    for case in cases:
        with naming(case):
            if case.labels is None:
                raise InputError("has no label map; training needs one for every case")
            image = require_volume(open_case(case))
            labels = formats.label_image(case.labels)
            if labels is not None:
                grid = files.on_image(labels, image.geometry)
                if files.onto_grid(grid, image.geometry, resample_labels) is None:
                    require_match(grid, image.geometry, f"label map {case.labels}", case.image)
            found = len(image.channels)
            if channels is not None and found != channels:
                raise InputError(
                    f"{case.image} has {found} channel(s), the starting weights expect {channels}; "
                    "start from other weights, or from none"
                )
            if first is not None and found != len(first):
                raise InputError(
                    f"{case.image} has {found} channel(s), case '{cases[0].id}' has {len(first)}; "
                    "all images of a training need the same channels"
                )
            first = first or image.channels
    return first or ()


def require_batch(config: TrainConfig, roi: Sequence[int]) -> None:
    """Refuse one small window per step: batch norms of the last stage would see a single value."""
    tokens = math.prod(math.ceil(n / _COARSEST) for n in roi)
    if config.batch * tokens < 2 and not config.lora_rank and config.freeze == "none":
        raise UsageError(
            f"batch={config.batch} with roi={tuple(roi)}: the coarsest stage of the network sees a single value, of "
            f"which no statistics can be made; choose batch=2, or a window above {_COARSEST} voxels along one axis"
        )


class VolumeData:
    """Training windows by number: prepared volumes are cached, each window is drawn from (seed, number)."""

    def __init__(
        self,
        cases: Sequence[Case],
        recipe: VolumeRecipe,
        merge: ClassMerge,
        config: TrainConfig,
        look: Callable[[Case, Image], None] | None = None,
        read: LabelReader | None = None,
    ) -> None:
        count = len(merge.names) + 1
        rows = [{IMAGE: c, LABELS: c} for c in cases]
        steady = steady_transforms(recipe, merge.apply, count, MARGIN, look=look, read=read, nan=config.nan)
        with plain_errors():
            self.cases = CacheDataset(rows, steady, num_workers=1, progress=False, copy_cache=False)
        self.random = random_transforms(recipe, count, margin=MARGIN, strength=config.augment, flip=config.flip)
        self.config, self.names = config, merge.names

    def require_all_classes(self, table: ClassTable) -> None:
        maps = [self.cases[i][LABELS] for i in range(len(self.cases))]
        counts = {c.name: sum(int((m == c.value).sum()) for m in maps) for c in table}
        require_present(counts, f"{len(self.cases)} training case(s)")

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Windows (B, C, x, y, z) float32 and labels (B, 1, x, y, z) of step number `step`."""
        images, labels = [], []
        for number in range(step * self.config.batch, (step + 1) * self.config.batch):
            epoch, place = divmod(number, len(self.cases))
            order = np.random.default_rng([self.config.seed, 1, epoch]).permutation(len(self.cases))
            self.random.set_random_state(int(np.random.default_rng([self.config.seed, 2, number]).integers(2**31)))
            drawn: Any = self.random(dict(self.cases[int(order[place])]))
            window = drawn[0] if isinstance(drawn, list) else drawn
            images.append(window[IMAGE].as_tensor())
            labels.append(window[LABELS].as_tensor())
        return torch.stack(images), torch.stack(labels)


def loss_function(
    config: TrainConfig, net: SegFormer3D, recipe: VolumeRecipe, chosen: torch.device
) -> Callable[[nn.Module, tuple[Tensor, Tensor]], Tensor]:
    """Dice plus cross-entropy; Dice over the batch, so that an organ missing in one window does not dominate."""
    dice_ce = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
    frozen_norms = config.lora_rank > 0
    turned = recipe.axis_order == "zyx"

    def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = (t.to(chosen) for t in batch)
        if turned:
            images, labels = images.transpose(-1, -3), labels.transpose(-1, -3)
        if frozen_norms:
            model.eval()  # running statistics belong to the frozen weights
        elif config.freeze == "encoder":
            net.segformer_encoder.eval()
        loss: Tensor = dice_ce(model(images).float(), labels)
        return loss

    return loss_of


class Validation:
    """Mean Dice over whole validation volumes, predicted as users will predict, compared on the original grid."""

    def __init__(
        self,
        cases: Sequence[Case],
        recipe: VolumeRecipe,
        merge: ClassMerge,
        table: ClassTable,
        chosen: torch.device,
        read: LabelReader | None = None,
        nan: Nan = "refuse",
    ) -> None:
        self.read, self.nan = read or LabelReader(), nan
        self.cases, self.recipe, self.merge, self.table, self.device = cases, recipe, merge, table, chosen
        self.references: dict[str, npt.NDArray[np.uint8]] = {}
        self.latest: dict[str, float] = {}

    def require_readable(self, look: Callable[[Case, Image], None] | None = None) -> None:
        """Read every case once, before hours of training: labels are kept, images only looked at (and given to `look`).

        Raises
        ------
        InputError
            An image with NaN or infinite voxels, or a damaged file; the message names the case.
        """
        for case in self.cases:
            with naming(case):
                image = conformed(open_case(case), self.recipe)
                filled(image.data, self.recipe, self.nan, case.image)
                if look is not None:
                    look(case, image)
                self._reference(case)

    def scores(self, model: nn.Module) -> dict[str, float]:
        """``score``: mean over classes of the mean over cases; one entry per class. NaN where a class never occurs."""
        rows = {case.id: self._dice(self._predict(model, case), self._reference(case)) for case in self.cases}
        self.latest = {k: _mean(list(row.values())) for k, row in rows.items()}
        per_class = {c.name: _mean([row[c.value] for row in rows.values()]) for c in self.table}
        return {"score": _mean(list(per_class.values())), **per_class}

    def pictures(self, model: nn.Module, count: int = 2) -> list[Picture]:
        """The cases that fared worst in the latest validation, as `model` segments them now."""
        worst = sorted((c for c in self.cases if c.id in self.latest), key=lambda c: self.latest[c.id])[:count]
        return [self._picture(model, case) for case in worst]

    def _picture(self, model: nn.Module, case: Case) -> Picture:
        image = open_case(case)
        png = comparison(image, self._predict(model, case), self._reference(case), self.table)
        dice = _mean(list(self._dice(self._predict(model, case), self._reference(case)).values()))
        return Picture(png, f"{case.id}: mean Dice {dice:.3f}. Solid: reference, dashed: prediction.")

    def _predict(self, model: nn.Module, case: Case) -> npt.NDArray[np.unsignedinteger[Any]]:
        assert isinstance(model, SegFormer3D)
        model.eval()
        return segment_labels(model, open_case(case), self.recipe, self.device, self.nan)

    def _reference(self, case: Case) -> npt.NDArray[np.uint8]:
        if case.id not in self.references:
            labels = self.read(case, open_case(case).geometry)
            self.references[case.id] = self.merge.apply(labels)
        return self.references[case.id]

    def _dice(self, predicted: npt.NDArray[Any], reference: npt.NDArray[np.uint8]) -> dict[int, float]:
        found = {}
        for c in self.table:
            p, r = predicted == c.value, reference == c.value
            total = int(p.sum()) + int(r.sum())
            found[c.value] = 2 * int((p & r).sum()) / total if r.any() else math.nan
        return found


def _mean(values: list[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else math.nan


def validation_windows(recipe: VolumeRecipe) -> WindowSettings:
    """How whole volumes are segmented between the steps of a training."""
    return WindowSettings(
        recipe.roi, stride=4, mode="fast", overlap=0.5, precision="float32", axis_order=recipe.axis_order
    )


def segment_labels(
    net: SegFormer3D, image: Image, recipe: VolumeRecipe, chosen: torch.device, nan: Nan = "refuse"
) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Labels in the voxel order of the file, by the inference that users get (fast mode)."""
    grid = Grid.plan(image.geometry, recipe.orientation, recipe.spacing_mm)
    samples, _ = filled(conformed(image, recipe).samples(), recipe, nan, image.source)
    raw = grid.resample(grid.orient(samples))
    del samples
    volume, box = prepare(raw, recipe, name=str(image.source)), crop_box(raw, recipe, grid.spacing)
    del raw
    found = segment(
        net.forward_low,
        volume,
        validation_windows(recipe),
        device=chosen,
        box=box,
        output_shape=grid.oriented_shape,
    )
    return np.ascontiguousarray(grid.unorient(found.labels))
