"""Every row: what a captured call gives for other values of the same shapes, forward and backward, has the bits of an eager one."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import pydl
from calls import differentiable, same_bits, tensor
from op_table import TABLE
from rows import Row, Sample, apply, array, arrays_of, outputs, tensors_of

# They look at values while they run, some only in some forms or backward, or are made of NumPy.
ON_THE_HOST = frozenset("""
    bag_dot bag_sum bag_sum:factor batched_nms bincount bincount:weights bitwise_left_shift bitwise_right_shift border_weights
    cholesky cholesky:upper cholesky_ex
    cholesky_inverse cholesky_solve cond copysign cov det digamma div:rounded_integers dropout eigh eigh:signless eigvalsh embedding_bag
    embedding_bag:rest embedding_bag:weighted erfcx erfinv floor_divide:integers fmod:integers frexp gaussian_nll_loss gcd glu histogram
    i0 i0e i1 i1e index_fill index_reduce:amax index_reduce:amin index_reduce:mean index_reduce:prod index_select:masked_select inv
    inv_ex inverse lcm lgamma lgamma:negative linear_sum_assignment log_ndtr logdet lstsq lstsq:residuals lu lu_factor lu_solve masked_scatter masks_to_boxes matrix_exp
    matrix_norm matrix_power matrix_rank median multi_margin_loss multilabel_margin_loss mvlgamma nanmedian nanmedian:nan nanquantile
    nanquantile:nan ndtri nextafter nms nonzero pinv pinv:hermitian pinverse polygamma polygamma:negative put qr qr:complete qr:legacy qr:r
    remainder:integers remove_small_boxes repeat_interleave repeat_interleave:counts setitem signbit slogdet soft_nms solve solve_ex solve_triangular svd svd:full
    svd:legacy svd:signless svdvals tensorinv tensorsolve unique unique_consecutive unravel_index zeta
""".split())


def samples_of(row: Row) -> list[Sample]:
    """The smallest and the largest one, and one in the middle."""
    ordered = sorted(row.samples, key=lambda one: sum(int(np.prod(spec.shape, dtype=np.int64)) for spec in tensors_of(row, one)))
    return [ordered[i] for i in sorted({0, len(ordered) // 2, len(ordered) - 1})]


def others(row: Row, one: Sample, dtype: str) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [array(spec, dtype, rng) for spec in tensors_of(row, one)]


def step_of(row: Row, one: Sample, diff: Sequence[int]) -> Any:
    """Values and gradients of a call, as a captured function returns them."""
    def step(*values: pydl.Tensor) -> list[pydl.Tensor]:
        xs = [v.detach().requires_grad_() if i in diff else v for i, v in enumerate(values)]
        ys = [y for y in outputs(apply(row.call(), one, xs)) if isinstance(y, pydl.Tensor)]
        for y in ys:
            if y.requires_grad:
                y.backward(pydl.full_like(y, 0.5), retain_graph=True)
        return [y.detach() for y in ys] + [xs[i].grad for i in diff if xs[i].grad is not None]

    return step


def result_of(step: Any, arrays: list[np.ndarray]) -> list[np.ndarray] | type[Exception]:
    pydl.manual_seed(3)
    try:
        return [y.numpy().copy() for y in step(*map(tensor, arrays))]
    except (IndexError, ValueError) as error:
        return type(error)


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_replays_are_eager(row: Row) -> None:
    dtype = row.dtypes[0]
    refused = 0
    for one in samples_of(row):
        diff = differentiable(row, one) if dtype.startswith("float") and (row.diff is None or len(row.diff)) else []
        step = step_of(row, one, diff)
        captured = pydl.capture(step)
        first, second = arrays_of(row, one, dtype), others(row, one, dtype)
        try:
            captured(*map(tensor, first))
        except pydl.CaptureError:
            refused += 1
            continue
        for arrays in (second, first, second):
            eager, replayed = result_of(step, arrays), result_of(captured, arrays)
            if isinstance(eager, type) or isinstance(replayed, type):
                assert eager is replayed
            else:
                assert sum(map(len, captured.plans.values())) == 1, f"{row.name}({one}): recorded again"
                assert len(eager) == len(replayed) and all(map(same_bits, eager, replayed)), f"{row.name}({one}): a replay differs"
    assert (refused > 0) == (row.name in ON_THE_HOST), f"{row.name}: {refused} samples are refused"
