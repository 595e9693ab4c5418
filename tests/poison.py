"""A backend of a stranger that does what the name of an image says, for runs in processes of their own.

``quick_*`` is done at once, ``slow_*`` takes a second (``POISON_SECONDS``), ``segv_*`` crashes... The names of cases
that are computed are written to the file ``POISON_NOTE``. Installed as a package that processes find on their path, as
one from pip would be.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
NAME = "poison"

MODULE = '''
from dataclasses import dataclass

import numpy as np

from workbench import ClassTable, Labels, Recorder, Result, setting


@dataclass(frozen=True)
class Config:
    level: float = setting(0.5, "Above this quantile is one class.", low=0.0, high=1.0)


class Odd(Exception):
    """Cannot be pickled, nor shown."""

    def __init__(self):
        super().__init__(lambda: None)

    def __reduce__(self):
        raise TypeError("no")

    def __str__(self):
        raise ValueError("no text")


def load(config, device):
    return None


def predict(model, image, config, progress=None):
    import ctypes, os, signal, sys, time

    recorder = Recorder("poison", config, None, image)
    what = image.name.partition("_")[0]
    seconds = float(os.environ.get("POISON_SECONDS", "1"))
    if "POISON_NOTE" in os.environ:
        with open(os.environ["POISON_NOTE"], "a", encoding="utf-8", errors="replace") as file:
            gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "") if what == "gpu" else ""
            file.write(image.name + (f":{gpu}" if gpu else "") + "\\n")
    if what == "slow":
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            np.sort(np.random.default_rng(0).random(20000))
            if progress:
                progress(1, 2)
    elif what in ("sleep", "gpu"):
        time.sleep(seconds)
    elif what == "segv":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == "null":
        ctypes.string_at(0)
    elif what == "exit":
        os._exit(3)
    elif what == "sysexit":
        sys.exit("the end")
    elif what == "oom":
        held = []
        while True:
            held.append(np.ones(2**24, np.uint8))
    elif what == "loop":
        while True:
            pass
    elif what == "gil":
        ctypes.PyDLL(None).sleep(25)
    elif what == "odd":
        raise Odd()
    elif what == "recursion":
        def deeper():
            return deeper() + 1
        deeper()
    elif what == "abort":
        os.abort()
    values = image.data[0]
    labels = Labels((values > np.quantile(values, config.level)).astype(np.uint8), image.geometry,
                    ClassTable.from_names(["bright"]))
    return Result({"labels": labels}, image, recorder.finish())
'''

ROW = """
from workbench.core.registry import Backend

ROW = Backend("poison", "Poison", "do what the name says", "volume", ("all",), ("labels",), "any", "poison_backend")
"""


def install(folder: Path) -> dict[str, str]:
    """Install it in `folder`; gives the environment of processes that find it there."""
    info = folder / "poison-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (folder / "poison_backend.py").write_text(MODULE, encoding="utf-8")
    (folder / "poison_row.py").write_text(ROW, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: poison\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[workbench.backends]\npoison = poison_row:ROW\n", encoding="utf-8")
    places = [str(folder), str(ROOT), str(ROOT / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "WORKBENCH_JOBS": ""}


def volumes(folder: Path, *names: str, shape: tuple[int, int, int] = (4, 4, 4)) -> Path:
    """Tiny volumes of these names in `folder`, each with values of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        values = np.random.default_rng(number).normal(size=shape).astype(np.float32)
        nib.save(nib.Nifti1Image(values, np.diag([2.0, 2.0, 2.0, 1.0])), folder / f"{name}.nii.gz")
    return folder


def command(*words: str) -> list[str]:
    """``workbench`` with these words, as a command of this Python."""
    code = "import sys; from workbench.cli import main; sys.argv[0] = 'workbench'; main()"
    return [sys.executable, "-c", code, *words]
