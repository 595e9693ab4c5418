"""The transform of the card, and embeddings that do not depend on their neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from workbench.core.errors import Cancelled
from workbench.nets.vit import VisionTransformer
from workbench.slide.predict.embed import embed
from workbench.slide.predict.view import View, to_input


def test_golden_values_of_the_transform():
    black, white = np.zeros((224, 224, 3), np.uint8), np.full((224, 224, 3), 255, np.uint8)
    assert (to_input(black) == -1).all()
    assert (to_input(white) == 1).all()
    grey = (to_input(np.full((224, 224, 3), 127, np.uint8)) + to_input(np.full((224, 224, 3), 128, np.uint8))) / 2
    assert np.abs(grey).max() < 1e-6, "127.5 is 0"
    tile = np.zeros((224, 224, 3), np.uint8)
    tile[3, 5] = 255, 51, 0
    found = to_input(tile)
    assert found.shape == (3, 224, 224)
    assert found.dtype == np.float32
    assert found[:, 3, 5] == pytest.approx([1.0, -0.6, -1.0], abs=1e-6)


def test_other_sizes_are_resampled_as_the_card_does():
    tile = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    right = np.asarray(Pillow.fromarray(tile).resize((224, 224), Pillow.Resampling.BICUBIC), np.float32) / 255
    assert np.allclose(to_input(tile), ((right - 0.5) / 0.5).transpose(2, 0, 1))
    for how in ("bilinear", "lanczos"):
        filtered = np.asarray(Pillow.fromarray(tile).resize((224, 224), Pillow.Resampling[how.upper()]), np.float32)
        seen = to_input(tile, View(filter=how, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3)))
        assert np.allclose(seen, ((filtered / 255 - (0.4, 0.5, 0.6)) / (0.2, 0.25, 0.3)).transpose(2, 0, 1), atol=1e-6)
    long = np.zeros((448, 896, 3), np.uint8)
    long[:, 224:672] = 255  # the middle square
    assert to_input(long).shape == (3, 224, 224)
    assert (to_input(long)[:, :, 2:-2] > 0.99).all()


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    found = VisionTransformer(dim=48, depth=2, num_heads=3)
    for value in found.state_dict().values():
        value.add_(0.1 * torch.randn_like(value))
    return found


def some(count, seed=0):
    rng = np.random.default_rng(seed)
    return [(3 * i, rng.integers(0, 255, (224, 224, 3), dtype=np.uint8)) for i in range(count)]


def test_batches_and_neighbours_change_nothing(net):
    tiles = some(7)
    numbers, features = embed(net, tiles, batch=4)
    assert numbers.tolist() == [0, 3, 6, 9, 12, 15, 18]
    assert numbers.dtype == np.int64
    assert features.shape == (7, 48)
    assert features.dtype == np.float32
    _, fewer = embed(net, tiles[4:5], batch=4)
    assert np.array_equal(fewer[0], features[4]), "not a byte, whoever shares the batch"
    _, alone = embed(net, tiles, batch=1)
    assert np.abs(alone - features).max() <= 1e-5


def test_progress_counts_and_may_stop(net):
    seen = []
    embed(net, some(5), batch=2, total=5, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 5), (4, 5), (5, 5)]

    def stop(done, total):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        embed(net, some(5), batch=2, progress=stop)


@pytest.fixture
def cores():
    """Sets how many cores torch works with; as before at the end."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_cores_change_nothing_but_the_time(net, cores):
    tiles = some(11)
    cores(1)
    numbers, alone = embed(net, tiles, batch=2)
    for count in (2, 3):
        cores(count)
        seen = []
        again, features = embed(net, tiles, batch=2, progress=lambda done, _, seen=seen: seen.append(done))
        assert again.tolist() == numbers.tolist(), "in the order in which they came"
        assert np.array_equal(features, alone), "not a byte"
        assert seen == [2, 4, 6, 8, 10, 11]
        assert torch.get_num_threads() == count


def test_an_error_in_one_core_ends_all_and_gives_the_cores_back(net, cores):
    cores(2)

    class Failing(torch.nn.Module):
        def forward(self, x):
            if x[0, 0, 0, 0] == 1:  # the white one
                raise ValueError("no such tile")
            return net(x)

    tiles = some(9)
    tiles[5][1][:] = 255
    with pytest.raises(ValueError, match="no such tile"):
        embed(Failing(), tiles, batch=1)
    assert torch.get_num_threads() == 2

    def broken():
        yield from tiles[:3]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        embed(net, broken(), batch=1)
    assert torch.get_num_threads() == 2

    def stop(done, total):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        embed(net, tiles, batch=1, progress=stop)
    assert torch.get_num_threads() == 2


def test_no_tile_gives_no_row(net):
    numbers, features = embed(net, [])
    assert numbers.shape == (0,)
    assert len(features) == 0


def test_bfloat16_is_nearly_the_same(net):
    tiles = some(4)
    _, exact = embed(net, tiles, batch=4)
    half = VisionTransformer(dim=48, depth=2, num_heads=3)
    half.load_state_dict(net.state_dict())
    _, coarse = embed(half.to(torch.bfloat16), tiles, batch=4, dtype=torch.bfloat16)
    cosine = (exact * coarse).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(coarse, axis=1)
    assert cosine.min() > 0.999
