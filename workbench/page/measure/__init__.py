"""What is measured on an electrocardiogram: beats, waves, intervals and axes."""

from workbench.core.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "workbench.page.measure.beats": ("Beats",),
        "workbench.page.measure.delineate": ("BORDERS", "Delineation"),
        "workbench.page.measure.measured": ("measure", "measure_leads"),
        "workbench.page.measure.measurements": ("Measurement", "Measurements"),
        "workbench.page.measure.median_beat": ("MedianBeat",),
        "workbench.page.measure.presence": ("Presence",),
    },
)
