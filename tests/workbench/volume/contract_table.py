"""The contract table of volumes: each kind of data against CT weights, through predict; printed as a table.

python -m tests.workbench.volume.contract_table                # with --window also what the tool of the window shows
"""

from __future__ import annotations

import runpy
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

import workbench as wb
from tests.through_window import asking_a_window
from workbench.core.errors import MismatchError, WorkbenchError
from workbench.core.samples import demo_weights

SAMPLES = Path(__file__).resolve().parents[3] / "sample_data"
QUICK = {"device": "cpu", "mode": "fast", "overlap": 0.0, "roi": (32, 32, 32)}


def phantom(
    seed: int = 31, field: str = "abdomen", spacing_mm: float = 6.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU, labels and affine of a coarse phantom."""
    made = runpy.run_path(str(SAMPLES / "make_phantoms.py"))["make_phantom"]
    p = made(seed, field=field, spacing_mm=(spacing_mm,) * 3)
    return p.hu.astype(np.float32), p.labels, p.affine


def scaled(affine: np.ndarray, factor: float) -> np.ndarray:
    return np.diag([factor, factor, factor, 1.0]) @ affine


def noise(shape: tuple[int, ...], size: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, size, shape)


def as_mr(hu: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Values of an MR: air near 0, organs bright, no unit."""
    body = np.where(hu > -300, 250 + 60 * labels.astype(np.float32), 5)
    return np.abs(body + noise(hu.shape, 12)).astype(np.float32)


Change = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
ROWS: dict[str, tuple[Change, str, str]] = {
    "right: as taught": (lambda h, k, a: (h, a), "accepted", ""),
    "right: stored as LPS": (lambda h, k, a: (h[::-1, ::-1], a @ _turned(h.shape)), "accepted", ""),
    "right: contrast, metal": (lambda h, k, a: (np.where(k == 4, 350, np.where(k == 5, 2500, h)), a), "accepted", ""),
    "right: padded with -2000": (lambda h, k, a: (_padded(h), a), "accepted", ""),
    "right: cropped into the body": (lambda h, k, a: (h[20:48, 14:38], _moved(a, 20, 14)), "noted", "field of view"),
    "right: slices of 24 mm": (lambda h, k, a: (h[:, :, ::4], a @ np.diag([1, 1, 4, 1])), "noted", "voxel size"),
    "MR without a modality": (lambda h, k, a: (as_mr(h, k), a), "refused", "values"),
    "stored values, 1024 above HU": (lambda h, k, a: (np.clip(h + 1024, 0, 4095), a), "refused", "1024 above HU"),
    "scaled to 0..1": (lambda h, k, a: ((np.clip(h, -1000, 1000) + 1000) / 2000, a), "refused", "values"),
    "scaled to 0..255": (lambda h, k, a: (np.rint((np.clip(h, -1000, 1000) + 1000) / 8), a), "refused", "values"),
    "standardised": (lambda h, k, a: ((h - h.mean()) / h.std(), a), "refused", "another scale"),
    "clipped to -160..240": (lambda h, k, a: (np.clip(h, -160, 240), a), "refused", "clipped"),
    "HU times 10": (lambda h, k, a: (h * 10, a), "refused", "another scale"),
    "slope lost, HU / 10": (lambda h, k, a: (np.rint(h / 10), a), "refused", "another scale"),
    "slope lost, HU / 2": (lambda h, k, a: (np.rint(h / 2), a), "refused", "clipped or scaled"),
    "spacing in metres": (lambda h, k, a: (h, scaled(a, 1e-3)), "refused", "voxel size"),
    "spacing in micrometres": (lambda h, k, a: (h, scaled(a, 1e3)), "refused", "voxel size"),
    "spacing in centimetres": (lambda h, k, a: (h, scaled(a, 0.1)), "refused", "voxel size"),
    "a label map": (lambda h, k, a: (k.astype(np.float32), a), "refused", "label map"),
    "constant": (lambda h, k, a: (np.full_like(h, -1000), a), "refused", "every voxel"),
}  # fmt: skip


def _turned(shape: tuple[int, ...]) -> np.ndarray:
    turn = np.diag([-1.0, -1.0, 1.0, 1.0])
    turn[:2, 3] = shape[0] - 1, shape[1] - 1
    return turn


def _moved(affine: np.ndarray, i: int, j: int) -> np.ndarray:
    moved = affine.copy()
    moved[:3, 3] += affine[:3, 0] * i + affine[:3, 1] * j
    return moved


def _padded(hu: np.ndarray) -> np.ndarray:
    x, y = (np.linspace(-1, 1, n) for n in hu.shape[:2])
    return np.where((x[:, None] ** 2 + y**2 > 1)[..., None], -2000, hu)


def save(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    """As NIfTI, whole numbers as int16."""
    whole = bool((np.rint(array) == array).all())
    nib.save(nib.Nifti1Image(np.ascontiguousarray(array, np.int16 if whole else np.float32), affine), path)
    return path


def judge(path: Path, weights: str, **settings: object) -> tuple[str, str]:
    """What predict makes of a file: accepted, noted, converted or refused; and what it says."""
    try:
        result = wb.predict("segformer3d", path, weights=weights, **{**QUICK, **settings})
    except MismatchError as error:
        return "refused", str(error)
    except WorkbenchError as error:
        return "error", str(error)
    found = [f for f in result.provenance.details["agreement"] if f["fact"] != "window"]
    levels = {f["level"] for f in found}
    level = next((v for v in ("refused", "converted", "noted") if v in levels), "accepted")
    return level, "; ".join(result.provenance.notes)


def main(*, with_window: bool = False) -> None:
    hu, labels, affine = phantom()
    weights = str(demo_weights()["segformer3d"])
    with tempfile.TemporaryDirectory() as folder, asking_a_window(with_window) as look:
        print(f"{'data':<30} {'expected':<9} {'found':<9} {'window':<9} said")
        for number, (name, (change, expected, _)) in enumerate(ROWS.items()):
            path = save(Path(folder) / f"case{number}.nii.gz", *change(hu, labels, affine))
            found, said = judge(path, weights)
            window = look("volume", path, "demo")
            print(f"{name:<30} {expected:<9} {found:<9} {window:<9} {said.replace(str(path), path.name)}", flush=True)


if __name__ == "__main__":
    main(with_window="--window" in sys.argv)
