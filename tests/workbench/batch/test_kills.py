"""Runs that are killed: nothing half under a final name, nothing lost, nothing done twice, equal results."""

import sys

import pytest

from tests.workbench.batch import kills

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and sitecustomize of POSIX")


@pytest.mark.slow
def test_five_kills(tmp_path):
    tried = kills.trial(tmp_path, range(100, 105), small=True)
    assert [c for c in tried if not c.is_clean] == []
    assert sum(c.killed for c in tried) >= 3


@pytest.mark.slow
def test_twenty_kills_of_all_backends(tmp_path):
    tried = kills.trial(tmp_path, range(20))
    assert [c for c in tried if not c.is_clean] == []
    assert sum(c.killed for c in tried) >= 10
