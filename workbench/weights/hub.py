"""Models of the hub of Hugging Face: fetched if somebody asks for it, else taken as they are on this machine."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from workbench.core.errors import UsageError, WeightsError, one_line

HUB = "hf_hub:"
CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def here(name: str) -> Path:
    """The folder of ``hf_hub:OWNER/NAME``, fetched before; the network is not asked.

    Raises
    ------
    WeightsError
        It is not on this machine, or no such name.
    """
    hub = library("huggingface_hub")
    try:
        return _folder(hub, name, offline=True)
    except (hub.errors.LocalEntryNotFoundError, FileNotFoundError) as error:
        raise WeightsError(
            f"encoder '{name}' is not on this machine yet: workbench weights get {name} --allow-download"
        ) from error


def fetch(name: str, *, allow_download: bool) -> Path:
    """Fetch the description and the weights of a model into the store of the hub (``HF_HOME``), which checks hashes.

    Raises
    ------
    UsageError
        No permission to use the network was given.
    WeightsError
        The hub has none of this name, wants a login, or cannot be reached.
    """
    if not allow_download:
        raise UsageError(f"fetching '{name}' from the hub needs your permission: add --allow-download")
    hub = library("huggingface_hub")
    try:
        return _folder(hub, name, offline=False)
    except WeightsError:
        raise
    except Exception as error:  # of httpx, of the system, of the hub: all of them tell what happened
        raise WeightsError(
            f"{name}: cannot be fetched ({one_line(error)}). Many models want that you accept their licence on the "
            "hub and log in: hf auth login, or HF_TOKEN."
        ) from error


def licence_of(name: str) -> str:
    """What the hub says of the licence of a model; asks the network."""
    hub = library("huggingface_hub")
    try:
        card = hub.HfApi().model_info(name.removeprefix(HUB)).card_data
    except Exception as error:  # as above
        raise WeightsError(f"{name}: the hub says nothing of it ({one_line(error)})") from error
    return str((card or {}).get("license") or "not stated; see its page on the hub")


def _folder(hub: Any, name: str, *, offline: bool) -> Path:
    try:
        found = hub.snapshot_download(
            name.removeprefix(HUB), allow_patterns=[CONFIG, *WEIGHTS], local_files_only=offline
        )
    except hub.errors.HFValidationError as error:
        raise WeightsError(f"'{name}': {one_line(error)} Expected {HUB}OWNER/NAME.") from error
    return Path(found)


def library(name: str) -> Any:
    """A library of the extra ``timm``; a usage error that names it, where it is not installed."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(
            f"encoders of other groups need timm ({one_line(error)}): pip install 'napari-workbench[timm]'"
        ) from error
    except (RuntimeError, OSError) as error:
        raise UsageError(
            f"{name} is installed and cannot be loaded ({one_line(error)}): torchvision must be the one that goes with "
            "torch; install both anew"
        ) from error
