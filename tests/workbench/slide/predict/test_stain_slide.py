"""Slides in the colours of others: fitted once, changed where they are read, said, and kept apart from other runs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.ihc_maker import draw
from tests.ihc_maker import write as write_slide
from tests.tiny import make_tiny_cell_weights, make_tiny_slide_weights
from workbench.cli import run as workbench
from workbench.core.errors import InputError, UsageError
from workbench.core.pieces import Pieces
from workbench.core.settings import build
from workbench.data import formats
from workbench.slide import cellvta, read_stain_profile, stain_profile, stainnet, write_stain_profile
from workbench.slide.data.stains import degrees
from workbench.slide.predict import cells as cells_module
from workbench.slide.predict import slide as running
from workbench.slide.predict.stain_slide import restained, sample_of

GLASS = (243.0, 242.0, 244.0)
ONE, OTHER = ((0.65, 0.704, 0.286), (0.07, 0.99, 0.11)), ((0.55, 0.76, 0.35), (0.2, 0.93, 0.3))


def make(path, vectors, seed=0, side=768, mpp=0.5):
    """Tissue of two stains in the middle of glass."""
    edge = side // 6
    pixels = np.full((side, side, 3), GLASS).astype(np.uint8)
    field = draw(seed, side - 2 * edge, share=0.5, haze=0.5, glass=GLASS, stains=np.array(vectors))
    pixels[edge:-edge, edge:-edge] = field.pixels
    return write_slide(path, pixels, mpp)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stains")
    here, there = make(folder / "here.ome.tif", ONE), make(folder / "there.ome.tif", OTHER, seed=1)
    found, _ = stain_profile(formats.read(there, hint="slide"))
    return here, there, write_stain_profile(folder / "there.json", found)


def open_slide(path):
    return formats.read(path, hint="slide")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return make_tiny_slide_weights(tmp_path_factory.mktemp("weights") / "w.safetensors")


def config(weights, **more):
    return stainnet.Config(**{"weights": str(weights), "device": "cpu", "tile": 64, "target_mpp": 1.0, **more})


def test_stains_of_a_slide_are_those_that_it_was_drawn_with(study):
    _, there, path = study
    profile = read_stain_profile(path)
    for found, right in zip(profile.stains.vectors, np.array(OTHER), strict=True):
        assert degrees(found, right) < 6
    assert profile.stains.glass == pytest.approx(GLASS, abs=1)
    assert profile.slide == "there.ome.tif"
    assert len(profile.sha256) == 64
    again, _ = stain_profile(open_slide(there))
    assert again.to_json() == profile.to_json()


def test_whatever_is_read_of_a_slide_has_the_colours_of_the_profile(study):
    here, there, path = study
    pyramid, profile = open_slide(here).pyramid, read_stain_profile(path)
    made = restained(pyramid, profile, here).pyramid
    whole = made.read(0, 0, 0, 768, 768)
    part = made.read(0, 200, 300, 100, 50)
    assert np.array_equal(whole[200:300, 300:350], part)
    target = open_slide(there).pyramid.read(0, 0, 0, 768, 768)
    plain = pyramid.read(0, 0, 0, 768, 768)
    before, after = (np.abs(x.mean((0, 1)) - target.mean((0, 1))).max() for x in (plain, whole))
    assert after < before / 3
    assert np.array_equal(np.median(whole[:50, :50].reshape(-1, 3), axis=0), GLASS)
    own = restained(made, profile, here)  # who is there already stays
    assert np.abs(own.pyramid.read(0, 0, 0, 768, 768).astype(int) - whole).mean() < 2


def test_the_sample_is_the_same_whatever_reads_it(study):
    pyramid = open_slide(study[0]).pyramid
    one, other = sample_of(pyramid, "x", threads=1), sample_of(pyramid, "x", threads=4)
    assert np.array_equal(one.pixels, other.pixels)
    plain = sample_of(replace(pyramid, mpp=None), "x")
    assert len(plain.pixels) > 10_000, "a picture whose scale is not known has stains, too"


def test_a_run_says_which_profile_it_used(study, weights):
    here, _, path = study
    settings = config(weights, stain_profile=str(path))
    model = stainnet.load(settings, torch.device("cpu"))
    plain = stainnet.predict(model, open_slide(here), config(weights))
    result = stainnet.predict(model, open_slide(here), settings)
    (note,) = [n for n in result.provenance.notes if "stain profile" in n]
    assert "there.ome.tif" in note
    assert "degrees" in note
    said = result.provenance.details["stain_profile"]
    assert said["profile"]["file_sha256"] == read_stain_profile(path).digest
    assert degrees(np.array(said["found"]["stains"][0]["vector"]), np.array(ONE[0])) < 6
    np.testing.assert_array_equal(result["tissue"].data, plain["tissue"].data)
    np.testing.assert_array_equal(result["embeddings"].places, plain["embeddings"].places)
    assert np.abs(result["embeddings"].data - plain["embeddings"].data).max() > 1e-3
    assert "stain_profile" not in plain.provenance.details


def test_pieces_of_another_profile_are_of_no_use(study, weights, tmp_path, monkeypatch):
    here, _, path = study
    settings = config(weights, stain_profile=str(tmp_path / "p.json"))
    model, image = stainnet.load(settings, torch.device("cpu")), open_slide(here)
    embedded = []
    inner = running._embed
    monkeypatch.setattr(running, "_embed", lambda *a: embedded.append(1) or inner(*a))

    def run(own=settings):
        before = len(embedded)
        stainnet.predict(model, image, own, None, lambda made_of: Pieces(tmp_path / "case", made_of))
        return len(embedded) - before

    profile = read_stain_profile(path)
    write_stain_profile(tmp_path / "p.json", profile)
    assert run() == 1
    assert run() == 0
    moved = write_stain_profile(tmp_path / "moved.json", profile)
    assert run(replace(settings, stain_profile=str(moved))) == 0, "what a file holds counts, and not its name"
    write_stain_profile(tmp_path / "p.json", replace(profile, strongest=(profile.strongest[0] * 1.1, 0.5)))
    assert run() == 1
    assert run(replace(settings, stain_profile="")) == 1


def test_nuclei_are_looked_for_in_those_colours(study, tmp_path, monkeypatch):
    here, _, path = study
    weights = make_tiny_cell_weights(tmp_path / "cells.safetensors")
    seen = []
    inner = cells_module.Network.__call__
    monkeypatch.setattr(
        cells_module.Network, "__call__", lambda self, some: seen.extend(p for _, p in some) or inner(self, some)
    )
    keys = []
    for stored in ("", str(path)):
        own = cellvta.Config(weights=str(weights), device="cpu", stain_profile=stored, reading_threads=1)
        model = cellvta.load(own, torch.device("cpu"))
        result = cellvta.predict(model, open_slide(here), own, None, lambda made_of: keys.append(made_of))
        assert ("stain_profile" in result.provenance.details) == bool(stored)
    half = len(seen) // 2
    plain, changed = np.concatenate(seen[:half]), np.concatenate(seen[half:])
    assert plain.shape == changed.shape
    assert np.abs(plain.astype(int) - changed).mean() > 2
    assert keys[0] != keys[1]


def test_slides_of_other_stains_or_of_none_are_refused(study, weights, tmp_path):
    _, _, path = study
    brown = write_slide(tmp_path / "brown.ome.tif", draw(2, 512, share=0.6).pixels)
    settings = config(weights, stain_profile=str(path))
    model = stainnet.load(settings, torch.device("cpu"))
    with pytest.raises(InputError, match=r"brown\.ome\.tif: .*degrees"):
        stainnet.predict(model, open_slide(brown), settings)
    with pytest.raises(UsageError, match="--icc"):
        stainnet.predict(model, open_slide(study[0]), replace(settings, icc=True))
    with pytest.raises(InputError, match=r"gone\.json"):
        stainnet.predict(model, open_slide(study[0]), replace(settings, stain_profile=str(tmp_path / "gone.json")))


def test_the_command_stores_what_predict_takes(study, weights, tmp_path, capsys):
    here, there, _ = study
    path = tmp_path / "p.json"
    assert workbench(["stains", "-i", str(there), "-o", str(path), "--method", "vahadane"]) == 0
    said = capsys.readouterr().out
    assert "haematoxylin" in said
    assert "99th percentile" in said
    assert workbench(["stains", "-i", str(there), "-o", str(path)]) == 2, "what is there is not replaced unasked"
    assert read_stain_profile(path).method == "vahadane"
    capsys.readouterr()
    assert workbench(["stains", "-i", str(there), "-o", str(path), "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["method"] == "macenko"
    arguments = ["--tile", "64", "--target-mpp", "1", "--device", "cpu", "--weights", str(weights), "-q"]
    code = workbench(["predict", "stainnet", "-i", str(here), "-o", str(tmp_path / "out"), "--stain-profile",
                      str(path), *arguments])  # fmt: skip
    assert code == 0
    (file,) = (tmp_path / "out").rglob("provenance.json")
    assert json.loads(file.read_text(encoding="utf-8"))["details"]["stain_profile"]["profile"]["method"] == "macenko"


def test_a_slide_without_tissue_has_no_profile(tmp_path):
    pixels = np.full((600, 600, 3), (243, 240, 244), np.uint8)
    with pytest.raises(InputError, match="too little tissue"):
        stain_profile(open_slide(write_slide(tmp_path / "glass.ome.tif", pixels)))


def test_settings_know_it():
    assert build(stainnet.Config, {"stain-profile": "p.json"}).stain_profile == "p.json"
    assert build(cellvta.Config, {}).stain_profile == ""
    assert build(stainnet.TrainConfig, {}).stain_profile == ""
