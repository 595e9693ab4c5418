"""TIFFs that would be shown as something else, hang or end the process are refused, converted or said."""

from __future__ import annotations

import struct
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from PIL import ImageCms

from workbench.core.errors import InputError
from workbench.slide.data import open as opening
from workbench.slide.data import wsi
from workbench.slide.data.color import to_srgb
from workbench.slide.data.tiff_pages import CutOff

PIXELS = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
SMOOTH = np.asarray(Pillow.fromarray(PIXELS[:8, :10]).resize((400, 300)))


def written(path, pixels=PIXELS, **options):
    tifffile.imwrite(path, pixels, **{"photometric": "rgb", "metadata": None, **options})
    return path


def shown(path):
    pyramid = opening.read(path).pyramid
    return pyramid.read(0, 0, 0, *pyramid.levels[0].shape)


def shown_or_refused(path):
    """The pixels, or ``None`` where one line refuses them that begins with the name of the file."""
    said = ""
    try:
        return shown(path)
    except InputError as error:
        said = str(error)
    assert said.startswith(str(path))
    assert "\n" not in said
    return None


@pytest.mark.parametrize("tiled", [{}, {"tile": (64, 64)}], ids=["strips", "tiles"])
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (SMOOTH, {"photometric": "cielab"}),
        (SMOOTH, {"photometric": "ycbcr", "compression": "lzw", "extratags": [(530, 3, 2, (1, 1), True)]}),
        (SMOOTH.astype(np.int8), {}),
        (SMOOTH.astype(np.uint16) * 16, {}),
        (SMOOTH[..., 0], {"photometric": "minisblack"}),
        (SMOOTH[..., 0], {"photometric": "miniswhite"}),
    ],
    ids=["Lab", "YCbCr", "int8", "16 bits", "grey", "white is 0"],
)
def test_other_colours_and_types_are_shown_as_openslide_does_or_refused(tmp_path, pixels, options, name, tiled):
    path = written(tmp_path / name, pixels, **options, **tiled)
    found = shown_or_refused(path)
    if found is None:
        return
    assert options.get("photometric") in ("ycbcr", "cielab"), "what cannot be converted is refused"
    assert np.array_equal(found, wsi.SlideFile(path).read_region(0, 0, 0, 300, 400))


def test_sixteen_bits_of_a_png_are_not_cut_to_eight(tmp_path):
    import imagecodecs

    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(SMOOTH.astype(np.uint16) * 16))
    with pytest.raises(InputError, match="has 16 bits"):
        opening.read(path)


def levels(path, *pages, **options):
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(SMOOTH, subifds=len(pages), photometric="rgb", tile=(64, 64), metadata={"axes": "YXS"})
        for page, more in pages:
            file.write(page, subfiletype=1, **{"photometric": "rgb", "tile": (64, 64), "metadata": None, **more})
    return path


@pytest.mark.parametrize(
    ("page", "more", "words"),
    [
        (SMOOTH[::2, ::2].astype(np.uint16), {}, "3 samples of 16 bits"),
        (SMOOTH[::2, ::2, 0], {"photometric": "minisblack"}, "1 samples of 8 bits"),
        (SMOOTH[::2, ::2], {"photometric": "cielab"}, "colours of another kind"),
        (SMOOTH[::2, ::4], {}, "another shape (150 x 100)"),
        (SMOOTH[::2, ::2].transpose(2, 0, 1), {"planarconfig": "separate"}, "planes of their own"),
    ],
)
def test_a_level_that_is_none_of_the_image_is_left_out_and_said(tmp_path, page, more, words):
    path = levels(tmp_path / "a.ome.tif", (page, more), (SMOOTH[::4, ::4], {}))
    image = opening.read(path)
    assert [level.shape for level in image.pyramid.levels] == [(300, 400), (75, 100)]
    assert any(words in note and "level 1 is left out" in note for note in image.notes), image.notes
    assert np.array_equal(image.pyramid.read(1, 0, 0, 75, 100), SMOOTH[::4, ::4])


