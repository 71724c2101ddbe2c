# cython: language_level=3
"""The geometry of windows that slide over images: kernel, stride, padding and dilation of convolutions, pooling and unfold.

A pd_window always has three dimensions: of fewer, the first ones are 1 (csrc/pydl.h).
"""
from pydl._core.arguments cimport int_of
from pydl._core.kernels cimport PD_NO_ACTIVATION, pd_window
from pydl._core.tensor cimport Tensor, empty, real_arg, shape_of

cdef enum:
    SPACE = 3

AXES = {1: "L", 2: "H, W", 3: "D, H, W"}


cdef int spread(str name, str what, object value, int dims, ptrdiff_t least, size_t *to) except -1:
    cdef int d
    cdef bint several = isinstance(value, (tuple, list))
    if type(value) is int and least <= value <= LARGEST:
        for d in range(dims):
            to[SPACE - dims + d] = value
        return 0
    if several and len(value) not in (1, dims):
        raise ValueError(f"{name}: expected {what} to be an int or {dims} of them, got {value!r}")
    for d in range(dims):
        number = int_of(name, value[d if len(value) == dims else 0] if several else value, what)
        if not least <= number <= LARGEST:
            raise ValueError(f"{name}: expected {what} of {least} or more{'' if number < least else f' and at most {LARGEST}'}, got {value!r}")
        to[SPACE - dims + d] = number
    return 0

cdef void still(pd_window *w) noexcept:
    cdef int d
    for d in range(SPACE):
        w.kernel[d] = w.stride[d] = w.dilation[d] = w.in_[d] = w.out[d] = 1
        w.pad[d] = 0
    w.groups = 1
    w.activation, w.exact, w.packed = PD_NO_ACTIVATION, False, False

cdef Tensor images(str name, object input, int dims, pd_window *w, str what="input"):
    cdef Tensor x = real_arg(name, input, what)
    cdef int d
    if x.ndim != dims + 2 and x.ndim != dims + 1:
        raise ValueError(f"{name}: expected {what} (N, C, {AXES[dims]}) or (C, {AXES[dims]}), got shape {shape_of(x)}")
    if x.ndim == dims + 1:
        x = x.unsqueeze(0)
    w.n, w.c, w.o = x.sizes[0], x.sizes[1], x.sizes[1]
    for d in range(dims):
        w.in_[SPACE - dims + d] = x.sizes[2 + d]
    return x

cdef tuple window_sizes(int dims, const size_t *of):
    return tuple([of[SPACE - dims + d] for d in range(dims)])

cdef int place(str name, pd_window *w, int dims, Tensor x, bint ceil_mode=False) except -1:
    cdef int d
    cdef size_t room, reach
    for d in range(SPACE - dims, SPACE):
        room, reach = w.in_[d] + 2 * w.pad[d] + (w.stride[d] - 1 if ceil_mode else 0), w.dilation[d] * (w.kernel[d] - 1) + 1
        if reach > room:
            raise ValueError(f"{name}: the kernel {window_sizes(dims, w.kernel)} with dilation {window_sizes(dims, w.dilation)} does not fit the input "
                             f"{shape_of(x)} with padding {window_sizes(dims, w.pad)}: there is no output")
        w.out[d] = (room - reach) // w.stride[d] + 1
        if ceil_mode and (w.out[d] - 1) * w.stride[d] >= w.in_[d] + w.pad[d]:
            w.out[d] -= 1           # the last window would start in the padding
    return check_room(name, w.n, w.o, dims, w.out, x)

cdef int check_room(str name, size_t n, size_t channels, int dims, const size_t *space, Tensor x) except -1:
    cdef double total = <double>(n or 1) * <double>(channels or 1)
    cdef int d
    for d in range(SPACE):
        total *= <double>(space[d] or 1)
    if total > 2.0 ** 59:
        raise ValueError(f"{name}: the output {(n, channels, *window_sizes(dims, space))} of input {shape_of(x)} would have more elements "
                         "than an address can count")
    return 0

cdef Tensor images_out(pd_window *w, int dims, int code):
    cdef ptrdiff_t shape[5]
    cdef int d
    shape[0], shape[1] = w.n, w.o
    for d in range(dims):
        shape[2 + d] = w.out[SPACE - dims + d]
    return empty(code, dims + 2, shape)
