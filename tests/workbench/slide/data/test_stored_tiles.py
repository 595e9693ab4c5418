"""Tiles decoded as they are stored show what OpenSlide shows, or OpenSlide is asked."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile

from workbench.core.errors import InputError
from workbench.core.samples import sample_files
from workbench.slide.data import ome_tiff, tiff_tiles, wsi
from workbench.slide.data.stored_tiles import StoredTiles


def stored(slide: wsi.SlideFile, sizes=None) -> StoredTiles:
    return StoredTiles(slide.path, sizes or slide.sizes, slide.downsamples, slide.read_region)


@pytest.fixture
def sample(tmp_path):
    return shutil.copy(sample_files()["slide_9301"], tmp_path / "a.tif")


def regions(size, count=25):
    random = np.random.default_rng(3)
    for _ in range(count):
        height, width = (int(random.integers(1, min(n, 600) + 1)) for n in size)
        yield int(random.integers(size[0] - height + 1)), int(random.integers(size[1] - width + 1)), height, width


def test_every_level_of_a_tiled_tiff_shows_what_openslide_shows(sample):
    slide = wsi.SlideFile(sample)
    tiles = stored(slide)
    assert len(slide.sizes) == 3
    for level, size in enumerate(slide.sizes):
        for region in regions(size):
            found = tiles.read(level, *region)
            assert found is not None
            assert np.array_equal(found, slide.read_region(level, *region))
            assert np.array_equal(found, slide.read(level, *region))


def test_colours_that_were_never_turned_and_tables_that_stand_once(shared_data):
    slide = wsi.SlideFile(shared_data / "slide" / "cmu-1-small-region.svs")
    with tifffile.TiffFile(slide.path) as file:
        assert (int(file.pages[0].photometric), file.pages[0].jpegtables is None) == (2, False)
    tiles = stored(slide)
    for region in regions(slide.sizes[0]):
        assert np.array_equal(tiles.read(0, *region), slide.read_region(0, *region))


def test_formats_of_other_makers_are_left_to_openslide(shared_data):
    file = next((shared_data / "slide" / "cmu1_dicom").glob("*.dcm"))
    assert wsi.SlideFile(file)._stored_tiles() is None


def test_what_openslide_shows_otherwise_is_left_to_it(sample):
    slide = wsi.SlideFile(sample)
    other = StoredTiles(slide.path, slide.sizes, slide.downsamples, lambda *place: slide.read_region(*place) ^ 1)
    assert other.read(0, 0, 0, 64, 64) is None
    assert stored(slide, [(2561, 3840)]).read(0, 0, 0, 64, 64) is None, "no page of that size"


def tile_of(path):
    """Number, place of the bytes, their count and (row, column, height, width) of a tile that is no blank one."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        index = int(np.argsort(page.databytecounts)[len(page.databytecounts) // 2])
        across, side = -(-page.shape[1] // page.tilewidth), page.tilewidth
        place = (index // across * side, index % across * side, side, side)
        return index, page.dataoffsets[index], page.databytecounts[index], place


@pytest.mark.parametrize("how", ["cut off", "ends early", "no beginning"])
def test_damaged_tiles_are_never_filled_with_grey(sample, how):
    index, at, length, place = tile_of(sample)
    content = bytearray(sample.read_bytes())
    middle = at + length // 2
    if how == "cut off":
        content[middle : at + length] = bytes(at + length - middle)
    elif how == "ends early":
        content[middle : middle + 2] = b"\xff\xd9"
    else:
        content[at : at + 20] = bytes(20)
    sample.write_bytes(content)
    slide = wsi.SlideFile(sample)
    assert stored(slide).read(0, *place) is None
    with pytest.raises(InputError, match="cannot be decoded"):
        slide.read(0, *place)
    with pytest.raises(InputError, match=f"level 0, tile {index} cannot be decoded"):
        ome_tiff.read(sample).pyramid.read(0, *place)


def test_noise_in_a_tile_gives_what_openslide_gives_or_nothing(sample):
    _, at, length, place = tile_of(sample)
    good = sample.read_bytes()
    refused = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        content = bytearray(good)
        start = at + int(random.integers(20, length - 64))
        content[start : start + 64] = random.integers(0, 256, 64, np.uint8).tobytes()
        sample.write_bytes(content)
        slide = wsi.SlideFile(sample)
        found = stored(slide).read(0, *place)
        try:
            other = slide.read_region(0, *place)
        except InputError:
            refused += 1
            assert found is None
        else:
            assert found is None or np.array_equal(found, other)
    assert refused >= 3


def test_a_tile_that_was_never_stored_is_left_to_openslide(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((256, 256, 3), np.uint8), tile=(64, 64), photometric="rgb", compression="jpeg",
                     metadata=None)  # fmt: skip
    with tifffile.TiffFile(path, mode="r+") as file:
        tag = file.pages[0].tags["TileByteCounts"]
        tag.overwrite([0, *tag.value[1:]])
    slide = wsi.SlideFile(path)
    assert stored(slide).read(0, 0, 0, 32, 32) is None
    assert stored(slide).read(0, 0, 64, 32, 32) is not None
    assert slide.read(0, 0, 0, 32, 32).min() == 255, "white: never scanned"


def test_bytes_beyond_the_end_are_named(tmp_path, sample):
    with tifffile.TiffFile(sample, mode="r+") as file:
        tag = file.pages[0].tags["TileByteCounts"]
        tag.overwrite([*tag.value[:-1], 1 << 30])
    with pytest.raises(InputError, match="its bytes lie beyond the end of the file"):
        ome_tiff.read(sample).pyramid.read(0, 2540, 3800, 10, 10)


def test_decoded_tiles_are_kept_up_to_a_limit(sample, monkeypatch):
    monkeypatch.setattr(tiff_tiles, "_CACHE_BYTES", 3 * 256 * 256 * 3)
    tiles = ome_tiff.TiffLevels(sample).tiles
    for number in range(8):
        assert tiles.tile(0, number) is tiles.tile(0, number)
    assert sorted(n for _, n in tiles._kept) == [5, 6, 7]
    assert tiles._kept_bytes == 3 * 256 * 256 * 3
