"""A list of slides with labels, before anything is learnt from it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.mil_maker import bag_file, facts_of
from tests.tiny import make_tiny_slide_weights
from workbench.core.errors import InputError
from workbench.slide import read_label_list


@pytest.fixture
def listed(tmp_path):
    """Writes a list of slides that exist."""

    def write(head, *rows):
        for row in rows:
            Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / row.split(",")[0])
        path = tmp_path / "list.csv"
        path.write_text("\n".join([head, *rows]), encoding="utf-8")
        return path

    return write


def test_slides_and_patients_of_each_label_are_counted(listed):
    path = listed(
        "image,patient,label,stage,site",
        "a.png,p1,ill,1,x", "b.png,p1,ill,2,x", "c.png,p2,well,1,x", "d.png,unknown,well,2,x", "e.png,unknown,well,3,x",
    )  # fmt: skip
    found = read_label_list(path)
    # 'site' is the same everywhere; patients that nobody knows are not one patient
    assert found.columns == ("label", "stage")
    assert found.counts("label") == [("ill", 2, 1), ("well", 3, 3)]
    assert found.counts("stage") == [("1", 2, 2), ("2", 2, 2), ("3", 1, 1)]
    assert len(found.patients) == 4
    assert not found.is_embedded


def test_test_cases_of_a_data_set_are_neither_counted_nor_learnt_from(listed):
    path = listed("image,patient,label,split", "a.png,1,x,train", "b.png,2,y,train", "c.png,3,y,test")
    found = read_label_list(path)
    assert found.counts("label") == [("x", 1, 1), ("y", 1, 1)]
    assert "1 test case(s)" in found.notes[0]


def test_a_column_with_holes_names_the_slide(listed):
    found = read_label_list(listed("image,patient,label", "a.png,1,x", "b.png,2,", "c.png,3,y"))
    with pytest.raises(InputError, match="^b: no 'label' in the list"):
        found.counts("label")


def test_a_list_without_labels_says_what_it_has(listed):
    path = listed("image,patient,site", "a.png,1,x", "b.png,2,x")
    with pytest.raises(InputError, match=r"list\.csv: no column says a label of its 2 slides \(found: image, site\)"):
        read_label_list(path)


def test_embeddings_are_told_from_slides(tmp_path):
    facts = facts_of(make_tiny_slide_weights(tmp_path / "encoder.safetensors"))
    for n in range(2):
        bag_file(tmp_path / f"s{n}.h5", facts, n)
    (tmp_path / "list.csv").write_text("image,patient,label\ns0.h5,1,x\ns1.h5,2,y\n", encoding="utf-8")
    assert read_label_list(tmp_path / "list.csv").is_embedded
