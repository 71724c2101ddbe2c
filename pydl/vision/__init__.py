"""Pictures: reading them, data sets of them, transforms that carry boxes and masks along, and drawing. Submodules are loaded when named."""
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydl.vision import datasets, draw, images, transforms

_LAZY = (
    "datasets",
    "draw",
    "images",
    "transforms",
)

if not TYPE_CHECKING:       # a type checker would take every name to be there
    def __getattr__(name: str) -> object:
        if name in _LAZY:
            return importlib.import_module(f"pydl.vision.{name}")
        raise AttributeError(f"module 'pydl.vision' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
