"""Tiles lie on tissue within the area of their case, are drawn by the seed, and never on both sides of a split."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from tests.stained_slides import SIDE, make_cases, paint
from tests.workbench.slide.train.tiny_training import config
from workbench.core.errors import InputError, NothingFound, UsageError
from workbench.core.pyramid import Level, Pyramid
from workbench.core.types import Case
from workbench.slide import stain_profile, write_stain_profile
from workbench.slide.data.open import read as open_slide
from workbench.slide.train.study import open_study
from workbench.slide.train.tiles_of import TileSource, overview, tiles_of
from workbench.slide.train.train import _identity


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return make_cases(tmp_path_factory.mktemp("slides"), 4)


def test_tiles_are_on_tissue(cases):
    slide = tiles_of(cases[0], config(min_tissue=0.9))
    places, side = slide.places(), slide.lattice.side
    assert side == 96
    assert ((places >= 96 - 16) & (places + side <= 672 + 16)).all()
    assert len(places) == slide.on_tissue == 36
    assert len(tiles_of(cases[0], config(min_tissue=0.0)).chosen) > 36, "those that touch it, too"


def test_the_seed_draws(cases):
    some = [tiles_of(cases[0], config(tiles_per_slide=9, seed=s)) for s in (1, 1, 2)]
    assert [len(s.chosen) for s in some] == [9, 9, 9]
    assert some[0].chosen.tolist() == some[1].chosen.tolist() != some[2].chosen.tolist()
    assert some[0].on_tissue == 36


def test_pixels_are_those_of_the_slide(cases):
    slide = tiles_of(cases[0], config())
    source = TileSource([slide])
    whole = open_slide(cases[0].image).pyramid.read(0, 0, 0, SIDE, SIDE)
    for number in (0, 7):
        x, y = slide.places()[number].astype(int)
        assert (source.read([number])[0] == whole[y : y + 96, x : x + 96]).all()
    assert (source.read([7, 0])[1] == source.read([0])[0]).all()


def test_other_scales(cases):
    slide = tiles_of(cases[0], config(mpp=1.0))
    assert slide.lattice.side == 192
    assert TileSource([slide]).read([0]).shape == (1, 96, 96, 3)
    with pytest.raises(UsageError, match="too coarse"):
        tiles_of(cases[0], config(mpp=0.25))
    assert tiles_of(cases[0], config(mpp=0.25, allow_upsample=True)).lattice.side == 48


def test_tiles_are_brought_to_a_stain_profile(cases, tmp_path):
    plain = tiles_of(cases[0], config())
    found, _ = stain_profile(open_slide(cases[1].image))
    path = write_stain_profile(tmp_path / "p.json", replace(found, strongest=tuple(0.5 * v for v in found.strongest)))
    slide = tiles_of(cases[0], config(stain_profile=str(path)))
    assert slide.chosen.tolist() == plain.chosen.tolist(), "tissue is found on the slide as it is"
    before, after = (TileSource([s]).read([0, 5]) for s in (plain, slide))
    assert after.mean() > before.mean() + 20, "half as strong"
    assert "stain profile" in slide.notes[-1]
    with pytest.raises(InputError, match="no such stain profile"):
        tiles_of(cases[0], config(stain_profile=str(tmp_path / "gone.json")))


def test_a_training_goes_on_with_the_same_profile_only(tmp_path):
    path = tmp_path / "p.json"
    study, found = SimpleNamespace(train=(), val=()), []
    for content in ("one", "one", "another"):
        path.write_text(content, encoding="utf-8")
        found.append(_identity(study, config(stain_profile=str(path)), None))
    assert found[0] == found[1] != found[2]
    assert "files" not in _identity(study, config(), None), "states of before are gone on with"


def test_a_slide_without_scale_needs_one(tmp_path):
    path = tmp_path / "picture.png"
    Pillow.fromarray(paint(0)).save(path)
    with pytest.raises(InputError, match="Give it with given_mpp") as caught:
        tiles_of(Case("a", path), config())
    assert "\n" not in str(caught.value)
    assert tiles_of(Case("a", path), config(given_mpp=0.25)).lattice.side == 192


def test_what_a_slide_says_is_not_overruled(cases):
    assert tiles_of(cases[0], config(given_mpp=0.25)).lattice.side == 96


def test_an_area_limits_a_case(cases):
    case = replace(cases[0], options={"area": "0 0 768 384"})
    places = tiles_of(case, config()).places()
    assert len(places)
    assert (places[:, 0] + 96 <= 384).all()
    for text, why in (("1 2 3", "four numbers"), ("0 0 900 10", "does not lie within"), ("a b c d", "four numbers")):
        with pytest.raises(InputError, match=why):
            tiles_of(replace(case, options={"area": text}), config())


def test_no_tissue_and_no_brightfield(tmp_path):
    for name, value, why in (("glass", 244, "none of its"), ("dark", 3, "fluorescence")):
        path = tmp_path / f"{name}.png"
        Pillow.fromarray(np.full((400, 400, 3), value, np.uint8)).save(path)
        with pytest.raises(InputError, match=why):
            tiles_of(Case("a", path), config(given_mpp=0.5))


def test_a_held_out_group_contributes_no_tile(cases):
    grouped = [replace(c, group=f"patient-{i // 2}") for i, c in enumerate(cases)]
    study = open_study(grouped, config(val_fraction=0.5))
    taught, held = ({s.case.group for s in side} for side in (study.train, study.val))
    assert len(taught) == len(held) == 1
    assert not taught & held
    source = TileSource(study.train)
    assert len(source) == sum(len(s.chosen) for s in study.train)
    assert {source.slides[source.slide_of(n)].case.group for n in range(len(source))} == taught
    assert study.has_labels
    assert study.names == ("spots", "stripes")


def test_one_slide_on_both_sides_is_refused(cases):
    halves = [replace(cases[0], id=i, group=i, options={"area": a, "split": s}) for i, a, s in (
        ("left", "0 0 768 400", "train"), ("right", "0 336 768 432", "validation"))]  # fmt: skip
    with pytest.raises(UsageError, match="share pixels"):
        open_study(halves, config(stride=32))
    apart = [halves[0], replace(halves[1], options={"area": "0 400 768 368", "split": "validation"})]
    study = open_study(apart, config(stride=32))
    assert [s.case.id for s in study.train] == ["left"]
    assert study.train[0].places()[:, 0].max() + 96 <= study.val[0].places()[:, 0].min()


def test_a_bad_slide_is_left_out_and_named(cases, tmp_path):
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"nothing")
    study = open_study([*cases, Case("bad", bad), Case("gone", tmp_path / "gone.svs")], config())
    assert set(study.failures) == {"bad", "gone"}
    with pytest.raises(UsageError, match=r"one group.*1 case\(s\) could not be read.*bad"):
        open_study([cases[0], Case("bad", bad)], config())
    with pytest.raises(NothingFound, match="no such file"):
        open_study([Case("gone", tmp_path / "gone.svs")], config())


def test_one_group_needs_val_fraction_0(cases):
    with pytest.raises(UsageError, match="val_fraction=0"):
        open_study(cases[:1], config())
    assert open_study(cases[:1], config(val_fraction=0)).val == ()


def with_damage(path, pages):
    """A pyramid of two levels whose tile 4 (second row and column) is zeros in some of its pages."""
    pixels = paint(0)
    with tifffile.TiffWriter(path) as tiff:
        for number, level in enumerate((pixels, pixels[::4, ::4])):
            scale = (20_000 / 4**number,) * 2
            tiff.write(
                level, tile=(256 >> 2 * number,) * 2, photometric="rgb", metadata=None, compression="jpeg",
                resolution=scale, resolutionunit="CENTIMETER", subfiletype=number,
            )  # fmt: skip
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        for page in (tiff.pages[n] for n in pages):
            at, size = page.dataoffsets[4], page.databytecounts[4]
            content[at : at + size] = bytes(size)
    path.write_bytes(content)
    return Case("a", path)


def test_a_damaged_tile_is_stood_in_for(tmp_path):
    slide = tiles_of(with_damage(tmp_path / "slide.tif", [0]), config())
    source = TileSource([slide])
    pixels = source.read(range(len(source)))
    damaged = ((slide.places() < 512) & (slide.places() + 96 > 256)).all(1)
    assert source.damaged == set(np.flatnonzero(damaged).tolist())
    assert 0 < len(source.damaged) < len(source)
    first = min(source.damaged)
    assert (pixels[first] == pixels[max(n for n in range(len(source)) if (pixels[n] == pixels[first]).all())]).all()
    assert pixels[first].std() > 10, "another tile of the tissue"


def test_an_overview_shows_all_that_any_level_has():
    whole = np.random.default_rng(0).integers(60, 200, (2048, 2048, 3), dtype=np.uint8)
    stored = whole, whole[::4, ::4]

    def read(level, row, column, height, width):
        scale = 4**level
        if row < 512 // scale and (level == 1 or column < 512):
            raise InputError("damaged")
        return np.ascontiguousarray(stored[level][row : row + height, column : column + width])

    pyramid = Pyramid(
        (Level((2048, 2048)), Level((512, 512), 4.0)), read, np.dtype(np.uint8), ("r", "g", "b"), (0.5, 0.5)
    )
    found = overview(pyramid, (0, 0, 2048, 2048), 16.0)
    assert found.shape == (128, 128, 3)
    assert (found[:64, :64] == 255).all(), "nowhere to be had"
    assert found[:64, 64:].mean() == pytest.approx(130, abs=3), "from the other level"
    assert found[64:].mean() == pytest.approx(130, abs=3)


def test_shared_slides_of_every_reader(shared_data):
    study = open_study(
        [Case("svs", shared_data / "slide" / "cmu-1-small-region.svs", None, "a"),
         Case("tma", shared_data / "slide" / "he" / "instanseg_HE.tif", None, "b")],
        config(tile=256, val_fraction=0.5),
    )  # fmt: skip
    assert not study.failures
    assert min(len(s.chosen) for s in (*study.train, *study.val)) >= 5
