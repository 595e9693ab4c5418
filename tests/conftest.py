"""Fixtures for every test: the shared folders with real data, which are not part of the project."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine is, and what else it does, says nothing about an example.
settings.register_profile("workbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("workbench")

# Before torch loads: its waiting threads sleep instead of spinning, which slows all tests on a machine with few cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Workers share the cores already: with a thread for each of them in every worker, all tests that learn take half as
# long again.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Studies of a few tiny cases are computed in the process of the test; those of the pool ask for processes themselves.
os.environ.setdefault("WORKBENCH_JOBS", "0")

# Nothing that a test does is remembered where a person works.
if "WORKBENCH_HOME" not in os.environ:
    _HOME = tempfile.mkdtemp(prefix="workbench-tests-")
    os.environ["WORKBENCH_HOME"] = _HOME
    atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

_SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared(name: str) -> Path:
    folder = _SHARED / name
    if not folder.is_dir():
        pytest.skip(f"real data not here: {folder}")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of small public data files, read-only."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Folders of small files on which something was wrong once, each with its right values in a README, read-only."""
    return _shared("cases")


@pytest.fixture(scope="session")
def shared_parity() -> Path:
    """Folder of reference weights and outputs of the original networks, read-only."""
    return _shared("parity")


@pytest.fixture
def only_ours(monkeypatch):
    """The built-in kinds and backends alone, whatever strangers have installed beside them."""
    from workbench.core import kinds, registry

    monkeypatch.setattr(kinds, "kinds", lambda: {row.name: row for row in kinds.BUILT_IN})
    monkeypatch.setattr(registry, "backends", lambda: {row.name: row for row in registry.BUILT_IN})
