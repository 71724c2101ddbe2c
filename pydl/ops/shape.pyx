"""Views: tensors that look at the same memory through another shape. Writing to one is seen by all."""
from pydl._core.kernels cimport PD_F64, PD_MAX_DIMS, pd_launch
from pydl._core.launch cimport broadcast_to as broadcast_view
from pydl._core.launch cimport duplicate, prepare, run
from pydl._core.tape cimport Node, Op, op, record, record1
from pydl._core.arguments cimport sizes_from, wrap_dim
from pydl._core.tensor cimport Tensor, shape_of, strides_of, tensor_arg, view_of
from pydl._core.placement import check_format

cdef extern from "pydl.h":
    enum: PD_copy


cdef void set_base(Tensor y, Tensor x) noexcept:
    """y is a view of x, as x is now."""
    if x.code <= PD_F64:
        y.base = x if x.base is None else x.base
        y.history = y.base.history

cdef Tensor look_at(Tensor x, int ndim, const ptrdiff_t *sizes, const ptrdiff_t *strides, ptrdiff_t offset):
    cdef Tensor y = view_of(x, ndim, sizes, strides, offset)
    set_base(y, x)
    return y

cdef int copy_into(Tensor x, Tensor y) except -1:
    cdef pd_launch launch
    cdef int d
    prepare(&launch, PD_copy, y.code)
    launch.buf[0], launch.buf[1] = x.data, y.data
    launch.map.ndim = y.ndim
    for d in range(y.ndim):
        launch.map.shape[d] = y.sizes[d]
        launch.map.stride[0][d] = x.strides[d]
        launch.map.stride[1][d] = y.strides[d]
    return run(&launch, PD_copy, y.code)

cdef tuple dims_from(str op, tuple given, object keyword, str name):
    if keyword is not None:
        if given:
            raise TypeError(f"{op}: {name} is given twice")
        given = (keyword,)
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        return tuple(given[0])
    return given


# ---- The same elements in the same order: view, reshape and what is made of it

cdef bint strides_for(Tensor x, int ndim, const ptrdiff_t *sizes, ptrdiff_t *strides) noexcept:
    """The strides of a view of x with these sizes, whose product is right; False where only a copy has that shape.

    Runs of dimensions of x that lie side by side are cut into new dimensions, from the last to the first.
    """
    cdef ptrdiff_t step, run_numel = 1, taken = 1, expected
    cdef int d, new = ndim - 1
    if x.numel == 0 or x.contiguous:
        step = 1
        for d in range(ndim - 1, -1, -1):
            strides[d] = step
            step *= sizes[d] if sizes[d] > 1 else 1
        return True
    step = x.strides[x.ndim - 1]
    for d in range(x.ndim - 1, -1, -1):
        run_numel *= x.sizes[d]
        expected = run_numel * step
        if d > 0 and (x.sizes[d - 1] == 1 or x.strides[d - 1] == expected):
            continue
        while new >= 0 and (taken < run_numel or sizes[new] == 1):
            strides[new] = taken * step
            taken *= sizes[new]
            new -= 1
        if taken != run_numel:
            return False
        if d > 0:
            step = x.strides[d - 1]
            run_numel = taken = 1
    return new == -1

cdef int fill_in(str op, Tensor x, tuple shape, ptrdiff_t *sizes) except -1:
    """sizes = shape with its -1 worked out; returns the number of dimensions."""
    cdef int ndim = sizes_from(op, shape, sizes)
    cdef int d, unknown = -1
    cdef size_t numel = 1, limit = <size_t>1 << 62
    cdef bint zero = False
    for d in range(ndim):
        if sizes[d] == -1 and unknown < 0:
            unknown = d
        elif sizes[d] < 0:
            raise ValueError(f"{op}: sizes must not be negative (one may be -1), got {shape} for shape {shape_of(x)}")
        elif sizes[d] == 0:
            zero = True
        elif numel <= limit:
            numel = numel * <size_t>sizes[d] if numel <= limit // <size_t>sizes[d] else limit + 1
    if zero:
        numel = 0
    if unknown >= 0:
        if numel == 0:
            raise ValueError(f"{op}: shape {shape} is ambiguous: -1 beside a size of 0, for shape {shape_of(x)}")
        sizes[unknown] = x.numel // numel
        if numel > limit or sizes[unknown] * numel != x.numel:
            raise ValueError(f"{op}: shape {shape_of(x)} of {x.numel} elements does not fit into {shape}")
    elif numel != x.numel:
        raise ValueError(f"{op}: shape {shape_of(x)} of {x.numel} elements does not fit into {shape}")
    return ndim

