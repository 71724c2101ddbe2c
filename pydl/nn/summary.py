"""summary: what a model is made of, layer by layer, and what one forward pass of it costs."""
from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pydl import ops
from pydl.autograd import no_grad
from pydl.nn.module import Module
from pydl.nn.parameter import is_lazy
from pydl.profiler import Launches, size
from pydl.random import Generator, get_rng_state, set_rng_state
from pydl.tensor import Tensor, dtype, float32, int64

__all__ = ["LayerSummary", "ModelSummary", "summary"]


@dataclass
class LayerSummary:
    """One module. Everything but `calls`, `output_shape` and `output_bytes` includes the modules below it.

    params counts a parameter once, however often the module holds it; shared: how many of them an earlier row, which is no
    parent of this one, has counted already. output_shape: of its last call, a tuple, or a list or dict of them as the module
    returns it; None where it was not called. output_bytes: of all calls. macs: multiply-accumulates of the matrix products that
    ran inside it, flops: all floating-point operations (pydl.costs), in all calls.
    """

    name: str
    kind: str
    depth: int
    params: int = 0
    trainable_params: int = 0
    shared_params: int = 0
    param_bytes: int = 0
    calls: int = 0
    output_shape: Any = None
    output_bytes: int = 0
    macs: int = 0
    flops: float = 0.0
    is_leaf: bool = True

    @property
    def frozen_params(self) -> int:
        """Parameters that do not require grad."""
        return self.params - self.trainable_params


