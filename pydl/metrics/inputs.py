"""What a metric is given: arrays of tensors (without a copy), scores and class numbers, and the errors where they do not fit."""

import numpy as np

from pydl.tensor import Tensor

Values = Tensor | np.ndarray


def array_of(caller: str, role: str, value: Values) -> np.ndarray:
    """The values as a NumPy array; a tensor's own memory."""
    if isinstance(value, Tensor):
        return value.detach().numpy()
    if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
        return np.asarray(value)
    raise TypeError(f"{caller}: {role}: expected a Tensor or a NumPy array, got {type(value).__name__}")


def pair_of(caller: str, output: Values, target: Values, form: str, dims: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """output and target (N,) as arrays of as many examples; form and dims say which output is right."""
    scores, labels = array_of(caller, "output", output), array_of(caller, "target", target)
    shapes = f"output {scores.shape} and target {labels.shape}"
    if scores.ndim not in dims or labels.ndim != 1 or len(scores) != len(labels):
        raise ValueError(f"{caller}: expected output {form} and target (N,), got {shapes}")
    if not scores.size:
        raise ValueError(f"{caller}: expected one example or more, got none: {shapes}")
    return scores, labels


def class_numbers(caller: str, role: str, x: np.ndarray, below: int | None = None, why: str = "", hint: str = "") -> np.ndarray:
    """x as int64: an integer type or bool, 0 or more, and less than `below`."""
    if x.dtype.kind not in "iub":
        raise TypeError(f"{caller}: {role}: expected class numbers (an integer type or bool), got {x.dtype} {x.shape}{hint}")
    low, high = int(x.min()), int(x.max())
    if low < 0:
        raise ValueError(f"{caller}: {role}: expected class numbers of 0 or more, got {low}")
    below = 2**63 if below is None else below
    if high >= below:
        raise ValueError(f"{caller}: {role}: expected class numbers below {below}{why}, got {high}{hint}")
    return x.astype(np.int64, copy=False)


def check_scores(caller: str, x: np.ndarray) -> None:
    """Scores are of a floating type, have a column a class if they have two dimensions, and hold no NaN."""
    if x.dtype.kind != "f":
        raise TypeError(f"{caller}: output: expected scores of a floating type, got {x.dtype} {x.shape}")
    if x.ndim == 2 and x.shape[1] < 2:
        raise ValueError(f"{caller}: output: expected scores of two classes or more, got {x.shape}; "
                         "with one score an example, pass it as (N,) where the metric takes that, or class numbers")
    missing = np.isnan(x)
    if missing.any():
        raise ValueError(f"{caller}: output: expected no NaN, got {int(missing.sum())} in {x.shape}")


def check_probabilities(caller: str, x: np.ndarray) -> None:
    """From 0 to 1, and the rows of (N, C) sum to 1 (to 1e-5, as scikit-learn has it)."""
    low, high = x.min(), x.max()
    if low < 0 or high > 1:
        raise ValueError(f"{caller}: output: expected probabilities from 0 to 1, got values from {low:.6g} to {high:.6g}; "
                         f"use {'softmax' if x.ndim == 2 else 'sigmoid'} first")
    if x.ndim == 2:
        sums = x.sum(axis=1, dtype=np.float64)
        worst = sums[np.abs(sums - 1).argmax()]
        if abs(worst - 1) > 1e-5:
            raise ValueError(f"{caller}: output: expected probabilities that sum to 1 in each row, got a sum of {worst:.6g} "
                             f"(output {x.shape}); use softmax first")


def scored_target(caller: str, scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The target's class numbers, each with a column of the scores (N, C), or 0 and 1 for scores (N,)."""
    if scores.ndim == 1:
        return class_numbers(caller, "target", target, 2, " (one score an example)")
    return class_numbers(caller, "target", target, scores.shape[1], f" (the columns of output {scores.shape})")


def decided(caller: str, output: Values, target: Values) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Predicted and true class numbers (N,), and how many classes the output has scores for, if it has scores.

    output: scores (N, C), whose largest decides (the first of equal ones), or class numbers (N,).
    """
    scores, labels = pair_of(caller, output, target, "scores (N, C) or class numbers (N,)", (1, 2))
    if scores.ndim == 1:
        hint = "; of probabilities of class 1, pass output > 0.5" if scores.dtype.kind == "f" else ""
        return class_numbers(caller, "output", scores, hint=hint), class_numbers(caller, "target", labels), None
    check_scores(caller, scores)
    return scores.argmax(axis=1), scored_target(caller, scores, labels), scores.shape[1]
