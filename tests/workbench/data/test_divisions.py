"""The splits that data sets come with: folds of nnU-Net, and the lists of dataset.json."""

import json

import pytest

from tests.study_maker import save_nifti, write_nnunet
from workbench.core.errors import UsageError
from workbench.core.types import Case
from workbench.data.cases import load_study, scored_on, taught_by
from workbench.training.split import own_split

NAMES = ["amos_0001", "amos_0002", "amos_0003", "amos_0004"]
FOLDS = [
    {"train": ["amos_0001", "amos_0002", "amos_0003"], "val": ["amos_0004"]},
    {"train": ["amos_0002", "amos_0003", "amos_0004"], "val": ["amos_0001"]},
]


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def names(cases, numbers):
    return [cases[i].id for i in numbers]


@pytest.mark.parametrize("place", ["beside", "preprocessed"])
def test_folds_of_nnunet_split_the_cases(tmp_path, place):
    root = tmp_path / "nnUNet_raw" / "Dataset001_X"
    write_nnunet(root, NAMES, tests=("amos_0009",))
    prepared = tmp_path / "nnUNet_preprocessed" / "Dataset001_X"
    save((root if place == "beside" else prepared) / "splits_final.json", FOLDS)
    for given in (root, root / "imagesTr"):
        study = load_study(given)
        assert (study.faults, study.notes) == ((), ())
        cases, _ = taught_by(study.cases)
        assert [c.id for c in cases] == NAMES
        for fold, left_out in ((0, "amos_0004"), (1, "amos_0001")):
            own = own_split(cases, fold)
            assert names(cases, own.val) == [left_out]
            assert names(cases, own.train) == [n for n in NAMES if n != left_out]
            assert own.said == f"fold {fold} of splits_final.json"
        assert own_split(cases, -1) is None
        with pytest.raises(UsageError, match="fold=2: the data set has 2 folds, 0 to 1"):
            own_split(cases, 2)


def test_names_that_do_not_fit_are_named(tmp_path):
    write_nnunet(tmp_path, NAMES)
    save(tmp_path / "splits_final.json", [{"train": ["amos_0001", "amos_0002"], "val": ["amos_0003", "gone_1"]}])
    study = load_study(tmp_path)
    assert study.notes == (
        f"{tmp_path / 'splits_final.json'}: names gone_1, which are not here",
        f"{tmp_path / 'splits_final.json'}: does not name amos_0004: no fold learns from them or validates on them",
    )
    own = own_split(study.cases, 0)
    assert (names(study.cases, own.train), names(study.cases, own.val)) == (["amos_0001", "amos_0002"], ["amos_0003"])
    assert "does not name amos_0004: neither learnt from nor validated on" in own.notes[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"train": []}, "not the folds of nnU-Net"),
        ([], "not the folds of nnU-Net"),
        ([{"train": ["a"], "val": [3]}], "not the folds of nnU-Net"),
        ([{"train": ["amos_0001"], "val": ["amos_0001"]}], "fold 0 has amos_0001 in 'train' and in 'val'"),
    ],
)
def test_damaged_folds_stop_training_and_not_prediction(tmp_path, content, said):
    write_nnunet(tmp_path, NAMES)
    save(tmp_path / "splits_final.json", content)
    study = load_study(tmp_path)  # as `predict` and `info` take it
    assert len(study.cases) == 4
    assert len(study.faults) == 1
    assert said in study.faults[0]
    assert str(tmp_path / "splits_final.json") in study.faults[0]


def decathlon(root, **lists):
    for name in NAMES:
        save_nifti(root / "imagesTr" / f"{name}.nii.gz")
        save_nifti(root / "labelsTr" / f"{name}.nii.gz", value=1, dtype="u1")
    about = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "x"}}
    rows = {
        key: [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in found]
        for key, found in lists.items()
    }
    save(root / "dataset.json", {**about, **rows})


