"""Module: the base of every layer and network. PyTorch's names and rules.

What a module owns stands in its `__dict__`, like any attribute, so that `self.weight` costs a plain look-up; `_owned` says
which of those names are parameters, buffers and children, in the order in which they came. There is no second copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from pydl.autograd import RemovableHandle, module_call, touch, turn
from pydl.nn import state
from pydl.nn.hooks import HookLists, run_with_hooks
from pydl.nn.kinds import BUFFER, BUFFERS, MODULE, PARAMETER, TEMPORARY
from pydl.nn.owned import Owned
from pydl.nn.parameter import Buffer, Parameter
from pydl.nn.state import IncompatibleKeys
from pydl.tensor import Tensor, dtype, float32, float64


class Module:
    """Base class of all layers. A subclass calls `super().__init__()`, assigns parameters and modules, defines `forward`.

    >>> import pydl
    >>> class Twice(pydl.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = pydl.nn.Linear(4, 4)
    ...     def forward(self, x):
    ...         return self.layer(self.layer(x))
    >>> Twice()(pydl.ones(2, 4)).shape
    (2, 4)
    """

    training: bool
    _hooks: HookLists | None = None         # from the first hook on
    _owned: dict[str, str]                  # name -> kind
    _optional_state: tuple[str, ...] = ()   # what a state_dict may leave out, even a strict one

    def __init__(self) -> None:
        self.__dict__["_owned"] = {}
        self.__dict__["training"] = True

    def forward(self, *inputs: Any) -> Any:
        """What the module computes; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__}: forward is not defined")

    __call__ = module_call

    def _call_with_hooks(self, inputs: tuple, named: dict[str, Any]) -> Any:
        return run_with_hooks(self, inputs, named)

    # Owning

    def __setattr__(self, name: str, value: Any) -> None:
        before = self.__dict__.get(name)
        if before is not value:
            if name == "training" and isinstance(before, bool) and isinstance(value, bool):
                turn(self)
            else:
                touch()
        owned = self.__dict__.get("_owned")
        if isinstance(value, (Parameter, Module, Buffer)):
            if owned is None:
                raise AttributeError(f"{type(self).__name__}: call super().__init__() before assigning {name}")
            if isinstance(value, Buffer):
                self._own(name, value, BUFFER if value.persistent else TEMPORARY)
            else:
                self._own(name, value, PARAMETER if isinstance(value, Parameter) else MODULE)
            return
        kind = owned.get(name) if owned is not None else None
        if kind is None:
            object.__setattr__(self, name, value)
        elif value is None or (kind in BUFFERS and isinstance(value, Tensor)):
            self.__dict__[name] = value
        else:
            expected = "a Tensor" if kind in BUFFERS else "a Parameter" if kind is PARAMETER else "a Module"
            raise TypeError(f"{type(self).__name__}.{name} is a {kind}: expected {expected} or None, got {type(value).__name__}")

    def __delattr__(self, name: str) -> None:
        touch()
        object.__delattr__(self, name)
        self._owned.pop(name, None)

    def _own(self, name: str, value: Any, kind: str) -> None:
        touch()
        if self._owned.get(name) not in ((kind, *BUFFERS) if kind in BUFFERS else (kind,)):
            self._owned.pop(name, None)         # what was something else comes last, as new
        self._owned[name] = kind
        self.__dict__[name] = value

    def _own_new(self, name: str, value: Any, kind: str) -> None:
        """Registers under a name that must be free."""
        self._check_new_name(name, kind)
        self._own(name, value, kind)

    def _check_new_name(self, name: str, kind: str) -> None:
        caller = f"{type(self).__name__}: {kind} name"
        if "_owned" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__}: call super().__init__() before registering {name}")
        if not isinstance(name, str):
            raise TypeError(f"{caller}: expected a str, got {type(name).__name__}")
        if not name or "." in name:
            raise KeyError(f"{caller}: expected a name without dots, got {name!r}")
        same = (kind, *BUFFERS) if kind in BUFFERS else (kind,)
        if hasattr(self, name) and self._owned.get(name) not in same:
            raise KeyError(f"{caller}: the attribute {name!r} exists already")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter; None reserves the name."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter: {name}: expected a Parameter or None, got {type(param).__name__}")
        self._own_new(name, param, PARAMETER)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that is part of the state but is not trained. persistent=False keeps it out of state_dict."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer: {name}: expected a Tensor or None, got {type(tensor).__name__}")
        self._own_new(name, tensor, BUFFER if persistent else TEMPORARY)

    def register_module(self, name: str, module: Module | None) -> None:
        """Adds a child module; None reserves the name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module: {name}: expected a Module or None, got {type(module).__name__}")
        self._own_new(name, module, MODULE)

    add_module = register_module

    @property
    def _parameters(self) -> Owned:
        return Owned(self, (PARAMETER,))

    @property
    def _buffers(self) -> Owned:
        return Owned(self, BUFFERS)

    @property
    def _modules(self) -> Owned:
        return Owned(self, (MODULE,))

    # Walking

    def _here(self, *kinds: str) -> list[tuple[str, Any]]:
        """(name, value) of what this module itself owns."""
        values = self.__dict__
        return [(name, values[name]) for name, kind in self._owned.items() if kind in kinds and values[name] is not None]

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the direct children, each module once."""
        seen: set[Module] = set()
        for name, module in self._here(MODULE):
            if module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct children, each once."""
        return (module for _, module in self.named_children())

    def named_modules(self, memo: set[Module] | None = None, prefix: str = "",
                      remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """(dotted name, module): this one, under the name `prefix`, and all below, parents first."""
        memo = set() if memo is None else memo
        if remove_duplicate:
            if self in memo:
                return
            memo.add(self)
        yield prefix, self
        for name, module in self._here(MODULE):
            yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it, each once, or (remove_duplicate=False) as often as it is registered."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def _named(self, kinds: tuple[str, ...], prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else iter([(prefix, self)])
        for path, module in modules:
            for name, value in module._here(*kinds):
                if remove_duplicate:
                    if id(value) in seen:
                        continue
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(self, prefix: str = "", recurse: bool = True,
                         remove_duplicate: bool = True) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter), in the order of registration, parents first; a shared one comes once."""
        return self._named((PARAMETER,), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once: what an optimizer is given."""
        return (value for _, value in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True,
                      remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, buffer), saved or not."""
        return self._named(BUFFERS, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        return (value for _, value in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted name; "" is this one. AttributeError where there is none."""
        module = self
        for name in target.split(".") if target else ():
            if module._owned.get(name) != MODULE:
                raise AttributeError(f"get_submodule: {type(module).__name__} has no module {name!r} (asked for {target!r})")
            module = module.__dict__[name]
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts a module at a dotted name, in the place of the one that is there; strict=True: only if there is one.

        Raises ValueError for an empty name, TypeError for what is no module, AttributeError where the way does not exist or
        something else stands in the place.
        """
        if not target:
            raise ValueError("set_submodule: expected a name, got ''")
        if not isinstance(module, Module):
            raise TypeError(f"set_submodule: {target}: expected a Module, got {type(module).__name__}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        there = parent._owned.get(name) == MODULE
        if not there and (strict or hasattr(parent, name)):
            raise AttributeError(f"set_submodule: {type(parent).__name__} has no module {name!r} (asked for {target!r})")
        setattr(parent, name, module)

    def _get(self, caller: str, target: str, kinds: tuple[str, ...]) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if module._owned.get(name) not in kinds:
            raise AttributeError(f"{caller}: {type(module).__name__} has no {kinds[0]} {name!r} (asked for {target!r})")
        return module.__dict__[name]

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted name. AttributeError where there is none."""
        return self._get("get_parameter", target, (PARAMETER,))

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted name. AttributeError where there is none."""
        return self._get("get_buffer", target, BUFFERS)

    # Changing all of it

    def apply(self, fn: Callable[[Module], object]) -> Self:
        """Calls fn(module) on every module, children first."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Training mode (dropout on) for this module and all below, or evaluation mode."""
        if not isinstance(mode, bool):
            raise TypeError(f"train: mode: expected a bool, got {type(mode).__name__}")
        self.training = mode
        for module in self.children():
            module.train(mode)      # its own train: a layer may keep itself in evaluation mode
        return self

    def eval(self) -> Self:
        """Evaluation mode: the same as train(False)."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Whether the parameters are trained."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of all parameters, or (set_to_none=False) fills them with zeros."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad = parameter.grad.detach().zero_()

    def to(self, *args: Any, **named: Any) -> Self:
        """Casts the floating-point parameters and buffers: to(dtype), to(tensor). The device "cpu" is accepted."""
        target = state.target_dtype(args, named)
        return self if target is None else self._cast(target)

    def float(self) -> Self:
        """Casts the floating-point parameters and buffers to float32."""
        return self._cast(float32)

    def double(self) -> Self:
        """Casts the floating-point parameters and buffers to float64."""
        return self._cast(float64)

    def type(self, dst_type: dtype) -> Self:
        """to(dst_type)."""
        return self.to(dst_type)

    def cpu(self) -> Self:
        """This module: there is no other device."""
        return self

    def _cast(self, target: dtype) -> Self:
        state.cast(self, target)
        return self

    # State

    def state_dict(self, *, destination: dict[str, Any] | None = None, prefix: str = "",
                   keep_vars: bool = False) -> dict[str, Any]:
        """Dotted name -> tensor, for parameters and saved buffers. The tensors share memory with the module's.

        keep_vars=True gives the parameters themselves instead of detached tensors.
        """
        return state.collect(self, {} if destination is None else destination, prefix, keep_vars)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copies the tensors of a state_dict into this module's; types are cast. -> (missing_keys, unexpected_keys).

        assign=True puts the given tensors themselves, with their types, into the places of this module's; only requires_grad
        stays. An optimizer has to be made anew then. Everything is checked before anything is written, and where a hook
        raises, the old values are written back. Raises ValueError with the full list of missing, unexpected and mis-shaped
        keys; with strict=False only mis-shaped ones are an error, and the rest is returned.
        """
        return state.load(self, state_dict, strict, assign)

    def get_extra_state(self) -> Any:
        """What else a subclass wants in state_dict, under the key "_extra_state"; it defines set_extra_state, too."""
        raise NotImplementedError(f"{type(self).__name__}: get_extra_state is not defined")

    def set_extra_state(self, state: Any) -> None:
        """Takes what get_extra_state gave, in load_state_dict."""
        raise NotImplementedError(f"{type(self).__name__}: set_extra_state is not defined")

    def _overrides(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(Module, name)

    # Hooks

    def _hook_lists(self) -> HookLists:
        return self.__dict__.setdefault("_hooks", HookLists())

    def register_forward_pre_hook(self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """hook(module, inputs) before forward; what it returns replaces the inputs. -> a handle with remove().

        with_kwargs=True: hook(module, inputs, named), and it returns (inputs, named) or None.
        """
        return self._hook_lists().add("forward_pre", hook, prepend, with_kwargs)

    def register_forward_hook(self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False,
                              always_call: bool = False) -> RemovableHandle:
        """hook(module, inputs, output) after forward; what it returns replaces the output. -> a handle with remove().

        with_kwargs=True: hook(module, inputs, named, output). always_call=True: also when forward raises.
        """
        return self._hook_lists().add("forward", hook, prepend, with_kwargs, always_call)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """hook(module, grad_output) before the module's backward; what it returns replaces grad_output.

        grad_output: a tuple, one for each output, None for those without a gradient.
        """
        return self._hook_lists().add("backward_pre", hook, prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """hook(module, grad_input, grad_output) once the gradients of the inputs are there; what it returns replaces them.

        Both are tuples, one for each positional input or output, None for those without a gradient. Seen are modules whose
        output is a Tensor or a tuple. Raises ValueError in backward where the hook returns another number of gradients.
        """
        return self._hook_lists().add("backward", hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """hook(module, prefix, keep_vars) before this module's part of state_dict."""
        return self._hook_lists().add("state_pre", hook)

    def register_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """hook(module, state_dict, prefix, local_metadata) after this module's part of state_dict; local_metadata is {}."""
        return self._hook_lists().add("state_post", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs) before loading.

        It may change state_dict (a copy), and add to the three lists.
        """
        return self._hook_lists().add("load_pre", hook)

    def register_load_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """hook(module, incompatible_keys) once all is loaded, children first; what it takes out of the lists is no error."""
        return self._hook_lists().add("load_post", hook)

    # Showing

    def extra_repr(self) -> str:
        """What stands in the parentheses of repr: the arguments."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {self.__dict__[name]!r}" for name, kind in self._owned.items() if kind == MODULE]
        if len(lines) <= 1 and not children:
            return f"{type(self).__name__}({extra})"
        lines += [child.replace("\n", "\n  ") for child in children]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__()} - {name for name in self._owned if not name.isidentifier()})
