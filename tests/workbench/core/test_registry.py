"""Backends by name."""

import pytest

import workbench
from workbench.core import registry
from workbench.core.errors import FaultyExtension, MissingExtra, UsageError
from workbench.core.registry import Backend


def test_the_built_in_rows_come_first_and_can_be_imported() -> None:
    names = list(registry.backends())
    assert names[:3] == ["segformer3d", "lola_specvit", "meg_gpt"]
    for name in names[:3]:
        row = registry.find(name)
        assert row.name == name
        module = row.load_module()
        assert all(hasattr(module, verb) for verb in ("Config", "load", "predict"))
    assert workbench.backends() == registry.backends()


def test_an_unknown_backend_and_its_neighbour() -> None:
    with pytest.raises(UsageError, match="no backend 'segformer'. Did you mean 'segformer3d'"):
        registry.find("segformer")


def test_a_backend_whose_extra_is_missing_says_how_to_get_it() -> None:
    row = Backend("x", "X", "t", "volume", (), (), "x", "no_such_package.module", extra="dicom")
    with pytest.raises(MissingExtra, match=r"backend x \(no_such_package is not installed\) needs the extra 'dicom'"):
        row.load_module()
    plain = Backend("x", "X", "t", "volume", (), (), "x", "no_such_package.module")
    with pytest.raises(FaultyExtension, match="backend x: its module no_such_package.module cannot be loaded"):
        plain.load_module()
