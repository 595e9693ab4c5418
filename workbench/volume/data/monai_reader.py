"""Volumes for anybody's MONAI pipeline."""

from __future__ import annotations

from workbench.data.monai_reader import KindReader


class VolumeReader(KindReader):
    """Reads NIfTI, DICOM folders, NRRD and MHA for ``monai.transforms.LoadImage``.

    Arrays come channel first, ``(C, i, j, k)`` in file voxel order, in the type the file has after rescaling; pass
    ``dtype=None`` to `LoadImage` to keep it (label maps stay integer). Metadata: ``affine`` (RAS+ mm), ``spacing``,
    ``units``, ``axis_names``, ``channel_names``, ``source``, ``value_unit``, ``modality``, ``format``.

    Parameters
    ----------
    series
        Which series of a DICOM folder, as in `workbench.data.formats.read`.
    """

    KIND = "volume"
