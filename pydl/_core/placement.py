"""Where tensors lie, and how: the words of PyTorch for it, of which there is one each."""
from __future__ import annotations

from typing import Any


class device:  # noqa: N801 - PyTorch's name
    """The place of a tensor: `device("cpu")`, the only one. Equal to the string "cpu".

    Raises ValueError for any other.
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: str | device = "cpu", index: int | None = None) -> None:
        if isinstance(type, device):
            index = type.index if index is None else index
            type = type.type
        if not isinstance(type, str):
            raise TypeError(f"device: expected 'cpu', got {type!r}")
        if type == "cpu:0":
            type, index = "cpu", 0
        if type != "cpu" or index not in (None, 0):
            raise ValueError(f"device: the only device is 'cpu', got {type!r}{'' if index is None else f' {index}'}")
        self.type, self.index = type, index

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type={self.type!r}{'' if self.index is None else f', index={self.index}'})"

    def __eq__(self, other: object) -> bool:
        return str(self) == (other if isinstance(other, str) else str(other)) if isinstance(other, (str, device)) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple:
        return device, (self.type, self.index)

    def __enter__(self) -> device:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class Word:
    """A constant that only stands for its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"pydl.{self.name}"

    def __reduce__(self) -> str:
        return self.name


class layout(Word):  # noqa: N801 - PyTorch's name
    """How the elements of a tensor lie: `pydl.strided`, always."""


class memory_format(Word):  # noqa: N801 - PyTorch's name
    """The order of the elements of a copy: `pydl.contiguous_format`, or `pydl.preserve_format`, which is the same here."""


CPU = device("cpu")
strided = layout("strided")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")


def check_device(op: str, given: Any) -> None:
    """ValueError for a device that is not there, TypeError for what names none."""
    if given is None or isinstance(given, device):
        return
    if not isinstance(given, str):
        raise TypeError(f"{op}: device must be 'cpu', got {given!r}")
    if given not in ("cpu", "cpu:0"):
        raise ValueError(f"{op}: the only device is 'cpu', got {given!r}")


def check_placement(op: str, device: Any, layout: Any, pin_memory: Any) -> None:
    """Accepts the words for what every tensor is; ValueError for others."""
    check_device(op, device)
    if layout is not None and layout is not strided:
        raise ValueError(f"{op}: the only layout is pydl.strided, got {layout!r}")
    if pin_memory:
        raise ValueError(f"{op}: pin_memory must be False: there is no other device to copy to")


def check_format(op: str, given: Any) -> None:
    """ValueError for a memory format other than contiguous and preserve."""
    if given is not None and not isinstance(given, memory_format):
        raise ValueError(f"{op}: memory_format must be pydl.contiguous_format or pydl.preserve_format, got {given!r}")
