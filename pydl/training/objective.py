"""The loss of a batch, and the means over the batches of an epoch."""

import copy
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pydl.nn import CrossEntropyLoss, Module, NLLLoss
from pydl.nn.functional import cross_entropy, nll_loss
from pydl.tensor import Tensor, float64, from_numpy
from pydl.training.batches import Batch, size_of

LABELLED = (CrossEntropyLoss, NLLLoss, cross_entropy, nll_loss)     # means over labels, which may be ignored or weighted by class


class Objective:
    """A loss function, and how it takes a weight for each example.

    One with reduction "none" inside, a module of pydl.nn or a function with `reduction=`, is weighted here: sum(w * l) / sum(w),
    or sum(w * l) for reduction "sum". Any other is called as loss(output, target, weight). What is bound by functools.partial, or a
    default, is seen; what a function does inside is not: it is taken for a mean over examples.
    """

    def __init__(self, loss: Any) -> None:
        if not callable(loss) or isinstance(loss, type):
            hint = f"; did you mean {loss.__name__}()?" if isinstance(loss, type) else ""
            raise TypeError(f"Trainer: loss: expected a function of (output, target), got {described_type(loss)}{hint}")
        self.loss = loss
        self.settings = settings_of(loss)
        reduction = self.settings.get("reduction")
        if reduction == "none":
            raise ValueError("Trainer: loss: expected a loss of one number, got one with reduction='none'; use 'mean' or 'sum'")
        self.summed = reduction == "sum"
        self.labelled = not self.summed and (isinstance(loss, LABELLED[:2]) or innermost(loss) in LABELLED[2:])
        self.single: Callable[[Any, Any], Tensor] | None = None       # a loss for each example
        if isinstance(loss, Module) and reduction is not None:
            self.single = copy.copy(loss)
            self.single.reduction = "none"
        elif not isinstance(loss, Module) and "reduction" in options_of(loss):
            self.single = lambda output, target: loss(output, target, reduction="none")

    def __call__(self, output: Any, batch: Batch) -> Tensor:
        """The loss of a batch, a tensor of one number."""
        if batch.weight is None:
            value = self.loss(output, batch.target)
        elif self.single is None:
            value = self.loss(output, batch.target, batch.weight)
        else:
            value = self.weighted(self.single(output, batch.target), batch.weight, batch.size)
        if not isinstance(value, Tensor):
            raise TypeError(f"Trainer: the loss returned a {type(value).__name__}, expected a tensor of one number")
        if value.numel() != 1:
            raise ValueError(f"Trainer: the loss returned a tensor of shape {tuple(value.shape)}, expected one number; "
                             "use reduction='mean', or take the mean()")
        return value

    def share(self, batch: Batch) -> float:
        """What a batch counts in a mean: its examples, or where the loss is a mean over labels, those that are not ignored, each by
        the weight of its class; 0 where there are none, and the loss is NaN."""
        target = batch.target
        if not self.labelled or batch.weight is not None or not isinstance(target, Tensor) or target.dtype.is_floating_point:
            return batch.size
        weight, counts = self.settings.get("weight"), target != self.settings["ignore_index"]
        if weight is None:
            return int(counts.sum().item())
        return float(weight.detach().to(float64)[target[counts].long()].sum().item())

    def weighted(self, each: Tensor, weight: Tensor, count: Tensor | float) -> Tensor:
        if each.dim() == 0 or len(each) != len(weight):
            raise ValueError(f"Trainer: weight: expected one number an example, got {len(weight)} weights for losses of shape "
                             f"{tuple(each.shape)}")
        total = (each.reshape(len(weight), -1).mean(1) * weight.to(each.dtype)).sum()
        return total if self.summed else total / (count.to(total.dtype) if isinstance(count, Tensor) else count)


