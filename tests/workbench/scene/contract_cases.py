"""Right data and wrong data for weights of a scene, and what must happen with each: the contract table of scenes.

python -m tests.workbench.scene.contract_cases   # trains small weights; with --window also what the tool shows
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import workbench as wb
from tests.scene_maker import save_envi
from tests.scenes import NAMES, scene_arrays
from tests.through_window import asking_a_window
from workbench.core.errors import InputError

ROWS, COLUMNS, BANDS = 30, 26, 20
NM = np.linspace(450.0, 1400.0, BANDS)  # 50 nm apart
QUICK = {
    "device": "cpu", "components": 6, "patch": 5, "steps": 4, "batch": 9, "head_start": 150, "val_fraction": 0.2,
}  # fmt: skip
LABELS = {"file_type": "ENVI Classification", "classes": 4, "class_names": "{none, grass, soil, water}"}


@dataclass(frozen=True)
class Row:
    """One scene to give to the weights: how it is written, what must happen, and a word that must be said."""

    name: str
    write: Callable[[Path], Path]
    outcome: str  # "same", "converted", "noted", "refused", "free"
    says: str = ""
    equal: bool = False  # the map must be that of the right data, pixel by pixel
    empty: int = 0  # so many pixels must be left empty, the others equal


def digital(seed: int = 0, **changes: Any) -> np.ndarray:
    """The scene as a sensor's file holds it: reflectance x 10000 in whole numbers."""
    return np.clip(scene_arrays(ROWS, COLUMNS, BANDS, seed=seed, **changes)[0] * 10000, 1, 32000).astype(np.int16)


def truth() -> np.ndarray:
    return scene_arrays(ROWS, COLUMNS, BANDS)[1]


def listed(values: Any) -> str:
    return "{" + ", ".join(f"{v:.6g}" for v in values) + "}"


def envi(folder: Path, name: str, data: np.ndarray, nm: Any = NM, **fields: Any) -> Path:
    waves = {} if nm is None else {"wavelength_units": "Nanometers", "wavelength": listed(nm)}
    return save_envi(folder, np.ascontiguousarray(data), name=name.replace(" ", "_"), **{**waves, **fields})


