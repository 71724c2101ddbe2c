"""Random tensors, random fills and dropout. The numbers depend on the generator's state and on an element's place alone:
the same on every machine, for every instruction set and any number of threads. uniform draws 24 bits for float32 and 53
for float64; normal is Box & Muller's transformation in double precision."""
from libc.stdint cimport int64_t, uint64_t

from pydl._core.generator cimport state_of
from pydl._core.kernels cimport PD_BOOL, PD_F32, PD_F64, PD_I32, PD_I64, PD_MAX_DIMS, PD_U8, pd_launch
from pydl._core.launch cimport cast, contiguous, prepare, run
from pydl._core.native cimport capture_flag
from pydl._core.tape cimport Node, Op, changed, grad_enabled, op, record1, writable_in_place
from pydl._core.arguments cimport count_of, number_of, size_of, sizes_from
from pydl._core.dtypes cimport code_of, default_float, dtype_of
from pydl._core.tensor cimport Tensor, empty, empty_for_host, empty_like, real_arg, same_shape, shape_of, tensor_arg

import math
import operator

from pydl._core.placement import check_format, check_placement
from pydl.ops.extremes import amax, amin

cdef extern from "pydl.h":
    enum: PD_uniform
    enum: PD_normal
    enum: PD_trunc_normal
    enum: PD_bernoulli
    enum: PD_bernoulli_of
    enum: PD_integers
    enum: PD_permutation
    enum: PD_multinomial
    enum: PD_transformed
    enum: PD_counts
    enum: PD_dropout_fwd
    enum: PD_dropout_bwd

cdef const int *capturing = capture_flag()


# ---- Launches

cdef int draw(int kernel, Tensor y, object generator, double s0, double s1, double s2=0, double s3=0) except -1:
    """Fills y, which is contiguous."""
    cdef pd_launch launch
    prepare(&launch, kernel, y.code)
    launch.buf[0], launch.buf[1] = state_of(generator), y.data
    launch.scalar[0], launch.scalar[1], launch.scalar[2], launch.scalar[3] = s0, s1, s2, s3
    launch.lines.n = y.numel
    return run(&launch, kernel, y.code)

