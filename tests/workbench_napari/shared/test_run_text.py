"""What is said of a run: no brackets around nothing."""

from __future__ import annotations

from workbench_napari.shared.run_text import describe_run

from workbench.core.types import Provenance


def test_a_reason_stands_in_brackets_and_none_in_no_brackets():
    made = Provenance("b", "none", None, {}, device="cpu", seconds=0.04, notes=("level 3.5.", "dim"))
    assert describe_run(made, " More.") == "Done in 0.0 s on cpu. More. Level 3.5. Dim."
    why = Provenance("b", "none", None, {}, device="cuda", device_reason="the only GPU", seconds=2.0)
    assert describe_run(why) == "Done in 2.0 s on cuda (the only GPU)."
    assert describe_run(made, notes=["shown as points"]) == "Done in 0.0 s on cpu. Shown as points."
