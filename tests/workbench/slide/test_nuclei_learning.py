"""Classes learnt from nuclei that a person named are those that the weights of them give in a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.workbench.slide.train.test_cell_examples import TWO, cells
from workbench.core.frame import Frame
from workbench.core.objects import Objects
from workbench.core.types import Embeddings
from workbench.slide.nuclei_edits import NucleiEdits
from workbench.slide.nuclei_learning import learn_classes
from workbench.slide.predict.cell_classes import features_of
from workbench.slide.predict.cell_parts import measures_of

MPP, COUNT = 0.5, 60


def test_nuclei_are_named_in_the_window_as_in_a_run():
    """From outlines with their measurements, and from what the network gives, the same numbers are made."""
    rng = np.random.default_rng(0)
    is_red = np.arange(COUNT) % 2 == 1
    some = replace(
        cells(rng.uniform(10, 900, (COUNT, 2)), rng.normal(0, 1, (COUNT, 8)) + is_red[:, None]),
        areas=rng.integers(40, 4000, COUNT), eccentricities=rng.uniform(0, 1, COUNT).astype(np.float32),
        stains=rng.uniform(0, 1, (COUNT, 2)).astype(np.float32),
    )  # fmt: skip
    objects = Objects.from_rings(
        some.coordinates, some.offsets, classes=TWO, frame=Frame.of(np.diag([MPP, MPP, 1.0]), "um"),
        measurements=measures_of(some, MPP, 25.0),
    )  # fmt: skip
    edits = NucleiEdits(objects)
    for value, own in ((1, ~is_red), (2, is_red)):
        edits.reclass(np.flatnonzero(own)[:6], value)
    seen = Embeddings(some.embeddings.astype(np.float32), tuple(str(i) for i in objects.ids.tolist()))
    learnt = learn_classes(edits, seen)
    features = features_of(some, MPP)
    np.testing.assert_allclose(learnt.head.mean, features.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(learnt.head.scale, features.std(0), rtol=1e-4)
    named = learnt.head.named(some, MPP)
    np.testing.assert_array_equal(learnt.values, named.types)
    np.testing.assert_allclose(learnt.odds, named.probabilities, rtol=1e-4)
