"""Cases in processes of their own: what kills a process is one failure, and nothing else happens."""

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from tests import poison

QUICK = [f"quick_{n}" for n in range(4)]


class Study:
    """A folder of cases of the backend that does what their names say."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out, self.note = folder, folder / "out", folder / "note"
        self.env = poison.install(folder / "site")

    def make(self, *names: str) -> None:
        poison.volumes(self.folder / "in", *names)

    def words(self, *more: str) -> list[str]:
        own = ["-i", str(self.folder / "in"), "-o", str(self.out), "-q"]
        return poison.command("predict", "poison", *own, *more)

    def environment(self, seconds: float) -> dict[str, str]:
        return {**self.env, "POISON_NOTE": str(self.note), "POISON_SECONDS": str(seconds)}

    def go(self, *more: str, seconds: float = 0.0) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.words(*more), env=self.environment(seconds), capture_output=True, text=True, timeout=240, check=False
        )

    def start(self, *more: str, seconds: float = 0.0, command: tuple[str, ...] = ()) -> subprocess.Popen:
        # Tests that were started in the background ignore Ctrl-C, and so would all that they start.
        hears = None if os.name == "nt" else lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
        words = [*command, *self.words(*more)]
        return subprocess.Popen(
            words,
            env=self.environment(seconds),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hears,
        )

    @property
    def computed(self) -> list[str]:
        return sorted(self.note.read_text(encoding="utf-8").split()) if self.note.exists() else []

    @property
    def done(self) -> list[str]:
        return sorted(p.parent.name for p in self.out.glob("*/provenance.json"))

    @property
    def failures(self) -> dict[str, dict]:
        path = self.out / "failures.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return {told["case"]: told for told in map(json.loads, lines)}


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def wait_for(what, seconds=120.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def test_each_death_is_one_failure_and_nobody_else_is_harmed(study):
    bad = {
        "segv_1": ("Crash", "SIGSEGV"),
        "exit_1": ("Crash", "exit status 3"),
        "sysexit_1": ("SystemExit", "the end"),
        "odd_1": ("Odd", "cannot be shown"),
        "recursion_1": ("RecursionError", "recursion"),
    }
    study.make(*QUICK, *bad)
    ran = study.go("--jobs", "2")
    assert ran.returncode == 3, ran.stderr
    assert study.done == QUICK
    assert study.computed == sorted([*QUICK, *bad])  # each once
    for case, (error, words) in bad.items():
        told = study.failures[case]
        assert (told["error"], told["stage"]) == (error, "predict")
        assert words in told["message"]
        assert told["message"].startswith(str(study.folder / "in" / f"{case}.nii.gz"))
    assert sorted(study.failures) == sorted(bad)
    assert f"{len(QUICK)} done, 0 already complete, {len(bad)} failed" in ran.stderr
    assert "poison_backend.py" in study.failures["segv_1"]["trace"]  # where it died


@pytest.mark.slow
def test_after_a_death_work_goes_on_within_seconds(study):
    """A new process has loaded the model and ended the next case in less than ten seconds."""
    study.make("a_1", "exit_1", "quick_1", "recursion_1", "quick_2", "segv_1", "sleep_1")
    ran = study.go("--jobs", "1", "--log-format", "json")
    events = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
    ends = [(e["status"], datetime.fromisoformat(e["time"])) for e in events if e["event"] == "end"]
    gaps = [(after - before).total_seconds() for (status, before), (_, after) in pairwise(ends) if status == "failed"]
    print("seconds from a death to the end of the next case:", gaps)
    assert len(gaps) == 3
    assert max(gaps) < 10


@pytest.mark.slow
def test_what_never_ends_ends_at_the_limit_of_time(study):
    """Also what holds Python's lock for 25 s, and cannot be asked to stop."""
    study.make(*QUICK, "loop_1", "gil_1")
    began = time.monotonic()
    ran = study.go("--jobs", "2", "--time-limit", "8")
    assert ran.returncode == 3, ran.stderr
    assert time.monotonic() - began < 60
    assert study.done == QUICK
    assert {c: (f["error"], f["stage"]) for c, f in study.failures.items()} == {
        "loop_1": ("TimeLimit", "predict"),
        "gil_1": ("TimeLimit", "predict"),
    }
    assert "--time-limit" in study.failures["gil_1"]["message"]


