# cython: language_level=3
"""Products of matrices and vectors, and the affine map of a linear layer."""
import numpy as np

from pydl._core.kernels cimport PD_BOOL, PD_F64, PD_GELU, PD_I64, PD_MAX_DIMS, PD_NO_ACTIVATION, PD_RELU, PD_SIGMOID, PD_SILU, PD_TANH, pd_gemm, pd_launch
from pydl._core.launch cimport cast, contiguous, prepare, run
from pydl._core.tape cimport Node, Op, changed, op, record, record2
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, empty, empty_of, real_arg, shape_of, tensor_arg
from pydl._core.numpy_bridge import from_numpy

from pydl.ops.arithmetic import add, mul
from pydl.ops.reduce import sum as sum_over
from pydl.ops.shape import reshape, squeeze, unsqueeze

cdef extern from "pydl.h":
    enum: PD_gemm
    enum: PD_gemm_pack

cdef enum:
    PANEL = 128         # no packed panel has more columns
    SLOW = 20_000       # products of integers that take NumPy some 10 us


# ---- The launch

cdef int check_types(str name, Tensor a, Tensor b) except -1:
    if a.code != b.code:
        raise TypeError(f"{name}: {dtype_of(a.code)} and {dtype_of(b.code)} do not mix "
                        f"(shapes {shape_of(a)} and {shape_of(b)}); use .to()")
    return 0

cdef bint single(Tensor x) noexcept:
    """Is x one matrix, however many dimensions of size one stand before it?"""
    cdef int d
    for d in range(x.ndim - 2):
        if x.sizes[d] != 1:
            return False
    return True

cdef bint joins(Tensor a, ptrdiff_t row, ptrdiff_t rows) noexcept:
    """Do the matrices of a lie below one another, `rows` rows each, so that they are one tall matrix?"""
    cdef int d
    for d in range(a.ndim - 3, -1, -1):
        if a.sizes[d] != 1 and a.strides[d] != rows * row:
            return False
        rows *= a.sizes[d]
    return True

cdef void set_batch(pd_gemm *g, int ndim, const ptrdiff_t *sizes, Tensor a, Tensor b) noexcept:
    cdef int d, i, j
    cdef ptrdiff_t step = g.c_row * <ptrdiff_t>g.m
    g.batch_ndim = ndim
    for d in range(ndim - 1, -1, -1):
        i, j = d - ndim + a.ndim - 2, d - ndim + b.ndim - 2
        g.batch[d] = sizes[d]
        g.a_batch[d] = a.strides[i] if i >= 0 and a.sizes[i] != 1 else 0
        g.b_batch[d] = b.strides[j] if j >= 0 and b.sizes[j] != 1 else 0
        g.c_batch[d] = step
        step *= sizes[d]

cdef object largest(x):
    """The largest |x|, as a Python int"""
    return max(int(x.max()), -int(x.min())) if x.size else 0

cdef Tensor whole_product(Tensor a, Tensor b, bint tb, Tensor bias):
    """a @ b (+ bias) of integers, which wrap around and have no gradient: in float64 where that holds every sum, else by NumPy's
    loops, which are slow."""
    cdef Tensor z
    if a.code == PD_BOOL:
        raise TypeError(f"matmul: not defined for bool (shapes {shape_of(a)} and {shape_of(b)}); convert the tensors with .to()")
    x, y = np.asarray(memoryview(a)), np.asarray(memoryview(b))
    terms = x.shape[x.ndim - 1]
    work = 0 if x.ndim < 2 else x.size * y.shape[y.ndim - 2 if tb else y.ndim - 1]
    if work >= SLOW and largest(x) * largest(y) * terms < 1 << 53:
        z = cast(cast(product(cast(a, PD_F64), cast(b, PD_F64), False, tb), PD_I64), a.code)
    else:
        z = from_numpy(np.asarray(np.matmul(x, y.swapaxes(-1, -2) if tb else y), x.dtype))
    return z if bias is None else add(z, bias)

