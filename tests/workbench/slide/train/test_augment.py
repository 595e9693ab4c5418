"""Crops are decided by the generator alone, are true pictures, and leave a stain the colour it has."""

import colorsys

import numpy as np
import pytest
import torch

from workbench.slide.train.augment import Recipe, crop, hue_turn, resized, stained

GLOBAL, LOCAL = 224, 96
BROWN, BLUE, WHITE = (150, 95, 55), (110, 120, 175), (244, 244, 244)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def plain(colour, count=1, side=64):
    return torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1).expand(count, 3, side, side).contiguous()


def noise(count=3, side=64):
    return torch.randint(0, 256, (count, 3, side, side), generator=generator(9), dtype=torch.uint8)


@pytest.mark.parametrize("size", [GLOBAL, LOCAL])
def test_shape_range_and_determinism(size):
    recipe = Recipe(size, (0.3, 1.0), solarise=0.5)
    first, again, other = (crop(noise(), recipe, generator(s)) for s in (1, 1, 2))
    assert first.shape == (3, 3, size, size)
    assert first.dtype == torch.float32
    assert first.min() >= -1
    assert first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_nothing_but_the_generator_decides():
    torch.manual_seed(0)
    first = crop(noise(), Recipe(LOCAL, (0.1, 0.4)), generator(1))
    torch.manual_seed(1)
    assert torch.equal(first, crop(noise(), Recipe(LOCAL, (0.1, 0.4)), generator(1)))


def test_the_whole_tile_is_one_of_its_eight_positions():
    x = noise(count=40, side=32).float() / 255
    found = resized(x, Recipe(32, (16 / 9, 16 / 9), blur=0.0), generator())
    seen = set()
    for before, after in zip(x, found, strict=True):
        eight = [torch.rot90(v, k, (1, 2)) for v in (before, before.flip(2)) for k in range(4)]
        fits = [i for i, v in enumerate(eight) if torch.allclose(v, after, atol=1e-5)]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) >= 6


def test_scale_is_the_share_of_the_area_and_the_filter_is_as_wide_as_the_pixels():
    # A ramp: its slope in the crop says how long the crop was.
    ramp = (torch.arange(128).float() / 127).view(1, 1, 1, 128).expand(64, 1, 128, 128)
    found = resized(ramp, Recipe(96, (0.25, 0.25), blur=0.0), generator())
    along = torch.maximum(found[:, 0, :, -8] - found[:, 0, :, 8], found[:, 0, :, 8] - found[:, 0, :, -8]).abs().mean(1)
    down = (found[:, 0, -8] - found[:, 0, 8]).abs().mean(1)
    length = torch.maximum(along, down) * 127 / (96 - 16) * 96
    sides = length / 128
    assert sides.mean() == pytest.approx(0.5, abs=0.02)
    assert sides.min() >= 0.5 * (3 / 4) ** 0.5 - 0.02
    assert sides.max() <= 0.5 * (4 / 3) ** 0.5 + 0.02
    board = ((torch.arange(128) % 2).float()).view(1, 1, 1, 128).expand(1, 1, 128, 128)
    small = resized(board, Recipe(32, (16 / 9, 16 / 9), blur=0.0), generator())
    assert (small[..., 2:-2, 2:-2] - 0.5).abs().max() < 0.05, "stripes of one pixel become grey, not a pattern"


def test_blur_takes_detail_away_and_leaves_the_mean():
    x = noise(side=64).float() / 255
    sharp, soft = (resized(x, Recipe(64, (16 / 9, 16 / 9), blur=b), generator(4)) for b in (0.0, 1.0))
    assert soft.std() < 0.9 * sharp.std()
    assert soft.mean() == pytest.approx(float(sharp.mean()), abs=0.01)


@pytest.mark.parametrize(("colour", "name"), [(BROWN, "brown"), (BLUE, "blue")])
def test_colours_of_stains_stay_what_they_are(colour, name):
    x = plain(colour, 400, 8).float() / 255
    found = stained(x, 0.15, 0.01, generator())[:, :, 4, 4].numpy()
    hue = colorsys.rgb_to_hsv(*(v / 255 for v in colour))[0]
    turns = np.array([colorsys.rgb_to_hsv(*map(float, rgb))[0] - hue for rgb in found])
    assert np.abs((turns + 0.5) % 1 - 0.5).max() < 25 / 360, name
    assert np.abs((turns + 0.5) % 1 - 0.5).mean() < 10 / 360
    assert np.std(found.mean(1)) > 0.01, "but strength does vary"


def test_glass_stays_glass():
    found = stained(plain(WHITE, 400, 8).float() / 255, 0.15, 0.01, generator())
    assert found.min() > 0.88
    assert (found.max(1).values - found.min(1).values).max() < 0.02


def test_strength_is_a_factor_of_density():
    x = torch.full((1, 3, 2, 2), 0.5)
    many = torch.cat([stained(x, 0.3, 0.0, generator(s)) for s in range(200)])
    density = -many.log().mean(dim=(1, 2, 3)) / -np.log(0.5)
    assert density.min() > 0.7 * 0.96
    assert density.max() < 1.3 * 1.04 + 0.06 / 0.69  # and the lamp
    assert density.std() > 0.1


def test_hue_turns_about_grey():
    turn = hue_turn(torch.tensor([0.3, 2 * np.pi / 3]))
    assert torch.allclose(turn @ torch.ones(3), torch.ones(2, 3), atol=1e-6)
    assert torch.allclose(turn[0] @ turn[0].T, torch.eye(3), atol=1e-6)
    assert torch.allclose(turn[1] @ torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]), atol=1e-5)


def test_solarise_is_rare_unless_asked_for():
    dark = plain((20, 20, 20), 50)
    assert crop(dark, Recipe(32, (0.5, 1.0), solarise=0.0), generator()).max() < -0.7
    white = plain(WHITE, 200, 16)
    share = (crop(white, Recipe(16, (0.5, 1.0), solarise=0.3), generator()).mean(dim=(1, 2, 3)) < 0).float().mean()
    assert 0.2 < share < 0.4
