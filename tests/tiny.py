"""Makes tiny but real parts for tests: a network with random weights in a weight file, and small volumes on disk."""

from pathlib import Path

import numpy as np

from workbench.testing import make_volume

__all__ = [
    "make_tiny_meg_weights",
    "make_tiny_recording",
    "make_tiny_scene",
    "make_tiny_scene_weights",
    "make_tiny_weights",
    "make_volume",
]

CLASSES = [
    {"value": 1, "name": "liver", "color": [200, 90, 60]},
    {"value": 2, "name": "spleen", "color": [90, 60, 200]},
]


def make_tiny_weights(path: Path, *, channels: int = 1, seed: int = 0) -> Path:
    """A SegFormer3D of a few thousand parameters with random weights that do not depend on luck to differ."""
    import torch

    from workbench import weights
    from workbench.volume.data.recipe import VolumeRecipe
    from workbench.volume.net.segformer3d import SegFormer3D

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


def make_tiny_scene(path: Path) -> Path:
    """A spectral scene of three materials as ``path`` (.npy), its labels beside it."""
    from tests.scenes import scene_arrays, write_npy

    image, _ = write_npy(path.parent, *scene_arrays())
    return image.rename(path)


def make_tiny_scene_weights(path: Path, scene: Path) -> Path:
    """LoLA-SpecViT with a small patch, taught on that scene for a moment."""
    from workbench.core.settings import build
    from workbench.data import formats
    from workbench.scene.train.settings import SceneTrainConfig
    from workbench.scene.train.train import learn_scene, record_of, save

    image = formats.read(scene)
    labels = formats.read_labels(scene.with_name("scene_labels.npy"), reference=image.geometry)
    quick = {"device": "cpu", "components": 5, "patch": 5, "steps": 1, "head_start": 20, "batch": 6}
    learnt = learn_scene(image, labels, build(SceneTrainConfig, quick))
    return save(path, learnt, record_of(learnt, image))


def make_tiny_recording(
    path: Path, *, seconds: float = 4.0, channels: int = 3, rate: float = 250.0, seed: int = 0
) -> Path:
    """Parcel time courses as ``path`` (.npy) with its JSON file: rhythms in noise, one jump."""
    import json

    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    data = np.cumsum(rng.normal(0, 0.1, (channels, t.size)), 1) * 0.3 + rng.normal(0, 0.05, (channels, t.size))
    data += np.sin(2 * np.pi * 10 * t) * (np.sin(2 * np.pi * 0.7 * t) > 0)
    data[:, t.size // 2 : t.size // 2 + 5] += 3.0
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, data.astype(np.float32))
    names = [f"parcel {i + 1}" for i in range(channels)]
    beside = {"sampling_rate": rate, "channels": names, "kinds": ["misc"] * channels}
    path.with_suffix(".json").write_text(json.dumps(beside), encoding="utf-8")
    return path


def make_tiny_meg_weights(path: Path, *, channels: int = 3, gpt: bool = True, sessions: int = 0, seed: int = 0) -> Path:
    """A tokeniser of levels and a MEG-GPT of a few thousand random parameters."""
    import torch

    from workbench.recording.data.prepare import RecordingRecipe
    from workbench.recording.net.gpt import MEGGPT
    from workbench.recording.net.tokenizer import MEGTokenizer
    from workbench.recording.net.vocabulary import Vocabulary
    from workbench.recording.predict.tokens import Codec
    from workbench.recording.train.tokenizer import start_from_levels
    from workbench.recording.train.weights import save_parts

    torch.manual_seed(seed)
    tokenizer = MEGTokenizer(channels, n_tokens=12, rnn_n_units=16, sequence_length=50, token_dim=4)
    x = torch.from_numpy(np.random.default_rng(seed).normal(0, 1, (6, 50, channels)).cumsum(1).astype(np.float32))
    start_from_levels(tokenizer, (x - x.mean()) / x.std())
    codec = Codec.learnt(tokenizer, Vocabulary(np.arange(12), np.arange(12, 0, -1) * 50, 12), margin=5)
    net = None
    if gpt:
        net = MEGGPT(
            sequence_length=40, n_channels=channels, n_tokens=codec.n_tokens, model_dim=16, n_heads=2, ff_dim=16,
            n_patches_in=[40, 10], patch_len_in=[1, 4], n_patches_out=[40, 16], patch_len_out=[1, 1],
            l_patched_b=[8, None], n_sessions=sessions, session_dim=5 if sessions else None,
        )  # fmt: skip
    names = tuple(f"parcel {i + 1}" for i in range(channels)) if gpt else ()
    recipe = RecordingRecipe(channels=names or None, n_channels=channels if gpt else None)
    record = {
        "kind": "full", "recipe": recipe.to_json(), "channels": list(names), "training": {}, "scores": {},
        "sessions": [f"session {i + 1}" for i in range(sessions)],
    }  # fmt: skip
    return save_parts(path, codec, net, record, half=False)


