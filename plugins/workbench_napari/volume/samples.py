"""Sample data for File > Open Sample: small phantoms that the project makes itself. Works offline."""

from __future__ import annotations

from workbench.core.errors import NothingFound
from workbench.core.layers import LayerTuple, to_layers


def torso_ct() -> list[LayerTuple]:
    """CT of a torso phantom."""
    from workbench.data import formats

    return to_layers(formats.read(sample_path("ct")), as_labels=False)


def torso_ct_with_labels() -> list[LayerTuple]:
    """The same with its organ labels."""
    from workbench.data import formats

    return torso_ct() + to_layers(formats.read(sample_path("labels")), as_labels=True)


def sample_path(what: str) -> str:
    """Path of the sample CT (``"ct"``) or of its labels (``"labels"``).

    Raises
    ------
    NothingFound
        The sample files are not installed.
    """
    from workbench.core.samples import sample_files
    from workbench.data.formats import is_readable

    files = {name: path for name, path in sample_files().items() if is_readable(path)}
    files = {name: path for name, path in files.items() if ".nii" in str(path)}
    for name in sorted(files):
        if ("label" in name) == (what == "labels"):
            return str(files[name])
    raise NothingFound(f"no sample {what} among {sorted(files)}; run sample_data/make_phantoms.py in a checkout")
