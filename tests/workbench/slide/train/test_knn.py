"""Neighbours vote as scikit-learn's do; labels of tiles are those of the region that covers them."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from tests.stained_slides import make_cases
from tests.workbench.slide.train.tiny_training import config
from workbench.core.errors import UsageError
from workbench.core.objects import Objects
from workbench.data.objects import read_objects
from workbench.slide.data.tiles import Lattice
from workbench.slide.train.knn import (
    colour_histogram,
    knn_predict,
    knn_score,
    labels_of_tiles,
    own_view_found,
    spread,
)
from workbench.slide.train.tiles_of import SlideTiles, tiles_of


def data(seed, count, classes=4, dim=12):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=count)
    return (rng.standard_normal((count, dim)) + 1.2 * np.eye(classes, dim)[labels]).astype(np.float32), labels


@pytest.mark.parametrize("k", [1, 5, 20])
def test_votes_as_scikit_learn(k):
    (x, y), (queries, truth) = data(0, 300), data(1, 200)
    right = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(x, y).predict(queries)
    assert (knn_predict(x, y, queries, k) == right).all()
    score = knn_score(x, y, queries, truth, k)
    assert score.accuracy == pytest.approx((right == truth).mean())
    assert score.balanced == pytest.approx(balanced_accuracy_score(truth, right))
    assert (score.k, score.references, score.queries) == (k, 300, 200)


def test_few_references_and_none():
    x, y = data(0, 3)
    assert knn_score(x, y, x, y, 20).k == 3
    with pytest.raises(UsageError, match="N > 0"):
        knn_predict(x[:0], y[:0], x)


def test_colours_tell_colours_apart_and_nothing_else():
    blue, brown = (np.full((16, 16, 3), c, np.uint8) for c in ((90, 110, 190), (150, 95, 55)))
    mixed = blue.copy()
    mixed[::2] = 150, 95, 55
    other = np.concatenate([mixed[::2], mixed[1::2]])  # the same pixels elsewhere
    found = colour_histogram([blue, brown, mixed, other])
    assert found.shape == (4, 512)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert found[0] @ found[1] == 0
    assert found[0] @ found[2] == pytest.approx(np.sqrt(0.5))
    assert (found[2] == found[3]).all()


def test_views_and_spread():
    x, _ = data(2, 50)
    assert own_view_found(x, 3 * x) == 1
    assert own_view_found(x, np.roll(x, 1, 0)) == 0
    assert spread(np.random.default_rng(0).standard_normal((2000, 64))) == pytest.approx(1, abs=0.02)
    assert spread(np.ones((50, 64)) + 1e-4) == pytest.approx(0, abs=1e-9)


def test_labels_are_of_the_region_that_covers_a_tile(tmp_path):
    case = make_cases(tmp_path, 1)[0]
    slide = tiles_of(case, config(min_tissue=0.3, stride=32))
    regions = read_objects(case.labels)
    found = labels_of_tiles(slide, regions)
    side = slide.lattice.side
    for (x, y), value in zip(slide.places(), found, strict=True):
        rows = min(y + side, 672) - max(y, 96)
        left, right = (max(0.0, min(x + side, b) - max(x, a)) for a, b in ((96, 384), (384, 672)))
        shares = [rows * w / side**2 for w in (left, right)]
        if max(shares) > 0.7:
            assert value == 1 + int(np.argmax(shares))
        elif max(shares) < 0.5:
            assert value == 0
    assert set(found) == {0, 1, 2}


def test_holes_are_not_of_the_region(tmp_path):
    slide = tiles_of(make_cases(tmp_path, 1)[0], config(stride=48))
    outline = np.array([(0, 0), (768, 0), (768, 768), (0, 768)], float)
    hole = np.array([(200, 200), (500, 200), (500, 500), (200, 500)], float)
    found = labels_of_tiles(slide, Objects.from_polygons([[outline, hole]], class_values=[3]))
    middle = slide.places() + slide.lattice.side / 2
    deep = ((middle > 250) & (middle < 450)).all(1)
    assert deep.any()
    assert (found[deep] == 0).all()
    assert (found[(middle > 560).any(1)] == 3).all()


def tile_at(x, y, size=12):
    """A slide whose one tile lies there."""
    tiles = Lattice((x, y), 1.0, size, size, (1, 1))
    return SlideTiles(None, None, tiles, np.array([0]), 1)


def test_a_tile_is_of_the_region_that_has_the_centres_of_its_cells():
    """Twelve cells along a tile of 12 pixels: a region to 5.25 has five of their centres, one to 6 has six."""
    slide = tile_at(100.0, 40.0)

    def labelled(end, least):
        region = np.array([(90, 30), (100 + end, 30), (100 + end, 60), (90, 60)], float)
        return labels_of_tiles(slide, Objects.from_polygons([region], class_values=[2]), least).tolist() == [2]

    assert labelled(6.0, 0.5), "half of it is covered, and half is the least"
    assert not labelled(6.0, 0.51)
    assert not labelled(5.25, 0.5)
    assert labelled(5.25, 0.41)
    assert not labelled(5.25, 0.42)
    assert labelled(5.75, 0.5)
