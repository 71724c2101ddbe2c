"""Ops that put tensors together, cut them up, or copy them into another order."""
from pydl._core.kernels cimport PD_MAX_DIMS
from pydl._core.launch cimport duplicate, filled
from pydl._core.tape cimport Node, Op, op, record, record1
from pydl._core.arguments cimport count_of, int_of, wrap_dim
from pydl._core.tensor cimport Tensor, empty, same_shape, shape_of, tensor_arg, view_of
from pydl.ops.operands cimport as_type, result_code
from pydl.ops.shape cimport copy_into, dims_from, look_at
from pydl.ops.parts import narrow
from pydl.ops.shape import expand, reshape


cdef tuple tensors_arg(str op, object tensors):
    if isinstance(tensors, Tensor) or not isinstance(tensors, (tuple, list)):
        raise TypeError(f"{op}: expected a tuple or list of Tensors, got {type(tensors).__name__}")
    if len(tensors) == 0:
        raise ValueError(f"{op}: expected at least one tensor, got none")
    cdef int code
    for x in tensors:
        tensor_arg(op, x, "every one of tensors")
    for x in tensors:
        if (<Tensor>x).code != (<Tensor>tensors[0]).code:
            code = result_code(op, tuple(tensors))
            return tuple([as_type(<Tensor>y, code) for y in tensors])
    return tuple(tensors)

cdef str all_shapes(tuple tensors):
    return ", ".join([str(shape_of(<Tensor>x)) for x in tensors])

cdef int place_along(Tensor y, int d, ptrdiff_t start, Tensor x) except -1:
    """Copies x to where it starts along dimension d of y."""
    if x.numel:
        copy_into(x, view_of(y, x.ndim, x.sizes, y.strides, start * y.strides[d]))
    return 0


# ---- Joining

def cat(tensors, dim=0, *, axis=None):
    """Tensors one after the other along dim.

    tensors: shapes equal but for dim (1-D empty ones are skipped) -> their sizes along dim added up. Types promote.
    Raises ValueError for shapes, IndexError for dim.

    >>> pydl.cat([pydl.zeros(1, 2), pydl.ones(2, 2)]).shape
    (3, 2)
    """
    cdef tuple given = tensors_arg("cat", tensors)
    cdef list parts = [x for x in given if (<Tensor>x).ndim != 1 or (<Tensor>x).numel] or [given[0]]
    cdef Tensor first = <Tensor>parts[0], x, y
    cdef int d, k
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t start = 0
    if first.ndim == 0:
        raise ValueError(f"cat: 0-dimensional tensors have no dimension to join along; use stack() (shapes {all_shapes(given)})")
    d = wrap_dim("cat", dim if axis is None else axis, first.ndim)
    for k in range(first.ndim):
        sizes[k] = first.sizes[k]
    sizes[d] = 0
    for item in parts:
        x = <Tensor>item
        for k in range(first.ndim if x.ndim == first.ndim else 0):
            if k != d and x.sizes[k] != first.sizes[k]:
                break
        else:
            if x.ndim == first.ndim:
                sizes[d] += x.sizes[d]
                continue
        raise ValueError(f"cat: shapes must agree but for dim {dim}, got {all_shapes(given)}")
    y = empty(first.code, first.ndim, sizes)
    for item in parts:
        place_along(y, d, start, <Tensor>item)
        start += (<Tensor>item).sizes[d]
    cdef Node node = record(CAT, y, tuple(parts))
    if node is not None:
        node.extra = (d, tuple([(<Tensor>item).sizes[d] for item in parts]))
    return y

cdef object cat_backward(Node node, object dy):
    cdef ptrdiff_t start = 0
    cdef int i = 0
    cdef list grads = []
    dim, counts = <tuple>node.extra
    for count in counts:
        grads.append(narrow(dy, dim, start, count) if node.need(i) else None)
        start += count
        i += 1
    return tuple(grads)

cdef Op CAT = op(cat, cat_backward)
concatenate = concat = cat

