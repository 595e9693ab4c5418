"""The sample recording for File > Open Sample; works offline."""

from __future__ import annotations

from workbench.core.errors import NothingFound
from workbench.core.layers import LayerTuple, to_layers


def meg_recording() -> list[LayerTuple]:
    """Simulated MEG of twelve parcels, with events and blinks."""
    import workbench as wb
    from workbench.core.samples import sample_files

    for name, path in sorted(sample_files().items()):
        if name.endswith("_raw") and path.suffix == ".fif":
            return to_layers(wb.read(path))
    raise NothingFound("no sample recording is installed; run sample_data/make_recordings.py in a checkout")