cdef int draw_integers(Tensor y, object generator, int64_t low, uint64_t high) except -1:
    """low <= y < high; the bounds are taken modulo 2^64."""
    cdef pd_launch launch
    cdef uint64_t own[2]
    cdef uint64_t *bounds = own
    cdef ptrdiff_t two = 2
    cdef Tensor kept
    if capturing[0]:        # a plan keeps them
        kept = empty_for_host(PD_I64, 1, &two)
        bounds = <uint64_t *>kept.data
    bounds[0], bounds[1] = <uint64_t>low, high
    prepare(&launch, PD_integers, y.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = state_of(generator), y.data, bounds
    launch.lines.n = y.numel
    return run(&launch, PD_integers, y.code)

cdef bint direct(Tensor x) noexcept:
    """Whether a fill may write into x as it is: dense, and no graph to tell."""
    return x.contiguous and not (grad_enabled() and (x.needs_grad or x.base is not None and x.base.needs_grad))

cdef object fill_by(str name, int kernel, object input, object generator, double s0, double s1, double s2=0, double s3=0):
    cdef Tensor x = tensor_arg(name, input, "input"), y
    if x.code > PD_F64 and kernel != PD_bernoulli:
        raise TypeError(f"{name}: expected a float32 or float64 tensor, got {dtype_of(x.code)}")
    writable_in_place(name, x)
    y = x if direct(x) else empty_like(x)
    draw(kernel, y, generator, s0, s1, s2, s3)
    if y is not x:
        return x.copy_(y)
    changed(x)
    return x

cdef Tensor allocate(str name, tuple size, object dtype, int code=-1):
    """size: (2, 3) or ((2, 3),)."""
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int ndim = sizes_from(name, size[0] if len(size) == 1 else size, sizes)
    for d in range(ndim):
        if sizes[d] < 0:
            raise ValueError(f"{name}: sizes must not be negative, got {tuple([sizes[i] for i in range(ndim)])}")
    if dtype is not None:
        code = code_of(dtype)
    return empty(default_float() if code < 0 else code, ndim, sizes)

cdef Tensor allocate_real(str name, tuple size, object dtype):
    if dtype is not None and code_of(dtype) > PD_F64:
        raise TypeError(f"{name}: dtype must be float32 or float64, got {dtype}")
    return allocate(name, size, dtype)

cdef Tensor finished(Tensor x, object requires_grad):
    if requires_grad is not False and requires_grad is not None:
        x.requires_grad = requires_grad
    return x

cdef double probability(str name, object p) except? -1:
    cdef double value = number_of(name, p, "p")
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: p must be a probability from 0 to 1, got {value}")
    return value

cdef int check_weights(str name, Tensor w, double high, str what) except -1:
    """0 <= w <= high everywhere (so no NaN)."""
    cdef size_t i
    cdef double value
    if w.numel and 0 <= amin(w).item() and amax(w).item() <= high:
        return 0
    for i in range(w.numel):
        value = (<float *>w.data)[i] if w.code == PD_F32 else (<double *>w.data)[i]
        if not 0 <= value <= high:
            raise ValueError(f"{name}: {what}, got {value} in input of shape {shape_of(w)}")
    return 0


# ---- New tensors

def rand(*sizes, size=None, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Uniform numbers from [0, 1). size (...) -> (...); float32 or float64."""
    check_placement("rand", device, layout, pin_memory)
    cdef Tensor y = allocate_real("rand", size_of("rand", sizes, size), dtype)
    draw(PD_uniform, y, generator, 0, 1)
    return finished(y, requires_grad)

def randn(*sizes, size=None, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Normal numbers with mean 0 and variance 1 (Box & Muller 1958). size (...) -> (...); float32 or float64."""
    check_placement("randn", device, layout, pin_memory)
    cdef Tensor y = allocate_real("randn", size_of("randn", sizes, size), dtype)
    draw(PD_normal, y, generator, 0, 1)
    return finished(y, requires_grad)

def rand_like(input, *, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, memory_format=None):
    """rand() with the shape and type of input."""
    check_placement("rand_like", device, layout, pin_memory)
    check_format("rand_like", memory_format)
    cdef Tensor x = tensor_arg("rand_like", input, "input")
    return rand(shape_of(x), generator=generator, dtype=dtype or dtype_of(x.code), requires_grad=requires_grad)

def randn_like(input, *, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, memory_format=None):
    """randn() with the shape and type of input."""
    check_placement("randn_like", device, layout, pin_memory)
    check_format("randn_like", memory_format)
    cdef Tensor x = tensor_arg("randn_like", input, "input")
    return randn(shape_of(x), generator=generator, dtype=dtype or dtype_of(x.code), requires_grad=requires_grad)

def randint(low, high=None, size=None, *, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Whole numbers low <= y < high, each equally likely: randint(high, size) or randint(low, high, size).

    int64 unless dtype says otherwise. Raises ValueError where the range is empty or does not fit the type.
    """
    check_placement("randint", device, layout, pin_memory)
    if size is None:
        low, high, size = 0, low, high
    if size is None:
        raise TypeError("randint: expected randint(high, size) or randint(low, high, size)")
    cdef Tensor y = allocate("randint", (size,), dtype, PD_I64)
    low, high = checked_range("randint", y, low, high)
    draw_integers(y, generator, low, high & 0xFFFFFFFFFFFFFFFF)
    return finished(y, requires_grad)

def randperm(n, *, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A random order of 0 .. n - 1 (Fisher & Yates). n -> (n,), int64 unless dtype says otherwise."""
    check_placement("randperm", device, layout, pin_memory)
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"randperm: n must be an integer, got {type(n).__name__}") from None
    if n < 0:
        raise ValueError(f"randperm: n must not be negative, got {n}")
    cdef int code = PD_I64 if dtype is None else code_of(dtype)
    if n and n - 1 > largest(code):
        raise ValueError(f"randperm: {dtype_of(code)} does not hold all numbers below {n}")
    cdef Tensor y = allocate("randperm", (n,), None, code if code in (PD_I32, PD_U8) else PD_I64)
    draw(PD_permutation, y, generator, 0, 0)
    return finished(cast(y, code), requires_grad)

def normal(mean, std=1.0, size=None, *, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Normal numbers with the given mean and standard deviation: numbers with `size`, or tensors of one shape.

    normal(0.0, 2.0, (2, 3)) -> (2, 3); normal(mean (...), std (...)) -> (...). Raises ValueError for std < 0.
    """
    check_placement("normal", device, layout, pin_memory)
    if size is not None:
        if isinstance(mean, Tensor) or isinstance(std, Tensor):
            raise TypeError("normal: with size, mean and std must be numbers")
        y = allocate_real("normal", (size,), dtype)
        draw(PD_normal, y, generator, number_of("normal", mean, "mean"), deviation("normal", std))
        return finished(y, requires_grad)
    shaped = mean if isinstance(mean, Tensor) else std
    if not isinstance(shaped, Tensor):
        raise TypeError("normal: expected size, or a tensor for mean or std")
    if not isinstance(mean, Tensor):
        mean = number_of("normal", mean, "mean")
    if not isinstance(std, Tensor):
        std = deviation("normal", std)
    elif std.numel() and not bool((std >= 0).all()):
        raise ValueError("normal: std must not be negative")
    if shaped is mean and isinstance(std, Tensor):
        shaped = mean + std
    return finished(randn_like(shaped, generator=generator) * std + mean, requires_grad)

def bernoulli(input, p=None, *, generator=None):
    """1 with the probability each element of input gives (or p, where it is given), else 0. input (...) -> (...), its type.

    Raises ValueError for what is no probability.
    """
    cdef Tensor x = tensor_arg("bernoulli", input, "input"), y = empty_like(x)
    cdef pd_launch launch
    if p is not None:
        draw(PD_bernoulli, y, generator, probability("bernoulli", p), 0)
        return y
    x = contiguous(real_arg("bernoulli", input, "input"))
    check_weights("bernoulli", x, 1, "expected probabilities from 0 to 1")
    prepare(&launch, PD_bernoulli_of, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = state_of(generator), x.data, y.data
    launch.lines.n = x.numel
    run(&launch, PD_bernoulli_of, x.code)
    return y

def multinomial(input, num_samples, replacement=False, *, generator=None):
    """Draws categories by their weights. input (n,) or (m, n), not negative -> (num_samples,) or (m, num_samples), int64.

    A row's weights need not sum to one. Without replacement no category comes twice in a row (Efraimidis & Spirakis 2006).
    Raises ValueError for weights that are negative, not finite or all zero, or fewer positive ones than samples wanted.
    """
    cdef Tensor w = contiguous(real_arg("multinomial", input, "input")), y
    cdef pd_launch launch
    cdef ptrdiff_t sizes[2]
    if w.ndim not in (1, 2):
        raise ValueError(f"multinomial: input must have 1 or 2 dimensions, got shape {shape_of(w)}")
    cdef ptrdiff_t count = count_of("multinomial", num_samples, "num_samples"), n = w.sizes[w.ndim - 1]
    if count <= 0:
        raise ValueError(f"multinomial: num_samples must be positive, got {count}")
    check_weights("multinomial", w, 1.7e308, "expected finite weights that are not negative")
    check_choices(w, count, bool(replacement))
    sizes[0], sizes[w.ndim - 1] = w.sizes[0], count
    y = empty(PD_I64, w.ndim, sizes)
    prepare(&launch, PD_multinomial, w.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = state_of(generator), w.data, y.data
    launch.lines.outer, launch.lines.n, launch.lines.inner = 1 if w.ndim == 1 else w.sizes[0], n, count
    launch.scalar[0] = bool(replacement)
    run(&launch, PD_multinomial, w.code)
    return y

cdef int check_choices(Tensor w, ptrdiff_t count, bint replacement) except -1:
    """Every row has something to choose from."""
    if replacement and w.numel and amin(amax(w, -1)).item() > 0:
        return 0
    cdef ptrdiff_t n = w.sizes[w.ndim - 1], row, i, positive
    for row in range(1 if w.ndim == 1 else w.sizes[0]):
        positive = 0
        for i in range(row * n, row * n + n):
            positive += (<float *>w.data)[i] > 0 if w.code == PD_F32 else (<double *>w.data)[i] > 0
        if positive == 0:
            raise ValueError(f"multinomial: row {row} of input (shape {shape_of(w)}) has no positive weight")
        if not replacement and positive < count:
            raise ValueError(f"multinomial: {count} samples without replacement need as many positive weights, "
                             f"row {row} of input (shape {shape_of(w)}) has {positive}; pass replacement=True")
    return 0


# ---- In-place fills

def uniform_(input, low=0.0, to=1.0, *, generator=None):
    """Fills the tensor with uniform numbers from [low, to). float32 or float64. Raises ValueError where to < low."""
    cdef double a = number_of("uniform_", low, "low"), b = number_of("uniform_", to, "to")
    if not a <= b or math.isinf(b - a):
        raise ValueError(f"uniform_: expected finite low <= to, got low {a} and to {b}")
    return fill_by("uniform_", PD_uniform, input, generator, a, b)

cdef double deviation(str name, object std) except? -1:
    cdef double value = number_of(name, std, "std")
    if not value >= 0:
        raise ValueError(f"{name}: std must not be negative, got {value}")
    return value

def normal_(input, mean=0.0, std=1.0, *, generator=None):
    """Fills the tensor with normal numbers. float32 or float64. Raises ValueError for std < 0 or NaN."""
    return fill_by("normal_", PD_normal, input, generator, number_of("normal_", mean, "mean"), deviation("normal_", std))

def trunc_normal_(input, mean=0.0, std=1.0, a=-2.0, b=2.0, *, generator=None):
    """Fills the tensor with normal numbers given a <= y <= b, by the inverse of the distribution (Wichura 1988).

    float32 or float64; a and b are values, not deviations. Raises ValueError where std <= 0 or a >= b.
    """
    cdef double m = number_of("trunc_normal_", mean, "mean"), s = number_of("trunc_normal_", std, "std")
    cdef double low = number_of("trunc_normal_", a, "a"), high = number_of("trunc_normal_", b, "b")
    if not 0 < s < math.inf or not low < high or not math.isfinite(m):
        raise ValueError(f"trunc_normal_: expected std > 0 and a < b, got mean {m}, std {s}, a {low}, b {high}")
    return fill_by("trunc_normal_", PD_trunc_normal, input, generator, m, s, low, high)

def fill_transformed(str name not None, input, int which, double a, double b, generator):
    """Fills the tensor with a function of uniform numbers: which = 0 exponential, 1 geometric, 2 Cauchy, 3 log-normal (csrc/random.c)."""
    return fill_by(name, PD_transformed, input, generator, a, b, which)

def draw_counts(Tensor rates not None, Tensor p, generator):
    """Poisson counts of the rates; with p, of rates' shape and type, binomial counts of so many trials. Both checked, contiguous."""
    cdef Tensor y = empty_like(rates)
    cdef pd_launch launch
    prepare(&launch, PD_counts, rates.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = state_of(generator), rates.data, y.data
    launch.buf[3] = NULL if p is None else p.data
    launch.lines.n = rates.numel
    run(&launch, PD_counts, rates.code)
    return y

def bernoulli_(input, p=0.5, *, generator=None):
    """Fills the tensor with 1 with probability p, else 0. Any type; p a number or a tensor of input's shape."""
    cdef Tensor x = tensor_arg("bernoulli_", input, "input")
    if not isinstance(p, Tensor):
        return fill_by("bernoulli_", PD_bernoulli, x, generator, probability("bernoulli_", p), 0)
    if not same_shape(x, <Tensor>p):
        raise ValueError(f"bernoulli_: p must have input's shape, got {shape_of(<Tensor>p)} for {shape_of(x)}")
    writable_in_place("bernoulli_", x)
    return x.copy_(bernoulli(p, generator=generator))

cdef object largest(int code):
    """The largest whole number up to which a type holds all."""
    return {PD_F32: 1 << 24, PD_F64: 1 << 53, PD_I64: (1 << 63) - 1, PD_I32: (1 << 31) - 1, PD_U8: 255, PD_BOOL: 1}[code]

cdef tuple checked_range(str name, Tensor y, object low, object high):
    try:
        low, high = operator.index(low), operator.index(high)
    except TypeError:
        raise TypeError(f"{name}: bounds must be integers, got {type(low).__name__} and {type(high).__name__}") from None
    if low >= high:
        raise ValueError(f"{name}: expected low < high, got low {low} and high {high}")
    most = largest(y.code)
    least = 0 if y.code in (PD_U8, PD_BOOL) else -most - (y.code in (PD_I64, PD_I32))
    if low < least or high - 1 > most:
        raise ValueError(f"{name}: {dtype_of(y.code)} does not hold all whole numbers from {low} to {high - 1}")
    return low, high

def random_(input, low=0, to=None, *, generator=None):
    """Fills the tensor with whole numbers low <= y < to: random_(to) or random_(low, to).

    random_() draws from 0 to the largest whole number the type holds exactly. Raises ValueError where the range is empty or
    does not fit the type.
    """
    cdef Tensor x = tensor_arg("random_", input, "input"), y
    if to is None:
        low, to = 0, low if low else largest(x.code) + 1
    low, to = checked_range("random_", x, low, to)
    writable_in_place("random_", x)
    y = x if direct(x) else empty_like(x)
    draw_integers(y, generator, low, to & 0xFFFFFFFFFFFFFFFF)
    if y is not x:
        return x.copy_(y)
    changed(x)
    return x


# ---- Dropout

def dropout(input, p=0.5, training=True, inplace=False, *, generator=None):
    """y = x * mask / (1 - p), where mask is 0 with probability p, else 1; y = x where not training (Srivastava et al. 2014).

    input (...) -> (...), float32 or float64. The mask is not stored: backward draws it again from the generator's saved
    state. Raises ValueError for a p that is no probability.
    """
    cdef Tensor x = real_arg("dropout", input, "input"), y, used
    cdef double rate = probability("dropout", p)
    cdef ptrdiff_t words = 2
    cdef pd_launch launch
    cdef Node node
    if not training or rate == 0:
        return x
    cdef Tensor dense = contiguous(x)
    y, used = empty_like(x), empty(PD_I64, 1, &words)
    prepare(&launch, PD_dropout_fwd, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2], launch.buf[3] = state_of(generator), dense.data, y.data, used.data
    launch.scalar[0] = rate
    launch.lines.n = x.numel
    run(&launch, PD_dropout_fwd, x.code)
    node = record1(DROPOUT, y, x)
    if node is not None:
        node.keep(0, used)
        node.extra = rate
    return x.copy_(y) if inplace else y

def dropout_bwd(input, used, p):
    """The same mask and scale once more: y = x * mask(used) / (1 - p). input (...) -> (...); `used` is the state dropout kept."""
    cdef Tensor x = real_arg("dropout_bwd", input, "input"), state = tensor_arg("dropout_bwd", used, "used"), y
    cdef double rate = probability("dropout_bwd", p)
    cdef pd_launch launch
    cdef Node node
    if state.code != PD_I64 or state.ndim != 1 or state.numel != 2 or not state.contiguous:
        raise ValueError(f"dropout_bwd: used must be a contiguous int64 tensor of shape (2,), got {dtype_of(state.code)} {shape_of(state)}")
    cdef Tensor dense = contiguous(x)
    y = empty_like(x)
    prepare(&launch, PD_dropout_bwd, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = dense.data, state.data, y.data
    launch.scalar[0] = rate
    launch.lines.n = x.numel
    run(&launch, PD_dropout_bwd, x.code)
    node = record1(DROPOUT_BWD, y, x)
    if node is not None:
        node.keep(0, state)
        node.extra = rate
    return y

cdef object masked_again(Node node, object dy):
    """The mask is linear and its own transpose: derivatives of every order are the same op."""
    return dropout_bwd(dy, node.kept(0), node.extra)

cdef Op DROPOUT = op(dropout, masked_again)
cdef Op DROPOUT_BWD = op(dropout_bwd, masked_again)


__all__ = [
    "bernoulli", "bernoulli_", "dropout", "dropout_bwd", "multinomial", "normal", "normal_", "rand", "rand_like", "randint",
    "randn", "randn_like", "random_", "randperm", "trunc_normal_", "uniform_",
]
METHODS = ["bernoulli", "bernoulli_", "multinomial", "normal_", "random_", "trunc_normal_", "uniform_"]
