"""Rows of pydl/ops/conv.pyx: small sums, so that every algorithm but Winograd's must have the error of a sum of products."""
import itertools

import numpy as np

from rows import Flat, In, Row, bad, sample


def each(value, dims):
    return tuple(value) * (dims if len(value) == 1 else 1) if isinstance(value, (tuple, list)) else (value,) * dims


def windows(size, kernel, stride, dilation, count):
    """For every tap: which places of an axis the outputs see there."""
    return [slice(t * dilation, t * dilation + (count - 1) * stride + 1, stride) for t in range(kernel)]


def taps(sizes, kernel, stride, dilation, counts):
    each_axis = [windows(*one) for one in zip(sizes, kernel, stride, dilation, counts)]
    return zip(itertools.product(*(range(k) for k in kernel)), itertools.product(*each_axis))


def grouped(x, w, groups):
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]), w.reshape(groups, w.shape[0] // groups, *w.shape[1:])


def conv(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    dims = w.ndim - 2
    if x.ndim == dims + 1:
        return conv(x[None], w, b, stride, padding, dilation, groups)[0]
    kernel, stride, dilation = w.shape[2:], each(stride, dims), each(dilation, dims)
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    sides = [(r // 2, r - r // 2) for r in reach] if padding == "same" else [(p, p) for p in each(0 if padding == "valid" else padding, dims)]
    x = np.pad(x, [(0, 0), (0, 0), *sides])
    counts = [(n - r - 1) // s + 1 for n, r, s in zip(x.shape[2:], reach, stride)]
    y = np.zeros((x.shape[0], groups, w.shape[0] // groups, *counts))
    xs, ws = grouped(x, w, groups)
    for tap, place in taps(x.shape[2:], kernel, stride, dilation, counts):
        y += np.einsum("ngc...,goc->ngo...", xs[(..., *place)], ws[(..., *tap)])
    return y.reshape(x.shape[0], w.shape[0], *counts) + (0 if b is None else b.reshape(-1, *(1,) * dims))


def transpose(x, w, b=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    dims = w.ndim - 2
    if x.ndim == dims + 1:
        return transpose(x[None], w, b, stride, padding, output_padding, groups, dilation)[0]
    kernel, stride, dilation, padding = w.shape[2:], each(stride, dims), each(dilation, dims), each(padding, dims)
    more = each(output_padding, dims)
    whole = [(n - 1) * s + d * (k - 1) + 1 + m for n, s, d, k, m in zip(x.shape[2:], stride, dilation, kernel, more)]
    out = w.shape[1] * groups
    y = np.zeros((x.shape[0], groups, w.shape[1], *whole))
    xs, ws = grouped(x, w, groups)
    for tap, place in taps(whole, kernel, stride, dilation, x.shape[2:]):
        y[(..., *place)] += np.einsum("ngc...,gco->ngo...", xs, ws[(..., *tap)])
    y = y.reshape(x.shape[0], out, *whole)[(..., *(slice(p, n - p) for p, n in zip(padding, whole)))]
    return y + (0 if b is None else b.reshape(-1, *(1,) * dims))


ONE = [sample((2, 3, 9), (4, 3, 3), (4,)), sample((2, 4, 10), (6, 2, 4), None, 3, 2, 2, 2), sample((3, 7), (2, 3, 2), (2,), padding="same"),
       sample((1, 3, 33), (3, 1, 5), stride=2, padding=(2,), groups=3), sample((0, 3, 5), (2, 3, 3), (2,))]
TWO = [sample((2, 3, 5, 7), (4, 3, 3, 3), (4,), 1, 1), sample((1, 2, 6, 5), (3, 2, 1, 1)),
       sample((2, 4, 7, 6), (6, 2, 3, 2), (6,), stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2),
       sample((3, 5, 6), (4, 3, 2, 4), (4,), padding="same", dilation=(2, 1)), sample((2, 3, 6, 5), (3, 1, 3, 3), (3,), 2, 1, 1, 3),
       sample((1, 2, 4, 4), (6, 1, 3, 3), padding="valid", groups=2), sample((1, 17, 3, 18), (33, 17, 3, 3), None, padding=1),
       sample((1, 1, 5, 5), (2, 1, 5, 5), (2,), stride=(7, 9), padding=1), sample((0, 2, 4, 4), (3, 2, 3, 3), (3,))]
THREE = [sample((1, 2, 2, 3, 4), (2, 2, 2, 3, 2), (2,), stride=(1, 2, 2), padding=(1, 0, 1)),
         sample((4, 3, 3, 3), (4, 1, 2, 2, 2), groups=4, dilation=(1, 2, 1)), sample((0, 1, 2, 2, 2), (1, 1, 1, 1, 1))]
UP_ONE = [sample((2, 3, 5), (3, 4, 3), (4,), 2, 1, 1), sample((2, 4, 4), (4, 3, 4), None, 3, 2, 2, 2, 2), sample((3, 7), (3, 2, 2), (2,)),
          sample((0, 3, 5), (3, 2, 3), (2,))]
UP_TWO = [sample((2, 3, 4, 5), (3, 4, 4, 4), (4,), 2, 1), sample((3, 5, 4), (3, 2, 1, 1)),
          sample((2, 4, 3, 4), (4, 3, 3, 2), (6,), stride=(2, 1), padding=(2, 1), output_padding=(1, 0), groups=2, dilation=(1, 2)),
          sample((1, 3, 4, 3), (3, 1, 3, 3), (3,), stride=(3, 2), groups=3, output_padding=(2, 1)), sample((0, 3, 4, 4), (3, 2, 3, 3), (2,))]
UP_THREE = [sample((1, 2, 2, 3, 2), (2, 2, 2, 3, 2), (2,), stride=(1, 2, 2), padding=(0, 1, 0), output_padding=(0, 1, 1)),
            sample((2, 2, 2, 2), (2, 1, 2, 2, 2), groups=2, dilation=(1, 2, 1))]
# no channels, filters or pixels: PyTorch refuses them, or forgets the channels of the output
NONE = {"conv1d:nothing": (conv, [sample((2, 0, 5), (2, 0, 3), (2,))]),
        "conv2d:nothing": (conv, [sample((2, 0, 4, 4), (3, 0, 3, 3), (3,)), sample((2, 2, 4, 4), (0, 2, 3, 3), (0,)),
                                  sample((1, 2, 0, 3), (2, 2, 1, 1), (2,), padding=(1, 0))]),
        "conv_transpose2d:nothing": (transpose, [sample((2, 0, 3, 3), (0, 2, 3, 3), (2,)), sample((2, 2, 3, 3), (2, 0, 3, 3), (0,))])}


def refusals(dims, transposed):
    """Of (2, 3, 5, ...) and a weight of kernels of 3."""
    x, w = (2, 3, *(5,) * dims), ((3, 4) if transposed else (4, 3)) + (3,) * dims
    k = (3,) * dims
    bad_ints = [bad(x, w, None, **{name: value}, shapes=False) for name in ("stride", "dilation") for value in (0, -1, (1,) * (dims + 1), 2**31)]
    found = [bad(x, w, None, padding=value, shapes=False) for value in (-1, 2**31, (1,) * (dims + 1))] + bad_ints
    found += [bad(x, w, None, groups=g) for g in (0, -1, 2, 2**63)] + [bad(x, w, None, **{n: 1.0}, error=TypeError) for n in ("stride", "padding", "dilation", "groups")]
    found += [bad((3,) * rank, w, None, shapes=False) for rank in range(10) if rank not in (dims + 1, dims + 2)]
    found += [bad(x, (3,) * rank, None) for rank in range(10) if rank != dims + 2] + [bad(x, w[:2] + (0,) * dims)]
    found += [bad(x, w, (3,)), bad(x, w, (4, 1)), bad(x, w, ()), bad((2, 4, *x[2:]), w), bad((2, *x[2:]), w)]
    found += [bad(In(x, dtype="float32"), In(w, dtype="float64"), error=TypeError, match="float32.*float64"), bad(In(x, 0, 5, dtype="int64"), w, error=TypeError),
              bad(x, In(w, 0, 5, dtype="int64"), error=TypeError), bad(In(x, dtype="float32"), In(w, dtype="float32"), In((4,), dtype="float64"), error=TypeError),
              bad(Flat("x"), w, error=TypeError), bad(x, Flat([1]), error=TypeError), bad(x, w, Flat([1]), error=TypeError)]
    found += [bad((0, *x[1:]), w, None, padding=2**31 - 1, match="more elements than an address", shapes=False)] if dims > 1 and not transposed else []
    if transposed:
        found += [bad(x, w, None, output_padding=value, match="below the stride", shapes=False) for value in (1, 2, (0,) * (dims - 1) + (1,))]
        found += [bad(x, w, None, output_padding=-1, shapes=False), bad(x, w, None, padding=4, match="would have the size -1", shapes=False),
                  bad((2, 3, *(0,) * dims), w, shapes=False), bad(x, (4, 4, *k)), bad(x, w, None, padding="same", error=TypeError)]
        found += [bad((0, *x[1:]), w, None, stride=2**31 - 1, match="more elements than an address", shapes=False)] if dims > 1 else []
    else:
        found += [bad(x, (4, 3, *(6,) * dims), shapes=False, match="there is no output"), bad(x, w, None, dilation=3, padding="valid", shapes=False, match="no output"),
                  bad(x, w, None, 2, "same", shapes=False, match="stride of 1"), bad(x, w, None, padding="full", shapes=False), bad((2, 3, *(0,) * dims), w, shapes=False, match="no output"),
                  bad((2, 4, *x[2:]), (3, 2, *k), groups=2, match="divide the 3 output")]
    return found


ROWS = [Row(name, ref, samples, ulp=6, by="abs", refusals=refusals(dims, ref is transpose), covers=("conv_input_grad", "conv_weight_grad"))
        for name, ref, samples, dims in (("conv1d", conv, ONE, 1), ("conv2d", conv, TWO, 2), ("conv3d", conv, THREE, 3), ("conv_transpose1d", transpose, UP_ONE, 1),
                                         ("conv_transpose2d", transpose, UP_TWO, 2), ("conv_transpose3d", transpose, UP_THREE, 3))]
ROWS += [Row(name, ref, samples, ulp=6, by="abs") for name, (ref, samples) in NONE.items()]
