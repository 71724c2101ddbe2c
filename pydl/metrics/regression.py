"""Errors of predicted numbers: MAE, MSE, RMSE and R2."""

from typing import Literal

import numpy as np

from pydl.metrics.inputs import Values, array_of
from pydl.metrics.metric import Metric

MultiOutput = Literal["uniform_average", "raw_values"]


class Regression(Metric):
    """Base of the regression metrics: one figure for each output, and the mean of these. Computes in float64."""

    def __init__(self, *, multioutput: MultiOutput = "uniform_average") -> None:
        if multioutput not in ("uniform_average", "raw_values"):
            raise ValueError(f"{self.name}: multioutput: expected 'uniform_average' or 'raw_values', got {multioutput!r}")
        self.multioutput = multioutput
        super().__init__()

    def reset(self) -> None:
        self.count = 0
        self.shape: tuple[int, ...] | None = None

    def update(self, output: Values, target: Values) -> None:
        predicted, actual = array_of(self.name, "output", output), array_of(self.name, "target", target)
        shapes = f"output {predicted.shape} and target {actual.shape}"
        if predicted.shape != actual.shape or predicted.ndim not in (1, 2):
            raise ValueError(f"{self.name}: expected output and target of one shape, (N,) or (N, D), got {shapes}")
        if not predicted.size:
            raise ValueError(f"{self.name}: expected one example or more, got none: {shapes}")
        if self.shape is not None and predicted.shape[1:] != self.shape:
            raise ValueError(f"{self.name}: expected as many outputs as in the batches before, {('N', *self.shape)}, got {shapes}")
        columns = [numbers(self.name, role, x) for role, x in (("output", predicted), ("target", actual))]
        self._add(*columns)
        self.count += len(predicted)
        self.shape = predicted.shape[1:]

    def _add(self, predicted: np.ndarray, actual: np.ndarray) -> None:
        """Take in a batch, both (N, D) float64; self.count examples came before it."""
        raise NotImplementedError

    def _figures(self) -> np.ndarray:
        """The metric of each output, (D,)."""
        raise NotImplementedError

    def compute(self) -> float | np.ndarray:
        self._need(self.count)
        figures = self._figures()
        return figures if self.multioutput == "raw_values" else float(figures.mean())


def numbers(caller: str, role: str, x: np.ndarray) -> np.ndarray:
    """x (N,) or (N, D) as (N, D) float64, all of them finite."""
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{caller}: {role}: expected real numbers, got {x.dtype} {x.shape}")
    finite = np.isfinite(x)
    if not finite.all():
        raise ValueError(f"{caller}: {role}: expected finite numbers, got {int(x.size - np.count_nonzero(finite))} NaN or infinite "
                         f"ones in {x.shape}")
    return x.astype(np.float64, copy=False).reshape(len(x), -1)


class MeanError(Regression):
    """Base of the means over examples of something of their errors."""

    def reset(self) -> None:
        super().reset()
        self.total: np.ndarray | float = 0.0

    def _size(self, error: np.ndarray) -> np.ndarray:
        """What the mean is taken of."""
        raise NotImplementedError

    def _add(self, predicted: np.ndarray, actual: np.ndarray) -> None:
        self.total = self.total + self._size(predicted - actual).sum(axis=0)

    def _figures(self) -> np.ndarray:
        return np.asarray(self.total) / self.count


class MeanAbsoluteError(MeanError):
    """Mean absolute error over batches: see `mean_absolute_error`. Keeps one sum for each output."""

    name = "mean_absolute_error"

    def _size(self, error: np.ndarray) -> np.ndarray:
        return np.abs(error)


class MeanSquaredError(MeanError):
    """Mean squared error over batches: see `mean_squared_error`. Keeps one sum for each output."""

    name = "mean_squared_error"

    def _size(self, error: np.ndarray) -> np.ndarray:
        return np.square(error)


