"""Load the heavy libraries in the background once a tool is docked, so that the first Run does not wait for them.

Imports run in a thread, which is not enough: while Python loads a library of hundreds of megabytes, or looks through
what an import left for garbage, no other thread of it runs, and the window stands still. So the library is loaded
before its import by a call that lets go of Python, and what was imported is left out of later collections.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench_napari.shared import collecting

LOADING = "loading the engine"
"""What is said while a run waits for the libraries."""

FIGURES = ("matplotlib.figure", "matplotlib.backends.backend_qtagg")
"""What a figure takes."""
PLOTS = "pyqtgraph"
"""What the traces take."""
_FOR_OPENING: dict[str, tuple[str, ...]] = {
    # napari makes the small picture of a layer with the first, and its controls with the second.
    "": ("scipy.ndimage", "napari.components.histogram", "workbench.api", "workbench.data.study"),
    # With the last napari turns its camera, so that the head is up.
    "volume": ("nibabel", "scipy.spatial.transform"),
    "scene": FIGURES,
    # napari's tables of layers take the first, outlines the second.
    "slide": ("pandas", "shapely"),
    "page": ("pandas", "shapely", PLOTS, "scipy.ndimage"),
    # napari's layers of annotations take the last.
    "recording": (*FIGURES, PLOTS, "mne", "mne.io", "scipy.signal", "pandas"),
}
"""What opening the first file of a kind would load while the window stands still."""
_WITH = {"torch": ("torch._dynamo",)}
"""What a module loads only when it is first used: here, when a network is made. It takes as long as the module."""
_FOR_SAVING = ("workbench.data.write",)
_LIBRARIES = (("torch", "libtorch_cpu.so"),)
"""Packages and the library in them that takes longest to load."""
_CHUNK = 16 << 20
_PAUSE = 0.02
_SWITCH_SECONDS = 0.0005

_thread: threading.Thread | None = None
_tried: set[str] = set()
_units: Any = None


def engines(first: str = "") -> tuple[str, ...]:
    """Modules worth loading, as the rows of the kinds say; those of the kind `first` come first."""
    rows = sorted(kinds.kinds().values(), key=lambda row: row.name != first)
    own = [name for row in rows for name in row.engines]
    return tuple(dict.fromkeys(more for name in own for more in (name, *_WITH.get(name, ()))))


def is_wanted() -> bool:
    """Whether anything is to be loaded beforehand."""
    return os.environ.get("WORKBENCH_PRELOAD", "1") != "0"


def preload(first: str = "") -> threading.Thread | None:
    """Start importing the engines in a daemon thread, once per process; ``WORKBENCH_PRELOAD=0`` turns it off.

    Parameters
    ----------
    first
        Name of the kind of data whose engines are loaded first.
    """
    global _thread
    if _thread is None and is_wanted():
        # Read when the libraries are loaded: waiting threads of a network sleep, instead of taking the processor from
        # the window.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        # Not a daemon: a library that is being imported while Python takes everything apart would fall over.
        _thread = threading.Thread(target=_load, args=(first,), name="workbench-engines", daemon=False)
        _thread.start()
    return _thread


def for_opening(kind: str) -> tuple[str, ...]:
    """Modules that opening a file of a kind takes, those that are needed first at the beginning."""
    rows = kinds.kinds()
    row = rows.get(kind)
    own = () if row is None else (*dict.fromkeys(row.readers.values()), row.layers)
    # Every kind is asked whose file it is.
    asked = [other.files for other in rows.values()]
    return tuple(name for name in (*_FOR_OPENING[""], *_FOR_OPENING.get(kind, ()), *asked, *own) if name)


def prepare_opening(kind: str) -> None:
    """Import what opening a file of a kind takes, if nobody did yet; for threads that open one."""
    _read_units()
    for name in for_opening(kind):
        with suppress(ImportError):
            importlib.import_module(name)


def _read_units() -> None:
    """Read the table of units that napari asks when the first layer comes, for the window to take."""
    global _units
    pint = sys.modules.get("pint")
    if _units is None and pint is not None and _is_unread(pint):
        made = pint.UnitRegistry(on_redefinition="raise")
        made.pixel  # noqa: B018  # asking for any unit reads the table
        _units = made


def give_units() -> None:
    """Let napari have the table of units that was read in the background, unless it has read it itself.

    On the main thread: nobody else may ask for a unit meanwhile.
    """
    pint = sys.modules.get("pint")
    if _units is not None and pint is not None and _is_unread(pint):
        pint.set_application_registry(_units)


def _is_unread(pint: Any) -> bool:
    return type(pint.get_application_registry().get()).__name__ == "LazyRegistry"


def is_loading(kind: str = "") -> bool:
    """Whether libraries for a kind of data ("": for any) are still being loaded."""
    row = kinds.kinds().get(kind)
    wanted = engines() if row is None else row.engines
    wanted = tuple(more for name in wanted for more in (name, *_WITH.get(name, ())))
    return _thread is not None and _thread.is_alive() and not _tried.issuperset(wanted)


def is_busy_with(name: str) -> bool:
    """Whether a module is being imported right now: it is in `sys.modules` long before it can be used."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def wait(kind: str, is_stopped: Callable[[], bool]) -> None:
    """Wait until the libraries for a kind are loaded, or until somebody wants to stop; for threads of jobs."""
    while is_loading(kind) and not is_stopped():
        time.sleep(0.05)