def test_numbers_of_patients_are_no_channels(tmp_path):
    """AMOS names its patients amos_0001 to amos_0600, one file each."""
    decathlon(tmp_path, training=NAMES)
    study = load_study(tmp_path)
    assert [c.id for c in study.cases] == NAMES
    assert all(c.labels is not None and not c.files and not c.problem for c in study.cases)
    assert (study.notes, study.faults) == ((), ())
    for number in range(4):  # the first is number 0, and one channel is all they have
        (tmp_path / "imagesTr" / f"{NAMES[number]}.nii.gz").rename(tmp_path / "imagesTr" / f"s_{number:04d}.nii.gz")
        (tmp_path / "labelsTr" / f"{NAMES[number]}.nii.gz").rename(tmp_path / "labelsTr" / f"s_{number:04d}.nii.gz")
    assert [c.id for c in load_study(tmp_path).cases] == [f"s_{n:04d}" for n in range(4)]


def test_lists_of_a_dataset_give_the_split(tmp_path):
    decathlon(tmp_path, training=NAMES[:2], validation=NAMES[2:3], test=NAMES[3:])
    study = load_study(tmp_path)
    assert [c.options["split"] for c in study.cases] == ["training", "training", "validation", "test"]
    assert study.notes == (f"{tmp_path / 'imagesTr'}: dataset.json lists amos_0004 for the test",)
    cases, said = taught_by(study.cases)
    assert "1 test case(s) of the data set are left out of the training, first amos_0004" in said[0]
    own = own_split(cases, 0)
    assert (names(cases, own.train), names(cases, own.val)) == (NAMES[:2], NAMES[2:3])
    assert own.said == "the validation part of the data set"
    assert [c.id for c in scored_on(study.cases)[0]] == ["amos_0004"]


def test_names_that_begin_anew_in_each_folder_are_told_apart(tmp_path):
    """``imagesTs/case_001`` is another image than ``imagesTr/case_001``, and says nothing about that one's use."""
    for folder in ("imagesTr", "imagesVa", "imagesTs"):
        for name in ("case_001", "case_002"):
            save_nifti(tmp_path / folder / f"{name}.nii.gz", value=len(folder) + ord(folder[-1]))
    lists = {
        key: [f"./{folder}/case_001.nii.gz", f"./{folder}/case_002.nii.gz"]
        for key, folder in (("training", "imagesTr"), ("validation", "imagesVa"), ("test", "imagesTs"))
    }
    save(tmp_path / "dataset.json", {"labels": {"0": "background"}, "numTraining": 2, **lists})
    for folder, use in (("imagesTr", "training"), ("imagesVa", "validation"), ("imagesTs", "test")):
        study = load_study(tmp_path / folder)
        assert [(c.id, c.options["split"]) for c in study.cases] == [("case_001", use), ("case_002", use)]
        assert not [n for n in study.notes if "dataset.json" in n]


def test_what_no_list_names_is_said(tmp_path):
    decathlon(tmp_path, training=[*NAMES[:3], "amos_0007"])
    assert load_study(tmp_path).notes == (
        f"{tmp_path / 'imagesTr'}: dataset.json names amos_0007, which are not here",
        f"{tmp_path / 'imagesTr'}: dataset.json does not list amos_0004: for the training, as the folder says",
    )


def test_a_patient_on_both_sides_is_said(tmp_path):
    cases = [
        Case(f"c{n}", tmp_path / f"{n}.nii", group=group, options={"split": split})
        for n, (group, split) in enumerate([("p1", "train"), ("p1", "val"), ("p2", "train")])
    ]
    own = own_split(cases, 0)
    assert own.train == (0, 2)
    assert "p1 on both sides" in own.notes[0]
    with pytest.raises(UsageError, match="0 of the cases given are to learn from and 1 to validate on"):
        own_split(cases[1:2], 0)
    assert own_split([cases[0], cases[2]], 0) is None
    with pytest.raises(UsageError, match="fold=1: the data set has no folds"):
        own_split(cases[:1], 1)


