"""How rows of score tables stand to what taught the weights, for all kinds: training cases, copies, parts, new data.

python -m tests.workbench.seen_table        # trains small weights of each kind and prints the table
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import workbench as wb
from tests.scene_maker import save_envi
from tests.workbench.recording import contract_table as recordings_of
from tests.workbench.scene import contract_cases as scenes_of
from tests.workbench.volume import contract_table as volumes_of
from workbench.core.types import Case

Rows = Iterator[tuple[str, str, str]]
"""What it is, its mark, and how many pixels or cases are in the row."""

_TEACH = {"device": "cpu", "spacing": (6.0, 6.0, 6.0), "roi": (32, 32, 32), "steps": 2, "weights": "none"}
_ORGANS = {"liver": 1, "spleen": 2, "kidneys": 3, "aorta": 4, "vertebrae": 5, "lungs": 6}


def volumes(folder: Path) -> Rows:
    """Two patients taught, a third one decided when to stop."""
    hu, labels, affine = volumes_of.phantom()
    (folder / "dataset.json").write_text(json.dumps({"labels": _ORGANS}), encoding="utf-8")
    volumes_of.save(folder / "labels.nii.gz", labels, affine)

    def case(name: str, shift: float, group: str = "", file: str = "") -> Case:
        path = folder / (file or f"{name}.nii.gz")
        if not path.is_file():
            volumes_of.save(path, np.where(hu > -900, hu + shift, hu).astype(hu.dtype), affine)
        return Case(name, path, folder / "labels.nii.gz", group or name)

    taught = [case(f"patient {i}", 2.0 * i) for i in range(3)]
    report = wb.train("segformer3d", taught, out=folder / "v.safetensors", val_fraction=0.34, **_TEACH)
    study = [
        *taught,
        case("patient 0, another file and name", 0.0, file="renamed.nii"),
        case("patient 0, a later scan", 31.0, "patient 0"),
        case("a new patient", 33.0),
    ]
    found = wb.evaluate("segformer3d", study, weights=str(report.weights), **volumes_of.QUICK)
    marks = {r["case"]: r["seen"] for r in found.rows}
    yield from ((f"{name}", mark, "1 case") for name, mark in marks.items())
    yield "mean Dice of all / of unseen", f"{found.mean_dice:.3f} / {found.mean_dice_unseen:.3f}", f"{len(marks)} cases"
    yield from (("note", note, "") for note in found.notes if "taught" in note)


def scenes(folder: Path) -> Rows:
    """The left half of a scene taught; what is scored is that half, all of it, copies, a crop, another day."""
    cube, truth = scenes_of.digital(), scenes_of.truth()
    half = truth.copy()
    half[:, 13:] = 0

    def labels(data: np.ndarray, name: str) -> Path:
        return save_envi(folder, np.ascontiguousarray(data)[None], name=name, **scenes_of.LABELS)

    base, taught, whole = scenes_of.envi(folder, "base", cube), labels(half, "half"), labels(truth, "whole")
    report = wb.train("lola_specvit", [Case("base", base, taught)], out=folder / "s.safetensors", **scenes_of.QUICK)
    np.save(folder / "renamed.npy", np.moveaxis(cube, 0, -1))
    for name, image, reference in (
        ("the taught half", base, taught),
        ("the taught half, a copy as .npy", folder / "renamed.npy", taught),
        ("all of the scene, half-seen", base, whole),
        ("a crop", scenes_of.envi(folder, "crop", cube[:, 5:25, 3:]), labels(truth[5:25, 3:], "crop_labels")),
        ("another day", scenes_of.envi(folder, "day", scenes_of.digital(5)), whole),
    ):
        found = wb.evaluate("lola_specvit", [Case("c", image, reference)], weights=str(report.weights), device="cpu")
        yield from ((f"{name}: {r['split']}", r["seen"], f"{r['test_pixels']} pixels") for r in found.rows)


def recordings(folder: Path) -> Rows:
    """Two people taught, a third one decided when to stop."""
    net = recordings_of.train(folder)
    record = wb.weights.find(str(net)).meta["training"]
    learnt, chosen = record["trained_on"][0], record["validated_on"][0]
    data = recordings_of.eeg(int(learnt[-1])).data
    shutil.copy(folder / f"{learnt}_raw.fif", folder / "copy_raw.fif")
    new = recordings_of.eeg(77).data

    def save(data: np.ndarray, name: str, **more: object) -> Path:
        return recordings_of.save(recordings_of.Eeg(data, **more), folder / f"{name}_raw.fif")  # type: ignore[arg-type]

    study = [
        Case("what taught", folder / f"{learnt}_raw.fif", None, "x"),
        Case("a renamed copy", folder / "copy_raw.fif", None, None),
        Case("with other channel names", save(data, "names", names=tuple("abcdefgh")), None, None),
        Case("a crop", save(data[:, 1111:6111], "crop"), None, None),
        Case("half of it, half new", save(np.concatenate([data[:, :3750], new[:, :3750]], axis=1), "half"), None, None),
        Case("what chose", folder / f"{chosen}_raw.fif", None, None),
        Case("later, the same person", save(recordings_of.eeg(78).data, "later"), None, f"person {learnt[-1]}"),
        Case(learnt, save(recordings_of.eeg(79).data, "same"), None, None),
        Case("new", save(recordings_of.eeg(80).data, "new"), None, None),
    ]
    found = wb.evaluate("meg_gpt", study, weights=str(net), device="cpu", task="tokens")
    yield from ((case.id, row["seen"], "1 recording") for case, row in zip(study, found.rows, strict=True))
    yield from (("note", note, "") for note in found.notes if "taught" in note)


def main() -> None:
    print("| kind | what | seen | of |\n|---|---|---|---|")
    for kind in (volumes, scenes, recordings):
        with tempfile.TemporaryDirectory() as name:
            for what, mark, count in kind(Path(name)):
                print(f"| {kind.__name__} | {what} | {mark} | {count} |")


if __name__ == "__main__":
    main()
