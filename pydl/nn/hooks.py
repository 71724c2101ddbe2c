"""What users may hang onto a module: functions around forward, backward and the state dict."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pydl.autograd import Function, RemovableHandle, is_grad_enabled
from pydl.tensor import Tensor

if TYPE_CHECKING:
    from pydl.nn.module import Module

KINDS = ("forward_pre", "forward", "backward_pre", "backward", "state_pre", "state_post", "load_pre", "load_post")


class Hook:
    """One function and how it is to be called."""

    def __init__(self, function: Callable, with_kwargs: bool = False, always_call: bool = False) -> None:
        self.function, self.with_kwargs, self.always_call = function, with_kwargs, always_call


class HookLists:
    """The hooks of one module: per kind, number -> Hook, in the order of calling."""

    def __init__(self) -> None:
        self.lists: dict[str, dict[int, Hook]] = {kind: {} for kind in KINDS}

    def add(self, kind: str, function: Callable, prepend: bool = False, with_kwargs: bool = False,
            always_call: bool = False) -> RemovableHandle:
        if not callable(function):
            raise TypeError(f"hook: expected a function, got {type(function).__name__}")
        hooks = self.lists[kind]
        handle = RemovableHandle(lambda number: hooks.pop(number, None))
        others = dict(hooks) if prepend else {}
        if prepend:
            hooks.clear()
        hooks[handle.id] = Hook(function, with_kwargs, always_call)
        hooks.update(others)
        return handle

    def drop(self, kind: str, function: Callable) -> None:
        """Removes a function, whoever holds its handle: that of a copied module is not known."""
        for number in [number for number, hook in self.lists[kind].items() if hook.function is function]:
            del self.lists[kind][number]

    def of(self, kind: str) -> list[Hook]:
        """A copy, so that a hook may remove itself."""
        return list(self.lists[kind].values())


EVERYWHERE = HookLists()    # the hooks of all modules


def on_every_module(kind: str, function: Callable, with_kwargs: bool = False, always_call: bool = False) -> RemovableHandle:
    """Adds a hook that every module calls, before its own."""
    from pydl.nn.module import Module

    handle = EVERYWHERE.add(kind, function, False, with_kwargs, always_call)
    remove = handle.remove
    if Module._hooks is None:
        Module._hooks = HookLists()     # what a module without hooks of its own finds: no longer None

    def removed() -> None:
        remove()
        if not any(EVERYWHERE.lists.values()):
            Module._hooks = None

    return RemovableHandle(lambda _: removed())


def register_module_forward_pre_hook(hook: Callable) -> RemovableHandle:
    """hook(module, inputs) before the forward of every module there is; see Module.register_forward_pre_hook."""
    return on_every_module("forward_pre", hook)


def register_module_forward_hook(hook: Callable, *, with_kwargs: bool = False, always_call: bool = False) -> RemovableHandle:
    """hook(module, inputs, output) after the forward of every module there is; see Module.register_forward_hook."""
    return on_every_module("forward", hook, with_kwargs, always_call)


def register_module_full_backward_pre_hook(hook: Callable) -> RemovableHandle:
    """hook(module, grad_output) before the backward of every module; see Module.register_full_backward_pre_hook."""
    return on_every_module("backward_pre", hook)


def register_module_full_backward_hook(hook: Callable) -> RemovableHandle:
    """hook(module, grad_input, grad_output) after the backward of every module; see Module.register_full_backward_hook."""
    return on_every_module("backward", hook)


def hooks_of(module: Module, kind: str) -> list[Callable]:
    """The functions of one kind: those of all modules, then its own."""
    return [hook.function for hook in listed(module, kind)]


def listed(module: Module, kind: str) -> list[Hook]:
    own = module._hooks
    return [] if own is None else EVERYWHERE.of(kind) + own.of(kind)


def run_with_hooks(module: Module, inputs: tuple, named: dict[str, Any]) -> Any:
    """Module.__call__ where there are hooks."""
    output, done = None, set()
    try:
        for hook in listed(module, "forward_pre"):
            inputs, named = call_pre(hook, module, inputs, named)
        watch = Watch(module) if is_grad_enabled() and (listed(module, "backward") or listed(module, "backward_pre")) else None
        if watch:
            inputs = watch.inputs(inputs)
        output = module.forward(*inputs, **named)
        for hook in listed(module, "forward"):
            done.add(hook)
            output = call_post(hook, module, inputs, named, output)
        return watch.outputs(output) if watch else output
    except Exception:
        for hook in listed(module, "forward"):
            if hook.always_call and hook not in done:
                output = call_although(hook, module, inputs, named, output)
        raise


def call_although(hook: Hook, module: Module, inputs: tuple, named: dict[str, Any], output: Any) -> Any:
    """Calls a hook after forward raised: that error is the user's, so that one of the hook's is only a warning."""
    try:
        return call_post(hook, module, inputs, named, output)
    except Exception as error:
        warnings.warn(f"register_forward_hook: a hook with always_call=True raised, after forward had: {error!r}", stacklevel=4)
        return output


def call_pre(hook: Hook, module: Module, inputs: tuple, named: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    if not hook.with_kwargs:
        result = hook.function(module, inputs)
        if result is not None:
            inputs = result if isinstance(result, tuple) else (result,)
        return inputs, named
    result = hook.function(module, inputs, named)
    if result is None:
        return inputs, named
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError("register_forward_pre_hook: with_kwargs: expected None or (inputs, named), "
                        f"got {type(result).__name__}")
    return result


def call_post(hook: Hook, module: Module, inputs: tuple, named: dict[str, Any], output: Any) -> Any:
    arguments = (module, inputs, named, output) if hook.with_kwargs else (module, inputs, output)
    result = hook.function(*arguments)
    return output if result is None else result


class Boundary(Function):
    """The identity: its backward is where a module's gradients can be seen and changed."""

    @staticmethod
    def forward(ctx, seen, *tensors):
        ctx.seen = seen
        ctx.set_materialize_grads(False)        # an output that is not used has None, not zeros
        return tuple(x.view(x.shape) for x in tensors)

    @staticmethod
    def backward(ctx, *gradients):
        return (None, *ctx.seen(gradients))