def test_a_label_that_stands_first_is_never_the_slide(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(
            np.zeros((500, 500, 3), np.uint8), photometric="rgb", metadata={"Name": "label image", "axes": "YXS"}
        )
        about = {"Name": "slide", "axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5,
                 "PhysicalSizeYUnit": "µm"}  # fmt: skip
        file.write(SMOOTH, photometric="rgb", metadata=about)
    image = opening.read(path)
    assert image.geometry.shape == (300, 400)
    assert image.pyramid.mpp == pytest.approx((0.5, 0.5))
    assert "image 2 of 2 in the file ('slide') is the slide" in image.notes
    plain = tmp_path / "b.tif"
    with tifffile.TiffWriter(plain) as file:
        file.write(SMOOTH[::8, ::8].copy(), photometric="rgb", subfiletype=1, metadata=None)
        file.write(SMOOTH, photometric="rgb", tile=(64, 64), metadata=None)
    assert opening.read(plain).geometry.shape == (300, 400)


def test_pixels_in_other_files_are_refused_and_those_never_opened(tmp_path):
    (tmp_path / "in").mkdir()
    secret = tifffile.imwrite(tmp_path / "second.ome.tif", SMOOTH, photometric="rgb", metadata={"axes": "YXS"})
    path = tmp_path / "in" / "first.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(SMOOTH, photometric="rgb", metadata={"axes": "YXS"})
    with tifffile.TiffFile(path) as file:
        text = file.ome_metadata
    plain = text.replace('<TiffData IFD="0"', '<TiffData FirstZ="0" IFD="0"')
    named = plain.replace("/>", ">", 1) if "<TiffData" not in plain else plain
    start = named.index("<TiffData")
    end = named.index(">", start)
    rest = named[end + 1 :]
    rest = rest[rest.index("</TiffData>") + 11 :] if named[end - 1] != "/" else rest
    named = (
        named[:start]
        + '<TiffData IFD="0" PlaneCount="1"><UUID FileName="../second.ome.tif">urn:uuid:1</UUID></TiffData>'
        + rest
    )
    tifffile.imwrite(path, SMOOTH, photometric="rgb", description=named.encode(), metadata=None)
    script = (
        "import sys; from pathlib import Path\n"
        "opened = []\n"
        "sys.addaudithook(lambda e, a: opened.append(str(a[0])) if e == 'open' else None)\n"
        "from workbench.core.errors import InputError\nfrom workbench.slide.data import open as opening\n"
        "try: opening.read(Path(sys.argv[1])); print('read')\n"
        "except InputError as error: print(error)\n"
        "print(any('second' in name for name in opened))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=100)
    said, was_opened = done.stdout.splitlines()
    assert was_opened == "False"
    assert said == "read" or "other files" in said or "no TIFF" in said
    del secret


def test_a_broken_profile_costs_the_profile_alone_and_a_good_one_is_used(tmp_path):
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for suffix in (".png", ".jpg", ".tif", ".ome.tif", ".svs.tif"):
        for content, words in (
            (srgb, "were converted to sRGB"),
            (b"", "holds no colour profile"),
            (swapped, None),
            (b"x" * 500, None),
        ):
            path = tmp_path / f"a{suffix}"
            if suffix in (".png", ".jpg"):
                Pillow.fromarray(SMOOTH).save(path, **({"icc_profile": content} if content else {}))
            else:
                tags = [(34675, 7, len(content), content, True)] if content else []
                written(
                    path, SMOOTH, tile=(64, 64), extratags=tags, metadata={"axes": "YXS"} if "ome" in suffix else None
                )
            image = opening.read(path)
            assert image.geometry.shape == (300, 400)
            if words is None:
                with pytest.raises(InputError, match="leave out --icc"):
                    to_srgb(image)
            else:
                assert words in to_srgb(image)[1], suffix


@pytest.mark.parametrize("aim", ["itself", "the first"])
def test_pages_that_go_round_in_a_circle_are_refused_at_once(tmp_path, aim):
    path = tmp_path / "loop.tif"
    with tifffile.TiffWriter(path) as file:
        for _ in range(2):
            file.write(SMOOTH, tile=(64, 64), photometric="rgb", metadata=None)
    content = bytearray(path.read_bytes())
    first = struct.unpack("<I", content[4:8])[0]
    count = struct.unpack("<H", content[first : first + 2])[0]
    last = struct.unpack("<I", content[first + 2 + 12 * count :][:4])[0]
    count = struct.unpack("<H", content[last : last + 2])[0]
    content[last + 2 + 12 * count :][:4] = b""
    at = last + 2 + 12 * count
    content[at : at + 4] = struct.pack("<I", last if aim == "itself" else first)
    for name in ("loop.tif", "loop.ome.tif", "loop.svs"):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match="go round in a circle"):
            opening.read(path)


def with_tag(path, name, value):
    with tifffile.TiffFile(path, mode="r+") as file:
        tag = file.pages[0].tags[name]
        at, width = tag.valueoffset, {3: 2, 4: 4}[int(tag.dtype)]
    content = bytearray(path.read_bytes())
    content[at : at + width] = value.to_bytes(width, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.svs"])
def test_tiles_of_terabytes_do_not_end_the_process(tmp_path, name):
    path = with_tag(written(tmp_path / name, tile=(64, 64), compression="jpeg"), "TileWidth", 0xFFF0)
    path = with_tag(path, "TileLength", 0xFFF0)
    with pytest.raises(InputError, match="states tiles of 65520 x 65520 pixels"):
        opening.read(path)


@pytest.mark.parametrize(
    ("tag", "value"),
    [("ImageWidth", 150), ("TileWidth", 4096), ("TileWidth", 0), ("ImageLength", 0), ("TileLength", 32)],
)
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_headers_that_contradict_themselves_give_no_scrambled_picture(tmp_path, tag, value, name):
    path = with_tag(written(tmp_path / name, tile=(64, 64), compression="jpeg"), tag, value)
    found = shown_or_refused(path)
    if found is not None:
        assert np.array_equal(found, wsi.SlideFile(path).read_region(0, 0, 0, *found.shape[:2]))


def test_a_frame_of_another_size_than_the_tile_is_damage(tmp_path):
    path = written(tmp_path / "a.ome.tif", tile=(64, 64), compression="jpeg")
    good = shown(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\xc0")
    content[at + 7 : at + 9] = (128).to_bytes(2, "big")
    path.write_bytes(content)
    pyramid = opening.read(path).pyramid
    with pytest.raises(InputError, match="its JPEG has 64 x 128 pixels, 64 x 64 were expected"):
        pyramid.read(0, 0, 0, 64, 64)
    assert np.array_equal(pyramid.read(0, 64, 64, 64, 64), good[64:128, 64:128])


def test_coarser_tiles_over_one_that_was_never_scanned_are_openslide_s(tmp_path):
    path = tmp_path / "a.svs"
    with tifffile.TiffWriter(path) as file:
        for step in (1, 2, 4):
            file.write(
                SMOOTH[::step, ::step].copy(), tile=(64, 64), photometric="rgb", compression="jpeg", metadata=None,
                description="Aperio Image Library v1\r\n400x300 |AppMag = 20|MPP = 0.5", subfiletype=int(step > 1),
            )  # fmt: skip
    with tifffile.TiffFile(path, mode="r+") as file:
        tag = file.pages[0].tags["TileByteCounts"]
        tag.overwrite([*tag.value[:6], 0, *tag.value[7:]])
    slide = wsi.SlideFile(path)
    assert slide.format == "aperio"
    for level, (rows, columns) in enumerate(slide.sizes):
        assert np.array_equal(slide.read(level, 0, 0, rows, columns), slide.read_region(level, 0, 0, rows, columns))


def test_a_file_that_took_the_place_of_an_open_one_is_said(tmp_path):
    path = written(tmp_path / "a.svs", tile=(64, 64), compression="jpeg")
    slide = wsi.SlideFile(path)
    written(tmp_path / "b.svs", 255 - PIXELS, tile=(64, 64), compression="jpeg").replace(path)
    with pytest.raises(InputError, match="another file stands there since it was opened"):
        slide.read(0, 0, 0, 64, 64)


def test_one_large_strip_is_unpacked_once(tmp_path, monkeypatch):
    from workbench.slide.data import tiff_tiles

    monkeypatch.setattr(tiff_tiles, "_CACHE_BYTES", 1000)
    monkeypatch.setattr(tiff_tiles, "_LARGE", 1000)
    path = written(tmp_path / "a.tif", rowsperstrip=300, compression="zlib")
    pyramid = opening.read(path).pyramid
    unpacked = []
    plain = tiff_tiles._by_tifffile
    monkeypatch.setattr(tiff_tiles, "_by_tifffile", lambda *a: unpacked.append(1) or plain(*a))
    for row in range(0, 256, 64):
        assert np.array_equal(pyramid.read(0, row, 0, 64, 64), PIXELS[row : row + 64, :64])
    assert len(unpacked) == 1


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_a_file_that_was_cut_off_is_not_taken_for_glass(tmp_path, name):
    path = written(tmp_path / name, tile=(64, 64), compression="jpeg")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"was cut off: \d+ of 35 tiles or strips lie beyond the end of the file"):
        opening.read(path)


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_one_tile_of_a_hundred_may_lack_at_the_end_and_no_more(tmp_path, name):
    """Of 400 tiles side by side in the file: 4 make a note, 5 or 20 are too many."""
    path = written(tmp_path / name, np.full((320, 320, 3), 7, np.uint8), tile=(16, 16))
    with tifffile.TiffFile(path) as file:
        offsets = file.pages[0].dataoffsets
    assert np.diff(offsets).tolist() == [16 * 16 * 3] * 399
    content = path.read_bytes()
    for lost in (3, 4):
        path.write_bytes(content[: offsets[-lost]])
        said = f"{lost} of 400 tiles or strips lie beyond the end of the file: it was cut off"
        assert said in opening.read(path).notes
    for lost in (5, 20):
        path.write_bytes(content[: offsets[-lost]])
        with pytest.raises(CutOff, match=rf"was cut off: {lost} of 400 tiles or strips lie beyond the end"):
            opening.read(path)
