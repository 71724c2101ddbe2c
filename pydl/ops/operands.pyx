# cython: language_level=3
"""Element types: conversion, and what the sides of an op have in common.

A type is bool, an integer or a float, in this order. Operands have three ranks: tensors with dimensions, 0-dimensional
tensors, Python numbers. The result has the promoted type of the highest rank that is there; a lower rank changes it only where
its own kind is higher: an int32 tensor and 1.5 give the default float type, a float32 tensor and a 0-dimensional float64 float32.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t

from pydl._core.kernels cimport PD_BOOL, PD_F32, PD_F64, PD_I32, PD_I64, PD_U8, pd_launch
from pydl._core.launch cimport cast, contiguous, map2, prepare
from pydl._core.native cimport capture_flag
from pydl._core.recording cimport host_read, note_constant
from pydl._core.tape cimport Node, Op, op, record1
from pydl._core.arguments cimport number_of
from pydl._core.dtypes cimport code_of, default_float, dtype, dtype_of, kind_of, promoted
from pydl._core.tensor cimport Tensor, empty, empty_for_host, scalar_of, shape_of, tensor_arg
from pydl._core.placement import check_device, check_format
from pydl._core.tensor import add_methods

cdef const int *capturing = capture_flag()

cdef enum:
    GIL_GRAIN = 16384   # below so many elements a launch is over before another thread could use the interpreter


# ---- Into other types

cdef Tensor as_type(Tensor x, int code):
    cdef Tensor y
    cdef Node node
    if x.code == code:
        return x
    y = cast(x, code)
    if code <= PD_F64 and x.code <= PD_F64:
        node = record1(TO, y, x)
        if node is not None:
            node.extra = dtype_of(x.code)
    return y

def to(input, *args, dtype=None, device=None, other=None, non_blocking=False, copy=False, memory_format=None):
    """input as another element type: to(dtype), to("cpu"), to("cpu", dtype) or to(other), then non_blocking and copy.

    input itself where it has that type, unless copy is True. Float to integer cuts off the fraction; NaN and what does not
    fit give the smallest int64 or int32, and uint8 takes the low byte. To bool: whether it is not zero. Differentiable
    between float types. Raises ValueError for a device that is not there.
    """
    cdef Tensor x = tensor_arg("to", input, "input")
    cdef list rest = list(args)
    cdef int code = x.code
    if rest and isinstance(rest[0], Tensor):
        other = rest.pop(0)
    elif rest and names_type(rest[0]):
        dtype = rest.pop(0)
    elif rest:
        device = rest.pop(0)
        if rest and (rest[0] is None or names_type(rest[0])):
            dtype = rest.pop(0)
    if len(rest) > 2 or not all([isinstance(flag, bool) for flag in rest]):
        raise TypeError(f"to: expected to(dtype), to(device, dtype) or to(other), then non_blocking and copy, got {args}")
    copy = rest[1] if len(rest) == 2 else copy
    check_device("to", device)
    check_format("to", memory_format)
    if other is not None:
        code = (<Tensor>tensor_arg("to", other, "other")).code
    elif dtype is not None:
        code = code_of(dtype)
    cdef Tensor y = as_type(x, code)
    return y.clone() if copy and y is x else y

cdef bint names_type(object x):
    return isinstance(x, (dtype, type))

cdef object to_backward(Node node, object dy):
    return to(dy, node.extra)

cdef Op TO = op(to, to_backward)

def to_float(input):
    """input as float32."""
    return as_type(tensor_arg("float", input, "input"), PD_F32)

def to_double(input):
    """input as float64."""
    return as_type(tensor_arg("double", input, "input"), PD_F64)

def to_long(input):
    """input as int64."""
    return as_type(tensor_arg("long", input, "input"), PD_I64)

def to_int(input):
    """input as int32."""
    return as_type(tensor_arg("int", input, "input"), PD_I32)

def to_byte(input):
    """input as uint8."""
    return as_type(tensor_arg("byte", input, "input"), PD_U8)

def to_bool(input):
    """input as bool: whether it is not zero."""
    return as_type(tensor_arg("bool", input, "input"), PD_BOOL)

def type_as(input, other):
    """input as other's element type."""
    return as_type(tensor_arg("type_as", input, "input"), (<Tensor>tensor_arg("type_as", other, "other")).code)

add_methods({
    "float": to_float, "double": to_double, "long": to_long, "int": to_int, "byte": to_byte, "bool": to_bool,
})

# ---- Numbers

cdef bint is_number(object x):
    return isinstance(x, (float, int)) or is_numpy_number(x)

cdef bint is_numpy_number(object x):
    cdef type kind = type(x)
    return kind.__module__ == "numpy" and hasattr(x, "item") and getattr(x, "ndim", None) == 0 and x.dtype.kind in "fiub"

