"""Sample data for File > Open Sample: small phantoms that the project makes itself. Works offline."""

from __future__ import annotations

from workbench.core.errors import NothingFound
from workbench.core.layers import LayerTuple, to_layers


def torso_ct() -> list[LayerTuple]:
    """CT of a torso phantom."""
    import workbench as wb

    return to_layers(wb.read(sample_path("ct")), as_labels=False)


def torso_ct_with_labels() -> list[LayerTuple]:
    """The same with its organ labels."""
    import workbench as wb

    return torso_ct() + to_layers(wb.read(sample_path("labels")), as_labels=True)


def sample_path(what: str) -> str:
    """Path of the sample CT (``"ct"``) or of its labels (``"labels"``).

    Raises
    ------
    NothingFound
        The sample files are not installed.
    """
    from workbench import is_readable
    from workbench.core.samples import sample_files

    files = {name: path for name, path in sample_files().items() if is_readable(path)}
    files = {name: path for name, path in files.items() if ".nii" in str(path)}
    for name in sorted(files):
        if ("label" in name) == (what == "labels"):
            return str(files[name])
    raise NothingFound(f"no sample {what} among {sorted(files)}; run sample_data/make_phantoms.py in a checkout")
