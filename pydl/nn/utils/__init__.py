"""Work on a model's parameters: clipping gradients, parameters as one vector, parametrizations, fusion for inference."""
import importlib
from typing import TYPE_CHECKING

from pydl.nn.utils.gradients import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)

if TYPE_CHECKING:
    from pydl.nn.utils import fusion, parametrizations, parametrize, stateless
    from pydl.nn.utils.folding import fuse
    from pydl.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights, fuse_linear_bn_eval, fuse_linear_bn_weights
    from pydl.nn.utils.old_weight_norm import remove_weight_norm, weight_norm

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "fuse", "fuse_conv_bn_eval", "fuse_conv_bn_weights",
    "fuse_linear_bn_eval", "fuse_linear_bn_weights", "fusion", "get_total_norm", "parameters_to_vector", "parametrizations",
    "parametrize", "remove_weight_norm", "stateless", "vector_to_parameters", "weight_norm",
]


def __getattr__(name: str) -> object:
    """Loads what is not always used when it is first named."""
    if name in ("fusion", "parametrizations", "parametrize", "stateless"):
        return importlib.import_module(f"pydl.nn.utils.{name}")
    if name.startswith("fuse") and name in __all__:
        return getattr(importlib.import_module(f"pydl.nn.utils.{'folding' if name == 'fuse' else 'fusion'}"), name)
    if name in ("remove_weight_norm", "weight_norm"):
        return getattr(importlib.import_module("pydl.nn.utils.old_weight_norm"), name)
    raise AttributeError(f"module 'pydl.nn.utils' has no attribute {name!r}")
