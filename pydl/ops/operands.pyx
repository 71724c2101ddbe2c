# cython: language_level=3
"""What the two sides of a binary op may be: tensors, or one tensor and a number that takes the tensor's type."""
from libc.stdint cimport int32_t, int64_t, uint8_t

from pydl._core.kernels cimport PD_BOOL, PD_F32, PD_F64, PD_I32, PD_I64, PD_U8, pd_launch
from pydl._core.launch cimport cast, contiguous, map2, prepare
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, empty, scalar_of, shape_of

cdef enum:
    GIL_GRAIN = 16384   # below so many elements a launch is over before another thread could use the interpreter


cdef bint is_number(object x):
    return isinstance(x, (float, int)) or is_numpy_number(x)

cdef bint is_numpy_number(object x):
    cdef type kind = type(x)
    return kind.__module__ == "numpy" and hasattr(x, "item") and getattr(x, "ndim", None) == 0 and x.dtype.kind in "fiub"

cdef object plain(object number):
    """A Python number."""
    return number if isinstance(number, (float, int)) else number.item()

# Where a uint8 wraps around anyway, -1 is as good as 255.
cdef frozenset MODULAR = frozenset(("add", "sub", "mul", "bitwise_and", "bitwise_or", "bitwise_xor"))

cdef int64_t fitting(str op, object number, Tensor like) except? -1:
    """The integer for a tensor of integers or bool."""
    if isinstance(number, float):
        raise TypeError(f"{op}: a float ({number}) does not mix with a tensor of {dtype_of(like.code)}; convert the tensor with .to()")
    if holds(like.code, number) or like.code == PD_U8 and -256 < number < 0 and op in MODULAR:
        return number
    if like.code == PD_BOOL:
        raise TypeError(f"{op}: {number} does not mix with a tensor of pydl.bool; convert the tensor with .to()")
    raise ValueError(f"{op}: {number} does not fit in {dtype_of(like.code)} (shape {shape_of(like)}); convert the tensor with .to()")

cdef int64_t store(str op, object number, Tensor like, void *to) except? -1:
    """Writes the number as an element of like's type."""
    cdef int64_t integer
    if like.code == PD_F32:
        (<float *>to)[0] = <float><double>number
        return 0
    if like.code == PD_F64:
        (<double *>to)[0] = <double>number
        return 0
    integer = fitting(op, plain(number), like)
    if like.code == PD_I64: (<int64_t *>to)[0] = integer
    elif like.code == PD_I32: (<int32_t *>to)[0] = <int32_t>integer
    elif like.code == PD_U8: (<uint8_t *>to)[0] = <uint8_t>integer
    else: (<uint8_t *>to)[0] = integer != 0
    return 0

cdef Tensor number_like(str op, object number, Tensor like):
    cdef Tensor x
    if not is_number(number):
        raise TypeError(f"{op}: expected a tensor or a number, got {type(number).__name__}")
    x = empty(like.code, 0, NULL)
    store(op, number, like, x.data)
    return x

cdef Tensor converted(str op, object number, Tensor like):
    if not is_number(number):
        raise TypeError(f"{op}: expected a tensor or a number, got {type(number).__name__}")
    try:
        return scalar_of(like.code, int(number) if PD_F64 < like.code < PD_BOOL else number)
    except (OverflowError, ValueError):
        raise ValueError(f"{op}: {number!r} does not fit in {dtype_of(like.code)} (shape {shape_of(like)}); convert the tensor with .to()") from None

cdef tuple operands(str op, object input, object other):
    if isinstance(input, Tensor):
        return (input, other if isinstance(other, Tensor) else number_like(op, other, <Tensor>input))
    if isinstance(other, Tensor):
        return (number_like(op, input, <Tensor>other), other)
    raise TypeError(f"{op}: expected a Tensor, got {type(input).__name__} and {type(other).__name__}")

cdef bint holds(int code, object number):
    """Whether the integer type has this number."""
    if isinstance(number, float):
        return False
    if code == PD_BOOL:
        return 0 <= number <= 1
    if code == PD_U8:
        return 0 <= number < 256
    if code == PD_I32:
        return -2**31 <= number < 2**31
    return -2**63 <= number < 2**63

cdef Tensor comparable(Tensor x, object number):
    """x in a type in which it can be compared with the number."""
    if x.code <= PD_F64 or not is_number(number):
        return x
    number = plain(number)
    if holds(x.code, number):
        return x
    return cast(x, PD_I64 if holds(PD_I64, number) else PD_F64)

cdef tuple comparands(str op, object input, object other):
    if isinstance(input, Tensor) and not isinstance(other, Tensor):
        return operands(op, comparable(<Tensor>input, other), other)
    if isinstance(other, Tensor) and not isinstance(input, Tensor):
        return operands(op, input, comparable(<Tensor>other, input))
    return operands(op, input, other)

cdef Tensor map_number(str op, int kernel, Tensor x, object number, bint number_first):
    cdef pd_launch launch
    cdef double value       # room for one element of any type
    cdef Tensor y
    cdef int side = 0 if number_first else 1
    if not is_number(number):
        raise TypeError(f"{op}: expected a tensor or a number, got {type(number).__name__}")
    if not x.contiguous:
        y = scalar_of(x.code, 0)
        store(op, number, x, y.data)
        return map2(kernel, y, x) if number_first else map2(kernel, x, y)
    store(op, number, x, &value)
    prepare(&launch, kernel, x.code)
    y = empty(x.code, x.ndim, x.sizes)
    launch.buf[side], launch.buf[1 - side], launch.buf[2] = &value, x.data, y.data
    launch.map.ndim = 1
    launch.map.shape[0] = x.numel
    launch.map.stride[side][0] = 0
    launch.map.stride[1 - side][0] = launch.map.stride[2][0] = 1
    if x.numel > GIL_GRAIN:
        with nogil:
            launch.run(&launch)
    else:
        launch.run(&launch)
    return y

cdef int refuse_zero_divisor(str op, Tensor divisor) except -1:
    cdef Tensor x
    cdef size_t i
    cdef bint zero = False
    if divisor.code <= PD_F64:
        return 0
    x = contiguous(divisor)
    with nogil:
        if x.code == PD_I64:
            for i in range(x.numel): zero |= (<int64_t *>x.data)[i] == 0
        elif x.code == PD_I32:
            for i in range(x.numel): zero |= (<int32_t *>x.data)[i] == 0
        else:
            for i in range(x.numel): zero |= (<uint8_t *>x.data)[i] == 0
    if zero:
        raise ZeroDivisionError(f"{op}: division of integers by zero; the divisor must have no zeros")
    return 0

cdef int require_broadcast(str op, Tensor a, Tensor b, Tensor c) except -1:
    cdef int d
    cdef ptrdiff_t size, one
    for d in range(1, max(a.ndim, b.ndim, c.ndim) + 1):
        size = 1
        for x in (a, b, c):
            one = (<Tensor>x).sizes[(<Tensor>x).ndim - d] if (<Tensor>x).ndim >= d else 1
            if one != 1 and size != 1 and one != size:
                raise ValueError(f"{op}: shapes {shape_of(a)}, {shape_of(b)} and {shape_of(c)} do not broadcast")
            size = one if size == 1 else size
    return 0
