"""What differs between versions of napari: the list of layers of 0.6 does not tell that a layer was renamed."""

from __future__ import annotations

import gc

import numpy as np
from napari.components import LayerList
from napari.layers import Image
from workbench_napari.shared import napari_versions


class Of06:
    """The list of layers as napari 0.6 has it: real, without an emitter for new names."""

    def __init__(self, layers):
        self._layers = layers
        self.events = self

    def __iter__(self):
        return iter(self._layers)

    def __getattr__(self, name):
        if name == "renamed":
            raise AttributeError(name)
        return getattr(self._layers.events, name)


def layer(name):
    return Image(np.zeros((4, 4)), name=name)


def test_a_new_name_is_told_of_by_every_version():
    for wrap in (lambda layers: layers, Of06):
        first, second = layer("a"), layer("b")
        layers = LayerList()
        layers.append(first)
        told = []
        emitter = napari_versions.renamed_of(wrap(layers))
        callback = lambda event, told=told: told.append(event.type)  # noqa: E731
        emitter.connect(callback)
        layers.append(second)
        first.name = "c"
        second.name = "d"
        assert len(told) == 2
        layers.remove(first)
        first.name = "e"
        assert len(told) == 2, "it has left the list"
        emitter.disconnect(callback)
        second.name = "f"
        assert len(told) == 2
    assert isinstance(emitter, napari_versions._Renamed), "the second list was asked layer by layer"


def test_who_listens_need_not_keep_what_tells():
    """Emitters of napari hold what they call only weakly; this one must stay as long as its list."""
    first = layer("a")
    layers = LayerList()
    layers.append(first)
    told = []
    listed = Of06(layers)
    napari_versions.renamed_of(listed).connect(lambda event: told.append(event.type))
    gc.collect()
    first.name = "b"
    second = layer("c")
    layers.append(second)
    second.name = "d"
    assert told == ["name", "name"]
