"""Ops whose forward and rule are Python: for what calls NumPy or other ops, and is not called a million times a second."""
cimport cython
from pydl._core.kernels cimport PD_I32, PD_I64, pd_launch
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.tape cimport Node, Op, backward_rule, record, register
from pydl._core.tensor cimport Tensor, empty, empty_like, empty_of, view_of

cdef extern from "pydl.h":
    enum: PD_distance_bwd
    enum: PD_distance_fwd
    enum: PD_histogram
    enum: PD_searchsorted
    enum: PD_triangle


@cython.binding(False)
cdef class PythonOp(Op):
    """An op of the registry that Python can record. Made by declare()."""
    cdef object backward

    def record(self, outputs, tuple inputs not None, tuple saved not None=(), extra=None):
        """Attaches the outputs (a Tensor or a tuple) to the inputs (Tensors or None), and returns them.

        saved: up to 4 inputs or outputs that the rule gets; extra: anything else that it needs.
        """
        cdef Node node = record(self, outputs, inputs)
        cdef int slot = 0
        if node is None:
            return outputs
        every = outputs if isinstance(outputs, tuple) else (outputs,)
        for x in saved:
            if any(x is y for y in every):
                node.keep_output(slot, x)
            else:
                node.keep(slot, x)
            slot += 1
        node.extra = (len(saved), extra)
        return outputs


cdef object python_rule(Node node, object dy):
    cdef int i
    count, extra = node.extra
    saved = tuple([node.kept(i) for i in range(count)])
    need = tuple([node.need(i) for i in range(len(node.edges))])
    return (<PythonOp>node.op).backward(dy, need, saved, extra)


def declare(forward, backward=None):
    """Registers an op under forward's name -> PythonOp.

    backward(dy, need, saved, extra) -> the gradient of the one input, or a tuple with one for each (None where need is False).
    dy: the gradient of the output; with several outputs a tuple with None where there is none. It is made of ops, so that it
    can be differentiated again. None: the op has no derivative, and record() is not to be called.
    """
    cdef PythonOp new = PythonOp.__new__(PythonOp)
    cdef backward_rule rule = NULL
    if backward is not None:
        rule = python_rule
    new.backward = backward
    register(new, forward, rule)
    return new


def triangle(Tensor input not None, double diagonal, bint upper):
    """Matrices with zeros above (upper: on and below) a diagonal; no graph knows the result."""
    cdef pd_launch launch
    cdef Tensor x = contiguous(input), y = empty_like(x)
    prepare(&launch, PD_triangle, x.code)
    launch.buf[0], launch.buf[1] = x.data, y.data
    launch.scalar[0], launch.scalar[1], launch.scalar[2] = diagonal, upper, x.itemsize
    launch.lines.n, launch.lines.inner = x.sizes[x.ndim - 2], x.sizes[x.ndim - 1]
    launch.lines.outer = x.numel // max(1, launch.lines.n * launch.lines.inner)
    run(&launch, PD_triangle, x.code)
    return y


def distance_kernel(double p, Tensor a not None, Tensor b not None, weights=None, distances=None, bint half=False):
    """a (batch, m, k), b (batch, n, k) -> their distances in the p-norm, (batch, m, n); half (a is b): those above the diagonal,
    (batch, m (m - 1) / 2); with weights (batch, m, n) and those
    distances: the weighted sum of slopes, (batch, m, k). One type; no graph knows the result."""
    cdef pd_launch launch
    cdef Tensor x = contiguous(a), z = contiguous(b), w, r, y
    cdef size_t batch = x.sizes[0], m = x.sizes[1], n = z.sizes[1], k = x.sizes[2]
    cdef int kernel = PD_distance_fwd if weights is None else PD_distance_bwd
    prepare(&launch, kernel, x.code)
    launch.gemm.batch[0], launch.gemm.m, launch.gemm.n, launch.gemm.k = batch, m, n, k
    launch.scalar[0], launch.scalar[1] = p, half
    if weights is None:
        if half:
            y = empty_of(x.code, (batch, <object>m * (<object>m - 1) // 2))
        else:
            y = empty_of(x.code, (batch, m, n))
        launch.buf[0], launch.buf[1], launch.buf[3] = x.data, z.data, y.data
    else:
        w, r, y = contiguous(weights), contiguous(distances), empty_of(x.code, (batch, m, k))
        launch.buf[0], launch.buf[1], launch.buf[2], launch.buf[3], launch.buf[4] = w.data, x.data, z.data, r.data, y.data
    run(&launch, kernel, x.code)
    return y


def search(Tensor sequences not None, Tensor values not None, bint right, bint narrow):
    """Places of values in ascending sequences: (n,), (...) -> (...), or (..., n), (..., k) -> (..., k); int64, or int32 where narrow.

    Both contiguous, of one type, with fitting shapes.
    """
    cdef pd_launch launch
    cdef Tensor y = empty(PD_I32 if narrow else PD_I64, values.ndim, values.sizes)
    prepare(&launch, PD_searchsorted, sequences.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = sequences.data, values.data, y.data
    launch.rows.n = sequences.sizes[sequences.ndim - 1]
    launch.rows.outer = 1 if sequences.ndim == 1 else values.numel // max(1, values.sizes[values.ndim - 1])
    launch.rows.count = values.numel // max(1, launch.rows.outer)
    launch.scalar[0], launch.scalar[1] = right, narrow
    if values.numel:
        run(&launch, PD_searchsorted, sequences.code)
    return y


def occurrences(Tensor input not None, ptrdiff_t bins, double low=0, double high=0):
    """How many elements of a contiguous input are 0 .. bins - 1 (integers, all in that range), or in each of as many equal parts of
    low .. high (floats): (bins,) int64."""
    cdef pd_launch launch
    cdef ptrdiff_t size = bins + 1
    cdef Tensor y = empty(PD_I64, 1, &size), scratch
    size = 16 * (bins + 1) if bins < 4096 else 0        # as in search.c
    scratch = empty(PD_I64, 1, &size)
    prepare(&launch, PD_histogram, input.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = input.data, y.data, scratch.data
    launch.lines.n = input.numel
    launch.scalar[0], launch.scalar[1], launch.scalar[2] = bins, low, high
    run(&launch, PD_histogram, input.code)
    size = 1
    return view_of(y, 1, &bins, &size, 0)
