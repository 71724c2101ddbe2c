"""Checks of arguments that many ops share; their messages begin with the op's name."""
from pydl._core.kernels cimport PD_MAX_DIMS

cdef extern from *:
    const ptrdiff_t PTRDIFF_MAX


cdef int wrap_dim(str op, object dim, int ndim) except -1:
    cdef ptrdiff_t d
    try:
        d = dim.__index__()
    except (AttributeError, TypeError):
        raise TypeError(f"{op}: dim must be an int, got {type(dim).__name__}") from None
    except OverflowError:
        d = PTRDIFF_MAX
    cdef int limit = ndim if ndim else 1
    if d < -limit or d >= limit:
        raise IndexError(f"{op}: dim {dim} is out of range for {ndim} dimensions (expected {-limit} to {limit - 1})")
    return <int>(d + limit if d < 0 else d)

cdef int sizes_from(str op, object shape, ptrdiff_t *sizes) except -1:
    cdef int d = 0
    if not isinstance(shape, (tuple, list)):
        shape = (shape,)
    if len(shape) > PD_MAX_DIMS:
        raise ValueError(f"{op}: a tensor has at most {PD_MAX_DIMS} dimensions, got {len(shape)}")
    for size in shape:
        try:
            sizes[d] = size.__index__()
        except (AttributeError, TypeError):
            raise TypeError(f"{op}: sizes must be ints, got {size!r}") from None
        except OverflowError:
            raise ValueError(f"{op}: size {size} is more than an address can count") from None
        d += 1
    return d

cdef object int_of(str op, object value, str name):
    try:
        return value.__index__()
    except (AttributeError, TypeError):
        raise TypeError(f"{op}: {name} must be an int, got {type(value).__name__}") from None

cdef ptrdiff_t count_of(str op, object value, str name) except -1:
    number = int_of(op, value, name)
    if not 0 <= number <= PTRDIFF_MAX:
        raise ValueError(f"{op}: {name} must not be negative or more than an address can count, got {number}")
    return number

cdef double number_of(str op, object value, str name) except? -1:
    if type(value) is float:
        return value
    if type(value) is int and -2**53 <= value <= 2**53:
        return value
    from pydl._core.checks import number_arg
    return number_arg(op, value, name)

cdef tuple size_of(str op, tuple sizes, object size):
    """f(2, 3), f((2, 3)) or f(size=(2, 3))."""
    if size is None and sizes:
        return sizes
    if size is None or sizes:
        raise TypeError(f"{op}: expected sizes, once, got {'none' if size is None else f'{sizes} and size={size}'}")
    return (size,)
