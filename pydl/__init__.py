"""pydl: deep learning for the CPU, with PyTorch's names.

    import pydl
    from pydl import nn, optim

    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = optim.Adam(model.parameters())
    loss = nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
"""
import importlib
from math import e, inf, nan, pi
from typing import TYPE_CHECKING

from pydl import autograd, ops
from pydl import tensor as _binding
from pydl._core.create import (
    arange,
    empty,
    empty_like,
    eye,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from pydl._core.dlpack import from_dlpack
from pydl._core.limits import finfo, iinfo
from pydl._core.native import available_isas, current_isa
from pydl._core.numpy_bridge import as_tensor, from_numpy
from pydl._core.placement import contiguous_format, device, layout, memory_format, preserve_format, strided
from pydl._core.tensor import Tensor
from pydl._core.dtypes import (
    bool,
    can_cast,
    dtype,
    float32,
    float64,
    get_default_dtype,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from pydl._core.dtypes import float32 as float
from pydl._core.dtypes import float64 as double
from pydl._core.dtypes import int32 as int
from pydl._core.dtypes import int64 as long
from pydl.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from pydl.ops import *
from pydl.random import Generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from pydl.tensor import asarray, set_printoptions
from pydl.threads import (
    empty_cache,
    get_num_threads,
    memory_stats,
    reset_peak_memory_stats,
    set_num_threads,
    threads,
)

_binding.bind()
newaxis = None

from pydl import data, nn, optim, testing
from pydl.version import __version__

if TYPE_CHECKING:
    from pydl import func, io, linalg, metrics, plans, profiler, special, training, vision
    from pydl.nn.summary import summary
    from pydl.inference import InferenceSession
    from pydl.plans import CaptureError, capture
    from pydl.profiler import profile

# Not every program needs them: loaded when first named.
_LAZY = ("func", "io", "linalg", "metrics", "plans", "profiler", "special", "training", "vision")
_LAZY_FUNCTIONS = {"CaptureError": "pydl.plans", "InferenceSession": "pydl.inference", "capture": "pydl.plans", "profile": "pydl.profiler",
                   "summary": "pydl.nn.summary"}


if not TYPE_CHECKING:       # a type checker would take every name to be there
    def __getattr__(name: str) -> object:
        if name in _LAZY:
            return importlib.import_module(f"pydl.{name}")
        if name in _LAZY_FUNCTIONS:
            return getattr(importlib.import_module(_LAZY_FUNCTIONS[name]), name)
        raise AttributeError(f"module 'pydl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY_FUNCTIONS})
