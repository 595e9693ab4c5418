"""What predicting and teaching take of memory: the estimate made before, against the peak that was measured.

Each case runs in a process of its own, from reading to writing; its peak is VmHWM (Linux). The estimate is what the
process held when it was asked, with the network loaded, plus what was expected on top.

    python tests/benchmarks/bench_memory.py [--only volume] [--folder DIR] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Trial:
    """One input and one way to predict it; `low` and `high` say what a test may expect of the ratio."""

    kind: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    suffix: str = ""
    spacing: float = 1.0
    settings: dict[str, Any] = field(default_factory=dict)
    slow: bool = True

    @property
    def title(self) -> str:
        size = "x".join(map(str, self.shape)) + f" {self.dtype}{self.suffix}"
        step = f" {self.spacing:g} mm" if self.kind in ("volume", "training") else ""
        return f"{size}{step} " + " ".join(f"{k}={v}" for k, v in self.settings.items())


TRIALS = (
    Trial("volume", (128, 128, 96), "int16", ".nii.gz", 2.0, slow=False),
    Trial("volume", (128, 128, 96), "int16", ".nii.gz", 2.0, {"flips": True, "force": True}),
    Trial("volume", (160, 160, 160), "int16", ".mha", 2.0, {"roi": [96, 96, 96]}),
    Trial("volume", (256, 256, 200), "int16", ".nii", 1.5),
    Trial("volume", (256, 256, 200), "int16", ".nii", 1.5, {"batch": 1}),
    Trial("volume", (300, 300, 300), "float32", ".nii.gz", 1.0),
    Trial("volume", (300, 300, 300), "float32", ".nii.gz", 1.0, {"mode": "fast"}),
    Trial("volume", (300, 300, 300), "float32", ".nii.gz", 1.0, {"crop": "none", "uncertainty": True}),
    Trial("volume", (300, 300, 300), "float32", ".nii.gz", 2.0),
    Trial("volume", (512, 512, 160), "int16", ".nrrd", 0.8, {"mode": "fast"}),
    Trial("volume", (600, 600, 600), "float32", ".nii", 1.0, {"mode": "fast"}),
    Trial("scene", (128, 128, 120), "float32", slow=False),
    Trial("scene", (128, 128, 120), "float32", settings={"tile": 64}),
    Trial("scene", (300, 200, 120), "int16"),
    Trial("scene", (300, 200, 120), "int16", settings={"tile": 256}),
    Trial("scene", (300, 200, 120), "float64", settings={"pca": "scene"}),
    Trial("recording", (12, 15_000)),
    Trial("recording", (12, 150_000)),
    Trial("recording", (12, 1_500_000)),
    Trial("recording", (12, 1_500_000), settings={"surprisal": False}),
    Trial("recording", (12, 15_000), settings={"generate": 20.0}),
    Trial("training", (128, 128, 96), "int16", ".nii.gz", 2.0),
    Trial("training", (200, 200, 160), "int16", ".nii", 1.5, {"batch": 4}),
    Trial("training", (200, 200, 160), "float32", ".nii", 1.5, {"roi": [96, 96, 96], "weights": "none"}),
)
BACKENDS = {"volume": "segformer3d", "scene": "lola_specvit", "recording": "meg_gpt", "training": "segformer3d"}

CHILD = """
import json, sys
from pathlib import Path
from workbench.batch import run
from workbench.batch.inputs import expand
from workbench.core import memory, provenance, registry, settings
backend, path, out, values = json.loads(sys.argv[1])
row = registry.find(backend)
asked, require = [], memory.require
def note(need, *rest, **more):
    asked.append((memory.resident(), dict(need.parts)))
    require(need, *rest, **more)
memory.require = note
failed = []
if len(sys.argv) > 2:
    import workbench
    from workbench.core.types import Case
    labels = path.replace("volume.", "labels.")
    workbench.train(backend, [Case("a", Path(path), Path(labels))], out=out + ".safetensors", device="cpu", **values)
else:
    config = settings.build(row.load_module().Config, {"device": "cpu", **values})
    failed = [o.message for o in run.run(row, expand([path]), Path(out), config, overwrite=True).failures]
