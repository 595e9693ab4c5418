"""The sample page for File > Open Sample; works offline."""

from __future__ import annotations

from workbench.core.errors import NothingFound
from workbench.core.layers import LayerTuple, to_layers


def page() -> list[LayerTuple]:
    """A drawn page of a simulated electrocardiogram; no patient."""
    import workbench as wb
    from workbench.core.samples import sample_files

    path = sample_files().get("page_9401")
    if path is None:
        raise NothingFound("no sample page is installed; run sample_data/make_pages.py in a checkout")
    return to_layers(wb.read(path, kind="page"))
