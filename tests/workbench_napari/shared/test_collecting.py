"""What the collector of garbage leaves out, and when it looks at everything again."""

from __future__ import annotations

import gc
import weakref

import pytest
from napari.utils.events import EventedList
from workbench_napari.shared import collecting, engines


class Thing:
    """Stands for a layer: a list of napari keeps the one that was last chosen in it."""


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """No test leaves anything out for the others."""
    monkeypatch.setattr(collecting, "_frozen_at", None)
    monkeypatch.setattr(collecting, "_is_owed", False)
    monkeypatch.setattr(collecting, "_is_wanted", False)
    yield
    gc.unfreeze()


def test_what_an_import_brought_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "brings_much.py").write_text("found = [[] for _ in range(50_000)]\n")
    monkeypatch.syspath_prepend(tmp_path)
    engines._import("brings_much")
    assert gc.get_freeze_count() > 50_000
    looked_at = sum(map(len, (gc.get_objects(n) for n in range(3))))
    assert looked_at < 20_000, "a full collection would look through all that was imported"


def test_a_layer_of_then_is_found_once_it_goes(monkeypatch):
    layers = EventedList()
    collecting.follow(layers)
    old = Thing()
    old.itself = old  # only the collector can let it go
    layers.append(old)
    collecting.freeze()
    kept = weakref.ref(old)
    del old
    layers.pop()
    assert not collecting.is_frozen()
    collecting.freeze()  # an engine has been imported meanwhile
    assert not collecting.is_frozen(), "what has gone would be left out"
    gc.collect()
    gc.collect()
    assert kept() is None
    assert not collecting.is_frozen(), "Qt may delete more of it in turns to come"
    monkeypatch.setattr(collecting, "_thawed_at", collecting._thawed_at - collecting._SETTLE_SECONDS - 1)
    gc.collect()
    assert collecting.is_frozen(), "everything was looked at: now it can be left out again"


def test_what_becomes_garbage_a_moment_after_it_went_is_found():
    """A window that was closed is deleted by Qt some turns later, and a collection may come between."""
    layers = EventedList()
    collecting.follow(layers)
    old = Thing()
    old.itself = old
    layers.append(old)
    collecting.freeze()
    layers.pop()
    gc.collect()  # it is still held, as by Qt
    kept = weakref.ref(old)
    del old
    gc.collect()
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("how", ["window", pytest.param("layer", marks=pytest.mark.slow)])
def test_what_goes_while_engines_are_loaded_is_not_left_out_with_them(how, tmp_path, monkeypatch):
    """A window was closed while the job that it had cancelled still loaded its engine: nothing was left out yet."""
    layers = EventedList()
    collecting.follow(layers)
    old = Thing()
    old.itself = old
    layers.append(old)
    assert not collecting.is_frozen()
    collecting.thaw() if how == "window" else layers.pop()
    (tmp_path / "engine_of_a_test.py").write_text("found = [[] for _ in range(1000)]\n")
    monkeypatch.syspath_prepend(tmp_path)
    engines._import("engine_of_a_test")
    if how == "window":
        layers.clear()
    kept = weakref.ref(old)
    del old
    gc.collect()
    gc.collect()
    assert kept() is None
    monkeypatch.setattr(collecting, "_thawed_at", collecting._thawed_at - collecting._SETTLE_SECONDS - 1)
    gc.collect()
    assert collecting.is_frozen(), "what the engine brought is left out now"


def test_nothing_is_left_out_where_nobody_asked(monkeypatch):
    collecting.thaw()
    monkeypatch.setattr(collecting, "_thawed_at", collecting._thawed_at - collecting._SETTLE_SECONDS - 1)
    gc.collect()
    assert not collecting.is_frozen()


def test_a_result_that_came_later_goes_without_a_look_at_everything(monkeypatch):
    layers = EventedList()
    collecting.follow(layers)
    collecting.freeze()
    monkeypatch.setattr(collecting, "_frozen_at", collecting._frozen_at - 60)
    made = Thing()
    made.itself = made
    kept = weakref.ref(made)
    layers.append(made)
    del made
    layers.pop()
    assert collecting.is_frozen()
    gc.collect()
    gc.collect()
    assert kept() is None
