"""Slides of the shared folder and made ones: what is right for each, through every reader that takes it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from workbench.core.errors import InputError
from workbench.slide.data import ome_tiff, pictures, wsi
from workbench.slide.data.open import read as open_slide


@pytest.fixture
def slides(shared_data):
    return shared_data / "slide"


def test_an_svs(slides):
    image = wsi.read(slides / "cmu-1-small-region.svs")
    assert (image.kind, image.geometry.shape, image.geometry.unit) == ("slide", (2967, 2220), "um")
    assert image.geometry.spacing == pytest.approx((0.499, 0.499))
    assert image.notes == ()
    assert image.pyramid.mpp_source == "openslide.mpp-x, -y"
    assert image.data.shape == (3, 2967, 2220)


def test_a_dicom_slide_opens_from_any_of_its_files_and_shows_the_same(slides):
    svs = wsi.read(slides / "cmu-1-small-region.svs").data.astype(float)
    files = sorted((slides / "cmu1_dicom").glob("*.dcm"))
    assert len(files) == 4
    first = None
    for file in files:
        image = wsi.read(file)
        assert image.geometry.shape == (2967, 2220)
        assert image.pyramid.mpp == pytest.approx((0.499, 0.499))
        first = image.data if first is None else first
        assert np.array_equal(image.data, first)
    assert abs(first - svs).mean() < 3.5
    assert np.corrcoef(first.ravel()[::97], svs.ravel()[::97])[0, 1] > 0.99


def test_72_dots_per_inch_are_not_believed(slides):
    image = wsi.read(slides / "openslide" / "boxes.tiff")
    assert image.pyramid.mpp is None
    assert image.geometry.affine is None
    assert "72 dots per inch" in image.notes[0]
    assert [level.shape for level in image.pyramid.levels] == [(250, 300), (125, 150), (62, 75), (31, 37)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken.svs", "knows no slide of this format"),
        ("openslide/unopenable.tiff", "Unsupported TIFF compression: 52479"),
        ("dicom_misc/pathml_small.dcm", "Couldn't get image flavor"),
        ("dicom_misc/highdicom_sm_image_jpegls.dcm", "Unsupported transfer syntax"),
        ("dicom_misc/highdicom_seg_image_sm_dots.dcm", "knows no slide of this format"),
        ("he/stardist-histo.jpg", "knows no slide of this format"),
    ],
)
def test_what_cannot_be_opened_ends_in_one_line(slides, name, words):
    with pytest.raises(InputError, match=words) as caught:
        wsi.read(slides / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_damaged_tile_ends_nothing(slides):
    image = wsi.read(slides / "openslide" / "unreadable.svs")
    for _ in range(3):  # OpenSlide's own handle gives nothing any more after the first
        with pytest.raises(InputError, match=r"level 0, row 0, column 0 cannot be decoded \(Bogus marker length\)"):
            image.pyramid.read(0, 0, 0, 16, 16)


def test_a_damaged_tile_costs_those_beside_it_nothing(tmp_path):
    path = tmp_path / "a.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (512, 512, 3), dtype=np.uint8)
    tifffile.imwrite(path, pixels, tile=(64, 64), photometric="rgb", compression="jpeg", metadata=None)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        at, length = page.dataoffsets[27], page.databytecounts[27]
    content = bytearray(path.read_bytes())
    content[at : at + length] = bytes(length)
    path.write_bytes(content)
    slide = wsi.SlideFile(path)

    def tried(number):
        try:
            slide.read(0, number // 8 * 64, number % 8 * 64, 64, 64)
        except InputError:
            return number
        return None

    with ThreadPoolExecutor(8) as threads:
        failed = [n for n in threads.map(tried, 20 * list(range(64))) if n is not None]
    assert failed == 20 * [27]


def test_several_threads_read_the_same(slides):
    pyramid = wsi.read(slides / "cmu-1-small-region.svs").pyramid
    places = [(r, c) for r in range(0, 2700, 270) for c in range(0, 2000, 250)]
    alone = [pyramid.read(0, r, c, 240, 200) for r, c in places]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda p: pyramid.read(0, *p, 240, 200), places))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def pyramid_file(path, planes, **more):
    import tifffile

    with tifffile.TiffWriter(path) as file:
        options = {"tile": (64, 64), "photometric": "rgb", **more}
        file.write(planes[0], subifds=len(planes) - 1, **options)
        for plane in planes[1:]:
            file.write(plane, subfiletype=1, tile=(64, 64), photometric="rgb")


@pytest.fixture
def planes():
    rng = np.random.default_rng(0)
    full = rng.integers(0, 255, (300, 420, 3), dtype=np.uint8)
    return [full, full[::2, ::2], full[::4, ::4]]


def test_an_ome_tiff_with_levels(tmp_path, planes):
    path = tmp_path / "a.ome.tif"
    said = {"axes": "YXS", "PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25}
    pyramid_file(path, planes, metadata=said)
    image = ome_tiff.read(path)
    assert image.pyramid.mpp == pytest.approx((0.25, 0.25))
    assert [level.downsample for level in image.pyramid.levels] == [1, 2, 4]
    for level, plane in enumerate(planes):
        rows, columns = plane.shape[:2]
        assert np.array_equal(image.pyramid.read(level, 0, 0, rows, columns), plane)
        assert np.array_equal(image.pyramid.read(level, 11, 7, 50, 61), plane[11:61, 7:68])


def test_sizes_of_a_plain_tiff(tmp_path, planes):
    path = tmp_path / "a.tif"
    pyramid_file(path, planes[:1], resolution=(40_000, 40_000), resolutionunit="CENTIMETER")
    assert ome_tiff.read(path).pyramid.mpp == pytest.approx((0.25, 0.25))
    pyramid_file(path, planes[:1], resolution=(72, 72), resolutionunit="INCH")
    image = ome_tiff.read(path)
    assert image.pyramid.mpp is None
    assert "72 dots per inch" in image.notes[0]


@pytest.mark.parametrize(
    ("unit", "per", "right"),
    [("um", 2, 0.5), ("micron", 4, 0.25), ("mm", 2000, 0.5), ("inch", 50_800, 0.5), ("pixel", 1, None)],
)
def test_imagej_counts_pixels_per_unit_of_its_own(tmp_path, unit, per, right):
    path = tmp_path / "ij.tif"
    pixels = np.zeros((64, 80, 3), np.uint8)
    tifffile.imwrite(path, pixels, imagej=True, resolution=(per, per), metadata={"unit": unit})
    pyramid = open_slide(path).pyramid
    assert pyramid.mpp == (None if right is None else pytest.approx((right, right)))
    assert right is None or pyramid.mpp_source == f"ImageJ, pixels per {unit}"


def test_a_tiff_to_be_shown_turned_is_said(tmp_path):
    path = tmp_path / "turned.tif"
    tifffile.imwrite(path, np.zeros((64, 80, 3), np.uint8), photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    image = open_slide(path)
    assert image.pyramid.levels[0].shape == (64, 80), "as it is stored"
    assert any("orientation 6" in note for note in image.notes)


def test_a_tiff_that_is_no_brightfield_slide_is_refused(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "grey.tif", np.zeros((64, 64), np.uint8))
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((64, 64, 3), np.uint16), photometric="rgb")
    for name in ("grey", "deep"):
        with pytest.raises(InputError, match="red, green and blue of 8 bits"):
            ome_tiff.read(tmp_path / f"{name}.tif")
    (tmp_path / "no.tif").write_bytes(b"II*\0 nothing")
    with pytest.raises(InputError, match=r"no\.tif"):
        ome_tiff.read(tmp_path / "no.tif")


def test_a_picture_is_a_slide_of_one_level(tmp_path):
    from PIL import Image as Pillow

    pixels = np.random.default_rng(1).integers(0, 255, (90, 130, 4), dtype=np.uint8)
    pixels[:20, :, 3] = 0
    pixels[20:, :, 3] = 255
    Pillow.fromarray(pixels).save(tmp_path / "roi.png", dpi=(96, 96))
    image = pictures.read(tmp_path / "roi.png")
    assert image.pyramid.mpp is None
    assert "96 dots per inch" in image.notes[0]
    assert (image.pyramid.read(0, 0, 0, 20, 130) == 255).all(), "what is transparent is white"
    assert np.array_equal(image.pyramid.read(0, 30, 40, 50, 60), pixels[30:80, 40:100, :3])
    (tmp_path / "cut.png").write_bytes((tmp_path / "roi.png").read_bytes()[:400])
    with pytest.raises(InputError, match="cannot be decoded"):
        _ = pictures.read(tmp_path / "cut.png").data
    (tmp_path / "no.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no picture"):
        pictures.read(tmp_path / "no.png")


def test_a_picture_too_large_to_be_decoded_whole_is_refused_when_it_is_opened(tmp_path, monkeypatch):
    from PIL import Image as Pillow

    Pillow.new("RGB", (60, 50)).save(tmp_path / "roi.png")
    for limit in (2000, 100):  # Pillow warns above the limit, and refuses above twice
        monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(InputError, match=r"roi\.png: .*3000 pixels.* pyramidal TIFF"):
            pictures.read(tmp_path / "roi.png")


def test_a_tile_that_was_never_scanned_is_white(tmp_path):
    import tifffile

    tiles = [np.full((64, 64, 3), 9, np.uint8), None, None, np.full((64, 64, 3), 7, np.uint8)]
    options = {"shape": (128, 128, 3), "dtype": np.uint8, "tile": (64, 64), "photometric": "rgb"}
    tifffile.imwrite(tmp_path / "a.tif", iter(tiles), **options)
    found = ome_tiff.read(tmp_path / "a.tif").pyramid.read(0, 0, 0, 128, 128)
    assert (found[:64, :64] == 9).all()
    assert (found[64:, 64:] == 7).all()
    assert (found[:64, 64:] == 255).all()


def test_a_fault_of_ours_is_not_called_a_bad_file(tmp_path, planes, monkeypatch):
    pyramid_file(tmp_path / "a.tif", planes[:1])
    pyramid = ome_tiff.read(tmp_path / "a.tif").pyramid
    monkeypatch.setattr("tifffile.TiffPage.decode", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pyramid.read(0, 0, 0, 10, 10)
