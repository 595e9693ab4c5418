"""A module that is a verb too."""

import sys
from types import ModuleType

import workbench
from workbench.core.callable_module import make_callable


def test_a_module_can_be_called_and_stays_a_module() -> None:
    module = ModuleType("made_for_this_test")
    module.value = 3
    sys.modules[module.__name__] = module
    try:
        make_callable(module.__name__, lambda a, *, b=0: (a, b))
        assert module(1, b=2) == (1, 2)
        assert module.value == 3
        assert not callable(ModuleType("another"))
    finally:
        del sys.modules[module.__name__]


def test_the_verb_stays_after_importing_the_parts() -> None:
    """Importing a submodule binds its name in the package, which would hide a function of that name."""
    from workbench.weights import files

    assert workbench.weights() == files.listing()
    assert workbench.weights.files is files
