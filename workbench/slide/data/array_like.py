"""What viewers ask of an array, for levels whose pixels are made when they are looked at."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt


class ArrayLike:
    """Size and conversion by ``shape``, ``dtype`` and slices, which who inherits has."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = self[...]
        return found if dtype is None else found.astype(dtype)
