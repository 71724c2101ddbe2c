"""Makes fuzzed calls in a process of its own, and judges each.

    python tests/fuzzrun.py GROUP EXAMPLES SEED LOG [--survey]

Before a call is made its text goes to LOG: what stands there when the process is killed is the call that did it. Such a text,
as the first line of a fault, is also the reproducer: `python -c 'from fuzzrun import *; judge(Call(...))'` in the tests' folder.
"""
from __future__ import annotations

import os
import re
import resource
import signal
import sys
import traceback
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

import pydl
from fuzz import parameters, resolved, strategy, targets
from fuzzargs import HUGE, Call, T, built
from op_table import TABLE
from pydl._core.tape import registry
from rows import outputs

LIMIT = 10                          # seconds for one call
ROOM = 768 << 20                    # bytes beside what the process has at its start
ALLOWED = (ValueError, TypeError, IndexError, RuntimeError, MemoryError, OverflowError, ZeroDivisionError)
# Texts of what lies below the ops: of memory, whoever asks for it; NumPy's of large arrays, and of arrays in the place of a flag;
# Python's about operators.
BELOW = re.compile(r"sizes \(.*\) overflow: |array is too big|The truth value of an (empty )?array| ?expected \d+ arguments?, got")
PUBLIC = {*dir(pydl), *dir(pydl.Tensor), *dir(pydl.nn.functional)}
NAMES = {*registry, *PUBLIC, *pydl.linalg.__all__, "generator"}        # that argument is checked where no op is known
UNSET = {"empty", "empty_like", "new_empty", "as_strided", "data_ptr", "storage_offset", "stride", "is_contiguous", "get_rng_state", "initial_seed"}
LAYOUT_MATTERS = {"view", "view_as", "unfold", "as_strided", "strided_view"}


class Fault(AssertionError):
    """A call did what no call may do."""


def names_of(call: Call) -> set[str]:
    """The names that a message about this call may begin with."""
    name = call.target.rpartition(".")[2]
    row = TABLE.get(call.target)
    found = {name, name.strip("_"), name.removesuffix("_")}
    if row is not None:
        found |= {row.op, getattr(row.call(), "__name__", row.op)}
    operator = name.strip("_")
    return found | {operator.removeprefix("i"), operator.removeprefix("r"), {"truediv": "div"}.get(operator, operator)}


def inside_pydl(error: BaseException) -> bool:
    """Whether pydl raised it, or Python at the call; not a lambda of a row."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return last.filename == __file__ or os.path.dirname(__file__) not in os.path.dirname(last.filename)


def place_of(error: BaseException) -> str:
    return "".join(f"\n    {frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-3:])


def check_error(call: Call, error: BaseException, during: str = "") -> None:
    """A refusal has the right type and a message that names an op."""
    text = str(error)
    if not inside_pydl(error) or "<lambda>()" in text:
        return
    if not isinstance(error, ALLOWED):
        raise Fault(f"{call!r}\n{during}{type(error).__name__}: {text[:300]}{place_of(error)}")
    if not text.strip():
        raise Fault(f"{call!r}\n{during}{type(error).__name__} without a text")
    if isinstance(error, MemoryError) or BELOW.match(text) or not names_of(call) & PUBLIC:
        return
    first = re.match(r"\W*(?:Tensor\.)?(\w+)", text)
    named = first is not None and first[1] in NAMES
    if not named and not any(name in text for name in names_of(call)):
        raise Fault(f"{call!r}\n{during}{type(error).__name__} names no op: {text[:300]}{place_of(error)}")


def copied(found: list[Any]) -> list[Any]:
    return [x.detach().clone().requires_grad_(x.requires_grad) if isinstance(x, pydl.Tensor) and x.numel() <= HUGE else x for x in found]


def with_tensors(args: list[Any], attrs: dict[str, Any], old: list[Any], new: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments with copies in place of the tensors."""
    table = {id(a): b for a, b in zip(old, new)}

    def put(arg: Any) -> Any:
        if isinstance(arg, (list, tuple)):
            return type(arg)(put(one) for one in arg) if any(id(one) in table for one in arg) else arg
        return table.get(id(arg), arg)

    return [put(arg) for arg in args], {name: put(value) for name, value in attrs.items()}


