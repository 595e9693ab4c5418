"""How a run ends when it is asked to, and when it can write no more: said, with the documented code, nothing false."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import poison
from tests.workbench.batch.test_pool import Study, wait_for
from workbench.batch.pool import Pool

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and small file systems of POSIX")


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def again(study, *more):
    """A second run completes what the first left."""
    ran = study.go(*more)
    assert ran.returncode == 0, ran.stderr
    return ran


# --- asked to stop


@pytest.mark.parametrize(
    ("sign", "jobs"),
    [
        (signal.SIGINT, "1"),
        (signal.SIGTERM, "0"),
        pytest.param(signal.SIGINT, "0", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "1", marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, "0", marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, "1", marks=pytest.mark.slow),
    ],
)
def test_one_signal_finishes_the_case_and_ends_with_130(study, sign, jobs):
    study.make("sleep_1", "sleep_2")
    with study.start("--jobs", jobs, seconds=2) as run:
        wait_for(lambda: study.computed)
        run.send_signal(sign)
        _, said = run.communicate(timeout=120)
    assert run.returncode == 130, said
    assert study.done == study.computed == ["sleep_1"]
    assert f"Interrupted ({sign.name})" in said
    assert "1 done, 0 already complete, 0 failed, 1 not run" in said
    again(study)
    assert study.computed == ["sleep_1", "sleep_2"]


@pytest.mark.parametrize("jobs", ["0", "1"])
def test_two_signals_stop_at_once_and_leave_nothing_behind(study, jobs):
    study.make("sleep_1", "sleep_2")
    with study.start("--jobs", jobs, seconds=600) as run:
        wait_for(lambda: study.computed)
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        time.sleep(1.0)
        assert run.poll() is None
        run.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, said = run.communicate(timeout=120)
    assert time.monotonic() - began < 30
    assert run.returncode == 130, said
    assert study.done == []
    assert [p for p in study.folder.joinpath("out").rglob("*") if ".part" in p.name or p.name.endswith(".json")] in (
        [],
        [study.out / "run.json"],
    )
    again(study)
    assert study.done == ["sleep_1", "sleep_2"]


def test_a_signal_that_takes_its_time_does_not_stop_the_clocks():
    """Whoever waits for processes goes on to look at signals and limits, whenever the signal comes."""
    heard = []

    def on_signal(_number, _frame):
        heard.append(time.monotonic())
        assert len(heard) == 1, "still waits"
        time.sleep(0.3)  # longer than the wait that it came into

    before = signal.signal(signal.SIGALRM, on_signal)
    began = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.05, 5.0)
    try:
        assert Pool(task=None, jobs=1).events(0.1) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert heard
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("jobs", ["0", "1"])
def test_two_signals_while_the_model_is_loaded_end_it(study, jobs):
    study.make("quick_1", "quick_2")
    module = study.folder / "site" / "poison_backend.py"
    text = module.read_text(encoding="utf-8")
    slow = "def load(config, device):\n    import os, time\n    open(os.environ['POISON_NOTE'], 'w').write('loading')\n"
    module.write_text(text.replace("def load(config, device):\n", f"{slow}    time.sleep(100)\n"), encoding="utf-8")
    with study.start("--jobs", jobs) as run:
        wait_for(lambda: study.note.exists())
        run.send_signal(signal.SIGINT)
        time.sleep(1.0)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=30)
    assert run.returncode == 130, said
    assert "Unexpected" not in said
    assert not study.out.exists()


def test_what_was_started_with_nohup_goes_on(study):
    study.make("sleep_1", "sleep_2")
    with study.start("--jobs", "1", seconds=1, command=("nohup",)) as run:
        wait_for(lambda: study.computed)
        run.send_signal(signal.SIGHUP)
        _, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert study.done == ["sleep_1", "sleep_2"]


# --- nothing can be written any more


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB; only root may make one."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=400", "tmpfs", str(place)], check=False)
    if made.returncode:
        pytest.skip("this machine mounts no tmpfs here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def nothing_false(out: Path) -> list[str]:
    """Every record on the disk is true; gives the cases."""
    from workbench.core.case_folder import is_intact

    found = []
    for record in sorted(out.glob("*/provenance.json")):
        told = json.loads(record.read_text(encoding="utf-8"))
        assert all(is_intact(record.parent / n, e) for n, e in told["files"].items()), record
        found.append(record.parent.name)
    return found


@pytest.mark.parametrize(
    ("free", "jobs"),
    [
        (4, "0"),
        (100, "2"),
        *(pytest.param(free, "0", marks=pytest.mark.slow) for free in (0, 12, 40, 100)),
        pytest.param(4, "2", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_ends_the_run_with_2_and_a_second_run_completes_it(study, small_disk, free, jobs):
    names = [f"quick_{n}" for n in range(8)]
    poison.volumes(study.folder / "in", *names, shape=(64, 64, 24))  # about 12 kB of labels each
    study.out = small_disk / "out"
    study.out.mkdir()
    filler = small_disk / "filler"
    room = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    filler.write_bytes(b"\0" * max(0, room - free * 1024))
    ran = study.go("--jobs", jobs)
    assert ran.returncode == 2, ran.stderr
    assert "No space left" in ran.stderr or "Free space" in ran.stderr
    assert "Unexpected" not in ran.stderr
    assert "Traceback" not in ran.stderr
    done = nothing_false(study.out)
    assert f"{len(done)} case(s) are complete" in ran.stderr or not done
    assert study.failures == {}
    filler.unlink()
    again(study, "--jobs", "0")
    assert nothing_false(study.out) == names


def test_a_disk_that_becomes_read_only_ends_the_run_with_2(study, small_disk):
    study.make(*[f"sleep_{n}" for n in range(4)])
    study.out = small_disk / "out"
    with study.start("--jobs", "1", seconds=1.5) as run:
        wait_for(lambda: len(study.computed) == 2)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        _, said = run.communicate(timeout=120)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert run.returncode == 2, said
    assert "Read-only" in said
    assert nothing_false(study.out) == ["sleep_0"]
    again(study)
    assert len(nothing_false(study.out)) == 4


def test_a_limit_on_the_size_of_files_ends_the_run_with_2(study):
    names = ["quick_1", "quick_2"]
    poison.volumes(study.folder / "in", *names, shape=(64, 64, 48))
    limited = ["bash", "-c", 'ulimit -f 8; exec "$@"', "-", *study.words("--jobs", "1")]
    ran = subprocess.run(limited, env=study.environment(0), capture_output=True, text=True, check=False)
    assert ran.returncode == 2, ran.stderr
    assert "File too large" in ran.stderr
    assert nothing_false(study.out) == []
    again(study)


@pytest.mark.parametrize(
    ("what", "jobs"),
    [
        ("removed", "1"),
        pytest.param("removed", "0", marks=pytest.mark.slow),
        pytest.param("replaced", "0", marks=pytest.mark.slow),
        pytest.param("replaced", "1", marks=pytest.mark.slow),
    ],
)
def test_an_output_folder_that_is_gone_ends_the_run_with_2(study, what, jobs):
    study.make(*[f"sleep_{n}" for n in range(5)])
    with study.start("--jobs", jobs, seconds=1) as run:
        wait_for(lambda: len(study.computed) == 3)
        study.out.rename(study.folder / "moved")
        if what == "replaced":
            study.out.mkdir()
        _, said = run.communicate(timeout=120)
    assert run.returncode == 2, said
    assert "removed" in said
    assert not list(study.out.glob("*/provenance.json"))  # no case in the new place that the run calls its own
    assert "5 done" not in said
    again(study)
    assert len(study.done) == 5


def test_a_result_that_is_removed_during_the_run_is_not_called_done(study):
    study.make(*[f"sleep_{n}" for n in range(3)])
    with study.start("--jobs", "1", seconds=1) as run:
        wait_for(lambda: len(study.computed) == 3)
        shutil.rmtree(study.out / "sleep_0")
        _, said = run.communicate(timeout=120)
    assert run.returncode == 3, said
    assert "2 done, 0 already complete, 1 failed" in said
    again(study)
    assert len(study.done) == 3


# --- who listens


def test_a_reader_that_goes_away_stops_nothing(study):
    study.make(*[f"quick_{n}" for n in range(4)])
    with study.start("--jobs", "1") as run:
        assert run.stdout is not None
        run.stdout.close()
        run.stdout = None
        _, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert len(study.done) == 4


def test_a_pipe_that_nobody_empties_stops_nothing(study):
    """Standard error is full: its lines are lost, the work is not."""
    study.make(*[f"quick_{n}" for n in range(3)])
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    try:
        while True:
            os.write(writes, b"x" * 65536)
    except BlockingIOError:
        os.set_blocking(writes, True)
    words = [w for w in study.words("--jobs", "1") if w != "-q"]
    ran = subprocess.run(
        words, env=study.environment(0), stdout=subprocess.DEVNULL, stderr=writes, timeout=120, check=False
    )
    os.close(reads)
    os.close(writes)
    assert ran.returncode == 0
    assert len(study.done) == 3


def test_lines_that_nobody_read_are_counted(monkeypatch):
    import importlib

    speaking = importlib.import_module("workbench.cli.say")  # the package has the function under this name
    monkeypatch.setattr(speaking, "_takes", lambda stream: False)
    speaking.take_lost()
    speaking.say("one", err=True)
    speaking.say("two", err=True)
    assert speaking.take_lost() == 2
    assert speaking.take_lost() == 0


def test_a_closed_standard_output_and_error_stop_nothing(study):
    study.make("quick_1", "quick_2")
    closed = ["bash", "-c", 'exec "$@" >&- 2>&-', "-", *study.words("--jobs", "1")]
    assert subprocess.run(closed, env=study.environment(0), timeout=120, check=False).returncode == 0
    assert len(study.done) == 2


@pytest.mark.parametrize(
    "words",
    [
        'exec "$@" 2>&-',
        pytest.param('exec "$@" >&-', marks=pytest.mark.slow),
        pytest.param('exec "$@" <&- 2>/dev/full', marks=pytest.mark.slow),
        'exec "$@" >/dev/full',
    ],
)
def test_streams_that_are_closed_or_full_stop_nothing(study, words):
    study.make("quick_1", "quick_2")
    command = ["bash", "-c", words, "-", *study.words("--jobs", "1")]
    ended = subprocess.run(command, env=study.environment(0), capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert len(study.done) == 2


def test_json_that_cannot_be_written_is_said_with_2(study):
    study.make("quick_1", "quick_2")
    command = ["bash", "-c", 'exec "$@" >/dev/full', "-", *study.words("--jobs", "1", "--json")]
    ended = subprocess.run(command, env=study.environment(0), capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "standard output: No space left on device" in ended.stderr
    assert len(study.done) == 2


def test_programs_are_told_of_the_end_in_json_alone(study):
    study.make("quick_1", "exit_1")
    (study.folder / "in" / "notes.txt").write_text("no image", encoding="utf-8")
    words = [w for w in study.words("--jobs", "1", "--log-format", "json", "-i", str(study.folder / "in")) if w != "-q"]
    ran = subprocess.run(words, env=study.environment(0), capture_output=True, text=True, timeout=120, check=False)
    events = [json.loads(line) for line in ran.stderr.splitlines()]
    assert {"left out", "warning", "ready", "end"} <= {e["event"] for e in events}  # the folder was given twice
    assert {k: events[-1][k] for k in ("event", "done", "skipped", "failed", "not_run", "exit_code")} == {
        "event": "finish", "done": 1, "skipped": 0, "failed": 1, "not_run": 0, "exit_code": 3,
    }  # fmt: skip


def test_a_file_where_a_folder_is_needed_is_found_before_any_case(study):
    study.make("quick_1", "quick_2")
    for name in ("failures.jsonl", "summary.csv", "overview.html", "run.json"):
        (study.out / name).mkdir(parents=True)
        ran = study.go("--jobs", "1")
        assert ran.returncode == 2, ran.stderr
        assert "there is a folder of this name" in ran.stderr
        (study.out / name).rmdir()
    (study.out / ".workbench").write_text("a file", encoding="utf-8")
    ran = study.go("--jobs", "1")
    assert ran.returncode == 2, ran.stderr
    assert ".workbench is no folder" in ran.stderr
    assert study.computed == []


def test_a_study_is_never_of_two_settings(study):
    """A part of it was computed anew: what the others hold is named and has no share in the statistics."""
    study.make("quick_1", "sleep_2", "sleep_3")
    assert study.go("--jobs", "1").returncode == 0
    with study.start("--jobs", "1", "--level", "0.7", "--overwrite", seconds=2) as run:
        wait_for(lambda: len(study.computed) == 5)
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=120)
    told = json.loads((study.out / "run.json").read_text(encoding="utf-8"))
    assert [(c["case"], c["status"]) for c in told["cases"]] == [
        ("quick_1", "done"), ("sleep_2", "done"), ("sleep_3", "not run"),
    ]  # fmt: skip
    assert told["cases"][2]["notes"] == ["the result that is there was made otherwise: level"]
    assert told["cases"][2]["table"] == []


def test_a_part_of_a_study_says_what_else_lies_there(study):
    study.make("quick_1", "quick_2", "quick_3")
    assert study.go("--jobs", "1").returncode == 0
    (study.folder / "in" / "quick_3.nii.gz").unlink()
    assert "holds results of 1 other case(s), which are not in the overview" in study.go("--jobs", "1").stderr


@pytest.mark.parametrize("way", ["import os\n    os.abort()", "raise MemoryError"])
def test_a_limit_below_what_the_model_needs_is_called_so(study, way):
    """Libraries abort where the system gives them no memory, or raise: nobody should take that for a bug."""
    study.make("quick_1", "quick_2")
    module = study.folder / "site" / "poison_backend.py"
    text = module.read_text(encoding="utf-8")
    aborts = f"def load(config, device):\n    {way}\n"
    module.write_text(text.replace("def load(config, device):\n", aborts), encoding="utf-8")
    ran = study.go("--jobs", "1", "--memory-limit", "1GB")
    assert ran.returncode == 6, ran.stderr
    assert "--memory-limit" in ran.stderr
    assert "too little for the model alone" in ran.stderr
    assert study.done == []
