import numpy as np

import pydl
from rows import FLOATS, INTEGERS, Flat, In, Row, bad, sample, unary

PAIRS = (((5,), (5,)), ((), ()), ((0,), (1,)), ((2, 3), (3,)), ((2, 1), (1, 3)))
SHAPES = ((), (0,), (5,), (2, 3))
CONSTANT = "the first derivative is zero"


def one(name, ref, **options):
    options.setdefault("composed", True)
    return unary(name, ref, shapes=SHAPES, **options)


def two(name, ref, **options):
    options.setdefault("refusals", [bad((2, 3), (4,)), bad((2,), Flat("1"), error=TypeError)])
    options.setdefault("composed", True)
    return Row(name, ref, [sample(*pair) for pair in PAIRS], **options)


def alias(name, of, ref, domain=(-2, 2), **options):
    return Row(name, ref, [sample((5,), (5,)) if of in ("mul", "div", "sub", "atan2", "lt", "le", "gt", "ge", "ne") else sample((5,))],
               composed=True, domain=domain, **options)


BOOL = {"out": "bool", "diff": ()}

ROWS = [
    alias("absolute", "abs", np.abs, away=(0,)), alias("negative", "neg", np.negative), alias("fix", "trunc", np.fix, second=CONSTANT),
    alias("arccos", "acos", np.arccos, (-0.9, 0.9)), alias("arcsin", "asin", np.arcsin, (-0.9, 0.9)), alias("arctan", "atan", np.arctan),
    alias("arccosh", "acosh", np.arccosh, (1.1, 3)), alias("arcsinh", "asinh", np.arcsinh), alias("arctanh", "atanh", np.arctanh, (-0.9, 0.9)),
    alias("arctan2", "atan2", np.arctan2, (0.5, 2)), alias("multiply", "mul", np.multiply), alias("divide", "div", np.divide, (0.5, 2)),
    alias("subtract", "sub", np.subtract), alias("greater", "gt", np.greater, **BOOL), alias("greater_equal", "ge", np.greater_equal, **BOOL),
    alias("less", "lt", np.less, **BOOL), alias("less_equal", "le", np.less_equal, **BOOL), alias("not_equal", "ne", np.not_equal, **BOOL),
    two("logaddexp2", np.logaddexp2, ulp=4, by="abs"),
    *(two(name, ref, ulp=0, dtypes=FLOATS + INTEGERS, second=CONSTANT, special=(np.nan, np.inf, 0.0, 1.0, -2.5)) for name, ref in (("fmax", np.fmax), ("fmin", np.fmin))),
    two("copysign", np.copysign, ulp=0, away=(0,), special=True),
    two("nextafter", np.nextafter, ulp=0, diff=(), fn=lambda x, y: pydl.nextafter(x, y), dtypes=["float64"]),
    two("ldexp", lambda x, y: x * np.exp2(y), ulp=3),
    two("float_power", np.float_power, domain=(0.5, 2), ulp=3, out="float64", dtypes=["float64"]),
    two("heaviside", np.heaviside, diff=(), ulp=0),
    two("rsub", lambda x, y: y - x, ulp=1, refusals=[bad(Flat(1), (2,), error=TypeError)]),
    Row("frexp", np.frexp, [sample((5,)), sample(()), sample((0,))], ulp=0, composed=True, fn=lambda x: tuple(pydl.frexp(x)),
        refusals=[bad(In((2,), dtype="int64"), error=TypeError)], away=(-1, -0.5, 0.5, 1), gap=0.05),
    one("signbit", np.signbit, out="bool", diff=()), one("isposinf", np.isposinf, out="bool", diff=()),
    one("isneginf", np.isneginf, out="bool", diff=()), one("isreal", np.isreal, out="bool", diff=()),
    one("sgn", np.sign, away=(0,), special=False, second=CONSTANT), one("positive", np.positive, ulp=0, refusals=[bad(In((2,), dtype="bool"), error=TypeError)]),
    one("deg2rad", np.deg2rad, ulp=1.5, special=False), one("rad2deg", np.rad2deg, ulp=1.5, special=False),
    Row("round:decimals", lambda x, decimals: np.round(x, decimals), [sample((5,), decimals=2), sample((2, 3), decimals=-1), sample((0,), decimals=1)],
        ulp=2, domain=(-40, 40), diff=(), fn=pydl.round),
    Row("clamp_min", lambda x, min: np.maximum(x, min), [sample((5,), min=0.25)], away=(0.25,), ulp=0, composed=True),
    Row("clamp_max", lambda x, max: np.minimum(x, max), [sample((5,), max=0.25)], away=(0.25,), ulp=0, composed=True),
    *(two(name, ref, dtypes=INTEGERS, domain=(1, 9), diff=(), refusals=[bad(In((2,), dtype="float32"), In((2,), dtype="float32"), error=TypeError),
                                                                       bad(In((2, 3), dtype="int64"), In((4,), dtype="int64"))])
      for name, ref in (("gcd", np.gcd), ("lcm", np.lcm))),
    *(two(name, ref, dtypes=["int64", "int32"], domain=((-9, 9), (0, 31)), diff=(),
          refusals=[bad(In((2,), dtype="float32"), In((2,), dtype="float32"), error=TypeError)])
      for name, ref in (("bitwise_left_shift", np.left_shift), ("bitwise_right_shift", np.right_shift))),
]
