"""Rows of pydl/ops/compare.pyx."""
import numpy as np

from rows import EVERY, INTEGERS, Flat, In, Row, bad, binary, sample, unary

WHOLE = INTEGERS + ("bool",)


def bits(function, logic):
    return lambda x, y: logic(x, y) if x.dtype.kind == "b" else function(x, y)


def compare(name, ref):
    """Against a tensor, and against numbers that the integer types cannot hold."""
    return [
        binary(name, ref, dtypes=EVERY, out="bool", diff=()),
        *(unary(f"{name}:{number}", lambda x, number=number: ref(x, number), fn=_against(name, number), dtypes=EVERY,
                out="bool", diff=(), shapes=((7,), (3, 5)), torch=False) for number in (1, 0.5, -3, 2**40)),
    ]


def _against(name, number):
    def call(x):
        import pydl

        return getattr(pydl, name)(x, number)
    return call


ROWS = [
    *compare("eq", np.equal),
    *compare("ne", np.not_equal),
    *compare("lt", np.less),
    *compare("le", np.less_equal),
    *compare("gt", np.greater),
    *compare("ge", np.greater_equal),
    Row("where", np.where, ulp=0, dtypes=EVERY,
           samples=[sample(In(c, dtype="bool"), a, b) for c, a, b in (
               ((), (), ()), ((5,), (5,), (5,)), ((3, 1), (5,), (3, 5)), ((4, 1), (1, 6), ()), ((0,), (0,), (0,)),
               ((3, 33), (3, 33), (3, 33)), ((50_001,), (3, 50_001), (50_001,)))],
           refusals=[bad(In((2,), dtype="int64"), (2,), (2,), error=TypeError, match="bool"),
                     bad(In((2,), dtype="bool"), (3,), (2,)), bad(In((2,), dtype="bool"), Flat("x"), (2,), error=TypeError)]),
    binary("logical_and", np.logical_and, dtypes=EVERY, out="bool", diff=()),
    binary("logical_or", np.logical_or, dtypes=EVERY, out="bool", diff=()),
    binary("logical_xor", np.logical_xor, dtypes=EVERY, out="bool", diff=()),
    unary("logical_not", np.logical_not, dtypes=EVERY, out="bool", diff=()),
    binary("bitwise_and", bits(np.bitwise_and, np.logical_and), dtypes=WHOLE, special=False,
           refusals=[bad(In((2,), dtype="float32"), In((2,), dtype="float32"), error=TypeError)]),
    binary("bitwise_or", bits(np.bitwise_or, np.logical_or), dtypes=WHOLE, special=False),
    binary("bitwise_xor", bits(np.bitwise_xor, np.logical_xor), dtypes=WHOLE, special=False),
    unary("bitwise_not", np.invert, dtypes=WHOLE, special=False),
    unary("isnan", np.isnan, dtypes=EVERY, out="bool", diff=()),
    unary("isinf", np.isinf, dtypes=EVERY, out="bool", diff=()),
    unary("isfinite", np.isfinite, dtypes=EVERY, out="bool", diff=()),
]
