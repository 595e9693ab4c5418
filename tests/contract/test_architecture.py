"""The picture of the house in docs/ is measured and may not drift from the code; and what measures it is right."""

import make_architecture
import pytest
from import_graph import arrows, between_kinds, between_packages, circles, floors


def test_the_page_shows_the_imports_as_they_are():
    page = make_architecture.PAGE.read_text(encoding="utf-8")
    assert page == make_architecture.page(), "run: make docs (or python docs/make_architecture.py)"


def test_imports_are_seen_wherever_they_stand(tmp_path):
    text = {
        "workbench.core.a": "import numpy",
        "workbench.volume.b": "def f():\n    from workbench.core import a\n    import workbench.scene.c as c",
        "workbench.scene.c": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from workbench.core.a import x",
        "workbench_napari.shared.d": "from workbench.volume.b import f",
    }
    for name, code in text.items():
        (tmp_path / name).write_text(code)
    graph = arrows({name: tmp_path / name for name in text})
    assert graph["workbench.volume.b"] == {"workbench.core.a", "workbench.scene.c"}
    assert graph["workbench.scene.c"] == {"workbench.core.a"}
    packages = between_packages(graph)
    assert packages == {"core": set(), "volume": {"core", "scene"}, "scene": {"core"}, "plugin/shared": {"volume"}}
    assert between_kinds(packages) == [("volume", "scene")]
    assert floors(packages) == [["core"], ["scene"], ["volume"], ["plugin/shared"]]


def test_circles_are_found_and_share_a_floor():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}, "f": {"f"}}
    assert circles(graph) == [("a", "b", "c"), ("f",)]
    assert floors(graph) == [["d", "f"], ["a", "b", "c"], ["e"]]


def test_the_root_package_may_not_import():
    with pytest.raises(ValueError, match="imports core; it should import nothing"):
        between_packages({"workbench": {"workbench.core.a"}, "workbench.core.a": set()})
