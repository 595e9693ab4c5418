"""How long reading and predicting take against an earlier version, as ratios in one run.

    git worktree add ../before COMMIT
    python tests/benchmarks/bench_reading.py ../before                # opening and reading, all formats
    python tests/benchmarks/bench_reading.py ../before --predict      # and predicting, exact, on one volume
    python tests/benchmarks/bench_reading.py ../before --only nii.gz --rounds 21

One process per version stays alive and reads the same files in turn, A B B A; the ratio is that of the medians of
processor time, so that a busy machine changes little. Files are made up: smooth images with noise, as compressible as
measured ones.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]

CHILD = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import workbench as wb
for line in sys.stdin:
    verb, path = json.loads(line)
    began = time.process_time()
    image = wb.read(path)
    opened = time.process_time() - began
    if verb == "predict":
        began = time.process_time()
        wb.predict("segformer3d", image, weights="demo", device="cpu")
    else:
        image.data
    print(json.dumps([opened, time.process_time() - began]), flush=True)
"""


def volume(shape: tuple[int, int, int] = (256, 256, 96)) -> np.ndarray:
    """A smooth body with noise, int16 HU."""
    rng = np.random.default_rng(1)
    grid = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij")
    body = np.where(sum(g**2 for g in grid) < 0.7, 50.0, -1000.0) + 40 * np.sin(9 * grid[0]) * np.cos(7 * grid[1])
    return np.asarray(body + rng.normal(0, 12, shape), np.int16)


def nifti(path: Path) -> Path:
    import nibabel as nib

    nib.save(nib.Nifti1Image(volume(), np.diag([0.8, 0.8, 2.5, 1])), path)
    return path


def itk(path: Path, packed: bool) -> Path:
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(volume().T.copy()), str(path), useCompression=packed)
    return path


def dicom(path: Path) -> Path:
    sys.path.insert(0, str(ROOT))
    from tests import dicom_maker

    dicom_maker.write_series(path, n=60, rows=256, columns=256)
    return path


def cube() -> np.ndarray:
    rng = np.random.default_rng(2)
    spectra = np.linspace(0.2, 1.0, 120)[:, None, None] * np.linspace(1, 2, 200)[None, :, None]
    return np.asarray(3000 * spectra + rng.normal(0, 60, (120, 200, 200)), np.uint16)


def envi(path: Path) -> Path:
    data = cube()
    data.tofile(path.with_suffix(".dat"))
    bands, lines, samples = data.shape
    path.write_text(
        f"ENVI\nsamples = {samples}\nlines = {lines}\nbands = {bands}\n"
        "data type = 12\ninterleave = bsq\nbyte order = 0\n",
        encoding="utf-8",
    )
    return path


def tiff(path: Path, packed: bool) -> Path:
    import rasterio

    data = cube()
    bands, lines, samples = data.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=samples, height=lines, count=bands, dtype="uint16", tiled=True,
        **({"compress": "deflate"} if packed else {}),
    ) as f:  # fmt: skip
        f.write(data)
    return path


def mat(path: Path) -> Path:
    from scipy.io import savemat

    savemat(path, {"scene": cube()}, do_compression=path.stem == "packed")
    return path


def npy(path: Path) -> Path:
    np.save(path, cube())
    return path


def recording() -> Any:
    import mne

    rng = np.random.default_rng(3)
    info = mne.create_info(64, 500.0, "eeg")
    return mne.io.RawArray(rng.normal(0, 2e-5, (64, 120_000)), info, verbose="ERROR")


def fif(path: Path) -> Path:
    recording().save(path, verbose="ERROR")
    return path


def edf(path: Path) -> Path:
    recording().export(path, verbose="ERROR", physical_range=(-400.0, 400.0))
    return path


MAKERS: dict[str, tuple[str, bool, Callable[[Path], Path]]] = {
    "nii": ("a.nii", False, nifti),
    "nii.gz": ("a.nii.gz", True, nifti),
    "nrrd": ("a.nrrd", False, lambda p: itk(p, packed=False)),
    "nrrd gzip": ("b.nrrd", True, lambda p: itk(p, packed=True)),
    "mha": ("a.mha", False, lambda p: itk(p, packed=False)),
    "mha zlib": ("b.mha", True, lambda p: itk(p, packed=True)),
    "dicom": ("dicom", False, dicom),
    "envi": ("a.hdr", False, envi),
    "tiff": ("a.tif", False, lambda p: tiff(p, packed=False)),
    "tiff deflate": ("b.tif", True, lambda p: tiff(p, packed=True)),
    "mat": ("plain.mat", False, mat),
    "mat zlib": ("packed.mat", True, mat),
    "npy": ("a.npy", False, npy),
    "fif": ("r_raw.fif", False, fif),
    "fif.gz": ("p_raw.fif.gz", True, fif),
    "edf": ("r.edf", False, edf),
}
"""Name -> file, whether its samples are compressed (the bar is 1.5 then, else 1.1), and how it is made."""


class Version:
    """A checkout in a process of its own."""

    def __init__(self, checkout: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{checkout}:{checkout / 'plugins'}"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            cwd=checkout,
        )  # fmt: skip

    def seconds(self, verb: str, path: Path) -> tuple[float, float]:
        """Processor time of opening, and of opening and reading (or of predicting)."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([verb, str(path)]) + "\n")
        self.process.stdin.flush()
        opened, done = json.loads(self.process.stdout.readline())
        return opened, done


def compare(before: Version, after: Version, verb: str, path: Path, rounds: int) -> dict[str, float]:
    """Medians [ms] and their ratios."""
    times: dict[Version, list[tuple[float, float]]] = {before: [], after: []}
    for v in (before, after):
        v.seconds(verb, path)  # imports and caches
    for n in range(rounds):
        for v in (before, after) if n % 2 else (after, before):
            times[v].append(v.seconds(verb, path))
    old, new = ([1e3 * statistics.median(t[i] for t in times[v]) for i in (0, 1)] for v in (before, after))
    return {"open": new[0] / old[0], "all": new[1] / old[1], "old_ms": old[1], "new_ms": new[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="a checkout of the earlier version")
    parser.add_argument("--only", nargs="*", default=list(MAKERS), choices=MAKERS)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--predict", action="store_true", help="predict on the sample volume, too")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    before, after = Version(given.before.resolve()), Version(ROOT)
    found: dict[str, dict[str, float]] = {}
    print(f"{'format':<16} {'before':>9} {'now':>9}  ratio   bar  (opening alone)")
    with tempfile.TemporaryDirectory() as folder:
        for name in given.only:
            file, packed, make = MAKERS[name]
            row = found[name] = compare(before, after, "read", make(Path(folder) / file), given.rounds)
            times = f"{row['old_ms']:6.1f} ms {row['new_ms']:6.1f} ms"
            print(f"{name:<16} {times}  {row['all']:5.2f}  {1.5 if packed else 1.1}  ({row['open']:.2f})", flush=True)
    if given.predict:
        row = found["predict"] = compare(
            before, after, "predict", ROOT / "sample_data/files/phantom_9001.nii.gz", given.rounds
        )
        print(f"{'predict, exact':<16} {row['old_ms']:6.0f} ms {row['new_ms']:6.0f} ms  {row['all']:5.2f}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
