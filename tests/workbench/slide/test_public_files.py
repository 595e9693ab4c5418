"""Every public slide file gives what is right for it: a result, or one line that says what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tiny import make_tiny_slide_weights
from workbench.core.errors import WorkbenchError
from workbench.data import formats
from workbench.slide import stainnet

TILES = {
    "cmu-1-small-region.svs": (38, (2967, 2220), 0.499),
    "he/instanseg_HE.tif": (22, (1484, 1380), 0.50008),
}
NO_SCALE = "not known how many micrometres"
REFUSED = {
    "broken.svs": "OpenSlide knows no slide of this format",
    "openslide/boxes.png": NO_SCALE,
    "openslide/boxes.tiff": NO_SCALE,
    "openslide/boxes_0.dcm": "no tile of 256 x 256 pixels fits",
    "openslide/boxes_1.dcm": "no tile of 256 x 256 pixels fits",
    "openslide/small.svs": "no tile of 256 x 256 pixels fits",
    "openslide/unopenable.tiff": "Unsupported TIFF compression: 52479",
    "openslide/unreadable.svs": "no tile of 256 x 256 pixels fits",
    "dicom_misc/pathml_small.dcm": "Couldn't get image flavor",
    "dicom_misc/highdicom_sm_image.dcm": "no tile of 256 x 256 pixels fits",
    "dicom_misc/highdicom_sm_image_jpegls.dcm": "Unsupported transfer syntax",
    "dicom_misc/highdicom_sm_annotations.dcm": "knows no slide",
    "he/stardist-histo.jpg": NO_SCALE,
    "cellvit_seg/test_1.png": NO_SCALE,
    "cellvit_seg/test_1_instances.png": "grey|pixels of type",
    "ihc/deepliif_Lung1.png": NO_SCALE,
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return make_tiny_slide_weights(tmp_path_factory.mktemp("weights") / "w.safetensors")


def run(path, weights, **more):
    config = stainnet.Config(weights=str(weights), device="cpu", **more)
    model = stainnet.load(config, torch.device("cpu"))
    return stainnet.predict(model, formats.read(path, kind="slide"), config)


@pytest.mark.parametrize("name", TILES)
def test_slides_are_cut_into_tiles(name, shared_data, weights):
    tiles, shape, mpp = TILES[name]
    result = run(shared_data / "slide" / name, weights)
    assert result["embeddings"].data.shape == (tiles, 16)
    assert result.image.geometry.shape == shape
    np.testing.assert_allclose(result.image.pyramid.mpp, mpp, rtol=1e-4)
    assert [note for note in result.provenance.notes if "no whole tile fits" not in note] == []


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused_in_one_line(name, shared_data, weights):
    with pytest.raises(WorkbenchError, match=REFUSED[name]) as told:
        run(shared_data / "slide" / name, weights)
    assert "\n" not in str(told.value)
    assert name.split("/")[-1] in str(told.value)


def test_an_absurd_scale_is_said(shared_data):
    notes = formats.read(shared_data / "slide/openslide/boxes.tiff", kind="slide").notes
    assert any("72 dots per inch" in n and "not believed" in n for n in notes)


@pytest.mark.parametrize("name", ["he/stardist-histo.jpg", "cellvit_seg/test_1.png", "ihc/deepliif_Lung1.png"])
def test_pictures_are_slides_once_their_scale_is_given(name, shared_data, weights):
    result = run(shared_data / "slide" / name, weights, mpp=0.5, tissue=0.0)
    rows, columns = result.image.geometry.shape
    assert len(result["embeddings"].data) == (rows // 256) * (columns // 256)
