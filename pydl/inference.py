"""A model as ONNX Runtime's users call one: session.run(None, {"x": array}) -> [array]."""
from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pydl.autograd import inference_mode
from pydl.nn import Module
from pydl.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d
from pydl.plans import capture
from pydl.tensor import Tensor, from_numpy

if TYPE_CHECKING:
    from pydl.nn.utils.folding import Folds

__all__ = ["InferenceSession", "NodeArg"]

NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)


class NodeArg(NamedTuple):
    """An input or output."""

    name: str


class InferenceSession:
    """A captured model that takes NumPy arrays by name and returns NumPy arrays: a thin layer over pydl.capture.

    model: a Module in evaluation mode, or a function of tensors that returns a tensor, or a tuple, list or dict of them. Its inputs are
    named as its parameters are; outputs by the keys of a dict, else output_0, output_1 ... Each kind of shapes and types is recorded at
    its first run and replayed from then on; weights are read where they are, so that those trained on later are used. Runs from several
    threads take turns. What cannot be captured runs eagerly, with one warning.

    fuse: batch normalisations are folded into the convolutions and Linears before them, where the inputs of the first run show that this
    is right, as nn.utils.fuse(model, *inputs) does (that run takes a few more); outputs then differ from the model's by rounding, with
    fuse=False by nothing. Folded parameters and statistics that change are folded anew; other changes of the modules are not followed.

    Raises ValueError for a module in training mode and for names that do not fit, TypeError for what is no array or no tensor.

    >>> import numpy as np, pydl
    >>> model = pydl.nn.Sequential(pydl.nn.Linear(3, 2), pydl.nn.Softmax(-1)).eval()
    >>> session = pydl.InferenceSession(model)
    >>> (y,) = session.run(None, {"input": np.ones((5, 3), np.float32)})
    >>> y.shape, bool(np.allclose(y.sum(1), 1))
    ((5, 2), True)
    """

    def __init__(self, model: Callable[..., Any], *, fuse: bool = True) -> None:
        if not callable(model):
            raise TypeError(f"InferenceSession: expected a Module or a function, got {type(model).__name__}")
        if isinstance(model, Module) and any(module.training for module in model.modules()):
            raise ValueError("InferenceSession: the model is in training mode; call model.eval() first")
        parameters = inspect.signature(model.forward if isinstance(model, Module) else model).parameters.values()
        if any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL, p.KEYWORD_ONLY) for p in parameters):
            raise TypeError("InferenceSession: expected a model whose inputs are named parameters, without * and **")
        self._names = [p.name for p in parameters]
        self._needed = [p.name for p in parameters if p.default is p.empty]
        self._outputs: list[str] = []
        self._run = capture(model, fallback="eager")
        self._folds: Folds | None = None
        self._to_fuse = model if fuse and isinstance(model, Module) and any(isinstance(m, NORMS) for m in model.modules()) else None
        self._lock = threading.Lock()

    def get_inputs(self) -> list[NodeArg]:
        """The inputs, in order."""
        return list(map(NodeArg, self._names))

    def get_outputs(self) -> list[NodeArg]:
        """The outputs of the last run, in order: none before the first."""
        return list(map(NodeArg, self._outputs))

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, Any]) -> list[np.ndarray]:
        """The outputs of these names, in that order (None: all), as arrays of their own. input_feed: name -> array or Tensor."""
        arguments = self._arguments(input_feed)
        with self._lock, inference_mode():
            if self._to_fuse is not None:
                self._fuse(self._to_fuse, arguments)
            if self._folds is not None:
                self._folds.refresh()
            result = self._run(*arguments)
            named = dict(result) if isinstance(result, dict) else {
                f"output_{i}": one for i, one in enumerate(result if isinstance(result, (tuple, list)) else (result,))}
            self._outputs = list(named)
            wanted = self._outputs if output_names is None else list(output_names)
            for name in wanted:
                if name not in named:
                    raise ValueError(f"InferenceSession: there is no output {name!r}; there are {', '.join(self._outputs)}")
            return [_array(name, named[name]) for name in wanted]

    def _fuse(self, model: Module, arguments: list[Tensor]) -> None:
        from pydl.nn.utils.folding import Folds

        try:
            folds = Folds(model, arguments)
        except Exception:       # the run itself says what is wrong with the arguments, and another one may be right
            return
        self._to_fuse = None
        if folds.found:
            self._folds, self._run = folds, capture(folds.copy, fallback="eager")

    def _arguments(self, feed: Mapping[str, Any]) -> list[Tensor]:
        unknown, missing = [n for n in feed if n not in self._names], [n for n in self._needed if n not in feed]
        if unknown or missing:
            raise ValueError(f"InferenceSession: expected the inputs {', '.join(self._names)}, got {', '.join(map(repr, feed)) or 'none'}")
        given = [name for name in self._names if name in feed]
        if given != self._names[:len(given)]:
            raise ValueError(f"InferenceSession: input {given[-1]!r} is given, but one before it is not")
        return [_tensor(name, feed[name]) for name in given]


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"InferenceSession: input {name!r}: expected an array or a Tensor, got {type(value).__name__}")
    return from_numpy(value if value.flags.writeable else value.copy())


def _array(name: str, value: Any) -> np.ndarray:
    if not isinstance(value, Tensor):
        raise TypeError(f"InferenceSession: output {name!r}: expected a Tensor, got {type(value).__name__}")
    return np.array(value.detach().numpy())
