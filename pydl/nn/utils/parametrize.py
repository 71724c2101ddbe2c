"""Parametrizations: a parameter that is computed from others, every time it is used.

`register_parametrization(layer, "weight", P())` makes layer.weight = P()(original), where the original becomes the parameter
`parametrizations.weight.original`. The layer gets a class of its own (Parametrized...), in which `weight` is a property.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from pydl.autograd import no_grad
from pydl.nn.containers import ModuleDict, ModuleList
from pydl.nn.kinds import BUFFER, BUFFERS, PARAMETER
from pydl.nn.module import Module
from pydl.nn.parameter import Parameter
from pydl.tensor import Tensor

__all__ = ["ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
           "transfer_parametrizations_and_params", "type_before_parametrizations"]


class Cache:
    """What cached() keeps: (module, name) -> tensor, while one `with` is open."""

    depth = 0
    tensors: dict[tuple[int, str], Tensor] = {}     # noqa: RUF012


@contextmanager
def cached() -> Iterator[None]:
    """with cached(): every parametrized tensor is computed once only, at its first use."""
    Cache.depth += 1
    try:
        yield
    finally:
        Cache.depth -= 1
        if not Cache.depth:
            Cache.tensors = {}


def forget(module: Module, name: str) -> None:
    Cache.tensors.pop((id(module), name), None)


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in the order of their calls, and what the first one is called with.

    That is `original`, or original0, original1, ... where its right_inverse gives several tensors.
    """

    original: Tensor

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList: expected one parametrization or more, got none")
        super().__init__(modules)
        self.unsafe = unsafe
        given, like = inverse_of(list(self), original), original.detach()
        self.is_tensor = isinstance(given, Tensor)
        self.ntensors = 1 if isinstance(given, Tensor) else len(given)
        if isinstance(given, Tensor):
            if given.dtype != original.dtype:
                raise ValueError(f"right_inverse: expected the type of the tensor, {original.dtype}, got {given.dtype}")
            with no_grad():
                if given is not original:
                    original.data = given.detach().clone()
            self._keep("original", original)
        else:
            for i, part in enumerate(given):
                if not isinstance(part, Tensor):
                    raise ValueError(f"right_inverse: element {i}: expected a Tensor, got {type(part).__name__}")
                part = part.detach().clone()
                self._keep(f"original{i}", Parameter(part, original.requires_grad) if isinstance(original, Parameter) else part)
        if not unsafe:
            with no_grad():
                check_alike("the parametrized tensor", self(), like)

    def _keep(self, name: str, tensor: Tensor) -> None:
        if isinstance(tensor, Parameter):
            self.register_parameter(name, tensor)
        else:
            self.register_buffer(name, tensor)

    def originals(self) -> list[Tensor]:
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self) -> Tensor:
        """The tensor as it is used."""
        modules = list(self)
        x = modules[0](*self.originals())
        for module in modules[1:]:
            x = module(x)
        return x

    def right_inverse(self, value: Tensor) -> None:
        """Gives the originals values with which forward() is `value`. Raises RuntimeError where a parametrization has no right_inverse."""
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} has no right_inverse: its tensor cannot be assigned")
                value = module.right_inverse(value)
            parts = [value] if self.is_tensor else list(value)
            if len(parts) != self.ntensors:
                raise ValueError(f"right_inverse: expected {self.ntensors} tensors, got {len(parts)}")
            for original, part in zip(self.originals(), parts):
                if not isinstance(part, Tensor) or part.dtype != original.dtype:
                    raise ValueError(f"right_inverse: expected a Tensor of type {original.dtype}, got "
                                     f"{part.dtype if isinstance(part, Tensor) else type(part).__name__}")
                original.data = part.detach().clone()


def inverse_of(modules: list[Module], original: Tensor) -> Any:
    """What the first module is to be called with so that the last one gives `original`."""
    value: Any = original
    with no_grad():
        for module in reversed(modules):
            if hasattr(module, "right_inverse"):
                try:
                    value = module.right_inverse(value)
                except NotImplementedError:
                    pass
    if not isinstance(value, (Tensor, Sequence)):
        raise ValueError(f"right_inverse: expected a Tensor or a sequence of Tensors, got {type(value).__name__}")
    return value


def check_alike(what: str, made: object, original: Tensor) -> None:
    """Raises unless a parametrization gives a tensor like the one that it stands for."""
    if not isinstance(made, Tensor):
        raise ValueError(f"register_parametrization: {what}: expected a Tensor, got {type(made).__name__}")
    if made.dtype != original.dtype or tuple(made.shape) != tuple(original.shape):
        raise ValueError(f"register_parametrization: {what} is {made.dtype} {tuple(made.shape)}, but without parametrization "
                         f"{original.dtype} {tuple(original.shape)}; unsafe=True allows that")


