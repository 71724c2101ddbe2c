"""Checks of what layers are made with; their messages begin with the layer's name."""

import operator
from collections.abc import Sequence
from typing import SupportsIndex


def size_of(layer: str, name: str, size: SupportsIndex) -> int:
    """size as an int >= 0."""
    try:
        number = operator.index(size)
    except TypeError:
        raise TypeError(f"{layer}: {name}: expected an int, got {size!r}") from None
    if number < 0:
        raise ValueError(f"{layer}: {name}: expected 0 or more, got {number}")
    return number


def sizes_of(layer: str, name: str, sizes: SupportsIndex | Sequence[SupportsIndex], dims: int, least: int = 0) -> tuple[int, ...]:
    """An int for every dimension, or one of them for all, each at least `least`, as a tuple."""
    several = isinstance(sizes, Sequence) and not isinstance(sizes, str)
    try:
        numbers = [operator.index(size) for size in sizes] if several else [operator.index(sizes)] * dims       # type: ignore
    except TypeError:
        raise TypeError(f"{layer}: {name}: expected an int or {dims} of them, got {sizes!r}") from None
    if len(numbers) != dims:
        raise ValueError(f"{layer}: {name}: expected an int or {dims} of them, got {sizes!r}")
    if min(numbers) < least:
        raise ValueError(f"{layer}: {name}: expected {least} or more, got {sizes!r}")
    return tuple(numbers)