def pair_otherwise(root, labels):
    """A Decathlon whose list pairs images with label maps of other names."""
    for name in ("scan_a", "scan_b"):
        save_nifti(root / "imagesTr" / f"{name}.nii.gz")
    for name in ("scan_a", "scan_b"):
        save_nifti(root / "labelsTr" / f"{name}.nii.gz")
    rows = [{"image": f"./imagesTr/{i}.nii.gz", "label": f"./labelsTr/{m}.nii.gz"} for i, m in labels.items()]
    save(root / "dataset.json", {"labels": {"0": "background", "1": "liver"}, "training": rows, "numTraining": 2})


def test_the_pairs_of_a_dataset_come_before_names(tmp_path):
    pair_otherwise(tmp_path, {"scan_a": "scan_b", "scan_b": "scan_a"})
    study = load_study(tmp_path)
    assert [(c.id, c.labels.name) for c in study.cases] == [("scan_a", "scan_b.nii.gz"), ("scan_b", "scan_a.nii.gz")]
    assert study.faults == ()
    (said,) = [n for n in study.notes if "dataset.json" in n]
    assert "pairs 2 image(s) with label maps of other names, first scan_a.nii.gz with scan_b.nii.gz" in said


def test_a_pair_that_is_not_there_stops_training(tmp_path):
    pair_otherwise(tmp_path, {"scan_a": "other", "scan_b": "scan_b"})
    study = load_study(tmp_path)
    assert any("pairs it with the label map 'other', which is not in" in f for f in study.faults)
    assert [c.labels is None for c in study.cases] == [True, False]


def test_the_validation_part_of_amos(tmp_path):
    for part, name in (("Tr", "amos_0001"), ("Va", "amos_0013"), ("Ts", "amos_0003")):
        save_nifti(tmp_path / f"images{part}" / f"{name}.nii.gz")
        if part != "Ts":
            save_nifti(tmp_path / f"labels{part}" / f"{name}.nii.gz")
    lists = {
        key: [{"image": f"./images{part}/{name}.nii.gz", "label": f"./labels{part}/{name}.nii.gz"}]
        for key, part, name in (("training", "Tr", "amos_0001"), ("validation", "Va", "amos_0013"))
    }
    content = {"labels": {"0": "background"}, "numTraining": 1, "test": [{"image": "./imagesTs/amos_0003.nii.gz"}]}
    save(tmp_path / "dataset.json", {**content, **lists})
    study = load_study(tmp_path)
    told = [(c.id, c.options["split"], c.labels is not None) for c in study.cases]
    assert told == [
        ("amos_0001", "training", True),
        ("amos_0003", "test", False),
        ("amos_0013", "validation", True),
    ]
    assert (study.notes, study.faults) == ((), ())


@pytest.mark.parametrize(
    ("image", "labels"),
    [("volume-0", "segmentation-0"), ("img0001", "label0001"), ("liver-orig", "liver-seg")],
)
def test_label_maps_of_public_data_sets_are_paired(tmp_path, image, labels):
    """LiTS, BTCV and SLIVER, in one folder; BTCV in two as well."""
    save_nifti(tmp_path / "in" / f"{image}.nii.gz")
    save_nifti(tmp_path / "in" / f"{labels}.nii.gz")
    (case,) = load_study(tmp_path / "in").cases
    assert (case.image.name, case.labels.name) == (f"{image}.nii.gz", f"{labels}.nii.gz")


def test_label_maps_of_other_words_in_a_folder_of_their_own(tmp_path):
    for number in (1, 2):
        save_nifti(tmp_path / "img" / f"img000{number}.nii.gz")
        save_nifti(tmp_path / "label" / f"label000{number}.nii.gz")
    study = load_study(tmp_path)
    assert [c.labels.name for c in study.cases] == ["label0001.nii.gz", "label0002.nii.gz"]
    assert study.faults == ()