class Watch:
    """The two ends of one call of a module with backward hooks."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.grad_output: tuple | None = None
        self.input_places: list[int] = []       # which inputs are tensors that want a gradient
        self.input_count = 0

    def inputs(self, inputs: tuple) -> tuple:
        self.input_count = len(inputs)
        self.input_places = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
        return self.pass_through(inputs, self.input_places, self.at_inputs)

    def outputs(self, output: Any) -> Any:
        if not isinstance(output, (Tensor, tuple)):
            warnings.warn(f"{type(self.module).__name__}: backward hooks see outputs that are a Tensor or a tuple, not "
                          f"{type(output).__name__}: they will not be called", stacklevel=4)
        outputs = output if isinstance(output, tuple) else (output,)
        places = [i for i, y in enumerate(outputs) if isinstance(y, Tensor) and y.requires_grad]
        self.output_count, self.output_places = len(outputs), places
        outputs = self.pass_through(outputs, places, self.at_outputs)
        return outputs if isinstance(output, tuple) else outputs[0]

    @staticmethod
    def pass_through(values: tuple, places: list[int], seen: Callable) -> tuple:
        if not places:
            return values
        passed = Boundary.apply(seen, *(values[i] for i in places))
        passed = passed if isinstance(passed, tuple) else (passed,)
        changed = list(values)
        for i, x in zip(places, passed, strict=True):
            changed[i] = x
        return type(values)(*changed) if hasattr(values, "_fields") else tuple(changed)

    def at_outputs(self, gradients: tuple) -> tuple:
        full = spread(gradients, self.output_places, self.output_count)
        for function in hooks_of(self.module, "backward_pre"):
            full = replaced("register_full_backward_pre_hook", full, function(self.module, full))
        self.grad_output = full
        if not self.input_places and any(dx is not None for dx in self.call((None,) * self.input_count)):
            # no gradient comes to the inputs, so that this was the last moment to call the hooks
            raise ValueError("register_full_backward_hook: no input requires grad: expected None, got gradients")
        return tuple(full[i] for i in self.output_places)

    def at_inputs(self, gradients: tuple) -> tuple:
        full = self.call(spread(gradients, self.input_places, self.input_count))
        return tuple(full[i] for i in self.input_places)

    def call(self, grad_input: tuple) -> tuple:
        for function in hooks_of(self.module, "backward"):
            grad_input = replaced("register_full_backward_hook", grad_input, function(self.module, grad_input, self.grad_output))
        return grad_input


def replaced(caller: str, gradients: tuple, result: Any) -> tuple:
    """What a hook makes of the gradients."""
    if result is None:
        return gradients
    result = result if isinstance(result, tuple) else (result,)
    if len(result) != len(gradients):
        raise ValueError(f"{caller}: expected None or {len(gradients)} gradients, got {len(result)}")
    return result


def spread(values: Sequence, places: list[int], count: int) -> tuple:
    full: list[Any] = [None] * count
    for i, value in zip(places, values, strict=True):
        full[i] = value
    return tuple(full)
