"""weight_norm before parametrizations: a hook, and the keys <name>_g and <name>_v that older models have."""
from __future__ import annotations

from typing import Any

from pydl.nn.module import Module
from pydl.nn.parameter import Parameter
from pydl.nn.utils.parametrizations import norm_except, the_weight

__all__ = ["remove_weight_norm", "weight_norm"]


class WeightNorm:
    """The hook before forward: weight = g v / |v|."""

    def __init__(self, name: str, dim: int) -> None:
        self.name, self.dim = name, dim

    def weight(self, module: Module) -> Any:
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_except(v, self.dim))

    def __call__(self, module: Module, inputs: tuple) -> None:
        setattr(module, self.name, self.weight(module))


def hooks_named(module: Module, name: str) -> list[WeightNorm]:
    found = module._hooks.of("forward_pre") if module._hooks is not None else []
    return [hook.function for hook in found if isinstance(hook.function, WeightNorm) and hook.function.name == name]


def weight_norm(module: Module, name: str = "weight", dim: int = 0) -> Module:
    """weight = g v / |v|, computed before every forward; the parameters are <name>_g and <name>_v. -> the module.

    New code takes parametrizations.weight_norm. Raises RuntimeError where the weight has it already.
    """
    if hooks_named(module, name):
        raise RuntimeError(f"weight_norm: {type(module).__name__}.{name} has weight_norm already")
    weight = the_weight("weight_norm", module, name)
    hook = WeightNorm(name, -1 if dim is None else dim)
    g = norm_except(weight.detach(), hook.dim)
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(g))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    setattr(module, name, hook.weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Makes <name> a plain parameter again, of its present value. -> the module. Raises ValueError where there is no weight_norm."""
    hooks = hooks_named(module, name)
    if not hooks:
        raise ValueError(f"remove_weight_norm: {type(module).__name__} has no weight_norm of {name!r}")
    value = hooks[0].weight(module).detach()
    module._hook_lists().drop("forward_pre", hooks[0])
    for part in (name, f"{name}_g", f"{name}_v"):
        delattr(module, part)
    module.register_parameter(name, Parameter(value))
    return module
