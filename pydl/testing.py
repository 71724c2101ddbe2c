"""Checks of gradients against differences, and comparison of tensors."""
import numpy as np

from pydl._core.dtypes import float64
from pydl._core.tensor import Tensor
from pydl.autograd import grad as _grad

__all__ = ["GradcheckError", "assert_close", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """The gradient by the tape and the one by differences do not agree."""


def _outputs(fn, inputs):
    out = fn(*inputs)
    return tuple(y for y in (out if isinstance(out, (tuple, list)) else (out,)) if isinstance(y, Tensor) and y.is_floating_point())


def _differentiable(inputs, caller):
    chosen = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not chosen:
        raise ValueError(f"{caller}: no input requires grad")
    for x in chosen:
        if x.dtype is not float64:
            raise TypeError(f"{caller}: inputs must be float64 (differences need its precision), got {x.dtype}")
    return chosen


def _direction(rng, x):
    return rng.standard_normal(x.shape)


def gradcheck(fn, inputs, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, *, directions=3, seed=0):
    """Whether the gradients of fn(*inputs) agree with central differences.

    Compares <v, J u> of the tape with (<v, fn(x + eps u)> - <v, fn(x - eps u)>) / (2 eps) along `directions` random
    directions u of each input that requires grad, one input at a time, and of all together, for random weights v of the
    outputs. Inputs are float64. Raises GradcheckError (or returns False where raise_exception is False) if
    |tape - differences| > atol + rtol |differences|.

    >>> import pydl
    >>> gradcheck(pydl.tanh, pydl.tensor([0.5, -1.0], dtype=pydl.float64, requires_grad=True))
    True
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    chosen = _differentiable(inputs, "gradcheck")
    rng = np.random.default_rng(seed)
    for _ in range(directions):
        outputs = _outputs(fn, inputs)
        live = [y for y in outputs if y.requires_grad]
        weights = [_direction(rng, y) for y in outputs]
        tape: tuple = (None,) * len(chosen)
        if live:
            given = [_like(y, w) for y, w in zip(outputs, weights, strict=True) if y.requires_grad]
            tape = _grad(live, chosen, given, allow_unused=True)
        steps = [_direction(rng, x) for x in chosen]
        subsets = [[i] for i in range(len(chosen))] + ([list(range(len(chosen)))] if len(chosen) > 1 else [])
        for subset in subsets:
            expected = _difference(fn, inputs, chosen, subset, steps, weights, eps)
            got = sum(float((tape[i].detach().numpy() * steps[i]).sum()) for i in subset if tape[i] is not None)
            if not abs(got - expected) <= atol + rtol * abs(expected):
                if not raise_exception:
                    return False
                shapes = [chosen[i].shape for i in subset]
                raise GradcheckError(
                    f"gradcheck: along a direction of inputs of shape {shapes} the tape gives {got!r}, differences give {expected!r}")
    return True


def _like(y, values):
    from pydl import tensor

    return tensor(np.asarray(values, dtype=y.detach().numpy().dtype, order="C"))


def _difference(fn, inputs, chosen, subset, steps, weights, eps):
    """The central difference of <weights, fn> along steps of a subset of the chosen inputs."""
    values = []
    for sign in (1.0, -1.0):
        saved = [chosen[i].detach().numpy().copy() for i in subset]
        for i, value in zip(subset, saved, strict=True):
            chosen[i].detach().numpy()[...] = value + sign * eps * steps[i]
        try:
            values.append([y.detach().numpy().copy() for y in _outputs(fn, inputs)])
        finally:
            for i, value in zip(subset, saved, strict=True):
                chosen[i].detach().numpy()[...] = value
    return sum(float((w * (plus - minus)).sum()) for w, plus, minus in zip(weights, *values, strict=True)) / (2 * eps)


def gradgradcheck(fn, inputs, grad_outputs=None, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, *, directions=3, seed=0):
    """Whether the gradients of the gradients of fn(*inputs) agree with central differences.

    grad_outputs: the outputs' gradients to differentiate at; random by default. Everything else as in gradcheck.
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    _differentiable(inputs, "gradgradcheck")
    outputs = [y for y in _outputs(fn, inputs) if y.requires_grad]
    if not outputs:
        return True
    rng = np.random.default_rng(seed + 1)
    if grad_outputs is None:
        grad_outputs = [_like(y, _direction(rng, y)) for y in outputs]
    for dy in grad_outputs:
        dy.requires_grad_()

    def first(*args):
        again = [y for y in _outputs(fn, args[:len(inputs)]) if y.requires_grad]
        with_grad = [x for x in args[:len(inputs)] if isinstance(x, Tensor) and x.requires_grad]
        found = _grad(again, with_grad, args[len(inputs):], create_graph=True, allow_unused=True)
        return tuple(dx for dx in found if dx is not None)

    return gradcheck(first, (*inputs, *grad_outputs), eps, atol, rtol, raise_exception, directions=directions, seed=seed)


def assert_close(actual, expected, *, rtol=None, atol=None, equal_nan=False):
    """Raises AssertionError unless shapes and types agree and |actual - expected| <= atol + rtol |expected|.

    rtol, atol default to 1.3e-6, 1e-5 for float32, 1e-7, 1e-7 for float64 and 0, 0 for other types.
    """
    if actual.shape != expected.shape or actual.dtype is not expected.dtype:
        raise AssertionError(f"assert_close: got {actual.dtype} {actual.shape}, expected {expected.dtype} {expected.shape}")
    defaults = {"float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}.get(actual.dtype.name, (0, 0))
    np.testing.assert_allclose(
        actual.detach().numpy(), expected.detach().numpy(), defaults[0] if rtol is None else rtol,
        defaults[1] if atol is None else atol, equal_nan)
