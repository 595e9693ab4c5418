"""Classifiers of pictures of pages: ViT, BEiT and Swin, through the library ``transformers``.

ViT: Dosovitskiy et al. 2021 (arXiv:2010.11929). BEiT: Bao et al. 2022 (arXiv:2106.08254). Swin: Liu et al. 2021
(arXiv:2103.14030). Kilimci et al. 2023 (arXiv:2310.12630) fine-tuned the published networks on pictures of ECGs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from workbench.core.errors import MissingExtra, WeightsError, one_line

Architecture = Literal["vit", "beit", "swin"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)
SMALL: dict[Architecture, dict[str, Any]] = {
    "vit": {
        "hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 576,
        "patch_size": [64, 16],
    },
    "beit": {
        "hidden_size": 192, "num_hidden_layers": 6, "num_attention_heads": 3, "intermediate_size": 576,
        "patch_size": 16, "use_relative_position_bias": True, "use_absolute_position_embeddings": False,
        "layer_scale_init_value": 0.1,
    },
    "swin": {"patch_size": 8, "embed_dim": 48, "depths": [2, 4, 2], "num_heads": [2, 4, 8], "window_size": 8},
}  # fmt: skip
"""Sizes of those that are made from scratch; a patch of the ViT is a slice of one lead, as high as its place. They see
grey: pictures of pages have no other colour."""
_COLOURS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "vit": ((0.5,) * 3, (0.5,) * 3),
    "beit": ((0.5,) * 3, (0.5,) * 3),
    "swin": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and deviation of colours that each is taught with."""
_INK = ((1.0,) * 3, (-0.25,) * 3)
"""The same of networks that begin at random: paper is 0 and ink 4. What most of a picture has in common would drown
where a patch lies and what is in it."""
_NAMES = {"vit": "ViT", "beit": "Beit", "swin": "Swin"}
_TOKENS, _WINDOW = 16_384, 64
"""Patches of a picture, and patches along a window, at most."""
_MOST = 65_536
"""No number of a description is larger."""
_KEPT = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "patch_size", "embed_dim", "depths",
    "num_heads", "window_size", "mlp_ratio", "qkv_bias", "layer_norm_eps", "hidden_act", "use_relative_position_bias",
    "use_shared_relative_position_bias", "use_absolute_position_embeddings", "use_mean_pooling", "use_mask_token",
    "layer_scale_init_value", "drop_path_rate", "image_size", "num_channels",
)  # fmt: skip
"""What a description may say; all else of it is left alone."""


@dataclass(frozen=True)
class PictureNetConfig:
    """A classifier of pictures.

    Parameters
    ----------
    architecture
        One of `ARCHITECTURES`.
    size
        Height and width of the pictures that go in [pixels].
    classes
        How many come out.
    sizes
        Those of the network, as ``transformers`` calls them.
    ink
        Whether it sees ink on paper that is 0, instead of colours as published weights were taught with.
    """

    architecture: Architecture
    size: tuple[int, int]
    classes: int
    sizes: Mapping[str, Any]
    ink: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "architecture": self.architecture, "size": list(self.size), "classes": self.classes,
            "sizes": dict(self.sizes), "ink": self.ink,
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PictureNetConfig:
        """Inverse of `to_json`.

        Raises
        ------
        WeightsError
            The values describe no classifier that is known.
        """
        try:
            architecture, sizes = values["architecture"], described(values["sizes"])
            height, width = (int(n) for n in values["size"])
            classes = int(values["classes"])
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"describe no classifier of pictures ({one_line(error)})") from error
        if architecture not in ARCHITECTURES:
            raise WeightsError(f"are of a network '{architecture}'; expected {', '.join(ARCHITECTURES)}")
        if not (32 <= height <= 4096 and 32 <= width <= 4096 and 2 <= classes <= 10_000):
            raise WeightsError(f"ask for pictures of {height} x {width} pixels and {classes} classes")
        patch = sizes.get("patch_size", 16)
        high, wide = patch if isinstance(patch, list | tuple) and len(patch) == 2 else (patch, patch)
        most = _TOKENS * (_WINDOW if architecture == "swin" else 1)  # windows need no memory for all pairs of patches
        if not all(isinstance(n, int) and n > 0 for n in (high, wide)) or height * width > most * high * wide:
            raise WeightsError(f"ask for patches of {patch} pixels of pictures of {height} x {width}")
        if sizes.get("num_channels", 3) not in (1, 3):
            raise WeightsError(f"ask for pictures of {sizes['num_channels']} colours; expected 3, or 1 for grey")
        return cls(architecture, (height, width), classes, sizes, values.get("ink") is True)


