"""A working copy of what version 0.1 left on a disk: its home, inputs, trainings and results (`v0_1/README.txt`)."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np

V0_1 = Path(__file__).parent / "v0_1"
BACKENDS = {"volume": "segformer3d", "scene": "lola_specvit", "recording": "meg_gpt"}
INPUTS = {"volume": "volume.nii.gz", "scene": "scene.hdr", "recording": "recording.npy"}


def unpack(folder: Path) -> Path:
    """Copy everything into a new folder, with its true place and machine instead of the placeholders."""
    shutil.copytree(V0_1, folder)
    for path in folder.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        text = text.replace("@HERE@", json.dumps(folder.as_posix())[1:-1])
        path.write_text(text.replace('"@HOST@"', json.dumps(socket.gethostname())), encoding="utf-8")
    return folder


def truth(name: str) -> Any:
    """What a layer held: an array, or the value of a JSON file."""
    path = V0_1 / "truth" / name
    return np.load(path) if path.suffix == ".npy" else json.loads(path.read_text(encoding="utf-8"))


def layer(folder: Path, name: str) -> tuple[Any, dict[str, Any], str]:
    """A stored layer-data tuple."""
    stored = json.loads((folder / "layers" / f"{name}.json").read_text(encoding="utf-8"))
    return np.load(folder / "layers" / f"{name}.npy"), stored["attributes"], stored["kind"]
