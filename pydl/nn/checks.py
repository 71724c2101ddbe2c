"""Checks of what layers are made with; their messages begin with the layer's name."""

import operator
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
