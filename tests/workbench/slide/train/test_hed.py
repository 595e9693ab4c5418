"""Stains change along their own colours, and each for itself."""

import torch

from workbench.slide.train.augment import stained
from workbench.slide.train.hed import HED, restained


def coloured(amounts):
    """One pixel of so much haematoxylin, eosin and DAB."""
    stains = torch.tensor(HED)
    stains = stains / stains.norm(dim=1, keepdim=True)
    return torch.exp(-torch.tensor(amounts) @ stains).view(1, 3, 1, 1)


def test_each_stain_has_a_factor_of_its_own():
    found = restained(coloured([0.6, 0.5, 0.4]), torch.tensor([[0.5, 1.0, 2.0]]))
    assert torch.allclose(found, coloured([0.3, 0.5, 0.8]), atol=1e-5)


def test_more_of_each_may_be_added():
    found = restained(coloured([0.6, 0.5, 0.4]), torch.ones(1, 3), torch.tensor([[0.0, 0.2, 0.0]]))
    assert torch.allclose(found, coloured([0.6, 0.7, 0.4]), atol=1e-5)


def test_nothing_changes_where_nothing_is_to():
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(min=0.01)
    assert torch.allclose(restained(x, torch.ones(2, 3)), x, atol=1e-5)


def test_crops_of_a_pre_training_keep_the_colour_of_a_pure_stain():
    """What is blue alone gets more or less blue, and neither eosin nor DAB; the lamp changes all colours alike."""
    stains = torch.tensor(HED)
    stains = stains / stains.norm(dim=1, keepdim=True)
    for which in range(3):
        amounts = [0.0, 0.0, 0.0]
        amounts[which] = 0.8
        x = coloured(amounts).expand(300, 3, 1, 1)
        found = stained(x, 0.15, 0.0, torch.Generator().manual_seed(1))[:, :, 0, 0]
        density = -found.log()
        both = torch.stack([stains[which], torch.ones(3)], 1)
        left = density.T - both @ torch.linalg.lstsq(both, density.T).solution
        assert float(left.abs().max()) < 1e-4
        assert float(density.mean(1).std()) > 0.02
