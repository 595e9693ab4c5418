"""Colours of DICOM segments: CIELab with white point D50, and sRGB."""

from __future__ import annotations

import numpy as np

from workbench.core.classes import RGB

_WHITE = np.array([0.9642, 1.0, 0.8249])
# Linear sRGB to XYZ with white point D50 (Bradford-adapted, as in the ICC sRGB profile).
_TO_XYZ = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)


def from_rgb(color: RGB) -> tuple[float, float, float]:
    """CIELab (D50) of an sRGB colour; highdicom's own conversion takes another white point than DICOM."""
    srgb = np.array(color) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    ratio = (_TO_XYZ @ linear) / _WHITE
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return float(116 * f[1] - 16), float(500 * (f[0] - f[1])), float(200 * (f[1] - f[2]))


def to_rgb(stored: tuple[float, float, float]) -> RGB:
    """sRGB of a DICOM CIELab value: L 0..100 and a, b -128..127 on 16 bits, white point D50 (PS3.3 C.10.7.1.1)."""
    l_star = float(stored[0]) * 100 / 65535
    a_star, b_star = (float(v) * 255 / 65535 - 128 for v in stored[1:])
    fy = (l_star + 16) / 116
    f = np.array([fy + a_star / 500, fy, fy - b_star / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _WHITE
    linear = np.clip(np.linalg.inv(_TO_XYZ) @ xyz, 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    r, g, b = (int(v) for v in np.rint(255 * srgb))
    return (r, g, b)
