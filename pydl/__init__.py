"""pydl: deep learning for the CPU, with PyTorch's names."""
from pydl import autograd, nn, ops, optim, random, testing
from pydl import tensor as _binding
from pydl._core.create import (
    arange, empty, empty_like, eye, full, full_like, linspace, ones, ones_like, tensor, zeros, zeros_like,
)
from pydl._core.dlpack import from_dlpack
from pydl._core.numpy_bridge import as_tensor, from_numpy
from pydl._core.tensor import Tensor, bool, dtype, float32, float64, int32, int64, uint8
from pydl.autograd import (
    enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad, set_grad_enabled,
)
