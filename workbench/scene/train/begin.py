"""What a training of a scene begins with: its starting weights, and the scene as they see it, compared with what taught
them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import torch

from workbench import weights
from workbench.core.agreement import Finding
from workbench.core.errors import InputError, UsageError, WeightsError
from workbench.core.types import Image
from workbench.scene.data import spectra
from workbench.scene.data.agreed import Agreed, agree
from workbench.scene.data.spectra import FittedSpectra, SpectralRecipe
from workbench.scene.data.taught import Taught, taught_of
from workbench.scene.train.settings import SceneTrainConfig

BACKEND = "lola_specvit"


class Begun(NamedTuple):
    """What a training has before it learns: its starting weights, the scene as they see it, and what taught them."""

    start: weights.WeightsFile | None
    agreed: Agreed
    before: Taught | None


def begin(image: Image, config: SceneTrainConfig) -> Begun:
    """Find the starting weights and compare the scene with what taught them; see `learn_scene`.

    Raises
    ------
    MismatchError
        The scene is not what the weights were taught on, and ``config.force`` is not set.
    """
    require_scene(image)
    start = None if config.weights == "none" else weights.find(config.weights, BACKEND)
    return Begun(start, *_spectra(image, config, start))


def require_scene(image: Image) -> None:
    """Refuse what is no spectral cube."""
    if image.classes is not None:
        names = ", ".join(image.classes.names[:4])
        raise InputError(f"{image.source or image.name}: is a class map ({names}), a spectral cube was expected")
    if image.kind != "scene":
        raise InputError(f"{image.source or image.name}: is a {image.kind}, a spectral cube was expected")


def _spectra(image: Image, config: SceneTrainConfig, start: weights.WeightsFile | None) -> tuple[Agreed, Taught | None]:
    """Principal components of the weights, or fitted on the scene (by the recipe of the weights if there are any).

    Returns
    -------
    agreed, taught
        The scene as the network must see it, with its preparation; and what taught that preparation before.
    """
    if start is None:
        if config.pca == "weights":
            raise UsageError("pca=weights needs weights to take the principal components from, but weights=none")
        recipe = recipe_of(config, image)
        few: tuple[str, ...] = ()
        if recipe.components < config.components:
            few = (f"{recipe.components} components instead of {config.components}: there are no more usable bands",)
        return Agreed(image, image, spectra.fit(image, recipe), (), few), None
    known = fitted_of(start)
    if config.pca != "scene":
        with weights.blaming(start.path):
            taught = taught_of(start.meta, known)
        return agree(taught, known, image, weights=start.name, force=config.force), taught
    recipe = dataclasses.replace(known.recipe, drop=config.drop_bands, water=config.water)
    note = "principal components fitted on this scene, not those of the weights"
    return Agreed(image, image, spectra.fit(image, recipe), (Finding("converted", "components", note),), (note,)), None


def recipe_of(config: SceneTrainConfig, image: Image) -> SpectralRecipe:
    """How spectra are prepared in a training from scratch; a scene of few bands has as many components."""
    recipe = _recipe(config)
    most = len(spectra.kept_bands(image, recipe))
    return recipe if recipe.components <= most else dataclasses.replace(recipe, components=most)


def _recipe(config: SceneTrainConfig) -> SpectralRecipe:
    return SpectralRecipe(
        components=config.components, shape=config.shape, brightness=config.brightness, scale=config.scale,
        patch=config.patch_standardise, water=config.water, drop=config.drop_bands,
    )  # fmt: skip


def fitted_of(found: weights.WeightsFile, tensors: Mapping[str, torch.Tensor] | None = None) -> FittedSpectra:
    """The preparation that belongs to weights."""
    if "spectra" not in found.meta:
        raise WeightsError(f"{found.path}: no record of how spectra are prepared; use weights of this workbench")
    tensors = weights.load_tensors(found) if tensors is None else tensors
    arrays = {k: v.float().numpy() for k, v in tensors.items() if k.startswith("spectra.")}
    return FittedSpectra.from_json(found.meta["spectra"], arrays)
