"""Every nucleus once and whole, however the slide is cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from tests.drawn_nuclei import drawn_maps
from workbench.slide.predict.cells import packed, rules_at, unpacked
from workbench.slide.predict.mosaic import Core, Mosaic, cell_lattice, joined, none, without_fragments
from workbench.slide.predict.nuclei import AT_20X, AT_40X, LEAST, instances
from workbench.slide.predict.traced import connected, traced

RULES = replace(AT_20X, slopes=(-0.4, 0.24))
SHAPE = (600, 700)


@pytest.fixture(scope="module")
def plane():
    return drawn_maps(SHAPE)


def cut_in(plane, core, halo, shift=(0, 0), rules=RULES):
    """All cells of a plane that is cut into cores of that side, the first of which begins at -`shift`."""
    nuclei, hv, types, _ = plane
    pad = tuple((s, -(n + s) % core) for n, s in zip(SHAPE, shift, strict=True))
    nuclei, types = np.pad(nuclei, pad), np.pad(types, pad)
    hv = np.pad(hv, ((0, 0), *pad))
    image = np.full((*nuclei.shape, 3), (120, 60, 140), np.uint8)
    mosaic = Mosaic(core, halo, 4)
    rows, columns = (n // core for n in nuclei.shape)
    for r in range(rows):
        for c in range(columns):
            where = slice(r * core, (r + 1) * core), slice(c * core, (c + 1) * core)
            mosaic.cores[r, c] = Core(
                nuclei[where], hv[:, where[0], where[1]].astype(np.float16), types[where], image[where]
            )
    cells = joined([mosaic.cut((r, c), rules, embeds=False) for r in range(rows) for c in range(columns)])
    return replace(
        cells, coordinates=cells.coordinates - np.array(shift[::-1], np.float32),
        centroids=cells.centroids - np.array(shift[::-1]),
    )  # fmt: skip


def is_inner(points):
    return bool((points > 40).all() and (points < np.array(SHAPE[::-1]) - 40).all())


def outlines(cells):
    return {cells.coordinates[a:b].tobytes() for a, b in zip(cells.offsets, cells.offsets[1:], strict=False)}


def test_what_is_cut_in_pieces_is_what_is_cut_whole(plane):
    nuclei, hv, _, number = plane
    whole = traced(connected(instances(nuclei, hv.astype(np.float16).astype(np.float32), RULES), LEAST))
    assert len(whole) > 0.95 * number, "drawn ones are found"
    right = {whole.coordinates[a:b].tobytes() for a, b in zip(whole.offsets, whole.offsets[1:], strict=False)}
    for core, shift in ((128, (0, 0)), (192, (0, 0)), (192, (48, 80)), (320, (16, 112))):
        cells = cut_in(plane, core, 64, shift)
        assert len(cells) == len(outlines(cells)), "none twice"
        # Slopes are taken over the edge of the plane in another way where it is padded.
        inner = [o for o in right if is_inner(np.frombuffer(o, np.float32).reshape(-1, 2))]
        missing = set(inner) - outlines(cells)
        assert len(missing) <= 0.002 * len(inner), (core, shift, len(missing))
        ends = zip(cells.offsets, cells.offsets[1:], strict=False)
        polygons = [shapely.Polygon(cells.coordinates[a:b]) for a, b in ends]
        assert shapely.is_valid(polygons).all()
        overlaps = shapely.STRtree(polygons).query(polygons, predicate="overlaps")
        assert overlaps.shape[1] == 0, "none over another"


def test_published_scales_change_with_the_tiles(plane):
    """Why the fixed scale is the default: a steep place elsewhere in a tile changes what is found beside it."""
    nuclei, hv, types, number = plane
    torn = hv.copy()
    torn[0, 300:310, 300:340:2] = 8.0
    again = nuclei, torn, types, number
    exact = [len(cut_in(p, 320, 64, rules=AT_20X)) for p in (plane, again)]
    fixed = [len(cut_in(p, 320, 64, rules=RULES)) for p in (plane, again)]
    assert abs(exact[0] - exact[1]) > 5 * abs(fixed[0] - fixed[1])


def test_rules_are_the_published_ones_at_both_scales():
    assert rules_at(0.25, "exact") == AT_40X
    assert rules_at(0.5, "exact") == AT_20X
    assert rules_at(0.35).kernel in (13, 15)
    fine, coarse = rules_at(0.25).slopes, rules_at(0.5).slopes
    assert coarse == pytest.approx([2 * v for v in fine]), "over half as many pixels the slopes are twice as steep"


def test_embeddings_are_means_of_what_lies_under_a_nucleus():
    mosaic = Mosaic(64, 16, 2)
    nuclei, hv = np.zeros((64, 64), bool), np.zeros((2, 64, 64), np.float16)
    nuclei[10:22, 40:56] = True  # 12 x 16 pixels over tokens (0, 2), (0, 3), (1, 2), (1, 3)
    y, x = np.mgrid[10:22, 40:56]
    hv[0, 10:22, 40:56], hv[1, 10:22, 40:56] = (x - 47.5) / 7.5, (y - 15.5) / 5.5
    tokens = np.arange(16, dtype=np.float16).reshape(1, 4, 4)
    image = np.full((64, 64, 3), 255, np.uint8)
    image[nuclei] = (60, 40, 120)
    mosaic.cores[0, 0] = Core(nuclei, hv, nuclei.astype(np.uint8), image, tokens)
    cells = mosaic.cut((0, 0), RULES, embeds=True)
    assert len(cells) == 1
    assert cells.areas.tolist() == [12 * 16]
    # Six of twelve rows and eight of sixteen columns in each of the four tokens 2, 3, 6, 7.
    assert cells.embeddings.tolist() == [[4.5]]
    assert cells.stains[0, 0] > 0.3
    assert cells.types.tolist() == [1]
    assert len(mosaic.cut((0, 1), RULES, embeds=False)) == 0


def test_pieces_come_back_and_nothing_is_nothing(plane):
    cells = cut_in(plane, 320, 64)
    again, damaged = unpacked(packed(cells, []))
    assert damaged == []
    for name in cells.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), getattr(cells, name))
        assert getattr(again, name).dtype == getattr(cells, name).dtype
    assert len(joined([])) == 0
    assert len(joined([none(3), none(3)])) == 0
    some = cells.select(np.arange(len(cells)) % 7 == 3)
    assert outlines(some) <= outlines(cells)
    assert len(some) == (np.arange(len(cells)) % 7 == 3).sum()


@pytest.mark.parametrize("factor", [1.0, 0.9987, 2.0, 2.19])
def test_cores_cover_a_slide_whole(factor):
    tiles = cell_lattice((2220, 2967), factor, 512, 64)
    assert tiles.corner == (-64 * factor, -64 * factor)
    rows, columns = tiles.count
    assert rows * 384 * factor >= 2220 - 1e-6 > (rows - 1) * 384 * factor
    assert columns * 384 * factor >= 2967 - 1e-6 > (columns - 1) * 384 * factor


def at(places, areas):
    count = len(places)
    return replace(
        none(), coordinates=np.zeros((3 * count, 2), np.float32), offsets=np.arange(count + 1) * 3,
        centroids=np.array(places, np.float64), types=np.arange(count, dtype=np.int32), areas=np.array(areas),
        probabilities=np.ones(count, np.float32), eccentricities=np.zeros(count, np.float32),
        stains=np.zeros((count, 2), np.float32), is_cut=np.zeros(count, bool),
        embeddings=np.zeros((count, 0), np.float16),
    )  # fmt: skip


def test_a_torn_nucleus_is_counted_once():
    cells = at([(0, 0), (5.9, 0), (50, 50), (50, 56), (80, 80), (80, 83)], [100, 20, 40, 40, 9, 30])
    assert without_fragments(cells, 6).types.tolist() == [0, 2, 3, 5]
    assert without_fragments(at([(0, 0), (3, 0)], [7, 7]), 6).types.tolist() == [0]
    assert len(without_fragments(none(), 6)) == 0
    assert without_fragments(at([(0, 0)], [7]), 6).types.tolist() == [0]