def rows() -> list[Row]:
    """The table. What is written is made from the scene of the training unless it says otherwise."""
    base = digital()
    solar = np.linspace(90, 8, BANDS)[:, None, None] / 7000  # the sun's light weakens towards the infrared

    def of(name: str, outcome: str, says: str, data: Any, nm: Any = NM, *, equal=False, empty=0, **fields: Any) -> Row:
        return Row(name, lambda folder: envi(folder, name, data, nm, **fields), outcome, says, equal, empty)

    holes = base.copy()
    holes[:, :4] = -9999
    bad, lost, flat, nan = base.copy(), base.copy(), base.copy(), base.astype(np.float32)
    bad[3], lost[5:7], flat[9], nan[4] = -32000, -32768, 77, np.nan
    marks = np.ones(BANDS, int)
    marks[3] = 0
    many = np.ones(BANDS, int)
    many[3:12] = 0
    fine = np.repeat(base, 2, axis=0)
    fine[1::2] = -1
    fine_nm = np.sort(np.concatenate([NM, NM + 26]))
    whole = {"reflectance_scale_factor": 10000}
    permuted = np.random.default_rng(2).permutation(BANDS)
    ones = {"data_ignore_value": -32768}
    return [
        of("right data", "same", "", base, equal=True),
        of("right data as bip", "same", "", base, equal=True, interleave="bip"),
        of("right data of another day", "same", "", digital(5)),
        of("right data, cropped", "same", "", base[:, 4:20, 3:19]),
        of("right data, half as bright", "noted", "darker", base // 2),
        of("centres 1 nm off", "same", "", base, NM + 1, equal=True),
        of("scale factor in the header", "converted", "stored numbers", base, equal=True, **whole),
        of("float reflectance, nothing in the header", "converted", "multiplied by 10 000",
           (base / 10000).astype(np.float32), equal=True),
        of("ten times the numbers", "converted", "divided by 10", (base.astype(np.int32) * 10), equal=True),
        of("four times the numbers", "refused", "no power of ten", base.astype(np.float32) * 4),
        of("radiance", "refused", "scale", base * solar.astype(np.float32)),
        of("gains of each band", "converted", "stored numbers", base, equal=True,
           data_gain_values=listed(np.linspace(0.01, 0.2, BANDS))),
        of("bands in reverse order", "converted", "reverse order", base[::-1], NM[::-1], equal=True),
        of("bands in any order", "converted", "another order", base[permuted], NM[permuted], equal=True),
        of("reverse order, nothing in the header", "refused", "reverse order", base[::-1], None),
        of("centres 300 nm higher", "refused", "half a band width", base, NM + 300),
        of("micrometres", "same", "", base, NM / 1000, equal=True, wavelength_units="Micrometers"),
        of("micrometres called nanometres", "noted", "micrometers", base, NM / 1000, equal=True),
        of("twice as many bands that hold those", "converted", "taken by their wavelengths", fine, fine_nm, equal=True),
        of("fewer bands", "refused", "fewer than the 20", base[:15], NM[:15]),
        of("no wavelengths", "noted", "order of the bands was trusted", base, None, equal=True),
        of("a bad band of its own", "converted", "bad in the header: 4", bad, bbl=listed(marks)),
        of("nine bad bands of its own", "refused", "9 of 20", base, bbl=listed(many)),
        of("no-data of its own", "same", "", holes, empty=4 * COLUMNS, data_ignore_value=-9999),
        of("no-data that nothing declares", "converted", "left empty", holes, empty=4 * COLUMNS),
        of("two bands of no-data", "refused", "6-7", lost, **ones),
        of("a band of NaN", "refused", "most pixels: 5", nan),
        of("a constant band", "refused", "all pixels: 10", flat),
        of("a class map", "refused", "class map", truth()[None], None, **LABELS),
        of("a factor of its own for each band", "noted", "times as far from those taught",
           (base * np.linspace(0.6, 1.4, BANDS)[np.random.default_rng(8).permutation(BANDS), None, None]).astype("i2")),
        of("other materials", "noted", "unlike any", np.random.default_rng(4).integers(
            500, 6000, (BANDS, 1, 1)).astype(np.int16) + base // 20),
    ]  # fmt: skip


def train(folder: Path) -> tuple[Path, wb.Case]:
    """Small weights and the case that taught them."""
    image = envi(folder, "base", digital())
    labels = save_envi(folder, truth()[None], name="base_labels", **LABELS)
    case = wb.Case("base", image, labels)
    wb.train("lola_specvit", [case], out=folder / "w.safetensors", **QUICK)
    return folder / "w.safetensors", case


def outcome_of(result: wb.Result) -> str:
    """What the record of a result says was done; what the reader had to say of the file counts as noted."""
    levels = {f["level"] for f in result.provenance.details.get("agreement", ())}
    plain = "noted" if result.provenance.notes else "same"
    return next((level for level in ("refused", "converted", "noted") if level in levels), plain)


def labels_for(path: Path, folder: Path) -> Path:
    """Labels on the grid of a scene, for the verbs that need them."""
    shape = wb.read(path).geometry.shape
    data = truth() if shape == truth().shape else truth()[4:20, 3:19]
    return save_envi(folder, np.ascontiguousarray(data)[None], name=f"{path.stem}_labels", **LABELS)


def main(*, with_window: bool = False) -> None:
    with tempfile.TemporaryDirectory() as name, asking_a_window(with_window) as look:
        folder = Path(name)
        weights, case = train(folder)
        right = wb.predict("lola_specvit", case.image, weights=str(weights), device="cpu").labels.data
        print("| scene | expected | found | window | right pixels | said |\n|---|---|---|---|---|---|")
        for row in rows():
            path = row.write(folder)
            try:
                result = wb.predict("lola_specvit", path, weights=str(weights), device="cpu")
            except InputError as error:
                found, share, said = "refused", "", str(error).replace(str(folder) + "/", "")
            else:
                found, said = outcome_of(result), "; ".join(result.provenance.notes)
                same = result.labels.data.shape == right.shape
                share = f"{100 * (result.labels.data == right).mean():.1f} %" if same else ""
            window = look("scene", path, str(weights))
            print(f"| {row.name} | {row.outcome} | {found} | {window} | {share} | {said} |", flush=True)


__all__ = ["NAMES", "QUICK", "Row", "digital", "labels_for", "outcome_of", "rows", "train", "truth"]

if __name__ == "__main__":
    main(with_window="--window" in sys.argv)
