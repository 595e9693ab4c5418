"""Nuclei without learning, for comparison: Otsu of haematoxylin, and the watershed of the distance to the edge.

A. Ruifrok and D. Johnston, Anal. Quant. Cytol. Histol. 23:291, 2001; N. Otsu, IEEE Trans. SMC 9:62, 1979.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import numpy.typing as npt


def is_there() -> bool:
    """Whether scikit-image is installed, as it is with napari."""
    return importlib.util.find_spec("skimage") is not None


def classical(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Numbers of nuclei ``(H, W)`` of a picture ``(H, W, 3)``; meant for 0.25 to 0.5 um per pixel."""
    from scipy import ndimage
    from skimage.color import rgb2hed
    from skimage.feature import peak_local_max
    from skimage.filters import gaussian, threshold_otsu
    from skimage.morphology import remove_small_objects
    from skimage.segmentation import watershed

    stain = gaussian(rgb2hed(image)[..., 0], 1)
    mask = remove_small_objects(ndimage.binary_fill_holes(stain > threshold_otsu(stain)), max_size=30)
    distance = gaussian(ndimage.distance_transform_edt(mask), 1)
    peaks = peak_local_max(distance, min_distance=6, labels=ndimage.label(mask)[0])
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return np.asarray(watershed(-distance, markers, mask=mask), np.int32)
