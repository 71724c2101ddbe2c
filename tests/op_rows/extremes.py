"""Rows of pydl/ops/extremes.pyx."""
import numpy as np

from rows import EVERY, LARGE, WIDTHS, Flat, In, Row, bad, reduction, sample


def chosen(pick, at):
    """(values, indices) as max(x, dim) and min(x, dim) give them."""
    def reference(x, dim, keepdim=False):
        return pick(x, axis=dim, keepdims=keepdim), at(x, axis=dim, keepdims=keepdim)
    return reference


def position(at):
    def reference(x, dim=None, keepdim=False):
        return np.asarray(at(x, axis=dim, keepdims=keepdim))
    return reference


def either(values):
    """max and min: a value, or values and indices with a dim."""
    def reference(x, dim=None, keepdim=False):
        pick, at = values
        return np.asarray(pick(x)) if dim is None else chosen(pick, at)(x, dim, keepdim)
    return reference


def picked(x, index, dim):
    return np.take_along_axis(x, index, dim)


def placed(dy, index, dim, n):
    y = np.zeros(dy.shape[:dim] + (n,) + dy.shape[dim + 1:], dy.dtype)
    np.put_along_axis(y, index, dy, dim)
    return y


LINES = [*((s, d) for s in ((5, 17), (33, 9), (2, 3, 4), (70, 3, 2)) for d in (0, 1, -1)), (LARGE, 1), (LARGE, 0), ((3, 2000), 1)]
ALONG = [sample((n,), 0) for n in WIDTHS] + [sample(s, d) for s, d in LINES] + [
    sample((2, 3, 4), 1, keepdim=True), sample((), 0), sample((0, 3), 1)]
ALONG_REFUSALS = [bad((3, 0), 1), bad((2, 3), 2, error=IndexError), bad((2, 3), "x", error=TypeError)]
WHOLE = [sample(s) for s in ((), (1,), (5, 17), (2, 3, 4), LARGE)]

ROWS = [
    reduction("amax", np.max, ulp=0, kind="distinct", empty=False, dtypes=EVERY),
    reduction("amin", np.min, ulp=0, kind="distinct", empty=False, dtypes=EVERY),
    Row("aminmax", lambda x, dim=None, keepdim=False: (np.min(x, axis=dim, keepdims=keepdim), np.max(x, axis=dim, keepdims=keepdim)), ulp=0,
        kind="distinct", composed=True, dtypes=EVERY,
        samples=[*WHOLE, *(sample((n,)) for n in (511, 512, 513, 2049, 70_000)), sample((5, 17), dim=1), sample((2, 3, 4), dim=-2, keepdim=True)],
        refusals=[bad((0,)), bad((3, 0), dim=1), bad((2, 3), dim=2, error=IndexError), bad((2, 3), dim=(0, 1), error=TypeError),
                  bad(Flat("x"), error=TypeError)]),
    Row("max_along", chosen(np.max, np.argmax), ulp=0, kind="distinct",
        samples=ALONG, refusals=[], torch=False, covers=["place", "pick"]),
    Row("min_along", chosen(np.min, np.argmin), ulp=0, kind="distinct",
        samples=ALONG, refusals=[], torch=False),
    *(Row(name, position(at), ulp=0, kind="distinct", diff=(), out="int64", dtypes=EVERY,
          samples=[sample(*s.args[:1], dim=s.args[1], **s.attrs) for s in ALONG] + WHOLE
          + [sample((3, 5, 7), keepdim=True)],
          refusals=[bad((3, 0), dim=1), bad((0,)), bad((2, 3), dim=-3, error=IndexError), bad(Flat("x"), error=TypeError)])
      for name, at in (("argmax", np.argmax), ("argmin", np.argmin))),
    Row("place", placed, ulp=0, torch=False,
        samples=[sample((5, 1), In((5, 1), 0, 7, dtype="int64"), 1, 7), sample((1, 33), In((1, 33), 0, 3, dtype="int64"), 0, 3),
                 sample((2, 1, 3), In((2, 1, 3), 0, 4, dtype="int64"), 1, 4)],
        refusals=[bad((5, 1), In((5, 1), 7, 9, dtype="int64"), 1, 7, error=IndexError),
                  bad((5, 1), In((4, 1), 0, 7, dtype="int64"), 1, 7), bad((5, 1), In((5, 1), 0, 7, dtype="int32"), 1, 7, error=TypeError)]),
    Row("pick", picked, ulp=0, torch=False,
        samples=[sample((5, 7), In((5, 1), 0, 7, dtype="int64"), 1), sample((3, 33), In((1, 33), 0, 3, dtype="int64"), 0)],
        refusals=[bad((5, 7), In((5, 1), -9, -1, dtype="int64"), 1, error=IndexError), bad((5, 7), In((5, 2), 0, 7, dtype="int64"), 1)]),
]