def value_of(y: Any) -> Any:
    """Something that can be compared."""
    if isinstance(y, pydl.Tensor):
        return np.array(y.detach().numpy()) if y.numel() <= HUGE else ("huge", y.shape)
    return [value_of(one) for one in y] if isinstance(y, (tuple, list)) else y


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and (a.dtype.kind == "O" or np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a is b or type(a) is type(b) and (a == b or a != a) if isinstance(a, (int, float, str, tuple)) else True


def check_tensor(call: Call, y: pydl.Tensor) -> None:
    """Shape, strides and memory agree; every element can be read."""
    shape = y.shape
    count = 1
    for size in shape:
        count *= size
    if any(size < 0 for size in shape) or count != y.numel() or y.nbytes != count * y.element_size():
        raise Fault(f"{call!r}\nshape {shape}, but numel {y.numel()} and {y.nbytes} bytes")
    if count <= HUGE:
        a = y.detach().numpy()
        if a.shape != shape or str(a.dtype) != str(y.dtype).removeprefix("pydl."):
            raise Fault(f"{call!r}\nshape {shape} of {y.dtype}, as an array {a.shape} of {a.dtype}")
        a.sum(dtype=a.dtype)
        if a.dtype == bool and a.size and call.target.rpartition(".")[2] not in UNSET and np.ascontiguousarray(a).view(np.uint8).max() > 1:
            raise Fault(f"{call!r}\na bool that is neither 0 nor 1")
        if count <= 64:
            repr(y)


def tensors_in(y: Any) -> list[pydl.Tensor]:
    if isinstance(y, (tuple, list)):
        return [t for one in y for t in tensors_in(one)]
    return [y] if isinstance(y, pydl.Tensor) else []


def gradients(call: Call, result: Any, found: list[Any]) -> list[Any]:
    """Gradients of the result's sum."""
    ys = [y for y in tensors_in(result) if y.requires_grad and y.numel() <= HUGE and y.dtype in (pydl.float32, pydl.float64)]
    xs = [x for x in found if isinstance(x, pydl.Tensor) and x.requires_grad and x.is_leaf]
    if not ys or not xs:
        return []
    try:
        got = pydl.autograd.grad(ys, xs, [pydl.ones_like(y) for y in ys], allow_unused=True)
    except MemoryError:
        return []
    except Exception as error:
        check_error(call, error, "backward: ")
        if not isinstance(error, (RuntimeError, NotImplementedError)):
            raise Fault(f"{call!r}\nbackward: {type(error).__name__}: {error}") from error
        return [str(error)]
    for x, g in zip(xs, got):
        if g is not None:
            if g.shape != x.shape or g.dtype != x.dtype:
                raise Fault(f"{call!r}\ngradient {g.shape} of {g.dtype} for {x.shape} of {x.dtype}")
            check_tensor(call, g)
    return [value_of(g) for g in got]


def perform(function: Any, args: list[Any], attrs: dict[str, Any]) -> tuple[Any, BaseException | None]:
    pydl.manual_seed(0)
    try:
        return function(*args, **attrs), None
    except Exception as error:
        return None, error


def judge(call: Call) -> None:
    """Makes the call; raises Fault where it does what no call may do."""
    with np.errstate(all="ignore"):
        judged(call)


def judged(call: Call) -> None:
    function = resolved(call.target)
    name = call.target.rpartition(".")[2]
    try:
        args, attrs, found = built(call)
    except Exception as error:                      # from_numpy and the like have the right to refuse, and a duty to say why
        if not inside_pydl(error):
            raise
        check_error(call, error, "making the arguments: ")
        return
    if too_long(call, function, found):
        return
    in_place = name.endswith("_") or "inplace" in parameters(function)[1] or name.startswith("__i") or name == "__setitem__"
    copies = copied(found)
    memory = [x for x in found if isinstance(x, (pydl.Tensor, np.ndarray))]
    before = [value_of(x) for x in memory]
    result, error = perform(function, args, attrs)
    if name.startswith("__") and len(args) < 2 or call.target.startswith("Tensor.") and not (args and isinstance(args[0], pydl.Tensor)):
        return                                      # Python itself refuses, or has the wrong words for it
    if error is not None:
        check_error(call, error)
    if (not in_place or error is not None) and not all(map(same, before, map(value_of, memory))):
        raise Fault(f"{call!r}\nthe call changed an argument{'' if error is None else f', though it was refused: {error}'}")
    for y in tensors_in(result):
        check_tensor(call, y)
    if name in UNSET or isinstance(error, MemoryError):
        return
    if any(isinstance(x, pydl.Tensor) for x in found):
        changed = [0] if name == "__setitem__" else []
        repeat(call, (result, error, [found[i] for i in changed]), found, with_tensors(args, attrs, found, copies), copies, in_place)
    if call.plausible and error is None:
        compare(call, result, copies)


def repeat(call: Call, first: tuple[Any, Any, list[Any]], found: list[Any], again: tuple[list[Any], dict[str, Any]], copies: list[Any],
           in_place: bool) -> None:
    """The same call with contiguous copies of its tensors, which must give the same bits, gradients and refusals."""
    result, error, changed = first
    got, grads = value_of([result, changed]), gradients(call, result, found)
    other, refused = perform(resolved(call.target), *again)
    if error is None and refused is None:
        new = value_of([other, copies[:len(changed)]])
        if not same(got, new):
            raise Fault(f"{call!r}\nother values from contiguous copies: {short(got)} and {short(new)}")
        if not same(grads, gradients(call, other, copies)):
            raise Fault(f"{call!r}\nother gradients from contiguous copies")
    elif (error is None) != (refused is None) and call.target.rpartition(".")[2] not in LAYOUT_MATTERS and not in_place:
        raise Fault(f"{call!r}\n{error or 'accepted'}, but with contiguous copies {refused or 'accepted'}")


def short(value: Any) -> str:
    return " ".join(str(value).split())[:200]


def too_long(call: Call, function: Any, found: list[Any]) -> bool:
    """Whether the work on huge stretched tensors could go on for hours although little memory is wanted: where the same call on
    small ones gives fewer elements than it takes (a reduction), or does not look at sizes at all."""
    if not any(isinstance(x, pydl.Tensor) and x.numel() > HUGE for x in found):
        return False
    if re.search("split|chunk|unbind|iter", call.target):      # a view for each of very many
        return True

    def less(arg: Any) -> Any:
        if isinstance(arg, T):
            return replace(arg, shape=tuple(min(size, 7) for size in arg.shape))
        return type(arg)(map(less, arg)) if isinstance(arg, (list, tuple)) else arg

    small = replace(call, args=tuple(map(less, call.args)), attrs={name: less(value) for name, value in call.attrs.items()})
    args, attrs, smaller = built(small)
    result, error = perform(function, args, attrs)
    most = max((x.numel() for x in smaller if isinstance(x, pydl.Tensor)), default=0)
    return error is not None or not all(y.numel() >= most for y in tensors_in(result)) or not tensors_in(result)


def compare(call: Call, result: Any, copies: list[Any]) -> None:
    """Against the reference of the row: roughly, as test_ops_values does it in ulp; NaN and infinities where it has them."""
    row = TABLE.get(call.target)
    if row is None or row.ref is None or any(isinstance(x, pydl.Tensor) and x.numel() > HUGE for x in copies):
        return
    wide = iter([np.asarray(x.detach().numpy()).astype(np.float64 if x.is_floating_point() else x.detach().numpy().dtype) for x in copies
                 if isinstance(x, pydl.Tensor)])

    def put(arg: Any) -> Any:
        if isinstance(arg, T):
            return next(wide)
        return type(arg)(map(put, arg)) if isinstance(arg, (list, tuple)) else arg

    args = [put(arg) for arg in call.args]
    attrs = {name: put(value) for name, value in call.attrs.items()}
    try:
        want = outputs(row.ref(*args, **attrs))
    except Exception:
        return                                      # indices and the like that NumPy refuses: pydl may know better
    got = outputs(result)
    for y, w in zip(got, want):
        if not isinstance(y, pydl.Tensor):
            continue
        y, w = y.detach().numpy(), np.asarray(w)
        if y.shape != w.shape:
            raise Fault(f"{call!r}\nshape {y.shape}, the reference has {w.shape}")
        if special(call):
            continue
        close = np.allclose(y, w.astype(y.dtype), rtol=1e-3, atol=1e-4 * (1 + np.abs(w[np.isfinite(w)]).max(initial=0)), equal_nan=True)
        if not close:
            raise Fault(f"{call!r}\nthe reference has {short(w)}, got {short(y)}")


def special(call: Call) -> bool:
    """Whether numbers overflow float32 or cancel: only the shapes are compared."""
    every = [*call.args, *call.attrs.values()]
    every += [part for arg in every if isinstance(arg, (list, tuple)) for part in arg]
    return any(isinstance(arg, T) and (arg.values is not None) for arg in every)


# ---- The process

def limit_memory() -> None:
    """Address space for what is there and ROOM more: what wants more gets a MemoryError. A sanitizer needs all of it."""
    if "LD_PRELOAD" in os.environ or sys.platform != "linux":
        return
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    most = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def fuzz(target: str, examples: int, start: int, log: int, faults: list[str] | None) -> None:
    """Judges that many calls of one target. faults: collects what is found instead of raising the first, reduced."""

    @seed(zlib.crc32(target.encode()) ^ start)
    @settings(max_examples=examples, database=None, deadline=None, phases=(Phase.generate,) if faults is not None else (Phase.generate, Phase.shrink),
              suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet, report_multiple_bugs=False)
    @given(strategy(target))
    def run(call: Call) -> None:
        text = f"{call!r}\n".encode(errors="replace")
        os.ftruncate(log, os.pwrite(log, text, 0))
        signal.setitimer(signal.ITIMER_REAL, LIMIT * (10 if "LD_PRELOAD" in os.environ else 1))
        try:
            judge(call)
        except Fault as fault:
            if faults is None:
                raise
            faults.append(str(fault))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    run()


def main(group: str, examples: str, start: str, log: str, survey: str = "") -> int:
    pydl.zeros(1 << 20).exp()                       # starts the threads: their stacks are part of what is there
    limit_memory()
    faults: list[str] | None = [] if survey else None
    handle = os.open(log, os.O_RDWR | os.O_CREAT, 0o600)
    found = 0
    for target in targets().get(group, (group,)):
        try:
            fuzz(target, int(examples), int(start), handle, faults)
        except Fault as fault:
            found += 1
            print(f"--- {fault}", flush=True)
    for fault in faults or ():
        print(f"--- {fault}")
    return 1 if found or faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