@cache
def parametrized_class(base: Any, names: tuple[str, ...]) -> type[Module]:
    """base with a property for every name."""

    def assign(self: Module, name: str, value: Any) -> None:
        if name in names:
            object.__setattr__(self, name, value)
        else:
            base.__setattr__(self, name, value)

    properties = {name: parametrized(name) for name in names}
    return type(f"Parametrized{base.__name__}", (base,), {**properties, "__setattr__": assign, "__module__": __name__, "_base": base})


def parametrized(name: str) -> property:
    def get(self: Any) -> Tensor:
        if not Cache.depth:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in Cache.tensors:
            Cache.tensors[key] = self.parametrizations[name]()
        return Cache.tensors[key]

    def put(self: Any, value: Tensor) -> None:
        forget(self, name)
        self.parametrizations[name].right_inverse(value)
    return property(get, put)


def change_class(module: Any) -> None:
    """Gives the module the class with properties for what is parametrized now."""
    base = type_before_parametrizations(module)
    names = tuple(module.parametrizations)
    if names:
        module.__class__ = parametrized_class(base, names)   # type: ignore[arg-type]
    else:
        module.__class__ = base
        del module.parametrizations


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Module:
    """From now on module.<tensor_name> = parametrization(original). -> the module.

    A method right_inverse(value) of the parametrization gives the first original, and makes the tensor assignable; it may give
    several tensors, with which the parametrization is then called. A second registration comes after the first. Raises
    ValueError where there is no such parameter or buffer, and, unless `unsafe`, where type or shape would change.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        chain: Any = module.parametrizations[tensor_name]       # type: ignore[attr-defined]
        if not unsafe:
            check_further(parametrization, getattr(module, tensor_name))
        chain.append(parametrization)
        chain.unsafe |= unsafe
        forget(module, tensor_name)
        return module
    kind = module._owned.get(tensor_name)
    if kind not in (PARAMETER, *BUFFERS) or module.__dict__[tensor_name] is None:
        raise ValueError(f"register_parametrization: {type(module).__name__} has no parameter or buffer {tensor_name!r}")
    chain = ParametrizationList([parametrization], module.__dict__[tensor_name], unsafe)
    delattr(module, tensor_name)
    if "parametrizations" not in module.__dict__:
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = chain                # type: ignore[attr-defined]
    change_class(module)
    return module


def check_further(parametrization: Any, before: Tensor) -> None:
    """A parametrization that comes after others must keep type and shape, both ways."""
    after = parametrization(before)
    check_alike("the tensor after the new parametrization", after, before)
    if hasattr(parametrization, "right_inverse"):
        check_alike("right_inverse of the new parametrization", parametrization.right_inverse(after), before)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module, or this tensor of it, has a parametrization."""
    found = module.__dict__.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Makes module.<tensor_name> a plain parameter or buffer again: of its present value, or (False) the original. -> the module.

    The parameter is the object that it was before, where the parametrization took one tensor. Raises ValueError where there is
    no parametrization, and for leave_parametrized=False where the original is several tensors.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: {type(module).__name__} has no parametrization of {tensor_name!r}")
    chain: Any = module.parametrizations[tensor_name]           # type: ignore[attr-defined]
    if not chain.is_tensor and not leave_parametrized:
        raise ValueError("remove_parametrizations: leave_parametrized=False: the original is several tensors, and none of them is "
                         f"{tensor_name!r}")
    originals = chain.originals()
    trained = isinstance(originals[0], Parameter)
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name).detach().clone()
        if chain.is_tensor:
            originals[0].data = value
            kept = originals[0]
        else:
            kept = Parameter(value, any(x.requires_grad for x in originals)) if trained else value
    else:
        kept = originals[0]
    forget(module, tensor_name)
    del module.parametrizations[tensor_name]                    # type: ignore[attr-defined]
    change_class(module)
    module._own_new(tensor_name, kept, PARAMETER if trained else BUFFER)
    return module


def type_before_parametrizations(module: Module) -> type[Module]:
    """The module's class, as it was without parametrizations."""
    return getattr(type(module), "_base", type(module))


def transfer_parametrizations_and_params(from_module: Module, to_module: Module, tensor_name: str | None = None) -> Module:
    """Gives to_module the parametrizations of from_module, or those of one tensor, with values of their own. -> to_module."""
    if not is_parametrized(from_module, tensor_name):
        raise ValueError(f"transfer_parametrizations_and_params: {type(from_module).__name__} has no parametrization of {tensor_name!r}")
    for name in [tensor_name] if tensor_name is not None else list(from_module.parametrizations):   # type: ignore[attr-defined]
        chain: Any = from_module.parametrizations[name]         # type: ignore[attr-defined]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for parametrization in chain:
            register_parametrization(to_module, name, parametrization, unsafe=chain.unsafe)
        target: Any = to_module.parametrizations[name]          # type: ignore[attr-defined]
        for mine, theirs in zip(target.originals(), chain.originals()):
            mine.data = theirs.detach().clone()
    return to_module
