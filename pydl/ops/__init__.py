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
from pydl.ops.box_pairs import *
from pydl.ops.boxes import *
from pydl.ops.clipping import *
from pydl.ops.compare import *
from pydl.ops.conv import *
from pydl.ops.distance_maps import *
from pydl.ops.distances import *
from pydl.ops.dropouts import *
from pydl.ops.einsum import *
from pydl.ops.elementwise import *
from pydl.ops.embedding import *
from pydl.ops.extremes import *
from pydl.ops.fills import *
from pydl.ops.focal import *
from pydl.ops.fold import *
from pydl.ops.fused import *
from pydl.ops.gather import *
from pydl.ops.grid_sample import *
from pydl.ops.grids import *
from pydl.ops.images import *
from pydl.ops.index import *
from pydl.ops.join import *
from pydl.ops.likeness import *
from pydl.ops.local_response import *
from pydl.ops.losses import *
from pydl.ops.margins import *
from pydl.ops.masks import *
from pydl.ops.matching import *
from pydl.ops.matmul import *
from pydl.ops.matrices import *
from pydl.ops.moments import *
from pydl.ops.normalization import *
from pydl.ops.operands import *
from pydl.ops.overwriting import *
from pydl.ops.padding import *
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
from pydl.ops.region_losses import *
from pydl.ops.relaxed import *
from pydl.ops.resample import *
from pydl.ops.roi import *
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
    "ACTIVATED", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices", "affine_grid",
    "avg_pool2d", "avg_pool3d", "bag_dot", "bag_grad", "bag_sum", "batch_norm", "batched_nms", "binary_cross_entropy", "border_weights",
    "boundary_loss", "box", "box_area", "box_convert", "box_iou", "box_iou_loss", "box_put", "cauchy_", "clip_boxes",
    "clip_boxes_to_image", "columns_to_image", "complete_box_iou", "complete_box_iou_loss", "conv_activated", "conv_weight",
    "diagonal_put", "dice_loss", "distance_box_iou", "distance_box_iou_loss", "distance_transform_edt", "dropout1d", "dropout2d",
    "dropout3d", "dropout_bwd", "elu_", "embedding", "embedding_bag", "exponential_", "fill_diagonal_", "focal_loss",
    "focal_tversky_loss", "fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices", "gaussian_nll_loss", "generalized_box_iou", "generalized_box_iou_loss", "geometric_",
    "getitem", "glu", "grid_sample", "grid_sampled", "grid_sampled_turned", "gumbel_softmax", "hardsigmoid", "hardswish", "hardtanh",
    "hardtanh_", "huber_loss", "instance_norm", "interpolate", "jaccard_loss", "leaky_relu_", "linear_sum_assignment",
    "local_response_norm", "log_normal_", "logsigmoid", "lovasz_hinge_loss", "lovasz_softmax_loss", "lp_pool1d", "lp_pool2d",
    "lp_pool3d", "masks_to_boxes", "match_boxes", "max_pool2d_with_indices", "max_pool3d_with_indices", "max_unpool1d", "max_unpool2d",
    "max_unpool3d", "mish", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "nms", "norm_of_all",
    "normalize", "overwrite", "pad", "pad_turned", "paired_box_iou", "ps_roi_align", "put_back", "relu6", "remove_small_boxes",
    "resample", "resample_turned", "roi_align", "roi_pool", "scale_all", "scatter_extreme", "setitem", "sigmoid_focal_loss",
    "signed_distance_map", "smooth_l1_loss", "soft_margin_loss", "soft_nms", "softmin", "softshrink", "softsign", "strided_put",
    "strided_view", "sum_to", "take_batches", "take_rows", "tanhshrink", "triplet_margin_with_distance_loss", "tversky_loss", "unfold",
    "windows_to_columns",
}
if not TYPE_CHECKING:       # a type checker reads the imports above: it cannot compute this
    __all__ = tuple(name for family in FAMILIES for name in family.__all__ if name not in INTERNAL)