cdef Tensor viewed(Tensor x, int ndim, const ptrdiff_t *sizes, const ptrdiff_t *strides):
    cdef Tensor y = look_at(x, ndim, sizes, strides, 0)
    cdef Node node = record1(VIEW, y, x)
    if node is not None:
        node.extra = shape_of(x)
    return y

cdef Tensor reshaped(Tensor x, int ndim, const ptrdiff_t *sizes):
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    if not strides_for(x, ndim, sizes, strides):
        x = cloned(x)
        strides_for(x, ndim, sizes, strides)
    return viewed(x, ndim, sizes, strides)

def view(input, *size, shape=None):
    """The same memory in another shape; one size may be -1 and is worked out.

    input (any shape) -> size, with as many elements. Every new dimension must lie inside one dimension of the input, or
    inside several that lie side by side in memory. Raises ValueError where the elements do not fit, or where only a
    copy could have that shape (then use reshape).
    """
    cdef Tensor x = tensor_arg("view", input, "input")
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef tuple given = dims_from("view", size, shape, "shape")
    cdef int ndim = fill_in("view", x, given, sizes)
    if not strides_for(x, ndim, sizes, strides):
        raise ValueError(f"view: shape {shape_of(x)} with strides {strides_of(x)} cannot be looked at as {given} "
                         "without a copy; use reshape()")
    return viewed(x, ndim, sizes, strides)

cdef object view_backward(Node node, object dy):
    return reshape(dy, node.extra)

