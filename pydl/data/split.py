"""Splitting a data set at random."""
from __future__ import annotations

import itertools
import math
import operator
import warnings
from collections.abc import Sequence
from typing import Any, SupportsFloat, SupportsIndex

from pydl.data.compose import Subset
from pydl.data.samplers import generator_of
from pydl.ops import randperm
from pydl.random import Generator


def random_split(dataset: Any, lengths: Sequence[int | float], generator: Generator | None = None) -> list[Subset]:
    """Subsets without a common sample, of the given lengths, or fractions that sum to 1; together they are the whole data set.

    Of fractions each part gets floor(fraction * len(dataset)) samples, and of what is left over the first parts one each. The
    order is drawn from generator, by default the global one. Warns where a part gets nothing. Raises ValueError where the lengths
    do not sum to that of the data set, or one is negative; TypeError for lengths that are no ints.
    """
    generator_of("random_split", generator)
    size, wanted = len(dataset), list(lengths)
    for i, length in enumerate(wanted):
        if not isinstance(length, (SupportsIndex, SupportsFloat)):
            raise TypeError(f"random_split: length {i}: expected an int or a fraction, got {length!r}")
        if not length >= 0:
            raise ValueError(f"random_split: length {i}: expected 0 or more, got {length}")
    if wanted and math.isclose(sum(wanted), 1):
        counts = [math.floor(size * fraction) for fraction in wanted]
        for i in range(size - sum(counts)):
            counts[i % len(counts)] += 1
        for i, count in enumerate(counts):
            if count == 0:
                warnings.warn(f"random_split: part {i} of {size} samples gets none", stacklevel=2)
    else:
        try:
            counts = [operator.index(length) for length in wanted]     # type: ignore[arg-type]
        except TypeError:
            if math.fsum(wanted) > 1 and all(0 <= x <= 1 for x in wanted):
                raise ValueError(f"random_split: fractions must sum to 1, got {math.fsum(wanted):g}") from None
            raise TypeError(f"random_split: lengths: expected ints, or fractions that sum to 1, got {wanted}") from None
    if sum(counts) != size:
        raise ValueError(f"random_split: the lengths sum to {sum(counts)}, the data set has {size} samples")
    order = randperm(size, generator=generator).numpy()
    return [Subset(dataset, order[end - count:end]) for end, count in zip(itertools.accumulate(counts), counts, strict=True)]