def stack(tensors, dim=0, *, axis=None):
    """Tensors of one shape along a new dimension: n of (a, b), dim 0 -> (n, a, b)."""
    cdef tuple given = tensors_arg("stack", tensors)
    cdef Tensor first = <Tensor>given[0], x, y, line
    cdef int d = wrap_dim("stack", dim if axis is None else axis, first.ndim + 1), k
    cdef ptrdiff_t sizes[PD_MAX_DIMS + 1]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef ptrdiff_t i = 0
    for item in given:
        if not same_shape(<Tensor>item, first):
            raise ValueError(f"stack: shapes must be equal, got {all_shapes(given)}")
    for k in range(first.ndim + 1):
        sizes[k] = first.sizes[k] if k < d else len(given) if k == d else first.sizes[k - 1]
    y = empty(first.code, first.ndim + 1, sizes)
    for k in range(first.ndim):
        strides[k] = y.strides[k if k < d else k + 1]
    if first.numel:
        for item in given:
            x = <Tensor>item
            copy_into(x, view_of(y, x.ndim, x.sizes, strides, i * y.strides[d]))
            i += 1
    cdef Node node = record(STACK, y, given)
    if node is not None:
        node.extra = d
        node.shapes = None
    return y

cdef object stack_backward(Node node, object dy):
    return unbind(dy, node.extra)

cdef Op STACK = op(stack, stack_backward)


# ---- Cutting: several outputs, whose gradients are joined again in one go

cdef tuple gradients_of(Node node, object dy):
    """One gradient per output: zeros, that take no memory, where none came."""
    cdef list grads = []
    if isinstance(dy, Tensor):
        return (dy,)
    for grad, (code, shape) in zip(dy, node.metas):
        grads.append(expand(filled(code, (), 0), shape) if grad is None else grad)
    return tuple(grads)

cdef object split_backward(Node node, object dy):
    return cat(gradients_of(node, dy), node.extra)

cdef object unbind_backward(Node node, object dy):
    return stack(gradients_of(node, dy), node.extra)

cdef tuple cut(Tensor x, int d, list counts):
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t start = 0
    cdef int k
    cdef list outputs = []
    for k in range(x.ndim):
        sizes[k] = x.sizes[k]
    for count in counts:
        sizes[d] = count
        outputs.append(look_at(x, x.ndim, sizes, x.strides, start * x.strides[d] if count else 0))
        start += count
    if not outputs:
        return ()
    cdef Node node = record(SPLIT, tuple(outputs), (x,))
    if node is not None:
        node.extra = d
        node.shapes = None
    return tuple(outputs)

def split(tensor, split_size_or_sections, dim=0):
    """Views of pieces along dim: of split_size each (the last may be shorter), or of the sizes in a list.

    Raises ValueError where the sizes are negative or do not add up.
    """
    cdef Tensor x = tensor_arg("split", tensor, "tensor")
    cdef int d = wrap_dim("split", dim, x.ndim)
    if x.ndim == 0:
        raise ValueError("split: a 0-dimensional tensor cannot be cut")
    size = x.sizes[d]
    if isinstance(split_size_or_sections, (tuple, list)):
        counts = [int_of("split", one, "every size") for one in split_size_or_sections]
        if any([one < 0 for one in counts]) or sum(counts) != size:
            raise ValueError(f"split: sizes {split_size_or_sections} do not add up to the {size} of dim {dim} of shape {shape_of(x)}")
    else:
        each = int_of("split", split_size_or_sections, "split_size")
        if each < 0 or each == 0 and size:
            raise ValueError(f"split: split_size must be positive, got {each} for shape {shape_of(x)}")
        counts = [min(each, size - i) for i in range(0, size, max(each, 1))] or [0]
    return cut(x, d, counts)

