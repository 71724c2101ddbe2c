"""From what a user has, arrays, a data set or a loader, to batches; and what a batch consists of."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pydl import ops
from pydl.data import DataLoader, Dataset, TensorDataset
from pydl.data.gathering import joined
from pydl.random import Generator
from pydl.tensor import Tensor, dtype, from_numpy

FORMS = "expected a DataLoader, a Dataset, a tuple of arrays or tensors, or another iterable of batches"
Unpack = Callable[[Any], Any] | None


class Batch(NamedTuple):
    """What the model is given, what it should say, a weight for each example, and what the batch counts in a mean: a number, which
    inside a captured step is a tensor, and without weights unknown."""

    inputs: Any
    target: Any
    weight: Tensor | None
    size: Any


class Columns(Dataset):
    """Arrays of the same length in tuples and dicts of any depth: sample i is the same structure of their rows i."""

    def __init__(self, structure: Any, leaves: Sequence[Tensor]) -> None:
        self.structure, self.rows = structure, TensorDataset(*leaves)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return refilled(self.structure, iter(self.rows[index]))

    def gather(self, indices: Tensor) -> Any:
        """indices (B,) int64 -> a batch."""
        return refilled(self.structure, iter(self.rows.gather(indices)))


def in_memory(data: Any, batch_size: int, shuffle: bool) -> DataLoader:
    return DataLoader(data, batch_size, shuffle, generator=None if shuffle else Generator())


def loader_of(caller: str, data: Any, batch_size: int, shuffle: bool, model_type: dtype | None) -> Iterable[Any]:
    """An iterable of batches. NumPy arrays of floats in a tuple get the model's type; tensors stay as they are.

    What is not shuffled leaves the default generator as it is.
    """
    if all_arrays(data):
        leaves: list[Tensor] = []
        collect(caller, data, leaves, model_type)
        return in_memory(Columns(data, leaves), batch_size, shuffle)
    if isinstance(data, Dataset) or (hasattr(data, "__getitem__") and hasattr(data, "__len__") and not hasattr(data, "__iter__")):
        # A data set that can only be gone through has an order of its own.
        return in_memory(data, batch_size, shuffle and not hasattr(data, "__iter__"))
    if not isinstance(data, Iterable) or isinstance(data, (str, bytes, Mapping)):
        raise TypeError(f"{caller}: data: {FORMS}, got {type(data).__name__}")
    return data


def all_arrays(value: Any) -> bool:
    """Whether tuples and dicts of any depth hold nothing but arrays, at least one. A list is a list of batches."""
    if isinstance(value, (Tensor, np.ndarray)):
        return True
    members = list(value.values()) if isinstance(value, Mapping) else value
    return isinstance(members, (tuple, list)) and not isinstance(value, list) and bool(members) and all(map(all_arrays, members))


def collect(caller: str, value: Any, leaves: list[Tensor], model_type: dtype | None) -> None:
    """Adds the arrays of a structure, in order, as tensors."""
    if isinstance(value, Tensor):
        leaves.append(value)
    elif isinstance(value, np.ndarray):
        if value.dtype == object:
            raise TypeError(f"{caller}: data: expected an array of numbers, got one of Python objects (shape {value.shape})")
        tensor = from_numpy(value)
        leaves.append(tensor.to(model_type) if model_type is not None and tensor.dtype.is_floating_point else tensor)
    else:
        for one in value.values() if isinstance(value, Mapping) else value:
            collect(caller, one, leaves, model_type)


def refilled(structure: Any, leaves: Any) -> Any:
    """The structure, with other leaves."""
    if isinstance(structure, (Tensor, np.ndarray)):
        return next(leaves)
    if isinstance(structure, Mapping):
        return {key: refilled(one, leaves) for key, one in structure.items()}
    return tuple(refilled(one, leaves) for one in structure)


def length_of(loader: Any) -> int | None:
    """How many batches there will be, if the loader knows."""
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None


def tensors(value: Any) -> Any:
    """The same, with arrays as tensors."""
    if isinstance(value, np.ndarray):
        return from_numpy(value)
    if isinstance(value, Mapping):
        return {key: tensors(one) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(tensors(one) for one in value)
    return value


def batch_of(caller: str, batch: Any, unpack: Unpack) -> Batch:
    """(inputs, target) or (inputs, target, weight) of what a loader gave."""
    parts = batch if unpack is None else unpack(batch)
    if not isinstance(parts, (tuple, list)) or len(parts) not in (2, 3):
        got = f"{len(parts)} parts" if isinstance(parts, (tuple, list)) else type(parts).__name__
        raise TypeError(f"{caller}: a batch: expected (inputs, target) or (inputs, target, weight), got {got}; "
                        "unpack= makes one of anything else")
    inputs, target = tensors(parts[0]), tensors(parts[1])
    weight = tensors(parts[2]) if len(parts) == 3 else None
    if weight is None:
        return Batch(inputs, target, None, size_of(inputs) or size_of(target) or 1)
    if not isinstance(weight, Tensor) or weight.dim() != 1:
        got = f"shape {tuple(weight.shape)}" if isinstance(weight, Tensor) else type(weight).__name__
        raise ValueError(f"{caller}: weight: expected a tensor (N,) with one number an example, got {got}")
    total = float(weight.sum().item())
    if not total > 0:
        raise ValueError(f"{caller}: weight: expected weights with a sum above 0, got {total}")
    return Batch(inputs, target, weight, total)


def inputs_of(batch: Any, unpack: Unpack) -> Any:
    """What the model is given in predict: the first of a tuple or list, or all that there is."""
    parts = batch if unpack is None else unpack(batch)
    return tensors(parts[0] if isinstance(parts, (tuple, list)) and parts else parts)


def size_of(value: Any) -> int:
    """How many examples: the length of the first tensor that has one; 0 where there is none."""
    if isinstance(value, Tensor):
        return len(value) if value.dim() else 0
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return 0
    return next((size for one in value if (size := size_of(one))), 0)


def call(model: Any, inputs: Any) -> Any:
    """model(**inputs) for a dict, model(*inputs) for a tuple, else model(inputs)."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def outputs_joined(parts: list[Any]) -> Any:
    """The outputs of all batches as one: tensors one after the other, through tuples, lists and dicts."""
    return joined(parts, rows_joined, "predict: expected an output of tensors, got {}")


def rows_joined(parts: Sequence[Any]) -> Tensor:
    if not all(isinstance(part, Tensor) and part.dim() for part in parts):
        raise ValueError("predict: expected an output with a row for each example, got a number")
    return ops.cat([part.detach() for part in parts])
