"""Makes tiny but real parts for tests: a network with random weights in a weight file, and small volumes on disk."""

from pathlib import Path

import numpy as np

CLASSES = [
    {"value": 1, "name": "liver", "color": [200, 90, 60]},
    {"value": 2, "name": "spleen", "color": [90, 60, 200]},
]


def make_tiny_weights(path: Path, *, channels: int = 1, seed: int = 0) -> Path:
    """A SegFormer3D of a few thousand parameters with random weights that do not depend on luck to differ."""
    import torch

    from workbench import weights
    from workbench.data.recipe import VolumeRecipe
    from workbench.nets.segformer3d import SegFormer3D

    torch.manual_seed(seed)
    net = SegFormer3D(
        in_channels=channels,
        num_classes=3,
        embed_dims=[8, 8, 16, 16],
        num_heads=[1, 1, 2, 2],
        depths=[1, 1, 1, 1],
        decoder_head_embedding_dim=16,
    )
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    names = tuple(f"channel {i}" for i in range(channels))
    recipe = VolumeRecipe(channels=names, spacing_mm=(4.0, 4.0, 4.0), roi=(32, 32, 32))
    meta = {"backend": "segformer3d", "net": net.config, "classes": CLASSES, "recipe": recipe.to_json(), "kind": "full"}
    return weights.save(path, net.state_dict(), meta)


def make_volume(path: Path, shape=(40, 36, 30), spacing=(3.0, 3.0, 4.0), seed: int = 0, affine=None) -> Path:
    """A CT-like int16 NIfTI with an off-centre origin: a soft ellipsoid in air."""
    import nibabel as nib

    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside = sum((g / r) ** 2 for g, r in zip(grid, (0.8, 0.7, 0.95), strict=True)) < 1
    data = np.where(inside, 50, -1000) + rng.normal(0, 20, shape)
    if affine is None:
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = (-70.0, -30.0, 15.0)
    image = nib.Nifti1Image(data.astype(np.int16), affine)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def make_tiny_scene(path: Path) -> Path:
    """A spectral scene of three materials as ``path`` (.npy), its labels beside it."""
    from tests.cubes import scene_arrays, write_npy

    image, _ = write_npy(path.parent, *scene_arrays())
    return image.rename(path)


def make_tiny_scene_weights(path: Path, scene: Path) -> Path:
    """LoLA-SpecViT with a small patch, taught on that scene for a moment."""
    from workbench.data import formats
    from workbench.settings import build
    from workbench.training.pixel_settings import PixelTrainConfig
    from workbench.training.pixels import learn_scene, record_of, save

    image = formats.read(scene)
    labels = formats.read_labels(scene.with_name("scene_labels.npy"), reference=image.geometry)
    quick = {"device": "cpu", "components": 5, "patch": 5, "steps": 1, "head_start": 20, "batch": 6}
    learnt = learn_scene(image, labels, build(PixelTrainConfig, quick))
    return save(path, learnt, record_of(learnt, image))
