"""Paper electrocardiograms, and the signals that they show. The names of this package are public."""

from workbench.core.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "workbench.page.corrected": ("from_lines", "is_corrected", "with_lines"),
        "workbench.page.diagnose.by_hand": ("BY_PERSON", "opinion_of"),
        "workbench.page.looks": ("colors_of", "width_of"),
        "workbench.page.report": ("write_report",),
        "workbench.page.leads": ("CABRERA", "CHEST", "LIMB", "STANDARD", "standard_name"),
        "workbench.page.side_by_side": ("in_rows", "span_of"),
        "workbench.page.snap": ("onto_ink",),
        "workbench.page.traces": (
            "LEAD", "ORIGIN", "STRIP", "WAS_READ", "Sheet", "channels_of", "leads_of", "without_covered",
        ),
    },
)  # fmt: skip
