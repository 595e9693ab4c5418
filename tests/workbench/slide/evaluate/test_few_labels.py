"""The tables of encoders on labelled tiles: what leaks, what cannot be split, and the numbers again by other means."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow

from workbench import weights
from workbench.cli import cli
from workbench.core.errors import InputError, NothingFound, UsageError
from workbench.slide.evaluate.few_labels import (
    AT_RANDOM,
    BY_PATIENT,
    few_labels,
    notes_on,
    retrieval,
    rows_of,
    splits_of,
)
from workbench.slide.evaluate.tile_sets import TileSet, crops_of, read_sets, texture


def read_csv(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def patients(count=12, each=6, seed=0):
    """A set in which a patient has a look of its own and a class has none: half of the patients of each class."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count) % 2, each)
    groups = np.repeat(np.arange(count), each)
    looks = rng.normal(0, 3, (count, 16))
    features = (looks[groups] + rng.normal(0, 0.3, (len(groups), 16))).astype(np.float32)
    return TileSet("set", (), labels, groups, ("a", "b")), features


def test_a_split_at_random_flatters_and_one_by_patient_does_not():
    by, at, found_by, found_at = [], [], [], []
    for seed in range(4):
        one, features = patients(seed=seed)
        by.append(few_labels(one, [features], 0, BY_PATIENT, 4).scores["balanced accuracy"])
        at.append(few_labels(one, [features], 0, AT_RANDOM, 4).scores["balanced accuracy"])
        found_by.append(retrieval(one, [features], BY_PATIENT).scores["Acc@1"])
        found_at.append(retrieval(one, [features], AT_RANDOM).scores["Acc@1"])
    assert np.mean(at) > 0.95
    assert np.mean(by) < 0.65
    assert np.mean(found_at) > 0.95
    assert np.mean(found_by) < 0.65


def test_more_labels_teach_more():
    rng = np.random.default_rng(0)
    labels, groups = np.repeat([0, 1], 60), np.tile(np.arange(20), 6)
    features = (labels[:, None] * 0.9 + rng.normal(0, 1, (120, 10))).astype(np.float32)
    one = TileSet("set", (), labels, groups, ("a", "b"))
    scores = [few_labels(one, [features], n, BY_PATIENT, 10).scores["balanced accuracy"] for n in (1, 5, 25)]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 0.1
    with pytest.raises(UsageError, match="fewer than 55"):
        few_labels(one, [features], 55, BY_PATIENT, 1)


def test_retrieval_is_that_of_a_loop():
    one, features = patients(6, 4)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    hits, precision = [], []
    for i in range(len(unit)):
        others = [j for j in range(len(unit)) if one.groups[j] != one.groups[i]]
        order = sorted(others, key=lambda j: -float(unit[i] @ unit[j]))
        right = [one.labels[j] == one.labels[i] for j in order]
        hits.append(any(right[:3]))
        precision.append(np.mean([sum(right[: k + 1]) / (k + 1) for k in range(len(right)) if right[k]]))
    found = retrieval(one, [features], BY_PATIENT)
    assert found.queries == len(unit)
    assert found.scores["Acc@3"] == pytest.approx(np.mean(hits))
    assert found.scores["mAP"] == pytest.approx(np.mean(precision))


def test_the_vote_is_of_five_and_draws_and_networks_change_from_repeat_to_repeat():
    labels = np.array([0, 1, 1, 1, 0, 0, 0])
    features = np.array([[1, 0], [1, 0.01], [1, 0.02], [1, 0.9], [1, 0.03], [1, 0.04], [-1, 0]], np.float32)
    one = TileSet("set", (), labels, np.arange(7), ("a", "b"))
    # The five nearest of the first: b, b, a, a, b; of three: b, b, a.
    by_hand = []
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for i in range(7):
        order = [j for j in np.argsort(-(unit @ unit[i]), kind="stable") if j != i][:5]
        by_hand.append(np.bincount(labels[order], minlength=2).argmax() == labels[i])
    assert retrieval(one, [features], AT_RANDOM).scores["vote@5"] == pytest.approx(np.mean(by_hand))
    several, own = patients(12, 4)
    noise = np.random.default_rng(1).normal(0, 1, own.shape).astype(np.float32)
    alone, both = (few_labels(several, f, 2, AT_RANDOM, 6).scores["balanced accuracy"] for f in ([own], [own, noise]))
    assert alone != both
    assert few_labels(several, [own], 1, AT_RANDOM, 6).scores["deviation"] > 0


def test_what_cannot_be_told_apart_is_said(tmp_path):
    one, features = patients()
    rare = TileSet(
        "rare", (), np.where(np.arange(len(one.labels)) == 0, 1, 0), np.full(len(one.labels), -1), ("a", "b")
    )
    rows = rows_of(rare, "x", [features], [1])
    assert "'b' has one picture" in rows[0]["note"]
    (tmp_path / "c.csv").write_text("image,class\n0.png,a\n1.png,\n", encoding="utf-8")
    for name in "01":
        Pillow.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / f"{name}.png")
    with pytest.raises(InputError, match=r"1\.png has no 'class'"):
        read_sets(tmp_path / "c.csv")


