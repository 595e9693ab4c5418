"""The same window with every napari from 0.6 on and with both Qt bindings, each in an environment of its own.

The large packages that have nothing to do with napari or Qt are taken from the environment of the tests; all others are
installed anew, as pip finds them. What cannot be had is skipped, and the reason said.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

from tests.display import display  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
LARGE = (
    "torch", "monai", "SimpleITK", "rasterio", "mne", "nibabel", "h5py", "scipy", "scikit-learn", "numpy", "pandas",
    "matplotlib", "pydicom", "networkx", "sympy", "mpmath", "fonttools", "contourpy", "kiwisolver", "pillow",
    "scikit-image", "safetensors", "dask",
)  # fmt: skip
# PySide6 6.12.0 loses a reference to None at every QApplication.processEvents(), which ends a Python before 3.12.
BINDINGS = {"PyQt6": "PyQt6>=6.5", "PySide6": "PySide6>=6.5,!=6.12.0"}
VERSIONS = ("0.6.0", "0.6.*", "0.7.*", "0.8.*", "0.9.*")


def test_the_lower_bound_is_the_oldest_that_is_tried():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (bound,) = [row for row in project["optional-dependencies"]["gui"] if row.startswith("napari")]
    assert re.fullmatch(r"napari>=(.+)", bound)[1] == VERSIONS[0].removesuffix(".0")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A folder with links to the large packages, to be found by other environments."""
    folder = tmp_path_factory.mktemp("large")
    for name in LARGE:
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # pip will install it
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(found.locate_file(top))
    return folder


@pytest.fixture
def environment(tmp_path) -> Iterator[Path]:
    """The folder of a new environment; it goes at the end, for it is large."""
    folder = tmp_path / "env"
    venv.create(folder, with_pip=True)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.gui
@pytest.mark.skipif(os.name == "nt", reason="links of packages are made for POSIX")
@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_window(version, binding, wheel, large, environment, tmp_path, display):  # noqa: F811
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "large.pth").write_text(f"{large}\n", encoding="utf-8")
    python = environment / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", f"napari=={version}", BINDINGS[binding], wheel]
    done = subprocess.run(install, capture_output=True, text=True)
    if missing := re.search(r"(No matching distribution.*|Could not find a version.*)", done.stderr):
        pytest.skip(f"napari {version} with {binding} cannot be had here: {missing[1]}")
    assert done.returncode == 0, done.stderr

    tests = tmp_path / "site" / "tests" / "workbench_napari"
    tests.mkdir(parents=True)
    for name in ("mouse.py", "watching.py", "one_window.py"):
        shutil.copy(HERE / name, tests)
    out = tmp_path / "out"
    own = {"PYTHONPATH": str(tmp_path / "site"), "WORKBENCH_HOME": str(tmp_path / "home"), "QT_API": binding.lower()}
    own |= {"NAPARI_CONFIG": str(tmp_path / "napari.yaml")}
    command = [python, "-m", "tests.workbench_napari.one_window", out]
    seen = subprocess.run(command, cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, timeout=1800)
    assert seen.returncode == 0, (seen.stdout + seen.stderr)[-8000:]
    told = json.loads(seen.stdout.splitlines()[-1])
    assert told["napari"].startswith(version.removesuffix("*"))
    assert told["qt"].startswith(binding)
    look_at_files(out)


def look_at_files(out: Path) -> None:
    """What was saved is what was shown when Save was pressed."""
    import nibabel as nib

    for tool, name in (("Volume tool", "volume"), ("Any backend", "general")):
        (file,) = (out / "saved" / tool).glob("*/labels.nii.gz")
        image = nib.load(file)
        # napari shows superior, posterior, left; the file says which axis runs which way.
        turned = nib.as_closest_canonical(image).get_fdata()[::-1, ::-1].transpose(2, 1, 0)
        assert np.array_equal(turned, np.load(out / f"{name}.npy")), tool
    shown = np.load(out / "scene.npy")
    (file,) = (out / "saved" / "Spectra tool").glob("*/painted.dat")
    assert np.array_equal(np.fromfile(file, np.uint8).reshape(shown.shape), shown)
    (file,) = (out / "saved" / "MEG tool").glob("*/annotations.csv")
    with file.open(encoding="utf-8") as rows:
        saved = [(float(r["onset [s]"]), float(r["duration [s]"]), r["label"]) for r in csv.DictReader(rows)]
    marks = json.loads((out / "recording.json").read_text(encoding="utf-8"))
    assert [label for _, _, label in saved] == [label for _, _, label in marks]
    assert np.allclose([s[:2] for s in saved], [m[:2] for m in marks], atol=1e-4)
