"""A probe on embeddings: what it learns, and that what taught never judges."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError
from workbench.slide.few_shot import AUROC, BALANCED, F1, HEADS, Examples, folds_of, learn_tiles, scores_of, touching

CLASSES = ClassTable.from_names(["one", "two", "three"])


def examples(regions=4, tiles=6, *, classes=3, spread=0.3, region_shift=0.0, groups=None, step=200.0, seed=0):
    """Tiles of regions of classes; embeddings of a class lie around its corner, those of a region are shifted."""
    rng = np.random.default_rng(seed)
    features, values, units, corners, slides = [], [], [], [], []
    for kind in range(classes):
        for r in range(regions):
            shift = rng.normal(0, region_shift, 8) if region_shift else np.zeros(8)
            for t in range(tiles):
                features.append(2.0 * np.eye(8)[kind] + shift + rng.normal(0, spread, 8))
                values.append(kind + 1)
                units.append(kind * regions + r)
                corners.append((t * step, (kind * regions + r) * 1000.0))
                slides.append(r % len(groups) if groups else 0)
    for _ in range(30):  # nobody marked these
        features.append(rng.normal(0, 1, 8))
        values.append(0)
        units.append(-1)
        corners.append((50_000 + rng.uniform(0, 1000), 0))
        slides.append(0)
    count = len(values)
    return Examples(
        np.array(features, np.float32), np.array(values, np.int64), np.array(units, np.int64),
        np.array(slides, np.int64), np.array(corners, float), np.full(count, 200.0), tuple(groups or ("p",)),
    )  # fmt: skip


@pytest.mark.parametrize("how", ["logistic", "knn"])
def test_classes_that_can_be_told_apart_are(how):
    own = examples()
    taught = learn_tiles(own, CLASSES, how)
    assert taught.scores[BALANCED] > 0.95
    assert taught.scores["regions right"] == 1
    assert taught.tiles == {"one": 24, "two": 24, "three": 24}
    assert taught.regions == {"one": 4, "two": 4, "three": 4}
    odds = taught.head.probabilities(own.features)
    np.testing.assert_allclose(odds.sum(1), 1, rtol=1e-5)
    again = HEADS[how].of(taught.head.tensors(), CLASSES).probabilities(own.features)
    np.testing.assert_array_equal(again, odds)


@pytest.mark.parametrize("how", ["logistic", "knn"])
def test_regions_that_look_like_themselves_alone_get_no_good_score(how):
    """Each region has a look of its own, classes have none: with its tiles on both sides it would seem perfect."""
    scores = []
    for seed in range(6):
        own = examples(5, 8, spread=0.05, region_shift=2.0, seed=seed)
        own.features[own.values > 0] -= 2.0 * np.eye(8, dtype=np.float32)[own.values[own.values > 0] - 1]
        scores.append(learn_tiles(own, CLASSES, how).scores[BALANCED])
    assert np.mean(scores) < 0.6


def test_a_region_is_on_one_side_and_every_class_on_both():
    own = examples(3)
    fold, said = folds_of(own)
    assert "9 regions in 3 folds" in said
    for region in np.unique(own.regions[own.values > 0]):
        assert len(np.unique(fold[own.regions == region])) == 1
    for number in range(3):
        assert set(own.values[fold == number].tolist()) == {1, 2, 3}
    assert (fold[own.values == 0] == -1).all()


def test_patients_are_kept_whole_where_each_class_has_two():
    own = examples(4, groups=["p1", "p2", "p3", "p3"])
    fold, said = folds_of(own)
    assert "3 patients" in said
    patient = np.array([["p1", "p2", "p3", "p3"][s] for s in own.slides])
    for name in ("p1", "p2", "p3"):
        assert len(np.unique(fold[(patient == name) & (own.values > 0)])) == 1
    one_only = examples(4, groups=["p1", "p2"])
    one_only.slides[one_only.values == 3] = 0  # the third class was marked on one patient
    fold, said = folds_of(one_only)
    assert "patients are on both sides" in said
    assert len(np.unique(fold[fold >= 0])) > 1


def test_one_region_of_a_class_is_not_scored_and_one_class_is_refused():
    own = examples(1)
    taught = learn_tiles(own, CLASSES)
    assert taught.scores == {}
    assert "not validated" in taught.validation
    assert (taught.head.probabilities(own.features).argmax(1)[:6] == 0).all()
    with pytest.raises(UsageError, match="only 'one' is marked"):
        learn_tiles(examples(3, classes=1), CLASSES)


def test_neighbours_that_share_pixels_change_what_is_learnt():
    """Of two classes that differ by nothing but their place, overlapping tiles of one tissue would give it away."""
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(8):
        looks = rng.normal(0, 1, (8, 6))
        features = np.repeat(looks, 2, 0) + rng.normal(0, 0.01, (16, 6))
        # Pairs of tiles that overlap, in two regions of one class each.
        corners = np.array([(1000.0 * (i // 2) + 60.0 * (i % 2), 0.0) for i in range(16)])
        values = np.repeat([1, 2], 8)
        regions = np.array([2 * (i // 8) + i % 2 for i in range(16)])
        own = Examples(
            features.astype(np.float32), values, regions, np.zeros(16, np.int64), corners, np.full(16, 200.0), ("p",)
        )
        scores.append(learn_tiles(own, ClassTable.from_names(["a", "b"]), "knn").scores.get(BALANCED, 0.0))
    assert np.mean(scores) < 0.75


def test_a_class_that_marks_no_tile_is_left_out():
    own = examples(3)
    own.values[own.values == 2] = 0
    taught = learn_tiles(own, CLASSES)
    assert taught.classes.names == ("one", "three")
    assert [c.value for c in taught.classes] == [1, 2]
    assert taught.scores[BALANCED] > 0.95
    assert taught.head.probabilities(own.features).shape[1] == 2


def test_a_region_counts_as_right_where_most_of_it_is():
    truth, regions = np.array([1, 1, 1, 2, 2, 2]), np.array([0, 0, 0, 1, 1, 1])
    odds = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.9, 0.1], [0.8, 0.2], [0.1, 0.9]], np.float32)
    scores, _ = scores_of(truth, odds, ClassTable.from_names(["a", "b"]), regions)
    assert scores["regions right"] == 0.5


def test_tiles_that_share_pixels_with_one_that_judges_do_not_teach():
    own = examples(2, 3)
    judges, teaches = np.array([0]), np.array([1, 2])
    assert touching(own, teaches, judges).size == 0, "side by side"
    own.corners[1] = own.corners[0] + (150, 0)
    own.corners[2] = own.corners[0] + (0, 199)
    assert touching(own, teaches, judges).tolist() == [1, 2]
    own.slides[1] = 1
    assert touching(own, teaches, judges).tolist() == [2], "another slide"
    near = examples(2, 3)
    near.corners[near.regions == 1, 1] = near.corners[near.regions == 0, 1] + 100
    taught = learn_tiles(near, CLASSES)
    assert "6 times a tile did not teach" in taught.validation or "no scores" in taught.validation


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(3)
    truth = rng.integers(1, 4, 200)
    odds = rng.dirichlet(np.ones(3), 200).astype(np.float32)
    odds[np.arange(200), truth - 1] += 0.4
    odds /= odds.sum(1, keepdims=True)
    scores, confusion = scores_of(truth, odds, CLASSES)
    said = odds.argmax(1) + 1
    assert scores[BALANCED] == pytest.approx(balanced_accuracy_score(truth, said))
    assert scores[F1] == pytest.approx(f1_score(truth, said, average="macro"))
    assert scores[AUROC] == pytest.approx(roc_auc_score(truth, odds, multi_class="ovr"))
    assert confusion.sum() == 200
    assert confusion[0, 1] == ((truth == 1) & (said == 2)).sum()


def test_many_examples_of_one_class_do_not_win_by_number():
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(0, 1, (300, 4)), rng.normal(2.2, 1, (6, 4))]).astype(np.float32)
    values = np.repeat([1, 2], [300, 6])
    two = ClassTable.from_names(["one", "two"])
    for how in ("logistic", "knn"):
        head = HEADS[how].fitted(features, values, two)
        fresh = rng.normal(2.2, 1, (200, 4)).astype(np.float32)
        assert (head.probabilities(fresh).argmax(1) == 1).mean() > 0.75, how


def test_damaged_heads_are_refused():
    head = learn_tiles(examples(2), CLASSES, "knn").head
    good = head.tensors()
    with pytest.raises(ValueError, match="fit together"):
        HEADS["knn"].of({**good, "values": good["values"] + 9}, CLASSES)
    bad = good["features"].copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="fit together"):
        HEADS["knn"].of({**good, "features": bad}, CLASSES)
