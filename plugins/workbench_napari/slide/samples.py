"""The sample slide for File > Open Sample; works offline."""

from __future__ import annotations

from workbench.core.errors import NothingFound
from workbench.core.layers import LayerTuple, to_layers


def slide() -> list[LayerTuple]:
    """A synthetic slide of stained tissue."""
    import workbench as wb
    from workbench.core.samples import sample_files

    path = sample_files().get("slide_9301")
    if path is None:
        raise NothingFound("no sample slide is installed; run sample_data/make_slide.py in a checkout")
    return to_layers(wb.read(path, kind="slide"))