def reshape(input, *size, shape=None):
    """The same elements in another shape: a view where one exists, else a copy. One size may be -1.

    input (any shape) -> shape, with as many elements. Raises ValueError where they do not fit.

    >>> pydl.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    cdef Tensor x = tensor_arg("reshape", input, "input")
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int ndim = fill_in("reshape", x, dims_from("reshape", size, shape, "shape"), sizes)
    return reshaped(x, ndim, sizes)

def view_as(input, other):
    """view(input, other.shape)."""
    return view(input, shape_of(tensor_arg("view_as", other, "other")))

def reshape_as(input, other):
    """reshape(input, other.shape)."""
    return reshape(input, shape_of(tensor_arg("reshape_as", other, "other")))

def flatten(input, start_dim=0, end_dim=-1):
    """Dimensions start_dim to end_dim as one: a view where one exists, else a copy.

    (a, b, c, d), 1, 2 -> (a, b*c, d). Raises IndexError for dimensions out of range, ValueError where start is behind end.
    """
    cdef Tensor x = tensor_arg("flatten", input, "input")
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int first = wrap_dim("flatten", start_dim, x.ndim), last = wrap_dim("flatten", end_dim, x.ndim), d
    if first > last:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} for shape {shape_of(x)}")
    if x.ndim == 0:
        sizes[0] = 1
        return reshaped(x, 1, sizes)
    if first == last:
        return x
    for d in range(first + 1):
        sizes[d] = x.sizes[d]
    for d in range(first + 1, last + 1):
        sizes[first] *= x.sizes[d]
    for d in range(last + 1, x.ndim):
        sizes[d - last + first] = x.sizes[d]
    return reshaped(x, x.ndim - last + first, sizes)

def unflatten(input, dim, sizes):
    """Dimension dim as several: (a, b*c), 1, (b, c) -> (a, b, c). One of sizes may be -1. A view."""
    cdef Tensor x = tensor_arg("unflatten", input, "input")
    cdef int d = wrap_dim("unflatten", dim, x.ndim)
    cdef ptrdiff_t new[PD_MAX_DIMS]
    cdef tuple shape = shape_of(x) or (1,)
    cdef Tensor line = view_of(x, 1, &x.sizes[d], &x.strides[d], 0) if x.ndim else x
    if not isinstance(sizes, (tuple, list)) or len(sizes) == 0:
        raise ValueError(f"unflatten: sizes must be a tuple of one or more ints, got {sizes!r}")
    cdef int ndim = fill_in("unflatten", line, tuple(sizes), new)
    return view(x, shape[:d] + tuple([new[i] for i in range(ndim)]) + shape[d + 1:])

def squeeze(input, dim=None):
    """Without its dimensions of size 1: all of them, or those named by dim (an int or a tuple). A view."""
    cdef Tensor x = tensor_arg("squeeze", input, "input")
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef int d, ndim = 0
    cdef size_t drop = <size_t>-1
    if dim is not None:
        drop = 0
        for one in dim if isinstance(dim, (tuple, list)) else (dim,):
            drop |= <size_t>1 << wrap_dim("squeeze", one, x.ndim)
    for d in range(x.ndim):
        if x.sizes[d] != 1 or not (drop >> d) & 1:
            sizes[ndim], strides[ndim] = x.sizes[d], x.strides[d]
            ndim += 1
    return viewed(x, ndim, sizes, strides)

def unsqueeze(input, dim):
    """With a new dimension of size 1 at dim: (a, b), 1 -> (a, 1, b). A view."""
    cdef Tensor x = tensor_arg("unsqueeze", input, "input")
    cdef ptrdiff_t sizes[PD_MAX_DIMS + 1]
    cdef ptrdiff_t strides[PD_MAX_DIMS + 1]
    cdef int at = wrap_dim("unsqueeze", dim, x.ndim + 1), d
    for d in range(at):
        sizes[d], strides[d] = x.sizes[d], x.strides[d]
    sizes[at], strides[at] = 1, x.sizes[at] * x.strides[at] if at < x.ndim else 1
    for d in range(at, x.ndim):
        sizes[d + 1], strides[d + 1] = x.sizes[d], x.strides[d]
    return viewed(x, x.ndim + 1, sizes, strides)

cdef Op VIEW = op(view, view_backward)


# ---- Dimensions in another order

cdef Tensor permuted(Tensor x, const int *order):
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef int d
    cdef Tensor y
    cdef Node node
    for d in range(x.ndim):
        sizes[d], strides[d] = x.sizes[order[d]], x.strides[order[d]]
    y = look_at(x, x.ndim, sizes, strides, 0)
    node = record1(PERMUTE, y, x)
    if node is not None:
        node.extra = tuple([order[d] for d in range(x.ndim)])
    return y

def permute(input, *order, dims=None):
    """Dimension i of the result is dimension dims[i] of the input. A view.

    Raises ValueError unless dims names every dimension once.
    """
    cdef Tensor x = tensor_arg("permute", input, "input")
    cdef tuple given = dims_from("permute", order, dims, "dims")
    cdef int places[PD_MAX_DIMS]
    cdef int d = 0
    cdef size_t seen = 0
    if len(given) != x.ndim:
        raise ValueError(f"permute: expected {x.ndim} dims for shape {shape_of(x)}, got {given}")
    for one in given:
        places[d] = wrap_dim("permute", one, x.ndim)
        if (seen >> places[d]) & 1:
            raise ValueError(f"permute: dim {one} is named twice in {given}")
        seen |= <size_t>1 << places[d]
        d += 1
    return permuted(x, places)

cdef object permute_backward(Node node, object dy):
    cdef int inverse[PD_MAX_DIMS]
    cdef int d = 0
    for place in <tuple>node.extra:
        inverse[<int>place] = d
        d += 1
    return permuted(<Tensor>dy, inverse)

cdef Op PERMUTE = op(permute, permute_backward)

cdef Tensor swapped(Tensor x, int a, int b):
    cdef int order[PD_MAX_DIMS]
    cdef int d
    for d in range(x.ndim):
        order[d] = b if d == a else a if d == b else d
    return permuted(x, order)

def transpose(input, dim0, dim1):
    """With dimensions dim0 and dim1 exchanged. A view."""
    cdef Tensor x = tensor_arg("transpose", input, "input")
    return swapped(x, wrap_dim("transpose", dim0, x.ndim), wrap_dim("transpose", dim1, x.ndim))

def t(input):
    """The transpose of a matrix, (a, b) -> (b, a); vectors and scalars stay as they are. A view."""
    cdef Tensor x = tensor_arg("t", input, "input")
    if x.ndim > 2:
        raise ValueError(f"t: expected at most 2 dimensions, got shape {shape_of(x)}; use transpose()")
    return swapped(x, 0, 1) if x.ndim == 2 else swapped(x, 0, 0)

def movedim(input, source, destination):
    """Moves the dimensions `source` (an int or a tuple) to the places `destination`; the others keep their order. A view."""
    cdef Tensor x = tensor_arg("movedim", input, "input")
    cdef list order = [-1] * x.ndim
    froms = tuple(source) if isinstance(source, (tuple, list)) else (source,)
    to = tuple(destination) if isinstance(destination, (tuple, list)) else (destination,)
    if len(froms) != len(to):
        raise ValueError(f"movedim: {len(froms)} source dims but {len(to)} destinations ({source} to {destination})")
    froms = [wrap_dim("movedim", d, x.ndim) for d in froms]
    to = [wrap_dim("movedim", d, x.ndim) for d in to]
    if len(set(froms)) != len(froms) or len(set(to)) != len(to):
        raise ValueError(f"movedim: a dim is named twice ({source} to {destination})")
    if x.ndim == 0:
        return permute(x, ())
    for a, b in zip(froms, to):
        order[b] = a
    rest = iter([d for d in range(x.ndim) if d not in froms])
    return permute(x, tuple([next(rest) if d < 0 else d for d in order]))


# ---- Dimensions stretched

def expand(input, *sizes, size=None):
    """Stretched to `size` without a copy: dimensions of size 1 are repeated, new ones come in front, -1 keeps a size.

    (3, 1) -> (2, 3, 4). A view whose elements share memory: clone() it before writing. Raises ValueError.
    """
    cdef Tensor x = tensor_arg("expand", input, "input")
    cdef tuple given = dims_from("expand", sizes, size, "size")
    cdef ptrdiff_t new[PD_MAX_DIMS]
    cdef int ndim = sizes_from("expand", given, new)
    cdef int d, skipped = ndim - x.ndim
    if skipped < 0:
        raise ValueError(f"expand: shape {shape_of(x)} has more dimensions than {given}")
    for d in range(ndim):
        if new[d] == -1 and d >= skipped:
            new[d] = x.sizes[d - skipped]
        elif new[d] < 0:
            raise ValueError(f"expand: sizes must not be negative (-1 keeps a size that is there), got {given} for {shape_of(x)}")
        elif d >= skipped and x.sizes[d - skipped] != 1 and x.sizes[d - skipped] != new[d]:
            raise ValueError(f"expand: shape {shape_of(x)} does not stretch to {given}")
    return expanded(x, ndim, new)

cdef Tensor expanded(Tensor x, int ndim, const ptrdiff_t *sizes):
    cdef Tensor stretched = broadcast_view(x, ndim, sizes)
    cdef Tensor y = look_at(stretched, ndim, stretched.sizes, stretched.strides, 0)
    set_base(y, x)
    record(EXPAND, y, (x,))
    return y

cdef object expand_backward(Node node, object dy):
    return dy   # the tape sums it to the input's shape

def broadcast_to(input, shape=None, size=None):
    """expand(input, shape)."""
    return expand(input, shape if size is None else size)

def expand_as(input, other):
    """expand(input, other.shape)."""
    return expand(input, shape_of(tensor_arg("expand_as", other, "other")))

cdef Op EXPAND = op(expand, expand_backward)


# ---- Copies

cdef Tensor cloned(Tensor x):
    cdef Tensor y = duplicate(x)
    record1(CLONE, y, x)
    return y

def clone(input, *, memory_format=None):
    """A contiguous copy. memory_format: contiguous_format or preserve_format, which makes no difference."""
    check_format("clone", memory_format)
    return cloned(tensor_arg("clone", input, "input"))

cdef object clone_backward(Node node, object dy):
    return dy

cdef Op CLONE = op(clone, clone_backward)

def contiguous(input, memory_format=None):
    """The tensor itself where its elements lie in row-major order, else such a copy."""
    check_format("contiguous", memory_format)
    cdef Tensor x = tensor_arg("contiguous", input, "input")
    return x if x.contiguous else cloned(x)

__all__ = [
    "view", "reshape", "view_as", "reshape_as", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "t",
    "movedim", "expand", "broadcast_to", "expand_as", "clone", "contiguous",
]
METHODS = __all__
