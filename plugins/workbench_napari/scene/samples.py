"""The sample scene for File > Open Sample; works offline."""

from __future__ import annotations

from workbench.core.errors import NothingFound
from workbench.core.layers import LayerTuple, to_layers


def spectral_scene() -> list[LayerTuple]:
    """A synthetic hyperspectral scene."""
    import workbench as wb
    from workbench.core.samples import sample_files

    for name, path in sorted(sample_files().items()):
        if str(path).lower().endswith(".hdr") and not name.endswith(("_labels", "_painted")):
            return to_layers(wb.read(path))
    raise NothingFound("no sample scene is installed; run sample_data/make_scene.py in a checkout")