def chunk(input, chunks, dim=0):
    """At most `chunks` views of equal size along dim (the last may be shorter)."""
    cdef Tensor x = tensor_arg("chunk", input, "input")
    cdef int d = wrap_dim("chunk", dim, x.ndim)
    chunks = count_of("chunk", chunks, "chunks")
    if chunks < 1:
        raise ValueError(f"chunk: chunks must be at least 1, got {chunks} for shape {shape_of(x)}")
    if x.ndim == 0:
        raise ValueError("chunk: a 0-dimensional tensor cannot be cut")
    if not x.sizes[d] and chunks > 2**20:
        raise ValueError(f"chunk: {chunks} chunks of no elements (shape {shape_of(x)})")
    each = -(-x.sizes[d] // chunks)
    return split(x, each, d) if each else cut(x, d, [0] * chunks)

def unbind(input, dim=0):
    """The slices along dim, each without that dimension, as a tuple of views."""
    cdef Tensor x = tensor_arg("unbind", input, "input")
    cdef int d = wrap_dim("unbind", dim, x.ndim), k
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef ptrdiff_t i
    if x.ndim == 0:
        raise ValueError("unbind: a 0-dimensional tensor cannot be cut")
    for k in range(x.ndim - 1):
        sizes[k], strides[k] = x.sizes[k + (k >= d)], x.strides[k + (k >= d)]
    cdef tuple outputs = tuple([look_at(x, x.ndim - 1, sizes, strides, i * x.strides[d] if x.numel else 0) for i in range(x.sizes[d])])
    if not outputs:
        return outputs
    cdef Node node = record(UNBIND, outputs, (x,))
    if node is not None:
        node.extra = d
        node.shapes = None
    return outputs

cdef Op SPLIT = op(split, split_backward)
cdef Op UNBIND = op(unbind, unbind_backward)


# ---- Other orders

def flip(input, *order, dims=None):
    """With the order of elements turned round along dims. A copy."""
    cdef Tensor x = tensor_arg("flip", input, "input")
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef ptrdiff_t offset = 0
    cdef tuple given = dims_from("flip", order, dims, "dims")
    cdef list turned = [wrap_dim("flip", one, x.ndim) for one in given]
    cdef int d
    if len(set(turned)) != len(turned):
        raise ValueError(f"flip: a dim is named twice in {given}")
    for d in range(x.ndim):
        strides[d] = -x.strides[d] if d in turned else x.strides[d]
        if d in turned and x.numel:
            offset += (x.sizes[d] - 1) * x.strides[d]
    cdef Tensor y = duplicate(view_of(x, x.ndim, x.sizes, strides, offset))
    cdef Node node = record1(FLIP, y, x)
    if node is not None:
        node.extra = given
    return y

cdef object flip_backward(Node node, object dy):
    return flip(dy, dims=node.extra)

cdef Op FLIP = op(flip, flip_backward)

def roll(input, shifts, dims=None):
    """Elements moved `shifts` places along dims; what leaves at the end comes in again at the start. A copy."""
    cdef Tensor x = tensor_arg("roll", input, "input")
    if dims is None:
        return reshape(roll(reshape(x, -1), shifts, 0), shape_of(x))
    shifts = shifts if isinstance(shifts, (tuple, list)) else (shifts,)
    dims = dims if isinstance(dims, (tuple, list)) else (dims,)
    if len(shifts) != len(dims):
        raise ValueError(f"roll: {len(shifts)} shifts but {len(dims)} dims, for shape {shape_of(x)}")
    y = input
    for shift, dim in zip([int_of("roll", one, "every shift") for one in shifts], dims):
        d = wrap_dim("roll", dim, x.ndim)
        n = x.sizes[d] if x.ndim else 0
        if n and shift % n:
            y = cat((narrow(y, d, n - shift % n, shift % n), narrow(y, d, 0, n - shift % n)), d)
    return y.clone() if y is input else y

def tile(input, *sizes, dims=None):
    """input repeated dims[i] times along dimension i; missing dims are 1 (counted from the last). A copy."""
    cdef Tensor x = tensor_arg("tile", input, "input")
    cdef tuple times = tuple([count_of("tile", one, "every one of dims") for one in dims_from("tile", sizes, dims, "dims")])
    return repeat(x, (1,) * (x.ndim - len(times)) + times)

def repeat(input, *sizes, repeats=None):
    """input repeated sizes[i] times along dimension i; more sizes than dimensions put new ones in front. A copy.

    (2, 3), (4, 2) -> (8, 6). Raises ValueError.
    """
    cdef Tensor x = tensor_arg("repeat", input, "input")
    cdef tuple times = tuple([count_of("repeat", one, "every size") for one in dims_from("repeat", sizes, repeats, "repeats")]), shape
    if len(times) < x.ndim:
        raise ValueError(f"repeat: expected at least {x.ndim} sizes for shape {shape_of(x)}, got {times}")
    shape = (1,) * (len(times) - x.ndim) + shape_of(x)
    if 2 * len(times) > PD_MAX_DIMS:
        raise ValueError(f"repeat: at most {PD_MAX_DIMS // 2} dimensions, got {len(times)}")
    between = tuple([one for n in shape for one in (1, n)])
    wide = tuple([one for k, n in zip(times, shape) for one in (k, n)])
    return reshape(expand(reshape(x, between), wide).clone(), tuple([k * n for k, n in zip(times, shape)]))

__all__ = [
    "cat", "concat", "concatenate", "stack", "split", "chunk", "unbind", "flip", "roll", "tile", "repeat",
]
METHODS = ["split", "chunk", "unbind", "flip", "roll", "tile", "repeat"]