def make_tiny_slide(path: Path, *, mpp: float = 0.5, seed: int = 0) -> Path:
    """A slide of 1024 x 1024 pixels with stained tissue on glass, in two levels, as ``path`` (.ome.tif)."""
    from workbench.testing import make_slide

    return make_slide(path, mpp=(mpp, mpp), seed=seed)


def make_tiny_cell_weights(path: Path, *, seed: int = 0) -> Path:
    """A CellVTA of some ten thousand random parameters, which finds something everywhere."""
    import torch

    from workbench import weights
    from workbench.slide.net.cellvta import CellVTA

    torch.manual_seed(seed)
    net = CellVTA(
        num_classes=3, widths=(8, 8, 16, 16), image_size=64, dim=32, depth=4, num_heads=4, init_values=0.1, inner=8,
        deform_heads=4,
    )  # fmt: skip
    noise = torch.nn.functional.avg_pool2d(torch.randn(1, 3, 512, 512), 5, 1, 2) * 2
    with torch.no_grad():
        last = net.nuclei_binary_map_decoder.decoder0_header[2]
        net.nuclei_type_maps_decoder.decoder0_header[2].bias[0] -= 100  # every nucleus has a class
        net.hv_map_decoder.decoder0_header[2].weight.zero_()
        net.hv_map_decoder.decoder0_header[2].bias.zero_()
        maps = net.eval()(noise)
        last.bias[0] += (maps.nuclei[:, 1] - maps.nuclei[:, 0]).quantile(0.7)  # nuclei are a third of all
    classes = [{"value": i, "name": n, "color": [90 * i, 90, 200]} for i, n in enumerate(("tumor", "stroma"), 1)]
    meta = {"backend": "cellvta", "net": net.config, "recipe": {"mpp": 0.5}, "classes": classes, "kind": "full"}
    return weights.save(path, net.state_dict(), meta)


def make_tiny_slide_weights(path: Path, *, seed: int = 0) -> Path:
    """A vision transformer of a few thousand random parameters."""
    import torch

    from workbench import weights
    from workbench.nets.vit import VisionTransformer

    torch.manual_seed(seed)
    net = VisionTransformer(224, 32, 16, 2, 2)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    meta = {"backend": "stainnet", "net": net.config, "recipe": {"mpp": 0.5, "tile": 256, "size": 224}, "kind": "full"}
    return weights.save(path, net.state_dict(), meta)


def make_page(path: Path, *, seed: int = 0) -> Path:
    """A drawn page of an electrocardiogram, 3x4 with a strip of II, at 100 dots per inch."""
    import numpy as np
    from PIL import Image

    from workbench.page.draw.capture import capture
    from workbench.page.draw.render import render
    from workbench.page.draw.simulate import simulate
    from workbench.page.draw.styles import random_style

    style = random_style(np.random.default_rng(seed), maker="D", layout="3x4+1", clean=True)
    page = capture(render(simulate(seed), style, dpi=100.0, seed=seed), "scan", seed=seed)
    Image.fromarray(page.pixels).save(path)
    return path