@pytest.mark.slow
def test_memory_that_runs_out_is_one_failure(study):
    study.make(*QUICK, "oom_1")
    ran = study.go("--jobs", "2", "--memory-limit", "700MB")
    assert ran.returncode == 6, ran.stderr
    assert study.done == QUICK
    assert study.failures["oom_1"]["error"] == "OutOfMemory"
    assert study.computed.count("oom_1") == 2  # a second time alone: beside others it might not have fitted


@pytest.fixture
def group_of_processes():
    """A control group with 1.5 GB of memory, as a cluster or a container gives one; only root may make one."""
    for root, most in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(root) / f"workbench-{os.getpid()}"
        try:
            group.mkdir()
            (group / most).write_text("1500000000", encoding="ascii")
        except OSError:
            with suppress(OSError):
                group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("no control groups here, or no right to make one")


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_the_system_kills_for_its_memory_is_one_failure(study, group_of_processes, jobs):
    """The kernel ends the process with the most memory, without a word; others go on."""
    study.make(*QUICK, "oom_1")
    words = ("bash", "-c", f'echo $$ > {group_of_processes}/cgroup.procs; exec "$@"', "-")
    began = time.monotonic()
    with study.start("--jobs", jobs, command=words) as run:
        _, said = run.communicate(timeout=240)
    assert run.returncode == 6, said
    assert time.monotonic() - began < 120
    assert study.done == QUICK
    assert study.failures["oom_1"]["error"] == "OutOfMemory"
    assert study.failures["oom_1"]["stage"] == "predict"


def test_limits_alone_ask_for_a_process(study):
    study.make("sleep_1")
    ran = study.go("--time-limit", "1", seconds=60)
    assert ran.returncode == 3
    assert "--time-limit" in ran.stderr


def test_workers_end_with_the_run_however_that_ends(study):
    study.make("sleep_1", "sleep_2")
    with study.start("--jobs", "2", seconds=600) as run:
        wait_for(lambda: len(study.computed) == 2)
        workers = [p for p in psutil.Process(run.pid).children() if "workbench.batch.worker" in " ".join(p.cmdline())]
        assert len(workers) == 2
        run.kill()
        run.wait()
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive, "a worker outlived the run"
    assert len(gone) == 2


def test_a_worker_that_is_killed_from_outside_is_replaced(study):
    study.make("sleep_1", *QUICK)
    with study.start("--jobs", "1", seconds=600) as run:
        wait_for(lambda: "sleep_1" in study.computed)
        (worker,) = psutil.Process(run.pid).children()
        os.kill(worker.pid, signal.SIGKILL)
        _, said = run.communicate(timeout=120)
    assert run.returncode == 3, said
    assert study.done == QUICK
    assert "SIGKILL" in study.failures["sleep_1"]["message"]


def test_a_backend_that_cannot_load_is_said_before_any_case(study, tmp_path):
    poison.volumes(tmp_path / "in", "a", "b")
    words = ["predict", "segformer3d", "-i", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--jobs", "2"]
    command = poison.command(*words, "--weights", str(tmp_path / "none.safetensors"))
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=study.env)
    assert ran.returncode == 5
    assert ran.stderr.count("Error:") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("often", "ends"), [(1, 3), pytest.param(9, 1, marks=pytest.mark.slow)])
def test_a_process_that_dies_while_it_loads_is_started_again(study, often, ends):
    """Memory may be short for a moment, and the case has done nothing; but nobody tries for ever."""
    study.make("quick_1", "segv_1", "sleep_1")
    module, loads = study.folder / "site" / "poison_backend.py", study.folder / "loads"
    dies = (
        "def load(config, device):\n"
        "    import os\n"
        f"    with open({str(loads)!r}, 'a') as file:\n"
        "        file.write('x')\n"
        f"    if 1 < os.path.getsize({str(loads)!r}) < {2 + often}:\n"
        "        os._exit(9)\n"
    )
    text = module.read_text(encoding="utf-8")
    module.write_text(text.replace("def load(config, device):\n", dies), encoding="utf-8")
    ran = study.go("--jobs", "1")
    assert ran.returncode == ends, ran.stderr
    if often == 1:
        assert study.done == ["quick_1", "sleep_1"]
        assert list(study.failures) == ["segv_1"]
        assert study.computed == ["quick_1", "segv_1", "sleep_1"]
    else:
        assert "a worker process ended before it was ready (exit status 9)" in ran.stderr
        assert loads.stat().st_size == 5


