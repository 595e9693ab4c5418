"""What a training on pixels starts with: the scene as the network must see it, the labels that can teach, the split.

Only pixels that hold a whole spectrum teach or test, whichever method looks at them: labels that were drawn over the
edge of a swath, or below a mask, are left out here, once for all methods, and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench import weights
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError
from workbench.core.types import Image, Labels
from workbench.scene.data.agreed import Agreed
from workbench.scene.data.spectra import View, with_spectra
from workbench.scene.data.taught import Taught
from workbench.scene.train.begin import Begun, begin, require_scene
from workbench.scene.train.classes import classes_to_learn
from workbench.scene.train.network import patch_of
from workbench.scene.train.settings import SceneTrainConfig
from workbench.scene.train.split import PixelSplit, all_pixels, fixed_pixels, split_pixels


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a training starts with.

    Parameters
    ----------
    start
        Weights that it goes on from, or ``None``.
    agreed, before
        The scene as the network must see it; and what taught the preparation of the spectra before.
    labels
        Labels of pixels that teach or test; all others are 0.
    classes
        The classes to learn.
    split
        Which of the pixels do what.
    notes
        What a person should know of the classes and pixels.
    """

    start: weights.WeightsFile | None
    agreed: Agreed
    before: Taught | None
    labels: Labels
    classes: ClassTable
    split: PixelSplit
    notes: tuple[str, ...]


def prepare(
    image: Image,
    labels: Labels,
    config: SceneTrainConfig,
    *,
    test: Labels | None = None,
    also: Sequence[View] = (),
    begun: Begun | None = None,
) -> Prepared:
    """Settle everything that is not learning.

    Parameters
    ----------
    image
        Spectral cube.
    labels
        Label map on its grid, 0 where nothing is known.
    test
        Label map of the pixels to test on; then those of `labels` are all learnt from.
    also
        How other methods see the scene, which must be able to use the same pixels.
    begun
        What `begin` made of this scene with this `config`, where somebody needed it before.

    Raises
    ------
    InputError
        No spectral cube, a label map of another size, or no labelled pixel with a whole spectrum.
    UsageError
        Fewer than two classes, or settings that cannot work.
    """
    require_scene(image)
    for given in (labels, test):
        if given is not None and given.data.shape != image.geometry.shape:
            raise InputError(
                f"the label map has {given.data.shape} rows and columns, the scene {image.name} {image.geometry.shape}"
            )
    start, agreed, before = begun or begin(image, config)
    views = [(agreed.image, agreed.fitted), *also]
    labels, notes = with_spectra(labels, views)
    size = patch_of(config, start, agreed.fitted)
    if test is None:
        split = _split(labels, config, size)
    else:
        _require_same_names(labels, test)
        test, more = with_spectra(test, views, "test pixels")
        split = fixed_pixels(labels.data, test.data, config.val_fraction, config.seed)
        notes = [*notes, *more, *_of_two_maps(labels, test, split, size)]
    if split.left_out:
        names = {c.value: c.name for t in (labels, test) if t is not None for c in t.classes}
        which = "; ".join(f"{names.get(v, f'class {v}')} ({v}): {why}" for v, why in split.left_out.items())
        notes.append(f"classes left out of the {split.name} split, in no score of it: {which}")
        labels = replace(labels, data=np.where(np.isin(labels.data, list(split.left_out)), 0, labels.data))
    classes, class_notes = classes_to_learn(labels, config, start)
    if test is not None:
        data = labels.data.astype(np.result_type(labels.data, test.data))
        data.flat[split.test] = test.data.flat[split.test]
        labels = replace(labels, data=data)
    return Prepared(start, agreed, before, labels, classes, split, (*class_notes, *notes))


def _require_same_names(labels: Labels, test: Labels) -> None:
    """Refuse two maps that give different names to one value."""
    names = {c.value: c for c in labels.classes}
    for c in test.classes:
        other = names.get(c.value)
        if other is not None and other.name != c.name and not (c.is_nameless or other.is_nameless):
            raise InputError(
                f"class {c.value} is {other.name} in the map of training pixels and {c.name} in that of the test "
                "pixels: give two maps with the same classes"
            )


def _of_two_maps(labels: Labels, test: Labels, split: PixelSplit, size: int) -> list[str]:
    notes = []
    both = int(np.count_nonzero((labels.data > 0) & (test.data > 0)))
    if both:
        notes.append(f"{both} pixels lie in the maps of training and of test pixels: they train, and test nothing")
    if split.test.size and split.guard < size:
        notes.append(
            f"the nearest test pixel lies {split.guard} pixel(s) from a training pixel: patches of {size} pixels "
            "around both overlap, which flatters methods that look at patches"
        )
    return notes


def _split(labels: Labels, config: SceneTrainConfig, size: int) -> PixelSplit:
    if config.split == "all":
        return all_pixels(labels.data, config.val_fraction, config.seed)
    return split_pixels(
        labels.data, config.split, per_class=config.per_class, fraction=config.fraction,
        val_fraction=config.val_fraction, patch=size, block=config.block, seed=config.seed,
    )  # fmt: skip
