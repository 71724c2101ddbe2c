"""Views of parts of a tensor: boxes, any strides, diagonals; and their derivatives, which put a part back."""
from pydl._core.kernels cimport PD_MAX_DIMS
from pydl._core.launch cimport duplicate, filled
from pydl._core.tape cimport Node, Op, op, record, record1, tracked
from pydl._core.arguments cimport count_of, int_of, sizes_from, wrap_dim
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, same_shape, shape_of, strides_of, strides_overlap, tensor_arg
from pydl.ops.shape cimport copy_into, look_at
from pydl.ops.shape import contiguous, reshape


# ---- Parts. A box holds (start, step, count) of every input dimension; a count of -1 takes one and drops the dimension.

cdef Tensor box_of(Tensor x, tuple box, bint tracked):
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef ptrdiff_t offset = 0, start, step, count
    cdef int d = 0, ndim = 0
    cdef Tensor y
    cdef Node node
    for one in box:
        start, step, count = <tuple>one
        offset += start * x.strides[d]
        if count >= 0:
            sizes[ndim], strides[ndim] = count, step * x.strides[d]
            ndim += 1
        d += 1
    for d in range(ndim):
        if sizes[d] == 0:
            offset = 0
    y = look_at(x, ndim, sizes, strides, offset)
    if tracked:
        node = record1(BOX, y, x)
        if node is not None:
            node.extra = (box, shape_of(x))
    return y

def box(input, part):
    """A rectangular part: (start, step, count) for every dimension; count -1 takes one and drops the dimension. A view."""
    cdef Tensor x = tensor_arg("box", input, "input")
    check_box("box", shape_of(x), part)
    return box_of(x, tuple([tuple(one) for one in part]), True)

cdef int check_box(str op, tuple shape, object box) except -1:
    if len(box) != len(shape):
        raise ValueError(f"{op}: {len(box)} parts for shape {shape}")
    for (start, step, count), size in zip(box, shape):
        last = start + (max(count, 1) - 1) * step
        if step < 1 or count < -1 or start < 0 or start > size or (count and last >= size):
            raise ValueError(f"{op}: part {(start, step, count)} does not lie in shape {shape}")
    return 0

cdef object box_backward(Node node, object dy):
    return box_put(dy, *node.extra)

def box_put(input, part, shape):
    """Zeros of `shape` with input in its part `part`: the derivative of box."""
    cdef Tensor x = tensor_arg("box_put", input, "input")
    check_box("box_put", tuple(shape), part)
    cdef Tensor y = filled(x.code, shape, 0)
    cdef Tensor there = box_of(y, tuple(part), False)
    if not same_shape(there, x):
        raise ValueError(f"box_put: input has shape {shape_of(x)}, its part {shape_of(there)}")
    copy_into(x, there)
    cdef Node node = record1(BOX_PUT, y, x)
    if node is not None:
        node.extra = tuple(part)
    return y

cdef object box_put_backward(Node node, object dy):
    return box_of(<Tensor>dy, node.extra, True)

cdef Op BOX = op(box, box_backward)
cdef Op BOX_PUT = op(box_put, box_put_backward)

cdef tuple whole(Tensor x):
    return tuple([(0, 1, x.sizes[d]) for d in range(x.ndim)])

def narrow(input, dim, start, length):
    """Elements start to start + length along dim. A view. Raises ValueError, IndexError where they are not there."""
    cdef Tensor x = tensor_arg("narrow", input, "input")
    cdef int d = wrap_dim("narrow", dim, x.ndim)
    if x.ndim == 0:
        raise ValueError("narrow: a 0-dimensional tensor has no part")
    first, size = int_of("narrow", start, "start"), x.sizes[d]
    length = count_of("narrow", length, "length")
    if not -size <= first <= size:
        raise IndexError(f"narrow: start {start} is out of range for dim {dim} of shape {shape_of(x)}")
    first += size if first < 0 else 0
    if first + length > size:
        raise ValueError(f"narrow: {length} elements from {start} on do not fit into dim {dim} of shape {shape_of(x)}")
    cdef tuple parts = whole(x)
    return box_of(x, parts[:d] + ((first, 1, length),) + parts[d + 1:], True)

