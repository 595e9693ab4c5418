"""MONAI transforms for volumes. Training prepares with the functions of inference, so both see the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.compose import Compose
from monai.transforms.croppad.dictionary import RandCropByLabelClassesd, ResizeWithPadOrCropd, SpatialPadd
from monai.transforms.intensity.dictionary import (
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandShiftIntensityd,
)
from monai.transforms.spatial.dictionary import RandAffined, RandFlipd
from monai.transforms.transform import MapTransform
from monai.transforms.utility.dictionary import ClassesToIndicesd

from workbench.core.errors import Cancelled, InputError, WorkbenchError
from workbench.core.types import Case, Image, Labels
from workbench.data.cases import naming, open_case
from workbench.volume.data.agreement import conformed
from workbench.volume.data.grid import Grid
from workbench.volume.data.label_names import LabelReader
from workbench.volume.data.nan_values import Nan, filled
from workbench.volume.data.preprocess import prepare
from workbench.volume.data.recipe import VolumeRecipe

IMAGE, LABELS, SPOTS = "image", "labels", "_spots"


class LoadPreparedd(MapTransform):
    """`Case` -> (C, X, Y, Z) float32 `MetaTensor` on the working grid of a recipe, as the network expects it.

    `look` is called with the case and its image, channels in the order of the recipe, once its samples are there.
    """

    def __init__(
        self,
        keys: Sequence[str],
        recipe: VolumeRecipe,
        look: Callable[[Case, Image], None] | None = None,
        nan: Nan = "refuse",
    ) -> None:
        super().__init__(keys)
        self.recipe, self.look, self.nan = recipe, look, nan

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            case: Case = out[key]
            with naming(case):
                image = conformed(open_case(case), self.recipe)
                if self.look is not None:
                    self.look(case, image)
                grid = Grid.plan(image.geometry, self.recipe.orientation, self.recipe.spacing_mm)
                samples, _ = filled(image.data, self.recipe, self.nan, case.image)
                array = prepare(grid.resample(grid.orient(samples)), self.recipe, name=str(case.image))
            out[key] = _tensor(array, grid)
        return out


class LoadLabelsd(MapTransform):
    """`Case` -> (1, X, Y, Z) uint8 `MetaTensor` on the same working grid, values as `merge` gives them.

    Labels that cannot be brought onto the grid of the case's image are a `GeometryError`.
    """

    def __init__(
        self,
        keys: Sequence[str],
        recipe: VolumeRecipe,
        merge: Callable[[Labels], np.ndarray[Any, Any]],
        read: LabelReader | None = None,
    ) -> None:
        super().__init__(keys)
        self.recipe, self.merge, self.read = recipe, merge, read or LabelReader()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            case: Case = out[key]
            if case.labels is None:
                raise InputError(f"case '{case.id}': has no label map; training needs one for every case")
            with naming(case):
                labels = self.read(case, open_case(case).geometry)
            grid = Grid.plan(labels.geometry, self.recipe.orientation, self.recipe.spacing_mm)
            array = grid.resample(grid.orient(self.merge(labels)[None]), "nearest")
            out[key] = _tensor(array, grid)
        return out


def _tensor(array: np.ndarray[Any, Any], grid: Grid) -> MetaTensor:
    affine = np.eye(4) if grid.affine is None else grid.affine
    return MetaTensor(torch.from_numpy(np.ascontiguousarray(array)), affine=torch.from_numpy(affine))


@contextmanager
def plain_errors() -> Iterator[None]:
    """Give our own errors back: MONAI wraps whatever a transform raises into "applying transform ...", even twice."""
    try:
        yield
    except RuntimeError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, WorkbenchError | Cancelled | MemoryError):
            cause = cause.__cause__
        if cause is None:
            raise
        raise cause from None


def steady_transforms(
    recipe: VolumeRecipe,
    merge: Callable[[Labels], np.ndarray[Any, Any]],
    num_classes: int,
    margin: int,
    *,
    look: Callable[[Case, Image], None] | None = None,
    read: LabelReader | None = None,
    nan: Nan = "refuse",
) -> Compose:
    """What is done once per case and cached: load, place on the grid, pad to a window, note where each class lies.

    Items are ``{IMAGE: case, LABELS: case}``, so that the options of a case (DICOM series) are heeded.

    `num_classes` counts the background; windows are drawn with `margin` voxels more for turning.
    """
    size = [n + margin for n in recipe.roi]
    return Compose(
        [
            LoadLabelsd((LABELS,), recipe, merge, read),
            LoadPreparedd((IMAGE,), recipe, look, nan),
            SpatialPadd((IMAGE, LABELS), size),
            ClassesToIndicesd(LABELS, indices_postfix=SPOTS, num_classes=num_classes, max_samples_per_class=4000),
        ]
    )


def random_transforms(
    recipe: VolumeRecipe, num_classes: int, *, margin: int, strength: float = 1.0, flip: bool = False
) -> Compose:
    """What is drawn anew for every window: place (each class equally likely in the centre), shape, intensity.

    Left and right are told apart by default (the liver is on the right), so nothing is mirrored unless `flip`.
    `strength` scales the range of all changes; 0 only draws windows.
    """
    larger = [n + margin for n in recipe.roi]
    steps: list[Any] = [
        RandCropByLabelClassesd(
            (IMAGE, LABELS),
            label_key=LABELS,
            indices_key=f"{LABELS}{SPOTS}",
            spatial_size=larger,
            ratios=[1] * num_classes,
            num_classes=num_classes,
            num_samples=1,
            warn=False,
        ),
    ]
    if strength > 0:
        s = strength
        steps.append(
            RandAffined(
                (IMAGE, LABELS),
                prob=0.7,
                spatial_size=recipe.roi,
                rotate_range=[0.17 * s] * 3,
                scale_range=[0.12 * s] * 3,
                translate_range=[margin / 3] * 3,
                mode=("bilinear", "nearest"),
                padding_mode="border",
            )
        )
    steps.append(ResizeWithPadOrCropd((IMAGE, LABELS), recipe.roi))
    if flip:
        steps.append(RandFlipd((IMAGE, LABELS), prob=0.5, spatial_axis=_left_right(recipe.orientation)))
    if strength > 0:
        steps += [
            RandGaussianSmoothd((IMAGE,), prob=0.2, sigma_x=(0.3, 0.9), sigma_y=(0.3, 0.9), sigma_z=(0.3, 0.9)),
            RandGaussianNoised((IMAGE,), prob=0.4, std=0.03 * s),
            RandScaleIntensityd((IMAGE,), factors=0.12 * s, prob=0.5),
            RandShiftIntensityd((IMAGE,), offsets=0.04 * s, prob=0.5),
        ]
    return Compose(steps)


def _left_right(orientation: str) -> int:
    return next(i for i, code in enumerate(orientation) if code in "LR")
