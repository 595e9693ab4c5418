"""What every backend must keep, run on the CPU with a tiny but real configuration."""

import pytest

from tests.ihc_maker import draw, write
from tests.tiny import (
    make_page,
    make_tiny_cell_weights,
    make_tiny_meg_weights,
    make_tiny_recording,
    make_tiny_scene,
    make_tiny_scene_weights,
    make_tiny_slide,
    make_tiny_slide_weights,
    make_tiny_weights,
    make_volume,
)
from workbench import api
from workbench.core import kinds, settings
from workbench.core.errors import UsageError
from workbench.core.registry import BUILT_IN, VERBS, find
from workbench.core.samples import demo_weights
from workbench.testing import check_backend, check_kind

# A function per backend that makes (weights file, image file) in a folder.
TINY = {
    "segformer3d": lambda folder: (make_tiny_weights(folder / "w.safetensors"), make_volume(folder / "ct.nii.gz")),
    "lola_specvit": lambda folder: (
        make_tiny_scene_weights(folder / "w.safetensors", make_tiny_scene(folder / "cube.npy")),
        folder / "cube.npy",
    ),
    "meg_gpt": lambda folder: (
        make_tiny_meg_weights(folder / "w.safetensors"),
        make_tiny_recording(folder / "parcels.npy"),
    ),
    "stainnet": lambda folder: (
        make_tiny_slide_weights(folder / "w.safetensors"),
        make_tiny_slide(folder / "slide.ome.tif"),
    ),
    "cellvta": lambda folder: (
        make_tiny_cell_weights(folder / "w.safetensors"),
        make_tiny_slide(folder / "slide.ome.tif"),
    ),
    "ihc": lambda folder: (None, write(folder / "slide.tif", draw(0, 300).pixels)),
    # Random numbers see no traces, and a page without traces is refused: the demo weights are small enough.
    "ecg_image": lambda folder: (demo_weights()["ecg_image"], make_page(folder / "page.png")),
}
VERBS_OF = {"stainnet": ("predict", "train"), "ihc": ("predict", "evaluate")}
WITHOUT_WEIGHTS = {"ihc"}


@pytest.fixture(params=[row.name for row in BUILT_IN])
def tiny(request, tmp_path):
    return find(request.param), *TINY[request.param](tmp_path)


def test_it_keeps_what_every_backend_must_keep(tiny, tmp_path):
    row, weights, path = tiny
    own = {} if weights is None else {"weights": str(weights)}
    check_backend(row, path, folder=tmp_path / "out", **own)


def test_the_row_is_one_of_ours(tiny):
    row, *_ = tiny
    assert row.paper
    assert row.licence == "BSD-3-Clause"
    assert row.verbs == VERBS_OF.get(row.name, ("predict", "train", "evaluate"))
    for name in [VERBS[verb][0] for verb in row.verbs]:
        named = {"weights", "device"} & set(settings.describe(getattr(row.load_module(), name)))
        assert named == (set() if row.name in WITHOUT_WEIGHTS else {"weights", "device"})


@pytest.mark.parametrize("row", kinds.BUILT_IN, ids=lambda row: row.name)
def test_it_keeps_what_every_kind_must_keep(row, tmp_path):
    path = {
        "volume": lambda: make_volume(tmp_path / "ct.nii.gz"),
        "scene": lambda: make_tiny_scene(tmp_path / "scene.npy"),
        "recording": lambda: make_tiny_recording(tmp_path / "parcels.npy"),
        "slide": lambda: make_tiny_slide(tmp_path / "slide.ome.tif"),
        "page": lambda: make_page(tmp_path / "page.png"),
    }[row.name]()
    image = check_kind(row, path, folder=tmp_path / "out")
    assert image.kind == row.name


def test_unknown_settings_are_errors_with_the_nearest_name(tiny):
    row, _, path = tiny
    right = "weights" if row.name not in WITHOUT_WEIGHTS else "positive"
    with pytest.raises(UsageError, match=f"Did you mean '{right}'"):
        api.predict(row.name, path, **{right[:-3] + right[:-4:-1]: "1"})


def test_unknown_backend_is_an_error_with_the_nearest_name():
    with pytest.raises(UsageError, match="Did you mean 'segformer3d'"):
        api.predict("segformer", "x.nii")
