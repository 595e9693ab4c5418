"""Names that files may have, and files that change while a run goes on: each case is done, or fails and says why."""

import json
import os
import shutil
import sys
from datetime import datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests import poison, tiny
from tests.workbench.batch.test_pool import Study, wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not allow")

LONG = "quick_" + "x" * (255 - len("quick_.nii.gz"))
NAMES = (
    b"quick_with spaces",
    b"quick_new\nline",
    b"quick_\xff\xfe",
    LONG.encode(),
    b"quick_A",
    b"quick_a",
    b"quick_'\";<b>",
)


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


@pytest.mark.parametrize("jobs", ["0", "2"])
def test_names_of_all_kinds(study, jobs):
    """Spaces, line breaks, bytes that are no text, the longest names, names that differ in capitals, equal stems."""
    folder = study.folder / "in"
    poison.volumes(folder, *[f"quick_{n}" for n in range(len(NAMES))])
    for n, name in enumerate(NAMES):
        os.rename(os.fsencode(folder / f"quick_{n}.nii.gz"), os.fsencode(folder) + b"/" + name + b".nii.gz")
    nib.save(nib.load(folder / "quick_a.nii.gz"), folder / "quick_a.nii")
    os.symlink("loop.nii.gz", folder / "loop.nii.gz")
    os.symlink(folder, folder / "round")
    ran = study.go("--jobs", jobs, "--report", str(study.folder / "report.json"))
    assert ran.returncode in (0, 3), ran.stderr  # the loop may be named as one that cannot be read
    assert "Traceback" not in ran.stderr
    assert "Unexpected" not in ran.stderr
    assert len(study.done) == len(NAMES) + 1
    assert len({name.casefold() for name in study.done}) == len(NAMES) + 1
    assert not any(c in name for name in study.done for c in '\n<"/')
    report = json.loads((study.folder / "report.json").read_text(encoding="utf-8"))
    assert sum(case["status"] == "done" for case in report["cases"]) == len(NAMES) + 1
    page = (study.out / "overview.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    again = study.go("--jobs", jobs)
    assert f"0 done, {len(NAMES) + 1} already complete" in again.stderr
    # Nothing but folders of cases, and what a run writes of a study.
    others = {p.name for p in study.out.iterdir() if not (p / "provenance.json").exists()}
    assert others <= {"overview.html", "overview_pictures", "summary.csv", "run.json", "failures.jsonl", ".workbench"}


def test_an_input_that_goes_during_the_run_fails_alone(study):
    study.make("sleep_1", "sleep_2", "sleep_3")
    with study.start("--jobs", "1", seconds=1.5) as run:
        wait_for(lambda: study.computed)
        (study.folder / "in" / "sleep_2.nii.gz").unlink()
        _, said = run.communicate(timeout=120)
    assert run.returncode == 3, said
    assert study.done == ["sleep_1", "sleep_3"]
    assert list(study.failures) == ["sleep_2"]


def test_an_input_that_is_replaced_while_it_is_computed_has_no_result_of_two_files(study):
    """What was read is what the record names, or nothing is written."""
    study.make("sleep_1", "sleep_2")
    image = study.folder / "in" / "sleep_1.nii.gz"
    with study.start("--jobs", "1", seconds=2) as run:
        wait_for(lambda: study.computed)
        shutil.copy(study.folder / "in" / "sleep_2.nii.gz", image)
        _, said = run.communicate(timeout=120)
    assert run.returncode in (0, 3), said
    if "sleep_1" in study.done:
        record = json.loads((study.out / "sleep_1" / "provenance.json").read_text(encoding="utf-8"))
        assert record["input_sha256"] is not None
        labels = np.asarray(nib.load(study.out / "sleep_1" / "labels.nii.gz").dataobj)
        now = nib.load(image).get_fdata()
        assert not np.array_equal(labels, now > np.quantile(now, 0.5)), "the result of a file that was never read"
    ran = study.go("--jobs", "0")
    assert ran.returncode == 0, ran.stderr
    labels = np.asarray(nib.load(study.out / "sleep_1" / "labels.nii.gz").dataobj)
    now = nib.load(image).get_fdata()
    assert np.array_equal(labels, now > np.quantile(now, 0.5))


def test_an_input_that_is_touched_during_the_run_is_done(study):
    study.make("sleep_1", "sleep_2")
    with study.start("--jobs", "1", seconds=1.5) as run:
        wait_for(lambda: study.computed)
        os.utime(study.folder / "in" / "sleep_2.nii.gz")
        run.communicate(timeout=120)
    assert run.returncode == 0
    assert "0 done, 2 already complete" in study.go("--jobs", "0").stderr


def test_weights_that_are_swapped_during_the_run_stop_it(study, tmp_path):
    """A process that is started anew would load others: no study is half of one and half of the other."""
    for n in range(3):
        tiny.make_volume(tmp_path / "in" / f"v{n}.nii.gz", seed=n, shape=(33, 32, 32))
    weights = tiny.make_tiny_weights(tmp_path / "w.safetensors")
    other = tiny.make_tiny_weights(tmp_path / "other.safetensors", seed=1)
    from workbench.batch.case import Task
    from workbench.batch.executors import Item
    from workbench.batch.pool import Pool
    from workbench.core import registry, settings
    from workbench.core.errors import WeightsError
    from workbench.core.types import Case

    row = registry.find("segformer3d")
    config = settings.build(row.load_module().Config, {"weights": str(weights), "device": "cpu"})
    pool = Pool(Task(row, config, tmp_path / "out", threads=1), 1)
    (tmp_path / "out").mkdir()
    try:
        first = pool.open()
        shutil.copy(other, weights)
        pool.stop()
        pool.start(Item(Case("v0", tmp_path / "in" / "v0.nii.gz")))
        with pytest.raises(WeightsError, match="changed or replaced"):
            pool.events(120.0)
        assert first.weights_sha256
    finally:
        pool.stop()
        pool.close()
    assert not list((tmp_path / "out").glob("*/provenance.json"))


SLEEP = """
import select, time
# libfaketime 0.9.10 breaks the sleeping of Python (an absolute time of a clock that it leaves alone).
time.sleep = lambda seconds: select.select([], [], [], seconds)
"""


@pytest.mark.parametrize("days", [-1, pytest.param(1, marks=pytest.mark.slow)])
def test_a_clock_that_is_set_midway_changes_nothing(study, days):
    """What is held stays held, what is done stays done, and a run with the right clock finds all complete."""
    library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
    if library is None:
        pytest.skip("libfaketime is not installed")
    study.make("sleep_1", "sleep_2", "sleep_3")
    (study.folder / "site" / "sitecustomize.py").write_text(SLEEP, encoding="utf-8")
    clock = study.folder / "clock"
    clock.write_text("+0\n", encoding="ascii")
    faked = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": "1"}
    words = ["env", *(f"{k}={v}" for k, v in faked.items()), "DONT_FAKE_MONOTONIC=1"]
    with study.start("--jobs", "1", seconds=1.5, command=tuple(words)) as run:
        wait_for(lambda: len(study.computed) == 2)
        clock.write_text(f"{days:+d}d\n", encoding="ascii")
        try:
            _, said = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 0, said
    times = [
        datetime.fromisoformat(json.loads(p.read_text(encoding="utf-8"))["started"])
        for p in sorted(study.out.glob("*/provenance.json"))
    ]
    assert round((times[-1] - times[0]).total_seconds() / 86400) == days  # the clock was really set
    assert "3 done, 0 already complete" in said
    (study.folder / "site" / "sitecustomize.py").unlink()
    assert "0 done, 3 already complete" in study.go("--jobs", "1").stderr
    assert study.computed == ["sleep_1", "sleep_2", "sleep_3"]
