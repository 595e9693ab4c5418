"""Files of every kind for the monkey, small ones, and backends that take no time, installed as pip would."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BACKENDS = """[workbench.kinds]
plate = tests.workbench_napari.general.plates:PLATE
[workbench.backends]
bright = tests.workbench_napari.general.plates:BRIGHT
threshold = tests.workbench_napari.shared.threshold:ROW
"""


@dataclass(frozen=True)
class Files:
    """What there is to open, and weights to run."""

    by_kind: dict[str, list[Path]]
    volume_weights: Path
    slide_weights: Path
    recording_weights: Path


def install(folder: Path) -> None:
    """A kind and two backends of strangers, by entry points. To be called before the package looks for them."""
    info = folder / "monkey-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: monkey\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(BACKENDS, encoding="utf-8")
    sys.path.insert(0, str(folder))


def lay(folder: Path) -> Files:
    """Two patients whose files have one name, labels, scenes, recordings, plates, and files that are damaged."""
    from tests.recording_maker import save_raw
    from tests.tiny import (
        make_tiny_meg_weights,
        make_tiny_recording,
        make_tiny_scene,
        make_tiny_slide,
        make_tiny_slide_weights,
        make_tiny_weights,
        make_volume,
    )
    from tests.workbench_napari.general.plates import make_plate

    folder.mkdir(parents=True, exist_ok=True)
    volumes = [
        make_volume(folder / "anna" / "ct.nii.gz", (24, 22, 18), seed=1),
        make_volume(folder / "bert" / "ct.nii.gz", (24, 22, 18), seed=2),
        make_volume(folder / "large.nii.gz", (60, 56, 40), seed=3),
    ]
    recordings = [
        make_tiny_recording(folder / "rest.npy", channels=5, seconds=8.0),
        save_raw(folder / "sensors_raw.fif", seconds=10.0),
        _parcels(folder / "parcels_raw.fif"),
    ]
    plates = [make_plate(folder / "one.plate"), make_plate(folder / "two.plate", ((2, 3, 4), (20, 30, 6)))]
    return Files(
        {
            "volume": volumes,
            "labels": [_labels(folder / "drawn.nii.gz", volumes[0])],
            "scene": [_scene(folder / "scene"), make_tiny_scene(folder / "meadow.npy")],
            "recording": recordings,
            "plate": plates,
            "slide": [make_tiny_slide(folder / "one.ome.tif"), make_tiny_slide(folder / "other.ome.tif", seed=1)],
            "page": [_page(folder / "paper.pdf")],
            "damaged": [_cut(folder / "cut.nii.gz", volumes[0]), _cut(folder / "cut_raw.fif", recordings[1])],
        },
        make_tiny_weights(folder / "volume.safetensors"),
        make_tiny_slide_weights(folder / "slide.safetensors"),
        make_tiny_meg_weights(folder / "meg.safetensors", channels=5),
    )


def _page(path: Path) -> Path:
    """A scan of a drawn page, as a PDF: a picture by itself could be a slide as well."""
    from PIL import Image

    from tests.workbench.page.pages import drawn

    Image.fromarray(drawn(84, "A", "3x4+1", 75.0, "scan").pixels).save(path, resolution=75.0)
    return path


def _labels(path: Path, image: Path) -> Path:
    import nibabel as nib

    below = nib.load(image)
    data = (np.asarray(below.dataobj) > -500).astype(np.uint8)
    data[:, :, 12:] *= 2
    nib.save(nib.Nifti1Image(data, below.affine), path)
    return path


def _scene(folder: Path) -> Path:
    from tests.scene_maker import MAP_INFO, save_envi
    from tests.scenes import scene_arrays

    cube, _ = scene_arrays()
    return save_envi(folder, cube, name="fields", map_info=MAP_INFO)


def _parcels(path: Path) -> Path:
    import mne

    rng = np.random.default_rng(4)
    data = np.cumsum(rng.normal(0, 0.1, (5, 2500)), 1) * 0.2
    info = mne.create_info([f"parcel {n + 1}" for n in range(5)], 250.0, "misc", verbose="ERROR")
    raw = mne.io.RawArray(data, info, verbose="ERROR")
    raw.set_annotations(mne.Annotations([2.0, 5.123456], [0.0, 0.75], ["press", "blink"]))
    raw.save(path, verbose="ERROR")
    return path


def _cut(path: Path, whole: Path) -> Path:
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    return path
