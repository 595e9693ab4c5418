"""Recordings: MEG, EEG and time courses. The names of this package are public; its modules are how they are made."""

import os

from workbench.core.lazy_names import lazy_names

# MNE compiles functions of its own in every process where it finds numba, which slides need: that takes
# seconds and hundreds of MB for reading one file. Whoever wants that sets the variable before.
os.environ.setdefault("MNE_USE_NUMBA", "false")

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "workbench.recording.data.recording": ("as_annotations", "open_recording"),
        "workbench.recording.data.bads": ("describe_bads", "read_bads", "with_bad_channels", "write_channels"),
        "workbench.recording.data.results": ("SIGNALS", "TABLES", "read_results"),
        "workbench.recording.data.marks_files": ("read_marks",),
        "workbench.recording.data.triggers": ("Triggers",),
        "workbench.recording.data.monai_reader": ("RecordingReader",),
        "workbench.recording.evaluate.spectra": ("psd",),
        "workbench.recording.layers": (
            "mark_boxes", "marks_features", "marks_from_layer", "marks_layer", "recording_record", "signals_layer",
        ),
        "workbench.recording.marks": ("PEAK_LABEL", "in_order", "merge_marks"),
    },
)  # fmt: skip