def test_each_gpu_has_a_process_of_its_own(study):
    study.make("gpu_1", "gpu_2", "gpu_3", "gpu_4")
    ran = study.go("--gpus", "3,5", seconds=2.0)
    assert ran.returncode == 0, ran.stderr
    seen = [line.partition(":") for line in study.computed]
    assert {case for case, _, _ in seen} == {"gpu_1", "gpu_2", "gpu_3", "gpu_4"}
    assert {gpu for _, _, gpu in seen} == {"3", "5"}


def test_the_overview_is_not_that_of_a_run_before_one_that_was_killed(study):
    """Its cases are all complete by then: nothing is computed, and the page must say so all the same."""
    study.make("quick_1", "quick_2")
    assert study.go("--jobs", "0").returncode == 0
    study.make("quick_1", "quick_2", "quick_3")
    assert study.go("--jobs", "0", "--no-overview").returncode == 0  # as one that is killed before it writes the page
    assert study.go("--jobs", "0").returncode == 0
    assert "quick_3" in (study.out / "overview.html").read_text(encoding="utf-8")
    assert "quick_3" in (study.out / "summary.csv").read_text(encoding="utf-8")


def test_what_fails_in_a_part_of_one_case_is_kept_for_the_study(study):
    study.make("odd_1", "quick_1")
    for index in range(8):
        study.go("--jobs", "0", "--num-shards", "8", "--shard-index", str(index))
    assert list(study.failures) == ["odd_1"]
    assert ",failed," in (study.out / "summary.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.slow), 4])
def test_two_and_more_runs_on_one_folder_do_each_case_once(study, count):
    names = [f"sleep_{n}" for n in range(12)]
    study.make(*names)
    runs = [study.start("--jobs", "1", seconds=0.3) for _ in range(count)]
    said = [run.communicate(timeout=200)[1] for run in runs]
    assert [run.returncode for run in runs] == [0] * count, said
    assert study.computed == sorted(names)
    assert study.done == sorted(names)
    assert list((study.out).glob(".*")) == []


@pytest.mark.slow
def test_two_runs_that_compute_everything_again_share_it(study):
    names = [f"sleep_{n}" for n in range(6)]
    study.make(*names)
    assert study.go("--jobs", "1").returncode == 0
    study.note.unlink()
    runs = [study.start("--jobs", "1", "--overwrite", seconds=1.5) for _ in range(2)]
    said = [run.communicate(timeout=200)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert study.computed == sorted(names)
    assert study.go("--jobs", "1", "--overwrite").returncode == 0  # one that begins later does as it is told
    assert study.computed == sorted(names * 2)


def test_a_failure_in_one_of_two_runs_is_not_tried_by_the_other(study):
    # They sleep, and come before the one that fails: both runs have begun by then. One that begins later tries again.
    names = [f"gpu_{n}" for n in range(4)]
    study.make(*names, "odd_1")
    runs = [study.start("--jobs", "1", seconds=1.5) for _ in range(2)]
    for run in runs:
        run.communicate(timeout=200)
    assert study.computed == sorted([*names, "odd_1"])
    assert 3 in [run.returncode for run in runs]


def test_the_case_of_a_run_that_was_killed_is_done_by_the_one_beside_it(study):
    study.make("sleep_1")
    first = study.start("--jobs", "1", seconds=600)
    wait_for(lambda: study.computed == ["sleep_1"])
    second = study.start("--jobs", "1", seconds=0)
    time.sleep(1.0)
    first.kill()
    first.communicate()
    _, said = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert study.done == ["sleep_1"]
