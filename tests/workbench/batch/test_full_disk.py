"""A disk that is full at any write of a run: of a result, a record, a failure, a picture, the report, the overview.

A small file system gives one page (or one file) more room each time, until the run has enough: so each write is the
one that fails once. Only root can make one.
"""

import os
import shutil
import sys

import pytest

from tests import poison
from tests.workbench.batch.test_ends import nothing_false, small_disk  # noqa: F401 (a fixture)
from tests.workbench.batch.test_pool import Study
from workbench.core.atomic import sha256_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="small file systems of POSIX"),
]

GOOD = ["quick_0", "quick_1", "quick_2"]


def fill(place, what, free):
    """Leave so much room: pages, or files; gives what is to be removed for more."""
    filler = place / "filler"
    filler.mkdir()
    found = os.statvfs(place)
    if what == "files":
        for n in range(found.f_ffree - free):
            (filler / str(n)).touch()
    elif found.f_bfree > free:
        (filler / "0").write_bytes(b"\0" * ((found.f_bfree - free) * found.f_frsize))
    return filler


@pytest.mark.parametrize("jobs", ["0", "1"])
@pytest.mark.parametrize("what", ["pages", "files"])
def test_a_disk_that_is_full_at_any_write(tmp_path, small_disk, what, jobs):  # noqa: F811
    study = Study(tmp_path)
    poison.volumes(tmp_path / "in", *GOOD, shape=(48, 48, 16))  # about 5 kB of labels each
    (tmp_path / "in" / "damaged.nii.gz").write_bytes(b"no image")
    whole, ended = {}, False
    for free in range(200):
        study.out = small_disk / f"out{free}"
        filler = fill(small_disk, what, free)
        more = ("--jobs", jobs, "--report", str(study.out / "report.json"))
        ran = study.go(*more)
        shutil.rmtree(filler)
        told = f"{free} {what}, ended with {ran.returncode}: {ran.stderr}"
        assert "Unexpected" not in ran.stderr, told
        assert "Traceback" not in ran.stderr, told
        assert ran.returncode in (2, 3), told
        done = nothing_false(study.out) if study.out.exists() else []
        if ran.returncode == 3:  # as it is with enough room
            ended = True
            assert (study.out / "report.json").is_file(), told
            assert (study.out / "overview.html").is_file(), told
        else:
            assert f"{len(done)} case(s) are complete" in ran.stderr or not done, told
        again = study.go(*more)
        assert again.returncode == 3, f"{told}\nthen: {again.stderr}"
        assert nothing_false(study.out) == GOOD, told
        assert list(study.failures) == ["damaged"], told
        assert not [p for p in study.out.rglob("*") if ".part" in p.name and not p.name.endswith("lock")], told
        found = {n: sha256_of(study.out / n / "labels.nii.gz") for n in GOOD}
        whole = whole or found
        assert found == whole
        shutil.rmtree(study.out)
        if ended:
            break
    assert ended
    assert free > 8, "the disk was never full"
    print(f"--jobs {jobs}: {free} runs ended for want of {what}")
