"""Weights of a diagnosis: a network of pictures, a network of leads, and what each knows of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import WeightsError
from workbench.core.registry import ECG_IMAGE
from workbench.core.samples import demo_weights
from workbench.weights import WeightsFile

if TYPE_CHECKING:
    import torch

    from workbench.page.net.classifiers import PictureNet
    from workbench.page.net.lead_net import LeadNet

Floats = npt.NDArray[np.floating[Any]]

NAME = ECG_IMAGE.name
TASK = "diagnose"
PATHS = ("image", "signal")
TOGETHER = "together"
"""What the temperature of both opinions together is called; see `workbench.page.diagnose.opinions.pooled`."""
_LONGEST = 200
"""Letters of the name of a class."""
DEMO = "ecg_image_diagnosis"
"""Name of the demo weights among those of all backends."""


@dataclass(frozen=True, eq=False)
class Typical:
    """What the examples that taught a network look like to it: how far another is from all of them.

    The distance of Mahalanobis to the nearest class, all classes sharing one spread (Lee et al. 2018,
    arXiv:1807.03888).

    Parameters
    ----------
    means
        ``(classes, width)`` of what the last layer sees.
    whitening
        ``(width, width)``: a difference times it has unit spread.
    farthest
        Distance that 99 of 100 held-out examples do not reach.
    """

    means: Floats
    whitening: Floats
    farthest: float

    def distance(self, features: Floats) -> Floats:
        """``(n,)`` for features ``(n, width)``; above 1 is farther than 99 of 100 held-out examples were."""
        away = (features[:, None, :] - self.means[None]) @ self.whitening
        found: Floats = np.sqrt((away**2).sum(-1)).min(1) / self.farthest
        return found

    @classmethod
    def of(cls, features: Floats, truth: npt.NDArray[Any], held_out: Floats, classes: int) -> Typical:
        """From what taught ``(n, width)`` and examples that did not."""
        everything = features.mean(0)
        means = np.stack([features[truth == n].mean(0) if (truth == n).any() else everything for n in range(classes)])
        spread = np.cov((features - means[truth.astype(int)]).T)
        width = len(spread)
        spread = 0.9 * spread + 0.1 * np.trace(spread) / width * np.eye(width) + 1e-9 * np.eye(width)
        values, vectors = np.linalg.eigh(spread)
        whitening = vectors / np.sqrt(np.maximum(values, 1e-12)) @ vectors.T
        plain = cls(means, whitening, 1.0)
        return cls(means, whitening, float(np.percentile(plain.distance(held_out), 99)))


@dataclass(frozen=True, eq=False)
class Diagnoser:
    """Networks that are ready, and how to read what they say.

    Parameters
    ----------
    classes
        Their names, in the order of what comes out.
    nets
        ``"image"`` and ``"signal"``, one of them at least.
    temperature
        What logits of each are divided by, and `TOGETHER` where the weights know it.
    typical
        Of each, where the weights know it.
    """

    classes: tuple[str, ...]
    nets: Mapping[str, Any]
    temperature: Mapping[str, float]
    typical: Mapping[str, Typical]
    weights: WeightsFile
    device: Any
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def picture_net(self) -> PictureNet | None:
        return self.nets.get("image")

    @property
    def lead_net(self) -> LeadNet | None:
        return self.nets.get("signal")

    @property
    def is_demo(self) -> bool:
        """Whether simulated hearts are all that it was taught with."""
        return bool(self.meta.get("simulated"))


def find(name: str) -> WeightsFile:
    """The weights of that name; ``"demo"`` are those of the diagnosis.

    Raises
    ------
    WeightsError
        There are none, or they are of something else.
    """
    from workbench import weights

    if name == "demo" and DEMO not in demo_weights():
        raise WeightsError("there are no demo weights of a diagnosis in this installation; give a file")
    found = weights.find(demo_weights()[DEMO] if name == "demo" else name, NAME)
    if found.meta.get("task") != TASK:
        raise WeightsError(
            f"{found.path}: these weights are not of a diagnosis (task {found.meta.get('task', 'not said')!r}); "
            f"make some with workbench train {NAME} --learn diagnosis"
        )
    return WeightsFile(found.path, name, found.sha256, found.meta)


def load(name: str, device: torch.device) -> Diagnoser:
    """Find, check and load weights of a diagnosis.

    Raises
    ------
    WeightsError
        Not found, not of a diagnosis, or they do not fit what they say.
    """

    from workbench import weights
    from workbench.page.net.run import head_of

    found = find(name)
    meta = found.meta
    stored = {k: v.float() if v.is_floating_point() else v for k, v in weights.load_tensors(found).items()}
    with weights.blaming(found.path):
        if bad := [k for k, v in stored.items() if v.is_floating_point() and not bool(v.isfinite().all())]:
            raise WeightsError(f"hold values that are no numbers ({bad[0]})")
        classes = _classes(meta)
        nets: dict[str, Any] = {}
        typical: dict[str, Typical] = {}
        for path in PATHS:
            described = (meta.get("net") or {}).get(path)
            if described is None:
                continue
            state = {k.removeprefix(f"{path}."): v for k, v in stored.items() if k.startswith(f"{path}.")}
            nets[path] = _net(path, described, len(classes), state).eval().to(device)
            mean, white = (stored.get(f"typical.{path}.{k}") for k in ("means", "whitening"))
            if mean is not None and white is not None:
                farthest = float((meta.get("farthest") or {}).get(path, float("nan")))
                width = head_of(nets[path]).in_features
                fits = mean.shape == (len(classes), width) and white.shape == (width, width) and bool(white.any())
                if not (np.isfinite(farthest) and farthest > 0 and fits):
                    raise WeightsError("say what is typical in a form that is not known")
                typical[path] = Typical(mean.double().numpy(), white.double().numpy(), farthest)
        if not nets:
            raise WeightsError("hold neither a network of pictures nor one of leads")
        told = meta.get("temperature") or {}
        temperature = {path: float(told.get(path, 1.0)) for path in (*nets, TOGETHER)}
        if not all(np.isfinite(t) and 0.01 <= t <= 100 for t in temperature.values()):
            raise WeightsError(f"have a temperature that cannot be: {temperature}")
    return Diagnoser(classes, nets, temperature, typical, found, device, meta)


def _classes(meta: Mapping[str, Any]) -> tuple[str, ...]:
    names = meta.get("diagnoses")
    if not isinstance(names, list) or len(names) < 2 or not all(
        isinstance(n, str) and n.strip() and n.isprintable() and len(n) <= _LONGEST for n in names
    ):  # fmt: skip
        raise WeightsError("do not say what they diagnose ('diagnoses': two names at least)")
    if len(set(names)) != len(names):
        raise WeightsError("name a diagnosis twice")
    return tuple(names)


def _net(path: str, described: Any, classes: int, state: Mapping[str, Any]) -> Any:
    """The network of a path, with its weights."""
    from functools import partial

    from workbench.nets.checkpoints import load_state, require_fit

    if path == "image":
        from workbench.page.diagnose.published import filled
        from workbench.page.net.classifiers import PictureNetConfig

        config = PictureNetConfig.from_json(described)
        if config.classes != classes:
            raise WeightsError(f"name {classes} diagnoses, and their network of pictures has {config.classes}")
        return filled(config, state, head=True)
    from workbench.page.net.lead_net import LeadNet, LeadNetConfig

    try:
        own = LeadNetConfig(
            classes, tuple(int(n) for n in described["widths"]), int(described["depth"]), int(described["heads"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"describe no network of leads ({error})") from error
    if not (1 <= len(own.widths) <= 8 and all(4 <= w <= 1024 for w in own.widths) and 1 <= own.depth <= 24):
        raise WeightsError(f"describe a network of leads that cannot be: {own}")
    if not 1 <= own.heads <= own.widths[-1] or 2 * own.widths[-1] % own.heads or any(w % 4 for w in own.widths):
        raise WeightsError(f"describe a network of leads that cannot be: {own}")
    require_fit(partial(LeadNet, own), state)
    net = LeadNet(own)
    load_state(net, state)
    return net


def tensors_of(nets: Mapping[str, Any], typical: Mapping[str, Typical], *, half: bool = True) -> dict[str, Any]:
    """What a weight file holds."""
    import torch

    out = {}
    for path, net in nets.items():
        if path == "image":
            from workbench.page.diagnose.published import stored

            state = stored(net)
        else:
            state = net.state_dict()
        for key, value in state.items():
            plain = value.detach().cpu()
            out[f"{path}.{key}"] = (plain.half() if half and plain.is_floating_point() else plain).contiguous()
    for path, known in typical.items():
        out[f"typical.{path}.means"] = torch.from_numpy(np.ascontiguousarray(known.means)).float()
        out[f"typical.{path}.whitening"] = torch.from_numpy(np.ascontiguousarray(known.whitening)).float()
    return out
