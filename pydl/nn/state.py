"""The state of a module: collecting it, loading it, casting it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from pydl.autograd import no_grad
from pydl.nn.hooks import hooks_of
from pydl.nn.kinds import BUFFER, BUFFERS, MODULE, PARAMETER
from pydl.nn.parameter import Parameter, is_lazy
from pydl.tensor import Tensor, dtype, promote_types

if TYPE_CHECKING:
    from pydl.nn.module import Module

EXTRA = "_extra_state"      # the key of what get_extra_state gives


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(strict=False)` found: keys of the module that were not given, and given keys it has no use for."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def saved(module: Module) -> list[tuple[str, Tensor]]:
    """What of the module itself is in its state_dict: parameters, then buffers."""
    return module._here(PARAMETER) + module._here(BUFFER)


def collect(module: Module, destination: dict[str, Any], prefix: str, keep_vars: bool) -> dict[str, Any]:
    """state_dict, children after their parent."""
    for function in hooks_of(module, "state_pre"):
        function(module, prefix, keep_vars)
    for name, tensor in saved(module):
        destination[prefix + name] = tensor if keep_vars or is_lazy(tensor) else tensor.detach()
    if module._overrides("get_extra_state"):
        destination[prefix + EXTRA] = module.get_extra_state()
    for name, child in module._here(MODULE):
        child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for function in hooks_of(module, "state_post"):
        result = function(module, destination, prefix, {})
        if result is not None:
            raise TypeError("register_state_dict_post_hook: expected a hook that changes state_dict in place and returns None, "
                            f"got {type(result).__name__}")
    return destination


class Loading:
    """One load_state_dict: what goes where, what does not fit, and the way back."""

    def __init__(self, module: Module, given: dict[str, Any], strict: bool, assign: bool) -> None:
        self.module, self.given, self.strict, self.assign = module, given, strict, assign
        self.keys = IncompatibleKeys([], [])
        self.errors: list[str] = []
        self.undo: list[Callable] = []
        parts = [(f"{path}." if path else "", part) for path, part in module.named_modules(remove_duplicate=False)]
        for prefix, part in parts:
            for function in hooks_of(part, "load_pre"):
                function(part, given, prefix, {}, strict, self.keys.missing_keys, self.keys.unexpected_keys, self.errors)
        self.places = {prefix + name: (part, name, tensor) for prefix, part in parts for name, tensor in saved(part)}
        self.extras = {prefix + EXTRA: part for prefix, part in parts if part._overrides("set_extra_state")}
        self.post = [(part, function) for part in children_first(module) for function in hooks_of(part, "load_post")]

    def compare(self) -> None:
        """Finds what is missing, unexpected and of another shape."""
        known = {**self.places, **self.extras}
        self.keys.missing_keys.extend(name for name in known if name not in self.given and not self.optional(name))
        self.keys.unexpected_keys.extend(name for name in self.given if name not in known)
        for name, (_, _, target) in self.places.items():
            if name in self.given:
                self.errors += mismatch(name, target, self.given[name], self.assign)

    def optional(self, key: str) -> bool:
        part, name, _ = self.places.get(key, (None, key, None))
        return part is not None and name in part._optional_state

    def refuse_what_does_not_fit(self) -> None:
        if self.errors or self.strict and (self.keys.missing_keys or self.keys.unexpected_keys):
            report(self.module, self.keys if self.strict else IncompatibleKeys([], []), self.errors)

    def write(self) -> None:
        """Writes what was given. Keeps the old values only where hooks and extra state of users may still raise."""
        keep = bool(self.post or self.extras)
        for key, (part, name, target) in self.places.items():
            if key not in self.given or is_lazy(self.given[key]):
                continue
            if is_lazy(target) and not self.assign:
                self.undo.append(partial(forget, target, type(target)))
                target.materialize(self.given[key].shape)       # type: ignore[attr-defined]
            elif self.assign:
                self.undo.append(partial(setattr, part, name, target))
                setattr(part, name, taking_place(target, self.given[key]))
                continue
            elif keep:
                self.undo.append(partial(target.copy_, target.clone()))
            target.copy_(self.given[key])
        for key, part in self.extras.items():
            if key in self.given:
                if part._overrides("get_extra_state"):
                    self.undo.append(partial(part.set_extra_state, part.get_extra_state()))
                part.set_extra_state(self.given[key])

    def take_back(self) -> None:
        for change in reversed(self.undo):
            change()


def load(module: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Checks all, then writes all; where a hook raises or leaves keys over, writes the old values back."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"load_state_dict: expected a mapping of names to tensors, got {type(state_dict).__name__}")
    loading = Loading(module, dict(state_dict), strict, assign)
    loading.compare()
    if loading.errors or not loading.post:      # else hooks may still settle what is missing or unexpected
        loading.refuse_what_does_not_fit()
    with no_grad():
        try:
            loading.write()
            for part, function in loading.post:
                function(part, loading.keys)
            loading.refuse_what_does_not_fit()
        except BaseException:
            loading.take_back()
            raise
    return loading.keys


def children_first(module: Module) -> Iterator[Module]:
    for _, child in module._here(MODULE):
        yield from children_first(child)
    yield module


def forget(target: Any, kind: type) -> None:
    """The way back from materialize()."""
    target.data = target.data.new_empty((0,))
    target.__class__ = kind


def mismatch(name: str, target: Tensor, value: Any, assign: bool) -> list[str]:
    if not isinstance(value, Tensor):
        return [f"{name}: expected a Tensor, got {type(value).__name__}"]
    if is_lazy(value):
        return [] if is_lazy(target) else [f"{name}: has no shape yet in the state dict"]
    if is_lazy(target):
        return []
    if tuple(value.shape) != tuple(target.shape):
        return [f"{name}: shape {tuple(value.shape)} in the state dict, but {tuple(target.shape)} in the module"]
    if assign and target.requires_grad and not value.is_floating_point():
        return [f"{name}: {value.dtype} in the state dict, but the parameter requires grad and must be floating-point"]
    if not assign and any(step == 0 and size > 1 for step, size in zip(target.stride(), target.shape)):
        return [f"{name}: the module's tensor of shape {tuple(target.shape)} has several elements in one place; use assign=True"]
    return []


def taking_place(target: Tensor, value: Tensor) -> Tensor:
    """What load_state_dict(assign=True) puts in the place of target: the given tensor itself, trained if target was."""
    if not isinstance(target, Parameter):
        return value.detach() if isinstance(value, Parameter) else value        # a buffer stays one
    if isinstance(value, Parameter):
        value.requires_grad_(target.requires_grad)
        return value
    return Parameter(value, target.requires_grad)


def report(module: Module, keys: IncompatibleKeys, errors: list[str]) -> NoReturn:
    lines = [f"load_state_dict: the state does not fit {type(module).__name__}; nothing was changed"]
    if keys.missing_keys:
        lines.append("missing: " + ", ".join(keys.missing_keys))
    if keys.unexpected_keys:
        lines.append("unexpected: " + ", ".join(map(str, keys.unexpected_keys)))
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
        elif isinstance(value, type):
            value = promote_types(value, value)
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
