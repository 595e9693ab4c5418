"""Real runs of every writer, killed while they write: no pattern finds what they leave, and the next run removes it."""

import glob
import os
import signal
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.tiny import make_volume
from workbench.cli import run
from workbench.core import atomic
from workbench.core.atomic import sha256_of

HALTED = """
import os, sys, time
from pathlib import Path
real, wanted = os.replace, sys.argv[1]
def replace(part, path):
    if Path(path).name == wanted:
        print("halted", flush=True)
        time.sleep(300)
    real(part, path)
os.replace = replace
{known}
from workbench.cli import run
sys.exit(run(sys.argv[2:]))
"""

KNOWN = """
from workbench.weights import fetch
from workbench.weights.published import KnownWeights
row = KnownWeights("mine", "segformer3d", "Mine", url={url!r}, sha256={sha!r}, size_mb=1.0)
fetch.known = lambda: {{"mine": row}}
"""


def killed_at(name: str, words: list[str], code: str = HALTED.format(known="")) -> None:
    """Run a command line and kill it where it is about to give `name` to a file that it has written."""
    command = [sys.executable, "-c", code, name, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line == "halted\n" for line in process.stdout), f"never wrote {name}"
        process.send_signal(signal.SIGKILL)
        process.wait()


def parts(folder: Path) -> list[Path]:
    """Leftovers anywhere below, hidden or not."""
    return [p for p in folder.rglob("*") if ".part" in p.name or p.name.endswith((".tmp", ".part"))]


def must_be_hidden(folder: Path, name: str) -> None:
    """Half of `name` is there, and no pattern for results finds it."""
    assert [p for p in folder.rglob(name) if ".part-" in str(p.parent)]
    for pattern in ("*", "*.nii.gz", "*.json", "*.csv", "*.safetensors", "**/*"):
        for found in glob.glob(f"{folder}/**/{pattern}", recursive=True):
            assert ".part" not in found, found


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Every start looks once into each folder that it writes to."""
    atomic._clean_once.cache_clear()


@pytest.fixture
def study(tmp_path) -> list[str]:
    image = make_volume(tmp_path / "in" / "a.nii.gz", shape=(34, 32, 32))
    labels = np.zeros((34, 32, 32), np.uint8)
    labels[5:15, 5:25, 5:25], labels[20:30, 5:25, 5:25] = 1, 2
    nib.save(nib.Nifti1Image(labels, nib.load(image).affine), tmp_path / "labels.nii.gz")
    return ["-i", str(image), "--labels", str(tmp_path / "labels.nii.gz"), "-q", "--device", "cpu"]


@pytest.mark.parametrize("name", ["labels.nii.gz", "provenance.json"])
def test_predict(name, study, tiny_weights, tmp_path):
    out = tmp_path / "out"
    words = ["predict", "segformer3d", *study[:2], *study[4:], "-o", str(out), "--weights", str(tiny_weights)]
    killed_at(name, words)
    must_be_hidden(out, name)
    assert run(words) == 0
    assert parts(out) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scores.csv", "report.html"])
def test_evaluate(name, study, tiny_weights, tmp_path):
    out = tmp_path / "out"
    words = ["evaluate", "segformer3d", *study, "-o", str(out), "--weights", str(tiny_weights)]
    words += ["--classes", "liver:1,spleen:2"]
    killed_at(name, words)
    must_be_hidden(out, name)
    assert run(words) == 0
    assert parts(out) == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("state.safetensors", marks=pytest.mark.slow),
        pytest.param("mine.safetensors", marks=pytest.mark.slow),
        "report.html",
    ],
)
def test_train(name, study, tiny_weights, tmp_path):
    out = tmp_path / "out" / "mine.safetensors"
    words = ["train", "segformer3d", *study, "-o", str(out), "--weights", str(tiny_weights), "--overwrite"]
    words += ["--steps", "1", "--classes", "liver:1,spleen:2"]
    killed_at(name, words)
    must_be_hidden(tmp_path / "out", name)
    assert run(words) == 0
    assert parts(tmp_path / "out") == []


def test_a_download(tiny_weights, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    known = KNOWN.format(url=tiny_weights.as_uri(), sha=sha256_of(tiny_weights))
    code = HALTED.format(known=known)
    words = ["weights", "get", "mine", "-q"]
    killed_at("mine.safetensors", words, code)
    must_be_hidden(tmp_path / "home", "mine.safetensors")
    again = code.replace("os.replace = replace", "")
    subprocess.run([sys.executable, "-c", again, "none", *words], check=True, env=os.environ)
    assert parts(tmp_path / "home") == []
    assert [p.name for p in (tmp_path / "home").rglob("*.safetensors")] == ["mine.safetensors"]


def test_the_start_alone_cleans(study, tiny_weights, tmp_path):
    """Not only what is written again: a start that ends in an error has looked too."""
    out = tmp_path / "out"
    words = ["evaluate", "segformer3d", *study, "-o", str(out), "--weights", str(tiny_weights)]
    killed_at("scores.csv", [*words, "--classes", "liver:1,spleen:2"])
    assert parts(out)
    assert run([*words, "--weights", str(tmp_path / "none.safetensors")]) == 5
    assert parts(out) == []
