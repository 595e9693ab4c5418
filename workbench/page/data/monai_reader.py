"""Pages and electrocardiograms for anybody's MONAI pipeline."""

from __future__ import annotations

from workbench.data.monai_reader import KindReader


class PageReader(KindReader):
    """Reads pages and electrocardiograms for ``monai.transforms.LoadImage``.

    A page is ``(3, rows, columns)`` uint8; a digital electrocardiogram ``(leads, samples)`` float32 in mV, its affine
    that of time.

    >>> load = LoadImaged(keys=["image"], reader=PageReader(), dtype=None)
    """

    KIND = "page"