if failed or not asked:
    sys.exit("; ".join(failed) or "nothing was compared with what is there")
held, parts = max(asked, key=lambda a: sum(a[1].values()))
print(json.dumps({"held": held, "parts": parts, "peak": int(provenance.peak_memory_mb() * 1e6)}))
"""


def make(trial: Trial, folder: Path) -> str:
    """Write the input of a trial; gives its address."""
    if trial.kind in ("volume", "training"):
        return _volume(trial, folder)
    rng = np.random.default_rng(0)
    if trial.kind == "scene":
        return _scene(trial, folder, rng)
    np.save(folder / "recording.npy", rng.standard_normal(trial.shape, np.float32))
    return f"{folder / 'recording.npy'}:250Hz"


def _volume(trial: Trial, folder: Path) -> str:
    from workbench.volume.data import itk_formats, nifti

    x, y, _ = (np.linspace(-1, 1, n, dtype=np.float32) for n in trial.shape)
    plane = np.where(x[:, None] ** 2 + y[None] ** 2 < 0.8, 40, -1000).astype(trial.dtype)
    data = np.empty(trial.shape, trial.dtype, order="F")
    data[...] = plane[..., None]
    path = folder / f"volume{trial.suffix}"
    from workbench.core.types import Geometry

    writer = nifti if ".nii" in trial.suffix else itk_formats
    geometry = Geometry(trial.shape, np.diag([*[trial.spacing] * 3, 1.0]))
    writer.write(path, data, geometry)
    if trial.kind == "training":
        writer.write(folder / f"labels{trial.suffix}", (data > -500).astype(np.uint8), geometry)
    return str(path)


def _scene(trial: Trial, folder: Path, rng: np.random.Generator) -> str:
    rows, columns, bands = trial.shape
    code = {"int16": 2, "float32": 4, "float64": 5}[trial.dtype]
    spectrum = 1000 + 500 * np.sin(np.arange(bands) / 9)
    with (folder / "scene.dat").open("wb") as file:
        for _ in range(rows):
            line = spectrum * (1 + 0.3 * rng.random((columns, 1))) + rng.normal(0, 20, (columns, bands))
            file.write(line.astype(trial.dtype).tobytes())
    waves = ", ".join(f"{405 + 17.14 * i:.2f}" for i in range(bands))
    (folder / "scene.hdr").write_text(
        f"ENVI\nsamples = {columns}\nlines = {rows}\nbands = {bands}\nheader offset = 0\ndata type = {code}\n"
        f"interleave = bip\nbyte order = 0\nwavelength units = Nanometers\nwavelength = {{{waves}}}\n"
    )
    return str(folder / "scene.hdr")


def measure(trial: Trial, folder: Path, threads: int = 1) -> dict[str, Any]:
    """Predict in a child; gives what it held, what it expected by part, and its peak, in bytes."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        address = make(trial, Path(place))
        training = trial.kind == "training"
        settings = {**({"steps": 2, "classes": "body:1"} if training else {}), **trial.settings}
        # Made scenes are on no scale that weights know.
        settings = {**({"force": True} if trial.kind == "scene" else {}), **settings}
        words = [json.dumps([BACKENDS[trial.kind], address, f"{place}/out", settings]), *["train"] * training]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(
            [sys.executable, "-c", CHILD, *words], capture_output=True, text=True, check=False, env=environment
        )
    if done.returncode:
        raise RuntimeError(f"{trial.title}: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    found["estimate"] = found["held"] + sum(found["parts"].values())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*BACKENDS, "quick"])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print("| kind | input | estimate [GB] | measured [GB] | ratio | beyond the loaded program |")
    print("|---|---|---|---|---|---|")
    for trial in TRIALS:
        if options.only not in (None, trial.kind) and not (options.only == "quick" and not trial.slow):
            continue
        found = measure(trial, options.folder or Path(tempfile.gettempdir()), options.threads)
        work = sum(found["parts"].values()) / max(1, found["peak"] - found["held"])
        ratio = found["estimate"] / found["peak"]
        numbers = f"{found['estimate'] / 1e9:.2f} | {found['peak'] / 1e9:.2f} | {ratio:.2f} | {work:.2f}"
        print(f"| {trial.kind} | {trial.title} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
