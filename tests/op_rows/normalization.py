"""Rows of pydl/ops/normalization.pyx. Statistics, running ones and accuracy are in test_nn_normalization.py."""
import numpy as np

from rows import WIDTHS, Flat, In, Row, bad, sample


def normal(x, axes, eps, centred=True):
    c = x - x.mean(axes, keepdims=True) if centred else x
    return c / np.sqrt((c * c).mean(axes, keepdims=True) + eps)


def affine(xhat, w, b):
    return xhat * (1 if w is None else w) + (0 if b is None else b)


def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    return affine(normal(x, axes, eps), weight, bias) if x.size else x


def rms_norm(x, shape, weight=None, eps=1e-6):
    return affine(normal(x, tuple(range(x.ndim - len(shape), x.ndim)), eps, False), weight, None) if x.size else x


def per_channel(x, v):
    return None if v is None else v.reshape((1, -1) + (1,) * (x.ndim - 2))


def batch_norm(x, mean=None, var=None, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    axes = tuple(d for d in range(x.ndim) if d != 1)
    if not x.size:
        return x
    xhat = normal(x, axes, eps) if training else (x - per_channel(x, mean)) / np.sqrt(per_channel(x, var) + eps)
    return affine(xhat, per_channel(x, weight), per_channel(x, bias))


def group_norm(x, groups, weight=None, bias=None, eps=1e-5):
    if not x.size:
        return x
    xhat = normal(x.reshape(x.shape[0], groups, -1), (2,), eps).reshape(x.shape)
    return affine(xhat, per_channel(x, weight), per_channel(x, bias))


def instance_norm(x, mean=None, var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5):
    if not x.size or not use_input_stats:
        return batch_norm(x, mean, var, weight, bias, False, momentum, eps)
    return affine(normal(x, tuple(range(2, x.ndim)), eps), per_channel(x, weight), per_channel(x, bias))


def neighbours(x, before, after):
    """The sum over channels c - before ... c + after."""
    x = np.moveaxis(np.pad(np.moveaxis(x, 1, 0), [(before, after), *[(0, 0)] * (x.ndim - 1)]), 0, 1)
    return sum(x[:, i:x.shape[1] - before - after + i] for i in range(before + after + 1))


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    return x / (k + alpha / size * neighbours(x * x, size // 2, (size - 1) // 2)) ** beta


def size(x, *_args, **_kwargs):
    """What an error is measured at: the largest |xhat|, times the weights of 2 at most, and the bias"""
    return np.full(x.shape, 8.0)



ROW_SAMPLES = [sample((3, n), Flat((n,)), (n,), (n,)) for n in WIDTHS] + [
    sample((70, 33), Flat((33,)), (33,), (33,)), sample((2, 3, 5), Flat((3, 5)), (3, 5), (3, 5)), sample((4, 7), Flat((7,))),
    sample((4, 7), Flat((7,)), None, None, 0.1), sample((4, 7), Flat((7,)), (7,)), sample((7,), Flat((7,)), (7,), (7,)),
    sample((0, 3), Flat((3,)), (3,), (3,)), sample((3, 0), Flat((0,)), (0,), (0,)), sample((2100, 17), Flat((17,)), (17,), (17,)),
    sample((3, 20_001), Flat((20_001,)), (20_001,), (20_001,))]
RMS_SAMPLES = [sample(*one.args[:3], eps=1e-6) for one in ROW_SAMPLES if len(one.args) < 5]
CHANNELS = [sample(x, None, None, (x[1],), (x[1],), True) for x in
            ((7, 5), (2, 3), (4, 3, 5), (2, 3, 2, 2), (1, 3, 9), (70, 33), (300, 17), (9, 40), (5, 4, 70), (700, 70), (2, 3, 1), (0, 3), (2, 3, 0))]
CHANNELS += [sample((7, 5), None, None, None, None, True), sample((4, 3, 5), None, None, (3,), None, True, 0.1, 0.5)]
CHANNELS += [sample(x, In((x[1],), -1, 1, grad=False), In((x[1],), 0.5, 2, grad=False), (x[1],), (x[1],), False)
             for x in ((7, 5), (1, 5), (4, 3, 5), (2, 3, 2, 2), (300, 17))]
GROUPS = [sample((4, 6, 5), g, (6,), (6,)) for g in (1, 2, 3, 6)] + [sample((2, 4), 2, (4,), (4,)), sample((3, 4, 2, 3), 2), sample((0, 4, 2), 2, (4,), (4,)),
                                                                    sample((9, 8, 70), 4, (8,), None, 0.1), sample((16, 6, 400), 3, (6,), (6,))]
INSTANCES = [sample((2, 3, 5)), sample((2, 3, 2, 4), None, None, (3,), (3,)), sample((1, 2, 7), None, None, None, (2,), True, 0.5, 0.1), sample((0, 3, 4)), sample((2, 3, 0)),
             sample((9, 8, 70), None, None, (8,), (8,)),
             sample((2, 3, 4), In((3,), -1, 1, grad=False), In((3,), 0.5, 2, grad=False), (3,), (3,), False)]
LONG = In((2, 3), 0, 5, dtype="int64")
ROW_BAD = [bad((2, 3), Flat((2,))), bad((2, 3), Flat(())), bad((2, 3), Flat((4, 2, 3))), bad((), Flat((1,))),
           bad(LONG, Flat((3,)), error=TypeError), bad(Flat("x"), Flat((3,)), error=TypeError), bad((2, 3), Flat((3.0,)), error=TypeError),
           bad((2, 3), Flat((3,)), (2,)), bad(In((2, 3), dtype="float32"), Flat((3,)), In((3,), dtype="float64"), error=TypeError),
           bad((2, 3), Flat((3,)), Flat([1, 2, 3]), error=TypeError), bad((2, 3), Flat((3,)), eps="x", error=TypeError)]
ROWS = [
    Row("layer_norm", layer_norm, ROW_SAMPLES, ulp=3, ulp64=8, by=size, refusals=[*ROW_BAD, bad((2, 3), Flat((3,)), (3,), (1,))]),
    Row("rms_norm", rms_norm, RMS_SAMPLES, ulp=3, ulp64=8, by=size, refusals=ROW_BAD),
    Row("batch_norm", batch_norm, CHANNELS, ulp=3, ulp64=8, by=size, refusals=[
        bad((3,), None, None, training=True), bad((1, 3), None, None, training=True, match="more than 1 value"),
        bad((2, 3), None, None, match="outside of training"), bad((2, 3), In((3,), 0, 1), None, shapes=False),
        bad((2, 3), In((2,), 0, 1), In((3,), 1, 2), shapes=False, match="expected running_mean"),
        bad((2, 3), None, None, (4,), training=True), bad((2, 3), None, None, (3,), (2,), training=True, shapes=False),
        bad((2, 3), None, None, training=True, eps=0.0), bad((2, 3), None, None, training=True, momentum=None, error=TypeError),
        bad(LONG, None, None, training=True, error=TypeError),
        bad(In((2, 3), dtype="float32"), In((3,), dtype="float64"), In((3,), 1, 2, dtype="float64"), error=TypeError)]),
    Row("group_norm", group_norm, GROUPS, ulp=3, ulp64=8, by=size, refusals=[
        bad((4,), 2), bad((2, 4), 3), bad((2, 4), 0), bad((2, 4), -1), bad((1, 4), 4, match="more than 1 value"), bad((2, 4), 2.0, error=TypeError),
        bad((2, 4), 2, (2,)), bad((2, 4), 2, (4,), (3,), shapes=False), bad(In((2, 4), 0, 5, dtype="int64"), 2, error=TypeError)]),
    Row("instance_norm", instance_norm, INSTANCES, ulp=3, ulp64=8, by=size, composed=True, refusals=[
        bad((4,)), bad((2, 3), match="more than 1 value"), bad((2, 3, 1), match="more than 1 value"), bad((2, 3, 4), use_input_stats=False, match="expected both"),
        bad((2, 3, 4), In((3,), 0, 1), None, shapes=False), bad((2, 3, 4), None, None, (4,)), bad((2, 3, 4), eps=0.0), bad((2, 3, 4), None, None, (3,), momentum="x", error=TypeError),
        bad((2, 3, 4), In((2,), 0, 1), In((3,), 1, 2), shapes=False, match="expected running_mean"), bad(In((2, 3, 4), 0, 5, dtype="int64"), error=TypeError)]),
    Row("sum_of_channels", neighbours, [sample((2, 5, 3), 2, 1), sample((1, 3, 2, 2), 7, 0), sample((3, 4), 0, 2), sample((0, 3, 2), 1, 1), sample((2, 70, 33), 3, 3)],
        ulp=8, by="abs", composed=True, torch=False),
    Row("local_response_norm", local_response_norm, [
        sample((2, 5, 7), 3, 0.5, 0.75, 1.5), sample((1, 3, 2, 4), 4), sample((2, 3, 5), 10, 2, 1.3, 0.5), sample((1, 4, 3), 1, 1.0), sample((0, 3, 4), 3), sample((2, 3, 0), 2)],
        ulp=8, composed=True, refusals=[bad((2, 3), 3), bad((2, 3, 4), 0), bad((2, 3, 4), -1), bad((2, 3, 4), 3.0, error=TypeError),
                                        bad((2, 3, 4), 3, alpha="x", error=TypeError), bad(In((2, 3, 4), 0, 5, dtype="int64"), 3, error=TypeError)]),
]
