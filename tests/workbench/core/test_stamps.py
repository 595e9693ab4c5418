"""Samples and hashes are those of the file that was opened, never of one put in its place."""

import dataclasses
import os

import numpy as np
import pytest

import workbench as wb
from tests.tiny import make_tiny_weights, make_volume
from workbench.core.atomic import sha256_of
from workbench.core.errors import InputError
from workbench.core.provenance import Recorder, input_hash
from workbench.core.types import Geometry, Image


@dataclasses.dataclass(frozen=True)
class _Config:
    pass


@pytest.fixture
def scan(tmp_path):
    return make_volume(tmp_path / "scan.nii.gz")


def other(folder):
    return make_volume(folder / "other.nii.gz", seed=7)


def replace(path, with_):
    os.replace(with_, path)


def test_samples_of_a_file_replaced_after_it_was_opened_are_refused(scan, tmp_path):
    image = wb.read(scan)
    replace(scan, other(tmp_path))
    with pytest.raises(InputError, match="changed or replaced since it was opened"):
        image.data  # noqa: B018


def test_a_copy_of_the_image_remembers_the_first_opening(scan, tmp_path):
    image = wb.read(scan)
    replace(scan, other(tmp_path))
    assert not dataclasses.replace(image, modality="CT").is_unchanged


def test_the_hash_is_of_what_was_read_although_the_file_was_replaced_meanwhile(scan, tmp_path):
    image, was = wb.read(scan), sha256_of(scan)
    recorder = Recorder("b", _Config(), None, image)
    image.data  # noqa: B018
    replace(scan, other(tmp_path))
    assert recorder.finish().input_sha256 == was != sha256_of(scan)


def test_a_file_replaced_before_the_work_is_not_vouched_for(scan, tmp_path):
    image = wb.read(scan)
    image.data  # noqa: B018
    replace(scan, other(tmp_path))
    record = Recorder("b", _Config(), None, image).finish()
    assert record.input_sha256 is None
    assert "its hash is not recorded" in record.notes[0]
    assert input_hash(image) is None


def test_a_file_replaced_during_predict_keeps_the_hash_of_what_was_read(scan, tmp_path):
    weights = make_tiny_weights(tmp_path / "tiny.safetensors")
    image, was = wb.read(scan), sha256_of(scan)
    new, done = other(tmp_path), []

    def step(*_):
        if not done:
            done.append(replace(scan, new))

    result = wb.predict("segformer3d", image, weights=str(weights), device="cpu", progress=step)
    assert done
    assert result.provenance.input_sha256 == was


def test_notes_of_the_reader_are_in_the_provenance():
    image = Image(Geometry((2, 2, 2)), np.dtype("f4"), ("a",), lambda: np.zeros((1, 2, 2, 2), "f4"))
    noted = dataclasses.replace(image, notes=("one byte too many",))
    assert Recorder("b", _Config(), None, noted).finish().notes == ("one byte too many",)
