"""What CellVTA learns: distances, losses that vanish where all is right, crops that are functions of a number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from workbench.slide.net.cellvta import Maps
from workbench.slide.predict.nuclei import AT_20X, instances
from workbench.slide.predict.traced import parted
from workbench.slide.train.fields import Field, Variation, draw
from workbench.slide.train.nuclei_loss import Truth, dice, loss_of, slopes, tversky
from workbench.slide.train.targets import distances


def field(size=(96, 128)):
    labels, image = np.zeros(size, np.int32), np.full((*size, 3), (225, 200, 215), np.uint8)
    y, x = np.mgrid[: size[0], : size[1]]
    number = 0
    for cy in range(14, size[0] - 10, 22):
        for cx in range(14, size[1] - 10, 24):
            number += 1
            own = ((x - cx) / 9) ** 2 + ((y - cy) / 7) ** 2 <= 1
            labels[own], image[own] = number, (90, 50, 140)
    types = np.where(labels > 0, 1 + labels % 2, 0)
    return Field(image, labels, types)


def test_distances_by_hand():
    labels = np.zeros((5, 9), np.int32)
    labels[1, 1:6] = 3
    labels[3, 8] = 2
    hv = distances(labels)
    assert hv[0, 1].tolist() == [0, -1, -0.5, 0, 0.5, 1, 0, 0, 0]
    assert hv[1].any() == np.False_
    assert hv[:, 3, 8].tolist() == [0, 0], "one pixel is its own middle"
    uneven = np.zeros((3, 8), np.int32)
    uneven[1, 2:6] = 1  # middle 3.5, rounded to 4: two left of it, one right
    assert distances(uneven)[0, 1, 2:6].tolist() == [-1, -0.5, 0, 1]
    assert distances(np.zeros((4, 4), np.int32)).shape == (2, 4, 4)


def test_what_is_learnt_gives_the_nuclei_back():
    labels = field().labels
    found = instances(labels > 0, distances(labels), AT_20X)
    assert len(np.unique(found)) == len(np.unique(labels))
    assert ((found > 0) == (labels > 0)).mean() > 0.999


def perfect(truth, classes=3):
    logits = [20 * F.one_hot(x.long(), n).permute(0, 3, 1, 2).float() for x, n in
              ((truth.nuclei, 2), (truth.types, classes))]  # fmt: skip
    return Maps(logits[0], truth.hv, logits[1], torch.zeros(len(truth.hv), 1, 1, 1))


def test_the_loss_is_nothing_where_all_is_right_and_grows_with_every_fault():
    _, truth = draw([field()], 0, count=2, size=64)
    right = perfect(truth)
    assert float(loss_of(right, truth)) < 1e-3
    for fault in (
        right._replace(nuclei=-right.nuclei), right._replace(types=right.types.roll(1, 1)),
        right._replace(hv=-right.hv), right._replace(hv=right.hv + 0.5 * truth.nuclei[:, None]),
    ):  # fmt: skip
        assert float(loss_of(fault, truth)) > 0.3
    flat = right._replace(hv=right.hv + 0.5)
    assert float(slopes(flat.hv[..., 8:-8, 8:-8], Truth(
        truth.nuclei[..., 8:-8, 8:-8], truth.hv[..., 8:-8, 8:-8], truth.types))) > 0  # fmt: skip
    inner = torch.zeros(1, 40, 40, dtype=torch.bool)
    inner[0, 10:30, 10:30] = True
    level = Truth(inner, torch.zeros(1, 2, 40, 40), inner.long())
    assert float(slopes(torch.full((1, 2, 40, 40), 0.7), level)) < 1e-9, "a level shift has no slope"


def test_terms_by_hand():
    found = torch.tensor([[[[0.8, 0.4]], [[0.2, 0.6]]]])
    right = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    hit, missed, false = 1.4, 0.6, 0.6
    index = (hit + 1e-3) / (hit + 0.7 * missed + 0.3 * false + 1e-3)
    assert float(tversky(found, right)) == pytest.approx((1 - index) ** (4 / 3), rel=1e-5)
    both = [1 - (2 * 0.8 + 1e-3) / (1.2 + 1 + 1e-3), 1 - (2 * 0.6 + 1e-3) / (0.8 + 1 + 1e-3)]
    assert float(dice(found, right)) == pytest.approx(sum(both), rel=1e-5)


def test_a_batch_is_a_function_of_its_number():
    fields = [field(), field((80, 100))]
    first, truth = draw(fields, 5, count=3, size=64, seed=1)
    again, same = draw(fields, 5, count=3, size=64, seed=1)
    assert torch.equal(first, again)
    assert torch.equal(truth.hv, same.hv)
    assert not torch.equal(first, draw(fields, 6, count=3, size=64, seed=1)[0])
    assert not torch.equal(first, draw(fields, 5, count=3, size=64, seed=2)[0])
    assert first.shape == (3, 3, 64, 64)
    assert first.min() >= -1
    assert first.max() <= 1
    assert truth.hv.shape == (3, 2, 64, 64)
    assert set(truth.types.unique().tolist()) <= {0, 1, 2}
    assert torch.equal(truth.nuclei, truth.types > 0)


def test_crops_keep_image_and_nuclei_together():
    """Nuclei are dark, everywhere and at every turn: the truth lies on them."""
    plain = Variation(stain=0, shift=0, blur=0, noise=0)
    x, truth = draw([field()], 3, count=6, size=96, variation=plain)
    dark = x.mean(1) < 0.2
    assert (dark == truth.nuclei).float().mean() > 0.98
    zoomed, near = draw([field()], 3, count=6, size=96, variation=Variation((1.5, 1.5), 0, 0, 0, 0))
    far = draw([field()], 3, count=6, size=96, variation=Variation((0.8, 0.8), 0, 0, 0, 0))[1]
    sizes = [np.median(np.bincount(parted(t.nuclei[0].numpy().astype(np.int32)).ravel())[1:]) for t in (near, far)]
    assert sizes[0] > 2 * sizes[1]
    assert zoomed.shape == x.shape


def test_stains_vary_along_their_own_colours():
    fields = [field()]
    plain, _ = draw(fields, 1, count=8, size=64, variation=Variation((1, 1), 0, 0, 0, 0))
    strong, _ = draw(fields, 1, count=8, size=64, variation=Variation((1, 1), 0.5, 0.1, 0, 0))
    assert (plain - strong).abs().mean() > 0.01
    blurred, _ = draw(fields, 1, count=8, size=64, variation=Variation((1, 1), 0, 0, 2.0, 0))
    changed = (blurred - plain).abs().amax((1, 2, 3)) > 0.05
    assert 0 < int(changed.sum()) < 8, "some are blurred, some are not"
