"""What the numbers of an element type can be."""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pydl._core.dtypes import dtype as DType
from pydl._core.dtypes import get_default_dtype, promote_types

if TYPE_CHECKING:
    from pydl._core.dtypes import DTypeLike


class _Limits:
    """bits, smallest and largest number, and the type's name."""

    __slots__ = ("bits", "dtype")

    def __init__(self, kind: DType) -> None:
        self.bits = kind.itemsize * 8
        self.dtype = kind.name

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.dtype == self.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)


class finfo(_Limits):  # noqa: N801 - PyTorch's name
    """Limits of float32 or float64 (left out: the default float type).

    eps: the gap from 1 to the next number; tiny, smallest_normal: the smallest positive number with all its digits;
    resolution: 10 to the power of minus the decimal digits. Raises TypeError for other types.
    """

    __slots__ = ("eps", "max", "min", "resolution", "smallest_normal", "tiny")

    def __init__(self, type: DTypeLike | None = None) -> None:
        kind = get_default_dtype() if type is None else promote_types(type, type)
        if not kind.is_floating_point:
            raise TypeError(f"finfo: expected float32 or float64, got {kind}; use pydl.iinfo()")
        super().__init__(kind)
        found = np.finfo(kind.name)
        self.eps, self.min, self.max, self.tiny = (float(x) for x in (found.eps, found.min, found.max, found.tiny))
        self.resolution, self.smallest_normal = float(f"1e-{found.precision}"), self.tiny

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{name}={getattr(self, name):g}' for name in names)}, dtype={self.dtype})"


class iinfo(_Limits):  # noqa: N801 - PyTorch's name
    """Limits of uint8, int32 or int64. Raises TypeError for other types."""

    __slots__ = ("max", "min")

    def __init__(self, type: DTypeLike) -> None:
        kind = promote_types(type, type)
        if kind.is_floating_point or kind.name == "bool":
            raise TypeError(f"iinfo: expected uint8, int32 or int64, got {kind}{'; use pydl.finfo()' if kind.is_floating_point else ''}")
        super().__init__(kind)
        found = np.iinfo(kind.name)
        self.min, self.max = int(found.min), int(found.max)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
