"""Automatic differentiation: gradients, modes, hooks and custom Functions."""
import functools
import inspect
import itertools
import weakref
from typing import Any

from pydl._core import backward as _backward
from pydl._core.function import Context as FunctionCtx
from pydl._core.function import module_call as module_call
from pydl._core.function import record_function
from pydl._core.recording import is_capturing as is_capturing
from pydl._core.recording import touch as touch
from pydl._core.recording import turn as turn
from pydl._core.tape import get_modes, set_modes
from pydl._core.tensor import Tensor

__all__ = [
    "Function", "backward", "detect_anomaly", "enable_grad", "grad", "inference_mode", "is_grad_enabled",
    "is_inference_mode_enabled", "no_grad", "set_detect_anomaly", "set_grad_enabled",
]


# ---- Differentiating

def _as_tuple(value: Any) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None) -> None:
    """Adds the gradients of the tensors to the `grad` of the leaves they were made from.

    tensors: a Tensor or a sequence. grad_tensors: their own gradients, needed for those with more than one element.
    inputs: only these leaves get a gradient. retain_graph defaults to create_graph. Raises RuntimeError where nothing
    requires grad, or where the graph was freed by an earlier backward.
    """
    if isinstance(tensors, Tensor) and inputs is None and (grad_tensors is None or isinstance(grad_tensors, Tensor)):
        keep = create_graph if retain_graph is None else retain_graph
        _backward.run_backward("backward", (tensors,), (grad_tensors,), keep, create_graph)
        return
    tensors = _as_tuple(tensors)
    if not tensors:
        raise ValueError("backward: tensors must not be empty")
    gradients = (None,) * len(tensors) if grad_tensors is None else _as_tuple(grad_tensors)
    if len(gradients) != len(tensors):
        raise ValueError(f"backward: {len(tensors)} tensors but {len(gradients)} gradients")
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        _backward.run_backward("backward", tensors, gradients, keep, create_graph)
        return
    inputs = _as_tuple(inputs)
    if not inputs:
        raise ValueError("backward: inputs must not be empty")
    inputs = tuple({id(x): x for x in inputs}.values())
    for x, dx in zip(inputs, _backward.run_backward("backward", tensors, gradients, keep, create_graph, inputs), strict=True):
        if dx is not None:
            x.grad = (dx if create_graph else dx.clone()) if x.grad is None else x.grad + dx


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=None,
         is_grads_batched=False, materialize_grads=False) -> tuple:
    """The gradients of the sum of the outputs with respect to the inputs, a tuple of Tensors.

    Nothing is added to any `grad`. An input that the outputs do not depend on raises RuntimeError unless allow_unused
    (its gradient is then None) or materialize_grads (zeros).

    >>> import pydl
    >>> x = pydl.tensor(3.0, requires_grad=True)
    >>> slope, = grad(x ** 3, x, create_graph=True)
    >>> slope.item(), grad(slope, x)[0].item()
    (27.0, 18.0)
    """
    if is_grads_batched:
        raise ValueError("grad: is_grads_batched is not supported; call grad once per gradient")
    outputs, inputs = _as_tuple(outputs), _as_tuple(inputs)
    gradients = (None,) * len(outputs) if grad_outputs is None else _as_tuple(grad_outputs)
    if len(gradients) != len(outputs):
        raise ValueError(f"grad: {len(outputs)} outputs but {len(gradients)} grad_outputs")
    if not outputs or not inputs:
        raise ValueError(f"grad: {'outputs' if not outputs else 'inputs'} must not be empty")
    if materialize_grads and allow_unused is False:
        raise ValueError("grad: materialize_grads gives zeros for unused inputs, so allow_unused must not be False")
    keep = create_graph if retain_graph is None else retain_graph
    found = _backward.run_backward("grad", outputs, gradients, keep, create_graph, inputs)
    for position, (x, dx) in enumerate(zip(inputs, found, strict=True)):
        if dx is None and materialize_grads:
            found[position] = x.detach() * 0
        elif dx is None and not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on input {position} of shape {x.shape}; pass allow_unused=True to get None for it")
    return tuple(found)


# ---- Modes

class _Mode:
    """A context manager and decorator that changes one of this thread's modes."""

    def __init__(self, *values):
        self._values = values
        self._before: list[tuple] = []

    def _modes(self, grad, inference, anomaly):
        raise NotImplementedError

    def __enter__(self):
        modes = get_modes()
        self._before.append(modes)
        set_modes(*self._modes(*modes))
        return self

    def __exit__(self, *exception):
        set_modes(*self._before.pop())

    def __call__(self, function):
        if inspect.isgeneratorfunction(function):
            return self._around_generator(function)

        @functools.wraps(function)
        def inside(*args, **kwargs):
            with type(self)(*self._values):
                return function(*args, **kwargs)

        return inside

    def _around_generator(self, function):
        """The mode holds while the generator runs, not while it waits."""
        def mode():
            return type(self)(*self._values)

        @functools.wraps(function)
        def inside(*args, **kwargs):
            generator = function(*args, **kwargs)
            resume, sent = generator.send, None
            while True:
                try:
                    with mode():
                        item = resume(sent)
                except StopIteration as stop:
                    return stop.value
                try:
                    resume, sent = generator.send, (yield item)
                except GeneratorExit:
                    with mode():
                        generator.close()
                    raise
                except BaseException as error:
                    resume, sent = generator.throw, error

        return inside


