"""What a launch of each kernel costs: floating-point operations and bytes, from the sizes that it was launched with.

An operation is one addition, multiplication, comparison or function value (`exp` counts as one), a multiply-accumulate counts
as two. Bytes are those that the kernel has to read and write, each once, wherever they come from: caches are not modelled.
Every kernel of csrc/kernels.inc has a line in COSTS or in HOLES.
"""
from __future__ import annotations

from dataclasses import dataclass

from pydl._core import trace


@dataclass(frozen=True)
class Cost:
    """A kernel's rule. geometry: what its items are counted from (csrc/pydl.h). each, line: the bytes of its operands, of
    each item, and of each line, kept element or index; T is the type that it is launched for."""

    geometry: str
    flops: float = 0        # of each item
    each: str = ""
    line: str = ""
    macs: int = 0           # multiply-accumulates of each item: matrix products and their relatives


COSTS: dict[str, Cost] = {}


def rule(kernels: str, cost: Cost) -> None:
    COSTS.update(dict.fromkeys(kernels.split(), cost))


# Elementwise
rule("fill", Cost("map", 0, "T"))
rule("copy", Cost("map", 0, "TT"))
for name, size in (("f32", "4"), ("f64", "8"), ("i64", "8"), ("i32", "4"), ("u8", "1"), ("bool", "1")):
    rule(f"cast_{name}", Cost("map", 0, f"T{size}"))
rule("neg abs sign exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square cube sin cos tan asin acos atan sinh cosh asinh acosh "
     "atanh erf erfc floor ceil round trunc frac nan_to_num relu_fwd bitwise_not", Cost("map", 1, "TT"))
rule("add sub mul div maximum minimum floor_divide remainder fmod pow atan2 bitwise_and bitwise_or bitwise_xor relu_bwd hypot",
     Cost("map", 1, "TTT"))
rule("xlogy logaddexp", Cost("map", 2, "TTT"))
rule("addcmul addcdiv lerp", Cost("map", 3, "TTTT"))
rule("clamp", Cost("map", 2, "TTTT"))
rule("eq ne lt le gt ge logical_and logical_or logical_xor", Cost("map", 1, "TT1"))
rule("logical_not isnan isinf isfinite", Cost("map", 1, "T1"))
rule("image_bytes", Cost("map", 2, "T1"))
rule("where", Cost("map", 0, "1TTT"))
rule("sigmoid_fwd tanh_fwd leaky_relu_fwd elu_fwd softplus_fwd", Cost("map", 3, "TT"))
rule("sigmoid_bwd tanh_bwd leaky_relu_bwd elu_bwd softplus_bwd", Cost("map", 3, "TTT"))
rule("gelu_fwd gelu_tanh_fwd silu_fwd", Cost("map", 5, "TT"))
rule("gelu_bwd gelu_tanh_bwd silu_bwd", Cost("map", 8, "TTT"))
rule("threshold_fwd hardtanh_fwd hardshrink_fwd softshrink_fwd hardsigmoid_fwd hardswish_fwd softsign_fwd", Cost("map", 2, "TT"))
rule("hardtanh_bwd hardsigmoid_bwd hardswish_bwd shrink_bwd softsign_bwd prelu_fwd prelu_slope_bwd", Cost("map", 2, "TTT"))
rule("selu_fwd tanhshrink_fwd mish_fwd", Cost("map", 4, "TT"))
rule("selu_bwd tanhshrink_bwd mish_bwd glu_fwd", Cost("map", 6, "TTT"))
rule("prelu_bwd glu_bwd", Cost("map", 5, "TTTT"))
rule("gather scatter", Cost("map", 0, "T8T"))
rule("scatter_add scatter_reduce", Cost("map", 1, "T8T"))
rule("index_position", Cost("map", 2, "888"))

# Matrix products: an item is a multiply-accumulate
rule("gemm", Cost("gemm", 2, macs=1))

rule("conv_fwd conv_input_grad conv_weight_grad", Cost("conv", 2, macs=1))

# Reductions and lines
rule("sum nansum prod amax amin any all mean norm1 norm_max norm_min", Cost("reduce", 1, "T", "T"))
rule("norm2", Cost("reduce", 2, "T", "T"))
rule("var", Cost("reduce", 4, "T", "T"))
rule("logsumexp", Cost("reduce", 4, "T", "T"))
rule("argmax argmin", Cost("lines", 1, "T", "T8"))
rule("pick", Cost("lines", 0, "", "T8T"))
rule("place", Cost("lines", 0, "T", "T8"))
rule("cumsum cumprod prod_before", Cost("lines", 1, "TT"))
rule("cummax", Cost("lines", 1, "TT8"))
rule("logcumsumexp", Cost("lines", 4, "TT"))
rule("recurrence", Cost("lines", 2, "TTT"))
rule("softmax_fwd log_softmax_fwd", Cost("lines", 5, "TT"))
rule("softmax_bwd log_softmax_bwd", Cost("lines", 4, "TTT"))
rule("layer_norm_fwd batch_norm_fwd group_norm_fwd", Cost("lines", 8, "TT"))
rule("layer_norm_bwd batch_norm_bwd group_norm_bwd", Cost("lines", 12, "TTT"))
rule("triangle", Cost("lines", 0, "TT"))
rule("sort", Cost("lines", 0, "TT8"))
rule("kth mode", Cost("lines", 0, "T"))

