"""What counts as running out of memory: retried with smaller windows, so nothing else may."""

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.core import contract, memory
from workbench.core.errors import InputError, OutOfMemory, UsageError, reading
from workbench.core.memory import is_out_of_memory
from workbench.core.types import Geometry, Image


def _real() -> BaseException:
    """What the allocator of the processor says to an exbibyte."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("x"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"),
        OSError("Cannot allocate memory"),
        _real(),
    ],
)
def test_out_of_memory(error) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("memory format"), KeyError("x")])
def test_other_errors(error) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOMEM, "x"),
        RuntimeError("Exception thrown in SimpleITK ReadImage: Failed to allocate memory for image."),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_what_libraries_say(error) -> None:
    assert is_out_of_memory(error)


def test_our_own_line_counts_by_its_cause_only() -> None:
    """A file may be called "out of memory"; but a damaged file that was none is no damaged file."""
    named = InputError("out of memory.nii: damaged")
    assert memory.exhausting(named) is None
    named.__cause__ = MemoryError("x")
    assert isinstance(memory.exhausting(named), MemoryError)


def test_libraries_that_run_out_are_no_damaged_file() -> None:
    with pytest.raises(MemoryError, match=r"a\.h5: Unable to allocate"), reading("a.h5", "damaged"):
        raise OSError("Unable to allocate 3 GiB")
    with pytest.raises(InputError, match="damaged"), reading("a.h5", "damaged"):
        raise OSError("bad magic")


def groups(tmp_path: Path, lines: str, mounts: str) -> Path:
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text(lines)
    (proc / "mountinfo").write_text(mounts)
    return proc


def put(folder: Path, **values: str | int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / name.replace("memory_", "memory.")).write_text(f"{value}\n")


def least(proc: Path) -> memory.Available:
    found = []
    for mount, below, version in memory._groups(proc):
        found += list(memory._of_place(mount, below, version))
    return min(found, key=lambda a: a.bytes)


def test_the_tightest_group_on_the_way_counts_version_2(tmp_path) -> None:
    mount = tmp_path / "cg"
    proc = groups(tmp_path, "0::/slice/job\n", f"30 23 0:26 / {mount} rw - cgroup2 cgroup2 rw,nsdelegate\n")
    put(mount / "slice" / "job", memory_max="max", memory_high="max", memory_current=10**9)
    put(mount / "slice", memory_max=4 * 10**9, memory_high=3 * 10**9, memory_current=2 * 10**9)
    (mount / "slice" / "memory.stat").write_text("anon 1\ninactive_file 500000000\nactive_file 100\nfile_mapped 100\n")
    there = least(proc)
    # What is used, less what was only read from files, of the lower limit.
    assert there.bytes == 3 * 10**9 - 2 * 10**9 + 5 * 10**8
    assert there.limit == "control group slice: memory.high 3.00 GB"


def test_the_tightest_group_on_the_way_counts_version_1(tmp_path) -> None:
    mount = tmp_path / "cg" / "memory"
    lines = "9:name=systemd:/\n4:memory:/docker/abc\n0::/\n"
    # As a container without a namespace of its own sees it: its group is what is mounted.
    proc = groups(tmp_path, lines, f"35 31 0:32 /docker/abc {mount} rw - cgroup cgroup rw,memory\n")
    put(mount, memory_limit_in_bytes=13 * 10**8, memory_usage_in_bytes=4 * 10**8)
    (mount / "memory.stat").write_text("total_inactive_file 0\n")
    assert least(proc).bytes == 9 * 10**8


def test_no_limit_is_no_limit(tmp_path) -> None:
    mount = tmp_path / "cg"
    proc = groups(tmp_path, "0::/\n", f"30 23 0:26 / {mount} rw - cgroup2 cgroup2 rw\n")
    put(mount, memory_current=1)
    assert [a for m, b, v in memory._groups(proc) for a in memory._of_place(m, b, v)] == []


def test_the_line_has_the_numbers_and_the_flag_that_would_do(monkeypatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: memory.Available(10**9, "a group"))
    need = memory.Need({"voxels": 2 * 10**9, "window": 10**8})
    ways = {"--batch 1": lambda: memory.Need({"x": 15 * 10**8}), "--mode fast": lambda: memory.Need({"x": 9 * 10**8})}
    with pytest.raises(OutOfMemory) as caught:
        memory.require(need, "a.nii", "Free memory.", ways=ways)
    line = str(caught.value)
    assert "\n" not in line
    for words in (
        "a.nii: needs about 2.10 GB (voxels 2.00 GB",
        "1.00 GB is there (a group)",
        "--mode fast (about 0.90 GB)",
    ):
        assert words in line
    assert "--batch 1" not in line
    memory.require(memory.Need({"x": 9 * 10**8}), "a.nii")


def test_a_limit_of_ones_own_and_none(monkeypatch) -> None:
    monkeypatch.setenv(memory.VARIABLE, "1kB")
    with pytest.raises(OutOfMemory, match="WORKBENCH_MEMORY_LIMIT=1kB"):
        memory.require(memory.Need({"x": 10**8}), "a.nii")
    monkeypatch.setenv(memory.VARIABLE, "none")
    memory.require(memory.Need({"x": 10**15}), "a.nii")
    monkeypatch.setenv(memory.VARIABLE, "lots")
    with pytest.raises(UsageError, match="expected a size such as 8GB"):
        memory.available()
    for text, size in (("8GB", 8 * 10**9), ("1.5 GiB", 3 * 2**29), ("512MiB", 2**29), ("100", 100)):
        monkeypatch.setenv(memory.VARIABLE, text)
        assert memory._own_limit() == size


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_the_limit_of_the_process_counts() -> None:
    code = (
        "import resource; from workbench.core import memory; "
        "resource.setrlimit(resource.RLIMIT_AS, (3 * 10**9,) * 2); a = memory.available(); print(a.bytes, a.limit)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 0 < int(out.split()[0]) < 3 * 10**9
    assert "ulimit -v" in out


def image_of(shape: tuple[int, int, int], loader) -> Image:
    return Image(Geometry(shape, np.eye(4)), np.dtype("f4"), ("0",), loader, source=Path("large.nii"), format="nifti")


def test_samples_that_do_not_fit_are_not_even_begun(monkeypatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: memory.Available(10**9, "a group"))
    with pytest.raises(OutOfMemory, match=r"large\.nii: needs about 1\.37 GB \(samples 1\.37 GB\).* 1\.00 GB is there"):
        image_of((700, 700, 700), lambda: pytest.fail("read")).data  # noqa: B018


@pytest.mark.parametrize("cause", [MemoryError("Unable to allocate 9 GiB"), RuntimeError("std::bad_alloc")])
def test_samples_that_run_out_are_no_damaged_file(cause) -> None:
    def load():
        raise InputError("large.nii: the voxels cannot be read. Export it again.") from cause

    with pytest.raises(OutOfMemory, match=r"large\.nii: memory ran out \(.*were expected.*there"):
        image_of((4, 4, 4), load).data  # noqa: B018


def test_samples_are_kept_only_by_who_asks_for_them() -> None:
    image = image_of((4, 4, 4), lambda: np.zeros((1, 4, 4, 4), "f4"))
    assert image.samples() is not image.samples()
    assert not image.is_loaded
    assert image.data is image.samples()
    assert image.loading().total == 0


def test_a_backend_that_runs_out_is_exit_code_6(monkeypatch) -> None:
    class Row:
        def load_module(self):
            return self

        def predict(self, *_):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with pytest.raises(OutOfMemory, match=r"large\.nii: memory ran out .*GB there"):
        contract.predict(Row(), None, image_of((4, 4, 4), None), None)  # type: ignore[arg-type]
