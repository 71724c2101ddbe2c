"""Images: boxes and regions (`ops`), anchors, matching and grids of points (`anchors`)."""
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydl.vision import anchors as anchors
    from pydl.vision import ops as ops

_LAZY = ("anchors", "ops")


if not TYPE_CHECKING:       # a type checker would take every name to be there
    def __getattr__(name: str) -> object:
        if name in _LAZY:
            return importlib.import_module(f"pydl.vision.{name}")
        raise AttributeError(f"module 'pydl.vision' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
