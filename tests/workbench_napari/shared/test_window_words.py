"""Lines of the library in words of the window."""

from __future__ import annotations

import pytest

pytest.importorskip("napari", reason="the extra 'gui' is not installed")
from workbench_napari.shared.window_words import in_window, label_of, sentence


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("it is not known. Give it with --mpp.", "it is not known. Give it as 'Mpp'."),
        ("in pixels of the whole file (--frame)?", "in pixels of the whole file ('Frame')?"),
        ("or --allow-upsample to enlarge it.", "or 'Allow upsample' to enlarge it."),
        ("mpp='abc': expected float", "Mpp: 'abc' is not a number"),
        ("stride='x': expected int", "Stride: 'x' is not a whole number"),
        (
            "a.png: this can be a slide or a scene. Say which: --kind slide or --kind scene (in Python kind='slide').",
            "a.png: this can be a slide or a scene. Open it with the button of its tool: Slides tool or Spectra tool.",
        ),
        ("first: workbench weights get x.y --allow-download", "first: workbench weights get x.y --allow-download"),
        ("a--b", "a--b"),
    ],
)
def test_what_the_shell_calls_otherwise(line, said):
    assert in_window(line) == said


def test_a_note_ends_with_one_sign():
    assert sentence("are they of this slide?") == "Are they of this slide?"
    assert sentence("so it is.") == "So it is."
    assert sentence("so it is") == "So it is."


def test_labels_of_settings():
    assert [label_of(n) for n in ("icc", "tissue_in_roi", "mpp")] == ["ICC", "Tissue in ROI", "Mpp"]
