"""Small scenes on which version 0.1 was wrong, each with a check of its right value.

    python -m tests.scene_cases ../shared/cases/scenes

prints a table with a row per file. The same checks are tests, one each (`tests/workbench/scene/test_cases.py`). What is
compared with is read by GDAL (rasterio), spectral and scikit-learn, never by the workbench itself.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
import scipy.io
import spectral.io.envi
from sklearn.metrics import accuracy_score, cohen_kappa_score

import workbench as wb
from workbench.core.errors import WorkbenchError
from workbench.data import formats
from workbench.data.write import write

Check = Callable[[Path, Path], str]
"""Called with the folder of the cases and one to write to; says what was found, or raises an `AssertionError`."""

TAUGHT = {"steps": 4, "head_start": 60, "components": 6, "patch": 5, "device": "cpu"}
QUICK = TAUGHT | {"per_class": 15, "seeds": 1, "split": "random"}
CASES: dict[str, Check] = {}


def case(name: str) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        CASES[name] = check
        return check

    return add


def weights(folder: Path, work: Path) -> Path:
    """Weights taught on the sound scene; made once per folder of work."""
    model = work / "base.safetensors"
    if not model.exists():
        wb.train("lola_specvit", wb.cases([truth(folder)]), out=model, **TAUGHT)
    return model


def truth(folder: Path, name: str = "base.hdr") -> wb.Case:
    return wb.Case(Path(name).stem, folder / name, folder / "base_gt.hdr")


def mapped(folder: Path, work: Path, name: str) -> wb.Result:
    return wb.predict("lola_specvit", folder / name, weights=str(weights(folder, work)), device="cpu")


def by_spy(path: Path) -> np.ndarray:
    return np.asarray(spectral.io.envi.open(str(path)).load(scale=False)).transpose(2, 0, 1)


def by_gdal(path: Path) -> tuple:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path) as src:
            points, system = src.gcps
            corners = [(p.row, p.col, p.x, p.y) for p in points]
            return src.read(), corners, system, src.crs, src.transform, src.read_masks(1) > 0


def right(found: np.ndarray, folder: Path) -> float:
    return accuracy_score(by_spy(folder / "base_gt.hdr").ravel(), found.ravel())


def rescored(out: Path, wanted: np.ndarray) -> int:
    """Count every row of a table again from the maps and masks beside it; gives the number of rows."""
    rows = json.loads((out / "scores.json").read_text(encoding="utf-8"))["runs"]
    for row in rows:
        mask, found = (by_spy(out / row[key])[0].astype(int) for key in ("mask", "map"))
        known, said = wanted[mask == 3], found[mask == 3]
        assert abs(row["OA"] - accuracy_score(known, said)) < 1e-12
        assert abs(row["kappa"] - cohen_kappa_score(known, said)) < 1e-12
        assert np.sum(row["confusion"]) == row["test_pixels"] == known.size
    return len(rows)


@case("base.hdr")
def base(folder: Path, work: Path) -> str:
    found = mapped(folder, work, "base.hdr").labels.data
    assert right(found, folder) == 1
    return f"{found.size} of {found.size} pixels right"


def empty_rows(name: str, folder: Path, work: Path) -> str:
    labels = mapped(folder, work, name).labels.data
    assert not labels[:4].any()
    assert (labels[4:] == by_spy(folder / "base_gt.hdr")[0][4:]).all()
    return "80 pixels are 0, the others right"


CASES["internal_mask.tif"] = partial(empty_rows, "internal_mask.tif")
CASES["ignore_with_gain.hdr"] = partial(empty_rows, "ignore_with_gain.hdr")


@case("ignore_9999.hdr")
def ignored(folder: Path, work: Path) -> str:
    said = empty_rows("ignore_9999.hdr", folder, work)
    out = work / "ignored"
    wb.evaluate("lola_specvit", wb.cases([truth(folder, "ignore_9999.hdr")]), out=out, **QUICK)
    rows = rescored(out, by_spy(folder / "base_gt.hdr")[0].astype(int))
    masks = [by_spy(f)[0] for f in sorted((out / "splits").glob("*.hdr"))]
    assert rows == 5
    assert len(masks) == 1
    assert not masks[0][:4].any()
    return f"{said}; {rows} methods scored on the same pixels, none of them empty"


@case("as_reflectance.hdr")
def reflectance(folder: Path, work: Path) -> str:
    result = mapped(folder, work, "as_reflectance.hdr")
    assert right(result.labels.data, folder) == 1
    return next(n for n in result.provenance.notes if "scale" in n)[:80]


@case("own_bbl.hdr")
def own_bbl(folder: Path, work: Path) -> str:
    result = mapped(folder, work, "own_bbl.hdr")
    assert right(result.labels.data, folder) > 0.95
    return next(n for n in result.provenance.notes if "marked as bad" in n)[:80]


@case("reversed_bands.hdr")
def reversed_bands(folder: Path, work: Path) -> str:
    result = mapped(folder, work, "reversed_bands.hdr")
    assert right(result.labels.data, folder) == 1
    return next(n for n in result.provenance.notes if "reverse" in n)[:80]


@case("enmap_nodata_bands.hdr")
def nodata_bands(folder: Path, work: Path) -> str:
    with pytest.raises(WorkbenchError, match="6-7"):
        mapped(folder, work, "enmap_nodata_bands.hdr")
    cases = wb.cases([truth(folder, "enmap_nodata_bands.hdr")])
    with pytest.raises(WorkbenchError, match="6, 7"):
        wb.train("lola_specvit", cases, out=work / "n.safetensors", **TAUGHT)
    return "error that names bands 6-7, in predict and train"


def position(name: str, folder: Path, work: Path) -> str:
    image = formats.read(folder / name)
    labels = wb.Labels(np.ones(image.geometry.shape, np.uint8), image.geometry, wb.ClassTable.from_names(["a"]))
    made = write(labels, work / Path(name).stem, source=image)[0]
    wanted, found = by_gdal(folder / name.replace(".hdr", ".dat"))[1:5], by_gdal(made)[1:5]
    assert wanted[0] or wanted[2]
    assert found == wanted
    if name == "aea.hdr":
        assert image.geometry.unit == "m"
        assert "projection info" in made.with_suffix(".hdr").read_text(encoding="utf-8")
    return f"{len(wanted[0])} control points kept" if wanted[0] else f"system kept, unit {image.geometry.unit}"


for _name in ("gcp_only.tif", "geo_points.hdr", "aea.hdr"):
    CASES[_name] = partial(position, _name)


@case("testenviclasses.hdr")
def classes(folder: Path, work: Path) -> str:
    image = formats.read(folder / "testenviclasses.hdr")
    assert [(c.value, c.name) for c in image.classes] == [(1, "White")]  # 0 is no class
    np.testing.assert_array_equal(image.data, by_gdal(folder / "testenviclasses")[0])
    assert image.notes
    return image.notes[0]


def odd(name: str, folder: Path, work: Path) -> str:
    image = formats.read(folder / name)
    np.testing.assert_array_equal(image.data, by_spy(folder / "base.hdr"))
    np.testing.assert_array_equal(image.data, by_gdal(folder / name.replace(".hdr", ".dat"))[0])
    return "; ".join(image.notes) or "opens"


for _name in ("one_trailing_byte.hdr", "no_byte_order.hdr", "upper.hdr"):
    CASES[_name] = partial(odd, _name)


@case("cls_empty_name.hdr")
def empty_name(folder: Path, work: Path) -> str:
    names = {c.value: c.name for c in formats.read(folder / "cls_empty_name.hdr").classes}
    assert (names.get(1, ""), names[2], names[3]) == ("", "water", "soil")
    return "1 '', 2 water, 3 soil"


@case("spectralformer.mat")
def fixed(folder: Path, work: Path) -> str:
    held = scipy.io.loadmat(folder / "spectralformer.mat")
    out = work / "fixed"
    case_ = wb.Case("s", folder / "spectralformer.mat", folder / "spectralformer.mat")
    wb.evaluate("lola_specvit", wb.cases([case_]), out=out, **{k: v for k, v in QUICK.items() if k != "split"})
    rows = rescored(out, held["TE"].astype(int))
    mask = by_spy(next((out / "splits").glob("*.hdr")))[0]
    np.testing.assert_array_equal(mask == 3, held["TE"] > 0)
    np.testing.assert_array_equal(np.isin(mask, (1, 2)), held["TR"] > 0)
    return f"{rows} methods taught on TR and tested on TE"


@case("Indian_pines_gt.mat")
def indian_pines(folder: Path, work: Path) -> str:
    """On a plain cube, taught for two steps: it is about the pixels, not about the accuracy."""
    gt = scipy.io.loadmat(folder / "Indian_pines_gt.mat")["y"]
    scene = work / "ip.npy"
    rng = np.random.default_rng(0)
    np.save(scene, (rng.normal(size=(17, 20))[gt] + rng.normal(size=(*gt.shape, 20))).astype(np.float32))
    out = work / "ip"
    report = wb.evaluate(
        "lola_specvit", wb.cases([wb.Case("ip", scene, folder / "Indian_pines_gt.mat")]), out=out,
        **(QUICK | {"split": "both", "references": False, "steps": 2, "per_class": 10}),
    )  # fmt: skip
    assert not report.failures
    rows = rescored(out, gt.astype(int))
    assert rows == 2
    left = next(n for n in report.notes if "left out of the disjoint split" in n)
    mask = by_spy(out / "splits" / "disjoint_seed0.hdr")[0]
    rows_, columns = np.nonzero(np.isin(mask, (1, 2)))
    test = np.argwhere(mask == 3)
    apart = min(np.maximum(abs(rows_ - r), abs(columns - c)).min() for r, c in test)
    assert apart >= 11  # the patch of 5 and what the network sees around it
    return f"random and disjoint rows, {apart} pixels apart; {left[:60]}..."


def table(folder: Path, cases: dict[str, Check] = CASES) -> str:
    """The table in Markdown; a row that is wrong says so."""
    lines = ["| file | found |", "|---|---|"]
    with tempfile.TemporaryDirectory() as work:
        for name in sorted(cases):
            try:
                found = cases[name](folder, Path(work))
            except (AssertionError, pytest.fail.Exception, WorkbenchError) as error:
                found = f"**wrong**: {' '.join(str(error).split())[:200]}"
            lines.append(f"| {name} | {found} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(Path(sys.argv[1])))