def select(input, dim, index):
    """What lies at `index` along dim, without that dimension. A view. Raises IndexError where it is not there."""
    cdef Tensor x = tensor_arg("select", input, "input")
    cdef int d = wrap_dim("select", dim, x.ndim)
    if x.ndim == 0:
        raise IndexError("select: a 0-dimensional tensor has nothing to select from")
    at, size = int_of("select", index, "index"), x.sizes[d]
    if not -size <= at < size:
        raise IndexError(f"select: index {index} is out of range for dim {dim} of shape {shape_of(x)}")
    cdef tuple parts = whole(x)
    return box_of(x, parts[:d] + ((at + size if at < 0 else at, 1, -1),) + parts[d + 1:], True)


# ---- Any strides

cdef Tensor strided(str op, Tensor x, object size, object stride, object offset, ptrdiff_t below, ptrdiff_t above):
    """Elements below .. above (relative to x's first) may be seen."""
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef int ndim = sizes_from(op, size, sizes), d
    cdef object last = int_of(op, offset, "storage_offset")
    cdef bint any_element = True
    if not isinstance(size, (tuple, list)) or not isinstance(stride, (tuple, list)):
        raise TypeError(f"{op}: size and stride must be tuples or lists of ints, got {type(size).__name__} and {type(stride).__name__}")
    if sizes_from(op, stride, strides) != ndim:
        raise ValueError(f"{op}: expected as many sizes as strides, got {size} and {stride}")
    for d in range(ndim):
        if sizes[d] < 0 or strides[d] < 0:
            raise ValueError(f"{op}: sizes and strides must not be negative, got {size} and {stride}")
        any_element &= sizes[d] > 0
        last += (<object>sizes[d] - 1) * <object>strides[d]
    if any_element and (offset < below or last >= above):
        raise ValueError(f"{op}: size {tuple(size)}, stride {tuple(stride)} from {offset} on reaches outside the memory "
                         f"of a tensor of shape {shape_of(x)}")
    return look_at(x, ndim, sizes, strides, offset if any_element else 0)

def as_strided(input, size, stride, storage_offset=None):
    """The memory of input looked at with any sizes and strides, from element storage_offset of that memory on. A view.

    Differentiable where input is contiguous and holds all that is seen. Raises ValueError outside the memory.
    """
    cdef Tensor x = tensor_arg("as_strided", input, "input")
    cdef ptrdiff_t own = (x.data - x.storage.data) // x.itemsize
    cdef ptrdiff_t there = x.storage.nbytes // x.itemsize if x.numel else 0
    cdef object offset = 0 if storage_offset is None else int_of("as_strided", storage_offset, "storage_offset") - own
    cdef Tensor y
    if tracked(x):
        return strided_view(x, size, stride, offset)
    return strided("as_strided", x, size, stride, offset, -own, there - own)

def strided_view(input, size, stride, offset=0):
    """as_strided of a contiguous tensor, with the offset counted from its first element. A view."""
    cdef Tensor x = tensor_arg("strided_view", input, "input")
    if not x.contiguous:
        raise RuntimeError(f"strided_view: shape {shape_of(x)} with strides {strides_of(x)} is not contiguous; use contiguous()")
    cdef Tensor y = strided("strided_view", x, size, stride, offset, 0, x.numel)
    cdef Node node = record1(STRIDED_VIEW, y, x)
    if node is not None:
        node.extra = (shape_of(x), shape_of(y), strides_of(y), offset)
    return y

cdef object strided_view_backward(Node node, object dy):
    from pydl._core.create import arange
    from pydl.ops.gather import index_add
    shape, size, stride, offset = <tuple>node.extra
    cdef Tensor grad = <Tensor>dy
    cdef Tensor x = filled(grad.code, shape, 0)
    cdef Tensor y = strided("strided_view", x, size, stride, offset, 0, x.numel)
    if not strides_overlap(y.ndim, y.sizes, y.strides):
        return strided_put(x, dy, size, stride, offset)
    places = strided_view(arange(x.numel), size, stride, offset)
    return reshape(index_add(reshape(x, -1), 0, reshape(places, -1), reshape(dy, -1)), shape)

