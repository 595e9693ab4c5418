"""The record of a result: the hash of what was read, the versions, the time and the memory."""

from dataclasses import dataclass

import numpy as np
import psutil

import workbench
from tests.dicom_maker import write_series
from workbench.core import provenance
from workbench.core.atomic import sha256_of
from workbench.core.provenance import Recorder, facts_of, input_hash, versions
from workbench.core.types import Geometry, Image
from workbench.data import formats
from workbench.volume.segformer3d import Config
from workbench.weights import WeightsFile


def image(**more) -> Image:
    return Image(Geometry((2, 2, 2)), np.dtype("u1"), ("CT",), lambda: np.zeros((1, 2, 2, 2), "u1"), **more)


def test_the_hash_is_that_of_the_files_which_were_read(tmp_path) -> None:
    one, two = tmp_path / "a.raw", tmp_path / "a.hdr"
    one.write_bytes(b"samples")
    two.write_bytes(b"header")
    assert input_hash(image(source=one)) == sha256_of(one)
    assert input_hash(image(source=one, files=(one, two))) == sha256_of(one, two)
    two.write_bytes(b"other header")
    assert input_hash(image(source=one, files=(one, two))) != input_hash(image(source=one))
    assert input_hash(image()) is None
    assert input_hash(image(source=tmp_path / "gone")) is None


def test_another_series_of_the_same_folder_is_another_input(tmp_path) -> None:
    write_series(tmp_path, uid="1.2.3.10", prefix="a")
    first = input_hash(formats.read(tmp_path))
    write_series(tmp_path, uid="1.2.3.99", prefix="b", seed=1)
    assert input_hash(formats.read(tmp_path, series="10")) == first
    assert input_hash(formats.read(tmp_path, series="99")) != first


def test_what_is_recorded(tmp_path) -> None:
    source = tmp_path / "a.nii"
    source.write_bytes(b"x")
    given = image(source=source, header={"SeriesInstanceUID": "1.2"})
    weights = WeightsFile(tmp_path / "w", "w", "f" * 64)
    recorder = Recorder("segformer3d", Config(overlap=0.25), weights, given, "cpu", "as asked")
    recorder.note("a smaller window")
    recorder.details["windows"] = 8
    found = recorder.finish(seed=7)
    assert (found.backend, found.weights, found.weights_sha256, found.seed) == ("segformer3d", "w", "f" * 64, 7)
    assert found.settings["overlap"] == 0.25
    assert (found.source, found.series, found.input_sha256) == (str(source), "1.2", sha256_of(source))
    assert (found.device, found.device_reason) == ("cpu", "as asked")
    assert found.notes == ("a smaller window",)
    assert found.details == {"windows": 8}
    assert found.seconds >= 0
    assert not found.edited_by_hand


def test_versions_are_those_of_what_is_installed() -> None:
    found = provenance.versions()
    assert found["napari-workbench"] == workbench.__version__
    assert found["numpy"] == np.__version__
    assert set(found) <= {"python", "napari-workbench", *provenance._PACKAGES}


def test_memory_is_the_highest_so_far_in_megabytes() -> None:
    now = psutil.Process().memory_info().rss / 1e6
    assert 0.98 * now < provenance.peak_memory_mb() < 1e5  # the kernel counts pages roughly


@dataclass(frozen=True)
class Asked:
    weights: str = "demo"
    device: str = "auto"
    seed: int = 3


def test_facts_say_what_was_used_in_place_of_what_was_asked_for():
    facts = facts_of(Asked(), weights="demo.safetensors", weights_sha256="ab12", device="cpu (no GPU)")
    assert facts == {
        "weights": "demo.safetensors", "weights sha256": "ab12", "device": "cpu (no GPU)", "seed": 3, **versions(),
    }  # fmt: skip
    assert list(facts)[:4] == ["weights", "weights sha256", "device", "seed"]
    assert facts_of(Asked(), scene="a.hdr")["device"] == "auto"
