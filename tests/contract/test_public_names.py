"""`workbench` itself: every public name is there, is what its own module calls it, and costs nothing until used."""

import dataclasses
import importlib
import inspect
import subprocess
import sys

import workbench as wb
from workbench.core import classes, errors, frame, objects, pyramid, reports, types


def test_every_public_name_resolves_and_is_listed_once():
    assert len(set(wb.__all__)) == len(wb.__all__)
    assert dir(wb) == sorted(wb.__all__)
    for name in wb.__all__:
        assert getattr(wb, name) is not None
    for name, module in wb._PUBLIC.items():
        assert getattr(wb, name) is getattr(importlib.import_module(module), name)


def test_every_type_and_error_is_public():
    for module in (types, classes, objects, frame, pyramid, reports, errors):
        for name, thing in vars(module).items():
            own = inspect.isclass(thing) and thing.__module__ == module.__name__
            if own and not name.startswith("_"):
                assert getattr(wb, name) is thing, f"{name} of {module.__name__} is not in workbench.__all__"
    for part in types.Part.__args__:
        assert dataclasses.is_dataclass(part)
        assert getattr(wb, part.__name__) is part


def test_importing_workbench_loads_no_module_of_its_own_and_nothing_heavy():
    code = "import sys; before = set(sys.modules); import workbench; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("workbench")} == {"workbench"}
    assert not {"numpy", "torch", "click"} & loaded


def test_types_cost_numpy_and_no_more():
    """All but the MONAI readers, which are what they are called."""
    code = "import sys, workbench as wb; names = [n for n in wb.__all__ if not n.endswith('Reader')]; "
    code += "[getattr(wb, n) for n in names]; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "monai", "napari", "dask", "pandas", "matplotlib", "mne"} & set(done.stdout.split())
