"""Networks of pictures as their hub has them: a folder with ``config.json`` and the weights, as transformers writes it.

The weights are read as plain tensors, and no code of theirs is executed; nothing is fetched unless somebody asked for
it before (``workbench weights get hf_hub:OWNER/NAME --allow-download``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from workbench import weights
from workbench.core.atomic import sha256_of
from workbench.core.errors import WeightsError, one_line
from workbench.page.net.classifiers import (
    ARCHITECTURES,
    Architecture,
    PictureNet,
    PictureNetConfig,
    described,
    hf_config,
    library,
    model_class,
)
from workbench.weights import WeightsFile, hub

_MOST = 1 << 20
_HEAD = "classifier."
_HEADS = 2_000_000
"""Numbers of a head that a checkpoint may lack."""


def is_published(name: str) -> bool:
    """Whether a name is one of the hub, or a folder as transformers writes it."""
    return name.startswith(hub.HUB) or (Path(name).expanduser() / hub.CONFIG).is_file()


def load(name: str, size: tuple[int, int], classes: int) -> tuple[PictureNet, WeightsFile, tuple[str, ...]]:
    """A network with published weights, for pictures of another size and other classes.

    Positions are interpolated where they were taught for another size; a head with another number of classes is made
    anew.

    Parameters
    ----------
    name
        ``hf_hub:OWNER/NAME``, fetched before, or a folder.
    size
        Height and width of the pictures that go in.
    classes
        How many come out.

    Returns
    -------
    PictureNet, WeightsFile, tuple of str
        The network on the CPU in float32, where its weights lie, and the names of its own classes where its head was
        kept.

    Raises
    ------
    WeightsError
        It is not here, of another architecture, or its weights do not fit what it says.
    """
    folder = hub.here(name) if name.startswith(hub.HUB) else Path(name).expanduser()
    config = folder / hub.CONFIG
    files = [folder / one for one in hub.WEIGHTS if (folder / one).is_file()]
    if not config.is_file() or not files:
        raise WeightsError(
            f"{name}: no network; expected {hub.HUB}OWNER/NAME, or a folder with {hub.CONFIG} (as transformers writes "
            f"it) and {' or '.join(hub.WEIGHTS)}"
        )
    said = _described(config)
    architecture = architecture_of(said, config)
    found = WeightsFile(files[0], name, sha256_of(files[0]))
    own = {k: v.float() if v.is_floating_point() else v for k, v in weights.load_tensors(found).items()}
    labels = said.get("id2label")
    count = len(labels) if isinstance(labels, Mapping) else 0
    with weights.blaming(files[0]):
        wanted = PictureNetConfig(architecture, size, classes, {"image_size": 224, **described(said)})
        net = filled(wanted, own)
    kept: tuple[str, ...] = ()
    if count == classes and isinstance(labels, Mapping) and f"{_HEAD}weight" in own:
        kept = tuple(str(v) for _, v in sorted(labels.items(), key=lambda kv: int(kv[0])))
    return net, found, kept


def architecture_of(said: Mapping[str, Any], path: Path) -> Architecture:
    """Which of `ARCHITECTURES` a description is of."""
    kind = said.get("model_type")
    for one in ARCHITECTURES:
        if kind == one:
            return one
    raise WeightsError(f"{path}: of a network '{kind}'; expected {', '.join(ARCHITECTURES)}")


def stored(net: PictureNet) -> dict[str, Any]:
    """The weights of a network under the names that published checkpoints have, whatever this version calls them.

    The library changes the names of its modules from version to version, and those in files stay as they are.
    """
    from safetensors.torch import load_file

    with TemporaryDirectory() as folder, _quiet():
        net.net.save_pretrained(folder)
        return load_file(Path(folder) / "model.safetensors")


def filled(config: PictureNetConfig, state: Mapping[str, Any], *, head: bool = False) -> PictureNet:
    """The network with these weights, under the names that published checkpoints have.

    Parameters
    ----------
    head
        Whether the last layer must be among them; else it may be lacking, or be of other classes.

    Raises
    ------
    WeightsError
        They do not fit.
    """
    import torch

    with torch.device("meta"):  # what is described comes from a file, which may ask for more than any machine has
        size = sum(p.numel() for p in PictureNet(config).parameters())
    there = sum(int(v.numel()) for v in state.values())
    if size > 2 * there + _HEADS:
        raise WeightsError(f"hold {there:,} numbers, and the network that they describe has {size:,}")
    net = PictureNet(config)
    try:
        with _quiet():
            made, told = model_class(config.architecture).from_pretrained(
                None, config=hf_config(config), state_dict=dict(state), ignore_mismatched_sizes=True,
                output_loading_info=True, local_files_only=True,
            )  # fmt: skip
    except Exception as error:  # whatever such weights do to it
        raise WeightsError(f"do not fit their description ({one_line(error)})") from error
    free = "" if head else _HEAD
    lacking = [k for k in told["missing_keys"] if not (free and k.startswith(free)) and "mask_token" not in k]
    other = [str(k[0] if isinstance(k, tuple) else k) for k in told["mismatched_keys"]]
    other = [k for k in other if not (free and k.startswith(free))]
    if lacking or other:
        which = [*(f"lacks {k}" for k in sorted(lacking)[:2]), *(f"{k} is of another shape" for k in sorted(other)[:2])]
        raise WeightsError(f"do not fit their description: {', '.join(which)}")
    net.net = made.float().eval()
    return net


@contextmanager
def _quiet() -> Iterator[None]:
    """The library without progress bars and advice."""
    plain: Any = library().logging
    level, bars = plain.get_verbosity(), plain.is_progress_bar_enabled()
    plain.set_verbosity_error()
    plain.disable_progress_bar()
    try:
        yield
    finally:
        plain.set_verbosity(level)
        if bars:
            plain.enable_progress_bar()


def _described(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MOST:
        raise WeightsError(f"{path}: larger than a description; expected that of transformers")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: is no JSON ({one_line(error)})") from error
    if not isinstance(found, dict):
        raise WeightsError(f"{path}: no description; expected the object that transformers writes")
    return found