class no_grad(_Mode):  # noqa: N801 - PyTorch's name
    """Within it, or within a function it decorates, nothing is recorded."""

    def __new__(cls, function=None):
        mode = super().__new__(cls)
        if function is None:
            return mode
        _Mode.__init__(mode)
        return mode(function)

    def _modes(self, grad, inference, anomaly):
        return False, inference, anomaly


class enable_grad(no_grad):  # noqa: N801 - PyTorch's name
    """Within it, ops are recorded, even inside no_grad."""

    def _modes(self, grad, inference, anomaly):
        return True, inference, anomaly


class inference_mode(_Mode):  # noqa: N801 - PyTorch's name
    """Like no_grad; what is made within it says so by is_inference()."""

    def __new__(cls, mode=True):
        made = super().__new__(cls)
        if callable(mode):
            inference_mode.__init__(made, True)
            return made(mode)
        return made

    def __init__(self, mode=True):
        super().__init__(mode)

    def _modes(self, grad, inference, anomaly):
        return (False, True, anomaly) if self._values[0] else (grad, inference, anomaly)


class set_grad_enabled(_Mode):  # noqa: N801 - PyTorch's name
    """Switches recording on or off at once; as a context manager also back."""

    def __init__(self, mode):
        super().__init__(mode)
        self._before.append(get_modes())
        set_modes(*self._modes(*get_modes()))

    def __enter__(self):
        return self

    def _modes(self, grad, inference, anomaly):
        return bool(self._values[0]), inference, anomaly

    def __call__(self, function):
        self.__exit__()
        return super().__call__(function)


class set_detect_anomaly(set_grad_enabled):  # noqa: N801 - PyTorch's name
    """Switches anomaly mode on or off at once; as a context manager also back."""

    def _modes(self, grad, inference, anomaly):
        return grad, inference, bool(self._values[0])


class detect_anomaly(_Mode):  # noqa: N801 - PyTorch's name
    """Within it, the first op whose result or gradient holds NaN or infinity raises.

    The RuntimeError names the op and the line of user code that called it.
    """

    def __init__(self, check_nan=True):
        super().__init__(check_nan)

    def _modes(self, grad, inference, anomaly):
        return grad, inference, bool(self._values[0])


def is_grad_enabled() -> bool:
    """Whether ops are recorded in this thread."""
    return bool(get_modes()[0])


def is_inference_mode_enabled() -> bool:
    """Whether this thread is in inference_mode."""
    return bool(get_modes()[1])


# ---- Hooks

class RemovableHandle:
    """Removes a hook: handle.remove(), or use it as a context manager."""

    _keys = itertools.count()

    def __init__(self, remove):
        if not is_capturing():      # a hook on what the step itself makes is part of it
            touch()
        self.id = next(self._keys)
        self._remove = remove

    def remove(self):
        """Takes the hook away; a second call does nothing."""
        remove, self._remove = self._remove, None
        if remove is not None:
            if not is_capturing():
                touch()
            remove(self.id)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.remove()


def register_hook(self: Tensor, hook) -> RemovableHandle:
    """Calls hook(gradient) whenever the gradient of the tensor is known; a returned Tensor replaces it."""
    if not self.requires_grad:
        raise RuntimeError("register_hook: the tensor does not require grad, so it never gets a gradient")
    node = self.grad_fn
    if node is None:
        hooks = _backward.tensor_hooks(self)
        handle = RemovableHandle(lambda key: hooks.pop(key, None))
        hooks[handle.id] = hook
        return handle
    handle = RemovableHandle(lambda key: _backward.remove_node_hook(node, key))
    _backward.register_node_hook(node, self.output_nr, handle.id, hook)
    return handle


def has_hooks(leaf: Tensor) -> bool:
    """Whether there are hooks on the gradient of a leaf."""
    return _backward.has_tensor_hooks(leaf)


def retain_grad(self: Tensor) -> None:
    """Keeps the gradient of a non-leaf in `grad` after backward."""
    if not self.requires_grad:
        raise RuntimeError("retain_grad: the tensor does not require grad")
    if self.grad_fn is not None and not _backward.mark_retains(self):
        keep_gradient(self)


def keep_gradient(tensor: Tensor) -> None:
    """Keeps the gradient that reaches the node which made the tensor, as long as that is so."""
    node, reference = tensor.grad_fn, weakref.ref(tensor)
    if node is None:
        return
    number = id(node)   # the node itself would be a reference cycle

    def keep(gradient):
        tensor = reference()
        if tensor is not None:
            _backward.retain_gradient(tensor, number, gradient)

    _backward.register_node_hook(node, tensor.output_nr, next(RemovableHandle._keys), keep)


# ---- Custom Functions

class Function:
    """An op written in Python: subclass it with static methods forward(ctx, ...) and backward(ctx, *gradients).

    Call it by `MyFunction.apply(...)`. Alternatively forward(...) takes no ctx and setup_context(ctx, inputs, output)
    saves what backward needs. backward returns one gradient (or None) per argument of forward.
    """

    @staticmethod
    def forward(*args, **kwargs):
        """Computes the outputs."""
        raise NotImplementedError("Function: define a static method forward")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """Computes a gradient per argument of forward."""
        raise NotImplementedError("Function: define a static method backward")

    setup_context = None

    @classmethod
    def apply(cls, *args):
        """Runs forward and records it."""
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple(isinstance(arg, Tensor) and arg.requires_grad for arg in args)
        with no_grad():
            if cls.setup_context is None:
                outputs = cls.forward(ctx, *args)
            else:
                outputs = cls.forward(*args)
                cls.setup_context(ctx, args, outputs)
        return record_function(cls, ctx, outputs, args)