class RootMeanSquaredError(MeanSquaredError):
    """Root mean squared error over batches: see `root_mean_squared_error`. Keeps one sum for each output."""

    name = "root_mean_squared_error"

    def _figures(self) -> np.ndarray:
        return np.sqrt(super()._figures())


class R2Score(Regression):
    """Coefficient of determination over batches: see `r2_score`. Keeps three numbers for each output.

    Means and squared deviations of batches are merged as in Chan, Golub & LeVeque 1983, so that a large mean costs no digits.
    """

    name = "r2_score"

    def reset(self) -> None:
        super().reset()
        self.residual: np.ndarray | float = 0.0
        self.mean: np.ndarray | float = 0.0
        self.deviation: np.ndarray | float = 0.0

    def _add(self, predicted: np.ndarray, actual: np.ndarray) -> None:
        # Between the least and the largest, whatever rounding says: a constant target has no deviation at all.
        mean = np.clip(actual.mean(axis=0), actual.min(axis=0), actual.max(axis=0))
        count, apart = len(actual), mean - self.mean if self.count else np.zeros_like(mean)
        share = count / (self.count + count)
        self.deviation = self.deviation + np.square(actual - mean).sum(axis=0) + np.square(apart) * (self.count * share)
        self.mean = self.mean + apart * share if self.count else mean
        self.residual = self.residual + np.square(actual - predicted).sum(axis=0)

    def _figures(self) -> np.ndarray:
        if self.count < 2:
            raise ValueError(f"{self.name}: expected two examples or more, got {self.count}")
        residual, deviation = np.asarray(self.residual), np.asarray(self.deviation)
        figures = np.where(residual == 0, 1.0, 0.0)
        varied = deviation > 0
        np.divide(residual, deviation, out=figures, where=varied)
        return np.where(varied, 1 - figures, figures)


def result_of(metric: Regression, output: Values, target: Values) -> float | np.ndarray:
    """A new metric's, over one batch."""
    metric.update(output, target)
    return metric.compute()


def mean_absolute_error(output: Values, target: Values, *, multioutput: MultiOutput = "uniform_average") -> float | np.ndarray:
    """Mean absolute error: sum |output - target| / N.

    output and target of one shape, (N,) or (N, D), real numbers of any types; computed in float64. -> the mean over the D
    outputs, a float; with multioutput="raw_values" one for each, (D,) float64. scikit-learn's `mean_absolute_error`.
    Raises ValueError for shapes that differ (nothing is broadcast), no examples, NaN or infinite numbers; TypeError for other types.
    """
    return result_of(MeanAbsoluteError(multioutput=multioutput), output, target)


def mean_squared_error(output: Values, target: Values, *, multioutput: MultiOutput = "uniform_average") -> float | np.ndarray:
    """Mean squared error: sum (output - target)^2 / N.

    Arguments, result and errors: see `mean_absolute_error`. scikit-learn's `mean_squared_error`.
    """
    return result_of(MeanSquaredError(multioutput=multioutput), output, target)


def root_mean_squared_error(output: Values, target: Values, *, multioutput: MultiOutput = "uniform_average") -> float | np.ndarray:
    """Root mean squared error: sqrt(sum (output - target)^2 / N), for each output; then the mean over the outputs.

    Arguments, result and errors: see `mean_absolute_error`. scikit-learn's `root_mean_squared_error`.
    """
    return result_of(RootMeanSquaredError(multioutput=multioutput), output, target)


def r2_score(output: Values, target: Values, *, multioutput: MultiOutput = "uniform_average") -> float | np.ndarray:
    """Coefficient of determination: 1 - sum (target - output)^2 / sum (target - mean target)^2, at most 1.

    0 is what the mean of the targets would get. Where all targets are equal: 1 if the outputs are these, else 0. Arguments,
    result and errors: see `mean_absolute_error`; ValueError for fewer than two examples, too. scikit-learn's `r2_score`.
    """
    return result_of(R2Score(multioutput=multioutput), output, target)
