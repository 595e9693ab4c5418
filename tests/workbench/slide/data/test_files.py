from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image as Pillow

from tests.tiny import make_tiny_slide, make_volume
from workbench.batch.inputs import find
from workbench.core import kinds
from workbench.core.errors import InputError
from workbench.core.provenance import input_hash
from workbench.data import formats
from workbench.slide.data import files
from workbench.slide.data.monai_reader import SlideReader
from workbench.slide.data.scaled import scaled
from workbench.slide.data.side_files import files_of, is_dicom_slide, named_in


def test_any_file_of_a_dicom_slide_is_that_slide(shared_data):
    paths = sorted(((shared_data / "slide") / "cmu1_dicom").glob("*.dcm"))
    images = [formats.read(p) for p in paths]
    assert {i.kind for i in images} == {"slide"}
    assert {i.geometry.shape for i in images} == {(2967, 2220)}
    assert len({input_hash(i) for i in images}) == 1
    assert all(i.all_files == tuple(paths) for i in images)


def test_a_folder_of_a_dicom_slide_is_one_case(shared_data):
    study = find([str((shared_data / "slide") / "cmu1_dicom")], kind="slide")
    assert [c.id for c in study.cases] == ["cmu1_dicom"]
    assert not study.skipped


def test_annotations_and_segmentations_of_a_slide_are_no_slides(shared_data):
    folder = (shared_data / "slide") / "dicom_misc"
    found = {p.name: is_dicom_slide(p) for p in folder.glob("*.dcm")}
    assert not found["highdicom_sm_annotations.dcm"]
    assert not found["highdicom_seg_image_sm_dots.dcm"]
    assert found["pathml_small.dcm"]
    assert found["highdicom_sm_image.dcm"]


def test_each_file_is_told_by_what_it_holds(tmp_path):
    def picture(name, mode):
        path = tmp_path / name
        Pillow.new(mode, (8, 8)).save(path)
        return path

    assert files.sniff(picture("a.png", "RGB"), None) == "maybe"
    assert files.sniff(picture("b.png", "L"), None) == "no"
    assert files.sniff(make_tiny_slide(tmp_path / "c.ome.tif"), None) == "sure"
    assert files.sniff(make_volume(tmp_path / "d.nii.gz"), None) == "no"
    import tifffile

    tifffile.imwrite(tmp_path / "cube.tif", np.zeros((8, 8, 6), np.uint16))
    assert files.sniff(tmp_path / "cube.tif", None) == "no"
    tifffile.imwrite(tmp_path / "photo.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    assert files.sniff(tmp_path / "photo.tif", None) == "maybe"
    with pytest.raises(InputError, match="spectral scene or a slide"):
        formats.read(tmp_path / "photo.tif")
    assert formats.read(tmp_path / "photo.tif", hint="slide").kind == "slide"


def test_a_grey_picture_is_refused(tmp_path):
    Pillow.new("L", (8, 8)).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="is grey"):
        formats.read(tmp_path / "mask.png", kind="slide")


def test_snapshots_in_a_folder_are_cases_of_slides_alone(tmp_path):
    make_volume(tmp_path / "ct.nii.gz")
    Pillow.new("RGB", (64, 64)).save(tmp_path / "snapshot.png")
    assert [c.id for c in find([str(tmp_path)]).cases] == ["ct"]
    assert [c.id for c in find([str(tmp_path)], kind="slide").cases] == ["snapshot"]


def test_the_parts_of_a_hamamatsu_slide_are_no_slides_of_their_own(tmp_path):
    for name in ("a.jpg", "a_map.jpg", "other.jpg"):
        Pillow.new("RGB", (8, 8)).save(tmp_path / name)
    text = "[Virtual Microscope Specimen]\nImageFile=a.jpg\nMapFile=a_map.jpg\nMacroImage=../macro.jpg\n"
    (tmp_path / "s.vms").write_text(text)
    assert [p.name for p in named_in(tmp_path / "s.vms")] == ["a.jpg", "a_map.jpg"]
    assert files.is_companion(tmp_path / "a.jpg")
    assert not files.is_companion(tmp_path / "other.jpg")


def test_the_folder_of_an_mrxs_belongs_to_it(tmp_path):
    (tmp_path / "s").mkdir()
    for name in ("Slidedat.ini", "Index.dat"):
        (tmp_path / "s" / name).write_text("x")
    (tmp_path / "s.mrxs").write_text("x")
    assert [p.name for p in files_of(tmp_path / "s.mrxs")] == ["s.mrxs", "Index.dat", "Slidedat.ini"]


def test_a_list_may_say_how_large_the_pixels_are(tmp_path):
    slide = make_tiny_slide(tmp_path / "s.ome.tif", mpp=0.5)
    listing = tmp_path / "list.csv"
    listing.write_text(f"id,image,mpp\na,{slide},0.25\nb,{slide},\nc,{slide},wide\n")
    from workbench.data.cases import open_case

    cases = {c.id: c for c in find([str(listing)]).cases}
    assert open_case(cases["a"]).pyramid.mpp == (0.25, 0.25)
    assert any("the file states 0.5" in n for n in open_case(cases["a"]).notes)
    assert open_case(cases["b"]).pyramid.mpp == (0.5, 0.5)
    with pytest.raises(Exception, match="column mpp holds 'wide'"):
        open_case(cases["c"])


def test_another_scale_is_used_and_said(tmp_path):
    image = formats.read(make_tiny_slide(tmp_path / "s.ome.tif"))
    other = scaled(image, 1.0)
    assert other.geometry.spacing == (1.0, 1.0)
    assert other.geometry.shape == image.geometry.shape
    assert [n for n in other.notes if "file states 0.5" in n]


@pytest.mark.filterwarnings("ignore")  # of decoders that MONAI looks for
def test_monai_loads_the_same_pixels_as_its_own_reader(shared_data):
    pytest.importorskip("openslide")
    from monai.data import WSIReader
    from monai.transforms import LoadImage

    path = (shared_data / "slide") / "cmu-1-small-region.svs"
    ours = LoadImage(reader=SlideReader(), dtype=None, image_only=True)(path)
    reader = WSIReader("openslide", level=0, dtype=np.uint8)
    theirs, _ = reader.get_data(reader.read(path))
    assert ours.shape == (3, 2967, 2220)
    np.testing.assert_array_equal(np.asarray(ours), theirs)
    np.testing.assert_allclose(ours.meta["mpp"], 0.499)


def test_one_level_of_a_slide_has_a_scale_of_its_own(tmp_path):
    image = formats.read(make_tiny_slide(tmp_path / "s.ome.tif"))
    array, meta = SlideReader(level=1).get_data(image)
    assert array.shape == (3, 512, 512)
    np.testing.assert_allclose(meta["mpp"], 1.0)


def test_a_slide_that_moves_away_while_it_is_open_is_said(tmp_path):
    path = make_tiny_slide(tmp_path / "s.ome.tif")
    image = formats.read(path)
    shutil.copy(make_tiny_slide(tmp_path / "t.ome.tif", seed=1), path)
    with pytest.raises(InputError, match="changed or replaced"):
        image.require_unchanged()


def test_the_row_reads_what_it_says():
    row = kinds.find("slide")
    assert row.formats == ("hdf5", "geoparquet", "ome-zarr")
    assert set(row.if_asked) <= set(row.readers)
