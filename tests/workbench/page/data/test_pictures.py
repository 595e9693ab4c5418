"""Photos and scans: turned as the camera says, on white where transparent, refused in a line where damaged or huge."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

import workbench as wb
from workbench.core.errors import InputError
from workbench.data import picture_heads
from workbench.page.data import pictures

PIXELS = np.random.default_rng(0).integers(0, 255, (30, 50, 3)).astype(np.uint8)


def read(path):
    return wb.read(path, kind="page")


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_pixels_are_as_they_were_saved(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Pillow.fromarray(PIXELS).save(path)
    image = read(path)
    assert image.geometry.axes == ("down", "across")
    assert image.geometry.spacing is None
    assert image.channels == ("red", "green", "blue")
    assert np.array_equal(np.moveaxis(image.data, 0, 2), PIXELS)


@pytest.mark.parametrize(("turn", "expected"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_the_camera_says_which_way_is_up(tmp_path, turn, expected):
    picture = Pillow.fromarray(np.kron(PIXELS, np.ones((8, 8, 1), np.uint8)))
    exif = picture.getexif()
    exif[0x0112] = turn
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95)
    image = read(tmp_path / "a.jpg")
    plain = np.asarray(Pillow.open(tmp_path / "a.jpg").convert("RGB"))
    assert np.array_equal(np.moveaxis(image.data, 0, 2), np.rot90(plain, expected))
    assert image.data.shape[1:] == image.geometry.shape
    assert bool(image.notes) == (turn != 1)


def test_grey_palettes_and_transparent_ones_are_colours_on_white(tmp_path):
    clear = np.dstack([PIXELS, np.zeros(PIXELS.shape[:2], np.uint8)])
    Pillow.fromarray(clear).save(tmp_path / "clear.png")
    assert (read(tmp_path / "clear.png").data == 255).all()
    Pillow.fromarray(PIXELS[..., 0]).save(tmp_path / "grey.png")
    assert np.array_equal(read(tmp_path / "grey.png").data, np.repeat(PIXELS[None, ..., 0], 3, axis=0))
    Pillow.fromarray(PIXELS[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    deep = read(tmp_path / "deep.png")
    assert np.array_equal(deep.data[0], PIXELS[..., 0])
    assert any("brought to 8 bits" in note for note in deep.notes)


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    head = io.BytesIO()
    Pillow.new("1", (10_000, 10_000)).save(head, "PNG")
    (tmp_path / "bomb.png").write_bytes(head.getvalue())
    with pytest.raises(InputError, match="10000 x 10000 pixels, expected a page of up to 80 million"):
        read(tmp_path / "bomb.png")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.97])
def test_a_file_that_was_cut_is_one_line(tmp_path, share):
    for suffix in ("png", "jpg", "tif"):
        whole = tmp_path / f"whole.{suffix}"
        Pillow.fromarray(np.kron(PIXELS, np.ones((6, 6, 1), np.uint8))).save(whole)
        path = tmp_path / f"cut.{suffix}"
        path.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
        said = ""
        try:
            data = read(path).data
        except InputError as error:
            said = str(error)
        if said:
            assert "\n" not in said
            assert str(path) in said
        else:
            assert data.shape == (3, 180, 300)


def test_heic_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    from workbench.core.errors import MissingExtra

    pi_heif = pytest.importorskip("pi_heif", reason="the extra 'heic' is not installed")
    assert pi_heif
    monkeypatch.setitem(__import__("sys").modules, "pi_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(MissingExtra, match=r"napari-workbench\[heic\]"):
        read(tmp_path / "a.heic")


def test_what_is_no_picture_is_not_taken_for_one(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    assert not picture_heads.begins_as_one(tmp_path / "a.png")
    assert not picture_heads.begins_as_one(tmp_path / "none.png")
    with pytest.raises(InputError, match="is no picture that can be read"):
        read(tmp_path / "a.png")


@pytest.fixture
def stack(tmp_path):
    """A TIFF of three pages of different greys, with a smaller copy of the first between them."""
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as file:
        for grey, shape, copy in ((10, (40, 60, 3), 0), (10, (4, 6, 3), 1), (20, (40, 60, 3), 0), (30, (50, 40, 3), 0)):
            file.write(np.full(shape, grey, np.uint8), photometric="rgb", subfiletype=copy, metadata=None)
    return path


def test_a_tiff_of_several_pages_is_asked_for_the_page(stack):
    with pytest.raises(InputError) as caught:
        pictures.read(stack)
    asked = "has 3 pages. Say which: --series 1 to 3 (in Python series=1), or --series all for each."
    assert str(caught.value) == f"{stack}: {asked}"
    for number, grey in enumerate((10, 20, 30), 1):
        image = wb.read(stack, kind="page", series=str(number))
        assert image.notes == (f"page {number} of 3",)
        assert image.header == {"page": number, "pages": 3}
        assert np.unique(image.data).tolist() == [grey]
    with pytest.raises(InputError, match="has no page '4': its pages are 1 to 3"):
        wb.read(stack, kind="page", series=4)
    assert [(row["series"], row["n_series"]) for row in wb.info(stack, kind="page")] == [("1", 3), ("2", 3), ("3", 3)]


def test_a_tiff_of_one_page_is_read_as_before(tmp_path):
    path = tmp_path / "one.tif"
    Pillow.new("RGB", (60, 40)).save(path)
    assert pictures.read(path).notes == ()
    assert pictures.read(path, "1").data.shape == (3, 40, 60)
    assert [row["n_series"] for row in wb.info(path, kind="page")] == [1]
    Pillow.new("RGB", (60, 40)).save(tmp_path / "one.png")
    with pytest.raises(InputError, match="'series' chooses a page of a PDF or TIFF file, and this is none"):
        wb.read(tmp_path / "one.png", kind="page", series=1)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n0 0 40 40 rectfill\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("kind", ["page", "slide"])
def test_postscript_under_the_name_of_a_picture_runs_nothing(tmp_path, monkeypatch, kind):
    import subprocess

    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail(f"started {a}"))
    monkeypatch.setattr(subprocess, "check_call", lambda *a, **k: pytest.fail(f"started {a}"))
    (tmp_path / "a.jpg").write_bytes(POSTSCRIPT)
    with pytest.raises(InputError, match="is no picture that can be read"):
        assert wb.read(tmp_path / "a.jpg", kind=kind).data is None


@pytest.mark.parametrize(
    ("head", "said"), [(POSTSCRIPT, "PostScript"), (b"GIF89a" + bytes(20), "a GIF"), (b"<svg></svg>", "an SVG drawing")]
)
def test_what_a_file_is_instead_and_what_is_read_are_said(tmp_path, head, said):
    (tmp_path / "a.png").write_bytes(head)
    with pytest.raises(InputError, match=f"begins like {said}.*PNG, JPEG, TIFF, BMP, WebP or HEIC"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_is_no_number_changes_no_other(tmp_path, odd):
    grey = PIXELS[..., 0].astype(np.float32) / 255
    grey[2, 2] = 1.0
    Pillow.fromarray(grey).save(tmp_path / "a.tif")
    expected = read(tmp_path / "a.tif")
    assert not any("no finite" in note for note in expected.notes)
    grey[3, 4] = odd
    Pillow.fromarray(grey).save(tmp_path / "b.tif")
    image = read(tmp_path / "b.tif")
    assert (image.data[:, 3, 4] == 255).all()
    same = np.ones(grey.shape, bool)
    same[3, 4] = False
    assert np.array_equal(image.data[:, same], expected.data[:, same])
    assert "1 pixel(s) are no finite number, and were taken as paper" in image.notes


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.svg"])
@pytest.mark.parametrize("kind", [None, "page"])
def test_a_file_that_is_no_picture_is_said_to_be_none_not_a_slide(tmp_path, name, kind):
    head = {"a.gif": b"GIF89a", "a.svg": b"<svg>"}.get(name, b"some text")
    (tmp_path / name).write_bytes(head + bytes(40))
    with pytest.raises(InputError) as caught:
        wb.read(tmp_path / name, kind=kind)
    if kind is None or name in ("a.jpg", "a.png"):
        assert "is no picture that can be read" in str(caught.value)
        assert "PNG, JPEG, TIFF, BMP, WebP or HEIC" in str(caught.value)


def test_a_picture_whose_name_does_not_say_so_is_told(tmp_path):
    Pillow.fromarray(PIXELS).save(tmp_path / "scan", "PNG")
    with pytest.raises(InputError, match="scan: begins like a picture, and its name does not say so. Name it .png"):
        wb.read(tmp_path / "scan")
