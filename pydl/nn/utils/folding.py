"""fuse: a copy of a model for inference, whose convolutions do what batch normalisations and activations behind them did."""
from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pydl import ops
from pydl.autograd import no_grad
from pydl.nn.activations import ReLU, Sigmoid, SiLU, Tanh
from pydl.nn.containers import Sequential
from pydl.nn.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from pydl.nn.linear import Identity, Linear
from pydl.nn.module import Module
from pydl.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d
from pydl.nn.utils.fusion import fuse_conv_bn_weights
from pydl.tensor import Tensor, from_numpy

NORMS: dict[type, type] = {Linear: BatchNorm1d, Conv1d: BatchNorm1d, ConvTranspose1d: BatchNorm1d, Conv2d: BatchNorm2d,
                           ConvTranspose2d: BatchNorm2d, Conv3d: BatchNorm3d, ConvTranspose3d: BatchNorm3d}
ACTIVATIONS: dict[type, str] = {ReLU: "relu", SiLU: "silu", Sigmoid: "sigmoid", Tanh: "tanh"}
ACTIVATED = (Conv1d, Conv2d, Conv3d)
SAME = 1e-3     # of the largest output: what a wrong fold changes is far larger, what rounding changes far smaller


class Fold(NamedTuple):
    """Names of modules: a layer, and what follows it and is done by it."""

    layer: str
    norm: str | None
    activation: str | None


class Folded(Identity):
    """In place of a batch normalisation: it checks what that one would have checked, or what its meaning depends on."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim != self.dims:
            raise ValueError(f"fuse: expected {self.dims} dimensions where the batch normalisation was, got shape {tuple(input.shape)}")
        return input


def fuse(model: Module, *example: Any) -> Module:
    """A copy of the model, in evaluation mode, with every batch normalisation folded into the convolution or Linear before it, and
    activations (ReLU, SiLU, Sigmoid, Tanh) done by the convolutions before them.

    Without an example a layer is folded with those that follow it in a Sequential, which must be called as a whole. With an example, the
    arguments of one call, the model runs: a layer is folded where its output went into one batch normalisation and nowhere else, however
    modules are nested, and then a copy with other statistics must give the same outputs with and without the folds; what does not is left
    as it is. So are modules that stand in two places, have hooks, parametrizations or no running statistics. Outputs differ by
    rounding. A BatchNorm1d was folded for inputs (N, C) behind a Linear, (N, C, L) behind a convolution: others are refused when the copy
    runs. Raises ValueError in training mode.

    >>> import pydl
    >>> from pydl import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()).eval()
    >>> nn.utils.fuse(net)
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), activation=relu)
      (1): Folded()
      (2): Identity()
    )
    """
    if not isinstance(model, Module):
        raise TypeError(f"fuse: expected a Module, got {type(model).__name__}")
    if any(module.training for module in model.modules()):
        raise ValueError("fuse: the model is in training mode; call model.eval() first")
    return folded(model, find_folds(model, example) if example else list(in_order(model)))


# ---- Which modules

def has_hooks(module: Module) -> bool:
    return module._hooks is not None and any(map(module._hooks.of, ("forward_pre", "forward", "backward_pre", "backward")))


def single(model: Module) -> dict[Module, str]:
    """Modules that stand in one place, and have no hooks, by name."""
    names: dict[Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    return {module: found[0] for module, found in names.items() if len(found) == 1 and not has_hooks(module)}


def fits(layer: Any, norm: Any) -> bool:
    kind: type = type(norm)
    if NORMS.get(type(layer)) is not kind or norm.running_mean is None or norm.running_var is None:
        return False
    channels = layer.out_features if isinstance(layer, Linear) else layer.out_channels
    return channels == norm.num_features and getattr(layer, "_activation", None) is None


def in_order(model: Module) -> Iterator[Fold]:
    """From the order of Sequentials."""
    there = single(model)
    for row in model.modules():
        if not isinstance(row, Sequential) or type(row).forward is not Sequential.forward:
            continue
        modules = list(row)
        for i, layer in enumerate(modules):
            if layer not in there or type(layer) not in NORMS:
                continue
            rest = [module for module in modules[i + 1:i + 3] if module in there]
            norm = rest.pop(0) if rest and rest[0] is modules[i + 1] and fits(layer, rest[0]) else None
            then = modules[i + 1 + (norm is not None):][:1]
            act = then[0] if then and then[0] in there and can_do(layer, then[0]) else None
            if norm is not None or act is not None:
                yield Fold(there[layer], there[norm] if norm is not None else None, there[act] if act is not None else None)


def can_do(layer: Any, activation: Module) -> bool:
    return type(layer) in ACTIVATED and layer._activation is None and type(activation) in ACTIVATIONS


def find_folds(model: Module, example: Sequence[Any], activations: bool = True) -> list[Fold]:
    """From one run, and held against further ones."""
    found = list(traced(model, example, activations))
    if found and not agrees(model, found, example):
        found = [fold for fold in found if agrees(model, [fold], example)]
        found = found if found and agrees(model, found, example) else []
    return found


def traced(model: Module, example: Sequence[Any], activations: bool) -> Iterator[Fold]:
    model = copy.deepcopy(model)
    there = single(model)
    calls: list[tuple[Module, tuple[Any, ...], Any]] = []       # they hold the tensors, so that none gets the place of another
    handles = [module.register_forward_hook(lambda module, inputs, output: calls.append((module, inputs, output)))
               for module in model.modules() if next(module.children(), None) is None]
    try:
        with no_grad():
            model(*copy.deepcopy(tuple(example)))
    finally:
        for handle in handles:
            handle.remove()
    outputs = {module: output for module, _, output in calls}
    counts = {module: sum(one is module for one, _, _ in calls) for module in outputs}

    def reader(of: Module) -> Any:
        """The one module that is called with its output."""
        readers = []
        for module, inputs, output in calls:
            if any(x is outputs[of] for x in inputs):
                readers.append(module)
                if output is outputs[of]:       # written over: later ones read what this one made of it
                    break
        return readers[0] if len(readers) == 1 and readers[0] in there and counts[readers[0]] == 1 else None

    for layer in outputs:
        if type(layer) not in NORMS or layer not in there or counts[layer] != 1:
            continue
        norm = reader(layer)
        if norm is None or not fits(layer, norm) or outputs[layer].ndim != BATCHED[type(layer)]:
            norm = None
        act = reader(norm or layer) if activations else None
        if act is not None and not can_do(layer, act):
            act = None
        if norm is not None or act is not None:
            yield Fold(there[layer], there.get(norm) if norm is not None else None, there.get(act) if act is not None else None)


BATCHED = {kind: 2 if kind is Linear else kind.dims + 2 for kind in NORMS}      # type: ignore[attr-defined]


# ---- Folding

def fold_into(layer: Any, source: Any, norm: Any) -> None:
    """Gives `layer` the parameters of `source` and `norm` together."""
    new = fuse_conv_bn_weights(source.weight, source.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias,
                               getattr(source, "transposed", False))
    layer.weight, layer.bias = new


def folded(model: Module, folds: Sequence[Fold], shared: bool = False) -> Module:
    """A copy with these folds; shared: its other parameters and buffers are the model's own."""
    mine = copy.deepcopy(model, {id(x): x for x in (*model.parameters(), *model.buffers())} if shared else None)
    for fold in folds:
        layer: Any = mine.get_submodule(fold.layer)
        if fold.norm is not None:
            fold_into(layer, layer, mine.get_submodule(fold.norm))
            mine.set_submodule(fold.norm, Folded(BATCHED[type(layer)]))
        if fold.activation is not None:
            layer._activation = ACTIVATIONS[type(mine.get_submodule(fold.activation))]
            mine.set_submodule(fold.activation, Identity())
    return mine


