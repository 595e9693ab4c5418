"""What mapping a scene takes of memory, from its header and the settings alone.

A scene is read and mapped tile by tile, so what grows with it are the maps only; the rest is a tile with what the
convolutions and the head of the network make of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from workbench.core.memory import Need
from workbench.scene.data.scene import BLOCK_BYTES

_RESERVE = 60 * 2**20
"""Modules that are imported on the way, and what the allocator holds back."""

_CONVOLUTIONS = 1.45
"""How much more than their input and output the convolutions take: a copy of it in the order they work in."""


def estimate(
    shape: tuple[int, int],
    bands: int,
    itemsize: int,
    used: int,
    net: Mapping[str, Any],
    *,
    tile: int,
    batch: int,
    margin: int,
    window: int,
    dense: bool = True,
    fit: bool = False,
    on_cpu: bool = True,
    half: bool = False,
) -> Need:
    """Bytes at the peak of `predict`, beyond what the process holds with the network loaded.

    Parameters
    ----------
    shape
        Rows and columns.
    bands, itemsize, used
        Of the samples; `used` is how many bands the weights keep.
    net
        Arguments of the network: ``in_channels``, ``front_channels``, ``depth_strides``, ``dim``, ``spatial_size``.
    tile, batch
        Side of a tile, and pixels (or patches) at a time.
    margin, window
        What a tile has more on each side, and rows of features that the head sees (the side of a patch, if not dense).
    dense
        The front end runs over tiles, not over patches.
    fit
        Principal components are found on the scene first.
    on_cpu
        The network computes in main memory.
    half
        In bfloat16.
    """
    rows, columns = shape
    maps = rows * columns
    blocks = min(BLOCK_BYTES, maps * bands * max(itemsize, 4))
    block = blocks // (bands * max(itemsize, 4))  # pixels
    # As read, the bands that are used, and which of them are numbers.
    scanned = block * (bands * itemsize + used * (itemsize + 1))
    moments = [{"blocks of the scene": scanned, "valid pixels": maps}]
    if fit:
        moments.append({"blocks of the scene": scanned + block * used * 16})
    sides = [-(-n // max(1, -(-n // tile))) for n in shape]  # tiles are of nearly equal size
    across = (sides[0] + 2 * margin) * (sides[1] + 2 * margin)
    prepared = 4 * across * int(net["in_channels"])
    result = {"maps": 6 * maps}
    preparing = across * (bands * itemsize + used * (2 * itemsize + 1 + 12))
    moments.append({**result, "tile": preparing})
    at_once = across if dense else batch * int(net["spatial_size"]) ** 2
    size = 0.5 if half else 1.0
    front = round(_CONVOLUTIONS * size * _front(net) * at_once) if on_cpu else 0
    head = round(size * batch * window**2 * int(net["dim"]) * 4 * 20) if on_cpu else 0
    moments.append({**result, "tile": prepared, "network": max(front, head)})
    moments.append({"maps": 7 * maps})
    return Need.highest(*({**moment, "reserve": _RESERVE} for moment in moments))


def _front(net: Mapping[str, Any]) -> int:
    """Bytes per pixel of the two neighbouring layers of the front end that are largest together."""
    depth, channels = int(net["in_channels"]), 1
    sizes = [4 * depth]
    layers: Sequence[int] = [*net["front_channels"], int(net["dim"])]
    for channels, stride in zip(layers, net["depth_strides"], strict=True):
        depth = -(-depth // int(stride))
        sizes.append(4 * depth * int(channels))
    return max(a + b for a, b in pairwise(sizes))
