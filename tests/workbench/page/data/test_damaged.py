"""Damaged files of every format end as one line or as an image: no traceback, no hang, no memory without end."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workbench.page.attack import FORMATS

ROOT = Path(__file__).resolve().parents[4]


def _attack(*arguments: str) -> list[str]:
    command = [sys.executable, "-m", "tests.workbench.page.attack", *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    return run.stdout.splitlines()


def test_damage_of_every_format_is_said_or_harmless():
    lines = _attack("--flips", "30", "--blocks", "10")
    assert [line.split()[0] for line in lines] == list(FORMATS)
    assert all("'InputError'" in line for line in lines)
    assert sum("'read'" in line for line in lines) >= len(FORMATS) - 1


@pytest.mark.skipif(importlib.util.find_spec("ecgdatakit") is None, reason="the extra 'ecg' is not installed")
def test_damage_of_scp_is_said(shared_data):
    [line] = _attack(
        "header", "--flips", "30", "--blocks", "10", "--scp", str(shared_data / "ecg" / "hl7_example.scp")
    )[1:]
    assert line.startswith("scp")