@dataclass
class ModelSummary:
    """What summary() returns: `rows`, one LayerSummary for each module, the model itself first, and the totals."""

    rows: list[LayerSummary]
    input_bytes: int = 0
    buffer_bytes: int = 0
    depth: int | None = 3
    total_params: int = field(init=False)
    trainable_params: int = field(init=False)
    frozen_params: int = field(init=False)
    total_macs: int = field(init=False)
    total_flops: float = field(init=False)
    param_bytes: int = field(init=False)
    activation_bytes: int = field(init=False)       # outputs of the modules that have none below them, all calls
    total_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        whole = self.rows[0]
        self.total_params, self.trainable_params, self.frozen_params = whole.params, whole.trainable_params, whole.frozen_params
        self.total_macs, self.total_flops, self.param_bytes = whole.macs, whole.flops, whole.param_bytes
        self.activation_bytes = sum(row.output_bytes for row in self.rows if row.is_leaf)
        self.total_bytes = self.input_bytes + self.param_bytes + self.buffer_bytes + self.activation_bytes

    def __str__(self) -> str:
        shown = [row for row in self.rows if self.depth is None or row.depth <= self.depth]
        head = ("layer", "output shape", "params", "MACs", "params", "output")
        cells = [head, *((label(row), shape_text(row.output_shape) + (f" x{row.calls}" if row.calls > 1 else ""), count_text(row),
                          f"{row.macs:,}" if row.macs else "-", size(row.param_bytes) if row.params else "-",
                          size(row.output_bytes) if row.output_bytes else "-") for row in shown)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
        lines = ["  ".join(text.ljust(w) if i < 2 else text.rjust(w) for i, (text, w) in enumerate(zip(line, widths))).rstrip()
                 for line in cells]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        lines = [lines[0], rule, *lines[1:], rule,
                 f"parameters {self.total_params:,}: {self.trainable_params:,} trainable, {self.frozen_params:,} frozen",
                 f"multiply-accumulates {self.total_macs:,}, floating-point operations {self.total_flops:,.0f}",
                 f"bytes {size(self.total_bytes)}: input {size(self.input_bytes)}, parameters {size(self.param_bytes)}, "
                 f"buffers {size(self.buffer_bytes)}, outputs {size(self.activation_bytes)}"]
        if any(row.shared_params for row in shown):
            lines.append("* shared with a layer above, counted once in the totals")
        return "\n".join(lines)


def label(row: LayerSummary) -> str:
    name = row.name.rpartition(".")[2]
    return "  " * row.depth + (f"{name}: {row.kind}" if name else row.kind)


def count_text(row: LayerSummary) -> str:
    if not row.params:
        return "-"
    return f"{row.params:,}" + (" frozen" if not row.trainable_params else "") + ("*" if row.shared_params else "")


def shape_text(shape: Any) -> str:
    if shape is None:
        return "-"
    if isinstance(shape, dict):
        return "{" + ", ".join(f"{name}: {shape_text(one)}" for name, one in shape.items()) + "}"
    if isinstance(shape, list):
        return "[" + ", ".join(shape_text(one) for one in shape) + "]"
    return str(shape)


def summary(model: Module, inputs: Any = None, *, dtypes: dtype | Sequence[dtype] | None = None, depth: int | None = 3) -> ModelSummary:
    """Runs the model once and says, for every layer, its output shape, parameters, multiply-accumulates and bytes.

    inputs: the shape of the one input, a list of shapes, a Tensor, a list of Tensors and shapes, a dict of them by the names
    of forward's arguments, or None: then nothing runs. Shapes become tensors of uniform random numbers, or zeros for integers
    and bool. dtypes: their types, one for all or a list; otherwise the type of the model's first floating-point parameter.
    depth: how many levels below the model str() shows, None for all; `rows` always holds all.

    The model runs in evaluation mode, under no_grad. Afterwards, also when it raises, modes, hooks, buffers and the state
    of the random numbers are what they were; where parameters are lazy, a copy of the model runs. What counts is what ran: a
    matrix product called as a function counts like a layer. Raises TypeError and ValueError for what is no model, shape
    or type, and whatever the model raises.

    >>> import pydl
    >>> from pydl import nn
    >>> found = pydl.summary(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)), (16, 8))
    >>> found.total_params, found.total_macs, [row.output_shape for row in found.rows]
    (46, 640, [(16, 2), (16, 4), (16, 4), (16, 2)])
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: model: expected a Module, got {type(model).__name__}")
    if depth is not None and (not isinstance(depth, int) or isinstance(depth, bool) or depth < 0):
        raise ValueError(f"summary: depth: expected None or at least 0, got {depth!r}")
    if inputs is not None and any(is_lazy(x) for x in [*model.parameters(), *model.buffers()]):
        model = copy.deepcopy(model)
    calls = Calls()
    input_bytes = 0
    if inputs is not None:
        given, named = arguments(model, inputs, dtypes)
        input_bytes = bytes_of([given, named])
        with left_alone(model), no_grad(), calls.watching(model):
            model(*given, **named)
    buffers = sum(x.numel() * x.element_size() for x in model.buffers() if not is_lazy(x))
    return ModelSummary(rows_of(model, calls), input_bytes, buffers, depth)


# ---- What the model is given

def arguments(model: Module, inputs: Any, dtypes: Any) -> tuple[list[Tensor], dict[str, Tensor]]:
    """(positional, by name) arguments of forward."""
    if isinstance(inputs, Mapping):
        values, names = list(inputs.values()), list(inputs)
    else:
        values, names = ([inputs] if isinstance(inputs, Tensor) or is_shape(inputs) else list_of(inputs)), None
    kinds = types_for(model, dtypes, len(values))
    generator = Generator().manual_seed(0)
    tensors = [made(value, kind, generator) for value, kind in zip(values, kinds)]
    return (tensors, {}) if names is None else ([], dict(zip(names, tensors)))


def is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in value)


def list_of(inputs: Any) -> list[Any]:
    if isinstance(inputs, (tuple, list)):
        return list(inputs)
    raise TypeError(f"summary: inputs: expected a shape, a Tensor, or a list or dict of them, got {type(inputs).__name__}")


def types_for(model: Module, dtypes: Any, count: int) -> list[dtype]:
    if dtypes is None:
        floats = (x.dtype for x in model.parameters() if not is_lazy(x) and x.is_floating_point())
        return [next(floats, float32)] * count
    kinds = list(dtypes) if isinstance(dtypes, (list, tuple)) else [dtypes] * count
    if len(kinds) != count:
        raise ValueError(f"summary: dtypes: expected {count}, one for each input, got {len(kinds)}")
    for kind in kinds:
        if not isinstance(kind, dtype):
            raise TypeError(f"summary: dtypes: expected pydl dtypes, got {type(kind).__name__}")
    return kinds


def made(value: Any, kind: dtype, generator: Generator) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if not is_shape(value):
        raise TypeError(f"summary: inputs: expected a shape or a Tensor, got {type(value).__name__}")
    if any(n < 0 for n in value):
        raise ValueError(f"summary: inputs: expected sizes of at least 0, got {tuple(value)}")
    if kind.is_floating_point:
        return ops.rand(tuple(value), generator=generator, dtype=kind)
    return ops.rand(tuple(value), generator=generator).to(int64).to(kind)      # zeros


# ---- Running it, and leaving no trace

@contextmanager
def left_alone(model: Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards modes, hooks, buffers and random numbers are as they were."""
    modules = list(model.modules())
    modes = [(module, module.training, module.__dict__.get("_hooks")) for module in modules]
    buffers = [(module, name, x, x.detach().clone()) for module in modules for name, x in module.named_buffers(recurse=False)
               if not is_lazy(x)]       # a copy of the model runs then
    random = get_rng_state()
    try:
        model.eval()
        yield
    finally:
        set_rng_state(random)
        for module, training, hooks in modes:
            module.training = training
            if hooks is None:
                module.__dict__.pop("_hooks", None)
        for module, name, x, before in buffers:
            if module.__dict__.get(name) is not x:
                module.__dict__[name] = x
            if x.detach().numpy().tobytes() != before.numpy().tobytes():
                with no_grad():
                    x.copy_(before)


class Calls:
    """What every module returned, and which launches were made inside it."""

    def __init__(self) -> None:
        self.outputs: dict[Module, list[tuple[Any, int]]] = {}
        self.spans: dict[Module, list[tuple[int, int]]] = {}
        self.open: list[tuple[Module, int]] = []
        self.launches = Launches()

    @contextmanager
    def watching(self, model: Module) -> Iterator[None]:
        """Hooks on every module, and launches noted."""
        handles = []
        names = {module: name for name, module in model.named_modules()}
        try:
            for module in names:
                handles.append(module.register_forward_pre_hook(self.enter))
                handles.append(module.register_forward_hook(self.leave))
            with self.launches:
                yield
        except Exception as error:
            if self.open:
                module = self.open[-1][0]
                error.add_note(f"summary: raised in {type(module).__name__} {names[module]!r}")
            raise
        finally:
            for handle in handles:
                handle.remove()

    def enter(self, module: Module, inputs: tuple) -> None:
        self.open.append((module, self.launches.position()))

    def leave(self, module: Module, inputs: tuple, output: Any) -> None:
        inner, start = self.open.pop()
        while inner is not module:      # one that raised, and module went on
            inner, start = self.open.pop()
        self.outputs.setdefault(module, []).append((shapes_of(output), bytes_of(output)))
        self.spans.setdefault(module, []).append((start, self.launches.position()))


def shapes_of(output: Any) -> Any:
    if isinstance(output, Tensor):
        return tuple(output.shape)
    if isinstance(output, Mapping):
        return {name: shapes_of(one) for name, one in output.items()}
    if isinstance(output, (tuple, list)):
        return [shapes_of(one) for one in output]
    return None


def bytes_of(output: Any) -> int:
    if isinstance(output, Tensor):
        return output.numel() * output.element_size()
    if isinstance(output, Mapping):
        return sum(bytes_of(one) for one in output.values())
    return sum(bytes_of(one) for one in output) if isinstance(output, (tuple, list)) else 0


# ---- The table

def rows_of(model: Module, calls: Calls) -> list[LayerSummary]:
    owner: dict[int, str] = {}      # id of a parameter -> the first module that holds it itself
    for name, module in model.named_modules():
        for x in module.parameters(recurse=False):
            owner.setdefault(id(x), name)
    rows = []
    for name, module in model.named_modules():
        row = LayerSummary(name, type(module).__name__, name.count(".") + 1 if name else 0)
        row.is_leaf = next(module.children(), None) is None
        for x in module.parameters():
            if not is_lazy(x):
                add_parameter(row, x, inside=not name or f"{owner[id(x)]}.".startswith(f"{name}."))
        outputs = calls.outputs.get(module, [])
        row.calls = len(outputs)
        if outputs:
            row.output_shape, row.output_bytes = outputs[-1][0], sum(nbytes for _, nbytes in outputs)
        row.macs, row.flops = calls.launches.cost(calls.spans.get(module, []))
        rows.append(row)
    return rows


def add_parameter(row: LayerSummary, x: Tensor, inside: bool) -> None:
    row.params += x.numel()
    row.trainable_params += x.numel() if x.requires_grad else 0
    row.param_bytes += x.numel() * x.element_size()
    row.shared_params += 0 if inside else x.numel()