class Folds:
    """A copy of a model whose folded parameters follow those that they are made of, and whose other ones are the model's."""

    def __init__(self, model: Module, example: Sequence[Any]) -> None:
        self.found = [fold for fold in find_folds(model, example, activations=False) if fold.norm is not None]
        self.copy = folded(model, self.found, shared=True) if self.found else model
        self.parts: list[tuple[Any, Any, Any]] = [
            (self.copy.get_submodule(fold.layer), model.get_submodule(fold.layer), model.get_submodule(fold.norm)) for fold in self.found
            if fold.norm is not None]
        self.seen = [self.versions(*part[1:]) for part in self.parts]

    @staticmethod
    def versions(layer: Any, norm: Any) -> list[Any]:
        """Of the tensors that a fold is made of: what they are, and how often they were written."""
        tensors = (layer.weight, layer.bias, norm.weight, norm.bias, norm.running_mean, norm.running_var)
        return [(x, x._version) if x is not None else None for x in tensors]

    def refresh(self) -> None:
        """Folds anew what has changed."""
        for i, (mine, layer, norm) in enumerate(self.parts):
            now = self.versions(layer, norm)
            if any((a is None) != (b is None) or (a is not None and (a[0] is not b[0] or a[1] != b[1])) for a, b in zip(now, self.seen[i])):
                self.seen[i] = now
                kept = mine.weight, mine.bias
                fold_into(mine, layer, norm)
                with no_grad():
                    for old, new in zip(kept, (mine.weight, mine.bias)):
                        old.copy_(new)
                mine.weight, mine.bias = kept


# ---- Whether it is right

def drawn(rng: np.random.Generator, low: float, high: float, like: Tensor) -> Tensor:
    return from_numpy(rng.uniform(low, high, like.shape)).to(like.dtype)


def shaken(model: Module, folds: Sequence[Fold]) -> Module:
    """A copy with other statistics, so that normalisations which change nothing as they are change something."""
    mine, rng = copy.deepcopy(model), np.random.default_rng(0)
    with no_grad():
        for fold in folds:
            norm: Any = None if fold.norm is None else mine.get_submodule(fold.norm)
            if norm is None:
                continue
            norm.running_mean.add_(drawn(rng, -1, 1, norm.running_mean) * ops.sqrt(norm.running_var))
            norm.running_var.mul_(drawn(rng, 0.5, 2, norm.running_var))
            if norm.weight is not None:
                norm.weight.add_(drawn(rng, 0.5, 1, norm.weight))
            if norm.bias is not None:
                norm.bias.add_(drawn(rng, -1, 1, norm.bias))
    return mine


def agrees(model: Module, folds: Sequence[Fold], example: Sequence[Any]) -> bool:
    """Whether the model with other statistics gives the same floats with and without the folds."""
    mine = shaken(model, folds)
    with no_grad():
        before, after = (list(floats(one(*copy.deepcopy(tuple(example))))) for one in (mine, folded(mine, folds)))
    if len(before) != len(after) or not any(a.size for a in before):
        return False
    return all(a.shape == b.shape and np.isfinite(a).all() and np.abs(a - b).max(initial=0) <= SAME * np.abs(a).max(initial=0)
               for a, b in zip(before, after))


def floats(output: Any) -> Iterator[np.ndarray]:
    if isinstance(output, Tensor) and output.is_floating_point():
        yield output.detach().numpy()
    elif isinstance(output, Mapping):
        yield from floats(list(output.values()))
    elif isinstance(output, (tuple, list)):
        for one in output:
            yield from floats(one)
