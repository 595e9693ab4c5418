"""Which files of a folder are pages: told by what is in them, beside data of all other kinds."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Pillow

import workbench as wb
from tests.dicom_maker import write_series
from tests.tiny import make_volume
from workbench.batch.inputs import find
from workbench.core import kinds, registry
from workbench.core.errors import InputError
from workbench.data import formats, tree
from workbench.data.cases import load_study, open_case, settled


def ids(study):
    return [c.id for c in study.cases]


@pytest.fixture
def mixed(tmp_path, shared_data):
    """Slices of a CT and two waveforms in one folder, with the suffix of DICOM, without one, and named by a UID."""
    folder = tmp_path / "mixed"
    write_series(folder, n=3)
    shutil.copy(shared_data / "ecg" / "hl7_example.dcm", folder / "ecg.dcm")
    shutil.copy(shared_data / "ecg" / "hl7_example.dcm", folder / "IM0001")
    shutil.copy(shared_data / "ecg" / "dicom_12lead_mortara.dcm", folder / "1.2.840.17")
    return folder


def test_waveforms_among_slices_are_told_by_their_content(mixed):
    pages = find([str(mixed)], kind="page")
    assert ids(pages) == ["1.2.840", "IM0001", "ecg"]
    assert {s.reason for s in pages.skipped} == {"a volume, an electrocardiogram was looked for"}
    assert sum(s.count for s in pages.skipped) == 3
    assert ids(load_study(mixed, kind="page")) == ids(pages)
    volumes = find([str(mixed)], kind="volume")
    assert [c.image for c in volumes.cases] == [mixed]
    assert {s.reason for s in volumes.skipped} == {"an electrocardiogram, a volume was looked for"}
    everything = tree.find(mixed)
    assert len(everything.cases) == 4
    assert [formats.kind_of(c.image).name for c in everything.cases if c.image.is_file()] == ["page"] * 3


def test_the_only_waveform_among_slices_is_read_where_a_page_is_wanted(mixed):
    for name in ("IM0001", "1.2.840.17"):
        (mixed / name).unlink()
    assert wb.read(mixed, kind="page").format == "dicom-ecg"
    assert wb.read(mixed).kind == "volume"
    assert [row["kind"] for row in wb.info(mixed)] == ["page", "volume"]


def test_a_folder_of_waveforms_is_no_volume(tmp_path, shared_data):
    for name in ("hl7_example.dcm", "dicom_12lead_mortara.dcm"):
        shutil.copy(shared_data / "ecg" / name, tmp_path / name)
    assert ids(find([str(tmp_path)], kind="page")) == ["dicom_12lead_mortara", "hl7_example"]
    assert kinds.find("volume").sniff(tmp_path) == "maybe"
    assert [row["kind"] for row in wb.info(tmp_path)] == ["page", "page"]
    (tmp_path / "hl7_example.dcm").unlink()
    assert wb.read(tmp_path, kind="page").kind == "page"


def test_what_a_run_wrote_is_no_page(tmp_path):
    """Results, pictures of the overview and tables beside the pages, by a folder and by a pattern."""
    page = tmp_path / "same" / "page.png"
    page.parent.mkdir()
    Pillow.new("RGB", (40, 30), "white").save(page)
    result = tmp_path / "same" / "out" / "page"
    for made in (result / "page.png", tmp_path / "same" / "out" / "overview_pictures" / "page.png"):
        made.parent.mkdir(parents=True)
        shutil.copy(page, made)
    (result / "provenance.json").write_text('{"backend": "ecg_image", "weights": {}}')
    (result / "leads.csv").write_text("time [s],I [uV],II [uV],III [uV]\n0,1,2,3\n")
    for text in (str(tmp_path / "same"), str(tmp_path / "same" / "**" / "*.*")):
        study = find([text], kind="page")
        assert [c.image for c in study.cases] == [page]
        assert "pictures of an overview that the workbench wrote" in " ".join(s.reason for s in study.skipped)
    assert [c.image for c in find([str(result / "*.png")], kind="page").cases] == [result / "page.png"]
    assert [c.image for c in load_study(tmp_path / "same", kind="page").cases] == [page]


def test_an_index_of_tiles_is_no_scene(tmp_path):
    for name in ("vectors", "corners"):
        np.save(tmp_path / f"{name}.npy", np.zeros((3, 2), np.float16))
    assert len(tree.find(tmp_path, kind="scene").cases) == 2
    (tmp_path / "index.json").write_text("{}")
    study = tree.find(tmp_path, kind="scene")
    assert not study.cases
    assert [s.reason for s in study.skipped] == ["an index of tiles"]


NAMES = ("t1", "t2", "p_flair", "p_t1", "mask", "label", "scan", "scan_mask", "scan_labels", "x_0000", "x_0001")


def test_names_say_nothing_of_pages(tmp_path):
    """What is a channel or a label map among volumes is a page among pages, for every verb."""
    for name in NAMES:
        Pillow.new("RGB", (40, 30), "white").save(tmp_path / f"{name}.png")
    for study in (find([str(tmp_path)], kind="page"), load_study(tmp_path, kind="page")):
        assert ids(study) == sorted(NAMES)
        assert not any(c.files or c.labels for c in study.cases)
        assert not study.skipped


def test_pages_are_apart_from_the_volumes_beside_them(tmp_path, shared_data):
    """Digital records named as sequences stand by themselves where no kind is looked for, the volumes beside do not."""
    for name in ("t1", "t2"):
        shutil.copy(shared_data / "ecg" / "hl7_example.dcm", tmp_path / f"ecg_{name}.dcm")
        make_volume(tmp_path / f"p_{name}.nii.gz", shape=(4, 4, 4))
    make_volume(tmp_path / "p_mask.nii.gz", shape=(4, 4, 4))
    for study in (tree.find(tmp_path), load_study(tmp_path)):
        assert ids(study) == ["ecg_t1", "ecg_t2", "p"]
        assert study.cases[-1].channels == ("T1", "T2")
        assert study.cases[-1].labels == tmp_path / "p_mask.nii.gz"


def test_sequences_are_channels_only_of_files_that_can_be_volumes(tmp_path):
    for name in ("t1", "t2"):
        Pillow.new("RGB", (40, 30), "white").save(tmp_path / f"{name}.png")
    assert ids(find([str(tmp_path)], kind="slide")) == ["t1", "t2"]


@pytest.fixture
def scans(tmp_path):
    """A page as TIFF in colours, in numbers of colours, in grey of 8 and 16 bits, and a map that is none."""
    folder = tmp_path / "scans"
    folder.mkdir()
    page = Pillow.effect_noise((60, 40), 80)
    page.convert("RGB").save(folder / "colours.tif")
    page.convert("RGB").quantize(16).save(folder / "palette.tif")
    page.save(folder / "grey.tif")
    Pillow.fromarray(np.asarray(page).astype(np.uint16) * 257).save(folder / "deep.tiff")
    place = {33550: (1.0, 1.0, 0.0), 33922: (0.0, 0.0, 0.0, 5e5, 5e6, 0.0)}
    page.save(folder / "map.tif", tiffinfo=place)
    return folder


def test_whoever_asks_for_pages_gets_what_can_be_read_as_one(scans):
    pages = {"colours", "palette", "grey", "deep"}
    assert set(ids(find([str(scans)], kind="page"))) == pages
    for path in scans.iterdir():
        assert (formats.kind_of(path, hint="page").name == "page") == (path.stem in pages)
        (case,) = find([str(path)], kind="page").cases
        if path.stem in pages:
            (case,) = settled([case], registry.find("ecg_image"))
            assert open_case(case).kind == "page"
    assert formats.kind_of(scans / "grey.tif").name == "scene"  # nobody asked


def test_numbers_of_colours_are_never_a_scene(scans):
    assert formats.kind_of(scans / "palette.tif").name == "page"
    assert set(ids(tree.find(scans, kind="scene"))) == {"colours", "grey", "deep", "map"}
    assert formats.read_labels(scans / "palette.tif").data.shape == (40, 60)  # a class map may be one
    assert formats.label_image(scans / "palette.tif").kind == "scene"


def test_what_belongs_to_a_record_is_not_named_as_unreadable(tmp_path, shared_data):
    for name in ("ptbxl_00001_lr.hea", "ptbxl_00001_lr.dat"):
        shutil.copy(shared_data / "ecg" / name, tmp_path / name)
    study = find([str(tmp_path)], kind="page")
    assert (ids(study), study.skipped) == (["ptbxl_00001_lr"], ())


def test_a_table_of_leads_by_itself_is_no_list_of_cases(tmp_path):
    table, listed = tmp_path / "leads.csv", tmp_path / "cases.csv"
    table.write_text("time [s],I [uV],II [uV],III [uV]\n" + "".join(f"{n / 500},1,2,3\n" for n in range(9)))
    listed.write_text("id;Image;I;II;III\none;leads.csv;1;2;3\n")  # names its images, whatever else its columns say
    for study in (find([str(table)], kind="page"), load_study(table, kind="page")):
        (case,) = study.cases
        assert (case.id, case.image) == ("leads", table)
        assert open_case(case).channels == ("I", "II", "III")
    for study in (find([str(listed)], kind="page"), load_study(listed, kind="page")):
        assert [(c.id, c.image) for c in study.cases] == [("one", table)]
    listed.write_text("id,path\none,leads.csv\n")
    with pytest.raises(InputError, match="'image' was expected"):
        find([str(listed)], kind="page")


@pytest.fixture
def documents(tmp_path):
    """A TIFF of three pages, a PDF of two, others of one, and a damaged one."""
    folder = tmp_path / "documents"
    folder.mkdir()
    pages = [Pillow.new("RGB", (60, 40), (n, n, n)) for n in (250, 240, 230)]
    pages[0].save(folder / "scan.tif", save_all=True, append_images=pages[1:])
    pages[0].save(folder / "print.pdf", save_all=True, append_images=pages[1:2])
    pages[0].save(folder / "one.pdf")
    pages[0].save(folder / "photo.png")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 and nothing more")
    return folder


def test_all_pages_of_documents_are_cases(documents):
    expected = {"scan_p1", "scan_p2", "scan_p3", "print_p1", "print_p2", "one", "photo", "broken"}
    for text in (str(documents), str(documents / "*")):
        study = find([text], series="all", kind="page")
        assert set(ids(study)) == expected
        assert {c.id: c.options.get("series") for c in study.cases if c.image.suffix == ".tif"} == {
            "scan_p1": "1", "scan_p2": "2", "scan_p3": "3"
        }  # fmt: skip
        grey = {c.id: int(open_case(replace(c, options={**c.options, "kind": "page"})).data[0, 0, 0])
                for c in study.cases if "_p" in c.id}  # fmt: skip
        assert grey == {"scan_p1": 250, "scan_p2": 240, "scan_p3": 230, "print_p1": 250, "print_p2": 240}
    assert set(ids(load_study(documents, kind="page", series="all"))) == expected
    assert set(ids(wb.study(documents, kind="page", series="all"))) == expected


def test_all_pages_of_a_single_file_and_of_a_list(documents):
    assert ids(find([str(documents / "scan.tif")], series="all", kind="page")) == ["scan_p1", "scan_p2", "scan_p3"]
    assert ids(find([str(documents / "one.pdf")], series="all", kind="page")) == ["one"]
    listed = documents / "cases.csv"
    listed.write_text("image,id,series\nscan.tif,all,\nscan.tif,second,2\n")
    study = find([str(listed)], series="all", kind="page")
    assert {c.id: c.options["series"] for c in study.cases} == {
        "all_p1": "1",
        "all_p2": "2",
        "all_p3": "3",
        "second": "2",
    }


def test_pages_of_a_document_do_not_take_the_name_of_another_file(documents):
    Pillow.new("RGB", (60, 40)).save(documents / "scan_p1.png")
    study = find([str(documents)], series="all", kind="page")
    assert len(set(ids(study))) == len(study.cases) == 9
    load_study(documents, kind="page", series="all")


def test_all_says_nothing_new_of_volumes(tmp_path):
    """There it is what any word is: perhaps the end of a UID."""
    write_series(tmp_path / "ct", n=3)
    assert [c.options for c in find([str(tmp_path)], series="all", kind="volume").cases] == [{"series": "all"}]
