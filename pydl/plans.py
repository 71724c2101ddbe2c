"""capture: a function of tensors, such as a whole training step, recorded once and replayed in one C call."""
from __future__ import annotations

import functools
import os
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pydl.costs  # noqa: F401 - tells the core how many operands an elementwise kernel has
from pydl._core.plan import Plan, launches_of, modes, recorded
from pydl._core.recording import CaptureError, is_capturing
from pydl.tensor import Tensor

VARIANTS = 4        # plans of one key, which differ in what the step found: gradients there or not
UNSTEADY = 4        # so often in a row modules may change while a step is recorded
PLAIN = (int, float, bool, str, bytes, type(None))

__all__ = ["CaptureError", "Captured", "capture"]


class Captured:
    """What capture() returns: a callable. See there."""

    def __init__(self, function: Callable[..., Any], fallback: str | None = None, max_plans: int = 8) -> None:
        if not callable(function):
            raise TypeError(f"capture: expected a function, got {type(function).__name__}")
        if fallback not in (None, "eager"):
            raise ValueError(f"capture: fallback must be None or 'eager', got {fallback!r}")
        if isinstance(max_plans, bool) or not isinstance(max_plans, int) or max_plans < 1:
            raise ValueError(f"capture: max_plans must be an int of 1 or more, got {max_plans!r}")
        self.function, self.fallback, self.max_plans = function, fallback, max_plans
        self.name: str | None = None        # as an attribute of a class
        self.plans: OrderedDict[Any, list[Plan]] = OrderedDict()
        self.last: Plan | None = None       # the one that was replayed last: looked at first
        self.why_eager: str | None = None
        self.unsteady = 0       # recordings in a row during which modules changed
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.why_eager is not None:
            return self.function(*args, **kwargs)
        if self.last is not None and not kwargs:
            result = self.last.quick(args)
            if result is not NotImplemented:
                return result
        if is_capturing():
            raise CaptureError("capture: a captured function cannot be called inside another; call the plain function there")
        try:
            tensors, key = self._key(args, kwargs)
        except CaptureError as error:
            if self.fallback is None:
                raise
            return self._give_up(str(error), self.function(*args, **kwargs))
        for plan in self.plans.get(key, ()):
            result = plan.replay(tensors)
            if result is not NotImplemented:
                self.last = plan
                self.plans.move_to_end(key)
                return result
        return self._record(args, kwargs, tensors, key)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """A method: every instance captures for itself."""
        if instance is None:
            return self
        bound = Captured(self.function.__get__(instance, owner), self.fallback, self.max_plans)
        if self.name is not None and hasattr(instance, "__dict__"):
            instance.__dict__[self.name] = bound        # found before this descriptor from now on
        return bound

    def __reduce__(self) -> tuple[Any, ...]:
        return Captured, (self.function, self.fallback, self.max_plans)

    def __deepcopy__(self, memo: dict[int, Any]) -> Captured:
        """A copy captures anew: its function may be bound to a copied model."""
        from copy import deepcopy
        return Captured(deepcopy(self.function, memo), self.fallback, self.max_plans)

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Tensor, ...], Any]:
        """The tensors among the arguments, and what a plan is for: modes, shapes, types, and all other arguments."""
        tensors: list[Tensor] = []
        parts: list[Any] = [modes()]
        for name, value in ((*enumerate(args), *kwargs.items()) if kwargs else enumerate(args)):
            if isinstance(value, Tensor):
                if value.requires_grad:
                    raise CaptureError(f"capture: argument {name!r} requires grad; close over it instead, or detach() it")
                tensors.append(value)
                parts.append((name, value.shape, value.dtype))
            elif type(value) in PLAIN:
                parts.append((name, type(value), repr(value)))      # 0.0 and -0.0 differ, NaN and NaN do not
            else:
                raise CaptureError(f"capture: argument {name!r} must be a Tensor, a number, a string or None, got {type(value).__name__}")
        return tuple(tensors), tuple(parts)

    def _record(self, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: tuple[Tensor, ...], key: Any) -> Any:
        def step(*own: Tensor) -> Any:
            left = iter(own)
            mine = [next(left) if isinstance(value, Tensor) else value for value in args]
            named = {name: next(left) if isinstance(value, Tensor) else value for name, value in kwargs.items()}
            return checked(self.function(*mine, **named))

        self.last = None
        for others in self.plans.values():
            others[:] = [other for other in others if other.current]
        plan, result = recorded(step, tensors, self.fallback is not None, len(tensors) == len(args) and not kwargs)
        if isinstance(plan, str):
            return self._give_up(plan, result)
        if plan is None:        # modules changed: lazy layers took shape, a mode was set; the next call may find them at rest
            self.unsteady += 1
            if self.unsteady < UNSTEADY:
                return result
            why = "capture: modules change at every call, so that every call would have to be recorded; change them outside"
            if self.fallback is None:
                raise CaptureError(why)
            return self._give_up(why, result)
        self.unsteady = 0
        variants = self.plans.setdefault(key, [])
        variants.insert(0, plan)
        self.last = plan
        del variants[VARIANTS:]
        self.plans.move_to_end(key)
        while len(self.plans) > self.max_plans:
            self.plans.popitem(last=False)
        return result

    def describe(self) -> str:
        """A table of the launches of every plan: kernel, element type, sizes, FLOPs, bytes, share of the time (after profile()), and the
        buffers it is given, numbered as they come. Launches that run together, in strips, show their time at the first of them.

        FLOPs and bytes are those of pydl.profile: 0 where they depend on values. Sizes: of a product m x k @ k x n; of a reduction
        kept(reduced).
        """
        lines = []
        for key, plans in self.plans.items():
            for plan in plans:
                launches = launches_of(plan)
                arguments = ", ".join(map(described, key[1:])) or "no arguments"
                lines.append(f"plan of {len(launches)} launches, {plan.nbytes / 1e6:.3g} MB, for {arguments}")
                lines += table_of(launches)
        return "\n".join(lines) if lines else "no plan yet: call it first"

    def profile(self, n: int, *args: Any, **kwargs: Any) -> Any:
        """The pydl.profile of n more calls with these arguments; describe() then shows what share of the time each launch takes.

        They are real calls: parameters change n times.
        """
        from pydl.profiler import profile
        plans = [plan for plans in self.plans.values() for plan in plans]
        with profile() as found:
            try:
                for plan in plans:
                    plan.measure(True)
                for _ in range(n):
                    self(*args, **kwargs)
            finally:
                for plan in plans:
                    plan.measure(False)
        return found

    def to_chrome_trace(self, path: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Writes a Chrome trace of one more call."""
        self.profile(1, *args, **kwargs).export_chrome_trace(path)

    def _give_up(self, why: str, result: Any) -> Any:
        self.why_eager = why
        warnings.warn(f"capture: runs eagerly from now on: {why}", stacklevel=4)
        return result

    def reset(self) -> None:
        """Forgets all plans: the next call records."""
        self.plans.clear()
        self.last = None
        self.why_eager = None

    def __repr__(self) -> str:
        return f"Captured({getattr(self.function, '__qualname__', self.function)!s}, {sum(map(len, self.plans.values()))} plans)"


def described(part: tuple[Any, ...]) -> str:
    """One argument of a plan's key."""
    name, kind, value = part
    return f"{name}: {str(value).removeprefix('pydl.')} {tuple(kind)}" if isinstance(kind, tuple) else f"{name}={value}"


def table_of(launches: list[tuple[int, int, str, int, int, int | None, tuple[int, ...]]]) -> list[str]:
    """The lines of describe() for one plan."""
    from pydl.profiler import DTYPES, FLOPS, KERNELS
    numbers: dict[int, int] = {}
    total = sum(launch[5] or 0 for launch in launches)
    lines = [f"{'':>4}  {'kernel':<20} {'type':<8} {'sizes':<26} {'FLOPs':>10} {'bytes':>10} {'time':>7}  buffers"]
    for i, (kernel, dtype, sizes, items, nbytes, time, addresses) in enumerate(launches):
        share = "|" if time is None else f"{100 * time / total:.1f} %" if total else "-"
        if kernel < 0:
            lines.append(f"{i:>4}  (check)")
            continue
        buffers = " ".join(str(numbers.setdefault(address, len(numbers))) for address in addresses)
        flops = FLOPS[kernel] * items
        lines.append(f"{i:>4}  {KERNELS[kernel]:<20} {DTYPES[dtype]:<8} {sizes:<26} {flops:>10.4g} {nbytes:>10} {share:>7}  {buffers}")
    return lines


def checked(result: Any) -> Any:
    """The result. Raises CaptureError for what a replay could not renew."""
    if isinstance(result, dict):
        for value in result.values():
            checked(value)
        return result
    if isinstance(result, (list, tuple)):
        for value in result:
            checked(value)
        return result
    if isinstance(result, (Tensor, *PLAIN)):
        return result
    raise CaptureError(f"capture: the function must return tensors, in tuples, lists or dicts, got {type(result).__name__}")


def capture(function: Callable[..., Any] | None = None, *, fallback: str | None = None, max_plans: int = 8) -> Any:
    """The function, recorded at its first call and from then on replayed in one C call: no Python, no allocation. Also a decorator.

    function: takes Tensors (and numbers, strings, None) and returns Tensors, in tuples, lists or dicts, or None. A whole training step
    may be captured: forward, loss, backward(), the optimizer's step() and zero_grad(), dropout; the results have the same bits as
    without capture. Tensors that it closes over, such as a model's parameters, are read and written in place; arguments are read where they
    are, or copied where they are small or not contiguous. Learning rates and other hyperparameters are read anew before every replay.

    Results, and gradients that the step leaves behind, lie in the plan's memory, outside of every graph, and hold new values after every
    call: clone() what you keep. Python code in the function runs only while it is recorded, so numbers that it computes are fixed.

    Other shapes, types or plain arguments, another mode or default type, changed modules and hooks, reloaded or replaced optimizer state,
    replaced or frozen parameters, and gradients that were there, or not, make another plan; of max_plans kinds of arguments the least
    recently used are dropped. A change to any module of the program makes all plans be recorded anew when they are next called; only when
    modules go from training to evaluation, or back, do those of the other mode wait for its return.

    Raises CaptureError, where the function is recorded (after it has run, or where it reads a value), for what cannot be replayed: a
    value read on the host (item(), a branch on a tensor, NumPy), a shape that depends on values, an argument changed in place or also
    closed over, a tensor replaced instead of changed in place, one that is made inside and kept elsewhere, hyperparameters that change
    inside. fallback="eager": it runs without capture then, and from then on, with one warning. Raises RuntimeError where another thread
    is replaying the same step.

    >>> import pydl
    >>> scale = pydl.tensor([1.0, 2.0])
    >>> double = pydl.capture(lambda x: x * scale * 2)
    >>> double(pydl.tensor([1.0, 1.0])).tolist(), double(pydl.tensor([0.0, 3.0])).tolist()
    ([2.0, 4.0], [0.0, 12.0])
    """
    if function is None:
        return functools.partial(capture, fallback=fallback, max_plans=max_plans)
    return Captured(function, fallback, max_plans)
