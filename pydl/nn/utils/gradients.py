"""Work on all gradients or parameters of a model at once: clipping, and parameters as one vector."""

import math
import warnings
from collections.abc import Iterable
from types import GeneratorType
from typing import Any

from pydl import ops
from pydl.autograd import is_capturing, no_grad
from pydl.tensor import Tensor, float32, float64, tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm", "parameters_to_vector", "vector_to_parameters"]

Tensors = Iterable[Tensor] | Tensor


def get_total_norm(tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
    """(sum |x|^p)^(1/p) over all elements of all tensors, as if they were one vector; p = norm_type.

    norm_type "inf" or math.inf: the largest |x|; 0: how many are not 0. -> (), float64 if one of the tensors is, unrecorded; 0 for
    no tensors. `foreach` changes nothing: there is one way. Raises RuntimeError for a norm that is NaN or infinite if
    error_if_nonfinite, ValueError for a norm_type that is no number.
    """
    with no_grad():
        return total_norm("get_total_norm", listed("get_total_norm", tensors), norm_type, error_if_nonfinite)


def clip_grad_norm_(parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
                    foreach: bool | None = None) -> Tensor:
    """grad *= min(1, max_norm / (norm + 1e-6)) in place, norm that of all gradients together. -> the norm before (Pascanu et al. 2013).

    A parameter that is listed twice counts once; one without a gradient does not count. With max_norm=math.inf nothing is changed:
    that is how to measure. Raises RuntimeError for a norm that is NaN or infinite if error_if_nonfinite (before anything is changed);
    otherwise such a norm makes all gradients NaN or 0. Raises ValueError for a max_norm below 0, TypeError for what is no tensor.
    """
    caller = "clip_grad_norm_"
    bound = limit(caller, "max_norm", max_norm)
    gradients = gradients_of(caller, parameters)
    with no_grad():
        norm = total_norm(caller, gradients, norm_type, error_if_nonfinite)
        scale(gradients, bound, norm)
    return norm


def clip_grads_with_norm_(parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None) -> None:
    """grad *= min(1, max_norm / (total_norm + 1e-6)) in place: clip_grad_norm_ with a norm that is known already."""
    if not isinstance(total_norm, Tensor) or total_norm.numel() != 1:
        got = f"shape {total_norm.shape}" if isinstance(total_norm, Tensor) else type(total_norm).__name__
        raise TypeError(f"clip_grads_with_norm_: total_norm: expected a Tensor of one element, got {got}")
    bound = limit("clip_grads_with_norm_", "max_norm", max_norm)
    with no_grad():
        scale(gradients_of("clip_grads_with_norm_", parameters), bound, total_norm)


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """grad = min(max(grad, -clip_value), clip_value) in place; NaN stays NaN. Raises ValueError for a clip_value below 0."""
    bound = limit("clip_grad_value_", "clip_value", clip_value)
    with no_grad():
        for gradient in gradients_of("clip_grad_value_", parameters):
            gradient.clamp_(-bound, bound)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of all parameters, one parameter after the other, row by row: (sum of sizes,). Gradients flow through it.

    Raises ValueError where there are none, TypeError where types differ.
    """
    parts = several("parameters_to_vector", parameters)
    if not parts:
        raise ValueError("parameters_to_vector: expected one parameter or more, got none")
    return ops.cat([part.reshape(-1) for part in parts])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Gives the parameters the values of a vector, in the order of parameters_to_vector.

    As in PyTorch, the parameters are then views of `vec`: who changes it, changes them. Raises ValueError where vec has not as many
    elements as the parameters, TypeError where types differ; nothing is changed then.
    """
    parts = several("vector_to_parameters", parameters)
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: vec: expected a Tensor, got {type(vec).__name__}")
    count = sum(part.numel() for part in parts)
    if vec.shape != (count,):
        raise ValueError(f"vector_to_parameters: vec: expected shape {(count,)} for the {len(parts)} parameters, got {vec.shape}")
    for part in parts:
        if part.dtype != vec.dtype:
            raise TypeError(f"vector_to_parameters: vec is {vec.dtype}, but the parameter of shape {part.shape} is {part.dtype}")
    start, values = 0, vec.detach()
    for part in parts:
        part.data = values[start:start + part.numel()].reshape(part.shape)
        start += part.numel()


def several(caller: str, given: Iterable[Tensor]) -> list[Tensor]:
    """A list of tensors, and not a tensor in the place of such a list."""
    if isinstance(given, Tensor):
        raise TypeError(f"{caller}: parameters: expected an iterable of tensors, got a Tensor of shape {given.shape}")
    return listed(caller, given)


def listed(caller: str, given: Tensors) -> list[Tensor]:
    if isinstance(given, Tensor):
        return [given]
    if not isinstance(given, Iterable):
        raise TypeError(f"{caller}: expected a Tensor or an iterable of tensors, got {type(given).__name__}")
    found = list(given)
    if not found and isinstance(given, GeneratorType):
        warnings.warn(f"{caller}: the generator is empty; was it used before?", stacklevel=4)
    for i, one in enumerate(found):
        if not isinstance(one, Tensor):
            raise TypeError(f"{caller}: element {i}: expected a Tensor, got {type(one).__name__}")
    return found


def gradients_of(caller: str, parameters: Tensors) -> list[Tensor]:
    """The gradients of the parameters that have one, each parameter once."""
    once = {id(parameter): parameter for parameter in listed(caller, parameters)}
    return [parameter.grad for parameter in once.values() if parameter.grad is not None]


def limit(caller: str, name: str, value: float) -> float:
    bound = number_of(caller, name, value)
    if not bound >= 0:
        raise ValueError(f"{caller}: {name}: expected 0 or more, got {value}")
    return bound


def number_of(caller: str, name: str, value: float) -> float:
    """value as a float; "inf" is one, as in PyTorch."""
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(f"{caller}: {name}: expected a number, got {value!r}") from None


def total_norm(caller: str, tensors: list[Tensor], norm_type: float, error_if_nonfinite: bool) -> Tensor:
    power = number_of(caller, "norm_type", norm_type)
    if math.isnan(power):
        raise ValueError(f"{caller}: norm_type: expected a number or inf, got {norm_type}")
    dtype = float64 if any(x.dtype == float64 for x in tensors) else float32
    if power in (1, 2, math.inf):
        norm = ops.norm_of_all(tensors, power)
    elif norms := [ops.norm(x, power).to(dtype) for x in tensors if x.numel()]:
        together = ops.stack(norms)
        norm = ops.sum(together) if power == 0 else ops.norm(together, power)
    else:
        norm = tensor(0.0, dtype=dtype)
    if error_if_nonfinite and not ops.isfinite(norm).item():
        raise RuntimeError(f"{caller}: the norm of order {power} is {norm.item()}; error_if_nonfinite=False goes on with it")
    return norm


def scale(gradients: list[Tensor], bound: float, norm: Tensor) -> None:
    """Where the norm is within the bound, the gradients are not even read."""
    if not math.isfinite(bound):
        return
    factor: Any = ops.div(bound, norm + 1e-6)
    if is_capturing():          # a plan cannot ask: it multiplies by one
        ops.scale_all(gradients, ops.where(factor >= 1, 1.0, factor))
        return
    factor = factor.item()
    if not factor >= 1:         # less, or NaN
        ops.scale_all(gradients, factor)
