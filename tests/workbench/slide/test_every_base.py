"""One piece of real tissue stored at several bases and in several pyramids: the same tiles and the same embeddings.

The pixels of a real slide are taken for 0.25 um each, so that the finest base is as sharp as its pixels; its size is a
multiple of the pixels of every level, so that no rounding hides a fault. Embeddings alone would tell a scale that is
wrong by 5 % on tiles full of tissue, and no shift of a pixel: so places and pixels are compared, too. ``pytest -s -m
slow`` prints the table.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from safetensors.torch import load_file

from tests.workbench.slide.data.zarr_maker import make_ome_zarr
from workbench.core.errors import InputError, UsageError
from workbench.data import formats
from workbench.nets.vit import SMALL, VisionTransformer
from workbench.slide.data.resample import ratio, upsampling_note
from workbench.slide.data.stream import TileStream
from workbench.slide.data.tiles import lattice
from workbench.slide.predict.embed import embed

FINEST, TARGET, SIZE = 0.25, 0.5, 256
HEIGHT, WIDTH = 672.0, 480.0
"""Micrometres: multiples of 96, and so of 16 pixels of every base."""
BASES = (0.25, 0.3, 0.4, 0.5)
LEAST = 0.98
"""Of the cosine between embeddings of a tile from any two files."""
FULL = (5, 8, 11)
"""Tiles that are 70 to 90 % tissue; others are half glass, and look alike to the network at any scale."""


@pytest.fixture(scope="module")
def master(shared_data):
    slide = formats.read(shared_data / "slide" / "cmu-1-small-region.svs", hint="slide")
    return slide.pyramid.read(0, 100, 100, round(HEIGHT / FINEST), round(WIDTH / FINEST))


@pytest.fixture(scope="module")
def net(shared_parity):
    made = VisionTransformer(**SMALL)
    state = load_file(shared_parity / "stainnet_small_weights_fp16.safetensors")
    made.load_state_dict({k: v.float() for k, v in state.items()})
    return made.eval()


def planes(master, mpp, steps):
    """The levels: each from the master, at once, by another filter than tiles are read with."""
    sizes = [(round(WIDTH / mpp / s), round(HEIGHT / mpp / s)) for s in steps]
    assert all(w * mpp * s == pytest.approx(WIDTH) for (w, _), s in zip(sizes, steps, strict=True))
    picture = Pillow.fromarray(master)
    return [np.asarray(picture.resize(size, Pillow.Resampling.HAMMING)) for size in sizes]


def tiled(steps):
    def save(path, master, mpp):
        path = path.with_name(f"{path.name}.tif")
        with tifffile.TiffWriter(path) as file:
            for number, (plane, step) in enumerate(zip(planes(master, mpp, steps), steps, strict=True)):
                options = {"resolution": (1e4 / mpp / step,) * 2, "resolutionunit": "CENTIMETER"}
                file.write(plane, tile=(256, 256), photometric="rgb", subfiletype=int(number > 0), **options)
        return path

    return save


def ome_tiff(path, master, mpp):
    path = path.with_name(f"{path.name}.ome.tif")
    first, *others = planes(master, mpp, (1, 2, 4))
    about = {"axes": "YXS", "PhysicalSizeX": mpp * 1e-4, "PhysicalSizeXUnit": "cm"}
    about |= {"PhysicalSizeY": mpp * 1e-4, "PhysicalSizeYUnit": "cm"}
    with tifffile.TiffWriter(path) as file:
        options = {"tile": (256, 256), "photometric": "rgb", "compression": "zlib"}
        file.write(first, subifds=len(others), metadata=about, **options)
        for plane in others:
            file.write(plane, subfiletype=1, **options)
    return path


def ome_zarr(path, master, mpp):
    return make_ome_zarr(path.with_name(f"{path.name}.ome.zarr"), planes(master, mpp, (1, 2, 4)), mpp, chunk=256)


SHAPES = {
    "TIFF 1 2 4": tiled((1, 2, 4)), "TIFF 1 4 16": tiled((1, 4, 16)), "TIFF 1": tiled((1,)), "OME-TIFF cm": ome_tiff,
    "OME-Zarr": ome_zarr,
}  # fmt: skip


def found_in(path, net, chosen):
    """Corners of all tiles in micrometres, and embeddings ``(N, D)`` of those that are chosen."""
    pyramid = formats.read(path, hint="slide").pyramid
    rows, columns = pyramid.levels[0].shape
    tiles = lattice((0, 0, rows, columns), ratio(pyramid, TARGET), SIZE)
    stream = TileStream(pyramid, tiles, chosen, threads=2)
    pixels = dict(stream)
    numbers, features = embed(net, pixels.items(), batch=len(chosen))
    assert numbers.tolist() == list(chosen)
    assert not stream.damaged
    return pyramid, tiles.places() * pyramid.mpp, features / np.linalg.norm(features, axis=1, keepdims=True), pixels


def shift_of(one, other):
    """The shift (y, x) of at most a pixel at which two tiles differ least."""
    a, b = (t.astype(float).mean(axis=2) for t in (one, other))
    places = list(itertools.product((-1, 0, 1), repeat=2))
    return min(places, key=lambda s: np.abs(np.roll(a, s, (0, 1)) - b)[4:-4, 4:-4].mean())


def compared(folder, master, net, cases, chosen):
    """Test all files against each other; gives the smallest and the mean cosine for every pair."""
    places, features, pixels = {}, {}, {}
    for shape, mpp in cases:
        path = SHAPES[shape](folder / f"{shape.replace(' ', '_')}_{mpp}", master, mpp)
        pyramid, places[shape, mpp], features[shape, mpp], pixels[shape, mpp] = found_in(path, net, chosen)
        assert pyramid.mpp == pytest.approx((mpp, mpp), rel=1e-4), (shape, mpp)
        # Not side by side by chance: tiles of one file differ from each other more than files do.
        own = features[shape, mpp] @ features[shape, mpp].T
        assert own[~np.eye(len(own), dtype=bool)].min() < 0.9
    table = {}
    for a, b in itertools.combinations(cases, 2):
        assert places[a].shape == places[b].shape == (15, 2), (a, b)
        assert np.abs(places[a] - places[b]).max() < min(a[1], b[1]), (a, b)
        for tile in FULL:
            assert shift_of(pixels[a][tile], pixels[b][tile]) == (0, 0), (a, b, tile)
        cosines = (features[a] * features[b]).sum(axis=1)
        assert cosines.min() > LEAST, (a, b, cosines.min())
        table[a, b] = float(cosines.min()), float(cosines.mean())
    return table


def test_bases_and_readers_give_the_same_tiles(master, net, tmp_path):
    cases = [("TIFF 1", 0.25), ("OME-TIFF cm", 0.5), ("OME-Zarr", 0.3)]
    compared(tmp_path, master, net, cases, FULL)


@pytest.mark.slow
def test_every_base_in_every_pyramid_gives_the_same_tiles(master, net, tmp_path):
    cases = [(shape, mpp) for shape in SHAPES for mpp in BASES]
    table = compared(tmp_path, master, net, cases, range(15))
    print()
    for one, other in itertools.combinations_with_replacement(BASES, 2):
        some = [v for (a, b), v in table.items() if {a[1], b[1]} == {one, other}]
        print(f"{one:g} and {other:g} um: {len(some)} pairs, cosine at least {min(v[0] for v in some):.5f}, mean "
              f"{np.mean([v[1] for v in some]):.5f}")  # fmt: skip
    for shape in SHAPES:
        some = [v for (a, b), v in table.items() if shape in (a[0], b[0])]
        print(f"{shape:<12}: with any other at least {min(v[0] for v in some):.5f}")


def test_a_scale_that_is_wrong_by_a_twentieth_and_a_shift_by_a_pixel_would_be_seen(master, net, tmp_path):
    right = SHAPES["TIFF 1"](tmp_path / "right", master, 0.25)
    wrong = SHAPES["TIFF 1"](tmp_path / "wrong", master, 0.25)
    with tifffile.TiffFile(wrong, mode="r+b") as file:
        for name in ("XResolution", "YResolution"):
            file.pages[0].tags[name].overwrite((int(1e4 / 0.2625 * 1000), 1000))
    (_, _, a, tiles), (_, _, b, _) = found_in(right, net, FULL), found_in(wrong, net, FULL)
    assert (a * b).sum(axis=1).min() < LEAST
    for tile in FULL:
        assert shift_of(np.roll(tiles[tile], 1, 1), tiles[tile]) == (0, -1)


@pytest.mark.parametrize("mpp", [0.5026, 0.52])
def test_a_little_enlargement_is_done_and_said(tmp_path, mpp):
    path = make_ome_zarr(tmp_path / "a.zarr", [np.full((600, 600, 3), 200, np.uint8)], mpp)
    pyramid = formats.read(path).pyramid
    assert ratio(pyramid, TARGET) == pytest.approx(TARGET / mpp)
    assert f"enlarged from {mpp:g} um ({100 * (mpp / TARGET - 1):.1f} %)" in upsampling_note(pyramid, TARGET)


def test_more_enlargement_is_refused_unless_it_is_asked_for(tmp_path):
    path = make_ome_zarr(tmp_path / "a.zarr", [np.full((600, 600, 3), 200, np.uint8)], 0.53)
    pyramid = formats.read(path).pyramid
    with pytest.raises(UsageError, match="too coarse"):
        ratio(pyramid, TARGET)
    assert ratio(pyramid, TARGET, allow_upsample=True) == pytest.approx(TARGET / 0.53)
    assert "6.0 %" in upsampling_note(pyramid, TARGET)
    unknown = formats.read(make_ome_zarr(tmp_path / "b.zarr", [np.full((600, 600, 3), 200, np.uint8)], None)).pyramid
    with pytest.raises(InputError, match="it is not known how many micrometres"):
        ratio(unknown, TARGET, allow_upsample=True)


def test_the_finest_that_is_not_enlarged_says_nothing(tmp_path):
    path = make_ome_zarr(tmp_path / "a.zarr", [np.full((600, 600, 3), 200, np.uint8)], 0.5)
    assert upsampling_note(formats.read(path).pyramid, TARGET) == ""