def small(architecture: Architecture, size: tuple[int, int], classes: int) -> PictureNetConfig:
    """A small network of that architecture, to be taught from scratch."""
    sizes = {**SMALL[architecture], "image_size": list(size), "num_channels": 1}
    if architecture == "vit":
        sizes["patch_size"] = [size[0] // 4, 16]
    if architecture == "swin":  # windows no larger than what is left in the last stage
        left = min(size) // (sizes["patch_size"] * 2 ** (len(sizes["depths"]) - 1))
        sizes["window_size"] = max(1, min(sizes["window_size"], left))
    return PictureNetConfig(architecture, size, classes, sizes, ink=True)


def described(values: Any) -> dict[str, Any]:
    """Of a description of ``transformers`` what makes the network, checked.

    Raises
    ------
    WeightsError
        A number of it cannot be.
    """
    if not isinstance(values, Mapping):
        raise WeightsError("describe no network: expected an object with its sizes")
    kept = {k: values[k] for k in _KEPT if k in values and values[k] is not None}
    for name, value in kept.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(one, bool | str | int | float) or (
                not isinstance(one, bool | str) and not (math.isfinite(one) and 0 <= one < _MOST)
            ):
                raise WeightsError(f"describe no network: {name} is {value!r}")
    if isinstance(kept.get("window_size"), int) and kept["window_size"] > _WINDOW:
        raise WeightsError(f"describe no network: windows of {kept['window_size']} patches")
    if not isinstance(kept.get("hidden_act", ""), str) or len(kept.get("depths", ())) > 12:
        raise WeightsError("describe no network: of an activation or a depth that is not known")
    return kept


class PictureNet(nn.Module):
    """Logits of classes from pictures of pages.

    `net` is a ``ViTForImageClassification``, ``BeitForImageClassification`` or ``SwinForImageClassification`` of
    ``transformers``.

    Parameters
    ----------
    config
        Architecture and sizes.

    Raises
    ------
    MissingExtra
        ``transformers`` is not installed.
    WeightsError
        There can be no such network.
    """

    def __init__(self, config: PictureNetConfig) -> None:
        super().__init__()
        self.config = config
        self.net = model_class(config.architecture)(hf_config(config))
        mean, std = (v[: self.colours] for v in (_INK if config.ink else _COLOURS[config.architecture]))
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    @property
    def colours(self) -> int:
        """3, or 1 where it sees grey."""
        return int(self.net.config.num_channels)

    @property
    def is_windowed(self) -> bool:
        """Whether it looks through windows (Swin), and has no attention from end to end."""
        return self.config.architecture == "swin"

    def prepared(self, pictures: Tensor) -> Tensor:
        """Colours as the network expects them; see `forward`."""
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        seen = pictures.to(mean.dtype)
        if self.colours == 1:
            seen = seen.mean(1, keepdim=True)
        return (seen / 255 - mean) / std

    def ask(self, prepared: Tensor, **how: Any) -> Any:
        """What the network of ``transformers`` gives for prepared pictures."""
        sizes = self.net.config.image_size
        own = tuple(sizes) if isinstance(sizes, list | tuple) else (sizes, sizes)
        other = not self.is_windowed and own != tuple(prepared.shape[-2:])
        return self.net(prepared, **({"interpolate_pos_encoding": True} if other else {}), **how)

    def features(self, pictures: Tensor) -> Tensor:
        """``(batch, width)``: what the last layer, the head, sees."""
        kept: list[Tensor] = []
        hook = self.net.classifier.register_forward_pre_hook(lambda _module, entering: kept.append(entering[0]))
        try:
            self.ask(self.prepared(pictures))
        finally:
            hook.remove()
        return kept[0]

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures to logits ``(batch, classes)``.

        Parameters
        ----------
        pictures
            ``(batch, 3, height, width)``, red, green and blue, 0 to 255, of any type. See
            `workbench.page.diagnose.picture`.
        """
        out: Tensor = self.ask(self.prepared(pictures)).logits
        return out


def library() -> Any:
    """The library ``transformers``, kept off the network.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    import os

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra(f"diagnosing pictures of pages ({one_line(error)})", "diagnosis") from error
    return transformers


def model_class(architecture: Architecture) -> Any:
    """The class of ``transformers`` for classifiers of that architecture."""
    return getattr(library(), f"{_NAMES[architecture]}ForImageClassification")


def hf_config(config: PictureNetConfig) -> Any:
    """The configuration of ``transformers``.

    Raises
    ------
    WeightsError
        There can be none of these sizes.
    """
    made = getattr(library(), f"{_NAMES[config.architecture]}Config")
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in config.sizes.items()}
    for name in ("image_size", "patch_size"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    try:
        return made(num_labels=config.classes, **values)
    except Exception as error:  # whatever such values do to it
        raise WeightsError(f"describe no {config.architecture} ({one_line(error)})") from error
