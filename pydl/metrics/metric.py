"""The base class of metrics."""

import math
from typing import Any

import numpy as np

from pydl.metrics.inputs import Values


class Metric:
    """A figure of merit that is gathered over batches: `update(output, target)` for each, then `compute()`.

    The result is that of all examples at once, however they were cut into batches, up to rounding (it is not a mean of
    batches' results). `reset()` forgets them. An update that raises leaves what was gathered as it was. A metric is a number
    to read: nothing is recorded for gradients, and results are Python floats or NumPy arrays.
    """

    name = "metric"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all examples."""
        raise NotImplementedError(f"{type(self).__name__}: reset is not defined")

    def update(self, output: Values, target: Values) -> None:
        """Take in a batch."""
        raise NotImplementedError(f"{type(self).__name__}: update is not defined")

    def compute(self) -> Any:
        """The metric over all examples since the last reset. Raises ValueError where there were none."""
        raise NotImplementedError(f"{type(self).__name__}: compute is not defined")

    def _need(self, count: int) -> None:
        if not count:
            raise ValueError(f"{self.name}: expected one example or more before compute(), got none; call update() first")


def mean(x: np.ndarray) -> float:
    """Of what is not NaN; NaN where there is nothing."""
    known = x[~np.isnan(x)]
    return float(known.mean()) if known.size else math.nan