def load_libraries(is_stopped: Callable[[], bool]) -> None:
    """Load the libraries of packages that are not imported yet, so that importing them does not hold up Python."""
    if not sys.platform.startswith("linux"):
        return
    for package, name in _LIBRARIES:
        if package in sys.modules or is_stopped():
            continue
        spec = importlib.util.find_spec(package)
        file = None if spec is None or spec.origin is None else Path(spec.origin).parent / "lib" / name
        if file is None or not file.is_file():
            continue
        # First from the disk into memory: reading can be stopped, loading cannot.
        with file.open("rb") as content:
            while content.read(_CHUNK) and not is_stopped():
                pass
        if not is_stopped():
            # Not by `ctypes.CDLL`, which would hold Python. Where it fails, the import says why.
            ctypes.CDLL(None).dlopen(os.fsencode(file), ctypes.c_int(os.RTLD_LAZY))


def _load(first: str) -> None:
    # The window asks for Python many times in a moment, and would wait so long each time.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, _SWITCH_SECONDS))
    try:
        _read_units()
        for name in for_opening(first):
            _import(name)
        _warm_shapes()
        load_libraries(_is_ending)
        for name in engines(first):
            _import(name)
            _tried.add(name)
        for name in (*_FOR_SAVING, *(row.writer for row in kinds.kinds().values() if row.writer)):
            _import(name)
    finally:
        sys.setswitchinterval(interval)


def _warm_shapes() -> None:
    """Let napari compile what it compiles at the first outlines of a process (half a second), where it does so."""
    name = "napari.layers.shapes._accelerated_triangulate_dispatch"
    if _is_ending() or importlib.util.find_spec("numba") is None:
        return
    with suppress(Exception):  # a part of napari that other versions lack: it is done at the first outlines then
        importlib.import_module(name).warmup_numba_cache()
    time.sleep(_PAUSE)


def _import(name: str) -> None:
    """Import one module, and let the window have its turn."""
    if _is_ending():
        return
    collects = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            # Libraries warn about themselves while they load; that is no news for somebody who looks at images.
            warnings.simplefilter("ignore")
            importlib.import_module(name)
    except ImportError:
        pass  # the tool that needs it says so when it is used, with the install command
    finally:
        if collects:
            # Else Python would look through all that came, now and when a quarter as much has come again.
            collecting.freeze()
            gc.enable()
    time.sleep(_PAUSE)


def _is_ending() -> bool:
    """Whether Python ends: it waits for the import that has begun, and no other is to follow."""
    return not threading.main_thread().is_alive()