cdef Tensor product(Tensor a, Tensor b, bint ta, bint tb, Tensor bias=None):
    """a @ b (+ bias), the last two dimensions of a (b) swapped first where ta (tb). Shapes are right, types the same."""
    if a.code > PD_F64:
        return whole_product(a, b, tb, bias)
    cdef pd_launch launch
    cdef pd_gemm *g = &launch.gemm
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int d, i, j, ndim = (a.ndim if a.ndim > b.ndim else b.ndim) - 2
    cdef int a_row = a.ndim - 1 if ta else a.ndim - 2, a_col = a.ndim - 2 if ta else a.ndim - 1
    cdef int b_row = b.ndim - 1 if tb else b.ndim - 2, b_col = b.ndim - 2 if tb else b.ndim - 1
    for d in range(ndim):
        i, j = d - ndim + a.ndim - 2, d - ndim + b.ndim - 2
        sizes[d] = a.sizes[i] if i >= 0 and a.sizes[i] != 1 else b.sizes[j] if j >= 0 else 1
    sizes[ndim], sizes[ndim + 1] = a.sizes[a_row], b.sizes[b_col]
    cdef Tensor y = empty(a.code, ndim + 2, sizes)
    prepare(&launch, PD_gemm, a.code)
    g.m, g.n, g.k = sizes[ndim], sizes[ndim + 1], a.sizes[a_col]
    g.a_row, g.a_col = a.strides[a_row], a.strides[a_col]
    # A batch times one matrix is one tall product. Rows alone (m == 1) are joined whatever their layout: the kernel sums
    # a single row in another order.
    cdef bint tall = ndim > 0 and a.ndim - 2 == ndim and single(b)
    if tall and g.m == 1:
        a = contiguous(a)
        g.a_row, g.a_col = g.k, 1
    elif tall:
        tall = joins(a, g.a_row, g.m)
    g.b_row, g.b_col = b.strides[b_row], b.strides[b_col]
    g.c_row, g.c_col = sizes[ndim + 1], 1
    g.accumulate, g.b_packed, g.activation = 0, 0, PD_NO_ACTIVATION
    g.batch_ndim = 0
    if tall:
        for d in range(ndim):
            g.m *= sizes[d]
    elif ndim:
        set_batch(g, ndim, sizes, a, b)
    launch.buf[0], launch.buf[1], launch.buf[3] = a.data, b.data, y.data
    launch.buf[2] = NULL if bias is None else bias.data
    run(&launch, PD_gemm, a.code, y.numel * g.k)
    return y


# ---- matmul and its relatives

cdef int check_product(str name, Tensor a, Tensor b) except -1:
    """a (..., m, k), b (..., k, n): k agrees, the batch dimensions broadcast."""
    cdef int d, i, j, ndim = (a.ndim if a.ndim > b.ndim else b.ndim) - 2
    check_types(name, a, b)
    if a.sizes[a.ndim - 1] != b.sizes[b.ndim - 2]:
        raise ValueError(f"{name}: shapes {shape_of(a)} and {shape_of(b)} do not fit: "
                         f"{a.sizes[a.ndim - 1]} columns times {b.sizes[b.ndim - 2]} rows")
    for d in range(ndim):
        i, j = d - ndim + a.ndim - 2, d - ndim + b.ndim - 2
        if i >= 0 and j >= 0 and a.sizes[i] != b.sizes[j] and a.sizes[i] != 1 and b.sizes[j] != 1:
            raise ValueError(f"{name}: the batch dimensions of shapes {shape_of(a)} and {shape_of(b)} do not broadcast")
    return 0

cdef Tensor recorded_product(Tensor a, Tensor b, bint ta, bint tb):
    cdef Tensor y = product(a, b, ta, tb)
    cdef Node node = record2(MATMUL, y, a, b)
    if node is not None:
        node.keep(0, a)
        node.keep(1, b)
        node.extra = ta, tb
    return y

def matmul(input, other):
    """The matrix product, by the shapes: (k) @ (k) -> (), (m, k) @ (k) -> (m), (k) @ (k, n) -> (n),
    (..., m, k) @ (..., k, n) -> (..., m, n), where leading dimensions broadcast.

    float32, float64 or integers (which wrap around), both the same; any strides. Sums over k run in one fixed order, whatever the layout, the batch
    or the number of threads. k == 0 gives zeros. Raises ValueError where shapes do not fit or a tensor has no
    dimension, TypeError where types differ or are bool. Goto & van de Geijn 2008.

    >>> pydl.tensor([[1.0, 2.0], [3.0, 4.0]]) @ pydl.tensor([1.0, -1.0])
    tensor([-1., -1.])
    """
    cdef Tensor a = tensor_arg("matmul", input, "input"), b = tensor_arg("matmul", other, "other")
    if a.ndim >= 2 and b.ndim >= 2:
        check_product("matmul", a, b)
        return recorded_product(a, b, False, False)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: expected tensors of at least one dimension, got shapes {shape_of(a)} and {shape_of(b)}; use mul()")
    check_types("matmul", a, b)
    if a.sizes[a.ndim - 1] != b.sizes[b.ndim - 2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: shapes {shape_of(a)} and {shape_of(b)} do not fit: "
                         f"{a.sizes[a.ndim - 1]} columns times {b.sizes[b.ndim - 2 if b.ndim > 1 else 0]} rows")
    if a.ndim == 1 and b.ndim == 1:
        return dot(a, b)
    if a.ndim == 1:
        return squeeze(recorded_product(unsqueeze(a, 0), b, False, False), -2)
    return squeeze(recorded_product(a, unsqueeze(b, 1), False, False), -1)

