"""The ops, one file a family; each file holds documentation, shape rule, forward and backward of its ops.

What a family lists in __all__ is in this namespace and, but for INTERNAL, in pydl's; what it lists in METHODS is a method
of Tensor.
"""
import sys
from typing import TYPE_CHECKING

from pydl._core.tape import registry as registry
from pydl.ops.activations import *
from pydl.ops.arithmetic import *
from pydl.ops.arrange import *
from pydl.ops.batches import *
from pydl.ops.bessel import *
from pydl.ops.bounds import *
from pydl.ops.clipping import *
from pydl.ops.compare import *
from pydl.ops.distances import *
from pydl.ops.dropouts import *
from pydl.ops.einsum import *
from pydl.ops.elementwise import *
from pydl.ops.embedding import *
from pydl.ops.extremes import *
from pydl.ops.fused import *
from pydl.ops.fills import *
from pydl.ops.gather import *
from pydl.ops.grids import *
from pydl.ops.index import *
from pydl.ops.join import *
from pydl.ops.likeness import *
from pydl.ops.losses import *
from pydl.ops.margins import *
from pydl.ops.masks import *
from pydl.ops.matmul import *
from pydl.ops.matrices import *
from pydl.ops.moments import *
from pydl.ops.normalization import *
from pydl.ops.operands import *
from pydl.ops.overwriting import *
from pydl.ops.pair_losses import *
from pydl.ops.pairs import *
from pydl.ops.parts import *
from pydl.ops.places import *
from pydl.ops.pointwise import *
from pydl.ops.pool import *
from pydl.ops.pools import *
from pydl.ops.products import *
from pydl.ops.random import *
from pydl.ops.reduce import *
from pydl.ops.relaxed import *
from pydl.ops.running import *
from pydl.ops.scan import *
from pydl.ops.search import *
from pydl.ops.shape import *
from pydl.ops.softmax import *
from pydl.ops.sort import *
from pydl.ops.special import *
from pydl.ops.statistics import *

FAMILIES = tuple(module for name, module in sorted(sys.modules.items()) if name.startswith("pydl.ops.") and hasattr(module, "METHODS"))
METHODS = tuple(name for family in FAMILIES for name in family.METHODS)
INTERNAL = {
    "cauchy_", "exponential_", "fill_diagonal_", "geometric_", "log_normal_", "scatter_extreme",
    "bag_dot", "bag_grad", "bag_sum", "batch_norm", "embedding", "embedding_bag", "norm_of_all", "scale_all",
    "binary_cross_entropy", "box", "box_put", "diagonal_put", "dropout1d", "dropout2d", "dropout3d", "dropout_bwd",
    "gaussian_nll_loss", "getitem", "huber_loss", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss",
    "normalize", "put_back", "setitem", "smooth_l1_loss", "soft_margin_loss", "strided_put", "strided_view", "sum_to",
    "take_batches", "take_rows", "triplet_margin_with_distance_loss", "unfold",
    "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices", "avg_pool2d", "avg_pool3d",
    "fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d", "fractional_max_pool3d_with_indices",
    "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices", "max_unpool1d", "max_unpool2d",
    "max_unpool3d", "elu_", "glu", "gumbel_softmax", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_", "leaky_relu_", "logsigmoid",
    "mish", "overwrite", "relu6", "softmin", "softshrink", "softsign", "tanhshrink",
}
if not TYPE_CHECKING:       # a type checker reads the imports above: it cannot compute this
    __all__ = tuple(name for family in FAMILIES for name in family.__all__ if name not in INTERNAL)