# Pooling: an item is an element of the images
rule("avg_pool_fwd avg_pool_bwd max_pool_fwd", Cost("window", 1, "T"))
rule("max_pool_bwd max_pool_pick", Cost("window", 0, "T"))

# Losses
rule("check_labels", Cost("outer", 0, "8"))
rule("cross_entropy_fwd", Cost("lines", 6, "TT", "8"))
rule("nll_fwd", Cost("outer", 1, "T8"))
rule("nll_bwd", Cost("lines", 0, "T", "8"))
rule("mse_fwd l1_fwd huber_fwd kl_fwd", Cost("flat", 4, "TTT"))
rule("bce_fwd prob_fwd sigmoid_focal_fwd", Cost("flat", 8, "TTT"))
rule("focal_fwd", Cost("lines", 10, "TT", "8"))

# Boxes
rule("box_check", Cost("lines", 1, "T"))
rule("box_pairs", Cost("lines", 20, "T"))
rule("match_boxes", Cost("lines", 2, "T"))

# Rows by index
rule("rows_take rows_put", Cost("rows", 0, "TT", "8"))
rule("rows_add", Cost("rows", 1, "TTT", "8"))
rule("embed_renorm", Cost("rows", 3, "TT", "8"))
rule("index_range", Cost("n", 2, "8"))
rule("mask_count", Cost("n", 1, "1"))
rule("aminmax", Cost("n", 2, "T"))
rule("histogram", Cost("n", 1, "T"))

# Regions
rule("distance_pass", Cost("lines", 10, "88"))
rule("region_sums region_spread", Cost("lines", 3, "T"))

# Random numbers
rule("uniform normal trunc_normal bernoulli integers permutation", Cost("n", 0, "T"))
rule("counts transformed", Cost("n", 0, "T"))
rule("bernoulli_of", Cost("n", 0, "TT"))
rule("dropout_fwd dropout_bwd", Cost("n", 1, "TT"))

# Images: items are pixels of what a forward begins with
rule("resample", Cost("window", 4, "TT"))
rule("grid_sample grid_sample_turned grid_sample_slope", Cost("window", 8, "TT"))
rule("unfold fold", Cost("window", 1, "TT"))
rule("pad pad_turned", Cost("window", 0, "TT"))

# Optimizers: parameter and gradient read, parameter written; Adam's two moments read and written (momentum is not counted)
rule("sgd_step", Cost("step", 4, "TTT"))
rule("adam_step adamw_step", Cost("step", 14, "TTT", "TTTT"))
rule("rmsprop_step adagrad_step adadelta_step adamax_step nadam_step radam_step asgd_step rprop_step", Cost("step", 10, "TTT", "TT"))
rule("clip_norm", Cost("step", 2, "T"))
rule("clip_scale", Cost("step", 1, "TT"))

HOLES = {
    **dict.fromkeys(("bag_sum", "bag_dot", "bag_grad", "bag_argmax"), "the items of the bags are in no geometry"),
    **dict.fromkeys(("distance_fwd", "distance_bwd"), "what an item costs depends on the norm"),
    **dict.fromkeys(("nms", "soft_nms", "assign_rows"), "how often boxes or costs are compared depends on the values"),
    **dict.fromkeys(("roi_align_fwd", "roi_align_bwd", "roi_pool"), "what a box costs depends on its size"),
    "conv_pack": "reordering, which a convolution pays once for filters that it uses often",
    "gemm_pack": "reordering, which a product pays once for a matrix that it uses often",
    **dict.fromkeys(("image_colour", "image_filter", "warp"), "preparing images is no part of a model; the work depends on data"),
    "index_unravel": "positions of a mask: how many there are is in no geometry",
    "mask_positions": "positions of a mask: how many there are is in no geometry",
    "match_detections": "how many boxes a detection is compared with is in no geometry",
    "multinomial": "how many draws are refused is not known before",
    "rows_take_many": "the number of indices is a scalar, not a size",
    "searchsorted": "the number of comparisons depends on the values",
    "topk": "the number of comparisons depends on the values",
}

KERNELS = trace.kernel_names()


def install() -> None:
    """Tells the core how to count; once is enough."""
    for number, name in enumerate(KERNELS):
        if cost := COSTS.get(name):
            trace.set_cost(number, cost.geometry, cost.each, cost.line)


install()
