"""What a training on pixels sees: each class equally often, the right neighbourhood, every turn and mirror."""

import numpy as np
import pytest
import torch
from torch import nn

from workbench.core.settings import build
from workbench.scene.predict.blocks import Scene
from workbench.scene.train import data
from workbench.scene.train.data import Patches, PixelBatch, PixelData, loss_function, turned
from workbench.scene.train.settings import SceneTrainConfig

CUBE = np.arange(2 * 9 * 11, dtype=np.float32).reshape(2, 9, 11)


class Memory:
    """A cube in memory that is read by rectangles."""

    shape = CUBE.shape

    def read(self, rows, columns):
        return CUBE[:, rows, columns]


def _data(labels, train, val=(), **changes):
    config = build(SceneTrainConfig, {"flips": False, "batch": 12, **changes})
    values = sorted({int(v) for v in labels.ravel() if v})
    return PixelData(
        Scene(Memory()), labels, values, np.asarray(train), np.asarray(val, np.intp), config, size=3, channels=2,
        standardise=False,
    )  # fmt: skip


@pytest.fixture
def labels():
    """Class 2 on 90 pixels, class 7 on 6, class 9 on 3."""
    flat = np.full(99, 2, np.uint8)
    flat[[5, 17, 33, 52, 70, 98]] = 7
    flat[[0, 50, 51]] = 9
    return flat.reshape(9, 11)


@pytest.mark.parametrize("whole", [True, False])
def test_patches_lie_around_their_pixels_mirrored_at_the_border(whole, monkeypatch) -> None:
    if not whole:
        monkeypatch.setattr(data, "_WHOLE", 0)
    pixels = np.array([0, 10, 49, 98])
    patches = Patches(Scene(Memory()), pixels, 5, 2)
    assert (patches.whole is not None) == whole
    padded = np.pad(CUBE, ((0, 0), (2, 2), (2, 2)), mode="reflect")
    found = patches.take(pixels[::-1]).numpy()
    for patch, pixel in zip(found, pixels[::-1], strict=True):
        r, c = divmod(int(pixel), 11)
        np.testing.assert_array_equal(patch, padded[:, r : r + 5, c : c + 5])


@pytest.mark.parametrize("step", [0, 1, 2, 7])
def test_every_batch_shows_each_class_equally_often(labels, step) -> None:
    drawn = _data(labels, np.arange(99)).draw(step)
    assert torch.bincount(drawn.targets).tolist() == [4, 4, 4]
    middle = drawn.patches[:, 0, 1, 1].numpy().astype(int)
    assert [(2, 7, 9)[t] for t in drawn.targets] == labels.ravel()[middle].tolist()


def test_no_pixel_is_drawn_twice_while_there_are_others(labels) -> None:
    drawn = _data(labels, np.arange(99)).draw(3)
    middle = drawn.patches[:, 0, 1, 1].numpy().astype(int)
    for value, distinct in ((2, 4), (7, 4)):
        assert len(set(middle[labels.ravel()[middle] == value])) == distinct
    assert set(middle[labels.ravel()[middle] == 9]) <= {0, 50, 51}


def test_steps_are_repeated_by_their_number_and_seed(labels) -> None:
    one, again, other = (_data(labels, np.arange(99), seed=s) for s in (1, 1, 2))
    torch.testing.assert_close(one.draw(5).patches, again.draw(5).patches, rtol=0, atol=0)
    assert not torch.equal(one.draw(5).patches, one.draw(6).patches)
    assert not torch.equal(one.draw(5).patches, other.draw(5).patches)


def test_training_never_shows_a_pixel_that_is_kept_apart(labels) -> None:
    train = np.setdiff1d(np.arange(99), [5, 0, 3])
    shown = _data(labels, train, [5, 0, 3])
    middle = {int(v) for n in range(40) for v in shown.draw(n).patches[:, 0, 1, 1]}
    assert not middle & {5, 0, 3}


def test_eight_ways_to_lay_a_patch() -> None:
    patch = torch.arange(9.0).reshape(1, 1, 3, 3)
    found = turned(patch.expand(8, -1, -1, -1), np.arange(8))
    assert len({tuple(p.flatten().tolist()) for p in found}) == 8
    torch.testing.assert_close(found[0], patch[0])
    torch.testing.assert_close(found[1], torch.rot90(patch[0], 1, (1, 2)))
    torch.testing.assert_close(found[4], patch[0].flip(1))


def test_the_score_is_the_mean_over_classes(labels) -> None:
    """A network that only knows the frequent class must not look good."""
    val = np.array([1, 2, 3, 4, 6, 7, 8, 9, 5, 0])

    class Frequent(nn.Module):
        def forward(self, x):
            return torch.tensor([5.0, 0.0, 0.0]).expand(len(x), -1)

    scores = _data(labels, np.arange(10, 99), val).scores(Frequent(), torch.device("cpu"))
    assert scores["accuracy"] == pytest.approx(1 / 3)
    assert scores["score"] == pytest.approx(1 / 3 - 1e-3 * min(1.0, scores["val_loss"]))


def test_frozen_statistics_stay_while_low_rank_additions_learn(labels) -> None:
    net = nn.Sequential(nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(18, 3))
    batch = PixelBatch(0, torch.randn(6, 2, 3, 3), torch.tensor([0, 1, 2, 0, 1, 2]))
    for rank, moved in ((0, True), (4, False)):
        net.train()
        before = net[0].running_mean.clone()
        config = build(SceneTrainConfig, {"lora_rank": rank})
        loss_function(net, config, torch.device("cpu"))(net, batch).backward()
        assert (not torch.equal(net[0].running_mean, before)) == moved