cdef object plain(object number):
    """A Python number."""
    return number if isinstance(number, (float, int)) else number.item()

# ---- What the sides have in common

cdef int code_of_number(object number):
    return default_float() if isinstance(number, float) else PD_BOOL if type(number) is bool else PD_I64

cdef inline int ranked(int higher, int lower) noexcept:
    """The type of a higher rank beside one of a lower."""
    return higher if kind_of(lower) <= kind_of(higher) else lower

cdef int pair_code(Tensor a, Tensor b) noexcept:
    if (a.ndim == 0) == (b.ndim == 0):
        return promoted(a.code, b.code)
    return ranked(a.code, b.code) if a.ndim else ranked(b.code, a.code)

cdef int result_code(str op, tuple operands) except -1:
    cdef int[3] codes       # of each rank; -1: it is not there
    cdef int rank, code, result = -1
    codes[0] = codes[1] = codes[2] = -1
    for x in operands:
        if isinstance(x, Tensor):
            rank, code = 0 if (<Tensor>x).ndim else 1, (<Tensor>x).code
        elif is_number(x):
            rank, code = 2, code_of_number(plain(x))
        else:
            raise TypeError(f"{op}: expected a tensor or a number, got {type(x).__name__}")
        codes[rank] = code if codes[rank] < 0 else promoted(codes[rank], code)
    for code in codes[:3]:
        if code >= 0:
            result = code if result < 0 else ranked(result, code)
    return result

cdef tuple alike(Tensor a, Tensor b):
    cdef int code = pair_code(a, b)
    return as_type(a, code), as_type(b, code)

cdef Tensor widened(Tensor x, object number):
    if not is_number(number):
        return x            # refused where it is used
    return as_type(x, ranked(x.code, code_of_number(plain(number))))

cdef Tensor as_default(Tensor x):
    return cast(x, default_float())

cdef Tensor float_arg(str op, object x, str name):
    return real(tensor_arg(op, x, name))

def result_type(tensor1, tensor2):
    """The type of the result of an op of the two, tensors or numbers."""
    return dtype_of(result_code("result_type", (tensor1, tensor2)))

def common_type(str op not None, *operands):
    """The type of the result of an op of any number of tensors and numbers."""
    return dtype_of(result_code(op, operands))


# ---- The other side of a tensor

# Where a uint8 wraps around anyway, -1 is as good as 255.
cdef frozenset MODULAR = frozenset(("add", "sub", "mul", "bitwise_and", "bitwise_or", "bitwise_xor"))

cdef int64_t fitting(str op, object number, Tensor like) except? -1:
    """The integer for a tensor of integers or bool."""
    if isinstance(number, float):
        raise TypeError(f"{op}: a float ({number}) does not fit in {dtype_of(like.code)}; convert the tensor with .to()")
    if holds(like.code, number) or like.code == PD_U8 and -256 < number < 0 and op in MODULAR:
        return number
    raise ValueError(f"{op}: {number} does not fit in {dtype_of(like.code)} (shape {shape_of(like)}); convert the tensor with .to()")

cdef int64_t store(str op, object number, Tensor like, void *to) except? -1:
    """Writes the number as an element of like's type."""
    cdef int64_t integer
    if like.code == PD_F32:
        (<float *>to)[0] = <float>number_of(op, number, "the other operand")
        return 0
    if like.code == PD_F64:
        (<double *>to)[0] = number_of(op, number, "the other operand")
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
    x = empty_for_host(like.code, 0, NULL)
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
    cdef Tensor x
    if isinstance(input, Tensor) and isinstance(other, Tensor):
        return (input, other) if (<Tensor>input).code == (<Tensor>other).code else alike(<Tensor>input, <Tensor>other)
    if isinstance(input, Tensor):
        x = beside(<Tensor>input, other)
        return x, number_like(op, other, x)
    if isinstance(other, Tensor):
        x = beside(<Tensor>other, input)
        return number_like(op, input, x), x
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
    if not x.contiguous or capturing[0]:
        y = scalar_of(x.code, 0)
        store(op, number, x, y.data)
        if capturing[0]:
            note_constant(y.data, y.itemsize)
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

cdef int refuse_bool(str op, object a, object b) except -1:
    for x in (a, b):
        if x is True or x is False or isinstance(x, Tensor) and (<Tensor>x).code == PD_BOOL:
            raise TypeError(f"{op}: not defined for pydl.bool; use bitwise_xor() or logical_not(), or convert with .to()")
    return 0

cdef int refuse_zero_divisor(str op, Tensor divisor) except -1:
    cdef Tensor x
    cdef size_t i
    cdef bint zero = False
    if divisor.code <= PD_F64:
        return 0
    host_read(op)
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

__all__ = ["to", "type_as", "result_type"]
METHODS = ["to", "type_as"]