cdef Tensor flat(Tensor x):
    """(..., n) as (the rest, n), recorded."""
    return x if x.ndim == 2 else <Tensor>reshape(x, (x.numel // x.sizes[x.ndim - 1] if x.sizes[x.ndim - 1] else 0, x.sizes[x.ndim - 1]))

cdef object matmul_backward(Node node, object dy):
    cdef Tensor a = node.kept(0), b = node.kept(1), g = dy, da = None, db = None
    cdef bint ta, tb
    ta, tb = node.extra
    if node.need(0):
        da = recorded_product(b, g, tb, True) if ta else recorded_product(g, b, False, not tb)
    if node.need(1):
        if not ta and not tb and b.ndim == 2 and a.ndim > 2 and a.sizes[a.ndim - 1] and g.sizes[g.ndim - 1]:
            db = recorded_product(flat(a), flat(g), True, False)    # one sum over the batch instead of a sum of products
        else:
            db = recorded_product(g, a, True, ta) if tb else recorded_product(a, g, not ta, False)
    return da, db

cdef Op MATMUL = op(matmul, matmul_backward)

def mm(input, mat2):
    """The product of two matrices: (m, k), (k, n) -> (m, n). Types and Raises as matmul; nothing broadcasts."""
    cdef Tensor a = tensor_arg("mm", input, "input"), b = tensor_arg("mm", mat2, "mat2")
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError(f"mm: expected two matrices, got shapes {shape_of(a)} and {shape_of(b)}; use matmul()")
    check_product("mm", a, b)
    return recorded_product(a, b, False, False)

def bmm(input, mat2):
    """Products of the matrices of two batches: (b, m, k), (b, k, n) -> (b, m, n). Types and Raises as matmul."""
    cdef Tensor x = tensor_arg("bmm", input, "input"), y = tensor_arg("bmm", mat2, "mat2")
    if x.ndim != 3 or y.ndim != 3 or x.sizes[0] != y.sizes[0]:
        raise ValueError(f"bmm: expected shapes (b, m, k) and (b, k, n), got {shape_of(x)} and {shape_of(y)}; use matmul()")
    check_product("bmm", x, y)
    return recorded_product(x, y, False, False)

def mv(input, vec):
    """A matrix times a vector: (m, k), (k) -> (m). Types and Raises as matmul."""
    cdef Tensor a = tensor_arg("mv", input, "input"), x = tensor_arg("mv", vec, "vec")
    if a.ndim != 2 or x.ndim != 1 or a.sizes[1] != x.sizes[0]:
        raise ValueError(f"mv: expected shapes (m, k) and (k,), got {shape_of(a)} and {shape_of(x)}")
    check_types("mv", a, x)
    return squeeze(recorded_product(a, unsqueeze(x, 1), False, False), -1)

def dot(input, tensor):
    """The sum of the products of two vectors: (k), (k) -> (). Types and Raises as matmul."""
    cdef Tensor a = tensor_arg("dot", input, "input"), b = tensor_arg("dot", tensor, "tensor")
    cdef pd_launch launch
    cdef pd_gemm *g = &launch.gemm
    if a.ndim != 1 or b.ndim != 1 or a.sizes[0] != b.sizes[0]:
        raise ValueError(f"dot: expected two vectors of one length, got shapes {shape_of(a)} and {shape_of(b)}")
    check_types("dot", a, b)
    if a.code > PD_F64:
        return whole_product(a, b, False, None)
    cdef Tensor y = empty(a.code, 0, NULL)
    prepare(&launch, PD_gemm, a.code)
    g.m = g.n = 1
    g.k = a.numel
    g.a_row = g.b_col = g.c_row = g.c_col = 1
    g.a_col, g.b_row = a.strides[0], b.strides[0]
    g.batch_ndim = 0
    g.accumulate, g.b_packed, g.activation = 0, 0, PD_NO_ACTIVATION
    launch.buf[0], launch.buf[1], launch.buf[2], launch.buf[3] = a.data, b.data, NULL, y.data
    run(&launch, PD_gemm, a.code)
    cdef Node node = record2(DOT, y, a, b)
    if node is not None:
        node.keep(0, a)
        node.keep(1, b)
    return y

cdef object dot_backward(Node node, object dy):
    return (mul(node.kept(1), dy) if node.need(0) else None, mul(node.kept(0), dy) if node.need(1) else None)

cdef Op DOT = op(dot, dot_backward)

def outer(input, vec2):
    """Every product of two numbers of two vectors: (m), (n) -> (m, n). Types as in mul."""
    cdef Tensor a = tensor_arg("outer", input, "input"), b = tensor_arg("outer", vec2, "vec2")
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"outer: expected two vectors, got shapes {shape_of(a)} and {shape_of(b)}")
    return mul(unsqueeze(a, 1), b)

def scaled_sum(str name, Tensor input, object beta, object y, object alpha):
    """beta input + alpha y, for the op `name`."""
    if input.code > PD_F64 and (isinstance(alpha, float) or isinstance(beta, float)):
        raise TypeError(f"{name}: beta and alpha must be integers for {dtype_of(input.code)}, got {beta} and {alpha}")
    if alpha != 1:
        y = mul(y, alpha)
    if beta == 0:       # as PyTorch: NaN and infinities of the input do not count then
        return y
    return add(input if beta == 1 else mul(input, beta), y)

def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta input + alpha (mat1 @ mat2): (m, k), (k, n) -> (m, n); input broadcasts to that, and is not read where
    beta is 0. Types and Raises as matmul."""
    cdef Tensor a = tensor_arg("addmm", mat1, "mat1"), b = tensor_arg("addmm", mat2, "mat2")
    cdef Tensor c = tensor_arg("addmm", input, "input")
    if a.ndim != 2 or b.ndim != 2 or c.ndim > 2:
        raise ValueError(f"addmm: expected input (m, n), mat1 (m, k) and mat2 (k, n), got {shape_of(c)}, {shape_of(a)} and {shape_of(b)}")
    check_product("addmm", a, b)
    check_types("addmm", c, a)
    check_addend("addmm", c, a, b)
    return scaled_sum("addmm", c, beta, recorded_product(a, b, False, False), alpha)

def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta input + alpha (batch1 @ batch2): (b, m, k), (b, k, n) -> (b, m, n); input broadcasts to that, and is not
    read where beta is 0. Types and Raises as matmul."""
    cdef Tensor a = tensor_arg("baddbmm", batch1, "batch1"), b = tensor_arg("baddbmm", batch2, "batch2")
    cdef Tensor c = tensor_arg("baddbmm", input, "input")
    if a.ndim != 3 or b.ndim != 3 or c.ndim > 3 or a.sizes[0] != b.sizes[0]:
        raise ValueError(f"baddbmm: expected input (b, m, n), batch1 (b, m, k) and batch2 (b, k, n), "
                         f"got {shape_of(c)}, {shape_of(a)} and {shape_of(b)}")
    check_product("baddbmm", a, b)
    check_types("baddbmm", c, a)
    check_addend("baddbmm", c, a, b)
    return scaled_sum("baddbmm", c, beta, recorded_product(a, b, False, False), alpha)

cdef int check_addend(str name, Tensor c, Tensor a, Tensor b) except -1:
    """c broadcasts to the product of a and b."""
    cdef int d, i
    cdef ptrdiff_t size
    for d in range(c.ndim):
        i = d - c.ndim      # counted from the end
        size = b.sizes[b.ndim - 1] if i == -1 else a.sizes[a.ndim + i]
        if c.sizes[d] != size and c.sizes[d] != 1:
            raise ValueError(f"{name}: input {shape_of(c)} does not broadcast to the product of {shape_of(a)} and {shape_of(b)}")
    return 0


# ---- linear

def linear(input, weight, bias=None):
    """input @ weight^T + bias: (..., k), (n, k), (n,) or None -> (..., n); (..., k), (k,), () or None -> (...).

    Floats or integers, all of one type; any strides. A bias (n,) is added as the product is written; any other that broadcasts
    to the result is added afterwards. Raises ValueError where shapes do not fit, TypeError where types differ or are bool.
    """
    cdef Tensor x = tensor_arg("linear", input, "input"), w = tensor_arg("linear", weight, "weight"), b = None
    check_types("linear", x, w)
    if x.ndim < 1 or w.ndim not in (1, 2) or x.sizes[x.ndim - 1] != w.sizes[w.ndim - 1]:
        raise ValueError(f"linear: expected input (..., k) and weight (n, k) or (k,), got {shape_of(x)} and {shape_of(w)}")
    if bias is not None:
        b = tensor_arg("linear", bias, "bias")
        check_types("linear", x, b)
        if w.ndim == 1 or b.ndim != 1 or b.sizes[0] != w.sizes[0]:
            check_bias(x, w, b)
            return add(linear(x, w), b)
    if w.ndim == 1:
        return matmul(x, w)
    if x.ndim == 1:
        return squeeze(linear(unsqueeze(x, 0), w, b), 0)
    cdef Tensor y = product(x, w, False, True, None if b is None else contiguous(b))
    cdef Node node = record(LINEAR, y, (x, w, b))
    if node is not None:
        node.keep(0, x)
        node.keep(1, w)
    return y

cdef int check_bias(Tensor x, Tensor w, Tensor b) except -1:
    """b broadcasts to the result, and does not make it larger."""
    cdef tuple result = shape_of(x)[:x.ndim - 1] + shape_of(w)[:w.ndim - 1], given = shape_of(b)
    if len(given) <= len(result) and all([size in (1, room) for size, room in zip(reversed(given), reversed(result))]):
        return 0
    raise ValueError(f"linear: bias {given} does not broadcast to the result {result} (input {shape_of(x)}, weight {shape_of(w)})")

cdef object linear_backward(Node node, object dy):
    cdef Tensor x = node.kept(0), w = node.kept(1), g = dy, dx = None, dw = None, db = None
    if node.need(0):
        dx = recorded_product(g, w, False, False)
    if node.need(1):
        dw = recorded_product(flat(g), flat(x), True, False) if x.sizes[x.ndim - 1] and g.sizes[g.ndim - 1] else mul(w, 0)
    if node.need(2):
        db = sum_over(g, tuple(range(g.ndim - 1)))
    return dx, dw, db

cdef Op LINEAR = op(linear, linear_backward)

# ---- The kernel with all it can do, unrecorded

ACTIVATIONS = {None: PD_NO_ACTIVATION, "relu": PD_RELU, "sigmoid": PD_SIGMOID, "tanh": PD_TANH, "gelu": PD_GELU,
               "silu": PD_SILU}

def fused_product(a, b, bias=None, *, activation=None, out=None, packed=False):
    """activation(a @ b + bias) of two matrices, outside every graph: (m, k), (k, n), (n,) or None -> (m, n).

    out: a tensor (m, n) of any strides, to which the product is added first. packed: b goes through its packed form.
    """
    cdef Tensor x = real_arg("fused_product", a, "a"), w = real_arg("fused_product", b, "b"), y, room = None
    cdef pd_launch launch
    cdef pd_gemm *g = &launch.gemm
    cdef ptrdiff_t sizes[2]
    if x.ndim != 2 or w.ndim != 2:
        raise ValueError(f"fused_product: expected two matrices, got shapes {shape_of(x)} and {shape_of(w)}")
    check_product("fused_product", x, w)
    sizes[0], sizes[1] = x.sizes[0], w.sizes[1]
    y = empty(x.code, 2, sizes) if out is None else real_arg("fused_product", out, "out")
    if y.ndim != 2 or y.sizes[0] != sizes[0] or y.sizes[1] != sizes[1] or y.code != x.code:
        raise ValueError(f"fused_product: expected out ({sizes[0]}, {sizes[1]}), got {shape_of(y)}")
    cdef Tensor c = None if bias is None else contiguous(real_arg("fused_product", bias, "bias"))
    if c is not None and (c.numel != <size_t>sizes[1] or c.code != x.code):
        raise ValueError(f"fused_product: expected bias ({sizes[1]},), got {shape_of(c)}")
    g.m, g.n, g.k = sizes[0], sizes[1], x.sizes[1]
    g.a_row, g.a_col = x.strides[0], x.strides[1]
    g.b_row, g.b_col = w.strides[0], w.strides[1]
    g.c_row, g.c_col = y.strides[0], y.strides[1]
    g.batch_ndim, g.b_packed, g.accumulate = 0, 0, out is not None
    g.activation = ACTIVATIONS[activation]
    if packed:
        room = empty_of(x.code, ((g.n + PANEL) * max(g.k, <size_t>1),))
        prepare(&launch, PD_gemm_pack, x.code)
        launch.buf[0], launch.buf[1] = w.data, room.data
        run(&launch, PD_gemm_pack, x.code)
        w = room
        g.b_packed = 1
    prepare(&launch, PD_gemm, x.code)
    launch.buf[0], launch.buf[1], launch.buf[3] = x.data, w.data, y.data
    launch.buf[2] = NULL if c is None else c.data
    run(&launch, PD_gemm, x.code)
    if out is not None:
        changed(y)
    return y

__all__ = ["matmul", "mm", "bmm", "mv", "dot", "outer", "addmm", "baddbmm", "linear"]
METHODS = ["matmul", "mm", "bmm", "mv", "dot", "outer", "addmm", "baddbmm"]
