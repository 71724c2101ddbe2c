"""The state of a module: collecting it, loading it, casting it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from pydl.autograd import no_grad
from pydl.nn.hooks import hooks_of
from pydl.nn.kinds import BUFFER, BUFFERS, MODULE, PARAMETER
from pydl.tensor import Tensor, dtype

if TYPE_CHECKING:
    from pydl.nn.module import Module

SAVED = (PARAMETER, BUFFER)


def collect(module: Module, destination: dict[str, Any], prefix: str, keep_vars: bool) -> dict[str, Any]:
    """state_dict, children after their parent."""
    for function in hooks_of(module, "state_pre"):
        function(module, prefix, keep_vars)
    for name, tensor in module._here(*SAVED):
        destination[prefix + name] = tensor if keep_vars else tensor.detach()
    for name, child in module._here(MODULE):
        collect(child, destination, f"{prefix}{name}.", keep_vars)
    for function in hooks_of(module, "state_post"):
        result = function(module, destination, prefix, {})
        destination = destination if result is None else result
    return destination


def load(module: Module, state_dict: Mapping[str, Any], strict: bool) -> tuple[list[str], list[str]]:
    """-> missing, unexpected. Checks all, then writes all."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"load_state_dict: expected a mapping of names to tensors, got {type(state_dict).__name__}")
    given = dict(state_dict)
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    modules = list(module.named_modules(remove_duplicate=False))
    for path, part in modules:
        for function in hooks_of(part, "load_pre"):
            function(part, given, f"{path}." if path else "", {}, strict, missing, unexpected, errors)
    targets = {f"{path}.{name}" if path else name: tensor
               for path, part in modules for name, tensor in part._here(*SAVED)}
    missing += [name for name in targets if name not in given]
    unexpected += [name for name in given if name not in targets]
    errors += [wrong for name, target in targets.items() if name in given
               for wrong in mismatch(name, target, given[name])]
    if (strict and (missing or unexpected)) or errors:
        report(module, missing if strict else [], unexpected if strict else [], errors)
    with no_grad():
        for name, target in targets.items():
            if name in given:
                target.copy_(given[name])
    for _, part in modules:
        for function in hooks_of(part, "load_post"):
            function(part, (missing, unexpected))
    return missing, unexpected


def mismatch(name: str, target: Tensor, value: Any) -> list[str]:
    if not isinstance(value, Tensor):
        return [f"{name}: expected a Tensor, got {type(value).__name__}"]
    if tuple(value.shape) != tuple(target.shape):
        return [f"{name}: shape {tuple(value.shape)} in the state dict, but {tuple(target.shape)} in the module"]
    return []


def report(module: Module, missing: list[str], unexpected: list[str], errors: list[str]) -> NoReturn:
    lines = [f"load_state_dict: the state does not fit {type(module).__name__}; nothing was changed"]
    if missing:
        lines.append("missing: " + ", ".join(missing))
    if unexpected:
        lines.append("unexpected: " + ", ".join(map(str, unexpected)))
    raise ValueError("\n  ".join(lines + errors))


def target_dtype(args: tuple, named: dict[str, Any]) -> dtype | None:
    """The dtype that Module.to was asked for, or None."""
    named = dict(named)
    asked = [*args, *(named.pop(key) for key in ("device", "dtype") if key in named)]
    for key in named:
        if key not in ("non_blocking", "memory_format"):
            raise TypeError(f"to: unexpected argument {key!r}")
    found = None
    for value in asked:
        if isinstance(value, Tensor):
            value = value.dtype
        if isinstance(value, dtype):
            if not value.is_floating_point:
                raise TypeError(f"to: expected a floating-point dtype, got {value}")
            found = value
        elif value is not None and not isinstance(value, bool) and str(value) != "cpu":
            raise ValueError(f"to: expected a dtype, a Tensor or the device 'cpu', got {value!r}")
    return found


def cast(module: Module, target: dtype) -> None:
    """Casts in place: every parameter stays the same object, so that optimizers keep theirs."""
    with no_grad():
        for part in module.modules():
            for _, parameter in part._here(PARAMETER):
                if parameter.dtype != target:
                    parameter.data = parameter.data.to(target)
                    if parameter.grad is not None:
                        parameter.grad = parameter.grad.to(target)
            for name, buffer in part._here(*BUFFERS):
                if buffer.dtype.is_floating_point and buffer.dtype != target:
                    part.__dict__[name] = buffer.to(target)