def described_type(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def settings_of(loss: Any) -> dict[str, Any]:
    """The attributes of a loss that is an object, or the options of a function."""
    if isinstance(loss, Module) or hasattr(loss, "reduction"):
        return {name: getattr(loss, name) for name in ("reduction", "weight", "ignore_index") if hasattr(loss, name)}
    return options_of(loss)


def options_of(function: Any) -> dict[str, Any]:
    """Name -> default of each parameter, or what functools.partial bound in its place."""
    try:
        return {name: one.default for name, one in inspect.signature(function).parameters.items()}
    except (TypeError, ValueError):         # built in, without a signature
        return {}


def innermost(function: Any) -> Any:
    """The function that functools.partial was given."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


class MeanOf:
    """A function of (output, target) as a metric: the mean over the batches, by their sizes."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        self.function = function
        self.reset()

    def reset(self) -> None:
        self.total, self.count = 0.0, 0

    def update(self, output: Any, target: Any) -> None:
        size = size_of(target) or 1
        self.total += float(self.function(output, target)) * size
        self.count += size

    def compute(self) -> float:
        return self.total / self.count

    def state_dict(self) -> dict[str, Any]:
        return {"total": self.total, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.total, self.count = float(state["total"]), int(state["count"])


def metrics_of(given: Any) -> dict[str, Any]:
    """Name -> something with reset, update(output, target) and compute, of a dict or a list of metrics."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise TypeError(f"Trainer: metrics: expected a dict of names to metrics, got {type(given).__name__}")
        names = [str(getattr(one, "name", None) or getattr(one, "__name__", type(one).__name__)) for one in given]
        if len(set(names)) < len(names):
            raise ValueError(f"Trainer: metrics: the names {', '.join(names)} are not different; use a dict")
        given = dict(zip(names, given, strict=True))
    return {name: metric_of(name, one) for name, one in given.items()}


def metric_of(name: Any, metric: Any) -> Any:
    if not isinstance(name, str) or name in ("loss", "epoch", "step", "lr", "seconds") or name.startswith("val_"):
        raise ValueError(f"Trainer: metrics: {name!r} cannot be the name of a metric")
    if isinstance(metric, type):
        raise TypeError(f"Trainer: metrics: {name}: expected a metric, got the class; did you mean {metric.__name__}()?")
    if all(callable(getattr(metric, method, None)) for method in ("reset", "update", "compute")):
        return metric
    if callable(metric):
        return MeanOf(metric)
    raise TypeError(f"Trainer: metrics: {name}: expected a metric of pydl.metrics or a function of (output, target), "
                    f"got {type(metric).__name__}")


class Averages:
    """The mean loss of an epoch's batches, each by what it counts, and the metrics of all their examples."""

    def __init__(self, metrics: Mapping[str, Any]) -> None:
        self.metrics = {name: copy.deepcopy(metric) for name, metric in metrics.items()}
        self.reset()

    def reset(self) -> None:
        self.total = self.count = 0.0
        for metric in self.metrics.values():
            metric.reset()

    def add(self, loss: float, count: float) -> None:
        """The sum of the losses of examples that count so much."""
        self.total += loss
        self.count += count

    def update(self, output: Any, target: Any) -> None:
        for name, metric in self.metrics.items():
            try:
                metric.update(output, target)
            except (TypeError, ValueError) as error:
                error.add_note(f"(in the metric {name!r} of the Trainer)")
                raise

    def results(self) -> dict[str, Any]:
        """Numbers, and lists of them."""
        found = {"loss": self.total / self.count if self.count else math.nan}
        for name, metric in self.metrics.items():
            value = metric.compute()
            found[name] = value.tolist() if isinstance(value, (np.ndarray, np.generic, Tensor)) else value
        return found

    def state_dict(self) -> dict[str, Any]:
        return {"total": self.total, "count": self.count,
                "metrics": {name: metric_state(name, metric) for name, metric in self.metrics.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if not isinstance(state, dict) or not isinstance(state.get("metrics"), dict):
            raise ValueError("expected the means of an epoch that had begun")
        if state["metrics"].keys() != self.metrics.keys():
            raise ValueError(f"the metrics were {', '.join(state['metrics']) or 'none'}, and are {', '.join(self.metrics) or 'none'} now")
        self.total, self.count = float(state["total"]), float(state["count"])
        for name, metric in self.metrics.items():
            load_metric(name, metric, state["metrics"][name])


def metric_state(name: str, metric: Any) -> dict[str, Any]:
    """What a metric has gathered, for a checkpoint in the middle of an epoch: its attributes, unless it has a state_dict."""
    if hasattr(metric, "state_dict"):
        return metric.state_dict()
    return {key: stored(value) for key, value in vars(metric).items()}


def load_metric(name: str, metric: Any, state: Any) -> None:
    if not isinstance(state, dict):
        raise ValueError(f"metric {name}: expected its state, got a {type(state).__name__}")
    if hasattr(metric, "state_dict"):
        metric.load_state_dict(state)
    elif state.keys() != vars(metric).keys():
        raise ValueError(f"metric {name}: the state holds {', '.join(state)}, but {type(metric).__name__} has {', '.join(vars(metric))}")
    else:
        vars(metric).update((key, restored(value)) for key, value in state.items())


def stored(value: Any) -> Any:
    """Arrays as tensors, which a checkpoint takes."""
    if isinstance(value, np.ndarray):
        return {"array": from_numpy(value.copy())}
    return [stored(one) for one in value] if isinstance(value, list) else value


def restored(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"array"} and isinstance(value["array"], Tensor):
        return value["array"].numpy().copy()
    return [restored(one) for one in value] if isinstance(value, list) else value
