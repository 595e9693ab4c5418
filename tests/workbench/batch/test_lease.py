"""One case has one holder: never two, and never a dead one for long."""

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench.batch import lease as leases_of
from workbench.batch.lease import STATE, Lease, Leases, file_name
from workbench.core import leftovers
from workbench.core.errors import UsageError


@pytest.fixture
def leases(tmp_path):
    opened = []

    def make(**values) -> Leases:
        found = Leases(tmp_path, **values)
        found.open()
        opened.append(found)
        return found

    yield make
    for one in opened:
        one.close()


def put(tmp_path, case="a", **changes):
    """A lease of somebody else: by default of a living process of this machine."""
    path = tmp_path / STATE / "leases" / file_name(case)
    path.parent.mkdir(parents=True, exist_ok=True)
    me = {"token": "theirs", "case": case, **leases_of._me()}
    path.write_text(json.dumps({**me, **changes}), encoding="ascii")
    return path


def ended_process() -> tuple[int, int]:
    """Number and start of a process that has ended."""
    code = "import os\nfrom workbench.core import leftovers\nprint(os.getpid(), leftovers.started(os.getpid()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pid, started = map(int, done.stdout.split())
    return pid, started


def test_one_of_two_gets_a_case_and_the_other_after_it(leases):
    first, second = leases(), leases()
    assert first.take("a") is not None
    assert second.take("a") is None
    assert second.take("b") is not None
    first.give_back("a")
    assert second.take("a") is not None


def test_of_many_at_once_one_gets_it(leases):
    runs = [leases() for _ in range(8)]
    for round_ in range(10):
        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda run, case=f"case {round_}": run.take(case), runs))
        assert sum(lease is not None for lease in got) == 1


def test_the_dead_are_proven_dead_and_replaced_at_once(leases, tmp_path):
    pid, started = ended_process()
    put(tmp_path, pid=pid, started=started)
    assert leases().take("a") is not None


def test_another_process_of_the_same_number_is_not_the_holder(leases, tmp_path):
    put(tmp_path, pid=os.getpid(), started=leftovers.started(os.getpid()) - 1000)
    assert leases().take("a") is not None


def test_a_living_holder_is_left_alone(leases, tmp_path):
    put(tmp_path, pid=os.getpid(), started=leftovers.started(os.getpid()))
    assert leases(silent=0.2).take("a") is None


@pytest.mark.parametrize("changes", [{"host": "node7"}, {"processes": "pid:[1]"}, {"machine": "another"}])
def test_of_another_machine_or_container_nothing_is_proven_by_numbers(leases, tmp_path, changes):
    """Its process 1 is not ours; only its silence counts, on our own clock."""
    pid, started = ended_process()
    path = put(tmp_path, pid=pid, started=started, **changes)
    mine = leases(silent=0.3)
    assert mine.take("a") is None
    time.sleep(0.2)
    os.utime(path)  # it is alive: it has touched its lease
    assert mine.take("a") is None
    time.sleep(0.2)
    assert mine.take("a") is None
    time.sleep(0.2)
    assert mine.take("a") is not None


def test_a_time_on_the_disk_years_ahead_keeps_nobody_out(leases, tmp_path):
    """Clocks of other machines may say what they like."""
    path = put(tmp_path, host="node7")
    os.utime(path, (4e9, 4e9))
    mine = leases(silent=0.1)
    assert mine.take("a") is None
    time.sleep(0.15)
    assert mine.take("a") is not None


def test_after_a_restart_of_the_machine_nobody_waits(leases, tmp_path):
    if not leases_of._machine()["machine"]:
        pytest.skip("this machine has no machine-id: a restart cannot be told from another machine")
    put(tmp_path, boot="of yesterday")
    assert leases().take("a") is not None


def test_half_a_file_of_a_machine_that_lost_its_power_is_taken_when_nobody_touches_it(leases, tmp_path):
    put(tmp_path).write_text('{"token": "the', encoding="ascii")
    mine = leases(silent=0.1)
    assert mine.take("a") is None
    time.sleep(0.15)
    assert mine.take("a") is not None


def test_who_slept_finds_another_name_and_may_not_write(leases):
    sleeper, other = leases(beat=1000.0), leases(silent=0.0)
    lease = sleeper.take("a")
    assert lease is not None
    assert lease.is_held()
    assert other.take("a") is None  # seen for the first time
    time.sleep(0.01)
    assert other.take("a") is not None
    assert not lease.is_held()
    sleeper.give_back("a")  # not its own any more: that of the other stays
    assert other.take("a") is None


def test_what_is_held_is_touched(leases):
    lease = leases(beat=0.05).take("a")
    assert lease is not None
    before = lease.path.stat().st_mtime_ns
    end = time.monotonic() + 5
    while lease.path.stat().st_mtime_ns == before:
        assert time.monotonic() < end, "nobody touched it"
        time.sleep(0.02)


def test_a_lease_goes_to_a_worker_as_json(leases):
    lease = leases().take("a")
    assert lease is not None
    assert Lease.from_json(json.loads(json.dumps(lease.to_json()))) == lease


def test_the_end_leaves_nothing(tmp_path):
    run = Leases(tmp_path)
    run.open()
    run.take("a")
    run.close()
    assert list(tmp_path.iterdir()) == []


def test_names_of_cases_may_be_as_long_as_a_name_can_be(leases):
    assert leases().take("x" * 255) is not None


def test_a_folder_that_a_run_removed_when_it_ended_is_made_again(leases, tmp_path):
    first, second = leases(), leases()
    first.close()  # the folder was empty
    assert second.folder.exists() is False
    assert second.take("a") is not None
    second.give_back("a")


def test_an_output_folder_that_is_gone_stays_gone(leases, tmp_path):
    one = leases()
    shutil.rmtree(one.output)
    with pytest.raises(FileNotFoundError):
        one.take("a")
    assert not one.output.exists()


def test_what_runs_tell_each_other_stays_in_the_folder(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    out = tmp_path / "linked"
    out.mkdir()
    (out / STATE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link"):
        Leases(out).open()
