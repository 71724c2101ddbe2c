"""Modules that learn the sizes of their inputs from the first one."""

from __future__ import annotations

from typing import Any, ClassVar

from pydl.nn.linear import Linear
from pydl.nn.module import Module
from pydl.nn.parameter import UninitializedParameter, is_lazy
from pydl.tensor import Tensor, dtype


class LazyModuleMixin:
    """For a module whose parameters are UninitializedParameters: class LazyX(LazyModuleMixin, X).

    The first call runs `initialize_parameters(*inputs)`, which materialises them; the module then becomes `cls_to_become`.
    load_state_dict materialises them, too.
    """

    cls_to_become: ClassVar[type[Module] | None] = None

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_forward_pre_hook(infer_parameters, with_kwargs=True)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Materialises the parameters for these inputs; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__}: initialize_parameters is not defined")

    def has_uninitialized_params(self: Any) -> bool:
        """Whether a parameter or buffer of this module itself has no shape yet."""
        return any(is_lazy(x) for x in [*self.parameters(recurse=False), *self.buffers(recurse=False)])


def infer_parameters(module: Any, inputs: tuple, named: dict[str, Any]) -> None:
    """The hook before the first forward."""
    module.initialize_parameters(*inputs, **named)
    if module.has_uninitialized_params():
        raise RuntimeError(f"{type(module).__name__}: initialize_parameters left parameters without a shape")
    module._hooks.drop("forward_pre", infer_parameters)
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become


class LazyLinear(LazyModuleMixin, Linear):
    """Linear whose in_features is the last size of the first input."""

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: dtype | None = None) -> None:
        super().__init__(0, 0, False)
        self.out_features = out_features
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draws the parameters anew, once they are there."""
        if not self.has_uninitialized_params() and self.in_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Takes the last size of the input as in_features."""
        if not input.ndim:
            raise ValueError(f"LazyLinear: expected an input (*, in_features), got shape {tuple(input.shape)}")
        self.in_features = input.shape[-1]
        if self.has_uninitialized_params():
            self.weight.materialize((self.out_features, self.in_features))      # type: ignore[attr-defined]
            if self.bias is not None:
                self.bias.materialize((self.out_features,))                     # type: ignore[attr-defined]
            self.reset_parameters()
        elif self.weight.shape[-1] != self.in_features:
            raise ValueError(f"LazyLinear: expected an input of {self.weight.shape[-1]} features, as the weight was loaded, got shape "
                             f"{tuple(input.shape)}")
