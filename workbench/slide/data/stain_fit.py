"""The two stains that a slide was made with, found in its pixels: by their outermost colours, or by sparse factors.

M. Macenko et al., ISBI 2009, 10.1109/ISBI.2009.5193250; A. Vahadane et al., IEEE Trans. Med. Imaging 35:1962, 2016,
10.1109/TMI.2016.2529665. All densities here are to the base 10.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from workbench.core.errors import InputError
from workbench.slide.data.stains import APART, STAINED, Floats, degrees, haematoxylin_first, outermost

Method = Literal["macenko", "vahadane"]
METHODS: tuple[Method, ...] = ("macenko", "vahadane")
FEWEST = 5000
"""Stained pixels below which nothing is said of a slide."""
SPARSE = 0.02 / math.log(10)
"""Price of an amount of stain (0.02 of densities that are natural logarithms). The higher, the nearer to each other are
colours that are found: 0.1, as the paper has it, turns known stains by 6 degrees, this by 2.5."""
_MOST = 100_000
"""Stained pixels that factors are looked for in."""
_ROUNDS, _STILL = 200, 1e-6


def stained_only(density: Floats) -> Floats:
    """Those of densities ``(N, 3)`` that say what colour a stain has.

    Raises
    ------
    InputError
        There are fewer than `FEWEST`.
    """
    found: Floats = density[(np.linalg.norm(density, axis=1) > STAINED) & (density > 0).all(1)]
    if len(found) < FEWEST:
        raise InputError(f"too little tissue: {len(found):,} stained pixels ({FEWEST:,} or more were expected)")
    return found


def vectors_of(stained: Floats, method: Method) -> Floats:
    """Density of red, green and blue in both stains ``(2, 3)``, of length 1; haematoxylin first.

    Raises
    ------
    InputError
        All of it has one colour.
    """
    found = outermost(stained)
    require_two(found)
    if method == "vahadane":
        found = sparse_factors(stained[:: -(-len(stained) // _MOST)], found)
    return haematoxylin_first(found)


def require_two(vectors: Floats) -> None:
    """Refuse two colours of length 1 that are one: drawn fields of one stain have 6 degrees between them, by noise.

    Raises
    ------
    InputError
        They are less than `APART` degrees from each other.
    """
    apart = degrees(*vectors)
    if apart < APART:
        raise InputError(
            f"its stains cannot be told apart: the colours that are found differ by {apart:.0f} degrees ({APART:.0f} "
            "or more were expected)"
        )


def sparse_factors(density: Floats, start: Floats, price: float = SPARSE) -> Floats:
    """Two colours ``(2, 3)`` whose non-negative, sparse mixtures are nearest to densities ``(N, 3)``.

    Minimises ``sum |v - a W|^2 / 2 + price * sum a`` over amounts ``a >= 0`` and colours ``W >= 0`` of length 1, in
    turns: amounts are exact, colours go down one after the other. From the same start it always ends at the same place.
    """
    colours: Floats = start / np.linalg.norm(start, axis=1, keepdims=True)
    for _ in range(_ROUNDS):
        before = colours.copy()
        amounts = sparse_amounts(density, colours, price)
        together, with_pixels = amounts.T @ amounts, amounts.T @ density
        for k in range(2):
            if together[k, k] == 0:
                raise InputError("its stains cannot be told apart: one colour explains all of it")
            step = colours[k] + (with_pixels[k] - together[k] @ colours) / together[k, k]
            step = np.maximum(step, 0)
            colours[k] = step / max(float(np.linalg.norm(step)), 1e-12)
        if np.abs(colours - before).max() < _STILL:
            break
    return colours


def sparse_amounts(density: Floats, colours: Floats, price: float) -> Floats:
    """The amounts ``(N, 2)`` of `sparse_factors` for given colours.

    Two stains leave four cases (both, either, none), so that nothing need be iterated: where the amounts of both are
    not negative they are right, else one of them is 0.
    """
    along = density @ colours.T - price
    cosine = float(colours[0] @ colours[1])
    both = (along - cosine * along[:, ::-1]) / max(1 - cosine**2, 1e-9)
    alone = np.maximum(along, 0)
    alone[np.arange(len(alone)), alone.argmin(axis=1)] = 0
    found: Floats = np.where((both >= 0).all(axis=1, keepdims=True), both, alone)
    return found
