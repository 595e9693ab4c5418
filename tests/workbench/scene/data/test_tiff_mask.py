"""Pixels that a TIFF file masks hold no data: read, learnt, scored and mapped as rasterio's masks say."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile

import workbench as wb
from tests.workbench.scene.contract_cases import digital, envi, train, truth
from workbench.core.errors import InputError
from workbench.data import formats
from workbench.scene.data.scene import open_blocks
from workbench.scene.data.spectra import fit, valid_map
from workbench.scene.data.tiff_layout import directories
from workbench.scene.train.begin import recipe_of
from workbench.scene.train.settings import SceneTrainConfig

ROWS, COLUMNS = 24, 20


def cube(dtype=np.int16, bands=6):
    rng = np.random.default_rng(3)
    return (rng.integers(100, 3000, (bands, ROWS, COLUMNS))).astype(dtype)


def hidden():
    """0 where a pixel is masked: four rows, and one pixel by itself."""
    mask = np.full((ROWS, COLUMNS), 255, np.uint8)
    mask[:4] = 0
    mask[9, 7] = 0
    return mask


def write(path: Path, data, mask=None, *, internal=True, **profile) -> Path:
    names = {"driver": "GTiff", "count": len(data), "height": data.shape[1], "width": data.shape[2]}
    with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", **names, dtype=data.dtype.name, **profile) as f:
            f.write(data)
            if mask is not None:
                f.write_mask(mask)
    return path


def asked(path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as f:
            return f.read(), f.dataset_mask() > 0


WAYS = {
    "page": {},
    "page, deflate": {"compress": "deflate"},
    "page, tiles": {"compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16},
    "page, lzw": {"compress": "lzw"},
    "beside": {"internal": False},
    "beside, deflate": {"internal": False, "compress": "deflate"},
    "and a no-data value": {"nodata": -9999},
}


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.uint8])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_masked_pixels_are_empty_and_the_others_as_they_are(tmp_path, way, dtype):
    if dtype == np.uint8 and "nodata" in way:
        way = {"nodata": 255}
    data = cube(np.int16).astype(dtype) if dtype != np.uint8 else (cube() % 250).astype(np.uint8)
    path = write(tmp_path / "s.tif", data, hidden(), **way)
    stored, valid = asked(path)
    image = wb.read(path)
    assert not valid[0, 0]
    assert "mask" in " ".join(image.notes)
    found = valid_map(image, fit(image, recipe_of(SceneTrainConfig(components=3), image)))
    assert np.array_equal(found, valid)
    assert np.array_equal(image.data[:, valid], stored[:, valid])
    part = open_blocks(wb.read(path)).read(slice(2, 12, 3), slice(5, 9), [4, 1])
    assert np.array_equal(part, image.data[[4, 1], 2:12:3, 5:9], equal_nan=True)
    names = {f.name for f in image.all_files}
    assert names == {f.name for f in formats.input_files(path)}
    assert (path.name + ".msk" in names) == (way.get("internal") is False)


def test_an_alpha_band_masks_and_is_named(tmp_path):
    data = cube(np.uint16, 4)
    data[-1] = np.where(hidden(), 65535, 0)
    image = wb.read(write(tmp_path / "a.tif", data, photometric="RGB", ALPHA="YES"))
    assert "alpha" in image.notes[0]
    assert "stays a band" in image.notes[0]
    assert len(image.channels) == 4
    assert np.array_equal(np.isfinite(image.data[0]), hidden() > 0)


def test_a_file_without_a_mask_is_read_as_before(tmp_path):
    image = wb.read(write(tmp_path / "s.tif", cube()))
    assert image.dtype == np.int16
    assert image.notes == ()
    assert np.array_equal(image.data, cube())


def test_a_masked_class_map_has_no_label_there(tmp_path):
    classes = (1 + cube(np.uint8, 1) % 3).astype(np.uint8)
    path = write(tmp_path / "gt.tif", classes, hidden())
    stored, valid = asked(path)
    assert np.array_equal(wb.read_labels(path).data, np.where(valid, stored[0], 0))
    no_data = write(tmp_path / "value.tif", classes, nodata=3)
    stored, valid = asked(no_data)
    assert np.array_equal(wb.read_labels(no_data).data, np.where(valid, stored[0], 0))


def test_masks_that_do_not_fit_are_refused(tmp_path):
    path = write(tmp_path / "s.tif", cube(), hidden(), internal=False)
    other = write(tmp_path / "o.tif", cube()[:, :-2], hidden()[:-2], internal=False)
    shutil.copy(f"{other}.msk", f"{path}.msk")
    with pytest.raises(InputError, match=r"s.tif.msk: the mask has 22 rows"):
        wb.read(path)
    pages = tmp_path / "pages.tif"
    tifffile.imwrite(pages, cube(), photometric="minisblack")
    shutil.copy(f"{other}.msk", f"{pages}.msk")
    with pytest.raises(InputError, match="several pages and a mask"):
        wb.read(pages)
    Path(f"{path}.msk").write_bytes(b"II*\0 no mask")
    with pytest.raises(InputError, match=r"s.tif.msk: damaged"):
        wb.read(path)


def test_one_wrong_bit_in_a_packed_mask_is_found(tmp_path):
    path = write(tmp_path / "s.tif", cube(), hidden(), compress="deflate")
    page = next(p for p in directories(path) if p.subfile & 4)
    content = bytearray(path.read_bytes())
    content[int(page.offsets[0]) + int(page.counts[0]) - 1] ^= 1  # of its checksum
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        _ = wb.read(path).data


def test_masked_pixels_are_neither_learnt_nor_mapped(tmp_path):
    weights, _ = train(tmp_path)
    data, mask = digital(), np.full(truth().shape, 255, np.uint8)
    mask[:6] = 0
    path = write(tmp_path / "masked.tif", data, mask)
    right = wb.predict("lola_specvit", envi(tmp_path, "again", data), weights=str(weights), device="cpu").labels.data
    result = wb.predict("lola_specvit", path, weights=str(weights), device="cpu")
    assert np.array_equal(result.labels.data, np.where(mask, right, 0))
    assert any("has a mask" in n for n in result.provenance.notes)


def test_the_masked_scene_of_the_cases(shared_cases):
    path = shared_cases / "scenes" / "internal_mask.tif"
    image = wb.read(path)
    stored, valid = asked(path)
    found = valid_map(image, fit(image, recipe_of(SceneTrainConfig(components=3), image)))
    assert np.array_equal(found, valid)
    assert (~found).sum() == 80
    assert np.array_equal(image.data[:, valid], stored[:, valid])
