"""Rows of pydl/ops/arithmetic.pyx."""
import numpy as np

from rows import FLOATS, INTEGERS, Flat, In, bad, binary, sample, unary

NUMBERS = FLOATS + INTEGERS
HALF = ((5,), (5,)), ((3, 5), (5,)), ((2, 1, 5), (1, 3, 1))       # few pairs, for variants


def with_number(name, ref, number, **options):
    """The op with a number on the right (see `reversed_number` for the left)."""
    return unary(f"{name}:number", lambda x: ref(x, number), fn=_bound(name, number, False), torch=False, **options)


def reversed_number(name, ref, number, **options):
    return unary(f"{name}:reversed", lambda x: ref(number, x), fn=_bound(name, number, True), torch=False, **options)


def _bound(name, number, left):
    def call(x):
        import pydl

        return getattr(pydl, name)(number, x) if left else getattr(pydl, name)(x, number)

    return call


def wrap(function):
    """Integers wrap around; NumPy agrees once no warning is asked for."""
    def call(*arrays, **attributes):
        with np.errstate(all="ignore"):
            return function(*arrays, **attributes)
    return call


def trunc_divide(x, y):
    return np.trunc(x / y) if x.dtype.kind == "f" else (np.trunc(x.astype(np.float64) / y)).astype(x.dtype)


def divided(x, y, rounding_mode=None):
    if rounding_mode is None:
        return x / y
    return np.floor_divide(x, y) if rounding_mode == "floor" else trunc_divide(x, y)


def scaled_add(x, y, alpha=1):
    return x + alpha * y


def scaled_sub(x, y, alpha=1):
    return x - alpha * y


ROWS = [
    binary("add", wrap(scaled_add), ulp=1, dtypes=NUMBERS,
           refusals=[bad(Flat("x"), (2,), error=TypeError), bad(Flat(1), Flat(2), error=TypeError)]),
    binary("add:alpha", scaled_add, ulp=2, by=lambda x, y, alpha: np.abs(x) + np.abs(alpha * y), special=False,
           pairs=(), samples=[sample(*pair, alpha=0.3) for pair in HALF]),
    with_number("add", np.add, 1.25, ulp=1),
    reversed_number("add", np.add, 1.25, ulp=1),
    binary("sub", wrap(scaled_sub), ulp=1, dtypes=NUMBERS),
    binary("sub:alpha", scaled_sub, ulp=2, by=lambda x, y, alpha: np.abs(x) + np.abs(alpha * y), special=False,
           pairs=(), samples=[sample(*pair, alpha=-2) for pair in HALF]),
    with_number("sub", np.subtract, 1.25, ulp=1),
    reversed_number("sub", np.subtract, 1.25, ulp=1),
    binary("mul", wrap(np.multiply), ulp=1, dtypes=NUMBERS),
    with_number("mul", np.multiply, -3, ulp=1),
    reversed_number("mul", np.multiply, -3, ulp=1),
    binary("div", divided, ulp=1, away=(0.0,), gap=0.3,
           refusals=[bad((2,), (2,), rounding_mode="up", shapes=False, match="rounding_mode")]),
    binary("div:integers", divided, ulp=1, dtypes=INTEGERS, out="float32", domain=(1, 100), special=False),
    binary("div:rounded", divided, pairs=(), special=False, dtypes=FLOATS, domain=((-9, 9), (1.5, 4)), diff=(), ulp=1,
           samples=[sample(*pair, rounding_mode=mode) for pair in HALF for mode in ("floor", "trunc")]),
    binary("div:rounded_integers", divided, pairs=(), special=False, dtypes=INTEGERS, domain=((-50, 50), (1, 9)),
           samples=[sample(*pair, rounding_mode=mode) for pair in HALF for mode in ("floor", "trunc")]),
    with_number("div", np.divide, 0.7, ulp=1),
    reversed_number("div", np.divide, 0.7, ulp=1, away=(0.0,), gap=0.3),
    binary("floor_divide", np.floor_divide, dtypes=FLOATS, diff=(), ulp=1, domain=((-9, 9), (0.5, 4)),
           refusals=[bad(In((3,), 1, 9, dtype="int64"), In((3,), 0, 1, dtype="int64"), error=ZeroDivisionError)]),
    binary("floor_divide:integers", np.floor_divide, dtypes=INTEGERS, domain=((-50, 50), (1, 9)), special=False),
    binary("remainder", np.remainder, ulp=1, domain=((-1, 1), (2, 3)), away=(0.0,),
           refusals=[bad(In((3,), 1, 9, dtype="int32"), In((3,), 0, 1, dtype="int32"), error=ZeroDivisionError)]),
    binary("remainder:integers", np.remainder, dtypes=INTEGERS, domain=((-50, 50), (1, 9)), special=False),
    binary("fmod", np.fmod, ulp=1, domain=((3.1, 3.9), (1.1, 1.5)),
           refusals=[bad(In((3,), 1, 9, dtype="uint8"), In((3,), 0, 1, dtype="uint8"), error=ZeroDivisionError)]),
    binary("fmod:integers", np.fmod, dtypes=INTEGERS, domain=((-50, 50), (1, 9)), special=False),
    binary("pow", np.power, ulp=2, domain=((0.3, 3), (-3, 3))),
    binary("pow:integers", wrap(np.power), dtypes=INTEGERS, domain=((-9, 9), (0, 5)), special=False),
    *(unary(f"pow:{number}", lambda x, number=number: np.power(x, number), fn=_bound("pow", number, False), ulp=2,
            domain=(0.3, 3), torch=False, second=True if number else "the derivative is zero") for number in (0, 1, 2, 3, -1, -2, 0.5, 2.7)),
    reversed_number("pow", np.power, 2.5, ulp=2),
    unary("neg", wrap(np.negative), ulp=0, dtypes=NUMBERS),
    unary("abs", np.abs, ulp=0, dtypes=NUMBERS, away=(0.0,)),
    unary("sign", lambda x: np.where(np.isnan(x), 0, np.sign(x)), ulp=0, dtypes=NUMBERS, away=(0.0,),
          second="the derivative is zero"),
]