def strided_put(input, src, size, stride, offset=0):
    """A copy of input with src in the place of strided_view(input, size, stride, offset). No element is seen twice."""
    cdef Tensor x = tensor_arg("strided_put", input, "input"), part = tensor_arg("strided_put", src, "src")
    cdef Tensor y = duplicate(x)
    cdef Tensor window = strided("strided_put", y, size, stride, offset, 0, y.numel)
    if not same_shape(window, part) or x.code != part.code:
        raise ValueError(f"strided_put: src has shape {shape_of(part)} of {dtype_of(part.code)}, "
                         f"its place {shape_of(window)} of {dtype_of(x.code)} in shape {shape_of(x)}")
    if strides_overlap(window.ndim, window.sizes, window.strides):
        raise ValueError(f"strided_put: size {tuple(size)} with stride {tuple(stride)} overlaps itself; use clone() before the change")
    copy_into(part, window)
    cdef Node node = record(STRIDED_PUT, y, (x, part))
    if node is not None:
        node.extra = (shape_of(window), strides_of(window), offset)
    return y

cdef object strided_put_backward(Node node, object dy):
    size, stride, offset = <tuple>node.extra
    cdef Tensor whole_dy = <Tensor>contiguous(dy)
    return (strided_put(whole_dy, filled(whole_dy.code, size, 0), size, stride, offset) if node.need(0) else None,
            strided_view(whole_dy, size, stride, offset) if node.need(1) else None)

cdef Op STRIDED_VIEW = op(strided_view, strided_view_backward)
cdef Op STRIDED_PUT = op(strided_put, strided_put_backward)


# ---- The diagonal

cdef Tensor diagonal_of(str op, Tensor x, object offset, object dim1, object dim2):
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef int a = wrap_dim(op, dim1, x.ndim), b = wrap_dim(op, dim2, x.ndim), d, ndim = 0
    if x.ndim < 2 or a == b:
        raise ValueError(f"{op}: expected two different dims, got {dim1} and {dim2} for shape {shape_of(x)}")
    for d in range(x.ndim):
        if d != a and d != b:
            sizes[ndim], strides[ndim] = x.sizes[d], x.strides[d]
            ndim += 1
    cdef ptrdiff_t shift = max(-x.sizes[a], min(x.sizes[b], int_of(op, offset, "offset"))), first
    sizes[ndim] = min(x.sizes[a] + min(shift, 0), x.sizes[b] - max(shift, 0))
    strides[ndim] = x.strides[a] + x.strides[b]
    first = shift * x.strides[b] if shift > 0 else -shift * x.strides[a]
    return look_at(x, ndim + 1, sizes, strides, first if sizes[ndim] and x.numel else 0)

def diagonal(input, offset=0, dim1=0, dim2=1):
    """The diagonal of dims dim1 and dim2, as the last dimension: (a, b) -> (min(a, b),). A view.

    offset > 0: above the main diagonal, < 0: below. Raises ValueError, IndexError for the dims.
    """
    cdef Tensor x = tensor_arg("diagonal", input, "input")
    cdef Tensor y = diagonal_of("diagonal", x, offset, dim1, dim2)
    cdef Node node = record1(DIAGONAL, y, x)
    if node is not None:
        node.extra = (shape_of(x), offset, dim1, dim2)
    return y

cdef object diagonal_backward(Node node, object dy):
    return diagonal_put(dy, *node.extra)

def diagonal_put(input, shape, offset=0, dim1=0, dim2=1):
    """Zeros of `shape` with input on the diagonal: the derivative of diagonal."""
    cdef Tensor x = tensor_arg("diagonal_put", input, "input")
    cdef Tensor y = filled(x.code, shape, 0)
    cdef Tensor part = diagonal_of("diagonal_put", y, offset, dim1, dim2)
    if not same_shape(part, x):
        raise ValueError(f"diagonal_put: input has shape {shape_of(x)}, the diagonal {shape_of(part)}")
    copy_into(x, part)
    cdef Node node = record1(DIAGONAL_PUT, y, x)
    if node is not None:
        node.extra = (offset, dim1, dim2)
    return y

cdef object diagonal_put_backward(Node node, object dy):
    return diagonal(dy, *node.extra)

cdef Op DIAGONAL = op(diagonal, diagonal_backward)
cdef Op DIAGONAL_PUT = op(diagonal_put, diagonal_put_backward)


__all__ = [
    "narrow", "select", "as_strided", "strided_view", "strided_put", "box", "box_put", "diagonal", "diagonal_put",
]
METHODS = ["narrow", "select", "as_strided", "diagonal"]