def test_sets_that_cannot_be_split_by_patient_are_said():
    one, features = patients()
    tied = TileSet("tied", (), one.labels, one.labels.copy(), one.names)
    assert splits_of(tied) == [AT_RANDOM]
    rows = rows_of(tied, "x", [features], [1])
    assert [r["task"] for r in rows] == ["retrieval"]
    assert "'a' comes from one patient only" in notes_on(tied)[0]
    unknown = TileSet("unknown", (), one.labels, np.full(len(one.labels), -1), one.names)
    assert splits_of(unknown) == [AT_RANDOM]
    assert "split at random only" in notes_on(unknown)[0]
    assert {r["split"] for r in rows_of(unknown, "x", [features], [1])} == {AT_RANDOM}


def test_crops_cover_a_picture():
    picture = np.arange(392 * 581).reshape(392, 581, 1).repeat(3, 2)
    crops = crops_of(picture)
    assert all(c.shape == (224, 224, 3) for c in crops)
    assert len(np.unique(np.concatenate([c[..., 0].ravel() for c in crops]))) == 392 * 581
    assert len(crops_of(np.zeros((224, 224, 3), np.uint8))) == 1
    assert len(crops_of(np.zeros((100, 300, 3), np.uint8))) == 1


def test_texture_tells_stripes_from_dots_and_colour_is_apart():
    rng = np.random.default_rng(0)
    stripes = np.tile((np.arange(64) // 4 % 2 * 200)[None, :, None], (64, 1, 3)).astype(np.uint8)
    noise = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    found = texture([stripes, np.rot90(stripes).copy(), noise])
    assert found.shape == (3, 54)
    assert np.abs(found[0] - found[1]).sum() < 0.2 < np.abs(found[0] - found[2]).sum()
    assert texture([noise], colour=True).shape == (1, 60)


@pytest.fixture
def listed(tmp_path):
    rng = np.random.default_rng(0)
    rows = ["file,set,class,group"]
    for n in range(16):
        color = (220, 120, 160) if n % 2 else (120, 120, 200)
        pixels = np.clip(np.array(color) + rng.normal(0, 20, (224, 224, 3)), 0, 255).astype(np.uint8)
        Pillow.fromarray(pixels).save(tmp_path / f"{n}.png")
        rows.append(f"{n}.png,colours,{'pink' if n % 2 else 'blue'},p{n // 2 % 4}")
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_the_tables_by_one_command(listed, tmp_path):
    call = ["probe", "-i", str(listed), "-o", str(tmp_path / "out"), "--shots", "1,2,all,99", "--repeats", "3", "-e",
            "colour", "-e", "lbp", "-e", "random"]  # fmt: skip
    done = CliRunner().invoke(cli, [*call, "--json", "-q"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout[done.stdout.index("[") : done.stdout.rindex("]") + 1])
    by = {(r["encoder"], r["split"], r["task"]): r for r in rows}
    assert by["colour", BY_PATIENT, "all labels"]["balanced accuracy"] == 1
    assert "fewer than 99" in by["colour", BY_PATIENT, "99 labels"]["note"]
    stored = read_csv(tmp_path / "out" / "tables.csv")
    assert len(stored) == len(rows)
    assert "too few tiles" in (tmp_path / "out" / "tables.html").read_text(encoding="utf-8")
    again = CliRunner().invoke(cli, [*call, "--json", "-q"])
    assert again.stdout == done.stdout, "the same draws every time"


def test_an_encoder_is_taught_on_the_pictures_once(listed, tmp_path):
    call = ["probe", "-i", str(listed), "-o", str(tmp_path / "out"), "--shots", "1", "--repeats", "1", "-e", "lbp",
            "--teach", "1", "-q"]  # fmt: skip
    done = CliRunner().invoke(cli, call)
    assert done.exit_code == 0, done.output
    file = tmp_path / "out" / "taught.safetensors"
    meta = weights.read_meta(file)
    assert meta["recipe"]["pooling"] == "mean"
    assert meta["training"]["tiles"] == 16
    assert {r["encoder"] for r in read_csv(tmp_path / "out" / "tables.csv")} == {"taught", "lbp"}
    when = file.stat().st_mtime_ns
    assert CliRunner().invoke(cli, call).exit_code == 0
    assert file.stat().st_mtime_ns == when, "the same pictures and steps: not taught again"


def test_lists_that_are_none_are_refused(listed, tmp_path):
    with pytest.raises(UsageError, match="no set 'x'; it has colours"):
        read_sets(listed, ["x"])
    with pytest.raises(NothingFound, match="no such file"):
        read_sets(tmp_path / "nothing.csv")
    (tmp_path / "a.csv").write_text("image,class\n0.png,a\n1.png,a\n", encoding="utf-8")
    with pytest.raises(InputError, match="every picture has the class 'a'"):
        read_sets(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("image\n0.png\n", encoding="utf-8")
    with pytest.raises(InputError, match="image and class were expected"):
        read_sets(tmp_path / "b.csv")
