"""Distributions of third parties, built and installed into a folder of their own: ours stays as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from tests.display import display  # noqa: F401

TOYS = Path(__file__).with_name("toys")
collect_ignore = ["toys"]  # their tests run where they are installed


@pytest.fixture(scope="session")
def target(tmp_path_factory) -> Path:
    """The folder into which the distributions were built and installed by pip."""
    folder = tmp_path_factory.mktemp("third_party")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [
        "--no-build-isolation",
        "--no-index",
        "--target",
        str(folder / "site"),
        str(TOYS / "colours"),
        str(TOYS / "otsu"),
        str(TOYS / "photos"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def run(target, tmp_path):
    """Runs Python code, or the command ``workbench``, in a process that sees the distributions."""

    def start(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
        paths = [str(target), *(p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "WORKBENCH_HOME": str(tmp_path / "home")}
        environment |= {"WORKBENCH_PRELOAD": "0"}
        code = code or "import sys; from workbench.cli import run; sys.exit(run(sys.argv[1:]))"
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)

    return start


@pytest.fixture
def photo(tmp_path) -> Path:
    """A dark photo with a bright square of 8 x 8 pixels that has a hole of 2 x 2, and a bright bar of 3 x 10.

    A pixel is 0.5 mm wide.
    """
    pixels = np.full((40, 60, 3), 20, np.uint8)
    pixels[5:13, 10:18] = 240
    pixels[8:10, 13:15] = 20
    pixels[25:28, 30:40] = 200
    path = tmp_path / "cells.png"
    Pillow.fromarray(pixels).save(path)
    path.with_suffix(".json").write_text('{"mm_per_pixel": 0.5}')
    return path
