# cython: language_level=3
"""Borders around images: constant, reflected, replicated, circular. Kernels: csrc/pad.c."""
from pydl._core.arguments cimport int_of
from pydl._core.kernels cimport PD_MAX_DIMS, pd_launch
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.tape cimport Node, Op, op, record1
from pydl._core.tensor cimport Tensor, empty, real_arg, shape_of, tensor_arg
from pydl.ops.operands cimport converted

cdef extern from "pydl.h":
    enum: PD_pad
    enum: PD_pad_turned

cdef enum:
    SPACE = 3
    CONSTANT = 0

PAD_MODES = ("constant", "reflect", "replicate", "circular")        # as in csrc/pad.c
cdef dict NUMBERS = {mode: number for number, mode in enumerate(PAD_MODES)}
cdef dict RANKS = {1: (2, 3), 2: (3, 4), 3: (4, 5)}

cdef extern from *:
    const ptrdiff_t PTRDIFF_MAX


cdef int pads_of(str name, tuple shape, object given, int mode, ptrdiff_t *left, ptrdiff_t *right) except -1:
    """The pads of every dimension, checked."""
    cdef int d, k, ndim = <int>len(shape)
    cdef object before, after, n, kept
    cdef double total = 1
    if not isinstance(given, (tuple, list)):
        raise TypeError(f"{name}: pad must be a tuple or list of ints, got {type(given).__name__}")
    if len(given) % 2 or len(given) > 2 * ndim:
        raise ValueError(f"{name}: expected two pads for each padded dimension, the last one first, got {tuple(given)} for input {shape}")
    if mode != CONSTANT and (not 1 <= len(given) // 2 <= SPACE or ndim not in RANKS[len(given) // 2]):
        raise ValueError(f"{name}: mode {PAD_MODES[mode]!r} pads the last dimension of 2 or 3, the last two of 3 or 4 or the last three of 4 or 5, "
                         f"got pad {tuple(given)} for input {shape}")
    for d in range(ndim):
        k, n = 2 * (ndim - 1 - d), shape[d]
        before = int_of(name, given[k], "pad") if k < len(given) else 0
        after = int_of(name, given[k + 1], "pad") if k < len(given) else 0
        kept = n + min(before, 0) + min(after, 0)
        if kept < 0 or n + before + after > PTRDIFF_MAX:
            raise ValueError(f"{name}: pad {(before, after)} does not fit dimension {d} of input {shape}")
        if mode != CONSTANT and (before or after) and kept < 1:
            raise ValueError(f"{name}: pad {(before, after)} leaves nothing of dimension {d} of input {shape}")
        if mode == 1 and max(before, after) >= n and max(before, after) > 0:
            raise ValueError(f"{name}: expected a reflecting pad below the size, got {(before, after)} for dimension {d} of input {shape}")
        if mode == 3 and max(before, after) > kept:
            raise ValueError(f"{name}: a circular pad goes around once at most, got {(before, after)} for dimension {d} of input {shape}")
        left[d], right[d] = before, after
        total *= <double>(n + before + after or 1)
    if total > 2.0 ** 59:
        raise ValueError(f"{name}: pad {tuple(given)} makes more elements of input {shape} than an address can count")
    return 0

cdef int geometry(pd_launch *launch, int ndim, const ptrdiff_t *sizes, const ptrdiff_t *left, const ptrdiff_t *right, bint constant) noexcept:
    """Joins dimensions until there are n and three axes -> how many axes there are; more than three do not go into one launch."""
    cdef ptrdiff_t n[PD_MAX_DIMS + 1]
    cdef ptrdiff_t before[PD_MAX_DIMS + 1]
    cdef ptrdiff_t after[PD_MAX_DIMS + 1]
    cdef int d, axes = 0, first
    cdef bint padded
    n[0], before[0], after[0] = 1, 0, 0         # what is not padded, in front
    for d in range(ndim):
        padded = left[d] != 0 or right[d] != 0
        if not padded and not before[axes] and not after[axes]:
            n[axes] *= sizes[d]
            continue
        axes += 1
        n[axes], before[axes], after[axes] = sizes[d], left[d], right[d]
    if constant and axes > 1 and not before[axes] and not after[axes]:       # rows behind the last padded dimension are runs of it
        axes -= 1
        before[axes] *= n[axes + 1]
        after[axes] *= n[axes + 1]
        n[axes] *= n[axes + 1]
    if axes > SPACE:
        return axes
    launch.window.n, launch.window.c, launch.window.o = n[0], 1, 1
    for d in range(SPACE):
        first = axes - SPACE + d + 1
        launch.window.in_[d] = n[first] if first > 0 else 1
        launch.window.out[d] = n[first] + before[first] + after[first] if first > 0 else 1
        launch.window.pad[d] = <size_t>before[first] if first > 0 else 0
    return axes

cdef int mode_of(str name, object mode) except -1:
    number = NUMBERS.get(mode) if isinstance(mode, str) else None
    if number is None:
        raise ValueError(f"{name}: mode must be one of {', '.join(PAD_MODES)}, got {mode!r}")
    return number

def pad(input, pad, mode="constant", value=None):
    """The input with more around it: pad holds two numbers for each dimension from the last one on, (left, right, top, bottom, ...).

    (..., n) -> (..., n + left + right). A negative pad takes away. mode: "constant": `value` (0), any number of dimensions;
    "reflect": the mirror image, without the edge itself; "replicate": the edge; "circular": the other end. These three pad the last
    dimension of 2 or 3, the last two of 3 or 4, or the last three of 4 or 5. Any type. Raises ValueError where a pad does not fit.
    """
    cdef str name = "pad"
    cdef Tensor x = tensor_arg(name, input, "input"), y, fill = None
    cdef ptrdiff_t left[PD_MAX_DIMS]
    cdef ptrdiff_t right[PD_MAX_DIMS]
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef pd_launch launch
    cdef int d, number = mode_of(name, mode)
    if value is not None and value != 0:
        if number != CONSTANT:
            raise ValueError(f"{name}: mode {mode!r} takes no value, got {value!r} (input {shape_of(x)})")
        fill = converted(name, value, x)
    pads_of(name, shape_of(x), pad, number, left, right)
    for d in range(x.ndim):
        sizes[d] = x.sizes[d] + left[d] + right[d]
    if geometry(&launch, x.ndim, x.sizes, left, right, number == CONSTANT) > SPACE:
        return in_turn(x, pad, value)
    y = empty(x.code, x.ndim, sizes)
    if y.numel:
        launched(&launch, PD_pad, number, contiguous(x), y, fill)
    cdef Node node = record1(PAD, y, x)
    if node is not None:
        node.extra = (tuple(pad), mode, shape_of(x))
    return y

cdef object in_turn(Tensor x, object given, object value):
    """The last padded dimension by itself, then the others: more than three with some between them."""
    cdef tuple every = tuple(given)
    cdef int last = 0
    while every[last] == 0 and every[last + 1] == 0:
        last += 2
    once = pad(x, every[:last + 2], "constant", value)
    return pad(once, (0,) * (last + 2) + every[last + 2:], "constant", value)

cdef int launched(pd_launch *launch, int kernel, int number, Tensor x, Tensor y, Tensor fill) except -1:
    prepare(launch, kernel, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = x.data, y.data, NULL if fill is None else fill.data
    launch.scalar[0] = number
    return run(launch, kernel, x.code, y.numel)

cdef object pad_backward(Node node, object dy):
    pads, mode, shape = <tuple>node.extra
    if mode == "constant":
        return pad(dy, tuple([-one for one in pads]))
    return pad_turned(dy, shape, pads, mode)

def pad_turned(input, shape, pad, mode):
    """The transpose of pad, and its derivative: sums what came from one element. mode: any but "constant". (shape + pad) -> shape."""
    cdef str name = "pad_turned"
    cdef Tensor x = real_arg(name, input, "input"), y
    cdef ptrdiff_t left[PD_MAX_DIMS]
    cdef ptrdiff_t right[PD_MAX_DIMS]
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef pd_launch launch
    cdef int d, number = mode_of(name, mode)
    if number == CONSTANT:
        raise ValueError(f"{name}: a constant is taken away by pad() with negative pads (input {shape_of(x)})")
    pads_of(name, tuple(shape), pad, number, left, right)
    for d in range(<int>len(shape)):
        sizes[d] = shape[d]
        if x.ndim != len(shape) or x.sizes[d] != sizes[d] + left[d] + right[d]:
            raise ValueError(f"{name}: input {shape_of(x)} is not shape {tuple(shape)} with pad {tuple(pad)}")
    geometry(&launch, x.ndim, sizes, left, right, False)
    y = empty(x.code, x.ndim, sizes)
    if y.numel:
        launched(&launch, PD_pad_turned, number, contiguous(x), y, None)
    cdef Node node = record1(PAD_TURNED, y, x)
    if node is not None:
        node.extra = (tuple(pad), mode)
    return y

cdef object pad_turned_backward(Node node, object dy):
    pads, mode = <tuple>node.extra
    return pad(dy, pads, mode)

cdef Op PAD = op(pad, pad_backward)
cdef Op PAD_TURNED = op(pad_turned, pad_turned_backward)

__all__ = ["pad", "pad_turned"]
METHODS = []
