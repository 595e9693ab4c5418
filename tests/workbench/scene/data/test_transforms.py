"""The MONAI wrappers give what the functions give, in a MONAI pipeline."""

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.compose import Compose

from tests.scenes import cube_image, scene_arrays
from workbench.scene.data.spectra import SpectralRecipe, fit
from workbench.scene.data.transforms import DropBandsd, ScaleSpectrad, SpectralComponentsd, StandardisePatchd
from workbench.scene.predict.map import standardise_patches


def test_a_pipeline_of_them() -> None:
    cube, _ = scene_arrays()
    small = cube[2:]
    steps = Compose(
        [
            DropBandsd(("image",), "1-2"),
            ScaleSpectrad(("image",), gain=0.5),
            SpectralComponentsd.on_scene(("image",), cube_image(small * 0.5), SpectralRecipe(components=4)),
        ]
    )
    out = steps({"image": MetaTensor(torch.from_numpy(cube), meta={"unit": "m"})})["image"]
    expected = fit(cube_image(small * 0.5), SpectralRecipe(components=4)).apply(small * 0.5)
    assert isinstance(out, MetaTensor)
    assert out.meta["unit"] == "m"
    assert np.allclose(out.numpy(), expected, atol=1e-5)


def test_bad_bands_are_dropped() -> None:
    cube, _ = scene_arrays()
    good = [i % 2 == 0 for i in range(20)]
    assert np.array_equal(DropBandsd(("x",), good_bands=good)({"x": cube})["x"], cube[::2])


def test_patches_are_standardised_as_published() -> None:
    patch = torch.rand(3, 7, 7)
    found = StandardisePatchd(("x",))({"x": patch})["x"]
    assert torch.allclose(found, standardise_patches(patch[None])[0], atol=1e-6)
