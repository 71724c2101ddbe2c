"""Plain data as JSON, tensors aside: what a checkpoint keeps beside its tensors.

None, bools, numbers, text, lists, tuples, dicts with such keys, and tensors, which go into a dict of tensors under the name
of the place where they stand. JSON knows no tuples, no keys but text, no infinities; these become objects of one key:
{"$tuple": [...]}, {"$dict": [[key, value], ...]}, {"$float": "inf"}, {"$tensor": "model.weight"}.
"""

import json
import math
from typing import Any

import numpy as np

from pydl.tensor import Tensor

MOST_TEXT = 16 << 20                # bytes of JSON; one million of small lists takes about 60 MB of memory
Tensors = dict[str, Tensor]


class Writer:
    """Makes plain data JSON, and collects the tensors. A tensor that comes twice is kept once."""

    def __init__(self) -> None:
        self.tensors: Tensors = {}
        self.known: dict[tuple, str] = {}

    def plain(self, value: Any, where: str) -> Any:
        """What json.dumps takes. Raises TypeError for what is not plain, naming the place, ValueError for what is nested too deeply."""
        try:
            return self.encoded(value, where)
        except RecursionError:
            raise ValueError(f"{where}: nested too deeply, or inside itself") from None

    def encoded(self, value: Any, where: str) -> Any:
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, Tensor):
            return {"$tensor": self.kept(value, where)}
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"$float": str(float(value))}
        if isinstance(value, list):
            return [self.encoded(item, f"{where}.{i}") for i, item in enumerate(value)]
        if isinstance(value, tuple):
            return {"$tuple": [self.encoded(item, f"{where}.{i}") for i, item in enumerate(value)]}
        if isinstance(value, dict):
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return {key: self.encoded(item, f"{where}.{key}") for key, item in value.items()}
            return {"$dict": [[self.encoded(key, where), self.encoded(item, f"{where}.{key}")] for key, item in value.items()]}
        raise TypeError(f"{where}: expected None, a bool, number, str, list, tuple, dict or tensor, got {type(value).__name__}")

    def kept(self, value: Tensor, where: str) -> str:
        """The name under which the tensor is kept."""
        key = place(value)
        if key not in self.known:
            name, number = where, 1
            while name in self.tensors:
                name, number = f"{where}~{number}", number + 1
            self.known[key] = name
            self.tensors[name] = value
        return self.known[key]


def text_of(plain: Any) -> str:
    """JSON of what Writer.plain made; ValueError if it is too long."""
    text = json.dumps(plain, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    if len(text) > MOST_TEXT:
        raise ValueError(f"{len(text)} characters of plain data, but at most {MOST_TEXT} are allowed; make tensors of long lists")
    return text


def place(tensor: Any) -> tuple:
    """Equal for tensors that are the same elements in the same order."""
    if not isinstance(tensor, Tensor) or not tensor.numel():
        return (id(tensor),)
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def read_plain(text: str, tensors: Tensors, where: str) -> Any:
    """What Writer.plain was given. Raises ValueError for anything that it does not write."""
    if len(text) > MOST_TEXT:
        raise ValueError(f"{where}: {len(text)} characters of plain data, at most {MOST_TEXT} are allowed")
    try:
        return decoded(json.loads(text, parse_constant=refuse_constant), tensors, where)
    except RecursionError:
        raise ValueError(f"{where}: nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON: {error}") from None


def decoded(value: Any, tensors: Tensors, where: str) -> Any:
    if isinstance(value, list):
        return [decoded(item, tensors, where) for item in value]
    if not isinstance(value, dict):
        return value
    tag = next(iter(value), "")
    if len(value) != 1 or not tag.startswith("$"):
        return {key: decoded(item, tensors, where) for key, item in value.items()}
    content = value[tag]
    if tag == "$tensor" and isinstance(content, str):
        if content not in tensors:
            raise ValueError(f"{where}: there is no tensor {content!r}")
        return tensors[content]
    if tag == "$float" and content in ("inf", "-inf", "nan"):
        return float(content)
    if tag == "$tuple" and isinstance(content, list):
        return tuple(decoded(item, tensors, where) for item in content)
    if tag == "$dict" and isinstance(content, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in content):
        pairs = [(decoded(key, tensors, where), decoded(item, tensors, where)) for key, item in content]
        try:
            return dict(pairs)
        except TypeError as error:
            raise ValueError(f"{where}: {error}") from None
    raise ValueError(f"{where}: unexpected {tag}")


def refuse_constant(text: str) -> Any:
    raise ValueError(f"not JSON: {text}")
